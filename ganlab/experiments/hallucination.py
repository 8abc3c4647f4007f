"""Does a CycleGAN invent or remove lesions if only one of its domains has them?

After Cohen, Luck and Honari, Distribution matching losses can hallucinate features in medical image translation, MICCAI
2018: FLAIR and T1 of brains, with a tumour in all slices of one domain and in none of the other. The discriminator
rewards what looks like its domain, so the translator adds or removes tumours, and the cycle loss does not prevent it.

Here: axial slices of phantoms, T1-weighted and FLAIR. `one-sided` is trained on healthy T1 and FLAIR with tumours,
`balanced` on tumours in half of both domains. Both begin with known contrasts (see `translation.contrasts`): from
random weights neither learned to invert the contrast of grey and white matter.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ganlab.checkpoints import fill, load_tensors, replacing
from ganlab.experiments.arms import DISCRIMINATOR, NETWORK, PIXEL, Arm, spent, write_result
from ganlab.phantoms import make_patient
from ganlab.phantoms.lesions import draw_lesion
from ganlab.phantoms.patient import make_head
from ganlab.phantoms.signals import mr_signals
from ganlab.phantoms.slices import VIEWS, Draw, slice_points, slice_shares
from ganlab.phantoms.tissues import INDEX
from ganlab.translation.inference import predict
from ganlab.translation.measure import HELD_OUT
from ganlab.translation.networks import folded, make_generator
from ganlab.translation.preview import WINDOWS, show_slice
from ganlab.translation.training_config import BACKWARD, FORWARD, TrainingConfig
from ganlab.translation.warm_start import FILES

STEPS, PRIOR = 1600, 200
PLAIN = replace(NETWORK, window=None)  # there is no CT here
SIZE = 112  # pixels of 2 mm, a whole head
PATIENTS = tuple(range(HELD_OUT[0], HELD_OUT[0] + 24))
TEMPLATE = 1.125  # template mm per patient mm, the mean of `make_head`
SHELF, REUSE = 96, 4  # slices kept per domain; pairs drawn from them for every new slice
UNITS = {"t1": "white matter", "flair": "grey matter"}  # the tissue with signal 1
LESION = ("tumour", "oedema")  # tissues that are bright on FLAIR and dark on T1
KEPT = 0.5  # a lesion with less than this share of its contrast counts as vanished
ADDED, LEAST_MM2 = 0.25, 100.0  # a difference this large (in UNITS) over this area of brain counts as an added lesion
DIRECTIONS = {"t1 to flair": (FORWARD, "t1", "flair"), "flair to t1": (BACKWARD, "flair", "t1")}


def contrast(modality: str) -> Tensor:
    """(tissues,) signals at 3 T, with UNITS at 1."""
    signal = mr_signals(modality, 3.0)
    return signal / signal[INDEX[UNITS[modality]]]


def tumour_level(draw: Draw, patient, ill: bool):
    """A patient, with a tumour if ill, and the height (mm) of a slice through where the tumour is or would be."""
    lesion = draw_lesion("tumour", draw.generator)
    spot = lesion.spots[0]
    if ill:
        patient = replace(patient, build=replace(patient.build, lesion=lesion))
    return patient, spot.z / TEMPLATE + draw.uniform(-0.4, 0.4) * spot.radius


def domain_slice(draw: Draw, modality: str, ill: bool, size: int) -> Tensor:
    """(1, size, size) of 1 mm: an axial slice of a new patient at the height of tumours, without noise."""
    patient, height = tumour_level(draw, make_head(draw.generator), ill)
    view = VIEWS["ct"]._replace(spread=(6.0, 6.0), across=VIEWS["ct"].across | {"axial": (height, height)})
    shares = slice_shares(patient, slice_points(draw, "axial", size, view=view))
    return torch.tensordot(contrast(modality), shares, 1).abs()[None]


def scanned(draw: Draw, image: Tensor) -> Tensor:
    """A slice with a random gain of some per cent and Rician noise of 2 %, mirrored at random."""
    noise = 0.02 * torch.randn((2, *image.shape), generator=draw.generator)
    image = torch.hypot(image * (1 + draw.normal(0.03)) + noise[0], noise[1])
    return image.flip(1) if draw.chance(0.5) else image


def tumour_slices(seed: int, size: int, ill: tuple[float, float]) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless unpaired (T1, FLAIR) slices (1, size, size) of 1 mm; ill: the share with a tumour in each domain."""
    draw, chance = Draw(torch.Generator().manual_seed(seed)), random.Random(seed)
    shelves: tuple[list[Tensor], list[Tensor]] = ([], [])
    while True:
        for shelf, modality, share in zip(shelves, UNITS, ill, strict=True):
            image = domain_slice(draw, modality, chance.random() < share, size)
            if len(shelf) < SHELF:
                shelf.append(image)
            else:
                shelf[chance.randrange(SHELF)] = image
        for _ in range(2 * REUSE):
            yield tuple(scanned(draw, chance.choice(shelf)) for shelf in shelves)


