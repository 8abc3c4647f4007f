"""Read pictures (PNG, JPEG, TIFF, ...) as grey values."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ganlab.errors import InputError
from ganlab.imaging.wording import quoted

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
DEEP, WHITE = ("I;16", "I;16B", "I;16L", "I"), 65535  # Pillow's modes of 16 bits, and the largest value in them
MAX_PIXELS, MAX_SIDE, LEAST_SIDE = 50_000_000, 20_000, 8


def read_picture(path: Path) -> np.ndarray:
    """A picture as (H, W) float32 from 0 (black) to 1 (white).

    Colours become their luminance (ITU-R 601), transparent pixels become black. All 16 bits of deep pictures are kept,
    with 65,535 as white; such a picture may use a small part of the range (see `is_deep`).

    Raises InputError for a file that is not a picture or is damaged, for a picture that is too large (more than 50
    million pixels or 20,000 pixels a side) or too small, and for one with a single grey value.
    """
    name = quoted(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sizes are checked here
            with Image.open(path) as image:
                width, height = image.size
                if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
                    raise InputError(
                        f"{name} has {width:,} x {height:,} pixels, more than {MAX_SIDE:,} a side or "
                        f"{MAX_PIXELS // 10**6} million; make it smaller."
                    )
                if min(width, height) < LEAST_SIDE:
                    raise InputError(f"{name} has {width} x {height} pixels; at least {LEAST_SIDE} a side are needed.")
                grey = _grey(image, name)
    except InputError:
        raise
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InputError(
            f"{name} is not a picture that can be read, or is damaged; save it again as PNG, or give another."
        ) from error
    if not float(grey.max()) > float(grey.min()):
        raise InputError(f"{name} has a single grey value; it contains no image.")
    return grey


def is_deep(path: Path) -> bool:
    """Whether a readable picture has 16 bits. Its black and white points are unknown, as when 12-bit CT is exported in
    16 bits: find them from all pictures that belong together."""
    with Image.open(path) as image:
        return image.mode in DEEP


def _grey(image: Image.Image, name: str) -> np.ndarray:
    """(H, W) float32 in 0..1 of an image in any of Pillow's modes. Raises InputError for pixels that are not finite."""
    if image.mode in DEEP:
        return np.clip(np.asarray(image).astype(np.float32) / WHITE, 0, 1)
    if image.mode == "F":
        values = np.asarray(image, np.float32)
        if not np.isfinite(values).all():
            raise InputError(f"{name} has pixels that are NaN or infinite; save it again as PNG.")
        return (values - values.min()) / max(float(values.max() - values.min()), 1e-12)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    return np.asarray(image.convert("L"), np.float32) / 255
