"""Measures of generators against known answers and slow, literal versions of themselves."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from scipy import linalg
from skimage.metrics import structural_similarity

from ganlab.checkpoints import load_tensors, read_card
from ganlab.errors import InputError
from ganlab.generation import features, quality
from ganlab.generation.brain_slices import PER_PATIENT
from ganlab.generation.features import (
    SEED,
    FeatureNet,
    classifier_test,
    embed,
    feature_config,
    fit,
    known_images,
    load_features,
    train_features,
)
from ganlab.generation.game import GanConfig
from ganlab.generation.image_kinds import HELD_OUT, Images, get_kind, load_images
from ganlab.generation.networks import NetworkConfig
from ganlab.generation.nodule_measures import compare_measures, distributions, measure_nodules, segment_nodule
from ganlab.generation.quality import (
    evaluate_generator,
    format_quality,
    frechet,
    kid,
    memorisation,
    ms_ssim,
    ms_ssim_diversity,
    nearest,
    prdc,
)
from ganlab.generation.trainer import train
from ganlab.phantoms.lungs.nodules import make_nodules

DIGITS, NODULES, BRAINS = (get_kind(name) for name in ("digits", "nodules", "brain-t1-64"))


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def digits():
    return load_images(DIGITS)


@pytest.fixture(scope="module")
def held_out():
    return load_images(DIGITS, held_out=True)


@pytest.fixture(scope="module")
def nodules():
    return make_nodules(HELD_OUT + 7, 200)


# distances of feature sets


def with_moments(rng, mean, root, count=400):
    """Points whose sample mean and covariance are exactly `mean` and root' root."""
    x = rng.standard_normal((count, len(mean)))
    x -= x.mean(0)
    white = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T)).T)
    return white @ root + mean


def test_frechet_of_normal_distributions_is_the_formula(rng):
    a, b = rng.standard_normal((2, 5, 5))
    mean = np.arange(5.0)
    x, y = with_moments(rng, mean, a), with_moments(rng, np.zeros(5), b)
    expected = mean @ mean + np.trace(a.T @ a + b.T @ b - 2 * linalg.sqrtm(a.T @ a @ b.T @ b).real)
    assert frechet(x, y) == pytest.approx(expected, rel=1e-9)
    assert frechet(y, x) == pytest.approx(expected, rel=1e-9)
    stretched = with_moments(rng, np.zeros(2), np.diag([1.0, 2.0])), with_moments(rng, [3.0, 4.0], np.diag([2.0, 5.0]))
    assert frechet(*stretched) == pytest.approx(25 + 1 + 9)


def test_frechet_of_identical_sets_is_zero_whatever_their_rank(rng):
    for x in (rng.standard_normal((50, 8)), rng.standard_normal((6, 64)), np.repeat(rng.random((40, 1)), 9, 1)):
        assert frechet(x, x[::-1]) < 1e-10 * (1 + (x**2).sum())
        assert frechet(x, x + 1) == pytest.approx(x.shape[1])


