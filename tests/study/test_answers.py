"""What counts as an answer, and what answers say once the truth is known."""

import json
import math
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ganlab.errors import InputError
from ganlab.study import answers
from ganlab.study.answers import (
    NUMBERS,
    attention,
    check_answer,
    choices,
    findings,
    judged,
    reader_name,
    readings,
    right,
    staircase,
)
from ganlab.study.protocol import DESIGNS, FINDING, PRACTICE, TEST, Case, Protocol, Trial, build, canonical_json, plan
from ganlab.study.statistics import ReaderAverage, area, detect, verdict
from ganlab.study.stimuli import Lesion
from tests.study.conftest import made_stimuli

SHAPE = (20, 30)  # rows, columns
GOOD = {  # an answer to each kind of question
    "authenticate": {"synthetic": True, "confidence": 3},
    "choose": {"chosen": 1, "confidence": 6},
    "rate": {"realism": 2},
    "mark": {"marked": [0, 2]},
    "diagnose": {"confidence": 5, "place": [29.5, 19.25]},
}
NAN, INF = math.nan, math.inf


@pytest.fixture(autouse=True)
def same_dice(monkeypatch):
    seeds = count()
    monkeypatch.setattr("ganlab.study.protocol.secrets.randbits", lambda bits: next(seeds))


def asked(asks, codes=("a", "b", "c"), **how):
    return Trial(asks, TEST, codes[: {"mark": 3, "choose": 2}.get(asks, 1)], **how)


def built(images=40, stimuli=None, **how):
    return build(Protocol(**how), stimuli or made_stimuli(images))[0]


def rows_of(sealed, readers, say, most=None):
    """What is stored when each reader says `say(trial, cases, position)`."""
    cases, rows = sealed.by_code(), []
    for reader in readers:
        for position, trial in enumerate(plan(sealed, reader)[:most]):
            said = canonical_json(check_answer(trial, say(trial, cases, position), (24, 24)))
            rows.append(
                {"study": "ABCDEF", "reader": reader, "position": position, "said": said, "at": "", "previous": "",
                 "hash": ""}
            )  # fmt: skip
    return rows


def truly(trial, cases, position=0):
    """Who knows it all."""
    truth = [cases[code].synthetic for code in trial.codes]
    lesion = cases[trial.codes[0]].lesion
    return {
        "synthetic": truth[0], "chosen": int(truth[-1]), "realism": 1 if truth[0] else 6, "ms": 1500 + position,
        "marked": [k for k, synthetic in enumerate(truth) if synthetic],
        "confidence": (6 if lesion else 1) if trial.asks == "diagnose" else 6,
        "place": [lesion.x, lesion.y] if trial.asks == "diagnose" and lesion else None,
    }  # fmt: skip


def falsely(trial, cases, position=0):
    """Who has it all the wrong way round."""
    said = truly(trial, cases, position)
    return said | {
        "synthetic": not said["synthetic"], "chosen": 1 - said["chosen"], "realism": 7 - said["realism"],
        "marked": sorted(set(range(len(trial.codes))) - set(said["marked"])),
        "confidence": 7 - said["confidence"] if trial.asks == "diagnose" else 6, "place": [20.0, 20.0],
    }  # fmt: skip


# --- what counts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("asks", GOOD)
def test_an_answer_is_kept_and_nothing_else(asks):
    everything = {"truth": 1, "note": "Dr. Who", "reader": 3, "ua": "Mozilla"}
    for said in GOOD.values():
        everything = said | everything
    assert check_answer(asked(asks), everything | GOOD[asks], SHAPE) == GOOD[asks]


