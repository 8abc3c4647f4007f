"""A generator is evaluated from its folder."""

import json
from functools import partial

import pytest

from ganlab.errors import InputError
from ganlab.generation import evaluation, features
from ganlab.generation.config import GanConfig, NetworkConfig
from ganlab.generation.evaluation import evaluate_generator, format_quality
from ganlab.generation.feature_training import classifier_test, train_features
from ganlab.generation.image_kinds import get_kind, load_images
from ganlab.generation.trainer import train

DIGITS, NODULES = get_kind("digits"), get_kind("nodules")


@pytest.mark.slow
@pytest.mark.parametrize("classes", [0, 10])
def test_a_generator_is_evaluated_from_its_folder(tmp_path, monkeypatch, classes):
    train_features(DIGITS, tmp_path / "features-digits", steps=5)
    monkeypatch.setattr(features, "PRETRAINED", tmp_path)
    monkeypatch.setattr(evaluation, "classifier_test", partial(classifier_test, steps=4))
    network = NetworkConfig(size=16, width=8, classes=classes)
    for _ in train(GanConfig("digits", network=network, steps=2, batch=8), tmp_path / "gan", "cpu"):
        pass
    shares = []
    result = evaluate_generator(str(tmp_path / "gan"), count=60, progress=shares.append)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result == evaluate_generator(str(tmp_path / "gan"), count=60)
    assert result["counts"] == {"generated": 60, "held_out": 60, "training": 1500}
    assert (result["classifier"] is not None) == result["conditional"] == bool(classes)
    assert result["generated"]["fid"] > result["real"]["fid"] > 0
    assert shares == sorted(shares)
    shown = format_quality(result)
    assert "not comparable with the FID of papers" in shown and "Inception" in shown
    assert shown.count("\n|") == (11 if classes == 0 else 13)


@pytest.mark.slow
def test_a_generator_of_nodules_has_its_nodules_measured(tmp_path, monkeypatch):
    train_features(NODULES, tmp_path / "features-nodules", steps=2, count=16)
    monkeypatch.setattr(features, "PRETRAINED", tmp_path)
    monkeypatch.setattr(
        evaluation, "load_images", lambda kind, *_, held_out=False, **__: load_images(kind, held_out, 24)
    )
    network = NetworkConfig(size=56, width=4)
    for _ in train(GanConfig(count=16, network=network, steps=1, batch=8), tmp_path / "gan", "cpu"):
        pass
    result = evaluate_generator(str(tmp_path / "gan"), count=24)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["real"]["measures"]["diameter_mm"]["ks"] < 0.5 < result["held_out_measured"]
    assert result["generated"]["measures"]["diameter_mm"]["measured"] < 0.5
    (every,) = result["distributions"]["diameter_mm"]["classes"].items()  # it is unconditional
    assert every[0] == "all" and sum(map(int, every[1]["held_out"].split())) == round(24 * result["held_out_measured"])
    assert "| diameter_mm, Wasserstein mm (lower) |" in format_quality(result)
    with pytest.raises(InputError, match="too few"):
        evaluate_generator(str(tmp_path / "gan"), count=3)
