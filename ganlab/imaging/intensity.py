"""A common scale for MR intensities, which have no unit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.background import Background, find_background, sampled, without_background
from ganlab.imaging.checks import looks_skull_stripped
from ganlab.imaging.volume import Volume

LIKELY = (0.4, 1.3)  # white matter relative to the 95th percentile of bright voxels: 0.6 with fat, 1 without
SAID = 0.02  # of the range to bright tissue: a background beyond it is mentioned
DEPTH_MM = 22.0  # below the skin there is nothing but brain and its fluid ...
HEIGHT_MM = 100.0  # ... this far down from the vertex
FEWEST = 50  # voxels that make a histogram
HOT = 99.9  # percentile of a scan; above it there may be spikes
# What the darkest voxels of a head are at, relative to white matter, and the share of it that is a floor: none of the
# noise and partial volume of single scans (at most 0.06), all in an average of 27 scans (0.1), and none of fluid.
FLOORS, FLOOR_SHARES = (0.06, 0.09, 0.13, 0.18), (0.0, 1.0, 1.0, 0.0)
SAID_FLOOR = 0.03  # a lower one is as large as noise
DARKEST, INSIDE_MM = 0.5, 6.0  # percentile of the voxels that are so deep below the skin


def normalise_mr(scan: Volume) -> Volume:
    """An MR scan in the networks' units: float32, air 0, white matter 1, nothing below 0.

    The background is subtracted (see `find_background`), and the rest is divided by the level of white matter, so that
    a x + b with any a > 0 gives the same result. A floor under the head alone is subtracted as well. Notices are added
    for a background that was not at 0, a floor above 3 %, and for constants that were set to air. Raises InputError for
    a scan whose air is brighter than the head, or that is constant almost everywhere.
    """
    background = find_background(scan)
    array = without_background(scan, background)
    array *= np.float32(_gain(replace(scan, array=array), background))
    notices = _background_notices(background)
    if floor := _floor(replace(scan, array=array), background.head):
        array = np.maximum(array - np.float32(floor), 0) / np.float32(1 - floor)
        if floor > SAID_FLOOR:
            notices.append(
                f"Bone and air inside the head are no darker than {floor:.0%} of white matter, as in averages of many "
                "scans, after smoothing, or if intensities were transformed (a logarithm, a root): this floor was "
                "subtracted. If they were transformed, give the scan as it was."
            )
    return replace(scan, array=array).with_notices(*notices)


def _floor(scan: Volume, head: np.ndarray) -> float:
    """What remains in the darkest tissue of a head whose surroundings are at 0; white matter is 1. The noise of
    averaged magnitudes, interpolation and blur leave compact bone and sinuses as bright as fluid, where air around the
    head was set to 0.

    head: boolean, on the grid of `sampled(scan)`.
    """
    from scipy import ndimage

    sample = sampled(scan)
    depth = ndimage.distance_transform_edt(np.pad(head, 1), sampling=sample.spacing)[1:-1, 1:-1, 1:-1]
    inner = sample.array[depth > INSIDE_MM]
    if inner.size < FEWEST:
        return 0.0
    level = float(np.percentile(inner, DARKEST))
    floor = level * float(np.interp(level, FLOORS, FLOOR_SHARES))
    return 0.0 if floor and looks_skull_stripped(scan) else floor  # there the darkest is fluid


def _gain(t1: Volume, background: Background) -> float:
    """One over the level of white matter, or `mr_gain` where that makes no sense, such as in half a head."""
    sample = sampled(t1)
    level, coarse = white_matter_level(sample, background.head), mr_gain(sample.array)
    return 1 / level if LIKELY[0] <= level * coarse <= LIKELY[1] else coarse


def _background_notices(background: Background) -> list[str]:
    def shown(value: float) -> str:
        return f"{0.0 if abs(value) < 1e-3 * background.range else value:.4g}"

    notices, level, zero = [], background.level, shown(background.zero)
    if not background.seen:
        notices.append(
            f"There is no air around the head that would tell the scan's zero: its darkest tissue, at {zero}, was "
            "taken for air."
        )
    elif abs(background.zero) > SAID * background.range:
        notices.append(f"Air around the head is at {zero} and not at 0: this background was subtracted.")
    if isinstance(level, np.ndarray) and np.ptp(level) > SAID * background.range:
        low, high = shown(float(level.min())), shown(float(level.max()))
        notices.append(f"The background varies from {low} to {high} over the field of view: it was subtracted.")
    notices += [
        f"Voxels of exactly {fill:.4g} are outside the field of view or were masked: they were set to air."
        for fill in background.fills
    ]
    return notices


def mr_gain(array: np.ndarray) -> float:
    """The factor that scales a T1-weighted head with air at 0 to the range that networks are trained on, tissue near 1.

    array: a sample of its voxels, of any shape. One over the 95th percentile of those brighter than half of Otsu's
    threshold, which a few hot voxels do not move. That is white matter where fat is suppressed, and between white
    matter and fat where it is not. It is coarse: with bright fat, white matter comes out at 0.6 to 0.7, so
    `white_matter_level` is used where it can be. Raises InputError for a sample without any tissue.
    """
    from skimage.filters import threshold_otsu

    array = array.ravel()  # three slices would be taken for colours
    array = array.clip(max=np.percentile(array, HOT))
    foreground = array[array > 0.5 * threshold_otsu(array)]
    if not foreground.size:
        raise InputError("Nothing in this scan is brighter than its background: give a scan of a head.")
    return 1.0 / float(np.percentile(foreground, 95))


def white_matter_level(t1: Volume, head: np.ndarray) -> float:
    """The intensity of white matter on a T1-weighted scan, in the scan's own units.

    head: boolean, on the scan's grid. Deep below the skin and near the vertex there are three kinds of voxels, fluid,
    grey and white matter: the answer is the median of the brightest of three classes (Otsu's thresholds) of the scan,
    smoothed by 2 mm. On phantoms it is within 2 % of the labels (14 % under a strongly shading coil). A mask that
    is too small for this is used as a whole. NaN if there is no signal, or too few values for three classes.
    """
    from scipy import ndimage
    from skimage.filters import threshold_multiotsu

    from ganlab.imaging.grid import canonical

    t1, inside = canonical(t1), canonical(Volume(head.astype(np.uint8), t1.affine)).array > 0
    smooth = ndimage.gaussian_filter(t1.array, 2.0 / 2.3548 / t1.spacing)
    every = tuple(slice(None, None, max(1, round(2.0 / mm))) for mm in t1.spacing)
    spacing = t1.spacing * [part.step for part in every]
    smooth, inside = smooth[every], inside[every]
    deep = ndimage.distance_transform_edt(inside, sampling=spacing) > DEPTH_MM
    rows = np.flatnonzero(inside.any(axis=(0, 1)))
    if rows.size:
        deep[:, :, : max(0, int(rows[-1] - HEIGHT_MM / spacing[2]))] = False
    values = smooth[deep if np.count_nonzero(deep) >= FEWEST else inside]
    values = values[values > 0]
    if values.size < FEWEST or values.min() == values.max():
        return float("nan")
    values = values.clip(max=np.percentile(values, 99.5))
    try:
        _, upper = threshold_multiotsu(values, 3)
    except ValueError:  # fewer than three values, as in a mask
        return float("nan")
    return float(np.median(values[values > upper]))
