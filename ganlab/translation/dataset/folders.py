"""The volumes in the user's two folders, and what identifies them when a training is resumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ganlab.checkpoints import refuse_pickled
from ganlab.errors import InputError
from ganlab.imaging.naming import MODALITY_WORDS, case_of, modality_of, stem_of
from ganlab.imaging.reading.contents import checksum
from ganlab.imaging.reading.dicom_elements import is_dicom
from ganlab.imaging.wording import listed, shown
from ganlab.paths import around, entered

SUFFIXES = (".nii.gz", ".nii", ".mgz", ".mgh", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".zip", ".dcm", ".ima")
SIDES = {"source": "sources", "target": "targets", "anatomy": "heads"}  # option of `ganlab train` -> its volumes
NOT_DICOM = tuple(suffix for suffix in SUFFIXES if suffix not in (".dcm", ".ima"))
DEEPEST = 8  # levels of sub-folders that are searched


@dataclass(frozen=True)
class Folders:
    """One folder of source volumes, one of target volumes; they may be the same."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Listing:
    """The volumes found, sorted by case; if paired, sources[k] and targets[k] are of one patient.

    left_out: volumes whose names tell no modality that is learned, where source and target are one folder.
    """

    folders: Folders
    sources: tuple[Path, ...]
    targets: tuple[Path, ...]
    paired: bool
    left_out: tuple[Path, ...] = ()


def find_volumes(folders: Folders, paired: bool, modalities: tuple[str, str] = ("t1", "ct")) -> Listing:
    """The volumes of two folders and their sub-folders: files, folders with a DICOM series each, and zips of one.

    The two volumes of a pair have the same relative path up to the suffix (.nii.gz, .mha, ...), or the same once words
    of modalities are left out: CASE/mr.nii.gz and CASE/ct.nii.gz, sub-01_T1w.nii.gz and sub-01_ct.nii.gz. Source and
    target may be one folder if the names tell them apart. modalities: of source and target. Hidden files and files of
    other formats are skipped. Raises InputError for a missing or empty folder, pickled files, and volumes without a
    partner.
    """
    source, target = Path(folders.source), Path(folders.target)
    sources, left_out = volumes_in(source), ()
    one_folder = source.resolve() == target.resolve()
    if one_folder:
        named = {path: modality_of(path, source, modalities) for path in sources}
        sources, targets, left_out = (
            tuple(path for path, modality in named.items() if modality == wanted) for wanted in (*modalities, "")
        )
        _check_named(source, dict(zip(modalities, (sources, targets), strict=True)))
    else:
        targets = volumes_in(target)
    if paired:
        cases = _cases(source, sources), _cases(target, targets)
        if one_folder or set(cases[0]) != set(cases[1]):
            cases = _cases(source, sources, by_name=False), _cases(target, targets, by_name=False)
        _check_partners(source, target, *cases)
        _check_partners(target, source, *cases[::-1])
        sources, targets = (tuple(paths[0] for _, paths in sorted(side.items())) for side in cases)
    return Listing(Folders(source, target), sources, targets, paired, left_out)


def left_out_notice(listing: Listing) -> tuple[str, ...]:
    """A sentence about volumes that are not used, if there are any."""
    if not listing.left_out:
        return ()
    names = [_name(path, listing.folders.source) for path in listing.left_out]
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return (f"Left out, since their names tell no modality that is learned: {', '.join(names[:4])}{more}.",)


def _name(path: Path, root: Path) -> str:
    """A path below its root, quoted."""
    return f'"{shown(path.relative_to(root).as_posix())}"'


def _cases(root: Path, paths: tuple[Path, ...], by_name: bool = True) -> dict[str, list[Path]]:
    """The volumes of each case: by their relative paths, or by what `case_of` finds in these."""
    cases: dict[str, list[Path]] = {}
    homes = Counter(path.parent for path in paths)
    for path in paths:
        exact = path.relative_to(root).with_name(stem_of(path)).as_posix()
        case = "" if by_name else case_of(path, root, homes[path.parent] == 1)
        cases.setdefault(case or exact, []).append(path)
    return cases


