"""The sub-tab of two-parameter games: fields, paths of every method, eigenvalues."""

from __future__ import annotations

import gradio as gr

from ganlab.errors import InputError
from ganlab.lazy import torch
from ganlab.settings import from_values
from ganlab.toy.distributions import VIEW
from ganlab.toy.dynamics import METHODS, TwoPlayerConfig, TwoPlayers, eigenvalues, trajectory, two_players
from ganlab.ui.components import QUIET
from ganlab.ui.controls import control
from ganlab.ui.pages.live.computing import LATEX, computing_canvas, json_numbers

FIELD = 15  # arrows along an edge
STEPS = 400  # of a path
ABOUT = r"""
**What am I looking at?** Two players with one parameter each. In the *bilinear game* $x$ descends $f=xy$ and $y$
ascends it; in the *Dirac-GAN* ([Mescheder et al. 2018](https://arxiv.org/abs/1801.04406)) the data lie at $0$, the
generator at $\theta$, and $D(x)=\psi x$. The grey arrows show where both players move at once,
$v=-(\partial_x L_1,\partial_y L_2)$. They rotate about the equilibrium, because $v$ is not a gradient: its Jacobian has
imaginary eigenvalues. A step of each method multiplies small deviations by eigenvalues $\lambda$. Outside the unit
circle the path spirals out, on it the path circles, and inside it converges. Drag the start; hover over a method to
see its path alone.
"""


def games_page() -> None:
    """Add the bilinear game and the Dirac-GAN to the Blocks that are being built."""
    names = ("game", "rate", "objective", "r1")
    with gr.Row(elem_classes="gl-page gl-live"):
        with gr.Column(scale=1, min_width=260, elem_classes="gl-controls"):
            controls = {
                name: control(
                    TwoPlayerConfig, name, elem_id=f"games-{name}", visible=name in ("game", "rate"), info=None
                )
                for name in names
            }
        with gr.Column(scale=4, elem_classes="gl-result"):
            value = {name: getattr(TwoPlayerConfig(), name) for name in names}
            picture = computing_canvas("live/two_player_canvas.js", "twoPlayerGame", paths, "games", value)
            gr.Markdown(ABOUT, latex_delimiters=LATEX)
    inputs, outputs = list(controls.values()), [picture, controls["objective"], controls["r1"]]
    for component in inputs:
        component.input(choose_game, inputs, outputs, trigger_mode="always_last", **QUIET)


def choose_game(game: str, rate: float, objective: str, r1: float):
    """The picture's value for the controls' settings; only the Dirac-GAN has an objective and a penalty."""
    visible = gr.update(visible=game == "dirac-gan")
    return {"game": game, "rate": rate, "objective": objective, "r1": r1}, visible, visible


def paths(question: dict) -> dict:
    """Paths, eigenvalues and field for the settings in a question, or {"error"}."""
    try:
        config = from_values(TwoPlayerConfig, question)
    except InputError as error:
        return {"error": str(error)}
    game = two_players(config)
    axis = torch.linspace(-VIEW, VIEW, FIELD, dtype=torch.float64) * (1 - 1 / FIELD)
    places = torch.cartesian_prod(axis, axis)
    return {
        "axes": game.axes,
        "reach": VIEW,
        "methods": {name: method_path(game, name, config) for name in METHODS},
        "places": json_numbers(places.flatten().tolist()),
        "field": json_numbers((-game.field(places)).detach().flatten().tolist()),
    }


def method_path(game: TwoPlayers, method: str, config: TwoPlayerConfig) -> dict:
    """The path of one method, as [x values, y values], and the eigenvalues of its step."""
    path = trajectory(game, method, config.rate, STEPS, (config.x, config.y))
    values = eigenvalues(game, method, config.rate)
    return {
        "path": [json_numbers(column) for column in path.T.tolist()],
        "eigenvalues": [json_numbers([v.real, v.imag]) for v in values.tolist()],
        "modulus": round(float(values.abs().max()), 5),
    }
