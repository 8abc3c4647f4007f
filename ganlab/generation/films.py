"""Images in a row as a moving picture, or side by side on a strip; greys only, no palette is needed."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
from PIL import Image

from ganlab.errors import InputError

FORMS = ("gif", "mp4")
GAP, GREY = 1, 90  # pixels between the images of a strip, as on a sheet


def film(images: np.ndarray, fps: float = 15, scale: int = 4, form: str = "gif") -> bytes:
    """Images (T, H, W) uint8 as a moving picture in one of FORMS, enlarged `scale` times as `enlarged` does.

    A GIF starts over at its end. Its times are hundredths of a second, of which browsers take no less than 2: fps is
    met as nearly as these allow. An MP4 holds H.264 with 4:2:0 colour, which every browser and slide program plays; its
    sides are even, the last row or column twice where they were not. Raises InputError for another form.
    """
    if form not in FORMS:
        raise InputError(f'A film cannot be a "{form}"; choose from {", ".join(FORMS)}.')
    frames = [enlarged(image, scale) for image in images]
    return (_gif if form == "gif" else _mp4)(frames, fps)


def _gif(frames: list[Image.Image], fps: float) -> bytes:
    out = io.BytesIO()
    shown = 10 * max(2, round(100 / fps))
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=shown, loop=0, optimize=False)
    return out.getvalue()


def _mp4(frames: list[Image.Image], fps: float) -> bytes:
    import av  # FFmpeg's libraries: a third of a second, that only a film waits for

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
    """A PNG of images (T, H, W) uint8, `columns` in a row, a grey line between them."""
    count, h, w = images.shape
    size = columns * (w * scale + GAP) - GAP, -(-count // columns) * (h * scale + GAP) - GAP
    sheet = Image.new("L", size, GREY)
    for k, image in enumerate(images):
        sheet.paste(enlarged(image, scale), (k % columns * (w * scale + GAP), k // columns * (h * scale + GAP)))
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


def enlarged(image: np.ndarray, scale: int) -> Image.Image:
    """(H, W) uint8 as a picture `scale` times the size, by a bicubic: squares would be seen before the shapes are, and
    Lanczos draws rings about a bright skull."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.BICUBIC)
