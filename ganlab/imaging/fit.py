"""Whether two CTs show one head, at one place: how well their skulls fit, before and after a rigid motion."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ganlab.imaging.grid import model_grid, resample
from ganlab.imaging.volume import Volume

GRID_MM = 2.0
BONE_HU, AIR_HU = 250.0, -1000.0
UPPER_MM = 90.0  # below the top: the vault, whose shape no jaw, throat or face changes
POINTS = 4000  # of each surface, compared with all of the other
FEWEST = 1500  # points of a skull
ROUNDS = 25
KEPT = 0.9  # of the points: lesions, flaps and cut edges are left out


class SkullFit(NamedTuple):
    """mm between two skulls after the best rigid motion, and mm by which this motion moves the first, on average; NaN
    if one of the two has no vault, or one half as large again as the other."""

    distance: float
    motion: float


def skull_fit(a: Volume, b: Volume) -> SkullFit:
    """How well the vaults' outer surfaces (above 250 HU) of two CTs fit that lie about over each other.

    Iterative closest points (Besl and McKay 1992) remove what a rigid motion explains. The distance is the mean over
    the closest 90 % of the points, of the worse of both directions: about 1 mm for a head and its synthetic CT (at most
    1.3 with today's models), 1.75 to 3.7 mm for two heads, phantoms or real.
    """
    from scipy.spatial import cKDTree

    affine, shape = model_grid(b, GRID_MM)
    moving, fixed = (_vault(resample(ct, affine, shape, fill=AIR_HU).array > BONE_HU, affine) for ct in (a, b))
    if len(moving) and len(fixed):
        lowest = max(moving[:, 2].min(), fixed[:, 2].min())  # fields of view may end at different heights
        moving, fixed = moving[moving[:, 2] >= lowest], fixed[fixed[:, 2] >= lowest]
    if min(len(moving), len(fixed)) < max(FEWEST, max(len(moving), len(fixed)) / 1.5):
        return SkullFit(float("nan"), float("nan"))
    start = moving
    sample, back = (np.random.default_rng(0).permutation(len(points))[:POINTS] for points in (moving, fixed))
    tree = cKDTree(fixed)
    for _ in range(ROUNDS):
        distance, index = tree.query(moving[sample])
        near = distance <= np.quantile(distance, KEPT)
        moving = _moved(moving, moving[sample][near], fixed[index[near]])
    distance = max(_mean(tree.query(moving[sample])[0]), _mean(cKDTree(moving).query(fixed[back])[0]))
    return SkullFit(distance, float(np.linalg.norm(moving - start, axis=1).mean()))


def _vault(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """(N, 3) mm: the outer surface of the largest part of a mask, down to UPPER_MM below its top."""
    filled = ndimage.binary_fill_holes(ndimage.binary_closing(np.pad(mask, 3), iterations=2))[3:-3, 3:-3, 3:-3]
    labels, count = ndimage.label(filled)
    if not count:
        return np.zeros((0, 3))
    filled = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
    edge = filled & ~ndimage.binary_erosion(filled, border_value=1)
    points = np.argwhere(edge) @ affine[:3, :3].T + affine[:3, 3]
    return points[points[:, 2] > points[:, 2].max(initial=-np.inf) - UPPER_MM]


def _moved(points: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Points after the rigid motion that brings source closest to target (Kabsch 1976)."""
    a, b = source.mean(axis=0), target.mean(axis=0)
    u, _, v = np.linalg.svd((source - a).T @ (target - b))
    rotation = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ v))]) @ v
    return (points - a) @ rotation + b


def _mean(distance: np.ndarray) -> float:
    return float(distance[distance <= np.quantile(distance, KEPT)].mean())
