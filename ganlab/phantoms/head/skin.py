"""The surface of the head and the layers below it. Lengths in template mm."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ganlab.phantoms.fields import blend, ellipsoid, tube
from ganlab.phantoms.head.neck import neck_outline
from ganlab.phantoms.head.points import Head, Part, dura
from ganlab.phantoms.head.skull import thickness

EYE = (34.0, 61.0, -41.0)  # the middle of the right globe


def outline(h: Head) -> Tensor:
    """Signed distance of the skin without the ears: the vault with its scalp, blended with face and neck."""
    b, m = h.build, h.m
    scalp = b.fat + b.skin + b.galea + 0.5 * h.noise(h.p, 80.0, 2)
    temple = 7 * torch.exp(-(((m[0] - 76) / 18) ** 2 + ((h.y - 18) / 30) ** 2 + ((h.z + 12) / 24) ** 2))
    vault = h.once(dura) - h.once(thickness) - scalp - temple
    return neck_outline(h, face_outline(h, vault))


def face_outline(h: Head, vault: Tensor) -> Tensor:
    """The skin's signed distance `vault` blended with face, chin, nose, lips and lids."""
    if not h.near(z=(-999, 15)):
        return vault
    b, f, m, p = h.build, h.build.face, h.m, h.p
    jaw = b.jaw
    upper = ellipsoid(p, (0, 34, -58), (68 * f, 57 * f, 62))
    lower = ellipsoid(p, (0, 34, -102 - 0.4 * jaw), (57 * f, 57 * f, 41))
    skin = blend(vault, blend(upper, lower, 22), 20)
    skin = blend(skin, ellipsoid(m, (40, 54, -70), (24, 25, 24)), 14)  # cheek
    skin = blend(skin, ellipsoid(m, (45, 6, -96), (24, 42, 36)), 14)  # jowl
    if h.near(x=(0, 62), y=(40, 999)):
        skin = blend(skin, ellipsoid(p, (0, 73, -130 - jaw), (23 * f, 19 * f, 15)), 12)  # chin
        lips = torch.minimum(
            ellipsoid(p, (0, 89.5, -92), (23, 9.5, 8)), ellipsoid(p, (0, 88.5, -105 - jaw), (21, 9.5, 7.5))
        )
        skin = blend(skin, lips, 4)
        bridge = tube(p, [(0, 84, -40), (0, 91, -54), (0, 99, -68), (0, 86, -76)], 6.5)
        tip = ellipsoid(p, (0, 103, -71), (8.5, 9, 8))
        wing = ellipsoid(m, (9.5, 95, -75), (7, 10, 7.5))
        skin = blend(skin, blend(blend(bridge, tip, 6), wing, 5), 7)
        socket = ellipsoid(m, (36, 88, -41), (18, 11, 12))
        skin = -blend(-skin, socket, 6)
        x, y, z = EYE
        skin = blend(skin, ellipsoid(m, (x, y, z), (16, 16.5, 15)), 4)  # lids over the globe
    return skin


def surface(h: Head) -> Tensor:
    """Signed distance of the skin, ears included."""
    skin = h.once(outline)
    if not h.near(x=(40, 120), y=(-60, 0), z=(-95, -5)):
        return skin
    # The auricle: a sheet that stands off the head, more so towards its posterior edge, with a rolled rim.
    leaf = ((h.y + 33) / 17) ** 2 + ((h.z + 50 + 0.3 * (h.y + 33)) / 33) ** 2
    lift = 0.42 * (-18 - h.y).clamp_min(0) + 1.5
    plate = (skin - lift).abs() - 1.9 - 1.4 * torch.exp(-(((leaf - 0.85) / 0.2) ** 2))
    ear = torch.maximum(plate, ((leaf + 1e-6).sqrt() - 1) * 20)
    return torch.minimum(skin, torch.where(h.m[0] > 30, ear, 99.0))


def ears(h: Head) -> Iterator[Part]:
    """Auricles: cartilage below skin; the lobule has none."""
    if not h.near(x=(50, 120), y=(-55, 0), z=(-95, -10)):
        return
    outside = h.cover(-h.once(outline))
    yield "cartilage", h.cover(h.once(surface) + 2.0) * outside * torch.sigmoid((h.z + 74) / 2)
    yield "skin", outside


def layers(h: Head) -> Iterator[Part]:
    """Skin, then subcutaneous fat: thinner over the vault than over the face, almost none on nose and lids."""
    b, depth = h.build, -h.once(surface)
    vault = torch.sigmoid((h.z + 38) / 8)
    lean = torch.exp(-((h.m[0] / 16) ** 2 + ((h.y - 100) / 16) ** 2 + ((h.z + 66) / 22) ** 2))
    lean = lean + torch.exp(-(((h.m[0] - 34) / 20) ** 2 + ((h.y - 78) / 12) ** 2 + ((h.z + 41) / 15) ** 2))
    fat = b.fat * (vault + (1 - vault) * 1.5) * (1 - 0.8 * lean.clamp(0, 1)) + 0.9 * h.noise(h.p, 26.0, 0)
    yield "skin", h.cover(depth - b.skin)
    strands = 0.25 * (h.noise(h.p, 5.0, 2).abs() < 0.25)
    dense = b.septa * (1 + 0.6 * h.noise(h.p, 6.0, 1)).clamp(0, 1.6)  # the scalp's fat is held by septa
    yield "fibrous tissue", (strands * (1 - vault) + dense * vault) * h.cover(depth - b.skin - fat)
    yield "fat", h.cover(depth - b.skin - fat)
    yield "fibrous tissue", 0.8 * h.cover(depth - b.skin - fat - 0.7 * b.galea) * vault


def filling(h: Head) -> Iterator[Part]:
    """The remaining tissue: temporalis and the thin muscles of the scalp."""
    yield "muscle", torch.ones_like(h.x)
