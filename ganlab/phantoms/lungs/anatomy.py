"""The surroundings of a nodule: parenchyma, vessels, airways, fissures, emphysema and the chest wall or mediastinum.

HU: inflated lung about -860 with less air dorsally in the supine patient (Verschakelen et al., AJR 161:713, 1993);
emphysema below -950 (Gevenois et al., AJRCCM 154:187, 1996); soft tissue 40, fat -100, bone 80 to 800.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ganlab.phantoms.lungs.ct_slice import AXIS, FINE, Slab, blended, covered, polyline, smooth_field, tubes

X, Y = AXIS[None, :], AXIS[:, None]
BOX = np.array([25.0, 25.0, 6.0])  # mm around the centre within which vessels fork
FINEST = 0.2  # mm, radius of the finest vessel that is drawn


def unit(v: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) or (..., 2) scaled to unit length."""
    return v / np.sqrt((v * v).sum(-1, keepdims=True))


def sideways(rng: np.random.Generator, heading: np.ndarray) -> np.ndarray:
    """Random unit vectors (..., 3) perpendicular to unit vectors (..., 3)."""
    v = rng.standard_normal(heading.shape)
    return unit(v - (v * heading).sum(-1, keepdims=True) * heading)


def parenchyma(rng: np.random.Generator) -> np.ndarray:
    """HU (P, P) of aerated lung: a gravity gradient, lobules, and the texture of vessels too small to be resolved."""
    hu = rng.normal(-860, 28) + rng.uniform(0.1, 0.7) * Y
    hu = hu + rng.uniform(6, 16) * smooth_field(rng, 7.0) + rng.uniform(4, 12) * smooth_field(rng, 2.5)
    fine = smooth_field(rng, 1.1)
    hu = hu + rng.uniform(12, 28) * (np.exp(0.7 * fine) - 1.28)
    if rng.random() < 0.14:  # centrilobular emphysema
        field = 0.7 * smooth_field(rng, 4.0) + 0.5 * smooth_field(rng, 2.5) + 0.3 * fine
        holes = covered(rng.uniform(0.8, 1.8) - field, rng.uniform(0.8, 1.6))
        hu = blended(hu, rng.uniform(-980, -940), rng.uniform(0.6, 0.9) * holes)
    return hu


