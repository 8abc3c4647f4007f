"""The Live GAN page's two side rooms: games of two numbers, and densities that one moves apart."""

from __future__ import annotations

import asyncio
import math

import gradio as gr

from ganlab.errors import InputError
from ganlab.lazy import torch
from ganlab.objectives import OBJECTIVES
from ganlab.toy.densities import CENTRES, GRID, SHAPES, WIDTHS, Density, compare, terms
from ganlab.toy.distributions import VIEW
from ganlab.toy.dynamics import METHODS, TwoPlayers, bilinear, dirac_gan, eigenvalues, trajectory
from ganlab.ui.components import canvas

BILINEAR, DIRAC = "Bilinear: f(x, y) = xy", "Dirac-GAN"
STEPS = 400
FIELD = 15  # arrows along an edge
MAX_R1 = 5.0
SHOWN = 4.0  # half the width of the drawn axis of densities
LATEX = [{"left": "$", "right": "$", "display": False}]

ABOUT_GAMES = r"""
**What am I looking at?** Two players with one number each. In the *bilinear game* $x$ descends $f=xy$ and $y$ ascends
it; in the *Dirac-GAN* ([Mescheder et al. 2018](https://arxiv.org/abs/1801.04406)) the data sit at $0$, the generator at
$\theta$, and $D(x)=\psi x$. The grey arrows are what both players want at once, $v=-(\partial_x L_1,\partial_y L_2)$:
they turn about the equilibrium, because $v$ is no gradient of anything (its Jacobian has imaginary eigenvalues). A step
of each method multiplies small deviations by eigenvalues $\lambda$: outside the unit circle it spirals out, on it it
circles, inside it converges. Drag the start; point at a name to see its path alone.
"""
ABOUT_DENSITIES = r"""
**What am I looking at?** Drag the blue density $p$ (real) and the orange one $q$ (generated); drag with Shift, or
the wheel, for the width. Entropy $H(p)=-\int p\log p$; cross-entropy $H(p,q)=-\int p\log q$;
$\mathrm{KL}(p,q)=\int p\log\frac{p}{q}=H(p,q)-H(p)$, infinite where $p$ is and $q$ is not;
$\mathrm{JS}=\frac12\mathrm{KL}(p,m)+\frac12\mathrm{KL}(q,m)$ with $m=\frac{p+q}{2}$ never exceeds $\log 2$.
$\mathrm{KL}(p,q)$ punishes a $q$ that misses a hump of $p$, $\mathrm{KL}(q,p)$ one that puts mass where $p$ has none:
one spreads, the other collapses. Once the two no longer overlap, JS stays at $\log 2$ and tells nothing of the
distance; the Wasserstein distance still does ([Arjovsky et al. 2017](https://arxiv.org/abs/1701.07875)).
"""


def finite(values: list) -> list:
    """Rounded for JSON, which knows neither infinity nor nan."""
    return [round(v, 5) if math.isfinite(v) else None for v in values]


def number(request: dict, name: str, low: float, high: float) -> float:
    """A number that a browser sent. Raises InputError."""
    value = request.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InputError(f"{name.capitalize()} {value} is not a number from {low:g} to {high:g}.")
    return float(value)


def two_players(request: dict) -> TwoPlayers:
    if request.get("game") == BILINEAR:
        return bilinear()
    return dirac_gan(str(request.get("objective")), number(request, "r1", 0, MAX_R1))


def played(request: dict) -> dict:
    """Paths, eigenvalues and field of a game; request: game, objective, r1, rate, x, y. {"error"} for a mistake."""
    try:
        game = two_players(request)
        rate = number(request, "rate", 1e-3, 1.0)
        start = (number(request, "x", -VIEW, VIEW), number(request, "y", -VIEW, VIEW))
        methods = {}
        for name in METHODS:
            path = trajectory(game, name, rate, STEPS, start)
            found = eigenvalues(game, name, rate)
            methods[name] = {
                "path": [finite(column) for column in path.T.tolist()],
                "eigenvalues": [finite([v.real, v.imag]) for v in found.tolist()],
                "modulus": round(float(found.abs().max()), 5),
            }
    except InputError as error:
        return {"error": str(error)}
    at = torch.linspace(-VIEW, VIEW, FIELD, dtype=torch.float64) * (1 - 1 / FIELD)
    places = torch.cartesian_prod(at, at)
    field = -game.field(places).detach()
    return {
        "axes": game.axes, "methods": methods, "reach": VIEW,
        "places": finite(places.flatten().tolist()), "field": finite(field.flatten().tolist()),
    }  # fmt: skip


