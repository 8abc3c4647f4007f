"""Many readers and many cases: areas under ROC curves with readers and patients both treated as random samples.

Images of one patient resemble each other, and readers answer alike to them. The unit that was sampled is the patient:
variances leave out, and permutations relabel, all images of a patient together. `patients` are labels (N,), one for
each image; the synthetic version of a patient's image has the same label as the real one. Without labels every image is
a patient of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ganlab.errors import InputError
from ganlab.study.statistics import CHANCE, Interval, both_kinds

LEAST_PATIENTS = 10  # of either kind; with fewer, variances are too uncertain for any claim


def placements(scores: np.ndarray, synthetic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Placement values: (for each synthetic case the share of real cases that score lower, for each real case the share
    of synthetic cases that score higher), ties counted half. The mean of either is the area under the ROC curve. Raises
    InputError if all cases are of one kind."""
    wins = _wins(*both_kinds(scores, synthetic))
    return wins.mean(1), wins.mean(0)


def _wins(scores: np.ndarray, synthetic: np.ndarray) -> np.ndarray:
    """(n1, n0): 1 where a synthetic case scores higher than a real one, 0.5 where they tie."""
    difference = scores[synthetic][:, None] - scores[~synthetic][None]
    return (difference > 0) + 0.5 * (difference == 0)


@dataclass(frozen=True)
class Clusters:
    """Which of P patients each synthetic (n1,) and real (n0,) image is of, and how many of each they have, (P,)."""

    of_synthetic: np.ndarray
    of_real: np.ndarray
    counts: tuple[np.ndarray, np.ndarray]

    @property
    def patients(self) -> int:
        return len(self.counts[0])

    @property
    def least(self) -> int:
        """Patients with images of the kind that fewer patients have."""
        return min(int((count > 0).sum()) for count in self.counts)


def clusters(synthetic: np.ndarray, patients: np.ndarray | None = None) -> Clusters:
    """The patients of N images. Raises InputError for fewer than two patients with images of either kind."""
    synthetic = np.asarray(synthetic, bool)
    labels = np.arange(len(synthetic)) if patients is None else np.asarray(patients)
    _, index = np.unique(labels, return_inverse=True)
    p = int(index.max(initial=-1)) + 1
    result = Clusters(
        index[synthetic],
        index[~synthetic],
        (np.bincount(index[synthetic], minlength=p), np.bincount(index[~synthetic], minlength=p)),
    )
    if result.least < 2:
        n1, n0 = (int((count > 0).sum()) for count in result.counts)
        raise InputError(
            f"{n1} patients with synthetic and {n0} with real images are too few for the jackknife; give two or more "
            "of each."
        )
    return result


