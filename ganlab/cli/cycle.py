"""ganlab cycle: parses and prints; the work is done in ganlab/translation/cycle."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ganlab.cli.console import Device, DicomSeries, Json, make_folder, progress_bar, say
from ganlab.errors import InputError


def cycle(
    source: Annotated[Path | None, typer.Argument(help="Scan; use --seed instead for a phantom patient.")] = None,
    task: Annotated[str, typer.Option(help="The first translation: mr2ct or ct2mr.")] = "mr2ct",
    model: Annotated[str | None, typer.Option(help="Forward model; by default one half of a CycleGAN.")] = None,
    back: Annotated[str | None, typer.Option(help="Backward model; by default the other half of --model.")] = None,
    lesion: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,Z,RADIUS,CONTRAST",
            help="A ball to insert: centre in RAS mm, radius in mm, contrast in HU on CT or as a factor on MR.",
        ),
    ] = None,
    probe: Annotated[bool, typer.Option("--probe", help="Test for hidden information.")] = False,
    judge: Annotated[bool, typer.Option("--judge", help="Map the discriminator's output.")] = False,
    spacing: Annotated[float, typer.Option(help="The phantom's voxel edge in mm.")] = 1.0,
    planes: Annotated[str, typer.Option(help="Slice directions to average.")] = "axial,coronal,sagittal",
    out: Annotated[Path | None, typer.Option(help="Folder for the volumes.")] = None,
    series: DicomSeries = None,
    as_json: Json = False,
    seed: Annotated[int | None, typer.Option(help="Seed of a phantom patient, in place of a scan.")] = None,
    device: Device = "auto",
) -> None:
    """Translate and back: the cycle error, a hidden message, the fate of a lesion, the discriminator's answer."""
    from ganlab.checkpoints import has_discriminator
    from ganlab.device import resolve
    from ganlab.imaging.reading.files import read_volume
    from ganlab.imaging.writing import check_writable, write_volume
    from ganlab.translation.cycle.analysis import analyse_cycle, phantom_source
    from ganlab.translation.cycle.lesion import parse_lesion
    from ganlab.translation.cycle.pairing import mixed_notice, pair_of
    from ganlab.translation.cycle.wording import format_cycle
    from ganlab.translation.inference import load_model
    from ganlab.translation.tasks import REVERSE, get_task

    if task not in REVERSE:
        raise InputError(f'Task "{task}" has no reverse; choose from {", ".join(REVERSE)}.')
    if (source is None) == (seed is None):
        raise InputError("Give either a scan, or --seed for a phantom patient.")
    inserted = parse_lesion(lesion) if lesion is not None else None
    pair = pair_of(task, model, back)
    for name, way in zip(pair, (task, REVERSE[task]), strict=True):
        load_model(name, resolve(device), get_task(way))  # a model that cannot be used is refused before any work
    if judge and not has_discriminator(pair[0]):
        raise InputError(f"{pair[0]} has no discriminator to ask: leave --judge out, or choose an adversarial model.")
    if out:
        make_folder(out)
        check_writable(out / "synthetic.nii.gz")
    if seed is not None:
        volume, real = phantom_source(task, seed, spacing, judge)
    elif source:
        volume, real = read_volume(source, get_task(task).source, series), None
    notices = [*volume.notices, *filter(None, [mixed_notice(*pair)])]
    bar = progress_bar("cycle", as_json)
    run, volumes, results = analyse_cycle(
        volume, task, *pair, inserted, probe, judge, real,
        progress=lambda share, stage: bar(share) if bar else None, planes=planes.split(","), device=device,
    )  # fmt: skip
    if out:
        volumes["relative-error"] = replace(run.source, array=100 * run.relative_error, unit="arbitrary")
    files = {name: str(out / f"{name}.nii.gz") for name in volumes} if out else {}
    for name, path in files.items():
        write_volume(volumes[name], path)
    for notice in notices:
        print(notice, file=sys.stderr)
    report = {"task": task, "seed": seed, "spacing": spacing, **results, "unit": "HU" if task == "ct2mr" else ""}
    report |= {"seconds": round(run.seconds, 2), "notices": notices, "files": files}
    say(report, as_json, "\n".join([format_cycle(task, results), *files.values()]))
