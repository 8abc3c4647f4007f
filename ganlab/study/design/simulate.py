"""Readers of known sensitivity, to plan a study with and to try its analysis on.

What a reader perceives of a case is a number, higher for what looks synthetic (Roe and Metz, Acad Radiol 4:298, 1997,
one modality): the reader's d' if it is synthetic, plus what the case does to all readers, plus what it does to this
one. The variance of a case among its kind is 1, of which the share `shared` is the case's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ganlab.errors import InputError
from ganlab.study.analysis.readings import STEPS, Readings, checked
from ganlab.study.analysis.statistics import DISTINGUISHABLE, EQUIVALENT, INCONCLUSIVE, many_readers, verdict


@dataclass(frozen=True)
class Readers:
    """count: of readers. cases: images, half of them synthetic. dprime, criterion: the readers' means. spread: standard
    deviation of d' among readers. shared: share of the variance that is the case's. repeats: share of the cases that
    are shown twice."""

    count: int = 4
    cases: int = 60
    dprime: float = 0.5
    criterion: float = 0.0
    spread: float = 0.2
    shared: float = 0.3
    repeats: float = 0.0
    seed: int = 0


SEXTILES = stats.halfnorm.ppf(np.arange(1, STEPS) / STEPS)
LAG = 20  # places between a case and its repeat
LIMITS = {
    "count": (1, 200), "cases": (4, 5000), "dprime": (-6.0, 6.0), "criterion": (-4.0, 4.0), "spread": (0.0, 3.0),
    "shared": (0.0, 1.0), "repeats": (0.0, 0.5), "seed": (0, 2**32 - 1),
}  # fmt: skip


def check_readers(how: Readers) -> Readers:
    """The same, if it can be simulated. Raises InputError."""
    for name, (low, high) in LIMITS.items():
        value = getattr(how, name)
        if not low <= value <= high:
            raise InputError(f"{name} {value:g} is outside {low:g} to {high:g}.")
    return how


def perceived(how: Readers, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(what each reader perceives (J, N), with the criterion at 0; synthetic (N,))."""
    synthetic = np.arange(how.cases) < how.cases // 2
    dprime = how.dprime + how.spread * rng.standard_normal(how.count)
    own = rng.standard_normal((how.count, how.cases))
    seen = np.sqrt(how.shared) * rng.standard_normal(how.cases) + np.sqrt(1 - how.shared) * own
    seen += dprime[:, None] * (synthetic - 0.5)  # c = 0 lies midway between the kinds
    return seen - how.criterion, synthetic


def confidence_of(seen: np.ndarray) -> np.ndarray:
    """1 to 6: how far from the criterion, by the sextiles of |x| of a standard normal."""
    return np.digitize(np.abs(seen), SEXTILES) + 1


def simulate(how: Readers) -> Readings:
    """Readings, each reader's cases in an order of their own; a repeat is perceived anew but for what the case does,
    and comes 20 places later or at the end. Times are log-normal about 6 s, shorter where the reader is surer."""
    check_readers(how)
    rng = np.random.default_rng(how.seed)
    seen, synthetic = perceived(how, rng)
    rows = []
    for j in range(how.count):
        order = rng.permutation(how.cases)
        again = rng.permutation(how.cases)[: round(how.repeats * how.cases)]  # places in the order
        x = np.concatenate([seen[j, order], seen[j, order[again]] + 0.5 * rng.standard_normal(len(again))])
        cases, repeat = np.concatenate([order, order[again]]), np.arange(len(x)) >= how.cases
        sure = confidence_of(x)
        seconds = np.exp(rng.normal(np.log(6) - 0.1 * (sure - 3), 0.4))
        due = np.argsort(np.concatenate([np.arange(how.cases), again + LAG + 0.5]), kind="stable")
        for position, k in enumerate(due.tolist(), 1):
            case, names = cases[k], (f"R{j + 1:02d}", f"C{cases[k] + 1:04d}")
            answer = bool(synthetic[case]), bool(x[k] > 0), int(sure[k])
            rows.append((*names, *answer, position, float(seconds[k]), bool(repeat[k])))
    return checked(rows, "The simulation")


def plan(how: Readers, margin: float, studies: int = 500, progress=None) -> dict:
    """How often a study of this design ends in each verdict, over simulated studies whose scores are not rounded to
    confidence; how wide the 95 % interval is; how often it holds the true area."""
    check_readers(how)
    if how.count < 2:
        raise InputError("One reader is no sample of readers; plan with two or more.")
    truth = float(stats.norm.cdf(how.dprime / np.sqrt(2 + how.spread**2)))
    ends = dict.fromkeys((DISTINGUISHABLE, EQUIVALENT, INCONCLUSIVE), 0)
    widths, held, rejected = [], 0, 0
    for k in range(studies):
        rng = np.random.default_rng([how.seed, k])
        found = many_readers(*perceived(how, rng))
        ends[verdict(found, margin)] += 1
        interval = found.interval()
        widths.append(interval.high - interval.low)
        held += interval.low <= truth <= interval.high
        rejected += found.p < 0.05
        if progress:
            progress((k + 1) / studies)
    return {
        "readers": how.count,
        "cases": how.cases,
        "dprime": how.dprime,
        "margin": margin,
        "studies": studies,
        "true_area": round(truth, 4),
        "verdicts": {name: count / studies for name, count in ends.items()},
        "rejected_at_5_percent": rejected / studies,
        "interval_width": round(float(np.median(widths)), 4),
        "interval_holds_truth": float(held / studies),
    }


def format_plan(result: dict) -> str:
    """In sentences."""
    ends = ", ".join(f"{100 * share:.0f} % {name}" for name, share in result["verdicts"].items())
    words = [
        f"{result['readers']} readers, {result['cases']} images, d' {result['dprime']:g} (area "
        f"{result['true_area']:g}), margin {result['margin']:g}: of {result['studies']:,} simulated studies {ends}.",
        f"The 95 % interval of the mean area is {result['interval_width']:.2f} wide and holds the truth in "
        f"{100 * result['interval_holds_truth']:.0f} % of them.",
    ]
    if result["verdicts"][EQUIVALENT] < 0.8 and result["dprime"] == 0:
        words.append("That is too few to claim equivalence with, even if readers cannot tell at all.")
    return "\n".join(words)
