"""Measuring a model on the held-out phantom patients, and writing the figures into its card."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from scipy import ndimage

from ganlab.checkpoints import as_config, model_folder, read_card, write_card
from ganlab.errors import InputError
from ganlab.imaging.metrics import evaluate, head_mask
from ganlab.imaging.sharpness import flicker, sharpness, skull_shift
from ganlab.imaging.volume import Volume
from ganlab.phantoms import make_patient
from ganlab.phantoms.tissues import INDEX
from ganlab.translation.inference import load_network, translate
from ganlab.translation.methods import TrainingConfig
from ganlab.translation.networks import UNetConfig
from ganlab.translation.tasks import REVERSE, cards_of, get_task, phantom_pair, short

HELD_OUT = tuple(range(9000, 9006))  # seeds from 9000 on are never trained on
ILL = tuple(range(9006, 9009))
LESIONS = {"mr2ct": ("bleed", "blood"), "ct2mr": ("bleed", "blood"), "t1fa": ("tumour", "tumour")}  # kind, tissue
SURROUNDINGS = (4.0, 12.0)  # mm from a lesion
COLUMNS = {  # of each task: title -> (figure, unit, decimals)
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
    """These models, or all of the task. Raises InputError before anything is measured: for a task that has no figures
    or no models, and for a model that is not there or of another task."""
    kind = get_task(task)
    if task not in COLUMNS:
        raise InputError(f'There are no figures for the task "{task}"; choose from {", ".join(COLUMNS)}.')
    names = names or [card["name"] for card in cards_of(task)]
    if not names:
        raise InputError(f'There is no pretrained model of the task "{task}"; give the folder of a training.')
    for name in names:
        load_network(name, "cpu", kind)
    return names


def measure_model(
    name: str,
    task: str = "mr2ct",
    device: str = "auto",
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict:
    """{"patients": {seed: figures}, "mean": figures, "sd": figures} inside the head mask of each held-out patient; mean
    and sd have also "lesion", of patients of their own (see `lesion_kept`). Raises InputError as `models_to_measure`
    does, and Cancelled."""
    kind = get_task(task)
    models_to_measure([name], task)  # what is wrong with a model is said before patients are made
    patients, total = {}, len(HELD_OUT) + len(ILL)
    for k, seed in enumerate(HELD_OUT):
        source, reference, mask = phantom_pair(kind, seed=seed)
        synthetic = translate(source, task, name, device, cancelled=cancelled).synthetic
        single = translate(source, task, name, device, ("axial",), cancelled=cancelled).synthetic
        figures = measure_volume(reference, synthetic, mask, task)
        figures["flicker_axial"] = flicker(reference, single, default_mask(reference, mask, task))
        patients[seed] = {key: round(value, 4) for key, value in figures.items()}
        if progress:
            progress((k + 1) / total)
    keys = [key for key, *_ in COLUMNS[task].values() if all(key in p for p in patients.values())]
    values = {key: [p[key] for p in patients.values()] for key in keys}
    values["lesion"] = []
    for k, seed in enumerate(ILL):
        values["lesion"].append(lesion_kept(name, task, seed, device))
        if progress:
            progress((len(HELD_OUT) + k + 1) / total)
    return {
        "patients": patients,
        "mean": {k: round(mean(v), 4) for k, v in values.items()},
        "sd": {k: round(stdev(v), 4) for k, v in values.items()},
    }


def lesion_kept(name: str, task: str, seed: int, device: str = "auto") -> float:
    """How much of a lesion's contrast to the brain around it a model keeps: 1 all, 0 none. A phantom patient of 2 mm
    with a lesion of LESIONS, axial slices."""
    lesion, tissue = LESIONS[task]
    source, reference, _ = phantom_pair(get_task(task), seed=seed, spacing=2.0, lesion=lesion)
    labels = make_patient(seed, ("labels",), 2.0, lesion=lesion)["labels"]
    synthetic = translate(source, task, name, device, planes=("axial",)).synthetic
    inside = labels.array == INDEX[tissue]
    away = ndimage.distance_transform_edt(~inside, sampling=labels.spacing)
    brain = np.isin(labels.array, [INDEX["grey matter"], INDEX["white matter"]])
    around = brain & (away > SURROUNDINGS[0]) & (away <= SURROUNDINGS[1])
    found, true = (v.array[inside].mean() - v.array[around].mean() for v in (synthetic, reference))
    return float(found / true)


def default_mask(reference: Volume, mask: np.ndarray | None, task: str) -> np.ndarray:
    """The mask of `evaluate` unless there is another."""
    if mask is not None:
        return mask
    return head_mask(reference) if task == "mr2ct" else reference.array > 0


def measure_volume(reference: Volume, synthetic: Volume, mask: np.ndarray | None, task: str) -> dict[str, float]:
    """The figures of COLUMNS, but for those that are undefined; mask None: the one of `evaluate`."""
    mask = default_mask(reference, mask, task)
    result = evaluate(reference, synthetic, mask, task)
    flat = {**result, **{t: v["mae"] for t, v in result["tissues"].items()}}
    flat |= {f"dice_{t}": v for t, v in result["dice"].items()}
    flat |= {"sharpness": sharpness(reference, synthetic, mask), "flicker": flicker(reference, synthetic, mask)}
    if task == "mr2ct":
        flat["skull_shift"] = skull_shift(reference, synthetic, mask)
    wanted = {key: flat[key] for key, *_ in COLUMNS[task].values() if key in flat}
    return {key: value for key, value in wanted.items() if value is not None and math.isfinite(value)}


def format_patients(result: dict, task: str = "mr2ct") -> str:
    """A Markdown table, one row a patient, and mean and standard deviation."""
    columns = _columns([result], task)
    rows = {**result["patients"], "mean": result["mean"], "SD": result["sd"]}
    cells = {
        row: [f"{figures[key]:.{n}f}" if key in figures else "" for _, key, n in columns]
        for row, figures in rows.items()
    }
    return _markdown("patient", [title for title, _, _ in columns], cells)


def format_comparison(results: dict[str, dict], task: str = "mr2ct") -> str:
    """A Markdown table of what `measure_model` found, {name: result}: one column a model, mean ± standard deviation
    over the patients; a dash where a figure is undefined."""

    def cell(result: dict, key: str, decimals: int) -> str:
        if key not in result["mean"]:
            return "-"
        return f"{result['mean'][key]:.{decimals}f} ± {result['sd'][key]:.{decimals}f}"

    figures = _columns(list(results.values()), task)
    rows = {title: [cell(result, key, decimals) for result in results.values()] for title, key, decimals in figures}
    return _markdown("figure", list(results), rows)


def _columns(results: list[dict], task: str) -> list[tuple[str, str, int]]:
    """(heading, figure, decimals) of the figures that any of the results has."""
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


WORDS = {  # of each method: what follows the network's name, what it is, how it learns
    "l1": (
        "with an L1 loss",
        "L1 loss, no adversary; the baseline",
        """A fully convolutional regression: for every slice the {target} whose absolute error is least on average,
