"""The air around a head in a network's input: it must look like the air of a scan, also where there is no scan."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

FEW = 0.01  # share of clean air in a noisy scan that may be chance
EDGE, NOISY = 3, 0.5  # voxels from clean air to air inside the field of view; share of these that is dark
HEAD, SIGNAL = 0.12, 0.02  # above air, in the network's units: part of a head; anything but air


def fill_with_noise(array: np.ndarray, air: float) -> None:
    """Fill clean air beyond the field of view of an MR scan with noise like that of the air inside it, in place; does
    nothing to a scan whose air is clean. An edge between noise and clean air would be taken for skin.

    array: (X, Y, Z), in the network's units. The noise of air in a magnitude image has a Rayleigh distribution
    (Gudbjartsson and Patz, Magn Reson Med 34:910, 1995). Its level is the median of what is darker than a head within
    EDGE voxels of the clean air.
    """
    clean = array == air
    if not FEW < clean.mean() < 1:
        return
    values, voxels = [], 0
    for axis in range(3):
        a, c = np.moveaxis(array, axis, 0), np.moveaxis(clean, axis, 0)
        for inner, outer in ((slice(EDGE, None), slice(None, -EDGE)), (slice(None, -EDGE), slice(EDGE, None))):
            beside = a[inner][c[outer] & ~c[inner]]
            values.append(beside[beside < air + HEAD])
            voxels += beside.size
    dark = np.concatenate(values)
    if dark.size > NOISY * voxels and (level := float(np.median(dark)) - air) > SIGNAL:
        noise = np.random.default_rng(0).random(array.shape, np.float32)
        sigma = round(level / np.sqrt(np.log(4)), 3)  # in steps: the same for the same scan in another voxel order
        array[clean] = air + sigma * np.sqrt(-2 * np.log1p(-noise[clean]))


def padded_with_air(x: torch.Tensor, rows: int, columns: int, air: float) -> torch.Tensor:
    """(N, 1, H, W) with more rows and columns of air that is as noisy as the scan's: its mirror image without the head.
    An edge between noise and clean air would be taken for skin."""
    h, w = x.shape[2:]
    if rows >= h or columns >= w:
        return F.pad(x, (0, columns, 0, rows), value=air)
    x = F.pad(x, (0, columns, 0, rows), mode="reflect")
    for added in (x[:, :, h:], x[:, :, :, w:]):
        added[added > air + HEAD] = air
    return x