def test_kid_is_the_double_loop(rng):
    a, b = rng.standard_normal((7, 3)), rng.standard_normal((5, 3)) + 1

    def k(x, y):
        return (sum(p * q for p, q in zip(x, y, strict=True)) / 3 + 1) ** 3

    def within(x):
        return np.mean([k(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j])

    expected = within(a) + within(b) - 2 * np.mean([k(x, y) for x in a for y in b])
    assert kid(a, b) == pytest.approx(expected)


def test_kid_is_zero_in_the_mean_for_one_distribution(rng):
    same = np.array([kid(*rng.standard_normal((2, 30, 4))) for _ in range(400)])
    assert abs(same.mean()) < 3 * same.std() / 20
    assert (same < 0).any()
    assert kid(rng.standard_normal((300, 4)), rng.standard_normal((300, 4)) + 0.5) > 3 * same.std()


def literal_prdc(real, fake, k):
    def d(x, y):
        return np.sqrt(((x - y) ** 2).sum())

    def radius(points, i):
        return sorted(d(points[i], p) for j, p in enumerate(points) if j != i)[k - 1]

    real_radius = [radius(real, i) for i in range(len(real))]
    fake_radius = [radius(fake, j) for j in range(len(fake))]
    inside = [[d(r, f) <= real_radius[i] for f in fake] for i, r in enumerate(real)]
    return {
        "precision": np.mean([any(row[j] for row in inside) for j in range(len(fake))]),
        "recall": np.mean([any(d(r, f) <= fake_radius[j] for j, f in enumerate(fake)) for r in real]),
        "density": sum(map(sum, inside)) / (k * len(fake)),
        "coverage": np.mean([any(row) for row in inside]),
    }


@pytest.mark.parametrize("k", [1, 3])
def test_prdc_is_the_literal_version(rng, monkeypatch, k):
    monkeypatch.setattr(quality, "ROWS", 16)
    real, fake = rng.standard_normal((40, 2)), 0.7 * rng.standard_normal((30, 2)) + 0.5
    assert prdc(real, fake, k) == pytest.approx(literal_prdc(real, fake, k))


def test_prdc_of_known_cases(rng):
    real = rng.standard_normal((300, 3))
    real[150:] += 20  # two modes
    other = rng.standard_normal((300, 3))
    other[150:] += 20
    same = prdc(real, real)
    assert same["precision"] == same["recall"] == same["coverage"] == 1 and same["density"] >= 1
    assert prdc(real, real + 1000) == dict.fromkeys(("precision", "recall", "density", "coverage"), 0.0)
    whole, dropped = prdc(real, other), prdc(real, np.concatenate([other[:150], rng.standard_normal((150, 3))]))
    assert dropped["recall"] <= 0.5 and dropped["coverage"] <= 0.5 < whole["coverage"]
    assert whole["recall"] > 0.8 and abs(dropped["precision"] - whole["precision"]) < 0.1


def test_sets_that_cannot_be_compared_are_refused(rng):
    x = rng.standard_normal((4, 3))
    for measure in (frechet, kid, prdc):
        with pytest.raises(InputError, match="cannot be compared"):
            measure(x, x[:, :2])
        with pytest.raises(InputError, match="not finite"):
            measure(x, np.where(x > x.min(), x, np.nan))
    with pytest.raises(InputError, match="Neighbour 5 of 4"):
        prdc(x, x)


# diversity and copies


def test_ms_ssim_of_one_scale_is_that_of_scikit_image(nodules):
    images = NODULES.to_network(nodules.images[:4])
    for a, b in ((0, 1), (2, 3)):
        expected = structural_similarity(
            *((images[k, 0].double().numpy() + 1) / 2 for k in (a, b)),
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0,
        )  # fmt: skip
        assert ms_ssim(images[[a]], images[[b]], scales=1).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("size", [16, 28, 56, 64, 128])
def test_ms_ssim_is_one_for_equal_images_and_falls_with_noise(size):
    x = torch.rand((3, 1, size, size), generator=torch.Generator().manual_seed(0)) * 2 - 1
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    values = [ms_ssim(x, x + s * noise).mean().item() for s in (0.0, 0.1, 0.5)]
    assert values[0] == pytest.approx(1, abs=1e-5)
    assert 1 > values[1] > values[2] >= 0


def test_diversity_compares_different_images_of_one_class(digits):
    one_each = torch.tensor([digits.images[digits.labels == k][0].tolist() for k in range(10)])
    labels = torch.arange(10).repeat(3)
    assert ms_ssim_diversity(Images(DIGITS, one_each.repeat(3, 1, 1, 1), labels), 60) == pytest.approx(1, abs=1e-5)
    with pytest.raises(InputError, match="No class has two"):
        ms_ssim_diversity(Images(DIGITS, one_each, labels[:10]))
    value = ms_ssim_diversity(digits, 300)
    assert value == ms_ssim_diversity(digits, 300) != ms_ssim_diversity(digits, 300, seed=1)
    mixed = Images(DIGITS, digits.images, torch.zeros_like(digits.labels))
    assert ms_ssim_diversity(mixed, 300) < value < 0.9


def test_nearest_finds_copies_also_mirrored(digits):
    wanted = torch.tensor([5, 700, 44])
    copies = digits.images[wanted]
    for images in (copies, copies.flip(3), (copies + 0.02).clamp(-1, 1)):
        indices, distances = nearest(images, digits.images)
        assert indices.shape == distances.shape == (3, 3)
        assert indices[:, 0].tolist() == wanted.tolist()
        assert (distances[:, 0] < 0.021).all() and (np.diff(distances, axis=1) >= 0).all()
    assert nearest(copies, digits.images[:2])[0].shape == (3, 2)


def test_nearest_is_the_root_mean_square_after_a_mean_of_nine(digits):
    a, b = digits.images[:1], digits.images[1:2]

    def blurred(x):
        return np.array(
            [[x[max(0, i - 1) : i + 2, max(0, j - 1) : j + 2].mean() for j in range(16)] for i in range(16)]
        )

    a0, b0, b1 = (blurred(x[0, 0].numpy()) for x in (a, b, b.flip(3)))
    expected = min(np.sqrt(((a0 - other) ** 2).mean()) for other in (b0, b1))
    assert nearest(a, b)[1].item() == pytest.approx(expected, rel=1e-5)


def test_copies_are_caught_and_fresh_images_are_not(nodules):
    images = NODULES.to_network(nodules.images)
    training, held_out, fresh = images[:100], images[100:150], images[150:]
    noise = 0.02 * torch.randn((50, 1, 56, 56), generator=torch.Generator().manual_seed(0))
    copies = memorisation(training[:50].flip(3) + noise, training, held_out)
    assert copies["ratio"] < 0.2 and copies["copied"] == 1
    honest = memorisation(fresh, training, held_out)
    assert 0.7 < honest["ratio"] < 1.4 and honest["copied"] < 0.1


# nodules


def test_nodules_are_measured_as_they_were_made(nodules):
    measured = measure_nodules(nodules.images)
    assert all(values.shape == (200,) for values in measured.values())
    solid = (nodules.solidity == 0) & ~nodules.pleural
    found = solid & np.isfinite(measured["diameter_mm"])
    assert found.sum() > 0.95 * solid.sum()
    for name, least in (("diameter_mm", 0.97), ("roundness", 0.7)):
        assert np.corrcoef(getattr(nodules, name)[found], measured[name][found])[0, 1] > least
    error = measured["diameter_mm"][found] - nodules.diameter_mm[found]
    assert abs(np.median(error)) < 0.35  # half a pixel
    assert abs(np.median(measured["mean_hu"][found] - nodules.mean_hu[found])) < 25
    assert ((measured["roundness"][found] > 0.1) & (measured["roundness"][found] <= 1)).all()
    masks = [segment_nodule(image) for image in nodules.images[found]]
    dice = [2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in zip(masks, nodules.masks[found], strict=True)]
    assert np.median(dice) > 0.95


def test_what_is_no_nodule_is_not_measured(rng):
    lung = np.full((56, 56), -850.0)
    disc = np.hypot(*(np.indices((56, 56)) - 27.5)) < 8
    beside = np.where(np.roll(disc, 19, 1), 30.0, lung)
    empty = [lung, lung + rng.normal(0, 30, lung.shape), np.full_like(lung, 40.0), beside, np.where(disc, 3.0, 0.0)]
    assert np.isnan(measure_nodules(np.stack(empty))["diameter_mm"]).all()
    there = measure_nodules(np.where(disc, 30.0, lung)[None])
    assert there["diameter_mm"][0] == pytest.approx(16 * 0.7, abs=0.5)
    assert there["mean_hu"][0] == pytest.approx(30) and there["roundness"][0] > 0.88


def test_comparison_of_measures_leaves_out_what_was_not_measured():
    a = {"mm": np.array([1.0, 2, 3, 4])}
    shifted = {"mm": np.array([3.0, 4, 5, 6, np.nan])}
    assert compare_measures(a, shifted)["mm"] == {"ks": 0.5, "wasserstein": 2.0, "measured": 0.8}
    nothing = compare_measures(a, {"mm": np.full(3, np.nan)})["mm"]
    assert np.isnan(nothing["ks"]) and nothing["measured"] == 0


def test_distributions_count_each_class_alone_and_what_lies_beyond_the_edges():
    def measured(*diameters):
        values = np.array(diameters)
        return {"diameter_mm": values, "roundness": np.full(len(values), 0.5), "mean_hu": np.zeros(len(values))}

    labels = np.array([0, 0, 1, 1])
    real, made = measured(2.5, 4.5, 10, 11), measured(1.0, np.nan, 40, np.nan)
    found = distributions((real, labels), (made, labels), (real, labels), ("benign", "malignant"))["diameter_mm"]
    assert found["range"] == [2, 28]
    benign, malignant = found["classes"]["benign"], found["classes"]["malignant"]
    assert benign["held_out"].split()[:4] == ["1", "0", "1", "0"] and len(benign["held_out"].split()) == 26
    assert benign["generated"].split() == ["1"] + ["0"] * 25 and benign["ks"] == 1 and benign["floor"] == 0
    assert malignant["generated"].split() == ["0"] * 25 + ["1"] and malignant["ks"] == 1
    lost = distributions((real, labels), (made, 0 * labels), (real, labels), ("benign", "malignant"))
    assert np.isnan(lost["diameter_mm"]["classes"]["malignant"]["ks"])


# the features


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
    assert seen[-1] == 1 and card == read_card(tmp_path / "features-nodules")
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


@pytest.mark.parametrize("classes", [0, 10])
def test_a_generator_is_evaluated_from_its_folder(tmp_path, monkeypatch, classes):
    train_features(DIGITS, tmp_path / "features-digits", steps=5)
    monkeypatch.setattr(features, "PRETRAINED", tmp_path)
    monkeypatch.setattr(quality, "classifier_test", partial(classifier_test, steps=4))
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


def test_a_generator_of_nodules_has_its_nodules_measured(tmp_path, monkeypatch):
    train_features(NODULES, tmp_path / "features-nodules", steps=2, count=16)
    monkeypatch.setattr(features, "PRETRAINED", tmp_path)
    monkeypatch.setattr(quality, "load_images", lambda kind, *_, held_out=False, **__: load_images(kind, held_out, 24))
    network = NetworkConfig(size=56, width=4)
    for _ in train(GanConfig(count=16, network=network, steps=1, batch=8), tmp_path / "gan", "cpu"):
        pass
    result = evaluate_generator(str(tmp_path / "gan"), count=24)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["real"]["measures"]["diameter_mm"]["ks"] < 0.5 < result["held_out_measured"]
    assert result["generated"]["measures"]["diameter_mm"]["measured"] < 0.5
    (every,) = result["distributions"]["diameter_mm"]["classes"].items()  # it was told no class
    assert every[0] == "all" and sum(map(int, every[1]["held_out"].split())) == round(24 * result["held_out_measured"])
    assert "| diameter_mm, Wasserstein mm (lower) |" in format_quality(result)
    with pytest.raises(InputError, match="too few"):
        evaluate_generator(str(tmp_path / "gan"), count=3)
