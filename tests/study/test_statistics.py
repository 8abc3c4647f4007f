"""Statistics have known and published values, and invariants hold for any readings."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, matthews_corrcoef, roc_auc_score

from ganlab.errors import InputError
from ganlab.study import statistics
from ganlab.study.design.planning import plan
from ganlab.study.design.simulation import SimulatedStudy, simulate
from ganlab.study.statistics import Detection, ReaderAverage, many_readers, reader_average

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


@pytest.mark.parametrize(("area", "ms", "cov2", "se", "df", "low", "high"), [
    (0.89703704, 0.00308263, 0.00048396, 0.03317360, 12.74, 0.82522360, 0.96885048),
    (0.94083736, 0.00130460, 0.00020419, 0.02156637, 12.71, 0.89413783, 0.98753689),
])  # fmt: skip
def test_obuchowski_rockette_has_published_values_for_van_dykes_data(area, ms, cov2, se, df, low, high):
    """Five readers, 114 cases: OR-DBM MRMC 2.51, single-treatment intervals for random readers and cases."""
    spread = np.array([-2.0, -1, 0, 1, 2])
    areas = area + spread * np.sqrt(ms / spread.var(ddof=1))  # any five areas with this mean and mean square
    result = reader_average(areas, cov2)
    assert result.ms_reader == pytest.approx(ms) and result.se == pytest.approx(se, abs=2e-7)
    assert result.df == pytest.approx(df, abs=0.01)
    assert (result.interval().low, result.interval().high) == pytest.approx((low, high), abs=2e-6)


def test_jackknife_equals_leaving_cases_out():
    rng = np.random.default_rng(0)
    truth = np.repeat([True, False], [9, 7])
    scores = rng.integers(-6, 7, (3, 16)) + truth
    areas, covariances = statistics.jackknifed(scores, truth)
    assert areas == pytest.approx([roc_auc_score(truth, row) for row in scores])
    left = np.array([[roc_auc_score(np.delete(truth, k), np.delete(row, k)) for k in range(16)] for row in scores])
    assert covariances == pytest.approx(15**2 / 16 * np.cov(left))


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


@pytest.mark.parametrize(("readers", "cases"), [(4, 60), (8, 100)])
def test_false_positive_rate_is_five_percent(readers, cases):
    result = plan(SimulatedStudy(readers, cases, dprime=0.0, spread=0.3, seed=1), 0.1, 1000)
    assert 0.03 <= result["rejected_at_5_percent"] <= 0.07
    assert 0.93 <= result["interval_holds_truth"] <= 0.97


def test_pooling_readings_would_be_anticonservative():
    """Why readers and cases must both be random: an interval from pooled readings misses the truth too often."""
    wrong = 0
    for seed in range(200):
        readings = simulate(SimulatedStudy(8, 60, dprime=0.0, spread=0.3, shared=0.5, repeats=0.0, seed=seed))
        interval = statistics.detect(readings.synthetic, readings.called).dprime_interval()
        wrong += not interval.low <= 0 <= interval.high
    assert wrong > 40


def test_permutation_p_is_right_for_chance_and_certainty():
    rng = np.random.default_rng(0)
    truth = np.repeat([True, False], 20)
    assert statistics.permutation_p(np.tile(truth * 2.0, (3, 1)), truth) == pytest.approx(1 / 2001)
    seen = [statistics.permutation_p(rng.standard_normal((3, 40)), truth, times=200) for _ in range(200)]
    assert 0.01 <= np.mean(np.array(seen) < 0.05) <= 0.1


def test_verdicts_follow_from_the_intervals():
    def verdict(area, se, margin=0.1):
        return statistics.verdict(ReaderAverage(area, se, 50.0, 0.0, 0.0), margin)

    assert verdict(0.5, 0.02) == verdict(0.55, 0.02) == statistics.EQUIVALENT  # the second also excludes 0.5
    assert verdict(0.5, 0.08) == statistics.INCONCLUSIVE  # a large p is not evidence
    assert verdict(0.8, 0.05) == verdict(0.2, 0.05) == statistics.DISTINGUISHABLE
    for margin in (0, 0.5, -1):
        with pytest.raises(InputError, match="margin"):
            verdict(0.5, 0.1, margin)


def test_refuses_impossible_counts():
    for counts in ((3, 2, 0, 1), (0, 0, 1, 2), (1, 2, 0, 0)):
        with pytest.raises(InputError):
            Detection(*counts)
    with pytest.raises(InputError, match="not a proportion"):
        statistics.proportion(0, 0)
    with pytest.raises(InputError, match="not a sample of readers"):
        reader_average(np.array([0.7]), 0.0)
    with pytest.raises(InputError, match="too few for the jackknife"):
        many_readers(np.zeros((2, 3)), np.array([True, False, False]))
    with pytest.raises(InputError, match="the same number of readings"):
        statistics.fleiss_kappa([[1, 2], [2, 2]])


def test_identical_readers_have_no_reader_variance():
    truth = np.repeat([True, False], 10)
    same = np.tile(np.arange(20.0), (3, 1))
    result = many_readers(same, truth)
    assert result.ms_reader == 0 and np.isinf(result.df) and result.se == pytest.approx(np.sqrt(result.cov2))
    assert all(a == b for a, b in itertools.pairwise(statistics.jackknifed(same, truth)[0]))
