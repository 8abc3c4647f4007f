"""Rigid registration of two volumes of one head by mutual information.

The metric is that of Mattes et al. 2003 (doi:10.1109/TMI.2003.809072); Maes et al. 1997 introduced mutual information
across modalities. SimpleITK does the work. ITK uses LPS mm and ganlab RAS mm: `itk_image` and
`transform_matrix` convert.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.grid import resample
from ganlab.imaging.masks import fill_cavities
from ganlab.imaging.metrics import dice
from ganlab.imaging.volume import Volume

if TYPE_CHECKING:  # SimpleITK is loaded when a registration starts
    from SimpleITK import AffineTransform, Euler3DTransform, Image, ImageRegistrationMethod, Transform

AIR_HU = -1000.0
LEVELS_MM = (8.0, 4.0, 2.0)  # voxel sizes, coarse to fine
PITCHES_DEG = (-20.0, 0.0, 20.0)  # initial pitches of the head: the rotation that differs most between scans
SAMPLES = 30_000  # voxels sampled for the metric at each level
SEED = 1
ITERATIONS = 100  # at most, of one search
HEAD_RADIUS_MM = 70.0  # scales a radian of rotation to millimetres of translation
LEAST_OVERLAP = 0.8
NUDGE_MM = 12.0
LEAST_LOSS = 0.25  # of information after that nudge: 0.3 to 0.5 for one head, 0.1 to 0.2 for two heads or a flipped one
MOST_SHIFT_MM = 100.0
MOST_ROTATION_DEG = 60.0

RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def register_rigid(
    moving: Volume, fixed: Volume, progress: Callable[[float], None] = lambda share: None
) -> tuple[Volume, np.ndarray]:
    """Register `moving` (such as a CT) onto the grid of `fixed` (such as an MR of the same head).

    Maximises Mattes mutual information over three rotations and three translations, on grids of about 8, 4 and 2 mm.
    It starts from several positions (scanner coordinates, centred fields of view, centred bodies, each at three pitches
    of the head) and keeps the best at 8 mm. The same input gives the same result.

    progress(share of the work) is called at every step; what it raises ends the registration.

    Returns (the moving volume on fixed's grid, linearly interpolated, with -1000 outside its field of view if it is in
    HU and 0 otherwise; the (4, 4) matrix that maps fixed's RAS+ mm to moving's RAS+ mm).

    A notice warns of an unreliable result: the two bodies have a Dice overlap below 0.8 where both fields of view
    reach, a shift by 12 mm costs less than a quarter of the mutual information, or the head was rotated by more than 60
    degrees or lies more than 100 mm from where centred fields of view would put it.
    Raises InputError if a volume has no contrast or the two cannot be made to overlap.
    """
    progress(0.0)
    fixed_levels, moving_levels = image_pyramid("fixed", fixed), image_pyramid("moving", moving)
    searches = 3 * len(PITCHES_DEG) + len(LEVELS_MM) - 1  # of about the same length
    bars = [partial(_report, progress, k, searches) for k in range(searches)]
    transform = _best_start(fixed_levels[0], moving_levels[0], bars)
    finer = zip(fixed_levels[1:], moving_levels[1:], LEVELS_MM[1:], bars[1 - len(LEVELS_MM) :], strict=True)
    for fixed_image, moving_image, spacing, bar in finer:
        transform, _ = _optimise(fixed_image, moving_image, transform, spacing / 2, 0.02, bar)
    matrix = transform_matrix(transform)

    progress(0.9)
    background = AIR_HU if moving.unit == "HU" else 0.0
    seen_from_fixed = replace(moving, affine=np.linalg.inv(matrix) @ moving.affine)
    registered = resample(seen_from_fixed, fixed.affine, fixed.shape, order=1, fill=background)
    registered = replace(registered, origin=fixed.origin)
    progress(0.95)
    middle = fixed_levels[1], moving_levels[1], transform
    doubts = [*_match_doubts(_body_overlap(*middle), _nudge_loss(*middle)), *_motion_doubts(matrix, moving, fixed)]
    sentences = (f"Registration may have failed ({doubt}): check the alignment first." for doubt in doubts)
    return registered.with_notices(*sentences), matrix


def _report(progress: Callable[[float], None], search: int, searches: int, iteration: int) -> None:
    """Report an iteration of one of several searches; the last tenth is left for what follows them."""
    progress(0.9 * (search + min(1.0, iteration / ITERATIONS)) / searches)


def image_pyramid(name: str, volume: Volume) -> list[Image]:
    """ITK images with voxels of about LEVELS_MM, intensities clipped to the head's range."""
    array, affine = volume.array, volume.affine
    images: list[Image] = []
    for spacing in reversed(LEVELS_MM):
        array, affine = _shrink(array, affine, spacing)
        if not images:
            low, high = np.percentile(array, [0.1, 99.5])
            low = max(low, AIR_HU) if volume.unit == "HU" else low  # scanners pad with -3024
            if not high > low:
                raise InputError(
                    f"The {name} volume has no contrast ({low:g} to {high:g} in nearly all of it), so it "
                    "cannot be registered: choose an image of a head."
                )
            array = array.clip(low, high)
        images.insert(0, itk_image(array, affine))
    return images


