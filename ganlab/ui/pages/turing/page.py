"""The Turing test tab: take a test, plan a study, run one, and report its readings."""

from __future__ import annotations

import gradio as gr

from ganlab.checkpoints import list_models
from ganlab.errors import InputError
from ganlab.generation.shipped import generator_names
from ganlab.ui import report
from ganlab.ui.components import QUIET, bound, canvas
from ganlab.ui.pages.turing import practice
from ganlab.ui.pages.turing.plan import plan_room
from ganlab.ui.pages.turing.report import report_room
from ganlab.ui.pages.turing.run import RUN
from ganlab.ui.server_settings import Settings
from ganlab.ui.sessions import Store

TITLE, SLUG = "Turing test", "turing"
ROOMS = ("try", "plan", "run", "report")
FIRST = "dcgan-nodules"  # the generator that is shown first, if it is available
SCRIPTS = ("shared/controls.js", "shared/live_client.js", "turing/practice_canvas.js")
LATEX = [{"left": "$", "right": "$", "display": False}]
TRY = r"""
**What am I looking at?** Half of the images come from a generator. The other half are real: held-out images of the kind
it learned from, which are scanned handwriting, or nodules and heads drawn by a program, so no patient's images are
shown. Both halves were clipped, windowed and rounded in the same way. Chuquicusma et al. (2018) showed such a set to
two radiologists. Hits and false alarms give $d'=z(h)-z(f)$, how well you can tell the two kinds apart, and the
criterion $c=-(z(h)+z(f))/2$, which is negative if you lean towards "synthetic". Readers of a real study get no feedback
before all have finished: make its images with `ganlab stimuli` and check them with `ganlab study audit`. This test is
for you alone and nothing is stored. Not a medical device.
"""


def offered() -> bool:
    """Whether there is a generator whose images can be judged."""
    return bool(generator_names())


def build(store: Store, settings: Settings, demo: gr.Blocks) -> None:
    """Add the page with its four sub-tabs to the Blocks being built; ?room=... opens one of them."""
    with gr.Tabs() as rooms:
        with gr.Tab("Try it", id="try"):
            try_room(store)
        with gr.Tab("Plan a study", id="plan") as plan_tab:
            plan_room(plan_tab)
        with gr.Tab("Run a study", id="run"):
            gr.HTML(RUN, elem_id="run-study", apply_default_css=False)
        with gr.Tab("Report", id="report") as report_tab:
            report_room(store, report_tab)
    demo.load(open_room, None, rooms, **QUIET)


def open_room(request: gr.Request):
    """Select the sub-tab named in the link."""
    room = request.query_params.get("room")
    return gr.Tabs(selected=room) if room in ROOMS else gr.skip()


def try_room(store: Store) -> None:
    """Add the test; the first set is made when the sub-tab is first seen."""
    cards = {card["name"]: card["summary"] for card in list_models("generate")}
    names = list(cards)
    with gr.Row(elem_classes="gl-page"):
        with gr.Column(scale=1, min_width=230, elem_classes="gl-controls"):
            model = gr.Dropdown(
                [(cards[name], name) for name in names], value=FIRST if FIRST in names else names[0],
                label="Generator", elem_id="turing-model",
            )  # fmt: skip
            count = gr.Radio(list(practice.COUNTS), value=20, label="Images", elem_id="turing-count")
            again = gr.Button("New set", elem_id="turing-again")
        with gr.Column(scale=4, elem_classes="gl-result"):
            alert = gr.HTML("", elem_id="turing-alert", apply_default_css=False)
            start = "turingTest(element.firstElementChild, props, watch, trigger)"
            picture = canvas("turing", SCRIPTS, start, classes="gl-viewer")  # its value: {"token": ...}
            gr.Markdown(TRY, latex_delimiters=LATEX, elem_id="turing-explanation")
    triggers = [picture.input, again.click, model.input, count.input]
    gr.on(triggers, bound(open_test, store), [model, count], [picture, alert], **QUIET)


def open_test(store: Store, model: str, count: int, request: gr.Request):
    """Start a new test: (its token for the canvas, an alert)."""
    try:
        token = practice.open_test(store.live(practice.LIMITS), model, count, request.session_hash)
    except InputError as error:
        return gr.skip(), report.alert(str(error))
    return {"token": token}, ""
