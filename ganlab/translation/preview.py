"""Sheets to look at: the volumes that a training is about to see, and what its networks make by now."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from ganlab.checkpoints import replacing
from ganlab.imaging.wording import shown
from ganlab.translation.inference import PLANES
from ganlab.translation.tasks import get_task

if TYPE_CHECKING:
    from ganlab.training import Average
    from ganlab.translation.dataset import Prepared
    from ganlab.translation.methods import Method, TrainingConfig

SAMPLES, SEED = 4, 10**6  # slices in a sheet of progress; no training's seed
CANDIDATES, APART = 12, 4  # of which those with most to see are shown; how far apart they are in their stream

PREVIEWED = 6
LETTERS = {"axial": ("R", "L", "A"), "coronal": ("R", "L", "S"), "sagittal": ("P", "A", "S")}  # left, right, top
# black and white, in the network's units
WINDOWS = {"t1": (0.0, 1.3), "ct": (-1.0, 1.0), "fa": (0.0, 1.0), "flair": (0.0, 1.6)}


def write_preview(prepared: Prepared, path: Path) -> None:
    """A sheet to look at before training: up to six rows, the middle slices of source and target in three planes."""
    from matplotlib.figure import Figure

    task = get_task(prepared.task)
    rows = list(zip(prepared.sources, prepared.targets, strict=False))[:PREVIEWED]
    figure = Figure(figsize=(12, 2.3 * len(rows)), facecolor="black", layout="constrained")
    panels = figure.subplots(len(rows), 2 * len(PLANES), squeeze=False)
    for row, pair in zip(panels, rows, strict=True):
        for side, (stored, kind) in enumerate(zip(pair, (task.source, task.target), strict=True)):
            array = prepared.array(stored)
            for k, (plane, axis) in enumerate(PLANES.items()):
                middle = np.moveaxis(array, axis, 0)[stored.shape[axis] // 2]
                show_slice(row[side * len(PLANES) + k], np.float32(middle), plane, WINDOWS[kind])
            title = f"{kind.upper()}  {shown(stored.name, 44)}"
            row[side * len(PLANES)].set_title(title, color="white", fontsize=8, loc="left", parse_math=False)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=100, format="png")


def show_slice(panel, image: np.ndarray, plane: str, window: tuple[float, float], colours: str = "gray"):
    """Draw a slice of a RAS volume, its axes in order, with the letters of its plane; returns matplotlib's image."""
    image = image.T if plane == "sagittal" else image.T[:, ::-1]  # the patient's right on the reader's left
    drawn = panel.imshow(image, cmap=colours, vmin=window[0], vmax=window[1], origin="lower")
    panel.axis("off")
    places = ((0.04, 0.5), (0.96, 0.5), (0.5, 0.96))
    for (x, y), letter in zip(places, LETTERS[plane], strict=True):
        panel.text(x, y, letter, transform=panel.transAxes, color="#E69F00", fontsize=7, ha="center")
    return drawn


def slices_to_show(config: TrainingConfig, make: Callable) -> tuple[torch.Tensor, torch.Tensor]:
    """(source, target) slices for `write_progress`, (SAMPLES, 1, H, W), from a stream of the trainer's."""
    candidates = islice(make(SEED), 0, CANDIDATES * APART, APART)
    busiest = sorted(candidates, key=lambda pair: float(pair[0].std()), reverse=True)[:SAMPLES]
    return tuple(F.avg_pool2d(torch.stack(side), config.spacing) for side in zip(*busiest, strict=True))


@torch.inference_mode()
def write_progress(
    config: TrainingConfig,
    method: Method,
    averages: dict[str, Average],
    slices: tuple[torch.Tensor, torch.Tensor],
    path: Path,
) -> None:
    """A sheet of the same slices at every checkpoint, through the averaged networks: source, synthetic and target;
    where there is a way back, source, synthetic and reconstruction, and the same from the other side."""
    from matplotlib.figure import Figure

    nets = {}
    for name, average in averages.items():
        nets[name] = copy.deepcopy(method.nets[name]).eval()
        nets[name].load_state_dict(average.state)
    kind, there, back = get_task(config.task), nets["generator"], nets.get("back")
    source, target = (side.to(method.device) for side in slices)
    synthetic = there(source)
    names, columns = [kind.source.upper(), f"synthetic {kind.target.upper()}"], [source, synthetic]
    kinds = [kind.source, kind.target]
    if back is None:
        names, columns, kinds = [*names, kind.target.upper()], [*columns, target], [*kinds, kind.target]
    else:
        names += [f"back to {kind.source.upper()}", kind.target.upper(), f"synthetic {kind.source.upper()}"]
        names += [f"back to {kind.target.upper()}"]
        columns += [back(synthetic), target, back(target), there(back(target))]
        kinds += [kind.source, kind.target, kind.source, kind.target]
    figure = Figure(figsize=(2.2 * len(columns), 2.2 * SAMPLES + 0.3), facecolor="black", layout="constrained")
    panels = figure.subplots(SAMPLES, len(columns), squeeze=False)
    for k, (name, column, modality) in enumerate(zip(names, columns, kinds, strict=True)):
        low, high = WINDOWS[modality]
        for row, image in zip(panels[:, k], column, strict=True):
            row.imshow(image[0].float().cpu().numpy().T, cmap="gray", vmin=low, vmax=high, origin="lower")
            row.axis("off")
        panels[0, k].set_title(name, color="white", fontsize=9)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=100, format="png")
