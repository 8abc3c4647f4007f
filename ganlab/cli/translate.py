"""ganlab translate, evaluate and evaluate-models: parse and print; the work is done in ganlab/translation."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ganlab.cli.console import Device, DicomSeries, Json, Precision, Seed, make_folder, progress_bar, say
from ganlab.errors import InputError
from ganlab.imaging.wording import quoted


def translate(
    source: Annotated[Path, typer.Argument(help="NIfTI, MGZ, NRRD, MHA, DICOM folder or zip.")],
    out: Annotated[
        Path,
        typer.Argument(
            help="OUT.nii.gz, OUT.mgz, OUT.nrrd, OUT.dcm (a folder with a DICOM series) or OUT.zip (the same, zipped), "
            "on the input's grid; or a folder, to translate all scans in a folder."
        ),
    ],
    task: Annotated[str, typer.Option(help="mr2ct, ct2mr or t1fa.")] = "mr2ct",
    model: Annotated[str | None, typer.Option(help="A pretrained model, or a training folder.")] = None,
    planes: Annotated[
        str | None,
        typer.Option(help="Slice directions to average, such as axial,coronal; by default the model's."),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="A real scan of the target; it is registered to the input, and the result is compared with it."
        ),
    ] = None,
    registered: Annotated[
        Path | None, typer.Option(help="Output file for the registered reference, in the units of the evaluation.")
    ] = None,
    confidence: Annotated[
        Path | None,
        typer.Option(
            help="Output file for the half-width of the 90 % interval at each voxel, in the result's unit; for a "
            "folder of scans a folder."
        ),
    ] = None,
    series: DicomSeries = None,
    reference_series: Annotated[
        str | None, typer.Option(help="The same for the reference: which of its DICOM series to read.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="For a folder: replace results that are there already.")
    ] = False,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Translate a volume, or all scans in a folder; each result is on its input's grid."""
    from ganlab.cli.folder import is_many, translate_many
    from ganlab.imaging.metrics import format_table
    from ganlab.imaging.writing import check_writable, write_volume
    from ganlab.translation.compare import read_pair, translate_and_compare
    from ganlab.translation.confidence import check_calibrated
    from ganlab.translation.tasks import get_task

    if is_many(source, out):
        single = {"reference": reference, "registered": registered, "series": series}
        if given := [f"--{name}" for name, value in single.items() if value]:
            raise InputError(f"{' and '.join(given)} are for a single scan: name the output file, OUT.nii.gz.")
        wanted = planes.split(",") if planes is not None else None
        translate_many(source, out, task, model, wanted, confidence, overwrite, device, precision, as_json)
        return
    if registered and not reference:
        raise InputError("--registered needs --reference: add it with the scan to register.")
    for path in filter(None, (out, registered, confidence)):
        check_writable(path)
    files = {"input": source, "--reference": reference, "output": out, "--registered": registered}
    _check_different(files | {"--confidence": confidence})
    pair = read_pair([str(source)], [str(reference)] if reference else [], task, series, reference_series)
    for path in filter(None, (out, registered)):
        check_writable(path, replace(pair.source, modality=get_task(task).target))
    if confidence:
        check_writable(confidence, replace(pair.source, modality="confidence"))
        check_calibrated(model or get_task(task).default_model)
    bar = progress_bar("translate", as_json)
    comparison = translate_and_compare(
        pair,
        task,
        [model],
        planes.split(",") if planes is not None else None,
        device,
        progress=lambda done, stage: bar(done) if bar else None,
        precision=precision,
    )
    translation = comparison.translations[0]
    notices = [*comparison.notices, *write_volume(translation.synthetic, out)]
    if registered and comparison.reference:
        notices += [notice for notice in write_volume(comparison.reference, registered) if notice not in notices]
    if confidence and translation.confidence:
        notices += [notice for notice in write_volume(translation.confidence, confidence) if notice not in notices]
    for notice in notices:
        print(notice, file=sys.stderr)
    report = {
        "out": str(out),
        "model": translation.model,
        "shape": list(translation.synthetic.shape),
        "unit": translation.synthetic.unit,
        "seconds": round(translation.seconds, 2),
        "precision": translation.precision,
        "confidence": str(confidence) if confidence else None,
        "notices": notices,
    }
    text = f"{out} ({translation.model}, {translation.seconds:.1f} s in {translation.precision})"
    if comparison.evaluations:
        report |= {"metrics": comparison.evaluations[0].metrics, "registered": str(registered) if registered else None}
        text += f"\n\n{format_table(comparison.evaluations[0].metrics)}"
    say(report, as_json, text)


