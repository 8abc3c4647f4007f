"""A common scale for MR intensities, which have no unit."""

from __future__ import annotations

import numpy as np

from ganlab.imaging.volume import Volume

DEPTH_MM = 22.0  # below the skin there is nothing but brain and its fluid ...
HEIGHT_MM = 100.0  # ... this far down from the vertex
FEWEST = 50  # voxels that make a histogram


def mr_gain(array: np.ndarray) -> float:
    """The factor that scales a T1-weighted head to the range that networks are trained on, tissue near 1.

    One over the 95th percentile of the voxels brighter than half of Otsu's threshold. That is white matter where fat is
    suppressed, and between white matter and fat where it is not; training covers both. It is coarse: with bright fat,
    white matter comes out at 0.6 to 0.7. Where errors are measured, use `white_matter_level`.
    """
    from skimage.filters import threshold_otsu

    sample = array[::3, ::3, ::3]
    foreground = sample[sample > 0.5 * threshold_otsu(sample)]
    return 1.0 / float(np.percentile(foreground, 95))


def white_matter_level(t1: Volume, head: np.ndarray) -> float:
    """The intensity of white matter on a T1-weighted scan, in the scan's own units.

    head: boolean, on the scan's grid. Deep below the skin and near the vertex there are three kinds of voxels, fluid,
    grey and white matter: the answer is the median of the brightest of three classes (Otsu's thresholds) of the scan,
    smoothed by 2 mm. On phantoms it is within 2 % of the labels (14 % under a strongly shading coil). A mask that
    is too small for this is used as a whole. NaN if there is no signal.
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
    return float(np.median(values[values > threshold_multiotsu(values, 3)[1]]))
