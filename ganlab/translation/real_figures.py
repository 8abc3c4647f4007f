"""Figures of synthetic CTs and T1s of real heads, what real heads have, and tables of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ganlab.imaging.head_figures import bone_shares, grid_pattern, step_ratio, vault
from ganlab.imaging.metrics import dice
from ganlab.imaging.volume import Volume
from ganlab.translation.head_atlas import AIR_SPACES, CtAtlas, HeadAtlas

INVENTED_HU = 100.0  # nothing in the brain is denser, but for calcified falx and pineal body
HAZE_HU = -950.0
SIGNAL, DENSE_HU, DARK = 0.1, 1000.0, 0.4  # of synthetic T1s: what is not air; bone without signal; fluid
TISSUES = {  # name, and the HU of the CT, from and to
    "air": ("air", -np.inf, -200.0),
    "fat": ("fat", -200.0, -20.0),
    "soft": ("soft tissue", -20.0, 250.0),
    "bone": ("bone", 250.0, np.inf),
}


@dataclass(frozen=True)
class HeadFigure:
    """A row of the tables. low, high: what a real head has, None where there is no bound."""

    title: str
    unit: str = ""
    decimals: int = 0
    low: float | None = None
    high: float | None = None

    @property
    def expected(self) -> str:
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        return (
            f"below {self.high:g}" if self.high is not None else f"above {self.low:g}" if self.low is not None else ""
        )

    def holds(self, value: float) -> bool:
        """Whether a real head may have this value."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def shown(self, value: float) -> str:
        return f"{value:.{self.decimals}f}"

    def cell(self, value: float | None) -> str:
        """In a table: bold if no real head has it."""
        if value is None:
            return "-"
        return self.shown(value) if self.holds(value) else f"**{self.shown(value)}**"


MR2CT = {
    "bone_share": HeadFigure("bone, of the head", "%", 1, 15, 24),
    "dense_share": HeadFigure("above 1,200 HU, of the head", "%", 2, 2, 6),
    "cranium_bone": HeadFigure("bone, of the head above the foramen magnum", "%", 1, 15, 24),
    "cranium_dense": HeadFigure("above 1,200 HU, of the same", "%", 2, 2, 8),
    "vault_mm": HeadFigure("thickness of the vault", "mm", 1, 6, 10),
    "vault_closed": HeadFigure("closed part of the vault", "%", 1, 99, None),
    "outside_median": HeadFigure("air outside, median", "HU", 0, None, -950),
    "outside_p95": HeadFigure("air outside, 95th percentile", "HU", 0, None, -950),
    "outside_haze": HeadFigure("air outside above -950 HU", "%", 2, None, 1),
    "brain_hu": HeadFigure("brain, median", "HU", 0, 15, 50),
    "brain_max": HeadFigure("brain, largest value", "HU", 0, None, INVENTED_HU),
    "brain_bone_ml": HeadFigure("brain above 100 HU", "ml", 2, None, 0.05),
    **{name.replace(" ", "_"): HeadFigure(name, "HU", 0, None, -300) for name in AIR_SPACES},
    "grid_ratio": HeadFigure("pattern of patches, ratio", "", 1),
    "grid_hu": HeadFigure("pattern of patches, amplitude", "HU", 1, None, 1),
    "flicker": HeadFigure("step between slices, largest direction", "", 2, None, 1.5),
    "mae": HeadFigure("MAE against the head's CT", "HU", 1),
    **{tissue: HeadFigure(f"MAE in {name}", "HU", 1) for tissue, (name, *_) in TISSUES.items()},
    "dice_bone": HeadFigure("bone Dice", "", 3),
}
CT2MR = {
    "signal_outside": HeadFigure("outside brighter than a tenth of white matter", "%", 2, None, 0.5),
    "dense_bone": HeadFigure("bone above 1,000 HU, median", "of white matter", 2, None, 0.3),
    "white_matter": HeadFigure("brain, 95th percentile", "of white matter", 2, 0.85, 1.2),
    "dark_brain": HeadFigure("brain darker than 0.4 of white matter", "%", 1),
    "grid_ratio": HeadFigure("pattern of patches, ratio", "", 1),
    "grid_level": HeadFigure("pattern of patches, amplitude", "of white matter", 3, None, 0.01),
    "flicker": HeadFigure("step between slices, largest direction", "", 2, None, 1.5),
}
# Wide bounds of our own, to find what no adult has. For the regions see the JHU atlas (Mori et al., NeuroImage 40:570,
# 2008), for their FA by age and sex Hsu et al., NeuroImage 39:566, 2008, and Lebel et al., NeuroImage 60:340, 2012.
T1FA = {
    "genu": HeadFigure("genu of the corpus callosum", "FA", 2, 0.5, 0.95),
    "splenium": HeadFigure("splenium of the corpus callosum", "FA", 2, 0.55, 0.95),
    "capsule": HeadFigure("internal capsule, posterior limb", "FA", 2, 0.5, 0.85),
    "putamen": HeadFigure("putamen", "FA", 2, 0.08, 0.3),
    "ventricles": HeadFigure("lateral ventricles", "FA", 2, None, 0.2),
    "brain_fa": HeadFigure("brain, mean", "FA", 3, 0.15, 0.35),
    "around": HeadFigure("head around the brain above 0.1", "%", 2, None, 0.5),
    "outside": HeadFigure("air outside above 0.05", "%", 2, None, 0.1),
    "grid_ratio": HeadFigure("pattern of patches, ratio", "", 1),
    "grid_level": HeadFigure("pattern of patches, amplitude", "FA", 3, None, 0.01),
    "flicker": HeadFigure("step between slices, largest direction", "", 2, None, 1.5),
}
FA_PERCENTILES = {"genu": 75, "splenium": 75, "capsule": 75, "putamen": 50, "ventricles": 50}
FIGURES = {"mr2ct": MR2CT, "ct2mr": CT2MR, "t1fa": T1FA}


