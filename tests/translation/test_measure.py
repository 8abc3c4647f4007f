"""Measuring models on held-out patients, and the result tables."""

from dataclasses import replace

import numpy as np
import pytest

from ganlab.errors import InputError
from ganlab.imaging.volume import Volume
from ganlab.translation import measure
from ganlab.translation.compare import ScanPair
from ganlab.translation.inference import Translation

SHAPE = (24, 24, 24)


def head(seed):
    """Soft tissue in a shell of bone with air in its middle, and noise that differs between patients."""
    x = np.stack(np.meshgrid(*(np.arange(n) - 11.5 for n in SHAPE), indexing="ij"))
    r = np.linalg.norm(x, axis=0)
    array = np.where(r < 10, np.where(r > 7, 900, 40), -1000)
    array[r < 3] = -1000
    noise = np.random.default_rng(seed).normal(0, 20, SHAPE)
    return Volume((array + noise * (r < 10)).astype(np.float32), np.eye(4), "HU", "ct")


@pytest.fixture
def measured(monkeypatch):
    """measure_model with heads in place of phantoms; the model blurs, or does what `change` says."""
    monkeypatch.setattr(measure, "load_model", lambda name, device, task: None)

    def phantom_pair(task, seed):
        scan = head(seed)
        fa = replace(scan, array=np.clip(scan.array / 1000, 0.01, 1), unit="FA", modality="fa")
        return ScanPair(scan, fa if task == "t1fa" else scan, aligned=True)

    monkeypatch.setattr(measure, "phantom_pair", phantom_pair)
    monkeypatch.setattr(measure, "lesion_kept", lambda name, task, seed, device: 0.5)

    def run(change=lambda array: (array + np.roll(array, 1, 0)) / 2, task="mr2ct"):
        def translate(volume, task, model, device, planes=(), cancelled=None):
            return Translation(replace(volume, array=change(volume.array)), model, 0.0)

        monkeypatch.setattr(measure, "translate", translate)
        return measure.measure_model("some-model", task)

    return run


def test_a_perfect_model_has_the_best_figures(measured):
    result = measured(lambda array: array)
    assert list(result["patients"]) == list(measure.HELD_OUT)
    for figures in result["patients"].values():
        assert figures["mae"] == 0 and figures["dice_bone"] == 1
        assert (figures["sharpness"], figures["flicker"], figures["skull_shift"]) == (1, 1, 0)
        assert "psnr" not in figures  # infinite
    assert result["sd"]["sharpness"] == 0 and result["mean"]["lesion"] == 0.5


def test_a_model_that_blurs_is_less_sharp(measured):
    mean = measured()["mean"]
    assert set(mean) == {key for key, *_ in measure.COLUMNS["mr2ct"].values()}
    assert mean["sharpness"] < 0.97
    assert mean["skull_shift"] > 0.1


def test_a_figure_undefined_for_one_patient_has_no_mean(measured):
    first = head(measure.HELD_OUT[0]).array
    result = measured(lambda array: np.minimum(array, 200) if np.array_equal(array, first) else array + 1)
    assert "skull_shift" not in result["patients"][measure.HELD_OUT[0]]
    assert "skull_shift" in result["patients"][measure.HELD_OUT[1]]
    assert "skull_shift" not in result["mean"]
    assert "skull shift" not in measure.format_patients(result)


def test_refuses_models_and_tasks_before_measuring(monkeypatch):
    assert measure.models_to_measure(None, "t1fa") == ["t1fa-unet", "t1fa-pix2pix", "t1fa-cyclegan"]
    for names, task, message in (
        (None, "t1pet", 'Task "t1pet" is not known; choose from mr2ct'),
        (None, "t1flair", 'no figures for the task "t1flair"; choose from mr2ct'),
        (["t1fa-unet", "ct2mr-unet"], "t1fa", '"ct2mr-unet" makes T1 from CT, not FA; choose t1fa-unet'),
        (["nothing"], "t1fa", 'no model "nothing" that makes FA from T1; choose t1fa-unet'),
    ):
        with pytest.raises(InputError, match=message):
            measure.models_to_measure(names, task)
    with pytest.raises(InputError, match="makes T1 from CT"):
        measure.measure_model("ct2mr-unet", "mr2ct")
    monkeypatch.setattr(measure, "cards_of", lambda task: [])
    with pytest.raises(InputError, match="no pretrained model of the task"):
        measure.models_to_measure(None, "mr2ct")