`L = E |y - G(x)|`. Where the scan does not tell, the least absolute error is the conditional median: thin walls
fade, and textures are smooth. Models with an adversary are measured against this one.""",
    ),
    "pix2pix": (
        "trained as pix2pix",
        "L1 loss and an adversary that sees source and target (Isola et al. 2017)",
        """The same generator as `{task}-unet`, from whose weights it starts, and a PatchGAN that looks at 70 x 70
pixels of source and result together: `min_G max_D E log D(x, y) + E log(1 - D(x, G(x))) + {pixel:g} E |y - G(x)|`. What
the L1 loss leaves open it fills with what looks likely. That is sharper, and not more often right.""",
    ),
    "cyclegan": (
        "trained as a CycleGAN",
        "two generators and two adversaries on images that are not pairs (Zhu et al. 2017)",
        """No pairs: slices of some patients here, of others there. Two generators, two PatchGANs with least squares,
and `{cycle_source:g} E |F(G(x)) - x| + {cycle:g} E |G(F(y)) - y|`, after Wolterink et al. 2017.{structure}{helped}
Nothing here forbids a mapping that is consistent and wrong.""",
    ),
}


LIMITS = {
    "mr2ct": """- CT numbers of bone are typical, not this patient's: density cannot be read off a T1 scan.
