"""Translate a scan and measure the result against a reference: one workflow for the page, the commands and Python.

read -> check -> translate -> register the reference -> bring both to one scale -> mask -> measure
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ganlab.errors import Cancelled, InputError
from ganlab.imaging import metrics
from ganlab.imaging.intensity import white_matter_level
from ganlab.imaging.masks import head_mask
from ganlab.imaging.metrics import SCALES
from ganlab.imaging.units import check_units
from ganlab.imaging.volume import Volume
from ganlab.translation.tasks import NAMES, Task, get_task

HISTOGRAM_EDGES = {"ct": np.arange(-1000, 1001, 20.0), "fa": np.arange(-50, 51) / 100, "t1": np.arange(-50, 51) / 50}
MASKS = {  # by the target: where errors are measured unless a mask is given
    "ct": "head of the reference CT: its largest body above -200 HU, filled",
    "t1": "head of the source CT: its largest body above -200 HU, filled",
    "fa": "brain: where the reference FA is above 0",
}
WHITE_MATTER = (0.5, 2.0)  # level of white matter on a T1 that is taken to be on the task's scale, where it is 1
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class ScanPair:
    """A scan and, if there is one, the real volume of the target modality.

    aligned: the reference lies on the scan's grid and need not be registered. white_matter: the intensity of white
    matter on a T1 reference, if it is known; estimated otherwise.
    """

    source: Volume
    reference: Volume | None = None
    aligned: bool = False
    white_matter: float | None = None


@dataclass(frozen=True)
class Reference:
    """A reference to measure against: on the task's scale, and the boolean mask (of its shape) to measure in."""

    task: Task
    volume: Volume
    mask: np.ndarray
    mask_name: str
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """metrics: as `ganlab.imaging.metrics.evaluate` returns them. histogram: {"edges": ..., tissue: voxels per bin of
    prediction - reference}. prediction, reference: as they were measured. mask: where."""

    metrics: dict
    histogram: dict
    prediction: Volume
    reference: Volume
    mask: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """A scan, its translations by one or more models, and their evaluations, none without a reference."""

    source: Volume
    translations: tuple
    reference: Volume | None
    evaluations: tuple[Evaluation, ...]
    notices: tuple[str, ...]


