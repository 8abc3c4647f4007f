"""The truth table of a study: which images are synthetic, their class, and lesions known to be in them."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from ganlab.errors import InputError
from ganlab.imaging.wording import quoted
from ganlab.study.readings import REAL, SYNTHETIC


@dataclass(frozen=True)
class LesionMark:
    """A lesion known to be in an image: its centre (x to the right, y down) and radius in pixels."""

    x: float
    y: float
    radius: float


def read_truth(path: Path) -> dict[str, bool]:
    """{code: whether synthetic} from a truth table. Raises InputError."""
    return {row["code"]: is_synthetic(row, path) for row in read_rows(path)}


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a truth table in CSV with the columns code and arm. Raises InputError."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{quoted(path)} cannot be read ({str(error)[:80]}); give the truth table as CSV.") from error
    rows = csv.DictReader(lines)
    if not {"code", "arm"} <= set(rows.fieldnames or ()):
        raise InputError(f"{quoted(path)} lacks the columns code and arm; it needs one row per image.")
    return list(rows)


def is_synthetic(row: dict[str, str], path: Path) -> bool:
    """Whether a row's arm is synthetic. Raises InputError unless it is real or synthetic."""
    arm = (row["arm"] or "").strip().lower()
    if arm not in (REAL, SYNTHETIC):
        raise InputError(f'{quoted(path)}: the arm of "{row["code"]}" is "{arm[:20]}"; it must be real or synthetic.')
    return arm == SYNTHETIC


def lesion_of(row: dict[str, str], code: str) -> LesionMark | None:
    """The lesion of a row, if it has one. Raises InputError for values that are not a position and a radius."""
    values = [(row.get(f"lesion_{name}") or "").strip() for name in ("x", "y", "radius")]
    if not any(values):
        return None
    try:
        x, y, radius = map(float, values)
    except ValueError:
        x = y = radius = math.nan
    if not all(map(math.isfinite, (x, y, radius))):
        raise InputError(f'The lesion of "{code}" is {", ".join(values)}; give x, y and radius in pixels.')
    lesion = LesionMark(x, y, radius)
    if not lesion.radius > 0:
        raise InputError(f'The lesion of "{code}" has a radius of {lesion.radius:g}; it must be above 0.')
    return lesion
