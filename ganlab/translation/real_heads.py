"""Finding real heads to measure models on: a folder of scans, and Colin27 where Debian installed it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from ganlab.errors import InputError
from ganlab.imaging.checks import looks_like_ct
from ganlab.imaging.naming import case_of, stem_of
from ganlab.imaging.reading.files import read_volume
from ganlab.translation.dataset.folders import volumes_in

COLIN27 = Path("/usr/share/mricron/templates/ch2.nii.gz")  # T1 of one real head with its face (Holmes et al. 1998)
HOW_TO_GET_COLIN27 = "on Debian and Ubuntu: apt install mricron-data"


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

    mr2ct: T1s, Colin27, and CTs that are not the reference of a T1. t1fa: T1s and Colin27. ct2mr: CTs. colin: whether
    Colin27 is wanted (True), not wanted (False), or added to a folder's heads where it is installed (None). Raises
    InputError if there is none, and for other tasks.
    """
    if task not in ("mr2ct", "ct2mr", "t1fa"):
        raise InputError(
            f"Real heads are measured for mr2ct, ct2mr and t1fa, not for {task}: leave --real and --colin out."
        )
    if colin and task == "ct2mr":
        raise InputError("Colin27 is a T1 scan, and ct2mr starts from CT: leave --colin out.")
    installed = colin27() if colin is not False and task != "ct2mr" else None
    if colin and not installed:
        raise InputError(f"Colin27 is not at {COLIN27}; install it ({HOW_TO_GET_COLIN27}).")
    heads, unreadable = find_heads(folder) if folder else ([], {})
    references = {head.reference for head in heads}
    wanted = {
        "mr2ct": lambda head: head.path not in references,
        "t1fa": lambda head: head.modality == "t1",
        "ct2mr": lambda head: head.modality == "ct",
    }
    return list(filter(wanted[task], heads)) + ([installed] if installed else []), unreadable


def find_heads(folder: Path) -> tuple[list[RealHead], dict[str, str]]:
    """The real heads in a folder, sorted by name, and {file: reason} for those that cannot be read.

    Volumes lie in the folder or its sub-folders. A T1 and a CT of one case, as names and folders tell it (see
    `case_of`), belong together, and so do those that are alone in a sub-folder, whatever their names. Raises
    InputError for a folder that is missing or holds no volume.
    """
    unreadable: dict[str, str] = {}
    cases: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    folders: dict[Path, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    paths = volumes_in(folder)
    homes = Counter(path.parent for path in paths)
    for path in paths:
        try:
            modality = "ct" if looks_like_ct(read_volume(path)) else "t1"
        except InputError as error:
            unreadable[str(path.relative_to(folder))] = str(error)
        else:
            cases[case_of(path, folder, homes[path.parent] == 1)][modality].append(path)
            folders[path.parent][modality].append(path)
    if not cases:
        reasons = "".join(f"; {name}: {reason}" for name, reason in unreadable.items())
        raise InputError(f'"{folder}" holds no scan that can be read{reasons}; give a folder with T1 scans of heads.')
    folders.pop(folder, None)
    couples = [*cases.values(), *(each for each in folders.values() if len(each["t1"]) == len(each["ct"]) == 1)]
    references = {t1: case["ct"][0] for case in couples if len(case["ct"]) == 1 for t1 in case["t1"]}
    heads = [
        RealHead(str((path.parent / stem_of(path)).relative_to(folder)), path, modality, references.get(path))
        for case in cases.values()
        for modality, scans in case.items()
        for path in scans
    ]
    return sorted(heads, key=lambda head: head.name), unreadable
