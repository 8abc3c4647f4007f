"""Where a CT head lies in the template: a rigid fit to the template's pose, then an affine and a smooth warp.

The template's side is the CT of the mean phantom, so that both images have the same contrast. The warp is that of
the diffeomorphic demons (Vercauteren et al., NeuroImage 45:S61, 2009), as SimpleITK has them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import InputError
from ganlab.imaging.grid import resample
from ganlab.imaging.registration import RAS_LPS, itk_image, register_rigid
from ganlab.imaging.volume import Volume
from ganlab.phantoms.build import Build
from ganlab.phantoms.fields import BOX_SIZE, Noise
from ganlab.phantoms.patient import MEAN_SIZE, Patient
from ganlab.phantoms.tissues import table

if TYPE_CHECKING:
    from SimpleITK import Image, Transform

SPACING = 2.0  # mm, voxels of the mean head and of the map to the template
LOW, HIGH = (-100.0, -130.0, -160.0), (100.0, 115.0, 100.0)  # mm, the box of the mean head
HU_SHOWN = (-600.0, 1000.0)  # metal, teeth and the depth of air do not steer the fit
LEVELS = ((4.0, 80), (2.0, 15))  # mm and iterations of the demons, coarse to fine
SMOOTH = 2.5  # voxels of each level: the warp follows the skull, not single air cells
LEAST_AGREEMENT = 0.45  # Dice of bone of the CT and the warped mean head above the skull base


@lru_cache(maxsize=1)
def mean_head() -> Volume:
    """CT of the phantom of mean build and size without a warp, in mm of the aligned pose, 2 mm voxels."""
    return drawn_mean(table("hu"), SPACING, "HU", "ct")


def drawn_mean(values: Tensor, spacing: float, unit: str, modality: str) -> Volume:
    """The same phantom with these values (tissues,) in voxels of a spacing in mm."""
    noise = Noise(torch.Generator().manual_seed(0), "cpu")
    patient = Patient(Build(), MEAN_SIZE * torch.eye(3), torch.zeros(3), torch.zeros((3, *BOX_SIZE)), noise)
    x, y, z = (torch.arange(low, high, spacing) for low, high in zip(LOW, HIGH, strict=True))
    slabs = []
    with torch.inference_mode():
        for slab in x.split(8):
            points = torch.stack(torch.meshgrid(slab, y, z, indexing="ij"))
            slabs.append(torch.tensordot(values, patient.shares(points, spacing), 1))
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = LOW
    return Volume(torch.cat(slabs).numpy(), affine, unit, modality)


def aligned(ct: Volume, spacing: float = 1.0) -> Volume:
    """A CT turned and shifted, not scaled, to the template's pose on a grid of this spacing that covers the head.

    ct: NaN where it shows nothing, as in the result. Raises InputError if no head is found in it.
    """
    _, matrix = register_rigid(_known(ct), mean_head())  # aligned mm -> the CT's mm
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = LOW
    grid = affine, tuple(int(n) for n in np.ceil((np.array(HIGH) - LOW) / spacing))
    turned = replace(_known(ct), affine=np.linalg.inv(matrix) @ ct.affine)
    known = replace(turned, array=np.isfinite(ct.array).astype(np.float32))
    image, shown = resample(turned, *grid, order=3, fill=-1000.0), resample(known, *grid)
    return replace(image, array=np.where(shown.array > 0.5, image.array, np.nan).astype(np.float32))


def template_map(ct: Volume) -> np.ndarray:
    """Template mm (3, X, Y, Z), float32, of each node of a 2 mm grid whose first lies at LOW mm in the aligned pose.

    ct: as `aligned` returns it; NaN where it has no voxels. Raises InputError if its skull does not fit the template's.
    """
    import SimpleITK as sitk

    mean = mean_head()
    seen = resample(_known(ct), mean.affine, mean.shape, fill=-1000.0)
    fixed, moving = (itk_image(v.array.clip(*HU_SHOWN), v.affine) for v in (seen, mean))
    affine = _affine(fixed, moving)
    moved = sitk.Resample(moving, fixed, affine, sitk.sitkLinear, HU_SHOWN[0])
    warp = _warp(fixed, moved)
    warped = sitk.GetArrayFromImage(sitk.Resample(moved, fixed, warp, sitk.sitkLinear, HU_SHOWN[0])).T
    _check_agreement(seen.array, warped)
    field = sitk.TransformToDisplacementField(
        sitk.CompositeTransform([affine, warp]), sitk.sitkVectorFloat64, *_grid(fixed)
    )
    nodes = sitk.GetArrayFromImage(field).T * np.diag(RAS_LPS)[:3, None, None, None]  # RAS mm
    axes = (low + SPACING * np.arange(n) for low, n in zip(LOW, mean.shape, strict=True))
    points = np.stack(np.meshgrid(*axes, indexing="ij")) + nodes
    return (MEAN_SIZE * points).astype(np.float32)


def _known(ct: Volume) -> Volume:
    """The CT with air where it has no voxels."""
    return replace(ct, array=np.nan_to_num(ct.array, nan=-1000.0))


def _grid(image: Image) -> tuple:
    return image.GetSize(), image.GetOrigin(), image.GetSpacing(), image.GetDirection()


def _affine(fixed: Image, moving: Image) -> Transform:
    """The affine transform from fixed to moving points that maximises mutual information."""
    import SimpleITK as sitk

    method, transform = sitk.ImageRegistrationMethod(), sitk.AffineTransform(3)
    method.SetNumberOfWorkUnits(1)  # a fixed order of summation, so that results repeat to the bit
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.05, seed=1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetInitialTransform(transform, inPlace=True)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 0.02, 200, relaxationFactor=0.7)
    method.SetOptimizerScales([70.0**2] * 9 + [1.0] * 3)
    method.Execute(fixed, moving)
    return transform


def _warp(fixed: Image, moving: Image) -> Transform:
    """The smooth displacement from fixed to moving points, found coarse to fine."""
    import SimpleITK as sitk

    field = None
    for spacing, iterations in LEVELS:
        factor = round(spacing / SPACING)
        level = [
            sitk.Shrink(sitk.DiscreteGaussian(i, [4.0] * 3), [factor] * 3) if factor > 1 else i for i in (fixed, moving)
        ]
        demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
        demons.SetNumberOfIterations(iterations)
        demons.SetSmoothDisplacementField(True)
        demons.SetStandardDeviations(SMOOTH)
        demons.SetSmoothUpdateField(True)
        demons.SetUpdateFieldStandardDeviations(1.0)
        if field is None:
            field = demons.Execute(*level)
        else:
            field = demons.Execute(*level, sitk.Resample(field, level[0], sitk.Transform(), sitk.sitkLinear, 0.0))
    return sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))


def _check_agreement(hu: np.ndarray, warped: np.ndarray) -> None:
    """Raise InputError if the two skulls above the skull base do not overlap: the CT is not of a head."""
    above = slice(round((-20 - LOW[2]) / SPACING), None)
    a, b = hu[..., above] > 250, warped[..., above] > 250
    agreement = 2 * (a & b).sum() / max(1, a.sum() + b.sum())
    if not agreement >= LEAST_AGREEMENT:
        raise InputError(
            f"The skull of this CT overlaps the template's with a Dice of {agreement:.2f}, less than "
            f"{LEAST_AGREEMENT:g}: is it the whole head of an adult, with the vault?"
        )
