"""ganlab translate, evaluate and evaluate-models: parse and print; the work is done in ganlab/translation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ganlab.cli.console import Device, Json, Seed, progress_bar, say


def translate(
    source: Annotated[Path, typer.Argument(help="NIfTI, MGZ, NRRD, MHA, DICOM folder or zip.")],
    out: Annotated[Path, typer.Argument(help="OUT.nii.gz, on the input's grid and affine.")],
    task: Annotated[str, typer.Option(help="mr2ct, ct2mr or t1fa.")] = "mr2ct",
    model: Annotated[str | None, typer.Option(help="A pretrained model, or the folder of a training.")] = None,
    planes: Annotated[
        str | None,
        typer.Option(help="Slice directions whose mean is taken; the model's unless given: axial,coronal,..."),
    ] = None,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Translate a volume; the result lies on the input's own grid."""
    from ganlab.imaging.reading.files import read_volume
    from ganlab.imaging.writing import check_writable, write_volume
    from ganlab.translation.inference import translate as run
    from ganlab.translation.tasks import get_task

    check_writable(out)
    volume = read_volume(source, modality=get_task(task).source)
    result = run(volume, task, model, device, planes and planes.split(","), progress_bar("translate", as_json))
    write_volume(result.synthetic, out)
    notices = volume.notices + result.notices
    for notice in notices:
        print(notice, file=sys.stderr)
    report = {
        "out": str(out),
        "model": result.model,
        "shape": list(result.synthetic.shape),
        "unit": result.synthetic.unit,
        "seconds": round(result.seconds, 2),
        "notices": list(notices),
    }
    say(report, as_json, f"{out} ({result.model}, {result.seconds:.1f} s)")


def evaluate(
    reference: Annotated[Path, typer.Argument(help="The real volume.")],
    prediction: Annotated[Path, typer.Argument(help="The synthetic one, on the same grid.")],
    mask: Annotated[Path | None, typer.Option(help="Where to measure; the head, unless given.")] = None,
    task: Annotated[str, typer.Option(help="mr2ct, ct2mr or t1fa.")] = "mr2ct",
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """MAE, MSE, PSNR, SSIM and the errors per tissue."""
    from ganlab.imaging.metrics import evaluate as measure
    from ganlab.imaging.metrics import format_table
    from ganlab.imaging.reading.files import read_volume
    from ganlab.translation.tasks import get_task

    inside = read_volume(mask, modality="labels") if mask else None
    target = get_task(task).target
    result = measure(read_volume(reference, target), read_volume(prediction, target), inside, task)
    say(result, as_json, format_table(result))


def evaluate_models(
    model: Annotated[
        list[str] | None, typer.Option(help="A model's name or folder; all of the task unless given.")
    ] = None,
    task: Annotated[str, typer.Option(help="mr2ct, ct2mr or t1fa.")] = "mr2ct",
    write_card: Annotated[bool, typer.Option(help="Write the figures into the models' cards.")] = False,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Every model on the held-out phantom patients (seeds 9000 to 9005)."""
    from ganlab.translation.card import update_card
    from ganlab.translation.measure import format_comparison, format_patients, measure_model, models_to_measure

    results = {}
    for name in models_to_measure(model, task):
        results[name] = measure_model(name, task, device, progress_bar(name, as_json))
        if write_card:
            update_card(name, results[name])
    tables = [f"{n}\n{format_patients(r, task)}" for n, r in results.items()]
    if len(results) > 1:
        tables.append(f"mean ± SD\n{format_comparison(results, task)}")
    say(results, as_json, "\n\n".join(tables))
