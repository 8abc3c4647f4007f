"""The Turing test page: take one, plan a study, report its readings."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

import gradio as gr

from ganlab.checkpoints import list_models
from ganlab.errors import InputError
from ganlab.generation.shipped import generator_names
from ganlab.study.design.protocol import DESIGNS
from ganlab.ui import report
from ganlab.ui.components import QUIET, canvas
from ganlab.ui.pages.turing import practice as trials
from ganlab.ui.server_settings import Settings
from ganlab.ui.sessions import Store

TITLE, SLUG = "Turing test", "turing"
ROOMS = ("try", "plan", "run", "report")
FIRST = "dcgan-nodules"  # if it is there
SCRIPTS = ("shared/controls.js", "shared/live_client.js", "turing/practice.js")
STUDIES = 400  # simulated for a plan
COLOURS = {"distinguishable": "#D55E00", "equivalent": "#009E73", "inconclusive": "#999999"}
LATEX = [{"left": "$", "right": "$", "display": False}]
TRY = r"""
**What am I looking at?** Half of the images are from a generator, half are real, that is, held-out ones of what it
learned: scanned handwriting, or nodules and heads that a program draws, for no patient is in here. Both were clipped,
windowed and rounded alike. Chuquicusma et al. 2018 showed such a set to two radiologists. Hits and false alarms give
$d'=z(h)-z(f)$, how far apart the two kinds are to your eye, and $c=-(z(h)+z(f))/2$, how ready you are to say synthetic.
A real study tells its readers nothing before all have read: the set comes from `ganlab stimuli`, its files are checked
by `ganlab study audit`. This one is for you alone, and nothing of it is kept. Not a medical device.
"""
PLAN = r"""
**What am I looking at?** What readers and images of such a number would let you say. Readers and cases are both samples
of more (Obuchowski and Rockette 1995), so neither many readers nor many images alone are enough. *Equivalent* needs the
90 % interval of the mean area under the ROC curve inside the margin; a large p is no evidence, and two readers with
twenty images can support no such claim.
"""
DESIGNS_TOLD = "".join(f"<li><b>{name}</b>: {escape(words)}</li>" for name, words in DESIGNS.items())
RUN = f"""
<div class='gl-page gl-run'>
<p><a class='gl-link' href='organise' target='_blank'>Organiser's page</a>
<a class='gl-link' href='rate' target='_blank'>Readers' page</a></p>
<ol>
<li><b>Create.</b> Images of a generator or your own real and synthetic ones, all through one window to the same
files. Protocol, truth and seeds are sealed: publish the seal, a SHA-256, before the first answer. A machine that sees
no anatomy is tried on the images, and a study that file formats would solve does not start.</li>
<li><b>Invite.</b> Every reader gets a signed code, without a name. The readers' page is apart from this app: one
question at a time, window and zoom, the whole session by keyboard. After a break, on another device, when the server
has started anew: the same question, and every answer counts once.</li>
<li><b>Watch</b> how far readers are; nobody sees a result.</li>
<li><b>Lock, unblind, report, export</b>: readings, iMRMC, MRMCaov, BIDS, the sealed protocol, a certificate of the
blinding.</li>
</ol>
<p>Designs:</p><ul>{DESIGNS_TOLD}</ul>
<p>A race for a class tells after each image and ranks; it is never analysed as a study. Without this app around it,
on a server of its own:</p>
<pre class='gl-commands'>python -m ganlab study create --model dcgan-nodules --n 60 --readers 4
python -m ganlab study serve --host 0.0.0.0</pre>
<p class='gl-note'>Studies are in studies/studies.db, or in the database that GANLAB_DATABASE_URL names. They are
created over the web where the host has set GANLAB_HOST_SECRET. No names, no addresses; answers are deleted by the
reader's code, and after the day that the protocol names. Not a medical device.</p>
</div>
"""
REPORTED = r"""
**What am I looking at?** A table of readings with the columns `reader`, `case`, `truth` and `answer` (real or
synthetic) and `confidence` (1 to 6); `position`, `seconds` and `repeat` if there are. No table yet: simulated readers
with a mean $d'$ of 0.5. The margin has to be set before anybody reads.
"""


def offered() -> bool:
    """Whether a generator is there whose images can be judged."""
    return bool(generator_names())


def build(store: Store, settings: Settings, demo: gr.Blocks) -> None:
    """Add the page, with its three rooms, to the Blocks that are being built; ?room=... opens one of them."""
    with gr.Tabs() as rooms:
        with gr.Tab("Try it", id="try"):
            try_page(store)
        with gr.Tab("Plan a study", id="plan") as plan_room:
            plan_page(plan_room)
        with gr.Tab("Run a study", id="run"):
            gr.HTML(RUN, elem_id="run-study", apply_default_css=False)
        with gr.Tab("Report", id="report") as report_room:
            report_page(store, report_room)

    def open_room(request: gr.Request):
        wanted = request.query_params.get("room")
        return gr.Tabs(selected=wanted) if wanted in ROOMS else gr.skip()

    demo.load(open_room, None, rooms, **QUIET)


def try_page(store: Store) -> None:
    """Add the test; the first set is made when the room is first seen."""
    cards = {card["name"]: card["summary"] for card in list_models("generate")}
    names = list(cards)
    with gr.Row(elem_classes="gl-page"):
        with gr.Column(scale=1, min_width=230, elem_classes="gl-controls"):
            model = gr.Dropdown(
                [(cards[name], name) for name in names], value=FIRST if FIRST in names else names[0],
                label="Generator", elem_id="turing-model",
            )  # fmt: skip
            count = gr.Radio(list(trials.COUNTS), value=20, label="Images", elem_id="turing-count")
            again = gr.Button("New set", elem_id="turing-again")
        with gr.Column(scale=4, elem_classes="gl-result"):
            alert = gr.HTML("", elem_id="turing-alert", apply_default_css=False)
            start = "turingTest(element.firstElementChild, props, watch, trigger)"
            picture = canvas("turing", SCRIPTS, start, classes="gl-viewer")  # its value: {"token": ...}
            gr.Markdown(TRY, latex_delimiters=LATEX, elem_id="turing-explanation")

    def opened(model: str, count: int, request: gr.Request):
        try:
            return {"token": trials.open_test(store.live(trials.LIMITS), model, count, request.session_hash)}, ""
        except InputError as error:
            return gr.skip(), report.alert(str(error))

    gr.on([picture.input, again.click, model.input, count.input], opened, [model, count], [picture, alert], **QUIET)


def plan_page(room: gr.Tab) -> None:
    """Add what a study of so many readers and images could say."""
    with gr.Row(elem_classes="gl-page"):
        with gr.Column(scale=1, min_width=230, elem_classes="gl-controls"):
            c = [
                gr.Slider(2, 20, 4, step=1, label="Readers", elem_id="plan-readers"),
                gr.Slider(10, 400, 60, step=10, label="Images, half synthetic", elem_id="plan-cases"),
                gr.Slider(0, 3, 0, step=0.1, label="Readers' d', 0: they cannot tell", elem_id="plan-dprime"),
                gr.Slider(0.05, 0.25, 0.1, step=0.01, label="Margin about an area of 0.5", elem_id="plan-margin"),
            ]
        with gr.Column(scale=4, elem_classes="gl-result"):
            shown = gr.HTML("", elem_id="plan", apply_default_css=False, min_height=120)
            gr.Markdown(PLAN, elem_id="plan-explanation")
    gr.on(
        [room.select, *(slider.change for slider in c)], plan_html, c, shown, trigger_mode="always_last",
        show_progress="minimal", api_visibility="private",
    )  # fmt: skip


def plan_html(readers: int, cases: int, dprime: float, margin: float) -> str:
    """How often such a study ends in each verdict, as bars and in words; a user's mistake as an alert."""
    from ganlab.study.design.planning import format_plan, plan
    from ganlab.study.design.simulation import SimulatedReaders

    try:
        found = plan(SimulatedReaders(int(readers), int(cases), float(dprime)), float(margin), STUDIES)
    except InputError as error:
        return report.alert(str(error))
    bars = "".join(
        f"<div><span>{name}</span><i style='width:{100 * share:.1f}%;background:{COLOURS[name]}'></i>"
        f"<b>{100 * share:.0f} %</b></div>"
        for name, share in found["verdicts"].items()
    )
    command = (
        f"python -m ganlab study plan --readers {readers:g} --cases {cases:g} --dprime {dprime:g} --margin {margin:g} "
        f"--studies {STUDIES}"
    )
    lines = "".join(f"<p>{escape(line)}</p>" for line in format_plan(found).splitlines())
    return f"<div class='gl-verdicts'>{bars}</div>{lines}<pre class='gl-commands'>{escape(command)}</pre>"


