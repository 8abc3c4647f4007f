"""Image GANs that a browser watches: pulled, changed, broken and brought back."""

import asyncio
import base64
import io
import json
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.errors import InputError
from ganlab.ui import recipe
from ganlab.ui.trainings import Training, Trainings

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
    kept = {k: v.clone() for k, v in training.good[0]["generator"].items()}
    training.playing = True
    with torch.no_grad():
        next(training.game.discriminator.parameters()).fill_(float("nan"))
    training.advance(0.0, 3)
    assert not training.playing
    assert "At step 61" in training.trouble and "step 50 is back" in training.trouble
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
