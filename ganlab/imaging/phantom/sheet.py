"""Contact sheet of phantom patients: python -m ganlab.imaging.phantom.sheet assets/readme-phantoms.png"""

from __future__ import annotations

import sys

from ganlab.imaging.phantom import make_patient

SEEDS = (9000, 9001, 9002, 9003, 9004, 9005)
CUTS = (("axial", 2, 0.62), ("coronal", 1, 0.56), ("sagittal", 0, 0.505))  # name, axis across, share of the grid
WINDOWS = (("T1", "t1", (0, 1000)), ("CT, W 2000 L 500", "ct", (-500, 1500)))


def contact_sheet(path: str, seeds=SEEDS, spacing: float = 1.0) -> None:
    """A figure: one column a patient, rows T1 and CT in three planes, radiological convention (R on the left)."""
    import numpy as np
    from matplotlib.figure import Figure

    rows = [(*cut, *window) for cut in CUTS for window in WINDOWS]
    figure = Figure(figsize=(2.2 * len(seeds), 2.35 * len(rows)), facecolor="black", layout="constrained")
    axes = figure.subplots(len(rows), len(seeds))
    for column, seed in enumerate(seeds):
        patient = make_patient(seed, ("t1", "ct"), spacing)
        for row, (plane, axis, share, title, modality, (low, high)) in enumerate(rows):
            volume = patient[modality]
            image = np.take(volume.array, int(share * volume.shape[axis]), axis).T
            if plane != "sagittal":
                image = image[:, ::-1]  # the patient's right on the reader's left
            panel = axes[row, column]
            panel.imshow(image, cmap="gray", vmin=low, vmax=high, origin="lower", interpolation="bilinear")
            panel.axis("off")
            left, right = ("P", "A") if plane == "sagittal" else ("R", "L")
            for x, letter in ((0.03, left), (0.97, right)):
                panel.text(x, 0.5, letter, color="#E69F00", fontsize=8, ha="center", transform=panel.transAxes)
            if column == 0:
                panel.text(
                    0.02, 0.95, f"{title}\n{plane}", color="white", fontsize=7, va="top", transform=panel.transAxes
                )
            if row == 0:
                panel.set_title(f"seed {seed}", color="white", fontsize=9)
    figure.savefig(path, dpi=85)


if __name__ == "__main__":
    contact_sheet(*sys.argv[1:2])
