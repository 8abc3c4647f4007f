"""The scale, the mask and the units of what is compared: what is mended, what is said, and what is refused."""

import warnings
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

import ganlab
from ganlab.errors import InputError
from ganlab.imaging.masks import head_mask
from ganlab.phantoms import make_patient
from ganlab.phantoms.tissues import INDEX
from ganlab.translation.compare import ScanPair, compare, translate_and_compare


@pytest.fixture(scope="module")
def patient():
    return make_patient(9000, ("t1", "ct", "fa", "labels"), 4.0)


@pytest.fixture(scope="module")
def level(patient):
    return float(np.median(patient["t1"].array[patient["labels"].array == INDEX["white matter"]]))


def changed(volume, change):
    return replace(volume, array=change(volume.array).astype(np.float32))


@pytest.mark.parametrize("factor", [0.01, 0.56, 0.9, 1, 1.2, 1.9, 800])
def test_a_t1_compared_with_itself_has_no_error_in_any_unit(patient, level, factor):
    t1, ct = changed(patient["t1"], lambda t1: t1 / level * factor), patient["ct"]
    for known in (None, factor, factor * 1.3):
        for mask in (None, patient["labels"]):
            metrics = compare(t1, t1, "ct2mr", source=ct, mask=mask, white_matter=known).metrics
            assert metrics["mae"] == 0 and metrics["psnr"] is None
            assert len([notice for notice in metrics["notices"] if "divided by" in notice]) in (0, 2)
    assert compare(t1, t1, "ct2mr", mask=patient["labels"], white_matter=factor).metrics["mae"] == 0


def test_a_prediction_on_the_scale_of_the_reference_is_divided_by_the_same_number(patient, level):
    t1, ct = patient["t1"], patient["ct"]
    brighter = changed(t1, lambda t1: t1 * 1.1)
    metrics = compare(t1, brighter, "ct2mr", source=ct, white_matter=level).metrics
    assert metrics["mae"] == pytest.approx(0.1 * t1.array[head_mask(ct)].mean() / level, rel=1e-3)
    assert "the intensity of the reference's white matter" in metrics["notices"][1]
    masked = compare(t1, brighter, "ct2mr", mask=patient["labels"], white_matter=level).metrics
    assert "the intensity of the reference's white matter" in masked["notices"][1]


def test_a_prediction_with_white_matter_near_1_stays_as_it_is(patient, level):
    t1, ct = patient["t1"], patient["ct"]
    for own in (0.7, 1, 1.4):
        metrics = compare(
            t1, changed(t1, lambda t1, own=own: t1 / level * own), "ct2mr", source=ct, white_matter=level
        ).metrics
        assert not any("prediction T1 was divided" in notice for notice in metrics["notices"])
        assert metrics["mae"] == pytest.approx(abs(own - 1) * t1.array[head_mask(ct)].mean() / level, abs=1e-3)


def test_a_prediction_in_a_third_unit_is_divided_by_its_own_white_matter(patient, level):
    t1, ct = patient["t1"], patient["ct"]
    other = changed(t1, lambda t1: t1 / level * 100)
    metrics = compare(t1, other, "ct2mr", source=ct).metrics
    assert metrics["mae"] < 1e-3 and "its white matter (estimated)" in metrics["notices"][1]
    with pytest.raises(InputError, match=r"prediction T1 is neither .* give the CT"):
        compare(t1, other, "ct2mr", mask=patient["labels"], white_matter=level)


def test_white_matter_is_looked_for_in_the_head_and_never_in_the_mask(patient):
    t1, ct = patient["t1"], patient["ct"]
    bone = replace(patient["labels"], array=(ct.array > 250).astype(np.int16))
    whole, masked = (compare(t1, t1, "ct2mr", source=ct, mask=mask).metrics for mask in (None, bone))
    assert masked["notices"] == whole["notices"] and masked["voxels"] == np.count_nonzero(bone.array)
    with pytest.raises(InputError, match="not in a mask: give the CT"):
        compare(t1, t1, "ct2mr", mask=bone)


@pytest.mark.parametrize("wrong", [1e-300, 0.0, -1.0, float("inf"), float("nan")])
def test_refuses_an_intensity_of_white_matter_that_nothing_can_be_divided_by(patient, wrong):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match="give a positive number"):
            compare(patient["t1"], patient["t1"], "ct2mr", source=patient["ct"], white_matter=wrong)


@pytest.mark.parametrize("task", ["mr2ct", "t1fa"])
def test_refuses_a_source_or_white_matter_where_no_t1_is_made(patient, task):
    volume = patient["ct" if task == "mr2ct" else "fa"]
    for extra in ({"source": patient["t1"]}, {"white_matter": 800.0}):
        with pytest.raises(InputError, match=f"Only ct2mr.*leave it out for {task}"):
            compare(volume, volume, task, **extra)


