"""Data for drawing a run at one step: facts for JSON, and small arrays (packed by ganlab/packing.py).

Positions are int16, -32767 to 32767 for -VIEW to VIEW. Probabilities are int16, 0 to 32767 for 0 to 1, and so are
differences of probabilities.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from functools import lru_cache

import numpy as np

from ganlab.divergences import Grid
from ganlab.lazy import Tensor, torch
from ganlab.objectives import value_function
from ganlab.toy.distributions import VIEW
from ganlab.toy.draws import stream
from ganlab.toy.game import Game
from ganlab.toy.measure import Ruler
from ganlab.toy.session import Session

# By the number of runs on the page, up to:
POINTS = {1: 600, 2: 600, 8: 250}  # generated points shown of each run
HEAT = {1: 48, 2: 40, 8: 20}  # cells along an edge of the map of D
COUNTED = {1: 8000, 2: 4000, 8: 1500}  # generated points that the density of the generator is counted from

LINE = 96  # cells of the map of D in one dimension
FIELD = 16  # arrows along an edge of the gradient field
WARP = 16  # cells of the latent grid along an edge
BINS = 24  # of the histograms of D(x)
NOWHERE = -2.0  # D - D* where neither distribution has mass
EMPTY = 1e-5  # a cell with less mass than this counts as outside the data

Frame = tuple[dict, dict[str, np.ndarray]]  # facts, arrays


def frame(
    session: Session,
    ruler: Ruler | None = None,
    static: bool = False,
    layers: tuple[str, ...] = (),
    past: int | None = None,
) -> Frame:
    """The session now, or at session.moments[past].

    ruler: also compute the metrics. static: also send what does not change: "real" points (1000, dim), "modes" (M, dim)
    and in one dimension the "density" (LINE,) of the data. layers: any of "heat", "optimum", "field", "warp" and
    "arrows", which cost time. Arrays of game k are named "NAME.k"; see game_arrays().
    """
    games = session.games if past is None else session.recall(past)
    data = games[0].data
    shown = len(games) * games[0].config.runs
    facts: dict = {
        "steps": session.steps,
        "at": games[0].steps,
        "past": past is not None,
        "playing": session.playing,
        "trouble": session.trouble,
        "reach": VIEW,
        "dim": data.dim,
        "games": [
            {"title": title, "runs": game.config.runs, "seed": game.config.seed, **measures(game, ruler)}
            for game, title in zip(games, titles(games), strict=True)
        ],
    }
    arrays = {
        f"{name}.{k}": array for k, game in enumerate(games) for name, array in game_arrays(game, shown, layers).items()
    }
    if static:
        arrays["real"] = positions(data.sample(1000, stream(0, 1))[0])
        if data.modes is not None:
            arrays["modes"] = positions(data.modes)
        if data.dim == 1:
            arrays["density"] = _density(data.masses(Grid(1, VIEW, LINE))[:-1], LINE)
    return facts, arrays


def titles(games: list[Game]) -> list[str]:
    """A title for each game: its objective, or for twins the settings that differ."""
    flat = [_flat(asdict(game.config)) for game in games]
    differing = [name for name in flat[0] if any(values[name] != flat[0][name] for values in flat)]
    if differing in ([], ["objective"]):
        return [game.objective.title for game in games]
    return [", ".join(_setting_text(name, values[name]) for name in differing) for values in flat]


def _setting_text(name: str, value) -> str:
    """A setting in words: "k = 5", "unrolled", "no labels", "r1 0.1"."""
    words = "labels" if name == "conditional" else name.replace("_", " ")
    if name == "d_steps":
        return f"k = {value}"
    if isinstance(value, bool):
        return words if value else f"no {words}"
    return value.replace("-", " ") if name in ("play", "objective", "optimiser") else f"{words} {value}"


def _flat(values: dict, prefix: str = "") -> dict:
    """{"generator": {"units": 64}} -> {"generator units": 64}"""
    flat = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name} ") if isinstance(value, dict) else {prefix + name: value}
    return flat


def measures(game: Game, ruler: Ruler | None) -> dict:
    """Per run: losses, V and gradient norms; with a ruler also its measures, and their floors."""
    runs = game.config.runs
    results: dict = dict.fromkeys(("loss_d", "loss_g", "norm_d", "norm_g"), [None] * runs)
    if game.steps:  # before the first step there are no losses
        loss_d, loss_g = game.losses()
        values = {
            "loss_d": loss_d,
            "loss_g": loss_g,
            "norm_d": game.grad_d.norm(dim=1),
            "norm_g": game.grad_g.norm(dim=1),
        }
        probability = game.objective.probability
        if probability is not None:
            values["value"] = value_function(*(torch.logit(probability(v), eps=1e-6) for v in (game.real, game.fake)))
            values["bound"] = (values["value"] + math.log(4)) / 2
        results |= {name: _json_numbers(v) for name, v in values.items()}
    if ruler is not None:
        results |= ruler.measure(game.generate(*game.noise(ruler.n)), mmd=False)
        results["floors"] = ruler.floors
    return results


def game_arrays(game: Game, shown: int, layers: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Arrays of one game of K runs, by name; `shown` is the number of runs on the page.

    Always "fake" (K, N, dim) and "histogram" (K, 2, BINS), the shares of real and of generated data by D(x). By layer:
    "heat" and "optimum" (K, n, n), x first, "field" (K, n, n, 2), "warp" (K, n + 1, n + 1, dim) and "arrows" (K, N,
    dim). In one dimension (K, n, n) becomes (K, n), and "fake_density" (K, n) is the generator's density.
    """
    size = min(size for size in POINTS if size >= shown)
    dim = game.data.dim
    n = HEAT[size] if dim == 2 else LINE
    z, labels = game.noise(POINTS[size])
    fake = game.generate(z, labels)
    arrays = {"fake": positions(fake)}
    if "heat" in layers or "optimum" in layers:
        d = _probability(game, game.discriminate(*_plane(game, n))).nan_to_num(0.5)
        arrays["heat"] = _levels(d.view(len(d), *[n] * dim))
    if dim == 1 or "optimum" in layers:
        counts = Grid(dim, VIEW, n).counts(game.generate(*game.noise(COUNTED[size], 2)).cpu())
        fake_masses = counts[:, :-1] / COUNTED[size]
        if dim == 1:
            arrays["fake_density"] = _density(fake_masses, n)
        best = optimum(game, fake_masses, n) if "optimum" in layers else None
        if best is not None:
            gap = (d.cpu() - best).nan_to_num(NOWHERE)
            arrays["optimum"] = _levels(gap.view(len(gap), *[n] * dim).clamp_min(-32768 / 32767))
    if "field" in layers:
        points, plane_labels = _plane(game, FIELD)
        field = descent(game, points, plane_labels)
        arrays["field"] = field.view(len(field), *[FIELD] * dim, dim).cpu().numpy().astype(np.float32)
    if "arrows" in layers:
        arrays["arrows"] = descent(game, fake, labels).cpu().numpy().astype(np.float32)
    if "warp" in layers and game.config.latent <= 2:
        arrays["warp"] = positions(warped_grid(game))
    arrays["histogram"] = _histogram(game)
    return arrays


