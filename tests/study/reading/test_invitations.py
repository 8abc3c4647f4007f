"""Codes tolerate typing errors and cannot be guessed; tokens and secrets are valid in one place only."""

import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ganlab.errors import InputError
from ganlab.study.reading import invitations
from ganlab.study.reading.invitations import (
    LETTERS,
    invitation,
    is_secret,
    new_secret,
    new_study,
    number_of,
    study_of,
    token,
)

KEY, OTHER = "5a" * 32, "5b" * 32
STUDY = "0A1B9Z"
ALIKE = {"0": "0Oo", "1": "1IiLl"}


def admitted(code, key=KEY):
    """The reader that a code identifies, looked up as the server does: through the study it names."""
    return number_of(code, key, study_of(code))


@pytest.mark.parametrize("number", [0, 1, 31, 32, 33, 199, 1023])
def test_code_identifies_study_and_reader(number):
    code = invitation(KEY, STUDY, number)
    assert [len(group) for group in code.split("-")] == [6, 6, 6] and set(code) <= set(LETTERS) | {"-"}
    assert study_of(code) == STUDY and admitted(code) == number


def test_codes_differ_between_readers_and_studies():
    codes = [invitation(key, study, k) for key in (KEY, OTHER) for study in (STUDY, "0A1B9Y") for k in range(200)]
    assert len(set(codes)) == 800
    assert len({code.replace("-", "")[8:] for code in codes}) == 800  # all signatures differ
    assert invitation(KEY, STUDY, 7) == invitation(KEY, STUDY, 7)


@pytest.mark.parametrize("spoil", [
    str.lower, lambda code: code[:9].lower() + code[9:], lambda code: code.replace("-", ""),
    lambda code: code.replace("-", " "),
    lambda code: f"  {code}\n", lambda code: " ".join(code), lambda code: code.replace("-", "–"),
    lambda code: code.replace("0", "O"), lambda code: code.replace("0", "o"), lambda code: code.replace("1", "I"),
    lambda code: code.replace("1", "l"), lambda code: code.replace("1", "L").replace("0", "O").lower(),
])  # fmt: skip
@pytest.mark.parametrize("number", [0, 33, 100])
def test_code_is_recognised_however_it_is_typed(spoil, number):
    code = invitation(KEY, STUDY, number)
    assert "0" in code and "1" in code and spoil(code) != code
    assert admitted(spoil(code)) == number


@given(st.integers(0, 1023), st.randoms(use_true_random=False))
def test_code_is_recognised_after_several_typing_variations(number, draw):
    code = "".join(
        draw.choice(ALIKE.get(c, [c, c.lower()])) + draw.choice(["", "", " ", "-"])
        for c in invitation(KEY, STUDY, number)
        if c != "-"
    )
    assert admitted(code) == number


def test_refuses_a_code_with_any_letter_changed():
    code = invitation(KEY, STUDY, 33).replace("-", "")
    for place, right in enumerate(code):
        for wrong in set(LETTERS) - {right}:
            changed = code[:place] + wrong + code[place + 1 :]
            with pytest.raises(InputError, match="not known here"):
                admitted(changed)
            with pytest.raises(InputError, match="not known here"):
                number_of(changed, KEY, STUDY)


def test_refuses_a_code_with_swapped_letters():
    code = invitation(KEY, STUDY, 33).replace("-", "")
    for k in range(len(code) - 1):
        swapped = code[:k] + code[k + 1] + code[k] + code[k + 2 :]
        if swapped != code:
            with pytest.raises(InputError, match="not known here"):
                admitted(swapped)


def test_code_signed_with_another_key_is_refused():
    for number in range(50):
        with pytest.raises(InputError, match="not known here"):
            admitted(invitation(OTHER, STUDY, number))


def test_code_of_one_study_opens_no_other():
    with pytest.raises(InputError, match="not known here"):
        number_of(invitation(KEY, "0A1B9Y", 5), KEY, STUDY)


def test_code_with_an_impossible_reader_number_is_refused():
    with pytest.raises(InputError, match="not known here"):
        admitted(invitation(KEY, STUDY, 1024))


@pytest.mark.parametrize("code", [
    None, 7, [], {}, "", "-", "ABCDEF", "0" * 17, "0" * 19, "0" * 10_000, "U" * 18, "é" * 18, "０" * 18, "ß" * 9,
    "\ud800" * 18, "' OR 1=1 --", "\0" * 18,
])  # fmt: skip
def test_refuses_malformed_codes(code):
    with pytest.raises(InputError, match="not known here"):
        admitted(code)


@pytest.mark.parametrize("code", ["", "0A1B9Z", "U" * 18, "é" * 18])
def test_malformed_codes_are_refused_for_any_key(code):
    with pytest.raises(InputError, match="not known here"):
        number_of(code, KEY, STUDY)


@given(st.text(max_size=80))
@example("0" * 18)
def test_random_text_is_not_a_valid_code(text):
    with pytest.raises(InputError):
        admitted(text)


def test_study_names_fit_into_codes():
    names = {new_study() for _ in range(200)}
    assert len(names) == 200
    assert all(study_of(invitation(KEY, name, 3)) == name for name in names)
    assert not set("ILOU") & set(LETTERS) and len(set(LETTERS)) == 32


def test_tokens_differ_between_readers_and_questions():
    tokens = {token(key, number, position) for key in (KEY, OTHER) for number in range(20) for position in range(120)}
    assert len(tokens) == 2 * 20 * 120
    assert token(KEY, 3, 4) == token(KEY, 3, 4)
    assert all(len(one) == 32 and set(one) <= set(string.hexdigits) for one in tokens)
    assert token(KEY, 1, 11) != token(KEY, 11, 1)


@given(st.integers(0, 1023), st.integers(0, 32))
def test_letters_encode_base_32(number, spare):
    written = invitations.letters(number, 3)
    assert sum(LETTERS.index(c) * 32**k for k, c in enumerate(reversed(written))) == number
    assert invitations.letters(number + 2**15 * spare, 3) == written


@pytest.fixture(scope="module")
def secret():
    return new_secret()


def test_secret_matches_its_stored_hash(secret):
    plain_secret, stored_hash = secret
    assert is_secret(plain_secret, stored_hash) and plain_secret not in stored_hash and len(plain_secret) >= 20


@pytest.mark.parametrize("wrong", [
    "", None, 7, True, [], str.lower, str.upper, lambda said: said[:-1], lambda said: said + " ", lambda said: said * 9,
    "é", "\ud800",
])  # fmt: skip
def test_wrong_secrets_do_not_match(secret, wrong):
    plain_secret, stored_hash = secret
    assert not is_secret(wrong(plain_secret) if callable(wrong) else wrong, stored_hash)


def test_stored_hash_is_not_a_secret(secret):
    other_secret, other_hash = new_secret()
    assert other_secret != secret[0] and other_hash.split(":")[0] != secret[1].split(":")[0]
    assert not is_secret(other_secret, secret[1]) and not is_secret(secret[0], other_hash)
    assert not is_secret(secret[1], secret[1])


@settings(max_examples=5)
@given(st.text(max_size=20))
def test_random_text_is_not_a_valid_secret(secret, text):
    assert not is_secret(text, secret[1])
