"""Everything that is said of a study's readings, as one dictionary that JSON can hold."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
from scipy import stats

from ganlab.errors import InputError
from ganlab.study.analysis.readings import STEPS, Readings
from ganlab.study.analysis.statistics import (
    DISTINGUISHABLE,
    EQUIVALENT,
    INCONCLUSIVE,
    Interval,
    detect,
    fleiss_kappa,
    jackknifed,
    many_readers,
    permutation_p,
    proportion,
    roc,
    verdict,
)

MARGIN = 0.1
LEAST = 5  # readings of a third, of a level of confidence or of repeats that a share is given of


def analyse(readings: Readings, margin: float = MARGIN, seed: int = 0) -> dict:
    """Per reader: counts, shares, d', area. Together: the mean area for readers and cases at large with its verdict at
    a margin set beforehand, a permutation test for these readers, agreement, calibration, learning, times.

    Repeats count for a reader's own agreement only. The mean area is of the cases that all readers have read.
    Raises InputError where truth or readers leave nothing to compare.
    """
    first = readings.first()
    readers = {name: _reader(readings.of(name)) for name in readings.readers}
    together = detect(first.synthetic, first.called)
    result = {
        "readings": len(first),
        "repeats": int(readings.repeat.sum()),
        "readers": readers,
        "cases": len(set(first.case.tolist())),
        "synthetic": len(set(first.case[first.synthetic].tolist())),
        "margin": margin,
        "pooled": _detection(together) | {"note": "readings counted as if independent: its interval is too narrow"},
        "average": None,
        "agreement": None,
        "calibration": calibration(first),
        "seconds": _seconds(first),
    }
    names, scores, synthetic = readings.matrix()
    if len(names) > 1:
        if not 0 < synthetic.sum() < len(synthetic):
            raise InputError(
                f"All readers have read {len(synthetic)} cases in common, and these are not of both kinds; let them "
                "read the same real and synthetic images."
            )
        found = many_readers(scores, synthetic)
        result["average"] = {
            "cases": len(synthetic),
            "area": _interval(found.interval()),
            "area_90": _interval(found.interval(0.9)),
            "se": found.se,
            "df": found.df,
            "ms_reader": found.ms_reader,
            "cov2": found.cov2,
            "p": found.p,
            "permutation_p": permutation_p(scores, synthetic, seed),
            "verdict": verdict(found, margin),
        }
        result["agreement"] = agreement(scores)
    return _finite(result)


def _reader(mine: Readings) -> dict:
    first = mine.first()
    found = detect(first.synthetic, first.called)
    areas, covariances = jackknifed(first.scores[None], first.synthetic)
    reach = stats.norm.ppf(0.975) * math.sqrt(covariances[0, 0])
    return _detection(found) | {
        "area": _interval(Interval(areas[0], max(0.0, areas[0] - reach), min(1.0, areas[0] + reach), "jackknife")),
        "roc": roc(first.scores, first.synthetic).tolist(),
        "seconds": _seconds(first),
        "thirds": thirds(first),
        "with_self": _with_self(mine),
    }


def _detection(found) -> dict:
    return asdict(found) | {
        "accuracy": _interval(proportion(found.right, found.synthetic + found.real)),
        "accuracy_exact": _interval(proportion(found.right, found.synthetic + found.real, exact=True)),
        "sensitivity": _interval(proportion(found.hits, found.synthetic)),
        "specificity": _interval(proportion(found.real - found.false_alarms, found.real)),
        "balanced_accuracy": found.balanced_accuracy,
        "mcc": found.mcc,
        "kappa": found.kappa,
        "dprime": _interval(found.dprime_interval()),
        "criterion": found.criterion,
        "chance_p": found.chance_p,
    }


def _interval(found: Interval) -> dict:
    return {"estimate": found.estimate, "low": found.low, "high": found.high}


def _seconds(readings: Readings) -> dict | None:
    """Quartiles of the time to an answer."""
    known = readings.seconds[np.isfinite(readings.seconds)]
    if not len(known):
        return None
    low, median, high = np.percentile(known, (25, 50, 75))
    return {"quarter": low, "median": median, "three_quarters": high}


def thirds(first: Readings) -> dict | None:
    """Right answers in the first and the last third of a session, and Fisher's exact p that they are as frequent."""
    order = np.argsort(first.position, kind="stable")
    right = (first.called == first.synthetic)[order]
    n = len(right) // 3
    if n < LEAST:
        return None
    begun, ended = int(right[:n].sum()), int(right[-n:].sum())
    p = stats.fisher_exact([[begun, n - begun], [ended, n - ended]]).pvalue
    return {"of": n, "first": begun / n, "last": ended / n, "p": float(p)}


def _with_self(mine: Readings) -> dict | None:
    """Cohen's kappa of the answers to cases that were shown twice."""
    from sklearn.metrics import cohen_kappa_score

    second = mine[mine.repeat]
    if len(second) < LEAST:
        return None
    before = dict(zip(mine.first().case, mine.first().called, strict=True))
    a, b = np.array([before[case] for case in second.case]), second.called
    return {"of": len(b), "same": float((a == b).mean()), "kappa": _kappa(cohen_kappa_score, a, b)}


def _kappa(score, a: np.ndarray, b: np.ndarray, **how) -> float:
    """NaN where all answers are one, and there is nothing to agree about."""
    return float(score(a, b, **how)) if len(set(a.tolist()) | set(b.tolist())) > 1 else math.nan


def agreement(scores: np.ndarray) -> dict:
    """Of readers (J, N) with each other: Fleiss's kappa of the answers, Krippendorff's alpha of the scores as ranks,
    and the mean of Cohen's kappas of pairs, of the answers and, with quadratic weights, of the scores."""
    from krippendorff import alpha
    from sklearn.metrics import cohen_kappa_score

    called = scores > 0
    pairs = [(i, j) for i in range(len(scores)) for j in range(i)]
    plain = [_kappa(cohen_kappa_score, called[i], called[j]) for i, j in pairs]
    weighted = [_kappa(cohen_kappa_score, scores[i], scores[j], weights="quadratic") for i, j in pairs]
    varied = len(np.unique(scores)) > 1
    return {
        "fleiss_kappa": fleiss_kappa(np.stack([called.sum(0), (~called).sum(0)], 1)),
        "krippendorff_alpha": float(alpha(scores, level_of_measurement="ordinal")) if varied else math.nan,
        "cohen_kappa": float(np.mean(plain)),
        "cohen_kappa_quadratic": float(np.mean(weighted)),
    }


def calibration(first: Readings) -> list[dict]:
    """Right answers at every level of confidence: who knows what they know is right more often when sure."""
    found = []
    for level in range(1, STEPS + 1):
        right = (first.called == first.synthetic)[first.confidence == level]
        if len(right):
            found.append({"confidence": level, "of": len(right), **_interval(proportion(int(right.sum()), len(right)))})
    return found


def _finite(value):
    """Numbers that JSON has: None for what is none."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


SENTENCES = {
    DISTINGUISHABLE: "Readers can tell: the 95 % interval of their mean area leaves out 0.5.",
    EQUIVALENT: "Equivalent within the margin set beforehand: the 90 % interval lies inside it.",
    INCONCLUSIVE: (
        "Inconclusive: it can be said neither that readers tell the images apart nor that they cannot. More readers or "
        "more images would narrow the interval."
    ),
}
