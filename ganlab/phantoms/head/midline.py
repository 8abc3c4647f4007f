"""Vessels at the base and in the midline of the brain, the choroid plexus and the pineal body, which may calcify.

Positions in template mm (Gray's Anatomy, 41st ed., ch. 18 and 25; Duvernoy, The Human Brain, 2nd ed., 1999). The pineal
body is calcified in 60 to 70 % of adults on CT, the choroid plexus in more than half, the falx in 7 to 10 % (Daghighi
et al., Folia Morphol 66:115, 2007; Yalcin et al., Acta Radiol 57:1513, 2016).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ganlab.phantoms.fields import ellipsoid, tube
from ganlab.phantoms.head.brain import maps, ventricular
from ganlab.phantoms.head.points import Head, Part

INTERNAL_CEREBRAL = [(2, 1, 8), (2, -12, 13), (2, -26, 13), (0.8, -38, 8)]
GALEN = [(0, -38, 8), (0, -46, 5), (0, -53, -1)]
BASILAR = [(0.5, -19, -52), (0.5, -17, -40), (0, -14, -25)]
MIDDLE_CEREBRAL = [(11.5, 3, -23), (24, 4, -19), (37, 3, -15)]
ANTERIOR_CEREBRAL = [
    (11.5, 3, -23),
    (3, 13, -17),
    (1.8, 29, -7),
    (1.8, 36, 6),
    (1.8, 29, 19),
    (1.8, 10, 30),
    (2, -16, 33),
]


def midline(h: Head) -> Iterator[Part]:
    """Arteries, deep veins, pineal body, choroid plexus."""
    if not h.near(x=(0, 40), y=(-56, 40), z=(-55, 36)):
        return
    centre = (h.m[0] < 7) & (h.y > -56) & (h.y < 40) & (h.z > -55) & (h.z < 36)
    yield from h.only(centre, middle)
    if h.near(x=(0, 40), y=(-2, 20), z=(-28, -10)):
        gap = (1.1 - h.once(maps).sum(0)).clamp(0.2, 1)
        yield "vessel", h.cover(tube(h.m, MIDDLE_CEREBRAL, 1.5)) * gap
    ventricle = (h.m[0] < 32) & (h.y > -50) & (h.y < 5) & (h.z > -6) & (h.z < 24)
    yield from h.only(ventricle, plexus)


def middle(h: Head) -> Iterator[Part]:
    """The parts within 7 mm of the midline."""
    veins = torch.minimum(tube(h.m, INTERNAL_CEREBRAL, 1.1), tube(h.p, GALEN, 1.9))
    arteries = torch.minimum(tube(h.p, BASILAR, 1.8), tube(h.m, ANTERIOR_CEREBRAL, 1.0))
    yield "vessel", h.cover(torch.minimum(veins, arteries))
    pineal = ellipsoid(h.p, (0, -31, 1), (3.6, 4.6, 3.6))
    speckled = h.build.calcified.pineal * torch.sigmoid(3 * (h.noise(h.p, 4.0, 1) + 0.5))
    yield "cortical bone", speckled * h.cover(pineal + 1.0)
    yield "gland", 0.9 * h.cover(pineal)


def plexus(h: Head) -> Iterator[Part]:
    """Along the floor of the lateral ventricles and in the roof of the third, thick in the trigone; only in fluid."""
    q = h.once(ventricular)
    m = torch.stack([q[0].abs(), q[1], q[2]])
    fluid = (1 - 1.3 * h.once(maps).sum(0)).clamp(0, 1)
    glomus = ellipsoid(m, (21, -39, 6), (3.5, 6, 4)) + 0.8 * h.noise(h.p, 6.0, 0)
    yield "cortical bone", h.build.calcified.plexus * h.cover(glomus + 1.0) * fluid
    strand = tube(m, [(3, -1, 8), (8, -12, 16), (16, -30, 13), (21, -39, 6)], 1.4)
    roof = tube(m, [(1.2, 0, 7), (1.2, -24, 9)], 1.0)
    yield "mucosa", 0.8 * h.cover(torch.stack([glomus, strand, roof]).amin(0)) * fluid
