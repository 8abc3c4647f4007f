"""The protocol and its seal: valid settings, stable hashes, and nothing that reveals which image is synthetic."""

import json
from collections import Counter
from dataclasses import fields, replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab.errors import InputError
from ganlab.study.design import build as build_module
from ganlab.study.design import protocol
from ganlab.study.design.build import WITH_CATCH, build, shuffled_tiles
from ganlab.study.design.order import plan
from ganlab.study.design.protocol import DESIGNS, PRACTICE, TEST, Protocol, with_dates
from ganlab.study.design.seal import Sealed, StudyCase, digest, read_sealed
from ganlab.study.design.truth import LesionMark
from tests.study.conftest import built, made_stimuli, with_opposite_truth

TODAY = datetime(2030, 6, 15, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def same_dice_and_day(same_dice, monkeypatch):
    """Seeds are 0, 1, 2, ... and today is 15 June 2030."""

    class Frozen(datetime):
        @classmethod
        def now(cls, tz=None):
            return TODAY.astimezone(tz)

    monkeypatch.setattr(protocol, "datetime", Frozen)


# --- the seal -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("design", DESIGNS)
def test_sealed_text_survives_reading(design):
    sealed = built(design=design, groups=("student", "radiologist"), title='Ärzte "raten"\n')
    back = read_sealed(sealed.text())
    assert back == sealed and back.seal() == sealed.seal() and back.design_hash() == sealed.design_hash()
    assert json.loads(sealed.text())["seed"] == sealed.seed


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.floats(-1e6, 1e6, allow_nan=False)
lesions = st.none() | st.builds(LesionMark, numbers, numbers, numbers)
cases = st.builds(StudyCase, words, st.booleans(), st.sampled_from([PRACTICE, TEST, "catch"]), words, words, lesions)
protocols = st.builds(
    Protocol, title=words, design=st.sampled_from(list(DESIGNS)), instructions=words, readers=st.integers(1, 200),
    repeats=st.floats(0, 0.5), limit_s=st.floats(0, 600) | st.integers(0, 600), prevalence=st.booleans(),
    groups=st.lists(words.filter(bool), max_size=8).map(tuple), margin=st.floats(0.01, 0.4),
)  # fmt: skip


@settings(max_examples=50)
@given(protocols, st.lists(cases, max_size=4), st.dictionaries(words, words, max_size=3), st.integers(0, 2**63), words)
def test_any_sealed_text_survives_reading(how, known, pixels, seed, nonce):
    sealed = Sealed(how, tuple(known), pixels, seed, nonce)
    assert read_sealed(sealed.text()) == sealed


CHANGES = {
    "title": "Another", "design": "ordinal", "instructions": "Look.", "readers": 5, "practice": 6, "catch": 3,
    "repeats": 0.2, "rest": 41, "limit_s": 1.0, "prevalence": True, "groups": ("x",), "margin": 0.11, "race": True,
    "margin_reason": "As agreed.", "audit_reason": "A lesson on it.",
    "catch_rate": 0.5, "least_s": 0, "one_sided": 1, "least_bits": 0.4, "final": False,
    "expires": "2030-10-10", "keep_until": "2031-10-10",
}  # fmt: skip


@pytest.mark.parametrize("name", [field.name for field in fields(Protocol)])
def test_every_setting_of_the_protocol_counts_for_seal_and_design(name):
    sealed = built()
    changed = replace(sealed, protocol=replace(sealed.protocol, **{name: CHANGES[name]}))
    assert changed.seal() != sealed.seal() and changed.design_hash() != sealed.design_hash()


def test_seal_changes_with_any_truth():
    sealed = built(images=24)
    for k, case in enumerate(sealed.cases):
        for turned in (replace(case, synthetic=not case.synthetic), replace(case, lesion=LesionMark(1, 2, 3))):
            cases = (*sealed.cases[:k], turned, *sealed.cases[k + 1 :])
            assert replace(sealed, cases=cases).seal() != sealed.seal()


def test_seal_changes_with_any_pixel_and_the_seed():
    sealed = built(images=24)
    for code, pixel_hash in sealed.pixels.items():
        pixels = sealed.pixels | {code: pixel_hash[:-1] + ("0" if pixel_hash[-1] != "0" else "1")}
        assert replace(sealed, pixels=pixels).seal() != sealed.seal()
        assert replace(sealed, pixels=pixels).design_hash() != sealed.design_hash()
    assert replace(sealed, seed=sealed.seed + 1).seal() != sealed.seal()
    assert replace(sealed, nonce=sealed.nonce + "x").seal() != sealed.seal()


def test_design_hash_reveals_neither_truth_nor_order():
    sealed = built()
    for same in (with_opposite_truth(sealed), replace(sealed, seed=99), replace(sealed, nonce="0" * 64)):
        assert same.design_hash() == sealed.design_hash() and same.seal() != sealed.seal()


def test_nonce_prevents_guessing_the_truth_from_the_seal():
    how, images = Protocol(), made_stimuli()
    one, two = (build(how, images)[0] for _ in range(2))
    assert len(one.nonce) == 64 and one.nonce != two.nonce


def test_digest_depends_on_the_shape():
    image = np.arange(24, dtype=np.uint8)
    assert digest(image.reshape(4, 6)) != digest(image.reshape(6, 4)) != digest(image.reshape(6, 4) + np.uint8(1))
    assert digest(image.reshape(4, 6)) == digest(image.reshape(4, 6).copy(order="F"))


@pytest.mark.parametrize("text", [
    "", "no JSON", "null", "5", "[]", "{}", '{"cases": 3}', '{"cases": [3], "protocol": {}}',
    '{"cases": [], "protocol": {"groups": []}}', '{"cases": [], "protocol": {"groups": 5}, "pixels": {}}',
])  # fmt: skip
def test_refuses_text_that_is_not_a_sealed_protocol(text):
    with pytest.raises(InputError, match="not a sealed protocol"):
        read_sealed(text)


@pytest.mark.parametrize("where", ["protocol", "case", "lesion", "top"])
def test_refuses_sealed_text_with_missing_or_unknown_fields(where):
    for spoil in (lambda part, name: part.pop(name), lambda part, name: part.update(more=1, **{name: part[name]})):
        result = json.loads(built(design="diagnose").text())
        with_lesion = next(case for case in result["cases"] if case["lesion"])
        part, name = {
            "protocol": (result["protocol"], "groups"), "case": (result["cases"][0], "code"),
            "lesion": (with_lesion["lesion"], "radius"), "top": (result, "nonce"),
        }[where]  # fmt: skip
        spoil(part, name)
        if where == "top" and "more" in result:
            continue  # other fields at the top are ignored
        with pytest.raises(InputError, match="not a sealed protocol"):
            read_sealed(json.dumps(result))


# --- the protocol ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "value", "sentence"), [
    ("readers", 0, "Readers is 0; give a whole number from 1 to 200"), ("readers", 201, "Readers is 201"),
    ("practice", -1, "Practice images is -1; give a whole number from 0 to 40"), ("practice", 41, "images is 41"),
    ("catch", -1, "Catch images is -1; give a whole number from 0 to 20"), ("catch", 21, "Catch images is 21"),
    ("repeats", -0.1, "Share shown twice is -0.1; give a number from 0 to 0.5"), ("repeats", 0.51, "twice is 0.51"),
    ("rest", 4, "Break after is 4; give a whole number from 5 to 500"), ("rest", 501, "Break after is 501"),
    ("limit_s", -1, "Time limit is -1; give a number from 0 to 600 s"), ("limit_s", 601, "Time limit is 601"),
    ("limit_s", float("nan"), "Time limit is NaN"), ("limit_s", float("inf"), "Time limit is Infinity"),
    ("margin", 0, "Margin is 0; give a number from 0.01 to 0.4"), ("margin", 0.5, "Margin is 0.5"),
    ("design", "3afc", 'Design is "3afc"; give one of yes-no, 2afc, ordinal'),
    ("title", "x" * 121, "Title has 121 characters; at most 120 are allowed"),
    ("instructions", "x" * 4001, "Instructions has 4,001 characters; at most 4,000 are allowed"),
    ("groups", ("x",) * 9, "At most 8 groups"), ("groups", ("",), "of 1 to 60"), ("groups", ("x" * 61,), "1 to 60"),
    ("margin_reason", "x" * 1001, "Reason for the margin has 1,001 characters"), ("one_sided", 0.4, "One-sided is 0.4"),
    ("title", "\ud800", "invalid characters"), ("readers", "4", 'Readers is "4"'), ("race", 1, "Race is 1"),
])  # fmt: skip
def test_refuses_values_out_of_range_in_a_sentence(name, value, sentence):
    with pytest.raises(InputError, match=sentence):
        Protocol(**{name: value})


