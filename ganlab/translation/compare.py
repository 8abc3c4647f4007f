"""Translate a scan and measure the result against a reference: one workflow for the page, the commands and Python.

read -> check -> translate -> register the reference -> bring both to one scale -> mask -> measure
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ganlab.errors import Cancelled, InputError
from ganlab.imaging import metrics
from ganlab.imaging.intensity import normalise_mr, white_matter_level
from ganlab.imaging.masks import head_mask
from ganlab.imaging.metrics import SCALES
from ganlab.imaging.onto_grid import onto_grid
from ganlab.imaging.plausibility import check_t1
from ganlab.imaging.units import AIR_HU, check_prediction, check_reference, doubts_of_reference
from ganlab.imaging.volume import Volume
from ganlab.translation.same_head import stranger
from ganlab.translation.t1_scale import checked_level, divided_by, level_in, without_pedestal
from ganlab.translation.tasks import NAMES, Task, get_task

HISTOGRAM_EDGES = {"ct": np.arange(-1000, 1001, 20.0), "fa": np.arange(-50, 51) / 100, "t1": np.arange(-50, 51) / 50}
MASKS = {  # by the target: where errors are measured unless a mask is given
    "ct": "head of the reference CT: its largest body above -200 HU, filled",
    "t1": "head of the source CT: its largest body above -200 HU, filled",
    "fa": "brain: where the reference FA is above 0",
}
WHITE_MATTER = (0.5, 2.0)  # level of white matter on a T1 that is taken to be on the task's scale, where it is 1
SAME_SCALE = (0.8, 1.25)  # levels of white matter on a prediction, relative to the reference's, that share a scale
UNKNOWN_SCALE = (0.05, 20.0)  # levels beyond which a prediction is on no scale that a mask alone could tell
WHOLE_GRID = 0.98  # share of a grid that no head with air around it covers
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
    """A reference to measure against: on the task's scale, and the boolean mask (of its shape) to measure in.

    T1 only: white_matter is what the stored values were divided by, head the head of the source CT, if that is known,
    lifted whether a background was subtracted first.
    """

    task: Task
    volume: Volume
    mask: np.ndarray
    mask_name: str
    notices: tuple[str, ...] = ()
    white_matter: float = 1.0
    head: np.ndarray | None = None
    lifted: bool = False


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
    """A scan, its translations by one or more models, and their evaluations: none without a reference of this head."""

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
    precision: str = "auto",
) -> Comparison:
    """Translate a scan with each of the models, and measure each result against the reference if there is one.

    models, planes, device, precision: see `ganlab.translation.inference.translate`. progress(share of the work, stage).
    Raises InputError for volumes that the task cannot take, Cancelled when cancelled() turns true.
    """
    from ganlab.translation.confidence import confident_figures
    from ganlab.translation.inference import translate

    kind = get_task(task)
    if pair.reference:
        check_reference(pair.reference, kind.target)  # fails before the slow translation
    translation_share = 0.7 if pair.reference else 1.0  # of the progress bar
    translations = []
    for k, model in enumerate(models):
        stage = "Translating" if len(models) == 1 else f"Translating with {model or kind.default_model}"

        def report(done: float, k=k, stage=stage) -> None:
            progress(translation_share * (k + done) / len(models), stage)

        report(0.0)
        translations.append(translate(pair.source, task, model, device, planes, report, cancelled, precision=precision))
    notices = [*pair.source.notices, *translations[0].notices]
    if pair.reference is None:
        return Comparison(pair.source, tuple(translations), None, (), tuple(notices))
    reference = pair.reference
    if not pair.aligned:
        stage = f"Registering the reference {NAMES[kind.target]}"
        bar = partial(_stage, progress, cancelled, stage)
        reference = register_reference(reference, pair.source, kind, lambda done: bar(translation_share + 0.2 * done))
        notices.append(reference.notices[0])
        reference = replace(reference, notices=reference.notices[1:])
    _stage(progress, cancelled, "Comparing", 0.9)
    if kind.target == "ct" and not pair.aligned:
        is_stranger, doubt = stranger(reference, [each.synthetic for each in translations])
        if is_stranger:
            return Comparison(pair.source, tuple(translations), None, (), (*notices, f"{doubt} They are withheld."))
        notices += [doubt] if doubt else []
    prepared = _prepared(reference, kind, pair.source, white_matter=pair.white_matter)
    evaluations = []
    for k, translation in enumerate(translations):
        _stage(progress, cancelled, f"Measuring {translation.model}", 0.92 + 0.08 * k / len(translations))
        evaluation = measure(prepared, translation.synthetic)
        error = evaluation.prediction.array - evaluation.reference.array
        evaluation.metrics.update(confident_figures(translation.confidence, error, evaluation.mask))
        evaluations.append(evaluation)
    notices += [
        notice
        for notice in evaluations[0].metrics["notices"]
        if notice not in notices and notice.removeprefix("Source: ") not in notices
    ]
    return Comparison(pair.source, tuple(translations), prepared.volume, tuple(evaluations), tuple(notices))


def _stage(progress: Progress, cancelled: Callable[[], bool], stage: str, fraction: float) -> None:
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
    resampling: bool = False,
) -> Evaluation:
    """Measure a prediction against its reference on the same grid, both brought to the scale of the task.

    Axes may be in another order. resampling: whether volumes on other grids are interpolated onto the reference's.

    source: the CT that a T1 was made from (ct2mr); its head is the mask, and is where white matter is looked for. mask:
    where to measure instead, > 0. white_matter: the intensity of white matter on a T1 reference, estimated unless
    given. For the scale of a T1 see `measure`. The notices of the volumes are among those of the result. Raises
    InputError for units that make no sense for the task, for different grids, for ct2mr without source (or a mask and
    white_matter), for source or white_matter with other tasks, and for what `ganlab.imaging.metrics.evaluate` refuses.
    """
    if get_task(task).target != "t1" and (source is not None or white_matter is not None):
        extra = "a source CT" if source is not None else "an intensity of white matter"
        raise InputError(f"Only ct2mr, which makes a T1, is measured with {extra}: leave it out for {task}.")
    kind = get_task(task)
    prediction = onto_grid("prediction", prediction, reference, resampling, fill=kind.empty)
    if source is not None:
        source = onto_grid("source", source, reference, resampling, fill=AIR_HU)
    if isinstance(mask, Volume):
        mask = onto_grid("mask", mask, reference, resampling, order=0)
    prepared = prepare_reference(reference, task, source, mask, white_matter)
    evaluation = measure(prepared, prediction)
    if kind.target == "ct":
        is_stranger, doubt = stranger(prepared.volume, [prediction])
        if is_stranger and mask is None:
            raise InputError(f"{doubt} Give the CT of this head, or a mask to measure in all the same.")
        evaluation.metrics["notices"] += [doubt] if doubt else []
    evaluation.metrics["notices"][:0] = _reading_notices(mask=mask, prediction=prediction)
    return evaluation


def _reading_notices(**volumes: Volume | np.ndarray | None) -> list[str]:
    """What was chosen, converted or replaced when the volumes were read."""
    return [
        f"{name.capitalize()}: {notice}"
        for name, volume in volumes.items()
        if isinstance(volume, Volume)
        for notice in volume.notices
    ]


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
    inside = None if mask is None else metrics.mask_array(mask, reference)
    check_reference(reference, kind.target, inside)
    return _prepared(reference, kind, source, inside, white_matter)


def _prepared(
    reference: Volume,
    kind: Task,
    source: Volume | None,
    mask: np.ndarray | None = None,
    white_matter: float | None = None,
) -> Reference:
    notices = _reading_notices(reference=reference, source=source)
    notices += doubts_of_reference(reference, kind.target) if mask is None else []
    if kind.target != "t1":
        if mask is not None:
            inside = mask
        else:
            inside = reference.array > 0 if kind.target == "fa" else _head(reference, "reference")
        name = MASKS[kind.target] if mask is None else "given"
        return Reference(kind, _as_stored(reference), inside, name, tuple(notices))
    head = None
    if source is not None:
        metrics.check_same_grid("source", source, reference)
        head = _head(source, "source")
    measured = mask if mask is not None else head
    if measured is None:
        raise InputError(
            "A synthetic T1 is measured inside the head of its source CT: give that CT, or a mask and the intensity of "
            "white matter."
        )
    doubts = check_t1(normalise_mr(reference), reference.array, stripped=True)
    notices += [f"Reference: {doubt}" for doubt in doubts]
    pedestal: Sequence[str] = ()
    if mask is None:  # else voxels outside do not count
        reference, pedestal = without_pedestal(reference)
        notices += pedestal
    if white_matter is not None:
        level, how = checked_level(white_matter, reference), "as given"
    elif head is not None:
        level, how = level_in(reference, head), "estimated"
    else:
        raise InputError(
            "The white matter of a T1 is looked for in the head and not in a mask: give the CT that the T1 was made "
            "from (source), or the intensity of white matter on the reference (white_matter)."
        )
    reference, divided = divided_by("reference", reference, level, f"the intensity of its white matter ({how})")
    name = MASKS["t1"] if mask is None else "given"
    return Reference(
        kind, reference, measured, name, (*notices, *divided), float(np.float32(level)), head, bool(pedestal)
    )


def _head(ct: Volume, name: str) -> np.ndarray:
    head = head_mask(ct)
    if (share := head.mean()) > WHOLE_GRID:
        raise InputError(
            f"The head in the {name} covers {share:.0%} of the grid, without air around it: give a CT in HU, or a mask."
        )
    return head


def measure(reference: Reference, prediction: Volume) -> Evaluation:
    """Measure a prediction against a prepared reference. Raises InputError as `compare` does.

    T1 has no unit. The reference is divided by the intensity of its white matter, which is given, or estimated in the
    head. A prediction is divided by the same number if it equals the reference, or if its own white matter is closer to
    the reference's (within SAME_SCALE) than to 1; otherwise by its own white matter if that lies outside WHITE_MATTER;
    otherwise it is on the task's scale already and stays as it is. A notice tells every division.
    """
    kind, truth, mask = reference.task, reference.volume, reference.mask
    metrics.check_same_grid("prediction", prediction, truth)
    metrics.check_finite("prediction", prediction.array)
    notices = list(reference.notices)
    notices += check_prediction(prediction, kind.target, truth, mask)
    if kind.target == "t1":
        prediction, divided = _prediction_to_scale(prediction, reference)
        notices += divided
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


def _prediction_to_scale(prediction: Volume, reference: Reference) -> tuple[Volume, tuple[str, ...]]:
    """The prediction as `measure` compares it, and a notice if it was divided by anything."""
    shared, truth, stored = reference.white_matter, reference.volume.array, prediction
    if reference.lifted:
        prediction, _ = without_pedestal(prediction)
    scaled = prediction.array.astype(np.float32) / np.float32(shared)
    if reference.head is not None:
        level = white_matter_level(prediction, reference.head)
    else:  # only the reference's is known; the two differ by the ratio of the volumes in the mask
        middle, true_middle = (float(np.median(array[reference.mask])) for array in (scaled, truth))
        level = shared * middle / true_middle if middle > 0 and true_middle > 0 else np.nan
    alike = SAME_SCALE[0] <= level / shared <= SAME_SCALE[1] and abs(np.log(level / shared)) < abs(np.log(level))
    if alike or np.array_equal(scaled, truth):
        return divided_by("prediction", prediction, shared, "the intensity of the reference's white matter")
    low, high = WHITE_MATTER if reference.head is not None else UNKNOWN_SCALE
    if np.isnan(level) or low <= level <= high:
        return stored, ()
    if reference.head is None:
        raise InputError(
            "The prediction T1 is neither on the scale of the reference nor on one with white matter at 1: give the CT "
            "that it was made from (source), so that its white matter can be found."
        )
    return divided_by("prediction", prediction, level, "the intensity of its white matter (estimated)")


def _as_stored(volume: Volume) -> Volume:
    """The volume's values after saving: whole HU, so that a saved volume gives the same numbers."""
    return replace(volume, array=np.rint(volume.array)) if volume.unit == "HU" else volume


def register_reference(
    reference: Volume, source: Volume, task: Task, progress: Callable[[float], None] = lambda share: None
) -> Volume:
    """The reference moved rigidly onto the grid of the source; its first notice tells how far."""
    from ganlab.imaging.registration import register_rigid

    registered, matrix = register_rigid(reference, source, progress)
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


def read_pair(
    files: Sequence[str],
    reference: Sequence[str],
    task: str,
    series: str | None = None,
    reference_series: str | None = None,
) -> ScanPair:
    """A scan and, unless `reference` is empty, its reference, from their files; see `read_scan`."""
    kind = get_task(task)
    source = read_scan(files, kind.source, series)
    return ScanPair(source, read_scan(reference, kind.target, reference_series) if reference else None)


def read_scan(files: Sequence[str], modality: str, series: str | None = None) -> Volume:
    """One file, folder or zip, or DICOM files that belong together; see `read_volume`."""
    from ganlab.imaging.reading.files import read_volume
    from ganlab.imaging.reading.scans import one_path

    with one_path(files) as path:
        return read_volume(path, modality, series)
