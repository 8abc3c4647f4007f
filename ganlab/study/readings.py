"""A study's readings as a table: who answered what about which image, how sure and how fast. Reads and writes CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ganlab.checkpoints import replacing
from ganlab.errors import InputError
from ganlab.imaging.wording import quoted

STEPS = 6  # confidence runs from 1 (a guess) to 6 (certain); an even number has no neutral middle
REAL, SYNTHETIC = "real", "synthetic"
COLUMNS = ("reader", "case", "truth", "answer", "confidence")
OPTIONAL = ("position", "seconds", "repeat", "patient", "catch")
MAX_ROWS = 1_000_000


class Row(NamedTuple):
    """A reading; the fields are those of Readings."""

    reader: str
    case: str
    synthetic: bool
    called: bool
    confidence: int
    position: int = 0
    seconds: float = math.nan
    repeat: bool = False
    patient: str = ""
    catch: bool = False


@dataclass(frozen=True)
class Readings:
    """N readings, one per row; every field has shape (N,).

    reader, case: names. synthetic, called: bool, the truth and the reader's answer. confidence: 1 to 6. position: place
    in the reader's session, from 1. seconds: time to the answer, NaN if unknown. repeat: bool, the image was shown a
    second time; repeats only count towards a reader's agreement with themselves. patient: whose image it is; images of
    one patient, real or synthetic, are not independent. catch: bool, the image is an obvious fake, which shows whether
    the reader looks and counts towards nothing else.
    """

    reader: np.ndarray
    case: np.ndarray
    synthetic: np.ndarray
    called: np.ndarray
    confidence: np.ndarray
    position: np.ndarray
    seconds: np.ndarray
    repeat: np.ndarray
    patient: np.ndarray
    catch: np.ndarray

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, which: np.ndarray) -> Readings:
        return Readings(*(getattr(self, field.name)[which] for field in fields(self)))

    @property
    def readers(self) -> list[str]:
        """Names of the readers, sorted."""
        return sorted(set(self.reader.tolist()))

    @property
    def scores(self) -> np.ndarray:
        """Signed confidence that the image is synthetic: -6 to 6, never 0."""
        return np.where(self.called, self.confidence, -self.confidence)

    def first(self) -> Readings:
        """The readings without repeats and catch images."""
        return self[~(self.repeat | self.catch)]

    def matrix(self) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
        """(readers, scores (J, N), synthetic (N,), patients (N,)) for the cases that every reader has read."""
        first, names = self.first(), self.readers
        scores_of = {}
        for name in names:
            readings = first.of(name)
            scores_of[name] = dict(zip(readings.case, readings.scores, strict=True))
        cases = sorted(set.intersection(*(set(scores) for scores in scores_of.values())))
        known = {
            case: (truth, who) for case, truth, who in zip(first.case, first.synthetic, first.patient, strict=True)
        }
        scores = np.array([[scores_of[name][case] for case in cases] for name in names])
        truth, patients = zip(*(known[case] for case in cases), strict=True) if cases else ((), ())
        return names, scores, np.array(truth, bool), np.array(patients, str)

    def of(self, name: str) -> Readings:
        """The readings of one reader."""
        return self[self.reader == name]


def reader_name(number: int) -> str:
    """Name of an invited reader (0, 1, ...) in tables and reports: reader-01, reader-02, ..."""
    return f"reader-{number + 1:02d}"


def read_readings(path: Path) -> Readings:
    """Read a CSV file with the columns reader, case, truth and answer (real or synthetic) and confidence (1 to 6), and
    optionally position, seconds, repeat (1 or empty), patient, and catch (1 or empty). Raises InputError, which names
    the line."""
    path = Path(path)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                raise InputError(
                    f"{quoted(path)} has no column {', '.join(missing)}; readings need {', '.join(COLUMNS)}."
                )
            rows = []
            for line, row in enumerate(table, 2):
                if line > MAX_ROWS:
                    raise InputError(f"{quoted(path)} has more than {MAX_ROWS:,} readings; split it.")
                rows.append(_parse_row(row, f"{quoted(path)}, line {line}"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = str(error)[:80]
        raise InputError(f"{quoted(path)} cannot be read as CSV ({reason}); save it as CSV in UTF-8.") from error
    return checked(rows, quoted(path))


def _parse_row(row: dict[str, str], where: str) -> Row:
    text = {name: (row.get(name) or "").strip() for name in COLUMNS + OPTIONAL}
    for name in ("truth", "answer"):
        if text[name].lower() not in (REAL, SYNTHETIC):
            raise InputError(f'{where}: {name} is "{text[name][:20]}"; it must be real or synthetic.')
    if not (text["reader"] and text["case"]):
        raise InputError(f"{where}: reader or case is empty; give both.")
    if text["confidence"] not in map(str, range(1, STEPS + 1)):
        raise InputError(
            f'{where}: confidence is "{text["confidence"][:20]}"; it must be 1 (a guess) to {STEPS} (certain).'
        )
    try:
        position = int(text["position"] or 0)
        seconds = float(text["seconds"] or "nan")
    except ValueError:
        raise InputError(f"{where}: position or seconds is not a number.") from None
    synthetic, called = (text[name].lower() == SYNTHETIC for name in ("truth", "answer"))
    repeat, catch = (text[name].lower() in ("1", "true", "yes") for name in ("repeat", "catch"))
    confidence, patient = int(text["confidence"]), text["patient"]
    return Row(text["reader"], text["case"], synthetic, called, confidence, position, seconds, repeat, patient, catch)


def checked(rows: Sequence[Row], where: str) -> Readings:
    """Readings from rows with the fields of Readings. A position of 0 is replaced by the row's place among the reader's
    rows, and an empty patient by the case.

    Raises InputError if a case has two truths or two patients, a reader reads a case twice without marking a repeat, or
    repeats a case before reading it. where: the source named in the error.
    """
    if not rows:
        raise InputError(f"{where} contains no readings.")
    truth: dict[str, bool] = {}
    whose: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    count: dict[str, int] = {}
    placed: list[Row] = []
    for row in rows:
        reader, case, synthetic, repeat = row.reader, row.case, row.synthetic, row.repeat
        patient = row.patient or case
        if truth.setdefault(case, synthetic) != synthetic:
            raise InputError(f'{where}: case "{case}" is real in one row and synthetic in another.')
        if whose.setdefault(case, patient) != patient:
            raise InputError(
                f'{where}: case "{case}" is of patient "{whose[case]}" in one row and "{patient}" in another.'
            )
        if not repeat and (reader, case) in seen:
            raise InputError(f'{where}: "{reader}" read case "{case}" twice; mark the second reading as a repeat.')
        if repeat and (reader, case) not in seen:
            raise InputError(f'{where}: "{reader}" repeats case "{case}" before reading it.')
        seen.add((reader, case))
        count[reader] = count.get(reader, 0) + 1
        placed.append(row._replace(position=row.position or count[reader], patient=patient))
    if all(row.catch for row in rows):
        raise InputError(f"{where} contains catch images alone; it needs readings of the test.")
    kinds = (str, str, bool, bool, int, int, float, bool, str, bool)
    return Readings(*(np.array(column, kind) for column, kind in zip(zip(*placed, strict=True), kinds, strict=True)))


def write_readings(readings: Readings, path: Path) -> None:
    """Write the CSV file that read_readings reads; without patients if every case is of one of its own, and without
    catch images if there are none."""
    arm, r = {True: SYNTHETIC, False: REAL}, readings
    needed = {"patient": bool((r.patient != r.case).any()), "catch": bool(r.catch.any())}
    columns = [*COLUMNS, *(name for name in OPTIONAL if needed.get(name, True))]
    with replacing(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        for k in range(len(r)):
            row = {
                "reader": r.reader[k],
                "case": r.case[k],
                "truth": arm[bool(r.synthetic[k])],
                "answer": arm[bool(r.called[k])],
                "confidence": r.confidence[k],
                "position": r.position[k],
                "seconds": "" if np.isnan(r.seconds[k]) else f"{r.seconds[k]:.3f}",
                "repeat": 1 if r.repeat[k] else "",
                "patient": r.patient[k],
                "catch": 1 if r.catch[k] else "",
            }
            writer.writerow(row)
