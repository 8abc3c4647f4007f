"""The soft neck: throat and larynx, muscles in their fat, great vessels. Lengths in template mm.

Axial anatomy of the muscles at the level of the fourth vertebra: Gray's Anatomy, 41st ed., ch. 29, and the Visible
Human; prevertebral tissue 5 mm above and 14 mm below the larynx (Wholey et al., Radiology 71:350, 1958).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ganlab.imaging.phantom.fields import along, blend, capsule, ellipsoid, through
from ganlab.imaging.phantom.head import Head, Part
from ganlab.imaging.phantom.spine import axis, leaning, spine


def neck_outline(h: Head, head: Tensor) -> Tensor:
    """The skin's signed distance `head` with neck and shoulders joined on."""
    if not h.near(z=(-999, -10)):
        return head
    n = h.build.neck
    centre = torch.stack([h.x, h.y - h.once(axis) - 6, h.z])
    neck = capsule(centre, (0, 0, -60), (0, 0, -400), 56 * n)
    shoulders = ellipsoid(h.p, (0, -20, -275), (235, 95, 85))
    return blend(blend(head, neck, 26), shoulders, 45)


# The airway's axis (z, y), half width and half depth in mm, from the back of the nose to the windpipe.
AIRWAY = (
    (-175, 1.0, 9.0, 9.0),
    (-152, -1.0, 7.5, 8.5),
    (-146, -1.0, 3.5, 8.5),  # between the vocal folds
    (-138, -4.0, 8.0, 7.0),
    (-124, -11.0, 12.0, 5.0),
    (-108, -12.5, 11.0, 5.0),
    (-92, -11.0, 11.0, 4.6),
    (-80, -4.0, 12.0, 8.5),
    (-66, 3.0, 12.0, 10.0),
)
TUBE_Y, TUBE_X, TUBE_D = (tuple((row[0], row[k]) for row in AIRWAY) for k in (1, 2, 3))


def lumen(h: Head) -> Tensor:
    """Signed distance of the airway below the nose."""
    wide, deep = along(h.z, TUBE_X), along(h.z, TUBE_D)
    v = h.y - along(h.z, TUBE_Y) - h.once(leaning)
    edge = (((h.x / wide) ** 2 + (v / deep) ** 2 + 1e-9).sqrt() - 1) * torch.minimum(wide, deep)
    return torch.maximum(edge + 0.8 * h.noise(h.p, 20.0, 1), h.z + 62)


def throat(h: Head) -> Iterator[Part]:
    """Pharynx, epiglottis, larynx and windpipe; the gullet lies collapsed behind."""
    if not h.near(x=(0, 34), y=(-45, 45), z=(-999, -58)):
        return
    x, y, z = h.x, h.y - h.once(leaning), h.z
    tube = h.once(lumen)
    leaf = torch.stack([x / 9, (y + 3.5 + 0.35 * (z + 118)), (z + 119) / 13])
    flap = torch.maximum(leaf[1].abs() - 1.1, (leaf[0] ** 2 + leaf[2] ** 2 - 1) * 5)
    yield "cartilage", h.cover(flap)
    pocket = ellipsoid(torch.stack([x, y, z]), (0, 2.0, -120), (9, 3.0, 5))  # the valleculae before the epiglottis
    yield "air", h.cover(torch.minimum(tube, pocket))
    yield "mucosa", h.cover(tube - 1.8) * 0.9
    ring = torch.maximum((tube - 3).abs() - 1.1, torch.sin(z * 1.1) * 3 - 1.2)
    yield "cartilage", 0.8 * h.cover(torch.maximum(ring, z + 152)) * (y > -6)
    shield = (h.m[0] * 0.8 + (y - 12).clamp(-40, 8)).abs() - 1.6  # the thyroid cartilage's two plates
    shield = torch.maximum(torch.maximum(shield, (z + 143).abs() - 12), torch.maximum(h.m[0] - 20, -y - 12))
    yield "cartilage", h.cover(shield)
    cricoid = torch.maximum((tube - 3.5).abs() - 1.8, (z + 156 - 0.25 * y).abs() - 4)
    yield "cartilage", h.cover(cricoid)
    horseshoe = (((x / 19) ** 2 + ((y + 6) / 21) ** 2 + 1e-9).sqrt() - 1) * 19
    hyoid = torch.maximum(torch.maximum(horseshoe.abs() - 2.4, (z + 127 + 0.12 * y).abs() - 3.4), -10 - y)
    yield from h.shell(hyoid, 1.4)
    gullet = ellipsoid(torch.stack([x, y, z]), (0, -14, -190), (8, 3.5, 40))
    yield "muscle", h.cover(gullet)
    gland = ellipsoid(torch.stack([h.m[0], y, z]), (16, 0, -166), (8, 10, 17))
    yield "gland", h.cover(gland)


