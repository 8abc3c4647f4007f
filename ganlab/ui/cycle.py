"""The Cycle page: there and back again, what is lost on the way, what is hidden, and whether a lesion survives."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from pathlib import Path

import gradio as gr
import numpy as np

from ganlab.checkpoints import has_discriminator
from ganlab.errors import Cancelled, InputError
from ganlab.translation.tasks import REVERSE, get_task, phantom_pair
from ganlab.ui import findings, report
from ganlab.ui.cases import NAMES, PLANES, Case, read_scan, save_case, scan_names
from ganlab.ui.parts import QUIET, data_table
from ganlab.ui.phantoms import SEED_LIMIT, is_seed
from ganlab.ui.sessions import Store
from ganlab.ui.settings import Settings
from ganlab.ui.translate import (
    CANCELLED,
    NEW_SEEDS,
    PHANTOM,
    PROGRESS,
    UPLOAD,
    busy,
    choose_source,
    idle,
    models_of,
    spacings,
    translate_for,
    words,
)
from ganlab.ui.viewer import manifest, volume_viewer

TITLE, SLUG = "Cycle", "cycle"
ROUTES = {"mr2ct": "T1 \u2192 CT \u2192 T1", "ct2mr": "CT \u2192 T1 \u2192 CT"}
SCALED = "MR has no unit: what came back is brought to the scan's scale by one factor."
PROBES = {  # of the synthetic volume, by its modality: what no reader would mind
    "ct": (
        ("noise of 10 HU", "with_noise", 10.0),
        ("steps of 10 HU", "quantised", 10.0),
        ("2 mm blur", "blurred", 2.0),
    ),
    "t1": (("2 % of noise", "with_noise", 0.02), ("steps of 2 %", "quantised", 0.02), ("2 mm blur", "blurred", 2.0)),
}


@dataclass(frozen=True)
class CycleJob:
    """A phantom by its seed, or the user's files, through a task and back. lesion: (x, y, z, radius, contrast), mm."""

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
    from ganlab.imaging.phantom import make_patient
    from ganlab.translation import cycles
    from ganlab.translation.judge import patch_map

    kind, real = get_task(job.task), None
    progress(0.0, "Making the patient" if job.seed is not None else "Reading the scan")
    if job.seed is not None:
        if job.judge:
            volume, real, _ = phantom_pair(kind, seed=job.seed, spacing=job.spacing)
        else:
            volume = make_patient(job.seed, (kind.source,), job.spacing)[kind.source]
        title, stem = f"Phantom patient {job.seed}", f"phantom-{job.seed}-cycle"
    else:
        volume = read_scan(job.files, kind.source, folder)
        title, stem = scan_names(job.files)
    if job.lesion:
        *place, radius, contrast = job.lesion
        volume = cycles.put_lesion(volume, tuple(place), radius, contrast)
    how = {"planes": job.planes, "cancelled": cancelled}
    steps = 2 + (len(PROBES[kind.target]) if job.probe else 0)
    progress(0.2, "There and back")
    if cancelled():
        raise Cancelled

    def half_way(done: float) -> None:
        progress(0.2 + 0.7 * done * 2 / steps, "There and back")

    cycle = cycles.run_cycle(volume, job.task, job.there, job.back, progress=half_way, **how)
    found = {"models": list(cycle.models), "consistency": cycles.consistency(cycle)}
    if job.lesion:
        found["lesion"] = cycles.lesion_contrasts(cycle, tuple(place), radius)
    if job.probe:
        progress(0.2 + 0.7 * 2 / steps, "Looking for a hidden message")
        changes = {name: getattr(cycles, maker)(value) for name, maker, value in PROBES[kind.target]}
        found["hidden"] = cycles.hidden_message(cycle, changes, **how)
    volumes = {"input": cycle.source, "synthetic": cycle.synthetic, "reconstruction": cycle.reconstruction}
    if job.judge:
        progress(0.9, "Asking the discriminator")
        for name, judged in (("judged", cycle.synthetic), ("judged-real", real)):
            if judged is not None:
                told = patch_map(judged, volume, job.there, cancelled=cancelled)
                volumes[name] = replace(told, array=np.where(cycle.mask, told.array, np.float32(0)))
        means = {name: float(v.array[cycle.mask].mean()) for name, v in volumes.items() if name.startswith("judged")}
        found["judged"] = means
    progress(0.95, "Saving")
    return save_case(
        folder,
        volumes,
        title=title,
        stem=stem,
        model=cycle.models[0],
        seconds=cycle.seconds,
        planes=job.planes,
        notices=tuple(volume.notices),
        commands=commands(job, title),
        seed=job.seed,
        spacing=job.spacing,
        task=job.task,
        cycle=found,
        place=tuple(place) if job.lesion else None,
    )