def jackknifed(
    scores: np.ndarray, synthetic: np.ndarray, patients: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(areas (J,), covariances (J, J)) of J readers who scored the same N images, scores (J, N), by the jackknife over
    patients. Leaving out a patient is computed exactly. Raises InputError for fewer than two patients with images of
    either kind."""
    scores, synthetic = np.atleast_2d(np.asarray(scores, float)), np.asarray(synthetic, bool)
    group = clusters(synthetic, patients)
    n1, n0, p = len(group.of_synthetic), len(group.of_real), group.patients
    pairs = (n1 - group.counts[0]) * (n0 - group.counts[1])  # that are left without each patient
    own = group.of_synthetic[:, None] == group.of_real[None]
    of_own = np.broadcast_to(group.of_synthetic[:, None], own.shape)[own]
    areas, left = np.empty(len(scores)), np.empty((len(scores), p))
    for j, row in enumerate(scores):
        wins = _wins(row, synthetic)
        areas[j] = wins.mean()
        lost = np.bincount(group.of_synthetic, wins.sum(1), p) + np.bincount(group.of_real, wins.sum(0), p)
        left[j] = (wins.sum() - lost + np.bincount(of_own, wins[own], p)) / pairs
    off = left - left.mean(1, keepdims=True)
    return areas, (p - 1) / p * off @ off.T


def delong(
    scores: np.ndarray, synthetic: np.ndarray, patients: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """As `jackknifed`, with the covariances of DeLong et al. (Biometrics 44:837, 1988), for clustered images as
    Obuchowski has extended them (Biometrics 53:567, 1997)."""
    scores, synthetic = np.atleast_2d(np.asarray(scores, float)), np.asarray(synthetic, bool)
    group = clusters(synthetic, patients)
    areas, parts = np.empty(len(scores)), np.empty((2, len(scores), group.patients))
    for j, row in enumerate(scores):
        above, below = placements(row, synthetic)
        areas[j] = above.mean()
        parts[0, j] = np.bincount(group.of_synthetic, above - areas[j], group.patients) / len(above)
        parts[1, j] = np.bincount(group.of_real, below - areas[j], group.patients) / len(below)
    scale = [count / (count - 1) for count in ((each > 0).sum() for each in group.counts)]
    shared = group.patients / (group.patients - 1) * parts[0] @ parts[1].T
    return areas, scale[0] * parts[0] @ parts[0].T + scale[1] * parts[1] @ parts[1].T + shared + shared.T


@dataclass(frozen=True)
class ReaderAverage:
    """The mean area over readers, with readers and patients both treated as random samples."""

    area: float
    se: float
    df: float
    ms_reader: float
    cov2: float

    def interval(self, level: float = 0.95) -> Interval:
        """Confidence interval of the mean area, from the t distribution."""
        reach = stats.t.ppf((1 + level) / 2, self.df) * self.se
        return Interval(self.area, self.area - reach, self.area + reach, "Obuchowski-Rockette")

    @property
    def p(self) -> float:
        """Two-sided p of the null hypothesis that the area is 0.5."""
        if not self.se:
            return 0.0 if self.area != CHANCE else 1.0
        return float(2 * stats.t.sf(abs(self.area - CHANCE) / self.se, self.df))


def reader_average(areas: np.ndarray, cov2: float, patients: int | None = None) -> ReaderAverage:
    """Obuchowski-Rockette analysis of one modality (Comm Stat Simul 24:285, 1995) with Hillis's degrees of freedom
    (Stat Med 26:596, 2007): SE = sqrt(MS(R) / J + max(Cov2, 0)), df = (MS(R) + J max(Cov2, 0))^2 / (MS(R)^2 / (J - 1)).

    patients: how many the covariances come from. With few, Cov2 is uncertain as well: J^2 max(Cov2, 0)^2 / (patients -
    2) is added to the denominator of df, as Satterthwaite's approximation has it for a second mean square.

    areas: (J,). cov2: mean covariance of two readers' areas. Raises InputError for fewer than two readers.
    """
    areas = np.asarray(areas, float)
    if len(areas) < 2:
        raise InputError("One reader is not a sample of readers; give two or more, or report this reader alone.")
    ms, shared = float(areas.var(ddof=1)), len(areas) * max(cov2, 0.0)
    uncertainty = ms**2 / (len(areas) - 1) + (shared**2 / (patients - 2) if patients and patients > 2 else 0.0)
    df = (ms + shared) ** 2 / uncertainty if uncertainty else math.inf
    return ReaderAverage(float(areas.mean()), math.sqrt((ms + shared) / len(areas)), df, ms, cov2)


METHODS = {"jackknife": jackknifed, "DeLong": delong}


def many_readers(
    scores: np.ndarray, synthetic: np.ndarray, patients: np.ndarray | None = None, method: str = "jackknife"
) -> ReaderAverage:
    """reader_average from the scores (J, N) of J readers on the same N images of these patients, with the covariances
    of a method of METHODS."""
    areas, covariances = METHODS[method](scores, synthetic, patients)
    between = ~np.eye(len(areas), dtype=bool)
    cov2 = float(covariances[between].mean()) if len(areas) > 1 else 0.0
    return reader_average(areas, cov2, clusters(synthetic, patients).patients)


def permutation_p(
    scores: np.ndarray, synthetic: np.ndarray, seed: int = 0, times: int = 2000, patients: np.ndarray | None = None
) -> float:
    """Two-sided permutation p of the mean area of these readers, scores (J, N). It applies to these readers only.

    The truth is reassigned to whole patients at random: a patient with images of one kind gets the kind of another such
    patient, and of a patient with both kinds the two are swapped or not. The actual assignment counts as one
    permutation, so p is never 0.
    """
    scores, synthetic = np.atleast_2d(np.asarray(scores, float)), np.asarray(synthetic, bool)
    labels = np.arange(len(synthetic)) if patients is None else np.asarray(patients)
    _, index = np.unique(labels, return_inverse=True)
    ranks = stats.rankdata(scores, axis=1).mean(0)  # the mean area is linear in the summed midranks of synthetic cases
    kinds = np.stack([np.bincount(index, synthetic), np.bincount(index, ~synthetic)]) > 0
    single = np.flatnonzero(kinds.sum(0) == 1)
    rng = np.random.default_rng(seed)

    def distances(turned: np.ndarray) -> np.ndarray:  # turned: (times, N), whether an image's truth is reversed
        truth = synthetic ^ turned
        n1 = truth.sum(1)
        return np.abs((truth @ ranks - n1 * (n1 + 1) / 2) / (n1 * (len(ranks) - n1)) - CHANCE)

    at_least, done = 0, 0
    actual = float(distances(np.zeros((1, len(ranks)), bool))[0])
    while done < times:
        size = min(times - done, max(1, 2**22 // len(ranks)))
        turned = rng.random((size, kinds.shape[1])) < 0.5  # patients with both kinds
        if len(single):
            kind = kinds[0, single]
            turned[:, single] = rng.permuted(np.tile(kind, (size, 1)), axis=1) ^ kind
        at_least += int((distances(turned[:, index]) >= actual - 1e-12).sum())
        done += size
    return (at_least + 1) / (times + 1)


DISTINGUISHABLE, EQUIVALENT, INCONCLUSIVE = "distinguishable", "equivalent", "inconclusive"
TOO_FEW, UNATTENTIVE = "too few patients", "no verdict"


def verdict(average: ReaderAverage, margin: float, level: float = 0.95) -> str:
    """EQUIVALENT if the interval at 1 - 2 (1 - level) lies within 0.5 +- margin (two one-sided tests, Schuirmann,
    J Pharmacokinet Biopharm 15:657, 1987); otherwise DISTINGUISHABLE if the interval at `level` excludes 0.5; otherwise
    INCONCLUSIVE. A p above .05 alone is never evidence that readers cannot tell. Raises InputError for a margin outside
    0 to 0.5."""
    if not 0 < margin < CHANCE:
        raise InputError(f"A margin of {margin:g} is outside 0 to 0.5; 0.1 makes areas from 0.4 to 0.6 equivalent.")
    inner, outer = average.interval(2 * level - 1), average.interval(level)
    if not average.se and average.area not in (0.0, 1.0):
        return INCONCLUSIVE  # readers with constant answers have no spread, which is not evidence of equivalence
    if CHANCE - margin < inner.low and inner.high < CHANCE + margin:
        return EQUIVALENT
    return INCONCLUSIVE if outer.low <= CHANCE <= outer.high else DISTINGUISHABLE
