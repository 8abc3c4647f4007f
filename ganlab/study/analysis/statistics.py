"""What readings say: detection theory, areas under ROC curves, many readers and cases at once, equivalence, agreement.

Synthetic is "positive" throughout: a hit is a synthetic image called synthetic, a false alarm a real one called so.
Scores grow with how sure a reader is that an image is synthetic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ganlab.errors import InputError

CHANCE = 0.5


@dataclass(frozen=True)
class Interval:
    """An estimate and the limits of its confidence interval; how: the interval's name."""

    estimate: float
    low: float
    high: float
    how: str = ""


def proportion(count: int, of: int, level: float = 0.95, exact: bool = False) -> Interval:
    """A share with Wilson's interval (JASA 22:209, 1927), or Clopper's and Pearson's (Biometrika 26:404, 1934) if
    exact. Raises InputError where there is nothing to have a share of."""
    if not 0 <= count <= of or of < 1:
        raise InputError(f"{count} of {of} is no share; count at least one reading.")
    how = "exact" if exact else "wilson"
    found = stats.binomtest(count, of).proportion_ci(level, how)
    return Interval(count / of, float(found.low), float(found.high), how)


@dataclass(frozen=True)
class Detection:
    """What hits and false alarms of a reader come to (Green and Swets, 1966; Macmillan and Creelman, 2005)."""

    hits: int
    synthetic: int
    false_alarms: int
    real: int

    def __post_init__(self):
        if not (0 <= self.hits <= self.synthetic and 0 <= self.false_alarms <= self.real):
            raise InputError(
                f"{self.hits} of {self.synthetic} hits and {self.false_alarms} of {self.real} false alarms cannot be."
            )
        if not (self.synthetic and self.real):
            raise InputError("All images are of one kind; sensitivity to a difference needs real and synthetic ones.")

    @property
    def sensitivity(self) -> float:
        return self.hits / self.synthetic

    @property
    def specificity(self) -> float:
        """Chuquicusma's TRR, the share of real images called real; false recognition of real, FRR, is 1 less it."""
        return 1 - self.false_alarms / self.real

    @property
    def right(self) -> int:
        return self.hits + self.real - self.false_alarms

    @property
    def accuracy(self) -> float:
        return self.right / (self.synthetic + self.real)

    @property
    def balanced_accuracy(self) -> float:
        return (self.sensitivity + self.specificity) / 2

    @property
    def mcc(self) -> float:
        """Matthews's correlation of answers and truth; 0 where all answers are one."""
        tp, fp = self.hits, self.false_alarms
        fn, tn = self.synthetic - tp, self.real - fp
        scale = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
        return (tp * tn - fp * fn) / scale if scale else 0.0

    @property
    def kappa(self) -> float:
        """Cohen's kappa of answers and truth."""
        n, said = self.synthetic + self.real, self.hits + self.false_alarms
        expected = (said * self.synthetic + (n - said) * self.real) / n**2
        return (self.accuracy - expected) / (1 - expected)

    @property
    def rates(self) -> tuple[float, float]:
        """Hit and false-alarm rates with half an answer added to each cell (Hautus, Behav Res Methods 27:46, 1995), so
        that neither is 0 or 1."""
        return (self.hits + 0.5) / (self.synthetic + 1), (self.false_alarms + 0.5) / (self.real + 1)

    @property
    def dprime(self) -> float:
        """d' = z(h) - z(f): 0 where the two kinds look alike."""
        h, f = stats.norm.ppf(self.rates)
        return float(h - f)

    @property
    def criterion(self) -> float:
        """c = -(z(h) + z(f)) / 2: below 0, the reader is ready to say synthetic."""
        h, f = stats.norm.ppf(self.rates)
        return float(-(h + f) / 2)

    @property
    def dprime_se(self) -> float:
        """Of d' (Gourevitch and Galanter, Psychometrika 32:25, 1967)."""
        parts = ((self.rates[0], self.synthetic), (self.rates[1], self.real))
        return math.sqrt(sum(r * (1 - r) / (n * stats.norm.pdf(stats.norm.ppf(r)) ** 2) for r, n in parts))

    def dprime_interval(self, level: float = 0.95) -> Interval:
        reach = stats.norm.ppf((1 + level) / 2) * self.dprime_se
        return Interval(self.dprime, self.dprime - reach, self.dprime + reach, "normal")

    @property
    def area(self) -> float:
        """The area under the ROC curve that d' implies, Phi(d' / sqrt 2)."""
        return float(stats.norm.cdf(self.dprime / math.sqrt(2)))

    @property
    def chance_p(self) -> float:
        """Two-sided exact binomial p of as many right answers where each is right by even chance."""
        return float(stats.binomtest(self.right, self.synthetic + self.real).pvalue)


