"""`ganlab translate FOLDER OUT` for a folder of scans: prints what became of each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ganlab.cli.console import progress_bar, say
from ganlab.imaging.wording import quoted

if TYPE_CHECKING:
    from ganlab.translation.many import FolderResult


def is_many(source: Path, out: Path) -> bool:
    """Whether all scans of a folder are asked for: the output is a folder, or a name without an ending."""
    return source.is_dir() and not out.is_file() and (out.is_dir() or not out.suffix) and out.suffix.lower() != ".dcm"


def translate_many(
    source: Path,
    out: Path,
    task: str,
    model: str | None,
    planes: list[str] | None,
    confidence: Path | None,
    overwrite: bool,
    device: str,
    precision: str,
    as_json: bool,
) -> None:
    """Translate a folder; exits with 1 if a scan failed."""
    from ganlab.translation.many import FAILED, KEPT, SKIPPED, TRANSLATED, translate_folder

    bar = progress_bar("translate", as_json)
    results: list[FolderResult] = []
    for result in translate_folder(
        source,
        out,
        task,
        model,
        planes=planes,
        device=device,
        precision=precision,
        confidence=confidence,
        overwrite=overwrite,
        progress=lambda name, share: bar(share) if bar else None,
    ):
        results.append(result)
        if result.status == TRANSLATED:
            for notice in result.notices:
                print(f"{quoted(result.out)}: {notice}", file=sys.stderr)
            if not as_json:
                print(f"{result.out} ({result.translation.seconds:.1f} s)" if result.translation else result.out)
        else:
            print(f"{result.status}: {result.message}", file=sys.stderr)
    counts = {status: sum(each.status == status for each in results) for status in (TRANSLATED, KEPT, SKIPPED, FAILED)}
    words = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    if counts[KEPT]:
        words += " (files that were there are only replaced with --overwrite)"
    say({"out": str(out), **counts, "scans": [_facts(each) for each in results]}, as_json, words)
    if counts[FAILED]:
        raise typer.Exit(1)


def _facts(result: FolderResult) -> dict:
    facts: dict = {"scan": result.scan, "out": str(result.out), "status": result.status, "message": result.message}
    if result.translation:
        facts |= {
            "model": result.translation.model,
            "shape": list(result.translation.synthetic.shape),
            "unit": result.translation.synthetic.unit,
            "seconds": round(result.translation.seconds, 2),
        }
    return facts | {"notices": list(result.notices)}
