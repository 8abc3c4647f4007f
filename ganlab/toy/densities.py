"""Two densities on a line, with their entropies and divergences in nats.

Everything is computed from log masses of narrow cells, which do not underflow however far apart the densities are.
"""

from __future__ import annotations

import math
from typing import Annotated

from ganlab.divergences import Grid, squared_hellinger, total_variation, wasserstein_1d
from ganlab.lazy import Tensor, torch
from ganlab.settings import Field, OneOf, frozen_config

GRID = Grid(1, 12.0, 2400)
CELL = 2 * GRID.reach / GRID.cells
HUMPS = 1.5  # half the distance between the two humps, in widths


def _normal(centre: float, width: float) -> Tensor:
    z = (GRID.edges[1:] - CELL / 2 - centre) / width
    return -0.5 * z.square() - math.log(width * math.sqrt(2 * math.pi)) + math.log(CELL)


def _uniform(centre: float, width: float) -> Tensor:
    return GRID.overlap(torch.tensor([centre - width]), torch.tensor([centre + width]))[0].log()


def _two_humps(centre: float, width: float) -> Tensor:
    humps = [_normal(centre + side * HUMPS * width, width / 2) for side in (-1, 1)]
    return torch.logaddexp(*humps) - math.log(2)


SHAPES = {"normal": _normal, "uniform": _uniform, "two humps": _two_humps}


@frozen_config
class Density:
    """A density; its ranges keep it on GRID."""

    shape: Annotated[str, OneOf(SHAPES)] = Field("normal", title="Shape")
    centre: float = Field(0.0, ge=-3.0, le=3.0, title="Centre")
    width: float = Field(
        0.7, ge=0.2, le=1.2, title="Width", description="Standard deviation, half the width, or each mode's width."
    )

    def log_masses(self) -> Tensor:
        """(cells,) float64 on GRID; minus infinity where the density is 0."""
        return SHAPES[self.shape](self.centre, self.width)


def compare(p: Tensor, q: Tensor) -> dict[str, float]:
    """Differential entropies, cross-entropy and divergences of two densities given by log masses (cells,); infinite
    where one has mass and the other none."""
    mass, unit = (p.exp(), q.exp()), torch.zeros_like(p)
    results = {
        "entropy_p": -_terms(p, p, unit).sum() + math.log(CELL),
        "entropy_q": -_terms(q, q, unit).sum() + math.log(CELL),
        "cross_entropy": -_terms(p, q, unit).sum() + math.log(CELL),
        **{name: (curve.sum() * CELL).clamp_min(0) for name, curve in terms(p, q).items()},
        "total_variation": total_variation(*mass).clamp_max(1),
        "wasserstein": wasserstein_1d(*mass, CELL),
        "pearson": _pearson(p, q),
        "squared_hellinger": squared_hellinger(*mass),
    }
    return {name: float(value) for name, value in results.items()}


def _pearson(p: Tensor, q: Tensor) -> Tensor:
    """sum (p - q)^2 / q = sum p^2 / q - 2 p + q"""
    ratio = torch.where(p > -torch.inf, 2 * p - q, p).exp()
    return (ratio - 2 * p.exp() + q.exp()).sum().clamp_min(0)


def terms(p: Tensor, q: Tensor) -> dict[str, Tensor]:
    """The integrands (cells,) of KL(p || q), KL(q || p) and JS, per unit of x."""
    middle = torch.logaddexp(p, q) - math.log(2)
    shared = (_terms(p, p, middle) + _terms(q, q, middle)) / 2
    return {"kl": _terms(p, p, q) / CELL, "reverse_kl": _terms(q, q, p) / CELL, "js": shared / CELL}


def _terms(weight: Tensor, over: Tensor, under: Tensor) -> Tensor:
    """exp(weight) (over - under), 0 where exp(weight) is 0."""
    mass = weight.exp()
    return torch.where(mass > 0, mass * (over - under), torch.zeros_like(mass))
