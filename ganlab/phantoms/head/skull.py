"""The braincase: vault with its tables, diploe and sutures; base with petrous bone, sella and ridges.

Thickness of the vault in adults: about 6 to 7 mm frontal and parietal, 8 occipital, 4 temporal (Mahinda and Murty,
Surg Radiol Anat 31:433, 2009; Lillie et al., J Craniofac Surg 27:e131, 2016). Shapes: Gray's Anatomy, 41st ed., ch. 27.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ganlab.phantoms.fields import capsule, ellipsoid, length, tube
from ganlab.phantoms.head.brain import maps
from ganlab.phantoms.head.points import Head, Part, dura


def thickness(h: Head) -> Tensor:
    """Thickness in mm: thick at the occiput and brow, thin at the temple and base, with waves of a millimetre."""
    b, (x, y, z) = h.build, h.p
    temple = torch.exp(-(((h.m[0] - 72) / 22) ** 2 + ((y - 5) / 32) ** 2 + ((z + 8) / 24) ** 2))
    base = torch.sigmoid((-z - 34) / 6) * torch.sigmoid((y + 75) / 12)
    occiput = torch.exp(-((x / 30) ** 2 + ((y + 108) / 22) ** 2 + ((z + 22) / 22) ** 2))
    brow = torch.exp(-((x / 40) ** 2 + ((y - 72) / 18) ** 2 + ((z + 12) / 18) ** 2))
    wave = 0.7 * h.noise(h.p, 50.0, 0)
    return (b.skull * (1 - 0.5 * temple - 0.42 * base + 0.45 * occiput + 0.4 * brow) + wave).clamp_min(1.8)


def petrous(h: Head) -> Iterator[Part]:
    """The petrous pyramid with the canals of the ear, where the template has neither grey nor white matter."""
    if not h.near(x=(5, 70), y=(-50, 5), z=(-75, -25)):
        return
    m, p = h.m, h.p
    gap = (1 - 1.6 * h.once(maps).sum(0)).clamp(0, 1)
    wave = 0.9 * h.noise(p, 9.0, 1)
    along = ((58 - m[0]) / 46).clamp(0, 1)  # 0 at the mastoid, 1 at the apex
    ridge = torch.stack([m[1] - (-33 + 23 * along), m[2] - (-48 + 8 * along)])
    tall = ridge[1] + 0.55 * ridge[0].abs()  # a roof with its ridge on top
    petrous = torch.maximum(tall - (11 - 4.5 * along), ridge[0].abs() - (13 - 6 * along))
    petrous = torch.maximum(torch.maximum(petrous, -ridge[1] - 13), torch.maximum(m[0] - 62, 11 - m[0])) + wave
    canal = capsule(m, (14, -24, -44), (30, -21, -44), 2.6)  # internal acoustic meatus, open to the fluid
    yield "fluid", h.cover(canal) * gap
    labyrinth = torch.minimum(
        (length(m - m.new_tensor((31.0, -19.0, -45.0))[:, None]) - 2.6).abs() - 0.9,
        (length(m - m.new_tensor((38.0, -25.0, -43.0))[:, None]) - 4.0).abs() - 0.7,
    )
    yield "fluid", 0.8 * h.cover(labyrinth) * gap
    yield "cancellous bone", 0.8 * h.cover(petrous + 3.2 + 1.5 * h.noise(p, 5.0, 3)) * gap * along
    yield "petrous bone", h.cover(petrous) * gap


def sella(h: Head) -> Iterator[Part]:
    """The pituitary in its fossa, clinoids and dorsum around it, the sphenoid ridge, crista galli."""
    if not h.near(x=(0, 55), y=(-15, 60), z=(-50, -12)):
        return
    m, p = h.m, h.p
    gap = (1 - 1.6 * h.once(maps).sum(0)).clamp(0, 1)
    yield "gland", h.cover(ellipsoid(p, (0, 2, -31), (6.5, 5, 3.5))) * gap
    clinoid = tube(m, [(48, 27, -20), (28, 22, -24), (12, 9, -24)], 2.6)  # the sphenoid's lesser wing
    fossa = ellipsoid(p, (0, 2, -28), (8.5, 7, 8))
    saddle = torch.maximum(ellipsoid(p, (0, 3, -36), (14, 12, 9)), -fossa)
    galli = ellipsoid(p, (0, 46, -22), (2.0, 8, 9))
    bone = torch.stack([clinoid, saddle, galli]).amin(0) + 0.4 * h.noise(p, 9.0, 1)
    yield from h.shell(bone, 1.2, where=gap)


def mastoid_cells(h: Head) -> Iterator[Part]:
    """Air between bony septa; ear canal and middle ear."""
    if not h.near(x=(35, 100), y=(-60, 0), z=(-90, -25)):
        return
    m, s = h.m, h.build.mastoid
    mastoid = ellipsoid(m, (54.5, -34, -56), (10 * s, 13 * s, 18 * s))
    cells = torch.sigmoid(5 * (h.noise(h.p, 5.5, 0) + 0.35))
    outside = torch.sigmoid(3 * (h.once(dura) - 1.5))
    yield "air", h.cover(mastoid) * cells * outside
    yield "air", h.cover(tube(m, [(92, -20, -62), (74, -19, -60), (56, -18, -56)], 3.0))
    yield "air", h.cover(ellipsoid(m, (52, -19, -54), (3.5, 5, 6)))


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
    table = (thick * 0.27).clamp(1.3, 2.4) / h.build.diploe**0.3
    marrow = torch.maximum(table - depth, depth - (thick - table))
    shell = torch.maximum(-depth, depth - thick)
    if h.near(x=(0, 85), y=(-65, 60), z=(-95, -10)):
        open_below = torch.sigmoid(2 * (depth + 1))
        mastoid = ellipsoid(h.m, (54.5, -34, -58), (13, 16, 21)) + 0.8 * h.noise(h.p, 12.0, 2)
        yield "cortical bone", 0.6 * h.cover(mastoid) * open_below
        yield "cancellous bone", h.cover(mastoid) * open_below
    if h.near(y=(-125, 45), z=(-30, 120)):
        yield "fibrous tissue", 0.75 * h.cover(h.once(sutures)) * h.cover(shell)
    mottled = 0.35 * h.noise(h.p, 6.0, 3) + 0.4 * h.noise(h.p, 40.0, 2)
    yield "cancellous bone", h.cover(marrow + mottled)
    yield "cortical bone", h.cover(shell)
    if h.near(x=(0, 80), y=(-60, 60), z=(-90, -10)):
        clivus = tube(h.p, [(0, 10, -40), (0, -8, -48), (0, -24, -62)], 8.0)
        sphenoid = ellipsoid(h.p, (0, 20, -40), (21, 16, 15))
        wing = tube(h.m, [(10, 22, -34), (36, 28, -32), (62, 34, -20)], 3.4)
        condyle = ellipsoid(h.m, (20, -30, -70), (8, 12, 8))
        base = torch.stack([clivus, sphenoid, wing, condyle]).amin(0) + 0.8 * h.noise(h.p, 14.0, 1)
        yield from h.shell(base, 1.4)
