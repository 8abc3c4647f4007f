"""Shared by the Translate and Cycle pages: controls, their decoders, and the handlers that run a job."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from ganlab.errors import Cancelled, InputError
from ganlab.translation.tasks import TASKS, cards_of, get_task
from ganlab.ui import report
from ganlab.ui.components import QUIET
from ganlab.ui.phantom_controls import SEED_LIMIT, is_seed
from ganlab.ui.saved_case import ALL_PLANES, SavedCase, load_case
from ganlab.ui.server_settings import Settings
from ganlab.ui.sessions import Store

NEW_SEEDS = range(9000, 10_000)  # seeds of the held-out phantom patients
PHANTOM, UPLOAD = "Phantom patient", "Your scan"
ALONE = "none"  # in place of a second model
FUSED, AXIAL = "fused", "axial"
PLANE_CHOICES = [("Mean of three planes", FUSED), ("Axial slices only (3 times faster)", AXIAL)]
PROGRESS = gr.Progress()  # as a default argument; gradio gives each run its own
CANCELLED = "Cancelled. The picture is still the previous one."
ASKING = {**QUIET, "queue": True, "concurrency_limit": None}  # a State's change is only seen in the queue
FORMULAS = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "$", "right": "$", "display": False},
]


def models_of() -> dict[str, list[str]]:
    """The pretrained models of each task that has one, its default first."""
    names = {task: [card["name"] for card in cards_of(task)] for task in TASKS}
    return {
        task: sorted(models, key=lambda model: model != TASKS[task].default_model)
        for task, models in names.items()
        if models
    }


def spacings(settings: Settings) -> list[float]:
    """Voxel edges in mm that the page offers for a phantom patient."""
    return sorted({1.0, 2.0, settings.phantom_mm})


def check_seed(seed: float | None) -> int:
    """A seed as a whole number. Raises InputError."""
    if not is_seed(seed):
        raise InputError(f"Seed is {seed}; give a whole number from 0 to {SEED_LIMIT - 1}.")
    return int(seed)


def check_files(files: Sequence[str] | None) -> tuple[str, ...]:
    """The files of an upload. Raises InputError if there are none."""
    if not files:
        raise InputError("No scan was chosen: upload a NIfTI, MGZ, NRRD, MHA or DICOM file, a folder or a zip.")
    return tuple(files)


def series_choice(elem_id: str) -> gr.Dropdown:
    """The choice between the DICOM series of an upload, shown when there are several; see `offer_series`."""
    return gr.Dropdown([], label="Series", visible=False, elem_id=elem_id)


def offer_series(side: str, files: Sequence[str] | None, task: str) -> gr.Dropdown:
    """The DICOM series of an upload that can be read as volumes, with the one that is probably meant chosen; nothing
    to choose if there are fewer than two. side: "source" or "target" of the task."""
    from ganlab.imaging.reading.dicom_series import choose
    from ganlab.imaging.reading.scans import list_series, one_path

    found = []
    if files:
        try:
            with one_path(files) as path:
                found = list_series(path)
        except InputError:  # the job says what is wrong with them
            found = []
    usable = [series for series in found if not series.problem]
    if len(usable) < 2:
        return gr.Dropdown([], value=None, visible=False)
    rest = len(found) - len(usable)
    others = f"; {rest} more {'is not a volume' if rest == 1 else 'are not volumes'}" if rest else ""
    return gr.Dropdown(
        [(series.label(), series.key) for series in usable],
        value=choose(usable, None, getattr(get_task(task), side), "").key,
        info=f"The upload holds {len(usable)} volumes{others}",
        visible=True,
    )


def upload_names(files: Sequence[str]) -> tuple[str, str]:
    """(title, stem of file names) of an upload."""
    title = Path(files[0]).name if len(files) == 1 else f"{len(files)} DICOM files"
    return title, re.sub(r"[^A-Za-z0-9]+", "-", title.split(".")[0]).strip("-") or "scan"


def planes_of(choice: str) -> tuple[str, ...]:
    """The slice directions for one of PLANE_CHOICES."""
    return ALL_PLANES if choice == FUSED else (choice,)


def plane_choice(planes: tuple[str, ...]) -> str:
    """The one of PLANE_CHOICES for these slice directions."""
    return FUSED if planes == ALL_PLANES else planes[0]


def linked_seed(query: dict[str, str], default: int | None) -> int | None:
    """The seed in a link; the default if there is none, None if it is invalid."""
    text = query.get("seed", "" if default is None else str(default))
    return int(text) if text.isdecimal() and int(text) < SEED_LIMIT else None


def linked_spacing(query: dict[str, str], settings: Settings) -> float:
    """The phantom's voxel edge in a link; the server's default if it is not one of those offered."""
    return {f"{mm:g}": mm for mm in spacings(settings)}.get(query.get("spacing"), settings.phantom_mm)


def linked_planes(query: dict[str, str]) -> tuple[str, ...]:
    """The slice directions in a link."""
    return (AXIAL,) if query.get("planes") == AXIAL else ALL_PLANES


def html(content: str, elem_id: str | None = None) -> gr.HTML:
    """A piece of a report on the page."""
    return gr.HTML(content, elem_id=elem_id, apply_default_css=False)


def formulas(file: Path, elem_id: str | None = None) -> gr.Markdown:
    """A Markdown file with formulas."""
    return gr.Markdown(file.read_text(encoding="utf-8"), latex_delimiters=FORMULAS, elem_id=elem_id)


def choose_source(chosen: str) -> tuple[gr.Column, gr.Column]:
    """Show the controls of a phantom, or those of an upload."""
    return gr.Column(visible=chosen == PHANTOM), gr.Column(visible=chosen == UPLOAD)


def busy() -> tuple[gr.Button, gr.Button, gr.Button, bool]:
    """Start, New patient and Cancel while a job runs, and that one does."""
    return gr.Button(interactive=False), gr.Button(interactive=False), gr.Button(interactive=True), True


def idle() -> tuple[gr.Button, gr.Button, gr.Button, bool]:
    """Start, New patient and Cancel while no job runs, and that none does."""
    return gr.Button(interactive=True), gr.Button(interactive=True), gr.Button(interactive=False), False


def ask(requests: int) -> int:
    """Request a job."""
    return requests + 1


def ask_for_new_patient(requests: int) -> tuple[int, int]:
    """Request a job for another patient, and set its seed."""
    return random.choice(NEW_SEEDS), requests + 1


def build_settings(settings: Settings, prefix: str = "") -> dict[str, gr.Radio]:
    """The folded settings: the phantom's voxels and the slice directions. prefix: of their ids."""
    with gr.Accordion("Settings", open=False):
        spacing = gr.Radio(
            [(f"{mm:g} mm", mm) for mm in spacings(settings)],
            value=settings.phantom_mm,
            label="Phantom's voxels",
            elem_id=f"{prefix}spacing",
        )
        planes = gr.Radio(PLANE_CHOICES, value=FUSED, label="Slices", elem_id=f"{prefix}planes")
    return {"spacing": spacing, "planes": planes}