def translate_and_compare(
    pair: ScanPair,
    task: str = "mr2ct",
    models: Sequence[str | None] = (None,),
    planes: Sequence[str] | None = None,
    device: str = "auto",
    progress: Progress = lambda fraction, stage: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Comparison:
    """Translate a scan with each of the models, and measure each result against the reference if there is one.

    models, planes, device: see `ganlab.translation.inference.translate`. progress(share of the work, stage). Raises
    InputError for volumes that the task cannot take, Cancelled when cancelled() turns true.
    """
    from ganlab.translation.inference import translate

    kind = get_task(task)
    if pair.reference:
        check_units("reference", pair.reference, kind.target)  # fails before the slow translation
    translation_share = 0.7 if pair.reference else 1.0  # of the progress bar
    translations = []
    for k, model in enumerate(models):
        stage = "Translating" if len(models) == 1 else f"Translating with {model or kind.default_model}"

        def report(done: float, k=k, stage=stage) -> None:
            progress(translation_share * (k + done) / len(models), stage)

        report(0.0)
        translations.append(translate(pair.source, task, model, device, planes, report, cancelled))
    notices = [*pair.source.notices, *translations[0].notices]
    if pair.reference is None:
        return Comparison(pair.source, tuple(translations), None, (), tuple(notices))
    reference = pair.reference
    if not pair.aligned:
        _stage(progress, cancelled, translation_share, f"Registering the reference {NAMES[kind.target]}")
        reference = register_reference(reference, pair.source, kind)
        notices += [reference.notices[0], *(f"Reference: {notice}" for notice in reference.notices[1:])]
    _stage(progress, cancelled, 0.9, "Comparing")
    prepared = _prepared(reference, kind, pair.source, white_matter=pair.white_matter)
    evaluations = tuple(measure(prepared, each.synthetic) for each in translations)
    notices += [notice for notice in evaluations[0].metrics["notices"] if notice not in notices]
    return Comparison(pair.source, tuple(translations), prepared.volume, evaluations, tuple(notices))


def _stage(progress: Progress, cancelled: Callable[[], bool], fraction: float, stage: str) -> None:
    if cancelled():
        raise Cancelled
    progress(fraction, stage)


def compare(
    reference: Volume,
    prediction: Volume,
    task: str = "mr2ct",
    source: Volume | None = None,
    mask: Volume | np.ndarray | None = None,
    white_matter: float | None = None,
) -> Evaluation:
    """Measure a prediction against its reference on the same grid, both brought to the scale of the task.

    source: the CT that a T1 was made from (ct2mr), whose head is the mask. mask: where to measure instead, > 0.
    white_matter: the intensity of white matter on a T1 reference; estimated by default. Raises InputError for units
    that make no sense for the task, for different grids, for ct2mr without source or mask, and for what
    `ganlab.imaging.metrics.evaluate` refuses.
    """
    return measure(prepare_reference(reference, task, source, mask, white_matter), prediction)


def prepare_reference(
    reference: Volume,
    task: str = "mr2ct",
    source: Volume | None = None,
    mask: Volume | np.ndarray | None = None,
    white_matter: float | None = None,
) -> Reference:
    """Check a reference, bring it to the scale of the task and find its mask; arguments as of `compare`."""
    kind = get_task(task)
    if task not in SCALES:
        raise InputError(f'There are no metrics for the task "{task}": choose one of {", ".join(SCALES)}.')
    metrics.check_finite("reference", reference.array)
    check_units("reference", reference, kind.target, masked=mask is not None)
    return _prepared(reference, kind, source, mask, white_matter)


def _prepared(
    reference: Volume,
    kind: Task,
    source: Volume | None,
    mask: Volume | np.ndarray | None = None,
    white_matter: float | None = None,
) -> Reference:
    if mask is None and kind.target == "t1" and source is None:
        raise InputError("A synthetic T1 is measured inside the head of its source CT: give that CT, or a mask.")
    if kind.target == "t1" and source is not None:
        metrics.check_same_grid("source", source, reference)
    if mask is not None:
        inside, name = metrics.mask_array(mask, reference), "given"
    else:
        name = MASKS[kind.target]
        inside = reference.array > 0 if kind.target == "fa" else head_mask(source if kind.target == "t1" else reference)
    notices: tuple[str, ...] = ()
    if kind.target == "t1":
        head = inside if source is None else head_mask(source)
        reference, notices = _white_matter_to_one("reference", reference, head, white_matter)
    return Reference(kind, _as_stored(reference), inside, name, notices)


def measure(reference: Reference, prediction: Volume) -> Evaluation:
    """Measure a prediction against a prepared reference. Raises InputError as `compare` does."""
    kind, truth, mask = reference.task, reference.volume, reference.mask
    metrics.check_same_grid("prediction", prediction, truth)
    metrics.check_finite("prediction", prediction.array)
    notices = list(reference.notices)
    notices += check_units("prediction", prediction, kind.target, masked=True, reference=truth, mask=mask)
    if kind.target == "t1":
        level = white_matter_level(prediction, mask)
        if np.isfinite(level) and not WHITE_MATTER[0] <= level <= WHITE_MATTER[1]:
            prediction, scale_notices = _white_matter_to_one("prediction", prediction, mask, None)
            notices += scale_notices
    prediction = _as_stored(prediction)
    figures = metrics.evaluate(truth, prediction, mask, kind.name)
    figures |= {"mask": reference.mask_name, "notices": [*notices, *figures["notices"]]}
    edges, values = HISTOGRAM_EDGES[kind.target], truth.array[mask]
    errors = (prediction.array - truth.array)[mask].clip(edges[0], edges[-1])
    counts = {
        tissue: np.histogram(errors[rule(values)], edges)[0].tolist()
        for tissue, (_, rule) in SCALES[kind.name].tissues.items()
    }
    return Evaluation(figures, {"edges": edges.tolist(), **counts}, prediction, truth, mask)


def _white_matter_to_one(
    name: str, t1: Volume, head: np.ndarray, level: float | None
) -> tuple[Volume, tuple[str, ...]]:
    """The T1 over its white matter's intensity, estimated unless it is known, and a notice that says so."""
    known = level is not None
    level = level if known else white_matter_level(t1, head)
    if not level > 0:
        raise InputError(
            f"The {name} has no white matter to scale it by ({level:g}): give a T1-weighted scan of a head."
        )
    factor = np.float32(level)
    how = "as given" if known else "estimated"
    notice = f"The {name} T1 was divided by {factor:.5g}, the intensity of its white matter ({how}): T1 has no unit."
    return replace(t1, array=t1.array.astype(np.float32) / factor), () if factor == 1 else (notice,)


def _as_stored(volume: Volume) -> Volume:
    """The volume's values after saving: whole HU, so that a saved volume gives the same numbers."""
    return replace(volume, array=np.rint(volume.array)) if volume.unit == "HU" else volume


def register_reference(reference: Volume, source: Volume, task: Task) -> Volume:
    """The reference moved rigidly onto the grid of the source; its first notice tells how far."""
    from ganlab.imaging.registration import register_rigid

    registered, matrix = register_rigid(reference, source)
    return replace(registered, notices=(motion_notice(matrix, source, task), *registered.notices))


def motion_notice(matrix: np.ndarray, source: Volume, task: Task) -> str:
    """Translation and rotation of a registration's 4 x 4 matrix at the centre of the source."""
    middle = source.affine @ np.array([*(np.array(source.shape) - 1) / 2, 1.0])
    shift = np.linalg.norm((matrix @ middle - middle)[:3])
    turn = np.degrees(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1)))
    moved = f"The reference {NAMES[task.target]} was moved by {shift:.1f} mm and turned by {turn:.1f}\N{DEGREE SIGN}"
    return f"{moved} onto the {NAMES[task.source]}."