def test_only_synthetic_ct_has_a_skull_shift(measured):
    mean = measured(lambda array: np.clip(array / 1000, 0.01, 1), "t1fa")["mean"]
    assert {"sharpness", "flicker"} <= set(mean)
    assert "skull_shift" not in mean


FIGURES = {"mae": 45.51, "ssim": 0.9634, "sharpness": 0.94, "flicker": 0.95, "skull_shift": 0.274}


def fake(**changes):
    figures = FIGURES | changes
    return {"patients": {9000: figures, 9001: figures}, "mean": figures, "sd": {k: v / 10 for k, v in figures.items()}}


def test_the_table_of_a_model_has_a_row_per_patient():
    assert measure.format_patients(fake()).splitlines() == [
        "| patient | MAE (HU) | SSIM | sharpness | flicker | skull shift (mm) |",
        "|---|---|---|---|---|---|",
        "| 9000 | 45.5 | 0.963 | 0.940 | 0.950 | 0.27 |",
        "| 9001 | 45.5 | 0.963 | 0.940 | 0.950 | 0.27 |",
        "| mean | 45.5 | 0.963 | 0.940 | 0.950 | 0.27 |",
        "| SD | 4.6 | 0.096 | 0.094 | 0.095 | 0.03 |",
    ]


def test_the_comparison_has_a_column_per_model_and_a_dash_for_undefined_figures():
    boneless = {k: v for k, v in FIGURES.items() if k != "skull_shift"}
    blurred = {"patients": {}, "mean": boneless, "sd": dict.fromkeys(boneless, 0.0)}
    assert measure.format_comparison({"unet": fake(), "pix2pix": fake(mae=50.0), "blurred": blurred}).splitlines() == [
        "| figure | unet | pix2pix | blurred |",
        "|---|---|---|---|",
        "| MAE (HU) | 45.5 ± 4.6 | 50.0 ± 5.0 | 45.5 ± 0.0 |",
        "| SSIM | 0.963 ± 0.096 | 0.963 ± 0.096 | 0.963 ± 0.000 |",
        "| sharpness | 0.940 ± 0.094 | 0.940 ± 0.094 | 0.940 ± 0.000 |",
        "| flicker | 0.950 ± 0.095 | 0.950 ± 0.095 | 0.950 ± 0.000 |",
        "| skull shift (mm) | 0.27 ± 0.03 | 0.27 ± 0.03 | - |",
    ]


def test_evaluate_models_compares_models_after_their_own_tables(monkeypatch, capsys):
    import json

    from ganlab.cli.translate import evaluate_models

    monkeypatch.setattr(measure, "measure_model", lambda *args: fake())
    monkeypatch.setattr(measure, "models_to_measure", lambda names, task: names)
    evaluate_models(["one", "two"])
    out = capsys.readouterr().out
    assert out.index("| patient |") < out.rindex("| patient |") < out.index("| figure | one | two |")
    evaluate_models(["one"])
    assert "| figure |" not in capsys.readouterr().out
    evaluate_models(["one", "two"], as_json=True)
    assert set(json.loads(capsys.readouterr().out)) == {"one", "two"}


@pytest.mark.slow
def test_lesion_kept_is_the_share_of_its_contrast(monkeypatch):
    """Translators that reduce everything brighter than brain to a fraction."""
    patient = {"seed": measure.WITH_LESION[0], "spacing": 2.0, "lesion": "bleed"}
    pair = measure.phantom_pair("mr2ct", **patient)
    labels = measure.make_patient(patient["seed"], ("labels",), 2.0, lesion="bleed")
    monkeypatch.setattr(measure, "phantom_pair", lambda task, **asked: pair if asked == patient else None)
    monkeypatch.setattr(measure, "make_patient", lambda *asked, lesion: labels)
    brain, ct = 33.0, pair.reference
    for left in (1.0, 0.4, 0.0):
        faded = np.where(ct.array > 45, brain + left * (ct.array - brain), ct.array).astype(np.float32)
        translation = Translation(replace(ct, array=faded), "some-model", 0.0)
        monkeypatch.setattr(measure, "translate", lambda *asked, planes, translation=translation: translation)
        assert measure.lesion_kept("some-model", "mr2ct", measure.WITH_LESION[0]) == pytest.approx(left, abs=0.15)