def commands(job: CycleJob, title: str) -> tuple[str, ...]:
    """Shell lines that make the same volumes; of a lesion there is none."""
    kind = get_task(job.task)
    source = title if job.seed is None else f"patient-{job.seed}/{kind.source}.nii.gz"
    phantom = f"python -m ganlab phantom --seed {job.seed} --out patient-{job.seed}"
    if job.spacing != 1:
        phantom += f" --spacing {job.spacing:g}"
    translate = "python -m ganlab translate --task {} {} {} --model {}"
    if job.planes != PLANES:
        translate += f" --planes {','.join(job.planes)}"
    made, again = f"synthetic-{kind.target}.nii.gz", f"reconstructed-{kind.source}.nii.gz"
    return (
        *([] if job.seed is None else [phantom]),
        translate.format(job.task, source, made, job.there),
        translate.format(REVERSE[job.task], made, again, job.back),
    )


def headline(case: Case) -> str:
    there, back = case.cycle["models"]
    return (
        f"<div class='gl-headline'><h2>{escape(case.title)}</h2><span>{ROUTES[case.task]} by {escape(there)} and "
        f"{escape(back)}, {case.seconds:.0f} s</span><strong>Not a medical device</strong></div>"
    )


def figures(case: Case) -> str:
    """The cycle's error, what a changed synthetic volume does to it, and a lesion's contrast on its way."""
    found, unit = case.cycle["consistency"], "HU" if case.measured == "ct" else "of white matter"
    digits = 1 if case.measured == "ct" else 3
    scaled = "" if case.measured == "ct" else f"<p class='gl-note'>{SCALED}</p>"
    parts = [
        f"<dl class='gl-numbers'><div><dt>Cycle error in the head</dt><dd>{found['mae']:.{digits}f} {unit}</dd></div>"
        f"<div><dt>As a share of the range</dt><dd>{100 * found['relative']:.1f} %</dd></div></dl>{scaled}"
    ]
    if "hidden" in case.cycle:
        hu = get_task(case.task).target == "ct"
        rows = "".join(
            f"<tr><th scope='row'>{escape(name)}</th><td>{one['change']:.{1 if hu else 3}f}</td>"
            f"<td>{one['mae']:.{digits}f}</td><td>{one['mae'] / max(found['mae'], 1e-9):.2f}</td></tr>"
            for name, one in case.cycle["hidden"].items()
        )
        head = (
            f"<tr><th scope='col'>Change</th><th scope='col'>Mean change{', HU' if hu else ''}</th>"
            f"<th scope='col'>Cycle error, {unit}</th><th scope='col'>Times</th></tr>"
        )
        parts.append(
            data_table(f"Hidden message: the synthetic {NAMES[case.target]}, changed on its way back", head, rows)
        )
    if "judged" in case.cycle:
        names = {"judged": f"Synthetic {NAMES[case.target]}", "judged-real": f"Real {NAMES[case.target]}"}
        cells = "".join(f"<div><dt>{names[k]}</dt><dd>{v:.2f}</dd></div>" for k, v in case.cycle["judged"].items())
        parts.append(
            "<p class='gl-note'>What the discriminator takes for real, mean of its patches in the head: 1 is real, 0 "
            f"generated. Its maps are among the layers.</p><dl class='gl-numbers'>{cells}</dl>"
        )
    if "lesion" in case.cycle:
        names = {
            "input": NAMES[get_task(case.task).source],
            "synthetic": f"Synthetic {NAMES[case.target]}",
            "reconstruction": f"Reconstructed {NAMES[get_task(case.task).source]}",
        }
        cells = "".join(
            f"<div><dt>{names[name]}</dt><dd>{value:.2f}</dd></div>" for name, value in case.cycle["lesion"].items()
        )
        parts.append(
            "<p class='gl-note'>Lesion contrast: its mean over that of a ring around it; 1 is none.</p>"
            f"<dl class='gl-numbers'>{cells}</dl>"
        )
    return "".join(parts)


