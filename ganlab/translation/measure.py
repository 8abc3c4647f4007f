"""Measuring models on the held-out phantom patients, and tables of the figures."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import mean, stdev

import numpy as np
from scipy import ndimage

from ganlab.errors import InputError
from ganlab.imaging.sharpness import flicker, sharpness, skull_shift
from ganlab.phantoms import make_patient
from ganlab.phantoms.tissues import INDEX
from ganlab.translation.compare import Evaluation, measure, phantom_pair, prepare_reference
from ganlab.translation.inference import load_model, translate
from ganlab.translation.tasks import cards_of, get_task

HELD_OUT = tuple(range(9000, 9006))  # seeds from 9000 on are never trained on
WITH_LESION = tuple(range(9006, 9009))
LESIONS = {"mr2ct": ("bleed", "blood"), "ct2mr": ("bleed", "blood"), "t1fa": ("tumour", "tumour")}  # kind, tissue
SURROUNDINGS = (4.0, 12.0)  # mm from a lesion
COLUMNS = {  # task -> title -> (figure, unit, decimals)
    "mr2ct": {
        "MAE": ("mae", "HU", 1),
        "air": ("air", "HU", 1),
        "soft": ("soft", "HU", 1),
        "bone": ("bone", "HU", 1),
        "PSNR": ("psnr", "dB", 1),
        "PSNR SynthRAD": ("psnr_synthrad", "dB", 1),
        "SSIM": ("ssim", "", 3),
        "bone Dice": ("dice_bone", "", 3),
        "sharpness": ("sharpness", "", 3),
        "flicker": ("flicker", "", 3),
        "flicker, axial only": ("flicker_axial", "", 3),
        "skull shift": ("skull_shift", "mm", 2),
        "lesion contrast": ("lesion", "", 2),
    },
    "ct2mr": {
        "MAE": ("mae", "of white matter", 3),
        "dark": ("dark", "", 3),
        "brain and muscle": ("brain_and_muscle", "", 3),
        "bright": ("bright", "", 3),
        "PSNR": ("psnr", "dB", 1),
        "SSIM": ("ssim", "", 3),
        "correlation": ("correlation", "", 3),
        "sharpness": ("sharpness", "", 3),
        "flicker": ("flicker", "", 3),
        "flicker, axial only": ("flicker_axial", "", 3),
        "lesion contrast": ("lesion", "", 2),
    },
    "t1fa": {
        "MAE": ("mae", "FA", 3),
        "grey and fluid": ("grey_matter_and_fluid", "FA", 3),
        "white": ("white_matter", "FA", 3),
        "correlation": ("correlation", "", 3),
        "PSNR": ("psnr", "dB", 1),
        "SSIM": ("ssim", "", 3),
        "white Dice": ("dice_white_matter", "", 3),
        "sharpness": ("sharpness", "", 3),
        "flicker": ("flicker", "", 3),
        "flicker, axial only": ("flicker_axial", "", 3),
        "lesion contrast": ("lesion", "", 2),
    },
}


def models_to_measure(names: list[str] | None, task: str) -> list[str]:
    """These models, or all of the task. Raises InputError, before anything is measured, for a task without figures or
    models, and for a model that does not exist or is of another task."""
    kind = get_task(task)
    if task not in COLUMNS:
        raise InputError(f'There are no figures for the task "{task}"; choose from {", ".join(COLUMNS)}.')
    names = names or [card["name"] for card in cards_of(task)]
    if not names:
        raise InputError(f'There is no pretrained model of the task "{task}"; give the folder of a training.')
    for name in names:
        load_model(name, "cpu", kind)
    return names


def measure_model(
    name: str,
    task: str = "mr2ct",
    device: str = "auto",
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict:
    """{"patients": {seed: figures}, "mean": figures, "sd": figures} inside the head mask of each held-out patient; mean
    and sd include "lesion", of other patients (see `lesion_kept`). Raises InputError like `models_to_measure`, and
    Cancelled."""
    models_to_measure([name], task)  # refuses a wrong model before patients are made
    patients, total = {}, len(HELD_OUT) + len(WITH_LESION)
    for k, seed in enumerate(HELD_OUT):
        pair = phantom_pair(task, seed=seed)
        reference = prepare_reference(pair.reference, task, pair.source, white_matter=pair.white_matter)
        synthetic = translate(pair.source, task, name, device, cancelled=cancelled).synthetic
        axial = translate(pair.source, task, name, device, ("axial",), cancelled=cancelled).synthetic
        figures = figures_of(measure(reference, synthetic), task)
        figures["flicker_axial"] = flicker(reference.volume, axial, reference.mask)
        patients[seed] = {key: round(value, 4) for key, value in figures.items()}
        if progress:
            progress((k + 1) / total)
    keys = [key for key, *_ in COLUMNS[task].values() if all(key in p for p in patients.values())]
    values = {key: [p[key] for p in patients.values()] for key in keys}
    values["lesion"] = []
    for k, seed in enumerate(WITH_LESION):
        values["lesion"].append(lesion_kept(name, task, seed, device))
        if progress:
            progress((len(HELD_OUT) + k + 1) / total)
    return {
        "patients": patients,
        "mean": {k: round(mean(v), 4) for k, v in values.items()},
        "sd": {k: round(stdev(v), 4) for k, v in values.items()},
    }


def lesion_kept(name: str, task: str, seed: int, device: str = "auto") -> float:
    """How much of a lesion's contrast to the surrounding brain a model keeps: 1 all, 0 none. On a phantom patient of
    2 mm with a lesion of LESIONS, axial slices."""
    lesion, tissue = LESIONS[task]
    pair = phantom_pair(task, seed=seed, spacing=2.0, lesion=lesion)
    reference = prepare_reference(pair.reference, task, pair.source, white_matter=pair.white_matter).volume
    labels = make_patient(seed, ("labels",), 2.0, lesion=lesion)["labels"]
    synthetic = translate(pair.source, task, name, device, planes=("axial",)).synthetic
    inside = labels.array == INDEX[tissue]
    away = ndimage.distance_transform_edt(~inside, sampling=labels.spacing)
    brain = np.isin(labels.array, [INDEX["grey matter"], INDEX["white matter"]])
    around = brain & (away > SURROUNDINGS[0]) & (away <= SURROUNDINGS[1])
    translated, true = (v.array[inside].mean() - v.array[around].mean() for v in (synthetic, reference))
    return float(translated / true)


def figures_of(evaluation: Evaluation, task: str) -> dict[str, float]:
    """The figures of COLUMNS, without those that are undefined."""
    result, volumes = evaluation.metrics, (evaluation.reference, evaluation.prediction, evaluation.mask)
    flat = {**result, **{t: v["mae"] for t, v in result["tissues"].items()}}
    flat |= {f"dice_{t}": v for t, v in result["dice"].items()}
    flat |= {"sharpness": sharpness(*volumes), "flicker": flicker(*volumes)}
    if task == "mr2ct":
        flat["skull_shift"] = skull_shift(*volumes)
    figures = {key: flat[key] for key, *_ in COLUMNS[task].values() if key in flat}
    return {key: value for key, value in figures.items() if value is not None and math.isfinite(value)}


def format_patients(result: dict, task: str = "mr2ct") -> str:
    """A Markdown table with a row for each patient, the mean and the standard deviation."""
    columns = _columns([result], task)
    rows = {**result["patients"], "mean": result["mean"], "SD": result["sd"]}
    cells = {
        row: [f"{figures[key]:.{n}f}" if key in figures else "" for _, key, n in columns]
        for row, figures in rows.items()
    }
    return _markdown("patient", [title for title, _, _ in columns], cells)


def format_comparison(results: dict[str, dict], task: str = "mr2ct") -> str:
    """A Markdown table of results of `measure_model`, {name: result}: a column for each model, mean ± standard
    deviation over the patients; a dash where a figure is undefined."""

    def cell(result: dict, key: str, decimals: int) -> str:
        if key not in result["mean"]:
            return "-"
        return f"{result['mean'][key]:.{decimals}f} ± {result['sd'][key]:.{decimals}f}"

    figures = _columns(list(results.values()), task)
    rows = {title: [cell(result, key, decimals) for result in results.values()] for title, key, decimals in figures}
    return _markdown("figure", list(results), rows)


def _columns(results: list[dict], task: str) -> list[tuple[str, str, int]]:
    """(heading, figure, decimals) of the figures that any result has."""
    return [
        (f"{title} ({unit})" if unit else title, key, decimals)
        for title, (key, unit, decimals) in COLUMNS[task].items()
        if any(key in r["mean"] for r in results)
    ]


def _markdown(corner: str, columns: list[str], rows: dict[object, list[str]]) -> str:
    lines = [
        " | ".join([corner, *columns]),
        *(" | ".join([str(name), *cells]) for name, cells in rows.items()),
    ]
    lines = [f"| {line} |" for line in lines]
    return "\n".join([lines[0], "|---" * (len(columns) + 1) + "|", *lines[1:]])


def lesion_note(task: str) -> str:
    """A note on the columns of lesion contrast and flicker, for below a table."""
    return (
        f"Lesion contrast: how much of a {LESIONS[task][0]}'s contrast to the surrounding brain is kept (1 all,\n"
        f"0 none, below 0 inverted; seeds {WITH_LESION[0]} to {WITH_LESION[-1]}, 2 mm, axial slices).\n"
        "Flicker, axial only: without averaging three planes."
    )
