"""The braincase: inner table, diploe and outer table of the vault, the base, petrous and mastoid bone."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ganlab.imaging.phantom.fields import ellipsoid, tube
from ganlab.imaging.phantom.head import Head, Part, dura


def thickness(h: Head) -> Tensor:
    """Thickness in mm: thick at the occiput and brow, thin at the temple and the base, waviness of a millimetre."""
    b, (x, y, z) = h.build, h.p
    temple = torch.exp(-(((h.m[0] - 72) / 22) ** 2 + ((y - 5) / 32) ** 2 + ((z + 8) / 24) ** 2))
    base = torch.sigmoid((-z - 34) / 6) * torch.sigmoid((y + 75) / 12)
    occiput = torch.exp(-((x / 30) ** 2 + ((y + 108) / 22) ** 2 + ((z + 22) / 22) ** 2))
    brow = torch.exp(-((x / 40) ** 2 + ((y - 72) / 18) ** 2 + ((z + 12) / 18) ** 2))
    wave = 0.7 * h.noise(h.p, 60.0, 0) + 0.25 * h.noise(h.p, 22.0, 1)
    return (b.skull * (1 - 0.5 * temple - 0.42 * base + 0.45 * occiput + 0.4 * brow) + wave).clamp_min(1.8)


def mastoid_cells(h: Head) -> Iterator[Part]:
    """Air between bony septa; ear canal and middle ear."""
    if not h.near(x=(35, 100), y=(-60, 0), z=(-90, -25)):
        return
    m, s = h.m, h.build.mastoid
    mastoid = ellipsoid(m, (60, -34, -56), (11 * s, 13 * s, 18 * s))
    yield "air", h.cover(mastoid) * torch.sigmoid(4 * (h.noise(h.p, 4.5, 0) + 0.25)) * (h.once(dura) > 1.2)
    yield "air", h.cover(tube(m, [(92, -20, -62), (74, -19, -60), (56, -18, -56)], 3.0))
    yield "air", h.cover(ellipsoid(m, (52, -19, -54), (4, 5, 6)))


def braincase(h: Head) -> Iterator[Part]:
    """The shell around the brain: inner table, diploe, outer table; thick base, petrous and mastoid bone."""
    depth, thick = h.once(dura), h.once(thickness)
    table = (thick * 0.27).clamp(1.3, 2.4) / h.build.diploe**0.3
    marrow = torch.maximum(table - depth, depth - (thick - table))
    if h.near(x=(0, 85), y=(-60, 60), z=(-90, -10)):
        open_below = (depth > -2).to(depth.dtype)
        yield "petrous bone", h.cover(tube(h.m, [(54, -26, -50), (34, -18, -46), (14, -8, -42)], 7.5))
        mastoid = ellipsoid(h.m, (60, -34, -58), (14, 16, 22))
        yield "cortical bone", 0.6 * h.cover(mastoid) * open_below
        yield "cancellous bone", h.cover(mastoid) * open_below
    yield "cancellous bone", h.cover(marrow + 0.35 * h.noise(h.p, 6.0, 3))
    yield "cortical bone", h.cover(torch.maximum(-depth, depth - thick))
    if h.near(x=(0, 80), y=(-60, 60), z=(-90, -10)):
        clivus = tube(h.p, [(0, 10, -40), (0, -8, -48), (0, -24, -62)], 8.0)
        sphenoid = ellipsoid(h.p, (0, 20, -40), (21, 16, 15))
        wing = tube(h.m, [(10, 22, -34), (36, 28, -32), (62, 34, -20)], 3.4)
        condyle = ellipsoid(h.m, (20, -30, -70), (8, 12, 8))
        base = torch.stack([clivus, sphenoid, wing, condyle]).amin(0) + 0.8 * h.noise(h.p, 14.0, 1)
        yield from h.shell(base, 1.4)
