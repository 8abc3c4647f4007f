"""Lung nodules on CT: patches of 56 x 56 pixels of 0.7 mm in HU, benign or malignant, with known ground truth.

The patches have the size of those of Chuquicusma et al., ISBI 2018. The surrounding anatomy is in anatomy.py, the
description of nodules in nodule_parts.py, their shape in shapes.py and the scanner in ct_slice.py. Patches are made one
by one, so that no patch depends on another.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ganlab.errors import InputError
from ganlab.phantoms.lungs import anatomy as lung
from ganlab.phantoms.lungs.ct_slice import Slab, acquire, draw_kernel, patch
from ganlab.phantoms.lungs.nodule_parts import SOLIDITY, NoduleDescription, draw_description, draw_parts, feeder
from ganlab.phantoms.lungs.shapes import Shape

KINDS = ("benign", "malignant")
MOST, LAST = 100_000, 2**32 - 1  # patches in one call; largest seed and patch index


@dataclass(frozen=True)
class Nodules:
    """N patches and their ground truth, as arrays with N rows."""

    images: np.ndarray  # (N, 56, 56) float32, integer HU from -1024 to 3071
    masks: np.ndarray  # (N, 56, 56) bool: pixels at least half nodule, ground glass included, without spicules
    labels: np.ndarray  # 0 benign, 1 malignant
    diameter_mm: np.ndarray  # of the disc with the nodule's area in the slice, as if the pleura did not cut it
    roundness: np.ndarray  # 4 area / (pi longest diameter^2), 0..1
    mean_hu: np.ndarray  # of the solid part, or of the ground glass if there is none, before the scanner
    spiculation: np.ndarray  # 0..1
    lobulation: np.ndarray  # 0..1
    solidity: np.ndarray  # index in SOLIDITY
    pleural: np.ndarray  # bool: touches the pleura
    slice_mm: np.ndarray  # thickness of the slice
    kernel_mm: np.ndarray  # FWHM of the point spread
    noise_hu: np.ndarray  # standard deviation of the noise


def make_nodules(seed: int, count: int, kind: str | None = None, start: int = 0) -> Nodules:
    """Patches start, start + 1, ... of a seed; patch k is the same in every call, for any count.

    seed, start + count - 1: 0 to 2^32 - 1. count: 1 to 100,000. kind: "benign", "malignant", or None for either with
    equal probability; a patch that is benign by chance is the same when asked for by kind. Raises InputError for other
    values.
    """
    _check(seed, count, kind, start)
    rows = [_make_one(seed, index, kind) for index in range(start, start + count)]
    return Nodules(**{f.name: np.stack([row[f.name] for row in rows]) for f in fields(Nodules)})


def _check(seed: Any, count: Any, kind: str | None, start: Any) -> None:
    for name, value, example in (("seed", seed, 0), ("count", count, 64), ("start", start, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise InputError(f"The {name} {value!r} is not a whole number; give one such as {example}.")
    if not 0 <= seed <= LAST:
        raise InputError(f"The seed {seed} is outside 0 to {LAST}; choose one inside.")
    if not 1 <= count <= MOST:
        raise InputError(
            f"{count} nodules cannot be made at once; ask for 1 to {MOST}, and use start for the next ones."
        )
    if not 0 <= start <= LAST + 1 - count:
        raise InputError(f"Nodules {start} to {start + count - 1} are outside 0 to {LAST}; choose another start.")
    if kind is not None and kind not in KINDS:
        raise InputError(f'Nodules of kind "{kind}" are not known; choose from {", ".join(KINDS)}, or leave it out.')


def _make_one(seed: int, index: int, kind: str | None) -> dict:
    """The fields of Nodules for one patch."""
    rng = np.random.default_rng([seed, index])
    drawn_kind = KINDS[int(rng.random() < 0.5)]
    nodule = draw_description(rng, (kind or drawn_kind) == "malignant")
    slab, kernel = Slab(rng.uniform(1.0, 2.5)), draw_kernel(rng)
    centre = np.clip(rng.normal(0, 1.0, 2), -2, 2)  # mm by which a reader who marked the nodule missed its centre
    body = Shape(rng, centre, nodule.diameter, nodule.lobulation, nodule.irregular, nodule.aspect)
    wall = _wall(rng, slab, nodule)
    parts = draw_parts(rng, nodule, body, slab, wall)
    blood = rng.uniform(90, 220) if rng.random() < 0.4 else rng.normal(42, 6)  # with or without contrast agent

    hu = parts.under(lung.parenchyma(rng))
    hu = lung.paint_vessels(rng, hu, slab, wall, blood, [feeder(rng, body) for _ in range(nodule.feeders)])
    hu = parts.over(lung.paint_fissure(rng, hu, slab))
    inside: np.ndarray | float = 1.0  # coverage by lung and nodule
    if wall is not None:
        hu = lung.paint_wall(rng, hu, wall, blood)
        inside = 1 - wall.coverage
    return {
        "images": acquire(hu, kernel, rng),
        "masks": patch((parts.whole * inside)[::2, ::2]) >= 0.5,
        "labels": np.int64(nodule.malignant),
        "diameter_mm": np.float32(nodule.diameter),
        "roundness": np.float32(body.roundness),
        "mean_hu": np.float32(parts.mean_hu()),
        "spiculation": np.float32(nodule.spiculation),
        "lobulation": np.float32(nodule.lobulation),
        "solidity": np.int64(SOLIDITY.index(nodule.solidity)),
        "pleural": np.bool_(np.any(parts.whole * (1 - inside) > 0.01)),
        "slice_mm": np.float32(slab.thickness),
        "kernel_mm": np.float32(kernel.width),
        "noise_hu": np.float32(kernel.noise),
    }


def _wall(rng: np.random.Generator, slab: Slab, nodule: NoduleDescription) -> lung.Wall | None:
    """A wall in about a third of the patches; the nodule touches it in nearly half of these."""
    if rng.random() > 0.36:
        return None
    touching = rng.random() < 0.45
    return lung.draw_wall(rng, slab, nodule.diameter * rng.uniform(0.15, 0.55) if touching else rng.uniform(9, 18))
