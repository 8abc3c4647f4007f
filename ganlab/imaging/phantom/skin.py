"""The outside of the head, and the layers under it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ganlab.imaging.phantom.fields import blend, ellipsoid, tube
from ganlab.imaging.phantom.head import Head, Part, dura
from ganlab.imaging.phantom.neck import neck_outline
from ganlab.imaging.phantom.skull import thickness


def surface(h: Head) -> Tensor:
    """Signed distance of the skin: the vault with its scalp, then face and neck joined on."""
    b, m = h.build, h.m
    scalp = b.fat + b.skin + b.galea + 0.5 * h.noise(h.p, 80.0, 2)
    temple = 7 * torch.exp(-(((m[0] - 76) / 18) ** 2 + ((h.y - 18) / 30) ** 2 + ((h.z + 12) / 24) ** 2))
    vault = h.once(dura) - h.once(thickness) - scalp - temple
    return neck_outline(h, face_outline(h, vault))


def face_outline(h: Head, vault: Tensor) -> Tensor:
    """The skin's signed distance `vault` with face, chin, nose, lips and ears joined on."""
    if not h.near(z=(-999, 10)):
        return vault
    b, f, m, p = h.build, h.build.face, h.m, h.p
    upper = ellipsoid(p, (0, 34, -58), (68 * f, 58 * f, 62))
    lower = ellipsoid(p, (0, 38, -104), (58 * f, 54 * f, 52))
    skin = blend(vault, blend(upper, lower, 25), 22)
    skin = blend(skin, ellipsoid(m, (38, 55, -72), (25, 24, 24)), 16)  # cheek
    skin = blend(skin, ellipsoid(m, (42, 16, -98), (24, 32, 40)), 14)  # jowl
    if h.near(x=(0, 60), y=(40, 999)):
        skin = blend(skin, ellipsoid(p, (0, 66, -132 - 0.7 * b.jaw), (28 * f, 20 * f, 17)), 16)  # chin
        skin = blend(skin, tube(p, [(0, 86, -42), (0, 97, -60), (0, 106, -72)], 7.5), 9)  # nose
        skin = blend(skin, ellipsoid(m, (9, 93, -75), (9, 11, 8)), 6)
        skin = blend(skin, ellipsoid(p, (0, 90, -100), (22, 9, 14)), 8)  # lips
        skin = torch.maximum(skin, -ellipsoid(m, (34, 88, -40), (17, 10, 12)))  # eye sockets
    ear = torch.maximum(ellipsoid(m, (80, -28, -55), (30, 18, 30)), skin - 8)
    return torch.minimum(skin, torch.maximum(ear, -ellipsoid(m, (92, -18, -58), (13, 8, 13))))


def layers(h: Head) -> Iterator[Part]:
    """Skin, then subcutaneous fat, thinner over the vault than over the face."""
    b, depth = h.build, -h.once(surface)
    vault = torch.sigmoid((h.z + 38) / 8)
    fat = b.fat * (vault + (1 - vault) * 1.5) + 0.9 * h.noise(h.p, 26.0, 0)
    yield "skin", h.cover(depth - b.skin)
    yield "fat", h.cover(depth - b.skin - fat)


def filling(h: Head) -> Iterator[Part]:
    """What no part claims: muscle with planes of fat between its bellies."""
    planes = h.noise(torch.stack([h.x, h.y, h.z * 0.45]), 13.0, 2) + 0.5 * h.noise(h.p, 5.0, 0)
    yield "fat", torch.sigmoid(5 * (planes - 1.15))
    yield "muscle", torch.ones_like(h.x)
