"""Make the opening case anew: `python -m ganlab.ui.opening [--seed N]`, after the model or the phantom has changed.

The patient is translated and measured at full resolution. What is kept, so that the page opens on something without
waiting and the repository stays small, is the box around the head at 1.6 mm, T1 in 128 steps and CT in steps of 4 HU,
half of a CT scanner's noise.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from dataclasses import fields
from pathlib import Path

import numpy as np

from ganlab.imaging.volume import Volume
from ganlab.ui.cases import Job, load_layer, save_case, solve
from ganlab.ui.translate import NEW_SEEDS, OPENING

SPACING = 1.6  # mm
OF_THE_GRID = {"shape", "affine", "source_affine", "crosshair", "layers"}  # what a case does not keep at SPACING
MARGIN = 4.0  # mm
T1_STEPS = 127
HU_STEP = 4.0
LIMIT = 4_000_000  # bytes of all files together


def make_opening(seed: int, folder: Path) -> None:
    """Replace the folder by the opening case of a phantom patient.

    Raises ValueError, and leaves the folder as it was, if the case came out larger than LIMIT.
    """
    from ganlab.imaging.grid import resample

    with tempfile.TemporaryDirectory() as scratch:
        full, small = Path(scratch, "full"), Path(scratch, "small")
        full.mkdir()
        small.mkdir()
        case = solve(Job(seed=seed), full)
        volumes = {
            layer.name: Volume(load_layer(full, case, layer.name), case.affine, layer.unit or "arbitrary")
            for layer in case.layers
        }
        grid = head_grid(volumes["reference"])
        volumes = {name: resample(volume, *grid, fill=float(volume.array.min())) for name, volume in volumes.items()}
        words = {field.name: getattr(case, field.name) for field in fields(case) if field.name not in OF_THE_GRID}
        words["notices"] += (
            f"Shown at {SPACING:g} mm in steps of {HU_STEP:g} HU, measured at 1 mm; press Translate to see it at 1 mm.",
        )
        save_case(small, volumes, steps=T1_STEPS, hu_step=HU_STEP, compresslevel=9, **words)
        size = sum(file.stat().st_size for file in small.iterdir())
        if size > LIMIT:
            raise ValueError(f"The opening case has {size} bytes, more than {LIMIT}: use a coarser SPACING.")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(small, folder)


def head_grid(ct: Volume) -> tuple[np.ndarray, tuple[int, ...]]:
    """(affine, shape) of the SPACING grid over the head and MARGIN around it; the CT is canonical and aligned."""
    from scipy import ndimage

    head = ndimage.uniform_filter(ct.array, 5) > -500.0  # noise in the air does not reach this
    box = ndimage.find_objects(head.astype(np.uint8))[0]
    low = [max(0.0, part.start - MARGIN / mm) for part, mm in zip(box, ct.spacing, strict=True)]
    high = [min(n - 1.0, part.stop + MARGIN / mm) for part, n, mm in zip(box, ct.shape, ct.spacing, strict=True)]
    affine = np.diag([SPACING, SPACING, SPACING, 1.0])
    affine[:3, 3] = ct.affine[:3, :3] @ low + ct.affine[:3, 3]
    return affine, tuple(int((b - a) * mm / SPACING) + 1 for a, b, mm in zip(low, high, ct.spacing, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=NEW_SEEDS[0])
    make_opening(parser.parse_args().seed, OPENING)


if __name__ == "__main__":
    main()
