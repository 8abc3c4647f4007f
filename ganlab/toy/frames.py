"""What a canvas needs to draw a training at one moment, packed as bytes: a JSON header, then small arrays.

    uint32 length of the header | header | arrays one after another, as header["arrays"] lists them

Positions are int16, +-32767 for +-VIEW; probabilities int16, 0 to 32767 for 0 to 1, and differences of them likewise.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import asdict
from functools import lru_cache

import numpy as np

from ganlab.divergences import Grid
from ganlab.lazy import Tensor, torch
from ganlab.objectives import value_function
from ganlab.toy.distributions import VIEW
from ganlab.toy.game import Game, stream
from ganlab.toy.measure import Ruler
from ganlab.toy.session import Session

POINTS = {1: 600, 2: 600, 8: 250}  # generated points shown of each run, by the number of runs on the page
HEAT = {1: 48, 2: 40, 8: 20}  # cells of D's map along an edge
LINE = 96  # and in one dimension
COUNTED = {1: 8000, 2: 4000, 8: 1500}  # generated points of each run that the generator's density is counted from
FIELD = 16  # arrows along an edge of the gradient field
WARP = 16  # cells of the latent grid along an edge
BINS = 24  # of the histograms of D(x)


def frame(
    session: Session,
    ruler: Ruler | None = None,
    steady: bool = False,
    layers: tuple[str, ...] = (),
    past: int | None = None,
) -> bytes:
    """The session now, or at its past moment number `past`. ruler: also measure what was learned. steady: also send
    what does not change, real points, modes and (in one dimension) the density.

    layers: any of "heat", "optimum", "field", "warp", "arrows", which cost time.
    """
    games = session.games if past is None else session.recall(past)
    data = games[0].data
    header: dict = {
        "steps": session.steps,
        "at": games[0].steps,
        "past": past is not None,
        "playing": session.playing,
        "trouble": session.trouble,
        "reach": VIEW,
        "dim": data.dim,
        "games": [],
        "arrays": [],
    }
    parts: list[bytes] = []

    def put(name: str, game: int, array: np.ndarray) -> None:
        header["arrays"].append({"name": name, "game": game, "shape": array.shape, "type": array.dtype.name})
        parts.append(np.ascontiguousarray(array).tobytes())

    for k, (game, title) in enumerate(zip(games, titles(games), strict=True)):
        known = {"title": title, "runs": game.config.runs, "seed": game.config.seed}
        header["games"].append(known | numbers(game, ruler))
        for name, array in pictures(game, len(games) * game.config.runs, layers).items():
            put(name, k, array)
    if steady:
        put("real", 0, positions(data.sample(1000, stream(0, 1))[0]))
        if data.modes is not None:
            put("modes", 0, positions(data.modes))
        if data.dim == 1:
            put("density", 0, _density(data.masses(Grid(1, VIEW, LINE))[:-1], LINE))
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 4)  # arrays start at a multiple of four bytes
    return struct.pack("<I", len(head)) + head + b"".join(parts)


def titles(games: list[Game]) -> list[str]:
    """What to call each game: its objective, or for twins what they differ in."""
    written = [_flat(asdict(game.config)) for game in games]
    differ = [name for name in written[0] if any(w[name] != written[0][name] for w in written)]
    if differ in ([], ["objective"]):
        return [game.objective.title for game in games]
    return [", ".join(_said(name, w[name]) for name in differ) for w in written]


def _said(name: str, value) -> str:
    """A setting in words: "k = 5", "unrolled", "no labels", "r1 0.1"."""
    words = "labels" if name == "conditional" else name.replace("_", " ")
    if name == "d_steps":
        return f"k = {value}"
    if isinstance(value, bool):
        return words if value else f"no {words}"
    return value.replace("-", " ") if name in ("play", "objective", "optimiser") else f"{words} {value}"


def _flat(values: dict, prefix: str = "") -> dict:
    """{"generator": {"units": 64}} -> {"generator units": 64}"""
    plain = {}
    for name, value in values.items():
        plain |= _flat(value, f"{prefix}{name} ") if isinstance(value, dict) else {prefix + name: value}
    return plain


def numbers(game: Game, ruler: Ruler | None) -> dict:
    """Per run: losses, V, gradient norms; with a ruler also the measures, and their floors."""
    runs = game.config.runs
    found: dict = dict.fromkeys(("loss_d", "loss_g", "norm_d", "norm_g"), [None] * runs)
    if game.steps:  # before, nobody has said anything
        loss_d, loss_g = game.losses()
        values = {
            "loss_d": loss_d, "loss_g": loss_g, "norm_d": game.grad_d.norm(dim=1), "norm_g": game.grad_g.norm(dim=1),
        }  # fmt: skip
        probability = game.objective.probability
        if probability is not None:
            values["value"] = value_function(*(torch.logit(probability(v), eps=1e-6) for v in (game.real, game.fake)))
            values["bound"] = (values["value"] + math.log(4)) / 2
        found |= {name: _listed(v) for name, v in values.items()}
    if ruler is not None:
        found |= ruler.measure(game.generate(*game.noise(ruler.n)), mmd=False)
        found["floors"] = ruler.floors
    return found


def pictures(game: Game, shown: int, layers: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Arrays by name: "fake" (K, N, dim), "heat" (K, n, n), "optimum" (K, n, n), "field" (K, n, n, 2), "warp"
    (K, n + 1, n + 1, dim), "arrows" (K, N, dim) and "bins" (K, 2, BINS), the shares of real and generated data by D(x);
    in one dimension n in place of n, n, and "made" (K, n), the generator's density.
    """
    room = min(size for size in POINTS if size >= shown)
    dim = game.data.dim
    n = HEAT[room] if dim == 2 else LINE
    z, labels = game.noise(POINTS[room])
    fake = game.generate(z, labels)
    found = {"fake": positions(fake)}
    if "heat" in layers or "optimum" in layers:
        said = _unit(game, game.discriminate(*_plane(game, n))).nan_to_num(0.5)
        found["heat"] = _levels(said.view(len(said), *[n] * dim))
    if dim == 1 or "optimum" in layers:
        made = Grid(dim, VIEW, n)
        made = made.counts(game.generate(*game.noise(COUNTED[room], 2)).cpu())[:, :-1] / COUNTED[room]
        if dim == 1:
            found["made"] = _density(made, n)
        best = optimum(game, made, n) if "optimum" in layers else None
        if best is not None:
            gap = (said.cpu() - best).nan_to_num(-2.0)  # -2: neither distribution is there
            found["optimum"] = _levels(gap.view(len(gap), *[n] * dim).clamp_min(-32768 / 32767))
    if "field" in layers:
        points, plane_labels = _plane(game, FIELD)
        pull = pulls(game, points, plane_labels)
        found["field"] = pull.view(len(pull), *[FIELD] * dim, dim).cpu().numpy().astype(np.float32)
    if "arrows" in layers:
        found["arrows"] = pulls(game, fake, labels).cpu().numpy().astype(np.float32)
    if "warp" in layers and game.config.latent <= 2:
        found["warp"] = positions(warped(game))
    outputs = torch.stack([_unit(game, game.real), _unit(game, game.fake)], 1)
    edges = (outputs.nan_to_num(0.5) * BINS).long().clamp(0, BINS - 1)
    found["bins"] = torch.nn.functional.one_hot(edges, BINS).float().mean(2).cpu().numpy()
    return found


