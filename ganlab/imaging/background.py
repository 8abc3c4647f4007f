"""The background of an MR scan: the value of air, which varies slowly over the field of view and need not be 0.

Scans that were shifted, z-scored, scaled to [-1, 1], averaged or denoised have air at another value than 0. All
estimates here follow a x + b: the background of a scan that was scaled and shifted is scaled and shifted alike.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ganlab.errors import InputError
from ganlab.imaging.volume import Volume

HIGHEST = 1e12  # what float32 can square and sum
SAMPLE_MM = 2.0  # every voxel of larger ones, every second of 1 mm
HEAD = 0.2  # of the range from air to bright tissue: any part of a head, and no pedestal
MARGIN_MM = 6.0  # around the head, where its blurred edge ends
BLOCK_MM = 20.0  # the background is estimated in cubes
SPREAD_BLOCKS = 1.5  # and smoothed over their neighbours
FEWEST = 500  # voxels that show the background of a scan ...
FEWEST_IN_BLOCK = 60  # ... or of a cube
RAYLEIGH = 0.64  # of p50 - p10 lies between the 10th percentile of a magnitude's noise and its zero
SOLID_SHARE = 0.01  # of all voxels, with one and the same value
AROUND_MM = 30.0  # the shell around the head that tells what air is
FEW_SPECKS = 0.15  # share of that shell
CONSTANT = 0.01  # of the range to bright tissue
INVERTED_CORNERS = 6  # of 8
DARK = 0.5  # percentile of a head without air around it that stands for air


@dataclass(frozen=True)
class Background:
    """level: the value of air, one number or an array of the scan's shape. zero: its mean. range: from zero to bright
    tissue. fills: constants outside the field of view or in place of a face that are not the value of air. seen:
    whether the scan shows air around the head; otherwise its darkest tissue stands for it. head: where it is, boolean,
    on the grid of `sampled(scan)`."""

    level: np.ndarray | float
    zero: float
    range: float
    fills: tuple[float, ...]
    seen: bool
    head: np.ndarray


def sampled(scan: Volume) -> Volume:
    """Every n-th voxel along each axis, about 2 mm apart."""
    steps = _steps(scan)
    array = scan.array[tuple(slice(None, None, step) for step in steps)]
    return replace(scan, array=array, affine=scan.affine @ np.diag([*steps, 1.0]))


def _steps(scan: Volume) -> list[int]:
    return [max(1, round(SAMPLE_MM / mm)) for mm in scan.spacing]


def find_background(scan: Volume) -> Background:
    """The background of an MR scan.

    Air is what lies outside the bright objects and their margin. Its value is where the distribution of its noise
    begins: 0 for the magnitude of noise (Rayleigh), which networks know, and the value itself where it is constant or
    smooth. It is estimated in cubes of 20 mm and smoothed, so that a pedestal may vary. Raises InputError where air is
    brighter than the head, and for a scan that is constant almost everywhere.
    """
    sample = sampled(scan)
    array, spacing = sample.array.astype(np.float32), sample.spacing
    finite = np.isfinite(array)
    _check_magnitude(array[finite])
    constants = _constants(array)
    usual = finite & ~np.isin(array, constants)
    if not usual.any():
        constants, usual = constants[:1], finite & (array != constants[0])
    low, high = _range(array[usual] if np.unique(array[usual]).size > 1 else array[finite])
    distance = distance_to_head(np.where(usual, array, low), low + HEAD * (high - low), spacing)
    inside = array[usual & (distance == 0)]
    dark = float(np.percentile(inside if inside.size else array[usual], DARK))
    fills, air = _fills(array, constants, usual, distance, dark, 0.01 * (high - low))
    seen = bool(np.count_nonzero(air) >= FEWEST)
    _check_not_inverted(np.where(np.isin(array, fills), np.nan, array) if seen else array)
    level: np.ndarray | float = dark
    if seen:
        level = _surface(array, air, spacing, scan.shape, _steps(scan))
        if np.ptp(level) < CONSTANT * (high - low):
            level = _edge(array[air])
    zero = float(np.mean(level))
    return Background(level, zero, high - zero, fills, seen, distance == 0)


def without_background(scan: Volume, background: Background) -> np.ndarray:
    """The scan with air at 0 and nothing below, float32, in its own units."""
    array = np.maximum(scan.array.astype(np.float32) - background.level, 0)
    unknown = ~np.isfinite(scan.array)
    for fill in background.fills:
        same = scan.array == np.float32(fill)
        brighter = fill > background.zero + 0.05 * background.range  # then a mixture with it looks like tissue
        unknown |= ndimage.binary_dilation(same) if brighter and background.seen else same
    array[unknown] = 0
    return array


def _check_magnitude(values: np.ndarray) -> None:
    if values.size and (highest := float(np.abs(values).max())) > HIGHEST:
        raise InputError(f"Values reach {highest:.2g}, more than {HIGHEST:g}: rescale the scan.")


def _constants(array: np.ndarray) -> list[np.float32]:
    """Values that fill a part of the volume and of its faces: air stored as one value, padding, a removed face."""
    faces = np.concatenate([np.take(array, (0, -1), axis).ravel() for axis in range(3)])
    values, counts = np.unique(faces[np.isfinite(faces)], return_counts=True)
    return [value for value in values[counts.argsort()[::-1][:4]] if _is_solid(array == value)]


def _is_solid(same: np.ndarray) -> bool:
    count = int(np.count_nonzero(same))
    if count < SOLID_SHARE * same.size:
        return False
    pairs = ((same.take(range(1, n), axis), same.take(range(n - 1), axis)) for axis, n in enumerate(same.shape))
    return max(int(np.count_nonzero(one & other)) for one, other in pairs) > 0.8 * count


def _fills(
    array: np.ndarray,
    constants: list[np.float32],
    usual: np.ndarray,
    distance: np.ndarray,
    dark: float,
    tolerance: float,
) -> tuple[tuple[float, ...], np.ndarray]:
    """Those constants that are not air, and where air is, boolean.

    Air is what surrounds the head: noise and the constants within its range, or, if there is hardly any noise, the most
    frequent constant, unless it is brighter than the darkest tissue or far below it.
    """
    around = (distance > MARGIN_MM) & (distance <= AROUND_MM)
    noise, counts = array[around & usual], [np.count_nonzero(array[around] == c) for c in constants]
    main = constants[int(np.argmax(counts))] if constants else np.inf
    if noise.size >= max(FEWEST, FEW_SPECKS * np.count_nonzero(around)):
        low, high = np.percentile(noise, [1, 90])
    elif dark - 500 * tolerance <= main <= dark + 5 * tolerance:
        low = high = main
    else:
        return tuple(map(float, constants)), np.zeros(array.shape, bool)
    same = [c for c in constants if low - tolerance <= c <= high + tolerance]
    fills = tuple(float(c) for c in constants if c not in same)
    return fills, (distance > MARGIN_MM) & (usual | np.isin(array, same))


def _range(values: np.ndarray) -> tuple[float, float]:
    """From dark to bright tissue: the 1st percentile, and the 95th of what is brighter than Otsu's threshold."""
    from skimage.filters import threshold_otsu

    if values.size < FEWEST_IN_BLOCK or values.min() == values.max():
        raise InputError("The scan has one value almost everywhere, so it shows no head: give a scan of a head.")
    low, top = np.percentile(values, [1, 99.9])
    values = values.clip(low, top)
    high = float(np.percentile(values[values > threshold_otsu(values)], 95)) if top > low else float(top)
    if not high > low:
        raise InputError("The scan has one value almost everywhere, so it shows no head: give a scan of a head.")
    return float(low), high


