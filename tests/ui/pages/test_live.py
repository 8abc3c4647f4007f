"""Watched trainings without a browser: tokens, commands, fairness, and what the page's controls do to them."""

import asyncio
import base64
import json
import os
import struct
from dataclasses import replace

import pytest
import torch
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ganlab.errors import InputError
from ganlab.toy.config import Config
from ganlab.toy.session import Session, save
from ganlab.ui.pages.live import sessions as live_module
from ganlab.ui.pages.live.divergences import BILINEAR, DIRAC, measured, played
from ganlab.ui.pages.live.lessons import CHANGES, EIGHT, LESSONS, ONE, TWINS
from ganlab.ui.pages.live.page import OWN, adopt, configs_of, controls_of, opened_file
from ganlab.ui.pages.live.sessions import Lives, routes

SMALL = {"g_units": 8, "d_units": 8, "g_layers": 1, "d_layers": 1, "batch": 16}
USUAL = controls_of((Config(),)) | SMALL


@pytest.fixture
def lives():
    return Lives(threads=2)


@pytest.fixture
def token(lives):
    return lives.open(Session(configs_of(USUAL)), "tab")


def shown(session):
    """What the controls show for it."""
    return controls_of(tuple(game.config for game in session.games), session.data is not None)


def pull(lives, token, *commands, **more):
    """(answer, header of its frame)"""
    answer, packed = asyncio.run(lives.pull({"token": token, "do": list(commands), **more}))
    return answer, packed and json.loads(packed[4 : 4 + struct.unpack_from("<I", packed)[0]])


def test_play_step_pause(lives, token):
    assert pull(lives, token)[1]["steps"] == 0
    assert pull(lives, token, ["step", "dg"], ["step", "d"], ["step", "g"])[1]["steps"] == 3
    assert pull(lives, token, ["play"])[1]["steps"] > 3
    at = pull(lives, token, ["pause"])[1]["steps"]
    assert pull(lives, token)[1]["steps"] == at  # nobody trains while it is paused


def test_slow_motion_takes_one_step_per_frame(lives, token):
    assert pull(lives, token, ["play"], slow=True)[1]["steps"] == 1
    assert pull(lives, token, slow=True)[1]["steps"] == 2


def test_looking_back_keeps_the_future_until_one_goes_on(lives, token):
    for _ in range(6):
        pull(lives, token, ["step", "dg"])
    _, then = pull(lives, token, ["look", 2])
    assert (then["at"], then["steps"], then["past"]) == (2, 6, True)
    _, now = pull(lives, token, ["look", 6])
    assert (now["at"], now["past"]) == (6, False)
    pull(lives, token, ["look", 2])
    _, forked = pull(lives, token, ["step", "dg"])
    assert (forked["at"], forked["steps"], forked["past"]) == (3, 3, False)


def test_what_can_be_taken_away(lives, token):
    pull(lives, token, ["step", "dg"])
    answer, _ = pull(lives, token, ["link"], ["script"], ["save"], ["film"])
    assert answer["link"].isascii()
    assert answer["script"].startswith('"""A GAN on ring')
    assert base64.b64decode(answer["saved"])
    assert base64.b64decode(answer["film"]).startswith(b"GIF89a")


@pytest.mark.parametrize(
    "commands",
    [["step"], ["look", "x"], ["look"], [["step"], 7], ["draw", "abc"], ["draw", [[1]]], [None], 3, {"a": 1}],
)
def test_commands_that_no_page_sends_do_no_harm(lives, token, commands):
    assert pull(lives, token, commands)[1]
    assert pull(lives, token, ["step", "dg"])[1]["steps"] >= 1


@pytest.mark.parametrize("bad", [None, "", "guess", 7, ["a"], {"a": 1}])
def test_a_token_opens_its_own_training_only(lives, token, bad):
    answer, packed = asyncio.run(lives.pull({"token": bad}))
    assert answer["gone"] is True
    assert packed == b""


def test_a_closed_tab_leaves_nothing(lives, token):
    other = lives.open(Session(configs_of(USUAL)), "another tab")
    lives.close("tab")
    assert "error" in pull(lives, token)[0]
    assert pull(lives, other)[1]["steps"] == 0


