"""Finding real heads to measure models on: a folder of scans, and Colin27 where Debian installed it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ganlab.errors import InputError
from ganlab.imaging.checks import looks_like_ct
from ganlab.imaging.reading.files import read_volume
from ganlab.translation.dataset.folders import SUFFIXES, stem_of

COLIN27 = Path("/usr/share/mricron/templates/ch2.nii.gz")  # T1 of one real head with its face (Holmes et al. 1998)
HOW_TO_GET_COLIN27 = "on Debian and Ubuntu: apt install mricron-data"
SLICES = (".dcm", ".ima")  # files of a series, which is read as a folder
MODALITY = re.compile(r"(^|[_.\- ])(t1w?|mri?|ct)(?=[_.\- ]|$)", re.IGNORECASE)  # what tells the scans of a case apart


@dataclass(frozen=True)
class RealHead:
    """A scan of a real head. modality: t1 or ct. reference: the file of the same person's CT, of a T1 only."""

    name: str
    path: Path
    modality: str = "t1"
    reference: Path | None = None


def colin27() -> RealHead | None:
    """Colin27 if it is installed on this machine."""
    return RealHead("Colin27", COLIN27) if COLIN27.is_file() else None


def heads_to_measure(folder: Path | None, colin: bool | None, task: str) -> tuple[list[RealHead], dict[str, str]]:
    """The heads of a folder that a task can be measured on, and {file: reason} for what cannot be read.

    mr2ct: T1s, Colin27, and CTs that are not the reference of a T1. colin: whether Colin27 is wanted (True), not wanted
    (False), or added to a folder's heads where it is installed (None). ct2mr: CTs. Raises InputError if there is none,
    and for other tasks.
    """
    if task not in ("mr2ct", "ct2mr"):
        raise InputError(f"Real heads are measured for mr2ct and ct2mr, not for {task}: leave --real and --colin out.")
    if colin and task == "ct2mr":
        raise InputError("Colin27 is a T1 scan, and ct2mr starts from CT: leave --colin out.")
    installed = colin27() if colin is not False and task == "mr2ct" else None
    if colin and not installed:
        raise InputError(f"Colin27 is not at {COLIN27}; install it ({HOW_TO_GET_COLIN27}).")
    heads, unreadable = find_heads(folder) if folder else ([], {})
    references = {head.reference for head in heads}
    if task == "ct2mr":
        heads = [head for head in heads if head.modality == "ct"]
    heads = [head for head in heads if task == "ct2mr" or head.path not in references]
    return heads + ([installed] if installed else []), unreadable


def find_heads(folder: Path) -> tuple[list[RealHead], dict[str, str]]:
    """The real heads in a folder, sorted by name, and {file: reason} for those that cannot be read.

    Volumes lie in the folder, or at any depth in a sub-folder for each case; a folder with other files only is read as
    a DICOM series. A T1 and a CT of one case belong together if their names differ only by t1, t1w, mr, mri or ct, or
    if they are the only ones of a case with a sub-folder. Raises InputError for a folder that is missing or holds no
    volume.
    """
    if not folder.is_dir():
        raise InputError(f'The folder "{folder}" does not exist; give a folder with scans of heads.')
    heads: list[RealHead] = []
    unreadable: dict[str, str] = {}
    cases = [sub for sub in _entries(folder) if sub.is_dir()]
    for paths in (_volumes(folder, deep=False), *map(_volumes, cases)):
        found = defaultdict(list)
        for path in paths:
            try:
                found["ct" if looks_like_ct(read_volume(path)) else "t1"].append(path)
            except InputError as error:
                unreadable[str(path.relative_to(folder))] = str(error)
        heads += _paired(found, folder)
    if not heads:
        reasons = "".join(f"; {name}: {reason}" for name, reason in unreadable.items())
        raise InputError(f'"{folder}" holds no scan that can be read{reasons}; give a folder with T1 scans of heads.')
    return sorted(heads, key=lambda head: head.name), unreadable


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _volumes(folder: Path, deep: bool = True) -> list[Path]:
    """The volumes of a folder, and if deep of its sub-folders: files by their ending, or the folder itself if all of
    its files have other endings, such as those of a DICOM series."""
    entries = _entries(folder)
    files = [path for path in entries if path.is_file()]
    volumes = [p for p in files if p.name.lower().endswith(SUFFIXES) and not p.name.lower().endswith(SLICES)]
    if not deep:
        return volumes
    inner = [volume for path in entries if path.is_dir() for volume in _volumes(path)]
    return volumes + inner if volumes or inner else [folder] * bool(files)


def _paired(found: dict[str, list[Path]], folder: Path) -> Iterator[RealHead]:
    """The scans of a case as heads."""

    def name(path: Path) -> str:
        return str((path.parent / stem_of(path)).relative_to(folder))

    def case(path: Path) -> str:
        return MODALITY.sub("", stem_of(path)).lower()

    cts = {case(path): path for path in found["ct"]}
    only = len(found["t1"]) == len(found["ct"]) == 1 and folder not in {path.parent for path in found["t1"]}
    for path in found["t1"]:
        yield RealHead(name(path), path, reference=found["ct"][0] if only else cts.get(case(path)))
    for path in found["ct"]:
        yield RealHead(name(path), path, "ct")
