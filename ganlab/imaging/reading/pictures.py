"""Read pictures (PNG, JPEG, TIFF, ...) as grey values."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from ganlab.errors import InputError
from ganlab.imaging.wording import quoted

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif")
DEEP = ("I", "F")  # the first letters of Pillow's modes of more than 8 bits
MAX_PIXELS, MAX_SIDE, LEAST_SIDE = 50_000_000, 20_000, 8
BITS, PHOTOMETRIC, SUBFILE, SAMPLE_FORMAT = 258, 262, 254, 339  # tags of TIFF (TIFF 6.0, Adobe 1992)
WHITE_IS_ZERO, REDUCED, SIGNED, FLOATING = 0, 1, 2, 3  # and values of theirs


class GreyPicture(NamedTuple):
    """One picture. grey: (H, W) float32, from 0 (black) to 1 (white) or, if depth is not "8-bit", as stored: black and
    white are unknown, as when 12-bit CT is exported in 16 bits, and are found from all pictures that belong together.
    depth: "8-bit", "16-bit", "signed 16-bit", "32-bit", "floating-point", ... form: of the file, such as "PNG"."""

    grey: np.ndarray
    depth: str
    form: str

    @property
    def deep(self) -> bool:
        return self.depth != "8-bit"


def read_pictures(path: Path) -> Iterator[GreyPicture]:
    """All pictures of a file in order: the pages of a TIFF stack, the frames of a GIF, or the one that there is.

    They are upright, as viewers show them (EXIF orientation). Colours become their luminance (ITU-R 601), transparent
    pixels become black, and where a TIFF's lowest value is white, values are turned round. Reduced copies in a TIFF are
    left out.

    Raises InputError for a file that is not a picture or is damaged, for a picture that is too large (more than 50
    million pixels or 20,000 pixels a side) or too small, for pixels that are not finite, and, at the end, for a file
    without any picture of more than one grey value.
    """
    name, found = quoted(path), False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sizes are checked here
            with Image.open(path) as image:
                for page in ImageSequence.Iterator(image):
                    if _tag(page, SUBFILE, 0) & REDUCED:
                        continue
                    _check_size(page, name)
                    picture = _picture(page, image.format or "picture", name)
                    found = found or float(picture.grey.max()) > float(picture.grey.min())
                    yield picture
    except InputError:
        raise
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError) as error:
        raise InputError(
            f"{name} is not a picture that can be read, or is damaged; save it again as PNG, or give another."
        ) from error
    if not found:
        raise InputError(f"{name} has a single grey value; it contains no image.")


def read_picture(path: Path) -> GreyPicture:
    """The only picture of a file, as of `read_pictures`. Raises InputError for a stack as well."""
    first, *others = itertools.islice(read_pictures(path), 2)
    if others:
        raise InputError(f"{quoted(path)} is a stack of several pictures; save each in a file of its own.")
    return first


def _check_size(page: Image.Image, name: str) -> None:
    width, height = page.size
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise InputError(
            f"{name} has {width:,} x {height:,} pixels, more than {MAX_SIDE:,} a side or "
            f"{MAX_PIXELS // 10**6} million; make it smaller."
        )
    if min(width, height) < LEAST_SIDE:
        raise InputError(f"{name} has {width} x {height} pixels; at least {LEAST_SIDE} a side are needed.")


def _picture(page: Image.Image, form: str, name: str) -> GreyPicture:
    depth, turned_round = _depth(page), _tag(page, PHOTOMETRIC, 1) == WHITE_IS_ZERO
    size = page.size  # of a TIFF as it is shown, since loading turns it
    page.load()
    if page.size != size:  # Pillow 12.3 mixes up the rows of uncompressed ones
        raise InputError(f"{name} lies on its side in a way that cannot be read; save it again as PNG.")
    if not page.mode.startswith(DEEP):
        return GreyPicture(_grey(ImageOps.exif_transpose(page)), "8-bit", form)
    values = np.asarray(ImageOps.exif_transpose(page)).astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"{name} has pixels that are NaN or infinite; save it again as PNG.")
    if turned_round:
        values = (65535 if depth == "16-bit" else 0) - values
    return GreyPicture(values, depth, form)


def _depth(page: Image.Image) -> str:
    form = _tag(page, SAMPLE_FORMAT, FLOATING if page.mode == "F" else 1)
    if form == FLOATING:
        return "floating-point"
    bits = _tag(page, BITS, 32 if page.mode == "I" and page.format != "PNG" else 16)
    return f"{'signed ' if form == SIGNED else ''}{bits}-bit"


def _tag(page: Image.Image, tag: int, default: int) -> int:
    """The first value of a TIFF's tag; the default for other files, and where it is missing or no number."""
    value = getattr(page, "tag_v2", {}).get(tag, default)
    value = value[0] if isinstance(value, tuple) and value else value
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else default


def _grey(image: Image.Image) -> np.ndarray:
    """(H, W) float32 in 0..1 of an image in one of Pillow's modes of 8 bits."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    return np.asarray(image.convert("L"), np.float32) / 255