def _check_named(folder: Path, found: dict[str, tuple[Path, ...]]) -> None:
    for modality, paths in found.items():
        if not paths:
            words = ", ".join(sorted(MODALITY_WORDS.get(modality, {modality})))
            raise InputError(
                f'"{folder}" is source and target, but none of its volumes is named as {modality.upper()} ({words}; as '
                "in CASE/mr.nii.gz or sub-01_T1w.nii.gz); rename them, or give two folders."
            )


def describe(listing: Listing) -> dict:
    """The record of its data in a checkpoint, JSON-serialisable: the folders, and [name, checksum] of every volume."""
    folders = {"source": str(listing.folders.source.absolute()), "target": str(listing.folders.target.absolute())}
    sides = {"sources": listing.sources, "targets": listing.targets}
    roots = {"sources": listing.folders.source, "targets": listing.folders.target}
    return folders | {
        side: [[p.relative_to(roots[side]).as_posix(), checksum(p)] for p in paths] for side, paths in sides.items()
    }


def check_same_data(saved: dict | None, current: dict | None, out: Path) -> None:
    """Raise InputError for a training in `out` that would be resumed with other volumes; both of `describe`, None for
    phantoms. Folders may have moved: names and checksums are compared."""
    if not saved and not current:
        return
    if not current:
        options = " ".join(f'--{side} "{saved[side]}"' for side in SIDES if side in saved)
        raise InputError(f'The training in "{out}" was on your own data; add {options}.')
    if not saved:
        raise InputError(f'The training in "{out}" was on phantoms; leave --source, --target and --anatomy out.')
    for side, volumes in SIDES.items():
        before, now = (dict(facts.get(volumes, ())) for facts in (saved, current))
        changed = sorted(name for name in before | now if before.get(name) != now.get(name))
        if changed:
            raise InputError(
                f'The training in "{out}" had other volumes as its {side} (new, gone or changed: '
                f"{listed([Path(name) for name in changed])}); restore them or start a new one."
            )


def volumes_in(folder: Path) -> tuple[Path, ...]:
    """The volumes of a folder and its sub-folders: files, zips, and folders of DICOM. Raises InputError for a folder
    that is missing or holds none, and for pickled files."""
    try:
        volumes = tuple(_search(folder, DEEPEST, around(folder)))
    except FileNotFoundError:
        raise InputError(f'The folder "{folder}" does not exist; give a folder of volumes.') from None
    except OSError as error:
        raise InputError(f'"{folder}" cannot be read as a folder ({error.strerror}); give another.') from None
    if not volumes:
        raise InputError(
            f'"{folder}" holds no volumes; give files ending in .nii, .nii.gz, .mgz, .nrrd, .mha or .mhd, or one '
            "sub-folder or zip for each DICOM series."
        )
    return volumes


def _search(folder: Path, levels: int, seen: set[Path]) -> Iterator[Path]:
    entries = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    for path in entries:
        refuse_pickled(path)
    fresh = set(entered((path for path in entries if path.is_dir()), seen))
    for path in entries:
        if path.is_file():
            if path.name.lower().endswith(SUFFIXES):
                yield path
        elif path not in fresh:
            continue
        elif _holds_dicom(path):
            yield path
        elif levels:
            yield from _search(path, levels - 1, seen)


def _holds_dicom(folder: Path) -> bool:
    """Whether a folder is a DICOM series or study: files that are DICOM in it, and volumes of no other format below."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    if any(p.name.lower().endswith(NOT_DICOM) for p in files):
        return False
    own = [p for p in files if p.parent == folder]
    return any(is_dicom(_first_bytes(p)) for p in own[:5])


def _first_bytes(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(132)


def _check_partners(root: Path, other: Path, cases: dict[str, list[Path]], partners: dict[str, list[Path]]) -> None:
    for case, paths in cases.items():
        if len(paths) > 1:
            names = " and ".join(_name(path, root) for path in paths[:2])
            raise InputError(f'"{root}" holds more than one volume named "{shown(case)}", {names}; keep one of them.')
    alone = [_name(paths[0], root) for case, paths in cases.items() if case not in partners]
    if alone:
        names = ", ".join(alone[:5]) + (f" and {len(alone) - 5} more" if len(alone) > 5 else "")
        raise InputError(
            f'{names} of "{root}" {"has" if len(alone) == 1 else "have"} no partner in "{other}"; '
            "give both volumes of a patient the same name, or train a method that needs no pairs (cyclegan)."
        )
