"""The event handlers of the Live GAN page. `games` holds the live sessions; the controls come in the order of USUAL."""

from __future__ import annotations

import time
from html import escape
from pathlib import Path

import gradio as gr

from ganlab.errors import InputError
from ganlab.toy.config import Config
from ganlab.toy.session import Session
from ganlab.toy.session_io import from_link
from ganlab.ui import report
from ganlab.ui.pages.live.control_values import USUAL, adopt, begin, configs_of, control_values, start_from_file
from ganlab.ui.pages.live.lessons import LESSONS, TWINS, Lesson
from ganlab.ui.pages.live.sessions import Live
from ganlab.ui.session_store import SessionStore
from ganlab.ui.sessions import Store

Games = SessionStore[Live]
ROOMS = ("plane", "games", "divergences")


def open_room(request: gr.Request):
    """?room=... opens one of ROOMS."""
    room = request.query_params.get("room")
    return gr.Tabs(selected=room) if room in ROOMS else gr.skip()


def open_page(games: Games, request: gr.Request) -> list:
    """Token and page of a new game: the one in a link (?toy=...), a lesson's (?lesson=...), or the usual one."""
    problem, link = "", request.query_params.get("toy")
    lesson = next((one for one in LESSONS if one.slug == request.query_params.get("lesson")), None)
    try:
        session = from_link(link) if link else Session(configs_of({**USUAL, **(lesson.settings if lesson else {})}))
    except InputError as error:
        problem, session = report.alert(str(error)), Session((Config(),))
    token = games.open(Live(session), request.session_hash)
    return [token, *show_page(games, token, problem, None if link else lesson)]


def show_page(games: Games, token: str, problem: str = "", lesson: Lesson | None = None) -> list:
    """Alert, lesson, picture and controls for the game as it is now."""
    session = games.peek(token).session
    values = control_values(tuple(game.config for game in session.games), session.data is not None)
    updates = {name: {"value": values[name]} for name in USUAL}
    updates["twin"]["visible"] = values["view"] == TWINS
    picture = picture_value(token) | ({"layers": lesson.layers} if lesson else {})
    text = f"<p class='gl-lesson'><b>{lesson.title}</b> {escape(lesson.text)}</p>" if lesson else ""
    return [problem, text, lesson.title if lesson else None, picture, *(gr.update(**u) for u in updates.values())]


def picture_value(token: str) -> dict:
    """The picture's value; it is different each time, so that the picture asks for a frame."""
    return {"token": token, "turn": time.monotonic()}


def change_settings(games: Games, token: str, *controls):
    """Alert and picture after a control was changed."""
    try:
        with games.use(token) as live:
            adopt(live, dict(zip(USUAL, controls, strict=True)))
    except InputError as error:
        return report.alert(str(error)), gr.skip()
    return "", picture_value(token)


def start_again(games: Games, token: str, *controls):
    """Alert and picture after a restart with the controls' settings."""
    values = dict(zip(USUAL, controls, strict=True))
    try:
        configs = configs_of(values)
        with games.use(token) as live:
            begin(live, configs, values, False)
    except InputError as error:
        return report.alert(str(error)), gr.skip()
    return "", picture_value(token)


def choose_lesson(games: Games, token: str, title: str) -> list:
    """The page with a lesson's settings."""
    lesson = next((one for one in LESSONS if one.title == title), None)
    if lesson is None:
        return unchanged_page()
    try:
        values = {**USUAL, **lesson.settings}
        with games.use(token) as live:
            begin(live, configs_of(values), values, False)
        return show_page(games, token, "", lesson)
    except InputError as error:
        return unchanged_page(str(error))


def open_file(games: Games, store: Store, token: str, path: str, request: gr.Request) -> list:
    """The page with the contents of an uploaded file, which is deleted once it has been read."""
    store.hold(request.session_hash, path)
    try:
        with games.use(token) as live:
            start_from_file(live, Path(path))
        return show_page(games, token)
    except InputError as error:
        return unchanged_page(str(error))
    finally:
        store.release(request.session_hash, [Path(path)])


def unchanged_page(problem: str | None = None) -> list:
    """The outputs of show_page() unchanged, except the alert."""
    return [report.alert(problem) if problem else gr.skip(), *[gr.skip()] * (3 + len(USUAL))]


def show_twin(view: str):
    """Show the twin's control if there is a twin."""
    return gr.update(visible=view == TWINS)
