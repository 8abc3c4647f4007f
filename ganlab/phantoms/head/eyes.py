"""Eyes in their orbits. Lengths in template mm, about an eighth larger than life: a globe is 24 mm, an orbit 40 mm wide
(Gray's Anatomy, 41st ed., ch. 41)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ganlab.phantoms.fields import ellipsoid, length, tube
from ganlab.phantoms.head.points import Head, Part
from ganlab.phantoms.head.skin import EYE, surface


def orbit(h: Head) -> Tensor:
    """Signed distance of the orbit: a cone from the rim to the optic canal."""
    axis = h.m - h.m.new_tensor((34.0, 66.0, -41.0))[:, None]
    depth = (-axis[1]).clamp(-14, 50)
    back = depth.clamp_min(0)
    radius = 20.5 - 18.0 * (back / 50) ** 1.25
    offset = torch.stack([axis[0] + 0.44 * back, (axis[2] - 0.14 * back) * 1.1])
    return torch.maximum(length(offset) - radius, torch.maximum(-axis[1] - 50, axis[1] - 13))


def eyes(h: Head) -> Iterator[Part]:
    """Lens, vitreous, sclera, optic nerve in its sheath, the four recti, and the fat between them."""
    if not h.near(x=(0, 62), y=(8, 92), z=(-68, -14)):
        return
    m, (x, y, z) = h.m, EYE
    yield "lens", h.cover(ellipsoid(m, (x, y + 8.6, z), (5.2, 2.4, 5.2)))
    globe = torch.minimum(ellipsoid(m, EYE, (13.2, 13.4, 13.2)), ellipsoid(m, (x, y + 7.5, z), (7.2, 7.4, 7.2)))
    yield "vitreous", h.cover(globe + 1.2)
    yield "fibrous tissue", h.cover(globe)
    nerve = tube(m, [(x - 2, y - 12, z), (25, 34, -37), (13, 17, -30)], 2.0)
    yield "white matter", h.cover(nerve)
    yield "fluid", 0.8 * h.cover(nerve - 1.0)
    for a, c in ((13.5, 0), (-12, 0), (0, 12.5), (0, -12.5)):
        nodes = [(x + a, y + 2, z + c), (x - 2 + a * 0.8, y - 13, z + 1 + c * 0.8), (22, 28, -36), (15, 18, -32)]
        yield "muscle", h.cover(torch.maximum(tube(m, nodes, 2.3), -globe))
    gland = ellipsoid(m, (47, 64, -32), (4, 8, 7))
    inside = h.cover(h.once(orbit) + 1.0) * h.cover(h.once(surface) + 3.5)
    yield "gland", 0.8 * h.cover(gland) * inside
    yield "fat", inside
