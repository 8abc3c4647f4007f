"""The Translate page: a scan in, another modality out, seen beside the reference and measured against it."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path

import gradio as gr

from ganlab.checkpoints import list_models
from ganlab.errors import Cancelled, InputError
from ganlab.translation.tasks import TASKS, cards_of, get_task
from ganlab.ui import report
from ganlab.ui.case import NAMES, PLANES, TASK, Case, Job, load_case, solve
from ganlab.ui.components import ASSETS, QUIET
from ganlab.ui.pages.translate import model_comparison as worth
from ganlab.ui.phantom_controls import SEED_LIMIT, is_seed, linked_options, options_of, sections, show_options
from ganlab.ui.server_settings import Settings
from ganlab.ui.sessions import Store
from ganlab.ui.viewer import manifest, volume_viewer

TITLE, SLUG = "Translate", "translate"
OPENING = ASSETS / "translate" / "opening"  # made by `python -m ganlab.ui.opening_cases`
NEW_SEEDS = range(9000, 10_000)  # the phantom patients kept for testing
PHANTOM, UPLOAD = "Phantom patient", "Your scan"
ALONE = "none"  # in place of a rival
PROGRESS = gr.Progress()  # as a parameter's default, gradio gives each run its own
CANCELLED = "Cancelled. The picture is the one before."


def show(case: Case, token: str) -> dict:
    """What the page shows of a case, by the component that shows it."""
    return {
        "headline": report.headline(case),
        "viewer": manifest(case, token),
        "notices": report.notices(case),
        "metrics": report.metrics_table(case),
        "histogram": report.histogram(case),
        "downloads": report.downloads(case, token),
        "made": report.provenance(case),
    }


def offered() -> bool:
    """Whether there is a model to translate with."""
    return bool(list_models(TASK))


def models_of() -> dict[str, list[str]]:
    """The pretrained models of each task that has one, its default first."""
    found = {name: [card["name"] for card in cards_of(name)] for name in TASKS}
    return {
        name: sorted(models, key=lambda model: model != TASKS[name].default_model)
        for name, models in found.items()
        if models
    }


def job_of(
    task: str,
    source: str,
    seed: float | None,
    spacing: float,
    files,
    reference,
    model: str,
    rival: str,
    planes: str,
    **choices,
) -> Job:
    """The job that the controls describe; choices: see `options_of`. Raises InputError for a seed that is none."""
    planes = PLANES if planes == "fused" else (planes,)
    how = {"task": task, "model": model, "planes": planes, "rival": None if rival in (None, ALONE, model) else rival}
    if source == UPLOAD:
        return Job(files=tuple(files or ()), reference=tuple(reference or ()), **how)
    if not is_seed(seed):
        raise InputError(f"{seed} is no seed: choose a whole number from 0 to {SEED_LIMIT - 1}.")
    return Job(seed=int(seed), spacing=spacing, options=options_of(int(seed), **choices), **how)


def linked_job(query: dict[str, str], models: dict[str, list[str]], opening: Case, settings: Settings) -> Job | None:
    """The phantom patient that an address of this page asks for, by its seed or a task; what is missing or makes no
    sense in it is as the page opens."""
    seed = query.get("seed", str(opening.seed) if query.get("task") in models else "")
    if query.get("tab", SLUG) != SLUG or not seed.isdecimal() or int(seed) >= SEED_LIMIT:
        return None
    task = query["task"] if query.get("task") in models else opening.task
    usual = opening.model if task == opening.task else models[task][0]
    model = query["model"] if query.get("model") in models[task] else usual
    return Job(
        seed=int(seed),
        task=task,
        model=model,
        rival=query["rival"] if query.get("rival") in set(models[task]) - {model} else None,
        spacing={f"{mm:g}": mm for mm in spacings(settings)}.get(query.get("spacing"), settings.phantom_mm),
        planes=("axial",) if query.get("planes") == "axial" else PLANES,
        options=linked_options(query),
    )


def spacings(settings: Settings) -> list[float]:
    """Voxel edges, mm, that a phantom patient can be made with here."""
    return sorted({1.0, 2.0, settings.phantom_mm})


def translate_for(store: Store, holder: str, job: Job, progress, how=None) -> tuple[Case, str]:
    """Do a session's job, or take a phantom's result from the last who asked, and make it the session's one result.

    how(job, folder, progress, cancelled): what does it, `solve` unless given. Raises InputError and Cancelled; the
    session then keeps what it had.
    """
    event = store.start(holder)
    token = store.shared(job) if job.seed is not None else None
    if token is None:
        token, folder = store.new_result(event)  # the job's own until it is done, whatever becomes of the session
    else:
        folder = store.folder(token)
        store.hold(event, folder)
    try:
        if not any(folder.iterdir()):
            (how or solve)(job, folder, progress=progress, cancelled=event.is_set)
            for upload in folder.glob("upload-*"):
                shutil.rmtree(upload)
            if job.seed is not None:
                store.share(job, token)
        if not event.is_set():
            store.keep(holder, token)
        if event.is_set():  # perhaps since just now, and its session may be gone
            store.release(holder, [folder])
            raise Cancelled
        return load_case(folder), token
    finally:
        store.release(event)


def arrow(task: str) -> str:
    """MR to CT, as the page says it."""
    kind = get_task(task)
    return f"{NAMES[kind.source]} \u2192 {NAMES[kind.target]}"


def scan_label(task: str) -> str:
    return f"{NAMES[get_task(task).source]} scan"


def reference_label(task: str) -> str:
    return NAMES[get_task(task).target]


def explained(task: str) -> str:
    """What am I looking at?, in Markdown."""
    return Path(__file__).with_name(f"{task}.md").read_text(encoding="utf-8")


def choose_source(chosen: str) -> tuple[gr.Column, gr.Column]:
    """The controls of a phantom, or those of an upload."""
    return gr.Column(visible=chosen == PHANTOM), gr.Column(visible=chosen == UPLOAD)


def busy() -> tuple[gr.Button, gr.Button, gr.Button]:
    """Start, New patient and Cancel while something runs."""
    return gr.Button(interactive=False), gr.Button(interactive=False), gr.Button(interactive=True)


def idle() -> tuple[gr.Button, gr.Button, gr.Button]:
    """The same, while nothing does."""
    return gr.Button(interactive=True), gr.Button(interactive=True), gr.Button(interactive=False)


def ask(times: int) -> int:
    """One request more."""
    return times + 1


def ask_for_new_patient(times: int) -> tuple[int, int]:
    """Another patient's seed, and one request more."""
    return random.choice(NEW_SEEDS), times + 1


