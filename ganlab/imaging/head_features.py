"""What a scan that was scaled to air 0 and white matter 1 measures as a head: size, cuts, skull, contrast, texture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ganlab.imaging.background import HEAD, distance_to_head, sampled
from ganlab.imaging.grid import canonical
from ganlab.imaging.volume import Volume

# Boxes in mm in an adult head: from the midline to either side (x), around the middle of the head's length (y), below
# the top of the scalp (z). Centrum semiovale; lateral ventricles.
WHITE_MATTER = ((18.0, 34.0), (-28.0, 22.0), (46.0, 62.0))
VENTRICLES = ((3.0, 18.0), (-30.0, 30.0), (62.0, 82.0))
WIDTH_MM = 155.0  # of an adult head; the boxes scale with it
UPPER_MM = 100.0  # this far down from the top ...
DEEP_MM = 20.0  # ... nothing but brain and its fluid is so far below the skin,
SKULL_MM = (6.0, 14.0)  # and the skull lies here
NEAR = 0.1  # of the value: voxels of one tissue on CT
HIGHEST = 3.0  # brighter than any tissue: spikes count as this
FINE_MM, COARSE_MM = 2.0, 2.6  # lag at which detail is measured, and the largest at which it still can be
BRIGHT = 1.35  # brighter than any healthy brain on T1


@dataclass(frozen=True)
class HeadFeatures:
    """Numbers that tell a T1-weighted head from other images; NaN where a scan has no such place.

    litres, extent: of the bright object with its cavities; extent in mm, right to left, back to front, bottom to
    top. cut: the section through the head on each face of the grid (left, right, back, front, bottom, top),
    relative to the largest parallel one. equal: share of neighbouring voxels of the head with the same stored
    value. clipped: share of the head with exactly the largest stored value. smooth: correlation of neighbours.
    symmetry: correlation with the mirror image. peak: largest share of the head within 10 % of one value. skull:
    75th percentile at its depth, relative to that value. scalp: median above the skull, relative to that value.
    white: median of the white matter above the ventricles. rank: share of the deep brain that is darker. fluid:
    10th and 90th percentile around the ventricles. bright: share of the deep brain above BRIGHT. surface: 75th
    percentile at the depth of the skull. spread: of the deep brain, standard deviation over mean. detail: along each
    axis, the root mean square difference of voxels about 2 mm apart over that of voxels four times as far apart. empty:
    mm of slices along each axis that show nothing, between slices that show the head.
    """

    litres: float
    extent: tuple[float, float, float]
    cut: tuple[float, ...]
    equal: float
    clipped: float
    smooth: float
    symmetry: float
    peak: float
    skull: float
    scalp: float
    white: float
    rank: float
    fluid: tuple[float, float]
    bright: float
    surface: float
    spread: float
    detail: tuple[float, float, float]
    empty: tuple[float, float, float]


def head_features(scan: Volume, stored: np.ndarray) -> HeadFeatures:
    """Measure a scan on voxels about 2 mm apart.

    scan: air 0, white matter 1, as `normalise_mr` gives it. stored: the same voxels with the file's values.
    """
    sample = canonical(sampled(scan))
    array, spacing = sample.array.clip(max=HIGHEST), sample.spacing
    raw = canonical(sampled(replace(scan, array=stored))).array
    head = distance_to_head(array, HEAD, spacing) == 0
    places = np.argwhere(head)
    low, high = places.min(axis=0), places.max(axis=0) + 1
    width, length, height = ((high - low) * spacing).tolist()
    upper = np.zeros_like(head)
    upper[:, :, max(0, int(high[2] - UPPER_MM / spacing[2])) : high[2]] = True
    upper &= head
    depth = ndimage.distance_transform_edt(np.pad(head, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    deep = array[upper & (depth > DEEP_MM)]
    shell = array[upper & (depth > SKULL_MM[0]) & (depth <= SKULL_MM[1])]
    white, ventricles = (_box(array, upper, spacing, limits) for limits in (WHITE_MATTER, VENTRICLES))
    peak, value = _peak(array[head])
    inner = array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    inside = ndimage.binary_erosion(head)
    pairs = inside[1:] & inside[:-1]
    surface = _percentile(shell, 75)
    middle = _percentile(white, 50)
    return HeadFeatures(
        litres=float(head.sum() * np.prod(spacing) / 1e6),
        extent=(width, length, height),
        cut=tuple(_cuts(head)),
        equal=float((raw[1:] == raw[:-1])[pairs].mean()) if pairs.any() else np.nan,
        clipped=float((raw[head] == raw.max()).mean()) if head.any() else np.nan,
        smooth=_correlation(array[1:][pairs], array[:-1][pairs]),
        symmetry=_correlation(inner, inner[::-1]),
        peak=peak,
        skull=surface / value,
        scalp=_percentile(array[upper & (depth <= SKULL_MM[0])], 50) / value,
        white=middle,
        rank=float((deep < middle).mean()) if deep.size and white.size else np.nan,
        fluid=(_percentile(ventricles, 10), _percentile(ventricles, 90)),
        bright=float((deep > BRIGHT).mean()) if deep.size else np.nan,
        surface=surface,
        spread=float(deep.std() / deep.mean()) if deep.any() else np.nan,
        detail=_detail(array, head, spacing),
        empty=_empty(array > HEAD, spacing),
    )


def _empty(bright: np.ndarray, spacing: np.ndarray) -> tuple[float, float, float]:
    """mm of empty slices along each axis, between slices with at least a tenth of what the fullest one shows."""
    found = []
    for axis, step in enumerate(spacing):
        shown = bright.sum(axis=tuple(other for other in range(3) if other != axis)) / max(1, bright.sum())
        full = np.flatnonzero(shown > 0.1 * shown.max())
        between = shown[full[0] : full[-1] + 1] if len(full) else shown
        found.append(float((between < 0.01 * shown.max()).sum() * step))
    x, y, z = found
    return x, y, z


def _detail(array: np.ndarray, head: np.ndarray, spacing: np.ndarray) -> tuple[float, float, float]:
    """The detail along each axis, as at 2 mm; NaN where voxels are too far apart for that."""
    found = []
    for axis, step in enumerate(spacing):
        near, far = (_difference(np.moveaxis(array, axis, 0), np.moveaxis(head, axis, 0), lag) for lag in (1, 4))
        found.append(near / far * (FINE_MM / step) ** 0.5 if step <= COARSE_MM and far else np.nan)
    x, y, z = map(float, found)
    return x, y, z


def _difference(array: np.ndarray, head: np.ndarray, lag: int) -> float:
    """Root mean square difference along the first axis of voxels of the head that are `lag` apart; 0 if there are
    none."""
    both = head[lag:] & head[:-lag]
    return float(np.sqrt(np.square((array[lag:] - array[:-lag])[both]).mean())) if both.any() else 0.0


def _box(
    array: np.ndarray, upper: np.ndarray, spacing: np.ndarray, limits: tuple[tuple[float, float], ...]
) -> np.ndarray:
    """The values in a box on both sides of the midline of the upper head, such as WHITE_MATTER."""
    places = np.argwhere(upper)
    low, high = places.min(axis=0), places.max(axis=0)
    scale = spacing * WIDTH_MM / ((high[0] - low[0] + 1) * spacing[0])
    x, y = (np.arange(array.shape[axis]) - (low[axis] + high[axis]) / 2 for axis in (0, 1))
    at = np.abs(x) * scale[0], y * scale[1], (high[2] - np.arange(array.shape[2])) * scale[2]
    return array[np.ix_(*((mm >= a) & (mm <= b) for mm, (a, b) in zip(at, limits, strict=True)))].ravel()


def _cuts(head: np.ndarray) -> Iterator[float]:
    for axis in range(3):
        sections = head.sum(axis=tuple(other for other in range(3) if other != axis))
        yield from (float(sections[end] / sections.max()) for end in (0, -1))


def _peak(values: np.ndarray) -> tuple[float, float]:
    """The largest share of values within NEAR of one value, relative to it, and that value."""
    values = np.sort(values[values > HEAD])
    centres = np.geomspace(HEAD, 3.0, 80)
    counts = np.searchsorted(values, centres * (1 + NEAR)) - np.searchsorted(values, centres * (1 - NEAR))
    best = int(counts.argmax())
    return float(counts[best] / max(1, values.size)), float(centres[best])


def _percentile(values: np.ndarray, share: float) -> float:
    return float(np.percentile(values, share)) if values.size else np.nan


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if not a.size:
        return np.nan
    a, b = a.ravel() - a.mean(), b.ravel() - b.mean()
    return float(a @ b / max(np.sqrt((a @ a) * (b @ b)), np.finfo(np.float32).tiny))
