"""The CT heads whose anatomy a training uses: found, taken apart once, and stored with the training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ganlab.checkpoints import replacing
from ganlab.errors import InputError
from ganlab.imaging.checks import looks_like_ct
from ganlab.imaging.grid import canonical
from ganlab.imaging.reading.contents import checksum
from ganlab.imaging.wording import quoted
from ganlab.phantoms.scanned.head import ScannedHead, decompose
from ganlab.translation.dataset.checks import read
from ganlab.translation.dataset.folders import volumes_in


def describe_heads(folder: Path) -> dict:
    """The record of CT heads in a checkpoint, JSON-serialisable: the folder, and [name, checksum] of every CT. Raises
    InputError for a folder without volumes."""
    heads = [[path.relative_to(folder).as_posix(), checksum(path)] for path in volumes_in(folder)]
    return {"anatomy": str(folder.absolute()), "heads": heads}


def prepare_heads(folder: Path, out: Path, progress: Callable[[float], None] | None = None) -> list[ScannedHead]:
    """The CT heads of a folder, taken apart into out/anatomy: about a minute and 120 MB each, mapped from the disk.

    What is already there is used again unless a CT has changed. Raises InputError, by name, for a volume that is not a
    CT in HU, is not of a head, or shows too little of one.
    """
    stored = out / "anatomy"
    paths, expected = volumes_in(folder), describe_heads(folder)["heads"]
    index = stored / "index.json"
    if not _is_of(index, expected):
        stored.mkdir(parents=True, exist_ok=True)
        index.unlink(missing_ok=True)
        for k, path in enumerate(paths):
            ct = canonical(read(path, "ct"))
            if not looks_like_ct(ct):
                raise InputError(
                    f'{quoted(path)} in "{path.parent}" does not look like a CT in HU (air near -1000, tissue near 0, '
                    "bone); leave it out or convert it."
                )
            try:
                head = decompose(ct)
            except InputError as error:
                raise InputError(f'{quoted(path)} in "{path.parent}": {error}') from None
            for name, array in (("fields", head.fields), ("nodes", head.nodes.numpy())):
                with replacing(stored / f"{k:04d}-{name}.npy") as partial, open(partial, "wb") as stream:
                    np.save(stream, array)
            if progress:
                progress((k + 1) / len(paths))
        with replacing(index) as partial:  # last: without it the folder is not complete
            partial.write_text(json.dumps(expected), encoding="utf-8")
    return [_load(stored, k) for k in range(len(paths))]


def _is_of(index: Path, expected: list[list]) -> bool:
    try:
        return json.loads(index.read_text(encoding="utf-8")) == expected
    except (OSError, ValueError):
        return False


def _load(folder: Path, k: int) -> ScannedHead:
    fields = np.load(folder / f"{k:04d}-fields.npy", mmap_mode="r", allow_pickle=False)
    nodes = np.load(folder / f"{k:04d}-nodes.npy", allow_pickle=False)
    return ScannedHead(fields, torch.from_numpy(nodes))
