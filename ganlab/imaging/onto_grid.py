"""Volumes brought onto the grid of another one, so that they can be compared voxel by voxel."""

from __future__ import annotations

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.grid import canonical, resample, same_grid
from ganlab.imaging.metrics import check_same_grid
from ganlab.imaging.volume import Volume

LEAST_COVERED = 0.05  # of the reference's grid


def onto_grid(
    name: str, volume: Volume, reference: Volume, resampling: bool = False, order: int = 1, fill: float = 0.0
) -> Volume:
    """A volume on the reference's grid.

    Axes in another order or direction are brought into the reference's, which changes no value. Other grids are
    interpolated if `resampling` says so, with a notice, and refused with InputError otherwise, as are volumes that
    hardly overlap the reference. order, fill: as of `grid.resample`.
    """
    if same_grid(volume, reference):
        return volume
    if same_grid(canonical(volume), canonical(reference)):
        return resample(volume, reference.affine, reference.shape, order=0, fill=fill)
    if not resampling:
        try:
            check_same_grid(name, volume, reference)
        except InputError as error:
            raise InputError(f"{str(error).rstrip('.')}, or let it be resampled (--resample).") from None
    covered = Volume(np.ones(volume.shape, np.uint8), volume.affine)
    share = float(resample(covered, reference.affine, reference.shape, order=0).array.mean())
    if share < LEAST_COVERED:
        raise InputError(
            f"The {name} covers {share:.0%} of the reference's grid: the two do not lie in the same place; register "
            "them first."
        )
    how = "by nearest neighbour" if order == 0 else "linearly"
    return resample(volume, reference.affine, reference.shape, order=order, fill=fill).with_notices(
        f"It was resampled {how} from voxels of {_mm(volume)} mm onto the reference's grid of {_mm(reference)} mm"
        + (f", of which it covers {share:.0%}." if share < 0.995 else ".")
    )


def _mm(volume: Volume) -> str:
    return " x ".join(f"{mm:.3g}" for mm in volume.spacing)
