"""Signed words: invitations for readers, tokens for questions, the organiser's secret. None carries a name."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from ganlab.errors import InputError

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U
ALIKE = str.maketrans("ILO", "110")  # what is often written for others
STUDY, NUMBER, SIGN = 6, 2, 10  # letters; ten sign with 50 bits
UNKNOWN = "This invitation is not known here; check it letter by letter, or ask whoever invited you."
SCRYPT = {"n": 2**14, "r": 8, "p": 1}


def new_study() -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(STUDY))


def letters(value: int, count: int) -> str:
    return "".join(LETTERS[value >> 5 * k & 31] for k in reversed(range(count)))


def signed(key: str, *words: object) -> str:
    """HMAC-SHA256 of words, in hexadecimal."""
    return hmac.new(bytes.fromhex(key), ":".join(map(str, words)).encode(), hashlib.sha256).hexdigest()


def invitation(key: str, study: str, number: int) -> str:
    """The code of a reader (0 to 1023): study, number and signature, in groups that can be read aloud."""
    sign = letters(int(signed(key, "invitation", study, number), 16), SIGN)
    code = study + letters(number, NUMBER) + sign
    return "-".join(code[k : k + 6] for k in range(0, len(code), 6))


def plain(code) -> str:
    """A code as it was meant: capitals, no dashes or spaces, and 1 and 0 where other letters look like them."""
    return "".join(c for c in str(code)[:60].upper() if c.isalnum()).translate(ALIKE)


def study_of(code) -> str:
    """The study that a code belongs to, by its own word. Raises InputError for what is no code at all."""
    text = plain(code)
    if len(text) != STUDY + NUMBER + SIGN or any(c not in LETTERS for c in text):
        raise InputError(UNKNOWN)
    return text[:STUDY]


def number_of(code, key: str, study: str) -> int:
    """The reader that a code invites. Raises InputError if the study's key has not signed it."""
    study_of(code)
    text = plain(code)
    high, low = (LETTERS.index(c) for c in text[STUDY : STUDY + NUMBER])
    number = 32 * high + low
    if not hmac.compare_digest(plain(invitation(key, study, number)), text):
        raise InputError(UNKNOWN)
    return number


def token(key: str, number: int, position: int) -> str:
    """What an answer to a question has to carry: it is this reader's and this question's alone."""
    return signed(key, "question", number, position)[:32]


def new_secret() -> tuple[str, str]:
    """(an organiser's secret, what is kept of it)."""
    secret, salt = secrets.token_urlsafe(18), secrets.token_bytes(16)
    return secret, f"{salt.hex()}:{hashlib.scrypt(secret.encode(), salt=salt, **SCRYPT).hex()}"


def is_secret(secret, kept: str) -> bool:
    salt, digest = map(bytes.fromhex, kept.split(":"))
    return hmac.compare_digest(hashlib.scrypt(str(secret)[:100].encode(errors="replace"), salt=salt, **SCRYPT), digest)
