"""Sharpness, flicker and skull shift on volumes whose answers are known."""

import math

import numpy as np
import pytest
from scipy import ndimage

from ganlab.errors import InputError
from ganlab.imaging.sharpness import discontinuity, flicker, sharpness, skull_shift
from ganlab.imaging.volume import Volume

SHAPE = (30, 34, 26)
EVERYWHERE = np.ones(SHAPE, bool)


def ct(array, spacing=(1.0, 1.0, 1.0)):
    return Volume(np.asarray(array, np.float32), np.diag([*spacing, 1.0]), "HU", "ct")


def texture(seed=0):
    noise = np.random.default_rng(seed).normal(0, 1, SHAPE)
    return 300 * ndimage.gaussian_filter(noise, 1.5) + 40


def ball(radius, shape=SHAPE, spacing=(1.0, 1.0, 1.0), shift=0.0):
    """Soft tissue (40 HU) around a ball of bone (960 HU), radius and shift (along the first axis) in mm; the edge is a
    ramp of 2 mm, whose middle lies at the radius, except for the small offset between 250 and 500 HU."""
    axes = ((np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing, strict=True))
    x, y, z = np.meshgrid(*axes, indexing="ij")
    r = np.sqrt((x - shift) ** 2 + y**2 + z**2)
    return ct(40 + 920 * np.clip((radius - r) / 2 + 0.5, 0, 1), spacing)


def test_a_volume_is_exactly_as_sharp_and_as_smooth_as_itself():
    volume = ct(texture())
    assert sharpness(volume, volume, EVERYWHERE) == 1
    assert discontinuity(volume, volume, EVERYWHERE) == (1, 1, 1)
    assert flicker(volume, volume, EVERYWHERE) == 1
    bone = ball(8)
    assert skull_shift(bone, bone, EVERYWHERE) == 0


def test_blur_lowers_sharpness_and_sharpening_raises_it():
    clean = texture()
    blurred = ndimage.gaussian_filter(clean, 1.0)
    reference = ct(clean)
    more, less = (
        sharpness(reference, ct(2 * clean - blurred), EVERYWHERE),
        sharpness(reference, ct(blurred), EVERYWHERE),
    )
    assert less < 0.8 and more > 1.2
    assert less < sharpness(reference, ct(ndimage.gaussian_filter(clean, 0.6)), EVERYWHERE) < 1


def test_sharpness_is_the_ratio_of_slopes_whatever_the_spacing_and_offset():
    ramp = np.broadcast_to(np.arange(SHAPE[0])[:, None, None], SHAPE)
    for spacing in ((1, 1, 1), (0.5, 2, 3)):
        assert sharpness(ct(ramp, spacing), ct(0.25 * ramp + 7, spacing), EVERYWHERE) == pytest.approx(0.25)
    # slopes 1 / 0.5 mm and 1 / 2 mm: the voxel size matters
    across = np.broadcast_to(np.arange(SHAPE[1])[None, :, None], SHAPE)
    assert sharpness(ct(ramp, (0.5, 2, 3)), ct(across, (0.5, 2, 3)), EVERYWHERE) == pytest.approx(0.25)


def test_only_voxels_in_the_mask_count():
    clean, mask = texture(), np.zeros(SHAPE, bool)
    mask[5:15, 6:20, 4:14] = True
    changed = np.where(ndimage.binary_dilation(mask), clean, 0)  # one voxel more, for the differences at its border
    assert sharpness(ct(clean), ct(changed), mask) == 1
    assert discontinuity(ct(clean), ct(np.where(mask, clean, 0)), mask) == (1, 1, 1)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flicker_shows_only_along_its_axis(axis):
    clean = texture()
    offsets = 60.0 * (np.arange(SHAPE[axis]) % 2)
    stack = clean + np.moveaxis(np.broadcast_to(offsets, np.moveaxis(clean, axis, 2).shape), 2, axis)
    result = discontinuity(ct(clean), ct(stack), EVERYWHERE)
    assert result[axis] > 1.5
    assert [result[k] for k in range(3) if k != axis] == pytest.approx([1, 1], abs=1e-5)
    assert flicker(ct(clean), ct(stack), EVERYWHERE) == result[axis]


def test_discontinuity_is_the_ratio_of_steps():
    ramp = np.add.outer(np.add.outer(np.arange(30), 2 * np.arange(34)), 3 * np.arange(26)).astype(np.float32)
    steep = np.add.outer(np.add.outer(2 * np.arange(30), 2 * np.arange(34)), 1.5 * np.arange(26))
    assert discontinuity(ct(ramp), ct(steep), EVERYWHERE) == pytest.approx((2, 1, 0.5))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 1.0, 1.5)])
@pytest.mark.parametrize("grown", [-2.0, 0.3, 2.0])
def test_a_bone_grown_by_2_mm_has_its_surface_2_mm_away(spacing, grown):
    reference, prediction = ball(8, spacing=spacing), ball(8 + grown, spacing=spacing)
    result = skull_shift(reference, prediction, EVERYWHERE)
    assert result == pytest.approx(abs(grown), abs=0.15 * max(spacing))
    assert result == skull_shift(prediction, reference, EVERYWHERE)


def test_a_plate_shifted_by_2_mm_is_2_mm_away_and_a_ball_half_of_it():
    plate = np.full(SHAPE, 40.0)
    plate[10:18] = 900
    mask = EVERYWHERE.copy()
    assert skull_shift(ct(plate), ct(np.roll(plate, 2, 0)), mask) == pytest.approx(2)
    assert skull_shift(ct(plate, (0.5, 1, 1)), ct(np.roll(plate, 2, 0), (0.5, 1, 1)), mask) == pytest.approx(1)
    assert skull_shift(ball(9), ball(9, shift=2.0), EVERYWHERE) == pytest.approx(1, abs=0.2)


def test_skull_shift_is_nan_without_bone():
    soft = ct(np.full(SHAPE, 40.0))
    assert math.isnan(skull_shift(ball(8), soft, EVERYWHERE))
    assert math.isnan(skull_shift(soft, ball(8), EVERYWHERE))
    corner = np.zeros(SHAPE, bool)
    corner[:3, :3, :3] = True
    assert math.isnan(skull_shift(ball(8), ball(8), corner))


@pytest.mark.parametrize("measure", [sharpness, discontinuity, flicker, skull_shift])
def test_refuses_volumes_that_cannot_be_compared(measure):
    volume = ct(texture())
    with pytest.raises(InputError, match="different grids"):
        measure(volume, ct(texture()[1:]), EVERYWHERE)
    with pytest.raises(InputError, match="different grids"):
        measure(volume, ct(texture(), (1, 1, 2)), EVERYWHERE)
    with pytest.raises(InputError, match="mask is empty"):
        measure(volume, volume, np.zeros(SHAPE, bool))
    with pytest.raises(InputError, match="mask has shape"):
        measure(volume, volume, EVERYWHERE[1:])


def test_refuses_a_flat_reference():
    flat = ct(np.full(SHAPE, 40.0))
    for measure in (sharpness, discontinuity):
        with pytest.raises(InputError, match="flat"):
            measure(flat, ct(texture()), EVERYWHERE)
    thin = np.zeros(SHAPE, bool)
    thin[:, :, 4] = True
    with pytest.raises(InputError, match="along axis 2"):
        discontinuity(ct(texture()), ct(texture()), thin)
