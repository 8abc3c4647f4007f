"""The paranasal sinuses: maxillary, ethmoid and frontal. Lengths in template mm (Gray's Anatomy, 41st ed., ch. 33).

How often and how far they are pneumatised is drawn in build.py. The sphenoid sinus is in sphenoid.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ganlab.phantoms.fields import blend, ellipsoid
from ganlab.phantoms.head.eyes import orbit
from ganlab.phantoms.head.points import Head, Part, dura
from ganlab.phantoms.head.skin import surface
from ganlab.phantoms.head.skull import thickness

NONE = 99.0  # mm, the signed distance of a sinus that is not there


def sinuses(h: Head) -> Tensor:
    """(3, N) signed distances of the walls of maxillary, ethmoid and frontal sinuses; septa are outside."""
    bend, ragged = h.noise(h.p, 24.0, 2), 1.3 * h.noise(h.p, 12.0, 0)
    walls = torch.stack([maxillary(h) + ragged, ethmoid(h, ragged), frontal(h, bend) + ragged])
    return torch.maximum(walls, 2.4 - h.once(orbit))  # leaves the walls of the orbit


def sinus_wall(h: Head) -> Tensor:
    """Signed distance of their union."""
    return h.once(sinuses).amin(0)


def maxillary(h: Head) -> Tensor:
    m, s = h.m, h.sided(h.build.cells.maxillary)
    q = (m - m.new_tensor((31.0, 46.0, -70.5))[:, None]) / s
    main = ellipsoid(q, (0, 0, 0), (15.0, 18.5, 15.0))
    return s * blend(main, ellipsoid(q, (0, 10, 4.5), (12, 9, 8)), 5)


def ethmoid(h: Head, ragged: Tensor) -> Tensor:
    """A labyrinth of cells between the orbits, below the roof of the cribriform plate."""
    if not h.near(x=(0, 22), y=(12, 76), z=(-64, -24)):
        return torch.full_like(h.x, NONE)
    s = h.build.cells.ethmoid
    block = ellipsoid(h.m, (10.5, 44, -44), (7.0, 24 * s, 14 * s)) + 0.5 * ragged
    block = torch.stack([block, 3.2 - h.m[0], 1.8 - h.once(dura)]).amax(0)
    return torch.maximum(block, 0.3 - septa(h, 10.0, 7.0))


def septa(h: Head, large: float, small: float) -> Tensor:
    """mm from the walls between air cells of about these sizes in mm."""
    return torch.minimum(h.noise(h.p, large, 0).abs() * large, h.noise(h.p, small, 3).abs() * small) * 0.3


def frontal(h: Head, bend: Tensor) -> Tensor:
    """Between the tables of the frontal bone, up to the vault or absent, each side of its own size."""
    size = h.sided(h.build.cells.frontal)
    if max(h.build.cells.frontal) == 0 or not h.near(x=(0, 40), y=(50, 110), z=(-45, 25)):
        return torch.full_like(h.x, NONE)
    s = size.clamp_min(0.05)
    q = (h.m - h.m.new_tensor((11.0, 79.0, -17.0))[:, None]) / s
    brow = s * ellipsoid(q, (0, 0, 0), (13.0, 12.0, 14.0))
    depth = h.once(dura)
    within = torch.maximum(1.8 - depth, depth - h.once(thickness) + 2.0)
    lobes = 1.0 - (h.x - 2 * bend).abs() - 0.6 * h.noise(h.p, 16.0, 1).clamp_min(0)
    return torch.where(size > 0, torch.stack([brow, within, lobes]).amax(0), NONE)


def paranasal(h: Head) -> Iterator[Part]:
    """Air, mucosa and a thin bony wall; mucosa may be thick or fill a sinus."""
    walls = h.once(sinuses)
    lining = h.build.cells.lining
    uneven = (1 + 0.5 * h.noise(h.p, 13.0, 1)).clamp_min(0.35)
    depth = torch.stack([h.sided(lining[3:]), torch.full_like(h.x, lining[1]), torch.full_like(h.x, lining[2])])
    wall = h.once(sinus_wall)
    yield "air", h.cover((walls + depth * uneven).amin(0))
    yield "mucosa", h.cover(wall)
    yield from h.compact(wall - 1.3, h.cover(h.once(surface) + 4))
