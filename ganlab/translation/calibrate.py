"""Calibrating a model's confidence: its errors on heads with a known answer become the table that `translate` reads."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage

from ganlab.checkpoints import model_folder, save_tensors
from ganlab.errors import Cancelled, InputError
from ganlab.imaging.metrics import SCALES
from ganlab.phantoms import make_patient
from ganlab.phantoms.scanned.volumes import drawn_pair
from ganlab.phantoms.scanner import SCANNERS
from ganlab.translation.compare import ScanPair, phantom_pair, prepare_reference
from ganlab.translation.confidence import (
    AXES,
    COVERAGE,
    FILE,
    LOOK,
    Calibration,
    ErrorTable,
    Evidence,
    cells_of,
    plus_minus,
    weights_digest,
)
from ganlab.translation.dataset.anatomy import prepare_heads
from ganlab.translation.dataset.folders import volumes_in
from ganlab.translation.inference import load_model, translate
from ganlab.translation.measure import models_to_measure
from ganlab.translation.tasks import TASKS, Task, get_task

SEEDS = range(8000, 9000)  # phantom patients for calibrating: none is trained on, none is measured on
RESEARCH = "research"
PATIENTS: tuple[dict, ...] = (  # what the phantoms have, in turn
    {"scanner": RESEARCH, "field": 3.0},
    {"scanner": "fat-suppressed", "field": 3.0, "lesion": "tumour"},
    {"scanner": RESEARCH, "field": 1.5, "defaced": True},
    {"scanner": "clinical", "field": 1.5},
    {"scanner": RESEARCH, "field": 3.0, "voxels": 2.0},
    {"scanner": RESEARCH, "field": 1.5, "lesion": "bleed"},
    {"scanner": "noisy", "field": 1.5},
    {"scanner": RESEARCH, "field": 3.0},
)
REAL_SCANNERS = (RESEARCH, "fat-suppressed", "clinical")  # that see the anatomy of each real CT
INSIDE, AROUND, MARGIN_MM = 40_000, 8_000, 15.0  # voxels per head that are measured, in the mask and around it
LEVELS = {  # quantiles of each feature that are centres of the table's cells
    "predicted": (0.005, 0.03, 0.08, 0.15, 0.3, 0.5, 0.7, 0.8, 0.86, 0.91, 0.95, 0.98, 0.995),
    "disagreement": (0.05, 0.3, 0.5, 0.7, 0.82, 0.91, 0.97, 0.995),
    "roughness": (0.1, 0.35, 0.6, 0.8, 0.93, 0.99),
    "signal": (0.03, 0.12, 0.3, 0.6, 0.9),
}
BORDERS = (0.001, 0.02, 0.12, 0.3, 0.5, 0.7, 0.88, 0.98, 0.999)  # the same for the borders of the histogram's cells
PRIOR = 60  # voxels that an average over a coarser cell counts for


@dataclass(frozen=True)
class MeasuredHead:
    """One head: voxels whose error is known.

    group: heads of one group have the same anatomy, and are left out together. places: (3, N) voxels of the evidence's
    grid. predicted, errors: (N,) value and absolute error on the input's grid, in the network's unit; inside: (N,) in
    the mask that metrics use.
    """

    name: str
    group: str
    real: bool
    evidence: Evidence
    places: np.ndarray
    predicted: np.ndarray
    truth: np.ndarray
    inside: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        return np.abs(self.predicted - self.truth)

    def values(self) -> dict[str, np.ndarray]:
        """The features at the voxels."""
        shape = self.evidence.features["predicted"].shape
        index = tuple(np.rint(p).astype(int).clip(0, n - 1) for p, n in zip(self.places, shape, strict=True))
        return {name: array[index].astype(np.float32) for name, array in self.evidence.features.items()}

    def widths(self, table: ErrorTable) -> np.ndarray:
        """The half-widths at the voxels, interpolated as on the input's grid."""
        return ndimage.map_coordinates(table.half_width(self.evidence), self.places, order=1, mode="nearest")


class Pair(NamedTuple):
    """A scan with a known answer; names as of `MeasuredHead`."""

    name: str
    group: str
    real: bool
    scans: ScanPair


def phantom_pairs(task: str, patients: int, spacing: float) -> Iterator[Pair]:
    """Phantom patients that no model was trained on, seen by every scanner; the answers are those of a good one."""
    for k, seed in enumerate(SEEDS[:patients]):
        chosen = dict(PATIENTS[k % len(PATIENTS)])
        scanner, mm = chosen.pop("scanner"), spacing * chosen.pop("voxels", 1.0)
        pair = phantom_pair(task, seed=seed, spacing=mm, **chosen)
        if scanner != RESEARCH:
            source = get_task(task).source
            scan = make_patient(seed, (source,), mm, scanner=SCANNERS[scanner], **chosen)[source]
            pair = replace(pair, source=scan)
        yield Pair(f"phantom {seed}, {scanner} scanner", str(seed), False, pair)


