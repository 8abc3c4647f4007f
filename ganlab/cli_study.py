"""python -m ganlab study ...: parses and prints; the work is done in ganlab/study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganlab.console import Device, Json, Seed, progress_bar, say

study = typer.Typer(no_args_is_help=True, help="A visual Turing test: plan it, try its analysis, report it.")
Readers = Annotated[int, typer.Option(help="Readers.")]
Cases = Annotated[int, typer.Option(help="Images, half of them synthetic.")]
DPrime = Annotated[float, typer.Option(help="The readers' mean d'; 0: they cannot tell.")]
Spread = Annotated[float, typer.Option(help="Standard deviation of d' among readers.")]
Margin = Annotated[float, typer.Option(help="Areas within 0.5 +- this count as equivalent; set it beforehand.")]


@study.command("audit")
def study_audit(
    images: Annotated[Path, typer.Argument(help="Folder of pictures, named by their codes.")],
    truth: Annotated[Path, typer.Argument(help="CSV with the columns code and arm.")],
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Whether files, or pixels that nobody looks at, give the truth of a study away."""
    from ganlab.study.audit import audit, format_audit, read_truth

    found = audit(images, read_truth(truth))
    say(found, as_json, format_audit(found))


@study.command("plan")
def study_plan(
    readers: Readers = 4,
    cases: Cases = 60,
    dprime: DPrime = 0.0,
    spread: Spread = 0.2,
    margin: Margin = 0.1,
    studies: Annotated[int, typer.Option(help="Simulated.", min=50, max=20_000)] = 1000,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """What a study of so many readers and images could conclude, and how often it would."""
    from ganlab.study.simulate import Readers as How
    from ganlab.study.simulate import format_plan, plan

    how = How(readers, cases, dprime, spread=spread, seed=seed)
    result = plan(how, margin, studies, progress_bar("simulate", as_json))
    say(result, as_json, format_plan(result))


@study.command("simulate")
def study_simulate(
    out: Annotated[Path, typer.Option(help="CSV file for the readings.")],
    readers: Readers = 4,
    cases: Cases = 60,
    dprime: DPrime = 0.5,
    criterion: Annotated[float, typer.Option(help="Below 0: ready to say synthetic.")] = 0.0,
    spread: Spread = 0.2,
    repeats: Annotated[float, typer.Option(help="Share of the images that are shown twice.")] = 0.1,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Readings of simulated readers whose sensitivity is known."""
    from ganlab.study.readings import write_readings
    from ganlab.study.simulate import Readers as How
    from ganlab.study.simulate import simulate

    readings = simulate(How(readers, cases, dprime, criterion, spread, repeats=repeats, seed=seed))
    write_readings(readings, out)
    result = {"out": str(out), "readings": len(readings), "readers": readers, "cases": cases, "dprime": dprime}
    say(result, as_json, str(out))


@study.command("report")
def study_report(
    source: Annotated[Path, typer.Argument(help="CSV of readings: reader, case, truth, answer, confidence.")],
    out: Annotated[Path | None, typer.Option(help="HTML file for the report.")] = None,
    margin: Margin = 0.1,
    title: Annotated[str, typer.Option(help="Of the report.")] = "Visual Turing test",
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """What readings say: tables, intervals, a verdict, figures, drafts for a paper."""
    from ganlab.study.analysis import analyse
    from ganlab.study.readings import read_readings
    from ganlab.study.report import format_report, write_report

    found = analyse(read_readings(source), margin, seed)
    if out:
        write_report(found, out, title)
    say(found | {"out": str(out) if out else None}, as_json, format_report(found))


@study.command("export")
def study_export(
    source: Annotated[Path, typer.Argument(help="CSV of readings, as report takes it.")],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Readings as files for iMRMC and MRMCaov, and as BIDS events."""
    from ganlab.study.export import write_exports
    from ganlab.study.readings import read_readings

    files = write_exports(read_readings(source), out)
    say({"files": files}, as_json, "\n".join(files.values()))
