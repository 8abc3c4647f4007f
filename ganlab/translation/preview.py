"""Contact sheets of a training: the same slices at every checkpoint, translated by the current networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.checkpoints import replacing
from ganlab.translation.tasks import Task

SAMPLES, SEED = 4, 10**6  # slices in a sheet; a seed that is never trained on
CANDIDATES, APART = 12, 4  # slices of which those with most contrast are shown; their distance in the stream
LETTERS = {"axial": ("R", "L", "A"), "coronal": ("R", "L", "S"), "sagittal": ("P", "A", "S")}  # left, right, top
# black and white, in the networks' units
WINDOWS = {"t1": (0.0, 1.3), "ct": (-1.0, 1.0), "fa": (0.0, 1.0), "flair": (0.0, 1.6)}


def show_slice(panel, image: np.ndarray, plane: str, window: tuple[float, float], colours: str = "gray"):
    """Draw a slice (H, W) of a RAS volume with the letters of its plane; returns matplotlib's image."""
    image = image.T if plane == "sagittal" else image.T[:, ::-1]  # the patient's right on the reader's left
    drawn = panel.imshow(image, cmap=colours, vmin=window[0], vmax=window[1], origin="lower")
    panel.axis("off")
    positions = ((0.04, 0.5), (0.96, 0.5), (0.5, 0.96))
    for (x, y), letter in zip(positions, LETTERS[plane], strict=True):
        panel.text(x, y, letter, transform=panel.transAxes, color="#E69F00", fontsize=7, ha="center")
    return drawn


def slices_to_show(spacing: int, make: Callable) -> tuple[Tensor, Tensor]:
    """(source, target) slices for `write_progress`, (SAMPLES, 1, H, W) each, from the trainer's stream make(seed)."""
    candidates = islice(make(SEED), 0, CANDIDATES * APART, APART)
    busiest = sorted(candidates, key=lambda pair: float(pair[0].std()), reverse=True)[:SAMPLES]
    source, target = list(zip(*busiest, strict=True))[:2]
    return tuple(F.avg_pool2d(torch.stack(side), spacing) for side in (source, target))


@torch.inference_mode()
def write_progress(task: Task, nets: Mapping[str, nn.Module], slices: tuple[Tensor, Tensor], path: Path) -> None:
    """A sheet of the same slices at every checkpoint: source, synthetic and target; with a backward generator source,
    synthetic and reconstruction, and the same from the other side.

    nets: the averaged generators in evaluation mode, "generator" and perhaps "back". slices: of `slices_to_show`.
    """
    from matplotlib.figure import Figure

    forward, backward = nets["generator"], nets.get("back")
    real_x, real_y = (side.to(next(forward.parameters()).device) for side in slices)
    x, y = task.source, task.target
    fake_y = forward(real_x)
    columns = [(x.upper(), x, real_x), (f"synthetic {y.upper()}", y, fake_y)]
    if backward is None:
        columns += [(y.upper(), y, real_y)]
    else:
        fake_x = backward(real_y)
        columns += [(f"back to {x.upper()}", x, backward(fake_y)), (y.upper(), y, real_y)]
        columns += [(f"synthetic {x.upper()}", x, fake_x), (f"back to {y.upper()}", y, forward(fake_x))]
    figure = Figure(figsize=(2.2 * len(columns), 2.2 * SAMPLES + 0.3), facecolor="black", layout="constrained")
    panels = figure.subplots(SAMPLES, len(columns), squeeze=False)
    for k, (title, modality, images) in enumerate(columns):
        low, high = WINDOWS[modality]
        for panel, image in zip(panels[:, k], images, strict=True):
            panel.imshow(image[0].float().cpu().numpy().T, cmap="gray", vmin=low, vmax=high, origin="lower")
            panel.axis("off")
        panels[0, k].set_title(title, color="white", fontsize=9)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=100, format="png")
