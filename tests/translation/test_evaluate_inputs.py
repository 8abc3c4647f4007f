"""What `evaluate` takes, refuses and says: grids, axes in another order, strangers."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

import ganlab
from ganlab.errors import InputError
from ganlab.imaging.grid import resample
from ganlab.phantoms import make_patient
from ganlab.translation.compare import ScanPair, translate_and_compare
from ganlab.translation.inference import Translation

SPACING = 4.0


@pytest.fixture(scope="module")
def patient():
    return make_patient(9100, ("ct", "fa", "t1", "labels"), SPACING)


@pytest.fixture(scope="module")
def prediction(patient):
    noise = np.random.default_rng(0).normal(0, 40, patient["ct"].shape).astype(np.float32)
    return replace(patient["ct"], array=patient["ct"].array + noise)


def reoriented(volume, codes: str):
    start, end = nib.io_orientation(volume.affine), nib.orientations.axcodes2ornt(codes)
    change = nib.orientations.ornt_transform(start, end)
    array = nib.apply_orientation(volume.array, change)
    return replace(volume, array=array, affine=volume.affine @ nib.orientations.inv_ornt_aff(change, volume.shape))


@pytest.mark.parametrize("codes", ["LIA", "PIR", "LPS"])
def test_axes_in_another_order_are_the_same_grid(patient, prediction, codes):
    expected = ganlab.evaluate(patient["ct"], prediction)
    result = ganlab.evaluate(patient["ct"], reoriented(prediction, codes))
    assert result["mae"] == expected["mae"] and result["notices"] == expected["notices"]
    brain = replace(patient["fa"], array=(patient["fa"].array > 0).astype(np.uint8), modality="labels")
    fa = patient["fa"]
    assert ganlab.evaluate(fa, reoriented(fa, codes), "t1fa", reoriented(brain, codes))["mae"] == 0
    t1, ct = patient["t1"], patient["ct"]
    assert ganlab.evaluate(t1, t1, "ct2mr", source=reoriented(ct, codes))["mae"] < 0.01


def test_another_grid_is_refused_or_resampled_when_asked(patient, prediction):
    affine, shape = prediction.affine @ np.diag([1.25, 1.25, 1.25, 1]), [int(n / 1.25) for n in prediction.shape]
    coarse = resample(prediction, affine, shape, fill=-1000)
    with pytest.raises(InputError, match="--resample"):
        ganlab.evaluate(patient["ct"], coarse)
    result = ganlab.evaluate(patient["ct"], coarse, resample=True)
    assert result["mae"] > ganlab.evaluate(patient["ct"], prediction)["mae"] / 2
    assert any("resampled linearly from voxels of 5 x 5 x 5 mm" in notice for notice in result["notices"])


def test_a_volume_somewhere_else_is_not_resampled(patient, prediction):
    affine = prediction.affine.copy()
    affine[0, 3] += 400
    with pytest.raises(InputError, match="covers 0% of the reference's grid"):
        ganlab.evaluate(patient["ct"], replace(prediction, affine=affine), resample=True)


def test_the_ct_of_another_head_gives_no_numbers_unless_a_mask_is_given(patient):
    stranger = make_patient(9101, ("ct",), SPACING)["ct"]
    with pytest.raises(InputError, match="the reference is of another head"):
        ganlab.evaluate(stranger, patient["ct"])
    result = ganlab.evaluate(stranger, patient["ct"], mask=np.ones(stranger.shape, bool))
    assert "another head" in " ".join(result["notices"]) and result["mae"] > 0


def test_a_reference_that_lies_elsewhere_is_told(patient):
    """As far as a registration that failed leaves it: the errors are its, not the model's."""
    array = np.full_like(patient["ct"].array, -1000)
    array[:, 2:] = patient["ct"].array[:, :-2]
    noise = np.random.default_rng(0).normal(0, 20, array.shape).astype(np.float32)
    result = ganlab.evaluate(
        replace(patient["ct"], array=array), replace(patient["ct"], array=patient["ct"].array + noise)
    )
    assert "the two are not aligned" in " ".join(result["notices"])
    assert "aligned" not in " ".join(ganlab.evaluate(patient["ct"], patient["ct"])["notices"])


@pytest.mark.parametrize(("seed", "numbers"), [(9100, 1), (9105, 0)])
def test_a_strangers_ct_beside_a_translation_is_said_and_gives_no_numbers(patient, monkeypatch, seed, numbers):
    """The translation itself is kept. (The synthetic CT here is the patient's own.)"""
    translation = Translation(patient["ct"], "mr2ct-unet", 1.0)
    monkeypatch.setattr("ganlab.translation.inference.translate", lambda *arguments, **options: translation)
    reference = make_patient(seed, ("ct",), SPACING)["ct"]
    result = translate_and_compare(ScanPair(patient["t1"], reference))
    assert len(result.evaluations) == numbers and result.translations == (translation,)
    assert ("They are withheld" in " ".join(result.notices)) == (numbers == 0)


def test_a_reference_t1_may_have_any_zero(patient):
    t1, ct = patient["t1"], patient["ct"]
    expected = ganlab.evaluate(t1, t1, "ct2mr", source=ct)
    result = ganlab.evaluate(replace(t1, array=t1.array + 1000), t1, "ct2mr", source=ct)
    assert result["mae"] == pytest.approx(expected["mae"], abs=0.02)
    assert "background was subtracted" in " ".join(result["notices"])


def test_a_reference_that_is_no_t1_is_said():
    patient = make_patient(9100, ("t2", "ct"), SPACING)
    result = ganlab.evaluate(patient["t2"], patient["t2"], "ct2mr", source=patient["ct"])
    assert "Reference: This does not look T1-weighted" in " ".join(result["notices"])


@pytest.mark.parametrize("change", [lambda hu: hu * 2, lambda hu: hu * 0.8, lambda hu: hu.clip(-1000, 300)])
def test_a_reference_that_was_rescaled_or_clipped_is_doubted(patient, prediction, change):
    ct = patient["ct"]
    notices = ganlab.evaluate(replace(ct, array=change(ct.array)), prediction)["notices"]
    assert any("does not look like a whole CT in HU" in each for each in notices)
    assert not any("look like" in each for each in ganlab.evaluate(ct, prediction)["notices"])


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_a_prediction_that_was_rescaled_is_said(patient, prediction, factor):
    result = ganlab.evaluate(patient["ct"], replace(prediction, array=prediction.array * factor))
    assert any(f"about {factor:.2g} times the reference" in each for each in result["notices"])
