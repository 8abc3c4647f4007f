"""Two densities on a line, and everything that information theory says about them, in nats.

All is computed from logarithms of the masses of narrow cells, which do not underflow however far apart the two are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ganlab.divergences import Grid, squared_hellinger, total_variation, wasserstein_1d
from ganlab.errors import InputError
from ganlab.lazy import Tensor, torch

GRID = Grid(1, 12.0, 2400)
CELL = 2 * GRID.reach / GRID.cells
CENTRES, WIDTHS = (-3.0, 3.0), (0.2, 1.2)  # beyond, a density would leave the grid
HUMPS = 1.5  # half the distance of the two humps, in widths


@dataclass(frozen=True)
class Density:
    """shape: "normal" (width: its standard deviation), "uniform" (half its breadth) or "two humps" (each one's)."""

    shape: str
    centre: float
    width: float

    def __post_init__(self):
        """Raises InputError for what is no density of these."""
        if self.shape not in SHAPES:
            raise InputError(f'Density "{self.shape}" is not known; choose from {", ".join(SHAPES)}.')
        for name, value, (low, high) in (("Centre", self.centre, CENTRES), ("Width", self.width, WIDTHS)):
            if not isinstance(value, int | float) or not low <= value <= high:
                raise InputError(f"{name} {value} is not from {low:g} to {high:g}.")

    def log_masses(self) -> Tensor:
        """(cells,) float64 on GRID; minus infinity where there is nothing."""
        return SHAPES[self.shape](self.centre, self.width)


def _normal(centre: float, width: float) -> Tensor:
    away = (GRID.edges[1:] - CELL / 2 - centre) / width
    return -0.5 * away.square() - math.log(width * math.sqrt(2 * math.pi)) + math.log(CELL)


def _uniform(centre: float, width: float) -> Tensor:
    return GRID.overlap(torch.tensor([centre - width]), torch.tensor([centre + width]))[0].log()


def _humps(centre: float, width: float) -> Tensor:
    humps = [_normal(centre + side * HUMPS * width, width / 2) for side in (-1, 1)]
    return torch.logaddexp(*humps) - math.log(2)


SHAPES = {"normal": _normal, "uniform": _uniform, "two humps": _humps}


def compare(p: Tensor, q: Tensor) -> dict[str, float]:
    """Of logarithms of masses (cells,): differential entropies and cross-entropy of the densities, and every
    divergence; infinite where one has mass and the other none."""
    mass, unit = (p.exp(), q.exp()), torch.zeros_like(p)
    found = {
        "entropy_p": -_terms(p, p, unit).sum() + math.log(CELL),
        "entropy_q": -_terms(q, q, unit).sum() + math.log(CELL),
        "cross_entropy": -_terms(p, q, unit).sum() + math.log(CELL),
        **{name: (curve.sum() * CELL).clamp_min(0) for name, curve in terms(p, q).items()},
        "total_variation": total_variation(*mass).clamp_max(1),
        "wasserstein": wasserstein_1d(*mass, CELL),
        "pearson": _pearson(p, q),
        "squared_hellinger": squared_hellinger(*mass),
    }
    return {name: float(value) for name, value in found.items()}


def _pearson(p: Tensor, q: Tensor) -> Tensor:
    """sum (p - q)^2 / q = sum p^2 / q - 2 p + q"""
    ratio = torch.where(p > -torch.inf, 2 * p - q, p).exp()
    return (ratio - 2 * p.exp() + q.exp()).sum().clamp_min(0)


def terms(p: Tensor, q: Tensor) -> dict[str, Tensor]:
    """What each place adds, per unit of x, to KL(p || q), KL(q || p) and JS; their areas are the divergences."""
    middle = torch.logaddexp(p, q) - math.log(2)
    shared = (_terms(p, p, middle) + _terms(q, q, middle)) / 2
    return {"kl": _terms(p, p, q) / CELL, "reverse_kl": _terms(q, q, p) / CELL, "js": shared / CELL}


def _terms(weight: Tensor, over: Tensor, under: Tensor) -> Tensor:
    """exp(weight) (over - under), and 0 where that mass is 0."""
    mass = weight.exp()
    return torch.where(mass > 0, mass * (over - under), torch.zeros_like(mass))
