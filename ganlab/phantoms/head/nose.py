"""The nose and the air spaces around it. Lengths in template mm (Gray's Anatomy, 41st ed., ch. 33)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ganlab.phantoms.fields import along, blend, ellipsoid, tube
from ganlab.phantoms.head.neck import lumen
from ganlab.phantoms.head.points import Head, Part
from ganlab.phantoms.head.sinuses import paranasal
from ganlab.phantoms.head.skin import surface

FLOOR = -79.0  # mm, the nasal floor and the top of the hard palate
CAVITY_WIDTH = ((-82, 10.0), (-76, 15.0), (-64, 14.0), (-52, 8.0), (-38, 3.5), (-30, 2.0))  # z, half width


def cavity(h: Head) -> Tensor:
    """Signed distance of the nasal cavity with its mucosa: pear-shaped, from nostrils to choanae."""
    y, z = h.y, h.z
    side = h.m[0] - along(z, CAVITY_WIDTH)
    ceiling = z + 34 + 0.012 * (y - 45) ** 2  # the cribriform plate is its highest point
    box = torch.stack([side, ceiling, FLOOR - z, y - 84 + 0.25 * (z + 79), 21 - y]).amax(0)
    vestibule = ellipsoid(h.p, (0, 89, -74), (11, 14, 8))
    return blend(box, vestibule, 5.0)


def nose(h: Head) -> Iterator[Part]:
    """Nasal cavity with septum and turbinates, nasopharynx, paranasal sinuses in a lining and a thin bony wall."""
    if not h.near(x=(0, 70), y=(-30, 125), z=(-115, 30)):
        return
    m, p, (x, y, z) = h.m, h.p, h.p
    bend, skin, ragged = h.noise(p, 24.0, 2), h.once(surface), 0.5 * h.noise(p, 9.0, 1)
    inside = h.cover(skin + 2.2)
    if h.near(x=(0, 26), y=(0, 125), z=(-105, -25)):
        room = h.once(cavity)
        nostril = tube(m, [(6.5, 101, -86), (6.0, 96, -79), (5, 88, -73)], 3.6)
        septum = (x + 1.6 * bend * torch.exp(-(((y - 55) / 25) ** 2))).abs()
        scroll = torch.minimum(
            tube(m, [(10.5, 78, -71), (10, 60, -70.5), (10.5, 27, -70)], 4.4),
            torch.minimum(tube(m, [(7, 68, -58), (6.5, 34, -57)], 3.3), tube(m, [(4.5, 52, -46), (5, 34, -47)], 2.2)),
        )
        bony = torch.minimum(septum - 0.5 + 4.0 * (y > 66), scroll + 3.2)
        yield "cortical bone", 0.6 * h.cover(torch.maximum(bony, room + 1.5)) * inside
        yield (
            "cartilage",
            h.cover(torch.maximum(septum - 0.7, room - 8))
            * h.cover(66 - y)
            * h.cover(skin + 3.5)
            * (h.cover(room) + h.cover(ellipsoid(p, (0, 98, -72), (3, 9, 9)))).clamp(0, 1),
        )
        yield "air", h.cover(torch.maximum(nostril, 2.2 - septum))
        folds = torch.minimum(septum - 2.0, scroll) + ragged
        yield "mucosa", h.cover(torch.maximum(folds, room)) * inside
        yield "air", h.cover(room + 1.0 + ragged) * inside
        yield "mucosa", h.cover(room)
    if h.near(x=(0, 30), y=(-30, 40), z=(-100, -45)):
        behind = blend(ellipsoid(p, (0, 13, -66), (13.5, 14, 11)), h.once(lumen), 4.0) + ragged
        yield "air", h.cover(behind) * (z > -90)
        yield "mucosa", h.cover(behind - 3.5) * (z > -86)
    yield from paranasal(h)
