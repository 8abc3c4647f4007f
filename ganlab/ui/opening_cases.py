"""Regenerate the opening cases after the models or the phantom have changed: `python -m ganlab.ui.opening_cases
[translate] [cycle] [--seed N]`.

The patient is translated and measured at full resolution. To open a page without waiting, and to keep the repository
small, what is stored is the box around the head at 1.6 mm, T1 in 128 steps and CT in steps of 4 HU, half of a CT
scanner's noise; for a cycle, which has more layers, T1 in 50 steps and CT in steps of 8 HU.
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
from ganlab.ui.pages.cycle import job as cycle_job
from ganlab.ui.pages.cycle import page as cycle_page
from ganlab.ui.pages.translate import job as translate_job
from ganlab.ui.pages.translate import page as translate_page
from ganlab.ui.saved_case import Encoding, SavedCase, load_layer, save_case
from ganlab.ui.volume_controls import NEW_SEEDS

SPACING = 1.6  # mm
OF_THE_GRID = {"shape", "affine", "source_affine", "crosshair", "layers", "dicom", "losses"}  # set by save_case
MARGIN = 4.0  # mm
LIMITS = {"translate": 4_500_000, "cycle": 3_000_000}  # bytes of all files together
FINE = Encoding(steps=127, hu_step=4.0, compresslevel=9)
COARSE = Encoding(steps=50, hu_step=8.0, judged_steps=12, compresslevel=9)  # of five layers


def make_opening(seed: int, folder: Path) -> None:
    """Replace the folder by the opening case of the Translate page, a phantom patient."""
    job = translate_job.TranslationJob(seed=seed)
    keep_small(lambda full: translate_job.solve(job, full), folder, "reference", "Translate", LIMITS["translate"], FINE)


def make_cycle(seed: int, folder: Path) -> None:
    """Replace the folder by the opening case of the Cycle page: a phantom patient with a lesion, and every question."""
    from ganlab.translation.cycle.pairing import pair_of

    task = "mr2ct"
    lesion = cycle_page.default_lesion(task)
    job = cycle_job.CycleJob(task, *pair_of(task), seed=seed, probe=True, judge=True, lesion=lesion)
    solve = cycle_job.solve
    keep_small(lambda full: solve(job, full), folder, "synthetic", "Run the cycle", LIMITS["cycle"], COARSE)


def keep_small(
    make: Callable[[Path], SavedCase], folder: Path, ct: str, button: str, limit: int, encoding: Encoding
) -> None:
    """Make a case, and replace the folder by a small copy of it.

    ct: the layer in which the head is found. button: label of the one that computes the case at full resolution. limit:
    bytes. Raises ValueError, and leaves the folder unchanged if the copy is larger than the limit.
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
            f"Shown at {SPACING:g} mm in steps of {encoding.hu_step:g} HU, measured at 1 mm; press {button} to see it "
            "at 1 mm.",
        )
        place = None
        if case.cycle:
            words["cycle"] = case.cycle | {"consistency": at_slices(case, affine, shape)}
            place = case.cycle["lesion"]["put"][:3]
        save_case(small, volumes, encoding, place, downloads=False, **words)
        size = sum(file.stat().st_size for file in small.iterdir())
        if size > limit:
            raise ValueError(f"The opening case has {size} bytes, more than {limit}: use a coarser SPACING.")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(small, folder)


def at_slices(case: SavedCase, affine: np.ndarray, shape: tuple[int, ...]) -> dict:
    """A cycle's consistency with the errors of the slices nearest to those of another grid."""
    consistency, own = case.cycle["consistency"], np.array(case.affine)
    heights = affine[2, 3] + affine[2, 2] * np.arange(shape[2])
    nearest = np.rint((heights - own[2, 3]) / own[2, 2]).astype(int).clip(0, case.shape[2] - 1)
    return consistency | {"slices": [consistency["slices"][k] for k in nearest]}


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
    makers = {"translate": (make_opening, translate_page.OPENING), "cycle": (make_cycle, cycle_page.OPENING)}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", default=list(makers), help="translate, cycle; both by default")
    parser.add_argument("--seed", type=int, default=NEW_SEEDS[0])
    arguments = parser.parse_args()
    if unknown := set(arguments.pages) - makers.keys():
        parser.error(f"there is no opening case of {', '.join(sorted(unknown))}; choose from translate, cycle")
    for page in arguments.pages:
        make, folder = makers[page]
        make(arguments.seed, folder)


if __name__ == "__main__":
    main()
