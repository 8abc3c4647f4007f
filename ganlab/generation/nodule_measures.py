"""Measures nodules from their images alone, and compares the measures of two sets."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage, stats
from scipy.spatial import distance

from ganlab.phantoms.lungs.ct_slice import PIXEL

MEASURES = ("diameter_mm", "roundness", "mean_hu")
BINS = {"diameter_mm": (2, 28, 26), "roundness": (0.2, 1.0, 20), "mean_hu": (-700, 500, 24)}  # from, to, number
MIN_CONTRAST = 150.0  # HU between a nodule and the surrounding lung
MAX_CORE = 60.0  # HU; calcium counts as this, so that it does not raise the threshold


def measure_nodules(hu: np.ndarray) -> dict[str, np.ndarray]:
    """Measure the nodule in the middle of patches (N, 56, 56) in HU: name -> (N,), NaN where it cannot be separated
    from its surroundings, such as the chest wall.

    "diameter_mm" is that of a disc of equal area, "roundness" is 4 area / (pi longest diameter^2), and "mean_hu" is the
    mean of the inside. The nodule is everything above the midpoint between lung and its core; an opening with a disc of
    half its inner radius cuts off vessels, and spicules too. Solid nodules are measured to within a pixel. Of
    part-solid ones little more than the solid part is found, so their diameter is about 4 mm too small: compare images
    with images, not with the truth.
    """
    rows = [_measure(patch) for patch in hu]
    return {name: np.array([row[k] for row in rows]) for k, name in enumerate(MEASURES)}


def _measure(hu: np.ndarray) -> tuple[float, float, float]:
    mask = segment_nodule(hu)
    if mask is None:
        return (math.nan,) * 3
    outline = np.argwhere(mask & ~ndimage.binary_erosion(mask))
    longest = (distance.pdist(outline).max(initial=0.0) + 1) * PIXEL  # between the outer sides of two pixels
    diameter = 2 * math.sqrt(mask.sum() / math.pi) * PIXEL
    inside = ndimage.binary_erosion(mask)
    return diameter, min(1.0, (diameter / longest) ** 2), float(hu[inside if inside.any() else mask].mean())


def segment_nodule(hu: np.ndarray) -> np.ndarray | None:
    """Mask (H, W) of the nodule in the middle of a patch in HU, or None if there is none."""
    smooth = ndimage.gaussian_filter(hu, 0.7)
    lung = smooth[smooth < -600]
    middle = tuple(slice(n // 2 - 4, n // 2 + 4) for n in hu.shape)
    core = min(MAX_CORE, ndimage.gaussian_filter(hu, 1.2)[middle].max())
    if lung.size < 0.1 * hu.size or core - np.median(lung) < MIN_CONTRAST:
        return None
    dense = ndimage.binary_fill_holes(smooth > (core + np.median(lung)) / 2)
    depth = ndimage.distance_transform_edt(dense)
    seed = _climb(depth, np.array(hu.shape) // 2)
    if seed is None:
        return None
    for share in (0.5, 0.7, 0.85):  # a larger opening for one attached to the wall
        parts, _ = ndimage.label(depth > share * depth[seed])
        distance_to_core = ndimage.distance_transform_edt(parts != parts[seed])
        mask = (distance_to_core < share * depth[seed] + 0.5) & dense
        if not (mask[[0, -1]].any() or mask[:, [0, -1]].any()):
            return mask
    return None


def _climb(depth: np.ndarray, start: np.ndarray) -> tuple[int, int] | None:
    """The local maximum of depth that is reached uphill from the deepest point within 4 pixels of `start`; None if
    nothing there is dense."""
    y, x = start
    window = depth[y - 4 : y + 5, x - 4 : x + 5]
    if window.max() <= 0:
        return None
    y, x = np.unravel_index(window.argmax(), window.shape) + start - 4
    highest = ndimage.maximum_filter(depth, 5)
    while depth[y, x] < highest[y, x]:
        neighbourhood = depth[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
        step = np.unravel_index(neighbourhood.argmax(), neighbourhood.shape)
        y, x = max(0, y - 2) + step[0], max(0, x - 2) + step[1]
    return int(y), int(x)


def compare_measures(reference: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Per measure, without NaN: the Kolmogorov-Smirnov statistic ("ks", 0 to 1, the largest gap between the
    distribution functions), the Wasserstein distance in the measure's unit, and the share of `other` that could be
    measured."""
    result = {}
    for name, values in reference.items():
        a, b = _finite(values), _finite(other[name])
        shift = float(stats.wasserstein_distance(a, b)) if len(a) and len(b) else math.nan
        result[name] = {"ks": _ks(a, b), "wasserstein": shift, "measured": len(b) / len(other[name])}
    return result


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def _ks(a: np.ndarray, b: np.ndarray) -> float:
    return float(stats.ks_2samp(a, b).statistic) if len(a) and len(b) else math.nan


Measured = tuple[dict[str, np.ndarray], np.ndarray]  # (result of measure_nodules, labels (N,))


def distributions(held_out: Measured, generated: Measured, real: Measured, classes: tuple[str, ...]) -> dict:
    """Histograms per measure: "range", from the first to the last edge of its equal bins in the measure's unit, and per
    class the counts by bin of held-out and generated nodules, their Kolmogorov-Smirnov statistic ("ks"), and that of
    other real nodules against the held-out ones ("floor")."""
    result = {name: {"range": list(BINS[name][:2]), "classes": {}} for name in MEASURES}
    for name, entry in result.items():
        for k, word in enumerate(classes):
            held_out_values, generated_values, real_values = (
                _finite(m[name][labels == k]) for m, labels in (held_out, generated, real)
            )
            counts = {"held_out": _counts(held_out_values, name), "generated": _counts(generated_values, name)}
            entry["classes"][word] = counts | {
                "ks": _ks(held_out_values, generated_values),
                "floor": _ks(held_out_values, real_values),
            }
    return result


def _counts(values: np.ndarray, name: str) -> str:
    """Counts per bin in one string, which keeps a card short; values beyond the range count in the outer bins."""
    low, high, bins = BINS[name]
    counts, _ = np.histogram(np.clip(values, low, high), bins, (low, high))
    return " ".join(map(str, counts))