def detect(synthetic: np.ndarray, called: np.ndarray) -> Detection:
    """From truth and answers, both bool (N,)."""
    synthetic, called = np.asarray(synthetic, bool), np.asarray(called, bool)
    return Detection(
        int((synthetic & called).sum()), int(synthetic.sum()), int((~synthetic & called).sum()), int((~synthetic).sum())
    )


def placements(scores: np.ndarray, synthetic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(of each synthetic case the share of real ones that score less, of each real case the share of synthetic ones
    that score more), ties counted half; both have the area under the empirical ROC curve as their mean."""
    scores, synthetic = np.asarray(scores, float), np.asarray(synthetic, bool)
    if not 0 < synthetic.sum() < len(synthetic):
        raise InputError("All images are of one kind; an ROC curve needs real and synthetic ones.")
    apart = scores[synthetic][:, None] - scores[~synthetic][None]
    won = (apart > 0) + 0.5 * (apart == 0)
    return won.mean(1), won.mean(0)


def area(scores: np.ndarray, synthetic: np.ndarray) -> float:
    """Area under the empirical ROC curve, Mann's and Whitney's U over n1 n0; below 0.5 where readers have it the wrong
    way round, and not turned over."""
    return float(placements(scores, synthetic)[0].mean())


def roc(scores: np.ndarray, synthetic: np.ndarray) -> np.ndarray:
    """(K, 2) false-alarm and hit rates at every threshold, from (0, 0) to (1, 1)."""
    scores, synthetic = np.asarray(scores, float), np.asarray(synthetic, bool)
    cuts = np.concatenate([[np.inf], np.unique(scores)[::-1]])
    return np.array([[(scores[~synthetic] >= cut).mean(), (scores[synthetic] >= cut).mean()] for cut in cuts])


def jackknifed(scores: np.ndarray, synthetic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(areas (J,), covariances (J, J)) of J readers' scores (J, N) of the same N cases: (N - 1) / N times the summed
    products of what leaving out each case changes. Leaving one out is exact, by placements. Needs two of each kind."""
    scores, synthetic = np.atleast_2d(np.asarray(scores, float)), np.asarray(synthetic, bool)
    n1, n0 = int(synthetic.sum()), int((~synthetic).sum())
    if min(n1, n0) < 2:
        raise InputError(f"{n1} synthetic and {n0} real images are too few to leave one out; show two of each or more.")
    areas, left = np.empty(len(scores)), np.empty(scores.shape)
    for j, row in enumerate(scores):
        above, below = placements(row, synthetic)
        areas[j] = above.mean()
        left[j, synthetic] = (n1 * areas[j] - above) / (n1 - 1)
        left[j, ~synthetic] = (n0 * areas[j] - below) / (n0 - 1)
    off = left - left.mean(1, keepdims=True)
    return areas, (len(synthetic) - 1) / len(synthetic) * off @ off.T


@dataclass(frozen=True)
class ReaderAverage:
    """The mean area over readers, for readers and cases that are both samples of more."""

    area: float
    se: float
    df: float
    ms_reader: float
    cov2: float

    def interval(self, level: float = 0.95) -> Interval:
        reach = stats.t.ppf((1 + level) / 2, self.df) * self.se
        return Interval(self.area, self.area - reach, self.area + reach, "Obuchowski-Rockette")

    @property
    def p(self) -> float:
        """Two-sided, that the area is 0.5."""
        if not self.se:
            return 0.0 if self.area != CHANCE else 1.0
        return float(2 * stats.t.sf(abs(self.area - CHANCE) / self.se, self.df))


def reader_average(areas: np.ndarray, cov2: float) -> ReaderAverage:
    """Obuchowski's and Rockette's analysis of one modality (Comm Stat Simul 24:285, 1995), with Hillis's degrees of
    freedom (Stat Med 26:596, 2007): SE = sqrt(MS(R) / J + max(Cov2, 0)), df = (MS(R) + J max(Cov2, 0))^2 / (MS(R)^2 /
    (J - 1)). areas (J,); cov2: mean covariance of two readers' areas. Raises InputError for fewer than two readers."""
    areas = np.asarray(areas, float)
    if len(areas) < 2:
        raise InputError("One reader is no sample of readers; give two or more, or speak of this reader alone.")
    ms, shared = float(areas.var(ddof=1)), len(areas) * max(cov2, 0.0)
    df = (ms + shared) ** 2 / (ms**2 / (len(areas) - 1)) if ms else math.inf
    return ReaderAverage(float(areas.mean()), math.sqrt((ms + shared) / len(areas)), df, ms, cov2)


def many_readers(scores: np.ndarray, synthetic: np.ndarray) -> ReaderAverage:
    """The same from scores (J, N) of J readers on the same N cases, covariances by the jackknife."""
    areas, covariances = jackknifed(scores, synthetic)
    pairs = ~np.eye(len(areas), dtype=bool)
    return reader_average(areas, float(covariances[pairs].mean()) if len(areas) > 1 else 0.0)


def permutation_p(scores: np.ndarray, synthetic: np.ndarray, seed: int = 0, times: int = 2000) -> float:
    """Two-sided p of the mean area of these readers (J, N), were the truth dealt out to the cases at random: for these
    readers, not for others. The truth as it is counts as one of the deals, so p is never 0."""
    scores, synthetic = np.atleast_2d(np.asarray(scores, float)), np.asarray(synthetic, bool)
    n1, n0 = int(synthetic.sum()), int((~synthetic).sum())
    ranks = stats.rankdata(scores, axis=1).mean(0)  # the mean area is linear in the mean midrank of synthetic cases

    def distance(total: np.ndarray) -> np.ndarray:
        return np.abs((total - n1 * (n1 + 1) / 2) / (n1 * n0) - CHANCE)

    rng = np.random.default_rng(seed)
    dealt = np.array([ranks[rng.permutation(len(ranks))[:n1]].sum() for _ in range(times)])
    at_least = distance(dealt) >= distance(ranks[synthetic].sum()) - 1e-12
    return float((at_least.sum() + 1) / (times + 1))


DISTINGUISHABLE, EQUIVALENT, INCONCLUSIVE = "distinguishable", "equivalent", "inconclusive"


def verdict(found: ReaderAverage, margin: float, level: float = 0.95) -> str:
    """Equivalent if the interval of the level 1 - 2 (1 - level) lies within 0.5 +- margin (two one-sided tests,
    Schuirmann, J Pharmacokinet Biopharm 15:657, 1987); else distinguishable if the interval of the level leaves out
    0.5; else inconclusive. A p above .05 alone is never evidence that readers cannot tell. Raises InputError."""
    if not 0 < margin < CHANCE:
        raise InputError(f"A margin of {margin:g} is outside 0 to 0.5; 0.1 calls areas from 0.4 to 0.6 equivalent.")
    inner, outer = found.interval(2 * level - 1), found.interval(level)
    if not found.se and found.area not in (0.0, 1.0):
        return INCONCLUSIVE  # readers who all pressed one key have no spread, and that is no evidence
    if CHANCE - margin < inner.low and inner.high < CHANCE + margin:
        return EQUIVALENT
    return INCONCLUSIVE if outer.low <= CHANCE <= outer.high else DISTINGUISHABLE


def fleiss_kappa(counts: np.ndarray) -> float:
    """Agreement of several readers beyond chance (Fleiss, Psychol Bull 76:378, 1971): counts (cases, answers), every
    row of as many readings. NaN where all answers are one."""
    counts = np.asarray(counts, float)
    many = counts.sum(1)
    if len(set(many)) != 1 or many[0] < 2:
        raise InputError("Fleiss's kappa wants as many readings of every case, two or more.")
    agreed = ((counts**2).sum(1) - many) / (many * (many - 1))
    expected = ((counts.sum(0) / counts.sum()) ** 2).sum()
    return float((agreed.mean() - expected) / (1 - expected)) if expected < 1 else math.nan
