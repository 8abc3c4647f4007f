"""The event handlers of the Live GAN page, called as gradio calls them."""

from dataclasses import dataclass, field

import gradio as gr
import pytest

from ganlab.toy.config import Config
from ganlab.toy.session import Session
from ganlab.toy.session_io import link_text
from ganlab.ui.pages.live import handlers
from ganlab.ui.pages.live.control_values import USUAL
from ganlab.ui.pages.live.lessons import LESSONS, TWINS
from ganlab.ui.pages.live.sessions import LIMITS
from ganlab.ui.session_store import SessionStore
from ganlab.ui.sessions import Store


@dataclass
class Request:
    query_params: dict = field(default_factory=dict)
    session_hash: str = "tab"


@pytest.fixture
def games():
    return SessionStore(LIMITS)


@pytest.fixture
def token(games):
    return handlers.open_page(games, Request())[0]


def page_of(outputs):
    """The outputs of show_page() by name."""
    names = ["alert", "text", "lesson", "picture", *USUAL]
    return dict(zip(names, outputs, strict=True))


def test_the_page_opens_on_the_usual_game(games):
    token, *outputs = handlers.open_page(games, Request())
    page = page_of(outputs)
    assert games.peek(token).session.games[0].config == Config()
    assert page["picture"]["token"] == token and page["alert"] == "" and page["lesson"] is None
    assert {name: page[name]["value"] for name in USUAL} == USUAL
    assert not page["twin"]["visible"]


def test_a_link_opens_its_run_and_a_damaged_one_shows_an_alert(games):
    config = Config(objective="hinge", seed=7)
    token, *_ = handlers.open_page(games, Request({"toy": link_text(Session((config,)))}))
    assert games.peek(token).session.games[0].config == config
    token, *outputs = handlers.open_page(games, Request({"toy": "damaged"}))
    assert "The link is damaged" in page_of(outputs)["alert"]
    assert games.peek(token).session.games[0].config == Config()


def test_a_lesson_opens_by_link_and_by_choice(games, token):
    lesson = LESSONS[3]
    _, *opened = handlers.open_page(games, Request({"lesson": lesson.slug}))
    chosen = handlers.choose_lesson(games, token, lesson.title)
    for outputs in (opened, chosen):
        page = page_of(outputs)
        assert lesson.title in page["text"] and page["lesson"] == lesson.title
        assert page["view"]["value"] == TWINS and page["twin"]["visible"]
        assert page["picture"]["layers"] == lesson.layers
    assert handlers.choose_lesson(games, token, "No such lesson") == handlers.unchanged_page()


def test_controls_change_the_game_or_say_why_not(games, token):
    alert, picture = handlers.change_settings(games, token, *(USUAL | {"rate_g": 1e-4}).values())
    assert alert == "" and picture["token"] == token
    assert games.peek(token).session.games[0].config.rate_g == 1e-4
    alert, picture = handlers.change_settings(games, token, *(USUAL | {"batch": 2}).values())
    assert "Batch is 2" in alert and picture == gr.skip()
    games.peek(token).session.advance(3)
    assert handlers.start_again(games, token, *USUAL.values())[0] == ""
    assert games.peek(token).session.steps == 0


def test_a_file_opens_and_is_deleted(games, token, tmp_path):
    table = tmp_path / "points.csv"
    table.write_text("\n".join(f"{i % 7},{i % 5}" for i in range(40)))
    page = page_of(handlers.open_file(games, Store(), token, str(table), Request()))
    assert page["data"]["value"] == "own" and not table.exists()
    words = tmp_path / "words.csv"
    words.write_text("words\nmore words")
    page = page_of(handlers.open_file(games, Store(), token, str(words), Request()))
    assert "words.csv" in page["alert"] and page["data"] == gr.skip()


def test_an_expired_game_shows_an_alert(games, token):
    games.close("tab")
    for outputs in (
        handlers.change_settings(games, token, *USUAL.values()),
        handlers.start_again(games, token, *USUAL.values()),
        handlers.choose_lesson(games, token, LESSONS[0].title),
    ):
        assert "This game is not on the server" in outputs[0]


@pytest.mark.parametrize(("room", "opens"), [("games", True), ("divergences", True), ("cellar", False), (None, False)])
def test_a_link_opens_a_room(room, opens):
    assert (handlers.open_room(Request({"room": room})) != gr.skip()) == opens