CASES = {
    "synthetic": ("authenticate", [0, 1, None, "true", "", [], {}, [True], NAN]),
    "confidence": ("authenticate", [0, 7, -1, True, False, 3.0, 3.5, NAN, INF, "3", None, [3], {"1": 1}, 10**30]),
    "chosen": ("choose", [-1, 2, True, False, 0.0, "0", None, [0], [[0]]]),
    "realism": ("rate", [0, 7, True, 1.0, NAN, "1", None, [1], {}]),
    "marked": ("mark", [None, 0, "0", "", {}, {"0": 1}, [3], [-1], [True], [0.0], ["0"], [None], [[0]], [NAN]]),
    "place": ("diagnose", [
        0, "", "1,2", True, [], [1], [1, 2, 3], ["1", 2], [1, None], [True, 2], [NAN, 2], [2, INF], [[1, 2]],
        {"x": 1, "y": 2}, [10**400, 1],
    ]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, (_, bad) in CASES.items() for value in bad], ids=lambda v: str(v)[:20]
)
def test_values_of_other_kinds_are_refused(name, value):
    asks = CASES[name][0]
    with pytest.raises(InputError):
        check_answer(asked(asks), GOOD[asks] | {name: value}, SHAPE)


@pytest.mark.parametrize(("asks", "name"), [(asks, name) for asks, said in GOOD.items() for name in said])
def test_an_answer_that_lacks_something_is_none(asks, name):
    said = {key: value for key, value in GOOD[asks].items() if key != name}
    with pytest.raises(InputError):
        check_answer(asked(asks), said, SHAPE)


@pytest.mark.parametrize("said", [None, True, 3, "real", [], ["synthetic"], [{"synthetic": True, "confidence": 1}]])
@pytest.mark.parametrize("asks", GOOD)
def test_what_is_no_object_is_no_answer(asks, said):
    with pytest.raises(InputError, match="no answer"):
        check_answer(asked(asks), said, SHAPE)


def test_sentences_say_what_is_missing():
    for asks, said, sentence in (
        ("authenticate", {}, "Say real or synthetic"),
        ("authenticate", {"synthetic": True, "confidence": 7}, "confidence is 7; it is a whole number from 1 to 6"),
        ("choose", {"chosen": "left"}, "chosen is left; it is a whole number from 0 to 1"),
        ("mark", {"marked": [3]}, "Mark images 0 to 2 of the panel, or none"),
        ("diagnose", {"confidence": 4}, "You say there is a lesion: click where"),
        ("diagnose", {"confidence": 4, "place": [31, 3]}, "not within the image of 30 x 20 pixels"),
    ):
        with pytest.raises(InputError, match=sentence):
            check_answer(asked(asks), said, SHAPE)


@pytest.mark.parametrize("place", [[0, 0], [30, 20], [30, 0], [0.0, 20.0], [15.5, 10.25]])
def test_a_place_within_the_image_is_taken(place):
    found = check_answer(asked("diagnose"), {"confidence": 4, "place": place}, SHAPE)["place"]
    assert found == place and all(type(v) is float for v in found)


@pytest.mark.parametrize("place", [[-0.1, 5], [5, -0.1], [30.1, 5], [5, 20.1], [20, 30], [-1, -1], [1e9, 1e9]])
def test_a_place_outside_the_image_is_refused(place):
    with pytest.raises(InputError, match="not within the image"):
        check_answer(asked("diagnose"), {"confidence": 4, "place": place}, SHAPE)


@pytest.mark.parametrize("confidence", range(1, 7))
def test_who_sees_a_lesion_says_where(confidence):
    said = {"confidence": confidence, "place": None}
    if confidence > 3:
        with pytest.raises(InputError, match="click where"):
            check_answer(asked("diagnose"), said, SHAPE)
    else:
        assert check_answer(asked("diagnose"), said, SHAPE) == said


def test_marks_are_in_order_and_once():
    assert check_answer(asked("mark"), {"marked": [2, 0, 2, 0, 0]}, SHAPE) == {"marked": [0, 2]}
    assert check_answer(asked("mark"), {"marked": []}, SHAPE) == {"marked": []}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_the_browser_are_kept_within_bounds(name):
    low, high = NUMBERS[name]
    for value, kept in ((low, low), (high, high), (low - 1e9, low), (high * 2, high), (-1e300, low), (1e300, high)):
        assert check_answer(asked("rate"), {"realism": 1, name: value}, SHAPE) == {"realism": 1, name: kept}
    assert check_answer(asked("rate"), {"realism": 1, name: 1.23456}, SHAPE)[name] == 1.235


