"""The Cycle page: cycle error, hidden information, and lesion preservation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gradio as gr

from ganlab.checkpoints import has_discriminator
from ganlab.translation.cycle.lesion import InsertedLesion
from ganlab.translation.cycle.pairing import mixed_notice
from ganlab.translation.tasks import REVERSE
from ganlab.ui import experiment_results
from ganlab.ui.components import ASSETS, QUIET, bound
from ganlab.ui.pages.cycle.job import SLUG, CycleJob, job_of, linked_job, saved_job, solve
from ganlab.ui.pages.cycle.report import ROUTES, show
from ganlab.ui.saved_case import SavedCase, load_case
from ganlab.ui.scan_check import connect_check, uploaded_scans
from ganlab.ui.server_settings import Settings
from ganlab.ui.sessions import Store
from ganlab.ui.viewer import volume_viewer
from ganlab.ui.volume_controls import (
    ASKING,
    PHANTOM,
    UPLOAD,
    JobControls,
    JobHandlers,
    build_settings,
    choose_source,
    connect_job,
    formulas,
    html,
    models_of,
    offer_series,
    plane_choice,
    series_choice,
)

TITLE = "Cycle"
OPENING = ASSETS / "cycle" / "opening"  # made by `python -m ganlab.ui.opening_cases cycle`
PLACE = (26.0, -30.0, 32.0, 8.0)  # of the default lesion: RAS mm and radius, in the white matter of the right side
CONTRASTS = {"mr2ct": ("Brightness factor", 1.4), "ct2mr": ("Added HU", 30.0)}  # label, default


def offered() -> bool:
    """Whether there are models for both directions."""
    return REVERSE.keys() <= models_of().keys()


def default_lesion(task: str) -> InsertedLesion:
    """The lesion that the page offers."""
    return InsertedLesion(*PLACE, CONTRASTS[task][1])


def pairing_note(model: str, reverse_model: str) -> gr.HTML:
    """The note beside the controls when the two models were not trained together."""
    sentence = mixed_notice(model, reverse_model)
    return gr.HTML(f"<p class='gl-note'>{sentence}</p>", visible=bool(sentence))


def judge_question(model: str) -> gr.Checkbox:
    """The checkbox that asks the discriminator; hidden and off if the model has none."""
    return gr.Checkbox(visible=True) if has_discriminator(model) else gr.Checkbox(False, visible=False)


def follow_models(model: str, reverse_model: str) -> tuple[gr.Checkbox, gr.HTML]:
    """The checkbox and the note that depend on the two models."""
    return judge_question(model), pairing_note(model, reverse_model)


@dataclass(frozen=True)
class CycleLinks:
    """The handlers that need the page's models, its opening case and the settings."""

    models: dict[str, list[str]]
    opening: SavedCase
    settings: Settings
    names: tuple[str, ...]  # controls that `read` sets, followed by the note on models and the count of requests

    def turn(self, task: str, model: str, reverse_model: str) -> tuple:
        """Switch to the other direction, with the same two models."""
        label, contrast = CONTRASTS[task]
        names, reverse_names = self.models[task], self.models[REVERSE[task]]
        if model not in names:
            model, reverse_model = reverse_model, model
        return (
            gr.Dropdown(names, value=model),
            gr.Dropdown(reverse_names, value=reverse_model),
            judge_question(model),
            gr.Number(contrast, label=label),
        )

    def read(self, request: gr.Request) -> list:
        """?tab=cycle&seed=7&task=NAME&model=NAME&back=NAME asks for that cycle, unless it is already shown."""
        job = linked_job(dict(request.query_params), self.models, self.opening, self.settings)
        if job is None:
            return [gr.skip()] * (len(self.names) + 2)
        shown = set_controls(job, self.models)
        asked = int(job != saved_job(self.opening))
        return [*(shown[name] for name in self.names), pairing_note(job.model, job.reverse_model), asked]


def set_controls(job: CycleJob, models: dict[str, list[str]]) -> dict:
    """What each control shows for a phantom patient's job, by its name."""
    lesion = job.lesion or default_lesion(job.task)
    return {
        "task": job.task,
        "source": PHANTOM,
        "seed": job.seed,
        "spacing": job.spacing,
        "model": gr.Dropdown(models[job.task], value=job.model),
        "reverse_model": gr.Dropdown(models[REVERSE[job.task]], value=job.reverse_model),
        "planes": plane_choice(job.planes),
        "probe": job.probe,
        "judge": gr.Checkbox(job.judge, visible=has_discriminator(job.model)),
        "lesion": job.lesion is not None,
        **{"x": lesion.x, "y": lesion.y, "z": lesion.z, "radius": lesion.radius},
        "contrast": gr.Number(lesion.contrast, label=CONTRASTS[job.task][0]),
    }


