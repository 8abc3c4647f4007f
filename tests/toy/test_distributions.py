"""Samples and densities agree; user data is accepted or rejected with a message."""

import math

import pytest
import torch

from ganlab.divergences import Grid
from ganlab.errors import InputError
from ganlab.toy.distributions import DISTRIBUTIONS, VIEW, from_drawing, from_picture, from_points, get_distribution


def make(name):
    if name == "picture":
        picture = torch.zeros(20, 30)
        picture[2:10, 3:9], picture[15:, 20:] = 1.0, 0.5
        return from_picture(picture)
    return get_distribution(name)


NAMES = [*DISTRIBUTIONS, "picture"]


@pytest.mark.parametrize("name", NAMES)
def test_the_density_integrates_to_one_and_matches_the_samples(name):
    target = make(name)
    grid = Grid(target.dim, VIEW, 32)
    p = target.masses(grid)
    n = 200_000
    x, labels = target.sample(n, torch.Generator().manual_seed(1))
    assert x.shape == (n, target.dim) and x.dtype == torch.float32
    assert labels.dtype == torch.int64 and set(labels.unique().tolist()) == set(range(target.classes))
    assert float(p[-1]) < 1e-3  # within the view
    q = grid.counts(x[None])[0] / n
    expected = (p * (1 - p) / n).sqrt()
    away = ((q - p).abs() / (expected + 1e-6))[p > 1e-4]
    assert float(away.mean()) < 1.0 and float(away.max()) < 6  # mean of |N(0, 1)|: 0.8


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_samples(name):
    target = make(name)
    a, b = (target.sample(100, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])


@pytest.mark.parametrize("name", ["ring", "grid", "gaussians-1d"])
def test_modes(name):
    target = make(name)
    assert len(target.modes) == {"ring": 8, "grid": 25, "gaussians-1d": 2}[name]
    x, labels = target.sample(2000, torch.Generator().manual_seed(0))
    away = (x - target.modes[labels]).norm(dim=1)
    assert float(away.max()) < 5 * target.spread


@pytest.mark.parametrize("name", ["checkerboard", "square", "disjoint-pair", "picture", "ring", "gaussians-1d"])
def test_exact_masses_are_the_integral_of_the_density(name):
    target = make(name)
    grid = Grid(target.dim, VIEW, 16)
    torch.testing.assert_close(target.masses(grid), grid.masses(target.log_prob, 100), atol=3e-4, rtol=0)


def test_log_prob_of_gaussians_in_closed_form():
    ring = make("ring")
    at = float(ring.log_prob(ring.means[:1])[0])
    assert at == pytest.approx(-math.log(8 * 2 * math.pi * 0.07**2), abs=1e-5)


def test_points_fill_the_plane_and_keep_their_shape():
    generator = torch.Generator().manual_seed(0)
    own = torch.randn((500, 2), generator=generator) * torch.tensor([1e5, 2e4]) + 3e6
    scaled = from_points(own).points
    size = scaled.amax(0) - scaled.amin(0)
    assert float(size.max()) == pytest.approx(2.4, rel=1e-5)
    before = own.double().amax(0) - own.double().amin(0)
    assert float(size[1] / size[0]) == pytest.approx(float(before[1] / before[0]), rel=1e-4)


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (torch.zeros(0, 2), "0 points"),
        (torch.zeros(3, 2), "3 points; give 10 to 200,000"),
        (torch.zeros(2_000_000, 2), "2,000,000 points"),
        (torch.zeros(20, 3), "shape"),
        (torch.tensor([[0.0, 1.0]] * 11 + [[math.nan, 0.0]]), "point 12"),
        (torch.tensor([[0.0, 1.0]] * 11 + [[math.inf, 0.0]]), "point 12"),
        (torch.ones(20, 2), "the same"),
    ],
)
def test_refuses_points_without_a_shape(points, says):
    with pytest.raises(InputError, match=says):
        from_points(points)


def test_a_drawing_keeps_its_position():
    drawn = torch.tensor([[0.5, -0.25]] * 10 + [[9.0, 0.0]])
    restored = from_drawing(drawn).points
    assert restored[0].tolist() == [0.5, -0.25] and float(restored[-1, 0]) == pytest.approx(VIEW)
    with pytest.raises(InputError, match="drawing has 0 points"):
        from_drawing(torch.zeros(0, 2))


@pytest.mark.parametrize(
    "picture", [torch.zeros(8, 8), torch.ones(1, 8), torch.full((8, 8), math.nan), -torch.ones(8, 8)]
)
def test_refuses_pictures_without_a_density(picture):
    with pytest.raises(InputError):
        from_picture(picture)


def test_a_large_picture_is_averaged():
    assert max(from_picture(torch.rand(1000, 640)).weights.shape) <= 256


def test_refuses_an_unknown_distribution():
    with pytest.raises(InputError, match="choose from gaussians-1d"):
        get_distribution("rings")
