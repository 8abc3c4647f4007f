"""An MR scan has one scale, whatever was added to it, multiplied with it or filled into it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from ganlab.errors import InputError
from ganlab.imaging.grid import canonical, model_grid, resample
from ganlab.imaging.intensity import normalise_mr, white_matter_level
from ganlab.imaging.reading.files import read_volume
from ganlab.imaging.volume import Volume
from ganlab.translation.scan_check import check_scan

AFFINE = np.diag([3.0, 3, 3, 1])
WHITE = 700.0


def head(noise: float = 12.0) -> Volume:
    """Skin and fat, bone, fluid, grey and white matter in shells, in voxels of 3 mm."""
    x, y, z = np.mgrid[-105:105:3, -120:120:3, -105:105:3].astype(float)

    def ellipsoid(a: float, b: float, c: float) -> np.ndarray:
        return (x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2 < 1

    array = np.zeros(x.shape)
    for axes, value in (((78, 98, 92), 900), ((74, 93, 87), 20), ((68, 85, 80), 100), ((66, 82, 77), 450)):
        array[ellipsoid(*axes)] = value
    array[ellipsoid(55, 72, 62)] = WHITE
    array[ellipsoid(14, 26, 18)] = 120
    real, imaginary = np.random.default_rng(0).normal(0, noise, (2, *x.shape))
    return Volume(np.hypot(array + real, imaginary).astype(np.float32), AFFINE, modality="t1")


def changed(scan: Volume, array: np.ndarray) -> Volume:
    return replace(scan, array=np.asarray(array, np.float32))


def air(scan: Volume) -> np.ndarray:
    """Voxels well outside the head."""
    x, y, z = np.meshgrid(*[3 * (np.arange(n) - n // 2) for n in scan.shape], indexing="ij")
    return (x / 88) ** 2 + (y / 108) ** 2 + (z / 102) ** 2 > 1


def test_air_is_0_and_white_matter_1():
    scan = head()
    array = normalise_mr(scan).array
    assert array.dtype == np.float32 and array.min() == 0
    assert np.median(array[scan.array > 600][::7]) == pytest.approx(1, abs=0.15)
    white = np.abs(scan.array - WHITE) < 10
    assert np.median(array[white]) == pytest.approx(1, rel=0.03)
    assert normalise_mr(scan).notices == (), "nothing was changed that is worth a sentence"


@pytest.mark.parametrize(
    ("gain", "offset"), [(1, 1000), (1, -300), (2 / 900, -1), (1 / 350, -1.3), (1e-6, 0), (50, 2e4)]
)
def test_adding_and_multiplying_changes_nothing_and_a_new_zero_is_said(gain, offset):
    scan = head()
    expected = normalise_mr(scan).array
    moved = normalise_mr(changed(scan, gain * scan.array.astype(float) + offset))
    assert np.abs(moved.array - expected).max() < 0.01
    assert ("and not at 0" in " ".join(moved.notices)) == (offset != 0)


@pytest.mark.parametrize("value", [-1e6, 3e4, 1e7])
def test_a_hot_voxel_does_not_set_the_scale(value):
    scan = head()
    array = scan.array.copy()
    array[30, 40, 35] = value
    others = np.ones(array.shape, bool)
    others[30, 40, 35] = False
    assert np.abs(normalise_mr(changed(scan, array)).array - normalise_mr(scan).array)[others].max() < 0.02


@pytest.mark.parametrize("share", [0.03, 0.06, 0.12])
def test_a_smooth_pedestal_is_subtracted(share):
    scan = head(noise=0)
    field = ndimage.zoom(np.random.default_rng(1).random((3, 3, 3)), np.array(scan.shape) / 3, order=1)
    for array in (scan.array + share * WHITE * field, np.maximum(scan.array, share * WHITE)):
        level = normalise_mr(changed(scan, array)).array[air(scan)]
        assert np.percentile(level, 95) < 0.02, "air is air: the networks take 2 % of white matter for signal"


def test_the_noise_of_air_stays_as_networks_know_it():
    scan = head(noise=30)
    for offset in (0, 400):
        level = normalise_mr(changed(scan, scan.array + offset)).array[air(scan)]
        assert level.mean() == pytest.approx(30 * np.sqrt(np.pi / 2) / WHITE, abs=0.012)


@pytest.mark.parametrize(("gain", "offset"), [(1, 0), (1 / 350, -1)])
def test_a_floor_under_the_head_alone_is_subtracted_and_said(gain, offset):
    """Averages of many scans have one, and 0 around the head."""
    scan = head(3.0)
    bone, outside = np.abs(scan.array - 20) < 4, scan.array < 12
    averaged = np.where(outside, 0, np.hypot(scan.array, 75.0))
    plain, floored = normalise_mr(scan), normalise_mr(changed(scan, averaged * gain + offset))
    assert "this floor was subtracted" in " ".join(floored.notices) and plain.notices == ()
    assert np.median(floored.array[bone]) < 0.02 and np.abs(floored.array - plain.array)[scan.array > 400].max() < 0.05


def test_the_fluid_of_a_brain_without_its_skull_is_no_floor():
    scan = head(3.0)
    brain = np.where(ndimage.binary_erosion(scan.array > 400, iterations=2), scan.array, 0)
    for fluid in (70, 90, 120):  # of white matter at 700
        brain[30:40, 35:45, 30:40] = fluid
        assert normalise_mr(changed(scan, brain)).array[35, 40, 35] == pytest.approx(fluid / WHITE, abs=0.02)


@pytest.mark.parametrize("fill", [-2000.0, 0.0, 300.0])
def test_padding_of_another_value_than_air_becomes_air(fill):
    scan = head()
    array = scan.array + 100
    array[:7] = fill
    result = normalise_mr(changed(scan, array))
    assert np.percentile(result.array[:6], 99) == 0
    assert f"exactly {fill:.4g}" in " ".join(result.notices)
    assert np.abs(result.array[10:] - normalise_mr(scan).array[10:]).mean() < 0.02


def test_a_mask_of_0_around_z_scores_is_air_and_not_grey_matter():
    scan = head()
    inside = ~air(scan)
    array = np.where(inside, (scan.array - scan.array[inside].mean()) / scan.array[inside].std(), 0)
    result = normalise_mr(changed(scan, array))
    assert result.array[air(scan)].max() == 0
    assert np.abs(result.array - normalise_mr(scan).array)[inside].mean() < 0.06
    assert "set to air" in " ".join(result.notices)


def test_voxels_that_are_not_numbers_are_air():
    scan = head()
    array = scan.array + 500
    array[:6] = np.nan
    result = normalise_mr(changed(scan, array)).array
    assert (result[:6] == 0).all() and np.isfinite(result).all()


def test_a_tight_crop_says_that_its_zero_is_a_guess():
    scan = head()
    crop = (slice(22, -22), slice(20, -20), slice(18, -18))
    result = normalise_mr(replace(scan, array=scan.array[crop] + 400))
    assert "no air around the head" in " ".join(result.notices)
    assert np.abs(result.array - normalise_mr(replace(scan, array=scan.array[crop])).array).max() < 0.01


@pytest.mark.parametrize("invert", [lambda a: -a, lambda a: 1000 - a, lambda a: 255 - np.rint(a.clip(0, 900) / 3.6)])
def test_refuses_inverted_contrast(invert):
    scan = head()
    with pytest.raises(InputError, match="inverted"):
        normalise_mr(changed(scan, invert(scan.array)))


def test_refuses_a_mask_that_fills_a_corner():
    corner = (np.indices((30, 30, 30)).sum(0) > 40) * 1.0
    with pytest.raises(InputError, match="give a scan of a head"):
        normalise_mr(Volume(corner.astype(np.float32), np.diag([6.0, 6, 6, 1]), modality="t1"))


def test_refuses_a_scan_that_shows_nothing():
    scan = head()
    array = np.zeros(scan.shape)
    array[3, 3, 3] = 1
    with pytest.raises(InputError, match="shows no head"):
        normalise_mr(changed(scan, array))


MNI_BOXES = {1: (182, 218, 182), 2: (91, 109, 91)}  # mm: voxels
COLIN27_WHITE = 112.0


def in_mni_box(scan: Volume, mm: int) -> Volume:
    affine = np.diag([mm, mm, mm, 1.0])
    affine[:3, 3] = -90, -126, -72
    return resample(scan, affine, MNI_BOXES[mm])


def far_from(scan: Volume) -> np.ndarray:
    """Voxels at least 5 mm outside a head whose air is at 0."""
    bright = np.pad(ndimage.gaussian_filter(scan.array, 1) > 0.1 * COLIN27_WHITE, 6)
    head = ndimage.binary_fill_holes(ndimage.binary_closing(bright, iterations=4))[6:-6, 6:-6, 6:-6]
    return ndimage.distance_transform_edt(~head, sampling=scan.spacing) > 5


def test_refuses_numbers_too_large_to_square():
    with pytest.raises(InputError, match="rescale the scan"):
        normalise_mr(changed(head(), head().array * 1e20))


@pytest.mark.parametrize("mm", [4.0, 5.0])
def test_a_coarse_mask_of_a_real_head_has_no_white_matter_and_is_refused(colin27, mm):
    scan = canonical(read_volume(colin27, "t1"))
    scan = resample(scan, *model_grid(scan, mm))
    mask = replace(scan, array=(scan.array > 60).astype(np.float32))
    assert np.isnan(white_matter_level(mask, mask.array > 0))
    with pytest.raises(InputError, match="label map"):
        check_scan(mask)


def test_masks_and_slabs_of_three_slices_are_scaled_too():
    scan = head()
    binary = normalise_mr(changed(scan, (scan.array > 300) * 1.0)).array
    assert set(np.unique(binary)) == {0.0, 1.0}
    slab = normalise_mr(replace(scan, array=scan.array[:, :, 34:37])).array
    assert np.percentile(slab, 99) == pytest.approx(1.2, abs=0.4)


@pytest.mark.slow
@pytest.mark.parametrize("mm", [1, 2])
def test_air_around_a_real_head_in_the_mni_box_is_air_with_a_pedestal_too(colin27, mm):
    scan = in_mni_box(read_volume(colin27, "t1"), mm)
    outside = far_from(scan)
    pedestal = 0.06 * COLIN27_WHITE
    field = ndimage.zoom(np.random.default_rng(0).random((3, 3, 3)), np.array(scan.shape) / 3, order=1)
    for array in (
        scan.array,
        scan.array + pedestal,
        np.maximum(scan.array, pedestal),
        scan.array + 2 * pedestal * field,
    ):
        assert np.percentile(normalise_mr(changed(scan, array)).array[outside], 99) < 0.03


@pytest.mark.slow
@pytest.mark.parametrize(("gain", "offset"), [(1 / 40, -1.7), (2 / 254, -1), (1, 1000)])
def test_a_real_head_is_the_same_however_its_values_were_moved(colin27, real_t1, gain, offset):
    for path in (colin27, real_t1):
        scan = read_volume(path, "t1")
        moved = normalise_mr(changed(scan, gain * scan.array + offset))
        assert np.abs(moved.array - normalise_mr(scan).array).max() < 0.01
