"""Known answers, inequalities between divergences, and the scores of a perfect generator."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab import divergences as d
from ganlab.toy.distributions import DISTRIBUTIONS, VIEW, from_picture, get_distribution

HALF = torch.tensor([0.5, 0.5])
ONE = torch.tensor([1.0, 0.0])
OTHER = torch.tensor([0.0, 1.0])


def test_divergences_of_simple_distributions():
    log2 = math.log(2)
    assert float(d.entropy(HALF)) == pytest.approx(log2)
    assert float(d.entropy(ONE)) == 0
    assert float(d.cross_entropy(ONE, HALF)) == pytest.approx(log2)
    assert float(d.kl(ONE, HALF)) == pytest.approx(log2)
    assert float(d.kl(HALF, ONE)) == math.inf
    assert float(d.js(ONE, OTHER)) == pytest.approx(log2)
    assert float(d.total_variation(ONE, HALF)) == 0.5
    assert float(d.pearson(ONE, HALF)) == pytest.approx(1)
    assert float(d.pearson(HALF, ONE)) == math.inf
    assert float(d.squared_hellinger(ONE, OTHER)) == 2
    assert float(d.wasserstein_1d(torch.tensor([1.0, 0, 0]), torch.tensor([0, 0, 1.0]), 0.5)) == 1.0


def test_gaussians_match_the_closed_form():
    """KL of N(0, s) from N(m, t) is log(t / s) + (s^2 + m^2) / (2 t^2) - 1/2; the entropy is log(s sqrt(2 pi e))."""
    grid = d.Grid(1, 12.0, 2000)

    def flat(mean, std):
        normal = torch.distributions.Normal(mean, std)
        return grid.masses(lambda x: normal.log_prob(x[..., 0]), 4)

    p, q = flat(0.0, 1.0), flat(0.7, 1.5)
    assert float(d.kl(p, q)) == pytest.approx(math.log(1.5) + (1 + 0.49) / 4.5 - 0.5, rel=1e-4)
    bits = d.entropy(p) + math.log(24 / 2000)
    assert float(bits) == pytest.approx(math.log(math.sqrt(2 * math.pi * math.e)), rel=1e-4)
    assert float(d.wasserstein_1d(p, flat(0.7, 1.0), 24 / 2000)) == pytest.approx(0.7, rel=1e-3)


masses = st.lists(st.floats(0, 1).map(lambda x: round(x, 9)), min_size=6, max_size=6).filter(lambda x: sum(x) > 1e-3)


@settings(max_examples=200, deadline=None)
@given(masses, masses)
def test_inequalities_between_divergences(a, b):
    p, q = (torch.tensor(x, dtype=torch.float64) / sum(x) for x in (a, b))
    js, tv, kl, h2 = d.js(p, q), d.total_variation(p, q), d.kl(p, q), d.squared_hellinger(p, q)
    assert 0 <= js <= math.log(2)
    assert 0 <= tv <= 1 + 1e-12
    assert js <= math.log(2) * tv + 1e-9  # Lin 1991
    assert kl >= 2 * tv**2 - 1e-9  # Pinsker
    assert h2 / 2 - 1e-9 <= tv <= h2.clamp_min(0).sqrt() + 1e-6  # Le Cam
    assert not torch.isnan(d.pearson(p, q))
    assert float(d.js(p, q)) == pytest.approx(float(d.js(q, p)), abs=1e-12)
    assert float(d.kl(p, p)) == 0 and float(d.js(p, p)) == 0


def targets():
    for name, make in DISTRIBUTIONS.items():
        yield pytest.param(make(), id=name)
    ramp = torch.linspace(0, 1, 40).expand(30, 40)
    yield pytest.param(from_picture(ramp), id="picture")


@pytest.mark.parametrize("target", list(targets()))
@pytest.mark.parametrize("n", [500, 4000])
def test_a_perfect_generator_scores_within_the_floor(target, n):
    grid = d.Grid(target.dim, VIEW, 50)
    p = target.masses(grid)
    floors = d.floors(p, n)
    generator = torch.Generator().manual_seed(5)
    samples = torch.stack([target.sample(n, generator)[0] for _ in range(8)])
    for name, values in d.estimates(grid.counts(samples), p).items():
        assert torch.isfinite(values).all() and (values >= 0).all(), name
        assert (values <= floors[name] * 1.05).all(), (name, values, floors[name])
    assert floors["js"] < (0.2 if n == 4000 else 0.4)


def test_a_collapsed_generator_scores_far_above_the_floor():
    ring = get_distribution("ring")
    grid = d.Grid(2, VIEW, 50)
    p = ring.masses(grid)
    points = ring.means[0] + 0.07 * torch.randn((1, 4000, 2), generator=torch.Generator().manual_seed(0))
    values, floors = d.estimates(grid.counts(points), p), d.floors(p, 4000)
    for name in ("js", "kl", "tv"):
        assert float(values[name]) > 5 * floors[name], name
    # one of eight modes: JS = log 2 + (1/8 log 1/8 - 9/8 log 9/8) / 2, about
    eighth = math.log(2) + (math.log(1 / 8) / 8 - 9 / 8 * math.log(9 / 8)) / 2
    assert float(values["js"]) == pytest.approx(eighth, abs=0.03)


def test_points_outside_the_grid_and_nan_are_counted_outside():
    grid = d.Grid(2, 1.0, 4)
    points = torch.tensor([[[0.1, 0.1], [5.0, 0.0], [math.nan, 0.0], [math.inf, -math.inf], [-1.0, -1.0]]])
    counts = grid.counts(points)[0]
    assert counts.sum() == 5 and counts[-1] == 3 and counts[0] == 1 and counts[2 * 4 + 2] == 1
    p = torch.full((17,), 1 / 17, dtype=torch.float64)
    for value in d.estimates(counts[None], p).values():
        assert torch.isfinite(value).all()


def test_masses_sum_to_one_with_the_mass_outside():
    grid = d.Grid(2, 1.0, 20)
    p = get_distribution("square").masses(grid)
    torch.testing.assert_close(p[:-1], torch.full((400,), 1 / 400, dtype=torch.float64))
    normal = torch.distributions.Normal(0.0, 1.0)
    p = grid.masses(lambda x: normal.log_prob(x).sum(-1))
    assert float(p[-1]) == pytest.approx(1 - math.erf(1 / math.sqrt(2)) ** 2, abs=1e-4)


def test_mmd_is_zero_for_equal_samples_and_grows_with_distance():
    generator = torch.Generator().manual_seed(0)
    ring = get_distribution("ring")
    x, y = ring.sample(1000, generator)[0], ring.sample(1000, generator)[0]
    assert float(d.mmd2(x, x)) == pytest.approx(0, abs=1e-6)
    assert 0 <= float(d.mmd2(x, y)) <= 3 * 2 / 1000 * 2
    assert float(d.mmd2(x, y + 1.0)) > 0.05


def test_coverage_counts_modes_with_a_quarter_of_their_weight():
    ring = get_distribution("ring")
    x, _ = ring.sample(4000, torch.Generator().manual_seed(0))
    full = d.coverage(x, ring.modes, ring.spread, ring.weights)
    assert full.covered.all() and float(full.high_quality) == pytest.approx(1 - math.exp(-4.5), abs=0.005)
    half = d.coverage(x[x[:, 0] > 0.3], ring.modes, ring.spread, ring.weights)
    assert half.covered.tolist() == [True, True, False, False, False, False, False, True]
    stray = torch.cat([x[x[:, 0] > 0.3], ring.means[4:5].expand(5, 2)])  # five samples do not cover a mode
    assert not d.coverage(stray, ring.modes, ring.spread, ring.weights).covered[4]
    lost = d.coverage(torch.full((2, 10, 2), math.nan), ring.modes, ring.spread, ring.weights)
    assert float(lost.high_quality.max()) == 0 and not lost.covered.any()
