"""Pictures in the formats of cameras and screens, as grey values."""

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
    """(H, W) float32, 0 black to 1 white: luminance of colours (ITU-R 601), transparent pixels on black, 16 bits kept,
    from 0 to 65,535, of which a picture may use a small part (see `is_deep`).

    Raises InputError for what is no picture, damaged, too large (50 million pixels, 20,000 to a side), too small, or of
    a single grey.
    """
    name = quoted(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sizes are checked here
            with Image.open(path) as image:
                width, height = image.size
                if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
                    raise InputError(
                        f"{name} has {width:,} x {height:,} pixels, more than {MAX_SIDE:,} to a side or "
                        f"{MAX_PIXELS // 10**6} million; make it smaller."
                    )
                if min(width, height) < LEAST_SIDE:
                    raise InputError(f"{name} has {width} x {height} pixels; {LEAST_SIDE} to a side are the least.")
                grey = _grey(image, name)
    except InputError:
        raise
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InputError(
            f"{name} is not a picture that can be read, or is damaged; save it again as PNG, or give another."
        ) from error
    if not float(grey.max()) > float(grey.min()):
        raise InputError(f"{name} is of a single grey; there is nothing to see.")
    return grey


def is_deep(path: Path) -> bool:
    """Whether a picture that can be read has 16 bits. What is black and white in them stands nowhere, CT being exported
    as 12 bits in 16: to be found from all the pictures that belong together."""
    with Image.open(path) as image:
        return image.mode in DEEP


def _grey(image: Image.Image, name: str) -> np.ndarray:
    """(H, W) float32 in 0..1 of a picture in any of Pillow's modes. Raises InputError where some are no numbers."""
    if image.mode in DEEP:
        return np.clip(np.asarray(image).astype(np.float32) / WHITE, 0, 1)
    if image.mode == "F":
        values = np.asarray(image, np.float32)
        if not np.isfinite(values).all():
            raise InputError(f"{name} has pixels that are not numbers; save it again as PNG.")
        return (values - values.min()) / max(float(values.max() - values.min()), 1e-12)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    return np.asarray(image.convert("L"), np.float32) / 255