def test_only_voxels_in_the_mask_tell_the_units_of_a_prediction(patient, level):
    head = head_mask(patient["ct"])
    t1 = changed(patient["t1"], lambda t1: t1 / level)
    around = changed(t1, lambda t1: np.where(head, t1, -1))
    assert compare(t1, around, "ct2mr", source=patient["ct"]).metrics["mae"] == 0
    fa = patient["fa"]
    bright = changed(fa, lambda fa: np.where(fa > 0, fa, 3))
    assert compare(fa, bright, "t1fa").metrics["mae"] == 0
    ct = patient["ct"]
    unit = changed(ct, lambda ct: np.where(head, (ct + 1024) / 4095, -1000))
    with pytest.raises(InputError, match=r"The prediction .*not a CT in HU"):
        compare(ct, unit)


def test_voxels_outside_a_given_mask_do_not_count_against_a_reference(patient):
    fa, ct, t1 = patient["fa"], patient["ct"], patient["t1"]
    brain, head = fa.array > 0, head_mask(ct)
    assert compare(changed(fa, lambda fa: np.where(brain, fa, 3)), fa, "t1fa", mask=brain).metrics["mae"] == 0
    assert compare(changed(ct, lambda ct: np.where(head, ct, 0)), ct, mask=head).metrics["mae"] == 0
    around = changed(t1, lambda t1: np.where(head, t1, -t1.max()))
    assert compare(around, t1, "ct2mr", source=ct, mask=head).metrics["mae"] < 0.01


def test_a_ct_measured_in_soft_tissue_alone_is_not_taken_for_grey_levels(patient):
    ct = patient["ct"]
    assert compare(ct, ct, mask=patient["labels"].array == INDEX["white matter"]).metrics["mae"] == 0


@pytest.mark.parametrize("offset", [32768, 1000, -1024])
def test_refuses_an_offset_in_either_ct(patient, offset):
    ct = patient["ct"]
    shifted = changed(ct, lambda ct: ct + offset)
    remedy = "subtract the offset" if offset > 0 else "add the offset"
    with pytest.raises(InputError, match=f"The prediction .*{remedy}"):
        compare(ct, shifted)
    for prediction in (ct, shifted):
        with pytest.raises(InputError, match=f"The reference .*{remedy}"):
            compare(shifted, prediction)


def test_warns_of_a_prediction_far_from_the_reference(patient):
    ct = patient["ct"]
    notices = compare(ct, changed(ct, lambda ct: ct + 300)).metrics["notices"]
    assert notices[0] == "The prediction lies 300 HU above the reference (median): check that both are in HU."
    assert notices[1].startswith("The vault of the skull could not be compared")


def test_refuses_a_t1_as_the_reference_ct(patient):
    t1 = patient["t1"]
    with pytest.raises(InputError, match="give a CT"):
        compare(t1, t1, "mr2ct")
    with pytest.raises(InputError, match="The head in the source covers 100%"):
        compare(t1, t1, "ct2mr", source=t1)


def test_warns_of_an_inverted_prediction(patient):
    ct, fa = patient["ct"], patient["fa"]
    for result in (compare(ct, changed(ct, np.negative)), compare(fa, changed(fa, lambda fa: 1 - fa), "t1fa")):
        assert any("inverted" in notice for notice in result.metrics["notices"])


def test_refuses_an_fa_reference_without_a_brain_and_prints_no_warning(patient):
    nothing = changed(patient["fa"], np.negative)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match="The reference has no FA above 0"):
            compare(nothing, nothing, "t1fa")
        with pytest.raises(InputError, match="The reference has no FA above 0"):
            translate_and_compare(ScanPair(patient["t1"], nothing), "t1fa")


def test_an_fa_map_that_is_nan_around_the_brain_is_measured_in_the_brain(patient, tmp_path):
    fa = patient["fa"]
    brain = np.where(fa.array > 0.02, fa.array, np.nan)
    files = {"nan": brain, "zero": np.nan_to_num(brain)}
    for name, array in files.items():
        nib.save(nib.Nifti1Image(array.astype(np.float32), fa.affine), tmp_path / f"{name}.nii.gz")
    nan, zero = (str(tmp_path / f"{name}.nii.gz") for name in files)
    metrics = ganlab.evaluate(nan, zero, "t1fa")
    assert metrics["voxels"] == np.isfinite(brain).sum() and metrics["mae"] == 0
    [notice] = metrics["notices"]
    assert notice.startswith("Reference: Voxels that were NaN") and notice.endswith("set to 0.")
    [notice] = ganlab.evaluate(zero, nan, "t1fa")["notices"]
    assert notice.startswith("Prediction: Voxels that were NaN")


def test_what_the_reader_says_of_each_volume_is_said_with_the_numbers(patient):
    t1, ct, labels = (patient[name].with_notices(f"Frames of {name}.") for name in ("t1", "ct", "labels"))
    notices = compare(t1, t1, "ct2mr", source=ct, mask=labels).metrics["notices"]
    for notice in ("Reference: Frames of t1.", "Prediction: Frames of t1.", "Source: Frames of ct."):
        assert notices.count(notice) == 1
    assert "Mask: Frames of labels." in notices