@pytest.mark.parametrize("value", [NAN, INF, -INF, True, False, None, "12", "", [1], {"ms": 1}])
@pytest.mark.parametrize("name", ["ms", "zoom", "centre"])
def test_numbers_of_the_browser_that_are_none_are_left_out(name, value):
    assert check_answer(asked("rate"), {"realism": 1, name: value}, SHAPE) == {"realism": 1}


@pytest.mark.parametrize("sign", [1, -1])
def test_numbers_too_large_for_any_computer_do_no_harm(sign):
    value = sign * 10**400  # a whole number in JSON, and no float
    found = check_answer(asked("rate"), {"realism": 1, "ms": value}, SHAPE)
    assert found in ({"realism": 1}, {"realism": 1, "ms": 0 if value < 0 else 1e8})


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
names = st.sampled_from(["synthetic", "confidence", "chosen", "realism", "marked", "place", *NUMBERS])


@given(st.sampled_from(list(GOOD)), st.dictionaries(names, values | st.integers(-1, 8) | st.just([1, 2])))
def test_whatever_is_sent_is_a_clean_answer_or_refused(asks, sent):
    try:
        found = check_answer(asked(asks), sent, SHAPE)
    except InputError:
        return
    assert set(found) - set(NUMBERS) == set(GOOD[asks])
    assert json.loads(json.dumps(found, allow_nan=False)) == found == check_answer(asked(asks), found, SHAPE)
    assert isinstance(right(asked(asks), found, {code: Case(code, True, TEST) for code in "abc"}), bool)


# --- right and wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asks", "truth", "said", "good"), [
    ("authenticate", [True], {"synthetic": True}, True), ("authenticate", [False], {"synthetic": False}, True),
    ("authenticate", [True], {"synthetic": False}, False), ("authenticate", [False], {"synthetic": True}, False),
    ("choose", [True, False], {"chosen": 0}, True), ("choose", [True, False], {"chosen": 1}, False),
    ("choose", [False, True], {"chosen": 1}, True), ("choose", [False, True], {"chosen": 0}, False),
    *[("rate", [True], {"realism": k}, k <= 3) for k in range(1, 7)],
    *[("rate", [False], {"realism": k}, k >= 4) for k in range(1, 7)],
    ("mark", [True, False, True], {"marked": [0, 2]}, True), ("mark", [True, False, True], {"marked": [0]}, False),
    ("mark", [True, False, True], {"marked": [0, 1, 2]}, False), ("mark", [False] * 3, {"marked": []}, True),
])  # fmt: skip
def test_answers_are_right_or_wrong(asks, truth, said, good):
    cases = {code: Case(code, synthetic, TEST) for code, synthetic in zip("abc", truth, strict=False)}
    assert right(asked(asks), said, cases) is good


@pytest.mark.parametrize("confidence", range(1, 7))
@pytest.mark.parametrize("synthetic", [True, False])
def test_a_lesion_is_there_or_not_whatever_the_image_is(confidence, synthetic):
    sick, well = (Case("a", synthetic, TEST, lesion=lesion) for lesion in (Lesion(1, 2, 3), None))
    assert right(asked("diagnose"), {"confidence": confidence}, {"a": sick}) is (confidence > 3)
    assert right(asked("diagnose"), {"confidence": confidence}, {"a": well}) is (confidence <= 3)


def signed(rows):
    return [sure if called else -sure for _, called, sure in rows]


def test_each_kind_of_answer_judges_its_images():
    assert judged(asked("authenticate"), GOOD["authenticate"]) == [("a", True, 3)]
    assert judged(asked("choose"), GOOD["choose"]) == [("a", False, 6), ("b", True, 6)]
    assert judged(asked("mark"), GOOD["mark"]) == [("a", True, 1), ("b", False, 1), ("c", True, 1)]
    assert judged(asked("diagnose"), GOOD["diagnose"]) == []
    found = [judged(asked("rate"), {"realism": realism})[0] for realism in range(1, 7)]
    assert found == [("a", True, 6), ("a", True, 4), ("a", True, 2), ("a", False, 2), ("a", False, 4), ("a", False, 6)]


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 6)), min_size=2, max_size=30))
def test_ratings_have_the_area_of_what_they_are_turned_into(rated):
    truth, realism = (np.array(column) for column in zip(*rated, strict=True))
    scores = [signed(judged(asked("rate"), {"realism": int(each)}))[0] for each in realism]
    assert (np.diff(np.array(scores)[np.argsort(realism)]) <= 0).all()  # the realer, the less synthetic
    if 0 < truth.sum() < len(truth):
        assert area(np.array(scores), truth) == pytest.approx(area(-realism, truth), abs=1e-12)


