"""A training step: it is reproducible, its penalties work, and it stops if a loss is NaN."""

import math
from dataclasses import replace

import pytest
import torch

from ganlab.errors import InputError
from ganlab.generation.config import GanConfig, NetworkConfig
from ganlab.generation.game import LAZY, Diverged, ImageGame
from ganlab.generation.image_kinds import Images, get_kind
from ganlab.generation.networks import noise
from ganlab.generation.presets import PRESETS
from ganlab.objectives import OBJECTIVES, gradient_norm2

LABELLED = NetworkConfig(size=16, z=10, width=4, classes=10)
TINY = GanConfig(data="digits", network=LABELLED, batch=8, horizon=5)
FREE = replace(LABELLED, norm_d="none", small_start=False)  # D without batch normalisation


@pytest.fixture(scope="module")
def images():
    drawn = torch.rand((64, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    return Images(get_kind("digits"), drawn * 2 - 1, torch.arange(64) % 10)


def copied(game):
    """The state as loaded from a file: all tensors are contiguous."""
    return {part: {k: v.contiguous().clone() for k, v in tensors.items()} for part, tensors in game.state().items()}


def same(a, b):
    return all(torch.equal(v, b[part][k]) for part, tensors in a.items() for k, v in tensors.items())


GAMES = {
    "dcgan": TINY,
    "fc": replace(TINY, network=replace(LABELLED, kind="fc")),
    "spectral": replace(TINY, network=replace(LABELLED, spectral=True), objective="hinge"),
    "augmented": replace(TINY, d_steps=2, smoothing=0.1, augment=("flip", "translation", "cutout", "intensity")),
    "wgan-gp": replace(TINY, objective="wgan-gp", network=FREE),
    "r1": replace(TINY, r1=1.0, horizon=0),
}


@pytest.mark.parametrize("name", GAMES)
def test_bfloat16_gives_nearly_the_losses_of_float32(images, name, monkeypatch):
    losses = []
    for tiles in (False, True):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda tiles=tiles: {"amx_bf16": tiles})
        game = ImageGame(GAMES[name], images)
        losses.append([game.take_step() for _ in range(2)])
        assert all(v.dtype == torch.float32 for v in game.weights().values() if v.is_floating_point())
    for exact, near in zip(*losses, strict=True):
        assert all(near[k] == pytest.approx(exact[k], rel=0.1, abs=0.05) for k in ("d", "g", "real", "fake"))


@pytest.mark.parametrize("name", GAMES)
def test_a_restored_game_continues_exactly(images, name):
    game = ImageGame(GAMES[name], images)
    begun = copied(game)
    first = [game.take_step() for _ in range(2)]
    middle = copied(game)
    for part in ("generator", "discriminator"):
        assert any(not torch.equal(v, middle[part][k]) for k, v in begun[part].items())
    rest = [game.take_step() for _ in range(2)]
    again = ImageGame(GAMES[name], images)
    assert [again.take_step() for _ in range(2)] == first
    for other in (again, ImageGame(GAMES[name], images)):
        other.restore(middle, 2)
        assert [other.take_step() for _ in range(2)] == rest and other.step == 4
        assert same(copied(game), copied(other))


def test_another_seed_gives_other_losses(images):
    games = [ImageGame(replace(TINY, seed=seed), images) for seed in (0, 1)]
    assert games[0].take_step() != games[1].take_step()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_takes_steps(images, name):
    game = ImageGame(replace(TINY, objective=name), images)
    assert game.probability() is None
    for _ in range(3):
        numbers = game.take_step()
        assert set(numbers) == {"d", "g", "real", "fake", "norm_d", "norm_g"}
        assert all(math.isfinite(v) for v in numbers.values()) and numbers["norm_d"] > 0 and numbers["norm_g"] > 0
    probabilities = game.probability()
    assert (probabilities is None) == (OBJECTIVES[name].probability is None)
    assert probabilities is None or all(v.shape == (8,) and v.min() >= 0 and v.max() <= 1 for v in probabilities)
    if name == "wasserstein":
        assert all(p.abs().max() <= TINY.clip for p in game.discriminator.parameters())


def gradient_norms(game):
    """|gradient| of D at all images (64,)."""
    x = game.real_images
    return gradient_norm2(lambda v: game.discriminator(v.view_as(x), game.labels), x.flatten(1)).sqrt().detach()


def test_r1_is_half_gamma_times_the_squared_gradient_at_real_images_every_eighth_step(images):
    config = replace(TINY, network=FREE, r1=3.0, rate_d=0.0, rate_g=0.0)
    game, free = ImageGame(config, images), ImageGame(replace(config, r1=0.0), images)
    rows = [(images.images == image).all((1, 2, 3)).nonzero().item() for image in game._draw(game._generator())[0]]
    expected = LAZY * 3.0 / 2 * gradient_norms(game)[rows].square().mean().item()
    assert game.take_step()["d"] - free.take_step()["d"] == pytest.approx(expected, rel=1e-4)
    for _ in range(LAZY - 1):
        assert game.take_step() == free.take_step()
    assert game.take_step()["d"] > free.take_step()["d"]


@pytest.mark.parametrize(("changes", "low", "high"), [({"r1": 10.0}, 0, 0.4), ({"objective": "wgan-gp"}, 0.7, 1.3)])
def test_penalties_limit_the_gradient(images, changes, low, high):
    config = replace(TINY, network=FREE, rate_d=3e-3, beta1=0.0, **changes)
    held, free = ImageGame(config, images), ImageGame(replace(config, r1=0.0, penalty=0.0), images)
    for _ in range(25):
        held.take_step()
        free.take_step()
    assert low <= gradient_norms(held).mean() < high < gradient_norms(free).mean()


def test_the_gradient_penalty_is_proportional_to_lambda(images):
    config = replace(TINY, network=FREE, objective="wgan-gp")
    none, once, twice = (ImageGame(replace(config, penalty=p), images).take_step()["d"] for p in (0.0, 1.0, 2.0))
    assert once > none and twice - none == pytest.approx(2 * (once - none), rel=1e-4)


def test_d_takes_d_steps_and_each_network_has_its_own_learning_rate(images):
    game = ImageGame(replace(TINY, d_steps=3, rate_g=0.0), images)
    before = {k: v.clone() for k, v in game.generator.named_parameters()}
    game.take_step()
    counts = {name: next(iter(o.state.values()))["step"].item() for name, o in game.optimizers.items()}
    assert counts == {"generator": 1, "discriminator": 3}
    assert all(torch.equal(v, before[k]) for k, v in game.generator.named_parameters())
    assert all(p.requires_grad for p in game.discriminator.parameters())


def test_samples_use_the_averaged_weights_and_do_not_change_the_game(images):
    game, z, labels = ImageGame(TINY, images), noise(0, 4, LABELLED), torch.arange(4)
    for _ in range(3):
        game.take_step()
    before = copied(game)
    result = game.sample(z, labels)
    assert result.shape == (4, 1, 16, 16) and result.abs().max() <= 1 and torch.equal(result, game.sample(z, labels))
    assert same(before, copied(game)) and game.generator.training
    assert any(not torch.equal(v, game.generator.state_dict()[k]) for k, v in game.weights().items())
    plain = ImageGame(replace(TINY, horizon=0), images)
    plain.take_step()
    expected = plain.generator.eval()(z, labels)
    assert torch.allclose(plain.sample(z, labels), expected, atol=1e-6)


@pytest.mark.parametrize("part", ["generator", "discriminator"])
def test_a_nan_weight_stops_the_game_and_an_earlier_state_restores_it(images, part):
    game, whole = ImageGame(TINY, images), ImageGame(TINY, images)
    for each in (game, whole):
        each.take_step()
    saved = copied(game)
    with torch.no_grad():
        next(getattr(game, part).parameters()).fill_(math.nan)
    with pytest.raises(Diverged, match="loss of the discriminator is nan"):
        game.take_step()
    game.restore(saved, 1)
    assert game.take_step() == whole.take_step()


def test_an_infinite_gradient_stops_the_game(images):
    """The loss is still finite; the squared gradient, which Adam keeps, is not."""
    game = ImageGame(replace(TINY, objective="kl"), images)
    with torch.no_grad():
        game.discriminator.score[-1].bias.fill_(70)
    with pytest.raises(Diverged, match="gradient of the discriminator is inf"):
        game.take_step()


def test_the_state_of_another_game_is_refused(images):
    game, wide = ImageGame(TINY, images), ImageGame(replace(TINY, network=replace(LABELLED, width=8)), images)
    with pytest.raises(RuntimeError):
        game.restore(wide.state(), 1)
    with pytest.raises(KeyError):
        game.restore({"generator": game.generator.state_dict()}, 1)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"batch": 2}, "Batch is 2; give a whole number from 4 to 512"),
        ({"rate_d": math.nan}, "Learning rate of D is NaN; give a number from 0 to 0.1"),
        ({"d_steps": 0}, "Steps of D per step of G is 0"),
        ({"seed": -1}, "Seed is -1"),
        ({"objective": "gan"}, 'Objective is "gan"; give one of minimax'),
        ({"augment": ("rotate",)}, 'Differentiable augmentation holds "rotate"'),
        ({"objective": "hinge", "smoothing": 0.1}, "no labels to smooth"),
        ({"smoothing": 0.7}, "One-sided label smoothing is 0.7; give a number from 0 to 0.5"),
    ],
)
def test_refuses_settings_out_of_range_or_that_do_not_fit_together(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        replace(TINY, **changes)


@pytest.mark.parametrize("name", [name for name in PRESETS if name.startswith("dcgan-brain")])
def test_every_preset_of_brains_takes_a_step_on_images_of_its_size(name):
    config = replace(PRESETS[name], batch=4)
    kind, size = get_kind(config.data), config.network.size
    assert kind.size == size and kind.modality in ("t1", "ct", "fa")
    drawn = torch.rand((8, 1, size, size), generator=torch.Generator().manual_seed(0)) * 2 - 1
    game = ImageGame(config, Images(kind, drawn, torch.zeros(8, dtype=torch.int64)))
    assert all(math.isfinite(v) for v in game.take_step().values())
    assert game.sample(noise(0, 2, config.network), torch.zeros(2, dtype=torch.int64)).shape == (2, 1, size, size)