def optimum(game: Game, fake_masses: Tensor, n: int) -> Tensor | None:
    """D* as a probability (K, cells) on n cells along an edge, for the exact masses of the data and the counted shares
    `fake_masses` (K, cells) of the generator; nan where neither has mass. None for an objective without such a D*."""
    objective = game.objective
    if objective.optimal is None or objective.probability is None:
        return None
    p = game.data.masses(Grid(game.data.dim, VIEW, n))[:-1].expand_as(fake_masses)
    v = objective.optimal(p.log().clamp_min(-60), fake_masses.log().clamp_min(-60))
    return objective.probability(v.float()).masked_fill((p < EMPTY) & (fake_masses == 0), torch.nan)


def descent(game: Game, points: Tensor, labels: Tensor) -> Tensor:
    """Where G's loss moves samples at points (K, N, dim): minus its gradient with respect to the sample, -g'(v(x)) grad
    v(x)."""
    with torch.enable_grad():
        x = points.detach().requires_grad_()
        v = game.discriminator_output(game.flat_d, game.with_labels(x, labels))[0]
        (gradient,) = torch.autograd.grad(v.sum(), x)
    return -game.objective.generator.slope(v.detach())[..., None] * gradient


def warped_grid(game: Game) -> Tensor:
    """The image (K, WARP + 1, WARP + 1, dim) of a grid in the latent plane, or (K, 201, dim) of a latent line."""
    reach = 1.0 if game.config.noise == "uniform" else 2.0
    axis = torch.linspace(-reach, reach, WARP + 1 if game.config.latent == 2 else 201, device=game.device)
    grid = torch.cartesian_prod(axis, axis) if game.config.latent == 2 else axis[:, None]
    z = grid.expand(game.config.runs, *grid.shape)
    x = game.generate(z, torch.zeros(z.shape[:2], dtype=torch.int64, device=game.device))
    return x.view(len(x), WARP + 1, WARP + 1, -1) if game.config.latent == 2 else x


