"""K runs of one game, trained side by side: the order of updates, and snapshots."""

from __future__ import annotations

from collections.abc import Callable

from ganlab.lazy import Tensor, torch
from ganlab.toy.config import Config
from ganlab.toy.distributions import Distribution
from ganlab.toy.draws import Draws
from ganlab.toy.networks import count
from ganlab.toy.optimisers import State
from ganlab.toy.players import Players

KEPT = ("flat_g", "flat_d", "last_g", "last_d")  # tensors of a snapshot


class Game(Players):
    """Two players with an update scheme (config.play). last_g, last_d: their last steps, for optimistic play."""

    def __init__(self, config: Config, data: Distribution | None = None, device: str = "cpu"):
        super().__init__(config, data, device)
        self.last_g, self.last_d = torch.zeros_like(self.flat_g), torch.zeros_like(self.flat_d)

    def step(self, players: str = "dg") -> None:
        """One round of the game; players "d" or "g": a turn of one alone."""
        turns = self.draws(self.steps)
        together = TOGETHER.get(self.config.play)
        with torch.no_grad():
            if players == "dg" and together:
                together(self, turns[-1])
            else:
                if "d" in players:
                    for turn in turns[:-1]:
                        self.gradient_d(turn)
                        self.update_d(*self.direction_d())
                if "g" in players:
                    self.gradient_g(turns[-1])
                    self.update_g(*self.direction_g())
        self.steps += 1

    def direction_d(self) -> tuple[Tensor, State]:
        return self.direction(self.grad_d, self.state_d, self.config.rate_d)

    def direction_g(self) -> tuple[Tensor, State]:
        return self.direction(self.grad_g, self.state_g, self.config.rate_g)

    def update_d(self, delta: Tensor, state: State) -> None:
        self.flat_d -= delta
        self.state_d = state
        if self.config.objective == "wasserstein":
            self.flat_d.clamp_(-self.config.clip, self.config.clip)

    def update_g(self, delta: Tensor, state: State) -> None:
        self.flat_g -= delta
        self.state_g = state

    def both_directions(self, d: Draws) -> tuple[tuple[Tensor, State], tuple[Tensor, State]]:
        """The steps of D and of G from the current parameters."""
        self.gradient_d(d)
        self.gradient_g(d)
        return self.direction_d(), self.direction_g()

    def snapshot(self) -> dict:
        """Everything that the next step depends on, except config and data."""
        tensors = {name: getattr(self, name).clone() for name in KEPT}
        return tensors | {"states": (self.state_g, self.state_d), "right": list(self.right), "steps": self.steps}

    def restore(self, snapshot: dict) -> None:
        for name in KEPT:
            getattr(self, name).copy_(snapshot[name])
        self.state_g, self.state_d = snapshot["states"]
        self.right, self.steps = list(snapshot["right"]), snapshot["steps"]

    def finite(self) -> bool:
        """Whether no parameter is nan or infinite, as after a divergence."""
        return bool(torch.isfinite(self.flat_g.sum() + self.flat_d.sum()))

    @property
    def nbytes(self) -> int:
        """Memory of parameters with gradients, steps and moments, and of the random draws made ahead."""
        drawn = [*self._chunk[1], *(t for pair in self._shown.values() for t in pair)]
        return 5 * (self.flat_g.nbytes + self.flat_d.nbytes) + sum(t.nbytes for t in drawn if t is not None)


# Simultaneous update schemes; the others alternate.


def simultaneous(game: Game, d: Draws) -> None:
    """Both step from the current parameters."""
    step_d, step_g = game.both_directions(d)
    game.update_d(*step_d)
    game.update_g(*step_g)


def extragradient(game: Game, d: Draws) -> None:
    """A step ahead, then a step from the start with the gradients at that point (Korpelevich, 1976; Gidel et al., ICLR
    2019, algorithm 4)."""
    start_d, start_g = game.flat_d.clone(), game.flat_g.clone()
    simultaneous(game, d)
    step_d, step_g = game.both_directions(d)
    game.flat_d.copy_(start_d)
    game.flat_g.copy_(start_g)
    game.update_d(*step_d)
    game.update_g(*step_g)


def optimistic(game: Game, d: Draws) -> None:
    """Optimistic: twice this step minus the previous one (Daskalakis et al., ICLR 2018, algorithm 1)."""
    (delta_d, state_d), (delta_g, state_g) = game.both_directions(d)
    game.update_d(2 * delta_d - game.last_d, state_d)
    game.update_g(2 * delta_g - game.last_g, state_g)
    game.last_d, game.last_g = delta_d, delta_g


def consensus(game: Game, d: Draws) -> None:
    """Both also descend half the squared norm of all gradients (Mescheder et al., NeurIPS 2017, equation 11)."""
    game.iterate_power()
    with torch.enable_grad():
        flat_d, flat_g = game.flat_d.detach().requires_grad_(), game.flat_g.detach().requires_grad_()
        (g_d,) = torch.autograd.grad(game.loss_d(flat_d, flat_g, d).sum(), flat_d, create_graph=True)
        (g_g,) = torch.autograd.grad(game.loss_g(flat_d, flat_g, d).sum(), flat_g, create_graph=True)
        norm2 = (g_d.square().sum() + g_g.square().sum()) / 2
        more_d, more_g = torch.autograd.grad(norm2, (flat_d, flat_g))
    game.grad_d.copy_(g_d.detach() + game.config.consensus * more_d)
    game.grad_g.copy_(g_g.detach() + game.config.consensus * more_g)
    step_d, step_g = game.direction_d(), game.direction_g()
    game.update_d(*step_d)
    game.update_g(*step_g)


TOGETHER: dict[str, Callable[[Game, Draws], None]] = {
    "simultaneous": simultaneous,
    "extragradient": extragradient,
    "optimistic": optimistic,
    "consensus": consensus,
}


def parameters(game: Game) -> tuple[int, int]:
    """Parameter counts of one generator and one discriminator."""
    return count(game.shapes_g), count(game.shapes_d)
