"""The Translate page: translate a scan and compare the result with a reference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import gradio as gr

from ganlab.checkpoints import list_models
from ganlab.translation.real_heads import HOW_TO_GET_COLIN27, colin27
from ganlab.translation.tasks import NAMES, get_task
from ganlab.ui.components import ASSETS, QUIET, bound
from ganlab.ui.pages.translate import model_comparison
from ganlab.ui.pages.translate.job import COLIN, SLUG, TranslationJob, chosen_scans, job_of, linked_job, solve
from ganlab.ui.pages.translate.report import show
from ganlab.ui.phantom_controls import Sections, sections, show_options
from ganlab.ui.saved_case import TASK, SavedCase, load_case
from ganlab.ui.scan_check import connect_check
from ganlab.ui.server_settings import Settings
from ganlab.ui.sessions import Store
from ganlab.ui.viewer import volume_viewer
from ganlab.ui.volume_controls import (
    ALONE,
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

TITLE = "Translate"
OPENING = ASSETS / "translate" / "opening"  # made by `python -m ganlab.ui.opening_cases`
ACCEPTED = "A head: NIfTI, MGZ, NRRD, MHA, DICOM files, or a zip."
NO_COLIN = f" To try a real head: Colin27, {HOW_TO_GET_COLIN27}, then start the app again."
REFERENCE = (
    "A real scan of the target modality, of the same patient in any position: it is registered onto the scan (rigidly, "
    "by mutual information) and compared."
)


def offered() -> bool:
    """Whether there is a model to translate with."""
    return bool(list_models(TASK))


def arrow(task: str) -> str:
    """A task as the page names it: T1 -> CT."""
    kind = get_task(task)
    return f"{NAMES[kind.source]} \N{RIGHTWARDS ARROW} {NAMES[kind.target]}"


def scan_label(task: str) -> str:
    """The label of the upload of a scan."""
    return f"{NAMES[get_task(task).source]} scan"


def reference_label(task: str) -> str:
    """The label of the upload of a reference."""
    return NAMES[get_task(task).target]


def explanation(task: str) -> Path:
    """The file with the text of "What am I looking at?"."""
    return Path(__file__).with_name(f"{task}.md")


def follow_task(models: dict[str, list[str]], task: str, model: str | None = None, rival: str | None = None) -> list:
    """What the page offers for a task: models, rivals, labels of the uploads, explanation."""
    names = models[task]
    return [
        gr.Dropdown(names, value=model or names[0]),
        gr.Dropdown([ALONE, *names], value=rival or ALONE),
        gr.File(label=scan_label(task)),
        gr.File(label=reference_label(task)),
        explanation(task).read_text(encoding="utf-8"),
    ]


@dataclass(frozen=True)
class TranslateLinks:
    """The handlers that need the page's models, its opening case and the settings."""

    models: dict[str, list[str]]
    opening: SavedCase
    settings: Settings
    outputs: int  # components that `read` sets

    def follow_task(self, task: str) -> list:
        """What the page offers for a task, with its default model."""
        return follow_task(self.models, task)

    def read(self, request: gr.Request) -> list:
        """?seed=7&task=NAME&model=NAME&spacing=1&planes=axial asks for that patient, unless it is already shown."""
        query = dict(request.query_params)
        job = linked_job(query, self.models, self.opening, self.settings)
        if job is None:
            return [gr.skip()] * self.outputs
        shown = TranslationJob(
            seed=self.opening.seed,
            spacing=self.opening.spacing,
            model=self.opening.model,
            planes=self.opening.planes,
        )
        asked = job if "spacing" in query else replace(job, spacing=self.opening.spacing)
        return [
            job.seed,
            job.task,
            *follow_task(self.models, job.task, job.model, job.rival),
            job.spacing,
            plane_choice(job.planes),
            *show_options(job.seed, job.options),
            int(asked != shown),
        ]


