"""Data for the canvas: arrays of the right shape, in the right places, and earlier steps."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.toy import frames
from ganlab.toy.config import Config
from ganlab.toy.draws import stream
from ganlab.toy.film import film
from ganlab.toy.frames import frame, optimum, positions, titles
from ganlab.toy.measure import Ruler
from ganlab.toy.session import Session

LAYERS = ("heat", "optimum", "field", "warp", "arrows")


@pytest.mark.parametrize(
    "configs",
    [
        (Config(),),
        (Config(runs=8),),
        (Config(), Config(objective="wgan-gp")),
        (Config(data="gaussians-1d", latent=1, noise="uniform"),),
        (Config(latent=1),),
        (Config(latent=8, conditional=True, minibatch=True),),
        (Config(data="checkerboard", objective="kl"),),
    ],
    ids=lambda c: "-".join(f"{x.data}-{x.objective}-{x.runs}-{x.latent}" for x in c),
)
def test_every_layer_has_the_shape_that_is_drawn(configs):
    session = Session(configs)
    session.advance(3)
    data = session.games[0].data
    facts, arrays = frame(session, Ruler(data, 500), True, LAYERS)
    assert facts["steps"] == facts["at"] == 3
    for k, game in enumerate(session.games):
        runs, dim = game.config.runs, data.dim
        n = frames.HEAT[min(s for s in frames.HEAT if s >= runs * len(configs))] if dim == 2 else frames.LINE
        assert arrays[f"fake.{k}"].shape[::2] == (runs, dim)
        assert arrays[f"heat.{k}"].shape == (runs, *[n] * dim)
        assert arrays[f"field.{k}"].shape == (runs, *[frames.FIELD] * dim, dim)
        assert arrays[f"arrows.{k}"].shape == arrays[f"fake.{k}"].shape
        assert arrays[f"histogram.{k}"].sum(2) == pytest.approx(1)
        assert (f"warp.{k}" in arrays) == (game.config.latent <= 2)
        assert (f"optimum.{k}" in arrays) == (game.objective.probability is not None)
        game_facts = facts["games"][k]
        assert len(game_facts["loss_d"]) == len(game_facts["js"]) == runs
        assert all(np.isfinite(game_facts["norm_g"]))
    assert arrays["real"].shape == (1000, data.dim)


def test_positions_outside_the_plane_go_to_its_edge():
    at = positions(torch.tensor([[-1.6, 1.6], [0.0, 0.8], [99.0, float("nan")]]))
    assert at.tolist() == [[-32767, 32767], [0, 16383], [32767, 32767]]


def test_maps_are_drawn_where_the_points_are():
    """A discriminator that says x > 0 must be bright on the right: x is the first axis of a map."""
    session = Session((Config(),))
    game = session.games[0]
    game.discriminator_output = lambda flat, x, among=None: (20 * x[..., 0], x)
    heat = frame(session, layers=("heat",))[1]["heat.0"][0]
    assert heat[-5:].min() > 30000 > 2000 > heat[:5].max()


def test_the_gradient_field_shows_where_samples_would_move():
    """Minimax and non-saturating gradients have the same direction; where D is certain, that of minimax vanishes."""
    pulls = {}
    for name in ("minimax", "non-saturating"):
        session = Session((Config(objective=name),))
        session.games[0].discriminator_output = lambda flat, x, among=None: (8 * x[..., 0] - 8, x)
        pulls[name] = frame(session, layers=("field",))[1]["field.0"][0]
    x = pulls["non-saturating"][..., 0]
    assert x.min() > 0  # towards larger x, where D says real
    assert abs(pulls["non-saturating"][..., 1]).max() == 0
    assert pulls["minimax"][0, 0, 0] < 1e-4 * x[0, 0]
    torch.testing.assert_close(pulls["minimax"][-1, 0, 0] / x[-1, 0] > 10, np.True_)


def test_the_optimal_discriminator_of_a_perfect_generator_is_one_half():
    game = Session((Config(),)).games[0]
    n = 20
    masses = game.data.masses(frames.Grid(2, frames.VIEW, n))[:-1][None]
    best = optimum(game, masses, n)
    defined = ~best.isnan()
    assert defined.sum() > 30
    assert best[defined].numpy() == pytest.approx(0.5, abs=1e-6)
    assert optimum(Session((Config(objective="wasserstein"),)).games[0], masses, n) is None


def test_earlier_steps_are_shown_unchanged():
    session = Session((Config(),))
    then = []
    for _ in range(6):
        then.append(frame(session, layers=("heat",))[1])
        session.advance(1)
    for k in (0, 3, 5):
        facts, arrays = frame(session, layers=("heat",), past=k)
        assert (facts["steps"], facts["at"], facts["past"]) == (6, k, True)
        for name in ("fake", "heat"):
            assert np.array_equal(arrays[f"{name}.0"], then[k][f"{name}.0"])
    assert session.steps == 6


def test_twins_are_titled_by_their_differences():
    assert titles(Session((Config(), Config(objective="hinge"))).games) == ["Non-saturating", "Hinge"]
    assert titles(Session((Config(), Config(play="unrolled"))).games) == ["alternating", "unrolled"]
    assert titles(Session((Config(), Config(d_steps=5, minibatch=True))).games) == [
        "k = 1, no minibatch",
        "k = 5, minibatch",
    ]
    assert titles(Session((Config(),)).games) == ["Non-saturating"]


@pytest.mark.parametrize(
    ("configs", "panels"), [((Config(),), 1), ((Config(data="gaussians-1d", latent=1),), 1), ((Config(runs=8),), 8)]
)
def test_the_film_shows_the_training_from_its_start(configs, panels):
    session = Session(configs)
    session.advance(20)
    gif = Image.open(io.BytesIO(film(session)))
    assert gif.n_frames == 21
    assert gif.width == min(4, panels) * 308 - 8
    first = np.asarray(gif.convert("RGB"), int)
    gif.seek(20)
    assert abs(np.asarray(gif.convert("RGB"), int) - first).mean() > 1
    assert session.steps == 20


def test_frames_do_not_disturb_the_training():
    watched, alone = Session((Config(d_steps=2),)), Session((Config(d_steps=2),))
    for _ in range(5):
        watched.advance(4)
        frame(watched, Ruler(watched.games[0].data, 300), True, LAYERS, past=1)
    alone.advance(20)
    assert torch.equal(watched.games[0].flat_g, alone.games[0].flat_g)
    assert stream(0, 1).initial_seed() == stream(0, 1).initial_seed()