@pytest.mark.parametrize("realism", range(1, 7))
def test_a_rating_calls_synthetic_what_counts_as_right_for_it(realism):
    ((_, called, _),) = judged(asked("rate"), {"realism": realism})
    assert right(asked("rate"), {"realism": realism}, {"a": Case("a", True, TEST)}) is called


# --- readings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("design", DESIGNS)
def test_readings_are_of_the_test_alone(design):
    sealed = built(64, design=design, practice=6, catch=3, repeats=0.2)
    tested = {case.code for case in sealed.cases if case.role == TEST}
    found = readings(sealed, rows_of(sealed, [0, 5], truly))
    cases = sealed.by_code()
    assert found.readers == ["reader-01", "reader-06"]
    for number in (0, 5):
        mine, trials = found.of(reader_name(number)), plan(sealed, number)
        assert sorted(mine.first().case) == sorted(tested)
        wanted = [t for t in trials if t.block == TEST and not t.catch]
        assert list(mine.case) == [code for t in wanted for code in t.codes]
        assert list(mine.repeat) == [t.repeat for t in wanted for _ in t.codes]
        assert [trials[p - 1].codes for p in mine.position] == [t.codes for t in wanted for _ in t.codes]
        assert mine.seconds == pytest.approx((1500 + mine.position - 1) / 1000)
    assert all(cases[c].synthetic == synthetic for c, synthetic in zip(found.case, found.synthetic, strict=True))
    assert (found.called == found.synthetic).all() and detect(found.synthetic, found.called).accuracy == 1


def test_repeats_are_there_and_marked():
    sealed = built(104, repeats=0.25)
    found = readings(sealed, rows_of(sealed, [0], truly))
    assert found.repeat.sum() == 25 and len(found.first()) == 100


@pytest.mark.parametrize(("design", "sign"), [(design, sign) for design in DESIGNS for sign in (truly, falsely)])
def test_readings_are_those_of_whom_they_are_from(design, sign):
    sealed = built(design=design)
    found = readings(sealed, rows_of(sealed, [0], sign)).first()
    assert area(found.scores, found.synthetic) == (1 if sign is truly else 0)


def test_answers_of_a_reader_who_went_away_count_as_far_as_they_go():
    sealed = built(practice=4, catch=0, repeats=0)
    found = readings(sealed, rows_of(sealed, [0], truly) + rows_of(sealed, [1], truly, most=10))
    assert len(found.of("reader-01")) == 36 and len(found.of("reader-02")) == 6


def test_a_time_that_was_not_told_is_not_known():
    sealed = built()
    rows = rows_of(sealed, [0], lambda *which: {key: v for key, v in truly(*which).items() if key != "ms"})
    assert np.isnan(readings(sealed, rows).seconds).all()


@pytest.mark.parametrize("most", [0, 4])
def test_without_an_answer_in_the_test_there_are_no_readings(most):
    sealed = built(practice=4)
    with pytest.raises(InputError, match="The study holds no readings"):
        readings(sealed, rows_of(sealed, [0], truly, most=most))


def test_readers_have_numbers_for_names():
    assert [reader_name(k) for k in (0, 8, 9, 99)] == ["reader-01", "reader-09", "reader-10", "reader-100"]


