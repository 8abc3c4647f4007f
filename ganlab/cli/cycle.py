"""python -m ganlab cycle: parses and prints; the work is done in ganlab/translation."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ganlab.cli.console import Device, Json, make_folder, progress_bar, say
from ganlab.errors import InputError


def cycle(
    source: Annotated[Path | None, typer.Argument(help="A scan; or give --seed for a phantom patient.")] = None,
    task: Annotated[str, typer.Option(help="The way there: mr2ct or ct2mr.")] = "mr2ct",
    model: Annotated[str | None, typer.Option(help="There; half of a CycleGAN unless given.")] = None,
    back: Annotated[str | None, typer.Option(help="Back; the other half of --model, unless given.")] = None,
    lesion: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,Z,RADIUS,CONTRAST",
            help="A ball to put in: RAS mm, radius in mm; HU more than the place has, or of an MR times as bright.",
        ),
    ] = None,
    probe: Annotated[bool, typer.Option("--probe", help="Look for a hidden message.")] = False,
    judge: Annotated[bool, typer.Option("--judge", help="Ask the discriminator.")] = False,
    spacing: Annotated[float, typer.Option(help="The phantom's voxel edge in mm.")] = 1.0,
    planes: Annotated[str, typer.Option(help="Slice directions whose mean is taken.")] = "axial,coronal,sagittal",
    out: Annotated[Path | None, typer.Option(help="Folder for the volumes.")] = None,
    as_json: Json = False,
    seed: Annotated[int | None, typer.Option(help="Of a phantom patient, in place of a scan.")] = None,
    device: Device = "auto",
) -> None:
    """There and back again: the cycle's error, a hidden message, a lesion on its way, what the discriminator says."""
    from ganlab.imaging.reading.files import read_volume
    from ganlab.imaging.writing import check_writable, write_volume
    from ganlab.translation.cycle import examine
    from ganlab.translation.cycle import pairing as halves
    from ganlab.translation.cycle.wording import format_cycle
    from ganlab.translation.tasks import REVERSE, get_task

    if task not in REVERSE:
        raise InputError(f'Task "{task}" has no way back; choose from {", ".join(REVERSE)}.')
    if (source is None) == (seed is None):
        raise InputError("Give either a scan, or --seed for a phantom patient.")
    ball = parse_ball(lesion)
    if out:
        make_folder(out)
        check_writable(out / "synthetic.nii.gz")
    if source:
        volume, real = read_volume(source, modality=get_task(task).source), None
    else:
        volume, real = examine.phantom_source(task, seed, spacing, judge)
    pair = halves.pair_of(task, model, back)
    notices = [*volume.notices, *filter(None, [halves.mixed(*pair)])]
    bar = progress_bar("cycle", as_json)
    how = {"planes": planes.split(","), "device": device}
    if bar:
        how["progress"] = lambda done, words: bar(done)
    made, volumes, found = examine.examine(volume, task, *pair, ball, probe, judge, real, **how)
    files = {}
    if out:
        volumes["relative-error"] = replace(made.source, array=100 * made.relative_error, unit="arbitrary")
        for name, one in volumes.items():
            files[name] = str(out / f"{name}.nii.gz")
            write_volume(one, files[name])
    for notice in notices:
        print(notice, file=sys.stderr)
    result = {"task": task, "seed": seed, "spacing": spacing, **found, "unit": "HU" if task == "ct2mr" else ""}
    result |= {"seconds": round(made.seconds, 2), "notices": notices, "files": files}
    say(result, as_json, "\n".join([format_cycle(task, found), *files.values()]))


def parse_ball(text: str | None) -> tuple[float, float, float, float, float] | None:
    """X,Y,Z,RADIUS,CONTRAST as numbers. Raises InputError."""
    if text is None:
        return None
    try:
        x, y, z, radius, contrast = map(float, text.split(","))
    except ValueError as error:
        raise InputError(
            f'--lesion "{text}" is not X,Y,Z,RADIUS,CONTRAST, such as 26,-30,32,8,1.4 on MR or 26,-30,32,8,30 on CT.'
        ) from error
    return x, y, z, radius, contrast
