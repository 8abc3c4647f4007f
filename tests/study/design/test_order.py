"""Order and exposure of the images do not reveal which of them are synthetic."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ganlab.study.design.order import BLOCKS, LAG, PANEL, exposure_ms, pairs, permuted, plan
from ganlab.study.design.protocol import DESIGNS, FINDING, PRACTICE, TEST, Protocol
from ganlab.study.design.seal import StudyCase, read_sealed
from ganlab.study.reading.answers import is_correct
from tests.study.conftest import built, with_opposite_truth

SINGLE = ("yes-no", "ordinal", "staircase", "diagnose")  # designs that ask about one image at a time
pytestmark = pytest.mark.usefixtures("same_dice")


def of_kinds(real, synthetic):
    return [StudyCase(f"{k:08x}", k >= real, TEST) for k in range(real + synthetic)]


# --- the order ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("design", DESIGNS)
def test_order_is_reproducible_from_the_sealed_text(design):
    sealed = built(design=design)
    for reader in range(4):
        assert plan(sealed, reader) == plan(sealed, reader) == plan(read_sealed(sealed.text()), reader)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("images", [24, 61])
def test_order_does_not_depend_on_the_truth(design, images):
    sealed = built(images, design=design, practice=5, catch=3, repeats=0.3)
    turned = with_opposite_truth(sealed)
    assert any(case.synthetic != now.synthetic for case, now in zip(sealed.cases, turned.cases, strict=True))
    for reader in range(6):
        assert plan(turned, reader) == plan(sealed, reader)


@pytest.mark.parametrize("design", DESIGNS)
def test_every_test_image_is_asked_about_once(design):
    sealed = built(64, design=design, repeats=0.2)
    tested = Counter(case.code for case in sealed.cases if case.role == TEST)
    for reader in range(3):
        trials = [t for t in plan(sealed, reader) if not t.repeat and not t.catch]
        assert Counter(c for t in trials if t.block == TEST for c in t.codes) == tested
        result = Counter(c for t in trials if t.block == FINDING for c in t.codes)
        assert result == (tested if design == "diagnose" else Counter())


@pytest.mark.parametrize(("design", "asks"), [
    ("yes-no", "authenticate"), ("2afc", "choose"), ("ordinal", "rate"), ("mosaic", "mark"),
    ("staircase", "authenticate"), ("diagnose", "authenticate"),
])  # fmt: skip
def test_every_design_asks_its_question(design, asks):
    trials = plan(built(64, design=design, repeats=0.2), 0)
    assert {t.asks for t in trials if t.block != FINDING} == {asks}
    assert {t.asks for t in trials if t.block == FINDING} == ({"diagnose"} if design == "diagnose" else set())


def test_lesions_are_read_before_authenticity():
    blocks = [t.block for t in plan(built(design="diagnose", repeats=0.3), 1)]
    assert blocks == sorted(blocks, key=[FINDING, PRACTICE, TEST].index) and set(blocks) == {PRACTICE, FINDING, TEST}


@pytest.mark.parametrize("design", [*SINGLE, "2afc"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5])
def test_repeats_have_the_requested_number_and_lag(design, share):
    sealed = built(104, design=design, repeats=share, catch=5)
    questions = 50 if design == "2afc" else 100
    for reader in range(4):
        trials = [t for t in plan(sealed, reader) if t.block == TEST]
        first = {t.codes: k for k, t in enumerate(trials) if not t.repeat}
        again = {t.codes: k for k, t in enumerate(trials) if t.repeat}
        assert len(again) == sum(t.repeat for t in trials) == round(share * questions)
        for codes, k in again.items():
            assert k - first[codes] > LAG
            between = {t.codes for t in trials[first[codes] + 1 : k] if not t.repeat and not t.catch}
            assert len(between) >= LAG


@pytest.mark.parametrize(("tested", "repeats"), [(20, 0), (21, 1), (26, 6), (40, 16), (56, 22)])
def test_short_tests_repeat_as_many_as_the_lag_allows(tested, repeats):
    trials = plan(built(tested, practice=0, catch=0, repeats=0.4), 0)
    assert sum(t.repeat for t in trials) == repeats <= round(0.4 * tested)


def test_catch_images_come_in_pairs_with_images_of_the_practice():
    sealed = built(60, design="2afc", catch=6, practice=4)
    told, catches = ({case.code for case in sealed.cases if case.role == role} for role in ("practice", "catch"))
    sides = []
    for reader in range(8):
        trials = [t for t in plan(sealed, reader) if t.catch]
        assert Counter(code for t in trials for code in t.codes if code in catches) == Counter(catches)
        assert all(len(t.codes) == 2 and len(told & set(t.codes)) == 1 and t.asks == "choose" for t in trials)
        sides += [t.codes[0] in catches for t in trials]
        for t in trials:  # the catch image is the right choice, whatever the other one is
            answers = [is_correct(t, {"chosen": k, "confidence": 1}, sealed.by_code()) for k in (0, 1)]
            assert answers == [code in catches for code in t.codes]
    assert 10 < sum(sides) < 38
    assert not any(t.catch for t in plan(built(60, design="2afc", catch=6, practice=0), 0))


def test_catch_images_come_once_at_different_places_for_each_reader():
    sealed = built(catch=5)
    catches = {case.code for case in sealed.cases if case.role == "catch"}
    places = []
    for reader in range(4):
        trials = plan(sealed, reader)
        result = [t for t in trials if t.catch]
        assert Counter(t.codes[0] for t in result) == Counter(catches)
        assert all(t.block == TEST and not t.repeat for t in result)
        assert not catches & {c for t in trials if not t.catch for c in t.codes}
        places.append(tuple(k for k, t in enumerate(trials) if t.catch))
    assert len(set(places)) > 1


@pytest.mark.parametrize("design", DESIGNS)
def test_paired_readers_see_opposite_orders(design):
    sealed = built(60, design=design, repeats=0, catch=0)
    orders = []
    for pair in range(3):
        first, second = (plan(sealed, 2 * pair + k) for k in range(2))
        for block in (TEST, FINDING):
            first_order, second_order = ([t.codes for t in trials if t.block == block] for trials in (first, second))
            assert first_order == [codes[::-1] if design == "2afc" else codes for codes in reversed(second_order)]
        assert [t for t in first if t.block == PRACTICE] == [t for t in second if t.block == PRACTICE]
        orders.append(tuple(t.codes for t in first))
    assert len(set(orders)) == 3


def test_alternatives_pair_a_real_with_a_synthetic_image_alike_for_all_readers():
    sealed = built(60, design="2afc", practice=6, catch=0)
    cases, seen = sealed.by_code(), []
    for reader in range(6):
        trials = plan(sealed, reader)
        assert all(sorted(cases[c].synthetic for c in t.codes) == [False, True] for t in trials)
        assert Counter(t.block for t in trials if not t.repeat) == Counter({PRACTICE: 3, TEST: 27})
        seen.append({frozenset(t.codes) for t in trials if t.block == TEST})
        sides = Counter(cases[t.codes[0]].synthetic for t in trials if t.block == TEST and not t.repeat)
        assert abs(sides[True] - sides[False]) <= 1
    assert all(result == seen[0] for result in seen)


strata = st.lists(st.tuples(st.booleans(), st.sampled_from("abc")), max_size=40)


@given(strata, st.integers(0, 2**32))
def test_pairs_share_a_stratum_as_far_as_possible(known, seed):
    cases = [StudyCase(f"{k:08x}", synthetic, TEST, stratum) for k, (synthetic, stratum) in enumerate(known)]
    by_code = {case.code: case for case in cases}
    result = pairs(cases, np.random.default_rng(seed))
    counts = Counter(known)
    of_a_kind = [sum(synthetic == arm for synthetic, _ in known) for arm in (False, True)]
    assert len(result) == min(of_a_kind)  # as many as possible
    codes = [code for pair in result for code in pair]
    assert len(set(codes)) == len(codes)
    assert all(by_code[a].synthetic != by_code[b].synthetic for a, b in result)
    same = sum(by_code[a].stratum == by_code[b].stratum for a, b in result)
    assert same == sum(min(counts[False, name], counts[True, name]) for name in "abc")


@pytest.mark.parametrize("images", [24, 40, 61, 130])
def test_panels_contain_all_images_and_differ_by_at_most_one(images):
    sealed = built(images, design="mosaic")
    tested = {case.code for case in sealed.cases if case.role == TEST}
    for reader in range(2):
        panels = [t.codes for t in plan(sealed, reader) if t.block == TEST and not t.repeat]
        sizes = [len(panel) for panel in panels]
        assert max(sizes) <= PANEL and max(sizes) - min(sizes) <= 1 and len(panels) == -(-len(tested) // PANEL)
        assert sorted(code for panel in panels for code in panel) == sorted(tested)
    assert [len(t.codes) for t in plan(sealed, 0) if t.block == PRACTICE] == [4]


@pytest.mark.parametrize("design", DESIGNS)
def test_practice_is_optional(design):
    assert {t.block for t in plan(built(design=design, practice=0), 0)} <= {TEST, FINDING}


def unevenness(order):
    """Largest deviation of the number of synthetic images in a prefix from its expected share."""
    synthetic = np.array([case.synthetic for case in order])
    return np.abs(np.cumsum(synthetic) - np.arange(1, len(order) + 1) * synthetic.mean()).max()


@given(st.integers(1, 300), st.integers(0, 2**32))
def test_equal_kinds_are_balanced_within_a_block(each, seed):
    cases = of_kinds(each, each)
    order = permuted(cases, np.random.default_rng(seed))
    assert sorted(case.code for case in order) == [case.code for case in cases]
    assert unevenness(order) <= max(BLOCKS) / 4  # four of one kind, then four of the other


@settings(max_examples=60)
@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 2**32))
@example(372, 820, 372)
def test_every_prefix_of_the_order_is_balanced(real, synthetic, seed):
    cases = of_kinds(real, synthetic)
    order = permuted(cases, np.random.default_rng(seed))
    assert sorted(case.code for case in order) == [case.code for case in cases]
    uneven = unevenness(order) if order else 0
    assert uneven <= max(BLOCKS)


def test_kind_cannot_be_predicted_from_the_position():
    """Every position has either kind in some orders; not even the last of a block is certain."""
    cases = of_kinds(20, 20)
    result = np.array([[c.synthetic for c in permuted(cases, np.random.default_rng(seed))] for seed in range(300)])
    assert (np.abs(result.mean(0) - 0.5) < 0.15).all()


# --- exposures ------------------------------------------------------------------------------------------

STAIRCASE = Protocol(design="staircase")


def test_staircase_starts_at_500_ms_with_steps_of_10_and_30_ms():
    assert exposure_ms(STAIRCASE, []) == 500
    assert exposure_ms(STAIRCASE, [True]) == 490 and exposure_ms(STAIRCASE, [False]) == 530
    assert exposure_ms(STAIRCASE, [True, True, False, True]) == 500


@given(st.lists(st.booleans(), max_size=200), st.booleans())
def test_staircase_stays_within_its_bounds(right, last):
    before, after = exposure_ms(STAIRCASE, right), exposure_ms(STAIRCASE, [*right, last])
    assert 30 <= after <= 1000
    assert after == (max(30, before - 10) if last else min(1000, before + 30))


def test_staircase_has_a_floor_and_a_ceiling():
    assert exposure_ms(STAIRCASE, [True] * 100) == 30 and exposure_ms(STAIRCASE, [False] * 100) == 1000
    assert exposure_ms(STAIRCASE, [True] * 100 + [False]) == 60
    assert exposure_ms(STAIRCASE, [False] * 100 + [True]) == 990


@pytest.mark.parametrize(("p", "after"), [(0.75, 500), (0.5, 700), (0.9, 380)])
def test_staircase_is_stable_at_75_percent_and_drifts_up_at_chance(p, after):
    """Twenty answers, a share p of them correct (10 ms down) and the others wrong (30 ms up)."""
    draws = np.random.default_rng(0).random((4000, 20)) < p
    assert np.mean([exposure_ms(STAIRCASE, row.tolist()) for row in draws]) == pytest.approx(after, abs=4)


def test_staircase_converges_to_75_percent_correct():
    """An observer with 50 % correct at 0 ms, 75 % at 173 ms and 100 % at long exposures."""
    rng, right, shown = np.random.default_rng(1), [], []
    for _ in range(1500):
        shown.append(exposure_ms(STAIRCASE, right))
        right.append(rng.random() < 1 - 0.5 * 0.5 ** (shown[-1] / 173))
    assert np.mean(shown[200:]) == pytest.approx(173, abs=20)
    assert np.mean(right[200:]) == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize("design", [design for design in DESIGNS if design != "staircase"])
def test_other_designs_use_the_protocols_time_limit(design):
    for answers in ([], [True] * 9, [False] * 9):
        assert exposure_ms(Protocol(design=design), answers) == 0
        assert exposure_ms(Protocol(design=design, limit_s=1.5), answers) == 1500
