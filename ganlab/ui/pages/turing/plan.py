"""The room Plan a study: what a study of this size could conclude."""

from __future__ import annotations

from html import escape

import gradio as gr

from ganlab.errors import InputError
from ganlab.study.design.protocol import Protocol
from ganlab.study.design.simulation import SimulatedStudy
from ganlab.ui import report
from ganlab.ui.controls import control

STUDIES = 400  # simulated for a plan
MOST_READERS, MOST_CASES = 20, 400  # of the sliders, to keep it quick
COLOURS = {
    "distinguishable": "#D55E00",
    "equivalent": "#009E73",
    "inconclusive": "#999999",
    "too few patients": "#999999",
}
PLAN = r"""
**What am I looking at?** What a study with this many readers and images could conclude. Readers and cases are both
samples of larger populations (Obuchowski and Rockette 1995), so neither many readers nor many images alone are enough.
*Equivalent* requires the 90 % interval of the mean area under the ROC curve to lie inside the margin. A large p value
is not evidence of equivalence, and two readers with twenty images cannot support such a claim.
"""


def plan_room(tab: gr.Tab) -> None:
    """Add the plan: what a study of this size could conclude."""
    with gr.Row(elem_classes="gl-page"):
        with gr.Column(scale=1, min_width=230, elem_classes="gl-controls"):
            sliders = [
                control(SimulatedStudy, "readers", minimum=2, maximum=MOST_READERS, elem_id="plan-readers"),
                control(SimulatedStudy, "cases", minimum=10, maximum=MOST_CASES, step=10, elem_id="plan-cases"),
                control(SimulatedStudy, "dprime", minimum=0, maximum=3, value=0, elem_id="plan-dprime"),
                control(Protocol, "margin", minimum=0.05, maximum=0.25, elem_id="plan-margin"),
            ]
        with gr.Column(scale=4, elem_classes="gl-result"):
            shown = gr.HTML("", elem_id="plan", apply_default_css=False, min_height=120)
            gr.Markdown(PLAN, elem_id="plan-explanation")
    gr.on(
        [tab.select, *(slider.change for slider in sliders)], plan_html, sliders, shown, trigger_mode="always_last",
        show_progress="minimal", api_visibility="private",
    )  # fmt: skip


def plan_html(readers: int, cases: int, dprime: float, margin: float) -> str:
    """How often such a study ends in each verdict, as bars and in words, or an alert."""
    from ganlab.study.design.planning import format_plan, plan

    try:
        result = plan(SimulatedStudy(int(readers), int(cases), float(dprime)), float(margin), STUDIES)
    except InputError as error:
        return report.alert(str(error))
    bars = "".join(
        f"<div><span>{name}</span><i style='width:{100 * share:.1f}%;background:{COLOURS[name]}'></i>"
        f"<b>{100 * share:.0f} %</b></div>"
        for name, share in result["verdicts"].items()
    )
    command = (
        f"python -m ganlab study plan --readers {readers:g} --cases {cases:g} --dprime {dprime:g} --margin {margin:g} "
        f"--studies {STUDIES}"
    )
    lines = "".join(f"<p>{escape(line)}</p>" for line in format_plan(result).splitlines())
    return f"<div class='gl-verdicts'>{bars}</div>{lines}<pre class='gl-commands'>{escape(command)}</pre>"
