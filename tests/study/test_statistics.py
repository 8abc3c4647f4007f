"""Statistics have known and published values, and invariants hold for any readings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, matthews_corrcoef, roc_auc_score

from ganlab.errors import InputError
from ganlab.study import statistics
from ganlab.study.design.simulation import SimulatedStudy, simulate
from ganlab.study.statistics import Detection

GOLDEN = Detection(38, 50, 30, 50)


def test_detection_measures_have_known_values():
    assert GOLDEN.accuracy == 0.58 and GOLDEN.balanced_accuracy == pytest.approx(0.58)
    assert GOLDEN.mcc == pytest.approx(0.1715, abs=5e-5) and GOLDEN.kappa == pytest.approx(0.16)
    assert GOLDEN.dprime == pytest.approx(0.4417, abs=5e-5) and GOLDEN.criterion == pytest.approx(-0.4691, abs=5e-5)
    assert GOLDEN.area == pytest.approx(0.6226, abs=5e-5) and GOLDEN.dprime_se == pytest.approx(0.2637, abs=5e-5)


def test_counts_agree_with_scikit_learn():
    truth = np.repeat([1, 0], 50)
    called = np.concatenate([np.repeat([1, 0], [38, 12]), np.repeat([1, 0], [30, 20])])
    assert statistics.detect(truth, called) == GOLDEN
    assert GOLDEN.mcc == pytest.approx(matthews_corrcoef(truth, called))
    assert GOLDEN.kappa == pytest.approx(cohen_kappa_score(truth, called))


def test_wilson_and_exact_intervals_have_published_values():
    # Newcombe, Stat Med 17:857, 1998, table I: 81 of 263 and 0 of 20
    wilson, exact = statistics.proportion(81, 263), statistics.proportion(81, 263, exact=True)
    assert (wilson.low, wilson.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert (exact.low, exact.high) == pytest.approx((0.2527, 0.3676), abs=5e-5)
    assert statistics.proportion(0, 20).high == pytest.approx(0.1611, abs=5e-5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(-6, 6)), min_size=4, max_size=40))
def test_area_matches_the_roc_curve_and_mirrors_with_the_scores(readings):
    truth, scores = (np.array(column) for column in zip(*readings, strict=True))
    if truth.all() or not truth.any():
        with pytest.raises(InputError, match="one kind"):
            statistics.area(scores, truth)
        return
    result = statistics.area(scores, truth)
    assert result == pytest.approx(roc_auc_score(truth, scores))
    assert result + statistics.area(-scores, truth) == pytest.approx(1)
    curve = statistics.roc(scores, truth)
    assert np.trapezoid(curve[:, 1], curve[:, 0]) == pytest.approx(result)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(0, 400), st.integers(1, 400), st.integers(0, 400))
def test_inverting_all_answers_negates_dprime(n1, hits, n0, false):
    hits, false = min(hits, n1), min(false, n0)
    result, turned = Detection(hits, n1, false, n0), Detection(n1 - hits, n1, n0 - false, n0)
    assert result.dprime == pytest.approx(-turned.dprime) and result.criterion == pytest.approx(-turned.criterion)
    assert -1 <= result.mcc <= 1 and np.isfinite(result.dprime_se)


def test_fleiss_kappa_has_its_published_value():
    # Fleiss, Psychol Bull 76:378, 1971; ten subjects by fourteen raters, as in Fleiss, Levin and Paik
    counts = [[0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1], [7, 7, 0, 0, 0],
              [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]]  # fmt: skip
    assert statistics.fleiss_kappa(counts) == pytest.approx(0.210, abs=5e-4)


def test_dprime_interval_covers_the_true_value():
    """The 95 % interval contains the true d' of at least 93 % of 500 simulated readers."""
    held = 0
    for seed in range(500):
        readings = simulate(SimulatedStudy(1, 100, dprime=1.0, criterion=0.2, spread=0.0, repeats=0.0, seed=seed))
        interval = statistics.detect(readings.synthetic, readings.called).dprime_interval()
        held += interval.low <= 1.0 <= interval.high
    assert held >= 465


def test_refuses_impossible_counts():
    for counts in ((3, 2, 0, 1), (0, 0, 1, 2), (1, 2, 0, 0)):
        with pytest.raises(InputError):
            Detection(*counts)
    with pytest.raises(InputError, match="not a proportion"):
        statistics.proportion(0, 0)
    with pytest.raises(InputError, match="the same number of readings"):
        statistics.fleiss_kappa([[1, 2], [2, 2]])