@dataclass(frozen=True)
class JobHandlers:
    """The handlers of a page that runs jobs.

    store: where results are kept. page: its slug, which separates its results from those of other pages. names: of the
    controls, in the order in which `run` gets their values. job_of(**values), solve(job, folder, progress, cancelled)
    and show(case, token): the page's own steps.
    """

    store: Store
    page: str
    names: tuple[str, ...]
    job_of: Callable
    solve: Callable[..., SavedCase]
    show: Callable[[SavedCase, str], Sequence]
    results: int  # components that `show` fills

    def holder(self, request: gr.Request) -> str:
        """Who holds the page's results: the browser session and the page."""
        return f"{request.session_hash} {self.page}"

    def run(self, requests: int, request: gr.Request, bar=PROGRESS, *values) -> list:
        """An error message, if any, and the page's report; the report is unchanged if there is no new one."""
        unchanged = [gr.skip()] * self.results
        if not requests:  # gradio also reports a change when a State is mounted
            return [gr.skip(), *unchanged]
        try:
            job = self.job_of(**dict(zip(self.names, values, strict=True)))
            case, token = self.result(self.holder(request), job, lambda done, stage: bar(done, desc=stage))
        except InputError as error:
            gr.Warning(str(error))
            return [report.alert(str(error)), *unchanged]
        except Cancelled:
            return [report.alert(CANCELLED), *unchanged]
        return ["", *self.show(case, token)]

    def result(self, holder: str, job, progress: Callable[[float, str], None]) -> tuple[SavedCase, str]:
        """Run a job, or reuse the result of an earlier request for the same phantom: (case, token)."""
        token = self.store.result(
            holder,
            lambda folder, cancelled: self.solve(job, folder, progress=progress, cancelled=cancelled),
            key=job if job.seed is not None else None,
        )
        return load_case(self.store.folder(token)), token

    def cancel(self, request: gr.Request):
        """Cancel the running job."""
        self.store.cancel(self.holder(request))
        return report.alert(CANCELLED), *idle()

    def claim(self, paths: list[str], request: gr.Request) -> None:
        """Hold uploaded files for the browser session; they are deleted when it ends."""
        self.store.hold(self.holder(request), *paths)

    def claim_folder(self, paths: list[str], request: gr.Request) -> list[str]:
        """The files of an uploaded folder, for the component that lists files."""
        self.claim(paths, request)
        return paths

    def close(self, request: gr.Request) -> None:
        """End the browser session's jobs and delete its files."""
        self.store.close(self.holder(request))


@dataclass(frozen=True)
class JobControls:
    """The components that start, stop and report a job. requests: how many were asked for. running: whether one is."""

    start: gr.Button
    new_patient: gr.Button
    cancel: gr.Button
    message: gr.HTML
    requests: gr.State
    running: gr.State

    @property
    def buttons(self) -> list[gr.Button | gr.State]:
        return [self.start, self.new_patient, self.cancel, self.running]


def connect_job(
    handlers: JobHandlers, job: JobControls, seed: gr.Number, inputs: Sequence, results: Sequence, demo: gr.Blocks
) -> list:
    """Let the buttons run jobs: each request adds one to `job.requests`. Returns the events after which none runs."""
    requests, buttons = job.requests, job.buttons
    job.start.click(ask, requests, requests, **ASKING)
    job.new_patient.click(ask_for_new_patient, requests, [seed, requests], **ASKING)
    started = requests.change(busy, None, buttons, **QUIET)
    running = started.then(
        handlers.run,
        [requests, *inputs],
        [job.message, *results],
        show_progress_on=job.message,
        concurrency_id="translation",
        concurrency_limit=1,
        api_visibility="private",
    )
    done = running.then(idle, None, buttons, **QUIET)
    stopped = job.cancel.click(handlers.cancel, None, [job.message, *buttons], cancels=[running], **QUIET)
    demo.unload(handlers.close)
    return [done, stopped]
