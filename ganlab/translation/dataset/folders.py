"""The volumes in the user's two folders, and what identifies them when a training is resumed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

from ganlab.checkpoints import refuse_pickled
from ganlab.errors import InputError
from ganlab.imaging.wording import listed, quoted, shown

SUFFIXES = (".nii.gz", ".nii", ".mgz", ".mgh", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".zip")
SIDES = {"source": "sources", "target": "targets", "anatomy": "heads"}  # option of `ganlab train` -> its volumes
DETACHED_HEADERS = (".nhdr", ".mhd", ".hdr")  # their voxels are in another file


@dataclass(frozen=True)
class Folders:
    """One folder of source volumes, one of target volumes."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Listing:
    """The volumes found, sorted by name; if paired, sources[k] and targets[k] are of one patient."""

    folders: Folders
    sources: tuple[Path, ...]
    targets: tuple[Path, ...]
    paired: bool


def find_volumes(folders: Folders, paired: bool) -> Listing:
    """The volumes of two folders: files, and sub-folders or zips with a DICOM series each.

    The two volumes of a pair have the same name up to the suffix (.nii.gz, .mha, ...). Hidden files and files of other
    formats are skipped. Raises InputError for a missing or empty folder, pickled files, and names without a partner.
    """
    sources, targets = (volumes_in(Path(folder)) for folder in (folders.source, folders.target))
    if paired:
        _check_partners(folders, sources, targets)
        _check_partners(Folders(folders.target, folders.source), targets, sources)
    return Listing(folders, sources, targets, paired)


def stem_of(path: Path) -> str:
    """A volume's name without the suffix of its format: "p01" for p01.nii.gz and for a folder p01."""
    suffix = next((s for s in SUFFIXES if path.name.lower().endswith(s)), "")
    return path.name if path.is_dir() else path.name[: len(path.name) - len(suffix)]


def describe(listing: Listing) -> dict:
    """The record of its data in a checkpoint, JSON-serialisable: the folders, and [name, checksum] of every volume."""
    folders = {"source": str(listing.folders.source.absolute()), "target": str(listing.folders.target.absolute())}
    sides = {"sources": listing.sources, "targets": listing.targets}
    return folders | {side: [[p.name, checksum(p)] for p in paths] for side, paths in sides.items()}


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
    """The volumes in a folder, sorted by name. Raises InputError if there are none."""
    try:
        entries = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    except FileNotFoundError:
        raise InputError(f'The folder "{folder}" does not exist; give a folder of volumes.') from None
    except OSError as error:
        raise InputError(f'"{folder}" cannot be read as a folder ({error.strerror}); give another.') from None
    for path in entries:
        refuse_pickled(path)
    volumes = tuple(p for p in entries if p.is_dir() or p.name.lower().endswith(SUFFIXES))
    if not volumes:
        raise InputError(
            f'"{folder}" holds no volumes; give files ending in .nii, .nii.gz, .mgz, .nrrd, .mha or .mhd, or one '
            "sub-folder or zip for each DICOM series."
        )
    return volumes


def _check_partners(folders: Folders, paths: tuple[Path, ...], partners: tuple[Path, ...]) -> None:
    stems, partner_stems = [stem_of(p) for p in paths], {stem_of(p) for p in partners}
    for path in paths:
        if stems.count(stem_of(path)) > 1:
            raise InputError(
                f'"{folders.source}" holds more than one volume named "{shown(stem_of(path))}"; keep one of them.'
            )
    alone = [path for path in paths if stem_of(path) not in partner_stems]
    if alone:
        names = ", ".join(quoted(p) for p in alone[:5]) + (f" and {len(alone) - 5} more" if len(alone) > 5 else "")
        raise InputError(
            f'{names} of "{folders.source}" {"has" if len(alone) == 1 else "have"} no partner in "{folders.target}"; '
            "give both volumes of a patient the same name, or train a method that needs no pairs (cyclegan)."
        )


def checksum(path: Path) -> int:
    """CRC-32 of a volume's bytes: of all files of a folder, and of a detached header's data file too."""
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file())
    elif path.name.lower().endswith(DETACHED_HEADERS):
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
        raise InputError(f'"{path}" cannot be read ({error.strerror}); copy it again.') from None
    return total
