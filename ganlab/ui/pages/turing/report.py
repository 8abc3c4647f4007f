"""The room Report: the analysis of a table of readings."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

import gradio as gr

from ganlab.errors import InputError
from ganlab.settings import setting
from ganlab.study.design.protocol import Protocol
from ganlab.study.design.simulation import SimulatedStudy
from ganlab.ui import report
from ganlab.ui.components import bound
from ganlab.ui.sessions import Store

LATEX = [{"left": "$", "right": "$", "display": False}]
REPORT = r"""
**What am I looking at?** The analysis of a table of readings with the columns `reader`, `case`, `truth` and `answer`
(real or synthetic) and `confidence` (1 to 6), and optionally `position`, `seconds` and `repeat`. Without a table, these
are simulated readers with a mean $d'$ of 0.5. Fix the margin before the first reading.
"""


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
