"""Image GANs that a browser watches: pulled, changed, broken and brought back."""

import asyncio
import base64
import io
import json
import shlex
import struct
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.errors import InputError
from ganlab.generation.loading import load_generator
from ganlab.generation.presets import PRESETS
from ganlab.generation.trainer import fixed_noise, train
from ganlab.settings import parse_settings, with_settings
from ganlab.ui.pages.generate import training as recipe
from ganlab.ui.pages.generate import training_sessions as trainings
from ganlab.ui.pages.generate.training_sessions import Training, Trainings

VALUES = recipe.usual()
CONFIG = recipe.config_of(VALUES)
SMALL = replace(CONFIG, batch=8, network=replace(CONFIG.network, width=4))


def pulled(trainings, token, *commands):
    packed = asyncio.run(trainings.pull({"token": token, "do": list(commands)}))
    (length,) = struct.unpack("<I", packed[:4])
    head = json.loads(packed[4 : 4 + length])
    images = [np.frombuffer(packed, np.uint16, offset=4 + length).reshape(a["shape"]) for a in head["arrays"]]
    return head, images[0] if images else None


@pytest.fixture
def training():
    made = Training(SMALL)
    made.images.result()
    assert made.ready()
    return made


def test_plays_only_when_pulled_and_told_to():
    trainings = Trainings()
    token = trainings.open(SMALL, "visitor")
    trainings.get(token).images.result()
    head, images = pulled(trainings, token)
    assert head["step"] == 0 and head["fresh"] and images.shape == (60, 16, 16) and head["columns"] == 10
    first = pulled(trainings, token, ["play"])[0]
    then = pulled(trainings, token)[0]
    assert 0 < first["step"] < then["step"] and then["playing"] and not then["fresh"]
    assert set(then["numbers"]) == {"d", "g", "real", "fake", "norm_d", "norm_g"}
    assert np.sum(then["bins"], 1) == pytest.approx([1, 1], abs=0.01)
    still = pulled(trainings, token, ["pause"])[0]["step"]
    assert pulled(trainings, token)[0]["step"] == still
    assert pulled(trainings, token, ["step"])[0]["step"] == still + 1


@pytest.mark.parametrize(
    "command",
    [["look"], ["look", "x"], ["look", float("nan")], ["back", float("-inf")], ["back", []], ["film", 3], [[]]],
)
def test_commands_that_no_page_sends_do_no_harm(command):
    trainings = Trainings()
    token = trainings.open(SMALL, "visitor")
    trainings.get(token).images.result()
    pulled(trainings, token)
    assert pulled(trainings, token, command)[0]["step"] == 0
    assert pulled(trainings, token, ["step"])[0]["step"] == 1


def test_is_forgotten_with_its_visitor():
    trainings = Trainings()
    token = trainings.open(SMALL, "visitor")
    trainings.close("visitor")
    head, _ = pulled(trainings, token)
    assert head["gone"] and "no longer on the server" in head["error"]
    assert pulled(trainings, 7)[0]["gone"]


def test_film_and_generator_can_be_taken_away(training, tmp_path):
    from safetensors import safe_open

    training.advance(0.0, 3)
    training.look()
    film = Image.open(io.BytesIO(base64.b64decode(training.do(["film", "gif"])["film"])))
    assert film.n_frames == 2 and film.size == (10 * 16 * 2, 6 * 16 * 2)
    path = tmp_path / "model.safetensors"
    path.write_bytes(base64.b64decode(training.do(["save"])["saved"]))
    with safe_open(path, "pt") as file:
        assert set(file.keys()) == set(training.game.weights())
    from ganlab.generation.sampling import generate

    assert generate(str(tmp_path), 3).images.shape == (3, 16, 16)


def test_weights_that_are_no_numbers_are_caught_and_the_last_good_state_is_back(training):
    training.advance(0.0, 60)  # kept at 50
    kept = {k: v.clone() for k, v in training.kept[-1][1]["generator"].items()}
    training.playing = True
    with torch.no_grad():
        next(training.game.discriminator.parameters()).fill_(float("nan"))
    training.advance(0.0, 3)
    assert not training.playing
    assert "At step 61" in training.trouble and "step 50 is back" in training.trouble
    assert training.frame()[0]["moments"] == [0, 50]
    assert training.game.number == 50
    assert all(torch.equal(v, kept[k]) for k, v in training.game.generator.state_dict().items())
    training.do(["play"])
    training.advance(0.0, 5)
    assert training.game.number == 55 and not training.trouble


