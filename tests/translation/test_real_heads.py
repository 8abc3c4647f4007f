"""What the shipped models make of Colin27, the T1 of a real head (Debian's mricron-data): skipped without it."""

from dataclasses import replace

import numpy as np
import pytest

from ganlab.imaging.grid import model_grid, resample
from ganlab.imaging.head_figures import vault
from ganlab.imaging.reading.files import read_volume
from ganlab.translation.head_atlas import AIR_SPACES, BRAIN_PLACES, atlas_of, atlas_of_ct
from ganlab.translation.inference import translate
from ganlab.translation.real_figures import failures, figures_of_fa, figures_of_head

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scan(colin27):
    return read_volume(colin27, modality="t1")


@pytest.fixture(scope="module")
def atlas(scan):
    return atlas_of(scan)


@pytest.fixture(scope="module")
def figures(scan, atlas):
    return figures_of_head(translate(scan, device="cpu").synthetic, atlas)


def test_the_atlas_finds_brain_and_air_spaces_where_they_are(scan, atlas):
    """Colin27 lies in MNI space: the fit may only refine it."""
    np.testing.assert_allclose(atlas.matrix[:3, :3], np.eye(3), atol=0.06)
    assert np.abs(atlas.matrix[:3, 3]).max() < 5
    assert set(atlas.air) == set(AIR_SPACES) and set(atlas.places) == set(BRAIN_PLACES)
    assert 1.0 < atlas.brain.sum() / 1e6 < 1.7 and 3.5 < atlas.head.sum() / 1e6 < 4.8  # litres
    assert not (atlas.brain & ~atlas.head).any() and not (atlas.outside & atlas.head).any()


def test_the_atlas_follows_a_head_that_was_moved_and_turned(scan, atlas):
    tilt = np.radians(10)
    motion = np.eye(4)
    motion[1:3, 1:3] = [[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]
    motion[:3, 3] = 12, -30, 25
    moved = replace(scan, affine=motion @ scan.affine)
    turned = atlas_of(resample(moved, *model_grid(moved, 2.0)))
    places = np.array([[0, 60, 0, 1], [60, -20, 0, 1], [0, -15, 70, 1], [0, 18, -30, 1.0]]).T
    np.testing.assert_allclose(turned.matrix @ places, motion @ atlas.matrix @ places, atol=4)


def test_colin27_comes_out_as_a_head(figures):
    """Every figure is that of a real head, apart from four voxels of 1 mm at the chiasm, above the sella's bone."""
    assert [each for each in failures(figures) if not each.startswith(("mastoid cells", "brain, largest"))] == []
    assert figures["mastoid_cells"] < -280 and figures["brain_bone_ml"] < 0.01 and figures["brain_max"] < 200


@pytest.mark.parametrize("model", ["t1fa-unet", "t1fa-pix2pix"])
def test_fa_of_colin27_is_that_of_a_head(scan, atlas, model):
    assert failures(figures_of_fa(translate(scan, "t1fa", model, device="cpu").synthetic, atlas), "t1fa") == []


def test_what_no_real_head_has_is_named(figures):
    bad = figures | {"mastoid_cells": 1200.0, "vault_mm": 3.0}
    assert "mastoid cells 1200, expected below -300" in failures(bad)
    assert "thickness of the vault 3.0, expected 6 to 10" in failures(bad)
    good = {"bone_share": 20.0, "vault_mm": 7.0, "mastoid_cells": -500.0, "grid_ratio": 2.0}
    assert failures(good) == []


def test_colin27_on_coarser_voxels_has_air_around_it_too(scan):
    coarse = resample(scan, *model_grid(scan, 2.0))
    ct = translate(coarse, device="cpu", planes=("axial",)).synthetic
    around = ct.array[atlas_of(coarse).outside]
    assert np.median(around) < -990 and np.percentile(around, 95) < -950


def test_the_atlas_of_a_real_ct_finds_its_brain_and_leaves_the_table_outside(real_data):
    path = real_data / "ct_head_unc.nii.gz"
    if not path.is_file():
        pytest.skip(f"no {path.name} in {real_data}")
    ct = read_volume(path, modality="ct")
    ct = resample(ct, *model_grid(ct, 2.0), fill=-1000.0)
    atlas = atlas_of_ct(ct)
    litres = np.prod(ct.spacing) / 1e6
    assert 0.8 < atlas.brain.sum() * litres < 1.6 and 3 < atlas.head.sum() * litres < 5.5
    assert -5 < np.median(ct.array[atlas.brain]) < 60
    assert (ct.array[atlas.outside] > -200).sum() > 100  # the head holder
    assert vault(ct, atlas.centre, np.array([0, 0, 1.0]))[0] == pytest.approx(
        10, abs=1.5
    )  # measured on slices: 9 to 11
