"""The engine: gradients against autograd, optimisers against torch's, reproducible runs, every kind of game."""

from dataclasses import replace

import pytest
import torch

from ganlab.objectives import OBJECTIVES, SMOOTHABLE
from ganlab.toy.config import Config, Network, as_dict
from ganlab.toy.draws import CHUNK
from ganlab.toy.game import Game, parameters
from ganlab.toy.networks import ACTIVATIONS, spectrum
from ganlab.toy.optimisers import OPTIMISERS, new_state

SMALL = Network(layers=2, units=12)
TWO = Config(generator=SMALL, discriminator=SMALL, batch=16, rate_g=1e-3, rate_d=1e-3, runs=2)
ADDITIONS = [
    {"r1": 0.5},
    {"minibatch": True},
    {"feature_matching": True},
    {"virtual_batch_norm": True},
    {"instance_noise": 0.2},
    {"smoothing": 0.1},
    {"conditional": True},
    {"play": "simultaneous"},
    {"play": "extragradient"},
    {"play": "optimistic"},
    {"play": "consensus"},
    {"play": "unrolled", "unroll": 2},
    {"d_steps": 3},
    {"latent": 1, "noise": "uniform"},
    {"discriminator": replace(SMALL, spectral=True)},
    {"data": "gaussians-1d"},
    {
        "data": "disjoint-pair",
        "conditional": True,
        "minibatch": True,
        "instance_noise": 0.1,
        "virtual_batch_norm": True,
    },
]


def gradients(config: Config, by_hand: bool) -> tuple[torch.Tensor, torch.Tensor]:
    game = Game(config)
    for _ in range(3):
        game.step()
    assert game.by_hand
    game.by_hand = by_hand
    turn = game.draws(3)[0]
    with torch.no_grad():
        game.gradient_d(turn)
        game.gradient_g(turn)
    return game.grad_d.clone(), game.grad_g.clone()


CASES = [replace(TWO, objective=name) for name in OBJECTIVES if name != "wgan-gp"]
CASES += [replace(TWO, objective=name, smoothing=0.1) for name in SMOOTHABLE]
CASES += [
    replace(TWO, generator=replace(SMALL, activation=a), discriminator=replace(SMALL, activation=a))
    for a in ACTIVATIONS
]
CASES += [replace(TWO, discriminator=replace(SMALL, spectral=True)), replace(TWO, instance_noise=0.3)]
CASES += [replace(TWO, conditional=True), replace(TWO, data="gaussians-1d", latent=1)]


@pytest.mark.parametrize("config", CASES, ids=lambda c: "-".join(map(str, as_dict(c).values()))[:60])
def test_manual_gradients_equal_autograd(config):
    for manual, reference in zip(gradients(config, True), gradients(config, False), strict=True):
        scale = reference.abs().max()
        assert scale > 0
        assert float((manual - reference).abs().max() / scale) < 1e-5
        torch.testing.assert_close(manual, reference, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("sgd", lambda p: torch.optim.SGD([p], 0.01)),
        ("momentum", lambda p: torch.optim.SGD([p], 0.01, momentum=0.5)),
        ("rmsprop", lambda p: torch.optim.RMSprop([p], 0.01, alpha=0.999)),
        ("adam", lambda p: torch.optim.Adam([p], 0.01, betas=(0.5, 0.999))),
    ],
)
def test_optimisers_step_like_torch(name, reference):
    generator = torch.Generator().manual_seed(0)
    ours = torch.randn((1, 50), generator=generator)
    theirs = ours.clone().requires_grad_()
    state, optimiser = new_state(ours), reference(theirs)
    for _ in range(10):
        g = torch.randn((1, 50), generator=generator)
        delta, state = OPTIMISERS[name](g, state, 0.01, 0.5, 0.999)
        ours = ours - delta
        theirs.grad = g
        optimiser.step()
    torch.testing.assert_close(ours, theirs.detach(), atol=1e-6, rtol=1e-5)


