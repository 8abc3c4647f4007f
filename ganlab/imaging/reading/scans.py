"""Find scans: the DICOM series of an upload, and every volume file, series and zip in a folder."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ganlab.errors import InputError
from ganlab.imaging.reading.dicom_series import Series, find_series
from ganlab.imaging.reading.files import MAX_VOXELS, files_by_kind, kind_of, read_listed, read_volume
from ganlab.imaging.reading.unpacking import head_of, unzipped
from ganlab.imaging.volume import Volume
from ganlab.imaging.wording import quoted

VOLUME_ENDING = re.compile(r"\.(nii|nii\.gz|mgz|mgh|nrrd|nhdr|mha|mhd|hdr|zip)$", re.IGNORECASE)


def list_series(path: str | os.PathLike) -> list[Series]:
    """The volumes among the DICOM files of a file, folder or zip, by number; [] if there are none.

    The `key` of one is what `read_volume` takes as its `series`; its `problem` says why it cannot be read, if so.
    Raises InputError for a path that cannot be read.
    """
    path = Path(path)
    name = quoted(path)
    with contextlib.ExitStack() as stack:
        try:
            if path.is_dir():
                by_kind = files_by_kind(path, name)
            else:
                kind = kind_of(head_of(path, 4096)[0])
                by_kind = {kind: [path]}
                if kind == "zip":
                    by_kind = files_by_kind(stack.enter_context(unzipped(path, name)), name)
            return find_series(by_kind.get("dicom", []), MAX_VOXELS)[0]
        except (zlib.error, EOFError):
            return []
        except OSError as error:
            raise InputError(f"{name} cannot be read ({error.strerror or error}): copy it again.") from None


@contextlib.contextmanager
def one_path(files: Sequence[str | os.PathLike]) -> Iterator[Path]:
    """The path of an upload: its only file, or a temporary folder of links to its files. Raises InputError for none."""
    if not files:
        raise InputError("No scan was chosen: upload a NIfTI, MGZ, NRRD, MHA or DICOM file, a folder or a zip.")
    if len(files) == 1:
        yield Path(files[0])
        return
    with tempfile.TemporaryDirectory(prefix="ganlab-") as folder:
        together = Path(folder, "upload")
        together.mkdir()
        for number, file in enumerate(files):
            name = Path(file).name  # names may repeat
            link = together / (f"{number:05d}-{name}" if (together / name).exists() else name)
            link.symlink_to(Path(file).absolute())
        yield together


@dataclass(frozen=True)
class FoundScan:
    """A scan in a folder: a volume file, or a series among DICOM files.

    name: what it is called in messages. place: its folder below the one that was searched, and its own name without
    the ending of a format: where a result of it belongs. problem: why it cannot be read; "" if it may be.
    """

    name: str
    place: Path
    path: Path
    series: Series | None = None
    problem: str = ""

    def read(self, modality: str) -> Volume:
        """The volume. Raises InputError."""
        if self.problem:
            raise InputError(f"{self.name} cannot be read: {self.problem}.")
        return read_listed(self.series, self.name, modality) if self.series else read_volume(self.path, modality)


def find_scans(folder: Path, leave_out: Path | None = None) -> Iterator[FoundScan]:
    """The scans in a folder and its sub-folders, sorted by place. Zips are unpacked while their scans are visited, so
    read a scan before the next one is asked for.

    leave_out: a folder whose files are not looked at, unless all scans lie in it. Raises InputError for a folder that
    cannot be read.
    """
    yield from _scans_in(folder, Path(), quoted(folder), leave_out)


def _scans_in(folder: Path, below: Path, name: str, leave_out: Path | None = None) -> Iterator[FoundScan]:
    try:
        by_kind = files_by_kind(folder, name)
    except FileNotFoundError:
        raise InputError(f"{name} does not exist: check the name and the folder.") from None
    except OSError as error:
        raise InputError(f"{name} cannot be read ({error.strerror or error}): give another folder.") from None
    if leave_out and not folder.resolve().is_relative_to(outside := leave_out.resolve()):
        by_kind = {k: [p for p in paths if outside not in p.resolve().parents] for k, paths in by_kind.items()}
    scans = [
        FoundScan(quoted(path), below / path.relative_to(folder).parent / stem(path), path)
        for path in by_kind.get("volume", [])
    ]
    scans += [
        FoundScan(quoted(path), below / path.relative_to(folder).parent / stem(path), path, problem="it is damaged")
        for path in by_kind.get("damaged", [])
        if VOLUME_ENDING.search(path.name)
    ]
    scans += _series_in(folder, below, by_kind.get("dicom", []))
    yield from sorted(scans, key=lambda scan: str(scan.place))
    for path in by_kind.get("packed", []):
        yield from _scans_in_zip(path, below / path.relative_to(folder).parent / stem(path))


def _series_in(folder: Path, below: Path, paths: list[Path]) -> list[FoundScan]:
    scans = []
    found, unusable = find_series(paths, MAX_VOXELS)
    for series in found:
        homes = {slice_.file.path.parent.relative_to(folder) for slice_ in series.slices}
        home = min(homes, key=lambda each: len(each.parts))
        if len(homes) > 1:
            home = _common(homes)
        words = re.sub(r"[^A-Za-z0-9]+", "-", f"{series.key}-{series.description}-{series.kind}").strip("-")
        name = f"{series} in {quoted(folder / home)}"
        scans.append(FoundScan(name, below / home / words, folder / home, series, series.problem))
    for path, reason in unusable:
        place = below / path.relative_to(folder).parent / stem(path)
        scans.append(FoundScan(quoted(path), place, path, problem=f"it {reason}"))
    return scans


def _common(homes: set[Path]) -> Path:
    parts: list[str] = []
    for level in zip(*(home.parts for home in homes), strict=False):
        if len(set(level)) > 1:
            break
        parts.append(level[0])
    return Path(*parts)


def _scans_in_zip(path: Path, below: Path) -> Iterator[FoundScan]:
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(unzipped(path, quoted(path)))
        except (InputError, zlib.error, EOFError) as error:
            yield FoundScan(quoted(path), below, path, problem=f"it is not a zip that can be unpacked ({error})")
            return
        for scan in _scans_in(folder, Path(), quoted(path)):
            place = below / scan.place.name  # folders of a zip are numbered
            yield replace(scan, name=f"{scan.name} of {quoted(path)}", place=place)


def stem(path: Path) -> str:
    """A file's name without the ending of a volume's format."""
    return VOLUME_ENDING.sub("", path.name) or path.name
