"""Settings of a command line: read, put into a configuration, and written again."""

import shlex
from dataclasses import replace
from itertools import pairwise

import pytest

from ganlab.errors import InputError
from ganlab.generation.presets import PRESETS, command
from ganlab.settings import as_settings, parse_settings, with_settings

DIGITS = PRESETS["dcgan-digits"]


def test_settings_from_the_command_line():
    parsed = parse_settings(["batch=64", "generator.units=32", "generator.activation=tanh", "conditional=true"])
    assert parsed == {"batch": 64, "generator": {"units": 32, "activation": "tanh"}, "conditional": True}
    assert parse_settings(["generator=5", "generator.units=32"]) == {"generator": {"units": 32}}
    with pytest.raises(InputError, match="not NAME=VALUE"):
        parse_settings(["batch"])


def test_a_configuration_takes_settings_and_says_what_they_were():
    said = ["batch=16", "rate_d=1", 'augment=["flip", "cutout"]', "network.norm=none", "network.strided=false"]
    config = with_settings(DIGITS, parse_settings(said))
    network = replace(DIGITS.network, norm="none", strided=False)
    assert config == replace(DIGITS, batch=16, rate_d=1, augment=("flip", "cutout"), network=network)
    assert with_settings(DIGITS, parse_settings(as_settings(config, DIGITS))) == config
    assert as_settings(DIGITS, DIGITS) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour=red", "colour is not known; choose from data, "),
        ("network.colour=red", "colour is not known; choose from kind, "),
        ("network=fc", r"network is \"fc\"; give its parts"),
        ("batch=4.5", "batch is 4.5; give a whole number"),
        ("batch=true", "batch is true; give a whole number"),
        ("network.strided=no", r"strided is \"no\"; give true or false"),
        ("augment=flip", r"augment is \"flip\"; give as"),
        ("augment=[1]", r"augment is \[1\]"),
        ("rate_d=fast", "give a number"),
        ("objective=null", "objective is null; give a name"),
    ],
)
def test_settings_that_cannot_be_are_said(text, words):
    with pytest.raises(InputError, match=words):
        with_settings(DIGITS, parse_settings([text]))


@pytest.mark.parametrize("name", PRESETS)
def test_a_command_says_the_training_it_repeats(name):
    config = replace(PRESETS[name], batch=24, augment=("flip", "cutout"), steps=7, epoch=3)
    words = shlex.split(command(config, 12))
    assert words[:4] == ["python", "-m", "ganlab", "train"] and words[-4:-2] == ["--steps", "12"]
    preset = PRESETS[words[4]]
    settings = [word for flag, word in pairwise(words) if flag == "--set"]
    again = with_settings(preset, parse_settings(settings))
    assert replace(again, steps=7, epoch=3) == config and preset.data == config.data


def test_a_command_for_ones_own_images_asks_for_their_folder():
    config = replace(DIGITS, data="own-64", network=replace(DIGITS.network, size=64, classes=0))
    assert "--source YOUR-FOLDER" in command(config, 1) and "--steps" not in command(config, 0)


def test_a_command_begins_with_the_nearest_preset():
    network = replace(DIGITS.network, kind="fc")
    assert " fc-digits --set " in command(replace(DIGITS, network=network), 5)
    assert " dcgan-nodules --set batch=16 --steps 5 " in command(replace(PRESETS["dcgan-nodules"], batch=16), 5)
