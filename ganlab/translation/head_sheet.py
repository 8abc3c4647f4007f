"""A picture of a real head and its synthetic CT, to look at beside the figures."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ganlab.checkpoints import replacing
from ganlab.imaging.planes import PLANES
from ganlab.imaging.volume import Volume
from ganlab.imaging.wording import shown
from ganlab.translation.preview import show_slice
from ganlab.translation.real_heads import RealHead

SHARES = {
    "axial": (0.2, 0.35, 0.5, 0.7),
    "coronal": (0.45, 0.65),
    "sagittal": (0.5, 0.35),
}  # of the head, in each plane
BONE, BRAIN = (-1000.0, 2000.0), (-60.0, 140.0)  # HU, black and white


def write_head_sheet(folder: Path, model: str, head: RealHead, t1: Volume, ct: Volume) -> Path:
    """Write folder/MODEL-HEAD.png: a column for each slice, rows of T1, CT at the bone window and at the brain window.

    t1, ct: RAS, on one grid. The slices lie at SHARES of the extent of the T1's signal.
    """
    from matplotlib.figure import Figure

    cuts = [(plane, index) for plane in SHARES for index in _positions(t1, plane)]
    bright = float(np.percentile(t1.array[t1.array > t1.array.mean()], 99))
    rows = (
        ("T1", t1, (0.0, bright), ""),
        ("synthetic CT, bone", ct, BONE, "HU"),
        ("synthetic CT, brain", ct, BRAIN, "HU"),
    )
    figure = Figure(figsize=(2.6 * len(cuts), 8.6), facecolor="black", layout="constrained")
    figure.suptitle(f"{shown(head.name)}, {shown(Path(model).name)}", color="white", fontsize=11)
    for line, (title, volume, window, unit) in zip(figure.subplots(len(rows), len(cuts)), rows, strict=True):
        for panel, (plane, index) in zip(line, cuts, strict=True):
            axis = PLANES[plane]
            image = show_slice(panel, np.take(volume.array, index, axis), plane, window)
            place = volume.affine[axis, 3] + index * volume.spacing[axis]
            panel.set_title(f"{title}\n{plane} {place:.0f} mm", color="white", fontsize=7, parse_math=False)
        bar = figure.colorbar(image, ax=list(line), fraction=0.02, pad=0.01)
        bar.set_label(unit, color="white", fontsize=7)
        bar.ax.tick_params(colors="white", labelsize=7)
    path = folder / f"{_plain(Path(model).name)}-{_plain(head.name)}.png"
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110, format="png")
    return path


def _positions(t1: Volume, plane: str) -> list[int]:
    axis = PLANES[plane]
    signal = np.moveaxis(t1.array, axis, 0).reshape(t1.shape[axis], -1).mean(axis=1)
    extent = np.flatnonzero(signal > 0.1 * signal.max())
    return [int(extent[0] + share * (extent[-1] - extent[0])) for share in SHARES[plane]]


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)