def test_the_longest_unwatched_makes_room():
    lives, tokens = live_module.Lives(most=3), []
    for k in range(5):
        tokens.append(lives.open(Session(configs_of(USUAL)), str(k)))
    assert [("error" in pull(lives, t)[0]) for t in tokens] == [True, True, False, False, False]


def test_many_trainings_share_the_time(lives):
    """Each of ten takes its steps; none waits for another to end."""
    tokens = [lives.open(Session(configs_of(USUAL)), str(k)) for k in range(10)]

    async def watch(token):
        await lives.pull({"token": token, "do": [["play"]]})
        for _ in range(3):
            await lives.pull({"token": token})

    async def together():
        return await asyncio.gather(*map(watch, tokens))

    asyncio.run(together())
    assert all(lives.get(t).session.steps >= 4 for t in tokens)
    assert lives._load(max(lives.get(t).pulled for t in tokens)) == max(1, 10 / os.cpu_count())


@pytest.fixture
def client(lives):
    with TestClient(Starlette(routes=routes(lives))) as client:
        yield client


def test_over_the_wire(client, token):
    got = client.post("/gradio_api/ganlab/toy", json={"token": token, "do": [["step", "dg"]], "steady": True})
    words, rest = (lambda n: (json.loads(got.content[4 : 4 + n]), got.content[4 + n :]))(
        struct.unpack_from("<I", got.content)[0]
    )
    assert words == {"fresh": True}
    header = json.loads(rest[4 : 4 + struct.unpack_from("<I", rest)[0]])
    assert header["steps"] == 1
    assert got.headers["cache-control"] == "no-store"
    gone = client.post("/gradio_api/ganlab/toy", json={"token": "guess"})
    assert b"no longer on the server" in gone.content
    assert len(gone.content) == 4 + struct.unpack_from("<I", gone.content)[0]


def test_what_is_no_request_is_refused(client):
    for body in (b"", b"{", b"[1]", b"7"):
        assert client.post("/gradio_api/ganlab/toy", content=body).status_code == 400
    assert client.post("/gradio_api/ganlab/toy", content=b" " * (live_module.MAX_REQUEST + 1)).status_code == 413


def test_drawing(lives, token):
    points = [[round(0.01 * i, 3), -0.2] for i in range(30)]
    answer, header = pull(lives, token, ["draw", points])
    assert answer["own"] is True
    assert answer["fresh"] is True
    assert header["steps"] == 0
    for few in ([], points[:3]):
        assert "The drawing has" in pull(lives, token, ["draw", few])[0]["error"]
    assert shown(lives.get(token).session)["data"] == OWN


# What the controls do


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.slug)
def test_every_lesson_opens_and_the_controls_show_it(lesson):
    values = controls_of((Config(),)) | lesson.settings
    session = Session(configs_of(values))
    assert shown(session) == values
    session.advance(2)
    assert not session.trouble
    assert lesson.text.count(". ") >= 2 or lesson.text.count("? ") >= 1  # three sentences


@pytest.mark.parametrize("change", CHANGES)
def test_every_twin_differs_and_is_recognised(change):
    objective = "hinge" if CHANGES[change].get("objective") == "non-saturating" else "non-saturating"
    values = USUAL | {"view": TWINS, "twin": change, "objective": objective}
    first, second = configs_of(values)
    assert first != second
    session = Session((first, second))
    assert shown(session)["twin"] == change
    if first.generator == second.generator and first.latent == second.latent and not second.conditional:
        assert torch.equal(session.games[0].flat_g, session.games[1].flat_g)  # the same start


