"""Training on volumes of one's own: two folders, checked, brought to what networks are fed, and cut into slices."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganlab.checkpoints import refuse_pickled, replacing
from ganlab.errors import InputError
from ganlab.imaging.checks import looks_like_ct, looks_skull_stripped
from ganlab.imaging.grid import canonical, model_grid, resample
from ganlab.imaging.intensity import mr_gain
from ganlab.imaging.reading.files import read_volume
from ganlab.imaging.volume import Volume
from ganlab.imaging.wording import megabytes, quoted, shown, times
from ganlab.translation.inference import HEAD, MAX_VOXELS, PLANES, SPACING, air_of, source_units
from ganlab.translation.preview import write_preview
from ganlab.translation.tasks import Task, get_task

SUFFIXES = (".nii.gz", ".nii", ".mgz", ".mgh", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".zip")
HEADERS = (".nhdr", ".mhd", ".hdr")  # whose numbers lie in another file
KINDS = {"t1": "T1-weighted MR", "ct": "CT in HU", "fa": "FA"}
LEAST_OVERLAP = 10  # voxels of 1 mm on each axis, below which a pair of scans shares no anatomy worth learning from
TISSUE = 0.01  # share of a slice that is tissue in one worth showing
NUMBER = np.float16  # half a HU at most from float32, half the disk

Progress = Callable[[float], None] | None


@dataclass(frozen=True)
class Folders:
    """Where the user's volumes lie: one folder of what is translated, one of what it is translated to."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Listing:
    """Volumes found, sorted by name; where paired, sources[k] and targets[k] are of one patient."""

    folders: Folders
    sources: tuple[Path, ...]
    targets: tuple[Path, ...]
    paired: bool


class Stored(NamedTuple):
    """One prepared volume: its name, its .npy file, shape (I, J, K) in RAS at 1 mm, and of each axis the slices across
    it that show tissue."""

    name: str
    file: str
    shape: tuple[int, int, int]
    tissue: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Prepared:
    """Volumes in the network's units in `folder`, ready to be cut into slices."""

    folder: Path
    task: str
    paired: bool
    sources: tuple[Stored, ...]
    targets: tuple[Stored, ...]

    def array(self, stored: Stored) -> np.ndarray:
        """(I, J, K) float16, mapped from the disk, so that memory does not grow with the number of volumes."""
        return np.load(self.folder / stored.file, mmap_mode="r", allow_pickle=False)


# --- finding --------------------------------------------------------------------------------------------


def find_volumes(folders: Folders, paired: bool) -> Listing:
    """The volumes of two folders: files, and sub-folders or zips with a DICOM series each.

    Pairs have one name, but for what follows its last dots (.nii.gz, .mha, ...). Hidden files and those of other kinds
    are passed over. Raises InputError for a folder that is missing or empty, pickled files, names without a partner.
    """
    sources, targets = (_volumes_in(Path(folder)) for folder in (folders.source, folders.target))
    if paired:
        _check_partners(folders, sources, targets)
        _check_partners(Folders(folders.target, folders.source), targets, sources)
    return Listing(folders, sources, targets, paired)


def stem_of(path: Path) -> str:
    """A volume's name without the ending of its format: "p01" of p01.nii.gz and of a folder p01."""
    suffix = next((s for s in SUFFIXES if path.name.lower().endswith(s)), "")
    return path.name if path.is_dir() else path.name[: len(path.name) - len(suffix)]


def describe(listing: Listing) -> dict:
    """What a checkpoint remembers of its data, fit for JSON: folders, and [name, checksum of the bytes] of volumes."""
    folders = {"source": str(listing.folders.source.absolute()), "target": str(listing.folders.target.absolute())}
    sides = {"sources": listing.sources, "targets": listing.targets}
    return folders | {side: [[p.name, _checksum(p)] for p in paths] for side, paths in sides.items()}


