"""Areas over readers and patients have published values, and claims are wrong as seldom as they say."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from ganlab.errors import InputError
from ganlab.study import mrmc, statistics
from ganlab.study.design.planning import plan
from ganlab.study.design.simulation import SimulatedStudy, simulate
from ganlab.study.mrmc import ReaderAverage, delong, jackknifed, many_readers, permutation_p, reader_average


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
    areas, covariances = jackknifed(scores, truth)
    assert areas == pytest.approx([roc_auc_score(truth, row) for row in scores])
    left = np.array([[roc_auc_score(np.delete(truth, k), np.delete(row, k)) for k in range(16)] for row in scores])
    assert covariances == pytest.approx(15**2 / 16 * np.cov(left))


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
    assert permutation_p(np.tile(truth * 2.0, (3, 1)), truth) == pytest.approx(1 / 2001)
    seen = [permutation_p(rng.standard_normal((3, 40)), truth, times=200) for _ in range(200)]
    assert 0.01 <= np.mean(np.array(seen) < 0.05) <= 0.1


def test_verdicts_follow_from_the_intervals():
    def verdict(area, se, margin=0.1):
        return mrmc.verdict(ReaderAverage(area, se, 50.0, 0.0, 0.0), margin)

    assert verdict(0.5, 0.02) == verdict(0.55, 0.02) == mrmc.EQUIVALENT  # the second also excludes 0.5
    assert verdict(0.5, 0.08) == mrmc.INCONCLUSIVE  # a large p is not evidence
    assert verdict(0.8, 0.05) == verdict(0.2, 0.05) == mrmc.DISTINGUISHABLE
    for margin in (0, 0.5, -1):
        with pytest.raises(InputError, match="margin"):
            verdict(0.5, 0.1, margin)


def test_identical_readers_have_no_reader_variance():
    truth = np.repeat([True, False], 10)
    same = np.tile(np.arange(20.0), (3, 1))
    result = many_readers(same, truth)
    assert result.ms_reader == 0 and np.isinf(result.df) and result.se == pytest.approx(np.sqrt(result.cov2))
    assert all(a == b for a, b in itertools.pairwise(jackknifed(same, truth)[0]))


def test_refuses_too_few_readers_and_patients():
    with pytest.raises(InputError, match="not a sample of readers"):
        reader_average(np.array([0.7]), 0.0)
    with pytest.raises(InputError, match="1 patients with synthetic and 2 with real images are too few"):
        many_readers(np.zeros((2, 3)), np.array([True, False, False]))
    with pytest.raises(InputError, match="too few"):
        jackknifed(np.zeros((2, 4)), np.array([True, True, False, False]), np.array(["a", "a", "b", "c"]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(-6, 6), st.integers(0, 5)), min_size=6, max_size=40))
def test_jackknife_equals_leaving_patients_out(readings):
    truth, scores, patients = (np.array(column) for column in zip(*readings, strict=True))
    labels = np.unique(patients)
    kinds = [len(set(patients[truth == kind])) for kind in (True, False)]
    if min(kinds) < 2:
        with pytest.raises(InputError, match="too few"):
            jackknifed(scores, truth, patients)
        return
    (area,), ((variance,),) = jackknifed(scores, truth, patients)
    left = np.array([roc_auc_score(truth[patients != k], scores[patients != k]) for k in labels])
    assert area == pytest.approx(roc_auc_score(truth, scores))
    assert variance == pytest.approx((len(labels) - 1) / len(labels) * ((left - left.mean()) ** 2).sum())


def test_names_of_patients_and_the_order_of_images_do_not_matter():
    rng = np.random.default_rng(0)
    truth, patients = np.arange(60) % 2 == 0, np.arange(60) // 4
    scores, order = rng.standard_normal((3, 60)), rng.permutation(60)
    names = np.array([f"patient {40 - k}" for k in patients])
    one, other = many_readers(scores, truth, patients), many_readers(scores[:, order], truth[order], names[order])
    assert (one.se, one.df) == pytest.approx((other.se, other.df))
    each = np.arange(60)
    assert many_readers(scores, truth) == many_readers(scores, truth, each)
    assert permutation_p(scores, truth, patients=each) == permutation_p(scores, truth)


def test_delong_has_its_published_form_and_nears_the_jackknife():
    rng = np.random.default_rng(1)
    truth = np.repeat([True, False], [30, 45])
    scores = rng.standard_normal((2, 75)) + truth
    above, below = zip(*(mrmc.placements(row, truth) for row in scores), strict=True)
    areas, covariances = delong(scores, truth)
    assert covariances == pytest.approx(np.cov(above) / 30 + np.cov(below) / 45)  # DeLong et al. 1988, equation 5
    assert covariances == pytest.approx(jackknifed(scores, truth)[1], rel=0.1)
    assert areas == pytest.approx(jackknifed(scores, truth)[0])


def readings_of(rng, patients, slices, paired, readers=4):
    """(scores, synthetic, patients) of readers at chance; slices of a patient, and its twins, resemble each other."""
    kind = np.repeat([True, False], patients * slices)
    patient = np.repeat(np.arange(2 * patients), slices) % (patients if paired else 2 * patients)
    common = rng.standard_normal(2 * patients)[patient] + rng.standard_normal(len(kind))
    return common + rng.standard_normal((readers, len(kind))), kind, patient


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("method", ["jackknife", "DeLong"])
def test_slices_of_a_patient_are_not_cases_of_their_own(paired, method):
    """False positives at 5 %, of 300 studies of ten patients: 2 to 8.5 %; unclustered, up to half of them, or none."""
    found = {"clustered": 0, "permuted": 0, "cases": 0}
    for seed in range(300):
        scores, kind, patient = readings_of(np.random.default_rng(seed), 10, 8, paired)
        found["clustered"] += many_readers(scores, kind, patient, method).p < 0.05
        found["permuted"] += permutation_p(scores, kind, seed, 200, patient) < 0.05
        found["cases"] += many_readers(scores, kind, method=method).p < 0.05
    assert 6 <= found["clustered"] <= 25 and 6 <= found["permuted"] <= 25
    assert found["cases"] < 6 if paired else found["cases"] > 60