def positions(points: Tensor) -> np.ndarray:
    """int16 positions; points outside the view, and nan, go to its edge."""
    scaled = points.nan_to_num(9.0).mul(32767 / VIEW).clamp(-32767, 32767)
    return scaled.cpu().numpy().astype(np.int16)


@lru_cache(maxsize=16)
def _cells(n: int, dim: int) -> Tensor:
    centres = (torch.arange(n) + 0.5) * (2 * VIEW / n) - VIEW
    return torch.cartesian_prod(centres, centres) if dim == 2 else centres[:, None]


def _plane(game: Game, n: int) -> tuple[Tensor, Tensor]:
    """Centres (K, cells, dim) of n cells along each edge, x slowest, with labels 0 (K, cells)."""
    points = _cells(n, game.data.dim).to(game.device).expand(game.config.runs, -1, -1)
    return points, torch.zeros(points.shape[:2], dtype=torch.int64, device=game.device)


def _probability(game: Game, v: Tensor) -> Tensor:
    """D's outputs as 0 (fake) to 1 (real); for a critic without a probability, within the range of its last batch."""
    probability = game.objective.probability
    if probability is not None:
        return probability(v)
    low = torch.minimum(game.real.amin(1), game.fake.amin(1))[:, None]
    high = torch.maximum(game.real.amax(1), game.fake.amax(1))[:, None]
    return ((v - low) / (high - low).clamp_min(1e-9)).clamp(0, 1)


def _histogram(game: Game) -> np.ndarray:
    """(K, 2, BINS) shares of D's last outputs on real and on generated data."""
    outputs = torch.stack([_probability(game, game.real), _probability(game, game.fake)], 1)
    bins = (outputs.nan_to_num(0.5) * BINS).long().clamp(0, BINS - 1)
    return torch.nn.functional.one_hot(bins, BINS).float().mean(2).cpu().numpy()


def _density(masses: Tensor, n: int) -> np.ndarray:
    """The density of masses of n cells on the line."""
    return (masses * (n / (2 * VIEW))).float().numpy()


def _levels(values: Tensor) -> np.ndarray:
    """int16, 32767 for 1."""
    return (values * 32767).round().to(torch.int16).cpu().numpy()


def _json_numbers(values: Tensor) -> list[float | None]:
    """Rounded, with None for nan and infinity, which JSON does not have."""
    return [round(v, 5) if math.isfinite(v) else None for v in values.tolist()]
