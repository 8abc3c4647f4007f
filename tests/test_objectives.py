"""Every objective: derivatives, optimal discriminator, and the divergence it minimises."""

import math

import pytest
import torch

from ganlab import divergences
from ganlab.errors import InputError
from ganlab.objectives import (
    OBJECTIVES,
    SMOOTHABLE,
    get_objective,
    gradient_norm2,
    gradient_penalty,
    smoothed,
    value_function,
)

WITH_OPTIMUM = [n for n, o in OBJECTIVES.items() if o.optimal]
P = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
Q = torch.tensor([0.4, 0.25, 0.3, 0.05], dtype=torch.float64)


def games():
    return [*OBJECTIVES.values(), *(smoothed(OBJECTIVES[n], 0.1) for n in SMOOTHABLE)]


@pytest.mark.parametrize("game", games(), ids=lambda g: g.name)
@pytest.mark.parametrize("part", ["real", "fake", "generator"])
def test_slopes_are_derivatives(game, part):
    term = getattr(game, part)
    v = torch.linspace(-3.03, 3.01, 101, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(term.value(v).sum(), v)
    torch.testing.assert_close(term.slope(v.detach()), expected, atol=1e-12, rtol=1e-12)


def discriminator_loss(game, v):
    return (P * game.real.value(v)).sum() + (Q * game.fake.value(v)).sum()


@pytest.mark.parametrize("game", [g for g in games() if g.optimal], ids=lambda g: g.name)
def test_no_discriminator_beats_the_optimal_one(game):
    best = game.optimal(P.log(), Q.log())
    loss = discriminator_loss(game, best)
    generator = torch.Generator().manual_seed(0)
    for size in (1e-3, 0.1, 1.0):
        for _ in range(200):
            other = best + size * torch.randn(4, generator=generator, dtype=torch.float64)
            assert discriminator_loss(game, other) >= loss - 1e-12
    if game.name != "hinge":  # where the loss is smooth, its slope is 0
        slope = P * game.real.slope(best) + Q * game.fake.slope(best)
        torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", divergences.F_DIVERGENCES)
def test_f_gan_loss_of_the_optimal_discriminator_is_the_divergence(name):
    game = OBJECTIVES[name]
    bound = -discriminator_loss(game, game.optimal(P.log(), Q.log()))
    torch.testing.assert_close(bound, divergences.F_DIVERGENCES[name](P, Q))


def test_value_of_the_optimal_discriminator_is_twice_js_minus_log_4():
    best = OBJECTIVES["minimax"].optimal(P.log(), Q.log())
    value = -discriminator_loss(OBJECTIVES["minimax"], best)
    torch.testing.assert_close(value, 2 * divergences.js(P, Q) - math.log(4))


def test_value_function_of_a_fooled_discriminator_is_minus_log_4():
    assert value_function(torch.zeros(3, 10), torch.zeros(3, 7)).tolist() == pytest.approx([-math.log(4)] * 3)


def test_losses_are_means_over_all_outputs():
    game = OBJECTIVES["least-squares"]
    assert float(game.discriminator_loss(torch.zeros(2, 3), torch.ones(5))) == pytest.approx(1.0)
    assert float(game.generator_loss(torch.zeros(4, 1, 2))) == pytest.approx(0.5)


@pytest.mark.parametrize("name", [n for n in WITH_OPTIMUM if OBJECTIVES[n].probability and n != "hinge"])
def test_probability_of_the_optimal_output_is_p_over_p_plus_q(name):
    game = OBJECTIVES[name]
    probability = game.probability(game.optimal(P.log(), Q.log()))
    torch.testing.assert_close(probability, P / (P + Q))


def test_gradient_penalties_of_a_linear_critic():
    def net(x):
        return 3 * x[..., 0] + 4 * x[..., 1]

    x, y, mix = torch.randn(2, 5, 2), torch.randn(2, 5, 2), torch.rand(2, 5, 1)
    torch.testing.assert_close(gradient_norm2(net, x), torch.full((2, 5), 25.0))
    torch.testing.assert_close(gradient_penalty(net, x, y, mix), torch.full((2, 5), 16.0))


def test_refuses_unknown_names_and_smoothing_amounts():
    with pytest.raises(InputError, match="choose from minimax"):
        get_objective("maximin")
    with pytest.raises(InputError, match=r"outside 0-0\.5"):
        smoothed(OBJECTIVES["minimax"], 0.7)
    with pytest.raises(InputError, match="no labels to smooth"):
        smoothed(OBJECTIVES["wgan-gp"], 0.1)
