"""A sheet of the volumes that a training is about to see."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ganlab.checkpoints import replacing
from ganlab.imaging.wording import shown
from ganlab.translation.pipeline import PLANES
from ganlab.translation.tasks import get_task

if TYPE_CHECKING:
    from ganlab.translation.folders import Prepared

PREVIEWED = 6
LETTERS = {"axial": ("R", "L", "A"), "coronal": ("R", "L", "S"), "sagittal": ("P", "A", "S")}  # left, right, top
WINDOWS = {"t1": (0.0, 1.3), "ct": (-1.0, 1.0), "fa": (0.0, 1.0)}  # black and white, in the network's units


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
                _show(row[side * len(PLANES) + k], np.float32(middle), plane, WINDOWS[kind])
            title = f"{kind.upper()}  {shown(stored.name, 44)}"
            row[side * len(PLANES)].set_title(title, color="white", fontsize=8, loc="left", parse_math=False)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=100, format="png")


def _show(panel, image: np.ndarray, plane: str, window: tuple[float, float]) -> None:
    image = image.T if plane == "sagittal" else image.T[:, ::-1]  # the patient's right on the reader's left
    panel.imshow(image, cmap="gray", vmin=window[0], vmax=window[1], origin="lower")
    panel.axis("off")
    places = ((0.04, 0.5), (0.96, 0.5), (0.5, 0.96))
    for (x, y), letter in zip(places, LETTERS[plane], strict=True):
        panel.text(x, y, letter, transform=panel.transAxes, color="#E69F00", fontsize=7, ha="center")
