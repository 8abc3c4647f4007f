"""Games that browsers watch: each advances when a frame is requested, and is idle otherwise.

A question is {"token", "do": [[command, arguments ...], ...], "layers": [...], "static": send what does not change,
"slow": one step per frame}. COMMANDS lists the commands.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from bisect import bisect_right
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path

from starlette.routing import Route

from ganlab.device import one_thread
from ganlab.lazy import torch
from ganlab.toy.distributions import get_distribution
from ganlab.toy.export import export_script
from ganlab.toy.film import film
from ganlab.toy.frames import frame
from ganlab.toy.measure import Ruler
from ganlab.toy.session import Session
from ganlab.toy.session_io import link_text, save
from ganlab.ui.live_protocol import Answer, live_route, obey
from ganlab.ui.session_store import Limits, SessionStore

PATH = "gradio_api/ganlab/toy"  # also in live.js
LIMITS = Limits("game", "Reload the page to start again.", count=400, idle=3600.0, megabytes=2048)
MAX_QUESTION = 8 * 2**20  # bytes; the largest drawing allowed takes less
TRAIN_SECONDS = 0.016  # per frame, if no other game trains
LEAST_SECONDS = 0.002
MEASURE_SECONDS = 0.25  # between measurements, if no other game trains
SAMPLES = 2000  # of a measurement


class Live:
    """A session, and the state of the page that watches it."""

    def __init__(self, session: Session):
        self.ahead: tuple[dict, Future[Answer]] | None = None  # a question, and its frame being computed
        self.start(session)

    def start(self, session: Session) -> None:
        """Switch to another session."""
        self.session, self.fresh = session, True
        self.past: int | None = None  # the moment that is shown; None for the current one
        self.ruler = named_ruler(session.games[0].config.data) if session.data is None else own_ruler(session)
        self.measured = 0.0

    def fork(self) -> None:
        """Continue from the moment that is shown; everything after it is dropped."""
        if self.past is not None:
            self.session.rewind(self.session.moments[self.past])
            self.past = None

    @property
    def nbytes(self) -> int:
        return self.session.nbytes


@lru_cache
def named_ruler(data: str) -> Ruler:
    return Ruler(get_distribution(data), SAMPLES)


def own_ruler(session: Session) -> Ruler:
    return Ruler(session.games[0].data, SAMPLES)


# Commands of a page: each returns the facts and arrays it was asked for, if any, and may raise InputError.


def play(live: Live) -> None:
    live.fork()
    live.session.playing = not live.session.trouble


def pause(live: Live) -> None:
    live.session.playing = False


def step(live: Live, players: str) -> None:
    """A step of both players ("dg"), or of one alone ("d" or "g")."""
    if players not in ("dg", "d", "g"):
        raise ValueError(players)
    live.fork()
    live.session.playing = False
    if players == "dg":
        live.session.advance(1)
    else:
        live.session.single(players)


def look(live: Live, step: int) -> None:
    """Show the last moment up to a step; at the last step, that is the current one."""
    live.session.playing = False
    moment = bisect_right(live.session.moments, max(0, int(step))) - 1
    live.past = None if step >= live.session.steps else moment


def draw(live: Live, points: list) -> Answer:
    """Start again on points [[x, y], ...] that the visitor drew."""
    drawn = torch.tensor(points, dtype=torch.float32)
    live.start(Session(tuple(game.config for game in live.session.games), drawn=drawn))
    return {"own": True}, {}


def link(live: Live) -> Answer:
    return {"link": link_text(live.session)}, {}


def script(live: Live) -> Answer:
    return {}, {"script": export_script(live.session).encode()}


def gif(live: Live) -> Answer:
    return {}, {"film": film(live.session)}


def weights(live: Live) -> Answer:
    with tempfile.TemporaryDirectory(prefix="ganlab-") as folder:
        path = Path(folder, "session.safetensors")
        save(live.session, path)
        return {}, {"saved": path.read_bytes()}


COMMANDS = {
    "play": play,
    "pause": pause,
    "step": step,
    "look": look,
    "draw": draw,
    "link": link,
    "script": script,
    "film": gif,
    "save": weights,
}


# Frames


async def pull(games: SessionStore[Live], pool: ThreadPoolExecutor, question: dict) -> Answer:
    """The next frame. While a game plays, the following frame is computed while this one is on its way."""
    token = question.get("token")
    live = games.peek(token)
    next_question = {name: question.get(name) for name in ("token", "layers", "slow")}
    ahead, live.ahead = live.ahead, None
    answer: Answer | None = None
    if ahead is not None:
        answer = await asyncio.wrap_future(ahead[1])
        if answer[0]["fresh"]:
            live.fresh = True  # if this frame is dropped, the next one reports it again
    if answer is None or question.get("do") or question.get("static") or ahead[0] != next_question or live.fresh:
        answer = await asyncio.get_running_loop().run_in_executor(pool, next_frame, games, question)
    if live.session.playing and not question.get("slow"):
        live.ahead = (next_question, pool.submit(next_frame, games, next_question))
    return answer


def next_frame(games: SessionStore[Live], question: dict) -> Answer:
    """Carry out the commands, train for a moment if the game plays, and describe its state in facts["frame"].

    facts["fresh"]: this is a different session from that of the frame before.
    """
    with games.use(question.get("token")) as live:
        busy = load(games)
        facts, arrays = obey(question.get("do"), COMMANDS, live)
        session = live.session
        if session.playing:
            live.past = None
            session.advance(1 if question.get("slow") else None, max(LEAST_SECONDS, TRAIN_SECONDS / busy))
        facts["fresh"], live.fresh = live.fresh, False
        now, ruler = time.monotonic(), None
        if facts["fresh"] or not session.playing or now - live.measured > MEASURE_SECONDS * busy:
            live.measured, ruler = now, live.ruler
        layers = question.get("layers")
        layers = tuple(map(str, layers)) if isinstance(layers, list) else ()
        static = facts["fresh"] or bool(question.get("static"))
        facts["frame"], frame_arrays = frame(session, ruler, static, layers, live.past)
        return facts, {**frame_arrays, **arrays}


def load(games: SessionStore[Live]) -> float:
    """Games in training per core, at least 1; training time is divided by it, so that every game advances."""
    training = sum(live.session.playing for live in games.used_within(1.0))
    return max(1.0, training / (os.cpu_count() or 1))


def routes(games: SessionStore[Live], threads: int | None = None) -> list[Route]:
    """POST PATH; a few threads take turns in training all games."""
    pool = ThreadPoolExecutor(threads or min(4, os.cpu_count() or 1), "live", one_thread)
    return [live_route(PATH, partial(pull, games, pool), MAX_QUESTION)]