def real_scanners(task: Task) -> tuple[str, ...]:
    """The scanners that see the anatomy of a real CT: a CT itself is seen by one alone."""
    return REAL_SCANNERS if task.source == "t1" else (RESEARCH,)


def real_pairs(task: str, folder: Path) -> Iterator[Pair]:
    """The head of each CT in a folder with a T1 drawn from its tissues, by every one of REAL_SCANNERS. Raises
    InputError for a volume that is not the CT of a head."""
    source, target = get_task(task).source, get_task(task).target
    names = [path.name for path in volumes_in(folder)]
    with tempfile.TemporaryDirectory(prefix="ganlab-") as scratch:
        for name, scan in zip(names, prepare_heads(folder, Path(scratch)), strict=True):
            for seed, scanner in enumerate(real_scanners(get_task(task))):
                volumes = drawn_pair(scan, seed, scanner)
                scans = ScanPair(volumes[source], volumes[target], aligned=True)
                yield Pair(f"{name}, {scanner} scanner", name, True, scans)


def by_task(models: Sequence[str] | None, task: str | None) -> dict[str, list[str]]:
    """These models by their tasks; by default all pretrained ones, or all of a task. Raises InputError for a model that
    does not exist, is of another task than the given one, or does not say which task it is for."""
    if not models:
        return {name: models_to_measure(None, name) for name in ([task] if task else TASKS)}
    found: dict[str, list[str]] = {}
    for name in models:
        kind = task or load_model(name, "cpu").task
        if kind is None:
            raise InputError(f'The model "{name}" does not say which task it was trained for: give --task.')
        found.setdefault(kind, []).append(name)
    return {kind: models_to_measure(names, kind) for kind, names in found.items()}


def calibrate(
    models: Sequence[str],
    task: str,
    patients: int = len(PATIENTS),
    device: str = "auto",
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    real: Path | None = None,
    spacing: float = 1.0,
) -> dict[str, dict]:
    """Calibrate models of a task on phantom patients, and on the anatomy of the CTs in the folder `real`; {model:
    report}.

    spacing: voxels of the phantoms, mm. Each model's file FILE is written next to its weights. A report has coverage
    (by head, measured with a table and a factor made without its group), tissues (the same by predicted tissue),
    half_width and half_width_single (means inside the heads, in the unit of the task), phantoms and real (how many).
    Raises InputError, Cancelled.
    """
    kind = get_task(task)
    if not 4 <= patients <= len(SEEDS):
        raise InputError(f"Patients is {patients}; give a whole number from 4 to {len(SEEDS)}.")
    for name in models:
        load_model(name, "cpu", kind)  # refuses a wrong model before patients are made
    if real and "ct" not in (kind.source, kind.target):
        raise InputError(f"A CT tells nothing about {task}: leave the real CTs out.")
    heads: dict[str, dict[str, list[MeasuredHead]]] = {name: {"several": [], "single": []} for name in models}
    total = patients + (len(volumes_in(real)) * len(real_scanners(kind)) if real else 0)
    pairs = itertools.chain(phantom_pairs(task, patients, spacing), real_pairs(task, real) if real else ())
    for k, pair in enumerate(pairs):
        for name in models:
            if cancelled():
                raise Cancelled
            planes = load_model(name, "cpu", kind).planes
            if len(planes) > 1:
                heads[name]["several"].append(measured(pair, kind, name, planes, device, cancelled))
            alone = planes[k % len(planes)]
            heads[name]["single"].append(measured(pair, kind, name, (alone,), device, cancelled))
        if progress:
            progress((k + 1) / total)
    reports = {}
    for name, kinds in heads.items():
        calibration = calibrated(kinds["several"] or kinds["single"], kinds["single"], kind)
        save(name, calibration)
        reports[name] = calibration.report
    return reports


def measured(
    pair: Pair, task: Task, model: str, planes: Sequence[str], device: str, cancelled: Callable[[], bool]
) -> MeasuredHead:
    """Translate a scan with a known answer, and draw voxels at which the two are compared."""
    scans = pair.scans
    reference = prepare_reference(
        scans.reference, task.name, scans.source if task.target == "t1" else None, white_matter=scans.white_matter
    )
    translation = translate(scans.source, task.name, model, device, planes, cancelled=cancelled)
    evidence = translation.evidence
    rng = np.random.default_rng(0)
    mask = reference.mask
    radius = max(1, round(MARGIN_MM / float(scans.source.spacing.max())))
    near = ndimage.maximum_filter(mask, 2 * radius + 1) & ~mask
    chosen = [rng.permutation(np.flatnonzero(where))[:n] for where, n in ((mask, INSIDE), (near, AROUND))]
    voxels = np.concatenate(chosen)
    index = np.stack(np.unravel_index(voxels, mask.shape))
    to_coarse = np.linalg.solve(evidence.affine, scans.source.affine)
    places = to_coarse[:3, :3] @ index + to_coarse[:3, 3:]
    packed = {name: values.astype(np.float16) for name, values in evidence.features.items()}
    return MeasuredHead(
        pair.name,
        pair.group,
        pair.real,
        replace(evidence, features=packed),
        places.astype(np.float32),
        translation.synthetic.array.ravel()[voxels] / task.scale,
        reference.volume.array.ravel()[voxels] / task.scale,
        mask.ravel()[voxels],
    )


