"""A step changes both networks, alike for a seed; penalties act; what is no longer a number is said."""

import math
from dataclasses import replace

import pytest
import torch

from ganlab.errors import InputError
from ganlab.generation.game import LAZY, Game, GanConfig, Trouble, check_game
from ganlab.generation.image_kinds import Images, get_kind
from ganlab.generation.networks import NetworkConfig, noise
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
    """The state as a file would hold it, where all tensors are contiguous."""
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
def test_a_game_in_bfloat16_is_nearly_that_in_float32(images, name, monkeypatch):
    played = []
    for tiles in (False, True):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda tiles=tiles: {"amx_bf16": tiles})
        game = Game(GAMES[name], images)
        played.append([game.step() for _ in range(2)])
        assert all(v.dtype == torch.float32 for v in game.weights().values() if v.is_floating_point())
    for exact, near in zip(*played, strict=True):
        assert all(near[k] == pytest.approx(exact[k], rel=0.1, abs=0.05) for k in ("d", "g", "real", "fake"))


@pytest.mark.parametrize("name", GAMES)
def test_a_restored_game_goes_on_as_it_would_have(images, name):
    game = Game(GAMES[name], images)
    begun = copied(game)
    first = [game.step() for _ in range(2)]
    middle = copied(game)
    for part in ("generator", "discriminator"):
        assert any(not torch.equal(v, middle[part][k]) for k, v in begun[part].items())
    rest = [game.step() for _ in range(2)]
    again = Game(GAMES[name], images)
    assert [again.step() for _ in range(2)] == first
    for other in (again, Game(GAMES[name], images)):
        other.restore(middle, 2)
        assert [other.step() for _ in range(2)] == rest and other.number == 4
        assert same(copied(game), copied(other))


def test_another_seed_is_another_game(images):
    games = [Game(replace(TINY, seed=seed), images) for seed in (0, 1)]
    assert games[0].step() != games[1].step()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_takes_steps(images, name):
    game = Game(replace(TINY, objective=name), images)
    assert game.probability() is None
    for _ in range(3):
        numbers = game.step()
        assert set(numbers) == {"d", "g", "real", "fake", "norm_d", "norm_g"}
        assert all(math.isfinite(v) for v in numbers.values()) and numbers["norm_d"] > 0 and numbers["norm_g"] > 0
    said = game.probability()
    assert (said is None) == (OBJECTIVES[name].probability is None)
    assert said is None or all(v.shape == (8,) and v.min() >= 0 and v.max() <= 1 for v in said)
    if name == "wasserstein":
        assert all(p.abs().max() <= TINY.clip for p in game.discriminator.parameters())


def slopes(game):
    """|gradient| of D at all images (64,)."""
    x = game.pool
    return gradient_norm2(lambda v: game.discriminator(v.view_as(x), game.labels), x.flatten(1)).sqrt().detach()


def test_r1_is_half_gamma_times_the_squared_gradient_at_real_images_now_and_then(images):
    config = replace(TINY, network=FREE, r1=3.0, rate_d=0.0, rate_g=0.0)
    game, free = Game(config, images), Game(replace(config, r1=0.0), images)
    rows = [(images.images == image).all((1, 2, 3)).nonzero().item() for image in game._draw(game._chance())[0]]
    wanted = LAZY * 3.0 / 2 * slopes(game)[rows].square().mean().item()
    assert game.step()["d"] - free.step()["d"] == pytest.approx(wanted, rel=1e-4)
    for _ in range(LAZY - 1):
        assert game.step() == free.step()
    assert game.step()["d"] > free.step()["d"]


@pytest.mark.parametrize(("changes", "low", "high"), [({"r1": 10.0}, 0, 0.4), ({"objective": "wgan-gp"}, 0.7, 1.3)])
def test_penalties_hold_the_gradient(images, changes, low, high):
    config = replace(TINY, network=FREE, rate_d=3e-3, beta1=0.0, **changes)
    held, free = Game(config, images), Game(replace(config, r1=0.0, penalty=0.0), images)
    for _ in range(25):
        held.step()
        free.step()
    assert low <= slopes(held).mean() < high < slopes(free).mean()


def test_the_gradient_penalty_is_taken_lambda_times(images):
    config = replace(TINY, network=FREE, objective="wgan-gp")
    none, once, twice = (Game(replace(config, penalty=p), images).step()["d"] for p in (0.0, 1.0, 2.0))
    assert once > none and twice - none == pytest.approx(2 * (once - none), rel=1e-4)


