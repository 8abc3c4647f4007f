"""The soft neck: throat and larynx, muscles in their fat, great vessels. Lengths in template mm.

Axial anatomy of the muscles at the level of the fourth vertebra: Gray's Anatomy, 41st ed., ch. 29, and the Visible
Human; prevertebral tissue 5 mm above and 14 mm below the larynx (Wholey et al., Radiology 71:350, 1958). Girth of
the neck 38 cm in men, 33 in women (Ben-Noun et al., Obes Res 9:470, 2001). Larynx: Eckel and Sittel, Clin Anat 7:34,
1994.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ganlab.phantoms.fields import along, blend, capsule, ellipsoid, length, through, tube
from ganlab.phantoms.head.points import Head, Part
from ganlab.phantoms.head.spine import axis, leaning, spine


def neck_outline(h: Head, head: Tensor) -> Tensor:
    """The skin's signed distance `head` blended with neck and shoulders."""
    if not h.near(z=(-999, -10)):
        return head
    n = h.build.neck
    deep = math.sqrt(n)
    bent = torch.stack([h.x * (deep / n / 1.06), h.y - h.once(axis) - 9.5, h.z])
    neck = capsule(bent, (0, 0, -86), (0, 0, -400), 58 * deep)
    shoulders = ellipsoid(h.p, (0, -20, -275), (235, 95, 85))
    return blend(blend(head, neck, 20), shoulders, 45)


# The airway (z, y of its centre, half width, half depth) in mm, from the back of the nose to the trachea.
AIRWAY = (
    (-230, 2.0, 9.0, 9.0),
    (-168, 6.0, 8.5, 9.0),
    (-157, 5.0, 6.5, 8.5),
    (-151, 4.5, 3.6, 9.0),  # between the vocal folds
    (-146, 4.0, 5.0, 8.0),
    (-138, 1.5, 6.5, 7.0),
    (-128, -3.0, 10.0, 5.5),
    (-118, -7.0, 13.0, 4.6),
    (-106, -8.4, 12.5, 4.6),
    (-92, -9.5, 11.5, 5.0),
    (-80, -5.0, 12.0, 8.0),
    (-66, 3.0, 12.0, 10.0),
)
TUBE_Y, TUBE_X, TUBE_D = (tuple((row[0], row[k]) for row in AIRWAY) for k in (1, 2, 3))


def lumen(h: Head) -> Tensor:
    """Signed distance of the airway below the nose."""
    wide, deep = along(h.z, TUBE_X), along(h.z, TUBE_D)
    v = h.y - along(h.z, TUBE_Y) - h.once(leaning)
    across, depth = h.x / wide, v / deep
    k = (across.square() + depth.square()).sqrt()  # as in fields.ellipsoid: exact on the surface
    edge = k * (k - 1) / ((across / wide).square() + (depth / deep).square()).sqrt().clamp_min(1e-6)
    return torch.maximum(edge + 0.6 * h.noise(h.p, 20.0, 1), h.z + 62)


def throat(h: Head) -> Iterator[Part]:
    """Pharynx, epiglottis, larynx and trachea, with the collapsed oesophagus behind."""
    if not h.near(x=(0, 36), y=(-50, 55), z=(-999, -58)):
        return
    m = torch.stack([h.m[0], h.y - h.once(leaning), h.z])
    near = (m[0] < 34) & (m[1] > -26) & (m[1] < 30) & (m[2] < -60)
    yield from h.only(near, pharynx)
    yield from h.only(near & (m[2] < -104), larynx)


def pharynx(h: Head) -> Iterator[Part]:
    """Air in its mucosa and constrictor, open in front; valleculae and piriform recesses beside the epiglottis."""
    side, y, z = h.m[0], h.y - h.once(leaning), h.z
    m, room = torch.stack([side, y, z]), h.once(lumen)
    if h.near(z=(-165, -100)):
        leaf = y - through(z.clamp(-146, -108), ((-144, 10.0), (-128, 3.0), (-110, -4.5))) + 0.012 * side.square()
        outline = (length(torch.stack([side / 9.0, (z + 124) / 15])) - 1) * 9
        epiglottis = torch.maximum(leaf.abs() - 1.0, outline)
        yield "cartilage", h.cover(epiglottis)
        yield "mucosa", h.cover(epiglottis - 0.9)
        vallecula = ellipsoid(m, (4.8, 2.6, -121.5), (5.2, 2.6, 6))
        piriform = ellipsoid(m, (14, -3.5, -138), (2.6, 5.5, 10))
        room = torch.minimum(room, torch.minimum(vallecula, piriform))
    yield "air", h.cover(room)
    yield "mucosa", h.cover(room - 1.4)
    collapsed = (length(torch.stack([side / 15, (y + 9.0) / 3.4])) - 1) * 3.4
    collapsed = torch.maximum(torch.maximum(collapsed, z + 126), -160 - z)
    yield "mucosa", h.cover(collapsed + 2.0)
    behind = torch.maximum(h.once(lumen) - 3.8, torch.maximum(y + 0.2 * side - 2, -135 - z))
    yield "muscle", h.cover(torch.minimum(behind, collapsed))


