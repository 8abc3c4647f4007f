"""The face: eyes and orbits, nose and sinuses, mouth, teeth and jaws, and their soft tissue."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ganlab.imaging.phantom.fields import blend, ellipsoid, length, tube
from ganlab.imaging.phantom.head import Head, Part
from ganlab.imaging.phantom.skin import surface


def orbit(h: Head) -> Tensor:
    """Signed distance of the orbit: a cone from the rim to the optic canal."""
    axis = h.m - h.m.new_tensor((33.0, 66.0, -40.0))[:, None]
    depth = (-axis[1]).clamp(-12, 48)
    radius = 19.0 - 16.5 * (depth.clamp_min(0) / 48) ** 1.3
    offset = torch.stack([axis[0] + 0.42 * depth.clamp_min(0), axis[2] - 0.12 * depth.clamp_min(0)])
    return torch.maximum(length(offset) - radius, torch.maximum(-axis[1] - 48, axis[1] - 13))


def eyes(h: Head) -> Iterator[Part]:
    if not h.near(x=(0, 60), y=(10, 90), z=(-65, -15)):
        return
    m = h.m
    yield "lens", h.cover(ellipsoid(m, (33.5, 72, -40), (4.6, 2.2, 4.6)))
    globe = ellipsoid(m, (33, 64, -40), (12, 12, 12))
    yield "vitreous", h.cover(globe + 1.0)
    yield "muscle", h.cover(globe)
    yield "white matter", h.cover(tube(m, [(32, 52, -40), (24, 36, -36), (12, 18, -30)], 2.0))
    for a, c in ((12, 0), (-10, 0), (0, 11), (0, -11)):  # the four recti
        nodes = [(33 + a, 62, -40 + c), (31 + a * 0.7, 48, -39 + c * 0.7), (20, 26, -35)]
        yield "muscle", h.cover(tube(m, nodes, 1.7))
    yield "fat", h.cover(h.once(orbit) + 1.0) * h.cover(h.once(surface) + 3)


def sinus_wall(h: Head) -> Tensor:
    """Signed distance of the paranasal sinuses: sphenoid, maxillary, ethmoid, frontal."""
    b, m, p, x = h.build, h.m, h.p, h.x
    s, bend = b.sinus, h.noise(p, 24.0, 2)
    septa = (h.noise(p, 5.5, 3).abs() - 0.28) * 3.0
    spaces = [
        torch.maximum(ellipsoid(p, (2, 18, -38), (15 * s, 14 * s, 11 * s)), 1.0 - (x - 2 - 3 * bend).abs()),
        ellipsoid(m, (30, 50, -71), (14.5 * s, 18 * s, 17 * s)),
        torch.maximum(ellipsoid(m, (9.5, 50, -42), (6.5, 20 * s, 11)), -septa),
    ]
    if b.frontal > 0.15:
        brow = ellipsoid(m, (11, 77, -16), (11 * b.frontal, 5.0 * b.frontal, 12 * b.frontal))
        spaces.append(torch.maximum(brow, 0.6 - (x - 2 * bend).abs()))
    return torch.stack(spaces).amin(0) + 1.6 * h.noise(p, 12.0, 0)


def nose(h: Head) -> Iterator[Part]:
    """Nasal cavity with septum and turbinates, nasopharynx, paranasal sinuses with a lining and a thin bony wall."""
    if not h.near(x=(0, 70), y=(-5, 120), z=(-115, 20)):
        return
    m, p, x, y = h.m, h.p, h.x, h.y
    bend = h.noise(p, 24.0, 2)
    septum = (x + 1.5 * bend).abs() - 1.0
    cavity = torch.maximum(ellipsoid(p, (0, 58, -64), (15, 33, 22)), 22 - y)
    cavity = blend(cavity, ellipsoid(p, (0, 90, -76), (9, 14, 7)), 5)
    turbinate = torch.minimum(
        tube(m, [(8.5, 76, -76), (8.5, 32, -74)], 4.2), tube(m, [(8, 72, -62), (8, 34, -60)], 3.2)
    )
    turbinate = torch.minimum(turbinate, septum)
    skin = h.once(surface)
    inner = h.cover(cavity) * h.cover(skin - 1)
    yield "mucosa", inner * h.cover(turbinate + 0.6 * bend)
    yield "air", h.cover(cavity + 1.2 + 0.8 * bend) * h.cover(skin - 1)
    yield "mucosa", h.cover(cavity)
    pharynx = tube(torch.stack([x / 1.6, y, h.z]), [(0, 20, -62), (0, 13, -84)], 6.0)
    yield "air", h.cover(pharynx)
    yield "mucosa", h.cover(pharynx - 2.2)
    wall = h.once(sinus_wall)
    yield "air", h.cover(wall + 1.2)
    yield "mucosa", h.cover(wall)
    yield "cortical bone", h.cover(wall - 1.3) * h.cover(skin + 4)


def mouth(h: Head) -> Iterator[Part]:
    """The gap between tongue and palate."""
    if not h.near(x=(0, 30), y=(25, 95), z=(-125, -90)):
        return
    gap = ellipsoid(h.p, (0, 62, -102 - h.build.jaw / 2), (20, 24, 1.0 + h.build.jaw / 2))
    yield "air", h.cover(torch.maximum(gap, 30 - h.y))


def arch(h: Head) -> Tensor:
    """The dental arch in the plane: 1 on a parabola-like ellipse through the teeth."""
    return ((h.x / 27) ** 2 + ((h.y - 42) / 36) ** 2 + 1e-6).sqrt()


def teeth(h: Head) -> Iterator[Part]:
    """Two horseshoes of crowns and roots; gaps every 7.5 mm along the arch."""
    if not h.near(x=(0, 40), y=(30, 95), z=(-140, -80)):
        return
    x, y, z = h.p
    ring = torch.maximum((h.once(arch) - 1).abs() * 28 - 3.6, 40 - y)
    crown = 0.7 - 1.5 * torch.cos(torch.atan2(x, (y - 42) * 0.75) * 14.0)
    for centre, half in ((-93.0, 8.5), (-112.0 - h.build.jaw, 8.5)):
        row = torch.maximum(torch.maximum(ring, (z - centre).abs() - half), crown - 2.0)
        yield "tooth", h.cover(row) * 0.85


def face_bones(h: Head) -> Iterator[Part]:
    """Orbital walls, maxilla and palate, zygoma and its arch, nasal bones, pterygoid plates, mandible, hyoid."""
    if not h.near(x=(0, 90), y=(-25, 110), z=(-160, 0)):
        return
    m, p, jaw = h.m, h.p, h.build.jaw
    skin = h.once(surface) + 3.0  # no bone within 3 mm of the air
    cone = h.once(orbit)
    wall = torch.maximum(cone.abs() - 0.9, h.y - 68)
    rim = torch.maximum((cone - 2).abs() - 3.0, (h.y - 67).abs() - 6)
    maxilla = torch.maximum(ellipsoid(p, (0, 54, -82), (40, 32, 22)), h.y - 84)
    ring = torch.maximum((h.once(arch) - 1).abs() * 28 - 7, 36 - h.y)
    alveolus = torch.maximum(ring, (h.z + 92).abs() - 10)
    palate = torch.maximum(torch.maximum((h.z + 86).abs() - 2.2, h.x.abs() - 24), (h.y - 50).abs() - 28)
    zygoma = ellipsoid(m, (52, 54, -62), (9, 12, 10))
    zygomatic = tube(m, [(55, 50, -62), (68, 28, -60), (68, 2, -58), (62, -10, -56)], 3.2)
    nasal = tube(m, [(3, 84, -40), (4, 92, -56)], 1.8)
    plates = tube(m, [(14, 22, -58), (16, 16, -84)], 2.2)
    frontal = tube(m, [(10, 79, -24), (34, 74, -20), (52, 58, -30), (54, 54, -50)], 4.5)
    wavy = 0.7 * h.noise(p, 10.0, 1)
    cheekbone = torch.stack([zygoma, zygomatic, rim, frontal, plates, alveolus, nasal]).amin(0)
    yield from h.shell(torch.maximum(cheekbone + wavy, skin), 1.5)
    yield "cortical bone", h.cover(torch.maximum(torch.minimum(wall, palate), skin))
    ramus = tube(m, [(53, -3, -62), (51, 2, -88), (48, 12, -116 - jaw * 0.4)], 4.6)
    coronoid = tube(m, [(50, 20, -70), (50, 14, -100)], 3.6)
    nodes = [(48, 12, -116 - jaw * 0.4), (38, 44, -126 - jaw * 0.8), (18, 68, -130 - jaw), (0, 74, -131 - jaw)]
    body = tube(m, nodes, 6.2)
    lower = torch.maximum(ring, (h.z + 119 + jaw).abs() - 10)
    yield from h.shell(torch.maximum(torch.stack([ramus, coronoid, body, lower]).amin(0) + wavy, skin), 1.9)
    front = torch.maximum(maxilla, (h.once(sinus_wall) - 3).abs() - 1.2)
    yield "cortical bone", 0.7 * h.cover(torch.maximum(front, skin))


def face_soft_tissue(h: Head) -> Iterator[Part]:
    """Tongue, cheek fat and parotid gland; the rest is left to muscle."""
    if not h.near(x=(0, 75), y=(-25, 80), z=(-135, -60)):
        return
    yield "fat", h.cover(ellipsoid(h.m, (42, 48, -88), (9, 16, 14)))
    yield "gland", h.cover(ellipsoid(h.m, (56, -4, -88), (9, 15, 20))) * 0.7
    yield "muscle", h.cover(ellipsoid(h.p, (0, 42, -108), (24, 34, 17)))