def build(store: Store, settings: Settings, demo: gr.Blocks) -> None:
    """Add the page to the Blocks that are being built."""
    models, opening = models_of(), load_case(OPENING)
    report = show(opening, store.publish(OPENING))
    with gr.Row(elem_classes="gl-page"):
        with gr.Column(scale=1, min_width=260, elem_classes="gl-controls"):
            controls = build_model_choice(models, opening)
            phantom_column, options, new_patient = build_phantom(opening, controls)
            upload_column, folder = build_upload(controls)
            checked = html("", "checked")
            with gr.Row():
                go = gr.Button("Translate", variant="primary", size="md", min_width=90, elem_id="translate")
                stop = gr.Button("Cancel", interactive=False, size="md", min_width=70, elem_id="cancel")
            message = html("", "work")
            controls |= build_settings(settings)
            with gr.Accordion("How it was made", open=False):
                provenance = html(report[6], "made")
        with gr.Column(scale=4, min_width=320, elem_classes="gl-result"):
            results = build_report(report)
            model_comparison.build(store, controls["task"], demo)
            with gr.Accordion("What am I looking at?", open=True):
                text = formulas(explanation(TASK), "explanation")
    requests = gr.State(0)
    job = JobControls(go, new_patient, stop, message, requests, gr.State(False))
    results.append(provenance)
    controls |= options.inputs
    followers = [controls[name] for name in ("model", "rival", "files", "reference")] + [text]
    linked = [controls["seed"], controls["task"], *followers, controls["spacing"], controls["planes"], *options.shown]
    linked.append(requests)
    handlers = JobHandlers(store, SLUG, tuple(controls), job_of, solve, show, len(results))
    links = TranslateLinks(models, opening, settings, len(linked))

    controls["task"].input(links.follow_task, controls["task"], followers, **QUIET)
    controls["source"].change(choose_source, controls["source"], [phantom_column, upload_column], **QUIET)
    for upload in (controls["files"], controls["reference"]):
        upload.upload(handlers.claim, upload, None, **QUIET)
    folder.upload(handlers.claim_folder, folder, controls["files"], **QUIET)
    changes = [controls["source"].change, controls["series"].input, controls["reference_series"].input]
    for side, files, series in (("source", "files", "series"), ("target", "reference", "reference_series")):
        given = [controls[files], controls["task"]]
        offered = gr.on([given[0].change, given[1].input], bound(offer_series, side), given, controls[series], **ASKING)
        changes.append(offered.then)
    demo.load(links.read, None, linked, **ASKING)
    ended = connect_job(handlers, job, controls["seed"], list(controls.values()), results, demo)
    chosen = [controls[name] for name in ("source", "task", "files", "series", "reference", "reference_series")]
    connect_check(chosen_scans, changes, chosen, checked, job, ended)


def build_model_choice(models: dict[str, list[str]], opening: SavedCase) -> dict:
    """Task, model, rival and where the scan comes from."""
    task = gr.Radio(
        [(arrow(name), name) for name in models], value=TASK, label="Task", visible=len(models) > 1, elem_id="task"
    )
    with gr.Group(visible=any(len(names) > 1 for names in models.values())):
        model = gr.Dropdown(models[TASK], value=opening.model, label="Model", elem_id="model")
        rival = gr.Dropdown([ALONE, *models[TASK]], value=ALONE, label="Compare with", elem_id="rival")
    sources = [PHANTOM, UPLOAD, *([COLIN] if colin27() else [])]
    source = gr.Radio(sources, value=PHANTOM, show_label=False, container=False, elem_id="source")
    return {"task": task, "model": model, "rival": rival, "source": source}


def build_phantom(opening: SavedCase, controls: dict) -> tuple[gr.Column, Sections, gr.Button]:
    """A phantom patient's seed and options: (their column, options, New patient)."""
    with gr.Column(elem_classes="gl-source") as column:
        with gr.Group():
            seed = controls["seed"] = gr.Number(
                opening.seed,
                label="Seed",
                info="The same number makes the same patient",
                precision=0,
                minimum=0,
                elem_id="seed",
            )
            new_patient = gr.Button("New patient", size="md", elem_id="new-patient")
        options = sections(seed)
    return column, options, new_patient


def build_upload(controls: dict) -> tuple[gr.Column, gr.UploadButton]:
    """Uploads of a scan and a reference: (their column, the button for a DICOM folder)."""
    with gr.Column(visible=False, elem_classes="gl-source") as column:
        html(f"<p class='gl-note'>{ACCEPTED}{'' if colin27() else NO_COLIN}</p>")
        controls["files"] = gr.File(label=scan_label(TASK), file_count="multiple", height=130, elem_id="scan")
        controls["series"] = series_choice("series")
        folder = gr.UploadButton("A DICOM folder", file_count="directory", size="md", elem_id="scan-folder")
        with gr.Accordion("Reference", open=False):
            html(f"<p class='gl-note'>{REFERENCE}</p>")
            controls["reference"] = gr.File(
                label=reference_label(TASK), file_count="multiple", height=110, elem_id="reference"
            )
            controls["reference_series"] = series_choice("reference-series")
    return column, folder


def build_report(report: list) -> list:
    """Headline, viewer, notices, metrics, histogram and downloads."""
    headline, viewer = html(report[0], "headline"), volume_viewer(report[1], "viewer")
    downloads = html(report[5], "downloads")
    notices = html(report[2], "notices")
    with gr.Row():
        with gr.Column(min_width=340):
            metrics = html(report[3], "metrics")
        with gr.Column(min_width=340):
            histogram = html(report[4], "histogram")
    return [headline, viewer, notices, metrics, histogram, downloads]