def list_series(
    source: Annotated[Path, typer.Argument(help="DICOM folder, zip or file.")],
    as_json: Json = False,
) -> None:
    """List the DICOM series of a folder: number, description, slices, thickness; --series takes the number."""
    from ganlab.imaging.reading import scans

    found = scans.list_series(source)
    if not found:
        raise InputError(f"{quoted(source)} holds no DICOM series: give a DICOM folder, zip or file.")
    facts = [
        {
            "series": each.key,
            "description": each.description,
            "kind": each.kind,
            "modality": each.modality,
            "slices": len(each.slices),
            "step": round(each.step, 4),
            "thickness": round(each.thickness, 4),
            "times": each.times,
            "size": list(each.slices[0].size[::-1]),
            "problem": each.problem,
        }
        for each in found
    ]
    lines = [each.label() + (f" ({each.problem})" if each.problem else "") for each in found]
    say({"series": facts}, as_json, "\n".join(lines))


def _check_different(paths: dict[str, Path | None]) -> None:
    """Raise InputError if two of the files are the same one, since the second would overwrite the first."""
    seen: dict[Path, str] = {}
    for name, path in paths.items():
        if path is None:
            continue
        if (other := seen.setdefault(path.resolve(), name)) != name and name in (
            "output",
            "--registered",
            "--confidence",
        ):
            raise InputError(f"The {name} file is the {other} file, {quoted(path)}, too: give it another name.")


