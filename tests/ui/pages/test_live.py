"""Live games without a browser: tokens, commands, fairness, and the effects of the page's controls."""

import asyncio
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ganlab.errors import InputError
from ganlab.packing import unpack
from ganlab.toy.config import Config
from ganlab.toy.session import Session
from ganlab.toy.session_io import save
from ganlab.ui.live_protocol import explained
from ganlab.ui.pages.live import sessions as live_module
from ganlab.ui.pages.live.control_values import OWN, adopt, configs_of, control_values, start_from_file
from ganlab.ui.pages.live.divergences import measures
from ganlab.ui.pages.live.lessons import CHANGES, EIGHT, LESSONS, ONE, TWINS
from ganlab.ui.pages.live.sessions import LIMITS, Live, load, routes
from ganlab.ui.pages.live.two_players import paths
from ganlab.ui.session_store import SessionStore

SMALL = {"g_units": 8, "d_units": 8, "g_layers": 1, "d_layers": 1, "batch": 16}
USUAL = control_values((Config(),)) | SMALL


@pytest.fixture
def games():
    return SessionStore(LIMITS)


@pytest.fixture
def token(games):
    return games.open(Live(Session(configs_of(USUAL))), "tab")


@pytest.fixture(scope="module")
def pool():
    with ThreadPoolExecutor(2, "live", live_module.one_thread) as pool:
        yield pool


@pytest.fixture
def pull(games, pool):
    """pull(token, *commands, **question): the facts and arrays of the next frame."""

    def pull(token, *commands, **more):
        question = {"token": token, "do": list(commands), **more}
        return asyncio.run(explained(live_module.pull(games, pool, question)))

    return pull


@pytest.fixture
def frame(pull):
    """Like pull, but only the game's part of the frame."""
    return lambda *question, **more: pull(*question, **more)[0]["frame"]


def shown(session):
    """What the controls show for it."""
    return control_values(tuple(game.config for game in session.games), session.data is not None)


def test_play_step_pause(frame, token):
    assert frame(token)["steps"] == 0
    assert frame(token, ["step", "dg"], ["step", "d"], ["step", "g"])["steps"] == 3
    assert frame(token, ["play"])["steps"] > 3
    at = frame(token, ["pause"])["steps"]
    assert frame(token)["steps"] == at  # nothing trains while it is paused


def test_slow_motion_takes_one_step_per_frame(frame, token):
    assert frame(token, ["play"], slow=True)["steps"] == 1
    assert frame(token, slow=True)["steps"] == 2


def test_looking_back_keeps_later_steps_until_training_continues(frame, token):
    for _ in range(6):
        frame(token, ["step", "dg"])
    then = frame(token, ["look", 2])
    assert (then["at"], then["steps"], then["past"]) == (2, 6, True)
    now = frame(token, ["look", 6])
    assert (now["at"], now["past"]) == (6, False)
    frame(token, ["look", 2])
    forked = frame(token, ["step", "dg"])
    assert (forked["at"], forked["steps"], forked["past"]) == (3, 3, False)


def test_link_script_weights_and_film_can_be_downloaded(pull, token):
    pull(token, ["step", "dg"])
    facts, arrays = pull(token, ["link"], ["script"], ["save"], ["film"])
    assert facts["link"].isascii()
    assert arrays["script"].startswith(b'"""A GAN on ring')
    assert b"flat_g" in arrays["saved"]
    assert arrays["film"].startswith(b"GIF89a")


@pytest.mark.parametrize(
    "commands",
    [
        ["step"],
        ["step", "x"],
        ["look", "x"],
        ["look"],
        [["step"], 7],
        ["draw", "abc"],
        ["draw", [[1]]],
        [None],
        3,
        {"a": 1},
    ],
)
def test_malformed_commands_do_no_harm(frame, pull, token, commands):
    assert pull(token, commands)[0]["error"]
    assert frame(token, ["step", "dg"])["steps"] == 1


def test_a_lost_session_is_reported(games, pull, token):
    assert pull("guess")[0]["gone"] is True
    games.close("tab")
    facts, arrays = pull(token)
    assert facts["gone"] is True and "This game is not on the server" in facts["error"] and not arrays


def test_the_reported_size_grows_with_the_history(games, frame, token):
    before = games.nbytes
    frame(token, *[["step", "dg"]] * 16)
    assert games.nbytes > before + 10 * 4 * 4 * games.peek(token).session.games[0].flat_g.numel()


def test_many_games_share_the_time(games, pool):
    """Each of ten games advances; none waits for another to end."""
    tokens = [games.open(Live(Session(configs_of(USUAL))), str(k)) for k in range(10)]

    async def watch(token):
        await live_module.pull(games, pool, {"token": token, "do": [["play"]]})
        for _ in range(3):
            await live_module.pull(games, pool, {"token": token})

    async def together():
        return await asyncio.gather(*map(watch, tokens))

    asyncio.run(together())
    assert all(games.peek(t).session.steps >= 4 for t in tokens)
    assert load(games) == max(1, 10 / os.cpu_count())