def test_rates_change_on_the_way_and_networks_from_a_new_start(training):
    values = VALUES | {"batch": 8}
    training.game.config = training.config = replace(CONFIG, batch=8)  # what the controls would make
    training.advance(0.0, 2)
    recipe.adopt(training, values | {"rate_d": 1e-3, "objective": "hinge", "augment": ["translation"]})
    assert training.game.number == 2 and training.game.config.objective == "hinge"
    assert training.game.optimizers["discriminator"].param_groups[0]["lr"] == 1e-3
    recipe.adopt(training, values | {"switches": []})
    assert training.game is None and training.fresh
    assert training.ready() and not training.config.network.strided


def weights(training):
    return torch.cat([v.flatten().float() for part in training.game.state().values() for v in part.values()])


def test_one_looks_back_and_goes_on_from_there_as_it_went_on_then(training):
    training.advance(0.0, 50)
    then, sheet = weights(training), training.sheets[-1][1]
    training.advance(0.0, 55)
    later = weights(training)
    assert training.do(["look", 70]) == {}
    head, shown = training.frame()
    assert (head["step"], head["at"], head["moments"], head["kept"]) == (105, 50, [0, 50, 100], [0, 50, 100])
    assert np.array_equal(shown, sheet) and torch.equal(weights(training), later)  # only looked at
    training.do(["look", 105])
    assert training.frame()[0]["at"] == 100
    training.do(["back", 70])
    head, shown = training.frame()
    assert (head["step"], head["at"], head["moments"], head["kept"]) == (50, 50, [0, 50], [0, 50])
    assert np.array_equal(shown, sheet) and torch.equal(weights(training), then) and training.playing
    training.advance(0.0, 55)
    assert torch.equal(weights(training), later)
    training.do(["back", 0])
    first = Training(SMALL)
    assert first.ready() and torch.equal(weights(training), weights(first))


def test_play_goes_on_from_the_end_and_standing_still_shows_where(training):
    training.advance(0.0, 55)
    training.do(["look", 0])
    assert training.frame()[0]["at"] == 0
    training.do(["play"])
    training.advance(0.0, 2)
    training.do(["pause"])
    head = training.frame()[0]
    assert head["at"] == head["step"] == 57 and not head["playing"]


def test_states_and_sheets_are_thinned_evenly_and_bounded(training, monkeypatch):
    monkeypatch.setattr(trainings, "KEEP_EVERY", 1)
    monkeypatch.setattr(trainings, "MOST_SHEETS", 12)
    training.start(SMALL)
    assert training.ready()
    training.advance(0.0, 37)
    head = training.frame()[0]
    assert head["kept"] == [0, 8, 16, 24, 32, 37]
    assert len(head["moments"]) <= 12 + 6 and set(head["kept"]) <= set(head["moments"])
    monkeypatch.setattr(trainings, "STATE_BYTES", 1)
    training.advance(0.0, 1)
    assert training.frame()[0]["kept"] == [0, 38]


def test_a_sheet_says_what_command_repeats_it(training, tmp_path):
    training.advance(0.0, 3)
    training.look()
    head, sheet = training.frame()
    words = shlex.split(head["command"])
    assert head["changed"] == [] and words[words.index("--steps") + 1] == "3"
    settings = [value for flag, value in pairwise(words) if flag == "--set"]
    config = with_settings(PRESETS[words[4]], parse_settings(settings))
    list(train(replace(config, steps=3), tmp_path, "cpu"))
    generator, config = load_generator(str(tmp_path))
    with torch.inference_mode():
        again = generator(*fixed_noise(config))[:, 0].numpy()
    assert np.abs(again - (sheet / 32767.5 - 1)).max() < 1e-3


def test_settings_that_changed_on_the_way_are_said_until_one_goes_back_before_them(training):
    training.advance(0.0, 50)
    training.change(rate_d=1e-3)
    training.change(rate_d=2e-3)
    training.advance(0.0, 3)
    training.look()
    head = training.frame()[0]
    assert head["changed"] == [50] and "rate_d=0.002" in head["command"]
    training.do(["look", 50])
    head = training.frame()[0]
    assert head["changed"] == [] and "rate_d" not in head["command"]  # it was made before
    training.do(["back", 0])
    head = training.frame()[0]
    assert head["changed"] == [] and "rate_d=0.002" in head["command"]  # the settings of now, from the start


