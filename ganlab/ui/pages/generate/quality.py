"""The room How good? of the Generate page: what was measured of the generators, from their cards."""

from __future__ import annotations

from html import escape

import gradio as gr

from ganlab.checkpoints import list_models
from ganlab.ui import experiment_results as findings
from ganlab.ui.components import data_table
from ganlab.ui.pages.generate import nodule_histograms as distributions

ROWS = {  # key -> words, decimals, and which way is better
    "fid": ("Fréchet distance", 2, "lower"),
    "kid": ("KID", 3, "lower"),
    "precision": ("Precision", 2, "higher"),
    "recall": ("Recall", 2, "higher"),
    "density": ("Density", 2, "higher"),
    "coverage": ("Coverage", 2, "higher"),
    "ms_ssim": ("MS-SSIM within a class", 2, "as real"),
    "ratio": ("Distance to the training set, over that of held-out images", 2, "1: no copies"),
    "synthetic_on_real": ("Classifier trained on these, accuracy on held-out images", 2, "higher"),
    "real_on_synthetic": ("Classifier trained on real images, accuracy on these", 2, "as real"),
    "diameter_mm": ("Diameter, Kolmogorov-Smirnov", 2, "lower"),
    "roundness": ("Roundness, Kolmogorov-Smirnov", 2, "lower"),
    "mean_hu": ("Mean HU, Kolmogorov-Smirnov", 2, "lower"),
}
WORDS = """
**How good is a generator?** Precision: the share of its images that could be real. Recall: the share of real images
that it could make; where a mode is lost, recall falls and precision does not
([Kynkäänniemi et al. 2019](https://arxiv.org/abs/1904.06991)). Fréchet distance and KID weigh both at once
([Heusel et al. 2017](https://arxiv.org/abs/1706.08500), [Bińkowski et al. 2018](https://arxiv.org/abs/1801.01401)),
here on features of a small network trained on these images: **they are not Inception's numbers**, and compare
generators of one kind of images only. MS-SSIM of pairs of one class says how alike its images are. Beside each number
stands what other real images score, which is about what a perfect generator would. If a classifier that saw synthetic
images only is as good on real ones as one that saw real images, the classes are in them; the other way round, one that
saw real images says how often an image is of the class that was asked for.
"""


def table(cards: list[dict]) -> str:
    """Rows of measures, two columns a generator: its own and that of other real images."""
    measured = [card for card in cards if card["metrics"]]
    if not measured:
        return "<p class='gl-note'>Nothing was measured yet: python -m ganlab evaluate-generator --write-card</p>"
    heads = "".join(
        f"<th scope='colgroup' colspan='2'>{escape(card['summary'])}<small>{escape(card['name'])}</small></th>"
        for card in measured
    )
    sides = "<th scope='col'>generated</th><th scope='col'>real</th>" * len(measured)
    rows = []
    for key, (words, digits, better) in ROWS.items():
        values = [value for card in measured for value in pair(card["metrics"], key)]
        cells = "".join(f"<td>{shown(value, digits)}</td>" for value in values)
        if any(value is not None for value in values):
            rows.append(f"<tr><th scope='row'>{words} <small>{better}</small></th>{cells}</tr>")
    head = f"<tr><th scope='col' rowspan='2'>Measure</th>{heads}</tr><tr>{sides}</tr>"
    return data_table("Against held-out images", head, "".join(rows))


def pair(metrics: dict, key: str) -> tuple[float | None, float | None]:
    """One of ROWS, of the generated images and of other real ones; None where it was not measured."""
    told = metrics["classifier"] or {}
    if key == "ratio":
        return metrics["memorisation"]["ratio"], 1.0
    if key in ("synthetic_on_real", "real_on_synthetic"):
        return told.get(key), told.get("real_on_real")
    sides = [metrics[side] for side in ("generated", "real")]
    return tuple(side[key] if key in side else side.get("measures", {}).get(key, {}).get("ks") for side in sides)


def shown(value: float | None, digits: int) -> str:
    return "\u2013" if value is None else f"{value:.{digits}f}".replace("-", "\u2212")


def quality_page() -> None:
    """Add the page to its room."""
    with gr.Column(elem_classes="gl-result"):
        cards = list_models("generate")
        gr.HTML(table(cards), elem_id="quality", apply_default_css=False)
        gr.HTML(
            "<pre class='gl-commands'>python -m ganlab evaluate-generator --model dcgan-digits --write-card</pre>",
            apply_default_css=False,
        )
        gr.Markdown(WORDS, elem_id="quality-explanation")
        gr.HTML(distributions.sections(cards), elem_id="distributions", apply_default_css=False)
        for section in findings.found(findings.GENERATE):
            findings.build(section)