def test_a_run_equals_plain_pytorch():
    """The same weights, data and noise through modules, BCE and torch's Adam, step by step."""
    config = replace(TWO, runs=1, d_steps=2)
    game = Game(config)

    def module(layers):
        parts = []
        for weight, bias in layers:
            linear = torch.nn.Linear(weight.shape[1], weight.shape[2])
            linear.weight.data, linear.bias.data = weight[0].T.clone(), bias[0, 0].clone()
            parts += [linear, torch.nn.ReLU()]
        return torch.nn.Sequential(*parts[:-1])

    g, d = module(game.layers_g), module(game.layers_d)
    opt_g, opt_d = (torch.optim.Adam(m.parameters(), 1e-3, betas=(0.5, 0.999)) for m in (g, d))
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    for step in range(20):
        *turns, last = game.draws(step)
        for t in turns:
            real, fake = d(t.real[0]), d(g(t.z[0]).detach())
            opt_d.zero_grad()
            (bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))).backward()
            opt_d.step()
        v = d(g(last.z[0]))
        opt_g.zero_grad()
        bce(v, torch.ones_like(v)).backward()
        opt_g.step()
        game.step()
    z = torch.randn(1, 100, 2)
    torch.testing.assert_close(
        game.generate(z, torch.zeros(1, 100, dtype=torch.int64))[0], g(z[0]).detach(), atol=1e-4, rtol=1e-3
    )


@pytest.mark.parametrize("change", [{}, *[{"objective": n} for n in OBJECTIVES], *ADDITIONS], ids=str)
def test_every_game_trains_and_is_reproducible(change):
    config = replace(TWO, **change)
    first, second = Game(config), Game(config)
    start = first.flat_g.clone(), first.flat_d.clone()
    for game in (first, second):
        for _ in range(CHUNK + 2):
            game.step()
    assert first.finite()
    assert not torch.equal(first.flat_g, start[0]) and not torch.equal(first.flat_d, start[1])
    assert torch.equal(first.flat_g, second.flat_g) and torch.equal(first.flat_d, second.flat_d)
    assert not torch.equal(first.flat_g[0], first.flat_g[1])  # seeds differ
    z, labels = first.noise(50)
    x = first.generate(z, labels)
    assert x.shape == (2, 50, first.data.dim)
    assert first.discriminate(x, labels).shape == (2, 50)
    assert all(torch.isfinite(loss).all() for loss in first.losses())


@pytest.mark.parametrize(
    "change", [{}, {"discriminator": replace(SMALL, spectral=True)}, {"play": "optimistic"}], ids=str
)
def test_a_restored_game_continues_exactly(change):
    game = Game(replace(TWO, **change))
    for _ in range(10):
        game.step()
    snapshot = game.snapshot()
    for _ in range(25):
        game.step()
    flat_g = game.flat_g.clone()
    game.restore(snapshot)
    assert game.steps == 10
    for _ in range(25):
        game.step()
    assert torch.equal(game.flat_g, flat_g)


def test_twins_see_the_same_data_and_noise():
    one, other = Game(TWO), Game(replace(TWO, objective="hinge", instance_noise=0.1, rate_g=0.01))
    a, b = one.draws(21)[0], other.draws(21)[0]
    assert torch.equal(a.real, b.real) and torch.equal(a.z, b.z)
    assert torch.equal(one.flat_g, other.flat_g) and torch.equal(one.flat_d, other.flat_d)


def test_run_k_has_the_seed_plus_k():
    many, one = Game(replace(TWO, seed=5)), Game(replace(TWO, seed=6, runs=1))
    assert torch.equal(many.flat_g[1], one.flat_g[0])
    assert torch.equal(many.draws(3)[0].real[1], one.draws(3)[0].real[0])


