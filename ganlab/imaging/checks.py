"""Checks of a scan before translation: is it a CT, and is it skull-stripped?"""

from __future__ import annotations

import numpy as np

from ganlab.imaging.volume import Volume

STRIPPED_LITRES = (0.4, 2.3)  # a brain with its fluid has 0.9 to 2.0, a head at least 2.8
CUT_FACE = 0.15  # largest share of a face of the field of view covered by an extracted brain, which rarely touches one
SKULL_DEPTH = (4.0, 12.0)  # mm below the surface, where a head has bone
SKULL_SHARE = 0.2  # share of dark voxels at that depth that indicates a skull


def looks_like_ct(volume: Volume) -> bool:
    """Whether the values are Hounsfield units: a peak of air near -1000, tissue near 0, and bone.

    Phase images have negative values too, but no such peak. A CT that was stored without its offset of -1024, or
    without the air around the head, is not recognised.
    """
    array = volume.array
    air, between, tissue = (_share(array, *span) for span in ((-1100, -850), (-750, -250), (-150, 150)))
    return bool(air > 0.05 and air > 2 * between and tissue > 0.03 and array.max() > 300)


def _share(array: np.ndarray, low: float, high: float) -> float:
    return np.count_nonzero((array >= low) & (array <= high)) / array.size


def looks_skull_stripped(volume: Volume) -> bool:
    """Whether a head MR shows only the brain, without skull.

    True if the bright region, with holes filled, has the volume of a brain, is not cut by the field of view, and has
    no dark band (the skull) 4 to 12 mm below its surface. The band identifies a child's whole head, which may have the
    volume of an adult brain; the cut identifies a slab of a head.
    """
    from scipy import ndimage

    every = tuple(slice(None, None, max(1, round(2.0 / step))) for step in volume.spacing)
    array = volume.array[every]  # about 2 mm
    spacing = volume.spacing * [part.step for part in every]
    values, counts = np.unique(array, return_counts=True)
    background = values[counts.argmax()] if counts.max() >= 0.1 * array.size else np.nan  # stored as one value
    tissue = array[array != background]
    if not tissue.size:
        return False
    floor = np.fmin(background, np.percentile(tissue, 1))  # standardised tissue lies on both sides of it
    signal = np.where(array == background, 0, np.maximum(array - floor, 0))
    signal /= max(np.percentile(signal, 99.5), np.finfo(np.float32).tiny)

    labels, _ = ndimage.label(signal > 0.03)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    bright = (sizes >= 0.02 * sizes.sum())[labels] & (labels > 0)  # ignores specks
    if not bright.any():
        return False
    cut = max(bright.take(end, axis).mean() for axis in range(3) for end in (0, -1))
    box = ndimage.find_objects(bright.astype(np.uint8))[0]
    patient, signal = np.pad(bright[box], 6), np.pad(signal[box], 6)
    around, _ = ndimage.label(~ndimage.binary_closing(patient, iterations=4))  # bridges a skull of up to 16 mm
    patient = around != around[0, 0, 0]  # holes filled
    litres = np.count_nonzero(patient) * np.prod(spacing) / 1e6
    if not STRIPPED_LITRES[0] < litres < STRIPPED_LITRES[1] or cut > CUT_FACE:
        return False
    depth = ndimage.distance_transform_edt(patient, sampling=spacing)
    shell = signal[(depth > SKULL_DEPTH[0]) & (depth <= SKULL_DEPTH[1])]
    return bool(shell.size and np.mean(shell < 0.12) < SKULL_SHARE)
