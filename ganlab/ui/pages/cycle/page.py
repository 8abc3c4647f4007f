"""The Cycle page: there and back again, what is lost on the way, what is hidden, and whether a lesion survives."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gradio as gr

from ganlab.checkpoints import has_discriminator
from ganlab.errors import Cancelled, InputError
from ganlab.translation.cycle.pairing import mixed, pair_of
from ganlab.translation.tasks import REVERSE, get_task
from ganlab.ui import experiment_results, report
from ganlab.ui.case import PLANES, Case, load_case, read_scan, save_case, scan_names
from ganlab.ui.components import ASSETS, QUIET
from ganlab.ui.pages.cycle.report import ROUTES, ball_words, show
from ganlab.ui.pages.translate.page import (
    CANCELLED,
    PHANTOM,
    PROGRESS,
    UPLOAD,
    ask,
    ask_for_new_patient,
    busy,
    choose_source,
    idle,
    models_of,
    spacings,
    translate_for,
    words,
)
from ganlab.ui.phantom_controls import SEED_LIMIT, is_seed
from ganlab.ui.server_settings import Settings
from ganlab.ui.sessions import Store
from ganlab.ui.viewer import volume_viewer

TITLE, SLUG = "Cycle", "cycle"
OPENING = ASSETS / "cycle" / "opening"  # made by `python -m ganlab.ui.opening_cases cycle`
PLACE = (26.0, -30.0, 32.0, 8.0)  # of a lesion to start with: RAS mm and radius, in the white matter of the right side
CONTRASTS = {"mr2ct": ("Times as bright", 1.4), "ct2mr": ("HU more", 30.0)}  # label, to start with


@dataclass(frozen=True)
class CycleJob:
    """A phantom by its seed, or the user's files, through a task and back. lesion: (x, y, z, radius, contrast), mm and
    as `ganlab.translation.cycle.cycle.put_lesion` has it."""

    task: str
    there: str
    back: str
    seed: int | None = None
    spacing: float = 1.0
    files: tuple[str, ...] = ()
    planes: tuple[str, ...] = PLANES
    probe: bool = False
    judge: bool = False
    lesion: tuple[float, float, float, float, float] | None = None


def solve_cycle(
    job: CycleJob,
    folder: Path,
    progress: Callable[[float, str], None] = lambda fraction, words: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Case:
    """Make or read the volume, go there and back, and save what was found. Raises InputError and Cancelled."""
    from ganlab.translation.cycle import examine

    progress(0.0, "Making the patient" if job.seed is not None else "Reading the scan")
    if job.seed is not None:
        volume, real = examine.phantom_source(job.task, job.seed, job.spacing, job.judge)
        title, stem = f"Phantom patient {job.seed}", f"phantom-{job.seed}-cycle"
    else:
        volume, real = read_scan(job.files, get_task(job.task).source, folder), None
        title, stem = scan_names(job.files)
    cycle, volumes, found = examine.examine(
        volume, job.task, job.there, job.back, job.lesion, job.probe, job.judge, real,
        progress=lambda done, words: progress(0.15 + 0.8 * done, words), planes=job.planes, cancelled=cancelled,
    )  # fmt: skip
    return save_case(
        folder,
        volumes,
        title=title,
        stem=stem,
        model=cycle.models[0],
        seconds=cycle.seconds,
        planes=job.planes,
        notices=(*volume.notices, *filter(None, [mixed(*cycle.models)])),
        commands=(command(job, title),),
        seed=job.seed,
        spacing=job.spacing,
        task=job.task,
        cycle=found,
        place=job.lesion[:3] if job.lesion else None,
    )


def command(job: CycleJob, title: str) -> str:
    """The shell line that makes the same volumes and finds the same."""
    line = ["python", "-m", "ganlab", "cycle"]
    if job.seed is None:
        line += [title if len(job.files) == 1 else "DICOM-FOLDER"]
    else:
        line += ["--seed", str(job.seed)] + (["--spacing", f"{job.spacing:g}"] if job.spacing != 1 else [])
    line += ["--task", job.task, "--model", job.there, "--back", job.back]
    line += ["--planes", ",".join(job.planes)] if job.planes != PLANES else []
    line += ["--lesion", ball_words(job.lesion)] if job.lesion else []
    line += [f"--{name}" for name in ("probe", "judge") if getattr(job, name)]
    return shlex.join([*line, "--out", "cycle"])


def job_shown(case: Case) -> CycleJob:
    """The job that a phantom patient's case is the answer to."""
    found = case.cycle
    return CycleJob(
        case.task, *found["models"], seed=case.seed, spacing=case.spacing, planes=case.planes, probe="hidden" in found,
        judge="judged" in found, lesion=tuple(found["lesion"]["put"]) if "lesion" in found else None,
    )  # fmt: skip


