"""The temporal bone: petrous pyramid with the otic capsule, mastoid with its cells, ear canal and middle ear.

Lengths in template mm (Gray's Anatomy, 41st ed., ch. 37). How far cells reach is drawn in build.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ganlab.phantoms.fields import blend, capsule, ellipsoid, length, tube
from ganlab.phantoms.head.brain import maps
from ganlab.phantoms.head.points import Head, Part, dura
from ganlab.phantoms.head.sinuses import septa

ANTRUM = (50.0, -29.0, -46.0)
FADES = 8.0  # mm in which the template's averaged brain fades from all to nothing


def temporal(h: Head) -> Iterator[Part]:
    """All parts of the bone, where the template has neither grey nor white matter."""
    if not h.near(x=(5, 100), y=(-62, 5), z=(-92, -25)):
        return
    reach = (h.m[0] > 8) & (h.y > -62) & (h.y < 5) & (h.z > -92) & (h.z < -25)
    yield from h.only(reach, temporal_bone)


def pyramid(h: Head) -> Tensor:
    """Signed distance of the petrous pyramid, a roof with its ridge on top, up to the lobe that lies on it."""
    m = h.m
    medial = ((58 - m[0]) / 46).clamp(0, 1)  # 0 at the mastoid, 1 at the apex
    ridge = torch.stack([m[1] - (-33 + 23 * medial), m[2] - (-43.5 + 3.5 * medial)])
    tall = ridge[1] + 0.5 * ridge[0].abs()
    roof = 15.5 - 8 * medial + h.build.cells.tegmen * (1 - 0.5 * medial)
    shape = torch.maximum(tall - roof, ridge[0].abs() - (13 - 6 * medial))
    ends = torch.maximum(m[0] - 62, 11 - m[0])
    return torch.maximum(torch.maximum(shape, -ridge[1] - 17.5), ends) + 0.9 * h.noise(h.p, 9.0, 1)


def mastoid(h: Head) -> Tensor:
    """Signed distance of the mastoid with the root of the squama, beside the brain."""
    process = ellipsoid(h.m, (55, -34, -58), (12, 15, 20)) + 0.8 * h.noise(h.p, 12.0, 2)
    root = ellipsoid(h.m, (61, -32, -43), (9, 15, 14 + h.build.cells.tegmen))
    return torch.maximum(blend(process, root, 5), torch.minimum(-h.once(dura), FADES * (beside_brain(h) - 0.3)))


def beside_brain(h: Head) -> Tensor:
    """(N,) share of brain tissue in the template: the clefts between its lobes, which the bone fills, have little."""
    return h.once(maps).sum(0)


def cells(h: Head, bone: Tensor, capsule_: Tensor) -> Tensor:
    """Signed distance of the air cells: around the antrum as far as they reach, and in some petrous apices."""
    c, m = h.build.cells, h.m
    reach, apex = h.sided(c.mastoid), h.sided(c.apex)
    spoke = m - m.new_tensor(ANTRUM)[:, None]
    region = length(spoke * m.new_tensor((1.15, 1.0, 0.85))[:, None]) - reach + 2.5 * h.noise(h.p, 16.0, 2)
    region = torch.maximum(region, 42 - m[0])
    tip = torch.where(apex > 0, ellipsoid(m, (19, -12, -46), (8, 5, 5)) + 5 * (1 - apex), 30.0)
    region = torch.minimum(region, tip)
    tegmen = torch.minimum(1.0 - h.once(dura), FADES * (beside_brain(h) - 0.1))  # a thin plate below the brain
    return torch.stack([region, bone + 1.5, tegmen, 1.5 - capsule_, 0.45 - septa(h, 9.5, 6.5)]).amax(0)


def temporal_bone(h: Head) -> Iterator[Part]:
    m, p = h.m, h.p
    gap = (2.0 - 5 * beside_brain(h)).clamp(0, 1)
    yield "air", h.cover(tube(m, [(92, -20, -62), (74, -19, -60), (57, -18, -55)], 3.0))
    yield "air", h.cover(tube(m, [(52, -19, -54), (48, -23, -46), ANTRUM], 3.0))  # middle ear, attic, antrum
    yield "fluid", h.cover(capsule(m, (14, -24, -44), (30, -21, -44), 2.6)) * gap  # internal meatus
    labyrinth = torch.minimum(
        (length(m - m.new_tensor((31.0, -19.0, -45.0))[:, None]) - 2.6).abs() - 0.9,
        (length(m - m.new_tensor((38.0, -25.0, -43.0))[:, None]) - 4.0).abs() - 0.7,
    )
    yield "fluid", 0.8 * h.cover(labyrinth) * gap
    otic = ellipsoid(m, (35, -22, -44.5), (11, 7.5, 7.5)) + 0.6 * h.noise(p, 8.0, 0)
    yield "petrous bone", h.cover(otic) * gap
    petrous, process = pyramid(h), mastoid(h)
    bone = torch.minimum(petrous, process)
    space = cells(h, bone, otic)
    effusion = h.sided(h.build.cells.effusion)
    wet = torch.sigmoid(4 * (2.4 * effusion - 1.2 - h.noise(p, 18.0, 1)))
    yield "mucosa", h.cover(space) * torch.where(effusion > 0, wet, 0.0)
    yield "air", h.cover(space)
    sclerosis = torch.sigmoid((9 - h.sided(h.build.cells.mastoid)) / 2)  # hardly any cells: compact instead
    mottled = 1.2 * h.noise(p, 5.0, 3)
    marrow = h.cover(torch.maximum(bone + 2.4, 2.0 - space) + mottled) * gap  # bone between air cells is compact
    yield "fat", h.build.marrow * marrow
    yield "cancellous bone", marrow * (0.9 - 0.5 * sclerosis)
    yield from h.compact(bone, gap)
