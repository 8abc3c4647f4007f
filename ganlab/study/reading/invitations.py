"""Signed codes: invitations for readers, tokens for questions, the organiser's secret. None contains a name."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from ganlab.errors import InputError

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U
ALIKE = str.maketrans("ILO", "110")  # letters that are easily confused with digits
STUDY, NUMBER, SIGN = 6, 2, 10  # letters for study, reader and signature; ten letters are 50 bits
UNKNOWN = "This invitation is not known here; check it letter by letter, or ask the person who invited you."
SCRYPT = {"n": 2**14, "r": 8, "p": 1}


def new_study() -> str:
    """A random name for a study, of six letters."""
    return "".join(secrets.choice(LETTERS) for _ in range(STUDY))


def letters(value: int, count: int) -> str:
    """The lowest 5 * count bits of a number in base 32."""
    return "".join(LETTERS[value >> 5 * k & 31] for k in reversed(range(count)))


def signed(key: str, *words: object) -> str:
    """HMAC-SHA256 of words joined by colons, in hexadecimal. key: hexadecimal."""
    return hmac.new(bytes.fromhex(key), ":".join(map(str, words)).encode(), hashlib.sha256).hexdigest()


def invitation(key: str, study: str, number: int) -> str:
    """The code of a reader (0 to 1023): study, number and signature, in groups of six letters."""
    signature = letters(int(signed(key, "invitation", study, number), 16), SIGN)
    code = study + letters(number, NUMBER) + signature
    return "-".join(code[k : k + 6] for k in range(0, len(code), 6))


def plain(code: object) -> str:
    """A code in upper case, without dashes and spaces, and with 1 and 0 for the letters that look like them."""
    return "".join(c for c in str(code)[:60].upper() if c.isalnum()).translate(ALIKE)


def study_of(code: object) -> str:
    """The study that a code claims to belong to; its signature is not checked. Raises InputError for a malformed
    code."""
    text = plain(code)
    if len(text) != STUDY + NUMBER + SIGN or any(c not in LETTERS for c in text):
        raise InputError(UNKNOWN)
    return text[:STUDY]


def number_of(code: object, key: str, study: str) -> int:
    """The reader that a code invites. Raises InputError if the study's key has not signed it."""
    study_of(code)
    text = plain(code)
    high, low = (LETTERS.index(c) for c in text[STUDY : STUDY + NUMBER])
    number = 32 * high + low
    if not hmac.compare_digest(plain(invitation(key, study, number)), text):
        raise InputError(UNKNOWN)
    return number


def token(key: str, number: int, position: int) -> str:
    """The token that an answer must carry; it is valid for this reader and this question only."""
    return signed(key, "question", number, position)[:32]


def new_secret() -> tuple[str, str]:
    """(an organiser's secret, the salted hash of it that is stored)."""
    secret, salt = secrets.token_urlsafe(18), secrets.token_bytes(16)
    return secret, f"{salt.hex()}:{hashlib.scrypt(secret.encode(), salt=salt, **SCRYPT).hex()}"


def is_secret(secret: object, stored: str) -> bool:
    """Whether a secret matches its stored hash."""
    salt, digest = map(bytes.fromhex, stored.split(":"))
    return hmac.compare_digest(hashlib.scrypt(str(secret)[:100].encode(errors="replace"), salt=salt, **SCRYPT), digest)
