"""The Latent space sub-tab: links, cards, and replies for the canvas."""

import json

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ganlab.generation.explorer import get_explorer
from ganlab.generation.latent_questions import answer
from ganlab.generation.shipped import generator_names, generator_titles
from ganlab.packing import unpack
from ganlab.ui.live_protocol import NOT_OURS
from ganlab.ui.pages.generate import latent_space

MODEL = "dcgan-digits"
POINT = {"seed": 0, "index": 1, "label": 3}


@pytest.fixture(scope="module")
def ask():
    client = TestClient(Starlette(routes=latent_space.routes()))
    return lambda **question: unpack(
        client.post(f"/{latent_space.PATH}", content=json.dumps({"model": MODEL, **question})).content
    )


def test_images_are_sent_as_16_bit_numbers(ask):
    facts, arrays = ask(what="points", points=[POINT])
    (images,) = answer({"model": MODEL, "what": "points", "points": [POINT]})[1].values()
    assert arrays["images"].dtype == np.uint16 and len(facts["norms"]) == 1
    np.testing.assert_allclose(arrays["images"] / 32767.5 - 1, images[:, 0], atol=2e-5)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"what": "points", "points": []}, "1 to 16 points"),
        ({"what": "points", "points": [7]}, NOT_OURS),
        ({"what": "points", "points": [{**POINT, "label": "x"}]}, NOT_OURS),
        ({"what": "points", "points": [{**POINT, "label": float("inf")}]}, NOT_OURS),
        ({"what": ["gallery"]}, NOT_OURS),
        ({"what": "gallery", "seed": 0, "count": 4, "model": "../secret"}, "no generator"),
    ],
)
def test_invalid_requests_get_an_error_message(ask, question, words):
    facts, arrays = ask(**question)
    assert words in facts["error"] and not arrays


def test_valid_parts_of_a_link_are_used():
    explorer = get_explorer(MODEL)
    asked_for = latent_space.asked_for
    assert asked_for({"seed": "12", "psi": "0.5", "label": "3"}, explorer) == {"seed": 12, "psi": 0.5, "label": "3"}
    assert asked_for({"seed": "-1", "psi": "nan"}, explorer) == {}
    assert asked_for({"seed": "99999999999", "psi": "7"}, explorer) == {}
    point = {**POINT, "moves": {"2": 1.5}}
    assert asked_for({"point": json.dumps(point)}, explorer)["point"] == point
    for invalid in ("", "{", "[]", "7", '{"z": [1]}', '{"seed": 0, "index": -1}', '{"seed": 0, "index": 0, "mix": 3}'):
        assert "point" not in asked_for({"point": invalid}, explorer)


def test_every_generator_has_a_unique_title_and_a_card():
    titles = generator_titles()
    assert list(titles) == generator_names() and len(set(titles.values())) == len(titles)
    for name in titles:
        assert "parameters" in latent_space.card_html(name)
