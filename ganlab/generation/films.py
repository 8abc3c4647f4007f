"""Grey images as a film (GIF or MP4), or side by side on a strip."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
from PIL import Image
from skimage.util import montage

from ganlab.errors import InputError

FORMS = ("gif", "mp4")
GRID = 90  # grey level of the lines on a strip, as on a contact sheet


def film(images: np.ndarray, fps: float = 15, scale: int = 4, form: str = "gif") -> bytes:
    """Images (T, H, W) uint8 as a film in one of FORMS, enlarged `scale` times.

    A GIF loops. Its frame times are multiples of 10 ms and at least 20 ms, so fps is met as nearly as these allow. An
    MP4 holds H.264 with 4:2:0 colour, which all browsers and presentation programs play; its sides are even, with the
    last row or column repeated if necessary. Raises InputError for another form.
    """
    if form not in FORMS:
        raise InputError(f'A film cannot be a "{form}"; choose from {", ".join(FORMS)}.')
    frames = [enlarged(image, scale) for image in images]
    return (_gif if form == "gif" else _mp4)(frames, fps)


def _gif(frames: list[Image.Image], fps: float) -> bytes:
    out = io.BytesIO()
    duration = 10 * max(2, round(100 / fps))  # ms
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=duration, loop=0, optimize=False)
    return out.getvalue()


def _mp4(frames: list[Image.Image], fps: float) -> bytes:
    import av  # FFmpeg's libraries take a third of a second to load, so only for films

    h, w = frames[0].height, frames[0].width
    even, out = ((0, h % 2), (0, w % 2)), io.BytesIO()
    with av.open(out, "w", "mp4") as file:
        stream = file.add_stream("libx264", Fraction(fps).limit_denominator(1000), {"crf": "12", "preset": "fast"})
        stream.height, stream.width, stream.pix_fmt = h + h % 2, w + w % 2, "yuv420p"
        for image in frames:
            grey = np.pad(np.asarray(image), even, "edge")
            file.mux(stream.encode(av.VideoFrame.from_ndarray(grey, "gray")))
        file.mux(stream.encode())
    return out.getvalue()


def strip(images: np.ndarray, columns: int = 8, scale: int = 4) -> bytes:
    """A PNG of images (T, H, W) uint8, `columns` in a row, with grey lines between them."""
    pictures = np.stack([np.asarray(enlarged(image, scale)) for image in images])
    grid = -(-len(images) // columns), columns
    sheet = montage(pictures, fill=GRID, grid_shape=grid, padding_width=1)[1:-1, 1:-1]
    out = io.BytesIO()
    Image.fromarray(sheet).save(out, "PNG")
    return out.getvalue()


def enlarged(image: np.ndarray, scale: int) -> Image.Image:
    """(H, W) uint8 as a picture `scale` times the size. Bicubic: nearest-neighbour shows squares instead of
    shapes, and Lanczos draws rings around a bright skull."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.BICUBIC)
