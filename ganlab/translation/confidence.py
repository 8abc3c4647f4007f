"""How sure a translation is: the half-width of a 90 % interval at each voxel, in the unit of the result.

What can be seen at a voxel without a reference (`Evidence`, on a grid of about 2 mm) is looked up in a table of the
errors that the model made on heads with a known answer: a quantile of the absolute error given the predicted value, how
far the slice directions disagree, how rough the prediction is around the voxel and how bright the scan. Where the scan
looks like nothing that was calibrated on, the interval widens towards the one of a model that knows nothing. One factor
makes the interval cover 90 % of voxels of heads that the table was not made from: split conformal prediction, which
needs no assumption about the error's distribution (Romano, Patterson and Candes, "Conformalized quantile regression",
NeurIPS 2019), over heads rather than voxels, since voxels of a head are alike. `ganlab.translation.calibrate` makes the
table.

A scan of a T1 alone cannot tell air from dense bone: both are dark. Bone or haze in a dark region that is thicker than
cortical bone therefore gets an interval that reaches air, whatever was calibrated.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import ndimage

from ganlab.checkpoints import load_tensors, model_folder
from ganlab.errors import InputError
from ganlab.imaging.grid import resample
from ganlab.imaging.volume import Volume
from ganlab.translation.tasks import Task

COVERAGE = 0.9  # share of voxels whose truth lies within the interval
FILE = "confidence.safetensors"  # next to model.safetensors
BLOCK_MM = 2.0  # the grid of the evidence, as far as whole voxels of the model's grid allow
AXES = ("predicted", "disagreement", "roughness", "signal")  # of the table of errors
LOOK = ("predicted", "signal", "texture", "surroundings")  # whose joint histogram says what is like the calibration
RARE = 5e-6  # share of a cell of that histogram that makes half of the interval that of a model that knows nothing
DARK, DARK_MM = 0.18, 4.0  # an MR signal below (white matter is 1), and the radius of a dark ball, too thick for cortex
NEITHER = (-0.25, 0.15)  # thousands of HU between which a dark region may be fluid, or fat that was suppressed
REACH = 1.15  # of the way to air: what is left of it at the edge of a blurred cell
UNSURE = 1.5  # times the calibration's mean half-width that deserve a notice
UNLIKE_SHARE = 0.05  # share of the tissue that is unlike the calibration that deserves a notice
TISSUE = 0.2  # of the network's unit above the value of air: tissue


@dataclass(frozen=True)
class Evidence:
    """What is known at each voxel of a coarse grid without a reference; in the network's units.

    affine: of the coarse grid, voxels -> RAS mm. features: (X, Y, Z) float32 each: "predicted"; "disagreement", the
    standard deviation between slice directions (0 for a single one); "roughness" and "texture", the standard deviation
    of prediction and scan within 3 voxels each way; "signal", the scan above air; "surroundings", the same within 8
    mm; "ambiguous", 1 where air and bone look alike. empty: the prediction in air. several: whether all of the model's
    slice directions were used.
    """

    affine: np.ndarray
    features: dict[str, np.ndarray]
    empty: float
    several: bool

    def tissue(self) -> np.ndarray:
        """Where the prediction is more than air."""
        return self.features["predicted"] > self.empty + TISSUE


@dataclass(frozen=True)
class ErrorTable:
    """Errors of a model by what can be seen. centres: of the cells, by axis; widths: (cells of AXES) the quantile of
    the absolute error; clueless: (cells of "predicted") the same if predictions were those of random voxels; edges and
    seen: the histogram of LOOK, as shares of voxels; factor: of the conformal step."""

    centres: dict[str, np.ndarray]
    widths: np.ndarray
    clueless: np.ndarray
    edges: dict[str, np.ndarray]
    seen: np.ndarray
    factor: float = 1.0

    def half_width(self, evidence: Evidence) -> np.ndarray:
        """(X, Y, Z) half-widths, float32, in the network's unit."""
        features = {name: np.asarray(values, np.float32) for name, values in evidence.features.items()}
        result = np.full(features["predicted"].shape, self.least, np.float32)
        busy = (features["predicted"] > evidence.empty + 0.02) | (features["signal"] > 0.02)
        values = {name: array[busy] for name, array in features.items()}
        widths = self.at(values) * np.float32(self.factor)
        reach = REACH * (values["predicted"] - evidence.empty) * values["ambiguous"]
        result[busy] = np.maximum(widths, reach)
        return result

    @property
    def least(self) -> float:
        """The half-width in air far from the head."""
        return float(self.widths.min() * self.factor)

    def at(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """The half-width before the conformal step, for features (N,) each."""
        places = [np.interp(values[axis], self.centres[axis], np.arange(len(self.centres[axis]))) for axis in AXES]
        widths = ndimage.map_coordinates(self.widths, np.stack(places), order=1, mode="nearest", prefilter=False)
        clueless = np.interp(values["predicted"], self.centres["predicted"], self.clueless)
        return widths + self.unlike(values) * np.maximum(0, clueless - widths)

    def unlike(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """How unlike the calibration the scan looks at voxels, 0 (often seen) to 1 (never)."""
        return RARE / (RARE + self.seen[tuple(cells_of(values, self.edges))])


@dataclass(frozen=True)
class Calibration:
    """The tables of a model. several, single: with all slice directions of the model, and with one. report: what it was
    calibrated on and what it covers there, see `ganlab.translation.calibrate`."""

    several: ErrorTable
    single: ErrorTable
    report: dict

    def table(self, evidence: Evidence) -> ErrorTable:
        return self.several if evidence.several else self.single

    @property
    def heads(self) -> str:
        """What it was calibrated on, in words."""
        phantoms, real = self.report["phantoms"], self.report["real"]
        words = f"{phantoms} phantom patients"
        return f"{words} and {real} real CT head{'s' if real > 1 else ''}" if real else f"{words}, no real head"


def cells_of(values: dict[str, np.ndarray], edges: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The cell of each voxel along each axis of a histogram."""
    return [np.searchsorted(edges[axis], values[axis]) for axis in edges]


def evidence_of(
    source: np.ndarray, predicted: np.ndarray, spread: np.ndarray | None, affine: np.ndarray, task: Task, air: float
) -> Evidence:
    """The evidence of a prediction on the model's grid.

    source, predicted: (X, Y, Z) in the network's units. spread: the standard deviation between the slice directions;
    None unless all of the model's were used. affine: of the grid. air: its value in the source.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    n = max(1, round(BLOCK_MM / float(spacing.max())))
    near, mm = 3, n * float(spacing.max())
    signal, value = block_means(source, n) - air, block_means(predicted, n)
    squared = block_means(np.square(predicted), n)
    around, mean = ndimage.uniform_filter(signal, near), ndimage.uniform_filter(value, near)
    features = {
        "predicted": value,
        "disagreement": block_means(spread, n) if spread is not None else np.zeros_like(value),
        "roughness": np.sqrt(np.maximum(ndimage.uniform_filter(squared, near) - mean**2, 0)),
        "signal": signal,
        "texture": np.sqrt(np.maximum(ndimage.uniform_filter(signal**2, near) - around**2, 0)),
        "surroundings": ndimage.uniform_filter(around, max(1, round(12.0 / mm))),
        "ambiguous": np.zeros_like(value),
    }
    if task.target == "ct":
        odd = (value < NEITHER[0]) | (value > NEITHER[1])
        features["ambiguous"] = (thick_dark(signal, mm) & odd).astype(np.float32)
    coarse = affine.copy()
    coarse[:3, :3] *= n
    coarse[:3, 3] = (affine @ [*[(n - 1) / 2] * 3, 1])[:3]
    return Evidence(coarse, features, task.empty / task.scale, spread is not None)


def thick_dark(signal: np.ndarray, mm: float) -> np.ndarray:
    """Where a dark ball of DARK_MM fits: sinuses, air cells and the outside, but no cortical bone. mm: the voxels."""
    radius = max(1, int(DARK_MM / mm))
    ball = np.sum(np.square(np.indices([2 * radius + 1] * 3) - radius), axis=0) <= radius**2
    dark = np.pad(signal < DARK, radius, constant_values=True)
    opened = ndimage.binary_opening(dark, ball)
    return opened[tuple(slice(radius, -radius) for _ in range(3))]


def block_means(array: np.ndarray, n: int) -> np.ndarray:
    """Means of blocks of n x n x n voxels; the last ones repeat the edge."""
    if n == 1:
        return np.ascontiguousarray(array, np.float32)
    for axis in range(3):
        array = np.moveaxis(array, axis, 0)
        if rest := -len(array) % n:
            array = np.concatenate([array, np.repeat(array[-1:], rest, 0)])
        array = np.moveaxis(sum(array[k::n] for k in range(n)) / np.float32(n), 0, axis)
    return np.ascontiguousarray(array, np.float32)


def confidence_of(model: str, evidence: Evidence, like: Volume, task: Task) -> tuple[Volume | None, tuple[str, ...]]:
    """The half-width of a 90 % interval on the grid of a volume, in the unit of the task; None if the model is not
    calibrated; and notices."""
    calibration, notices = load_calibration(model)
    if calibration is None:
        return None, notices
    table = calibration.table(evidence)
    widths = Volume(table.half_width(evidence) * np.float32(task.scale), evidence.affine)
    moved = resample(widths, like.affine, like.shape, fill=table.least * task.scale)
    kept = {"unit": like.unit, "origin": like.origin, "model": like.model}
    return replace(moved, modality="confidence", **kept), doubts(calibration, evidence, task)


def doubts(calibration: Calibration, evidence: Evidence, task: Task) -> tuple[str, ...]:
    """Notices about a scan in which much is unsure, or much unlike the calibration."""
    table, tissue = calibration.table(evidence), evidence.tissue()
    if not tissue.any():
        return ()
    notices = []
    inside = {name: np.asarray(values, np.float32)[tissue] for name, values in evidence.features.items()}
    usual = calibration.report["half_width" if evidence.several else "half_width_single"]
    mean = float(table.half_width(evidence)[tissue].mean()) * task.scale
    if mean > UNSURE * usual:
        notices.append(
            f"Unsure: the 90 % interval is {plus_minus(mean, task)} on average in the head, against "
            f"{plus_minus(usual, task)} on the heads that it was calibrated on."
        )
    share = float(np.mean(table.unlike(inside) > 0.5))
    if share > UNLIKE_SHARE:
        notices.append(f"{share:.0%} of the head looks unlike every head that the confidence was calibrated on.")
    return tuple(notices)


def plus_minus(value: float, task: Task) -> str:
    """A half-width with its unit: "\u00b150 HU"."""
    text = f"{value:.0f} HU" if task.target == "ct" else f"{value:.2f}{' FA' if task.target == 'fa' else ''}"
    return f"\N{PLUS-MINUS SIGN}{text}"


def confident_figures(confidence: Volume | None, error: np.ndarray, mask: np.ndarray) -> dict[str, dict]:
    """What a confidence is worth where there is a reference: {"confidence": figures}; nothing without a confidence.

    error: prediction - reference, on its grid; mask: where it is measured. Figures: coverage (the share of voxels whose
    error is within the half-width), half_width (its mean), limit (the half-width of the least sure of the confident
    90 % of voxels), mae_confident (of these) and mae_rest (of the others).
    """
    if confidence is None:
        return {}
    widths, errors = confidence.array[mask], np.abs(error[mask])
    limit = float(np.quantile(widths, COVERAGE))
    sure = widths <= limit
    figures = {
        "coverage": float(np.mean(errors <= widths)),
        "half_width": float(widths.mean()),
        "limit": limit,
        "mae_confident": float(errors[sure].mean()),
        "mae_rest": float(errors[~sure].mean()) if not sure.all() else None,
    }
    return {"confidence": figures}


def interval_summary(model: str, evidence: Evidence, task: Task) -> dict | None:
    """{"half_width": mean in the tissue, "covered": the shares of voxels covered in heads left out of the calibration,
    [least, largest], "heads": what it was calibrated on}; None for a model that is not calibrated."""
    calibration, _ = load_calibration(model)
    if calibration is None:
        return None
    widths = calibration.table(evidence).half_width(evidence)[evidence.tissue()]
    covered = calibration.report["coverage"].values()
    return {
        "half_width": float(widths.mean()) * task.scale if widths.size else 0.0,
        "covered": [min(covered), max(covered)],
        "heads": calibration.heads,
    }


def load_calibration(name: str) -> tuple[Calibration | None, tuple[str, ...]]:
    """The calibration of a model, and a notice if there is none, or if it was made for other weights."""
    folder = model_folder(name)
    path = folder / FILE
    remedy = f"run `ganlab calibrate {name}`"
    if not path.is_file():
        return None, (
            f"The model {Path(name).name} has no calibrated confidence, only the disagreement of slice directions; "
            f"{remedy}.",
        )
    weights = folder / "model.safetensors"
    calibration, made_for = _load(path, path.stat().st_mtime_ns)
    if made_for != weights_digest(weights, weights.stat().st_mtime_ns):
        return None, (f"The confidence of {Path(name).name} was calibrated for other weights; {remedy} again.",)
    return calibration, ()


def check_calibrated(name: str) -> None:
    """Raise InputError if a model has no calibrated confidence."""
    calibration, notices = load_calibration(name)
    if calibration is None:
        raise InputError(notices[0])


@lru_cache(maxsize=16)
def weights_digest(path: Path, modified: int) -> str:
    """SHA-256 of a file. modified: its time stamp, so that a changed file is read again."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=4)
def _load(path: Path, modified: int) -> tuple[Calibration, str]:
    """The calibration in a file, and the digest of the weights that it is for."""
    tensors, config = load_tensors(path)
    try:
        tables = [_table(tensors, config, name) for name in ("several", "single")]
        return Calibration(*tables, config["report"]), config["weights"]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f'"{path}" is not a calibration of this version; make it with `ganlab calibrate`.') from error


def _table(tensors: dict, config: dict, name: str) -> ErrorTable:
    arrays = {key.removeprefix(f"{name}."): t.numpy() for key, t in tensors.items() if key.startswith(f"{name}.")}
    centres = {axis: arrays[f"centres.{axis}"] for axis in AXES}
    edges = {axis: arrays[f"edges.{axis}"] for axis in LOOK}
    widths, seen = arrays["widths"], arrays["seen"]
    if widths.shape != tuple(len(centres[axis]) for axis in AXES) or arrays["clueless"].shape != widths.shape[:1]:
        raise ValueError("the table does not fit its axes")
    if seen.shape != tuple(len(edges[axis]) + 1 for axis in LOOK):
        raise ValueError("the histogram does not fit its edges")
    return ErrorTable(centres, widths, arrays["clueless"], edges, seen, float(config["factors"][name]))
