"""Which answers are valid, and which are correct."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganlab.errors import InputError
from ganlab.study.analysis.scoring import judgements
from ganlab.study.design.order import Trial
from ganlab.study.design.protocol import TEST
from ganlab.study.design.seal import StudyCase
from ganlab.study.design.truth import LesionMark
from ganlab.study.reading.answers import MEASUREMENTS, check_answer, is_correct
from ganlab.study.statistics import area

SHAPE = (20, 30)  # rows, columns
GOOD = {  # an answer to each kind of question
    "authenticate": {"synthetic": True, "confidence": 3},
    "choose": {"chosen": 1, "confidence": 6},
    "rate": {"realism": 2},
    "mark": {"marked": [0, 2]},
    "diagnose": {"confidence": 5, "place": [29.5, 19.25]},
}
NAN, INF = math.nan, math.inf
pytestmark = pytest.mark.usefixtures("same_dice")


def asked(asks, codes=("a", "b", "c"), **how):
    return Trial(asks, TEST, codes[: {"mark": 3, "choose": 2}.get(asks, 1)], **how)


# --- valid answers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("asks", GOOD)
def test_stores_the_answer_and_nothing_else(asks):
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
def test_refuses_values_of_other_types(name, value):
    asks = CASES[name][0]
    with pytest.raises(InputError):
        check_answer(asked(asks), GOOD[asks] | {name: value}, SHAPE)


@pytest.mark.parametrize(("asks", "name"), [(asks, name) for asks, said in GOOD.items() for name in said])
def test_refuses_an_incomplete_answer(asks, name):
    said = {key: value for key, value in GOOD[asks].items() if key != name}
    with pytest.raises(InputError):
        check_answer(asked(asks), said, SHAPE)


@pytest.mark.parametrize("said", [None, True, 3, "real", [], ["synthetic"], [{"synthetic": True, "confidence": 1}]])
@pytest.mark.parametrize("asks", GOOD)
def test_refuses_answers_that_are_not_objects(asks, said):
    with pytest.raises(InputError, match="not a valid answer"):
        check_answer(asked(asks), said, SHAPE)


def test_error_sentences_name_what_is_missing():
    for asks, said, sentence in (
        ("authenticate", {}, "Answer real or synthetic"),
        (
            "authenticate",
            {"synthetic": True, "confidence": 7},
            "confidence is 7; it must be a whole number",
        ),
        ("choose", {"chosen": "left"}, "chosen is left; it must be a whole number from 0 to 1"),
        ("mark", {"marked": [3]}, "Mark images 0 to 2 of the panel, or none"),
        ("diagnose", {"confidence": 4}, "You answered that there is a lesion: click on it"),
        ("diagnose", {"confidence": 4, "place": [31, 3]}, "outside the image of 30 x 20 pixels"),
    ):
        with pytest.raises(InputError, match=sentence):
            check_answer(asked(asks), said, SHAPE)


@pytest.mark.parametrize("place", [[0, 0], [30, 20], [30, 0], [0.0, 20.0], [15.5, 10.25]])
def test_accepts_a_position_inside_the_image(place):
    result = check_answer(asked("diagnose"), {"confidence": 4, "place": place}, SHAPE)["place"]
    assert result == place and all(type(v) is float for v in result)


@pytest.mark.parametrize("place", [[-0.1, 5], [5, -0.1], [30.1, 5], [5, 20.1], [20, 30], [-1, -1], [1e9, 1e9]])
def test_refuses_a_position_outside_the_image(place):
    with pytest.raises(InputError, match="outside the image"):
        check_answer(asked("diagnose"), {"confidence": 4, "place": place}, SHAPE)


@pytest.mark.parametrize("confidence", range(1, 7))
def test_lesion_calls_require_a_position(confidence):
    said = {"confidence": confidence, "place": None}
    if confidence > 3:
        with pytest.raises(InputError, match="click on it"):
            check_answer(asked("diagnose"), said, SHAPE)
    else:
        assert check_answer(asked("diagnose"), said, SHAPE) == said


def test_marks_are_sorted_and_unique():
    assert check_answer(asked("mark"), {"marked": [2, 0, 2, 0, 0]}, SHAPE) == {"marked": [0, 2]}
    assert check_answer(asked("mark"), {"marked": []}, SHAPE) == {"marked": []}


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_browser_measurements_are_clipped(name):
    low, high = MEASUREMENTS[name]
    for value, kept in ((low, low), (high, high), (low - 1e9, low), (high * 2, high), (-1e300, low), (1e300, high)):
        assert check_answer(asked("rate"), {"realism": 1, name: value}, SHAPE) == {"realism": 1, name: kept}
    assert check_answer(asked("rate"), {"realism": 1, name: 1.23456}, SHAPE)[name] == 1.235


@pytest.mark.parametrize("value", [NAN, INF, -INF, True, False, None, "12", "", [1], {"ms": 1}])
@pytest.mark.parametrize("name", ["ms", "zoom", "centre"])
def test_invalid_browser_measurements_are_dropped(name, value):
    assert check_answer(asked("rate"), {"realism": 1, name: value}, SHAPE) == {"realism": 1}


@pytest.mark.parametrize("sign", [1, -1])
def test_huge_numbers_are_handled(sign):
    value = sign * 10**400  # a valid integer in JSON, too large for a float
    result = check_answer(asked("rate"), {"realism": 1, "ms": value}, SHAPE)
    assert result in ({"realism": 1}, {"realism": 1, "ms": 0 if value < 0 else 1e8})


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
names = st.sampled_from(["synthetic", "confidence", "chosen", "realism", "marked", "place", *MEASUREMENTS])


@given(st.sampled_from(list(GOOD)), st.dictionaries(names, values | st.integers(-1, 8) | st.just([1, 2])))
def test_any_input_is_a_valid_answer_or_refused(asks, sent):
    try:
        result = check_answer(asked(asks), sent, SHAPE)
    except InputError:
        return
    assert set(result) - set(MEASUREMENTS) == set(GOOD[asks])
    assert json.loads(json.dumps(result, allow_nan=False)) == result == check_answer(asked(asks), result, SHAPE)
    assert isinstance(is_correct(asked(asks), result, {code: StudyCase(code, True, TEST) for code in "abc"}), bool)


# --- correct answers ------------------------------------------------------------------------------------


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
def test_decides_whether_answers_are_correct(asks, truth, said, good):
    cases = {code: StudyCase(code, synthetic, TEST) for code, synthetic in zip("abc", truth, strict=False)}
    assert is_correct(asked(asks), said, cases) is good


@pytest.mark.parametrize("confidence", range(1, 7))
@pytest.mark.parametrize("synthetic", [True, False])
def test_diagnosis_is_correct_whether_the_image_is_real_or_synthetic(confidence, synthetic):
    sick, well = (StudyCase("a", synthetic, TEST, lesion=lesion) for lesion in (LesionMark(1, 2, 3), None))
    assert is_correct(asked("diagnose"), {"confidence": confidence}, {"a": sick}) is (confidence > 3)
    assert is_correct(asked("diagnose"), {"confidence": confidence}, {"a": well}) is (confidence <= 3)


def signed(rows):
    return [sure if called else -sure for _, called, sure in rows]


def test_every_kind_of_answer_becomes_judgements():
    assert judgements(asked("authenticate"), GOOD["authenticate"]) == [("a", True, 3)]
    assert judgements(asked("choose"), GOOD["choose"]) == [("a", False, 6), ("b", True, 6)]
    assert judgements(asked("mark"), GOOD["mark"]) == [("a", True, 1), ("b", False, 1), ("c", True, 1)]
    assert judgements(asked("diagnose"), GOOD["diagnose"]) == []
    result = [judgements(asked("rate"), {"realism": realism})[0] for realism in range(1, 7)]
    assert result == [("a", True, 6), ("a", True, 4), ("a", True, 2), ("a", False, 2), ("a", False, 4), ("a", False, 6)]


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 6)), min_size=2, max_size=30))
def test_converted_ratings_keep_their_area(rated):
    truth, realism = (np.array(column) for column in zip(*rated, strict=True))
    scores = [signed(judgements(asked("rate"), {"realism": int(each)}))[0] for each in realism]
    assert (np.diff(np.array(scores)[np.argsort(realism)]) <= 0).all()  # more realistic means less synthetic
    if 0 < truth.sum() < len(truth):
        assert area(np.array(scores), truth) == pytest.approx(area(-realism, truth), abs=1e-12)


@pytest.mark.parametrize("realism", range(1, 7))
def test_rating_is_correct_where_it_calls_the_image_synthetic(realism):
    ((_, called, _),) = judgements(asked("rate"), {"realism": realism})
    assert is_correct(asked("rate"), {"realism": realism}, {"a": StudyCase("a", True, TEST)}) is called
