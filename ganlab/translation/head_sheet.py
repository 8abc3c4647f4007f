"""A picture of a real head and its translation, to look at beside the figures."""

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
from ganlab.translation.tasks import get_task

BELOW_VERTEX = (45, 85, 110, 130, 155)  # mm, axial slices: from the vault down to the maxillary sinuses
SHARES = {"coronal": (0.4, 0.6, 0.75), "sagittal": (0.5, 0.32)}  # of the head's extent
MARGIN = 6  # voxels around the head
WINDOWS = {  # of each target or source beside T1: title, black and white
    "ct": (("bone", (-1000.0, 2000.0)), ("brain", (-60.0, 140.0))),  # HU
    "fa": (("map", (0.0, 0.8)),),
}
UNITS = {"ct": "HU", "fa": "FA"}


def write_head_sheet(folder: Path, task: str, model: str, head: RealHead, source: Volume, made: Volume) -> Path:
    """Write folder/MODEL-HEAD.png: a column for each slice, rows of T1 and of the CT at the bone and the brain window,
    or of the FA map.

    source, made: RAS, on one grid, T1 and CT, T1 and FA or, for ct2mr, CT and T1. Axial slices lie at BELOW_VERTEX, the
    others at SHARES of the extent of the T1's signal.
    """
    from matplotlib.figure import Figure

    kind = get_task(task)
    t1, other = (source, made) if kind.source == "t1" else (made, source)
    t1_name = "T1" if t1 is source else "synthetic T1"
    other_kind = kind.target if other is made else kind.source
    other_name = f"{'synthetic ' if other is made else ''}{other_kind.upper()}"
    box = _extent(t1)
    cuts = _cuts(t1, box)
    bright = float(np.percentile(t1.array[t1.array > t1.array.mean()], 99))
    rows = [(t1_name, t1, (0.0, bright), "as stored" if t1 is source else "of white matter")]
    rows += [(f"{other_name}, {title}", other, window, UNITS[other_kind]) for title, window in WINDOWS[other_kind]]
    figure = Figure(figsize=(2.2 * len(cuts), 2.6 * len(rows) + 0.4), facecolor="black")
    figure.suptitle(f"{shown(head.name)}, {shown(Path(model).name)}", color="white", fontsize=11, parse_math=False)
    grid = {"left": 0.005, "right": 0.955, "bottom": 0.01, "top": 0.92, "wspace": 0.02, "hspace": 0.16}
    for line, (title, volume, window, unit) in zip(
        figure.subplots(len(rows), len(cuts), gridspec_kw=grid), rows, strict=True
    ):
        for panel, (plane, index) in zip(line, cuts, strict=True):
            axis = PLANES[plane]
            image = show_slice(panel, np.take(volume.array[box], index - box[axis].start, axis), plane, window)
            place = volume.affine[axis, 3] + index * volume.spacing[axis]
            panel.set_title(f"{title}\n{plane} {place:.0f} mm", color="white", fontsize=7, parse_math=False)
        last = line[-1].get_position()
        bar = figure.colorbar(image, cax=figure.add_axes((0.962, last.y0 + 0.02, 0.008, last.height - 0.04)))
        bar.set_label(unit, color="white", fontsize=7)
        bar.ax.tick_params(colors="white", labelsize=7)
    path = folder / f"{_plain(Path(model).name)}-{_plain(head.name)}.png"
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110, format="png")
    return path


def _extent(t1: Volume) -> tuple[slice, slice, slice]:
    """The box around the slices with signal, and a margin."""
    ends = []
    for axis, n in enumerate(t1.shape):
        signal = np.moveaxis(t1.array, axis, 0).reshape(n, -1).mean(axis=1)
        there = np.flatnonzero(signal > 0.03 * signal.max())
        ends.append(slice(max(0, there[0] - MARGIN), min(n, there[-1] + MARGIN + 1)))
    return ends[0], ends[1], ends[2]


def _cuts(t1: Volume, box: tuple[slice, slice, slice]) -> list[tuple[str, int]]:
    """(plane, index) of the slices that are shown."""
    vertex = box[2].stop - MARGIN
    axial = [round(vertex - below / t1.spacing[2]) for below in BELOW_VERTEX]
    cuts = [("axial", index) for index in axial if index >= box[2].start]
    for plane, shares in SHARES.items():
        extent = box[PLANES[plane]]
        cuts += [(plane, int(extent.start + share * (extent.stop - extent.start))) for share in shares]
    return cuts


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)
