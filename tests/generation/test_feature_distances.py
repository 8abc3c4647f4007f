"""Distances of feature sets against known answers and slow, literal versions."""

import numpy as np
import pytest
from scipy import linalg

from ganlab.errors import InputError
from ganlab.generation import feature_distances
from ganlab.generation.feature_distances import frechet, kid, prdc


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(0)


def with_moments(rng, mean, root, count=400):
    """Points whose sample mean and covariance are exactly `mean` and root' root."""
    x = rng.standard_normal((count, len(mean)))
    x -= x.mean(0)
    white = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T)).T)
    return white @ root + mean


def test_frechet_of_normal_distributions_equals_the_formula(rng):
    a, b = rng.standard_normal((2, 5, 5))
    mean = np.arange(5.0)
    x, y = with_moments(rng, mean, a), with_moments(rng, np.zeros(5), b)
    expected = mean @ mean + np.trace(a.T @ a + b.T @ b - 2 * linalg.sqrtm(a.T @ a @ b.T @ b).real)
    assert frechet(x, y) == pytest.approx(expected, rel=1e-9)
    assert frechet(y, x) == pytest.approx(expected, rel=1e-9)
    stretched = with_moments(rng, np.zeros(2), np.diag([1.0, 2.0])), with_moments(rng, [3.0, 4.0], np.diag([2.0, 5.0]))
    assert frechet(*stretched) == pytest.approx(25 + 1 + 9)


def test_frechet_of_identical_sets_is_zero_whatever_their_rank(rng):
    for x in (rng.standard_normal((50, 8)), rng.standard_normal((6, 64)), np.repeat(rng.random((40, 1)), 9, 1)):
        assert frechet(x, x[::-1]) < 1e-10 * (1 + (x**2).sum())
        assert frechet(x, x + 1) == pytest.approx(x.shape[1])


def test_kid_equals_the_double_loop(rng):
    a, b = rng.standard_normal((7, 3)), rng.standard_normal((5, 3)) + 1

    def k(x, y):
        return (sum(p * q for p, q in zip(x, y, strict=True)) / 3 + 1) ** 3

    def within(x):
        return np.mean([k(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j])

    expected = within(a) + within(b) - 2 * np.mean([k(x, y) for x in a for y in b])
    assert kid(a, b) == pytest.approx(expected)


def test_kid_of_one_distribution_is_zero_on_average(rng):
    same = np.array([kid(*rng.standard_normal((2, 30, 4))) for _ in range(400)])
    assert abs(same.mean()) < 3 * same.std() / 20
    assert (same < 0).any()
    assert kid(rng.standard_normal((300, 4)), rng.standard_normal((300, 4)) + 0.5) > 3 * same.std()


def literal_prdc(real, fake, k):
    def d(x, y):
        return np.sqrt(((x - y) ** 2).sum())

    def radius(points, i):
        return sorted(d(points[i], p) for j, p in enumerate(points) if j != i)[k - 1]

    real_radius = [radius(real, i) for i in range(len(real))]
    fake_radius = [radius(fake, j) for j in range(len(fake))]
    inside = [[d(r, f) <= real_radius[i] for f in fake] for i, r in enumerate(real)]
    return {
        "precision": np.mean([any(row[j] for row in inside) for j in range(len(fake))]),
        "recall": np.mean([any(d(r, f) <= fake_radius[j] for j, f in enumerate(fake)) for r in real]),
        "density": sum(map(sum, inside)) / (k * len(fake)),
        "coverage": np.mean([any(row) for row in inside]),
    }


@pytest.mark.parametrize("k", [1, 3])
def test_prdc_equals_the_literal_version(rng, monkeypatch, k):
    monkeypatch.setattr(feature_distances, "ROWS", 16)
    real, fake = rng.standard_normal((40, 2)), 0.7 * rng.standard_normal((30, 2)) + 0.5
    assert prdc(real, fake, k) == pytest.approx(literal_prdc(real, fake, k))


def test_prdc_of_known_cases(rng):
    real = rng.standard_normal((300, 3))
    real[150:] += 20  # two modes
    other = rng.standard_normal((300, 3))
    other[150:] += 20
    same = prdc(real, real)
    assert same["precision"] == same["recall"] == same["coverage"] == 1 and same["density"] >= 1
    assert prdc(real, real + 1000) == dict.fromkeys(("precision", "recall", "density", "coverage"), 0.0)
    whole, dropped = prdc(real, other), prdc(real, np.concatenate([other[:150], rng.standard_normal((150, 3))]))
    assert dropped["recall"] <= 0.5 and dropped["coverage"] <= 0.5 < whole["coverage"]
    assert whole["recall"] > 0.8 and abs(dropped["precision"] - whole["precision"]) < 0.1


def test_refuses_sets_that_cannot_be_compared(rng):
    x = rng.standard_normal((4, 3))
    for measure in (frechet, kid, prdc):
        with pytest.raises(InputError, match="cannot be compared"):
            measure(x, x[:, :2])
        with pytest.raises(InputError, match="not finite"):
            measure(x, np.where(x > x.min(), x, np.nan))
    with pytest.raises(InputError, match="Neighbour 5 of 4"):
        prdc(x, x)
