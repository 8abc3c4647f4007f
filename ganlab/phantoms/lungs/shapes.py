"""Bodies of nodules, star-shaped and therefore of exact size, and their spicules."""

from __future__ import annotations

import math

import numpy as np

from ganlab.phantoms.lungs.anatomy import bent_path, unit
from ganlab.phantoms.lungs.ct_slice import LEVELS, POINTS, Slab, covered, mean_sheet, polyline

TURN = np.linspace(0, 2 * math.pi, 256, endpoint=False)
EQUATOR = np.stack([np.cos(TURN), np.sin(TURN), np.zeros_like(TURN)]).astype(np.float32)


class Shape:
    """A body around a centre (x, y) mm, `diameter` mm wide in the slice; every ray from the centre meets it once.

    Its surface is a ball with smaller protruding balls (lobulation 0..1), compressed to an ellipsoid whose shortest
    axis is about `aspect` of the longest, times waves of relative amplitude `irregular`. The diameter is that of the
    disc with the same area; roundness is 4 area / (pi longest diameter^2), 1 for a disc.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        centre: np.ndarray,
        diameter: float,
        lobulation: float,
        irregular: float,
        aspect: float,
    ):
        self.centre = np.asarray(centre, np.float32)
        self.diameter = diameter
        axes = unit(rng.standard_normal((2, 3)))
        press = np.array([1, rng.uniform(0, 0.5)]) * (1 / aspect - 1)
        self.matrix = (np.eye(3) + sum(p * np.outer(a, a) for p, a in zip(press, axes, strict=True))).astype(np.float32)
        count = 2 + round(7 * lobulation) if lobulation > 0.02 else 0
        bulge = (0.06 + 0.34 * lobulation) * rng.uniform(0.4, 1, count)
        least = ((1 + bulge) ** 2 - 1) / (2 + 2 * bulge)  # smaller balls would detach
        self.ball = (least + (0.8 - least) * rng.uniform(0.1, 0.7, count))[:, None].astype(np.float32)
        directions = unit(rng.standard_normal((count, 3)) * [1, 1, 0.7])
        self.lobes = (directions * (1 + bulge[:, None] - self.ball)).astype(np.float32)
        wave = rng.uniform(1.2, 4.5, 4)
        self.wave = (unit(rng.standard_normal((4, 3))) * wave[:, None]).astype(np.float32)
        self.phase = rng.uniform(0, 2 * math.pi, (4, 1)).astype(np.float32)
        self.height = np.float32(irregular / math.sqrt(2))
        self.scale = np.float32(1.0)
        outline = self._reach(EQUATOR)
        self.scale = np.float32(diameter / 2 / math.sqrt(np.mean(outline**2)))
        self.outline = outline * self.scale  # mm, (256,)

    @property
    def roundness(self) -> float:
        """Roundness of the outline in the middle of the slice."""
        corners = (EQUATOR[:2] * self.outline)[:, ::4]
        longest = ((corners[:, :, None] - corners[:, None]) ** 2).sum(0).max()
        return float(self.diameter**2 / longest)

    def _reach(self, u: np.ndarray) -> np.ndarray:
        """Distance (M,) of the surface along unit vectors (3, M)."""
        v = _product(self.matrix, u)
        size = np.sqrt((v * v).sum(0))
        v /= size
        reach = np.ones_like(size)
        if len(self.lobes):
            along = _product(self.lobes, v)
            inner = along**2 + (self.ball**2 - (self.lobes**2).sum(1, keepdims=True))
            reach = np.maximum(reach, (along + np.sqrt(np.maximum(inner, 0))).max(0))
        reach *= 1 + self.height * np.cos(_product(self.wave, v) + self.phase).sum(0)
        return reach * (self.scale / size)

    def surface(self, turn: float) -> float:
        """Distance in mm of the outline from the centre in this direction, in radians."""
        return float(np.interp(turn, TURN, self.outline, period=2 * math.pi))

    def sections(self, slab: Slab) -> np.ndarray:
        """Radius (LEVELS, 256) in mm of the section by each sheet, towards TURN; negative where a sheet misses it.

        Exact in the middle of the slice and for a ball; elsewhere approximated from the surface above that outline.
        """
        z = np.broadcast_to(slab.z[:, 0], (LEVELS, len(TURN)))
        u = np.stack(np.broadcast_arrays(EQUATOR[0] * self.outline, EQUATOR[1] * self.outline, z))
        reach = self._reach((u / np.hypot(self.outline, z)).reshape(3, -1)).reshape(z.shape)
        high = np.abs(z)
        return np.where(reach > high, np.sqrt(np.maximum(reach**2 - high**2, 0)), reach - high)

    def distance(self, slab: Slab, beyond: float) -> tuple[tuple[slice, slice], np.ndarray]:
        """Rows and columns as far as `beyond` mm outside, and there (LEVELS, ...) the distance from the surface
        along the ray from the centre in mm, negative inside."""
        wide = float(self.outline.max()) + beyond
        rows, columns = slab.window(self.centre - wide, self.centre + wide)
        x, y = slab.x[0, :, columns] - self.centre[0], slab.y[0, rows] - self.centre[1]
        turn = np.arctan2(y, x) * np.float32(len(TURN) / (2 * math.pi))
        nearest = np.rint(turn).astype(np.intp) % len(TURN)
        return (rows, columns), np.hypot(x, y) - self.sections(slab).take(nearest, 1)

    def coverage(self, slab: Slab, edge: float, rough: np.ndarray | float = 0.0) -> np.ndarray:
        """Coverage (P, P) with an edge of this width in mm; rough (P, P): outward shift of the surface in mm."""
        whole = np.zeros((POINTS, POINTS), np.float32)
        window, distance = self.distance(slab, edge + 2)
        moved = rough[window] if isinstance(rough, np.ndarray) else rough
        whole[window] = mean_sheet(covered(distance - moved, edge))
        return whole


def _product(matrix: np.ndarray, u: np.ndarray) -> np.ndarray:
    """matrix (K, 3) times vectors (3, M), with the same bits on any number of threads."""
    return matrix[:, :1] * u[0] + matrix[:, 1:2] * u[1] + matrix[:, 2:] * u[2]


def spicules(rng: np.random.Generator, shape: Shape, spiculation: float) -> np.ndarray:
    """Segments (K, 8) of fine strands that radiate from a nodule, bent, tapered, in tufts, some forked.

    Spicules radiate from the margin into the lung (Hansell et al., Radiology 246:697, 2008; Zwirewich et al., Radiology
    179:469, 1991); here they are up to 12 mm long and about half a millimetre thick, with a broader base.
    """
    count = round(spiculation * rng.uniform(22, 50))
    tufts = rng.uniform(0, 2 * math.pi, 5)
    turn = np.where(
        rng.random(count) < 0.5, rng.choice(tufts, count) + rng.normal(0, 0.3, count), rng.uniform(0, 7, count)
    )
    tilt = rng.normal(0, 0.2, count)
    out = np.stack([np.cos(turn) * np.cos(tilt), np.sin(turn) * np.cos(tilt), np.sin(tilt)], -1)
    reach = np.interp(turn, TURN, shape.outline, period=2 * math.pi)[:, None]
    length = np.minimum(rng.gamma(1.8, 1.0 + 2.0 * spiculation, (count, 1)), 12)
    base = np.append(shape.centre, 0) + out * reach * rng.uniform(0.75, 0.92, (count, 1))
    tip = base + unit(out + 0.22 * rng.standard_normal((count, 3))) * (length + 0.15 * reach)
    strand = bent_path(rng, base, tip, 3, 0.07)
    thick = rng.uniform(0.2, 0.42, (count, 1)) * (0.85 + 0.02 * shape.diameter)
    radii = thick * np.array([2.4, 1.1, 0.75, 0.25])
    forked = rng.random(count) < 0.35
    twig = strand[:, 1] + unit(out + 0.6 * rng.standard_normal((count, 3))) * length * 0.6
    twigs = np.concatenate([strand[:, 1], twig, 0.9 * thick, 0.25 * thick], 1)[forked]
    return np.concatenate([polyline(strand, radii), twigs])