def words(html: str, elem_id: str | None = None) -> gr.HTML:
    """A piece of a report on the page."""
    return gr.HTML(html, elem_id=elem_id, apply_default_css=False)


def build(store: Store, settings: Settings, demo: gr.Blocks) -> None:
    """Add the page to the Blocks that are being built."""
    models = models_of()
    opening = load_case(OPENING)
    shown = show(opening, store.publish(OPENING))

    with gr.Row(elem_classes="gl-page"):
        with gr.Column(scale=1, min_width=260, elem_classes="gl-controls"):
            task = gr.Radio(
                [(arrow(name), name) for name in models], value=TASK, label="Task", visible=len(models) > 1,
                elem_id="task",
            )  # fmt: skip
            with gr.Group(visible=any(len(names) > 1 for names in models.values())):
                model = gr.Dropdown(models[TASK], value=opening.model, label="Model", elem_id="model")
                rival = gr.Dropdown([ALONE, *models[TASK]], value=ALONE, label="Compare with", elem_id="rival")
            source = gr.Radio([PHANTOM, UPLOAD], value=PHANTOM, show_label=False, container=False, elem_id="source")
            with gr.Column(elem_classes="gl-source") as phantom:
                with gr.Group():
                    seed = gr.Number(
                        opening.seed,
                        label="Seed",
                        info="The same number makes the same patient",
                        precision=0,
                        minimum=0,
                        elem_id="seed",
                    )
                    fresh = gr.Button("New patient", size="md", elem_id="new-patient")
                options = sections(seed)
            with gr.Column(visible=False, elem_classes="gl-source") as upload:
                words("<p class='gl-note'>A head: NIfTI, MGZ, NRRD, MHA, DICOM files, or a zip.</p>")
                files = gr.File(label=scan_label(TASK), file_count="multiple", height=130, elem_id="scan")
                folder = gr.UploadButton("A DICOM folder", file_count="directory", size="md", elem_id="scan-folder")
                with gr.Accordion("Reference", open=False):
                    words(
                        "<p class='gl-note'>What is made, as it was really scanned of the same patient, in any "
                        "position: it is moved onto the scan rigidly (by mutual information) and compared.</p>"
                    )
                    reference = gr.File(
                        label=reference_label(TASK), file_count="multiple", height=110, elem_id="reference"
                    )
            with gr.Row():
                go = gr.Button("Translate", variant="primary", size="md", min_width=90, elem_id="translate")
                stop = gr.Button("Cancel", interactive=False, size="md", min_width=70, elem_id="cancel")
            work = words("", "work")
            with gr.Accordion("Settings", open=False):
                spacing = gr.Radio(
                    [(f"{mm:g} mm", mm) for mm in spacings(settings)],
                    value=settings.phantom_mm,
                    label="Phantom's voxels",
                    elem_id="spacing",
                )
                planes = gr.Radio(
                    [("Mean of three planes", "fused"), ("Axial slices only (3 times faster)", "axial")],
                    value="fused",
                    label="Slices",
                    elem_id="planes",
                )
            with gr.Accordion("Download", open=False):
                downloads = words(shown["downloads"], "downloads")
            with gr.Accordion("How it was made", open=False):
                made = words(shown["made"], "made")
        with gr.Column(scale=4, min_width=320, elem_classes="gl-result"):
            headline = words(shown["headline"], "headline")
            viewer = volume_viewer(shown["viewer"], "viewer")
            notices = words(shown["notices"], "notices")
            with gr.Row():
                with gr.Column(min_width=340):
                    table = words(shown["metrics"], "metrics")
                with gr.Column(min_width=340):
                    histogram = words(shown["histogram"], "histogram")
            worth.build(store, task, demo)
            with gr.Accordion("What am I looking at?", open=True):
                explanation = gr.Markdown(
                    explained(TASK),
                    latex_delimiters=[
                        {"left": "$$", "right": "$$", "display": True},
                        {"left": "$", "right": "$", "display": False},
                    ],
                    elem_id="explanation",
                )
    asked = gr.State(0)  # counts requests: whatever asks for a translation adds one
    controls = {
        "task": task,
        "source": source,
        "seed": seed,
        "spacing": spacing,
        "files": files,
        "reference": reference,
        "model": model,
        "rival": rival,
        "planes": planes,
        **options.inputs,
    }
    result = [headline, viewer, notices, table, histogram, downloads, made]
    buttons = [go, fresh, stop]
    of_task = [model, rival, files, reference, explanation]
    linked = [seed, task, *of_task, spacing, planes, *options.shown, asked]

    def follow_task(name: str, chosen: str | None = None, beside: str | None = None) -> list:
        """What the page offers and says for a task."""
        names = models[name]
        return [
            gr.Dropdown(names, value=chosen or names[0]),
            gr.Dropdown([ALONE, *names], value=beside or ALONE),
            gr.File(label=scan_label(name)),
            gr.File(label=reference_label(name)),
            explained(name),
        ]

    def read_link(request: gr.Request):
        """?seed=7&task=NAME&model=NAME&spacing=1&planes=axial asks for that patient, unless it is already shown."""
        wanted = linked_job(dict(request.query_params), models, opening, settings)
        if wanted is None:
            return [gr.skip()] * len(linked)
        shown = replace(wanted, spacing=opening.spacing) if "spacing" not in request.query_params else wanted
        asks = shown != Job(opening.seed, opening.spacing, model=opening.model, planes=opening.planes)
        return (
            *(wanted.seed, wanted.task, *follow_task(wanted.task, wanted.model, wanted.rival)),
            *(wanted.spacing, "fused" if wanted.planes == PLANES else "axial"),
            *show_options(wanted.seed, wanted.options),
            int(asks),
        )

    def run(values: dict, request: gr.Request, bar=PROGRESS):
        unchanged = [gr.skip()] * len(result)
        if not values[asked]:  # gradio calls a State changed that it has only just mounted
            return [gr.skip(), *unchanged]
        try:
            job = job_of(**{name: values[control] for name, control in controls.items()})
            case, token = translate_for(store, request.session_hash, job, lambda done, what: bar(done, desc=what))
        except InputError as mistake:
            gr.Warning(str(mistake))
            return [report.alert(str(mistake)), *unchanged]
        except Cancelled:
            return [report.alert(CANCELLED), *unchanged]
        return ["", *show(case, token).values()]

    def cancel(request: gr.Request):
        store.cancel(request.session_hash)
        return report.alert(CANCELLED), *idle()

    def claim(paths, request: gr.Request):
        """Uploaded files are the session's own: they go when it goes."""
        store.hold(request.session_hash, *paths)

    def claim_folder(paths, request: gr.Request):
        claim(paths, request)
        return paths

    def close(request: gr.Request):
        store.close(request.session_hash)

    asking = {**QUIET, "queue": True, "concurrency_limit": None}  # a State's change is only seen in the queue
    task.input(follow_task, task, of_task, **QUIET)
    source.change(choose_source, source, [phantom, upload], **QUIET)
    files.upload(claim, files, **QUIET)
    reference.upload(claim, reference, **QUIET)
    folder.upload(claim_folder, folder, files, **QUIET)
    go.click(ask, asked, asked, **asking)
    fresh.click(ask_for_new_patient, asked, [seed, asked], **asking)
    demo.load(read_link, None, linked, **asking)
    started = asked.change(busy, None, buttons, **QUIET)
    running = started.then(
        run,
        {*controls.values(), asked},
        [work, *result],
        show_progress_on=work,
        concurrency_id="translation",
        concurrency_limit=1,
        api_visibility="private",
    )
    running.then(idle, None, buttons, **QUIET)
    stop.click(cancel, None, [work, *buttons], cancels=[running], **QUIET)
    demo.unload(close)