class Belly(NamedTuple):
    """A muscle in axial section: an ellipse whose middle moves with z; mirrored."""

    course: tuple[tuple[float, float, float], ...]  # (z, x, v), upwards
    half: tuple[float, float]  # mm
    turn: float  # degrees by which the first half axis is turned from x towards the front


MUSCLES = {
    "multifidus": Belly(((-170, 9, -20), (-95, 9, -21), (-76, 10, -26)), (8, 10), 0),
    "semispinalis capitis": Belly(((-170, 14, -34), (-118, 14, -36), (-80, 13, -42), (-60, 13, -51)), (11, 9), -10),
    "splenius capitis": Belly(((-170, 20, -42), (-118, 25, -41), (-80, 38, -36), (-62, 50, -22)), (17, 4.5), 32),
    "trapezius": Belly(((-170, 34, -45), (-118, 21, -51), (-80, 12, -57), (-60, 8, -61)), (20, 4), 22),
    "longissimus": Belly(((-170, 27, -22), (-90, 31, -18), (-64, 48, -6)), (6, 8), 20),
    "levator scapulae": Belly(((-170, 42, -22), (-118, 36, -14), (-84, 32, 2)), (7, 10), 10),
    "scalenes": Belly(((-170, 36, 10), (-130, 29, 9), (-95, 24, 9)), (7, 8), 0),
    "longus colli": Belly(((-170, 8, 31), (-118, 8, 31), (-86, 9, 28), (-56, 10, 33)), (9, 4.6), -8),
    "sternocleidomastoid": Belly(((-175, 24, 42), (-118, 46, 19), (-84, 56, 8), (-62, 60, 10)), (6, 14), 28),
    "suboccipital": Belly(((-100, 18, -14), (-84, 20, -22), (-68, 16, -32)), (12, 8), 20),
    "digastric": Belly(((-128, 28, 44), (-100, 38, 32), (-68, 52, 14)), (4.5, 6), 0),
    "infrahyoid": Belly(((-180, 10, 50), (-132, 9, 59), (-124, 9, 60)), (11, 3), -12),
    "constrictor": Belly(((-150, 18, 40), (-120, 18, 39), (-62, 19, 52)), (4.5, 12), 0),
}


def belly_distance(b: Belly, side: Tensor, v: Tensor, z: Tensor) -> Tensor:
    low, high = b.course[0][0], b.course[-1][0]
    inner = z.clamp(low, high)
    a = side - through(inner, tuple((k, x) for k, x, _ in b.course))
    c = v - through(inner, tuple((k, w) for k, _, w in b.course))
    cos, sin = math.cos(math.radians(b.turn)), math.sin(math.radians(b.turn))
    across, deep = (cos * a + sin * c) / b.half[0], (cos * c - sin * a) / b.half[1]
    flat = ((across.square() + deep.square() + 1e-6).sqrt() - 1) * min(b.half)
    return torch.maximum(flat, (z - inner).abs())


GROWTH = 5.0  # mm by which bellies fill the space between them, up to a plane of fat


def neck_soft_tissue(h: Head) -> Iterator[Part]:
    """Vessels, then muscles: each belly takes the space nearest to it, a thin plane of fat parts it from the next."""
    if not h.near(y=(-999, 40), z=(-999, -58)):
        return
    _, v, z = h.once(spine)
    side, bend = h.m[0], 1.3 * h.noise(h.p, 26.0, 0)
    carotid = capsule(torch.stack([side, v, z]), (25, 28, -132), (27, 33, -62), 3.2)
    common = capsule(torch.stack([side, v, z]), (25, 28, -132), (21, 34, -190), 4.0)
    outer = capsule(torch.stack([side, v, z]), (25, 29, -132), (36, 36, -88), 2.2)
    jugular = (((side - 32 + 0.02 * (z + 120)) / 1.3) ** 2 + (v - 25) ** 2).sqrt() - 4.2
    vessel = torch.stack([carotid, common, outer, torch.maximum(jugular, z + 66)]).amin(0)
    zone = torch.sigmoid((28 - h.y) / 1.5) * torch.sigmoid((-62 - z) / 2)
    yield "vessel", h.cover(vessel) * zone
    ligament = torch.maximum(side - 0.8, v + 14)
    yield "fibrous tissue", 0.8 * h.cover(ligament) * zone
    bellies = torch.stack([belly_distance(b, side + bend, v + bend, z) for b in MUSCLES.values()])
    nearest, rest = bellies.topk(2, dim=0, largest=False).values
    planes = torch.maximum(nearest - GROWTH / h.build.fat**0.35, 0.7 - (rest - nearest))
    streak = 0.5 + 0.5 * h.noise(torch.stack([h.x, h.y, z * 0.25]), 5.0, 3)
    yield "muscle", h.cover(planes) * zone * (1 - 0.14 * streak.clamp(0, 1))
    yield "fibrous tissue", 0.12 * zone * (h.noise(h.p, 4.0, 1).abs() < 0.35)
    yield "fat", zone