@pytest.mark.parametrize("design", ["yes-no", "ordinal", "diagnose"])
def test_who_looks_takes_no_catch_image_for_real(design):
    sealed = built(design=design, catch=5)

    def careless(trial, cases, position):
        return (falsely if trial.catch and position % 2 else truly)(trial, cases, position)

    rows = rows_of(sealed, [0], truly) + rows_of(sealed, [1], falsely) + rows_of(sealed, [2], careless)
    wrong = sum(t.catch and k % 2 for k, t in enumerate(plan(sealed, 2)))
    assert 0 < wrong < 5
    assert attention(sealed, rows) == {"reader-01": (5, 5), "reader-02": (0, 5), "reader-03": (5 - wrong, 5)}


def test_attention_is_of_the_catch_images_that_were_seen():
    sealed = built(catch=5)
    places = [k for k, t in enumerate(plan(sealed, 0)) if t.catch]
    assert attention(sealed, rows_of(sealed, [0], truly, most=places[2])) == {"reader-01": (2, 2)}
    assert attention(sealed, rows_of(sealed, [0], truly, most=places[0])) == {}
    assert attention(built(catch=0), []) == {}


# --- two alternatives -----------------------------------------------------------------------------------


def choosing(good, pairs, **how):
    """A study of so many pairs and a reader who chooses rightly in the first `good` of them."""
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
def test_dprime_of_two_alternatives_is_z_times_root_two(good, pairs, dprime):
    sealed, say = choosing(good, pairs)
    found = choices(sealed, rows_of(sealed, [0], say))
    reader = found["readers"]["reader-01"]
    assert (reader["right"], reader["of"], reader["share"]) == (good, pairs, good / pairs)
    assert reader["d_prime"] == pytest.approx(dprime, abs=1e-4)
    assert reader["low"] - 1e-9 <= reader["share"] <= reader["high"] + 1e-9
    assert found["average"] is None  # one reader is no sample


def test_neither_repeats_nor_practice_count_as_choices():
    sealed, say = choosing(30, 60, repeats=0.4)  # every repeat is answered wrongly
    assert sum(t.repeat for t in plan(sealed, 0)) == 24
    assert choices(sealed, rows_of(sealed, [0], say))["readers"]["reader-01"]["right"] == 30
    sealed = built(44, design="2afc", practice=4)
    found = choices(sealed, rows_of(sealed, [0], lambda t, *rest: (truly if t.block == TEST else falsely)(t, *rest)))
    assert (found["readers"]["reader-01"]["right"], found["readers"]["reader-01"]["of"]) == (20, 20)
    assert choices(sealed, rows_of(sealed, [0], truly, most=2)) == {
        "readers": {}, "average": None, "pairs": [],
    }  # fmt: skip


@pytest.mark.parametrize("design", [design for design in DESIGNS if design != "2afc"])
def test_other_designs_have_no_choices(design):
    sealed = built(design=design)
    assert choices(sealed, rows_of(sealed, [0], truly)) is None


def test_the_average_is_over_readers_and_pairs_as_obuchowski_and_rockette_have_it():
    sealed = built(60, design="2afc", practice=0)
    rng = np.random.default_rng(0)
    clear = {case.code: rng.choice([0.4, 1.0]) for case in sealed.cases}  # to all readers, of a pair's lesser code

    def say(trial, cases, position):
        return (truly if rng.random() < clear[min(trial.codes)] else falsely)(trial, cases, position)

    rows = rows_of(sealed, range(4), say)
    cases, tables = sealed.by_code(), {}
    for row in rows:
        trial = plan(sealed, row["reader"])[row["position"]]
        if not trial.repeat:
            tables[row["reader"], frozenset(trial.codes)] = right(trial, json.loads(row["said"]), cases)
    pairs = {pair for _, pair in tables}
    table = np.array([[tables[reader, pair] for pair in pairs] for reader in range(4)], float)
    cov2 = np.mean([np.cov(table[i], table[j])[0, 1] for i in range(4) for j in range(i)]) / 30
    ms = table.mean(1).var(ddof=1)
    assert cov2 > 1e-4 and ms > 1e-4
    se, df = math.sqrt(ms / 4 + cov2), (ms + 4 * cov2) ** 2 / (ms**2 / 3)
    found = choices(sealed, rows)["average"]
    assert found["pairs"] == 30 and found["share"] == pytest.approx(table.mean())
    assert found["high"] - found["share"] == pytest.approx(stats.t.ppf(0.975, df) * se)
    assert found["share"] - found["low_90"] == pytest.approx(stats.t.ppf(0.95, df) * se)
    assert found["p"] == pytest.approx(2 * stats.t.sf((table.mean() - 0.5) / se, df))
    assert found["verdict"] == verdict(ReaderAverage(table.mean(), se, df, ms, cov2), 0.1)


