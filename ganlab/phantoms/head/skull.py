"""The braincase: vault with its tables, diploe and sutures; clivus, sphenoid and wings.

Thickness of the vault in adults: about 6 to 7 mm frontal and parietal, 8 occipital, 4 temporal (Mahinda and Murty,
Surg Radiol Anat 31:433, 2009; Lillie et al., J Craniofac Surg 27:e131, 2016). Shapes: Gray's Anatomy, 41st ed., ch. 27.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ganlab.phantoms.fields import ellipsoid, tube
from ganlab.phantoms.head.points import Head, Part, dura


def thickness(h: Head) -> Tensor:
    """Thickness in mm: thick at the occiput and brow, thin at the temple and base, with waves of a millimetre."""
    b, (x, y, z) = h.build, h.p
    temple = torch.exp(-(((h.m[0] - 72) / 22) ** 2 + ((y - 5) / 32) ** 2 + ((z + 8) / 24) ** 2))
    base = torch.sigmoid((-z - 34) / 6) * torch.sigmoid((y + 75) / 12)
    occiput = torch.exp(-((x / 30) ** 2 + ((y + 108) / 22) ** 2 + ((z + 22) / 22) ** 2))
    brow = torch.exp(-((x / 40) ** 2 + ((y - 72) / 18) ** 2 + ((z + 12) / 18) ** 2))
    wave = 0.7 * h.noise(h.p, 50.0, 0)
    glabella = torch.exp(-((h.m[0] / 34) ** 2 + ((y - 82) / 16) ** 2 + ((z + 18) / 18) ** 2))
    deep = 4.0 * sum(b.cells.frontal) * glabella  # mm by which the frontal sinuses push the outer table out
    return (b.skull * (1 - 0.5 * temple - 0.42 * base + 0.45 * occiput + 0.35 * brow) + deep + wave).clamp_min(1.8)


def hyperostosis(h: Head) -> Iterator[Part]:
    """Hyperostosis frontalis interna: lumps on the inner table of the frontal bone, none at the midline."""
    size = h.build.hyperostosis
    if not size or not h.near(x=(0, 65), y=(5, 90), z=(-25, 85)):
        return
    window = torch.sigmoid((h.y - 22) / 6) * torch.sigmoid((h.z + 8) / 5) * (1 - torch.exp(-((h.x / 7) ** 2)))
    lump = size * window * (0.6 + 0.5 * h.noise(h.p, 22.0, 2)).clamp(0, 1.2)
    yield from h.compact(-h.once(dura) - lump, 1.0 * (lump > 0.3))


def sutures(h: Head) -> Tensor:
    """Signed distance of the coronal, sagittal and lambdoid sutures: zigzags about a millimetre wide."""
    (x, y, z), wide = h.p, 0.55
    zigzag = 1.4 * h.noise(h.p, 7.0, 0) + 1.2 * h.noise(h.p, 18.0, 1)
    coronal = (y - 12 - 0.25 * (60 - z) + zigzag).abs() - wide
    coronal = torch.maximum(coronal, 5 - z)
    sagittal = torch.maximum((x + zigzag).abs() - wide, torch.maximum(y - 12 - 0.25 * (60 - z), 20 - z))
    lambda_line = y + 98 - 0.75 * h.m[0] + 0.15 * (z - 25)
    lambdoid = torch.maximum((lambda_line + zigzag).abs() - wide, torch.maximum(z - 45, -28 - z))
    sagittal = torch.maximum(sagittal, -lambda_line)
    return torch.stack([coronal, sagittal, torch.maximum(lambdoid, y + 40)]).amin(0)


def braincase(h: Head) -> Iterator[Part]:
    """The shell around the brain: inner table, diploe, outer table; thick base, petrous and mastoid bone."""
    depth, thick = h.once(dura), h.once(thickness)
    table = (thick * 0.29).clamp(1.3, 2.6) / h.build.diploe**0.3
    marrow = torch.maximum(table - depth, depth - (thick - table))
    shell = torch.maximum(-depth, depth - thick)
    if h.near(y=(-125, 45), z=(-30, 120)):
        yield "fibrous tissue", 0.75 * h.cover(h.once(sutures)) * h.cover(shell)
    mottled = 0.35 * h.noise(h.p, 6.0, 3) + 0.4 * h.noise(h.p, 40.0, 2)
    yield from h.spongy(h.cover(marrow + mottled))
    yield from h.compact(shell)
    if h.near(x=(0, 80), y=(-60, 60), z=(-90, -10)):
        clivus = tube(h.p, [(0, 10, -40), (0, -8, -48), (0, -24, -62)], 8.0)
        sphenoid = ellipsoid(h.p, (0, 20, -40), (21, 16, 15))
        wing = tube(h.m, [(10, 22, -34), (36, 28, -32), (62, 34, -20)], 3.4)
        condyle = ellipsoid(h.m, (20, -30, -70), (8, 12, 8))
        base = torch.stack([clivus, sphenoid, wing, condyle]).amin(0) + 0.8 * h.noise(h.p, 14.0, 1)
        yield "fat", h.build.marrow * h.cover(base + 1.4)
        yield from h.shell(base, 1.4)
