"""Settings of a command line: read, put into a configuration, and written again."""

import copy
import pickle
import shlex
from dataclasses import FrozenInstanceError, replace
from itertools import pairwise
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganlab.errors import InputError
from ganlab.generation.presets import PRESETS, command
from ganlab.settings import (
    Field,
    OneOf,
    as_settings,
    changes,
    from_values,
    frozen_config,
    parse_settings,
    setting,
    settings_of,
    with_settings,
)

DIGITS = PRESETS["dcgan-digits"]


@frozen_config
class Layers:
    units: int = Field(64, ge=1, le=512, title="Hidden units", description="Of each hidden layer.")
    activation: Annotated[str, OneOf({"relu": "ReLU", "tanh": "tanh"})] = "relu"


@frozen_config
class Blocks:
    blocks: int = Field(3, ge=1, title="Residual blocks")


@frozen_config
class Training:
    rate: float = Field(2e-3, ge=1e-6, le=1.0, title="Learning rate", description="Of Adam.")
    batch: int = Field(128, ge=4, le=1024, step=4)
    skull: float | None = Field(None, ge=3.0, le=12.0, unit="mm", title="Skull thickness")
    field: Annotated[float, OneOf((1.5, 3.0))] = 3.0
    planes: tuple[str, ...] = ("axial",)
    noisy: bool = False
    network: Layers | Blocks = Field(default_factory=lambda: Layers(activation="tanh"), title="Network")

    def __post_init__(self):
        if self.noisy and self.batch > 512:
            raise InputError(f"Batch is {self.batch}; with noise give at most 512.")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"batch": 3}, "Batch is 3; give a whole number from 4 to 1024 (default 128)."),
        ({"batch": 8.5}, "Batch is 8.5; give a whole number from 4 to 1024 (default 128)."),
        ({"batch": True}, "Batch is true; give a whole number from 4 to 1024 (default 128)."),
        ({"batch": "8"}, 'Batch is "8"; give a whole number from 4 to 1024 (default 128).'),
        ({"rate": float("nan")}, "Learning rate is NaN; give a number from 1e-06 to 1 (default 0.002)."),
        ({"skull": 1.0}, "Skull thickness is 1.0; give a number from 3 to 12 mm, or leave it out."),
        ({"field": 7.0}, "Field is 7.0; give one of 1.5, 3.0 (default 3)."),
        ({"planes": [1]}, 'Planes holds 1; give a list such as ["axial"].'),
        ({"planes": "axial"}, 'Planes is "axial"; give a list such as ["axial"].'),
        ({"network": 5}, "Network is 5; give its parts by name."),
        ({"network": {"units": 0}}, "Network: Hidden units is 0; give a whole number from 1 to 512 (default 64)."),
        ({"network": {"blocks": 0}}, "Network: Residual blocks is 0; give a whole number of at least 1 (default 3)."),
        ({"network": {"colour": 0}}, "Setting colour is not known; choose from units, activation."),
        ({"noisy": True, "batch": 600}, "Batch is 600; with noise give at most 512."),
    ],
)
def test_a_config_refuses_invalid_values_in_one_sentence(values, sentence):
    with pytest.raises(InputError) as raised:
        from_values(Training, values)
    assert str(raised.value) == sentence


def test_a_constructor_is_as_strict_as_the_decoder():
    for wrong, words in (
        ({"batch": 8.5}, "Batch is 8.5"),
        ({"batch": 0}, "from 4 to 1024"),
        ({"size": 1}, "not known"),
    ):
        with pytest.raises(InputError, match=words):
            Training(**wrong)
        with pytest.raises(InputError, match=words):
            from_values(Training, wrong)
    with pytest.raises(InputError, match="Learning rate is 3"):
        Training(3)
    with pytest.raises(InputError, match="Batch is 0"):
        replace(Training(), batch=0)
    with pytest.raises(InputError, match="give an object"):
        from_values(Training, [1])
    with pytest.raises(FrozenInstanceError):
        Training().batch = 8


def test_a_nested_config_keeps_the_defaults_of_its_field():
    assert from_values(Training, {"network": {"units": 9}}).network == Layers(9, "tanh")
    assert from_values(Training, {"network": {"blocks": 9}}).network == Blocks(9)
    assert with_settings(Training(network=Blocks(5)), {"network": {}}).network == Blocks(5)


