"""A Translate job: what the controls or a link ask for, how it is run, and the commands that reproduce it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np

from ganlab.errors import Cancelled, InputError
from ganlab.imaging.planes import PLANES
from ganlab.phantoms.options import PhantomOptions
from ganlab.settings import Field, OneOf, frozen_config
from ganlab.translation.real_heads import COLIN27
from ganlab.translation.tasks import TASKS, Task, get_task
from ganlab.ui.phantom_controls import SEED_LIMIT, linked_options, options_of
from ganlab.ui.saved_case import ALL_PLANES, TASK, SavedCase, save_case
from ganlab.ui.scan_check import ChosenScan, uploaded_scans
from ganlab.ui.server_settings import Settings
from ganlab.ui.volume_controls import (
    ALONE,
    UPLOAD,
    check_files,
    check_seed,
    linked_planes,
    linked_seed,
    linked_spacing,
    planes_of,
    upload_names,
)

SLUG = "translate"
COLIN = "Colin27, a real head"  # a source of the scan, where it is installed


@frozen_config
class TranslationJob:
    """What to translate: a phantom patient by its seed, or the visitor's own files."""

    seed: int | None = Field(None, ge=0, lt=SEED_LIMIT, description="Seed of a phantom patient; none for files.")
    spacing: float = Field(1.0, ge=0.5, le=8, unit="mm", description="Edge of the phantom's voxels.")
    files: tuple[str, ...] = Field((), description="One image file or zip, or the files of one DICOM series.")
    reference: tuple[str, ...] = Field((), description="The same for a real scan of the target.")
    series: str | None = Field(None, description="Which DICOM series of the files.")
    reference_series: str | None = Field(None, description="Which DICOM series of the reference.")
    model: str | None = Field(None, description="A model of the task.")
    planes: tuple[Annotated[str, OneOf(PLANES)], ...] = Field(ALL_PLANES, description="Slice directions to average.")
    options: PhantomOptions = Field(PhantomOptions(), description="What the phantom patient has, and its scanner.")
    task: Annotated[str, OneOf(TASKS)] = Field(TASK, description="What is translated into what.")
    rival: str | None = Field(None, description="A second model to compare with the first.")

    @property
    def kind(self) -> Task:
        return get_task(self.task)