def larynx(h: Head) -> Iterator[Part]:
    """Hyoid bone, laryngeal cartilages, vocal folds, tracheal rings; oesophagus and thyroid gland."""
    side, y, z = h.m[0], h.y - h.once(leaning), h.z
    m, room = torch.stack([side, y, z]), h.once(lumen)
    hyoid = tube(torch.stack([side, y, (z + 128) * 0.6]), [(0, 16.5, 0), (9, 14, 0), (18, 3, 1.0), (21, -9, 2.4)], 2.6)
    yield from h.shell(hyoid + 0.3 * h.noise(h.p, 6.0, 2), 1.1)
    prominence = 11 + 7.5 * math.sqrt(h.build.neck)
    wing = 0.77 * (side.square() + 9).sqrt() + 0.64 * (y - prominence) - 2.0
    notch = z + 134 + 7 * torch.exp(-((side / 7) ** 2)) - 0.1 * side
    thyroid = torch.stack([wing.abs() - 1.8, notch, -157 + 0.15 * side - z, -11 - y]).amax(0)
    yield "cartilage", h.cover(thyroid)
    signet = torch.stack([(room - 3.0).abs() - 1.5, -168 - z, z + 159.5 + 0.6 * (y - 14)]).amax(0)
    arytenoid = ellipsoid(m, (4.5, -4.0, -147.5), (2.4, 3.0, 4.2))
    period = torch.maximum((z % 6.5 - 3.25).abs() - 2.1, z + 170)
    rings = torch.stack([(room - 2.4).abs() - 0.9, period, -2 - y]).amax(0)
    yield "cartilage", h.cover(torch.stack([signet, arytenoid, rings]).amin(0))
    fold = ellipsoid(m, (5.5, 5.5, -151), (4.5, 10, 4.0))
    yield "muscle", h.cover(fold)
    gullet = (length(torch.stack([side / 9, (y + 9.0) / 4.2])) - 1) * 4.2
    gullet = torch.maximum(gullet, z + 159)
    yield "mucosa", h.cover(gullet + 2.6)
    yield "muscle", h.cover(gullet)
    lobe = ellipsoid(m, (17.5, -1, -176), (8.5, 10, 22))
    isthmus = ellipsoid(m, (0, 17, -183), (16, 3.5, 7))
    yield "gland", h.cover(blend(lobe, isthmus, 4.0))


class Belly(NamedTuple):
    """A muscle in axial section: an ellipse whose centre moves with z; mirrored."""

    course: tuple[tuple[float, float, float], ...]  # (z, x, v), upwards
    half: tuple[float, float]  # mm
    turn: float  # degrees from x towards anterior of the first half axis


MUSCLES = {
    "multifidus": Belly(((-170, 9, -20), (-95, 9, -21), (-80, 10, -26)), (8, 8), 0),
    "semispinalis cervicis": Belly(((-170, 12, -29), (-120, 11, -29), (-106, 9, -29)), (9, 6), 12),
    "semispinalis capitis": Belly(((-170, 15, -38), (-118, 15, -37), (-80, 15, -41), (-58, 14, -51)), (13, 7.5), 16),
    "splenius capitis": Belly(((-170, 20, -46), (-118, 28, -41), (-80, 41, -31), (-62, 54, -16)), (19, 4), 38),
    "trapezius": Belly(((-170, 38, -45), (-118, 21, -51), (-80, 11, -55), (-60, 8, -59)), (22, 3), 24),
    "longissimus": Belly(((-170, 29, -22), (-90, 35, -18), (-66, 51, -4)), (5.5, 8), 30),
    "levator scapulae": Belly(((-170, 48, -22), (-118, 42, -11), (-84, 38, 3)), (7, 11), 15),
    "scalenes": Belly(((-170, 38, 4), (-130, 34, 4), (-95, 29, 6)), (7, 9), 0),
    "scalenus anterior": Belly(((-170, 28, 18), (-145, 26, 17), (-118, 22, 17)), (4.5, 5), 0),
    "longus colli": Belly(((-170, 8, 30), (-118, 8, 30), (-86, 9, 30), (-58, 10, 33)), (8, 4.2), -8),
    "longus capitis": Belly(((-150, 18, 24), (-112, 15, 29), (-60, 8, 35)), (5.5, 4.5), -20),
    "sternocleidomastoid": Belly(((-175, 35, 47), (-118, 52, 21), (-84, 61, 8), (-62, 62, 10)), (6, 15), 30),
    "rectus posterior": Belly(((-106, 6, -27), (-88, 11, -25), (-66, 16, -32)), (8, 7), 25),
    "obliquus": Belly(((-106, 10, -24), (-90, 24, -15), (-68, 30, -24)), (9, 7), 30),
    "digastric": Belly(((-128, 28, 52), (-100, 42, 36), (-68, 54, 14)), (4, 5.5), 0),
    "infrahyoid": Belly(((-180, 10, 58), (-148, 11, 60.5), (-130, 9, 60.5)), (12, 3.0), -28),
}


