"""Settings of a game: validation, error messages and serialisation."""

from dataclasses import replace

import pytest

from ganlab.errors import InputError
from ganlab.settings import setting
from ganlab.toy.config import Config, Network, as_dict, from_dict
from ganlab.toy.distributions import DISTRIBUTIONS
from ganlab.toy.game import TOGETHER
from ganlab.toy.optimisers import OPTIMISERS


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rate_g": 1e9}, r"Learning rate of G is 1000000000\.0; give a number from 1e-06 to 1 \(default 0\.002\)\."),
        ({"rate_d": float("nan")}, "Learning rate of D is NaN; give a number"),
        ({"batch": 2}, "Batch is 2; give a whole number from 4 to 1024"),
        ({"batch": 7.5}, r"Batch is 7\.5; give a whole number"),
        ({"batch": "many"}, 'Batch is "many"; give a whole number'),
        ({"runs": 9}, "Runs is 9"),
        ({"seed": -1}, "Seed is -1"),
        ({"seed": True}, "Seed is true"),
        ({"objective": "mini"}, 'Objective is "mini"; give one of minimax'),
        ({"objective": ["x"]}, "Objective is .*; give one of minimax"),
        ({"play": "dice"}, 'Turns is "dice"; give one of alternating'),
        ({"latent": 3}, "Dimensions of the noise is 3; give one of 1, 2, 8"),
        ({"generator": {"layers": 9}}, "Generator: Hidden layers is 9; give a whole number from 1 to 5"),
        ({"generator": {"width": 9}}, "Setting width is not known; choose from layers"),
        ({"generator": 7}, "Generator is 7"),
        ({"generator": {"spectral": True}}, "turn it off in the generator"),
        ({"smoothing": 0.1, "objective": "hinge"}, "no labels to smooth"),
        ({"speed": 1}, "Setting speed is not known; choose from data"),
        (7, "The settings are 7"),
    ],
)
def test_refuses_invalid_settings_in_one_sentence(change, says):
    with pytest.raises(InputError, match=says):
        from_dict(change)


def test_network_settings_are_merged_with_the_defaults():
    assert from_dict({"discriminator": {"units": 32}}).discriminator == Network(3, 32, "leaky-relu")


def test_settings_are_read_back_from_json():
    config = Config(objective="hinge", discriminator=Network(2, 12, spectral=True), seed=2**53 - 1, batch=16)
    assert from_dict(as_dict(config)) == config
    assert as_dict(Config()) == {}
    assert set(as_dict(replace(Config(), rate_g=1e-3))) == {"rate_g"}


def test_every_choice_exists():
    assert set(setting(Config, "data").choices) == set(DISTRIBUTIONS)
    assert set(setting(Config, "optimiser").choices) == set(OPTIMISERS)
    assert set(setting(Config, "play").choices) == {"alternating", "unrolled", *TOGETHER}
