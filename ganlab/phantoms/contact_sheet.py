"""Contact sheet of phantom patients: python -m ganlab.phantoms.contact_sheet assets/readme/phantoms.png"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ganlab.phantoms.volumes import make_patient

SEEDS = (9000, 9001, 9002, 9003, 9004, 9005)
CUTS = (("axial", 2, 4.0), ("sagittal", 0, 1.0), ("coronal", 1, -12.0))  # name, axis across, mm
WINDOWS = (  # title, modality, black and white
    ("T1", "t1", (0, 1000)),
    ("T2", "t2", (0, 850)),
    ("CT bone\nW 2000 L 500", "ct", (-500, 1500)),
    ("CT brain\nW 80 L 35", "ct", (-5, 75)),
    ("FA 0 to 1", "fa", (0, 1)),
)


def contact_sheet(path: str, seeds: Sequence[int] = SEEDS, spacing: float = 1.0) -> None:
    """Save a figure with one column per patient and rows of planes and windows, in radiological convention."""
    import numpy as np
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = [(*cut, *window) for cut in CUTS for window in WINDOWS]
    figure = Figure(figsize=(1.72 * len(seeds), 1.95 * len(rows)), facecolor="black")
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0.0, hspace=0.0))
    axes = figure.subplots(len(rows), len(seeds), squeeze=False)
    for column, seed in enumerate(seeds):
        patient = make_patient(seed, ("t1", "t2", "ct", "fa"), spacing)
        for row, (plane, axis, position, title, modality, (low, high)) in enumerate(rows):
            volume = patient[modality]
            index = round((position - volume.affine[axis, 3]) / spacing)
            image = np.take(volume.array, index, axis).T
            if plane != "sagittal":
                image = image[:, ::-1]  # the patient's right on the reader's left
            panel = axes[row, column]
            panel.imshow(image, cmap="gray", vmin=low, vmax=high, origin="lower", interpolation="bilinear")
            panel.axis("off")
            note = {"transform": panel.transAxes, "color": "white", "fontsize": 6.5}
            for x, letter in zip((0.03, 0.97), ("P", "A") if plane == "sagittal" else ("R", "L"), strict=True):
                panel.text(x, 0.5, letter, ha="center", **note | {"color": "#E69F00"})
            if column == 0:
                panel.text(0.02, 0.99, f"{title}\n{plane}", va="top", **note)
            if row == 0:
                panel.set_title(f"seed {seed}", color="white", fontsize=8)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    contact_sheet(sys.argv[1])