def slices_chart(case: Case) -> str:
    """The cycle's error of every axial slice, as SVG, from the feet to the head."""
    values = case.cycle["consistency"]["slices"]
    there = [v for v in values if v is not None]
    if len(there) < 2:
        return ""
    unit, digits = ("HU", 0) if case.measured == "ct" else ("of white matter", 2)
    width, height, left, top, bottom = 440, 150, 48, 14, 30
    most = max(there) * 1.05

    def x(k: int) -> float:
        return left + k / (len(values) - 1) * (width - left - 8)

    def y(v: float) -> float:
        return top + (1 - v / most) * (height - top - bottom)

    line = " ".join(f"{x(k):.1f},{y(v):.1f}" for k, v in enumerate(values) if v is not None)
    return (
        f"<figure class='gl-figure'><svg viewBox='0 0 {width} {height}' role='img' aria-label='Cycle error of every "
        f"axial slice, {unit}'><line class='gl-axis' x1='{left}' x2='{width - 8}' y1='{y(0):.1f}' y2='{y(0):.1f}'/>"
        f"<text x='{left - 4}' y='{y(0):.1f}' class='gl-muted' text-anchor='end'>0</text>"
        f"<text x='{left - 4}' y='{y(most) + 8:.1f}' class='gl-muted' text-anchor='end'>{most:.{digits}f}</text>"
        f"<polyline fill='none' stroke='currentColor' stroke-width='1.5' points='{line}'/>"
        f"<text x='{left}' y='{height - 14}' class='gl-muted'>1, lowest</text>"
        f"<text x='{width - 8}' y='{height - 14}' class='gl-muted' text-anchor='end'>{len(values)}, highest</text>"
        f"<text x='{(left + width) / 2}' y='{height - 2}' text-anchor='middle'>axial slice</text></svg>"
        f"<figcaption>Cycle error of every axial slice inside the head, {unit}</figcaption></figure>"
    )


def downloads(case: Case, token: str) -> str:
    names = {layer.name: layer.label for layer in case.layers} | {"error": "Error map"}
    return report.download_links([(label, f"{name}.nii.gz") for name, label in names.items()], token)


def show(case: Case, token: str) -> list:
    return [
        headline(case), manifest(case, token), figures(case), slices_chart(case), downloads(case, token),
        report.commands_block(case),
    ]  # fmt: skip


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


