"""The seal of a study: protocol, truth and random seed as canonical JSON, whose SHA-256 is published before the first
answer and checked after the last."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

import numpy as np

from ganlab.errors import InputError
from ganlab.study.design.protocol import NO_RULES, Protocol
from ganlab.study.design.truth import LesionMark


@dataclass(frozen=True)
class StudyCase:
    """What is known about an image: its code, its truth and its role (practice, test or catch)."""

    code: str
    synthetic: bool
    role: str
    stratum: str = ""
    source: str = ""
    lesion: LesionMark | None = None
    patient: str = ""  # "" for one of its own


# Fields that studies sealed by earlier versions lack, and what they stand for there; unsaid, they keep their seal.
ADDED_TO_CASES = {"patient": ""}
ADDED_TO_PROTOCOL: dict = {**NO_RULES, "margin_reason": "", "audit_reason": "", "final": False}


@dataclass(frozen=True)
class Sealed:
    """Protocol, truth and the seed of all orders. The nonce keeps anyone from finding the truth by trying all possible
    truths against the published hash. Field names are those of the sealed JSON and must not change."""

    protocol: Protocol
    cases: tuple[StudyCase, ...]
    pixels: dict[str, str]  # code -> SHA-256 of shape and pixels
    seed: int
    nonce: str

    def text(self) -> str:
        """Canonical JSON."""
        values = asdict(self)
        values["protocol"] = _said(values["protocol"], ADDED_TO_PROTOCOL)
        values["cases"] = [_said(case, ADDED_TO_CASES) for case in values["cases"]]
        return canonical_json(values)

    def design_hash(self) -> str:
        """SHA-256 of what readers may know: protocol and images without truth, seed and order. Receipts carry it."""
        known = [_said(asdict(self.protocol), ADDED_TO_PROTOCOL), sorted(self.pixels.values())]
        return hashlib.sha256(canonical_json(known).encode()).hexdigest()

    def seal(self) -> str:
        """SHA-256 of `text`, to publish before the study and to check after it."""
        return hashlib.sha256(self.text().encode()).hexdigest()

    def by_code(self) -> dict[str, StudyCase]:
        """The cases by their code."""
        return {case.code: case for case in self.cases}


def _said(values: dict, added: dict) -> dict:
    """values without those of `added` that have the value given there."""
    return {name: value for name, value in values.items() if not (name in added and value == added[name])}


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces: the same value always gives the same text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(image: np.ndarray) -> str:
    """SHA-256 of an image's shape and pixels (H, W) uint8."""
    return hashlib.sha256(str(image.shape).encode() + image.tobytes()).hexdigest()


def read_sealed(text: str) -> Sealed:
    """The inverse of Sealed.text. Raises InputError for anything else."""
    try:
        values = json.loads(text)
        cases = tuple(
            StudyCase(**case | {"lesion": LesionMark(**case["lesion"]) if case["lesion"] else None})
            for case in values["cases"]
        )
        protocol = Protocol(**ADDED_TO_PROTOCOL | values["protocol"] | {"groups": tuple(values["protocol"]["groups"])})
        return Sealed(protocol, cases, values["pixels"], values["seed"], values["nonce"])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        reason = str(error)[:80]
        raise InputError(f"This is not a sealed protocol ({reason}); give the file written by unblinding.") from error
