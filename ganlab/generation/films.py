"""Images in a row as a moving picture, or side by side on a strip; greys only, no palette is needed."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

GAP, GREY = 1, 90  # pixels between the images of a strip, as on a sheet


def film(images: np.ndarray, fps: float = 15, scale: int = 4) -> bytes:
    """A GIF of images (T, H, W) uint8 that starts over at its end, enlarged `scale` times as `enlarged` does. Its times
    are hundredths of a second, of which browsers take no less than 2: fps is met as nearly as these allow."""
    frames = [enlarged(image, scale) for image in images]
    out = io.BytesIO()
    shown = 10 * max(2, round(100 / fps))
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=shown, loop=0, optimize=False)
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