def linked_job(
    query: dict[str, str], models: dict[str, list[str]], opening: Case, settings: Settings
) -> CycleJob | None:
    """The cycle that an address of this page asks for, by a seed or a task; what is missing or makes no sense in it is
    as a patient is without it: the models of one training, no lesion and no questions."""
    seed = query.get("seed", str(opening.seed) if query.get("task") in REVERSE else "")
    if query.get("tab") != SLUG or not seed.isdecimal() or int(seed) >= SEED_LIMIT:
        return None
    task = query["task"] if query.get("task") in REVERSE else opening.task
    there, back = pair_of(
        task,
        query["model"] if query.get("model") in models[task] else None,
        query["back"] if query.get("back") in models[REVERSE[task]] else None,
    )
    return CycleJob(
        task,
        there,
        back,
        seed=int(seed),
        spacing={f"{mm:g}": mm for mm in spacings(settings)}.get(query.get("spacing"), settings.phantom_mm),
        planes=("axial",) if query.get("planes") == "axial" else PLANES,
        probe=query.get("probe") == "1",
        judge=query.get("judge") == "1" and has_discriminator(there),
        lesion=linked_ball(query.get("lesion", "")),
    )


def linked_ball(text: str) -> tuple[float, ...] | None:
    """x,y,z,radius,contrast of an address, None for what is no five numbers."""
    try:
        numbers = tuple(map(float, text.split(",")))
    except ValueError:
        return None
    return numbers if len(numbers) == 5 and all(map(math.isfinite, numbers)) else None


def offered() -> bool:
    """Whether there are models for the way there and the way back."""
    return REVERSE.keys() <= models_of().keys()


def job_of(
    task: str, source: str, seed, spacing: float, files, there: str, back: str, planes: str, probe: bool, judge: bool,
    lesion: bool, x: float, y: float, z: float, radius: float, contrast: float,
) -> CycleJob:  # fmt: skip
    """The job that the controls describe. Raises InputError for what they leave empty."""
    place = (x, y, z, radius, contrast)
    if lesion and any(value is None for value in place):
        raise InputError("The lesion has no place or size; fill in its numbers, or leave it out.")
    how = {
        "task": task,
        "there": there,
        "back": back,
        "planes": PLANES if planes == "fused" else (planes,),
        "probe": bool(probe),
        "judge": bool(judge),
        "lesion": tuple(map(float, place)) if lesion else None,
    }
    if source == UPLOAD:
        return CycleJob(files=tuple(files or ()), **how)
    if not is_seed(seed):
        raise InputError(f"{seed} is no seed: choose a whole number from 0 to {SEED_LIMIT - 1}.")
    return CycleJob(seed=int(seed), spacing=spacing, **how)


def mixed_note(there: str, back: str) -> gr.HTML:
    """What is said beside the controls of two models that were not trained together."""
    sentence = mixed(there, back)
    return gr.HTML(f"<p class='gl-note'>{sentence}</p>", visible=bool(sentence))


def judging(model: str) -> gr.Checkbox:
    """The question to the discriminator, where the model has one; else it is taken back."""
    return gr.Checkbox(visible=True) if has_discriminator(model) else gr.Checkbox(False, visible=False)


