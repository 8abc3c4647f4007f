"""The Python side of the volume viewer: the component, its manifest and the routes that serve its volumes."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr
import numpy as np
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ganlab.errors import InputError
from ganlab.translation.tasks import NAMES, get_task, method_of
from ganlab.ui.components import canvas
from ganlab.ui.live_protocol import PRIVATE
from ganlab.ui.saved_case import ERROR_RANGES, SavedCase, difference, load_case, load_volume
from ganlab.ui.sessions import Store

if TYPE_CHECKING:
    from ganlab.imaging.volume import Volume

SCRIPTS = (
    "shared/colour.js",
    "shared/viewer/volume.js",
    "shared/viewer/panes.js",
    "shared/viewer/overlay.js",
    "shared/viewer/profile.js",
    "shared/controls.js",
    "shared/viewer/gestures.js",
    "shared/viewer/volume_viewer.js",
)
VOLUMES = "gradio_api/ganlab/volumes"  # relative, so that it works behind a proxy's prefix
GONE = "This result is no longer on the server: it is deleted when its page is closed. Translate again."


def volume_viewer(value: dict, elem_id: str) -> gr.HTML:
    """A canvas viewer of registered volumes; its value is a manifest, see `manifest`."""
    return canvas(elem_id, SCRIPTS, "volumeViewer(element.firstElementChild, props, watch)", value)


def manifest(case: SavedCase, token: str) -> dict:
    """The viewer's manifest of a case: grid, layers with their addresses, text for the picture's caption, the models of
    two translations; for a cycle also the range that relative errors refer to, and the error of each axial slice."""
    whole = case.cycle["consistency"] if case.cycle else None
    layers = [{**asdict(layer), "url": f"{VOLUMES}/{token}/{layer.name}.i16"} for layer in case.layers]
    return {
        "token": token,
        "title": case.title,
        "stem": case.stem,
        "shape": case.shape,
        "affine": case.affine,
        "crosshair": case.crosshair,
        "layers": layers,
        "compared": case.compared,
        "models": _models(case),
        "errorRange": ERROR_RANGES[case.measured],
        "relativeTo": whole and whole["range"],
        "sliceErrors": whole and whole["slices"],
        "caption": [
            f"{case.title}, synthetic {NAMES[case.target]} by {case.model} (ganlab). Not a medical device.",
            *case.commands,
        ],
    }


def _models(case: SavedCase) -> dict[str, str] | None:
    """The short name of the model behind each of two translations, by their layers; None for one translation."""
    return {"synthetic": method_of(case.model), "rival": method_of(case.rival["model"])} if case.rival else None


def routes(store: Store) -> list[Route]:
    """One URL per file of a case: /gradio_api/ganlab/volumes/TOKEN/NAME. A wrong token or name is a 404.

    NAME: LAYER.i16 (gzip on the wire), LAYER.nii.gz and error.nii.gz (on the input's own grid), synthetic.zip and
    rival.zip (DICOM series), relative.nii.gz of a cycle, metrics.json, metrics.csv.
    """

    def serve(request: Request) -> Response:
        name = request.path_params["name"]
        try:
            folder = store.folder(request.path_params["token"])
            case = load_case(folder)
            stem, _, kind = name.partition(".")
            make = {"i16": _layer, "nii.gz": _nifti, "zip": _dicom, "json": _json, "csv": _csv}[kind]
            return make(folder, case, stem)
        except InputError as error:
            return PlainTextResponse(str(error), status_code=422, headers=PRIVATE)
        except (KeyError, FileNotFoundError):
            return PlainTextResponse(GONE, status_code=404, headers=PRIVATE)

    return [Route(f"/{VOLUMES}/{{token}}/{{name}}", serve)]


def _layer(folder: Path, case: SavedCase, name: str) -> Response:
    headers = {**PRIVATE, "Content-Encoding": "gzip"}
    content = (folder / f"{case.layer(name).name}.i16.gz").read_bytes()
    return Response(content, media_type="application/octet-stream", headers=headers)


def _nifti(folder: Path, case: SavedCase, name: str) -> Response:
    from ganlab.imaging.writing import write_volume

    path = folder / f"{name}.nii.gz"
    if name not in ("error", "relative") and case.layer(name) and path.is_file():
        content = path.read_bytes()
    else:
        with tempfile.TemporaryDirectory(prefix="ganlab-") as scratch:
            path = Path(scratch, "volume.nii.gz")
            write_volume(_shown_volume(folder, case, name), path)
            content = path.read_bytes()
    return _attachment(content, f"{_file_stem(case, name)}.nii.gz", "application/gzip")


def _dicom(folder: Path, case: SavedCase, name: str) -> Response:
    from ganlab.imaging.writing import write_volume

    if name not in ("synthetic", "rival"):
        raise KeyError(name)
    stem = f"{_file_stem(case, name)}-dicom"
    with tempfile.TemporaryDirectory(prefix="ganlab-") as scratch:
        path = Path(scratch, f"{stem}.zip")
        write_volume(load_volume(folder, case, name), path)
        return _attachment(path.read_bytes(), path.name, "application/zip")


def _file_stem(case: SavedCase, name: str) -> str:
    """The name of a downloaded volume, without its ending."""
    source, target = get_task(case.task).source, case.target
    names = {
        "input": source,
        "synthetic": f"synthetic-{target}",
        "rival": f"rival-{target}",
        "reference": f"reference-{target}",
        "reconstruction": f"reconstructed-{source}",
        "confidence": f"confidence-{target}",
        "confidence-rival": f"rival-confidence-{target}",
        "error": "error",
        "relative": "relative-error-percent",
        "judged": f"discriminator-synthetic-{target}",
        "judged-real": f"discriminator-real-{target}",
    }
    return f"{case.stem}-{names[name]}"


def _shown_volume(folder: Path, case: SavedCase, name: str) -> Volume:
    """A layer, the signed error, or a cycle's absolute error as a percentage of the range of its input."""
    if name == "error":
        return difference(folder, case)
    if name != "relative":
        return load_volume(folder, case, name)
    if not case.cycle:
        raise KeyError(name)
    error = difference(folder, case)
    percent = 100 * np.abs(error.array) / case.cycle["consistency"]["range"]
    return replace(error, array=percent.astype(np.float32), unit="arbitrary")


def _json(folder: Path, case: SavedCase, name: str) -> Response:
    if name != "metrics" or not case.metrics:
        raise KeyError(name)
    content = {"patient": case.title, "model": case.model, "seconds": case.seconds, **case.metrics}
    content |= {"rival": case.rival} if case.rival else {}
    return _attachment(json.dumps(content, indent=2), f"{case.stem}-metrics.json", "application/json")


def _csv(folder: Path, case: SavedCase, name: str) -> Response:
    if name != "metrics" or not case.metrics:
        raise KeyError(name)
    table, unit = io.StringIO(), case.unit
    region = "brain" if case.target == "fa" else "head"
    models = {case.model: case.metrics} | ({case.rival["model"]: case.rival["metrics"]} if case.rival else {})
    writer = csv.writer(table)
    writer.writerow(["patient", "model", "region", "metric", "value", "unit"])
    squared = f"{unit}^2" if unit else ""
    whole = {"voxels": "", "mae": unit, "mean_error": unit, "mse": squared, "correlation": "", "psnr": "dB"}
    whole |= {"psnr_synthrad": "dB", "ssim": ""}
    for model, metrics in models.items():
        for metric, of in whole.items():
            if metric in metrics:
                writer.writerow([case.title, model, region, metric, metrics[metric], of])
        for tissue, numbers in metrics["tissues"].items():
            for metric in ("voxels", "mae", "mean_error"):
                writer.writerow([case.title, model, tissue, metric, numbers[metric], whole[metric]])
        for figure, number in metrics.get("confidence", {}).items():
            writer.writerow(
                [case.title, model, region, f"confidence_{figure}", number, "" if figure == "coverage" else unit]
            )
        for tissue, overlap in metrics["dice"].items():
            writer.writerow([case.title, model, tissue, "dice", overlap, ""])
    return _attachment(table.getvalue(), f"{case.stem}-metrics.csv", "text/csv")


def _attachment(content: bytes | str, filename: str, kind: str) -> Response:
    headers = {**PRIVATE, "Content-Disposition": f'attachment; filename="{filename}"'}
    return Response(content, media_type=kind, headers=headers)
