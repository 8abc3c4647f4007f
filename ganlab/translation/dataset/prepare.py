"""Volumes converted to network input, once, and stored with the training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ganlab.checkpoints import replacing
from ganlab.errors import InputError
from ganlab.imaging.grid import canonical, resample
from ganlab.imaging.intensity import normalise_mr
from ganlab.imaging.volume import Volume
from ganlab.imaging.wording import megabytes, quoted
from ganlab.translation.dataset.checks import Progress, check_volumes, grid_of, overlap, read, sides_of
from ganlab.translation.dataset.folders import Listing
from ganlab.translation.dataset.sheet import write_preview
from ganlab.translation.dataset.volumes import PreparedDataset, PreparedVolume
from ganlab.translation.inference import HEAD, air_of, on_model_grid, source_units
from ganlab.translation.tasks import Task

TISSUE = 0.01  # least share of tissue in a slice that is used
MAX_STORED = 6e4  # within what float16 can hold


def prepare(listing: Listing, facts: dict, task: Task, out: Path, progress: Progress = None) -> PreparedDataset:
    """Check all volumes, store them as network input in out/data, and draw some in out/preview.png.

    facts: of `describe`. Volumes become RAS at 1 mm in the network's units, float16 (within half a HU of float32). The
    target of a pair is resampled to its source's grid, and both are cropped to the box that both scans cover. Files
    that are already there are used again unless a volume has changed. Every volume is read twice, one at a time.

    Raises InputError for what `check_volumes` refuses, for too little disk space, and for volumes without any tissue.
    """
    folder = out / "data"
    if folder.resolve() in (listing.folders.source.resolve(), listing.folders.target.resolve()):
        raise InputError(f'"{folder}" is where prepared volumes are written; choose another --out.')
    expected = {"task": task.name, "paired": listing.paired, **{side: facts[side] for side in ("sources", "targets")}}
    prepared = _load(folder, expected)
    if not prepared:
        needed = check_volumes(listing, task, progress and (lambda share: progress(share / 2)))
        _check_space(folder, needed)
        prepared = _store(listing, task, folder, progress and (lambda share: progress(0.5 + share / 2)))
        stored = {"sources": prepared.sources, "targets": prepared.targets}
        with replacing(folder / "index.json") as partial:  # last: without it the folder is not complete
            partial.write_text(json.dumps({"of": expected, **stored}), encoding="utf-8")
        (out / "preview.png").unlink(missing_ok=True)
    if not (out / "preview.png").is_file():
        write_preview(prepared, out / "preview.png")
    return prepared


def target_units(volume: Volume, task: Task) -> Volume:
    """A target in the network's units, clipped to the task's limits: CT / 1000 HU, MR with white matter 1, FA."""
    if task.target == "t1":
        volume = normalise_mr(volume)
    return replace(volume, array=volume.array.clip(*task.limits) / np.float32(task.scale))


def _load(folder: Path, expected: dict) -> PreparedDataset | None:
    """The prepared volumes in the folder, if it is complete and of these volumes."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        if index["of"] != expected:
            return None
        sources, targets = (
            tuple(
                PreparedVolume(name, file, tuple(shape), tuple(map(tuple, tissue)))
                for name, file, shape, tissue in index[side]
            )
            for side in ("sources", "targets")
        )
        prepared = PreparedDataset(folder, expected["task"], expected["paired"], sources, targets)
        complete = all(prepared.array(volume).shape == volume.shape for volume in sources + targets)
    except (OSError, ValueError, LookupError, TypeError):  # missing or damaged: it is prepared again
        return None
    return prepared if complete else None


def _check_space(folder: Path, needed: int) -> None:
    parent = next(p for p in (folder, *folder.absolute().parents) if p.is_dir())
    replaced = sum(f.stat().st_size for f in folder.glob("*.npy"))  # of an earlier preparation
    free = shutil.disk_usage(parent).free + replaced
    if free < needed:
        raise InputError(
            f'The prepared volumes take {megabytes(needed)}, but "{folder}" has {megabytes(free)} of space; free some, '
            "or choose another --out."
        )


def _store(listing: Listing, task: Task, folder: Path, progress: Progress) -> PreparedDataset:
    (folder / "index.json").unlink(missing_ok=True)
    sides: dict[str, list[PreparedVolume]] = {"source": [], "target": []}
    roots = {"source": listing.folders.source, "target": listing.folders.target}
    air = {"source": air_of(task), "target": task.empty / task.scale}
    total = len(listing.sources) + len(listing.targets)
    for count, (side, path, array) in enumerate(_arrays(listing, task)):
        tissue = tuple(_tissue_slices(array, axis, air[side]) for axis in range(3))
        if not any(tissue):
            raise InputError(f"{quoted(path)} has no slice that shows tissue; give a scan of a head.")
        file = f"{side}-{len(sides[side]):04d}.npy"
        with replacing(folder / file) as partial, open(partial, "wb") as stream:
            np.save(stream, np.ascontiguousarray(array.clip(-MAX_STORED, MAX_STORED), np.float16))
        sides[side].append(PreparedVolume(path.relative_to(roots[side]).as_posix(), file, array.shape, tissue))
        if progress:
            progress((count + 1) / total)
    return PreparedDataset(folder, task.name, listing.paired, tuple(sides["source"]), tuple(sides["target"]))


def _arrays(listing: Listing, task: Task) -> Iterator[tuple[str, Path, np.ndarray]]:
    """("source" or "target", path, array in the network's units) of every volume, those of a pair on one grid."""
    (_, sources, source_modality), (_, targets, target_modality) = sides_of(listing, task)
    air, empty = air_of(task), task.empty / task.scale
    for k, path in enumerate(sources):
        volume = read(path, source_modality)
        grid = grid_of(volume, path)
        array = on_model_grid(source_units(canonical(volume), task), *grid, air)
        if not listing.paired:
            yield "source", path, array
            continue
        partner = read(targets[k], target_modality)
        shared = overlap(grid, grid_of(partner, targets[k]))
        target = resample(target_units(canonical(partner), task), *grid, fill=empty).array
        yield "source", path, array[shared]
        yield "target", targets[k], target[shared]
    for path in () if listing.paired else targets:
        volume = read(path, target_modality)
        yield "target", path, resample(target_units(canonical(volume), task), *grid_of(volume, path), fill=empty).array


def _tissue_slices(array: np.ndarray, axis: int, air: float) -> tuple[int, ...]:
    tissue = np.mean(array > air + HEAD, axis=tuple(a for a in range(3) if a != axis))
    return tuple(int(k) for k in np.flatnonzero(tissue > TISSUE))