def belly_distance(b: Belly, side: Tensor, v: Tensor, z: Tensor) -> Tensor:
    """Signed distance of a belly about (side, v); its ends taper over a centimetre."""
    low, high = b.course[0][0], b.course[-1][0]
    inner = z.clamp(low, high)
    a = side - through(inner, tuple((k, x) for k, x, _ in b.course))
    c = v - through(inner, tuple((k, w) for k, _, w in b.course))
    cos, sin = math.cos(math.radians(b.turn)), math.sin(math.radians(b.turn))
    across, deep = (cos * a + sin * c) / b.half[0], (cos * c - sin * a) / b.half[1]
    flat = ((across.square() + deep.square() + 1e-6).sqrt() - 1) * min(b.half)
    return flat + 0.08 * (z - inner).square()


GROWTH = 5.0  # mm by which muscles grow into the space between them, up to a plane of fat


def neck_muscles(h: Head) -> Iterator[Part]:
    """Vessels, then muscles: each takes the space nearest to it, separated from the next by a thin plane of fat."""
    if not h.near(y=(-999, 45), z=(-999, -52)):
        return
    _, v, z = h.once(spine)
    side = h.m[0]
    p = torch.stack([side, v, z])
    inner = tube(p, [(24, 31, -260), (25, 29, -130), (28, 27, -122), (26, 33, -62)], 3.3)
    common = capsule(p, (24, 31, -260), (25, 29, -130), 4.0)
    outer = tube(p, [(25, 29, -130), (27, 35, -118), (38, 37, -88)], 2.4)
    jugular = (length(torch.stack([(side - 34 + 0.02 * (z + 120)) / 1.3, v - 24])) - 4.4).maximum(z + 64)
    zone = torch.sigmoid((-62 - z) / 2)
    yield "vessel", h.cover(torch.stack([inner, common, outer, jugular]).amin(0)) * zone
    n = h.build.neck
    bend = 1.3 * h.noise(h.p, 26.0, 0)
    septum = (h.x + bend).abs()
    ligament = torch.maximum(septum - 0.1 - 0.25 * h.noise(h.p, 12.0, 1).clamp_min(0), v + 16)  # nuchal ligament
    yield "fibrous tissue", 0.7 * h.cover(ligament) * zone
    across, deep = (septum + 0.3 * bend) / n, (v + bend) / math.sqrt(n)  # as wide and deep as the outline
    bellies = torch.stack([belly_distance(b, across, deep, z) for b in MUSCLES.values()])
    nearest, rest = bellies.topk(2, dim=0, largest=False).values
    grow = GROWTH / h.build.fat**0.35 * torch.sigmoid((-6 - h.y) / 4)
    gap = 0.55 + 0.2 * h.noise(h.p, 14.0, 2)
    planes = torch.maximum(torch.maximum(nearest - grow, gap - (rest - nearest)), 0.5 + gap - septum)
    streak = 0.5 + 0.5 * h.noise(torch.stack([h.x, h.y, z * 0.25]), 5.0, 3)
    yield "muscle", h.cover(planes) * zone * (1 - 0.14 * streak.clamp(0, 1))


def neck_fat(h: Head) -> Iterator[Part]:
    """Fat between and around the muscles, with strands."""
    if not h.near(y=(-999, 45), z=(-999, -52)):
        return
    zone = torch.sigmoid((28 - h.y) / 1.5) * torch.sigmoid((-62 - h.z) / 2)
    yield "fibrous tissue", 0.12 * zone * (h.noise(h.p, 4.0, 1).abs() < 0.35)
    yield "fat", zone
