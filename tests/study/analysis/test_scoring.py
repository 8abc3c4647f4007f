"""Answers scored against the truth: readings, alternatives, lesions and the staircase."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ganlab.errors import InputError
from ganlab.study.analysis.scoring import score_catches, score_choices, score_lesions, score_readings, score_staircase
from ganlab.study.design.order import exposure_ms, plan
from ganlab.study.design.protocol import CATCH, DESIGNS, FINDING, NO_RULES, PRACTICE, TEST
from ganlab.study.design.truth import LesionMark
from ganlab.study.mrmc import ReaderAverage, verdict
from ganlab.study.reading.answers import is_correct
from ganlab.study.readings import reader_name
from ganlab.study.statistics import area, detect
from tests.study.conftest import built, falsely, made_stimuli, rows_of, truly

pytestmark = pytest.mark.usefixtures("same_dice")


# --- readings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("design", DESIGNS)
def test_readings_exclude_practice_and_mark_catch_images(design):
    sealed = built(64, design=design, practice=6, catch=3, repeats=0.2)
    tested = {case.code for case in sealed.cases if case.role == TEST}
    everything = score_readings(sealed, rows_of(sealed, [0, 5], truly))
    shown = {case.code for case in sealed.cases if case.role == CATCH}
    assert set(everything.case[everything.catch]) == shown
    result = everything[~everything.catch]
    unruled = replace(sealed, protocol=replace(sealed.protocol, **NO_RULES))  # as studies of earlier versions are
    assert not score_readings(unruled, rows_of(unruled, [0, 5], truly)).catch.any()
    cases = sealed.by_code()
    assert result.readers == ["reader-01", "reader-06"]
    for number in (0, 5):
        mine, trials = result.of(reader_name(number)), plan(sealed, number)
        assert sorted(mine.first().case) == sorted(tested)
        expected = [t for t in trials if t.block == TEST and not t.catch]
        assert list(mine.case) == [code for t in expected for code in t.codes]
        assert list(mine.repeat) == [t.repeat for t in expected for _ in t.codes]
        assert [trials[p - 1].codes for p in mine.position] == [t.codes for t in expected for _ in t.codes]
        assert mine.seconds == pytest.approx((1500 + mine.position - 1) / 1000)
    assert all(cases[c].synthetic == synthetic for c, synthetic in zip(result.case, result.synthetic, strict=True))
    assert (result.called == result.synthetic).all() and detect(result.synthetic, result.called).accuracy == 1


def test_repeats_are_marked():
    sealed = built(104, repeats=0.25)
    result = score_readings(sealed, rows_of(sealed, [0], truly))
    assert result.repeat.sum() == 25 and len(result.first()) == 100


@pytest.mark.parametrize(("design", "sign"), [(design, sign) for design in DESIGNS for sign in (truly, falsely)])
def test_perfect_and_inverted_readers_have_areas_of_one_and_zero(design, sign):
    sealed = built(design=design)
    result = score_readings(sealed, rows_of(sealed, [0], sign)).first()
    assert area(result.scores, result.synthetic) == (1 if sign is truly else 0)


def test_answers_of_an_unfinished_session_are_scored():
    sealed = built(practice=4, catch=0, repeats=0)
    result = score_readings(sealed, rows_of(sealed, [0], truly) + rows_of(sealed, [1], truly, most=10))
    assert len(result.of("reader-01")) == 36 and len(result.of("reader-02")) == 6


def test_missing_times_are_nan():
    sealed = built()
    rows = rows_of(sealed, [0], lambda *which: {key: v for key, v in truly(*which).items() if key != "ms"})
    assert np.isnan(score_readings(sealed, rows).seconds).all()


@pytest.mark.parametrize("most", [0, 4])
def test_refuses_to_score_a_study_without_test_answers(most):
    sealed = built(practice=4)
    with pytest.raises(InputError, match="The study contains no readings"):
        score_readings(sealed, rows_of(sealed, [0], truly, most=most))


def test_readers_are_named_by_number():
    assert [reader_name(k) for k in (0, 8, 9, 99)] == ["reader-01", "reader-09", "reader-10", "reader-100"]


@pytest.mark.parametrize("design", ["yes-no", "ordinal", "diagnose"])
def test_attentive_readers_call_catch_images_synthetic(design):
    sealed = built(design=design, catch=5)

    def careless(trial, cases, position):
        return (falsely if trial.catch and position % 2 else truly)(trial, cases, position)

    rows = rows_of(sealed, [0], truly) + rows_of(sealed, [1], falsely) + rows_of(sealed, [2], careless)
    wrong = sum(t.catch and k % 2 for k, t in enumerate(plan(sealed, 2)))
    assert 0 < wrong < 5
    assert score_catches(sealed, rows) == {"reader-01": (5, 5), "reader-02": (0, 5), "reader-03": (5 - wrong, 5)}


def test_counts_only_catch_images_that_were_seen():
    sealed = built(catch=5)
    places = [k for k, t in enumerate(plan(sealed, 0)) if t.catch]
    assert score_catches(sealed, rows_of(sealed, [0], truly, most=places[2])) == {"reader-01": (2, 2)}
    assert score_catches(sealed, rows_of(sealed, [0], truly, most=places[0])) == {}
    assert score_catches(built(catch=0), []) == {}


# --- two alternatives -----------------------------------------------------------------------------------


def choosing(good, pairs, **how):
    """A study of pairs and a reader who chooses correctly in the first `good` of them."""
    sealed = built(2 * pairs, design="2afc", practice=0, **how)
    first = {frozenset(t.codes) for t in [t for t in plan(sealed, 0) if not t.repeat][:good]}

    def say(trial, cases, position):
        rightly = frozenset(trial.codes) in first and not trial.repeat
        return (truly if rightly else falsely)(trial, cases, position)

    return sealed, say


@pytest.mark.parametrize(("good", "pairs", "dprime"), [
    (16, 21, 0.9539), (10, 20, 0.0), (5, 21, -0.9539),  # (16 + .5) / 22 = .75, z = .67449
    (20, 20, math.sqrt(2) * stats.norm.ppf(20.5 / 21)), (0, 20, -math.sqrt(2) * stats.norm.ppf(20.5 / 21)),
])  # fmt: skip
def test_dprime_of_two_alternatives_is_root_two_times_z(good, pairs, dprime):
    sealed, say = choosing(good, pairs)
    result = score_choices(sealed, rows_of(sealed, [0], say))
    reader = result["readers"]["reader-01"]
    assert (reader["right"], reader["of"], reader["share"]) == (good, pairs, good / pairs)
    assert reader["d_prime"] == pytest.approx(dprime, abs=1e-4)
    assert reader["low"] - 1e-9 <= reader["share"] <= reader["high"] + 1e-9
    assert result["average"] is None  # one reader is not a sample


def test_repeats_and_practice_do_not_count_as_choices():
    sealed, say = choosing(30, 60, repeats=0.4)  # every repeat is answered wrong
    assert sum(t.repeat for t in plan(sealed, 0)) == 24
    assert score_choices(sealed, rows_of(sealed, [0], say))["readers"]["reader-01"]["right"] == 30
    sealed = built(44, design="2afc", practice=4)
    result = score_choices(
        sealed, rows_of(sealed, [0], lambda t, *rest: (truly if t.block == TEST else falsely)(t, *rest))
    )
    assert (result["readers"]["reader-01"]["right"], result["readers"]["reader-01"]["of"]) == (20, 20)
    assert score_choices(sealed, rows_of(sealed, [0], truly, most=2)) == {
        "readers": {}, "attention": {}, "average": None, "abiding": None, "pairs": [],
    }  # fmt: skip


@pytest.mark.parametrize("design", [design for design in DESIGNS if design != "2afc"])
def test_other_designs_have_no_choice_results(design):
    sealed = built(design=design)
    assert score_choices(sealed, rows_of(sealed, [0], truly)) is None


def test_choices_are_averaged_by_obuchowski_rockette():
    sealed = built(60, design="2afc", practice=0)
    rng = np.random.default_rng(0)
    clear = {case.code: rng.choice([0.4, 1.0]) for case in sealed.cases}  # how clear a pair is to all readers

    def say(trial, cases, position):
        return (truly if rng.random() < clear[min(trial.codes)] else falsely)(trial, cases, position)

    rows = rows_of(sealed, range(4), say)
    cases, tables = sealed.by_code(), {}
    for row in rows:
        trial = plan(sealed, row["reader"])[row["position"]]
        if not trial.repeat:
            tables[row["reader"], frozenset(trial.codes)] = is_correct(trial, json.loads(row["said"]), cases)
    pairs = {pair for _, pair in tables}
    table = np.array([[tables[reader, pair] for pair in pairs] for reader in range(4)], float)
    cov2 = np.mean([np.cov(table[i], table[j])[0, 1] for i in range(4) for j in range(i)]) / 30
    ms = table.mean(1).var(ddof=1)
    assert cov2 > 1e-4 and ms > 1e-4
    se, df = math.sqrt(ms / 4 + cov2), (ms + 4 * cov2) ** 2 / (ms**2 / 3)
    result = score_choices(sealed, rows)["average"]
    assert result["pairs"] == 30 and result["share"] == pytest.approx(table.mean())
    assert result["high"] - result["share"] == pytest.approx(stats.t.ppf(0.975, df) * se)
    assert result["share"] - result["low_90"] == pytest.approx(stats.t.ppf(0.95, df) * se)
    assert result["p"] == pytest.approx(2 * stats.t.sf((table.mean() - 0.5) / se, df))
    assert result["verdict"] == verdict(ReaderAverage(table.mean(), se, df, ms, cov2), 0.1)


def test_choices_are_averaged_over_common_pairs():
    sealed = built(60, design="2afc", practice=0, repeats=0)
    rows = rows_of(sealed, [0], truly) + rows_of(sealed, [1], truly, most=12)
    result = score_choices(sealed, rows)
    assert result["average"]["pairs"] == 12 and result["readers"]["reader-02"]["of"] == 12
    assert result["average"]["share"] == 1 and result["average"]["p"] == 0
    lonely = score_choices(sealed, rows_of(sealed, [0], truly, most=5) + rows_of(sealed, [1], truly, most=5))
    assert lonely["average"] is None  # no pair in common: the orders are opposite


def guessing(sealed, readers, looks=True):
    """Readers who guess, with any confidence, and see the catch images if they look."""
    rng = np.random.default_rng(1)

    def say(trial, cases, position):
        told = (trial.catch and looks) or rng.random() < 0.5
        return (truly if told else falsely)(trial, cases, position) | {"confidence": int(rng.integers(1, 7))}

    return rows_of(sealed, range(readers), say)


def test_guessing_is_not_called_distinguishable():
    sealed = built(120, design="2afc", practice=4)
    result = score_choices(sealed, guessing(sealed, 6))["average"]
    assert result["low"] < 0.5 < result["high"] and result["verdict"] in ("equivalent", "inconclusive")


@pytest.mark.parametrize(("margin", "looks", "end"), [
    (0.01, True, "inconclusive"), (0.2, True, "equivalent"), (0.2, False, "no verdict"),
])  # fmt: skip
def test_margin_and_attention_decide_equivalence(margin, looks, end):
    sealed = built(120, design="2afc", practice=4, margin=margin)
    found = score_choices(sealed, guessing(sealed, 4, looks))
    assert found["average"]["verdict"] == end
    assert all(each["catches"] == 6 for each in found["attention"].values())


def test_one_side_of_two_is_no_answer():
    sealed = built(120, design="2afc", practice=4)
    left = score_choices(sealed, rows_of(sealed, [0, 1], lambda t, *rest: truly(t, *rest) | {"chosen": 0}))
    for each in left["attention"].values():
        assert "100% of the answers were on the left (at most 90%)" in each["broken"]


# --- lesions --------------------------------------------------------------------------------------------


def diagnosing(**how):
    """A study with lesions at different positions in a third of the images of either kind."""
    stimuli = made_stimuli(60)
    lesions = [LesionMark(4.0 + k % 7, 5.0 + k % 5, 3.0) if k % 6 < 2 else None for k in range(60)]
    return built(stimuli=replace(stimuli, lesions=lesions), design="diagnose", **how)


def lesions_in(sealed, synthetic):
    return sum(case.lesion is not None for case in sealed.cases if case.role == TEST and case.synthetic == synthetic)


def test_perfect_lesion_readers_have_an_area_of_one():
    sealed = diagnosing()
    result = score_lesions(sealed, rows_of(sealed, [0, 1, 2], truly))
    for arm, synthetic in (("real", False), ("synthetic", True)):
        many = 3 * lesions_in(sealed, synthetic)
        assert many > 10
        assert result[arm] == {"area": 1.0, "readers": 3, "placed": many, "lesions": many}


def test_inverted_lesion_readers_have_an_area_of_zero():
    sealed = diagnosing()
    result = score_lesions(sealed, rows_of(sealed, [0], falsely))
    assert [result[arm]["area"] for arm in ("real", "synthetic")] == [0.0, 0.0]
    assert [result[arm]["placed"] for arm in ("real", "synthetic")] == [0, 0]


@pytest.mark.parametrize("blind_to", [True, False])
def test_lesions_are_scored_separately_for_real_and_synthetic_images(blind_to):
    sealed = diagnosing()

    def say(trial, cases, position):
        said = truly(trial, cases, position)
        blind = trial.block == FINDING and cases[trial.codes[0]].synthetic == blind_to
        return said | {"confidence": 3, "place": None} if blind else said

    result = score_lesions(sealed, rows_of(sealed, [0, 1], say))
    seen, missed = ("real", "synthetic") if blind_to else ("synthetic", "real")
    assert result[seen]["area"] == 1.0 and result[seen]["placed"] == result[seen]["lesions"] > 0
    assert result[missed]["area"] == 0.5 and result[missed]["placed"] == 0 < result[missed]["lesions"]


@pytest.mark.parametrize(("off", "confidence", "hit"), [
    ((0, 0), 4, True), ((3, 0), 6, True), ((0, -3), 6, True), ((3.02, 0), 6, False), ((2.2, 2.2), 6, False),
    ((2.1, -2.1), 4, True), ((0, 0), 3, False), ((0, 0), 1, False),
])  # fmt: skip
def test_lesion_counts_as_located_within_its_radius_if_called(off, confidence, hit):
    sealed = diagnosing()

    def say(trial, cases, position):
        said = truly(trial, cases, position)
        if trial.block == FINDING and said["place"]:
            x, y = said["place"]
            return said | {"confidence": confidence, "place": [x + off[0], y + off[1]]}
        return said

    result = score_lesions(sealed, rows_of(sealed, [0], say))
    assert all(part["placed"] == (part["lesions"] if hit else 0) for part in result.values())


def test_areas_are_averaged_over_readers():
    sealed = diagnosing()
    rows = rows_of(sealed, [0], truly) + rows_of(sealed, [1], falsely)
    result = score_lesions(sealed, rows)
    assert result["real"]["area"] == result["synthetic"]["area"] == 0.5
    assert result["real"]["placed"] * 2 == result["real"]["lesions"]


def test_lesion_scores_need_diagnoses():
    sealed = diagnosing()
    assert score_lesions(sealed, []) is None
    assert score_lesions(built(), rows_of(built(), [0], truly)) is None
    early = score_lesions(sealed, rows_of(sealed, [0], truly, most=1))
    assert {part["area"] for part in early.values()} == {None}
    assert sum(part["readers"] for part in early.values()) == 1


# --- the staircase --------------------------------------------------------------------------------------


def climbing(pattern, sealed=None):
    """Rows of a reader with correct (T) and wrong (F) answers in the test, and wrong ones in practice."""
    sealed = sealed or built(44, design="staircase", practice=4, repeats=0)
    answers = iter(pattern)

    def say(trial, cases, position):
        return (truly if trial.block != PRACTICE and next(answers) == "T" else falsely)(trial, cases, position)

    return sealed, rows_of(sealed, [0], say, most=4 + len(pattern))


def test_threshold_is_the_mean_exposure_at_late_reversals():
    """Exposures are 500, 490, 480, 470 (wrong), 500, ...: a reversal at every 470 and every 500."""
    sealed, rows = climbing("TTTF" * 8)
    assert score_staircase(sealed, rows) == {"reader-01": {"share": 0.75, "ms": pytest.approx(485)}}


@pytest.mark.parametrize(("pattern", "share"), [("T" * 40, 1.0), ("F" * 40, 0.0), ("TF" * 20, 0.5), ("TTTF", 0.5)])
def test_guessing_or_perfect_readers_have_no_threshold(pattern, share):
    assert score_staircase(*climbing(pattern)) == {"reader-01": {"share": share, "ms": None}}
    assert score_staircase(*climbing("")) == {}


@pytest.mark.parametrize("design", [design for design in DESIGNS if design != "staircase"])
def test_other_designs_have_no_threshold(design):
    sealed = built(design=design)
    assert score_staircase(sealed, rows_of(sealed, [0], truly)) == {}


def test_staircase_recovers_a_known_threshold():
    """Observers with 50 % correct at 0 ms and 75 % at 300 ms."""
    sealed = built(200, design="staircase", practice=0, repeats=0.5)
    rng, rows = np.random.default_rng(0), []
    for reader in range(8):
        good = []

        def say(trial, cases, position, good=good):
            shown = exposure_ms(sealed.protocol, good)
            good.append(bool(rng.random() < 1 - 0.5 * 0.5 ** (shown / 300)))
            return (truly if good[-1] else falsely)(trial, cases, position)

        rows += rows_of(sealed, [reader], say)
    result = score_staircase(sealed, rows)
    reached = [each["ms"] for each in result.values() if each["ms"]]
    assert len(result) == 8 and len(reached) >= 6 and np.mean(reached) == pytest.approx(300, abs=50)
