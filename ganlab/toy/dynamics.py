"""Games of two numbers: the smallest in which descent fails, and what mends it. Everything is exact.

Player x descends f(x, y), player y ascends it. Bilinear: f = xy (Goodfellow, NeurIPS 2016 tutorial, section 8.2).
Dirac-GAN: the data lies at 0, the generator at theta, D is linear, D(x) = psi x (Mescheder, Geiger and Nowozin, ICML
2018, section 2). Both have their equilibrium at (0, 0).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ganlab.errors import InputError
from ganlab.lazy import Tensor, torch
from ganlab.objectives import get_objective

STEPS = (1, 100_000)
RATES = (1e-4, 2.0)


@dataclass(frozen=True)
class TwoPlayers:
    """Both players descend their own loss of a state (..., 2) = (x, y).

    losses: (..., 2) -> (..., 2). field: v (..., 2), the derivative of each player's loss by its own number.
    """

    name: str
    axes: tuple[str, str]
    losses: Callable[[Tensor], Tensor]
    field: Callable[[Tensor], Tensor]


def bilinear() -> TwoPlayers:
    """x descends xy, y ascends it: v = (y, -x) turns and never points inwards."""

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
    """(steps + 1, 2) float64 states from `start` on. What leaves the range of numbers stays at infinity or nan."""
    _check(method, rate, steps)
    state, memory = torch.tensor(start, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    if method == "optimistic":
        memory = game.field(state).detach()  # as if the step before had been here: the first is plain
    states = [state]
    for _ in range(steps):
        state, memory = (t.detach() for t in METHODS[method](game, state, memory, rate))
        states.append(state)
    return torch.stack(states)


def eigenvalues(game: TwoPlayers, method: str, rate: float) -> Tensor:
    """Complex eigenvalues of one step of a method, linearised at the equilibrium, largest modulus first: below 1 it
    converges, above 1 it spirals out, at 1 it circles. Methods with a memory have four."""
    _check(method, rate, 1)
    remembers = method in ("optimistic", "negative momentum")

    def step(z: Tensor) -> Tensor:
        return torch.cat(METHODS[method](game, z[:2], z[2:], rate))

    jacobian = torch.autograd.functional.jacobian(step, torch.zeros(4, dtype=torch.float64))
    found = torch.linalg.eigvals(jacobian if remembers else jacobian[:2, :2])
    return found[found.abs().argsort(descending=True)]


def _check(method: str, rate: float, steps: int) -> None:
    if method not in METHODS:
        raise InputError(f'Method "{method}" is not known; choose from {", ".join(METHODS)}.')
    if not RATES[0] <= rate <= RATES[1]:
        raise InputError(f"Rate {rate:g} is outside {RATES[0]:g}-{RATES[1]:g}; 0.1 is usual.")
    if not STEPS[0] <= steps <= STEPS[1]:
        raise InputError(f"{steps} steps are outside {STEPS[0]}-{STEPS[1]:,}; 500 are usual.")
