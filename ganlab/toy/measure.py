"""How well the generator matches the data: divergences from the exact density, with their floors, and modes covered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from ganlab.divergences import Grid, coverage, estimates, floors, mmd2
from ganlab.lazy import Tensor, torch
from ganlab.objectives import value_function
from ganlab.toy.distributions import VIEW, Distribution
from ganlab.toy.draws import stream
from ganlab.toy.game import Game

CELLS = {1: 200, 2: 50}  # of the measuring grid along an axis, by dimension
SAMPLES = 4000
NEAR = 500  # samples of each side for the MMD, whose cost is quadratic


@dataclass(frozen=True)
class Ruler:
    """The reference that n samples are compared with: cell masses, floors and points of the data, each computed
    once."""

    data: Distribution
    n: int = SAMPLES

    @cached_property
    def grid(self) -> Grid:
        return Grid(self.data.dim, VIEW, CELLS[self.data.dim])

    @cached_property
    def masses(self) -> Tensor:
        return self.data.masses(self.grid)

    @cached_property
    def floors(self) -> dict[str, float]:
        """Of js, kl, reverse_kl and tv; a measure at or below its floor is indistinguishable from 0."""
        return floors(self.masses, self.n)

    @cached_property
    def points(self) -> Tensor:
        return self.data.sample(NEAR, stream(0, 0))[0]

    def measure(self, points: Tensor, mmd: bool = True) -> dict[str, list]:
        """Measures of samples (runs, n, dim), per run: js, kl, reverse_kl, tv and mmd2 (slow; mmd=False leaves it out).
        For data with modes also modes_covered, high_quality and the share of samples near each mode."""
        points = points.cpu()
        results = {name: values.tolist() for name, values in estimates(self.grid.counts(points), self.masses).items()}
        if mmd:
            near = points[:, :NEAR].nan_to_num(1e9, 1e9, -1e9).clamp(-1e9, 1e9)
            results["mmd2"] = mmd2(near, self.points).tolist()
        if self.data.modes is not None:
            c = coverage(points, self.data.modes, self.data.spread, self.data.weights)
            results["modes_covered"] = c.covered.sum(-1).tolist()
            results["high_quality"] = c.high_quality.tolist()
            results["shares"] = c.shares.tolist()
        return results


def measure(game: Game, ruler: Ruler) -> dict[str, list]:
    """Ruler.measure() of the game's current samples."""
    return ruler.measure(game.generate(*game.noise(ruler.n)))


def value_and_bound(game: Game, ruler: Ruler) -> tuple[Tensor, Tensor]:
    """V(D, G) (K,) on fresh samples, and (V + log 4) / 2, at most the Jensen-Shannon divergence (Goodfellow et al.
    2014, theorem 1). For games whose D gives a probability; nan for the others."""
    probability = game.objective.probability
    if probability is None:
        unknown = torch.full((game.config.runs,), math.nan)
        return unknown, unknown
    real, labels = game.data.sample(ruler.n, stream(game.config.seed, 99))
    runs = game.config.runs
    real, labels = real.expand(runs, *real.shape).to(game.device), labels.expand(runs, -1).to(game.device)
    z, fake_labels = game.noise(ruler.n)
    out = [game.discriminate(real, labels), game.discriminate(game.generate(z, fake_labels), fake_labels)]
    value = value_function(*(torch.logit(probability(v), eps=1e-7) for v in out)).cpu()
    return value, (value + math.log(4)) / 2