def test_the_average_is_of_the_pairs_that_all_have_seen():
    sealed = built(60, design="2afc", practice=0, repeats=0)
    rows = rows_of(sealed, [0], truly) + rows_of(sealed, [1], truly, most=12)
    found = choices(sealed, rows)
    assert found["average"]["pairs"] == 12 and found["readers"]["reader-02"]["of"] == 12
    assert found["average"]["share"] == 1 and found["average"]["p"] == 0
    lonely = choices(sealed, rows_of(sealed, [0], truly, most=5) + rows_of(sealed, [1], truly, most=5))
    assert lonely["average"] is None  # the first five of one are the last five of the other


def test_readers_who_guess_are_not_said_to_tell():
    sealed = built(120, design="2afc", practice=0)
    rng = np.random.default_rng(1)
    rows = rows_of(sealed, range(6), lambda *which: (truly if rng.random() < 0.5 else falsely)(*which))
    found = choices(sealed, rows)["average"]
    assert found["low"] < 0.5 < found["high"] and found["verdict"] in ("equivalent", "inconclusive")


@pytest.mark.parametrize(("margin", "end"), [(0.01, "inconclusive"), (0.4, "equivalent")])
def test_the_margin_of_the_protocol_decides_what_is_equivalent(margin, end):
    sealed = built(120, design="2afc", practice=0, margin=margin)
    rng = np.random.default_rng(1)
    rows = rows_of(sealed, range(4), lambda *which: (truly if rng.random() < 0.5 else falsely)(*which))
    assert choices(sealed, rows)["average"]["verdict"] == end


# --- lesions --------------------------------------------------------------------------------------------


def diagnosing(**how):
    """A study with lesions at a place of their own, a third of the images of either kind."""
    stimuli = made_stimuli(60)
    lesions = [Lesion(4.0 + k % 7, 5.0 + k % 5, 3.0) if k % 6 < 2 else None for k in range(60)]
    return built(stimuli=replace(stimuli, lesions=lesions), design="diagnose", **how)


def lesions_in(sealed, synthetic):
    return sum(case.lesion is not None for case in sealed.cases if case.role == TEST and case.synthetic == synthetic)


def test_who_finds_every_lesion_has_an_area_of_one_and_all_of_them_placed():
    sealed = diagnosing()
    found = findings(sealed, rows_of(sealed, [0, 1, 2], truly))
    for arm, synthetic in (("real", False), ("synthetic", True)):
        many = 3 * lesions_in(sealed, synthetic)
        assert many > 10
        assert found[arm] == {"area": 1.0, "readers": 3, "placed": many, "lesions": many}


def test_who_has_it_the_wrong_way_round_has_an_area_of_none():
    sealed = diagnosing()
    found = findings(sealed, rows_of(sealed, [0], falsely))
    assert [found[arm]["area"] for arm in ("real", "synthetic")] == [0.0, 0.0]
    assert [found[arm]["placed"] for arm in ("real", "synthetic")] == [0, 0]


@pytest.mark.parametrize("blind_to", [True, False])
def test_lesions_of_real_and_synthetic_images_are_told_apart(blind_to):
    sealed = diagnosing()

    def say(trial, cases, position):
        said = truly(trial, cases, position)
        blind = trial.block == FINDING and cases[trial.codes[0]].synthetic == blind_to
        return said | {"confidence": 3, "place": None} if blind else said

    found = findings(sealed, rows_of(sealed, [0, 1], say))
    seen, missed = ("real", "synthetic") if blind_to else ("synthetic", "real")
    assert found[seen]["area"] == 1.0 and found[seen]["placed"] == found[seen]["lesions"] > 0
    assert found[missed]["area"] == 0.5 and found[missed]["placed"] == 0 < found[missed]["lesions"]


