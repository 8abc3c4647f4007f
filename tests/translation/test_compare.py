"""Comparison with a reference: one scale, one mask, the same numbers for the page, the commands and Python."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import ganlab.translation.inference
from ganlab.errors import Cancelled, InputError
from ganlab.imaging.intensity import mr_gain, white_matter_level
from ganlab.imaging.masks import head_mask
from ganlab.imaging.volume import Volume
from ganlab.phantoms import make_patient
from ganlab.phantoms.tissues import INDEX
from ganlab.translation.compare import (
    ScanPair,
    compare,
    motion_notice,
    phantom_pair,
    read_scan,
    translate_and_compare,
)
from ganlab.translation.tasks import get_task


@pytest.fixture(scope="module")
def patient():
    return make_patient(9000, ("t1", "ct", "fa", "labels"), 4.0)


def white_matter(patient):
    return float(np.median(patient["t1"].array[patient["labels"].array == INDEX["white matter"]]))


def test_a_t1_stored_in_any_unit_gives_the_same_numbers(patient):
    """A synthetic T1 has white matter at 1, a stored one at about 800: the MAE must not depend on it."""
    t1, ct, level = patient["t1"], patient["ct"], white_matter(patient)
    prediction = replace(t1, array=t1.array / np.float32(level) + 0.1)
    for stored in (t1, replace(t1, array=t1.array / 800), replace(t1, array=t1.array * 3)):
        result = compare(stored, prediction, "ct2mr", source=ct).metrics
        assert result["mae"] == pytest.approx(0.1, abs=0.01)
        assert "divided by" in result["notices"][0] and "estimated" in result["notices"][0]
    known = compare(t1, prediction, "ct2mr", source=ct, white_matter=level).metrics
    assert known["mae"] == pytest.approx(0.1, abs=1e-6) and "as given" in known["notices"][0]
    assert known["voxels"] == head_mask(ct).sum()


def test_a_prediction_in_scanner_units_is_rescaled_with_a_notice(patient):
    t1 = patient["t1"]
    result = compare(t1, t1, "ct2mr", source=patient["ct"]).metrics
    assert result["mae"] < 0.01
    assert [notice.split(" was ")[0] for notice in result["notices"]] == ["The reference T1", "The prediction T1"]


def test_a_t1_needs_the_ct_that_it_was_made_from_or_a_mask(patient):
    t1 = patient["t1"]
    with pytest.raises(InputError, match="give that CT, or a mask"):
        compare(t1, t1, "ct2mr")
    masked = compare(t1, t1, "ct2mr", mask=patient["labels"], white_matter=800.0).metrics
    assert masked["mask"] == "given" and masked["mae"] == 0
    with pytest.raises(InputError, match="different grids"):
        compare(t1, t1, "ct2mr", source=make_patient(9000, ("ct",), 8.0)["ct"])


@pytest.mark.parametrize("seed", [9000, 9001, 9004])
@pytest.mark.parametrize("options", [{}, {"scanner": "fat-suppressed"}, {"lesion": "tumour"}])
def test_white_matter_is_found_within_2_percent(seed, options):
    volumes = make_patient(seed, ("t1", "ct", "labels"), 4.0, **options)
    level = white_matter_level(volumes["t1"], head_mask(volumes["ct"]))
    assert level == pytest.approx(white_matter(volumes), rel=0.02)


def test_white_matter_is_found_in_any_voxel_order_and_gain(patient):
    t1, head = patient["t1"], head_mask(patient["ct"])
    level = white_matter_level(t1, head)
    turned = replace(t1, array=t1.array[:, ::-1].copy(), affine=t1.affine @ np.diag([1.0, -1, 1, 1]))
    assert white_matter_level(turned, head[:, ::-1]) == pytest.approx(level, rel=1e-3)
    assert white_matter_level(replace(t1, array=t1.array / 7), head) == pytest.approx(level / 7, rel=1e-3)
    assert mr_gain(t1.array) * level < 0.8, "the networks' gain does not measure white matter"
    assert np.isnan(white_matter_level(replace(t1, array=np.zeros_like(t1.array)), head))


def in_wrong_units(ct):
    """A CT in other units, and the expected error message."""
    hu, background = ct.array, np.where(head_mask(ct), ct.array, 0)
    return {
        "0 to 1": ((hu + 1024) / 4095, "not a CT in HU"),
        "-1 to 1": (np.clip(hu / 1500, -1, 1), "not a CT in HU"),
        "thousands of HU": (hu / 1000, "not a CT in HU"),
        "0 to 255": (np.clip((hu + 1000) / 4000 * 255, 0, 255).round(), "not a CT in HU"),
        "offset by 1024": (hu + 1024, "subtract the offset"),
        "background 0": (background, "0 around the head"),
    }


@pytest.mark.parametrize("unit", ["0 to 1", "-1 to 1", "thousands of HU", "0 to 255", "offset by 1024", "background 0"])
def test_refuses_a_ct_that_is_not_in_hu(patient, unit):
    ct = patient["ct"]
    array, message = in_wrong_units(ct)[unit]
    wrong = replace(ct, array=array.astype(np.float32))
    with pytest.raises(InputError, match=f"The reference .*{message}"):
        compare(wrong, ct)
    if unit == "background 0":
        assert compare(ct, wrong).metrics["mae"] == 0, "outside the mask a prediction may be anything"
    else:
        with pytest.raises(InputError, match=f"The prediction .*{message}"):
            compare(ct, wrong)


@pytest.mark.parametrize("scale", [100, 255, 1000])
def test_refuses_fa_that_is_not_between_0_and_1(patient, scale):
    fa = patient["fa"]
    wrong = replace(fa, array=fa.array * scale)
    for pair in ((wrong, fa), (fa, wrong)):
        with pytest.raises(InputError, match="FA lies between 0 and 1"):
            compare(*pair, "t1fa")


def test_refuses_a_t1_whose_zero_was_moved(patient):
    t1 = patient["t1"]
    scored = replace(t1, array=(t1.array - t1.array.mean()) / t1.array.std())
    with pytest.raises(InputError, match="reference T1 are negative"):
        compare(scored, t1, "ct2mr", source=patient["ct"])


def test_warns_of_a_prediction_that_hardly_varies(patient):
    ct = patient["ct"]
    flat = compare(ct, replace(ct, array=ct.array / 20)).metrics
    assert any("check that both are in the same unit" in notice for notice in flat["notices"])
    assert compare(ct, ct).metrics["notices"] == []


def test_values_are_measured_as_stored_in_files(patient):
    """HU are stored as integers, and a stored volume gives the same figures as one in memory."""
    ct = patient["ct"]
    prediction = replace(ct, array=ct.array + np.float32(20.4))
    stored = replace(ct, array=np.rint(prediction.array))
    assert compare(ct, prediction).metrics == compare(ct, stored).metrics


@pytest.fixture
def translated(monkeypatch):
    """translated(volume): let every model give this volume."""

    def install(volume):
        def translate(source, task, model, device, planes, progress, cancelled, **_):
            progress(1.0)
            return SimpleNamespace(synthetic=volume, model=model, seconds=1.0, notices=("A notice.",), confidence=None)

        monkeypatch.setattr(ganlab.translation.inference, "translate", translate)

    return install


def test_models_are_compared_on_one_reference(patient, translated):
    translated(patient["ct"])
    stages = []
    pair = ScanPair(patient["t1"], patient["ct"], aligned=True)
    result = translate_and_compare(pair, "mr2ct", ["a", "b"], progress=lambda *stage: stages.append(stage))
    assert [each.model for each in result.translations] == ["a", "b"]
    assert [each.metrics["mae"] for each in result.evaluations] == [0, 0]
    assert stages == sorted(stages) and {stage for _, stage in stages} >= {"Translating with a", "Comparing"}
    assert result.notices == ("A notice.",)


def test_without_a_reference_there_is_nothing_to_measure(patient, translated):
    translated(patient["ct"])
    result = translate_and_compare(ScanPair(patient["t1"]))
    assert result.reference is None and result.evaluations == ()


@pytest.mark.slow
def test_a_misplaced_reference_is_registered_with_a_notice_of_the_shift(patient, translated):
    ct = patient["ct"]
    translated(ct)
    moved = replace(ct, affine=np.array([[1.0, 0, 0, 6], [0, 1, 0, -4], [0, 0, 1, 3], [0, 0, 0, 1]]) @ ct.affine)
    result = translate_and_compare(ScanPair(patient["t1"], moved))
    assert "moved by 7." in result.notices[1] or "moved by 8." in result.notices[1]
    assert result.evaluations[0].metrics["mae"] < 60


def test_wrong_units_are_refused_before_the_translation(patient, monkeypatch):
    monkeypatch.setattr(ganlab.translation.inference, "translate", lambda *_, **__: pytest.fail("translated first"))
    wrong = replace(patient["ct"], array=patient["ct"].array + 1024)
    with pytest.raises(InputError, match="subtract the offset"):
        translate_and_compare(ScanPair(patient["t1"], wrong))


def test_a_cancelled_comparison_stops(patient, translated):
    translated(patient["ct"])
    pair = ScanPair(patient["t1"], patient["ct"], aligned=True)
    with pytest.raises(Cancelled):
        translate_and_compare(pair, cancelled=lambda: True)


def test_a_registration_is_reported_in_mm_and_degrees(patient):
    volume = patient["t1"]
    middle = volume.affine @ [*(np.array(volume.shape) - 1) / 2, 1]
    turned = np.eye(4)
    turned[:2, :2] = [[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]]
    turned[:3, 3] = (middle - turned @ middle)[:3] + np.array([3, 0, 4])
    assert "moved by 5.0 mm and turned by 11.5\u00b0" in motion_notice(turned, volume, get_task("mr2ct"))


def test_a_phantom_pair_knows_its_white_matter(patient):
    assert phantom_pair("mr2ct", seed=9000, spacing=8.0).white_matter is None
    pair = phantom_pair("ct2mr", seed=9000, spacing=4.0)
    assert pair.white_matter == white_matter(patient) and pair.aligned
    assert np.array_equal(pair.reference.array, patient["t1"].array)


def test_refuses_an_empty_upload():
    with pytest.raises(InputError, match="No scan was chosen"):
        read_scan((), "ct")


def test_several_files_become_one_folder_and_keep_their_names_where_they_can(tmp_path, monkeypatch):
    files = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for name in ("1.dcm", f"{folder}.dcm"):
            path = tmp_path / folder / name
            path.write_text(f"{folder}/{name}")
            files.append(str(path))
    seen = {}

    def read_volume(path, modality, series):
        seen.update({file.name: file.read_text() for file in path.iterdir()}, modality=modality, series=series)
        return Volume(np.zeros((1, 1, 1)), np.eye(4))

    monkeypatch.setattr("ganlab.imaging.reading.files.read_volume", read_volume)
    read_scan(tuple(files), "ct", "5")
    assert seen == {
        "1.dcm": "a/1.dcm", "a.dcm": "a/a.dcm", "00002-1.dcm": "b/1.dcm", "b.dcm": "b/b.dcm", "modality": "ct",
        "series": "5",
    }  # fmt: skip
