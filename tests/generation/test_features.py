"""The feature networks: they are trained, saved and loaded, and tell good generated images from bad ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ganlab.checkpoints import load_tensors, read_card
from ganlab.errors import InputError
from ganlab.generation import features
from ganlab.generation.brain_slices import PER_PATIENT
from ganlab.generation.feature_distances import frechet, kid
from ganlab.generation.feature_training import SEED, classifier_test, feature_config, fit, known_images, train_features
from ganlab.generation.features import FeatureNet, embed, load_features
from ganlab.generation.image_kinds import Images, get_kind, load_images
from ganlab.phantoms.lungs.nodules import make_nodules

DIGITS, NODULES, BRAINS = (get_kind(name) for name in ("digits", "nodules", "brain-t1-64"))


@pytest.fixture(scope="module")
def digits():
    return load_images(DIGITS)


@pytest.fixture(scope="module")
def held_out():
    return load_images(DIGITS, held_out=True)


def test_what_is_known_of_images():
    images, known = known_images(NODULES, SEED, 130)
    truth = make_nodules(SEED, 6, start=124)
    assert torch.equal(images.images[124:], NODULES.to_network(truth.images))
    assert np.array_equal(known["diameter_mm"][124:], truth.diameter_mm)
    assert np.array_equal(known["solid"][124:], truth.solidity == 0)
    assert set(known) == set(feature_config(NODULES).attributes)
    share = (np.arange(60) % PER_PATIENT + np.random.default_rng(0).random(60)) / PER_PATIENT
    brains = replace(BRAINS, make=lambda seed, count, progress: (np.zeros((count, 64, 64)), (share * 4).astype(int)))
    assert np.abs(known_images(brains, 5, 60)[1]["height"] - share).max() < 1 / 12
    assert known_images(DIGITS, SEED, 10)[1] == {}


@pytest.mark.parametrize("kind", [DIGITS, NODULES, BRAINS, get_kind("brain-t1-128")], ids=lambda kind: kind.name)
def test_features_are_64_of_some_100_000_parameters(kind):
    net = FeatureNet(feature_config(kind)).eval()
    assert 100_000 < sum(p.numel() for p in net.parameters()) < 200_000
    assert embed(net, torch.zeros((3, 1, kind.size, kind.size)), batch=2).shape == (3, 64)


def test_features_are_trained_saved_and_loaded_alike(tmp_path, monkeypatch):
    seen = []
    card = train_features(NODULES, tmp_path / "features-nodules", steps=2, count=16, progress=seen.append)
    written = read_card(tmp_path / "features-nodules")
    assert seen[-1] == 1 and card == {name: written[name] for name in card}
    assert {"name", "task", "summary", "parameters"} <= card.keys() and card["task"] == "features"
    assert {"diameter_mm", "noise_hu", "solid"} <= set(card["metrics"]["r2"]) <= set(card["config"]["attributes"])
    train_features(NODULES, tmp_path / "again", steps=2, count=16)
    first, second = (load_tensors(tmp_path / n / "model.safetensors")[0] for n in ("features-nodules", "again"))
    assert all(torch.equal(first[k], second[k]) for k in first)
    monkeypatch.setattr(features, "PRETRAINED", tmp_path)
    net = load_features("nodules")
    assert not net.training and all(torch.equal(v, first[k]) for k, v in net.state_dict().items())
    with pytest.raises(InputError, match='no features to measure images "digits"'):
        load_features("digits")
    with pytest.raises(InputError, match="not known"):
        load_features("cats")


def test_features_tell_worse_images_from_other_real_ones(digits):
    net = fit(feature_config(DIGITS, steps=40, rate=5e-3), digits)
    known, other = (embed(net, part) for part in digits.images.split(750))
    pairs = (digits.images[750:] + digits.images[750:].roll(1, 0)) / 2
    for images in (pairs, digits.images[digits.labels == 3]):
        assert frechet(known, embed(net, images)) > 3 * frechet(known, other)
        assert kid(known, embed(net, images)) > 3 * abs(kid(known, other))


def test_classifier_learns_from_good_images_and_not_from_wrong_labels(digits, held_out):
    rolled = Images(DIGITS, digits.images, (digits.labels + 1) % 10)
    good, bad = (classifier_test(digits, held_out, x, steps=30) for x in (digits, rolled))
    assert good["synthetic_on_real"] == good["real_on_real"] == bad["real_on_real"] > 0.6
    assert bad["synthetic_on_real"] < 0.2 and bad["real_on_synthetic"] < 0.2 < 0.6 < good["real_on_synthetic"]
