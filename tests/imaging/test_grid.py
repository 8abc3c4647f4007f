from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ganlab.imaging.grid import axis_letters, canonical, model_grid, resample, same_grid
from ganlab.imaging.volume import Volume

ORIENTATIONS = [
    tuple(zip(axes, flips, strict=True)) for axes in permutations(range(3)) for flips in product((1, -1), repeat=3)
]
angles = st.tuples(*[st.floats(-40, 40)] * 3)
spacings = st.tuples(*[st.sampled_from([0.7, 1.0, 1.3, 3.0])] * 3)


def turned(volume: Volume, orientation) -> Volume:
    """The same voxels in another order."""
    array = nib.apply_orientation(volume.array, orientation)
    return Volume(array, volume.affine @ nib.orientations.inv_ornt_aff(np.array(orientation), volume.shape))


def placed(array, spacing=(1, 1, 1), degrees=(0, 0, 0), centre=(4.0, -9.0, 13.0)) -> Volume:
    """An array whose middle lies at `centre`."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() * spacing
    affine[:3, 3] = np.array(centre) - affine[:3, :3] @ ((np.array(array.shape) - 1) / 2)
    return Volume(array, affine)


def noise(shape=(7, 9, 8)):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def blob(spacing=(1, 1, 1), degrees=(0, 0, 0), reach=44.0) -> Volume:
    """A smooth object sampled where the voxels of a grid are: its truth is known on any grid."""
    volume = placed(np.zeros([int(reach / step) for step in spacing], np.float32), spacing, degrees)
    return Volume(_object(_world(volume.affine, volume.shape)), volume.affine)


def _world(affine, shape):
    indices = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return indices @ affine[:3, :3].T + affine[:3, 3]


def _object(world):
    """100 at its peak; 12 to 6 mm wide (standard deviation along each axis 6, 5, 5.5 mm)."""
    return (100 * np.exp(-0.5 * (((world - (5, -8, 12)) / (6, 5, 5.5)) ** 2).sum(axis=-1))).astype(np.float32)


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
@settings(max_examples=8)  # of each of the 48
@given(degrees=st.tuples(*[st.floats(-20, 20)] * 3), spacing=spacings)
def test_every_order_of_axes_becomes_ras_and_returns_exactly(orientation, degrees, spacing):
    first = placed(noise(), spacing, degrees)
    volume = turned(first, orientation)
    ordered = canonical(volume)
    assert axis_letters(ordered.affine) == ("R", "A", "S")
    np.testing.assert_array_equal(ordered.array, first.array)
    np.testing.assert_allclose(ordered.affine, first.affine, atol=1e-9)
    back = resample(ordered, volume.affine, volume.shape)
    assert same_grid(back, volume)
    np.testing.assert_array_equal(back.array, volume.array)


@settings(max_examples=40)
@given(degrees=st.tuples(*[st.floats(-180, 180)] * 3), spacing=spacings)
def test_canonical_order_keeps_every_value_at_its_position(degrees, spacing):
    volume = placed(noise(), spacing, degrees)
    ordered = canonical(volume)
    for _ in range(2):
        marked = np.argwhere(ordered.array == volume.array[1, 2, 3])[0]
        position = volume.affine @ [1, 2, 3, 1]
        np.testing.assert_allclose(ordered.affine @ [*marked, 1], position, atol=1e-9)
        ordered = canonical(ordered)  # idempotent


def test_axis_letters():
    assert axis_letters(np.eye(4)) == ("R", "A", "S")
    assert axis_letters(np.diag([-1, -1, 1, 1])) == ("L", "P", "S")
    assert axis_letters(np.array([[0, 0, 2, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])) == ("P", "I", "R")


@pytest.mark.parametrize("orientation", ORIENTATIONS[::5], ids=str)
def test_a_blob_on_the_left_stays_on_the_left(orientation):
    first = placed(np.zeros((40, 44, 36), np.float32), degrees=(10, -8, 14), centre=(0, 0, 0))
    left, front, top = -12.0, 9.0, 7.0
    first.array[np.linalg.norm(_world(first.affine, first.shape) - (left, front, top), axis=-1) < 5] = 1
    volume = turned(first, orientation)
    affine, shape = model_grid(volume)
    on_model = resample(volume, affine, shape)
    back = resample(on_model, volume.affine, volume.shape)
    for result in (canonical(volume), on_model, back):
        weight = result.array[..., None]
        centre = (_world(result.affine, result.shape) * weight).sum(axis=(0, 1, 2)) / weight.sum()
        np.testing.assert_allclose(centre, (left, front, top), atol=0.15)


@settings(max_examples=12)
@given(degrees=angles, spacing=spacings)
def test_resampling_there_and_back_leaves_only_interpolation_error(degrees, spacing):
    volume = blob(spacing, degrees)
    affine, shape = model_grid(volume)
    on_model = resample(volume, affine, shape)
    inside = resample(placed_ones(volume), affine, shape).array == 1
    coarse = max(spacing) > 1.3
    # linear interpolation of this object errs by up to h^2 f'' / 8 = 4 at 1 mm, 36 across 3 mm slices
    assert np.abs(on_model.array - _object(_world(affine, shape)))[inside].max() < (37 if coarse else 9)
    back = resample(on_model, volume.affine, volume.shape)
    assert same_grid(back, volume)
    assert np.abs(back.array - volume.array).max() < (37 if coarse else 9)
    assert np.abs(back.array - volume.array).mean() < (2.0 if coarse else 0.4)


def placed_ones(volume):
    return Volume(np.ones_like(volume.array), volume.affine)


def test_model_grid_does_not_depend_on_axis_order():
    first = blob((0.9, 1.1, 1.4), (12, -7, 20))
    answers = []
    for orientation in ORIENTATIONS[::5]:
        volume = turned(first, orientation)
        answers.append(resample(volume, *model_grid(volume)))
    assert len(answers) == 10
    for answer in answers[1:]:
        np.testing.assert_allclose(answer.affine, answers[0].affine, atol=1e-9)
        np.testing.assert_allclose(answer.array, answers[0].array, atol=1e-3)


@settings(max_examples=25)
@given(degrees=angles, spacing=spacings)
def test_model_grid_is_the_smallest_that_covers_every_voxel(degrees, spacing):
    volume = placed(noise(), spacing, degrees)
    affine, shape = model_grid(volume, 1.5)
    np.testing.assert_array_equal(affine[:3, :3], np.diag([1.5] * 3))
    corners = np.array(list(product(*[(0, n - 1) for n in volume.shape])))
    at = (corners @ volume.affine[:3, :3].T + volume.affine[:3, 3] - affine[:3, 3]) / 1.5
    assert (at > -0.01).all() and (at < np.array(shape) - 0.99).all()
    assert (np.ptp(at, axis=0) > np.array(shape) - 2.01).all()
    # a result on the model grid covers the volume: nothing is filled on the way back
    full = Volume(np.ones(shape, np.float32), affine)
    assert resample(full, volume.affine, volume.shape, fill=-1).array.min() == 1


def test_model_grid_of_an_aligned_millimetre_scan_is_its_own():
    volume = placed(noise())
    affine, shape = model_grid(Volume(volume.array, volume.affine @ np.diag([1 + 1e-7, 1 - 1e-7, 1, 1])))
    assert same_grid(Volume(np.zeros(shape), affine), volume)
    assert np.array_equal(resample(volume, affine, shape).array, volume.array)


def test_voxels_outside_the_volume_get_the_fill_value():
    volume = placed(np.full((6, 6, 6), 5.0, np.float32))
    shifted = volume.affine @ np.array([[1, 0, 0, -2.0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    for part in (0.0, 0.3):  # whole voxels, and between voxels
        shifted[0, 3] += part
        moved = resample(volume, shifted, (10, 6, 6), fill=-1000).array
        assert (moved[:2] == -1000).all() and (moved[2:8] == 5).all() and (moved[8:] == -1000).all()
    away = volume.affine + np.array([[0, 0, 0, 500.0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert (resample(volume, away, (4, 4, 4), fill=7).array == 7).all()


def test_downsampling_averages_and_does_not_alias():
    stripes = np.zeros((40, 40, 40), np.float32)
    stripes[::2] = 100  # the highest spatial frequency
    volume = placed(stripes)
    affine = volume.affine @ np.diag([4, 4, 4, 1])
    coarse = resample(volume, affine, (9, 9, 9)).array[1:-1]
    np.testing.assert_allclose(coarse, 50, atol=3)
    assert np.ptp(resample(volume, affine, (9, 9, 9), order=0).array) == 0  # aliased: every sample is a stripe


def test_labels_stay_labels():
    labels = np.random.default_rng(1).integers(0, 9, (20, 20, 20)).astype(np.uint8)
    volume = placed(labels, degrees=(20, 10, 5))
    result = resample(volume, *model_grid(volume), order=0)
    assert result.array.dtype == np.uint8 and set(np.unique(result.array)) <= set(range(9))
    mask = Volume(labels > 4, volume.affine, "arbitrary", "labels")
    result = resample(mask, *model_grid(volume), order=0)
    assert result.array.dtype == bool and result.modality == "labels"


def test_cubic_is_closer_than_linear():
    volume = blob((2, 2, 2), reach=44)
    affine, shape = model_grid(volume, 1.0)
    truth = _object(_world(affine, shape))[4:-4, 4:-4, 4:-4]
    error = {
        order: np.abs(resample(volume, affine, shape, order).array[4:-4, 4:-4, 4:-4] - truth).max() for order in (1, 3)
    }
    assert error[3] < error[1] / 5
    with pytest.raises(ValueError, match="order is one of"):
        resample(volume, affine, shape, order=2)


def test_sheared_and_left_handed_grids():
    volume = blob()
    affine = volume.affine.copy()
    affine[:3, 0] *= -1
    affine[:3, 2] += 0.4 * affine[:3, 1]
    affine[:3, 3] = volume.affine[:3] @ [30, 5, 10, 1]
    result = resample(volume, affine, (20, 20, 20))
    assert np.abs(result.array - _object(_world(affine, result.shape))).max() < 9


def test_same_grid():
    volume = placed(noise())
    nudged = volume.affine.copy()
    nudged[0, 3] += 0.005
    assert same_grid(volume, Volume(volume.array * 2, nudged))
    nudged[0, 3] += 0.01
    assert not same_grid(volume, Volume(volume.array, nudged))
    assert not same_grid(volume, Volume(volume.array[1:], volume.affine))
