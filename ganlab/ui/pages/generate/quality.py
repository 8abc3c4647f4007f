"""The sub-tab "How good?" of the Generate page: the generators' quality measures, from their cards."""

from __future__ import annotations

from html import escape

import gradio as gr

from ganlab.checkpoints import list_models
from ganlab.generation.shipped import TASK
from ganlab.ui import experiment_results
from ganlab.ui.components import data_table
from ganlab.ui.pages.generate import nodule_histograms

ROWS = {  # key -> title, decimals, which value is better
    "fid": ("Fréchet distance", 2, "lower"),
    "kid": ("KID", 3, "lower"),
    "precision": ("Precision", 2, "higher"),
    "recall": ("Recall", 2, "higher"),
    "density": ("Density", 2, "higher"),
    "coverage": ("Coverage", 2, "higher"),
    "ms_ssim": ("MS-SSIM within a class", 2, "as real"),
    "ratio": ("Distance to the training set, relative to held-out images", 2, "1: no copies"),
    "synthetic_on_real": ("Accuracy on real images of a classifier trained on generated ones", 2, "higher"),
    "real_on_synthetic": ("Accuracy on generated images of a classifier trained on real ones", 2, "as real"),
    "diameter_mm": ("Diameter, Kolmogorov-Smirnov", 2, "lower"),
    "roundness": ("Roundness, Kolmogorov-Smirnov", 2, "lower"),
    "mean_hu": ("Mean HU, Kolmogorov-Smirnov", 2, "lower"),
}
EXPLANATION = """ **How good is a generator?** Precision is the share of its images that could be real, recall the share
of real images that it could generate: when a mode is lost, recall falls and precision does not ([Kynkäänniemi et al.
2019](https://arxiv.org/abs/1904.06991)). Fréchet distance and KID combine both ([Heusel et al.
2017](https://arxiv.org/abs/1706.08500), [Bińkowski et al. 2018](https://arxiv.org/abs/1801.01401)). They use the
features of a small network that was trained on these images: **they are not comparable with published values, which use
Inception**, and compare generators of one kind of images only. MS-SSIM of pairs within a class shows how similar images
are. Beside each value is the score of other real images, which a perfect generator would roughly reach. If a classifier
trained on synthetic images is as good on real ones as a classifier trained on real images, the synthetic classes are
right; conversely, a classifier trained on real images shows how often an image belongs to the requested class.
"""


def build() -> None:
    """Add the sub-tab to the Blocks."""
    with gr.Column(elem_classes="gl-result"):
        cards = list_models(TASK)
        gr.HTML(quality_table(cards), elem_id="quality", apply_default_css=False)
        gr.HTML(
            "<pre class='gl-commands'>python -m ganlab evaluate-generator --model dcgan-digits --write-card</pre>",
            apply_default_css=False,
        )
        gr.Markdown(EXPLANATION, elem_id="quality-explanation")
        gr.HTML(nodule_histograms.sections(cards), elem_id="distributions", apply_default_css=False)
        for result in experiment_results.available(experiment_results.GENERATE):
            experiment_results.build(result)


def quality_table(cards: list[dict]) -> str:
    """A row per measure, two columns per generator: its value and that of other real images."""
    measured = [card for card in cards if card["metrics"]]
    if not measured:
        return "<p class='gl-note'>Nothing has been measured yet: python -m ganlab evaluate-generator --write-card</p>"
    heads = "".join(
        f"<th scope='colgroup' colspan='2'>{escape(card['summary'])}<small>{escape(card['name'])}</small></th>"
        for card in measured
    )
    sides = "<th scope='col'>generated</th><th scope='col'>real</th>" * len(measured)
    rows = []
    for key, (title, digits, better) in ROWS.items():
        values = [value for card in measured for value in values_of(card["metrics"], key)]
        cells = "".join(f"<td>{format_value(value, digits)}</td>" for value in values)
        if any(value is not None for value in values):
            rows.append(f"<tr><th scope='row'>{title} <small>{better}</small></th>{cells}</tr>")
    head = f"<tr><th scope='col' rowspan='2'>Measure</th>{heads}</tr><tr>{sides}</tr>"
    return data_table("Against held-out images", head, "".join(rows))


def values_of(metrics: dict, key: str) -> tuple[float | None, float | None]:
    """A measure of ROWS for generated images and for other real ones; None if it was not measured."""
    accuracy = metrics["classifier"] or {}
    if key == "ratio":
        return metrics["memorisation"]["ratio"], 1.0
    if key in ("synthetic_on_real", "real_on_synthetic"):
        return accuracy.get(key), accuracy.get("real_on_real")
    generated, real = (
        side[key] if key in side else side.get("measures", {}).get(key, {}).get("ks")
        for side in (metrics["generated"], metrics["real"])
    )
    return generated, real


def format_value(value: float | None, digits: int) -> str:
    return "\u2013" if value is None else f"{value:.{digits}f}".replace("-", "\u2212")
