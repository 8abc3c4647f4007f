"""Pathology and surgery: a lesion, a bone flap, dental fillings. Positions in template mm."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from ganlab.phantoms.fields import ellipsoid, length
from ganlab.phantoms.head.brain import maps
from ganlab.phantoms.head.points import Head, Part, dura


def lesion(h: Head) -> Iterator[Part]:
    """A lesion, painted over the brain within the dura; oedema spreads in the white matter of the template."""
    lesion = h.build.lesion
    if lesion is None:
        return
    for spot in lesion.spots:
        x, y, z, r = spot
        reach = 2.6 * r + 6
        if not h.near((max(0, abs(x) - reach), abs(x) + reach), (y - reach, y + reach), (z - reach, z + reach)):
            continue
        inside = h.cover(h.once(dura))
        white = h.once(maps)[1]
        ragged = 0.18 * r * h.noise(h.p, 1.6 * r, 0) + 0.6 * h.noise(h.p, 5.0, 1)
        if lesion.kind == "plaques":
            lean = length(torch.stack([(h.p[0] - x) / 1.7, h.p[1] - y, h.p[2] - z]))  # perpendicular to the ventricle
            yield "plaque", h.cover(lean - r + 0.15 * r * h.noise(h.p, 6.0, 0)) * inside * (white > 0.35)
            continue
        core = length(h.p - h.p.new_tensor((x, y, z))[:, None]) - r + ragged
        if lesion.kind == "bleed":
            yield "blood", h.cover(core) * inside
            yield "oedema", h.cover((core - 0.22 * r) / 1.5) * (white > 0.2) * inside
            continue
        halo = h.cover((core - 0.75 * r - 2.5 * h.noise(h.p, 14.0, 2)) / 2.0) * white.clamp(0, 1) ** 0.5
        yield "necrosis", h.cover(core + 0.45 * r + ragged) * inside
        yield "tumour", h.cover(core) * inside
        yield "oedema", halo * inside


FLAP_KERF = 1.6  # mm, the width of a craniotome's cut with its healing edge


def bone_flap(h: Head) -> Iterator[Part]:
    """The kerf of a craniotomy, filled with scar: a round flap of the vault with three burr holes on its edge."""
    flap = h.build.flap
    if flap is None:
        return
    x, y, z, radius = flap
    centre = h.p.new_tensor((x, y, z))[:, None]
    if not ((h.p - centre).square().sum(0) < (radius + 40) ** 2).any():
        return
    # The flap's edge: a cone around the line from the centre of the head.
    middle = h.p.new_tensor((0.0, -15.0, 5.0))[:, None]
    line = (centre - middle) / length(centre - middle)
    spoke = h.p - middle
    along = (spoke * line).sum(0)
    off = spoke - along * line
    edge = length(off) / along.clamp_min(1) * length(centre - middle) - radius
    kerf = edge.abs() - FLAP_KERF / 2
    a = torch.linalg.cross(line[:, 0], h.p.new_tensor((0.0, 0.0, 1.0)))
    a = a / a.norm()
    b = torch.linalg.cross(line[:, 0], a)
    for turn in (0.3, 2.4, 4.5):
        towards = math.cos(turn) * a + math.sin(turn) * b
        hole = length(off - towards[:, None] * radius * along / length(centre - middle)) - 5.5
        kerf = torch.minimum(kerf, hole)
    depth = h.once(dura)
    yield "fibrous tissue", h.cover(kerf) * (along > 0) * h.cover(-depth) * (depth < 14)


def fillings(h: Head) -> Iterator[Part]:
    """Amalgam in the crowns of some molars and premolars."""
    if not h.build.fillings or not h.near(x=(0, 45), y=(20, 100), z=(-130, -85)):
        return
    for x, y, z in h.build.fillings:
        yield "metal", h.cover(ellipsoid(h.p, (x, y, z), (2.6, 3.0, 2.2)))
