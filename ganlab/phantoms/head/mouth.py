"""Teeth, jaws, tongue and palate. Lengths in template mm, about an eighth larger than life.

Crowns: Ash and Nelson, Wheeler's Dental Anatomy, 8th ed., 2003; jaws and tongue: Gray's Anatomy, 41st ed., ch. 31, 32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ganlab.phantoms.fields import along, blend, ellipsoid, tube
from ganlab.phantoms.head.nose import FLOOR
from ganlab.phantoms.head.points import Head, Part
from ganlab.phantoms.head.skin import surface

BITE = -98.0  # mm, the occlusal plane
# Cumulated widths of incisors, canine, premolars and molars as shares of half an arch: where each tooth begins.
TEETH = ((0.0, 0), (0.15, 1), (0.265, 2), (0.4, 3), (0.52, 4), (0.645, 5), (0.82, 6), (1.0, 7))
HALF_DEPTH = ((0, 3.2), (2, 3.4), (3, 4.2), (5, 5.0), (7, 5.4))  # mm, by tooth


def arch(h: Head) -> Tensor:
    """(2, N): mm outside the dental arch, an ellipse in axial view, and position along it in teeth, 0 to 7."""
    x, y = h.m[0] / 29, (h.y - 40) / 44
    outwards = ((x**2 + y**2 + 1e-6).sqrt() - 1) * 34
    turn = torch.atan2(x, y.clamp_min(1e-3)) / (math.pi / 2)
    return torch.stack([outwards, along(turn * (0.8 + 0.2 * turn), TEETH)])


def teeth(h: Head) -> Iterator[Part]:
    """Crowns with enamel, roots in their sockets; the upper row overlaps the lower."""
    if not h.near(x=(0, 42), y=(30, 102), z=(-145, -68)):
        return
    out, tooth = h.once(arch)
    phase = (tooth % 1.0 - 0.5).abs()
    depth, width = along(tooth, HALF_DEPTH), 4.6
    front = (tooth < 3).to(out.dtype)
    for sign, top, shift in ((1, BITE + 0.4, 0.0), (-1, BITE - 0.4 - h.build.jaw, -2.4)):
        up = sign * (h.z - top) + 1.5 * front * sign  # mm from the edge of the crown towards the root
        taper = (1 - 0.55 * front * torch.exp(-up.clamp_min(0) / 5)) * (1 - 0.018 * (up - 11).clamp_min(0))
        radial = (out - shift).abs() - depth * taper
        gap = (phase - 0.455 + 0.013 * (up - 9).clamp_min(0)) * 2 * width
        crown = torch.stack([radial, gap, -up, up - 11]).amax(0)
        root = torch.stack([radial + 0.8, gap + 0.3, 10 - up, up - 23 + 3 * (phase > 0.3)]).amax(0)
        limit = 35 - h.y
        yield "tooth", h.cover(torch.maximum(torch.minimum(crown + 1.4, root), limit))
        yield "enamel", h.cover(torch.maximum(crown, limit))


def gums(h: Head) -> Tensor:
    """Signed distance of the alveolar processes that hold the teeth."""
    out = h.once(arch)[0]
    jaw = h.build.jaw
    upper = torch.maximum(out.abs() - 6.5, (h.z + 79).abs() - 8)
    lower = torch.maximum((out + 2).abs() - 6.2, (h.z + 117 + jaw).abs() - 8)
    return torch.maximum(torch.minimum(upper, lower), 33 - h.y)


def mandible(h: Head) -> Tensor:
    """Signed distance: body, chin, ramus with condyle and coronoid process."""
    m, jaw = h.m, h.build.jaw
    tall = torch.stack([m[0], m[1], (m[2] + jaw) * 0.52])
    low = -125 * 0.52
    body = tube(tall, [(51, 6, low + 3), (44, 30, low + 1), (33, 55, low), (17, 74, low), (0, 79, low)], 5.6)
    chin = ellipsoid(m, (5, 83, -132 - jaw), (9, 5, 6))
    deep = torch.stack([m[0], m[1] * 0.5, m[2]])
    ramus = tube(deep, [(52, 2.0, -118 - jaw / 2), (54.5, 1.5, -86)], 4.4)
    condyle = tube(m, [(54.5, -4, -88), (57, -9, -66)], 4.6)
    coronoid = tube(m, [(54.5, 14, -90), (55, 18, -74)], 3.0)
    bone = blend(blend(body, chin, 4), torch.minimum(blend(ramus, condyle, 5), coronoid), 6)
    return torch.minimum(bone, torch.maximum(h.once(gums), h.z + 100 + jaw))


def jaws(h: Head) -> Iterator[Part]:
    """Mandible, hard palate and the tooth-bearing part of the maxilla."""
    if not h.near(x=(0, 70), y=(-25, 105), z=(-155, -55)):
        return
    skin, wavy = h.once(surface) + 3.5, 0.5 * h.noise(h.p, 9.0, 1)
    yield from h.shell(torch.maximum(h.once(mandible) + wavy, skin), 1.9)
    upper = torch.maximum(h.once(gums), -h.z - 90)
    out = h.once(arch)[0]
    palate = torch.maximum((h.z - FLOOR + 2.0 + 0.004 * h.x**2).abs() - 1.6, torch.maximum(out + 1, 23 - h.y))
    spine = ellipsoid(h.p, (0, 85, FLOOR), (2, 5, 2.5))
    bone = torch.minimum(blend(upper, palate, 3.0), spine)
    yield from h.shell(torch.maximum(bone + wavy, skin + 0.5), 1.3)


def mouth(h: Head) -> Iterator[Part]:
    """Tongue with its septum and fanning fibres, palate and uvula, oral cavity, floor of the mouth, glands."""
    if not h.near(x=(0, 46), y=(-15, 95), z=(-145, -76)):
        return
    m, p, jaw = h.m, h.p, h.build.jaw
    x, y, z = p
    skin = h.once(surface)
    velum = torch.stack([x / 3.2, y, z])
    soft = tube(velum, [(0, 26, -81), (0, 13, -82), (0, 3, -87), (0, -2.5, -96)], 3.2)
    uvula = tube(p, [(0, -1, -92), (0, -4, -101)], 2.4)
    soft = torch.minimum(soft, uvula)
    yield "muscle", 0.75 * h.cover(soft + 1.0)
    yield "mucosa", h.cover(soft)
    drop = 0.6 * jaw
    body = ellipsoid(p, (0, 42, -103 - drop), (24, 33, 16))
    base = ellipsoid(p, (0, 13, -112 - drop), (21, 16, 17))
    tongue = blend(body, base, 14) + 0.8 * h.noise(p, 16.0, 0)
    rays = torch.atan2(z + 128 + jaw, y - 66)  # fibres fan out from behind the chin
    fat = 0.16 * (0.5 + 0.5 * torch.sin(rays * 34 + 2 * h.noise(p, 12.0, 1))) + 0.5 * torch.exp(-((x / 1.2) ** 2))
    within = h.cover(torch.maximum(tongue + 1.5, -h.once(mandible) - 0.5))
    yield "fat", 0.5 * fat.clamp(0, 1) * within
    yield "muscle", within
    yield "mucosa", h.cover(tongue)
    palate = torch.maximum(ellipsoid(p, (0, 48, -96), (25, 36, 13)), z - FLOOR + 4)
    chewing = torch.maximum(palate, 26 - y)
    yield "air", h.cover(chewing + 2.5) * 0.85 * h.cover(skin + 5)
    yield "mucosa", h.cover(chewing)
    floor = torch.maximum(ellipsoid(p, (0, 44, -125 - jaw), (29, 38, 11)), -h.once(mandible))
    sides = torch.maximum((m[0] - 7).abs() - 5.2, floor)
    yield "gland", h.cover(ellipsoid(m, (19, 50, -118 - jaw), (5, 14, 6)))
    yield "muscle", h.cover(torch.minimum(sides, floor + 2.5))
    yield "muscle", h.cover(tube(m, [(9, 76, -136 - jaw), (14, 44, -139 - jaw), (22, 14, -132)], 5.0))  # digastric
    yield "fat", 0.7 * h.cover(floor)
    yield "gland", h.cover(ellipsoid(m, (34, 16, -130 - 0.4 * jaw), (9, 14, 10)))