def fitted(heads: Sequence[MeasuredHead]) -> tuple[ErrorTable, list[np.ndarray]]:
    """The table of these heads' errors with its factor; and error / half-width at each head's voxels, where the
    half-widths are those of a table and a factor that were made without the head's group."""
    groups = sorted({head.group for head in heads})
    if len(groups) < 2:
        raise InputError(f"{len(groups)} head is too few for a calibration; give at least 2 with different anatomy.")
    without = {group: error_table([head for head in heads if head.group != group]) for group in groups}
    ratios = [head.errors / head.widths(without[head.group]) for head in heads]
    inside = [ratio[head.inside] for head, ratio in zip(heads, ratios, strict=True)]
    factors = {}
    for group in groups:
        others = [k for k, head in enumerate(heads) if head.group != group]
        factors[group] = factor_of([inside[k] for k in others], [heads[k].real for k in others])
    table = replace(error_table(heads), factor=factor_of(inside, [head.real for head in heads]))
    return table, [ratio / factors[head.group] for head, ratio in zip(heads, ratios, strict=True)]


def factor_of(ratios: Sequence[np.ndarray], real: Sequence[bool]) -> float:
    """The factor on half-widths with which COVERAGE of voxels have errors within them.

    ratios: error / half-width of each head's voxels. Heads count alike, and phantoms together as much as real ones.
    """
    share = {kind: 1 / sum(1 for each in real if each == kind) for kind in set(real)}
    weights = np.concatenate([np.full(len(r), share[kind] / len(r)) for r, kind in zip(ratios, real, strict=True)])
    together = np.concatenate(ratios)
    order = np.argsort(together)
    below = np.cumsum(weights[order]) / weights.sum()
    return float(together[order][min(np.searchsorted(below, COVERAGE), len(order) - 1)])


def error_table(heads: Sequence[MeasuredHead]) -> ErrorTable:
    """The quantiles of these heads' errors by the cells of AXES, and the histogram of LOOK; its factor is 1."""
    features = [head.values() for head in heads]
    values = {name: np.concatenate([each[name] for each in features]) for name in {*AXES, *LOOK}}
    errors = np.concatenate([head.errors for head in heads])
    inside = np.concatenate([head.inside for head in heads])
    truth = np.concatenate([head.truth for head in heads])[inside]
    centres = {axis: spread_out(np.quantile(values[axis], LEVELS[axis])) for axis in AXES}
    predicted = centres["predicted"].astype(np.float64)
    low, high = predicted[[0, -1]]
    between = low + (high - low) * np.arange(1, 8) / 8  # values that are rare, such as between air and soft tissue
    centres["predicted"] = spread_out(np.sort(np.concatenate([predicted, between])))
    clueless = np.array([np.quantile(np.abs(truth - value), COVERAGE) for value in centres["predicted"]])

    widths = clueless
    cells = [np.searchsorted((c[1:] + c[:-1]) / 2, values[axis]) for axis, c in centres.items()]
    for known in range(1, len(AXES) + 1):  # from the predicted value alone to all that can be seen
        shape = tuple(len(centres[axis]) for axis in AXES[:known])
        parent = np.repeat(widths[..., None], shape[-1], -1) if known > 1 else clueless
        widths = quantiles(errors, np.ravel_multi_index(cells[:known], shape), parent)
    for axis in (AXES.index("disagreement"), AXES.index("roughness")):
        widths = np.maximum.accumulate(widths, axis=axis)

    edges = {axis: spread_out(np.quantile(values[axis], BORDERS)) for axis in LOOK}
    shape = tuple(len(edges[axis]) + 1 for axis in LOOK)
    counts = np.bincount(np.ravel_multi_index(cells_of(values, edges), shape), minlength=np.prod(shape)).reshape(shape)
    seen = (counts / counts.sum()).astype(np.float32)
    for axis in range(seen.ndim):
        seen = ndimage.convolve1d(seen, [0.15, 0.7, 0.15], axis=axis, mode="nearest")
    return ErrorTable(centres, widths.astype(np.float32), clueless.astype(np.float32), edges, seen)