@pytest.mark.parametrize(("name", "value", "sentence"), [
    ("expires", "2030-06-14", "expires is 2030-06-14, which is in the past"),
    ("keep_until", "1999-12-31", "is in the past"),
    ("expires", "soon", 'expires is "soon"; give a date such as 2030-09-13'),
    ("expires", "2031-02-29", 'expires is "2031-02-29"; give a date'), ("expires", "14.7.2031", "give a date such as"),
    ("keep_until", "x" * 99, f'keep_until is "{"x" * 20}"; give a date such as 2031-06-15'),
])  # fmt: skip
def test_refuses_past_or_invalid_dates_for_new_studies(name, value, sentence):
    with pytest.raises(InputError, match=sentence):
        with_dates(Protocol(**{name: value}))
    with pytest.raises(InputError, match=sentence):
        build(Protocol(**{name: value}), made_stimuli())


def test_a_wide_margin_needs_a_reason():
    for reason in ("", "because so"):
        with pytest.raises(InputError, match=r"right in up to 75% of pairs; give the reason in a sentence"):
            with_dates(Protocol(margin=0.25, margin_reason=reason))
    assert with_dates(Protocol(margin=0.25, margin_reason="Screening uses them at thumbnail size.")).margin == 0.25
    assert with_dates(Protocol(margin=0.2)).margin == 0.2