def build(store: Store, settings: Settings, demo: gr.Blocks) -> None:
    """Add the page to the Blocks that are being built."""
    models, opening = models_of(), load_case(OPENING)
    first, report = saved_job(opening), show(opening, store.publish(OPENING))
    with gr.Row(elem_classes="gl-page"):
        with gr.Column(scale=1, min_width=260, elem_classes="gl-controls"):
            controls, note = build_models(models, first)
            phantom_column, upload_column, new_patient = build_source(first, controls)
            checked = html("", "cycle-checked")
            controls |= build_questions(first)
            with gr.Row():
                go = gr.Button("Run the cycle", variant="primary", size="md", min_width=130, elem_id="cycle-go")
                stop = gr.Button("Cancel", interactive=False, size="md", min_width=70, elem_id="cycle-stop")
            message = html("", "cycle-work")
            controls |= build_lesion(first)
            controls |= build_settings(settings, "cycle-")
            with gr.Accordion("How it was made", open=False):
                provenance = html(report[6], "cycle-made")
        with gr.Column(scale=4, min_width=320, elem_classes="gl-result"):
            results = [*build_report(report), provenance]
            formulas(Path(__file__).with_name("explanation.md"))
            for result in experiment_results.available(experiment_results.CYCLE):
                experiment_results.build(result)
    requests = gr.State(0)
    job = JobControls(go, new_patient, stop, message, requests, gr.State(False))
    linked = {name: control for name, control in controls.items() if name not in ("files", "series")}
    handlers = JobHandlers(store, SLUG, tuple(controls), job_of, solve, show, len(results))
    links = CycleLinks(models, opening, settings, tuple(linked))

    task, pair, judge = controls["task"], [controls["model"], controls["reverse_model"]], controls["judge"]
    task.input(links.turn, [task, *pair], [*pair, judge, controls["contrast"]], **QUIET)
    for model in pair:
        model.input(follow_models, pair, [judge, note], **QUIET)
    controls["source"].change(choose_source, controls["source"], [phantom_column, upload_column], **QUIET)
    controls["files"].upload(handlers.claim, controls["files"], **QUIET)
    given = [controls["files"], task]
    changes = [controls["files"].change, task.input]
    offered = gr.on(changes, bound(offer_series, "source"), given, controls["series"], **ASKING)
    demo.load(links.read, None, [*linked.values(), note, requests], **ASKING)
    ended = connect_job(handlers, job, controls["seed"], list(controls.values()), results, demo)
    chosen = [controls[name] for name in ("source", "task", "files", "series")]
    changes = [chosen[0].change, chosen[3].input, offered.then]
    connect_check(uploaded_scans, changes, chosen, checked, job, ended)


def build_models(models: dict[str, list[str]], job: CycleJob) -> tuple[dict, gr.HTML]:
    """Direction and both models, and the note beside them."""
    routes = [(text, name) for name, text in ROUTES.items()]
    task = gr.Radio(routes, value=job.task, label="Cycle", elem_id="route")
    model = gr.Dropdown(models[job.task], value=job.model, label="Forward model", elem_id="there")
    reverse_model = gr.Dropdown(
        models[REVERSE[job.task]], value=job.reverse_model, label="Backward model", elem_id="back"
    )
    note = gr.HTML("", visible=False, elem_id="cycle-mixed", apply_default_css=False)
    return {"task": task, "model": model, "reverse_model": reverse_model}, note


def build_source(job: CycleJob, controls: dict) -> tuple[gr.Column, gr.Column, gr.Button]:
    """A phantom patient or an upload: (their columns, New patient)."""
    controls["source"] = gr.Radio(
        [PHANTOM, UPLOAD], value=PHANTOM, elem_id="cycle-source", show_label=False, container=False
    )
    with gr.Column(elem_classes="gl-source") as phantom:
        controls["seed"] = gr.Number(job.seed, label="Seed", precision=0, minimum=0, elem_id="cycle-seed")
        new_patient = gr.Button("New patient", size="md", elem_id="cycle-new")
    with gr.Column(visible=False, elem_classes="gl-source") as upload:
        controls["files"] = gr.File(label="Scan", file_count="multiple", height=130, elem_id="cycle-scan")
        controls["series"] = series_choice("cycle-series")
    return phantom, upload, new_patient


def build_questions(job: CycleJob) -> dict:
    """The questions about the cycle."""
    lesion = gr.Checkbox(True, label="Insert a lesion", info="A ball in the scan", elem_id="cycle-ball")
    probe = gr.Checkbox(
        job.probe, label="Look for a hidden message", info="Three additional back-translations", elem_id="probe"
    )
    judge = gr.Checkbox(
        job.judge, label="Ask the discriminator", info="Which patches it classifies as real", elem_id="judge"
    )
    return {"lesion": lesion, "probe": probe, "judge": judge}


def build_lesion(job: CycleJob) -> dict:
    """The place, size and contrast of the lesion."""
    lesion, field = job.lesion or default_lesion(job.task), partial(gr.Number, min_width=60)
    with gr.Accordion("The lesion", open=False, elem_id="cycle-lesion"):
        html("<p class='gl-note'>Position in mm, as shown in the read-out: left, back and below are negative.</p>")
        with gr.Row():
            x, y, z = field(lesion.x, label="Right"), field(lesion.y, label="Front"), field(lesion.z, label="Up")
        with gr.Row():
            radius = field(lesion.radius, label="Radius, mm")
            contrast = field(lesion.contrast, label=CONTRASTS[job.task][0], elem_id="cycle-contrast")
    return {"x": x, "y": y, "z": z, "radius": radius, "contrast": contrast}


def build_report(report: list) -> list:
    """Title, viewer, notices, figures, the chart of slices and downloads."""
    title, viewer = html(report[0], "cycle-title"), volume_viewer(report[1], "cycle-viewer")
    downloads = html(report[5], "cycle-downloads")
    notices = html(report[2], "cycle-notices")
    with gr.Row():
        with gr.Column(min_width=340):
            figures = html(report[3], "cycle-figures")
        with gr.Column(min_width=340):
            mark = (ASSETS / "cycle" / "slices.js").read_text(encoding="utf-8")
            chart = gr.HTML(report[4], elem_id="cycle-chart", js_on_load=mark, apply_default_css=False)
    return [title, viewer, notices, figures, chart, downloads]