def report_page(store: Store, room: gr.Tab) -> None:
    """Add the report of a table of readings, of simulated ones at first."""
    with gr.Row(elem_classes="gl-page"):
        with gr.Column(scale=1, min_width=230, elem_classes="gl-controls"):
            table = gr.File(label="Readings, CSV", type="filepath", elem_id="report-file")
            margin = gr.Number(0.1, label="Margin, set beforehand", elem_id="report-margin")
            title = gr.Textbox("", label="Title", max_length=120, elem_id="report-title")
            go = gr.Button("Report", variant="primary", elem_id="report-go")
        with gr.Column(scale=4, elem_classes="gl-result"):
            alert = gr.HTML("", elem_id="report-alert", apply_default_css=False)
            shown = gr.HTML("", elem_id="report", apply_default_css=False, min_height=120)
            gr.Markdown(REPORTED, latex_delimiters=LATEX, elem_id="report-explanation")

    def run(path: str | None, margin: float | None, title: str, request: gr.Request):
        if path:
            store.hold(request.session_hash, path)
        try:
            page = page_of(path, margin, title)
        except InputError as error:
            return report.alert(str(error)), gr.skip()
        return "", framed(page)

    gr.on(
        [room.select, go.click, table.upload], run, [table, margin, title], [alert, shown],
        show_progress_on=shown, api_visibility="private",
    )  # fmt: skip


def framed(page: str) -> str:
    """A page of HTML in a frame without rights, and a link that saves it."""
    address = f"data:text/html;base64,{base64.b64encode(page.encode()).decode()}"
    return (
        f"<p><a class='gl-save' download='turing-test.html' href='{address}'>Save the report</a>, one HTML file</p>"
        f"<iframe class='gl-report' title='The report' sandbox srcdoc='{escape(page, quote=True)}'></iframe>"
    )


def page_of(path: str | None, margin: float | None, title: str = "") -> str:
    """The report of a file's readings, or of simulated ones, as a page of HTML. Raises InputError."""
    from ganlab.study.analysis.analyse import analyse
    from ganlab.study.analysis.report import report_html
    from ganlab.study.design.simulation import SimulatedReaders, simulate
    from ganlab.study.readings import read_readings

    if margin is None:
        raise InputError("The margin is empty; 0.1 calls areas from 0.4 to 0.6 equivalent.")
    readings = read_readings(Path(path)) if path else simulate(SimulatedReaders(repeats=0.1))
    usual = "Visual Turing test" if path else "Simulated readers"
    return report_html(analyse(readings, float(margin)), title.strip() or usual)