def measured(request: dict) -> dict:
    """Curves and measures of request["p"] and request["q"], each shape, centre and width. {"error"} for a mistake."""
    try:
        p, q = (
            Density(str(one.get("shape")), number(one, "centre", *CENTRES), number(one, "width", *WIDTHS)).log_masses()
            for one in (request.get("p") or {}, request.get("q") or {})
        )
    except (InputError, AttributeError) as error:
        return {"error": str(error) if isinstance(error, InputError) else "Two densities are needed."}
    inside = slice(*(round((1 + side * SHOWN / GRID.reach) * GRID.cells / 2) for side in (-1, 1)), 2)
    scale = GRID.cells / (2 * GRID.reach)
    curves = {"p": p.exp() * scale, "q": q.exp() * scale, **terms(p, q)}
    return {
        "reach": SHOWN,
        "curves": {name: finite(curve[inside].tolist()) for name, curve in curves.items()},
        "measures": dict(zip(found := compare(p, q), finite(list(found.values())), strict=True)),
    }


def computing_canvas(scripts: tuple[str, ...], start: str, function, elem_id: str, value: dict) -> gr.HTML:
    """A canvas component that asks the server for numbers; `start` is its JavaScript function."""

    async def compute(request: dict) -> dict:
        return await asyncio.to_thread(function, request if isinstance(request, dict) else {})

    call = f"{start}(element.firstElementChild, props, watch, server)"
    return canvas(elem_id, scripts, call, value, "gl-viewer gl-toy", server_functions=[compute])


def games_page(quiet: dict) -> None:
    """Bilinear game and Dirac-GAN."""
    usual = {"game": BILINEAR, "objective": "minimax", "r1": 0.0, "rate": 0.1}
    with gr.Row(elem_classes="gl-page gl-live"):
        with gr.Column(scale=1, min_width=260, elem_classes="gl-controls"):
            game = gr.Radio([BILINEAR, DIRAC], value=BILINEAR, label="Game", elem_id="games-game")
            rate = gr.Slider(0.01, 0.5, 0.1, step=0.01, label="Learning rate", elem_id="games-rate")
            objective = gr.Dropdown(
                [(o.title, name) for name, o in OBJECTIVES.items()], value="minimax", label="Objective", visible=False,
                elem_id="games-objective"
            )  # fmt: skip
            r1 = gr.Slider(0, 1, 0, step=0.05, label="R1 penalty (gamma)", visible=False, elem_id="games-r1")
        with gr.Column(scale=4, elem_classes="gl-result"):
            scripts = (
                "shared/colour.js",
                "shared/controls.js",
                "shared/plane.js",
                "shared/curves.js",
                "live/two_players.js",
            )
            picture = computing_canvas(scripts, "twoPlayerGame", played, "games", usual)
            gr.Markdown(ABOUT_GAMES, latex_delimiters=LATEX)

    def chosen(game: str, objective: str, r1: float, rate: float):
        dirac = game == DIRAC
        return (
            {"game": game, "objective": objective, "r1": r1, "rate": rate},
            gr.update(visible=dirac), gr.update(visible=dirac),
        )  # fmt: skip

    for event in (game.input, objective.input, r1.input, rate.input):
        event(chosen, [game, objective, r1, rate], [picture, objective, r1], trigger_mode="always_last", **quiet)


def densities_page(quiet: dict) -> None:
    """Entropy, Kullback-Leibler, Jensen-Shannon and their kin, of two movable densities."""
    with gr.Row(elem_classes="gl-page gl-live"):
        with gr.Column(scale=1, min_width=260, elem_classes="gl-controls"):
            p = gr.Radio(list(SHAPES), value="two humps", label="p, the data", elem_id="densities-p")
            q = gr.Radio(list(SHAPES), value="normal", label="q, the generator", elem_id="densities-q")
            units = gr.Radio(["nats", "bits"], value="nats", label="Unit", elem_id="densities-unit")
        with gr.Column(scale=4, elem_classes="gl-result"):
            scripts = (
                "shared/colour.js",
                "shared/controls.js",
                "shared/plane.js",
                "shared/curves.js",
                "live/densities.js",
            )
            limits = {"centres": CENTRES, "widths": WIDTHS}
            start = {"p": "two humps", "q": "normal", "unit": "nats", **limits}
            picture = computing_canvas(scripts, "densityBench", measured, "densities", start)
            gr.Markdown(ABOUT_DENSITIES, latex_delimiters=LATEX)

    def chosen(p: str, q: str, unit: str):
        return {"p": p, "q": q, "unit": unit, **limits}

    for event in (p.input, q.input, units.input):
        event(chosen, [p, q, units], picture, **quiet)