def test_what_can_change_on_the_way_does_and_the_rest_starts_anew(lives, token):
    live = lives.get(token)
    pull(lives, token, ["step", "dg"])
    adopt(live, USUAL | {"rate_g": 1e-4, "objective": "hinge"})
    assert live.session.steps == 1
    assert live.session.games[0].config.rate_g == 1e-4
    adopt(live, USUAL | {"rate_g": 1e-4, "objective": "hinge", "g_units": 12})
    assert live.session.steps == 0
    adopt(live, USUAL | {"view": EIGHT})
    assert live.session.games[0].config.runs == 8
    adopt(live, USUAL | {"view": ONE, "data": "spiral"})
    assert live.session.games[0].config.data == "spiral"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"rate_g": 1e9}, "Rate g 1e\\+09 is not from"),
        ({"batch": None}, "Batch is empty"),
        ({"seed": 1.5}, "Seed 1.5 is not a whole number"),
        ({"seed": -1}, "Seed -1"),
        ({"data": OWN}, "no data of yours yet"),
        ({"view": TWINS, "twin": None}, "Choose what the twin"),
    ],
)
def test_a_wrong_value_is_a_sentence_and_nothing_changes(lives, token, wrong, sentence):
    live = lives.get(token)
    before = live.session
    with pytest.raises(InputError, match=sentence):
        adopt(live, USUAL | wrong)
    assert live.session is before
    assert before.games[0].config == configs_of(USUAL)[0]


def test_own_files_and_what_the_controls_do_to_them(lives, token, tmp_path):
    live = lives.get(token)
    table = tmp_path / "points.csv"
    table.write_text("\n".join(f"{i % 7},{i % 5}" for i in range(40)))
    opened_file(live, table)
    data = live.session.data
    assert live.session.games[0].config.batch == 16  # the other settings stay
    values = shown(live.session)
    adopt(live, values | {"rate_g": 1e-4})
    assert live.session.steps == 0
    adopt(live, values | {"g_units": 12})
    assert live.session.data is data
    saved = tmp_path / "run.safetensors"
    live.session.advance(3)
    save(live.session, saved)
    adopt(live, values | {"data": "ring"})
    assert live.session.data is None
    opened_file(live, saved)
    assert live.session.steps == 3
    assert shown(live.session)["data"] == OWN
    Image.new("L", (8, 8), 200).save(tmp_path / "grey.png")
    opened_file(live, tmp_path / "grey.png")
    assert live.session.games[0].data.dim == 2
    for name, sentence in (("words.csv", "words"), ("bad.safetensors", "not")):
        (tmp_path / name).write_text("words")
        with pytest.raises(InputError, match=sentence):
            opened_file(live, tmp_path / name)


def test_a_run_that_began_with_a_twin_of_a_foreign_link_can_still_be_shown():
    config = configs_of(USUAL)[0]
    values = controls_of((config, replace(config, batch=32)))
    assert values["view"] == TWINS
    assert values["twin"] is None


# The side rooms


def test_games_as_the_browser_gets_them():
    answer = played({"game": BILINEAR, "rate": 0.1, "x": 1.0, "y": 0.5})
    assert answer["methods"]["simultaneous"]["modulus"] == pytest.approx(1.00499, abs=1e-5)
    assert [column[0] for column in answer["methods"]["optimistic"]["path"]] == [1.0, 0.5]
    field = torch.tensor(answer["field"]).view(-1, 2)
    places = torch.tensor(answer["places"]).view(-1, 2)
    torch.testing.assert_close(field, torch.stack([-places[:, 1], places[:, 0]], 1))
    json.dumps(answer, allow_nan=False)
    blown = played({"game": DIRAC, "objective": "least-squares", "r1": 0.0, "rate": 1.0, "x": 1.6, "y": -1.6})
    json.dumps(blown, allow_nan=False)


@pytest.mark.parametrize(
    "wrong", [{"rate": 9}, {"rate": "a"}, {"x": None}, {"y": True}, {"game": DIRAC, "objective": "no", "r1": 0}, {}]
)
def test_a_wrong_game_is_a_sentence(wrong):
    asked = {"game": BILINEAR, "rate": 0.1, "x": 1.0, "y": 0.5} | wrong
    assert played(asked if wrong else {})["error"].endswith(".")


def test_densities_as_the_browser_gets_them():
    p, q = {"shape": "uniform", "centre": 0, "width": 1}, {"shape": "uniform", "centre": 1, "width": 1}
    answer = measured({"p": p, "q": q})
    assert answer["measures"]["kl"] is None
    assert answer["measures"]["total_variation"] == pytest.approx(0.5)
    json.dumps(answer, allow_nan=False)
    for wrong in ({}, {"p": p}, {"p": p, "q": 3}, {"p": p, "q": q | {"width": 99}}, {"p": p, "q": q | {"shape": "x"}}):
        assert measured(wrong)["error"].endswith(".")