def solve(
    job: TranslationJob,
    folder: Path,
    progress: Callable[[float, str], None] = lambda fraction, stage: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> SavedCase:
    """Make or read the volumes, translate, compare with the reference if there is one, and save the case.

    Raises InputError for unusable files or numbers, Cancelled when cancelled() turns true.
    """
    from ganlab.translation.compare import translate_and_compare
    from ganlab.translation.confidence import interval_summary

    def report(fraction: float, stage: str) -> None:
        if cancelled():
            raise Cancelled
        progress(fraction, stage)

    pair, begin = volumes_of(job, report), 0.05 if job.seed is None else 0.3
    comparison = translate_and_compare(
        pair,
        job.task,
        [job.model, job.rival] if job.rival else [job.model],
        job.planes,
        progress=lambda fraction, stage: report(begin + (0.9 - begin) * fraction, stage),
        cancelled=cancelled,
    )
    report(0.9, "Saving")
    kind, (title, stem) = job.kind, names_of(job)
    first, *others = comparison.translations
    evaluations = [(each.metrics, each.histogram) for each in comparison.evaluations] or [(None, None)] * 2
    volumes = {"input": pair.source, "synthetic": first.synthetic, "confidence": first.confidence}
    rival = None
    if others:
        volumes |= {"rival": others[0].synthetic, "confidence-rival": others[0].confidence}
        rival = {"model": others[0].model, "seconds": others[0].seconds, "metrics": evaluations[1][0]}
    return save_case(
        folder,
        {**volumes, "reference": comparison.reference},
        progress=lambda done: report(0.9 + 0.1 * done, "Saving"),
        title=title,
        stem=stem,
        model=first.model,
        seconds=first.seconds,
        planes=job.planes,
        notices=(*job.options.notices((kind.source, kind.target)), *comparison.notices),
        commands=commands(job, first.model, pair.white_matter),
        seed=job.seed,
        spacing=job.spacing,
        options=job.options,
        metrics=evaluations[0][0],
        histogram=evaluations[0][1],
        task=job.task,
        rival=rival,
        precision=first.precision,
        confidence=interval_summary(first.model, first.evidence, kind) if first.confidence else None,
    )


def volumes_of(job: TranslationJob, progress: Callable[[float, str], None]):
    """The `ScanPair` of a job: a phantom patient's, or read from files."""
    from ganlab.translation.compare import phantom_pair, read_pair

    stage = "Making the patient" if job.seed is not None else "Reading the scan"
    progress(0.0, stage)
    if job.seed is None:
        return read_pair(job.files, job.reference, job.task, job.series, job.reference_series)
    chosen = job.options.chosen()
    report = {"progress": lambda done: progress(0.3 * done, stage)}
    return phantom_pair(job.task, seed=job.seed, spacing=job.spacing, **report, **chosen)


def names_of(job: TranslationJob) -> tuple[str, str]:
    """(title of the case, stem of its files' names)."""
    if job.seed is None:
        return ("Colin27, a real head", "colin27") if job.files == (str(COLIN27),) else upload_names(job.files)
    title, stem = job.options.words()
    return f"Phantom patient {job.seed}{title}", f"phantom-{job.seed}{stem}"


def commands(job: TranslationJob, model: str, white_matter: float | None = None) -> tuple[str, ...]:
    """The shell lines that reproduce a job's volumes and numbers. white_matter: see `ScanPair`."""
    kind, (_, stem) = job.kind, names_of(job)
    synthetic = f"synthetic-{kind.target}.nii.gz"
    planes = [] if job.planes == ALL_PLANES else ["--planes", ",".join(job.planes)]
    folder = stem.replace("phantom", "patient")
    compared = []
    if job.seed is None:
        source = Path(job.files[0]).name if len(job.files) == 1 else "DICOM-FOLDER"
        source = str(COLIN27) if job.files == (str(COLIN27),) else source
        if job.reference:
            reference = Path(job.reference[0]).name if len(job.reference) == 1 else "REFERENCE-DICOM-FOLDER"
            compared = ["--reference", reference]
            compared += ["--reference-series", job.reference_series] if job.reference_series else []
        planes += ["--series", job.series] if job.series else []
    else:
        source = f"{folder}/{kind.source}.nii.gz"
    outs = {synthetic: model} | ({f"rival-{kind.target}.nii.gz": job.rival} if job.rival else {})
    program = ["python", "-m", "ganlab"]
    translate = [*program, "translate", "--task", kind.name, source]
    lines = [[*translate, out, "--model", name, *planes, *compared] for out, name in outs.items()]
    if job.seed is not None:
        lines.insert(0, [*program, "phantom", *_phantom_options(job, folder)])
        evaluate = [*program, "evaluate", f"{folder}/{kind.target}.nii.gz", synthetic]
        evaluate += [] if kind.name == TASK else ["--task", kind.name]
        if kind.target == "t1":
            evaluate += ["--source", source]
            evaluate += ["--white-matter", _shortest(np.float32(white_matter))] if white_matter else []
        lines.append(evaluate)
    return tuple(map(shlex.join, lines))


def _phantom_options(job: TranslationJob, folder: str) -> list[str]:
    """The options of `ganlab phantom` that make a job's patient."""
    words = ["--seed", str(job.seed), "--out", folder]
    if job.kind.target == "fa":
        words += ["--modality", "t1", "--modality", "fa"]
    if job.spacing != 1:
        words += ["--spacing", _shortest(job.spacing)]
    return [*words, *job.options.command()]


def _shortest(value: float | np.floating) -> str:
    """The shortest text that gives a number exactly."""
    return np.format_float_positional(value, trim="-")


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
    series: str | None = None,
    reference_series: str | None = None,
    **phantom,
) -> TranslationJob:
    """The job that the controls describe; phantom: see `options_of`. Raises InputError for empty ones."""
    chosen = {"task": task, "model": model, "planes": planes_of(planes)}
    chosen["rival"] = None if rival in (None, ALONE, model) else rival
    if source == COLIN:
        if get_task(task).source != "t1":
            raise InputError("Colin27 is a T1 scan: choose a task that starts from T1.")
        return TranslationJob(files=(str(COLIN27),), **chosen)
    if source == UPLOAD:
        return TranslationJob(
            files=check_files(files),
            reference=tuple(reference or ()),
            series=series or None,
            reference_series=reference_series or None,
            **chosen,
        )
    seed = check_seed(seed)
    return TranslationJob(seed=seed, spacing=float(spacing), options=options_of(seed, **phantom), **chosen)


def chosen_scans(source: str, task: str, *uploads) -> list[ChosenScan]:
    """The real scans that the controls choose, to be checked before they are translated; see `uploaded_scans`."""
    return [ChosenScan((str(COLIN27),), task)] if source == COLIN else uploaded_scans(source, task, *uploads)


def linked_job(
    query: dict[str, str], models: dict[str, list[str]], opening: SavedCase, settings: Settings
) -> TranslationJob | None:
    """The phantom patient that a link to this page asks for, by its seed or a task; None if it asks for none. Missing
    or invalid parts take the page's defaults when the page opens."""
    seed = linked_seed(query, default=opening.seed if query.get("task") in models else None)
    if query.get("tab", SLUG) != SLUG or seed is None:
        return None
    task = query["task"] if query.get("task") in models else opening.task
    default = opening.model if task == opening.task else models[task][0]
    model = query["model"] if query.get("model") in models[task] else default
    return TranslationJob(
        seed=seed,
        task=task,
        model=model,
        rival=query["rival"] if query.get("rival") in set(models[task]) - {model} else None,
        spacing=linked_spacing(query, settings),
        planes=linked_planes(query),
        options=linked_options(query),
    )