def quantiles(errors: np.ndarray, cell: np.ndarray, parent: np.ndarray) -> np.ndarray:
    """The COVERAGE quantile of the errors in each cell; a cell with few voxels stays near its parent's.

    errors, cell: (N,), the flat index of each error's cell. parent: the array of cells.
    """
    order = np.argsort(cell, kind="stable")
    cell, errors = cell[order], errors[order]
    starts = np.flatnonzero(np.diff(cell, prepend=-1))
    result = np.log(parent.ravel().astype(np.float64))
    for start, end in zip(starts, [*starts[1:], len(cell)], strict=True):
        n = end - start
        rank = min(n - 1, int(np.ceil(COVERAGE * (n + 1))) - 1)
        width = max(float(np.partition(errors[start:end], rank)[rank]), 1e-4)
        at = cell[start]
        result[at] = (n * np.log(width) + PRIOR * result[at]) / (n + PRIOR)
    return np.exp(result).reshape(parent.shape)


def spread_out(values: np.ndarray) -> np.ndarray:
    """Increasing values as float32, without those that are nearly the one before."""
    least = 1e-3 * (values[-1] - values[0]) + 1e-6
    kept = [values[0]]
    for value in values[1:]:
        if value - kept[-1] > least:
            kept.append(value)
    return np.array(kept if len(kept) > 1 else [kept[0], kept[0] + 1e-3], np.float32)


def calibrated(several: Sequence[MeasuredHead], single: Sequence[MeasuredHead], task: Task) -> Calibration:
    """The calibration that these heads give, translated in all slice directions and in a single one."""
    (table, ratios), (alone, _) = fitted(several), fitted(single)
    coverage, by_tissue = {}, {name: [] for name in SCALES[task.name].tissues}
    for head, ratio in zip(several, ratios, strict=True):
        covered, value = ratio[head.inside] <= 1, head.predicted[head.inside] * task.scale
        coverage[head.name] = share_of(covered)
        for name, (_, rule) in SCALES[task.name].tissues.items():
            by_tissue[name].append(covered[rule(value)])
    report = {
        "coverage": coverage,
        "tissues": {name: share_of(np.concatenate(parts)) for name, parts in by_tissue.items()},
        "half_width": mean_half_width(several, table, task),
        "half_width_single": mean_half_width(single, alone, task),
        "phantoms": len({head.group for head in several if not head.real}),
        "real": len({head.group for head in several if head.real}),
    }
    return Calibration(table, alone, report)


def share_of(covered: np.ndarray) -> float | None:
    """The share of true values, None if there are none at all."""
    return round(float(covered.mean()), 3) if covered.size else None


def mean_half_width(heads: Sequence[MeasuredHead], table: ErrorTable, task: Task) -> float:
    """The mean half-width in the tissue of these heads, in the unit of the task."""
    widths = [table.half_width(head.evidence)[head.evidence.tissue()] for head in heads]
    means = [float(each.mean()) for each in widths if each.size]  # an untrained model may predict nothing but air
    return round(float(np.mean(means)) * task.scale, 4) if means else 0.0


def save(model: str, calibration: Calibration) -> None:
    """Write a calibration next to the model's weights."""
    folder = model_folder(model)
    weights = folder / "model.safetensors"
    tensors = {}
    for name, table in (("several", calibration.several), ("single", calibration.single)):
        arrays = {"widths": table.widths, "clueless": table.clueless, "seen": table.seen}
        arrays |= {f"centres.{axis}": values for axis, values in table.centres.items()}
        arrays |= {f"edges.{axis}": values for axis, values in table.edges.items()}
        tensors |= {f"{name}.{key}": torch.from_numpy(np.ascontiguousarray(values)) for key, values in arrays.items()}
    config = {
        "weights": weights_digest(weights, weights.stat().st_mtime_ns),
        "factors": {"several": calibration.several.factor, "single": calibration.single.factor},
        "report": calibration.report,
    }
    save_tensors(folder / FILE, tensors, config)


def format_reports(reports: dict[str, dict], task: str) -> str:
    """Results of `calibrate` as text."""
    kind, parts = get_task(task), []
    for name, result in reports.items():
        tissues = {k.replace("_", " "): v for k, v in result["tissues"].items()}
        width = 2 + max(map(len, (*result["coverage"], *tissues, "covered, by predicted tissue")))
        lines = [f"{name}: 90 % interval, on average {plus_minus(result['half_width'], kind)} in the head", ""]
        lines += [f"{'covered in a head left out':<{width}}share"]
        lines += [f"{k:<{width}}{v:.3f}" for k, v in result["coverage"].items()]
        lines += ["", f"{'covered, by predicted tissue':<{width}}share"]
        lines += [f"{k:<{width}}{'-' if v is None else f'{v:.3f}'}" for k, v in tissues.items()]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
