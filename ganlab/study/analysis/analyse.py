"""The analysis of a study's readings, as one dictionary of JSON values."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy import stats

from ganlab.errors import InputError
from ganlab.study.analysis.attention import abiding, attention_of, conclusion, is_shown
from ganlab.study.design.protocol import Protocol
from ganlab.study.mrmc import (
    DISTINGUISHABLE,
    EQUIVALENT,
    INCONCLUSIVE,
    LEAST_PATIENTS,
    TOO_FEW,
    UNATTENTIVE,
    clusters,
    jackknifed,
    many_readers,
    permutation_p,
    verdict,
)
from ganlab.study.readings import STEPS, Readings
from ganlab.study.statistics import Detection, Interval, detect, fleiss_kappa, proportion, roc

MARGIN = 0.1
LEAST = 5  # least readings for a proportion: of a third, of a confidence level, of repeats
SENTENCES = {
    DISTINGUISHABLE: "Readers can tell the images apart: the 95 % interval of their mean area excludes 0.5.",
    EQUIVALENT: "The 90 % interval of the mean area lies inside the margin.",
    INCONCLUSIVE: (
        "The data show neither that readers can tell the images apart nor that they cannot. More readers "
        "or more images would narrow the interval."
    ),
    UNATTENTIVE: (
        "Readers' attention was not shown: readers who do not look cannot tell the images apart either, so nothing is "
        "claimed. Equivalence needs catch images, found by at least half of the readers, who also keep to the other "
        "rules of the protocol."
    ),
    TOO_FEW: (
        f"No claim is possible: fewer than {LEAST_PATIENTS} patients have real images, or fewer have synthetic ones. "
        "Images of one patient resemble each other, so more images of the same patients do not help; more patients do."
    ),
}


def analyse(readings: Readings, margin: float = MARGIN, seed: int = 0, rules: Protocol | None = None) -> dict:
    """Analyse readings. rules: the sealed protocol, with its rules for attention; without one the default rules are
    used, and the margin is called post hoc.

    Per reader: counts, proportions, d' and area. Over readers: the mean area with readers and cases as random samples
    and its verdict at a prespecified margin, for all of them and for those who kept to the rules for attention, a
    permutation test for these readers, agreement, calibration and times. Repeats only count towards a reader's
    agreement with themselves. The mean area uses the cases that all readers have read. Raises InputError if these are
    not of both kinds, or all images are of one kind.
    """
    first, sealed = readings.first(), rules
    rules = rules or Protocol()  # type: ignore[call-arg]  # all settings have defaults
    pooled = detect(first.synthetic, first.called)
    result = {
        "readings": len(first),
        "repeats": int(readings.repeat.sum()),
        "readers": {name: _reader(readings.of(name)) for name in readings.readers},
        "cases": len(set(first.case.tolist())),
        "synthetic": len(set(first.case[first.synthetic].tolist())),
        "patients": _patients(first),
        "margin": margin,
        "prespecified": sealed is not None,
        "margin_reason": rules.margin_reason,
        "pooled": _detection(pooled) | {"note": "readings treated as independent, so this interval is too narrow"},
        "attention": {name: asdict(found) for name, found in attention_of(readings, rules).items()},
        "average": None,
        "abiding": None,
        "agreement": None,
        "calibration": calibration(first),
        "seconds": _seconds(first),
    }
    if len(readings.readers) > 1:
        attention = attention_of(readings, rules)
        everyone, kept_average = _average(readings, margin, seed), None
        kept = [name for name in abiding(attention) if len(abiding(attention)) > 1]
        if kept and len(kept) < len(attention):
            kept_average = _average(readings[np.isin(readings.reader, kept)], margin, seed) | {"readers": kept}
        final = conclusion(everyone, kept_average, is_shown(attention))
        result["average"] = everyone | {"verdict": final, "alone": everyone["verdict"]}
        result["abiding"] = kept_average
        result["agreement"] = agreement(readings.matrix()[1])
    return _json_values(result)


def _patients(first: Readings) -> dict:
    """How many patients have synthetic, real and both kinds of images."""
    kinds = {arm: set(first.patient[first.synthetic == arm].tolist()) for arm in (True, False)}
    return {"synthetic": len(kinds[True]), "real": len(kinds[False]), "both": len(kinds[True] & kinds[False])}


def _average(readings: Readings, margin: float, seed: int) -> dict:
    """Mean area over readers, and what it says by itself."""
    _, scores, synthetic, patients = readings.matrix()
    if not 0 < synthetic.sum() < len(synthetic):
        raise InputError(
            f"The {len(synthetic)} cases that all readers have read are not of both kinds; let all readers read the "
            "same real and synthetic images."
        )
    average = many_readers(scores, synthetic, patients)
    least = clusters(synthetic, patients).least
    return {
        "cases": len(synthetic),
        "area": _interval(average.interval()),
        "area_90": _interval(average.interval(0.9)),
        "se": average.se,
        "df": average.df,
        "ms_reader": average.ms_reader,
        "cov2": average.cov2,
        "p": average.p,
        "permutation_p": permutation_p(scores, synthetic, seed, patients=patients),
        "verdict": verdict(average, margin) if least >= LEAST_PATIENTS else TOO_FEW,
    }


def _reader(readings: Readings) -> dict:
    first = readings.first()
    areas, covariances = jackknifed(first.scores[None], first.synthetic, first.patient)
    reach = stats.norm.ppf(0.975) * math.sqrt(covariances[0, 0])
    return _detection(detect(first.synthetic, first.called)) | {
        "area": _interval(Interval(areas[0], max(0.0, areas[0] - reach), min(1.0, areas[0] + reach), "jackknife")),
        "roc": roc(first.scores, first.synthetic).tolist(),
        "seconds": _seconds(first),
        "thirds": thirds(first),
        "with_self": _with_self(readings),
    }


def _detection(counts: Detection) -> dict:
    n = counts.synthetic + counts.real
    return asdict(counts) | {
        "accuracy": _interval(proportion(counts.right, n)),
        "accuracy_exact": _interval(proportion(counts.right, n, exact=True)),
        "sensitivity": _interval(proportion(counts.hits, counts.synthetic)),
        "specificity": _interval(proportion(counts.real - counts.false_alarms, counts.real)),
        "balanced_accuracy": counts.balanced_accuracy,
        "mcc": counts.mcc,
        "kappa": counts.kappa,
        "dprime": _interval(counts.dprime_interval()),
        "criterion": counts.criterion,
        "chance_p": counts.chance_p,
    }


def _interval(interval: Interval) -> dict:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}


def _seconds(readings: Readings) -> dict | None:
    """Quartiles of the response time."""
    known = readings.seconds[np.isfinite(readings.seconds)]
    if not len(known):
        return None
    low, median, high = np.percentile(known, (25, 50, 75))
    return {"quarter": low, "median": median, "three_quarters": high}


def thirds(first: Readings) -> dict | None:
    """Share of correct answers in the first and the last third of a session, and Fisher's exact p that they differ."""
    order = np.argsort(first.position, kind="stable")
    correct = (first.called == first.synthetic)[order]
    n = len(correct) // 3
    if n < LEAST:
        return None
    begun, ended = int(correct[:n].sum()), int(correct[-n:].sum())
    p = stats.fisher_exact([[begun, n - begun], [ended, n - ended]]).pvalue
    return {"of": n, "first": begun / n, "last": ended / n, "p": float(p)}