def distance_to_head(array: np.ndarray, threshold: float, spacing: np.ndarray) -> np.ndarray:
    """mm to the head, 0 inside: everything larger than a speck that is brighter than a threshold, with its cavities."""
    labels, _ = ndimage.label(ndimage.gaussian_filter(array, SAMPLE_MM / spacing) > threshold)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    bright = (sizes >= 0.02 * sizes.max())[labels] & (labels > 0)
    head = ndimage.binary_fill_holes(ndimage.binary_closing(np.pad(bright, 4), iterations=3))[4:-4, 4:-4, 4:-4]
    return ndimage.distance_transform_edt(~head, sampling=spacing)


def _edge(values: np.ndarray) -> float:
    """Where a distribution of noise begins; see RAYLEIGH. Not below its 1st percentile."""
    lowest, low, middle = np.percentile(values, [1, 10, 50])
    return float(max(low - RAYLEIGH * (middle - low), lowest))


def _check_not_inverted(array: np.ndarray) -> None:
    """Raise InputError if the corners are brighter than the middle."""
    middle = array[tuple(slice(n // 4, max(n // 4 + 1, 3 * n // 4)) for n in array.shape)]
    bright = float(np.nanpercentile(middle, 95))
    ends = [(slice(max(1, n // 8)), slice(-max(1, n // 8), None)) for n in array.shape]
    corners = (array[corner] for corner in itertools.product(*ends))
    if sum(np.isfinite(corner).any() and np.nanmedian(corner) > bright for corner in corners) >= INVERTED_CORNERS:
        raise InputError(
            "The air around the head is brighter than the head, so the contrast is inverted (or the background was "
            "filled with a bright value): give the T1 as scanned, with dark air."
        )


def _surface(
    array: np.ndarray, air: np.ndarray, spacing: np.ndarray, shape: tuple[int, ...], steps: list[int]
) -> np.ndarray:
    """The level of air, smooth over BLOCK_MM, at all voxels of the scan; array and air are samples of it."""
    size = np.maximum(1, np.rint(BLOCK_MM / spacing)).astype(int)  # voxels of a cube
    blocks = tuple(-(-np.array(array.shape) // size))
    at = np.nonzero(air)
    block = np.ravel_multi_index([index // n for index, n in zip(at, size, strict=True)], blocks)
    values = array[at]
    order = np.lexsort((values, block))
    values, counts = values[order], np.bincount(block, minlength=np.prod(blocks))
    start = np.cumsum(counts) - counts
    used = np.flatnonzero(counts >= min(FEWEST_IN_BLOCK, counts.max()))
    low, middle = (values[start[used] + (share * counts[used]).astype(int)] for share in (0.1, 0.5))
    level, weight = np.zeros(counts.size), np.zeros(counts.size)
    weight[used] = counts[used]
    level[used] = np.maximum(low - RAYLEIGH * (middle - low), np.percentile(values, 1)) * weight[used]
    smooth, total = (
        ndimage.gaussian_filter(each.reshape(blocks), SPREAD_BLOCKS, mode="constant", truncate=12)
        for each in (level, weight)
    )
    surface = (smooth / np.maximum(total, 1e-12 * total.max())).astype(np.float32)
    for axis, (full, step, n) in enumerate(zip(shape, steps, size, strict=True)):
        at_block = ((np.arange(full) / step - (n - 1) / 2) / n).clip(0, surface.shape[axis] - 1)
        below = np.minimum(at_block.astype(int), max(0, surface.shape[axis] - 2))
        weight_above = np.expand_dims((at_block - below).astype(np.float32), [a for a in range(3) if a != axis])
        above = surface.take(np.minimum(below + 1, surface.shape[axis] - 1), axis)
        surface = surface.take(below, axis) * (1 - weight_above) + above * weight_above
    return surface
