"""Every volume is read and checked before anything is written: unusable volumes are refused by name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.checks import looks_like_ct, looks_skull_stripped
from ganlab.imaging.grid import canonical, model_grid
from ganlab.imaging.intensity import normalise_mr
from ganlab.imaging.plausibility import check_mr
from ganlab.imaging.reading.files import read_volume
from ganlab.imaging.volume import Volume
from ganlab.imaging.wording import quoted, shown, times
from ganlab.translation.dataset.folders import Listing, stem_of
from ganlab.translation.inference import MAX_VOXELS, SPACING
from ganlab.translation.tasks import Task

log = logging.getLogger(__name__)

MODALITIES = {"t1": "T1-weighted MR", "ct": "CT in HU", "fa": "FA"}
LEAST_OVERLAP = 10  # voxels of 1 mm on each axis that the two scans of a pair must share
BYTES = np.dtype(np.float16).itemsize  # of a stored voxel

Progress = Callable[[float], None] | None
Grid = tuple[np.ndarray, tuple[int, int, int]]  # affine and shape; RAS-aligned, voxels of SPACING


def check_volumes(listing: Listing, task: Task, progress: Progress = None) -> int:
    """Read every volume; the bytes that the prepared volumes will take.

    Raises InputError for unreadable files, voxels that are NaN or infinite, MR in place of CT or vice
    versa, CTs some of which are not in HU, FA outside 0 to 1, skull-stripped brains where a skull is to be learned, and
    pairs whose fields of view do not overlap.
    """
    total, done, grids = len(listing.sources) + len(listing.targets), 0, []
    for folder, paths, modality in sides_of(listing, task):
        is_ct: dict[Path, bool] = {}
        grids.append([])
        for path in paths:
            volume = read(path, modality)
            for notice in volume.notices:
                log.warning('%s in "%s": %s', quoted(path), path.parent, notice)
            is_ct[path] = looks_like_ct(volume)
            if modality != "ct":
                _check_not_ct(volume, is_ct[path], f'{quoted(path)} in "{path.parent}"', modality)
            if modality == task.source and task.target == "ct" and looks_skull_stripped(volume):
                raise InputError(
                    f'{quoted(path)} in "{path.parent}" is skull-stripped; give the scan before stripping.'
                )
            grids[-1].append(grid_of(volume, path))
            done += 1
            if progress:
                progress(done / total)
        if modality == "ct":
            _check_all_ct(is_ct, folder)
    if not listing.paired:
        return sum(int(np.prod(shape)) for side in grids for _, shape in side) * BYTES
    names = [path.relative_to(listing.folders.source).with_name(stem_of(path)).as_posix() for path in listing.sources]
    return sum(2 * _shared_voxels(*pair) for pair in zip(names, *grids, strict=True)) * BYTES


def overlap(grid: Grid, other: Grid) -> tuple[slice, ...]:
    """The part of a grid inside the box of another; slices that end before they start if there is none."""
    offset = (other[0][:3, 3] - grid[0][:3, 3]) / SPACING
    low = np.ceil(offset - 1e-3).clip(0).astype(int)
    high = (np.floor(offset + 1e-3).astype(int) + other[1]).clip(max=grid[1])
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


def sides_of(listing: Listing, task: Task) -> tuple[tuple[Path, tuple[Path, ...], str], ...]:
    """(folder, paths, modality) of the sources and of the targets."""
    folders = listing.folders
    return (folders.source, listing.sources, task.source), (folders.target, listing.targets, task.target)


def read(path: Path, modality: str) -> Volume:
    """A volume. Raises InputError naming it and its folder, also for voxels that are NaN or infinite."""
    try:
        volume = read_volume(path, modality)
    except InputError as error:
        raise InputError(f'In "{path.parent}", {error}') from None
    if any("NaN or infinite" in notice for notice in volume.notices):  # the reader has replaced them
        raise InputError(
            f'{quoted(path)} in "{path.parent}" has voxels that are NaN or infinite; replace them by numbers.'
        )
    return volume


def grid_of(volume: Volume, path: Path) -> Grid:
    """The grid of 1 mm that a volume is brought to. Raises InputError for one that is too large."""
    affine, shape = model_grid(canonical(volume), SPACING)
    if np.prod(shape, dtype=np.int64) > MAX_VOXELS:
        raise InputError(
            f"{quoted(path)} spans {times(shape)} mm, more than {MAX_VOXELS / 1e6:.0f} litres; crop it to the head."
        )
    return affine, shape


def _shared_voxels(name: str, source: Grid, target: Grid) -> int:
    shared = [max(0, s.stop - s.start) for s in overlap(source, target)]
    if min(shared) < LEAST_OVERLAP:
        raise InputError(
            f'The fields of view of the pair "{shown(name)}" share {times(shared)} mm, less than '
            f"{LEAST_OVERLAP} on an axis; register the two volumes to each other first."
        )
    return int(np.prod(shared))


def _check_not_ct(volume: Volume, is_ct: bool, name: str, modality: str) -> None:
    if is_ct:
        raise InputError(f"{name} looks like a CT (air near -1000), but {MODALITIES[modality]} is expected there.")
    low, high = float(volume.array.min()), float(volume.array.max())
    if modality == "fa" and not -1e-3 <= low <= high <= 1 + 1e-3:
        raise InputError(f"{name} goes from {low:.4g} to {high:.4g}, but FA lies between 0 and 1; rescale or clip it.")
    if modality == "t1":
        try:
            check_mr(normalise_mr(volume), volume.array)
        except InputError as error:
            raise InputError(f"{name} cannot be used: {error}") from None


def _check_all_ct(is_ct: dict[Path, bool], folder: Path) -> None:
    wrong = [path for path, ct in is_ct.items() if not ct]
    if not wrong:
        return
    problem = "do not look like a CT in HU (air near -1000, tissue near 0, bone)"
    if len(wrong) == len(is_ct):
        raise InputError(f'The volumes in "{folder}" {problem}; give CTs that include the air around the head.')
    raise InputError(
        f'{len(wrong)} of {len(is_ct)} volumes in "{folder}", {quoted(wrong[0])} among them, {problem}, and the rest '
        "do; convert all to HU."
    )