@pytest.mark.parametrize("number", [0, 0.0])
def test_whole_numbers_stay_whole_in_the_sealed_text(number):
    """The hash of a study depends on whether its text has 0 or 0.0, and forms send either."""
    sealed = built(limit_s=number, repeats=number)
    assert f'"limit_s":{number},' in sealed.text()
    back = read_sealed(sealed.text())
    assert back.text() == sealed.text() and back.seal() == sealed.seal()


@pytest.mark.parametrize("edges", [
    {"readers": 1, "practice": 0, "catch": 0, "repeats": 0, "rest": 5, "limit_s": 0, "margin": 0.01, "title": ""},
    {"readers": 200, "practice": 40, "catch": 20, "repeats": 0.5, "rest": 500, "limit_s": 600, "margin": 0.4,
     "margin_reason": "As it was agreed.", "expires": "2030-06-15", "title": "x" * 120,
     "instructions": "x" * 4000, "groups": ("x" * 60,) * 8},
])  # fmt: skip
def test_accepts_values_at_the_limits(edges):
    result = with_dates(Protocol(**edges))
    assert {name: getattr(result, name) for name in edges} == edges


@pytest.mark.parametrize("design", [design for design in DESIGNS if design != "yes-no"])
def test_race_requires_the_yes_no_design(design):
    assert Protocol(race=True).race
    with pytest.raises(InputError, match=f'"yes-no", not "{design}"'):
        Protocol(design=design, race=True)


def test_default_dates_are_in_90_days_and_in_a_year():
    how = Protocol(title="Mine")
    assert with_dates(how) == replace(how, expires="2030-09-13", keep_until="2031-06-15")
    assert with_dates(with_dates(how)) == with_dates(how)
    assert built().protocol.expires == "2030-09-13"


@pytest.mark.parametrize("name", ["expires", "keep_until"])
@pytest.mark.parametrize("text", ["20300620", "2030-W25-4", "2030W254"])
def test_dates_are_kept_in_a_form_that_compares_as_text(name, text):
    """Dates are compared as text, and "20300620" would come after "2030-06-21" to "2030-12-31"."""
    try:
        result = getattr(with_dates(Protocol(**{name: text})), name)
    except InputError:
        return
    assert result == "2030-06-20"


# --- building -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("design", DESIGNS)
def test_every_image_has_one_code_and_one_role(design):
    stimuli = made_stimuli(40)
    sealed, images = build(Protocol(design=design, practice=6, catch=3), stimuli)
    roles = Counter(case.role for case in sealed.cases)
    assert roles == Counter({PRACTICE: 6, TEST: 34, "catch": 3 if design in WITH_CATCH else 0})
    codes = [case.code for case in sealed.cases]
    assert len(set(codes)) == len(codes) == len(images) and set(codes) == set(images) == set(sealed.pixels)
    assert codes == sorted(codes) and all(len(code) == 8 and int(code, 16) >= 0 for code in codes)
    assert sealed.pixels == {code: digest(image) for code, image in images.items()}
    for case in sealed.cases:
        if case.role != "catch":
            k = int(case.source.removeprefix("file "))
            assert (images[case.code] == stimuli.images[k]).all()
            assert (case.synthetic, case.stratum) == (stimuli.synthetic[k], stimuli.strata[k])
            assert case.lesion == stimuli.lesions[k]


@pytest.mark.parametrize("practice", range(8))
def test_practice_has_both_kinds_and_is_not_reused_in_the_test(practice):
    sealed = built(practice=practice, repeats=0.5)
    kinds = Counter(case.synthetic for case in sealed.cases if case.role == PRACTICE)
    assert kinds[False] + kinds[True] == practice and kinds[False] - kinds[True] == practice % 2
    for reader in range(4):
        trials = plan(sealed, reader)
        blocks = [trial.block for trial in trials]
        assert blocks == [PRACTICE] * practice + [TEST] * (len(blocks) - practice)
        shown = {block: {c for t in trials if t.block == block for c in t.codes} for block in (PRACTICE, TEST)}
        assert len(shown[PRACTICE]) == practice and not shown[PRACTICE] & shown[TEST]