def test_d_takes_its_steps_and_rates_are_each_networks_own(images):
    game = Game(replace(TINY, d_steps=3, rate_g=0.0), images)
    before = {k: v.clone() for k, v in game.generator.named_parameters()}
    game.step()
    counts = {name: next(iter(o.state.values()))["step"].item() for name, o in game.optimizers.items()}
    assert counts == {"generator": 1, "discriminator": 3}
    assert all(torch.equal(v, before[k]) for k, v in game.generator.named_parameters())
    assert all(p.requires_grad for p in game.discriminator.parameters())


def test_samples_are_of_the_averaged_weights_and_leave_the_game_alone(images):
    game, z, labels = Game(TINY, images), noise(0, 4, LABELLED), torch.arange(4)
    for _ in range(3):
        game.step()
    before = copied(game)
    found = game.sample(z, labels)
    assert found.shape == (4, 1, 16, 16) and found.abs().max() <= 1 and torch.equal(found, game.sample(z, labels))
    assert same(before, copied(game)) and game.generator.training
    assert any(not torch.equal(v, game.generator.state_dict()[k]) for k, v in game.weights().items())
    plain = Game(replace(TINY, horizon=0), images)
    plain.step()
    wanted = plain.generator.eval()(z, labels)
    assert torch.allclose(plain.sample(z, labels), wanted, atol=1e-6)


@pytest.mark.parametrize("part", ["generator", "discriminator"])
def test_a_weight_that_is_no_number_is_trouble_and_a_state_mends_it(images, part):
    game, whole = Game(TINY, images), Game(TINY, images)
    for each in (game, whole):
        each.step()
    kept = copied(game)
    with torch.no_grad():
        next(getattr(game, part).parameters()).fill_(math.nan)
    with pytest.raises(Trouble, match="loss of the discriminator is nan"):
        game.step()
    game.restore(kept, 1)
    assert game.step() == whole.step()


def test_a_gradient_beyond_numbers_is_trouble(images):
    """The loss is still finite; the squared gradient, which Adam keeps, is not."""
    game = Game(replace(TINY, objective="kl"), images)
    with torch.no_grad():
        game.discriminator.score[-1].bias.fill_(70)
    with pytest.raises(Trouble, match="gradient of the discriminator is inf"):
        game.step()


def test_the_state_of_another_game_is_refused(images):
    game, wide = Game(TINY, images), Game(replace(TINY, network=replace(LABELLED, width=8)), images)
    with pytest.raises(RuntimeError):
        game.restore(wide.state(), 1)
    with pytest.raises(KeyError):
        game.restore({"generator": game.generator.state_dict()}, 1)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"batch": 2}, "batch 2 is outside 4 to 512"),
        ({"rate_d": math.nan}, "rate_d nan is outside 0 to 0.1"),
        ({"d_steps": 0}, "d_steps 0"),
        ({"seed": -1}, "seed -1"),
        ({"objective": "gan"}, 'Objective "gan" is not known'),
        ({"augment": ("rotate",)}, '"rotate" is not known'),
        ({"objective": "hinge", "smoothing": 0.1}, "no labels to smooth"),
        ({"smoothing": 0.7}, "outside 0-0.5"),
    ],
)
def test_what_cannot_be_played_is_said(images, changes, sentence):
    for check in (check_game, lambda config: Game(config, images)):
        with pytest.raises(InputError, match=sentence):
            check(replace(TINY, **changes))
    with pytest.raises(InputError, match="Width is 1"):
        Game(replace(TINY, network=replace(LABELLED, width=1)), images)


@pytest.mark.parametrize("name", [name for name in PRESETS if name.startswith("dcgan-brain")])
def test_every_preset_of_brains_takes_a_step_on_images_of_its_size(name):
    config = replace(PRESETS[name], batch=4)
    kind, size = get_kind(config.data), config.network.size
    assert kind.size == size and kind.modality in ("t1", "ct", "fa")
    drawn = torch.rand((8, 1, size, size), generator=torch.Generator().manual_seed(0)) * 2 - 1
    game = Game(config, Images(kind, drawn, torch.zeros(8, dtype=torch.int64)))
    assert all(math.isfinite(v) for v in game.step().values())
    assert game.sample(noise(0, 2, config.network), torch.zeros(2, dtype=torch.int64)).shape == (2, 1, size, size)
