"""A contact sheet of prepared volumes, to inspect before training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ganlab.checkpoints import replacing
from ganlab.imaging.planes import PLANES
from ganlab.imaging.wording import shown
from ganlab.translation.dataset.volumes import PreparedDataset
from ganlab.translation.preview import WINDOWS, show_slice
from ganlab.translation.tasks import get_task

ROWS = 6  # at most


def write_preview(prepared: PreparedDataset, path: Path) -> None:
    """A PNG of up to six rows, the middle slices of source and target in three planes."""
    from matplotlib.figure import Figure

    task = get_task(prepared.task)
    rows = list(zip(prepared.sources, prepared.targets, strict=False))[:ROWS]
    figure = Figure(figsize=(12, 2.3 * len(rows)), facecolor="black", layout="constrained")
    panels = figure.subplots(len(rows), 2 * len(PLANES), squeeze=False)
    for row, pair in zip(panels, rows, strict=True):
        for side, (volume, modality) in enumerate(zip(pair, (task.source, task.target), strict=True)):
            array = prepared.array(volume)
            for k, (plane, axis) in enumerate(PLANES.items()):
                middle = np.moveaxis(array, axis, 0)[volume.shape[axis] // 2]
                show_slice(row[side * len(PLANES) + k], np.float32(middle), plane, WINDOWS[modality])
            title = f"{modality.upper()}  {shown(volume.name, 44)}"
            row[side * len(PLANES)].set_title(title, color="white", fontsize=8, loc="left", parse_math=False)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=100, format="png")
