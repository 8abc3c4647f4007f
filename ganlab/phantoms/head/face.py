"""Bones of the face and the soft tissue over them. Lengths in template mm (Gray's Anatomy, 41st ed., ch. 31)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ganlab.phantoms.fields import blend, ellipsoid, tube
from ganlab.phantoms.head.eyes import orbit
from ganlab.phantoms.head.neck import GROWTH, Belly, belly_distance
from ganlab.phantoms.head.nose import cavity
from ganlab.phantoms.head.points import Head, Part
from ganlab.phantoms.head.sinuses import sinus_wall
from ganlab.phantoms.head.skin import surface


def face_bones(h: Head) -> Iterator[Part]:
    """Orbital walls and rims, zygoma and its arch, nasal bones, pterygoid plates, walls of maxilla and nasal cavity."""
    if not h.near(x=(0, 90), y=(-25, 110), z=(-110, 5)):
        return
    m, p, y, z = h.m, h.p, h.y, h.z
    skin = h.once(surface) + 3.2  # no bone within 3 mm of the air
    cone, wavy = h.once(orbit), 0.6 * h.noise(p, 10.0, 1)
    rim = torch.maximum((cone - 2).abs() - 3.0, (y - 68).abs() - 6)
    zygoma = blend(ellipsoid(m, (51, 56, -63), (9, 11, 10)), tube(m, [(50, 58, -60), (54, 62, -40)], 4.0), 5)
    zygomatic = tube(m, [(56, 50, -64), (69, 30, -62), (70, 2, -60), (64, -10, -58)], 3.0)
    nasal = tube(m, [(3, 86, -38), (3.5, 92, -50), (3.5, 97, -58)], 1.7)
    plates = torch.minimum(tube(m, [(13, 21, -56), (14, 16, -82)], 1.8), tube(m, [(17, 21, -56), (24, 14, -80)], 1.6))
    frontal = tube(m, [(6, 82, -26), (34, 78, -19), (53, 62, -28), (56, 58, -48)], 4.6)
    cheekbone = torch.stack([zygoma, zygomatic, rim, frontal, plates, nasal]).amin(0)
    yield from h.shell(torch.maximum(cheekbone + wavy, skin), 1.5)
    wall = torch.maximum(cone.abs() - 0.9, y - 68)
    process = torch.maximum(ellipsoid(p, (0, 56, -72), (42, 32, 24)), y - 86)  # the maxilla's outline
    shell = torch.maximum(process, torch.minimum((h.once(sinus_wall) - 2).abs(), (process + 1.5).abs()) - 1.0)
    lateral = torch.maximum((h.once(cavity) - 0.7).abs() - 0.8, y - 82)
    thin = torch.minimum(torch.minimum(wall, lateral), torch.maximum(shell, z + 50))
    yield "cortical bone", 0.85 * h.cover(torch.maximum(thin + 0.3 * wavy, skin))


MUSCLES = {  # (z, x, y) upwards; half axes and turn in the axial plane
    "masseter": Belly(((-126, 53, 8), (-95, 62, 14), (-63, 68, 26)), (5.5, 15), -12),
    "medial pterygoid": Belly(((-122, 47, 4), (-98, 41, 8), (-70, 27, 15)), (5, 11), 20),
    "temporalis": Belly(((-92, 55, 18), (-60, 60, 16), (-25, 66, 12)), (6, 20), -6),
    "buccinator": Belly(((-112, 40, 52), (-98, 40, 54), (-82, 40, 52)), (2.6, 17), 18),
    "orbicularis oris": Belly(((-112, 12, 91), (-98, 13, 92), (-86, 12, 90)), (16, 3.2), -18),
    "mentalis": Belly(((-138, 9, 86), (-128, 9, 88), (-118, 9, 88)), (8, 3.5), -15),
    "zygomaticus": Belly(((-98, 34, 74), (-80, 42, 70), (-68, 47, 66)), (5, 2.2), -40),
}


def face_soft_tissue(h: Head) -> Iterator[Part]:
    """Muscles of mastication and expression, parotid gland; fat fills the rest."""
    if not h.near(y=(-40, 120), z=(-170, -18)):
        return
    m, p, bend = h.m, h.p, 1.2 * h.noise(h.p, 24.0, 0)
    zone = torch.sigmoid((h.y + 6) / 2) * torch.sigmoid((-24 - h.z) / 3)
    lateral = tube(m, [(27, 22, -63), (40, 8, -65), (52, -5, -66)], 9.5)
    bellies = [belly_distance(b, m[0] + bend, h.y + bend, h.z) for b in MUSCLES.values()] + [lateral + bend]
    nearest, rest = torch.stack(bellies).topk(2, dim=0, largest=False).values
    planes = torch.maximum(nearest - 0.45 * GROWTH, 0.7 - (rest - nearest))
    parotid = ellipsoid(m, (58, -10, -88), (10, 13, 24)) + 1.5 * h.noise(p, 10.0, 2)
    streak = (0.5 + 0.5 * h.noise(torch.stack([h.x, h.y, h.z * 0.3]), 5.0, 3)).clamp(0, 1)
    yield "gland", 0.75 * h.cover(parotid)
    yield "vessel", h.cover(tube(m, [(50, -9, -60), (52, -8, -118)], 1.8))
    yield "muscle", h.cover(planes) * zone * (1 - 0.12 * streak)
    yield "fibrous tissue", 0.15 * zone * (h.noise(p, 6.0, 1).abs() < 0.2)
    yield "fat", zone * torch.sigmoid((-h.z - 60 + 0.25 * bend) / 4)
