"""Reads DICOM: assembles a set of files into one volume with the right geometry.

Each slice is placed by its own position, so that multi-frame files, mosaics, tilted gantries and missing slices come
out right. `dicom_slices.py` reads what each file says, `dicom_series.py` finds what belongs together, and
`dicom_pixels.py` decodes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.reading import dicom_pixels as pixels
from ganlab.imaging.reading.dicom_origin import origin_of
from ganlab.imaging.reading.dicom_series import MAX_SLICE_STEP, Series, choose, find_series
from ganlab.imaging.reading.dicom_slices import DicomFile, Slice
from ganlab.imaging.reading.headers import LPS_TO_RAS
from ganlab.imaging.volume import Origin
from ganlab.imaging.wording import quoted

LEAST_TILT = 0.5  # degrees between the normal and the direction from slice to slice
AIR, LOWEST_HU = -1000.0, -1024.0  # HU


def read_series(
    paths: list[Path], name: str, max_voxels: int, modality: str = "unknown", wanted: str | None = None
) -> tuple[np.ndarray, np.ndarray, str, list[str], Origin]:
    """A series among DICOM files: the one that `wanted` names, else the one that is most probably meant.

    name: the file or folder that the user gave, quoted, for messages. modality: what is looked for ("ct", "t1", ...).
    Returns the array (columns, rows, slices), float32 with rescale slope and intercept applied; its affine (voxel ->
    RAS mm); DICOM's modality ("CT", "MR", ...); notices; and its patient and study. Missing slices are interpolated
    between their neighbours, with a notice that says where. Raises InputError, also if neighbouring slices are more
    than MAX_SLICE_STEP apart.
    """
    found, unusable = find_series(paths, max_voxels)
    if not found:
        raise InputError(
            f"{name} holds no DICOM picture that can be used: "
            + (f"{quoted(unusable[0][0])} {unusable[0][1]}." if unusable else "none of its files has pixels.")
        )
    series = choose(found, wanted, modality, name)
    array, affine, declared, notices, origin = assemble(series, name, max_voxels, unusable, found)
    return array, affine, declared, [*_other_series(found, series, name), *notices], origin


def assemble(
    series: Series, name: str, max_voxels: int, unusable: list[tuple[Path, str]], found: list[Series]
) -> tuple[np.ndarray, np.ndarray, str, list[str], Origin]:
    """A series as `read_series` gives it. unusable: files that could not be read, and why; found: all series of the
    same place, for messages."""
    notices, slices = _left_out(series), list(series.slices)
    rows, columns = slices[0].size
    if rows * columns * len(slices) > max_voxels:
        raise InputError(
            f"{name} holds {columns}x{rows}x{len(slices)} voxels, more than the limit of {max_voxels:,}: "
            "crop or downsample it first."
        )
    stack, slices = _decoded(slices, name, unusable)
    if unusable:
        notices.append(
            f"{len(unusable)} DICOM file{'s' * (len(unusable) > 1)} could not be used, the first being "
            f"{quoted(unusable[0][0])}, which {unusable[0][1]}."
        )
    if len(slices) < 2:
        alone = sum(len(each.slices) == 1 for each in found)
        each_own = f" (its files are {alone} series of one slice each)" if alone > 3 else ""
        raise InputError(
            f"{name} holds one slice and not a volume{each_own}: give the folder, or a zip of it, with all slices of "
            "the series."
        )
    notices += _without_padding(stack, slices)
    array, affine = _evenly(stack, slices, name, max_voxels, notices)
    return array, affine, series.modality, notices, origin_of(slices[0].file.path)


def _other_series(found: list[Series], chosen: Series, name: str) -> list[str]:
    """What else could have been read, and how to ask for it."""
    others = [each for each in found if each is not chosen]
    if not others:
        return []
    usable = [each for each in others if not each.problem]
    listed = "; ".join(map(str, [*usable, *(each for each in others if each.problem)][:5]))
    more = f" and {len(others) - 5} more" if len(others) > 5 else ""
    ask = "; choose another by its number (--series)" if usable else ""
    return [f"{name} holds {len(found)} series; {chosen} was read, and not {listed}{more}{ask}."]


def _left_out(series: Series) -> list[str]:
    """Time points, repeated slices and copies that are not in the volume."""
    notices, places = [], len(series.slices)
    if series.times > 1:
        notices.append(
            f"The series holds {series.times} pictures of each of its {places} slices (time points or repetitions); "
            "the first of each was read."
        )
    if series.repeats:
        s = "s" * (series.repeats > 1)
        notices.append(f"The series holds {series.repeats} slice{s} more than its {places} places; the first was read.")
    if series.copies:
        notices.append(
            f"{series.copies} pictures have the identifier and the position of another one; the first of each was read."
        )
    return notices


def _decoded(slices: list[Slice], name: str, unusable: list[tuple[Path, str]]) -> tuple[np.ndarray, list[Slice]]:
    """The decoded slices: their values (columns, rows, slices), float32, and the slices."""
    rows, columns = slices[0].size
    stack = np.empty((columns, rows, len(slices)), dtype=np.float32, order="F")
    of_file: dict[DicomFile, list[int]] = defaultdict(list)
    for index, slice_ in enumerate(slices):
        of_file[slice_.file].append(index)
    batches: dict[tuple, list[DicomFile]] = defaultdict(list)
    for file in of_file:
        batches[file.shape, file.compressed].append(file)
    kept: list[int] = []
    try:
        for (shape, compressed), files in batches.items():
            arrays = pixels.decoded([file.path for file in files], shape, compressed)
            for file, frames in zip(files, arrays, strict=True):
                if frames is None:
                    unusable.append((file.path, "has pixels that cannot be decoded"))
                    continue
                kept += of_file[file]
                for index in of_file[file]:
                    stack[..., index] = _values(frames, slices[index]).T
    except pixels.DecoderDied as died:
        raise InputError(
            f"{name} holds {quoted(died.path)}, whose compressed pixels are damaged so that they cannot be "
            "decoded: export the series again, uncompressed."
        ) from None
    kept.sort()
    return (stack if len(kept) == len(slices) else stack[..., kept]), [slices[index] for index in kept]


def _values(frames: np.ndarray, slice_: Slice) -> np.ndarray:
    """(rows, columns) of a slice from its file's frames, which have all been scaled like the first."""
    values = frames[slice_.frame]
    if slice_.tile:
        (row, column), (rows, columns) = slice_.tile, slice_.size
        values = values[row : row + rows, column : column + columns]
    (slope, intercept), (own_slope, own_intercept) = slice_.file.scaling, slice_.scaling
    if slice_.scaling != slice_.file.scaling:
        values = np.rint((values.astype(np.float64) - intercept) / slope) * own_slope + own_intercept
    return values


