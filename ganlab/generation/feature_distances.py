"""Distances between two sets of image features: Frechet distance, KID, precision and recall, density and coverage.

Feature sets are (N, d) arrays.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial import distance
from sklearn.neighbors import NearestNeighbors

from ganlab.errors import InputError

ROWS = 512  # of a distance matrix held at a time


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance between normal distributions with the sets' means and covariances A, B (Heusel et al., NeurIPS
    2017, eq. 6): |mean a - mean b|^2 + tr(A + B - 2 (A B)^(1/2)).

    With A = R_a' R_a and B = R_b' R_b from QR factors of the centred sets, tr (A B)^(1/2) is the sum of the singular
    values of R_a R_b'. This needs no matrix square root and allows singular covariances. Raises InputError for sets
    that cannot be compared.
    """
    a, b = _checked(a, b)
    ra, rb = (np.linalg.qr((x - x.mean(0)) / math.sqrt(len(x) - 1), mode="r") for x in (a, b))
    shift = a.mean(0) - b.mean(0)
    common = np.linalg.svd(ra @ rb.T, compute_uv=False).sum()
    return max(0.0, float(shift @ shift + (ra**2).sum() + (rb**2).sum() - 2 * common))


def kid(a: np.ndarray, b: np.ndarray) -> float:
    """Kernel inception distance: the unbiased squared MMD with k(x, y) = (x.y / d + 1)^3 (Binkowski et al., ICLR 2018),
    over all pairs at once. Scatters around 0, also below it, if both sets have the same distribution. Raises
    InputError for sets that cannot be compared."""
    a, b = _checked(a, b)
    within = [_kernel_sum(x, x) - (((x * x).sum(1) / x.shape[1] + 1) ** 3).sum() for x in (a, b)]  # without i = j
    n, m = len(a), len(b)
    return float(within[0] / (n * (n - 1)) + within[1] / (m * (m - 1)) - 2 * _kernel_sum(a, b) / (n * m))


def _kernel_sum(a: np.ndarray, b: np.ndarray) -> float:
    return sum(((a[k : k + ROWS] @ b.T / a.shape[1] + 1) ** 3).sum() for k in range(0, len(a), ROWS))


def prdc(real: np.ndarray, fake: np.ndarray, k: int = 5) -> dict[str, float]:
    """Precision, recall (Kynkaanniemi et al., NeurIPS 2019), density and coverage (Naeem et al., ICML 2020), from balls
    around every point that reach its k-th nearest neighbour in its own set.

    precision: share of fake points in a ball of a real one. recall: share of real points in a ball of a fake one.
    density: number of real balls that a fake point is in, over k; above 1 where fake points crowd. coverage: share of
    real balls that hold a fake point. Raises InputError for fewer than k + 1 points, and for sets that cannot be
    compared.
    """
    real, fake = _checked(real, fake)
    if min(len(real), len(fake)) <= k:
        raise InputError(f"Neighbour {k} of {min(len(real), len(fake))} images does not exist; use more images.")
    radius_real, radius_fake = _radius(real, k), _radius(fake, k)
    balls, recalled, covered = np.zeros(len(fake)), 0, 0
    for start in range(0, len(real), ROWS):
        distances = distance.cdist(real[start : start + ROWS], fake)
        inside = distances <= radius_real[start : start + ROWS, None]
        balls += inside.sum(0)
        covered += inside.any(1).sum()
        recalled += (distances <= radius_fake).any(1).sum()
    return {
        "precision": float((balls > 0).mean()),
        "recall": float(recalled / len(real)),
        "density": float(balls.mean() / k),
        "coverage": float(covered / len(real)),
    }


def _radius(points: np.ndarray, k: int) -> np.ndarray:
    """(N,) distance to the k-th nearest other point."""
    neighbours = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points)
    return neighbours.kneighbors()[0][:, -1]


def _checked(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sets as float64. Raises InputError for other shapes, fewer than two points, and values that are not
    finite."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise InputError(f"Feature sets of {a.shape} and {b.shape} cannot be compared; give (N, d) twice, N 2 or more.")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("Some features are not finite: the images hold NaN or infinity; check them first.")
    return a, b
