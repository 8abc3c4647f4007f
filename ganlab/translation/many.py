"""Translate every scan of a folder, one after the other; what fails is reported and does not stop the rest."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ganlab.device import resolve
from ganlab.errors import InputError
from ganlab.imaging.reading.scans import FoundScan, find_scans
from ganlab.imaging.volume import Volume
from ganlab.imaging.wording import quoted
from ganlab.imaging.writing import check_writable, write_volume
from ganlab.translation.confidence import check_calibrated
from ganlab.translation.inference import Translation, load_model, translate
from ganlab.translation.tasks import get_task

log = logging.getLogger(__name__)

ENDING = ".nii.gz"
TRANSLATED, KEPT, SKIPPED, FAILED = "translated", "kept", "skipped", "failed"


@dataclass(frozen=True)
class FolderResult:
    """What became of one scan of a folder.

    scan: its name. out: the file of its result. status: "translated"; "kept", if the file was there already; "skipped",
    if it is no volume of the task's source modality (localizers, phase images, single slices); or "failed". message:
    why, unless it was translated.
    """

    scan: str
    out: Path
    status: str
    message: str = ""
    translation: Translation | None = None
    notices: tuple[str, ...] = ()


def translate_folder(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    task: str = "mr2ct",
    model: str | None = None,
    *,
    planes: Sequence[str] | None = None,
    device: str = "auto",
    precision: str = "auto",
    confidence: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> Iterator[FolderResult]:
    """Translate every volume file, DICOM series and zip in a folder and its sub-folders.

    Results go to the same sub-folders of `out` under the names of their scans, as NIfTI; a DICOM series is named by its
    number and description. Files that are there already are kept unless `overwrite` is true, so that an interrupted run
    can go on. confidence: a folder for the half-width of the 90 % interval at each voxel, under the same names.
    progress(name of the scan, share of it done). Yields a `FolderResult` for each scan, in order.
    Raises InputError before the first for a folder that cannot be read or holds no scan, an `out` that cannot be
    written to, or a model that does not fit.
    """
    folder, out, kind = Path(folder), Path(out), get_task(task)
    if not folder.is_dir():
        raise InputError(f"{quoted(folder)} is not a folder: give a folder of scans.")
    if out.resolve() == folder.resolve():
        raise InputError(f"The results would lie among the scans in {quoted(folder)}: give another folder for them.")
    load_model(model or kind.default_model, resolve(device), kind)  # refused before any work
    if confidence is not None:
        _check_apart(Path(confidence), folder, out)
        check_calibrated(model or kind.default_model)
    taken: set[Path] = set()
    for scan in find_scans(folder, leave_out=out):
        target = _unique(out / scan.place.with_name(scan.place.name + ENDING), taken)
        if target.exists() and not overwrite:
            yield FolderResult(scan.name, target, KEPT, f"{quoted(target)} is there already.")
            continue

        def one(volume: Volume, name: str = scan.name) -> Translation:
            report = (lambda share: progress(name, share)) if progress else None
            return translate(volume, task, model, device, planes, report, precision=precision)

        intervals = Path(confidence) / target.relative_to(out) if confidence is not None else None
        yield _result(scan, target, intervals, kind.source, one)
    if not taken:
        raise InputError(f"{quoted(folder)} holds no image volume: give NIfTI, MGH/MGZ, NRRD, MetaImage or DICOM.")


def _check_apart(confidence: Path, folder: Path, out: Path) -> None:
    """Raise InputError if the maps would lie among the results, or be taken for scans next time."""
    place = confidence.resolve()
    if place == out.resolve() or (place.is_relative_to(folder.resolve()) and not place.is_relative_to(out.resolve())):
        raise InputError(
            f"The intervals would lie among the scans or the results in {quoted(confidence)}: give a folder of their "
            "own for them."
        )


def _unique(path: Path, taken: set[Path]) -> Path:
    """The path, or one with a number where another scan has the same name (a.mgz beside a.nii.gz)."""
    name, number = path.name.removesuffix(ENDING), 1
    while path in taken:
        number += 1
        path = path.with_name(f"{name}-{number}{ENDING}")
    taken.add(path)
    return path


def _result(
    scan: FoundScan,
    target: Path,
    intervals: Path | None,
    modality: str,
    translated: Callable[[Volume], Translation],
) -> FolderResult:
    if reason := _not_wanted(scan, modality):
        return FolderResult(scan.name, target, SKIPPED, reason)
    try:
        for path in filter(None, (target, intervals)):
            path.parent.mkdir(parents=True, exist_ok=True)
            check_writable(path)
        volume = scan.read(modality)
        translation = translated(volume)
        written = []
        if intervals and translation.confidence:  # first: a result that is there is not made again
            written += write_volume(translation.confidence, intervals)
        written += write_volume(translation.synthetic, target)
    except InputError as error:
        return FolderResult(scan.name, target, FAILED, str(error))
    except OSError as error:
        return FolderResult(scan.name, target, FAILED, f"{scan.name} failed: {error.strerror or error}.")
    except Exception as error:  # a fault of ours: it is reported in full, and the other scans are still translated
        log.exception("%s", scan.name)
        return FolderResult(scan.name, target, FAILED, f"{scan.name} failed: {type(error).__name__}: {error}.")
    notices = tuple(dict.fromkeys([*volume.notices, *translation.notices, *written]))
    return FolderResult(scan.name, target, TRANSLATED, translation=translation, notices=notices)


def _not_wanted(scan: FoundScan, modality: str) -> str:
    """Why a series of a study is none that the task translates; "" if it may be."""
    if scan.series is None:
        return ""
    if scan.problem:
        return f"{scan.name} is no volume of a head: {scan.problem}."
    part = scan.series.slices[0].part
    if part != "magnitude":
        return f"{scan.name} is a {part} image."
    wanted = "CT" if modality == "ct" else "MR"
    if scan.series.modality not in (wanted, ""):
        return f'{scan.name} is "{scan.series.modality}" and not {wanted}.'
    return ""
