"""Planning a study: how often a design of a given size would end in each verdict, by simulation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from ganlab.errors import InputError
from ganlab.study.design.simulation import SimulatedStudy, patients_of, perceive
from ganlab.study.mrmc import (
    DISTINGUISHABLE,
    EQUIVALENT,
    INCONCLUSIVE,
    LEAST_PATIENTS,
    TOO_FEW,
    many_readers,
    verdict,
)

POWER = 0.8  # below this share of equivalent verdicts, a study is called too small to claim equivalence


def plan(
    study: SimulatedStudy, margin: float, studies: int = 500, progress: Callable[[float], None] | None = None
) -> dict:
    """Simulate studies of this design and count their verdicts.

    Images of one patient are analysed as such; with too few patients, no study ends in a claim. Returns the share of
    each verdict, the median width of the 95 % interval of the mean area, and how often that interval contains the true
    area. Scores are not rounded to confidence levels. Raises InputError for fewer than two readers and for a margin
    outside 0 to 0.5.
    """
    if study.readers < 2:
        raise InputError("One reader is not a sample of readers; plan with two or more.")
    true_area = _true_area(study)
    patients = patients_of(study)
    synthetic = np.arange(study.cases) < study.cases // 2
    least = min(len(set(patients[kind].tolist())) for kind in (synthetic, ~synthetic))
    verdicts = dict.fromkeys((DISTINGUISHABLE, EQUIVALENT, INCONCLUSIVE), 0)
    if least < LEAST_PATIENTS:
        verdicts[TOO_FEW] = 0
    widths, covered, rejected = [], 0, 0
    for k in range(studies):
        rng = np.random.default_rng([study.seed, k])
        average = many_readers(*perceive(study, rng))
        verdicts[verdict(average, margin) if least >= LEAST_PATIENTS else TOO_FEW] += 1
        interval = average.interval()
        widths.append(interval.high - interval.low)
        covered += interval.low <= true_area <= interval.high
        rejected += average.p < 0.05
        if progress:
            progress((k + 1) / studies)
    return {
        "readers": study.readers,
        "cases": study.cases,
        "patients": least,
        "dprime": study.dprime,
        "margin": margin,
        "studies": studies,
        "true_area": round(true_area, 4),
        "verdicts": {name: count / studies for name, count in verdicts.items()},
        "rejected_at_5_percent": rejected / studies,
        "interval_width": round(float(np.median(widths)), 4),
        "interval_holds_truth": float(covered / studies),
    }


def _true_area(study: SimulatedStudy) -> float:
    """The expected area. In a paired study one pair in P is of the same patient, and easier to tell apart."""
    apart = float(stats.norm.cdf(study.dprime / np.sqrt(2 + study.spread**2)))
    if not study.paired:
        return apart
    same = float(stats.norm.cdf(study.dprime / np.sqrt(2 * (1 - study.within) + study.spread**2)))
    return apart + (same - apart) / (patients_of(study).max() + 1)


def format_plan(result: dict) -> str:
    """The result of `plan` in two or three sentences, one per line."""
    shares = ", ".join(f"{100 * share:.0f} % {name}" for name, share in result["verdicts"].items())
    lines = [
        f"{result['readers']} readers, {result['cases']} images of {result['patients']} patients of either kind, d' "
        f"{result['dprime']:g} (area "
        f"{result['true_area']:g}), margin {result['margin']:g}: of {result['studies']:,} simulated studies, {shares}.",
        f"The 95 % interval of the mean area is {result['interval_width']:.2f} wide and contains the true area in "
        f"{100 * result['interval_holds_truth']:.0f} % of them.",
    ]
    if TOO_FEW in result["verdicts"]:
        lines.append(
            f"No claim is possible with fewer than {LEAST_PATIENTS} patients of either kind, however many images of "
            "them there are: add patients."
        )
    elif result["verdicts"][EQUIVALENT] < POWER and result["dprime"] == 0:
        lines.append("This is too small to claim equivalence, even if readers cannot tell the images apart.")
    return "\n".join(lines)