- Thin bone of the face and skull base, air cells and the throat are the weakest parts; the vault is the strongest.
- Head T1-weighted scans of adults, with the skull. Not for stripped brains, other contrasts or other bodies.""",
    "ct2mr": """- A CT hardly tells grey from white matter: the cortex drawn is a likely one, not this patient's.
- One contrast, that of a spoiled gradient echo at 3 T; white matter is 1. No flow, no field of the coil.
- Heads of adults. Not for contrast-enhanced CT or other bodies.""",
    "t1fa": """- FA is a property of diffusion, which no T1 scan measures: what comes out is what anatomy makes likely.
  Nothing that changes diffusion and not T1 can be seen in it.
- Crossings and thin tracts are the weakest parts, the callosum and the capsules the strongest.
- T1-weighted scans of adults' heads, with the skull or without.""",
    "t1flair": """- Part of an experiment on lesions that appear and vanish: it may have been made to do just that.""",
}


def write_new_card(
    folder: Path,
    config: TrainingConfig,
    net,
    step: int,
    device: str,
    minutes: float,
    volumes: int = 0,
    back: bool = False,
) -> None:
    """The card of a training as it stands; `evaluate-models --write-card` adds the figures.

    volumes: how many of the user's own it was trained on; 0: on phantoms. back: the card of its way back, in a folder
    of the training's own.
    """
    task = REVERSE[config.task] if back else config.task
    preset = name = (folder.parent if back else folder).name
    if back:
        name = f"{task}-{short(preset)}"
    kind, (title, summary, text) = get_task(task), WORDS[config.method]
    unet = isinstance(config.network, UNetConfig)
    patch = config.network.patch if unet else 1
    planes = "three planes" if len(config.planes) == 3 else f"{' and '.join(config.planes)} slices only"
    front = {
        "name": name,
        "task": task,
        "summary": f"{'U-Net' if unet else 'ResNet'}, {summary}",
        "architecture": (
            f"U-Net{f' on {patch}x{patch} pixel blocks' if patch > 1 else ''}, batch normalisation"
            if unet
            else f"ResNet, {config.network.blocks} blocks, width {config.network.width}, instance normalisation"
        )
        + f", 2-D slices of {config.spacing} mm, {planes}",
        "config": as_config(config),
        "parameters": sum(p.numel() for p in net.parameters()),
        "training_data": (
            f"own data: {volumes} volumes" if volumes else "phantom patients, sampler streams from 10^9 on"
        )
        + f", {step * config.batch} random slices",
        "steps": step,
        "device": device,
        "minutes": round(minutes),
        "metrics": {},
        "intended_use": "teaching and research on image translation; not a medical device",
    }
    structure = (
        " Source and result must also agree in where their edges are (descriptors of Heinrich et al. 2012, as Yang et "
        f"al. 2020; weight {config.structure:g})."
        if config.structure
        else ""
    )
    helped = PRIOR.get(config.task, PIXELWISE).format(steps=config.prior) if config.prior else ""
    helped += STILL.format(known=config.known) if config.prior and config.known else ""
    helped += OUTLINE if config.discriminator.outline is not None else ""
    helped += WINDOWS if config.discriminator.windows else ""
    source = config.cycle if config.cycle_source is None else config.cycle_source
    names = {"name": name, "task": task, "limits": LIMITS[task], "volumes": volumes, "spacing": config.spacing}
    names["planes"] = planes
    way = ", whose way back this is" if back else ""
    trained = (OWN if volumes else PHANTOMS).format(name=preset, volumes=volumes, back=way)
    names |= {"trained": trained, "knows": OWN_KNOWS if volumes else KNOWS}
    words = {"task": task, "target": kind.target.upper(), "pixel": config.pixel, "cycle": config.cycle}
    words |= {"cycle_source": source, "structure": structure, "helped": helped}
    text = text.format(**words)
    head = f"{kind.title}: {'U-Net' if unet else 'ResNet'} {title}"
    write_card(folder, front, CARD.format(title=head, text=text, size=config.size, **names))


