"""What a synthetic CT of a head must have, whosever head it is: bone, a vault, air around it, no pattern of patches.

All functions take RAS volumes with axis-aligned, nearly isotropic voxels (`ganlab.imaging.grid.model_grid`).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ganlab.errors import InputError
from ganlab.imaging.masks import fill_cavities
from ganlab.imaging.metrics import BONE_HU
from ganlab.imaging.volume import Volume

DENSE_HU = 1200.0
MARGIN_MM = 5.0  # from the head to what counts as outside
CLOSING_MM = 4.0  # closes the skin where the signal is low
RAYS, RAY_STEP = 6_000, 0.5  # mm
FIRST_MM, LAST_MM = 30.0, 140.0  # from the brain's centre: where rays look for the vault
LEAST_HEIGHT = 0.2  # of a ray's direction: the upper head, above orbits and petrous bones
PERIODS = (2, 4, 8, 16)  # pixels: a network's strides
LEAST_RATIO = 2.0  # of a pattern: anatomy reaches 1.3 on real CTs
CUBE = 64  # voxels a side, a multiple of twice the longest period


def mr_head_mask(t1: Volume) -> np.ndarray:
    """The head on an MR with its bones and cavities: what is above Li's threshold, closed by 4 mm and
    filled; its largest body.

    Boolean, of the volume's shape. Li's threshold (Li and Tam 1998) lies between air and skin. Raises InputError if
    there is no contrast.
    """
    from skimage.filters import threshold_li

    smooth = ndimage.gaussian_filter(t1.array, 1.0 / t1.spacing)
    if not smooth.max() > smooth.min():
        raise InputError("The scan has the same value everywhere: give a T1-weighted scan of a head.")
    steps = max(1, round(CLOSING_MM / t1.spacing.mean()))
    closed = ndimage.binary_closing(np.pad(smooth > threshold_li(smooth), steps), iterations=steps)
    labels, _ = ndimage.label(fill_cavities(closed[(slice(steps, -steps),) * 3]))
    return labels == 1 + np.bincount(labels.ravel())[1:].argmax()


def outside_of(head: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """What is more than 5 mm outside a head: boolean, of its shape."""
    return ndimage.distance_transform_edt(~head, sampling=spacing) > MARGIN_MM


def bone_shares(ct: np.ndarray, head: np.ndarray) -> tuple[float, float]:
    """The shares of the head above 250 HU and above 1,200 HU. Real CT heads have 15 to 24 % and 2 to 6 %."""
    inside = ct[head]
    return float((inside > BONE_HU).mean()), float((inside > DENSE_HU).mean())


def vault(ct: Volume, centre: np.ndarray, up: np.ndarray) -> tuple[float, float]:
    """(median thickness in mm, share of rays that meet bone) of the vault of a CT.

    centre: of the brain, mm; up: the direction of the vertex, a unit vector. 6,000 rays leave the centre in directions
    more than 12 degrees above the horizontal. Where each first meets 250 HU is a point of the inner table, where it
    last leaves it one of the outer table, with whatever diploe in between. The thickness is the distance from a point
    of the outer table to the nearest one of the inner: oblique rays make it no larger. NaN without bone.
    """
    from scipy.spatial import KDTree

    directions = np.random.default_rng(0).normal(size=(3, 4 * RAYS))
    directions /= np.linalg.norm(directions, axis=0)
    directions = directions[:, up @ directions > LEAST_HEIGHT][:, :RAYS]
    radii = np.arange(FIRST_MM, LAST_MM, RAY_STEP)
    points = centre[:, None, None] + directions[:, :, None] * radii  # (3, rays, steps) mm
    voxels = (points - ct.affine[:3, 3, None, None]) / np.diag(ct.affine)[:3, None, None]
    hu = ndimage.map_coordinates(ct.array, voxels, order=1, cval=-1000.0)
    bone = hu > BONE_HU
    hit = bone.any(axis=1)
    if not hit.any():
        return np.nan, 0.0
    rays = np.arange(len(bone))[hit]
    first, last = bone[hit].argmax(axis=1), bone.shape[1] - 1 - bone[hit, ::-1].argmax(axis=1)
    inner, outer = (points[:, rays, at].T for at in (first, last))
    inner -= RAY_STEP / 2 * directions[:, hit].T  # crossings lie between two samples
    outer += RAY_STEP / 2 * directions[:, hit].T
    return float(np.median(KDTree(inner).query(outer)[0])), float(hit.mean())


def grid_pattern(volume: Volume, centre: np.ndarray) -> tuple[float, float]:
    """Whether the patches of a network show in the brain: (ratio, amplitude), 1 and 0 without a pattern.

    The power spectrum along each axis of a cube of 64 voxels around `centre` (mm), averaged over lines, at periods of
    2, 4, 8 and 16 voxels, compared with what the frequencies two bins to either side suggest (a straight line in
    logarithms). ratio: the largest of the periods and axes; amplitude: of a wave with its power in excess, in the unit
    of the volume, 0 for ratios up to 2, which anatomy may have. NaN for a volume smaller than the cube.
    """
    corner = np.round((centre - volume.affine[:3, 3]) / volume.spacing).astype(int) - CUBE // 2
    corner = np.clip(corner, 0, np.maximum(np.array(volume.shape) - CUBE, 0))
    cube = volume.array[tuple(slice(c, c + CUBE) for c in corner)]
    if min(cube.shape) < CUBE:
        return np.nan, np.nan
    waves = []
    for axis in range(3):
        lines = np.moveaxis(cube, axis, -1).astype(np.float64)
        lines = (lines - lines.mean(axis=-1, keepdims=True)) * np.hanning(CUBE + 1)[:-1]  # leaks into one bin only
        power = (np.abs(np.fft.rfft(lines)) ** 2).mean(axis=(0, 1)) + 1e-12
        power = np.concatenate([power, power[-2::-1]])  # beyond the Nyquist frequency
        for period in PERIODS:
            k = CUBE // period
            expected = np.sqrt(power[k - 2] * power[k + 2])
            gain = CUBE / 2 if period == 2 else CUBE / 4  # of a wave of amplitude 1 under the window
            waves.append((power[k] / expected, np.sqrt(max(0.0, power[k] - expected)) / gain))
    ratio, amplitude = max(waves)
    return float(ratio), float(amplitude) if ratio > LEAST_RATIO else 0.0


def step_ratio(array: np.ndarray, inside: np.ndarray) -> float:
    """Slice flicker without a reference: the mean absolute step between neighbouring slices within a mask along the
    axis where it is largest, relative to the middle one of the three axes; 1 if no direction stands out."""
    steps = []
    for axis in range(3):
        slices = np.moveaxis(inside, axis, 0)
        step = np.abs(np.diff(np.moveaxis(array, axis, 0), axis=0))
        steps.append(step[slices[1:] & slices[:-1]].mean(dtype=np.float64))
    _, middle, high = sorted(steps)
    return float(high / middle) if middle else np.nan
