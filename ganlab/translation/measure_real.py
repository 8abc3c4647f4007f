"""Measuring models on real heads: what their CTs must have, without a CT of the same person.

Where a head comes with its own CT, the errors against it are measured as well. Real CTs without an MR are measured like
synthetic ones, for comparison.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.grid import model_grid, resample
from ganlab.imaging.head_figures import bone_shares, grid_pattern, step_ratio, vault
from ganlab.imaging.reading.files import read_volume
from ganlab.imaging.volume import Volume
from ganlab.translation.compare import Reference, measure, prepare_reference, register_reference
from ganlab.translation.head_atlas import AIR_SPACES, HeadAtlas, atlas_of
from ganlab.translation.inference import translate
from ganlab.translation.real_heads import RealHead
from ganlab.translation.tasks import get_task

SPACING = 1.0  # mm
INVENTED_HU = 100.0  # nothing in the brain is denser, but for calcified falx and pineal body
HAZE_HU = -950.0


@dataclass(frozen=True)
class Figure:
    """A row of the tables. low, high: what a real head has, None where there is no bound."""

    title: str
    unit: str = ""
    decimals: int = 0
    low: float | None = None
    high: float | None = None


FIGURES = {
    "bone_share": Figure("bone, of the head", "%", 1, 15, 24),
    "dense_share": Figure("above 1,200 HU, of the head", "%", 2, 2, 6),
    "vault_mm": Figure("thickness of the vault", "mm", 1, 6, 10),
    "vault_closed": Figure("closed part of the vault", "%", 1, 99, None),
    "outside_median": Figure("air outside, median", "HU", 0, None, -950),
    "outside_p95": Figure("air outside, 95th percentile", "HU", 0, None, -950),
    "outside_haze": Figure("air outside above -950 HU", "%", 2, None, 1),
    "brain_hu": Figure("brain, median", "HU", 0, 15, 50),
    "brain_max": Figure("brain, largest value", "HU", 0, None, INVENTED_HU),
    "brain_bone_ml": Figure("brain above 100 HU", "ml", 2, None, 0.05),
    **{name.replace(" ", "_"): Figure(name, "HU", 0, None, -300) for name in AIR_SPACES},
    "grid_ratio": Figure("pattern of patches, ratio", "", 1),
    "grid_hu": Figure("pattern of patches, amplitude", "HU", 1, None, 1),
    "flicker": Figure("step between slices, largest direction", "", 2, None, 1.5),
    "mae": Figure("MAE against the person's CT", "HU", 1),
    "air": Figure("MAE in air", "HU", 1),
    "soft": Figure("MAE in soft tissue", "HU", 1),
    "bone": Figure("MAE in bone", "HU", 1),
    "dice_bone": Figure("bone Dice", "", 3),
}


def measure_on_heads(
    models: Sequence[str],
    heads: Sequence[RealHead],
    planes: Sequence[str] | None = None,
    device: str = "auto",
    progress: Callable[[float], None] | None = None,
    seen: Callable[[str, RealHead, Volume, Volume], object] | None = None,
) -> dict:
    """Translate every T1 head with every model of mr2ct and measure the results.

    Returns {"models": {model: {head: figures}}, "skipped": {head: reason}}; figures as in FIGURES, without those that
    are undefined for a head. Everything is measured on the models' grid, 1 mm. planes: see `translate`. seen(model,
    head, t1, ct) is called with every result. A head that the models cannot take is skipped. Raises InputError if that
    leaves none.
    """
    results: dict = {"models": {model: {} for model in models}, "skipped": {}}
    for k, head in enumerate(heads):
        try:
            t1 = on_model_grid(read_volume(head.path, modality="t1"))
            atlas = atlas_of(t1)
            reference = _registered(head.reference, t1) if head.reference else None
            for j, model in enumerate(models):
                ct = translate(t1, "mr2ct", model, device, planes).synthetic
                figures = figures_of_head(ct, atlas)
                if reference:
                    figures |= _errors(reference, ct)
                results["models"][model][head.name] = figures
                if seen:
                    seen(model, head, t1, ct)
                if progress:
                    progress((k + (j + 1) / len(models)) / len(heads))
        except InputError as error:
            results["skipped"][head.name] = str(error)
    if not any(results["models"].values()):
        reasons = "; ".join(f"{name}: {reason}" for name, reason in results["skipped"].items())
        raise InputError(f"No head could be measured ({reasons or 'none was given'}); give T1 scans of whole heads.")
    return results


def on_model_grid(volume: Volume) -> Volume:
    """A volume on the RAS grid of 1 mm that models translate on; its own values if it has such a grid."""
    return resample(volume, *model_grid(volume, SPACING))


def figures_of_head(ct: Volume, atlas: HeadAtlas) -> dict[str, float]:
    """The figures of a CT on the grid of the scan that the atlas was made of."""
    bone, dense = bone_shares(ct.array, atlas.head)
    thickness, closed = vault(ct, atlas.centre, atlas.up)
    ratio, amplitude = grid_pattern(ct, atlas.centre)
    figures = {
        "bone_share": 100 * bone,
        "dense_share": 100 * dense,
        "vault_mm": thickness,
        "vault_closed": 100 * closed,
    }
    around, brain = ct.array[atlas.outside], ct.array[atlas.soft_brain]
    if around.size:
        figures |= {
            "outside_median": np.median(around),
            "outside_p95": np.percentile(around, 95),
            "outside_haze": 100 * (around > HAZE_HU).mean(),
        }
    if brain.size:
        litres = np.prod(ct.spacing) / 1e3  # ml of a voxel
        figures |= {
            "brain_hu": np.median(brain),
            "brain_max": brain.max(),
            "brain_bone_ml": (brain > INVENTED_HU).sum() * litres,
            "flicker": step_ratio(ct.array, atlas.brain),
        }
    figures |= {name.replace(" ", "_"): np.median(ct.array[air]) for name, air in atlas.air.items()}
    figures |= {"grid_ratio": ratio, "grid_hu": amplitude}
    return {key: round(float(figures[key]), 4) for key in FIGURES if math.isfinite(figures.get(key, math.nan))}


def _registered(path: Path, t1: Volume) -> Reference:
    """The person's own CT, registered rigidly to the T1."""
    ct = register_reference(read_volume(path, modality="ct"), t1, get_task("mr2ct"))
    return prepare_reference(ct, "mr2ct")