def optimum(game: Game, made: Tensor, n: int) -> Tensor | None:
    """(K, cells) D*, as a probability, on n cells along an edge: from the exact masses of the data and the counted
    shares `made` (K, cells) of the generator; nan where neither has any. None where the objective has no such D*."""
    objective = game.objective
    if objective.optimal is None or objective.probability is None:
        return None
    p = game.data.masses(Grid(game.data.dim, VIEW, n))[:-1].expand_as(made)
    best = objective.probability(objective.optimal(p.log().clamp_min(-60), made.log().clamp_min(-60)).float())
    return best.masked_fill((p < 1e-5) & (made == 0), torch.nan)


def pulls(game: Game, points: Tensor, labels: Tensor) -> Tensor:
    """Where G's loss pulls samples at points (K, N, dim): minus its derivative by the sample, -g'(v(x)) grad v(x)."""
    with torch.enable_grad():
        x = points.detach().requires_grad_()
        v = game._discriminate(game.flat_d, game._labelled(x, labels))[0]
        (gradient,) = torch.autograd.grad(v.sum(), x)
    return -game.objective.generator.slope(v.detach())[..., None] * gradient


def warped(game: Game) -> Tensor:
    """(K, WARP + 1, WARP + 1, dim): what the generator makes of a grid of its latent plane; (K, N, 1) of a line."""
    reach = 1.0 if game.config.noise == "uniform" else 2.0
    at = torch.linspace(-reach, reach, WARP + 1 if game.config.latent == 2 else 201, device=game.device)
    grid = torch.cartesian_prod(at, at) if game.config.latent == 2 else at[:, None]
    z = grid.expand(game.config.runs, *grid.shape)
    made = game.generate(z, torch.zeros(z.shape[:2], dtype=torch.int64, device=game.device))
    return made.view(len(made), WARP + 1, WARP + 1, -1) if game.config.latent == 2 else made


def positions(points: Tensor) -> np.ndarray:
    """int16, +-32767 for +-VIEW; what lies outside, or nowhere, is put at the edge."""
    scaled = points.nan_to_num(9.0).mul(32767 / VIEW).clamp(-32767, 32767)
    return scaled.cpu().numpy().astype(np.int16)


@lru_cache(maxsize=16)
def _cells(n: int, dim: int) -> Tensor:
    at = (torch.arange(n) + 0.5) * (2 * VIEW / n) - VIEW
    return torch.cartesian_prod(at, at) if dim == 2 else at[:, None]


def _plane(game: Game, n: int) -> tuple[Tensor, Tensor]:
    """Midpoints (K, cells, dim) of n cells along each edge, x slowest, with labels 0."""
    points = _cells(n, game.data.dim).to(game.device).expand(game.config.runs, -1, -1)
    return points, torch.zeros(points.shape[:2], dtype=torch.int64, device=game.device)


def _unit(game: Game, v: Tensor) -> Tensor:
    """D's outputs as 0 (fake) to 1 (real); critics without a probability relative to what they just said."""
    probability = game.objective.probability
    if probability is not None:
        return probability(v)
    low = torch.minimum(game.real.amin(1), game.fake.amin(1))[:, None]
    high = torch.maximum(game.real.amax(1), game.fake.amax(1))[:, None]
    return ((v - low) / (high - low).clamp_min(1e-9)).clamp(0, 1)


def _density(masses: Tensor, n: int) -> np.ndarray:
    """Masses of n cells of a line as a density."""
    return (masses * (n / (2 * VIEW))).float().numpy()


def _levels(values: Tensor) -> np.ndarray:
    """int16, 32767 for 1."""
    return (values * 32767).round().to(torch.int16).cpu().numpy()


def _listed(values: Tensor) -> list[float | None]:
    """For JSON, which has no nan."""
    return [round(v, 5) if math.isfinite(v) else None for v in values.tolist()]