def _shrink(array: np.ndarray, affine: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Means of whole blocks of voxels that are about `spacing` mm long, at least 8 a side, and their grid."""
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    max_factor = np.maximum(np.array(array.shape) // 8, 1)
    factors = np.clip(np.rint(spacing / edges), 1, max_factor).astype(int)
    counts = array.shape // factors
    whole = array[tuple(slice(n * f) for n, f in zip(counts, factors, strict=True))]
    blocks = whole.reshape([n for pair in zip(counts, factors, strict=True) for n in pair])
    step = np.diag([*factors, 1.0])
    step[:3, 3] = (factors - 1) / 2
    return blocks.mean(axis=(1, 3, 5), dtype=np.float32), affine @ step


def itk_image(array: np.ndarray, affine: np.ndarray) -> Image:
    """The ITK image of an array (i, j, k) with a RAS affine."""
    import SimpleITK as sitk

    lps = RAS_LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))  # ITK's arrays run k, j, i
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    return image


def transform_matrix(transform: Euler3DTransform | AffineTransform) -> np.ndarray:
    """A linear ITK transform as a matrix (4, 4) between RAS points."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(transform.GetMatrix(), (3, 3))
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    return RAS_LPS @ matrix @ RAS_LPS


def _best_start(fixed: Image, moving: Image, bars: Sequence[Callable[[int], None]]) -> Euler3DTransform:
    """The transform with the highest mutual information after a coarse optimisation from every start."""
    import SimpleITK as sitk

    body = _body_centre(fixed)
    shifts = (np.zeros(3), _grid_centre(moving) - _grid_centre(fixed), _body_centre(moving) - body)
    results, bar = [], iter(bars)
    for shift in shifts:
        for pitch in PITCHES_DEG:
            start = sitk.Euler3DTransform()
            start.SetCenter(body.tolist())
            start.SetTranslation(shift.tolist())
            start.SetRotation(np.radians(pitch), 0.0, 0.0)
            try:
                results.append(_optimise(fixed, moving, start, LEVELS_MM[0] / 2, 0.1, next(bar)))
            except RuntimeError:  # ITK finds no overlap from this start
                continue
    if not results:
        raise InputError(
            f"The two volumes cannot be made to overlap (shrunk to voxels of about {LEVELS_MM[0]:g} mm they "
            f"measure {fixed.GetSize()} and {moving.GetSize()}): check that both show a whole head, on at "
            "least 4 slices, with the right voxel size in mm."
        )
    return min(results, key=lambda result: result[1])[0]


def _optimise(
    fixed: Image, moving: Image, start: Euler3DTransform, step: float, least_step: float, bar: Callable[[int], None]
) -> tuple[Euler3DTransform, float]:
    """(transform, negative mutual information) at a local optimum near the start; steps in mm. bar(iteration) is
    called after each; what it raises ends the search."""
    import SimpleITK as sitk

    raised: list[Exception] = []

    def after_iteration() -> None:  # an error must not cross ITK, which would replace it
        try:
            bar(method.GetOptimizerIteration())
        except Exception as error:  # noqa: BLE001  # raised again below
            raised.append(error)
            method.StopRegistration()

    transform = sitk.Euler3DTransform(start)
    method = mutual_information(fixed, transform)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=step,
        minStep=least_step,
        numberOfIterations=ITERATIONS,
        relaxationFactor=0.7,
        gradientMagnitudeTolerance=1e-8,
    )
    method.SetOptimizerScales([HEAD_RADIUS_MM**2] * 3 + [1.0] * 3)
    method.AddCommand(sitk.sitkIterationEvent, after_iteration)
    method.Execute(fixed, moving)
    if raised:
        raise raised[0]
    return transform, method.GetMetricValue()


