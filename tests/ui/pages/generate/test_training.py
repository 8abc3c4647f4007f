"""The Training sub-tab: its controls, restarts, a visitor's own pictures, and its event handlers."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.errors import InputError
from ganlab.ui.pages.generate import training as training_room
from ganlab.ui.pages.generate import training_sessions as trainings
from ganlab.ui.pages.generate.training import preview_html, read_upload
from ganlab.ui.pages.generate.training_controls import OWN, SWITCHES, USUAL, adopt, config_of, relevance
from ganlab.ui.pages.generate.training_sessions import Training
from ganlab.ui.session_store import SessionStore
from ganlab.ui.sessions import Store

CONFIG = config_of(USUAL)
SMALL = replace(CONFIG, batch=8, network=replace(CONFIG.network, width=4))
VISITOR = SimpleNamespace(session_hash="visitor")


@pytest.fixture
def training():
    training = Training(SMALL)
    training.images.result()
    assert training.ready()
    return training


@pytest.fixture
def sessions():
    return SessionStore(trainings.LIMITS)


def controls(**changes):
    """Values of the controls in the order in which handlers get them."""
    return list((USUAL | changes).values())


def test_a_visitor_gets_one_training_with_the_usual_settings(sessions):
    token, picture = training_room.open_training(sessions, None, VISITOR)
    assert sessions.peek(token).config == CONFIG and picture["token"] == token
    assert training_room.open_training(sessions, token, VISITOR)[0] == token


def test_a_changed_control_restarts_training_or_shows_an_error(sessions):
    token, _ = training_room.open_training(sessions, None, VISITOR)
    alert, picture = training_room.change_settings(sessions, token, *controls(norm="none"))
    assert alert == "" and picture["token"] == token and sessions.peek(token).config.network.norm == "none"
    alert, _ = training_room.change_settings(sessions, token, *controls(batch=2))
    assert "Batch is 2" in alert and sessions.peek(token).config.network.norm == "none"


def test_start_again_with_user_images_needs_an_upload(sessions, pictures):
    token, _ = training_room.open_training(sessions, None, VISITOR)
    alert, _ = training_room.start_again(sessions, token, *controls(data=OWN))
    assert "add 16 or more pictures" in alert
    alert, preview, picture = training_room.upload(Store(), sessions, VISITOR, token, pictures, *controls(data=OWN))
    assert alert == "" and "20 images" in preview and picture["token"] == token
    assert training_room.start_again(sessions, token, *controls(data=OWN))[0] == ""
    assert sessions.peek(token).config.data == OWN


def test_only_relevant_controls_are_shown():
    own, *shown = training_room.show_relevant(*controls(kind="fc"))
    assert not own["visible"]
    assert [update["visible"] for update in shown] == [False, False, False, True, False]


def test_rates_change_during_training_and_networks_after_a_restart(training):
    values = USUAL | {"batch": 8}
    training.game.config = training.config = replace(CONFIG, batch=8)  # the config of the controls
    training.advance(0.0, 2)
    adopt(training, values | {"rate_d": 1e-3, "objective": "hinge", "augment": ["translation"]})
    assert training.game.step == 2 and training.game.config.objective == "hinge"
    assert training.game.optimizers["discriminator"].param_groups[0]["lr"] == 1e-3
    adopt(training, values | {"switches": []})
    assert training.game is None and training.fresh
    assert training.ready() and not training.config.network.strided


def test_averaging_is_turned_off_and_on_during_training(training):
    values = USUAL | {"batch": 8}
    training.game.config = training.config = replace(CONFIG, batch=8)  # the config of the controls
    training.advance(0.0, 20)
    training.look()
    averaged = training.history.sheets[-1][1]
    adopt(training, values | {"average": False})
    own = training.history.sheets[-1][1]
    assert training.game.step == 20 and not np.array_equal(own, averaged)
    assert all(torch.equal(v, training.game.generator.state_dict()[k]) for k, v in training.game.weights().items())
    training.advance(0.0, 1)
    adopt(training, values)
    weights = training.game.generator.state_dict()
    assert all(torch.allclose(v, weights[k]) for k, v in training.game.weights().items())  # starts with these
    training.advance(0.0, 1)
    assert not torch.equal(training.game.weights()["project.0.weight"], weights["project.0.weight"])


@pytest.mark.parametrize(
    ("chosen", "ignored"),
    [
        ({"kind": "fc"}, {"switches": [], "norm": "none", "spectral": True, "condition": "projection"}),
        ({"labels": False}, {"condition": "projection"}),
        ({"data": OWN}, {"condition": "projection", "labels": False}),
    ],
)
def test_controls_that_are_not_used_restart_nothing(chosen, ignored):
    values = USUAL | chosen
    assert not any(relevance(values)[name] for name in ignored)
    assert config_of(values | ignored) == config_of(values)
    used = {"squash": False} if "kind" in chosen else {"norm": "none"}
    assert config_of(values | used) != config_of(values)


def test_a_restart_is_announced_with_its_reason(training):
    training.game.config = training.config = CONFIG  # the config of the controls
    adopt(training, USUAL)
    adopt(training, USUAL | {"rate_d": 1e-3})
    assert trainings.frame(training)[0]["notice"] == "" and training.game is not None
    adopt(training, USUAL | {"norm": "none"})
    assert training.game is None
    adopt(training, USUAL | {"norm": "none"})  # pages may send it twice
    assert trainings.frame(training)[0]["notice"].endswith("from step 0: other networks.")
    adopt(training, USUAL | {"data": "nodules"})
    assert training.notice.endswith("other images.")
    trainings.pause(training)  # a delayed click
    assert training.notice
    trainings.play(training)
    assert training.notice == ""


def test_every_switch_of_the_recipe_can_be_trained():
    for off in SWITCHES:
        config = config_of(USUAL | {"switches": [name for name in SWITCHES if name != off]})
        variant = Training(replace(config, batch=8, network=replace(config.network, width=4)))
        variant.images.result()
        assert variant.ready()
        variant.advance(0.0, 1)
        assert variant.game.step == 1, off


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rate_d": None}, "Learning rate of D is empty; give a number from 0 to 0.1"),
        ({"batch": 2}, "Batch is 2; give a whole number from 4 to 512"),
        ({"batch": 4.5}, "Batch is 4.5; give a whole number"),
        ({"smoothing": 0.1, "objective": "hinge"}, "no labels to smooth"),
        ({"beta1": 1.0}, r"Momentum \(beta 1\) is 1.0; give a number from 0 to 0.999"),
    ],
)
def test_refuses_settings_out_of_range(training, change, words):
    with pytest.raises(InputError, match=words):
        adopt(training, USUAL | change)
    assert training.game is not None


@pytest.fixture
def pictures(tmp_path):
    draw = np.random.default_rng(0)
    for k in range(20):
        Image.fromarray(draw.integers(0, 255, (40, 40 + k % 2), np.uint8)).save(tmp_path / f"{k}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    return [str(path) for path in sorted(tmp_path.iterdir())]


def test_trains_on_a_visitors_pictures_and_names_unreadable_ones(pictures):
    images, notices = read_upload(pictures)
    assert images.images.shape == (20, 1, 64, 64)
    assert any("broken.png" in text for text in notices) and any("augmentation" in text for text in notices)
    html = preview_html(images, notices)
    assert html.startswith("<img src='data:image/png") and "20 images" in html
    training = Training(SMALL)
    training.own = images
    training.start(config_of(USUAL | {"data": OWN, "batch": 8}))
    assert training.ready()
    training.advance(0.0, 1)
    assert training.game.step == 1 and trainings.frame(training)[1]["images"].shape == (64, 64, 64)
    assert training.game.config.network.classes == 0


def test_only_some_of_many_pictures_are_used(pictures, monkeypatch):
    monkeypatch.setattr(training_room, "MOST", 7)
    images, notices = read_upload(pictures)
    assert len(images) == 7 and any("One in 3 of 20" in text for text in notices)


def test_refuses_too_few_pictures_and_waits_for_files(pictures):
    with pytest.raises(InputError, match="The upload holds 3 readable images"):
        read_upload(pictures[:3])
    training = Training(SMALL)
    adopt(training, USUAL | {"data": OWN})
    assert training.config == SMALL