@pytest.mark.parametrize("practice", [0, 4])
def test_catch_images_are_shuffled_tiles_of_practice_or_of_any_image(practice):
    """Recognising the tiles reveals nothing: practice is disclosed anyway, and without it both kinds are used."""
    stimuli = made_stimuli(24)  # 24 x 24 pixels are 6 x 6 tiles without a remainder
    sealed, images = build(Protocol(catch=20, practice=practice), stimuli)
    catches = [case for case in sealed.cases if case.role == "catch"]
    assert len(catches) == 20 and all(case.synthetic and case.lesion is None for case in catches)
    role = PRACTICE if practice else TEST
    sources = {case.code: tiles(images[case.code]) for case in sealed.cases if case.role == role}
    cut = [[code for code, pieces in sources.items() if pieces == tiles(images[case.code])] for case in catches]
    assert all(len(result) == 1 for result in cut)
    assert {sealed.by_code()[result[0]].synthetic for result in cut} == {False, True}
    for case in catches:
        assert not any((images[case.code] == image).all() for image in stimuli.images)
    assert len({sealed.pixels[case.code] for case in catches}) == 20


def test_built_study_depends_on_the_truth_in_practice_only(monkeypatch):
    """The same images with opposite truths get the same catch images, codes and pixels."""
    stimuli = made_stimuli(40)
    result = []
    for synthetic in (stimuli.synthetic, ~stimuli.synthetic):
        monkeypatch.setattr(build_module.secrets, "randbits", lambda bits: 5)
        sealed, _ = build(Protocol(practice=0, catch=5), replace(stimuli, synthetic=synthetic))
        result.append((sealed.pixels, [(case.code, case.role) for case in sealed.cases], plan(sealed, 0)))
    assert result[0] == result[1]


def tiles(image, size=4):
    return sorted(image[i : i + size, j : j + size].tobytes() for i in range(0, 24, size) for j in range(0, 24, size))


def test_shuffled_tiles_are_permuted_and_the_remainder_stays():
    image = made_stimuli(1, side=26).images[0]
    result = shuffled_tiles(image, np.random.default_rng(0))
    assert tiles(result[:24, :24]) == tiles(image[:24, :24]) and (result[:24, :24] != image[:24, :24]).any()
    assert (result[24:] == image[24:]).all() and (result[:, 24:] == image[:, 24:]).all()


def test_small_pictures_are_shuffled():
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert (shuffled_tiles(image, np.random.default_rng(0)) != image).any()


def test_studies_differ_in_codes_roles_and_order():
    one, two = (build(Protocol(), made_stimuli())[0] for _ in range(2))
    assert len({tuple(sorted(c.source for c in s.cases if c.role == PRACTICE)) for s in (one, two)}) == 2
    assert not {case.code for case in one.cases} & {case.code for case in two.cases}
    sources = [[s.by_code()[t.codes[0]].source for t in plan(s, 0)] for s in (one, two)]
    assert sources[0] != sources[1]


@pytest.mark.parametrize("practice", [12, 20, 21, 24, 40])
def test_refuses_too_few_images_for_the_practice(practice):
    with pytest.raises(InputError, match=f"20 images minus {practice} for practice are too few; give more images"):
        built(images=20, practice=practice)


def test_ten_of_each_kind_are_enough_for_ten_practice_images():
    assert sum(case.role == TEST for case in built(images=20, practice=10).cases) == 10


@pytest.mark.parametrize("lesions", [[None] * 40, [LesionMark(8, 8, 3)] * 40])
def test_diagnosing_requires_images_with_and_without_lesions(lesions):
    stimuli = replace(made_stimuli(), lesions=lesions)
    with pytest.raises(InputError, match="needs images with a lesion and images without"):
        build(Protocol(design="diagnose"), stimuli)
    assert build(Protocol(), stimuli)


@pytest.mark.parametrize("lesions", [[LesionMark(8, 8, 3)] + [None] * 19, [None] + [LesionMark(8, 8, 3)] * 19])
def test_practice_leaves_images_with_and_without_lesions(lesions):
    """In 20 studies with different practice images, the test has both kinds or the study is refused."""
    for _ in range(20):
        try:
            sealed, _ = build(Protocol(design="diagnose", practice=10), replace(made_stimuli(20), lesions=lesions))
        except InputError:
            continue
        assert {case.lesion is not None for case in sealed.cases if case.role == TEST} == {True, False}


def test_images_without_lesion_list_can_be_used():
    assert build(Protocol(), replace(made_stimuli(), lesions=[]))
