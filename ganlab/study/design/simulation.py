"""Simulated readers of known sensitivity, to plan studies with and to validate the analysis.

Model (Roe and Metz, Acad Radiol 4:298, 1997, one modality): what a reader perceives of a case is a number, higher for
what looks synthetic. It is the reader's d' if the case is synthetic, plus a case effect common to all readers, plus a
case effect of this reader. The two case effects have a total variance of 1, of which `shared` is common to all readers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ganlab.errors import InputError
from ganlab.study.readings import STEPS, Readings, Row, checked


@dataclass(frozen=True)
class SimulatedReaders:
    """A study that is simulated.

    count: readers. cases: images, half of them synthetic. dprime, criterion: means over readers. spread: standard
    deviation of d' among readers. shared: share of the case variance common to all readers. repeats: share of the cases
    shown twice.
    """

    count: int = 4
    cases: int = 60
    dprime: float = 0.5
    criterion: float = 0.0
    spread: float = 0.2
    shared: float = 0.3
    repeats: float = 0.0
    seed: int = 0


SEXTILES = stats.halfnorm.ppf(np.arange(1, STEPS) / STEPS)
LAG = 20  # least number of readings between a case and its repeat
LIMITS = {
    "count": (1, 200), "cases": (4, 5000), "dprime": (-6.0, 6.0), "criterion": (-4.0, 4.0), "spread": (0.0, 3.0),
    "shared": (0.0, 1.0), "repeats": (0.0, 0.5), "seed": (0, 2**32 - 1),
}  # fmt: skip


def check_readers(readers: SimulatedReaders) -> SimulatedReaders:
    """The same readers. Raises InputError for values out of range."""
    for name, (low, high) in LIMITS.items():
        value = getattr(readers, name)
        if not low <= value <= high:
            raise InputError(f"{name} {value:g} is outside {low:g} to {high:g}.")
    return readers


def perceive(readers: SimulatedReaders, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(what each reader perceives (J, N), with the criterion at 0; synthetic (N,))."""
    synthetic = np.arange(readers.cases) < readers.cases // 2
    dprime = readers.dprime + readers.spread * rng.standard_normal(readers.count)
    own = rng.standard_normal((readers.count, readers.cases))
    perceived = np.sqrt(readers.shared) * rng.standard_normal(readers.cases) + np.sqrt(1 - readers.shared) * own
    perceived += dprime[:, None] * (synthetic - 0.5)  # c = 0 lies midway between the two kinds
    return perceived - readers.criterion, synthetic


def confidence_of(perceived: np.ndarray) -> np.ndarray:
    """Confidence 1 to 6: distance from the criterion, cut at the sextiles of |x| for a standard normal x."""
    return np.digitize(np.abs(perceived), SEXTILES) + 1


def simulate(readers: SimulatedReaders) -> Readings:
    """Simulated readings; every reader sees the cases in a different order.

    A repeat keeps the case effects but gets fresh noise, and comes at least 20 readings later, or at the end. Response
    times are log-normal around 6 s and shorter for more confident answers. Raises InputError for values out of range.
    """
    check_readers(readers)
    rng = np.random.default_rng(readers.seed)
    perceived, synthetic = perceive(readers, rng)
    rows: list[Row] = []
    for j in range(readers.count):
        order = rng.permutation(readers.cases)
        again = rng.permutation(readers.cases)[: round(readers.repeats * readers.cases)]  # places in the order
        noise = 0.5 * rng.standard_normal(len(again))
        x = np.concatenate([perceived[j, order], perceived[j, order[again]] + noise])
        cases, repeat = np.concatenate([order, order[again]]), np.arange(len(x)) >= readers.cases
        confidence = confidence_of(x)
        seconds = np.exp(rng.normal(np.log(6) - 0.1 * (confidence - 3), 0.4))
        due = np.argsort(np.concatenate([np.arange(readers.cases), again + LAG + 0.5]), kind="stable")
        for position, k in enumerate(due.tolist(), 1):
            reader, case = f"R{j + 1:02d}", f"C{cases[k] + 1:04d}"
            truth, called = bool(synthetic[cases[k]]), bool(x[k] > 0)
            rows.append((reader, case, truth, called, int(confidence[k]), position, float(seconds[k]), bool(repeat[k])))
    return checked(rows, "The simulation")
