"""Image GANs that a browser watches: frames, changes, failures and recovery."""

import io
import shlex
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ganlab.generation.loading import load_generator
from ganlab.generation.presets import PRESETS
from ganlab.generation.trainer import fixed_noise, train
from ganlab.packing import unpack
from ganlab.settings import parse_settings, with_settings
from ganlab.ui.pages.generate import training_history
from ganlab.ui.pages.generate import training_sessions as trainings
from ganlab.ui.pages.generate.training_controls import USUAL, config_of
from ganlab.ui.pages.generate.training_sessions import Training
from ganlab.ui.session_store import SessionStore

CONFIG = config_of(USUAL)
SMALL = replace(CONFIG, batch=8, network=replace(CONFIG.network, width=4))


@pytest.fixture
def store():
    return SessionStore(trainings.LIMITS)


def opened(store):
    """The token of a small training whose images are ready."""
    token = store.open(Training(SMALL), "visitor")
    store.peek(token).images.result()
    return token


def pulled(store, token, *commands):
    """The next frame's facts, and its images."""
    facts, arrays = trainings.next_frame(store, {"token": token, "do": list(commands)})
    return facts["frame"], arrays.get("images")


@pytest.fixture
def training():
    new_training = Training(SMALL)
    new_training.images.result()
    assert new_training.ready()
    return new_training


def test_trains_only_while_playing_and_pulled(store):
    token = opened(store)
    head, images = pulled(store, token)
    assert head["step"] == 0 and head["fresh"] and images.shape == (60, 16, 16) and head["columns"] == 10
    first = pulled(store, token, ["play"])[0]
    then = pulled(store, token)[0]
    assert 0 < first["step"] < then["step"] and then["playing"] and not then["fresh"]
    assert set(then["numbers"]) == {"d", "g", "real", "fake", "norm_d", "norm_g"}
    assert np.sum(then["bins"], 1) == pytest.approx([1, 1], abs=0.01)
    still = pulled(store, token, ["pause"])[0]["step"]
    assert pulled(store, token)[0]["step"] == still
    assert pulled(store, token, ["step"])[0]["step"] == still + 1


@pytest.mark.parametrize(
    "command",
    [["look"], ["look", "x"], ["look", float("nan")], ["back", float("-inf")], ["back", []], ["film", 3], [[]]],
)
def test_malformed_commands_do_no_harm(store, command):
    token = opened(store)
    pulled(store, token)
    facts, _ = trainings.next_frame(store, {"token": token, "do": [command]})
    assert facts["error"] and facts["frame"]["step"] == 0
    assert pulled(store, token, ["step"])[0]["step"] == 1


def test_a_training_ends_with_its_visitor(store):
    token = opened(store)
    with TestClient(Starlette(routes=trainings.routes(store))) as client:

        def ask(token):
            return unpack(client.post(f"/{trainings.PATH}", json={"token": token}).content)

        facts, arrays = ask(token)
        assert facts["frame"]["step"] == 0 and arrays["images"].dtype == np.uint16
        store.close("visitor")
        for wrong in (token, 7):
            facts, arrays = ask(wrong)
            assert facts["gone"] and "This training is not on the server" in facts["error"] and not arrays


def test_the_reported_size_grows_with_the_history(training):
    before = training.nbytes
    training.advance(0.0, 50)
    state = sum(t.nbytes for part in training.game.state().values() for t in part.values())
    assert training.nbytes > before + state


def test_film_and_generator_can_be_downloaded(training, tmp_path):
    from safetensors import safe_open

    training.advance(0.0, 3)
    training.look()
    film = Image.open(io.BytesIO(trainings.film(training, "gif")[1]["film"]))
    assert film.n_frames == 2 and film.size == (10 * 16 * 2, 6 * 16 * 2)
    path = tmp_path / "model.safetensors"
    path.write_bytes(trainings.weights(training)[1]["saved"])
    with safe_open(path, "pt") as file:
        assert set(file.keys()) == set(training.game.weights())
    from ganlab.generation.sampling import generate

    assert generate(str(tmp_path), 3).images.shape == (3, 16, 16)