def _errors(reference: Reference, ct: Volume) -> dict[str, float]:
    metrics = measure(reference, ct).metrics
    errors = {"mae": metrics["mae"], "dice_bone": metrics["dice"]["bone"]}
    errors |= {tissue: each["mae"] for tissue, each in metrics["tissues"].items()}
    return {key: round(float(value), 4) for key, value in errors.items() if value is not None}


def failures(figures: dict[str, float]) -> list[str]:
    """The figures that no real head has, as sentences without a full stop."""
    return [
        f"{FIGURES[key].title} {_shown(key, value)}, expected {_expected(key)}"
        for key, value in figures.items()
        if not _within(key, value)
    ]


def format_heads(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """A Markdown table of {model: {head: figures}}: a row for each figure, a column for each model and head; what no
    real head has is bold."""
    columns = [(model, head) for model, heads in results.items() for head in heads]
    several = len({head for _, head in columns}) > 1
    names = [f"{model}, {head}" if several else model for model, head in columns]
    rows = [" | ".join(["figure", "real heads", *names]), "---" + "|---" * (len(columns) + 1)]
    for key, figure in FIGURES.items():
        values = [results[model][head].get(key) for model, head in columns]
        if all(value is None for value in values):
            continue
        cells = ["-" if v is None else _shown(key, v) if _within(key, v) else f"**{_shown(key, v)}**" for v in values]
        title = f"{figure.title} ({figure.unit})" if figure.unit else figure.title
        rows.append(" | ".join([title, _expected(key), *cells]))
    return "\n".join(f"| {row} |" if k != 1 else f"|{row}|" for k, row in enumerate(rows))


def _within(key: str, value: float) -> bool:
    low, high = FIGURES[key].low, FIGURES[key].high
    return (low is None or value >= low) and (high is None or value <= high)


def _shown(key: str, value: float) -> str:
    return f"{value:.{FIGURES[key].decimals}f}"


def _expected(key: str) -> str:
    low, high = FIGURES[key].low, FIGURES[key].high
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    return f"below {high:g}" if high is not None else f"above {low:g}" if low is not None else ""