def phantom_pair(task: str, **patient) -> ScanPair:
    """The scan and the reference of a phantom patient; `patient`: the arguments of make_patient.

    The intensity of white matter on a T1 reference is known from the patient's labels.
    """
    from ganlab.phantoms import make_patient
    from ganlab.phantoms.tissues import INDEX

    kind = get_task(task)
    extra = ("labels",) if kind.target == "t1" else ()
    volumes = make_patient(modalities=(kind.source, kind.target, *extra), **patient)
    level = None
    if kind.target == "t1":
        level = float(np.median(volumes["t1"].array[volumes["labels"].array == INDEX["white matter"]]))
    return ScanPair(volumes[kind.source], volumes[kind.target], aligned=True, white_matter=level)


def read_pair(files: Sequence[str], reference: Sequence[str], task: str, scratch: Path | None = None) -> ScanPair:
    """A scan and, unless `reference` is empty, its reference, from their files; see `read_scan`."""
    kind = get_task(task)
    source = read_scan(files, kind.source, scratch)
    return ScanPair(source, read_scan(reference, kind.target, scratch) if reference else None)


def read_scan(files: Sequence[str], modality: str, scratch: Path | None = None) -> Volume:
    """One file, folder or zip, or the files of one DICOM series, which are linked to in the folder `scratch`."""
    from ganlab.imaging.reading.files import read_volume

    if not files:
        raise InputError("No scan was chosen: upload a NIfTI, MGZ, NRRD, MHA or DICOM file, a folder or a zip.")
    if len(files) == 1:
        return read_volume(files[0], modality=modality)
    together = Path(scratch or ".", f"upload-{modality}")  # readers need one folder; names may repeat
    together.mkdir()
    for number, file in enumerate(files):
        name = Path(file).name
        os.symlink(file, together / (f"{number:05d}-{name}" if (together / name).exists() else name))
    return read_volume(together, modality=modality)
