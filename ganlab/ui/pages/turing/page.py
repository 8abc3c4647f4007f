"""The Turing test tab: take a test, plan a study, run one, and report its readings."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

import gradio as gr

from ganlab.checkpoints import list_models
from ganlab.errors import InputError
from ganlab.generation.shipped import generator_names
from ganlab.settings import setting
from ganlab.study.design.protocol import DESIGNS, Protocol
from ganlab.study.design.simulation import SimulatedStudy
from ganlab.ui import report
from ganlab.ui.components import QUIET, bound, canvas
from ganlab.ui.controls import control
from ganlab.ui.pages.turing import practice
from ganlab.ui.server_settings import Settings
from ganlab.ui.sessions import Store

TITLE, SLUG = "Turing test", "turing"
ROOMS = ("try", "plan", "run", "report")
FIRST = "dcgan-nodules"  # the generator that is shown first, if it is available
SCRIPTS = ("shared/controls.js", "shared/live_client.js", "turing/practice.js")
STUDIES = 400  # simulated for a plan
MOST_READERS, MOST_CASES = 20, 400  # of the plan's sliders, to keep it quick
COLOURS = {"distinguishable": "#D55E00", "equivalent": "#009E73", "inconclusive": "#999999"}
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
PLAN = r"""
**What am I looking at?** What a study with this many readers and images could conclude. Readers and cases are both
samples of larger populations (Obuchowski and Rockette 1995), so neither many readers nor many images alone are enough.
*Equivalent* requires the 90 % interval of the mean area under the ROC curve to lie inside the margin. A large p value
is not evidence of equivalence, and two readers with twenty images cannot support such a claim.
"""
DESIGN_LIST = "".join(f"<li><b>{name}</b>: {escape(words)}</li>" for name, words in DESIGNS.items())
RUN = f"""
<div class='gl-page gl-run'>
<p><a class='gl-link' href='organise' target='_blank'>Organiser's page</a>
<a class='gl-link' href='rate' target='_blank'>Readers' page</a></p>
<ol>
<li><b>Create.</b> Use a generator or your own real and synthetic images; all go through one window into identical
files. Protocol, truth and random seeds are sealed: publish the seal, a SHA-256, before the first answer. A classifier
that sees no anatomy is applied to the images first, and its result is reported with the readers'.</li>
<li><b>Invite.</b> Each reader gets a signed code that contains no name. The readers' page is separate from this app:
one question at a time, with window and zoom, and the whole session works by keyboard. After a break, on another device
or after a server restart, readers continue at the same question, and every answer counts once.</li>
<li><b>Watch</b> the readers' progress; results stay hidden.</li>
<li><b>Lock, unblind, report, export</b>: readings, iMRMC, MRMCaov, BIDS, the sealed protocol, and a certificate of the
blinding.</li>
</ol>
<p>Designs:</p><ul>{DESIGN_LIST}</ul>
<p>A race for a class gives feedback after each image and ranks the players; it is never analysed as a study. To serve
only the study pages, on a separate server:</p>
<pre class='gl-commands'>python -m ganlab study create --model dcgan-nodules --n 60 --readers 4
python -m ganlab study serve --host 0.0.0.0</pre>
<p class='gl-note'>Studies are stored in studies/studies.db, or in the database named by GANLAB_DATABASE_URL. They can
be created over the web if the host has set GANLAB_HOST_SECRET. No names and no addresses are stored; readers can delete
their answers with their code, and all answers are deleted after the day named in the protocol. Not a medical
device.</p>
</div>
"""
REPORT = r"""
**What am I looking at?** The analysis of a table of readings with the columns `reader`, `case`, `truth` and `answer`
(real or synthetic) and `confidence` (1 to 6), and optionally `position`, `seconds` and `repeat`. Without a table, these
are simulated readers with a mean $d'$ of 0.5. Fix the margin before the first reading.
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


def report_room(store: Store, tab: gr.Tab) -> None:
    """Add the report of a table of readings, at first of simulated ones."""
    title = setting(Protocol, "title")
    with gr.Row(elem_classes="gl-page"):
        with gr.Column(scale=1, min_width=230, elem_classes="gl-controls"):
            table = gr.File(label="Readings (CSV)", type="filepath", elem_id="report-file")
            usual = setting(Protocol, "margin").default
            margin = gr.Number(usual, label="Prespecified margin", elem_id="report-margin")
            name = gr.Textbox("", label=title.title, max_length=title.extra["longest"], elem_id="report-title")
            go = gr.Button("Report", variant="primary", elem_id="report-go")
        with gr.Column(scale=4, elem_classes="gl-result"):
            alert = gr.HTML("", elem_id="report-alert", apply_default_css=False)
            shown = gr.HTML("", elem_id="report", apply_default_css=False, min_height=120)
            gr.Markdown(REPORT, latex_delimiters=LATEX, elem_id="report-explanation")
    gr.on(
        [tab.select, go.click, table.upload], bound(show_report, store), [table, margin, name], [alert, shown],
        show_progress_on=shown, api_visibility="private",
    )  # fmt: skip


def show_report(store: Store, path: str | None, margin: float | None, title: str, request: gr.Request):
    """(an alert, the report in a frame)."""
    if path:
        store.hold(request.session_hash, path)
    try:
        page = report_page(path, margin, title)
    except InputError as error:
        return report.alert(str(error)), gr.skip()
    return "", framed(page)


def framed(page: str) -> str:
    """An HTML page in a sandboxed frame, with a link that saves it."""
    address = f"data:text/html;base64,{base64.b64encode(page.encode()).decode()}"
    return (
        f"<p><a class='gl-save' download='turing-test.html' href='{address}'>Save the report</a>, one HTML file</p>"
        f"<iframe class='gl-report' title='The report' sandbox srcdoc='{escape(page, quote=True)}'></iframe>"
    )


def report_page(path: str | None, margin: float | None, title: str = "") -> str:
    """The report of a file's readings, or of simulated ones, as an HTML page. Raises InputError."""
    from ganlab.study.analysis.analyse import analyse
    from ganlab.study.analysis.report import report_html
    from ganlab.study.design.simulation import simulate
    from ganlab.study.readings import read_readings

    if margin is None:
        raise InputError("The margin is empty; 0.1 makes areas from 0.4 to 0.6 equivalent.")
    readings = read_readings(Path(path)) if path else simulate(SimulatedStudy())
    default = setting(Protocol, "title").default if path else "Simulated readers"
    return report_html(analyse(readings, float(margin)), title.strip() or default)
