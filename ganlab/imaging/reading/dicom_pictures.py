"""DICOM files that are pictures of their own, as X-rays, mammograms and single slices are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.reading import dicom_elements as tags
from ganlab.imaging.reading import dicom_pixels as pixels
from ganlab.imaging.reading.dicom_elements import Unusable
from ganlab.imaging.reading.dicom_series import find_series
from ganlab.imaging.reading.dicom_slices import checked_shape, is_native, read_elements
from ganlab.imaging.reading.pictures import LEAST_SIDE, MAX_PIXELS
from ganlab.imaging.wording import quoted


def are_pictures(paths: list[Path]) -> bool:
    """Whether no two of these DICOM files are slices of one volume."""
    found, _ = find_series(paths, MAX_PIXELS)
    return all(len(series.slices) < 2 for series in found)


def read_dicom_picture(path: Path) -> np.ndarray:
    """(H, W) float32: the values of a DICOM file with one frame, rescaled (HU, in a CT). Where the lowest value is
    white (MONOCHROME1) GDCM has turned them round. Raises InputError for a file that is not such a picture."""
    try:
        dataset = read_elements(path)
        if tags.PIXELS not in dataset:
            raise Unusable("has no pixels")
        frames, rows, columns = checked_shape(dataset, MAX_PIXELS)
        if frames != 1 or min(rows, columns) < LEAST_SIDE:
            raise Unusable(
                f"has {frames} frames of {columns}x{rows} pixels, not one of {LEAST_SIDE}x{LEAST_SIDE} or more"
            )
        [values] = pixels.decoded([path], (1, rows, columns), not is_native(dataset))
        if values is None:
            raise Unusable("has pixels that cannot be decoded")
    except (Unusable, pixels.DecoderDied, OSError, ValueError) as error:
        reason = error if isinstance(error, Unusable) else "cannot be read"
        raise InputError(f"{quoted(path)} {reason}; export it again, uncompressed, or give another.") from None
    grey = values[0].astype(np.float32)
    if not float(grey.max()) > float(grey.min()):
        raise InputError(f"{quoted(path)} has a single grey value; it contains no image.")
    return grey
