"""Affine registration of a head to a template of the brain, by mutual information (SimpleITK)."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.masks import fill_cavities
from ganlab.imaging.registration import (
    RAS_LPS,
    body_mask,
    image_pyramid,
    itk_image,
    mutual_information,
    transform_matrix,
)
from ganlab.imaging.volume import Volume

if TYPE_CHECKING:  # SimpleITK is loaded when a registration starts
    from SimpleITK import AffineTransform, Image, Similarity3DTransform

    Linear = TypeVar("Linear", AffineTransform, Similarity3DTransform)

BRAIN_CENTRE = np.array([0.0, -18.0, 10.0])  # mm in MNI space
VERTEX_MM = 80.0  # from there up to the skin
RIM_MM = 8.0  # around the template's brain that counts: fluid, and the dark skull
PITCHES_DEG = (-20.0, 0.0, 20.0)
SCALES = (0.87, 1.0)  # of the template; from too large a start, its brain may grow to the scalp


def fit_brain(head: Volume, template: Volume) -> np.ndarray:
    """The (4, 4) affine that maps mm of a brain template (brain only, 0 outside, in MNI space) to mm of a head.

    head: T1 of a whole head, upright within about 30 degrees. Mattes mutual information in the template's brain
    and 8 mm around it, on grids of about 8, 4 and 2 mm: from twelve starts (scanner coordinates, or the brain's centre
    80 mm below the vertex, at three pitches and two sizes) rotation, scale and shift, then affine. Raises InputError if
    the head has no contrast or does not overlap with the template.
    """
    import SimpleITK as sitk
    from scipy import ndimage

    fixed, moving = image_pyramid("template", template), image_pyramid("head", head)
    rim = ndimage.distance_transform_edt(~fill_cavities(template.array > 0), sampling=template.spacing) <= RIM_MM
    masks = [sitk.Resample(itk_image(rim.astype(np.uint8), template.affine), image) for image in fixed]
    transform = _best_start(fixed[0], moving[0], masks[0])
    for level, step in ((0, 2.0), (1, 1.0), (2, 0.5)):
        transform, _ = _optimise(fixed[level], moving[level], masks[level], transform, step)
    return transform_matrix(transform)


def _best_start(fixed: Image, moving: Image, mask: Image) -> AffineTransform:
    import SimpleITK as sitk

    body = np.argwhere(body_mask(moving))  # voxels i, j, k
    points = np.array([moving.TransformIndexToPhysicalPoint(at.tolist()) for at in body]) @ RAS_LPS[:3, :3]
    vertex = np.percentile(points[:, 2], 99.9)
    upper = points[points[:, 2] > vertex - 2 * VERTEX_MM]
    centre = np.array([*upper[:, :2].mean(axis=0), vertex - VERTEX_MM])
    results = []
    for shift, pitch, scale in product((np.zeros(3), centre - BRAIN_CENTRE), PITCHES_DEG, SCALES):
        start = sitk.Similarity3DTransform()
        start.SetCenter((RAS_LPS[:3, :3] @ BRAIN_CENTRE).tolist())
        start.SetTranslation((RAS_LPS[:3, :3] @ shift).tolist())
        start.SetRotation((1.0, 0.0, 0.0), np.radians(pitch))
        start.SetScale(scale)
        try:
            results.append(_optimise(fixed, moving, mask, start, 4.0))
        except RuntimeError:  # ITK finds no overlap from this start
            continue
    if not results:
        raise InputError("The head does not overlap with the brain of the template: give a scan of a whole head.")
    similar = min(results, key=lambda result: result[1])[0]
    affine = sitk.AffineTransform(3)
    affine.SetCenter(similar.GetCenter())
    affine.SetMatrix(similar.GetMatrix())
    affine.SetTranslation(similar.GetTranslation())
    return affine


def _optimise(fixed: Image, moving: Image, mask: Image, start: Linear, step: float) -> tuple[Linear, float]:
    """(transform, negative mutual information) at a local optimum near the start; step in mm."""
    transform = type(start)(start)
    method = mutual_information(fixed, transform, mask)
    method.SetOptimizerAsRegularStepGradientDescent(step, step / 40, 100, 0.7, 1e-8)
    method.SetOptimizerScalesFromPhysicalShift()
    method.Execute(fixed, moving)
    return transform, method.GetMetricValue()
