"""Two-parameter games: the simplest games in which gradient descent fails, and methods that converge.

Player x descends f(x, y), player y ascends it. Bilinear: f = xy (Goodfellow, NeurIPS 2016 tutorial, section 8.2).
Dirac-GAN: the data lies at 0, the generator at theta, D is linear, D(x) = psi x (Mescheder, Geiger and Nowozin, ICML
2018, section 2). Both have their equilibrium at (0, 0).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from ganlab.errors import InputError
from ganlab.lazy import Tensor, torch
from ganlab.objectives import OBJECTIVES, get_objective
from ganlab.settings import Field, OneOf, frozen_config
from ganlab.toy.distributions import VIEW

MAX_STEPS = 100_000


@frozen_config
class TwoPlayerConfig:
    """Game, learning rate and starting point."""

    game: Annotated[str, OneOf({"bilinear": "Bilinear: f(x, y) = xy", "dirac-gan": "Dirac-GAN"})] = Field(
        "bilinear", title="Game"
    )
    objective: Annotated[str, OneOf({name: o.title for name, o in OBJECTIVES.items()})] = Field(
        "minimax", title="Objective"
    )
    r1: float = Field(0.0, ge=0.0, le=5.0, step=0.05, title="R1 penalty (gamma)")
    rate: float = Field(0.1, ge=0.01, le=1.0, step=0.01, title="Learning rate")
    x: float = Field(0.6, ge=-VIEW, le=VIEW, title="Start x")
    y: float = Field(0.6, ge=-VIEW, le=VIEW, title="Start y")


@dataclass(frozen=True)
class TwoPlayers:
    """Two players, each of which descends its own loss of the state (..., 2) = (x, y)."""

    name: str
    axes: tuple[str, str]
    losses: Callable[[Tensor], Tensor]  # (..., 2) -> (..., 2)
    field: Callable[[Tensor], Tensor]  # (..., 2) -> v (..., 2), each loss differentiated by its player's own variable


def two_players(config: TwoPlayerConfig) -> TwoPlayers:
    return bilinear() if config.game == "bilinear" else dirac_gan(config.objective, config.r1)


def bilinear() -> TwoPlayers:
    """x descends xy, y ascends it: v = (y, -x) rotates and never points inwards."""

    def losses(s: Tensor) -> Tensor:
        product = s[..., 0] * s[..., 1]
        return torch.stack([product, -product], -1)

    return TwoPlayers("bilinear", ("x", "y"), losses, lambda s: torch.stack([s[..., 1], -s[..., 0]], -1))


def dirac_gan(objective: str = "minimax", r1: float = 0.0) -> TwoPlayers:
    """theta, the generator's point, against psi, D's slope, under any objective; r1: its gamma.

    D's loss is real(0) + fake(psi theta) + gamma / 2 psi^2, G's is generator(psi theta).
    """
    game = get_objective(objective)

    def losses(s: Tensor) -> Tensor:
        theta, psi = s[..., 0], s[..., 1]
        d = game.real.value(0 * psi) + game.fake.value(psi * theta) + r1 / 2 * psi.square()
        return torch.stack([game.generator.value(psi * theta), d], -1)

    def field(s: Tensor) -> Tensor:
        theta, psi = s[..., 0], s[..., 1]
        d = game.fake.slope(psi * theta) * theta + r1 * psi
        return torch.stack([game.generator.slope(psi * theta) * psi, d], -1)

    return TwoPlayers("dirac-gan", ("theta (generator)", "psi (discriminator)"), losses, field)


# Each method maps (state, memory) to the next of both; memory is the last field, or the last step.


def simultaneous(game: TwoPlayers, s: Tensor, memory: Tensor, rate: float) -> tuple[Tensor, Tensor]:
    """s - rate v(s)"""
    return s - rate * game.field(s), memory


def alternating(game: TwoPlayers, s: Tensor, memory: Tensor, rate: float) -> tuple[Tensor, Tensor]:
    """x first; y answers the new x."""
    first, second = torch.tensor([1.0, 0.0], dtype=s.dtype), torch.tensor([0.0, 1.0], dtype=s.dtype)
    s = s - rate * game.field(s) * first
    return s - rate * game.field(s) * second, memory


def extragradient(game: TwoPlayers, s: Tensor, memory: Tensor, rate: float) -> tuple[Tensor, Tensor]:
    """s - rate v(s - rate v(s)) (Korpelevich, 1976)"""
    return s - rate * game.field(s - rate * game.field(s)), memory


def optimistic(game: TwoPlayers, s: Tensor, memory: Tensor, rate: float) -> tuple[Tensor, Tensor]:
    """s - 2 rate v(s) + rate v(last s) (Daskalakis et al., ICLR 2018, equation 4)"""
    v = game.field(s)
    return s - 2 * rate * v + rate * memory, v


def consensus(game: TwoPlayers, s: Tensor, memory: Tensor, rate: float, weight: float = 1.0) -> tuple[Tensor, Tensor]:
    """s - rate (v + weight grad |v|^2 / 2) (Mescheder et al., NeurIPS 2017, equation 11)"""
    state = s if s.requires_grad else s.detach().requires_grad_()
    v = game.field(state)
    (inwards,) = torch.autograd.grad(v.square().sum() / 2, state, create_graph=True)
    return s - rate * (v + weight * inwards), memory


def negative_momentum(game: TwoPlayers, s: Tensor, memory: Tensor, rate: float, beta: float = -0.3):
    """x first, y answers, each with momentum beta < 0 (Gidel et al., AISTATS 2019, section 5). memory: last step."""
    first, second = torch.tensor([1.0, 0.0], dtype=s.dtype), torch.tensor([0.0, 1.0], dtype=s.dtype)
    new = s + (beta * memory - rate * game.field(s)) * first
    new = new + (beta * memory - rate * game.field(new)) * second
    return new, new - s


METHODS: dict[str, Callable] = {
    "simultaneous": simultaneous,
    "alternating": alternating,
    "extragradient": extragradient,
    "optimistic": optimistic,
    "consensus": consensus,
    "negative momentum": negative_momentum,
}


def trajectory(game: TwoPlayers, method: str, rate: float, steps: int, start=(1.0, 1.0)) -> Tensor:
    """(steps + 1, 2) float64 states from `start` on; after an overflow they stay infinite or nan. Raises InputError."""
    _check(method, rate, steps)
    state, memory = torch.tensor(start, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    if method == "optimistic":
        memory = game.field(state).detach()  # so that the first step is a plain one
    states = [state]
    for _ in range(steps):
        state, memory = (t.detach() for t in METHODS[method](game, state, memory, rate))
        states.append(state)
    return torch.stack(states)


def eigenvalues(game: TwoPlayers, method: str, rate: float) -> Tensor:
    """Complex eigenvalues of one step of a method, linearised at the equilibrium, largest modulus first. Below 1 the
    method converges, above 1 it spirals out, at 1 it circles. Methods with a memory have four. Raises InputError."""
    _check(method, rate)
    remembers = method in ("optimistic", "negative momentum")

    def step(z: Tensor) -> Tensor:
        return torch.cat(METHODS[method](game, z[:2], z[2:], rate))

    jacobian = torch.autograd.functional.jacobian(step, torch.zeros(4, dtype=torch.float64))
    values = torch.linalg.eigvals(jacobian if remembers else jacobian[:2, :2])
    return values[values.abs().argsort(descending=True)]


def _check(method: str, rate: float, steps: int = 1) -> None:
    if method not in METHODS:
        raise InputError(f'Method "{method}" is not known; choose from {", ".join(METHODS)}.')
    TwoPlayerConfig(rate=rate)
    if not 1 <= steps <= MAX_STEPS:
        raise InputError(f"Steps is {steps}; give a whole number from 1 to {MAX_STEPS:,}.")