def test_frames_are_served_with_real_points_and_modes(games, token):
    with TestClient(Starlette(routes=routes(games))) as client:
        response = client.post(f"/{live_module.PATH}", json={"token": token, "do": [["step", "dg"]], "static": True})
        facts, arrays = unpack(response.content)
        assert facts["fresh"] and facts["frame"]["steps"] == 1
        assert arrays["real"].shape == (1000, 2) and arrays["modes"].shape == (8, 2)
        assert set(arrays) == {"real", "modes", "fake.0", "histogram.0"}
        too_long = b" " * (live_module.MAX_QUESTION + 1)
        assert client.post(f"/{live_module.PATH}", content=too_long).status_code == 413


def test_drawn_points_become_the_data(games, pull, token):
    points = [[round(0.01 * i, 3), -0.2] for i in range(30)]
    facts, _ = pull(token, ["draw", points])
    assert facts["own"] is True
    assert facts["fresh"] is True
    assert facts["frame"]["steps"] == 0
    for few in ([], points[:3]):
        assert "The drawing has" in pull(token, ["draw", few])[0]["error"]
    assert shown(games.peek(token).session)["data"] == OWN


# Effects of the controls


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.slug)
def test_every_lesson_opens_and_the_controls_show_it(lesson):
    values = control_values((Config(),)) | lesson.settings
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


def test_learning_rates_change_during_training_and_networks_restart_it(games, token):
    live = games.peek(token)
    live.session.advance(1)
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
        ({"rate_g": 1e9}, "Learning rate of G is 1000000000.0"),
        ({"batch": None}, "Batch is empty; give a whole number"),
        ({"seed": 1.5}, "Seed is 1.5; give a whole number"),
        ({"seed": -1}, "Seed is -1"),
        ({"data": OWN}, "No data yet"),
        ({"view": TWINS, "twin": None}, "Choose how the twin"),
    ],
)
def test_a_wrong_value_is_reported_and_changes_nothing(games, token, wrong, sentence):
    live = games.peek(token)
    before = live.session
    with pytest.raises(InputError, match=sentence):
        adopt(live, USUAL | wrong)
    assert live.session is before
    assert before.games[0].config == configs_of(USUAL)[0]


def test_controls_keep_the_visitors_own_data(games, token, tmp_path):
    live = games.peek(token)
    table = tmp_path / "points.csv"
    table.write_text("\n".join(f"{i % 7},{i % 5}" for i in range(40)))
    start_from_file(live, table)
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
    start_from_file(live, saved)
    assert live.session.steps == 3
    assert shown(live.session)["data"] == OWN
    Image.new("L", (8, 8), 200).save(tmp_path / "grey.png")
    start_from_file(live, tmp_path / "grey.png")
    assert live.session.games[0].data.dim == 2
    for name, sentence in (("words.csv", "words"), ("bad.safetensors", "not")):
        (tmp_path / name).write_text("words")
        with pytest.raises(InputError, match=sentence):
            start_from_file(live, tmp_path / name)


def test_twins_that_differ_in_no_listed_way_can_be_shown():
    config = configs_of(USUAL)[0]
    values = control_values((config, replace(config, batch=32)))
    assert values["view"] == TWINS
    assert values["twin"] is None


# The side rooms


def test_paths_eigenvalues_and_field_of_a_game():
    answer = paths({"game": "bilinear", "rate": 0.1, "x": 1.0, "y": 0.5})
    assert answer["methods"]["simultaneous"]["modulus"] == pytest.approx(1.00499, abs=1e-5)
    assert [column[0] for column in answer["methods"]["optimistic"]["path"]] == [1.0, 0.5]
    field = torch.tensor(answer["field"]).view(-1, 2)
    places = torch.tensor(answer["places"]).view(-1, 2)
    torch.testing.assert_close(field, torch.stack([-places[:, 1], places[:, 0]], 1))
    json.dumps(answer, allow_nan=False)
    blown = paths({"game": "dirac-gan", "objective": "least-squares", "r1": 0.0, "rate": 1.0, "x": 1.6, "y": -1.6})
    json.dumps(blown, allow_nan=False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": 9},
        {"rate": "a"},
        {"x": None},
        {"y": True},
        {"game": "dirac-gan", "objective": "no"},
        {"r1": -1},
        {"steps": 100_000},
    ],
)
def test_wrong_settings_of_a_game_are_reported(wrong):
    assert paths({"game": "bilinear", "rate": 0.1, "x": 1.0, "y": 0.5} | wrong)["error"].endswith(".")
    assert paths([])["error"].endswith(".")


def test_measures_of_two_densities():
    p, q = {"shape": "uniform", "centre": 0, "width": 1}, {"shape": "uniform", "centre": 1, "width": 1}
    answer = measures({"p": p, "q": q})
    assert answer["measures"]["kl"] is None
    assert answer["measures"]["total_variation"] == pytest.approx(0.5)
    json.dumps(answer, allow_nan=False)
    for wrong in ({}, {"p": p}, {"p": p, "q": 3}, {"p": p, "q": q | {"width": 99}}, {"p": p, "q": q | {"shape": "x"}}):
        assert measures(wrong)["error"].endswith(".")