def set_controls(job: CycleJob, models: dict[str, list[str]]) -> dict:
    """What each control shows of a phantom patient's job, by its name in `build`."""
    label, usual = CONTRASTS[job.task]
    x, y, z, radius, contrast = job.lesion or (*PLACE, usual)
    return {
        "task": job.task,
        "source": PHANTOM,
        "seed": job.seed,
        "spacing": job.spacing,
        "there": gr.Dropdown(models[job.task], value=job.there),
        "back": gr.Dropdown(models[REVERSE[job.task]], value=job.back),
        "planes": "fused" if job.planes == PLANES else job.planes[0],
        "probe": job.probe,
        "judge": gr.Checkbox(job.judge, visible=has_discriminator(job.there)),
        "lesion": job.lesion is not None,
        **{"x": x, "y": y, "z": z, "radius": radius},
        "contrast": gr.Number(contrast, label=label),
    }


def build(store: Store, settings: Settings, demo: gr.Blocks) -> None:
    """Add the page to the Blocks that are being built."""
    models, opening = models_of(), load_case(OPENING)
    at_first, shown = job_shown(opening), show(opening, store.publish(OPENING))
    x0, y0, z0, radius0, contrast0 = at_first.lesion
    number = partial(gr.Number, min_width=60)
    with gr.Row(elem_classes="gl-page"):
        with gr.Column(scale=1, min_width=260, elem_classes="gl-controls"):
            routes = [(text, name) for name, text in ROUTES.items()]
            task = gr.Radio(routes, value=at_first.task, label="Cycle", elem_id="route")
            there = gr.Dropdown(models[at_first.task], value=at_first.there, label="There", elem_id="there")
            back = gr.Dropdown(models[REVERSE[at_first.task]], value=at_first.back, label="Back", elem_id="back")
            note = gr.HTML("", visible=False, elem_id="cycle-mixed", apply_default_css=False)
            plain = {"show_label": False, "container": False}
            source = gr.Radio([PHANTOM, UPLOAD], value=PHANTOM, elem_id="cycle-source", **plain)
            with gr.Column(elem_classes="gl-source") as phantom:
                seed = gr.Number(at_first.seed, label="Seed", precision=0, minimum=0, elem_id="cycle-seed")
                fresh = gr.Button("New patient", size="md", elem_id="cycle-new")
            with gr.Column(visible=False, elem_classes="gl-source") as upload:
                files = gr.File(label="Scan", file_count="multiple", height=130, elem_id="cycle-scan")
            lesion = gr.Checkbox(True, label="Put a lesion in", info="A ball in the scan", elem_id="cycle-ball")
            probe = gr.Checkbox(
                at_first.probe, label="Look for a hidden message", info="Three more ways back", elem_id="probe"
            )
            judge = gr.Checkbox(
                at_first.judge, label="Ask the discriminator", info="Which patches it takes for real", elem_id="judge"
            )
            with gr.Row():
                go = gr.Button("There and back", variant="primary", size="md", min_width=130, elem_id="cycle-go")
                stop = gr.Button("Cancel", interactive=False, size="md", min_width=70, elem_id="cycle-stop")
            work = words("", "cycle-work")
            with gr.Accordion("The lesion", open=False, elem_id="cycle-lesion"):
                words("<p class='gl-note'>Its place in mm as the read-out says it: left, back, below are negative.</p>")
                with gr.Row():
                    x, y, z = number(x0, label="Right"), number(y0, label="Front"), number(z0, label="Up")
                with gr.Row():
                    radius = number(radius0, label="Radius, mm")
                    contrast = number(contrast0, label=CONTRASTS[at_first.task][0], elem_id="cycle-contrast")
            with gr.Accordion("Settings", open=False):
                choices = [(f"{mm:g} mm", mm) for mm in spacings(settings)]
                spacing = gr.Radio(choices, value=settings.phantom_mm, label="Phantom's voxels")
                ways = [("Mean of three planes", "fused"), ("Axial slices only (3 times faster)", "axial")]
                planes = gr.Radio(ways, value="fused", label="Slices")
            with gr.Accordion("Download", open=False):
                links = words(shown[5])
            with gr.Accordion("How it was made", open=False):
                made = words(shown[6], "cycle-made")
        with gr.Column(scale=4, min_width=320, elem_classes="gl-result"):
            title = words(shown[0], "cycle-title")
            viewer = volume_viewer(shown[1], "cycle-viewer")
            notices = words(shown[2], "cycle-notices")
            with gr.Row():
                with gr.Column(min_width=340):
                    table = words(shown[3], "cycle-figures")
                with gr.Column(min_width=340):
                    mark = (ASSETS / "cycle" / "slices.js").read_text(encoding="utf-8")
                    chart = gr.HTML(shown[4], elem_id="cycle-chart", js_on_load=mark, apply_default_css=False)
            delimiters = [{"left": "$$", "right": "$$", "display": True}, {"left": "$", "right": "$", "display": False}]
            gr.Markdown(
                Path(__file__).with_name("explanation.md").read_text(encoding="utf-8"), latex_delimiters=delimiters
            )
            for result in experiment_results.available(experiment_results.CYCLE):
                experiment_results.build(result)
    asked = gr.State(0)  # counts requests: whatever asks for a cycle adds one
    controls = {
        "task": task, "source": source, "seed": seed, "spacing": spacing, "files": files, "there": there, "back": back,
        "planes": planes, "probe": probe, "judge": judge, "lesion": lesion, "x": x, "y": y, "z": z, "radius": radius,
        "contrast": contrast,
    }  # fmt: skip
    result = [title, viewer, notices, table, chart, links, made]
    buttons = [go, fresh, stop]
    linked = {name: control for name, control in controls.items() if name != "files"}

    def mine(request: gr.Request) -> str:
        return f"{request.session_hash} cycle"  # beside what the session holds of other pages

    def turn(name: str, there: str, back: str):
        """The other direction, by the same two models."""
        label, usual = CONTRASTS[name]
        first, second = models[name], models[REVERSE[name]]
        if there not in first:
            there, back = back, there
        return (
            gr.Dropdown(first, value=there), gr.Dropdown(second, value=back), judging(there),
            gr.Number(usual, label=label),
        )  # fmt: skip

    def follow_models(there: str, back: str):
        return judging(there), mixed_note(there, back)

    def read_link(request: gr.Request):
        """?tab=cycle&seed=7&task=NAME&model=NAME&back=NAME asks for that cycle, unless it is already shown."""
        wanted = linked_job(dict(request.query_params), models, opening, settings)
        if wanted is None:
            return [gr.skip()] * (len(linked) + 2)
        shows = set_controls(wanted, models)
        return *(shows[name] for name in linked), mixed_note(wanted.there, wanted.back), int(wanted != at_first)

    def run(values: dict, request: gr.Request, bar=PROGRESS):
        unchanged = [gr.skip()] * len(result)
        if not values[asked]:  # gradio calls a State changed that it has only just mounted
            return [gr.skip(), *unchanged]
        try:
            job = job_of(**{name: values[control] for name, control in controls.items()})
            case, token = translate_for(store, mine(request), job, lambda done, what: bar(done, desc=what), solve_cycle)
        except InputError as mistake:
            gr.Warning(str(mistake))
            return [report.alert(str(mistake)), *unchanged]
        except Cancelled:
            return [report.alert(CANCELLED), *unchanged]
        return ["", *show(case, token)]

    def cancel(request: gr.Request):
        store.cancel(mine(request))
        return report.alert(CANCELLED), *idle()

    def close(request: gr.Request):
        store.close(mine(request))

    def claim(paths, request: gr.Request):
        store.hold(mine(request), *paths)

    asking = {**QUIET, "queue": True, "concurrency_limit": None}  # a State's change is only seen in the queue
    task.input(turn, [task, there, back], [there, back, judge, contrast], **QUIET)
    for model in (there, back):
        model.input(follow_models, [there, back], [judge, note], **QUIET)
    source.change(choose_source, source, [phantom, upload], **QUIET)
    files.upload(claim, files, **QUIET)
    go.click(ask, asked, asked, **asking)
    fresh.click(ask_for_new_patient, asked, [seed, asked], **asking)
    demo.load(read_link, None, [*linked.values(), note, asked], **asking)
    started = asked.change(busy, None, buttons, **QUIET)
    running = started.then(
        run, {*controls.values(), asked}, [work, *result], show_progress_on=work, concurrency_id="translation",
        concurrency_limit=1, api_visibility="private",
    )  # fmt: skip
    running.then(idle, None, buttons, **QUIET)
    stop.click(cancel, None, [work, *buttons], cancels=[running], **QUIET)
    demo.unload(close)