def _without_padding(stack: np.ndarray, slices: list[Slice]) -> list[str]:
    """Give pixels that the scanner did not fill, far below or above all others, the value of air in a CT, and the
    lowest of the others elsewhere; in place."""
    if all(slice_.file.padding is None for slice_ in slices):
        return []
    is_ct, padded = slices[0].file.modality == "CT", np.zeros(stack.shape, bool)
    for index, slice_ in enumerate(slices):
        if slice_.file.padding is not None:
            slope, intercept = slice_.scaling
            value = slope * slice_.file.padding + intercept
            padded[..., index] = np.abs(stack[..., index] - value) < 0.5 * abs(slope)
    if not padded.any() or padded.all():
        return []
    low, high = float(stack.min(where=~padded, initial=np.inf)), float(stack.max(where=~padded, initial=-np.inf))
    value = float(stack[padded].min())
    if min(low, LOWEST_HU if is_ct else 0.0) <= value <= high:
        return []  # padding that is black, as air is
    fill = AIR if is_ct else low
    stack[padded] = fill
    unit = " HU" if is_ct else ""
    count = int(np.count_nonzero(padded))
    return [f"Padding, {count:,} voxels of {value:g} that the scanner did not fill, was set to {fill:g}{unit}."]


def _evenly(
    stack: np.ndarray, slices: list[Slice], name: str, max_voxels: int, notices: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """An evenly spaced volume from slices: (array, affine voxel -> RAS mm)."""
    axes, spacing = _mean_geometry(slices)
    normal, positions = np.cross(*axes), np.array([slice_.position for slice_ in slices])
    heights = (positions - positions[0]) @ normal  # rising, from 0
    slant = (positions[-1] - positions[0]) / heights[-1]  # per mm of height; not the normal if the gantry was tilted
    stray = np.linalg.norm(positions - positions[0] - heights[:, None] * slant, axis=1).max()
    if stray > 0.5:
        raise InputError(
            f"{name} has slices that lie up to {stray:.1f} mm off a straight line, more than 0.5 mm: convert it with "
            "dcm2niix."
        )
    gaps = np.diff(heights)
    if gaps.max() > MAX_SLICE_STEP:
        raise InputError(
            f"{name} has neighbouring slices {gaps.max():.1f} mm apart, more than the limit of {MAX_SLICE_STEP:g} mm: "
            "slices are missing; export the whole series."
        )
    tilt = math.degrees(math.acos(min(1.0, 1 / float(np.linalg.norm(slant)))))
    if tilt > LEAST_TILT:
        notices.append(
            f"The gantry was tilted by {tilt:.1f}\N{DEGREE SIGN}; the slices were placed where they were taken, on a "
            "sheared grid."
        )
    step = float(np.median(gaps))
    count = round(heights[-1] / step) + 1
    step = heights[-1] / (count - 1)
    shape = (*stack.shape[:2], count)
    if math.prod(shape) > max_voxels:
        raise InputError(
            f"{name} has slices from {gaps.min():g} to {gaps.max():g} mm apart, which is not an even spacing."
        )
    affine = np.eye(4)
    affine[:3, :3] = np.transpose([axes[0] * spacing[1], axes[1] * spacing[0], slant * step])
    affine[:3, 3] = positions[0]
    affine = LPS_TO_RAS @ affine

    index = heights / step
    nearest = np.round(index).astype(int)
    on_grid = np.abs(index - nearest) < 0.05
    missing = np.setdiff1d(np.arange(count), nearest[on_grid])
    if on_grid.all() and len(slices) == count:
        return stack, affine
    array = np.empty(shape, dtype=np.float32, order="F")
    for k in range(count):
        after = int(np.clip(np.searchsorted(index, k), 1, len(index) - 1))
        weight = np.clip((k - index[after - 1]) / (index[after] - index[after - 1]), 0.0, 1.0)
        weight = np.round(weight) if k not in missing else weight
        array[..., k] = (1 - weight) * stack[..., after - 1] + weight * stack[..., after]
    if on_grid.all():
        verb = "is" if len(missing) == 1 else "are"
        notices.append(
            f"{len(missing)} of {count} slices {verb} missing, at {_where(affine, shape, missing)}; these were "
            "interpolated between their neighbours and are unreliable."
        )
    else:
        notices.append(
            f"The slices lie unevenly, {gaps.min():.2f} to {gaps.max():.2f} mm apart; they were interpolated to "
            f"{count} slices an even {step:.2f} mm apart."
        )
    return array, affine


def _mean_geometry(slices: list[Slice]) -> tuple[np.ndarray, np.ndarray]:
    """Directions (2, 3), orthonormal, and spacing (2,) of slices that differ by rounding."""
    if all(np.array_equal(each.orientation, slices[0].orientation) for each in slices):
        return slices[0].orientation, np.mean([each.spacing for each in slices], axis=0)
    u, _, v = np.linalg.svd(np.mean([each.orientation for each in slices], axis=0), full_matrices=False)
    return u @ v, np.mean([each.spacing for each in slices], axis=0)


def _where(affine: np.ndarray, shape: tuple[int, ...], slices: np.ndarray) -> str:
    """Positions of the slices' centres as a scanner shows them: "S 12.0, S 14.0 mm"."""
    middle = [(shape[0] - 1) / 2, (shape[1] - 1) / 2]
    axis = int(np.argmax(np.abs(affine[:3, 2])))
    positions = []
    for k in slices[:8]:
        mm = float((affine @ [*middle, k, 1.0])[axis])
        positions.append(f"{('RL', 'AP', 'SI')[axis][mm < 0]} {abs(mm):.1f}")
    more = f" and {len(slices) - 8} more" if len(slices) > 8 else ""
    return ", ".join(positions) + " mm" + more
