"""The room How good? of the Generate page: what was measured of the generators, from their cards."""

from __future__ import annotations

from html import escape

import gradio as gr

from ganlab.checkpoints import list_models
from ganlab.ui import findings

ROWS = {  # key -> words, decimals, and which way is better
    "fid": ("Fréchet distance", 2, "lower"),
    "kid": ("KID", 3, "lower"),
    "precision": ("Precision", 2, "higher"),
    "recall": ("Recall", 2, "higher"),
    "density": ("Density", 2, "higher"),
    "coverage": ("Coverage", 2, "higher"),
    "ms_ssim": ("MS-SSIM within a class", 2, "as real"),
}
WORDS = """
**How good is a generator?** Precision: the share of its images that could be real. Recall: the share of real images
that it could make; where a mode is lost, recall falls and precision does not
([Kynkäänniemi et al. 2019](https://arxiv.org/abs/1904.06991)). Fréchet distance and KID weigh both at once
([Heusel et al. 2017](https://arxiv.org/abs/1706.08500), [Bińkowski et al. 2018](https://arxiv.org/abs/1801.01401)),
here on features of a small network trained on these images: **they are not Inception's numbers**, and compare
generators of one kind of images only. MS-SSIM of pairs of one class says how alike its images are. Beside each number
stands what other real images score, which is about what a perfect generator would. If a classifier that saw synthetic
images only is as good on real ones as one that saw real images, the classes are in them.
"""


def table(cards: list[dict]) -> str:
    """Rows of measures, two columns a generator: its own and that of other real images."""
    measured = [card for card in cards if card["metrics"]]
    if not measured:
        return "<p class='gl-note'>Nothing was measured yet: python -m ganlab evaluate-generator --write-card</p>"
    heads = "".join(f"<th scope='col'>{escape(card['name'])}</th><th scope='col'>real</th>" for card in measured)
    rows = []
    for key, (words, digits, better) in ROWS.items():
        cells = "".join(
            f"<td>{shown(card['metrics'][side][key], digits)}</td>"
            for card in measured
            for side in ("generated", "real")
        )
        rows.append((f"{words} <small>{better}</small>", cells))
    for words, of in (
        ("Distance to the training set, over that of held-out images <small>1: no copies</small>",
         lambda m: (m["memorisation"]["ratio"], 1.0)),
        ("Classifier trained on these, accuracy on held-out images",
         lambda m: (m["classifier"]["synthetic_on_real"], m["classifier"]["real_on_real"]) if m["classifier"] else
         (None, None)),
    ):  # fmt: skip
        rows.append((words, "".join(f"<td>{shown(v, 2)}</td>" for card in measured for v in of(card["metrics"]))))
    for key, words in (
        ("diameter_mm", "Diameter"), ("roundness", "Roundness"), ("mean_hu", "Mean HU"),
    ):  # fmt: skip
        if any("measures" in card["metrics"]["real"] for card in measured):
            cells = "".join(
                f"<td>{shown(card['metrics'][side].get('measures', {}).get(key, {}).get('ks'), 2)}</td>"
                for card in measured
                for side in ("generated", "real")
            )
            rows.append((f"{words}, Kolmogorov-Smirnov <small>lower</small>", cells))
    body = "".join(f"<tr><th scope='row'>{words}</th>{cells}</tr>" for words, cells in rows)
    return (
        "<table class='gl-table'><caption>Against held-out images</caption>"
        f"<thead><tr><th scope='col'>Measure</th>{heads}</tr></thead><tbody>{body}</tbody></table>"
    )


def shown(value: float | None, digits: int) -> str:
    return "\u2013" if value is None else f"{value:.{digits}f}".replace("-", "\u2212")


def quality_page() -> None:
    """Add the page to its room."""
    with gr.Column(elem_classes="gl-result"):
        gr.HTML(table(list_models("generate")), elem_id="quality", apply_default_css=False)
        gr.HTML(
            "<pre class='gl-commands'>python -m ganlab evaluate-generator --model dcgan-digits --write-card</pre>",
            apply_default_css=False,
        )
        gr.Markdown(WORDS, elem_id="quality-explanation")
        for section in findings.found(findings.GENERATE):
            findings.build(section)
