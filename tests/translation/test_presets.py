"""Presets of translators, and the effect of --set on them."""

import dataclasses
import re

import pytest

from ganlab.errors import InputError
from ganlab.generation.presets import PRESETS as GENERATORS
from ganlab.settings import parse_settings
from ganlab.translation.networks import ResNetConfig, UNetConfig, stride_of
from ganlab.translation.presets import PRESETS, get_preset
from ganlab.translation.training_config import check_training
from ganlab.translation.warm_start import starting_weights


def test_refuses_an_unknown_preset():
    with pytest.raises(InputError, match="mr2ct-unet"):
        get_preset("mr2ct-magic")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_and_named_in_the_help(name):
    import typer

    from ganlab.cli.main import app

    config = check_training(get_preset(name))
    assert config.size >= 2 * stride_of(config.network)
    words = next(p for p in typer.main.get_command(app).commands["train"].params if p.name == "preset").help
    assert {name, *GENERATORS} <= set(re.findall(r"[\w-]+", words))


def test_settings_change_a_preset():
    settings = ["identity=5", "structure=1", "size=96", "batch=1", "cycle=3", "network.widths=[8, 16]"]
    settings.append("cycle_source=null")
    settings += ['planes=["sagittal"]', "network.window=null", "start=", "network.patch=1"]
    config = get_preset("mr2ct-cyclegan", parse_settings(settings), steps=7)
    assert (config.identity, config.structure, config.size, config.batch, config.cycle) == (5, 1, 96, 1, 3)
    assert config.network == UNetConfig(widths=(8, 16), patch=1) and config.steps == 7
    assert config.planes == ("sagittal",) and config.cycle_source is None and config.start == ""
    settings = ["network.blocks=6", "network.width=32", "ranges=[[0, 2.5], [-1, 2]]"]
    assert get_preset("mr2ct-cyclegan", parse_settings(settings)).network == ResNetConfig(width=32, blocks=6)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("colour=red", "colour is not known; choose from task, method, network, "),
        ("network.colour=red", "colour is not known; choose from channels, widths, patch, window"),
        ("network=3", "Network is 3; give its parts"),
        ("network.widths=24", r"[Ww]idths.* is 24; give a list such as \["),
        ("network.widths=[24, 0.5]", r"[Ww]idths.* holds 0.5; give a list such as \["),
        ("network.widths=[]", r"Widths .1 to 8 numbers from 1 to 2048. is \[\]"),
        ("network.patch=0", "Patch is 0; give a whole number from 1 to 8"),
        ("network.window=[0, 0]", "half-width"),
        ("network.blocks=3", "ends in tanh"),
        ("batch=2.5", "Batch.* is 2.5; give a whole number"),
        ("batch=0", "Batch is 0; give a whole number from 1 to 512"),
        ("identity=much", 'is "much"; give a number'),
        ("identity=NaN", "Identity weight is NaN; give a number"),
        ("cycle_source=all", 'is "all"; give a number.*, or leave it out'),
        ("cycle=-1", "Cycle weight is -1; give a number from 0 to 10000"),
        ("ranges=[0, 1]", "Ranges.* holds 0; give a list such as"),
        ("ranges=[[1, 0], [0, 1]]", "must be increasing"),
        ("planes=[]", r"Planes is \[\]; give a list such as .\"axial\", \"coronal\", \"sagittal\""),
        ('planes=["oblique"]', 'Planes holds "oblique"; give a list such as'),
        ("method=gan", 'Method is "gan"; give one of l1, pix2pix, cyclegan'),
        ("objective=wgan-gp", 'Objective is "wgan-gp"; give one of .*least-squares'),
        ("task=t1flair", "choose from mr2ct, ct2mr, t1fa"),
        ("task=t1pet", "choose from mr2ct, ct2mr, t1fa"),
        ("size=100", "size 100 is not a multiple of 32, .*; choose 96 or 128"),
        ("size=32", "of at least 64; choose 64 or 96"),
        ("discriminator.layers=6", "size 160 is less than the 192 pixels"),
        ("discriminator.channels=2", "discriminator.channels is 2; this method needs 1"),
        ("discriminator.depths=[4]", "are not odd"),
    ],
)
def test_refuses_settings_that_cannot_be_trained(setting, said):
    with pytest.raises(InputError, match=said) as raised:
        get_preset("mr2ct-cyclegan", parse_settings([setting]))
    assert "\n" not in str(raised.value) and str(raised.value).endswith(".")


@pytest.mark.parametrize("name", [name for name, config in PRESETS.items() if config.start])
def test_a_preset_finds_its_starting_weights(name):
    assert len(starting_weights(PRESETS[name])) > 50


def test_refuses_starting_weights_of_another_shape():
    for other in ("dcgan-digits", "ct2mr-unet"):
        with pytest.raises(InputError, match="another shape"):
            starting_weights(dataclasses.replace(PRESETS["mr2ct-pix2pix"], start=other))


def test_resnet_presets_have_ranges():
    for config in PRESETS.values():
        if isinstance(config.network, ResNetConfig):  # the others do not end in tanh
            assert config.ranges
