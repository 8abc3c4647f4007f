"""Checks that values are in the unit of their modality: others are refused, or measured with a notice."""

from __future__ import annotations

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.checks import looks_like_ct
from ganlab.imaging.volume import Volume

GREY_LEVELS = 260.0  # a CT stored as 0 to 1, -1 to 1 or 0 to 255 stays below; one in HU with any bone does not
OFFSETS = (1000.0, 1024.0)  # offsets that CT is stored with by mistake
BACKGROUND_HU = -200.0  # CT values around a head are below this
SPREAD = (0.2, 5.0)  # of a prediction's values relative to the reference's, beyond which units are suspect
MOST_FA = 1.5  # noise can push FA slightly above 1
NEGATIVE = 0.05  # share of a T1's voxels


def check_units(
    name: str,
    volume: Volume,
    modality: str,
    masked: bool = False,
    reference: Volume | None = None,
    mask: np.ndarray | None = None,
) -> list[str]:
    """Notices about the units of a "ct", "fa" or "t1".

    name: "reference" or "prediction". masked: there is a mask, so what lies around the head does not matter.
    reference, mask: what a prediction is compared with, and where. Raises InputError, with what to do, for values that
    cannot be in the modality's unit: HU, FA from 0 to 1, magnitude.
    """
    low, high = float(volume.array.min()), float(volume.array.max())
    if low == high:
        return []
    {"ct": _check_hu, "fa": _check_fa, "t1": _check_t1}[modality](name, volume.array, low, high)
    if modality == "ct" and not masked:
        _check_background(name, volume.array)
    if reference is None or mask is None:
        return []
    spread, reference_spread = float(volume.array[mask].std()), float(reference.array[mask].std())
    if modality == "t1" or reference_spread == 0 or SPREAD[0] <= spread / reference_spread <= SPREAD[1]:
        return []
    return [
        f"The {name} varies {spread / reference_spread:.2g} times as much as the reference: check that both are in the "
        "same unit."
    ]


def _check_hu(name: str, array: np.ndarray, low: float, high: float) -> None:
    if low >= -2 and high <= GREY_LEVELS:
        raise InputError(
            f"The {name} spans {low:.4g} to {high:.4g}, which is not a CT in HU (air -1000, water 0, bone above 250): "
            "give it in HU."
        )
    if low > -500 and not looks_like_ct(Volume(array, np.eye(4))):
        for offset in OFFSETS:
            if looks_like_ct(Volume(array - offset, np.eye(4))):
                raise InputError(
                    f"The {name} spans {low:.4g} to {high:.4g}: it looks like HU plus {offset:.0f} or so; subtract the "
                    "offset, so that air is -1000 and water 0."
                )


def _check_background(name: str, array: np.ndarray) -> None:
    """The head is found by the air around it, which may have been replaced by another value."""
    faces = np.concatenate([np.take(array, (0, -1), axis).ravel() for axis in range(3)])
    values, counts = np.unique(faces, return_counts=True)
    background = float(values[counts.argmax()])
    if background > BACKGROUND_HU and counts.max() > 0.5 * faces.size:
        raise InputError(
            f"The {name} is {background:g} around the head, where a CT in HU has air near -1000: set the background to "
            "-1000, or give a mask."
        )


def _check_fa(name: str, array: np.ndarray, low: float, high: float) -> None:
    if np.percentile(array, 99.9) > MOST_FA:
        raise InputError(
            f"The {name} spans {low:.4g} to {high:.4g}, but FA lies between 0 and 1: divide it by its scale first."
        )


def _check_t1(name: str, array: np.ndarray, low: float, high: float) -> None:
    negative = np.count_nonzero(array < -0.01 * high) / array.size
    if negative > NEGATIVE:
        raise InputError(
            f"{negative:.0%} of the {name} T1 are negative, so its zero was moved (to the mean, or to -1): give the "
            "magnitude as scanned."
        )