def _volumes_in(folder: Path) -> tuple[Path, ...]:
    try:
        entries = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    except FileNotFoundError:
        raise InputError(f'The folder "{folder}" does not exist; give a folder of volumes.') from None
    except OSError as error:
        raise InputError(f'"{folder}" cannot be read as a folder ({error.strerror}); give another.') from None
    for path in entries:
        refuse_pickled(path)
    found = tuple(p for p in entries if p.is_dir() or p.name.lower().endswith(SUFFIXES))
    if not found:
        raise InputError(
            f'"{folder}" holds no volumes; give files ending in .nii, .nii.gz, .mgz, .nrrd, .mha or .mhd, or one '
            "sub-folder or zip for each DICOM series."
        )
    return found


def _check_partners(folders: Folders, ours: tuple[Path, ...], theirs: tuple[Path, ...]) -> None:
    stems, partners = [stem_of(p) for p in ours], {stem_of(p) for p in theirs}
    for path in ours:
        if stems.count(stem_of(path)) > 1:
            raise InputError(
                f'"{folders.source}" holds more than one volume named "{shown(stem_of(path))}"; keep one of them.'
            )
    alone = [path for path in ours if stem_of(path) not in partners]
    if alone:
        names = ", ".join(quoted(p) for p in alone[:5]) + (f" and {len(alone) - 5} more" if len(alone) > 5 else "")
        raise InputError(
            f'{names} of "{folders.source}" {"has" if len(alone) == 1 else "have"} no partner in "{folders.target}"; '
            "give both volumes of a patient the same name, or train a method that needs no pairs (cyclegan)."
        )


def _checksum(path: Path) -> int:
    """CRC-32 of a volume's bytes: of every file of a folder, of a header's companions too."""
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file())
    elif path.name.lower().endswith(HEADERS):
        files = sorted(p for p in path.parent.glob("*") if p.name.split(".")[0] == path.name.split(".")[0])
    else:
        files = [path]
    total = 0
    try:
        for file in files:
            with open(file, "rb") as stream:
                while chunk := stream.read(1 << 20):
                    total = zlib.crc32(chunk, total)
    except OSError as error:
        raise InputError(f'"{path}" cannot be read ({error.strerror}): copy it again.') from None
    return total


# --- checking -------------------------------------------------------------------------------------------


def check_volumes(listing: Listing, task: Task, progress: Progress = None) -> int:
    """Read every volume and refuse what cannot be learned from; how many bytes the prepared volumes take.

    Raises InputError for files that cannot be read, voxels that are not numbers, MR where CT is wanted and the other
    way round, CTs of which some are not in HU, FA outside 0 to 1, brains without a skull where a skull is to be
    learned, and pairs whose fields of view do not overlap.
    """
    work, done, grids = len(listing.sources) + len(listing.targets), 0, []
    for folder, paths, kind in _sides(listing, task):
        hounsfield = {}
        grids.append([])
        for path in paths:
            volume = _read(path, folder, kind)
            hounsfield[path] = looks_like_ct(volume)
            if kind != "ct":
                _check_not_ct(volume, hounsfield[path], f'{quoted(path)} in "{folder}"', kind)
            if kind == task.source and task.target == "ct" and looks_skull_stripped(volume):
                raise InputError(f'{quoted(path)} in "{folder}" is skull-stripped; give the scan before stripping.')
            grids[-1].append(_grid(volume, path))
            done += 1
            if progress:
                progress(done / work)
        if kind == "ct":
            _check_all_ct(hounsfield, folder)
    if not listing.paired:
        return sum(int(np.prod(shape)) for side in grids for _, shape in side) * NUMBER().itemsize
    voxels = 0
    for path, ours, theirs in zip(listing.sources, *grids, strict=True):
        shared = [max(0, s.stop - s.start) for s in overlap(ours, theirs)]
        if min(shared) < LEAST_OVERLAP:
            raise InputError(
                f'The fields of view of the pair "{shown(stem_of(path))}" share {times(shared)} mm, less than '
                f"{LEAST_OVERLAP} on an axis; register the two volumes to each other first."
            )
        voxels += 2 * int(np.prod(shared))
    return voxels * NUMBER().itemsize


