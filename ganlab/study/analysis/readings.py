"""A study's readings as a table: who said what of which image, how sure, how fast; from a CSV file and to one."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganlab.checkpoints import replacing
from ganlab.errors import InputError
from ganlab.imaging.wording import quoted

STEPS = 6  # of confidence, from 1, a guess, to 6, certain; there is no middle to hide in
REAL, SYNTHETIC = "real", "synthetic"
COLUMNS = ("reader", "case", "truth", "answer", "confidence")
OPTIONAL = ("position", "seconds", "repeat")
MOST = 1_000_000  # rows


@dataclass(frozen=True)
class Readings:
    """reader, case (N,) names; synthetic, called (N,) bool, the truth and the answer; confidence (N,) 1 to 6; position
    (N,) in the reader's session, from 1; seconds (N,) to the answer, NaN where not known; repeat (N,) bool: shown a
    second time, which counts for the reader's own agreement only."""

    reader: np.ndarray
    case: np.ndarray
    synthetic: np.ndarray
    called: np.ndarray
    confidence: np.ndarray
    position: np.ndarray
    seconds: np.ndarray
    repeat: np.ndarray

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, which: np.ndarray) -> Readings:
        return Readings(*(getattr(self, name)[which] for name in self.__dataclass_fields__))

    @property
    def readers(self) -> list[str]:
        return sorted(set(self.reader.tolist()))

    @property
    def scores(self) -> np.ndarray:
        """Confidence that the image is synthetic, -6 to 6 without 0."""
        return np.where(self.called, self.confidence, -self.confidence)

    def first(self) -> Readings:
        """Without repeats."""
        return self[~self.repeat]

    def matrix(self) -> tuple[list[str], np.ndarray, np.ndarray]:
        """(readers, scores (J, N), synthetic (N,)) of the cases that every reader has read."""
        first, names = self.first(), self.readers
        table = {name: dict(zip(mine.case, mine.scores, strict=True)) for name in names for mine in [first.of(name)]}
        cases = sorted(set.intersection(*(set(found) for found in table.values())))
        truth = dict(zip(first.case, first.synthetic, strict=True))
        scores = np.array([[table[name][case] for case in cases] for name in names])
        return names, scores, np.array([truth[case] for case in cases], bool)

    def of(self, name: str) -> Readings:
        return self[self.reader == name]


def read_readings(path: Path) -> Readings:
    """From CSV with the columns reader, case, truth (real or synthetic), answer (the same words) and confidence (1 to
    6); position, seconds and repeat (1 or empty) if there are. Raises InputError, which names the line."""
    path = Path(path)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise InputError(
                    f"{quoted(path)} has no column {', '.join(missing)}; readings need {', '.join(COLUMNS)}."
                )
            found = []
            for line, row in enumerate(rows, 2):
                if line > MOST:
                    raise InputError(f"{quoted(path)} has more than {MOST:,} readings; split it.")
                found.append(_reading(row, f"{quoted(path)}, line {line}"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        words = str(error)[:80]
        raise InputError(f"{quoted(path)} cannot be read as CSV ({words}); save it as CSV in UTF-8.") from error
    return checked(found, quoted(path))


def _reading(row: dict[str, str], where: str) -> tuple:
    words = {name: (row.get(name) or "").strip() for name in COLUMNS + OPTIONAL}
    for name in ("truth", "answer"):
        if words[name].lower() not in (REAL, SYNTHETIC):
            raise InputError(f'{where}: {name} is "{words[name][:20]}"; say real or synthetic.')
    if not (words["reader"] and words["case"]):
        raise InputError(f"{where}: reader or case is empty; give both.")
    if words["confidence"] not in map(str, range(1, STEPS + 1)):
        raise InputError(f'{where}: confidence is "{words["confidence"][:20]}"; say 1 (a guess) to {STEPS} (certain).')
    try:
        position = int(words["position"] or 0)
        seconds = float(words["seconds"] or "nan")
    except ValueError:
        raise InputError(f"{where}: position or seconds is no number.") from None
    told = (words[name].lower() == SYNTHETIC for name in ("truth", "answer"))
    repeat = words["repeat"].lower() in ("1", "true", "yes")
    return (words["reader"], words["case"], *told, int(words["confidence"]), position, seconds, repeat)


def checked(rows: list[tuple], where: str) -> Readings:
    """Readings of rows (reader, case, synthetic, called, confidence, position, seconds, repeat), if they fit together:
    one truth per case, one first reading of a case by a reader. Positions that are not known are those of the rows.
    Raises InputError."""
    if not rows:
        raise InputError(f"{where} holds no readings.")
    truth: dict[str, bool] = {}
    seen: set[tuple[str, str]] = set()
    counted: dict[str, int] = {}
    placed = []
    for reader, case, synthetic, called, confidence, position, seconds, repeat in rows:
        if truth.setdefault(case, synthetic) != synthetic:
            raise InputError(f'{where}: case "{case}" is real in one row and synthetic in another.')
        if not repeat and (reader, case) in seen:
            raise InputError(f'{where}: "{reader}" read case "{case}" twice; mark the second as repeat.')
        if repeat and (reader, case) not in seen:
            raise InputError(f'{where}: "{reader}" repeats case "{case}" before reading it.')
        seen.add((reader, case))
        counted[reader] = counted.get(reader, 0) + 1
        placed.append((reader, case, synthetic, called, confidence, position or counted[reader], seconds, repeat))
    kinds = (str, str, bool, bool, int, int, float, bool)
    return Readings(*(np.array(column, kind) for column, kind in zip(zip(*placed, strict=True), kinds, strict=True)))


def write_readings(readings: Readings, path: Path) -> None:
    """CSV, as read_readings takes it."""
    said = {True: SYNTHETIC, False: REAL}
    with replacing(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, *OPTIONAL])
        for k in range(len(readings)):
            r = readings
            seconds = "" if np.isnan(r.seconds[k]) else f"{r.seconds[k]:.3f}"
            writer.writerow([
                r.reader[k], r.case[k], said[bool(r.synthetic[k])], said[bool(r.called[k])], r.confidence[k],
                r.position[k], seconds, 1 if r.repeat[k] else "",
            ])  # fmt: skip