def test_hyper_parameters_can_change_during_training():
    game, same = Game(TWO), Game(TWO)
    for _ in range(5):
        game.step()
        same.step()
    game.configure(replace(TWO, rate_g=1e-6))
    before = game.flat_g.clone()
    game.step()
    same.step()
    assert 0 < float((game.flat_g - before).abs().max()) < 1e-5
    assert torch.equal(game.flat_d, same.flat_d)


def test_steps_of_one_player():
    game = Game(TWO)
    g, d = game.flat_g.clone(), game.flat_d.clone()
    game.step("d")
    assert torch.equal(game.flat_g, g) and not torch.equal(game.flat_d, d)
    d = game.flat_d.clone()
    game.step("g")
    assert not torch.equal(game.flat_g, g) and torch.equal(game.flat_d, d)


def test_clipped_weights_stay_clipped():
    game = Game(replace(TWO, objective="wasserstein", clip=0.02))
    for _ in range(5):
        game.step()
    assert float(game.flat_d.abs().max()) <= 0.02


def test_spectral_norm_bounds_the_slope():
    config = replace(TWO, discriminator=replace(SMALL, spectral=True), runs=1)
    game = Game(config)
    for _ in range(30):
        game.step()
    layers, _ = game.normalised_d()
    assert all(float(torch.linalg.matrix_norm(w[0], 2)) < 1.1 for w, _ in layers)
    sigma = spectrum(game.layers_d[1][0], game.right[1], 200).sigma
    torch.testing.assert_close(sigma[0, 0, 0], torch.linalg.matrix_norm(game.layers_d[1][0][0], 2))


def test_the_r1_gradient_matches_finite_differences():
    """Against finite differences in double precision."""
    game = Game(replace(TWO, runs=1, r1=2.0, discriminator=replace(SMALL, activation="tanh")))
    turn = game.draws(0)[0]
    turn = turn._replace(real=turn.real.double(), z=turn.z.double())
    flat_g, flat_d = game.flat_g.double(), game.flat_d.double()
    direction = torch.randn(flat_d.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    flat = flat_d.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(game.loss_d(flat, flat_g, turn).sum(), flat)
    h = 1e-5
    up, down = (game.loss_d(flat_d + s * h * direction, flat_g, turn).detach() for s in (1, -1))
    assert float((gradient * direction).sum()) == pytest.approx(float((up - down) / (2 * h)), rel=1e-5)


def test_unrolled_gradients_include_the_next_steps_of_d():
    """Against finite differences of G's loss after D's steps, with plain descent."""
    tanh = replace(SMALL, activation="tanh")
    config = replace(
        TWO, runs=1, play="unrolled", unroll=3, optimiser="sgd", rate_d=0.1, discriminator=tanh, generator=tanh
    )
    game = Game(config)
    turn = game.draws(0)[0]
    turn = turn._replace(real=turn.real.double(), z=turn.z.double())
    start_g, start_d = game.flat_g.double(), game.flat_d.double()

    def ahead(flat_g):
        flat_d = start_d
        for _ in range(3):
            flat_d = flat_d.detach().requires_grad_()
            flat_d = flat_d - 0.1 * torch.autograd.grad(game.loss_d(flat_d, flat_g, turn).sum(), flat_d)[0]
        return float(game.loss_g(flat_d.detach(), flat_g, turn))

    game.flat_g, game.flat_d, game.grad_g = start_g, start_d, start_g.clone()
    with torch.no_grad():
        game.gradient_g(turn)
    direction = torch.randn(start_g.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    slope = (ahead(start_g + 1e-5 * direction) - ahead(start_g - 1e-5 * direction)) / 2e-5
    assert float((game.grad_g * direction).sum()) == pytest.approx(slope, rel=1e-4)


def test_divergence_is_detected():
    game = Game(replace(TWO, optimiser="sgd", rate_g=1.0, rate_d=1.0, objective="pearson"))
    for _ in range(200):
        game.step()
    assert not game.finite()


def test_parameter_counts():
    network = Network(3, 128)
    assert parameters(Game(Config(generator=network, discriminator=network))) == (33666, 33537)
