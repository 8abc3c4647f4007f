"""A Cycle job: what the controls or a link ask for, how it is run, and the command that reproduces it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from ganlab.checkpoints import has_discriminator
from ganlab.errors import InputError
from ganlab.imaging.planes import PLANES
from ganlab.settings import Field, OneOf, frozen_config
from ganlab.translation.cycle.lesion import InsertedLesion, parse_lesion
from ganlab.translation.cycle.pairing import mixed_notice, pair_of
from ganlab.translation.tasks import REVERSE, get_task
from ganlab.ui.phantom_controls import SEED_LIMIT
from ganlab.ui.saved_case import ALL_PLANES, SavedCase, save_case
from ganlab.ui.server_settings import Settings
from ganlab.ui.volume_controls import (
    UPLOAD,
    check_files,
    check_seed,
    linked_planes,
    linked_seed,
    linked_spacing,
    planes_of,
    upload_names,
)

SLUG = "cycle"


@frozen_config
class CycleJob:
    """A phantom by its seed, or the visitor's files, through a task and back."""

    task: Annotated[str, OneOf(REVERSE)] = Field(description="The first translation.")
    model: str = Field(description="A model of the task.")
    reverse_model: str = Field(description="The backward model.")
    seed: int | None = Field(None, ge=0, lt=SEED_LIMIT, description="Seed of a phantom patient; none for files.")
    spacing: float = Field(1.0, ge=0.5, le=8, unit="mm", description="Edge of the phantom's voxels.")
    files: tuple[str, ...] = Field((), description="One image file or zip, or the files of one DICOM series.")
    series: str | None = Field(None, description="Which DICOM series of the files.")
    planes: tuple[Annotated[str, OneOf(PLANES)], ...] = Field(ALL_PLANES, description="Slice directions to average.")
    probe: bool = Field(False, description="Look for a hidden message.")
    judge: bool = Field(False, description="Ask the discriminator.")
    lesion: InsertedLesion | None = Field(None, description="A lesion to insert first.")


def solve(
    job: CycleJob,
    folder: Path,
    progress: Callable[[float, str], None] = lambda fraction, stage: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> SavedCase:
    """Make or read the volume, translate it and back, and save the results. Raises InputError and Cancelled."""
    from ganlab.translation.compare import read_scan
    from ganlab.translation.cycle.analysis import analyse_cycle, phantom_source

    progress(0.0, "Making the patient" if job.seed is not None else "Reading the scan")
    if job.seed is not None:
        volume, real = phantom_source(job.task, job.seed, job.spacing, job.judge)
        title, stem = f"Phantom patient {job.seed}", f"phantom-{job.seed}-cycle"
    else:
        volume, real = read_scan(job.files, get_task(job.task).source, job.series), None
        title, stem = upload_names(job.files)
    cycle, volumes, results = analyse_cycle(
        volume,
        job.task,
        job.model,
        job.reverse_model,
        job.lesion,
        job.probe,
        job.judge,
        real,
        progress=lambda share, stage: progress(0.15 + 0.8 * share, stage),
        planes=job.planes,
        cancelled=cancelled,
    )
    return save_case(
        folder,
        volumes,
        title=title,
        stem=stem,
        model=cycle.models[0],
        seconds=cycle.seconds,
        planes=job.planes,
        notices=(*volume.notices, *filter(None, [mixed_notice(*cycle.models)])),
        commands=(command(job),),
        seed=job.seed,
        spacing=job.spacing,
        task=job.task,
        cycle=results,
        place=job.lesion.centre if job.lesion else None,
    )


def command(job: CycleJob) -> str:
    """The shell line that reproduces a job's volumes and numbers."""
    line = ["python", "-m", "ganlab", "cycle"]
    if job.seed is None:
        line += [Path(job.files[0]).name if len(job.files) == 1 else "DICOM-FOLDER"]
        line += ["--series", job.series] if job.series else []
    else:
        line += ["--seed", str(job.seed)] + (["--spacing", f"{job.spacing:g}"] if job.spacing != 1 else [])
    line += ["--task", job.task, "--model", job.model, "--back", job.reverse_model]
    line += ["--planes", ",".join(job.planes)] if job.planes != ALL_PLANES else []
    line += ["--lesion", job.lesion.text] if job.lesion else []
    line += [f"--{name}" for name in ("probe", "judge") if getattr(job, name)]
    return shlex.join([*line, "--out", "cycle"])


def saved_job(case: SavedCase) -> CycleJob:
    """The job that produced a phantom patient's case."""
    results = case.cycle
    model, reverse_model = results["models"]
    return CycleJob(
        case.task,
        model,
        reverse_model,
        seed=case.seed,
        spacing=case.spacing,
        planes=case.planes,
        probe="hidden" in results,
        judge="judged" in results,
        lesion=InsertedLesion(*map(float, results["lesion"]["put"])) if "lesion" in results else None,
    )


def job_of(
    task: str,
    source: str,
    seed: float | None,
    spacing: float,
    files,
    model: str,
    reverse_model: str,
    planes: str,
    probe: bool,
    judge: bool,
    lesion: bool,
    series: str | None = None,
    **numbers: float | None,
) -> CycleJob:
    """The job that the controls describe; numbers: of the lesion, by the names of `InsertedLesion`. Raises InputError
    for empty ones."""
    if lesion and None in numbers.values():
        raise InputError("The lesion has no position or size; fill in the fields or disable the lesion.")
    inserted = InsertedLesion(**{name: float(value) for name, value in numbers.items()}) if lesion else None
    chosen = {
        "task": task,
        "model": model,
        "reverse_model": reverse_model,
        "planes": planes_of(planes),
        "probe": bool(probe),
        "judge": bool(judge),
        "lesion": inserted,
    }
    if source == UPLOAD:
        return CycleJob(files=check_files(files), series=series or None, **chosen)
    return CycleJob(seed=check_seed(seed), spacing=float(spacing), **chosen)


def linked_job(
    query: dict[str, str], models: dict[str, list[str]], opening: SavedCase, settings: Settings
) -> CycleJob | None:
    """The cycle that a link to this page asks for, by a seed or a task; None if it asks for none. Where parts are
    missing or invalid, the models are two that were trained together, and there is no lesion and no question."""
    seed = linked_seed(query, default=opening.seed if query.get("task") in REVERSE else None)
    if query.get("tab") != SLUG or seed is None:
        return None
    task = query["task"] if query.get("task") in REVERSE else opening.task
    model, reverse_model = pair_of(
        task,
        query["model"] if query.get("model") in models[task] else None,
        query["back"] if query.get("back") in models[REVERSE[task]] else None,
    )
    return CycleJob(
        task,
        model,
        reverse_model,
        seed=seed,
        spacing=linked_spacing(query, settings),
        planes=linked_planes(query),
        probe=query.get("probe") == "1",
        judge=query.get("judge") == "1" and has_discriminator(model),
        lesion=linked_lesion(query.get("lesion", "")),
    )


def linked_lesion(text: str) -> InsertedLesion | None:
    """The lesion in a link; None if there is none or it is invalid."""
    try:
        return parse_lesion(text)
    except InputError:
        return None