PRIOR = {
    "mr2ct": """ The first {steps} steps play no game: G learns CT from T1-weighted
images that textbooks' signals of tissues make of the same CT, with the contrast, field and noise of any scanner, and F
the way back.""",
    "t1fa": """ The first {steps} steps play no game: G learns FA from T1-weighted
images that textbooks' signals make of the same FA, with a skull, a scalp and a face of random shape and signal around
the brain, and F the way back.""",
}
PIXELWISE = """ The first {steps} steps play no game: both generators learn what a
pixel's own value says of the other contrast."""
STILL = " In the game this goes on with weight {known:g}."
OUTLINE = """ The discriminators are shown how deep under the
outline of what they judge every pixel lies."""
WINDOWS = " They see CT through the windows of brain and bone as well."
PHANTOMS = """phantom patients that are made while training:
every anatomy new, field of view and defacing random, contrast, noise and resolution of the source drawn anew; one
patient in seven has a lesion, some have fillings or a bone flap. No patient's data was used. Train it again with
`python -m ganlab train {name}`{back}."""
OWN = """{volumes} volumes of the user's own: random slices,
shifted and mirrored at random, nothing else varied. Train it again with `python -m ganlab train PRESET --source DIR
--target DIR`."""
KNOWS = """\
- It knows the anatomy of its phantoms: adults, some with a tumour, plaques, a bleed, a bone flap or fillings. What
  they do not have (other disease, implants, children) it does not know: a lesion may be lost or appear, and nothing
  in the result says so."""
OWN_KNOWS = """\
- It knows the scans that it was trained on: other scanners, contrasts, diseases and ages it does not know, and nothing
  in the result says so. Weights learned from patients may hold traces of them: give them away as you would the data."""

CARD = """
# {title}

{text}

## Training

Slices of {size} x {size} pixels at {spacing} mm, {planes}, of {trained}

## Held-out phantom patients

Seeds 9000 to 9005, 1 mm, mean of {planes}.
Measure again with `python -m ganlab evaluate-models --task {task} --model {name}`.

<!-- held-out -->
<!-- /held-out -->

## Limits

{knows}
{limits}
- Not a medical device. Not for diagnosis, dose or treatment.
"""


def lesion_note(task: str) -> str:
    """What the column of lesion contrast means."""
    return (
        f"Lesion contrast: how much of a {LESIONS[task][0]}'s contrast to the brain around it is kept (1 all, 0 none,\n"
        f"below 0 turned around; seeds {ILL[0]} to {ILL[-1]}, 2 mm, axial slices).\n"
        "Flicker, axial only: without the mean of three planes."
    )


def update_card(name: str, result: dict) -> None:
    """Replace the figures of a card: its front matter's metrics and the table under its heading."""
    folder = model_folder(name)
    front = read_card(folder)
    front["metrics"] = {"held_out_seeds": list(HELD_OUT), "mean": result["mean"], "sd": result["sd"]}
    text = (folder / "card.md").read_text(encoding="utf-8").split("---\n", 2)[2]
    before, _, rest = text.partition("<!-- held-out -->\n")
    _, _, after = rest.partition("<!-- /held-out -->\n")
    table = f"{format_patients(result, front['task'])}\n\n{lesion_note(front['task'])}"
    write_card(folder, front, f"{before}<!-- held-out -->\n{table}\n<!-- /held-out -->\n{after}")