def arms(steps: int = STEPS, seed: int = 0) -> dict[str, Arm]:
    """One configuration, trained on the two sets of slices."""
    config = TrainingConfig(
        task="t1flair", method="cyclegan", network=PLAIN, discriminator=DISCRIMINATOR, steps=steps, batch=4,
        size=SIZE, spacing=PIXEL, rate=4e-4, decay=0.5, epoch=200, seed=seed, prior=PRIOR, pace=3.0,
    )  # fmt: skip
    make = partial(tumour_slices, size=SIZE * PIXEL)
    return {
        "one-sided": Arm("tumours on FLAIR only", config, partial(make, ill=(0.0, 1.0))),
        "balanced": Arm("tumours in half of both", config, partial(make, ill=(0.5, 0.5))),
    }


def held_out(seed: int) -> dict:
    """An axial slice through the tumour of a patient, healthy and ill: {"healthy": {"t1": image, "flair": image},
    "ill": ..., "lesion": mask, "brain": mask, "white": mask}; images (H, W) float32 with UNITS at 1, axes R and A."""
    healthy, ill = (
        make_patient(seed, ("t1", "flair", "labels"), float(PIXEL), lesion=lesion) for lesion in (None, "tumour")
    )
    labels = ill["labels"].array
    lesion = np.isin(labels, [INDEX[name] for name in LESION])
    level = int(np.argmax(lesion.sum((0, 1))))
    slices: dict = {}
    for name, patient in (("healthy", healthy), ("ill", ill)):
        slices[name] = {}
        for modality, tissue in UNITS.items():
            unit = np.median(patient[modality].array[patient["labels"].array == INDEX[tissue]])
            slices[name][modality] = patient[modality].array[:, :, level] / np.float32(unit)
    brain = np.isin(labels[:, :, level], [INDEX[n] for n in ("grey matter", "white matter", *LESION, "necrosis")])
    white = labels[:, :, level] == INDEX["white matter"]
    return slices | {"lesion": lesion[:, :, level], "brain": ndimage.binary_erosion(brain), "white": white}


def lesion_kept(fake: np.ndarray, true: np.ndarray, lesion: np.ndarray, white: np.ndarray) -> float:
    """The lesion's contrast to white matter in a translated slice over that in the true one: 1 kept, 0 vanished."""
    return float((fake[lesion].mean() - fake[white].mean()) / (true[lesion].mean() - true[white].mean()))


def lesion_added(fake: np.ndarray, true: np.ndarray, brain: np.ndarray, sign: int) -> float:
    """Area in mm2 of the largest spot of brain that differs from the truth like a lesion; sign: 1 brighter, -1
    darker."""
    difference = ndimage.gaussian_filter(fake - true, 1.0)
    spots, count = ndimage.label(brain & (sign * difference > ADDED))
    return float(np.bincount(spots.ravel())[1:].max()) * PIXEL**2 if count else 0.0


def measure(steps: int, out: Path, device: str, progress=lambda share: None) -> dict:
    """Translate healthy and ill slices of held-out patients by every arm; writes result.json, result.md, figure.png."""
    out, patients, outputs = Path(out), [], {}
    for k, seed in enumerate(PATIENTS):
        patients.append(held_out(seed))
        progress((k + 1) / len(PATIENTS))
    result: dict = {
        "experiment": "hallucination",
        "question": "Are lesions put in or taken away where only one domain has them?",
        "patients": len(PATIENTS),
        "pixel_mm": PIXEL,
        "gone_below": KEPT,
        "added": {"difference": ADDED, "mm2": LEAST_MM2},
        "arms": {},
    }
    for name, arm in arms(steps).items():
        result["arms"][name] = {"title": arm.title, **spent(out / name), "directions": {}}
        for direction in DIRECTIONS:
            figures, outputs[name, direction] = follow(out / name, direction, patients, device)
            result["arms"][name]["directions"][direction] = figures
    write_result(result, format_result(result), out)
    draw(patients, outputs, result, out / "figure.png")
    return result


