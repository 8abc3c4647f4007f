"""Geometry: voxel order, axis names and resampling a volume onto another grid.

A grid is an affine (4, 4: voxel indices -> RAS+ mm) and a shape. All functions are pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ganlab.imaging.volume import Volume

INTERPOLATORS = {0: "sitkNearestNeighbor", 1: "sitkLinear", 3: "sitkBSpline3"}


def axis_letters(affine: np.ndarray) -> tuple[str, str, str]:
    """The patient direction in which each voxel index increases, e.g. ("R", "A", "S") or ("L", "P", "S")."""
    import nibabel as nib

    return nib.aff2axcodes(affine)


def canonical(volume: Volume) -> Volume:
    """The same voxels in the order closest to RAS+: axes swapped and flipped, values and positions unchanged."""
    return reordered(volume, "RAS")


def reordered(volume: Volume, letters: str) -> Volume:
    """The same voxels with axes that increase, as closely as possible, in these directions, such as "LPS"."""
    import nibabel as nib

    wanted = nib.orientations.axcodes2ornt(letters)
    change = nib.orientations.ornt_transform(nib.io_orientation(volume.affine), wanted)
    array = nib.apply_orientation(volume.array, change)
    affine = volume.affine @ nib.orientations.inv_ornt_aff(change, volume.shape)
    return replace(volume, array=np.ascontiguousarray(array), affine=affine)


def is_sheared(affine: np.ndarray) -> bool:
    """Whether the axes of a grid are not at right angles."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() > 1e-4)


def same_grid(a: Volume, b: Volume) -> bool:
    """Whether two volumes have the same shape and corresponding voxels lie within 1 % of a voxel's edge."""
    if a.shape != b.shape:
        return False
    corners = _corners(a.shape)
    apart = np.linalg.norm(((a.affine - b.affine) @ corners)[:3], axis=0).max()
    return bool(apart <= 0.01 * a.spacing.min())


def model_grid(volume: Volume, spacing: float = 1.0) -> tuple[np.ndarray, tuple[int, int, int]]:
    """The smallest RAS-aligned isotropic grid that covers every voxel centre of a volume: (affine, shape).

    spacing: mm. The grid is centred on the volume, so that it does not depend on the order of the volume's axes. It is
    the volume's own grid in canonical order if that is aligned and has this spacing.
    """
    corners = (volume.affine @ _corners(volume.shape))[:3]
    low, high = corners.min(axis=1), corners.max(axis=1)
    steps = np.ceil((high - low) / spacing - 1e-3).astype(int)  # tolerates float32 headers: 255.00001 steps are 255
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = (low + high - steps * spacing) / 2
    return affine, (int(steps[0]) + 1, int(steps[1]) + 1, int(steps[2]) + 1)


def resample(volume: Volume, affine: np.ndarray, shape: Sequence[int], order: int = 1, fill: float = 0.0) -> Volume:
    """A volume's values on another grid.

    order: 0 nearest neighbour (labels), 1 linear, 3 cubic B-spline.
    fill: value beyond the faces of the volume's outermost voxels.

    Where the new voxels are larger than the old and order > 0, the volume is first blurred with a Gaussian whose
    width makes up the difference: variance (r^2 - 1) / (8 ln 2) voxels^2 for voxels r times as large, which
    matches the full widths at half maximum (Cardoso 2015, "Scale factor point spread function matching").
    Grids that differ only by the order of their axes and by whole voxels give exactly the same values, for any order.
    The result keeps the input's dtype, unit, modality and notices.
    """
    if order not in INTERPOLATORS:
        raise ValueError(f"order is one of {tuple(INTERPOLATORS)}, got {order}")
    shape = tuple(int(n) for n in shape)
    affine = np.array(affine, dtype=np.float64)
    to_voxel = np.linalg.solve(volume.affine, affine)  # new voxel indices -> old voxel indices
    whole = np.round(to_voxel)
    if np.abs((to_voxel - whole) @ _corners(shape)).max() < 1e-3 and (np.abs(whole[:3, :3]).sum(axis=0) == 1).all():
        array = _rearranged(volume.array, whole.astype(int), shape, fill)
    else:
        array = _interpolated(volume.array, to_voxel, shape, order, fill)
    return replace(volume, array=array, affine=affine)


def _rearranged(source: np.ndarray, to_voxel: np.ndarray, shape: Sequence[int], fill: float) -> np.ndarray:
    """Axes swapped, flipped, cropped and padded; to_voxel is a signed permutation with integer shifts."""
    result = np.full(shape, fill, dtype=source.dtype)
    axes = np.abs(to_voxel[:3, :3]).argmax(axis=0)  # the source's axis of each new axis
    ours, theirs = [], []
    for new, old in enumerate(axes):
        at = to_voxel[old, new] * np.arange(shape[new]) + to_voxel[old, 3]
        inside = np.flatnonzero((at >= 0) & (at < source.shape[old]))
        if not inside.size:
            return result
        first, last = at[inside[[0, -1]]]
        ours.append(slice(inside[0], inside[-1] + 1))
        theirs.append(slice(first, last + 1) if last >= first else slice(first, last - 1 if last else None, -1))
    result[tuple(ours)] = source.transpose(axes)[tuple(theirs)]
    return result


def _interpolated(
    source: np.ndarray, to_voxel: np.ndarray, shape: Sequence[int], order: int, fill: float
) -> np.ndarray:
    import SimpleITK as sitk
    from scipy import ndimage

    dtype = source.dtype
    source = source.astype(np.uint8) if dtype.kind == "b" else source
    if order > 0:
        larger = np.linalg.norm(to_voxel[:3, :3], axis=1)  # new voxels along each old axis, in old voxels
        sigma = np.sqrt(np.clip(larger**2 - 1, 0, None) / (8 * np.log(2)))
        source = source.astype(np.float32, copy=False)
        if sigma.max() > 0.1:
            source = ndimage.gaussian_filter(source, sigma, mode="nearest")
    # Both images lie in the source's index space, so that sheared and left-handed grids need no special case.
    filter_ = sitk.ResampleImageFilter()
    filter_.SetSize(shape)
    filter_.SetTransform(sitk.AffineTransform(to_voxel[:3, :3].ravel().tolist(), to_voxel[:3, 3].tolist()))
    filter_.SetInterpolator(getattr(sitk, INTERPOLATORS[order]))
    filter_.SetDefaultPixelValue(float(fill))
    image = filter_.Execute(sitk.GetImageFromArray(source.T))  # SimpleITK's arrays count z, y, x
    array = sitk.GetArrayFromImage(image).T
    return (array if dtype.kind == "f" else np.rint(array)).astype(dtype, copy=False)


def _corners(shape: Sequence[int]) -> np.ndarray:
    """(4, 8) homogeneous indices of a grid's corner voxels."""
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in shape], indexing="ij"), dtype=np.float64).reshape(3, 8)
    return np.vstack([ends, np.ones(8)])