def evaluate(
    reference: Annotated[Path, typer.Argument(help="The real volume.")],
    prediction: Annotated[Path, typer.Argument(help="The synthetic volume, on the same grid (or see --resample).")],
    mask: Annotated[Path | None, typer.Option(help="Where to measure; the head by default.")] = None,
    source: Annotated[
        Path | None,
        typer.Option(help="ct2mr: the CT that the prediction was made from; its head is where errors are measured."),
    ] = None,
    white_matter: Annotated[
        float | None,
        typer.Option(help="ct2mr: white-matter intensity of the reference, scaled to 1; estimated by default."),
    ] = None,
    task: Annotated[str, typer.Option(help="mr2ct, ct2mr or t1fa.")] = "mr2ct",
    resample: Annotated[
        bool, typer.Option("--resample", help="Interpolate volumes on another grid onto the reference's.")
    ] = False,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Compute MAE, MSE, PSNR, SSIM and errors per tissue, in the units of the task."""
    from ganlab.imaging.metrics import format_table
    from ganlab.imaging.reading.files import read_volume
    from ganlab.translation.compare import compare
    from ganlab.translation.tasks import get_task

    kind = get_task(task)
    metrics = compare(
        read_volume(reference, kind.target),
        read_volume(prediction, kind.target),
        task,
        source=read_volume(source, kind.source) if source else None,
        mask=read_volume(mask, "labels") if mask else None,
        white_matter=white_matter,
        resampling=resample,
    ).metrics
    say(metrics, as_json, format_table(metrics))


def calibrate(
    model: Annotated[list[str] | None, typer.Argument(help="Models or training folders; by default all.")] = None,
    task: Annotated[
        str | None, typer.Option(help="mr2ct, ct2mr or t1fa; by default what each model was trained for.")
    ] = None,
    patients: Annotated[int, typer.Option(help="Phantom patients to measure errors on.")] = 8,
    real: Annotated[
        Path | None, typer.Option(help="Folder of CT heads, in HU: errors are measured on their anatomy, too.")
    ] = None,
    spacing: Annotated[float, typer.Option(help="Voxels of the phantoms, in mm.")] = 1.0,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Measure how far models err on heads with a known answer, so that translations carry an interval.

    The result is written next to the models' weights, and is read by every translation.
    """
    from ganlab.translation.calibrate import by_task, calibrate, format_reports

    reports: dict[str, dict] = {}
    texts = []
    for kind, names in by_task(model, task).items():
        bar = progress_bar(f"calibrate {kind}", as_json)
        real_cts = None if kind == "t1fa" and not (task or model) else real  # a CT tells nothing about FA
        reports |= (found := calibrate(names, kind, patients, device, bar, real=real_cts, spacing=spacing))
        texts.append(format_reports(found, kind))
    say(reports, as_json, "\n\n".join(texts))


def evaluate_models(
    models: Annotated[list[str] | None, typer.Argument(help="Models or training folders; by default all.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="The same as an option; may be repeated.")] = None,
    task: Annotated[str, typer.Option(help="mr2ct, ct2mr or t1fa.")] = "mr2ct",
    real: Annotated[
        Path | None,
        typer.Option(help="Measure on the real heads in this folder instead: T1 or CT scans, or both of a person."),
    ] = None,
    colin: Annotated[
        bool | None,
        typer.Option(help="Measure on Colin27, of Debian's mricron-data; by default with --real, if it is installed."),
    ] = None,
    planes: Annotated[
        str | None, typer.Option(help="With --real: slice directions to average; axial is three times as fast.")
    ] = None,
    sheet: Annotated[Path | None, typer.Option(help="With --real: a folder for a picture of every result.")] = None,
    write_card: Annotated[bool, typer.Option(help="Write the figures into the models' cards.")] = False,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Evaluate every model on the held-out phantom patients (seeds 9000 to 9005), or on real heads (--real)."""
    from ganlab.translation.card import update_card
    from ganlab.translation.measure import format_comparison, format_patients, measure_model, models_to_measure

    names = models_to_measure([*(models or []), *(model or [])] or None, task)
    if real or colin:
        return _evaluate_on_real_heads(names, task, real, colin, planes, sheet, write_card, as_json, device)
    if planes is not None or sheet:
        raise InputError("--planes and --sheet need real heads: add --real FOLDER or --colin.")
    results = {}
    for name in names:
        results[name] = measure_model(name, task, device, progress_bar(name, as_json))
        if write_card:
            update_card(name, results[name])
    tables = [f"{n}\n{format_patients(r, task)}" for n, r in results.items()]
    if len(results) > 1:
        tables.append(f"mean ± SD\n{format_comparison(results, task)}")
    say(results, as_json, "\n\n".join(tables))


def _evaluate_on_real_heads(
    names: list[str],
    task: str,
    folder: Path | None,
    colin: bool | None,
    planes: str | None,
    sheet: Path | None,
    write_card: bool,
    as_json: bool,
    device: str,
) -> None:
    from ganlab.translation.card import update_real_heads
    from ganlab.translation.head_sheet import write_head_sheet
    from ganlab.translation.measure_real import measure_on_heads
    from ganlab.translation.real_figures import format_heads
    from ganlab.translation.real_heads import heads_to_measure

    heads, unreadable = heads_to_measure(folder, colin, task)
    if sheet:
        make_folder(sheet)
    result = measure_on_heads(
        names,
        heads,
        task,
        planes.split(",") if planes is not None else None,
        device,
        progress_bar("real heads", as_json),
        (lambda *seen: write_head_sheet(sheet, task, *seen)) if sheet else None,
    )
    result["skipped"] = unreadable | result["skipped"]
    for name, notices in result["notices"].items():
        print(f"{name}: {' '.join(notices)}", file=sys.stderr)
    for name, reason in result["skipped"].items():
        print(f"{name} was skipped: {reason}", file=sys.stderr)
    if write_card:
        for name in names:
            update_real_heads(name, result["models"][name])
    columns = result["models"] | ({"real CT": result["real"]} if result["real"] else {})
    say(result, as_json, format_heads(columns, task))