def overlap(grid: tuple[np.ndarray, tuple], other: tuple[np.ndarray, tuple]) -> tuple[slice, ...]:
    """The part of a grid that lies in the box of another; both (affine, shape), RAS-aligned, voxels of SPACING.

    Slices that end before they start: no part.
    """
    offset = (other[0][:3, 3] - grid[0][:3, 3]) / SPACING
    low = np.ceil(offset - 1e-3).clip(0).astype(int)
    high = (np.floor(offset + 1e-3).astype(int) + other[1]).clip(max=grid[1])
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


def _sides(listing: Listing, task: Task) -> tuple[tuple[Path, tuple[Path, ...], str], ...]:
    folders = listing.folders
    return (folders.source, listing.sources, task.source), (folders.target, listing.targets, task.target)


def _read(path: Path, folder: Path, kind: str) -> Volume:
    try:
        volume = read_volume(path, kind)
    except InputError as error:
        raise InputError(f'In "{folder}", {error}') from None
    if any("NaN or infinite" in notice for notice in volume.notices):  # the reader has replaced them
        raise InputError(f'{quoted(path)} in "{folder}" has voxels that are NaN or infinite; replace them by numbers.')
    return volume


def _grid(volume: Volume, path: Path) -> tuple[np.ndarray, tuple[int, int, int]]:
    affine, shape = model_grid(canonical(volume), SPACING)
    if np.prod(shape, dtype=np.int64) > MAX_VOXELS:
        raise InputError(
            f"{quoted(path)} spans {times(shape)} mm, more than {MAX_VOXELS / 1e6:.0f} litres; crop it to the head."
        )
    return affine, shape


def _check_not_ct(volume: Volume, hounsfield: bool, name: str, kind: str) -> None:
    if hounsfield:
        raise InputError(f"{name} looks like a CT (air near -1000), but {KINDS[kind]} is wanted there.")
    low, high = float(volume.array.min()), float(volume.array.max())
    if kind == "fa" and not -1e-3 <= low <= high <= 1 + 1e-3:
        raise InputError(f"{name} goes from {low:.4g} to {high:.4g}, but FA lies between 0 and 1; rescale or clip it.")
    if kind == "t1" and not _has_gain(volume.array):
        raise InputError(f"{name} has no tissue brighter than 0; give the magnitude of the {KINDS[kind]}.")


def _has_gain(array: np.ndarray) -> bool:
    try:
        return mr_gain(array) > 0
    except (IndexError, ZeroDivisionError):  # nothing bright at all
        return False


def _check_all_ct(hounsfield: dict[Path, bool], folder: Path) -> None:
    wrong = [path for path, is_ct in hounsfield.items() if not is_ct]
    if not wrong:
        return
    what = "do not look like a CT in HU (air near -1000, tissue near 0, bone)"
    if len(wrong) == len(hounsfield):
        raise InputError(f'The volumes in "{folder}" {what}; give CT there, air around the head included.')
    raise InputError(
        f'{len(wrong)} of {len(hounsfield)} volumes in "{folder}", {quoted(wrong[0])} among them, {what}, and the rest '
        "do; bring all to HU."
    )


# --- preparing ------------------------------------------------------------------------------------------


def prepare(listing: Listing, facts: dict, task: Task, out: Path, progress: Progress = None) -> Prepared:
    """Check all volumes, then store them as the network is fed them in out/data, and show some in out/preview.png.

    facts: of `describe`. Volumes become RAS at 1 mm in the network's units, float16; the target of a pair lies on its
    source's grid, and of both the box is kept in which both were scanned. The files stay: a resumed training starts
    at once. They are made anew if a volume has changed. Every volume is read twice, one at a time.
    Raises InputError for what `check_volumes` refuses, for too small a disk, and volumes without any tissue.
    """
    folder = out / "data"
    if folder.resolve() in (listing.folders.source.resolve(), listing.folders.target.resolve()):
        raise InputError(f'"{folder}" is where prepared volumes are written; choose another --out.')
    wanted = {"task": task.name, "paired": listing.paired, **{side: facts[side] for side in ("sources", "targets")}}
    prepared = _already(folder, wanted)
    if not prepared:
        needed = check_volumes(listing, task, progress and (lambda share: progress(share / 2)))
        _check_space(folder, needed)
        prepared = _store(listing, task, folder, progress and (lambda share: progress(0.5 + share / 2)))
        stored = {"sources": prepared.sources, "targets": prepared.targets}
        with replacing(folder / "index.json") as partial:  # last: without it the folder is not complete
            partial.write_text(json.dumps({"of": wanted, **stored}), encoding="utf-8")
        (out / "preview.png").unlink(missing_ok=True)
    if not (out / "preview.png").is_file():
        write_preview(prepared, out / "preview.png")
    return prepared