def grow(
    rng: np.random.Generator, start: np.ndarray, heading: np.ndarray, radius: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Vessels from start (K, 3) mm along heading (K, 3) with radius (K,) mm, and the starts of their branches.

    They wind, taper, and fork by Murray's law (PNAS 12:207, 1926): the cubes of the branches' radii add up to that of
    the parent. Returns segments (K * steps, 8), and starts, headings and radii of the branches.
    """
    many = (len(start), steps)
    way = unit(heading[:, None] + 0.15 * np.cumsum(rng.standard_normal((*many, 3)), 1))
    stride = way * (rng.uniform(1.6, 3.4, many) * (0.7 + 0.5 * radius[:, None]))[..., None]
    points = start[:, None] + np.concatenate([np.zeros_like(stride[:, :1]), np.cumsum(stride, 1)], 1)
    shrink = rng.uniform(0.92, 1.0, many)
    fork = (rng.random(many) < 0.3) & (np.abs(points[:, 1:]) < BOX).all(-1)
    way = way[fork]
    share = rng.uniform(0.12, 0.5, len(way))  # of the flow, to the branch
    shrink[fork] *= np.cbrt(1 - share)
    thick = radius[:, None] * np.cumprod(np.concatenate([np.ones_like(shrink[:, :1]), shrink], 1), 1)
    branch = unit(way + np.tan(rng.uniform(0.35, 1.0, len(way)))[:, None] * sideways(rng, way))
    return polyline(points, thick), points[:, 1:][fork], branch, thick[:, :-1][fork] * np.cbrt(share)


def vessels(rng: np.random.Generator) -> np.ndarray:
    """Segments (K, 8) of the vessels in a patch of lung, all coming from the direction of the hilum."""
    count = round(rng.uniform(8, 26))
    hilum = unit(rng.standard_normal(3) * [1, 1, rng.uniform(0.1, 1)])
    heading = unit(hilum + 0.45 * rng.standard_normal((count, 3)))
    start = rng.uniform(-1, 1, (count, 3)) * BOX - 5 * heading
    radius = np.minimum(rng.uniform(0.28, 0.48) * rng.random(count) ** -0.6, rng.uniform(0.8, 2.0))
    generations = []
    for steps in (12, 7, 4):
        segments, start, heading, radius = grow(rng, start, heading, radius, steps)
        generations.append(segments)
    tree = np.concatenate(generations)
    return tree[tree[:, 7] > FINEST]


def bent_path(rng: np.random.Generator, a: np.ndarray, b: np.ndarray, count: int, bend: float) -> np.ndarray:
    """(..., count + 1, 3) points from a to b (..., 3) mm on arcs `bend` of the chord off it."""
    a, b = np.broadcast_arrays(a, b)
    t = np.linspace(0, 1, count + 1)[:, None]
    chord = (b - a)[..., None, :]
    off = bend * np.sqrt((chord**2).sum(-1, keepdims=True)) * rng.standard_normal((2, *chord.shape))
    return a[..., None, :] + chord * t + off[0] * np.sin(math.pi * t) + 0.5 * off[1] * np.sin(2 * math.pi * t)


def bundle(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Segments of the outer wall and the lumen of an airway, and of the artery beside it.

    The wall of an airway is about a fifth of its radius, and its artery about as wide as the airway.
    """
    middle = np.append(unit(rng.standard_normal(2)) * rng.uniform(9, 19), 0)
    heading = unit(rng.standard_normal(3) * [1, 1, 1.2])
    path = bent_path(rng, middle - 30 * heading, middle + 30 * heading, 16, 0.03)  # in and out of sight
    outer = np.linspace(1, rng.uniform(0.6, 0.9), 17) * rng.uniform(1.2, 2.6)
    inner = outer * rng.uniform(0.72, 0.84)
    artery = outer * rng.uniform(0.75, 1.05)
    beside = path + sideways(rng, heading) * (outer + artery)[:, None]
    return polyline(path, outer), polyline(path, inner), polyline(beside, artery)


def paint_vessels(
    rng: np.random.Generator, hu: np.ndarray, slab: Slab, wall: Wall | None, blood: float, more: list[np.ndarray]
) -> np.ndarray:
    """HU (P, P) with vessels of this HU, and in a quarter of the patches a bronchus with its artery.

    more: further vessels as segments (K, 8). Vessels fade out in the last millimetres below the pleura, and there are
    no bronchi near ribs, where they are too fine to be resolved.
    """
    coverage = tubes(slab, np.concatenate([vessels(rng), *more]))
    hu = blended(hu, blood, coverage if wall is None else coverage * np.sqrt(wall.near(6.0)))
    if rng.random() < 0.25 and not (wall and wall.bony):
        outer, inner, artery = (tubes(slab, segments) for segments in bundle(rng))
        hu = blended(blended(blended(hu, blood, artery), 20.0, outer), -990.0, inner)
    return hu


def paint_fissure(rng: np.random.Generator, hu: np.ndarray, slab: Slab) -> np.ndarray:
    """HU (P, P), in one of eight patches with a fissure, often near the centre as of perifissural nodules."""
    if rng.random() > 0.13:
        return hu
    return blended(hu, 20.0, fissure(rng, slab, rng.uniform(-1, 1) * (2 if rng.random() < 0.3 else 18)))


def fissure(rng: np.random.Generator, slab: Slab, offset: float) -> np.ndarray:
    """Coverage (P, P) of a fissure that passes the centre at an offset in mm: a curved sheet, 0.15 to 0.4 mm thin, and
    blurred where it crosses the slice obliquely."""
    angle, bow = rng.uniform(0, math.pi), rng.normal(0, 0.006)
    across = X * math.cos(angle) + Y * math.sin(angle)
    along = Y * math.cos(angle) - X * math.sin(angle)
    distance = np.abs(across - offset - bow * along**2 - 0.25 * smooth_field(rng, 7.0))
    thickness = rng.uniform(0.15, 0.4)
    band = thickness + slab.thickness * abs(rng.normal(0, 0.7))
    return thickness / band * covered(distance - band / 2, 0.4 * band)


@dataclass(frozen=True)
class Wall:
    """A chest wall or mediastinum, where the lung ends."""

    depth: np.ndarray  # (P, P) mm beyond the pleura
    along: np.ndarray  # (P, P) mm along the pleura
    edge: float  # mm, width of its edge in the slice
    bony: bool  # a chest wall
    heading: tuple[float, float]  # unit vector towards the wall

    @property
    def coverage(self) -> np.ndarray:
        return covered(-self.depth, self.edge)

    def near(self, reach: float) -> np.ndarray:
        """(P, P) 1 deep in the lung, falling to 0 on the pleura over `reach` mm, as vessels become fewer and finer."""
        return np.clip(-self.depth / reach, 0, 1)


def draw_wall(rng: np.random.Generator, slab: Slab, distance: float) -> Wall:
    """A concave chest wall or a convex mediastinum, `distance` mm from the centre of the patch."""
    bony = rng.random() < 0.7
    angle = rng.uniform(0, 2 * math.pi)
    c, s = math.cos(angle), math.sin(angle)
    across, along = X * c + Y * s, Y * c - X * s
    curve = 1 / rng.uniform(90, 280) if bony else -1 / rng.uniform(60, 400)
    depth = across - distance + curve * (along - rng.normal(0, 10)) ** 2
    depth = depth - depth[len(AXIS) // 2 - 1, len(AXIS) // 2 - 1] - distance
    depth = depth + (0.25 if bony else 0.9) * smooth_field(rng, 7.0)
    return Wall(depth, along, slab.thickness * abs(rng.normal(0, 0.5)), bony, (c, s))


def paint_wall(rng: np.random.Generator, hu: np.ndarray, wall: Wall, blood: float) -> np.ndarray:
    """HU (P, P) with the tissue beyond the pleura: muscle, fat and ribs, or mediastinal fat, nodes and vessels."""
    coarse, fine = smooth_field(rng, 7.0), smooth_field(rng, 2.5)
    muscle, fat = rng.normal(48, 6), rng.normal(-98, 8)
    depth = wall.depth
    if wall.bony:
        lining = rng.uniform(0.8, 2.0)
        layers = rng.uniform(6, 12)
        tissue = np.full_like(hu, muscle)
        tissue = blended(tissue, fat, covered(np.abs(depth - lining - 0.5) - 0.5 * fine, 0.6) * rng.uniform(0, 0.8))
        fatty = covered(np.abs(depth - layers - 2 * coarse) - rng.uniform(0, 1.5) - 0.6 * fine, 0.8)
        tissue = blended(tissue, fat, fatty)
        if rng.random() < 0.65:
            tissue = paint_rib(rng, tissue, wall, fine)
    else:
        tissue = np.full_like(hu, rng.choice([muscle, blood]))
        pockets = covered(rng.uniform(-0.6, 1.2) - coarse - 0.4 * fine, 0.8) * covered(1.5 - depth, 1.5)
        tissue = blended(tissue, fat, pockets)
    return blended(hu, tissue + 4 * fine, wall.coverage)


def paint_rib(rng: np.random.Generator, tissue: np.ndarray, wall: Wall, fine: np.ndarray) -> np.ndarray:
    """An obliquely cut rib: marrow in a cortex about a millimetre thick."""
    half, length = rng.uniform(2.8, 4.8), rng.uniform(6, 22)
    middle, deep = rng.uniform(-16, 16), rng.uniform(1.5, 3.0) + half
    q = np.sqrt(((wall.depth - deep) / half) ** 2 + ((wall.along - middle) / length) ** 2)
    distance = (q - 1) * half + 0.15 * fine
    tissue = blended(tissue, rng.uniform(350, 800), covered(distance))
    return blended(tissue, rng.uniform(80, 280) + 50 * fine, covered(distance + rng.uniform(0.6, 1.2), 2 * FINE))
