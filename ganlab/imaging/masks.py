"""Where the patient is: masks of the head and of its cavities."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ganlab.errors import InputError
from ganlab.imaging.volume import Volume

AIR_BODY_HU = -200.0  # between air (-1000) and fat (-100)


def head_mask(ct: Volume) -> np.ndarray:
    """The head with its sinuses and airways: a boolean array on the CT's grid.

    The largest 6-connected component above -200 HU, with its cavities filled (see `fill_cavities`).
    Raises InputError if nothing is above -200 HU.
    """
    components, count = ndimage.label(ct.array > AIR_BODY_HU)
    if count == 0:
        raise InputError(
            f"No voxel of the reference is above {AIR_BODY_HU:g} HU (the largest is {ct.array.max():g}), so "
            "there is no head to measure: give a CT in HU, or a mask."
        )
    return fill_cavities(components == 1 + np.bincount(components.ravel())[1:].argmax())


def fill_cavities(body: np.ndarray) -> np.ndarray:
    """A 3-D mask with all holes filled that are enclosed within a slice perpendicular to any of the three axes.

    An airway that the bottom of the field of view cuts open is thus closed in axial slices, and a nasal cavity that
    opens at the nostrils in coronal ones.
    """
    filled = body.copy()
    for axis in range(3):
        filled |= _slice_holes(body, axis)
    return filled


def _slice_holes(body: np.ndarray, axis: int) -> np.ndarray:
    """Background that the body encloses within slices perpendicular to the axis."""
    in_slice = ndimage.generate_binary_structure(3, 1)
    np.moveaxis(in_slice, axis, 0)[[0, 2]] = False
    background, count = ndimage.label(~body, in_slice)
    hole = np.ones(count + 1, dtype=bool)
    hole[0] = False  # the body's own label
    for edge_axis in {0, 1, 2} - {axis}:
        hole[np.take(background, [0, -1], axis=edge_axis)] = False
    return hole[background]
