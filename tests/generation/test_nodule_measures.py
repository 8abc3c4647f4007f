"""Measurements of nodules against their ground truth."""

import numpy as np
import pytest

from ganlab.generation.image_kinds import HELD_OUT
from ganlab.generation.nodule_measures import compare_measures, distributions, measure_nodules, segment_nodule
from ganlab.phantoms.lungs.nodules import make_nodules


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def nodules():
    return make_nodules(HELD_OUT + 7, 200)


def test_measures_agree_with_the_truth_of_phantoms(nodules):
    measured = measure_nodules(nodules.images)
    assert all(values.shape == (200,) for values in measured.values())
    solid = (nodules.solidity == 0) & ~nodules.pleural
    valid = solid & np.isfinite(measured["diameter_mm"])
    assert valid.sum() > 0.95 * solid.sum()
    for name, least in (("diameter_mm", 0.97), ("roundness", 0.7)):
        assert np.corrcoef(getattr(nodules, name)[valid], measured[name][valid])[0, 1] > least
    error = measured["diameter_mm"][valid] - nodules.diameter_mm[valid]
    assert abs(np.median(error)) < 0.35  # half a pixel
    assert abs(np.median(measured["mean_hu"][valid] - nodules.mean_hu[valid])) < 25
    assert ((measured["roundness"][valid] > 0.1) & (measured["roundness"][valid] <= 1)).all()
    masks = [segment_nodule(image) for image in nodules.images[valid]]
    dice = [2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in zip(masks, nodules.masks[valid], strict=True)]
    assert np.median(dice) > 0.95


def test_nothing_is_measured_where_there_is_no_nodule(rng):
    lung = np.full((56, 56), -850.0)
    disc = np.hypot(*(np.indices((56, 56)) - 27.5)) < 8
    beside = np.where(np.roll(disc, 19, 1), 30.0, lung)
    empty = [lung, lung + rng.normal(0, 30, lung.shape), np.full_like(lung, 40.0), beside, np.where(disc, 3.0, 0.0)]
    assert np.isnan(measure_nodules(np.stack(empty))["diameter_mm"]).all()
    central = measure_nodules(np.where(disc, 30.0, lung)[None])
    assert central["diameter_mm"][0] == pytest.approx(16 * 0.7, abs=0.5)
    assert central["mean_hu"][0] == pytest.approx(30) and central["roundness"][0] > 0.88


def test_comparison_ignores_nodules_that_were_not_measured():
    a = {"mm": np.array([1.0, 2, 3, 4])}
    shifted = {"mm": np.array([3.0, 4, 5, 6, np.nan])}
    assert compare_measures(a, shifted)["mm"] == {"ks": 0.5, "wasserstein": 2.0, "measured": 0.8}
    nothing = compare_measures(a, {"mm": np.full(3, np.nan)})["mm"]
    assert np.isnan(nothing["ks"]) and nothing["measured"] == 0


def test_histograms_count_each_class_and_values_beyond_the_edges():
    def measured(*diameters):
        values = np.array(diameters)
        return {"diameter_mm": values, "roundness": np.full(len(values), 0.5), "mean_hu": np.zeros(len(values))}

    labels = np.array([0, 0, 1, 1])
    real, generated = measured(2.5, 4.5, 10, 11), measured(1.0, np.nan, 40, np.nan)
    result = distributions((real, labels), (generated, labels), (real, labels), ("benign", "malignant"))["diameter_mm"]
    assert result["range"] == [2, 28]
    benign, malignant = result["classes"]["benign"], result["classes"]["malignant"]
    assert benign["held_out"].split()[:4] == ["1", "0", "1", "0"] and len(benign["held_out"].split()) == 26
    assert benign["generated"].split() == ["1"] + ["0"] * 25 and benign["ks"] == 1 and benign["floor"] == 0
    assert malignant["generated"].split() == ["0"] * 25 + ["1"] and malignant["ks"] == 1
    lost = distributions((real, labels), (generated, 0 * labels), (real, labels), ("benign", "malignant"))
    assert np.isnan(lost["diameter_mm"]["classes"]["malignant"]["ks"])
