"""The body of the sphenoid: its sinus, the sella with the pituitary, the carotid siphon beside it.

Lengths in template mm (Gray's Anatomy, 41st ed., ch. 27 and 33). How far the sinus reaches is drawn in build.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ganlab.phantoms.fields import along, blend, ellipsoid, tube
from ganlab.phantoms.head.brain import maps
from ganlab.phantoms.head.eyes import orbit
from ganlab.phantoms.head.points import Head, Part, dura

SIPHON = [(24, -16, -48), (17, -9, -44), (12.5, -2, -38), (12, 9, -35), (11.5, 11, -29), (12, 5, -25)]
BACK_ROOF = ((-14, -42.0), (2, -38.0), (9, -32.0))  # y, z: behind 9 mm the sinus stays below sella and clivus


def sphenoid(h: Head) -> Iterator[Part]:
    """The parts around the sella, within their box."""
    if not h.near(x=(0, 55), y=(-25, 60), z=(-64, -12)):
        return
    reach = (h.m[0] < 50) & (h.y > -22) & (h.y < 58) & (h.z > -64) & (h.z < -12)
    yield from h.only(reach, body)


def sinus(h: Head) -> Tensor:
    """Signed distance of the sinus: a body in front of the sella that may extend below and behind it, and recesses."""
    c, (x, y, z), m = h.build.cells, h.p, h.m
    wide, back = c.sphenoid_width, c.sphenoid_back
    front = ellipsoid(h.p, (0, 20, -38), (14 * wide, 16, 12))
    below = ellipsoid(h.p, (0, 2, -44.5), (12 * wide, 20, 6.5))
    shape = blend(front, below, 4)
    side = h.sided(c.recess)
    recess = ellipsoid(m, (20, 14, -47), (9, 7, 7)) + 7 * (1 - side)
    shape = blend(shape, torch.where(side > 0, recess, 30.0), 3)
    shape = shape + 1.2 * h.noise(h.p, 14.0, 0)
    roof = torch.minimum(z - along(y, BACK_ROOF), 9.5 - y)
    divided = y * 0.15 - 3 + x - c.sphenoid_septum + 3 * h.noise(h.p, 30.0, 2)
    second = torch.maximum((x + c.sphenoid_septum - 5 - 0.3 * (y - 15)).abs(), 16 - y)  # an incomplete one in front
    walls = torch.minimum(divided.abs(), second)
    return torch.stack([shape, back - y, roof, 1.2 - h.once(dura), 0.5 - walls, 2.0 - h.once(orbit)]).amax(0)


def body(h: Head) -> Iterator[Part]:
    m, p = h.m, h.p
    gap = (1 - 1.6 * h.once(maps).sum(0)).clamp(0, 1)
    yield "gland", h.cover(ellipsoid(p, (0, 2, -31), (6.5, 5, 3.5))) * gap
    siphon = tube(m, SIPHON, 2.4)
    yield "vessel", h.cover(siphon) * gap
    space = torch.maximum(h.once(sinus), 0.8 - siphon)
    lining = h.build.cells.lining[0] * (1 + 0.5 * h.noise(p, 13.0, 1)).clamp_min(0.35)
    yield "air", h.cover(space + lining)
    yield "mucosa", h.cover(space)
    yield from h.compact(space - 1.1, gap)
    clinoid = tube(m, [(48, 27, -20), (28, 22, -24), (12, 9, -24)], 2.6)  # the lesser wing
    fossa = ellipsoid(p, (0, 2, -28), (8.5, 7, 8))
    cavernous = ellipsoid(m, (12, 3, -33), (4.5, 11, 6))
    saddle = torch.stack([ellipsoid(p, (0, 3, -37), (13, 12, 10)), -fossa, -cavernous]).amax(0)
    galli = ellipsoid(p, (0, 46, -22), (2.0, 8, 9))
    bone = torch.stack([clinoid, saddle, galli]).amin(0) + 0.4 * h.noise(p, 9.0, 1)
    yield "vessel", 0.7 * h.cover(cavernous) * gap
    yield "fat", h.build.marrow * h.cover(bone + 1.2) * gap
    yield from h.shell(bone, 1.2, where=gap)
