"""Skulls tell a head's own CT from a stranger's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from ganlab.imaging.fit import skull_fit
from ganlab.imaging.reading.files import read_volume
from ganlab.phantoms import make_patient

SPACING = 3.0
SAME, OTHER = 1.7, 1.9  # mm


@pytest.fixture(scope="module")
def ct():
    return make_patient(9100, ("ct",), SPACING)["ct"]


def moved(ct, degrees: float, mm: float):
    """The head turned about the axis through its feet and shifted, on the same grid."""
    array = ndimage.rotate(ct.array, degrees, axes=(0, 1), reshape=False, order=1, cval=-1000)
    return replace(ct, array=ndimage.shift(array, mm / SPACING, order=1, cval=-1000))


def test_a_head_is_its_own_however_it_lies_and_however_noisy_it_is(ct):
    assert skull_fit(ct, ct).distance < 0.01
    noisy = replace(ct, array=ct.array + np.random.default_rng(0).normal(0, 60, ct.shape).astype(np.float32))
    assert skull_fit(noisy, ct).distance < 1.0
    assert skull_fit(moved(ct, 5, 12), ct).distance < SAME
    assert skull_fit(replace(ct, array=ct.array[:, :, 15:], affine=ct.affine @ raised(15)), ct).distance < SAME


@pytest.mark.parametrize("mm", [3.0, 12.0])
def test_a_reference_that_lies_elsewhere_is_told_from_one_in_place(ct, mm):
    noisy = replace(ct, array=ct.array + np.random.default_rng(0).normal(0, 60, ct.shape).astype(np.float32))
    assert skull_fit(noisy, ct).motion < 1.0
    shifted = replace(ct, affine=ct.affine + np.array([[0.0] * 4, [0, 0, 0, mm], [0.0] * 4, [0.0] * 4]))
    assert 0.6 * mm < skull_fit(noisy, shifted).motion < 1.1 * mm  # the vault slides along itself a little


def raised(slices: int) -> np.ndarray:
    matrix = np.eye(4)
    matrix[2, 3] = slices
    return matrix


def test_throat_and_jaw_may_have_moved_between_the_scans(ct):
    apart = make_patient(9100, ("ct",), SPACING, misalign=12.0)["ct"]
    assert skull_fit(apart, ct).distance < SAME


@pytest.mark.parametrize("seed", [9101, 9102])
def test_other_patients_have_other_skulls(ct, seed):
    other = make_patient(seed, ("ct",), SPACING)["ct"]
    assert skull_fit(other, ct).distance > OTHER
    assert skull_fit(ct, other).distance > OTHER


def test_real_heads_are_strangers_to_each_other(ct, real_data):
    unc, invesalius = (read_volume(real_data / f"ct_head_{name}.nii.gz", "ct") for name in ("unc", "invesalius"))
    centred = [replace(each, affine=centred_on(each, ct)) for each in (unc, invesalius)]
    assert min(skull_fit(each, ct).distance for each in centred) > OTHER


def centred_on(volume, fixed) -> np.ndarray:
    """The volume's affine with its bone centred on that of another."""
    places = [v.affine[:3, :3] @ np.argwhere(v.array > 250).mean(axis=0) + v.affine[:3, 3] for v in (volume, fixed)]
    affine = volume.affine.copy()
    affine[:3, 3] += places[1] - places[0]
    return affine


def test_without_a_skull_nothing_is_said(ct):
    assert np.isnan(skull_fit(replace(ct, array=np.full(ct.shape, -1000.0, np.float32)), ct).distance)
    assert np.isnan(skull_fit(replace(ct, array=ct.array.clip(max=200)), ct).distance)
