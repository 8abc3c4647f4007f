"""Two-parameter games: fields, spirals and eigenvalues with known answers."""

import math

import pytest
import torch

from ganlab.errors import InputError
from ganlab.objectives import OBJECTIVES
from ganlab.toy.dynamics import METHODS, bilinear, dirac_gan, eigenvalues, trajectory

RATE = 0.2
CONVERGES = ("extragradient", "optimistic", "consensus", "negative momentum")


def test_the_bilinear_field_only_rotates():
    states = torch.randn((50, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    v = bilinear().field(states)
    torch.testing.assert_close(v, torch.stack([states[:, 1], -states[:, 0]], 1))
    torch.testing.assert_close((v * states).sum(1), torch.zeros(50, dtype=torch.float64))


@pytest.mark.parametrize("game", [bilinear(), *(dirac_gan(name, 0.3) for name in OBJECTIVES)])
def test_the_field_is_the_gradient_of_each_players_own_loss(game):
    states = torch.randn((20, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    losses = game.losses(states)
    expected = [torch.autograd.grad(losses[:, k].sum(), states, retain_graph=True)[0][:, k] for k in (0, 1)]
    torch.testing.assert_close(game.field(states), torch.stack(expected, 1))


@pytest.mark.parametrize(
    ("method", "modulus"),
    [
        ("simultaneous", math.sqrt(1 + RATE**2)),
        ("alternating", 1.0),
        ("extragradient", math.sqrt(1 - RATE**2 + RATE**4)),
        ("consensus", math.sqrt((1 - RATE) ** 2 + RATE**2)),
    ],
)
def test_moduli_of_the_bilinear_game_in_closed_form(method, modulus):
    values = eigenvalues(bilinear(), method, RATE)
    assert len(values) == 2
    assert values.abs().tolist() == pytest.approx([modulus] * 2, rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_methods_converge_circle_or_spiral_out(method):
    path = trajectory(bilinear(), method, RATE, 400)
    distance = path.norm(dim=1)
    assert path.shape == (401, 2) and distance[0] == pytest.approx(math.sqrt(2))
    if method in CONVERGES:
        assert distance[-1] < distance[0] / 5
        assert float(eigenvalues(bilinear(), method, RATE).abs().max()) < 1
    elif method == "simultaneous":  # out by the same factor in every step
        assert float(distance[-1]) == pytest.approx(math.sqrt(2) * (1 + RATE**2) ** 200, rel=1e-9)
    else:
        assert float(distance[100:].min()) > 1.0 and float(distance.max()) < 2.0


def test_late_steps_shrink_by_the_largest_eigenvalue():
    for method in CONVERGES:
        path = trajectory(bilinear(), method, RATE, 300).norm(dim=1)
        slowest = float(eigenvalues(bilinear(), method, RATE).abs().max())
        assert float((path[300] / path[200]) ** 0.01) == pytest.approx(slowest, rel=0.02)


def test_dirac_gan_converges_only_with_a_penalty():
    """Mescheder et al. 2018, lemmas 2.3 and 4.1: eigenvalues of the field +-i f'(0); R1 gives them a real part."""
    game = dirac_gan("minimax")
    state = torch.zeros(2, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(game.field, state)
    values = torch.linalg.eigvals(jacobian)
    assert values.real.abs().max() < 1e-12 and sorted(values.imag.tolist()) == pytest.approx([-0.5, 0.5])
    assert float(trajectory(game, "simultaneous", 0.1, 2000)[-1].norm()) > 1
    assert float(trajectory(dirac_gan("minimax", r1=1.0), "simultaneous", 0.1, 2000)[-1].norm()) < 1e-6


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_dirac_gan_has_its_equilibrium_at_zero(objective):
    v = dirac_gan(objective).field(torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(v, torch.zeros(2, dtype=torch.float64))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("dice", 0.1, 5), "Method"),
        (("simultaneous", 9.0, 5), "Learning rate is 9"),
        (("simultaneous", 0.1, 0), "Steps is 0"),
    ],
)
def test_refuses_unknown_methods_rates_and_steps(arguments, says):
    with pytest.raises(InputError, match=says):
        trajectory(bilinear(), *arguments)