def test_averaging_is_turned_off_and_on_on_the_way(training):
    values = VALUES | {"batch": 8}
    training.game.config = training.config = replace(CONFIG, batch=8)  # what the controls would make
    training.advance(0.0, 20)
    training.look()
    averaged = training.sheets[-1][1]
    recipe.adopt(training, values | {"average": False})
    own = training.sheets[-1][1]
    assert training.game.number == 20 and not np.array_equal(own, averaged)
    assert all(torch.equal(v, training.game.generator.state_dict()[k]) for k, v in training.game.weights().items())
    training.advance(0.0, 1)
    recipe.adopt(training, values)
    weights = training.game.generator.state_dict()
    assert all(torch.allclose(v, weights[k]) for k, v in training.game.weights().items())  # it begins with these
    training.advance(0.0, 1)
    assert not torch.equal(training.game.weights()["project.0.weight"], weights["project.0.weight"])


@pytest.mark.parametrize(
    ("chosen", "ignored"),
    [
        ({"kind": "fc"}, {"switches": [], "norm": "none", "spectral": True, "condition": "projection"}),
        ({"labels": False}, {"condition": "projection"}),
        ({"data": recipe.OWN}, {"condition": "projection", "labels": False}),
    ],
)
def test_what_the_chosen_networks_ignore_starts_nothing_again(chosen, ignored):
    values = VALUES | chosen
    assert not any(recipe.heard(values)[name] for name in ignored)
    assert recipe.config_of(values | ignored) == recipe.config_of(values)
    heard = {"squash": False} if "kind" in chosen else {"norm": "none"}
    assert recipe.config_of(values | heard) != recipe.config_of(values)


def test_a_new_start_is_said(training):
    training.game.config = training.config = CONFIG  # what the controls would make
    recipe.adopt(training, VALUES)
    recipe.adopt(training, VALUES | {"rate_d": 1e-3})
    assert training.frame()[0]["notice"] == "" and training.game is not None
    recipe.adopt(training, VALUES | {"norm": "none"})
    assert training.game is None
    recipe.adopt(training, VALUES | {"norm": "none"})  # pages may say it twice
    assert training.frame()[0]["notice"].endswith("from step 0: other networks.")
    recipe.adopt(training, VALUES | {"data": "nodules"})
    assert training.notice.endswith("other images.")
    training.do(["pause"])  # pressed before, and late
    assert training.notice
    training.do(["play"])
    assert training.notice == ""


def test_every_switch_of_the_recipe_can_be_played():
    for off in recipe.SWITCHES:
        config = recipe.config_of(VALUES | {"switches": [name for name in recipe.SWITCHES if name != off]})
        made = Training(replace(config, batch=8, network=replace(config.network, width=4)))
        made.images.result()
        assert made.ready()
        made.advance(0.0, 1)
        assert made.game.number == 1, off


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rate_d": None}, "Rate d is empty"),
        ({"batch": 2}, "batch 2 is outside 4 to 512"),
        ({"batch": 4.5}, "batch 4.5 is not a whole number"),
        ({"smoothing": 0.1, "objective": "hinge"}, "no labels to smooth"),
        ({"beta1": 1.0}, "beta1 1.0 is outside"),
    ],
)
def test_controls_that_cannot_be_played_are_said(training, change, words):
    with pytest.raises(InputError, match=words):
        recipe.adopt(training, VALUES | change)
    assert training.game is not None


@pytest.fixture
def pictures(tmp_path):
    draw = np.random.default_rng(0)
    for k in range(20):
        Image.fromarray(draw.integers(0, 255, (40, 40 + k % 2), np.uint8)).save(tmp_path / f"{k}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    return [str(path) for path in sorted(tmp_path.iterdir())]


def test_a_visitors_pictures_are_learned_from_and_what_cannot_be_read_is_said(pictures):
    images, notices = recipe.own_images(pictures)
    assert images.images.shape == (20, 1, 64, 64)
    assert any("broken.png" in text for text in notices) and any("augmentation" in text for text in notices)
    html = recipe.preview_html(images, notices)
    assert html.startswith("<img src='data:image/png") and "20 images" in html
    training = Training(SMALL)
    training.own = images
    training.start(recipe.config_of(VALUES | {"data": recipe.OWN, "batch": 8}))
    assert training.ready()
    training.advance(0.0, 1)
    assert training.game.number == 1 and training.frame()[1].shape == (64, 64, 64)
    assert training.game.config.network.classes == 0


def test_many_of_a_visitors_pictures_are_thinned(pictures, monkeypatch):
    monkeypatch.setattr(recipe, "MOST", 7)
    images, notices = recipe.own_images(pictures)
    assert len(images) == 7 and any("every 3" in text for text in notices)


def test_too_few_pictures_are_refused_and_own_images_wait_for_files(pictures):
    with pytest.raises(InputError, match="The upload holds 3 readable images"):
        recipe.own_images(pictures[:3])
    training = Training(SMALL)
    recipe.adopt(training, VALUES | {"data": recipe.OWN})
    assert training.config == SMALL
