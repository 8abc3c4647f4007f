"""Sharpness of a synthetic volume, consistency between its slices, and displacement of its skull.

Errors reward blur: the mean of all plausible images has the least squared error. These measures capture what MAE and
PSNR miss. None of them shows that a detail is right, and noise is sharp, too: read them beside the errors.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from ganlab.errors import InputError
from ganlab.imaging.grid import same_grid
from ganlab.imaging.metrics import BONE_HU
from ganlab.imaging.volume import Volume


def sharpness(reference: Volume, prediction: Volume, mask: np.ndarray) -> float:
    """Mean gradient magnitude of the prediction in the mask, relative to that of the reference; 0 and above.

    1: as sharp as the reference; below 1: blurred; above 1: sharper, or noisier. The gradient (per mm) comes from
    central differences, one-sided at the volume's faces. Nie et al. compare it in their gradient difference loss
    (MICCAI 2017); here it is a measure of focus (the gradient-based family of Pertuz et al., Pattern Recognition
    46:1415, 2013). It is not squared, so that the edges of bone and air do not outweigh everything else.

    mask: boolean, of the volumes' shape. Raises InputError for different grids, a mask that is empty or has another
    shape, and a reference that is flat in the mask.
    """
    _require_comparable(reference, prediction, mask)
    window = _extent(mask)  # one voxel wider than the mask, so that differences at its border are complete
    inside = mask[window]
    expected, measured = (_mean_gradient(v.array[window], inside, v.spacing) for v in (reference, prediction))
    return _ratio(measured, expected)


def discontinuity(reference: Volume, prediction: Volume, mask: np.ndarray) -> tuple[float, float, float]:
    """Mean absolute difference of neighbouring slices, relative to the reference's, along each axis; 0 and above.

    1: as in the reference; below 1: smoother; above 1: slices that do not fit together, visible as flicker and as
    stripes in the other two planes. A volume that was translated slice by slice has its largest value across the
    slices. Only pairs of voxels that both lie in the mask count.

    mask: boolean, of the volumes' shape. Raises InputError for different grids, a mask that is empty, has another shape
    or is one slice thick, and a reference that does not change along an axis.
    """
    _require_comparable(reference, prediction, mask)
    window = _extent(mask)
    measured, expected = (
        [_mean_step(volume.array[window], mask[window], axis) for axis in range(3)]
        for volume in (prediction, reference)
    )
    x, y, z = map(_ratio, measured, expected)
    return x, y, z


def flicker(reference: Volume, prediction: Volume, mask: np.ndarray) -> float:
    """The largest `discontinuity` of the three axes; above 1: some slices fit worse than the reference's."""
    return max(discontinuity(reference, prediction, mask))


def skull_shift(reference: Volume, prediction: Volume, mask: np.ndarray) -> float:
    """Median distance between the surfaces of bone (250 HU) of two CTs in mm; 0 and above.

    Symmetric: the median, over the surface points of both, of the distance to the nearest point of the other. Points
    lie where the line between two neighbouring voxels of the mask crosses 250 HU, by linear interpolation, so that
    shifts below a voxel show; surfaces of whole voxels would give 0 for most models. Distances are perpendicular to the
    surface: a ball that moves by d has a median of d / 2, one that grows by d has d.

    NaN if the reference or the prediction has no bone surface in the mask. mask: boolean, of the volumes' shape. Raises
    InputError for different grids and for a mask that is empty or has another shape.
    """
    _require_comparable(reference, prediction, mask)
    window = _extent(mask)
    a, b = (_crossings(v.array[window], mask[window], v.spacing) for v in (reference, prediction))
    if not len(a) or not len(b):
        return math.nan
    distances = [KDTree(target).query(points)[0] for points, target in ((a, b), (b, a))]
    return float(np.median(np.concatenate(distances)))


def _mean_gradient(array: np.ndarray, inside: np.ndarray, spacing: np.ndarray) -> float:
    squares = np.zeros(int(inside.sum()))
    for axis in range(3):
        if array.shape[axis] > 1:  # a single slice has no gradient across it
            squares += np.square(np.gradient(array, spacing[axis], axis=axis)[inside], dtype=np.float64)
    return float(np.sqrt(squares).mean())


def _mean_step(array: np.ndarray, inside: np.ndarray, axis: int) -> float:
    first, second = _neighbours(axis)
    both = inside[first] & inside[second]
    if not both.any():
        raise InputError(
            f"The mask has no two neighbouring voxels along axis {axis}, so there is no difference between slices: "
            "give a mask of more than one slice."
        )
    return float(np.abs(np.diff(array, axis=axis)[both]).mean(dtype=np.float64))


def _crossings(array: np.ndarray, inside: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """(points, 3) mm: where lines between neighbouring voxels cross the threshold of bone."""
    bone, crossings = array > BONE_HU, []
    for axis in range(3):
        first, second = _neighbours(axis)
        at = np.argwhere((bone[first] != bone[second]) & inside[first] & inside[second])
        before, after = (array[part][tuple(at.T)].astype(np.float64) for part in (first, second))
        points = at.astype(np.float64)
        points[:, axis] += (BONE_HU - before) / (after - before)
        crossings.append(points)
    return np.concatenate(crossings) * spacing


def _neighbours(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices that select the first and the second voxel of each pair along the axis."""
    first, second = [slice(None)] * 3, [slice(None)] * 3
    first[axis], second[axis] = slice(None, -1), slice(1, None)
    return tuple(first), tuple(second)


def _extent(mask: np.ndarray) -> tuple[slice, ...]:
    """The box around the mask, one voxel wider where the volume is."""
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    return tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in box)


def _ratio(measured: float, expected: float) -> float:
    if expected == 0:
        raise InputError("The reference is flat inside the mask, so there is no ratio to it: give a larger mask.")
    return measured / expected


def _require_comparable(reference: Volume, prediction: Volume, mask: np.ndarray) -> None:
    if not same_grid(reference, prediction):
        raise InputError(
            f"The prediction (shape {prediction.shape}) and the reference (shape {reference.shape}) lie on different "
            "grids: resample the prediction onto the reference's grid first."
        )
    if mask.shape != reference.shape:
        raise InputError(
            f"The mask has shape {mask.shape} and the reference {reference.shape}: give a mask on the reference's grid."
        )
    if not mask.any():
        raise InputError("The mask is empty: give one with at least one voxel.")