def mutual_information(fixed: Image, transform: Transform, mask: Image | None = None) -> ImageRegistrationMethod:
    """ITK's registration with Mattes mutual information, of the voxels of a mask; its Execute changes the transform in
    place."""
    import SimpleITK as sitk

    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfWorkUnits(1)  # a fixed order of summation, so that results repeat to the bit
    method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=32)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(min(1.0, SAMPLES / fixed.GetNumberOfPixels()), seed=SEED)
    if mask is not None:
        method.SetMetricFixedMask(mask)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetInitialTransform(transform, inPlace=True)
    return method


def _grid_centre(image: Image) -> np.ndarray:
    return np.array(image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()]))


def _body_centre(image: Image) -> np.ndarray:
    """Centre (LPS mm) of the body's mask, so that contrast does not matter."""
    centre = np.argwhere(body_mask(image)).mean(axis=0)
    return np.array(image.TransformContinuousIndexToPhysicalPoint(centre.tolist()))


def body_mask(image: Image) -> np.ndarray:
    """Boolean (i, j, k): voxels above the threshold of minimum cross-entropy, with enclosed cavities filled.

    Li's threshold (Li and Tam 1998) separates the skin of a T1 scan, where Otsu's separates its white matter.
    """
    import SimpleITK as sitk
    from skimage.filters import threshold_li

    array = sitk.GetArrayFromImage(image).T
    return fill_cavities(array > threshold_li(array))


def _body_overlap(fixed: Image, moving: Image, transform: Transform) -> float:
    """Dice overlap of the two bodies on the fixed grid, within the moving field of view."""
    import SimpleITK as sitk

    body = sitk.GetImageFromArray(body_mask(moving).T.astype(np.uint8))
    body.CopyInformation(moving)
    outside = 2
    resampled = sitk.Resample(body, fixed, transform, sitk.sitkNearestNeighbor, outside)
    labels = sitk.GetArrayFromImage(resampled).T
    return dice(body_mask(fixed) & (labels != outside), labels == 1)


def _nudge_loss(fixed: Image, moving: Image, transform: Euler3DTransform) -> float:
    """The share of mutual information lost by a shift of 12 mm, averaged over six directions."""
    import SimpleITK as sitk

    def information(shift: np.ndarray) -> float:
        nudged = sitk.Euler3DTransform(transform)
        nudged.SetTranslation((np.array(transform.GetTranslation()) + shift).tolist())
        return -mutual_information(fixed, nudged).MetricEvaluate(fixed, moving)

    shifts = NUDGE_MM * np.vstack([np.eye(3), -np.eye(3)])
    return float(1 - np.mean([information(shift) for shift in shifts]) / information(np.zeros(3)))


def _match_doubts(overlap: float, loss: float) -> list[str]:
    """Reasons to doubt that the two heads match."""
    doubts = []
    if not overlap >= LEAST_OVERLAP:
        doubts.append(f"the bodies overlap by a Dice of {overlap:.2f}, expected at least {LEAST_OVERLAP:g}")
    if not loss >= LEAST_LOSS:
        doubts.append(
            f"a shift by {NUDGE_MM:g} mm costs {loss:.0%} of the mutual information, expected at least {LEAST_LOSS:.0%}"
        )
    return doubts


def _motion_doubts(matrix: np.ndarray, moving: Volume, fixed: Volume) -> list[str]:
    """Reasons to distrust a motion: larger than plausible between two scans."""
    angle = np.degrees(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1)))
    centre, target = (v.affine @ [*(np.array(v.shape) - 1) / 2, 1] for v in (fixed, moving))
    shift = np.linalg.norm(matrix @ centre - target)
    doubts = []
    if angle > MOST_ROTATION_DEG:
        doubts.append(f"the head was rotated by {angle:.0f} degrees, expected at most {MOST_ROTATION_DEG:g}")
    if shift > MOST_SHIFT_MM:
        doubts.append(f"the fields of view ended {shift:.0f} mm apart, expected at most {MOST_SHIFT_MM:g}")
    return doubts