def figures_of_head(ct: Volume, atlas: HeadAtlas) -> dict[str, float]:
    """The figures of a CT on the grid of the scan that the atlas was made of."""
    bone, dense = bone_shares(ct.array, atlas.head)
    cranium_bone, cranium_dense = bone_shares(ct.array, atlas.cranium)
    thickness, closed = vault(ct, atlas.centre, atlas.up)
    ratio, amplitude = grid_pattern(ct, atlas.centre)
    figures = {
        "bone_share": 100 * bone,
        "dense_share": 100 * dense,
        "cranium_bone": 100 * cranium_bone,
        "cranium_dense": 100 * cranium_dense,
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
    return _rounded(figures, MR2CT)


def errors_of_head(ct: Volume, reference: Volume, inside: np.ndarray) -> dict[str, float]:
    """MAE in HU of a CT against a reference on the same grid, in a boolean mask: whole, and for TISSUES by the
    reference; and the Dice overlap of their bone (above 250 HU)."""
    made, true = ct.array[inside], reference.array[inside]
    error, bone = np.abs(made - true), TISSUES["bone"][1]
    errors = {"mae": error.mean(), "dice_bone": dice(made > bone, true > bone)}
    for tissue, (_, low, high) in TISSUES.items():
        there = (true > low) & (true <= high)
        errors[tissue] = error[there].mean() if there.any() else math.nan
    return _rounded(errors, MR2CT)


def figures_of_t1(t1: Volume, ct: Volume, atlas: CtAtlas) -> dict[str, float]:
    """The figures of a synthetic T1, white matter at 1, of a CT on the same grid."""
    ratio, amplitude = grid_pattern(t1, atlas.centre)
    figures = {"grid_ratio": ratio, "grid_level": amplitude}
    around, dense, brain = (t1.array[at] for at in (atlas.outside, atlas.head & (ct.array > DENSE_HU), atlas.brain))
    if around.size:
        figures["signal_outside"] = 100 * (around > SIGNAL).mean()
    if dense.size:
        figures["dense_bone"] = np.median(dense)
    if brain.size:
        figures |= {"white_matter": np.percentile(brain, 95), "dark_brain": 100 * (brain < DARK).mean()}
        figures["flicker"] = step_ratio(t1.array, atlas.brain)
    return _rounded(figures, CT2MR)


def figures_of_fa(fa: Volume, atlas: HeadAtlas) -> dict[str, float]:
    """The figures of a synthetic FA map on the grid of the T1 that the atlas was made of. Places have their median,
    tracts their upper quartile: they are small, and the atlas may be some mm off."""
    ratio, amplitude = grid_pattern(fa, atlas.centre)
    figures = {"grid_ratio": ratio, "grid_level": amplitude}
    for key, percentile in FA_PERCENTILES.items():
        if T1FA[key].title in atlas.places:
            figures[key] = np.percentile(fa.array[atlas.places[T1FA[key].title]], percentile)
    around, outside = fa.array[atlas.around_brain], fa.array[atlas.outside]
    if around.size:
        figures["around"] = 100 * (around > 0.1).mean()
    if outside.size:
        figures["outside"] = 100 * (outside > 0.05).mean()
    if atlas.brain.any():
        figures |= {"brain_fa": fa.array[atlas.brain].mean(), "flicker": step_ratio(fa.array, atlas.brain)}
    return _rounded(figures, T1FA)


def _rounded(figures: dict, known: dict[str, HeadFigure]) -> dict[str, float]:
    """The known figures that are defined, in order."""
    return {key: round(float(figures[key]), 4) for key in known if math.isfinite(figures.get(key, math.nan))}


def failures(figures: dict[str, float], task: str = "mr2ct") -> list[str]:
    """The figures that no real head has, as sentences without a full stop."""
    known = FIGURES[task]
    return [
        f"{known[key].title} {known[key].shown(value)}, expected {known[key].expected}"
        for key, value in figures.items()
        if not known[key].holds(value)
    ]


def format_heads(results: dict[str, dict[str, dict[str, float]]], task: str = "mr2ct") -> str:
    """A Markdown table of {model: {head: figures}}: a row for each figure, a column for each model and head; what no
    real head has is bold."""
    columns = [(model, head) for model, heads in results.items() for head in heads]
    several = len({head for _, head in columns}) > 1
    names = [f"{model}, {head}" if several else model for model, head in columns]
    rows = [["figure", "real heads", *names]]
    for key, figure in FIGURES[task].items():
        values = [results[model][head].get(key) for model, head in columns]
        if any(value is not None for value in values):
            title = f"{figure.title} ({figure.unit})" if figure.unit else figure.title
            rows.append([title, figure.expected, *map(figure.cell, values)])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * (len(columns) + 2) + "|", *lines[1:]])
