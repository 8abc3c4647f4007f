"""The 90 % interval of a translation: its fit, its file, and what it says about scans unlike the calibration."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ganlab.api import train
from ganlab.checkpoints import model_folder
from ganlab.errors import InputError
from ganlab.imaging.reading.files import read_volume
from ganlab.imaging.volume import Volume
from ganlab.phantoms import make_patient
from ganlab.translation.calibrate import MeasuredHead, by_task, calibrate, calibrated, factor_of, format_reports, save
from ganlab.translation.compare import phantom_pair, translate_and_compare
from ganlab.translation.confidence import (
    COVERAGE,
    DARK_MM,
    FILE,
    check_calibrated,
    confidence_of,
    confident_figures,
    evidence_of,
    load_calibration,
    thick_dark,
)
from ganlab.translation.inference import translate
from ganlab.translation.tasks import get_task

SIDE = 48  # voxels of 2 mm
TASK = get_task("mr2ct")


def made_up(seed, noise=1.0, signal=0.8):
    """A head whose errors grow with the disagreement: normal, with a standard deviation of half of it plus 10 HU."""
    rng = np.random.default_rng(seed)
    inside = np.linalg.norm(np.indices([SIDE] * 3) - SIDE / 2, axis=0) < SIDE * 0.4
    predicted = np.where(inside, rng.choice([-0.9, 0.03, 0.05, 0.8], inside.shape), -1.0)
    spread = np.where(inside, rng.gamma(2.0, 0.03, inside.shape), 0.0)
    truth = predicted + noise * rng.normal(size=inside.shape) * (0.5 * spread + 0.01)
    source = np.where(inside, signal + 0.1 * rng.normal(size=inside.shape), 0.0)
    arrays = (a.astype(np.float32) for a in (source, predicted, spread))
    evidence = evidence_of(*arrays, affine=np.diag([2.0, 2, 2, 1]), task=TASK, air=0.0)
    voxels = rng.permutation(inside.size)[:20000]
    places = np.stack(np.unravel_index(voxels, inside.shape)).astype(np.float32)
    return MeasuredHead(
        f"head {seed}", str(seed), False, evidence, places,
        predicted.ravel()[voxels], truth.ravel()[voxels], inside.ravel()[voxels],
    )  # fmt: skip


@pytest.fixture(scope="module")
def calibration():
    heads = [made_up(seed) for seed in range(5)]
    return calibrated(heads, heads, TASK)


def covered(calibration, head):
    return float(np.mean((head.errors <= head.widths(calibration.several))[head.inside]))


def test_the_interval_covers_90_percent_of_a_head_that_was_not_calibrated_on(calibration):
    assert covered(calibration, made_up(99)) == pytest.approx(0.9, abs=0.02)
    assert all(share == pytest.approx(0.9, abs=0.03) for share in calibration.report["coverage"].values())


def test_twice_the_error_is_not_covered(calibration):
    assert covered(calibration, made_up(98, noise=2.0)) < 0.75


def at(calibration, **changes):
    """The half-width at a voxel that the calibration has seen often, with some features changed."""
    usual = {"predicted": 0.04, "disagreement": 0.05, "roughness": 0.6, "signal": 0.8, "texture": 0.1}
    usual |= {"surroundings": 0.6}
    values = {name: np.array([value], np.float32) for name, value in (usual | changes).items()}
    return float(calibration.several.at(values)[0])


def test_the_interval_never_shrinks_where_slice_directions_disagree_more(calibration):
    widths = [at(calibration, disagreement=spread) for spread in np.linspace(0, 0.5, 21)]
    assert widths == sorted(widths) and widths[-1] > 2 * widths[0]


def test_the_interval_is_wider_where_the_scan_looks_unlike_the_calibration(calibration):
    assert at(calibration, signal=3.0, texture=1.5) > 2 * at(calibration)


def test_a_scan_unlike_the_calibration_is_said(calibration, tmp_path, monkeypatch):
    model = stored(calibration, tmp_path)
    like = Volume(np.zeros((SIDE,) * 3, np.float32), np.diag([2.0, 2, 2, 1]), "HU", "ct")
    assert confidence_of(model, made_up(7).evidence, like, TASK)[1] == ()
    _, notices = confidence_of(model, made_up(7, signal=2.5).evidence, like, TASK)
    assert any("unlike every head" in notice for notice in notices)


def ball(radius_mm, mm=2.0):
    return np.linalg.norm((np.indices([31] * 3) - 15) * mm, axis=0) <= radius_mm


def test_bone_in_a_dark_region_thicker_than_cortex_gets_an_interval_that_reaches_air(calibration):
    dark = np.where(ball(2.5 * DARK_MM), 0.05, 0.8).astype(np.float32)
    predicted = np.full(dark.shape, 0.8, np.float32)
    evidence = evidence_of(dark, predicted, np.zeros_like(dark), np.diag([2.0, 2, 2, 1]), TASK, 0.0)
    widths = calibration.several.half_width(evidence)
    assert 1.8 <= widths[15, 15, 15] <= 2.1  # from 800 to -1000 HU
    fluid = replace(evidence, features=evidence.features | {"ambiguous": np.zeros_like(dark)})
    assert widths[0, 15, 15] == calibration.several.half_width(fluid)[0, 15, 15]


def test_thin_dark_bone_is_not_taken_for_air():
    plate = np.full((31, 31, 31), 0.8, np.float32)
    plate[14:17] = 0.05  # 6 mm
    assert not thick_dark(plate, 2.0).any()
    plate[10:20] = 0.05  # 20 mm
    assert thick_dark(plate, 2.0)[15, 15, 15]


def test_heads_count_alike_and_phantoms_as_much_as_real_ones():
    phantoms, real = [np.full(1000, 1.0)] * 8, [np.full(10, 3.0)]
    assert factor_of([*phantoms, *real], [False] * 8 + [True]) == 3.0  # half of the weight, not a 801st
    assert factor_of([np.linspace(0, 1, 1001)], [False]) == pytest.approx(0.9, abs=0.002)


def stored(calibration, folder):
    """A copy of a model with this calibration."""
    shutil.copy(model_folder("mr2ct-unet") / "model.safetensors", folder)
    save(str(folder), calibration)
    return str(folder)


def test_a_calibration_is_read_back_as_it_was_written(calibration, tmp_path):
    read, notices = load_calibration(stored(calibration, tmp_path))
    head = made_up(50)
    assert notices == () and read.report == calibration.report
    np.testing.assert_array_equal(head.widths(read.several), head.widths(calibration.several))


def test_a_model_without_calibration_says_so(tmp_path):
    shutil.copy(model_folder("mr2ct-unet") / "model.safetensors", tmp_path)
    calibration, [notice] = load_calibration(str(tmp_path))
    assert calibration is None and "ganlab calibrate" in notice
    with pytest.raises(InputError, match="no calibrated confidence"):
        check_calibrated(str(tmp_path))


def test_a_calibration_of_other_weights_is_not_used(calibration, tmp_path):
    model = stored(calibration, tmp_path)
    shutil.copy(model_folder("mr2ct-pix2pix") / "model.safetensors", tmp_path)
    found, [notice] = load_calibration(model)
    assert found is None and "other weights" in notice


def test_a_damaged_calibration_is_refused_with_a_sentence(calibration, tmp_path):
    model = stored(calibration, tmp_path)
    (tmp_path / FILE).write_bytes(b"no table")
    with pytest.raises(InputError, match="not a readable"):
        load_calibration(model)


def test_the_confident_90_percent_of_voxels_are_those_with_the_smallest_interval():
    widths = np.arange(1, 101, dtype=np.float32).reshape(1, 10, 10)
    error = np.where(widths > 90, 50.0, -1.0)
    figures = confident_figures(Volume(widths, np.eye(4), "HU"), error, np.ones(widths.shape, bool))["confidence"]
    assert (figures["mae_confident"], figures["mae_rest"]) == (1.0, 50.0)
    assert figures["coverage"] == 1.0 and figures["half_width"] == 50.5
    assert confident_figures(None, error, widths > 0) == {}


CH2 = Path("/usr/share/mricron/templates/ch2.nii.gz")
AIR = {"sphenoid sinus": (0, 18, -30), "mastoid cells, right": (50, -28, -40), "mastoid cells, left": (-50, -28, -40)}


@pytest.mark.slow
@pytest.mark.skipif(not CH2.is_file(), reason=f"{CH2} is not there: apt-get install mricron-data")
def test_air_painted_as_bone_on_a_real_head_is_marked():
    scan = read_volume(CH2, modality="t1")
    result = translate(scan, device="cpu")
    predicted, widths = result.synthetic.array, result.confidence.array
    limit = np.quantile(widths[predicted > -500], COVERAGE)
    for name, place in AIR.items():
        i, j, k = np.rint(np.linalg.solve(scan.affine, [*place, 1])[:3]).astype(int)
        around = np.s_[i - 1 : i + 2, j - 1 : j + 2, k - 1 : k + 2]
        low = predicted[around] - widths[around]
        assert (low <= -700).mean() > 0.9 or (widths[around] > limit).mean() > 0.9, name
    brain = np.rint(np.linalg.solve(scan.affine, [25, 0, 30, 1])[:3]).astype(int)
    assert widths[tuple(brain)] < 60


@pytest.mark.slow
def test_the_shipped_interval_covers_a_held_out_patient_and_shrinks_where_the_model_is_right():
    pair = phantom_pair("mr2ct", seed=9001, spacing=2.0)
    comparison = translate_and_compare(pair, device="cpu")
    figures = comparison.evaluations[0].metrics["confidence"]
    assert 0.82 <= figures["coverage"] <= 0.97
    assert figures["mae_rest"] > 3 * figures["mae_confident"]
    alone = translate(pair.source, device="cpu", planes=["axial"])
    inside = comparison.evaluations[0].mask
    covered = np.abs(alone.synthetic.array - comparison.reference.array)[inside] <= alone.confidence.array[inside]
    assert 0.8 <= covered.mean() <= 0.98


def test_models_are_calibrated_for_the_task_that_they_were_trained_for():
    assert by_task(["ct2mr-unet", "mr2ct-unet"], None) == {"ct2mr": ["ct2mr-unet"], "mr2ct": ["mr2ct-unet"]}
    assert by_task(None, "t1fa") == {"t1fa": ["t1fa-unet", "t1fa-pix2pix", "t1fa-cyclegan"]}
    assert set(by_task(None, None)) == {"mr2ct", "ct2mr", "t1fa"}
    with pytest.raises(InputError, match="t1fa-unet"):
        by_task(["t1fa-unet"], "mr2ct")


def test_a_tiny_model_is_calibrated_by_one_call_and_then_used(tmp_path):
    network = {"widths": [4, 8], "patch": 2}
    for _ in train("mr2ct-unet", tmp_path, steps=1, spacing=8, size=64, batch=2, network=network):
        pass
    reports = calibrate([str(tmp_path)], "mr2ct", patients=4, device="cpu", spacing=8.0)
    [report] = reports.values()
    assert len(report["coverage"]) == 4 and report["phantoms"] == 4 and report["real"] == 0
    result = translate(make_patient(9000, ("t1",), 8.0)["t1"], "mr2ct", str(tmp_path), "cpu")
    assert result.confidence.shape == result.synthetic.shape and result.confidence.unit == "HU"
    assert result.confidence.array.min() > 0 and not any("calibrat" in notice for notice in result.notices)
    assert "left out" in format_reports(reports, "mr2ct")
    with pytest.raises(InputError, match="Patients is 3"):
        calibrate([str(tmp_path)], "mr2ct", patients=3)
    with pytest.raises(InputError, match="tells nothing"):
        calibrate(["t1fa-unet"], "t1fa", real=tmp_path)
