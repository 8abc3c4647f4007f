"""The study commands: parse options and print results; the work is done in ganlab.study."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganlab.cli.console import Device, Json, Seed, progress_bar, say
from ganlab.cli.options import help_of, with_options
from ganlab.errors import InputError
from ganlab.settings import setting
from ganlab.study.design.protocol import Protocol
from ganlab.study.design.simulation import SimulatedStudy

if TYPE_CHECKING:
    from ganlab.study.design.stimuli import Stimuli
    from ganlab.study.organise import CreatedStudy

study = typer.Typer(no_args_is_help=True, help="Visual Turing tests: plan, run, analyse and report a reader study.")
Margin = Annotated[float, typer.Option(help=help_of(setting(Protocol, "margin")))]
Study = Annotated[str, typer.Argument(help="The study's name, six letters.")]
Secret = Annotated[str, typer.Option(help="The study's secret.", envvar="GANLAB_STUDY_SECRET")]
ACTIONS = ("progress", "lock", "unblind", "report", "export", "certificate")
MARGIN = setting(Protocol, "margin").default


@study.command("audit")
def study_audit(
    images: Annotated[Path, typer.Argument(help="Folder of pictures named by code.")],
    truth: Annotated[Path, typer.Argument(help="CSV with the columns code and arm.")],
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Check whether files or pixel statistics reveal the truth of a study."""
    from ganlab.study.design.audit import audit, format_audit
    from ganlab.study.design.truth import read_truth

    result = audit(images, read_truth(truth))
    say(result, as_json, format_audit(result))


