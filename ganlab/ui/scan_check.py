"""The check of a visitor's scans as soon as they are chosen, before anything is translated.

What it says is kept for each scan, so that a new choice is checked and the others are not checked again, and so that
an answer that comes after the visitor chose something else is not shown.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import gradio as gr

from ganlab.errors import InputError
from ganlab.translation.tasks import NAMES, get_task
from ganlab.ui.components import QUIET, bound
from ganlab.ui.report import alert
from ganlab.ui.volume_controls import PROGRESS, UPLOAD, JobControls

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChosenScan:
    """A scan as it was chosen: the files of a source of the task or, if reference, of a real scan of its target, and
    which of their DICOM series."""

    files: tuple[str, ...]
    task: str
    series: str | None = None
    reference: bool = False

    @property
    def modality(self) -> str:
        kind = get_task(self.task)
        return kind.target if self.reference else kind.source


@dataclass(frozen=True)
class Finding:
    """What a check found: the grid in words and notices, or a sentence that refuses the scan."""

    grid: str = ""
    notices: tuple[str, ...] = ()
    refusal: str = ""


Findings = dict[ChosenScan, Finding]


def examine(scan: ChosenScan) -> Finding:
    """Read and check a scan."""
    from ganlab.translation.compare import read_scan
    from ganlab.translation.scan_check import check_scan

    try:
        volume = read_scan(scan.files, scan.modality, scan.series)
        found = check_scan(volume, scan.task, scan.reference)
    except InputError as error:
        return Finding(refusal=str(error))
    except Exception as error:  # a fault of ours: said here, and in full in the log
        log.exception("%s", scan.modality)
        return Finding(refusal=f"The check of this scan failed ({type(error).__name__}: {error}). Please report it.")
    times = " \N{MULTIPLICATION SIGN} "
    shape, spacing = times.join(map(str, found["shape"])), times.join(f"{mm:.3g}" for mm in found["spacing"])
    return Finding(f"{shape} voxels, {spacing} mm", tuple(found["notices"]))


def said(findings: Findings, scans: Sequence[ChosenScan]) -> str:
    """The findings about the chosen scans as HTML, and which of them are being checked."""
    return "".join(_said_of(scan, findings.get(scan)) for scan in scans)


def _said_of(scan: ChosenScan, finding: Finding | None) -> str:
    name = f"{'reference ' if scan.reference else ''}{NAMES[scan.modality]}"
    if finding is None:
        return f"<p class='gl-note'>Checking the {name} \N{HORIZONTAL ELLIPSIS}</p>"
    if finding.refusal:
        return alert(finding.refusal)
    items = "".join(f"<li>{escape(notice)}</li>" for notice in finding.notices)
    found = ":" if items else ". Nothing unusual was found."
    note = f"<p class='gl-note'>{name[0].upper()}{name[1:]}: {finding.grid}{found}</p>"
    return note + (f"<ul class='gl-notices'>{items}</ul>" if items else "")


def refused(findings: Findings, scans: Sequence[ChosenScan]) -> bool:
    """Whether one of the chosen scans is known to be unusable."""
    return any(findings[scan].refusal for scan in scans if scan in findings)


def uploaded_scans(
    source: str, task: str, files, series: str | None = None, reference=None, reference_series: str | None = None
) -> list[ChosenScan]:
    """The scans that a visitor uploaded, from the values of the controls that choose them."""
    if source != UPLOAD:
        return []
    scans = [ChosenScan(tuple(files), task, series or None)] if files else []
    return scans + ([ChosenScan(tuple(reference), task, reference_series or None, True)] if reference else [])


ScansOf = Callable[..., list[ChosenScan]]  # of the values of the controls that choose them


def show(scans_of: ScansOf, findings: Findings, running: bool, *chosen) -> tuple[str, gr.Button]:
    """What is known about the chosen scans, and whether they can be translated."""
    scans = scans_of(*chosen)
    return said(findings, scans), gr.Button(interactive=not running and not refused(findings, scans))


def check(scans_of: ScansOf, findings: Findings, bar=PROGRESS, *chosen) -> Findings:
    """The findings about the chosen scans; those that are known are not looked for again."""
    scans = scans_of(*chosen)
    for k, scan in enumerate(scans):
        if scan not in findings:
            bar(k / len(scans), desc="Reading and checking")
            findings = {**findings, scan: examine(scan)}
    return {scan: findings[scan] for scan in scans}


def connect_check(
    scans_of: ScansOf, changes: Sequence, chosen: Sequence, message: gr.HTML, job: JobControls, ended: Sequence
) -> None:
    """Check the chosen scans after each of the events `changes`; the button that starts a job follows.

    chosen: the controls that `scans_of` takes the values of. ended: the events after which no job runs.
    """
    findings = gr.State({})
    shown = {
        "fn": bound(show, scans_of),
        "inputs": [findings, job.running, *chosen],
        "outputs": [message, job.start],
        "trigger_mode": "multiple",
        **QUIET,
    }
    for change in changes:
        checked = change(**shown).then(
            bound(check, scans_of),
            [findings, *chosen],
            findings,
            show_progress_on=message,
            trigger_mode="always_last",
            concurrency_id="checks",
            concurrency_limit=1,
            api_visibility="private",
        )
        checked.then(**shown)
    for event in ended:
        event.then(**shown)
