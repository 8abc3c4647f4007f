"""Nodules measured from their images alone, and the measures of two sets against each other."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage, stats
from scipy.spatial import distance

from ganlab.phantoms.lungs.ct_slice import PIXEL

MEASURES = ("diameter_mm", "roundness", "mean_hu")
BINS = {"diameter_mm": (2, 28, 26), "roundness": (0.2, 1.0, 20), "mean_hu": (-700, 500, 24)}  # outer edges, number
CONTRAST = 150.0  # HU between a nodule and the lung around it, at least
SOFT = 60.0  # HU that calcium is taken for, lest it raise the threshold


def measure_nodules(hu: np.ndarray) -> dict[str, np.ndarray]:
    """Diameter in mm (of the disc of the same area), roundness (4 area / (pi longest diameter^2)) and mean HU of the
    nodule in the middle of patches (N, 56, 56) of HU: name -> (N,), with nan where none can be told from what is
    around it, such as the chest wall.

    The nodule is what lies above the middle between lung and its core, with the vessels that leave it opened off by a
    disc of half its inner radius; spicules go too. Solid ones are measured to a pixel. Of a part-solid one little more
    than the solid part is seen, so its diameter is some 4 mm short: compare images with images, not with the truth.
    """
    rows = [_measure(patch) for patch in hu]
    return {name: np.array([row[k] for row in rows]) for k, name in enumerate(MEASURES)}


def _measure(hu: np.ndarray) -> tuple[float, float, float]:
    nothing = (math.nan,) * 3
    mask = segment_nodule(hu)
    if mask is None:
        return nothing
    outline = np.argwhere(mask & ~ndimage.binary_erosion(mask))
    longest = (distance.pdist(outline).max(initial=0.0) + 1) * PIXEL  # from the far side of a pixel to that of another
    diameter = 2 * math.sqrt(mask.sum() / math.pi) * PIXEL
    inside = ndimage.binary_erosion(mask)
    return diameter, min(1.0, (diameter / longest) ** 2), float(hu[inside if inside.any() else mask].mean())


def segment_nodule(hu: np.ndarray) -> np.ndarray | None:
    """Mask of the nodule in the middle of a patch (H, W) of HU, or None."""
    smooth = ndimage.gaussian_filter(hu, 0.7)
    lung = smooth[smooth < -600]
    middle = tuple(slice(n // 2 - 4, n // 2 + 4) for n in hu.shape)
    core = min(SOFT, ndimage.gaussian_filter(hu, 1.2)[middle].max())
    if lung.size < 0.1 * hu.size or core - np.median(lung) < CONTRAST:
        return None
    dense = ndimage.binary_fill_holes(smooth > (core + np.median(lung)) / 2)
    depth = ndimage.distance_transform_edt(dense)
    seed = _climb(depth, np.array(hu.shape) // 2)
    if seed is None:
        return None
    for share in (0.5, 0.7, 0.85):  # opened wider where it hangs on the wall
        pieces, _ = ndimage.label(depth > share * depth[seed])
        around = ndimage.distance_transform_edt(pieces != pieces[seed])
        mask = (around < share * depth[seed] + 0.5) & dense
        if not (mask[[0, -1]].any() or mask[:, [0, -1]].any()):
            return mask
    return None


def _climb(depth: np.ndarray, start: np.ndarray) -> tuple[int, int] | None:
    """The maximum of depth that is reached from the deepest place within 4 pixels of the middle; None if none is
    dense."""
    y, x = start
    window = depth[y - 4 : y + 5, x - 4 : x + 5]
    if window.max() <= 0:
        return None
    y, x = np.unravel_index(window.argmax(), window.shape) + start - 4
    highest = ndimage.maximum_filter(depth, 5)
    while depth[y, x] < highest[y, x]:
        around = depth[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
        step = np.unravel_index(around.argmax(), around.shape)
        y, x = max(0, y - 2) + step[0], max(0, x - 2) + step[1]
    return int(y), int(x)


def compare_measures(reference: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Of each measure, between the values that are numbers: Kolmogorov-Smirnov's statistic (0 to 1, the widest gap of
    the distribution functions), Wasserstein's distance in the measure's unit, and the share measured of the other."""
    result = {}
    for name, values in reference.items():
        a, b = _numbers(values), _numbers(other[name])
        shift = float(stats.wasserstein_distance(a, b)) if len(a) and len(b) else math.nan
        result[name] = {"ks": _gap(a, b), "wasserstein": shift, "measured": len(b) / len(other[name])}
    return result


def _numbers(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def _gap(a: np.ndarray, b: np.ndarray) -> float:
    return float(stats.ks_2samp(a, b).statistic) if len(a) and len(b) else math.nan


Measured = tuple[dict[str, np.ndarray], np.ndarray]  # as measure_nodules returns, labels (N,)


def distributions(held_out: Measured, generated: Measured, real: Measured, classes: tuple[str, ...]) -> dict:
    """Of each measure, "range", the outer edges of its bins, all as wide, in the measure's unit; and of each of the
    classes the counts by bin of the held-out and of the generated nodules, the Kolmogorov-Smirnov distance of the two
    ("ks"), and that of other real nodules from the held-out ("floor")."""
    result = {name: {"range": list(BINS[name][:2]), "classes": {}} for name in MEASURES}
    for name, found in result.items():
        for k, word in enumerate(classes):
            known, made, other = (_numbers(m[name][labels == k]) for m, labels in (held_out, generated, real))
            counts = {"held_out": _counts(known, name), "generated": _counts(made, name)}
            found["classes"][word] = counts | {"ks": _gap(known, made), "floor": _gap(known, other)}
    return result


def _counts(values: np.ndarray, name: str) -> str:
    """Of each bin, in one string, so that a card stays short; what lies beyond the edges counts in the outer bins."""
    low, high, bins = BINS[name]
    counts, _ = np.histogram(np.clip(values, low, high), bins, (low, high))
    return " ".join(map(str, counts))