def follow(folder: Path, direction: str, patients: list[dict], device: str) -> tuple[dict, dict[str, np.ndarray]]:
    """How one translation direction affects lesions: figures, and its output {"healthy": (N, H, W), "ill": ...}."""
    name, source, target = DIRECTIONS[direction]
    forward, backward = (load_part(folder, n, device) for n in (name, DIRECTIONS[f"{target} to {source}"][0]))
    sign = 1 if target == "flair" else -1
    sources = {state: np.stack([p[state][source] for p in patients]) for state in ("healthy", "ill")}
    brains = np.stack([p["brain"] for p in patients])
    fakes = {state: predict(forward, images, device, air=0.0) for state, images in sources.items()}
    errors = [np.abs(predict(backward, fakes[state], device, air=0.0) - sources[state])[brains] for state in sources]
    kept = [
        lesion_kept(image, p["ill"][target], p["lesion"], p["white"])
        for image, p in zip(fakes["ill"], patients, strict=True)
    ]
    areas = [
        lesion_added(image, p["healthy"][target], p["brain"], sign)
        for image, p in zip(fakes["healthy"], patients, strict=True)
    ]
    figures = {
        "kept": [round(x, 3) for x in kept],
        "vanished": sum(x < KEPT for x in kept),
        "added_mm2": [round(x) for x in areas],
        "appeared": sum(x >= LEAST_MM2 for x in areas),
        "cycle_error": round(float(np.concatenate(errors).mean()), 4),
    }
    return figures, fakes


def load_part(folder: Path, part: str, device: str):
    """One of a CycleGAN's two generators, for inference."""
    path = Path(folder) / FILES[part]
    net = make_generator(PLAIN)
    fill(net, load_tensors(path)[0], path)
    return folded(net).to(device)


def format_result(result: dict) -> str:
    """A Markdown table: how many lesions vanished and appeared in each direction of each arm."""
    count, added = result["patients"], result["added"]
    heads = ["trained with", "direction", f"vanished, of {count} tumours", "median contrast kept"]
    heads += [f"a lesion added, of {count} healthy", "cycle error in the brain", "minutes"]
    rows = [
        [
            arm["title"],
            direction.upper().replace("TO", "to"),
            f"{figures['vanished']}",
            f"{np.median(figures['kept']):.2f}",
            f"{figures['appeared']}",
            f"{figures['cycle_error']:.3f}",
            f"{arm['minutes']}",
        ]
        for arm in result["arms"].values()
        for direction, figures in arm["directions"].items()
    ]
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]
    return "\n".join(lines) + (
        f"\n\nVanished: less than {result['gone_below']:g} of the true contrast of tumour and oedema to white matter "
        f"is left. Added: at least {added['mm2']:g} mm² of connected brain differ from the truth by "
        f"{added['difference']:g} of the signal of white matter (T1) or grey matter (FLAIR), darker on T1, brighter on "
        "FLAIR."
    )


def draw(patients: list[dict], outputs: dict, result: dict, path: Path) -> None:
    """Two rows per direction, a healthy and an ill patient: source, truth, and the output of each arm."""
    from matplotlib.figure import Figure

    names = list(result["arms"])
    k = typical(result)
    figure = Figure(figsize=(2.3 * (2 + len(names)), 2.75 * 4), facecolor="black", layout="constrained")
    panels = figure.subplots(4, 2 + len(names))
    rows = [(direction, state) for direction in DIRECTIONS for state in ("healthy", "ill")]
    for row, (direction, state) in zip(panels, rows, strict=True):
        _, source, target = DIRECTIONS[direction]
        images = [patients[k][state][source], patients[k][state][target]]
        images += [outputs[name, direction][state][k] for name in names]
        kinds = [source, *[target] * (1 + len(names))]
        titles = [f"{source.upper()}, {state}", f"{target.upper()}, true"]
        titles += [f"{target.upper()}, trained with\n{result['arms'][name]['title']}" for name in names]
        for panel, image, kind, title in zip(row, images, kinds, titles, strict=True):
            show_slice(panel, image, "axial", WINDOWS[kind])
            panel.set_title(title, color="white", fontsize=8)
    figure.suptitle(f"Phantom patient {PATIENTS[k]}, axial through the tumour", color="white", fontsize=9)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=100, format="png")


def typical(result: dict) -> int:
    """The patient with the median added area in the first direction of the first arm: neither best nor worst."""
    areas = next(iter(next(iter(result["arms"].values()))["directions"].values()))["added_mm2"]
    return int(np.argsort(areas)[len(areas) // 2])
