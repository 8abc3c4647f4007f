"""Checks that values are in the unit of their modality: others are refused, or measured with a notice."""

from __future__ import annotations

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.checks import looks_like_ct
from ganlab.imaging.volume import Volume

GREY_LEVELS = 260.0  # a CT stored as 0 to 1, -1 to 1 or 0 to 255 stays below; one in HU with any bone does not
AIR_HU = -1000.0
BACKGROUND_HU = -200.0  # CT values around a head are below this
OFFSET_HU = 300.0  # air or soft tissue this far from where HU put them suggest an offset
LOWEST_HU = -1500.0  # a CT in HU has hardly anything below
SHIFT_HU = (200.0, 800.0)  # of a prediction against the reference: beyond these, a notice, and an offset
SPREAD = (0.2, 5.0)  # of a prediction's values relative to the reference's, beyond which units are suspect
ALIKE, SLOPE = 0.85, (0.7, 1.3)  # correlation and slope of a prediction on the reference; blurred ones stay above 0.75
MOST_FA = 1.5  # noise can push FA slightly above 1
NEGATIVE = 0.05  # share of a T1's voxels


def check_reference(volume: Volume, modality: str, mask: np.ndarray | None = None) -> None:
    """Raise InputError, with what to do, for a "ct", "fa" or "t1" that cannot be in its unit: HU, FA from 0 to 1,
    magnitude.

    mask: where it will be measured, boolean. Without one, the head or brain must be found in the volume, so its
    background is checked too.
    """
    values = volume.array if mask is None else volume.array[mask]
    if modality == "fa" and mask is None and volume.array.max() <= 0:
        raise InputError("The reference has no FA above 0, so there is no brain to measure: give an FA map, or a mask.")
    if modality == "fa":
        _check_fa("reference", values)
    elif modality == "t1":
        _check_t1("reference", values)
    else:
        low, high = float(values.min()), float(values.max())
        dark = high <= 2 or (volume.array.min() >= -2 and volume.array.max() <= GREY_LEVELS)
        if low >= -2 and dark and low != high:
            raise InputError(_not_hu("reference", low, high))
        if mask is None or abs(np.median(values)) > OFFSET_HU:
            _check_offset(volume.array)
        if mask is None:
            _check_background(volume.array)


def doubts_of_reference(volume: Volume, modality: str) -> list[str]:
    """Notices on a whole reference that may not be in its unit although `check_reference` takes it."""
    if modality != "ct" or looks_like_ct(volume):
        return []
    return [
        "The reference does not look like a whole CT in HU (air near -1000, tissue near 0, bone above 300): check that "
        "it was neither rescaled nor clipped, as the errors are against it as it is."
    ]


def check_prediction(volume: Volume, modality: str, reference: Volume, mask: np.ndarray) -> list[str]:
    """Notices about the units of a prediction, from the voxels where it is measured (mask, boolean) and no others.

    Raises InputError as `check_reference` does.
    """
    values, true = volume.array[mask], reference.array[mask]
    low, high = float(values.min()), float(values.max())
    if low == high:
        return []
    notices = []
    if modality == "fa":
        _check_fa("prediction", values)
    elif modality == "t1":
        _check_t1("prediction", values)
    else:
        varied = true.min() < BACKGROUND_HU or true.max() > 2 * GREY_LEVELS
        if low >= -2 and high <= GREY_LEVELS and varied:
            raise InputError(_not_hu("prediction", low, high))
        notices += _check_shift(values.astype(np.float64), true.astype(np.float64))
        notices += _check_scale(values.astype(np.float64), true.astype(np.float64))
    spread, reference_spread = float(values.std()), float(true.std())
    if modality != "t1" and reference_spread > 0 and not SPREAD[0] <= spread / reference_spread <= SPREAD[1]:
        notices.append(
            f"The prediction varies {spread / reference_spread:.2g} times as much as the reference: check that both "
            "are in the same unit."
        )
    return notices


def _not_hu(name: str, low: float, high: float) -> str:
    return (
        f"The {name} spans {low:.4g} to {high:.4g}, which is not a CT in HU (air -1000, water 0, bone above 250): "
        "give it in HU."
    )


