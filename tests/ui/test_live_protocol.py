"""Requests of a canvas are bounded, errors are sentences, and replies are not cached."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ganlab.errors import InputError
from ganlab.packing import unpack
from ganlab.ui.live_protocol import NOT_OURS, in_threads, live_route, obey
from ganlab.ui.session_store import SessionGone

PATH = "/gradio_api/ganlab/double"


def double(factor, question):
    if question.get("gone"):
        raise SessionGone("It is gone.")
    if question["x"] > 100:
        raise InputError("x is above 100.")
    return {"twice": factor * question["x"]}, {"array": np.array([question["x"]], np.uint16)}


@pytest.fixture
def client():
    with ThreadPoolExecutor(1) as pool:
        route = live_route(PATH[1:], in_threads(pool, partial(double, 2)), 200)
        yield TestClient(Starlette(routes=[route]))


def test_a_question_is_answered_with_facts_and_arrays(client):
    response = client.post(PATH, json={"x": 4})
    facts, arrays = unpack(response.content)
    assert facts == {"twice": 8} and arrays["array"].tolist() == [4]
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("question", "facts"),
    [
        ({"x": 101}, {"error": "x is above 100."}),
        ({"gone": 1}, {"error": "It is gone.", "gone": True}),
        ({}, {"error": NOT_OURS}),
        ({"x": "four"}, {"error": NOT_OURS}),
        ({"x": -1}, {"error": NOT_OURS}),  # OverflowError of the uint16
    ],
)
def test_invalid_input_gets_an_error_message(client, question, facts):
    assert unpack(client.post(PATH, json=question).content)[0] == facts


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"7", b'{"x": "\\ud800"}', b"[" * 150])
def test_refuses_what_is_not_a_json_object(client, body):
    response = client.post(PATH, content=body)
    assert (response.status_code, response.text) == (400, NOT_OURS)


def test_refuses_long_questions(client):
    response = client.post(PATH, content=b'{"x": 1}' + b" " * 200)
    assert response.status_code == 413 and "more than 200 bytes" in response.text
    assert client.get(PATH).status_code == 405


def push(done, word):
    done.append(word)
    return {"last": word}, {}


def fail(done):
    raise InputError("No.")


COMMANDS = {"push": push, "fail": fail, "clear": lambda done: done.clear()}


def test_commands_run_in_order_until_an_error():
    done = []
    assert obey([["push", "a"], ["push", "b"]], COMMANDS, done) == ({"last": "b"}, {})
    assert obey([["push", "c"], ["fail"], ["push", "d"]], COMMANDS, done)[0] == {"last": "c", "error": "No."}
    assert done == ["a", "b", "c"]
    assert obey([["clear"]], COMMANDS, done) == ({}, {})
    assert obey(None, COMMANDS, done) == ({}, {})


@pytest.mark.parametrize("commands", [["push"], [["push"]], [["unknown"]], [[["push"], "a"]], [None], 3, [{}], [[]]])
def test_malformed_commands_get_an_error_message(commands):
    assert obey(commands, COMMANDS, [])[0] == {"error": NOT_OURS}


def test_a_question_has_a_limited_number_of_commands():
    done = []
    obey([["push", k] for k in range(99)], COMMANDS, done)
    assert len(done) == 16


def test_work_in_threads_leaves_the_event_loop_free():
    async def both():
        with ThreadPoolExecutor(1) as pool:
            slow = in_threads(pool, lambda question: (asyncio.run(asyncio.sleep(0.1)), {}))
            started = asyncio.create_task(slow({}))
            await asyncio.sleep(0)
            assert not started.done()
            await started

    asyncio.run(both())
