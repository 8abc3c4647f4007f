"""The MNI152 tissue maps from nilearn's package, and the distance from their intracranial hull.

ICBM 152 nonlinear 2009a (Fonov et al., NeuroImage 47:S102, 2009), 1 mm, RAS.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ganlab.imaging.volume import Volume
from ganlab.phantoms.fields import sample_grid

HULL_ORIGIN = np.array([-130.0, -170.0, -240.0])
HULL_SPACING = 2.0
HULL_SIZE = (131, 161, 191)


class Template(NamedTuple):
    tissue: Tensor  # (2, 197, 233, 189): grey and white matter probability
    origin: Tensor  # (3,) mm of its first voxel
    hull: Tensor  # (1, X, Y, Z): mm from the intracranial hull, negative inside
    hull_origin: Tensor

    def grey_white(self, points: Tensor) -> Tensor:
        """(2, ...) probability of grey and white matter at points (3, ...) mm."""
        return sample_grid(self.tissue, points, self.origin, 1.0, padding="zeros")

    def distance(self, points: Tensor) -> Tensor:
        """(...) mm from the intracranial hull at points (3, ...) mm, negative inside."""
        return sample_grid(self.hull, points, self.hull_origin, HULL_SPACING)[0]


def _packaged(name: str) -> tuple[np.ndarray, np.ndarray]:
    """(probability map, affine) of a file inside nilearn's package; importing nilearn itself would take seconds."""
    spec = importlib.util.find_spec("nilearn")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("The phantoms need the MNI152 maps in nilearn's package: pip install nilearn.")
    data = Path(spec.submodule_search_locations[0]) / "datasets" / "data"
    image = nib.Nifti1Image.from_filename(data / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz")
    return np.asarray(image.dataobj, dtype=np.float32) / 255, image.affine


@lru_cache(maxsize=1)
def brain_t1() -> Volume:
    """The T1-weighted brain of the template, white matter near 1 and 0 outside the brain and its fluid."""
    array, affine = _packaged("t1")
    return Volume(array, affine, modality="t1")


@lru_cache(maxsize=1)
def _arrays() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    (grey, affine), (white, _) = _packaged("gm"), _packaged("wm")
    tissue = np.stack([grey, white])
    origin = affine[:3, 3].astype(np.float32)

    # The hull: grey and white matter with sulci, ventricles and the subarachnoid space closed, on a wider 2 mm grid.
    # Closing needs distances of at most 9 mm, so it runs on the brain's box; the signed distance needs the whole grid.
    margin = 8
    inside = np.pad((tissue.sum(0) > 0.4)[::2, ::2, ::2], margin)
    outside = ndimage.distance_transform_edt(~inside, sampling=HULL_SPACING)
    closed = ndimage.distance_transform_edt(outside < 9.0, sampling=HULL_SPACING) > 8.0
    closed = ndimage.binary_fill_holes(closed | inside)
    start = np.round((origin - HULL_ORIGIN) / HULL_SPACING).astype(int) - margin
    box = tuple(slice(s, s + n) for s, n in zip(start, closed.shape, strict=True))
    brain = np.zeros(HULL_SIZE, dtype=bool)
    brain[box] = closed
    signed = ndimage.distance_transform_edt(~brain)
    signed[box] -= ndimage.distance_transform_edt(closed)
    hull = ndimage.gaussian_filter(signed.astype(np.float32) * HULL_SPACING, 1.5)
    return tissue, origin, hull


@lru_cache(maxsize=2)
def load_template(device: str = "cpu") -> Template:
    """The maps as tensors. The first call takes a few seconds and about 0.2 GB; later calls are cached."""
    tissue, origin, hull = _arrays()
    return Template(
        torch.from_numpy(tissue).to(device),
        torch.from_numpy(origin).to(device),
        torch.from_numpy(hull)[None].to(device),
        torch.tensor(HULL_ORIGIN, dtype=torch.float32, device=device),
    )