@pytest.mark.parametrize(("off", "confidence", "hit"), [
    ((0, 0), 4, True), ((3, 0), 6, True), ((0, -3), 6, True), ((3.02, 0), 6, False), ((2.2, 2.2), 6, False),
    ((2.1, -2.1), 4, True), ((0, 0), 3, False), ((0, 0), 1, False),
])  # fmt: skip
def test_a_lesion_is_found_where_it_is_and_by_who_says_so(off, confidence, hit):
    sealed = diagnosing()

    def say(trial, cases, position):
        said = truly(trial, cases, position)
        if trial.block == FINDING and said["place"]:
            x, y = said["place"]
            return said | {"confidence": confidence, "place": [x + off[0], y + off[1]]}
        return said

    found = findings(sealed, rows_of(sealed, [0], say))
    assert all(part["placed"] == (part["lesions"] if hit else 0) for part in found.values())


def test_areas_are_averaged_over_readers():
    sealed = diagnosing()
    rows = rows_of(sealed, [0], truly) + rows_of(sealed, [1], falsely)
    found = findings(sealed, rows)
    assert found["real"]["area"] == found["synthetic"]["area"] == 0.5
    assert found["real"]["placed"] * 2 == found["real"]["lesions"]


def test_without_diagnoses_nothing_is_found():
    sealed = diagnosing()
    assert findings(sealed, []) is None
    assert findings(built(), rows_of(built(), [0], truly)) is None
    early = findings(sealed, rows_of(sealed, [0], truly, most=1))
    assert {part["area"] for part in early.values()} == {None}
    assert sum(part["readers"] for part in early.values()) == 1


# --- the staircase --------------------------------------------------------------------------------------


def climbing(pattern, sealed=None):
    """Rows of a reader who answers the test rightly (T) and wrongly (F), and practice wrongly."""
    sealed = sealed or built(44, design="staircase", practice=4, repeats=0)
    said = iter(pattern)

    def say(trial, cases, position):
        return (truly if trial.block != PRACTICE and next(said) == "T" else falsely)(trial, cases, position)

    return sealed, rows_of(sealed, [0], say, most=4 + len(pattern))


def test_a_threshold_is_the_mean_of_the_turns_of_the_last_half():
    """Shown 500, 490, 480, 470 (wrong), 500, 490, 480, 470 (wrong), ...: a turn at every 470 and every 500."""
    sealed, rows = climbing("TTTF" * 8)
    assert staircase(sealed, rows) == {"reader-01": {"share": 0.75, "ms": pytest.approx(485)}}


@pytest.mark.parametrize(("pattern", "share"), [("T" * 40, 1.0), ("F" * 40, 0.0), ("TF" * 20, 0.5), ("TTTF", 0.5)])
def test_who_guesses_or_knows_at_any_exposure_has_no_threshold(pattern, share):
    assert staircase(*climbing(pattern)) == {"reader-01": {"share": share, "ms": None}}
    assert staircase(*climbing("")) == {}


@pytest.mark.parametrize("design", [design for design in DESIGNS if design != "staircase"])
def test_other_designs_have_no_threshold(design):
    sealed = built(design=design)
    assert staircase(sealed, rows_of(sealed, [0], truly)) == {}


def test_a_readers_threshold_is_found():
    """Right by chance at 0 ms and always after long; three times of four at 300 ms, from which steps of 10 and 30 stray
    some 50."""
    sealed = built(200, design="staircase", practice=0, repeats=0.5)
    rng, rows = np.random.default_rng(0), []
    for reader in range(8):
        good = []

        def say(trial, cases, position, good=good):
            shown = answers.exposure_ms(sealed.protocol, good)
            good.append(bool(rng.random() < 1 - 0.5 * 0.5 ** (shown / 300)))
            return (truly if good[-1] else falsely)(trial, cases, position)

        rows += rows_of(sealed, [reader], say)
    found = staircase(sealed, rows)
    reached = [each["ms"] for each in found.values() if each["ms"]]
    assert len(found) == 8 and len(reached) >= 6 and np.mean(reached) == pytest.approx(300, abs=50)