@study.command("plan")
@with_options(SimulatedStudy, without=("dprime", "criterion", "repeats", "seed"))
def study_plan(
    simulated: SimulatedStudy,
    dprime: Annotated[float, typer.Option(help=help_of(setting(SimulatedStudy, "dprime")))] = 0.0,
    margin: Margin = MARGIN,
    studies: Annotated[int, typer.Option(help="How many studies are simulated.", min=50, max=20_000)] = 1000,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Simulate how often a study of this size would reach each verdict."""
    from ganlab.study.design.planning import format_plan, plan

    simulated = replace(simulated, dprime=dprime, seed=seed)
    result = plan(simulated, margin, studies, progress_bar("simulate", as_json))
    say(result, as_json, format_plan(result))


@study.command("simulate")
@with_options(SimulatedStudy, without=("shared", "seed"))
def study_simulate(
    out: Annotated[Path, typer.Option(help="CSV file for the readings.")],
    simulated: SimulatedStudy,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Write the readings of simulated readers of known sensitivity."""
    from ganlab.study.design.simulation import simulate
    from ganlab.study.readings import write_readings

    readings = simulate(replace(simulated, seed=seed))
    write_readings(readings, out)
    facts = {name: getattr(simulated, name) for name in ("readers", "cases", "dprime")}
    say({"out": str(out), "readings": len(readings), **facts}, as_json, str(out))


@study.command("validate")
def study_validate(
    table: Annotated[str, typer.Argument(help="lazy (readers who do not look) or clusters (slices of few patients).")],
    studies: Annotated[int, typer.Option(help="Simulated studies for each line.", min=1, max=20_000)] = 500,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Simulate how often studies claim what is not true; takes minutes."""
    from ganlab.study.validation import TABLES, format_table

    if table not in TABLES:
        raise InputError(f'Table "{table}" is not known; choose from {", ".join(TABLES)}.')
    rows = TABLES[table](studies, seed, progress_bar("simulate", as_json))
    say({"table": table, "studies": studies, "seed": seed, "rows": rows}, as_json, format_table(rows))


@study.command("report")
def study_report(
    source: Annotated[Path, typer.Argument(help="CSV of readings: reader, case, truth, answer, confidence.")],
    out: Annotated[Path | None, typer.Option(help="HTML file for the report.")] = None,
    margin: Margin = MARGIN,
    title: Annotated[str, typer.Option(help="Title of the report.")] = "Visual Turing test",
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Analyse readings: tables, intervals, a verdict, figures, drafts for a paper."""
    from ganlab.study.analysis.analyse import analyse
    from ganlab.study.analysis.report import format_report, write_report
    from ganlab.study.readings import read_readings

    result = analyse(read_readings(source), margin, seed)
    if out:
        write_report(result, out, title)
    say(result | {"out": str(out) if out else None}, as_json, format_report(result))


@study.command("export")
def study_export(
    source: Annotated[Path, typer.Argument(help="CSV of readings, as for report.")],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Write readings as files for iMRMC and MRMCaov, and as BIDS events."""
    from ganlab.study.analysis.export import write_exports
    from ganlab.study.readings import read_readings

    files = write_exports(read_readings(source), out)
    say({"files": files}, as_json, "\n".join(files.values()))


@study.command("create")
@with_options(Protocol)
def study_create(
    protocol: Protocol,
    model: Annotated[str | None, typer.Option(help="Half generated by this model, half held-out real images.")] = None,
    count: Annotated[int, typer.Option("--n", help="With --model: total number of images, half of them real.")] = 60,
    real: Annotated[Path | None, typer.Option(help="Folder of real pictures or volumes.")] = None,
    synthetic: Annotated[Path | None, typer.Option(help="Folder of synthetic pictures or volumes.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of pictures named by code, as stimuli writes it.")] = None,
    truth: Annotated[Path | None, typer.Option(help="CSV with the columns code and arm, for --images.")] = None,
    size: Annotated[int | None, typer.Option(help="Resample all images to this many pixels a side.")] = None,
    window: Annotated[str | None, typer.Option(metavar="CENTRE,WIDTH", help="Window of volumes, e.g. 40,400.")] = None,
    slices: Annotated[int, typer.Option(help="Slices of each volume, 1 to 100; patients count, not slices.")] = 1,
    plane: Annotated[str, typer.Option(help="Plane of the slices: axial, coronal or sagittal.")] = "axial",
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Build, seal and store a study; prints its secret and the readers' invitations, once."""
    from ganlab.study.design.stimuli import from_folders, from_truth
    from ganlab.study.organise import create
    from ganlab.study.reading.archive import open_archive

    if sum([model is not None, bool(real or synthetic), bool(images or truth)]) != 1:
        raise InputError("Choose one source of images: --model, or --real and --synthetic, or --images and --truth.")
    given = {
        "--size": size is not None,
        "--window": window is not None,
        "--slices": slices != 1,
        "--plane": plane != "axial",
    }
    if model and (unused := [flag for flag, used in given.items() if used]):
        raise InputError(f"{', '.join(unused)}: for images from folders; leave out with --model.")
    if model:
        stimuli = from_model(model, count)
    elif real or synthetic:
        if not (real and synthetic):
            raise InputError("--real and --synthetic go together: give both folders.")
        bar = progress_bar("images", as_json)
        stimuli = from_folders(real, synthetic, parse_window(window), size, slices, plane, bar)
    else:
        if not (images and truth):
            raise InputError("--images and --truth go together: give the folder and the table.")
        stimuli = from_truth(images, truth, size)
    created = create(open_archive(), protocol, stimuli)
    say(asdict(created) | {"notices": stimuli.notices}, as_json, format_created(created, stimuli.notices))


def format_created(created: CreatedStudy, notices: Sequence[str] = ()) -> str:
    """The study's credentials and invitations, and what was guessed about its images."""
    from ganlab.study.design.audit import EASY_WARNING, is_easy

    m = created.audit["machine"]
    lines = [
        *notices,
        f"Study {created.study}, secret {created.secret} (shown once: write it down).",
        f"Seal, to be published before the first answer: {created.seal}",
        f"A classifier that sees no anatomy distinguishes real from synthetic with an AUC of {m['area']:.2f} "
        f"({m['low']:.2f} to {m['high']:.2f}).",
        *([EASY_WARNING] if is_easy(m) else []),
        "Invitations, one per reader, for the page /rate:",
        *created.invitations,
    ]
    return "\n".join(lines)


@study.command("serve")
def study_serve(
    host: Annotated[str, typer.Option(help="Where to listen; 0.0.0.0 for other machines.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port.", min=1, max=65535)] = 7870,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Serve only the readers' and the organiser's pages, without the rest of the app."""
    from ganlab.ui.pages.turing.study_server import StudyDatabase, check_address, serve

    check_address(host, port)
    database = StudyDatabase()
    secret = os.environ.get("GANLAB_HOST_SECRET") or secrets.token_urlsafe(12)
    place = f"http://{host}:{port}"
    url = str(database.engine().url)
    facts = {
        "rate": f"{place}/rate",
        "organise": f"{place}/organise",
        "host_secret": secret,
        "database": url,
    }
    text = f"Readers: {place}/rate\nOrganiser: {place}/organise, host's secret {secret}\nDatabase: {url}"
    say(facts, as_json, text)
    serve(database, host, port, secret)


@study.command("manage")
def study_manage(
    study: Study,
    secret: Secret,
    do: Annotated[str, typer.Option(help=f"{', '.join(ACTIONS[:-1])} or {ACTIONS[-1]}.")] = "progress",
    out: Annotated[Path | None, typer.Option(help="HTML file for report, folder for export.")] = None,
    receipt: Annotated[Path | None, typer.Option(help="Receipt of a reader whose answers are to be restored.")] = None,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Do what the organiser's page does: watch progress without results, lock, unblind, report, export."""
    from ganlab.study import organise, results
    from ganlab.study.reading.archive import open_archive

    engine = open_archive()
    row = organise.open_study(engine, study, secret)
    result: dict = {"study": row["id"]}
    text = None
    if receipt:
        result["back"] = organise.take_receipt(engine, row, read_json(receipt))
    elif do == "lock":
        organise.lock(engine, row)
    elif do == "unblind":
        result["sealed"] = text = organise.unblind(engine, row)
    elif do in ("report", "export"):
        if out is None:
            raise InputError(f"--do {do} needs --out.")
        result["files"] = (results.export if do == "export" else results.write_report)(engine, row, out)
        text = "\n".join(result["files"].values())
    elif do == "certificate":
        result = results.certificate(engine, row)
    elif do == "progress":
        result = organise.progress(engine, row)
        text = format_progress(result)
    else:
        raise InputError(f'Action "{do}" is not known; choose from {", ".join(ACTIONS)}.')
    say(result, as_json, text)


def format_progress(progress: dict) -> str:
    """A line for the study and one for each reader."""
    lines = [f"{progress['study']}, {progress['status']}, {progress['refused']} requests refused"]
    for r in progress["readers"]:
        lines.append(f"{r['reader']}  {r['invitation']}  {r['state']:<8} {r['answers']} of {r['of']}")
    return "\n".join(lines)


def from_model(model: str, count: int) -> Stimuli:
    """Half images of a pretrained generator, half held-out real ones, from a secret random seed."""
    from ganlab.generation.mixed_images import mix_images
    from ganlab.study.design.stimuli import from_mixed

    mixed = mix_images(model, count, secrets.randbits(32))
    return from_mixed(mixed.images, mixed.truth)


def parse_window(text: str | None) -> tuple[float, float] | None:
    """(centre, width) from CENTRE,WIDTH. Raises InputError."""
    if text is None:
        return None
    try:
        centre, width = map(float, text.split(","))
    except ValueError as error:
        raise InputError(f'--window "{text}" is not CENTRE,WIDTH; give two numbers such as 40,400.') from error
    return centre, width


def read_json(path: Path) -> dict:
    """The JSON in a file. Raises InputError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f'"{path}" cannot be read as JSON ({str(error)[:80]}).') from error