def test_the_last_finite_state_is_restored_after_nan_weights(training):
    training.advance(0.0, 60)  # kept at 50
    expected = {k: v.clone() for k, v in training.history.states[-1][1]["generator"].items()}
    training.playing = True
    with torch.no_grad():
        next(training.game.discriminator.parameters()).fill_(float("nan"))
    training.advance(0.0, 3)
    assert not training.playing
    assert "At step 61" in training.trouble and "step 50 was restored" in training.trouble
    assert trainings.frame(training)[0]["moments"] == [0, 50]
    assert training.game.step == 50
    assert all(torch.equal(v, expected[k]) for k, v in training.game.generator.state_dict().items())
    trainings.play(training)
    training.advance(0.0, 5)
    assert training.game.step == 55 and not training.trouble


def weights(training):
    return torch.cat([v.flatten().float() for part in training.game.state().values() for v in part.values()])


@pytest.mark.slow
def test_going_back_repeats_the_training_exactly(training):
    training.advance(0.0, 50)
    then, sheet = weights(training), training.history.sheets[-1][1]
    training.advance(0.0, 55)
    later = weights(training)
    trainings.look(training, 70)
    head, arrays = trainings.frame(training)
    assert (head["step"], head["at"], head["moments"], head["kept"]) == (105, 50, [0, 50, 100], [0, 50, 100])
    assert np.array_equal(arrays["images"], sheet) and torch.equal(weights(training), later)  # only looked at
    trainings.look(training, 105)
    assert trainings.frame(training)[0]["at"] == 100
    trainings.back(training, 70)
    head, arrays = trainings.frame(training)
    assert (head["step"], head["at"], head["moments"], head["kept"]) == (50, 50, [0, 50], [0, 50])
    assert np.array_equal(arrays["images"], sheet) and torch.equal(weights(training), then) and training.playing
    training.advance(0.0, 55)
    assert torch.equal(weights(training), later)
    trainings.back(training, 0)
    first = Training(SMALL)
    assert first.ready() and torch.equal(weights(training), weights(first))


def test_play_continues_from_the_end_and_pause_shows_it(training):
    training.advance(0.0, 55)
    trainings.look(training, 0)
    assert trainings.frame(training)[0]["at"] == 0
    trainings.play(training)
    training.advance(0.0, 2)
    trainings.pause(training)
    head = trainings.frame(training)[0]
    assert head["at"] == head["step"] == 57 and not head["playing"]


def test_states_and_sheets_are_thinned_evenly_and_bounded(training, monkeypatch):
    monkeypatch.setattr(training_history, "KEEP_EVERY", 1)
    monkeypatch.setattr(training_history, "MAX_SHEETS", 12)
    training.start(SMALL)
    assert training.ready()
    training.advance(0.0, 37)
    head = trainings.frame(training)[0]
    assert head["kept"] == [0, 8, 16, 24, 32, 37]
    assert len(head["moments"]) <= 12 + 6 and set(head["kept"]) <= set(head["moments"])
    monkeypatch.setattr(training_history, "STATE_BYTES", 1)
    training.advance(0.0, 1)
    assert trainings.frame(training)[0]["kept"] == [0, 38]


def test_the_command_of_a_sheet_repeats_it(training, tmp_path):
    training.advance(0.0, 3)
    training.look()
    head, arrays = trainings.frame(training)
    words = shlex.split(head["command"])
    assert head["changed"] == [] and words[words.index("--steps") + 1] == "3"
    settings = [value for flag, value in pairwise(words) if flag == "--set"]
    config = with_settings(PRESETS[words[4]], parse_settings(settings))
    list(train(replace(config, steps=3), tmp_path, "cpu"))
    generator, config = load_generator(str(tmp_path))
    with torch.inference_mode():
        again = generator(*fixed_noise(config))[:, 0].numpy()
    assert np.abs(again - (arrays["images"] / 32767.5 - 1)).max() < 1e-3


def test_changed_settings_are_listed_until_the_training_goes_back_before_them(training):
    training.advance(0.0, 50)
    training.change(rate_d=1e-3)
    training.change(rate_d=2e-3)
    training.advance(0.0, 3)
    training.look()
    head = trainings.frame(training)[0]
    assert head["changed"] == [50] and "rate_d=0.002" in head["command"]
    trainings.look(training, 50)
    head = trainings.frame(training)[0]
    assert head["changed"] == [] and "rate_d" not in head["command"]  # it was made before
    trainings.back(training, 0)
    head = trainings.frame(training)[0]
    assert head["changed"] == [] and "rate_d=0.002" in head["command"]  # the current settings, from the start
