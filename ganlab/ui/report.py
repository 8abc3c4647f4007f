"""Pieces of HTML that several pages' reports share; they follow the page's light or dark colours."""

from __future__ import annotations

from html import escape

from ganlab.ui.saved_case import SavedCase
from ganlab.ui.viewer import VOLUMES


def alert(sentence: str) -> str:
    """An error message or a note that something was cancelled; nothing for an empty sentence."""
    return f"<p class='gl-alert' role='alert'>{escape(sentence)}</p>" if sentence else ""


def headline(case: SavedCase, details: str) -> str:
    """The title of a case, and in smaller type how it was computed."""
    return (
        f"<div class='gl-headline'><h2>{escape(case.title)}</h2><span>{escape(details)}</span>"
        "<strong>Not a medical device</strong></div>"
    )


def notices(case: SavedCase) -> str:
    """Notices about a case, as a list."""
    items = "".join(f"<li>{escape(notice)}</li>" for notice in case.notices)
    return f"<ul class='gl-notices'>{items}</ul>" if items else ""


FORMATS = {"nii.gz": "NIfTI", "zip": "DICOM", "csv": "CSV", "json": "JSON"}


def download_links(case: SavedCase, files: list[tuple[str, list[str]]], token: str) -> str:
    """Links to files of a case, from (label, names of its files), and what they keep."""
    items = []
    for label, names in files:
        links = []
        for name in names:
            kind = FORMATS[name.partition(".")[2]]
            said = escape(f"{label}, {kind}", quote=True)
            links.append(f"<a href='{VOLUMES}/{token}/{name}' aria-label='{said}' download>{kind}</a>")
        items.append(f"<li>{escape(label)} {' '.join(links)}</li>")
    notes = ["Files are on the grid of the input."]
    if any(name.endswith(".zip") for _, names in files for name in names):
        notes.append("DICOM: its most axial slices, marked \u201cSYNTHETIC, NOT FOR CLINICAL USE\u201d.")
        if case.dicom:
            notes.append("Patient, study and frame of reference are those of the upload.")
        notes += case.losses
    return (
        f"<div class='gl-downloads'><strong>Download</strong><ul>{''.join(items)}</ul></div>"
        f"<p class='gl-note'>{escape(' '.join(notes))}</p>"
    )


def provenance(case: SavedCase, link: str, label: str) -> str:
    """How to reproduce a case: its commands and, unless it is an upload, a link."""
    commands = escape("\n".join(case.commands))
    again = f"<p><a href='{link}'>{label}</a></p>"
    if case.seed is None:
        again = "<p class='gl-note'>An uploaded scan has no link: it is deleted when this page is closed.</p>"
    return f"<pre class='gl-commands'>{commands}</pre>{again}"


def decimal(value: float | None, digits: int = 1, sign: bool = False) -> str:
    """A number with a true minus sign, or a dash where it is undefined."""
    if value is None:
        return "\N{EN DASH}"
    text = f"{value:{'+' if sign and round(value, digits) != 0 else ''}.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")