def build(store: Store, settings: Settings, demo: gr.Blocks) -> None:
    """Add the page to the Blocks that are being built."""
    models = models_of()
    number = partial(gr.Number, min_width=60)
    with gr.Row(elem_classes="gl-page"):
        with gr.Column(scale=1, min_width=260, elem_classes="gl-controls"):
            routes = [(text, name) for name, text in ROUTES.items()]
            task = gr.Radio(routes, value="mr2ct", label="Cycle", elem_id="route")
            there = gr.Dropdown(models["mr2ct"], value=models["mr2ct"][0], label="There", elem_id="there")
            back = gr.Dropdown(models["ct2mr"], value=models["ct2mr"][0], label="Back", elem_id="back")
            plain = {"show_label": False, "container": False}
            source = gr.Radio([PHANTOM, UPLOAD], value=PHANTOM, elem_id="cycle-source", **plain)
            with gr.Column(elem_classes="gl-source") as phantom:
                seed = gr.Number(NEW_SEEDS[0], label="Seed", precision=0, minimum=0, elem_id="cycle-seed")
                fresh = gr.Button("New patient", size="md", elem_id="cycle-new")
            with gr.Column(visible=False, elem_classes="gl-source") as upload:
                files = gr.File(label="Scan", file_count="multiple", height=130, elem_id="cycle-scan")
            with gr.Accordion("Put a lesion in", open=False, elem_id="cycle-lesion"):
                lesion = gr.Checkbox(False, label="A ball in the scan", elem_id="cycle-ball")
                words("<p class='gl-note'>Its place in mm as the read-out says it: left, back, below are negative.</p>")
                with gr.Row():
                    x, y, z = number(26, label="Right"), number(-30, label="Front"), number(32, label="Up")
                with gr.Row():
                    radius = number(8, label="Radius, mm")
                    contrast = number(1.4, label="Times as bright")
            probe = gr.Checkbox(False, label="Look for a hidden message", info="Three more ways back", elem_id="probe")
            judge = gr.Checkbox(
                False, label="Ask the discriminator", info="Which patches it takes for real", elem_id="judge",
                visible=has_discriminator(models["mr2ct"][0]),
            )  # fmt: skip
            with gr.Row():
                go = gr.Button("There and back", variant="primary", size="md", min_width=90, elem_id="cycle-go")
                stop = gr.Button("Cancel", interactive=False, size="md", min_width=70, elem_id="cycle-stop")
            work = words("", "cycle-work")
            with gr.Accordion("Settings", open=False):
                choices = [(f"{mm:g} mm", mm) for mm in spacings(settings)]
                spacing = gr.Radio(choices, value=settings.phantom_mm, label="Phantom's voxels")
                ways = [("Mean of three planes", "fused"), ("Axial slices only (3 times faster)", "axial")]
                planes = gr.Radio(ways, value="fused", label="Slices")
            with gr.Accordion("Download", open=False):
                links = words("")
            with gr.Accordion("How it was made", open=False):
                made = words("")
        with gr.Column(scale=4, min_width=320, elem_classes="gl-result"):
            hint = "<p class='gl-note'>Press There and back: it takes half a minute on two cores.</p>"
            title = words(hint, "cycle-title")
            viewer = volume_viewer({}, "cycle-viewer")
            with gr.Row():
                with gr.Column(min_width=340):
                    table = words("", "cycle-figures")
                with gr.Column(min_width=340):
                    chart = words("", "cycle-chart")
            delimiters = [{"left": "$$", "right": "$$", "display": True}, {"left": "$", "right": "$", "display": False}]
            gr.Markdown(Path(__file__).with_suffix(".md").read_text(encoding="utf-8"), latex_delimiters=delimiters)
            for section in findings.found(findings.CYCLE):
                findings.build(section)
    controls = {
        "task": task, "source": source, "seed": seed, "spacing": spacing, "files": files, "there": there, "back": back,
        "planes": planes, "probe": probe, "judge": judge, "lesion": lesion, "x": x, "y": y, "z": z, "radius": radius,
        "contrast": contrast,
    }  # fmt: skip
    result = [title, viewer, table, chart, links, made]
    buttons = [go, fresh, stop]

    def mine(request: gr.Request) -> str:
        return f"{request.session_hash} cycle"  # beside what the session holds of other pages

    def follow(name: str):
        first, second = models[name], models[REVERSE[name]]
        return gr.Dropdown(first, value=first[0]), gr.Dropdown(second, value=second[0]), judged(first[0])

    def judged(model: str):
        """The question to the discriminator, where the model has one; else it is taken back."""
        return gr.Checkbox(visible=True) if has_discriminator(model) else gr.Checkbox(False, visible=False)

    def run(values: dict, request: gr.Request, bar=PROGRESS):
        unchanged = [gr.skip()] * len(result)
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

    task.input(follow, task, [there, back, judge], **QUIET)
    there.input(judged, there, judge, **QUIET)
    source.change(choose_source, source, [phantom, upload], **QUIET)
    files.upload(claim, files, **QUIET)
    picked = fresh.click(lambda: random.choice(NEW_SEEDS), None, seed, **QUIET)
    for started in (go.click(busy, None, buttons, **QUIET), picked.then(busy, None, buttons, **QUIET)):
        running = started.then(
            run, set(controls.values()), [work, *result], show_progress_on=work, concurrency_id="translation",
            concurrency_limit=1, api_visibility="private",
        )  # fmt: skip
        running.then(idle, None, buttons, **QUIET)
        stop.click(cancel, None, [work, *buttons], cancels=[running], **QUIET)
    demo.unload(close)