def target_units(array: np.ndarray, task: Task) -> np.ndarray:
    """What a network is to answer: CT in thousands of HU, MR with white matter near 1, FA; within the task's limits."""
    if task.target == "t1":
        array = array * mr_gain(array)
    return array.clip(*task.limits) / task.scale


def _already(folder: Path, wanted: dict) -> Prepared | None:
    """What is in the folder, if it is complete and of these volumes."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        sides = [
            tuple(
                Stored(name, file, tuple(shape), tuple(map(tuple, tissue))) for name, file, shape, tissue in index[side]
            )
            for side in ("sources", "targets")
        ]
        if index["of"] != wanted:
            return None
        prepared = Prepared(folder, wanted["task"], wanted["paired"], *sides)
        whole = all(prepared.array(stored).shape == stored.shape for side in sides for stored in side)
    except (OSError, ValueError, LookupError, TypeError):  # none, or cut short: it is made anew
        return None
    return prepared if whole else None


def _check_space(folder: Path, needed: int) -> None:
    there = next(p for p in (folder, *folder.absolute().parents) if p.is_dir())
    left = sum(f.stat().st_size for f in folder.glob("*.npy"))  # of an earlier preparation, which is replaced
    free = shutil.disk_usage(there).free + left
    if free < needed:
        raise InputError(
            f'The prepared volumes take {megabytes(needed)}, but "{folder}" has {megabytes(free)} of space; free some, '
            "or choose another --out."
        )


def _store(listing: Listing, task: Task, folder: Path, progress: Progress) -> Prepared:
    (folder / "index.json").unlink(missing_ok=True)
    sides: dict[str, list[Stored]] = {"source": [], "target": []}
    air = {"source": air_of(task), "target": task.empty / task.scale}
    work = len(listing.sources) + len(listing.targets)
    for count, (side, path, array) in enumerate(_arrays(listing, task)):
        tissue = tuple(_tissue_slices(array, axis, air[side]) for axis in range(3))
        if not any(tissue):
            raise InputError(f"{quoted(path)} has no slice that shows tissue; give a scan of a head.")
        file = f"{side}-{len(sides[side]):04d}.npy"
        with replacing(folder / file) as partial, open(partial, "wb") as stream:
            np.save(stream, np.ascontiguousarray(array.clip(-6e4, 6e4), NUMBER))  # within what float16 can hold
        sides[side].append(Stored(path.name, file, array.shape, tissue))
        if progress:
            progress((count + 1) / work)
    return Prepared(folder, task.name, listing.paired, tuple(sides["source"]), tuple(sides["target"]))


def _arrays(listing: Listing, task: Task) -> Iterator[tuple[str, Path, np.ndarray]]:
    """("source" or "target", path, array in the network's units) of every volume, those of a pair on one grid."""
    (folder, sources, kind), (other_folder, targets, other_kind) = _sides(listing, task)
    fill = -1000.0 if kind == "ct" else 0.0
    for k, path in enumerate(sources):
        volume = _read(path, folder, kind)
        grid = _grid(volume, path)
        array = source_units(resample(canonical(volume), *grid, fill=fill).array, task)
        if not listing.paired:
            yield "source", path, array
            continue
        partner = _read(targets[k], other_folder, other_kind)
        shared = overlap(grid, _grid(partner, targets[k]))
        other = target_units(resample(canonical(partner), *grid, fill=task.empty).array, task)
        yield "source", path, array[shared]
        yield "target", targets[k], other[shared]
    for path in () if listing.paired else targets:
        volume = _read(path, other_folder, other_kind)
        moved = resample(canonical(volume), *_grid(volume, path), fill=task.empty)
        yield "target", path, target_units(moved.array, task)


def _tissue_slices(array: np.ndarray, axis: int, air: float) -> tuple[int, ...]:
    bright = np.mean(array > air + HEAD, axis=tuple(a for a in range(3) if a != axis))
    return tuple(int(k) for k in np.flatnonzero(bright > TISSUE))


# --- slices ---------------------------------------------------------------------------------------------


class Cut(NamedTuple):
    """A square of a volume: the slice `index` across `axis`, from `start` pixels on (negative: beyond the volume)."""

    axis: int
    index: int
    start: tuple[int, int]
    mirrored: bool


def check_planes(prepared: Prepared, planes: Sequence[str]) -> None:
    """Raise InputError for a volume that has nothing to show in any of these planes."""
    for stored in prepared.sources + prepared.targets:
        if not any(stored.tissue[PLANES[plane]] for plane in planes):
            raise InputError(
                f'"{shown(stored.name)}" has no {" or ".join(planes)} slice that shows tissue; leave it out, or train '
                "on other planes."
            )


def slices(
    seed: int, size: int, prepared: Prepared, planes: Sequence[str] = tuple(PLANES)
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless (source, target) slices (1, size, size), float32, in the network's units; one seed, one sequence.

    A random volume, one of the planes, a slice that shows tissue; padded with air and cropped at random (as
    Wolterink et al. 2017 pad 256 pixels to 286), mirrored left to right half of the time where the plane has that
    axis. A pair is cut alike; where there are no pairs, source and target are drawn for themselves.
    """
    draw, task = np.random.default_rng(seed), get_task(prepared.task)
    air, nothing = air_of(task), task.empty / task.scale
    while True:
        k = int(draw.integers(len(prepared.sources)))
        source, place = prepared.sources[k], draw_cut(draw, prepared.sources[k], size, planes)
        if prepared.paired:
            target, other = prepared.targets[k], place
        else:
            target = prepared.targets[int(draw.integers(len(prepared.targets)))]
            other = draw_cut(draw, target, size, planes)
        images = cut(prepared.array(source), place, size, air), cut(prepared.array(target), other, size, nothing)
        yield tuple(torch.from_numpy(image)[None] for image in images)


def draw_cut(draw: np.random.Generator, stored: Stored, size: int, planes: Sequence[str] = tuple(PLANES)) -> Cut:
    """Somewhere in a volume where there is tissue."""
    axes = {PLANES[plane] for plane in planes}
    axis = int(draw.choice([a for a in range(3) if a in axes and stored.tissue[a]]))
    index = int(draw.choice(stored.tissue[axis]))
    start = []
    for n in (stored.shape[a] for a in range(3) if a != axis):
        padded = max(n, size) + size // 10
        start.append(int(draw.integers(padded - size + 1)) - (padded - n) // 2)
    return Cut(axis, index, tuple(start), bool(axis != PLANES["sagittal"] and draw.random() < 0.5))


def cut(array: np.ndarray, place: Cut, size: int, air: float) -> np.ndarray:
    """(size, size) float32 of an (I, J, K) array; air where it has nothing. Rows are the first axis that is left."""
    plane = np.moveaxis(array, place.axis, 0)[place.index]
    result = np.full((size, size), air, np.float32)
    inside = [(max(s, 0), min(s + size, n)) for s, n in zip(place.start, plane.shape, strict=True)]
    ours = tuple(slice(a - s, b - s) for (a, b), s in zip(inside, place.start, strict=True))
    result[ours] = plane[tuple(slice(a, b) for a, b in inside)]
    return np.ascontiguousarray(result[::-1]) if place.mirrored else result
