"""The Divergences sub-tab: two movable densities, with all divergences between them."""

from __future__ import annotations

import gradio as gr

from ganlab.errors import InputError
from ganlab.settings import from_values, setting
from ganlab.toy.densities import GRID, Density, compare, terms
from ganlab.ui.components import QUIET
from ganlab.ui.controls import control
from ganlab.ui.pages.live.computing import LATEX, computing_canvas, json_numbers

REACH = 4.0  # half the width of the axis that is drawn
ABOUT = r"""
**What am I looking at?** Drag the blue density $p$ (real) and the orange density $q$ (generated); drag with Shift, or
turn the wheel, to change the width. Entropy $H(p)=-\int p\log p$; cross-entropy $H(p,q)=-\int p\log q$;
$\mathrm{KL}(p,q)=\int p\log\frac{p}{q}=H(p,q)-H(p)$, infinite where $p$ has mass and $q$ has none;
$\mathrm{JS}=\frac12\mathrm{KL}(p,m)+\frac12\mathrm{KL}(q,m)$ with $m=\frac{p+q}{2}$ never exceeds $\log 2$.
$\mathrm{KL}(p,q)$ punishes a $q$ that misses a hump of $p$, so $q$ spreads. $\mathrm{KL}(q,p)$ punishes a $q$ that puts
mass where $p$ has none, so $q$ collapses. Once the densities no longer overlap, JS stays at $\log 2$ and says nothing
about their distance; the Wasserstein distance still does ([Arjovsky et al. 2017](https://arxiv.org/abs/1701.07875)).
"""


def densities_page() -> None:
    """Add entropies and divergences of two movable densities to the Blocks that are being built."""
    start = picture_value("two humps", "normal", "nats")
    with gr.Row(elem_classes="gl-page gl-live"):
        with gr.Column(scale=1, min_width=260, elem_classes="gl-controls"):
            inputs = [
                control(Density, "shape", value=start["p"], label="p, the data", elem_id="densities-p"),
                control(Density, "shape", value=start["q"], label="q, the generator", elem_id="densities-q"),
                gr.Radio(["nats", "bits"], value=start["unit"], label="Unit", elem_id="densities-unit"),
            ]
        with gr.Column(scale=4, elem_classes="gl-result"):
            picture = computing_canvas("live/densities.js", "densityPlot", measures, "densities", start)
            gr.Markdown(ABOUT, latex_delimiters=LATEX)
    for component in inputs:
        component.input(picture_value, inputs, picture, **QUIET)


def picture_value(p: str, q: str, unit: str) -> dict:
    """What densities.js draws: shapes and unit, and how far the densities may be moved."""
    centre, width = (setting(Density, name) for name in ("centre", "width"))
    ranges = {"centres": (centre.low, centre.high), "widths": (width.low, width.high)}
    return {"p": p, "q": q, "unit": unit, **ranges}


def measures(question: dict) -> dict:
    """Curves and measures of the densities question["p"] and question["q"], or {"error"}."""
    try:
        p, q = (from_values(Density, question.get(name)).log_masses() for name in ("p", "q"))
    except InputError as error:
        return {"error": str(error)}
    inside = slice(*(round((1 + side * REACH / GRID.reach) * GRID.cells / 2) for side in (-1, 1)), 2)
    scale = GRID.cells / (2 * GRID.reach)
    curves = {"p": p.exp() * scale, "q": q.exp() * scale, **terms(p, q)}
    results = compare(p, q)
    return {
        "reach": REACH,
        "curves": {name: json_numbers(curve[inside].tolist()) for name, curve in curves.items()},
        "measures": dict(zip(results, json_numbers(list(results.values())), strict=True)),
    }
