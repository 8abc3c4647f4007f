"""Make the opening cases anew: `python -m ganlab.ui.opening_cases [translate] [cycle] [--seed N]`, after models or the
phantom have changed.

The patient is translated and measured at full resolution. What is kept, so that a page opens on something without
waiting and the repository stays small, is the box around the head at 1.6 mm, T1 in 128 steps and CT in steps of 4 HU,
half of a CT scanner's noise; of a cycle, which has more layers, T1 in 50 steps and CT in steps of 8 HU.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np

from ganlab.imaging.volume import Volume
from ganlab.ui.case import Case, Job, load_layer, save_case, solve
from ganlab.ui.pages.cycle import page as cycle
from ganlab.ui.pages.cycle.page import CONTRASTS, PLACE, CycleJob, solve_cycle
from ganlab.ui.pages.translate import page as translate
from ganlab.ui.pages.translate.page import NEW_SEEDS

SPACING = 1.6  # mm
OF_THE_GRID = {"shape", "affine", "source_affine", "crosshair", "layers"}  # what a case does not keep at SPACING
MARGIN = 4.0  # mm
LIMITS = {"translate": 4_000_000, "cycle": 3_000_000}  # bytes of all files together
FINE = {"steps": 127, "hu_step": 4.0}
COARSE = {"steps": 50, "hu_step": 8.0, "judged_steps": 12}  # of five layers


def make_opening(seed: int, folder: Path) -> None:
    """Replace the folder by the opening case of the Translate page, a phantom patient."""
    keep_small(lambda full: solve(Job(seed=seed), full), folder, "reference", "Translate", LIMITS["translate"], **FINE)


def make_cycle(seed: int, folder: Path) -> None:
    """Replace the folder by the opening case of the Cycle page: a phantom patient with a lesion, and every question."""
    from ganlab.translation.cycle.pairing import pair_of

    task = "mr2ct"
    lesion = (*PLACE, CONTRASTS[task][1])
    job = CycleJob(task, *pair_of(task), seed=seed, probe=True, judge=True, lesion=lesion)
    keep_small(lambda full: solve_cycle(job, full), folder, "synthetic", "There and back", LIMITS["cycle"], **COARSE)


def keep_small(make: Callable[[Path], Case], folder: Path, ct: str, press: str, limit: int, **coarse) -> None:
    """Make a case, and replace the folder by what is kept of it. ct: the layer that tells where the head is; coarse: as
    of `save_case`.

    Raises ValueError, and leaves the folder as it was, if the case came out larger than the limit.
    """
    from ganlab.imaging.grid import resample

    with tempfile.TemporaryDirectory() as scratch:
        full, small = Path(scratch, "full"), Path(scratch, "small")
        full.mkdir()
        small.mkdir()
        case = make(full)
        volumes = {
            layer.name: Volume(load_layer(full, case, layer.name), case.affine, layer.unit or "arbitrary")
            for layer in case.layers
        }
        affine, shape = head_grid(volumes[ct])
        volumes = {n: resample(volume, affine, shape, fill=float(volume.array.min())) for n, volume in volumes.items()}
        words = {field.name: getattr(case, field.name) for field in fields(case) if field.name not in OF_THE_GRID}
        words["notices"] += (
            f"Shown at {SPACING:g} mm in steps of {coarse['hu_step']:g} HU, measured at 1 mm; press {press} to see it "
            "at 1 mm.",
        )
        place = None
        if case.cycle:
            words["cycle"] = case.cycle | {"consistency": at_slices(case, affine, shape)}
            place = case.cycle["lesion"]["put"][:3]
        save_case(small, volumes, compresslevel=9, place=place, **coarse, **words)
        size = sum(file.stat().st_size for file in small.iterdir())
        if size > limit:
            raise ValueError(f"The opening case has {size} bytes, more than {limit}: use a coarser SPACING.")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(small, folder)


def at_slices(case: Case, affine: np.ndarray, shape: tuple[int, ...]) -> dict:
    """A cycle's consistency with the errors of those slices, of the case's own, that are nearest to a grid's."""
    found, own = case.cycle["consistency"], np.array(case.affine)
    heights = affine[2, 3] + affine[2, 2] * np.arange(shape[2])
    nearest = np.rint((heights - own[2, 3]) / own[2, 2]).astype(int).clip(0, case.shape[2] - 1)
    return found | {"slices": [found["slices"][k] for k in nearest]}


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
    makers = {"translate": (make_opening, translate.OPENING), "cycle": (make_cycle, cycle.OPENING)}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", default=list(makers), help="translate, cycle; both unless given")
    parser.add_argument("--seed", type=int, default=NEW_SEEDS[0])
    wanted = parser.parse_args()
    if unknown := set(wanted.pages) - makers.keys():
        parser.error(f"there is no opening case of {', '.join(sorted(unknown))}; choose from translate, cycle")
    for page in wanted.pages:
        make, folder = makers[page]
        make(wanted.seed, folder)


if __name__ == "__main__":
    main()
