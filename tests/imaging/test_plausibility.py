"""A T1-weighted head passes in silence; everything else is named, or refused."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from ganlab.errors import InputError
from ganlab.imaging.grid import canonical
from ganlab.imaging.intensity import normalise_mr
from ganlab.imaging.plausibility import check_t1
from ganlab.imaging.reading.files import read_volume
from ganlab.imaging.volume import Volume
from ganlab.phantoms import make_patient

SPACING = 3.0


def doubts(scan: Volume, stripped: bool = False) -> str:
    scan = replace(scan, array=scan.array.astype(np.float32))
    return " ".join(check_t1(normalise_mr(scan), scan.array, stripped))


def part(scan: Volume, *slices: slice) -> Volume:
    affine = scan.affine.copy()
    affine[:, 3] = scan.affine @ [*(each.indices(n)[0] for each, n in zip(slices, scan.shape, strict=True)), 1]
    return replace(scan, array=scan.array[slices], affine=affine)


@pytest.fixture(scope="module")
def patient():
    return make_patient(9100, ("t1", "t2", "pd", "flair", "ct", "fa", "labels"), SPACING)


@pytest.fixture(scope="module", params=[(9101, "fat-suppressed", 3.0), (9102, "noisy", 1.5), (9103, "clinical", 1.5)])
def other_t1(request):
    seed, scanner, field = request.param
    return make_patient(seed, ("t1",), SPACING, scanner=scanner, field=field)["t1"]


def test_t1_scans_of_all_scanners_pass_in_silence(patient, other_t1):
    assert doubts(patient["t1"]) == doubts(other_t1) == ""


@pytest.mark.parametrize(
    ("modality", "name"), [("t2", "as on T2-weighted"), ("pd", "as on proton-density"), ("flair", "as on FLAIR")]
)
def test_other_contrasts_are_named_with_what_to_expect(patient, modality, name):
    assert name in doubts(patient[modality]) and "expect wrong values" in doubts(patient[modality])


def test_a_smoothed_scan_and_resampled_thick_slices_are_named():
    fine = make_patient(9104, ("t1",), 1.5)["t1"]
    assert "no detail" not in doubts(fine)
    smooth = replace(fine, array=ndimage.gaussian_filter(fine.array.astype(np.float32), 4 / 1.5 / 1.2))
    assert re.search(r"no detail below about [6-9] mm, whatever its voxel size", doubts(smooth))
    thick = np.repeat(np.add.reduceat(fine.array, np.arange(0, fine.shape[2], 5), axis=2) / 5, 5, axis=2)
    thick = ndimage.gaussian_filter1d(thick.astype(np.float32), 1.5, axis=2)[:, :, : fine.shape[2]]
    assert " mm from bottom to top, whatever its voxel size" in doubts(replace(fine, array=thick))
    coarse = make_patient(9104, ("t1",), 3.0)["t1"]
    assert "no detail" not in doubts(coarse)  # its voxels say so


@pytest.mark.parametrize(("axis", "words"), [(2, "from bottom to top"), (0, "from left to right")])
def test_slices_that_show_nothing_in_the_middle_are_named(patient, axis, words):
    array = patient["t1"].array.copy()
    middle = array.shape[axis] // 2
    np.moveaxis(array, axis, 0)[middle : middle + 5] = 0
    said = doubts(replace(patient["t1"], array=array))
    assert f"15 mm of slices {words} show nothing, in the middle of the head" in said


def test_a_map_of_fa_is_named(patient):
    assert "looks like a map of FA" in doubts(patient["fa"], stripped=True)


def test_refuses_label_maps(patient):
    with pytest.raises(InputError, match="label map"):
        doubts(patient["labels"])


@pytest.mark.parametrize(
    "change", [lambda hu: hu + 1024, lambda hu: (hu + 1024) / 4095, lambda hu: hu.clip(-1000, 1500)]
)
def test_refuses_a_ct_in_any_scale(patient, change):
    ct = patient["ct"]
    with pytest.raises(InputError, match="looks like a CT"):
        doubts(replace(ct, array=change(ct.array)))


def drawn_head(noise: int) -> Volume:
    """Three shells of constant value, and up to so much noise: brain, a dark skull and a bright scalp."""
    x, y, z = np.mgrid[-90:90:3, -120:120:3, -80:80:3]
    radius = np.sqrt((x / 78) ** 2 + (y / 98) ** 2 + (z / 100) ** 2)
    array = np.select([radius < 0.8, radius < 0.88, radius < 1], [600.0, 20.0, 1000.0], 0.0)
    array += np.random.default_rng(0).integers(0, noise + 1, array.shape)
    return Volume(array, np.diag([3.0, 3, 3, 1]), modality="t1")


def test_a_drawn_head_is_taken_and_said_to_be_drawn():
    assert "as in a drawing" in doubts(drawn_head(0))
    assert "as in a drawing" not in doubts(drawn_head(8))


def test_refuses_noise():
    array = np.abs(np.random.default_rng(0).normal(size=(70, 80, 70)))
    with pytest.raises(InputError, match="looks like noise"):
        doubts(Volume(array, np.diag([3.0, 3, 3, 1]), modality="t1"))


def test_spikes_are_not_noise(patient):
    t1 = patient["t1"]
    spikes = np.random.default_rng(0).random(t1.shape) < 1e-4
    assert doubts(replace(t1, array=np.where(spikes, 100 * t1.array.max(), t1.array))) == ""


def test_halves_are_named_by_the_side_that_is_cut(patient):
    t1 = patient["t1"]
    places = np.argwhere(t1.array > 0.3 * np.percentile(t1.array, 99))
    x, y, z = ((places.min(0) + places.max(0)) // 2).tolist()
    every = slice(None)
    assert "cuts the head at the right" in doubts(part(t1, slice(0, x), every, every))
    assert "cuts the head at the left" in doubts(part(t1, slice(x, None), every, every))
    assert "cuts the head at the front" in doubts(part(t1, every, slice(0, y), every))
    assert "cuts the head at the top" in doubts(part(t1, every, every, slice(0, z)))
    vault = part(t1, every, every, slice(int(places.max(0)[2]) - 20, None))
    assert "mm of the head are covered from bottom to top" in doubts(vault)


def test_sizes_of_children_animals_and_wrong_voxels_are_told(patient):
    t1 = patient["t1"]

    def scaled(factor: float) -> Volume:
        return replace(t1, affine=np.diag([factor, factor, factor, 1]) @ t1.affine)

    assert "as a child's" in doubts(scaled(0.7))
    assert "mm wide, more than heads are: check the voxel size" in doubts(scaled(1.3))
    with pytest.raises(InputError, match="animal, or a wrong voxel size"):
        doubts(scaled(0.4))


def test_one_head_on_top_of_another_is_told(patient):
    t1 = patient["t1"]
    assert "mm high, more than heads are" in doubts(replace(t1, array=np.concatenate([t1.array, t1.array], axis=2)))


def test_a_clipped_scan_is_told(patient):
    t1 = patient["t1"]
    level = t1.array.max() / normalise_mr(t1).array.max()  # of white matter
    assert "clipped" in doubts(replace(t1, array=t1.array.clip(max=0.9 * level)))
    assert doubts(replace(patient["ct"], array=patient["ct"].array.clip(-60, 140))), "a CT in a window"
    assert doubts(replace(t1, array=t1.array.clip(max=1.5 * level))) == "", "bright fat alone may be"


def test_bright_vessels_are_taken_for_a_contrast_agent(patient):
    t1 = patient["t1"]
    rng = np.random.default_rng(0)
    level = 1.0 / normalise_mr(t1).array.max() * t1.array.max()  # white matter
    inside = normalise_mr(t1).array
    enhanced = np.where((rng.random(t1.shape) < 0.03) & (inside > 0.5) & (inside < 1.2), 1.8 * level, t1.array)
    assert "contrast agent" in doubts(replace(t1, array=enhanced))


@pytest.mark.slow
def test_real_t1_scans_pass_in_silence(real_t1, colin27):
    assert doubts(read_volume(real_t1, "t1")) == doubts(read_volume(colin27, "t1")) == ""


@pytest.mark.parametrize("name", ["aal", "JHU-WhiteMatter-labels-2mm"])
def test_refuses_real_atlases(colin27, name):
    with pytest.raises(InputError, match="label map or an atlas"):
        doubts(read_volume(colin27.parent / f"{name}.nii.gz"))


def test_refuses_the_brain_of_a_macaque(colin27):
    with pytest.raises(InputError, match="an animal"):
        doubts(read_volume(colin27.parent / "inia19-t1-brain.nii.gz"))


@pytest.mark.slow
def test_refuses_real_cts_stored_with_an_offset(real_data):
    ct = read_volume(real_data / "ct_head_unc.nii.gz", "ct")
    with pytest.raises(InputError, match="CT with another offset"):
        doubts(replace(ct, array=(ct.array + 1024).clip(0, 4095)))


def test_half_of_a_real_head_is_named(real_t1):
    scan = canonical(read_volume(real_t1, "t1"))
    assert "cuts the head at the right" in doubts(part(scan, slice(0, 104), slice(None), slice(None)))
