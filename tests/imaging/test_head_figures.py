"""Figures of a CT of a head, on shapes whose figures are known."""

import numpy as np
import pytest

from ganlab.errors import InputError
from ganlab.imaging.head_figures import bone_shares, grid_pattern, mr_head_mask, outside_of, step_ratio, vault
from ganlab.imaging.volume import Volume

SHAPE, CENTRE = (120, 120, 120), np.array([3.0, -7.0, 11.0])
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
AFFINE[:3, 3] = CENTRE - 119.0


def radius():
    points = np.stack(np.meshgrid(*(np.arange(n) * 2.0 for n in SHAPE), indexing="ij")) - 119.0
    return np.linalg.norm(points, axis=0)  # mm from CENTRE


def skull(thickness, diploe=False):
    """A ball of brain in a shell of bone, its inner radius 70 mm, under 6 mm of scalp; edges blurred by a voxel."""
    r, outer = radius(), 70.0 + thickness
    hu = np.interp(r, [0, 69, 71, outer - 1, outer + 1, outer + 5, outer + 7], [30, 30, 900, 900, 30, 30, -1000])
    if diploe:
        hu = np.where(np.abs(r - 70 - thickness / 2) < thickness / 6, 150.0, hu)
    return Volume(hu.astype(np.float32), AFFINE, "HU", "ct")


UP = np.array([0.0, 0.0, 1.0])


@pytest.mark.parametrize(("thickness", "diploe"), [(6.0, False), (9.0, False), (9.0, True)])
def test_the_thickness_of_a_vault_is_that_of_its_shell(thickness, diploe):
    measured, closed = vault(skull(thickness, diploe), CENTRE, UP)
    assert measured == pytest.approx(thickness + 1, abs=0.6)  # 250 HU lies half a millimetre outside, on both sides
    assert closed == 1


def test_the_thickness_of_a_vault_does_not_depend_on_where_the_rays_start():
    ct = skull(8.0)
    centred, off = vault(ct, CENTRE, UP)[0], vault(ct, CENTRE + np.array([0, 20, 10]), UP)[0]
    assert off == pytest.approx(centred, abs=0.3)


def test_a_hole_in_the_vault_is_open_and_a_head_without_bone_has_no_thickness():
    ct = skull(8.0)
    ct.array[60:, :, 60:] = 30
    assert 0.3 < vault(ct, CENTRE, UP)[1] < 0.7
    ct.array[:] = 30
    thickness, closed = vault(ct, CENTRE, UP)
    assert np.isnan(thickness) and closed == 0


def test_bone_shares_are_those_above_250_and_1200_hu():
    hu = np.array([[[0.0, 300.0, 1300.0, 2000.0, 5000.0]]])
    head = np.array([[[True, True, True, True, False]]])
    assert bone_shares(hu, head) == (0.75, 0.5)


def test_the_head_of_an_mr_includes_its_dark_skull_and_cavities():
    r = radius()
    noise = np.random.default_rng(0).normal(0, 10, SHAPE)
    t1 = np.where(r < 70, 500, np.where(r < 78, 20, np.where(r < 84, 700, 0))) + np.abs(noise)
    t1[50:60, 50:60, 50:60] = 0  # a sinus
    head = mr_head_mask(Volume(t1.astype(np.float32), AFFINE))
    assert (head != (r < 84)).mean() < 0.0064  # within half a voxel of the skin
    assert head[50:60, 50:60, 50:60].all()
    away = outside_of(head, np.array([2.0, 2.0, 2.0]))
    assert not away[(r < 87)].any() and away[r > 92].all()


def test_a_scan_of_one_value_has_no_head():
    with pytest.raises(InputError, match="same value everywhere"):
        mr_head_mask(Volume(np.ones((20, 20, 20), np.float32), np.eye(4)))


def textured(period=None, amplitude=0.0, axis=0):
    """Smooth brain texture of 4 HU, with a wave along one axis."""
    from scipy import ndimage

    array = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(80, 80, 80)), 1.0)
    array = 30 + 4 * array / array.std()
    if period:
        wave = amplitude * np.cos(2 * np.pi * np.arange(80) / period)
        array += wave.reshape([-1 if k == axis else 1 for k in range(3)])
    return Volume(array.astype(np.float32), np.eye(4), "HU", "ct")


@pytest.mark.parametrize("period", [2, 4, 8, 16])
def test_a_pattern_of_patches_shows_with_its_amplitude(period):
    ratio, amplitude = grid_pattern(textured(period, 3.0, axis=period % 3), np.array([40.0, 40, 40]))
    assert ratio > 2 and amplitude == pytest.approx(3.0, rel=0.2)


def test_texture_without_a_pattern_has_none():
    ratio, amplitude = grid_pattern(textured(), np.array([40.0, 40, 40]))
    assert ratio < 1.3 and amplitude == 0
    assert np.isnan(grid_pattern(Volume(np.zeros((40, 80, 80), np.float32), np.eye(4)), np.zeros(3))[0])


def test_slices_that_do_not_match_show_in_the_step_ratio():
    array = textured().array
    inside = np.ones(array.shape, bool)
    assert step_ratio(array, inside) < 1.05
    flickering = array + np.where(np.arange(80) % 2, 20, 0)[None, :, None]
    assert step_ratio(flickering, inside) > 2
    inside[:, :40] = False
    steady = np.where(np.arange(80)[None, :, None] < 40, flickering, array)
    assert step_ratio(steady, inside) < 1.05  # what lies outside the mask does not count