@given(
    st.builds(
        Training,
        rate=st.floats(1e-6, 1),
        batch=st.integers(4, 512),
        noisy=st.booleans(),
        skull=st.none() | st.floats(3, 12),
        field=st.sampled_from((1.5, 3.0)),
        planes=st.lists(st.text()).map(tuple),
        network=st.builds(Layers, units=st.integers(1, 512)) | st.builds(Blocks, blocks=st.integers(1)),
    )
)
def test_settings_in_a_link_are_read_back_exactly(made):
    assert from_values(Training, changes(made)) == made
    assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == made  # noqa: S301


def test_only_what_differs_is_written():
    assert changes(Training()) == {}
    assert changes(Training(batch=8, network=Blocks())) == {"batch": 8, "network": {"blocks": 3}}


def test_pages_and_commands_get_the_whole_declaration_of_a_setting():
    rate, batch, skull = (setting(Training, name) for name in ("rate", "batch", "skull"))
    assert (rate.title, rate.help, rate.kind, rate.default, rate.low, rate.high) == (
        "Learning rate", "Of Adam.", float, 2e-3, 1e-6, 1.0,
    )  # fmt: skip
    assert (batch.title, batch.step, batch.optional) == ("Batch", 4, False)
    assert (skull.default, skull.unit, skull.optional, skull.kind) == (None, "mm", True, float)
    assert setting(Training, "network.activation").choices == {"relu": "ReLU", "tanh": "tanh"}
    assert [each.name for each in settings_of(Layers)] == ["units", "activation"]
    with pytest.raises(LookupError):
        setting(Training, "colour")


def test_settings_from_the_command_line():
    parsed = parse_settings(["batch=64", "generator.units=32", "generator.activation=tanh", "conditional=true"])
    assert parsed == {"batch": 64, "generator": {"units": 32, "activation": "tanh"}, "conditional": True}
    assert parse_settings(["generator=5", "generator.units=32"]) == {"generator": {"units": 32}}
    with pytest.raises(InputError, match="not NAME=VALUE"):
        parse_settings(["batch"])
    with pytest.raises(InputError, match="not NAME=VALUE"):
        parse_settings(["=5"])


def test_settings_change_a_configuration_and_are_read_back():
    texts = ["batch=16", "rate_d=0.05", 'augment=["flip", "cutout"]', "network.norm=none", "network.strided=false"]
    config = with_settings(DIGITS, parse_settings(texts))
    network = replace(DIGITS.network, norm="none", strided=False)
    assert config == replace(DIGITS, batch=16, rate_d=0.05, augment=("flip", "cutout"), network=network)
    assert with_settings(DIGITS, parse_settings(as_settings(config, DIGITS))) == config
    assert as_settings(DIGITS, DIGITS) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour=red", "colour is not known; choose from data, "),
        ("network.colour=red", "colour is not known; choose from kind, "),
        ("network=fc", r"Network is \"fc\"; give its parts"),
        ("batch=4.5", "Batch.* is 4.5; give a whole number"),
        ("batch=true", "Batch.* is true; give a whole number"),
        ("network.strided=no", r"[Ss]trided.* is \"no\"; give true or false"),
        ("augment=flip", r"augment.* is \"flip\"; give a list"),
        ("augment=[1]", r"augment.* holds 1; give a list"),
        ("rate_d=fast", "give a number"),
        ("objective=null", "Objective.* is null; give"),
    ],
)
def test_refuses_impossible_settings(text, words):
    with pytest.raises(InputError, match=words):
        with_settings(DIGITS, parse_settings([text]))


@pytest.mark.parametrize("name", PRESETS)
def test_a_command_repeats_its_training_run(name):
    config = replace(PRESETS[name], batch=24, augment=("flip", "cutout"), steps=7, epoch=3)
    words = shlex.split(command(config, 12))
    assert words[:4] == ["python", "-m", "ganlab", "train"] and words[-4:-2] == ["--steps", "12"]
    preset = PRESETS[words[4]]
    settings = [word for flag, word in pairwise(words) if flag == "--set"]
    again = with_settings(preset, parse_settings(settings))
    assert replace(again, steps=7, epoch=3) == config and preset.data == config.data


def test_a_command_for_user_images_asks_for_their_folder():
    config = replace(DIGITS, data="own-64", network=replace(DIGITS.network, size=64, classes=0))
    assert "--source YOUR-FOLDER" in command(config, 1) and "--steps" not in command(config, 0)


def test_a_command_begins_with_the_nearest_preset():
    network = replace(DIGITS.network, kind="fc")
    assert " fc-digits --set " in command(replace(DIGITS, network=network), 5)
    assert " dcgan-nodules --set batch=16 --steps 5 " in command(replace(PRESETS["dcgan-nodules"], batch=16), 5)
