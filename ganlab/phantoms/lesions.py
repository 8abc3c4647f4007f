"""Lesions: their kind, place and size.

As in Osborn's Brain (2nd ed., 2017): a glial tumour with a necrotic core, surrounded by oedema that keeps to white
matter and displaces its surroundings; plaques of multiple sclerosis, ovoids perpendicular to the ventricles (Dawson's
fingers); a hypertensive bleed in the putamen with a rim of oedema.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ganlab.errors import InputError
from ganlab.phantoms.fields import length
from ganlab.phantoms.options import LESIONS


class Spot(NamedTuple):
    """Centre in template mm (x > 0: the patient's right) and radius in mm."""

    x: float
    y: float
    z: float
    radius: float


class Lesion(NamedTuple):
    kind: str
    spots: tuple[Spot, ...]


MAX_RADIUS = 30.0  # mm
MOLARS = ((25.1, 62.0), (27.3, 55.0), (28.4, 49.0), (28.9, 43.8))  # x, y of crowns on the dental arch, mm


def draw_lesion(kind: str, generator: torch.Generator) -> Lesion:
    """A lesion of a kind at a common site, equally often on either side. Raises InputError for an unknown kind."""

    def between(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    def side() -> int:
        return 1 if between(0, 1) < 0.5 else -1

    if kind == "tumour":
        return Lesion(kind, (Spot(side() * between(24, 40), between(-45, 40), between(2, 38), between(9, 17)),))
    if kind == "bleed":
        return Lesion(kind, (Spot(side() * between(24, 30), between(-14, 12), between(-2, 10), between(7, 15)),))
    if kind == "plaques":
        count = int(between(8, 20))
        return Lesion(kind, tuple(plaque(side(), between) for _ in range(count)))
    raise InputError(f'Lesion "{kind}" is not known; choose from {", ".join(LESIONS)}.')


def plaque(side: int, between: Callable[[float, float], float]) -> Spot:
    """A plaque beside the body or a horn of the lateral ventricle, or farther out below the cortex."""
    if between(0, 1) < 0.7:
        return Spot(side * between(20, 28), between(-48, 36), between(14, 26), between(2.0, 4.5))
    return Spot(side * between(26, 44), between(-60, 40), between(10, 42), between(1.8, 3.5))


def check_lesion(lesion: Lesion) -> Lesion:
    """The lesion itself. Raises InputError for an unknown kind, and for a size or place outside the brain."""
    if lesion.kind not in LESIONS:
        raise InputError(f'Lesion "{lesion.kind}" is not known; choose from {", ".join(LESIONS)}.')
    for spot in lesion.spots:
        if not all(map(math.isfinite, spot)) or not 1 <= spot.radius <= MAX_RADIUS:
            raise InputError(f"Lesion radius {spot.radius:g} mm is outside 1-{MAX_RADIUS:g} mm; 12 mm is usual.")
        if max(abs(spot.x), abs(spot.y + 15), abs(spot.z - 5)) > 95:
            raise InputError(
                f"Lesion at {spot.x:g}, {spot.y:g}, {spot.z:g} mm lies outside the brain; give MNI coordinates, "
                "such as 30, -10, 20 (x to the patient's right)."
            )
    return lesion


def pushed(p: Tensor, lesion: Lesion | None) -> Tensor:
    """Points (3, N) of the healthy brain before a mass displaced them; half of its volume displaces tissue.

    Tissue at distance r was at r' before, r^3 - r'^3 = radius^3 / 2, fading beyond 30 mm.
    """
    if lesion is None or lesion.kind == "plaques":
        return p
    for x, y, z, radius in lesion.spots:
        spoke = p - p.new_tensor((x, y, z))[:, None]
        r = length(spoke).clamp_min(radius)
        before = (1 - 0.5 * (radius / r) ** 3 * torch.exp(-(((r - radius) / 30) ** 2))) ** (1 / 3)
        p = p - spoke * (1 - before)
    return p


def draw_flap(generator: torch.Generator) -> Spot:
    """A frontotemporal or parietal bone flap: the centre of its outer surface, and its radius in mm."""
    turn = torch.rand(4, generator=generator).tolist()
    side = 1 if turn[0] < 0.5 else -1
    return Spot(side * (58 + 10 * turn[1]), -40 + 70 * turn[2], 38 + 12 * turn[3], 22 + 10 * turn[1])


def draw_fillings(generator: torch.Generator) -> tuple[tuple[float, float, float], ...]:
    """Centres of one to four fillings in the crowns of premolars and molars, template mm."""
    count = 1 + int(torch.randint(4, (), generator=generator))
    teeth = torch.randperm(len(MOLARS) * 4, generator=generator)[:count].tolist()
    return tuple(
        (MOLARS[k // 4][0] * (1, -1)[k % 2], MOLARS[k // 4][1], (-93.0, -103.0)[k // 2 % 2]) for k in sorted(teeth)
    )
