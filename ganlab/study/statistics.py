"""Statistics of one reader's answers: proportions, signal detection, ROC curves; and of agreement between readers.

"Synthetic" is the positive class: a hit is a synthetic image called synthetic, a false alarm is a real image called
synthetic. Higher scores mean that the reader is more certain that the image is synthetic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from ganlab.errors import InputError

CHANCE = 0.5


@dataclass(frozen=True)
class Interval:
    """An estimate with the limits of its confidence interval; method names the interval."""

    estimate: float
    low: float
    high: float
    method: str = ""


def proportion(count: int, of: int, level: float = 0.95, exact: bool = False) -> Interval:
    """A proportion with its Wilson interval (JASA 22:209, 1927), or its Clopper-Pearson interval (Biometrika 26:404,
    1934) if exact. Raises InputError unless 0 <= count <= of and of > 0."""
    if not 0 <= count <= of or of < 1:
        raise InputError(f"{count} of {of} is not a proportion; there must be at least one reading.")
    method: Literal["exact", "wilson"] = "exact" if exact else "wilson"
    interval = stats.binomtest(count, of).proportion_ci(level, method)
    return Interval(count / of, float(interval.low), float(interval.high), method)


@dataclass(frozen=True)
class Detection:
    """A reader's hits and false alarms and the measures derived from them (Green and Swets, 1966; Macmillan and
    Creelman, 2005). Raises InputError for impossible counts and if all images are of one kind."""

    hits: int
    synthetic: int
    false_alarms: int
    real: int

    def __post_init__(self) -> None:
        if not (0 <= self.hits <= self.synthetic and 0 <= self.false_alarms <= self.real):
            raise InputError(
                f"{self.hits} of {self.synthetic} hits and {self.false_alarms} of {self.real} false alarms are "
                "impossible counts."
            )
        if not (self.synthetic and self.real):
            raise InputError("All images are of one kind; a comparison needs real and synthetic images.")

    @property
    def sensitivity(self) -> float:
        """Share of synthetic images called synthetic."""
        return self.hits / self.synthetic

    @property
    def specificity(self) -> float:
        """Share of real images called real: Chuquicusma's TRR. False recognition of real images, FRR, is 1 - TRR."""
        return 1 - self.false_alarms / self.real

    @property
    def right(self) -> int:
        """Number of correct answers."""
        return self.hits + self.real - self.false_alarms

    @property
    def accuracy(self) -> float:
        return self.right / (self.synthetic + self.real)

    @property
    def balanced_accuracy(self) -> float:
        return (self.sensitivity + self.specificity) / 2

    def _answers(self) -> tuple[np.ndarray, np.ndarray]:
        """(truth, answers), one entry per image."""
        truth = np.repeat([True, False], [self.synthetic, self.real])
        answers = np.concatenate([np.arange(self.synthetic) < self.hits, np.arange(self.real) < self.false_alarms])
        return truth, answers

    @property
    def mcc(self) -> float:
        """Matthews correlation of answers and truth; 0 if all answers are the same."""
        from sklearn.metrics import matthews_corrcoef

        return float(matthews_corrcoef(*self._answers()))

    @property
    def kappa(self) -> float:
        """Cohen's kappa of answers and truth."""
        from sklearn.metrics import cohen_kappa_score

        return float(cohen_kappa_score(*self._answers()))

    @property
    def rates(self) -> tuple[float, float]:
        """Hit and false-alarm rates with the log-linear correction: half an answer is added to each cell, so that
        neither is 0 or 1 (Hautus, Behav Res Methods 27:46, 1995)."""
        return (self.hits + 0.5) / (self.synthetic + 1), (self.false_alarms + 0.5) / (self.real + 1)

    @property
    def dprime(self) -> float:
        """d' = z(h) - z(f); 0 if the two kinds cannot be distinguished."""
        h, f = stats.norm.ppf(self.rates)
        return float(h - f)

    @property
    def criterion(self) -> float:
        """c = -(z(h) + z(f)) / 2; below 0, the reader leans towards "synthetic"."""
        h, f = stats.norm.ppf(self.rates)
        return float(-(h + f) / 2)

    @property
    def dprime_se(self) -> float:
        """Standard error of d' (Gourevitch and Galanter, Psychometrika 32:25, 1967)."""
        parts = ((self.rates[0], self.synthetic), (self.rates[1], self.real))
        return math.sqrt(sum(r * (1 - r) / (n * stats.norm.pdf(stats.norm.ppf(r)) ** 2) for r, n in parts))

    def dprime_interval(self, level: float = 0.95) -> Interval:
        """Normal confidence interval of d'."""
        reach = stats.norm.ppf((1 + level) / 2) * self.dprime_se
        return Interval(self.dprime, self.dprime - reach, self.dprime + reach, "normal")

    @property
    def area(self) -> float:
        """Area under the ROC curve implied by d': Phi(d' / sqrt 2)."""
        return float(stats.norm.cdf(self.dprime / math.sqrt(2)))

    @property
    def chance_p(self) -> float:
        """Two-sided exact binomial p of this many correct answers under random guessing."""
        return float(stats.binomtest(self.right, self.synthetic + self.real).pvalue)


def detect(synthetic: np.ndarray, called: np.ndarray) -> Detection:
    """Counts from truth and answers, both bool (N,)."""
    synthetic, called = np.asarray(synthetic, bool), np.asarray(called, bool)
    return Detection(
        int((synthetic & called).sum()), int(synthetic.sum()), int((~synthetic & called).sum()), int((~synthetic).sum())
    )


def both_kinds(scores: np.ndarray, synthetic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, synthetic = np.asarray(scores, float), np.asarray(synthetic, bool)
    if not 0 < synthetic.sum() < len(synthetic):
        raise InputError("All images are of one kind; an ROC curve needs real and synthetic images.")
    return scores, synthetic


def area(scores: np.ndarray, synthetic: np.ndarray) -> float:
    """Area under the empirical ROC curve; below 0.5 if readers mistake synthetic images for real ones more often than
    the reverse. Raises InputError if all cases are of one kind."""
    from sklearn.metrics import roc_auc_score

    scores, synthetic = both_kinds(scores, synthetic)
    return float(roc_auc_score(synthetic, scores))


def roc(scores: np.ndarray, synthetic: np.ndarray) -> np.ndarray:
    """(K, 2) false-alarm and hit rates at every threshold, from (0, 0) to (1, 1). Raises InputError if all cases are of
    one kind."""
    from sklearn.metrics import roc_curve

    scores, synthetic = both_kinds(scores, synthetic)
    false_alarms, hits, _ = roc_curve(synthetic, scores, drop_intermediate=False)
    return np.stack([false_alarms, hits], axis=1)


def fleiss_kappa(counts: np.ndarray) -> float:
    """Agreement of several readers beyond chance (Fleiss, Psychol Bull 76:378, 1971). NaN if all answers are the same.

    counts: (cases, answers), with the same number of readings in every row. Raises InputError for unequal rows.
    """
    from statsmodels.stats.inter_rater import fleiss_kappa as kappa

    counts = np.asarray(counts, float)
    per_case = set(counts.sum(1).tolist())
    if len(per_case) != 1 or min(per_case) < 2:
        raise InputError("Fleiss's kappa needs the same number of readings of every case, two or more.")
    if (counts.sum(0) > 0).sum() < 2:
        return math.nan
    return float(kappa(counts))