def _with_self(readings: Readings) -> dict | None:
    """Cohen's kappa between the two answers to cases that were shown twice."""
    second = readings[readings.repeat]
    if len(second) < LEAST:
        return None
    answer = dict(zip(readings.first().case, readings.first().called, strict=True))
    a, b = np.array([answer[case] for case in second.case]), second.called
    return {"of": len(b), "same": float((a == b).mean()), "kappa": _kappa(a, b)}


def _kappa(a: np.ndarray, b: np.ndarray, weights: str | None = None) -> float:
    """Cohen's kappa; NaN if all answers are the same."""
    from sklearn.metrics import cohen_kappa_score

    varied = len(set(a.tolist()) | set(b.tolist())) > 1
    return float(cohen_kappa_score(a, b, weights=weights)) if varied else math.nan


def agreement(scores: np.ndarray) -> dict:
    """Agreement between readers, scores (J, N): Fleiss's kappa of the answers, Krippendorff's alpha of the scores
    (ordinal), and the mean over pairs of Cohen's kappa of the answers and, with quadratic weights, of the scores."""
    from krippendorff import alpha

    called = scores > 0
    pairs = [(i, j) for i in range(len(scores)) for j in range(i)]
    plain = [_kappa(called[i], called[j]) for i, j in pairs]
    weighted = [_kappa(scores[i], scores[j], "quadratic") for i, j in pairs]
    varied = len(np.unique(scores)) > 1
    return {
        "fleiss_kappa": fleiss_kappa(np.stack([called.sum(0), (~called).sum(0)], 1)),
        "krippendorff_alpha": float(alpha(scores, level_of_measurement="ordinal")) if varied else math.nan,
        "cohen_kappa": float(np.mean(plain)),
        "cohen_kappa_quadratic": float(np.mean(weighted)),
    }


def calibration(first: Readings) -> list[dict]:
    """Share of correct answers at each confidence level: well-calibrated readers are correct more often when sure."""
    levels = []
    for level in range(1, STEPS + 1):
        correct = (first.called == first.synthetic)[first.confidence == level]
        if len(correct):
            share = _interval(proportion(int(correct.sum()), len(correct)))
            levels.append({"confidence": level, "of": len(correct), **share})
    return levels


def _json_values(value: Any) -> Any:
    """The same with tuples as lists, NumPy floats as floats, and None for NaN and infinity, which JSON lacks."""
    if isinstance(value, dict):
        return {key: _json_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_values(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