def _faces(array: np.ndarray) -> np.ndarray:
    """The voxels on the six faces of the grid, which are air for the most part."""
    return np.concatenate([np.take(array, (0, -1), axis).ravel() for axis in range(3)])


def _offset(array: np.ndarray) -> float | None:
    """What was added to the HU of a CT, such as 1024; None if it is not such a CT."""
    offset = float(np.median(_faces(array))) - AIR_HU
    if abs(offset) < OFFSET_HU or float(array.min()) - offset < LOWEST_HU:
        return None
    return offset if looks_like_ct(Volume(array - np.float32(offset), np.eye(4))) else None


def _remedy(offset: float) -> str:
    sign, remedy = ("plus", "subtract") if offset > 0 else ("minus", "add")
    return f"if it is HU {sign} {abs(offset):.0f} or so, {remedy} the offset"


def not_ct(volume: Volume) -> str:
    """Why a volume that does not look like a CT is refused, and what to do."""
    reason = "This does not look like a CT in HU (air near -1000, tissue near 0, bone)"
    offset = _offset(volume.array)
    return f"{reason}; give a CT{'' if offset is None else f', or, {_remedy(offset)}'}."


def _check_offset(array: np.ndarray) -> None:
    if looks_like_ct(Volume(array, np.eye(4))) or (offset := _offset(array)) is None:
        return
    raise InputError(
        f"The reference spans {array.min():.6g} to {array.max():.6g} and is about {offset + AIR_HU:.5g} around the "
        f"head, where a CT in HU has air near -1000: give a CT or, {_remedy(offset)}."
    )


def _check_shift(values: np.ndarray, true: np.ndarray) -> list[str]:
    """Refuse a CT with an offset to the reference; mention one that is merely far from it."""
    difference = values - true
    shift = float(np.median(difference))
    if abs(shift) <= SHIFT_HU[0]:
        return []
    direction = "above" if shift > 0 else "below"
    where = f"The prediction lies {abs(shift):.0f} HU {direction} the reference (median)"
    alike = np.median(np.abs(difference - shift)) < 0.25 * abs(shift) and true.std() > 0
    if abs(shift) > SHIFT_HU[1] and alike and np.corrcoef(values, true)[0, 1] > 0.5:
        remedy = "subtract" if shift > 0 else "add"
        raise InputError(f"{where}, which looks like an offset: {remedy} the offset, so that air is -1000 and water 0.")
    return [f"{where}: check that both are in HU."]


def _check_scale(values: np.ndarray, true: np.ndarray) -> list[str]:
    """Mention a CT that is a multiple of the reference."""
    if true.std() == 0 or np.corrcoef(values, true)[0, 1] < ALIKE:
        return []
    slope = float(np.cov(values, true)[0, 1] / true.var())
    if SLOPE[0] <= slope <= SLOPE[1]:
        return []
    return [f"The prediction is about {slope:.2g} times the reference: check that both are in HU."]


def _check_background(array: np.ndarray) -> None:
    """The head is found by the air around it, which may have been replaced by another value."""
    faces = _faces(array)
    values, counts = np.unique(faces, return_counts=True)
    background = float(values[counts.argmax()])
    if background > BACKGROUND_HU and counts.max() > 0.5 * faces.size:
        raise InputError(
            f"The reference is {background:g} around the head, where a CT in HU has air near -1000: set the background "
            "to -1000, or give a mask."
        )


def _check_fa(name: str, values: np.ndarray) -> None:
    if np.percentile(values, 99.9) > MOST_FA:
        raise InputError(
            f"The {name} spans {values.min():.4g} to {values.max():.4g}, but FA lies between 0 and 1: divide it by its "
            "scale first."
        )


def _check_t1(name: str, values: np.ndarray) -> None:
    negative = np.count_nonzero(values < -0.01 * values.max()) / values.size
    if negative > NEGATIVE:
        raise InputError(
            f"{negative:.0%} of the {name} T1 are negative, so its zero was moved (to the mean, or to -1): give the "
            "magnitude as scanned."
        )
