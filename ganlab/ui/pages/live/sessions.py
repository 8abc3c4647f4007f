"""Trainings that browsers watch: each is pulled, a frame at a time, and stands still when nobody pulls."""

from __future__ import annotations

import asyncio
import base64
import os
import tempfile
import threading
import time
from bisect import bisect_right
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ganlab.device import one_thread
from ganlab.errors import InputError
from ganlab.lazy import torch
from ganlab.toy.distributions import get_distribution
from ganlab.toy.export import export_script
from ganlab.toy.film import film
from ganlab.toy.frames import frame
from ganlab.toy.measure import Ruler
from ganlab.toy.session import Session, save
from ganlab.ui.live_protocol import PRIVATE, Held, pack, read_question

BUDGET = 0.016  # s of training per frame, where nobody else trains
LEAST = 0.002
SAMPLES = 2000  # that a measure takes
MEASURE_EVERY = 0.25  # s, where nobody else trains
FORGET_AFTER = 3600.0  # s without a pull
MOST = 400  # trainings held at once
MAX_REQUEST = 8 * 2**20  # bytes; a drawing of as many points as are allowed has less
PULL = "gradio_api/ganlab/toy"  # also where live.js asks
GONE = "This training is no longer on the server: it was forgotten after an hour of rest. Reload the page."


def ruler_of(session: Session) -> Ruler:
    return Ruler(session.games[0].data, SAMPLES)


@lru_cache
def named_ruler(data: str) -> Ruler:
    return Ruler(get_distribution(data), SAMPLES)


class Live:
    """A session with a lock, so that the page's controls and its frames do not meet."""

    def __init__(self, session: Session):
        self.lock = threading.Lock()
        self.pulled = self.measured = 0.0
        self.ahead: tuple[dict, Future] | None = None  # what was wanted, and the frame that is made for it
        self.start(session)

    def start(self, session: Session) -> None:
        """Show another session from now on."""
        self.session, self.fresh, self.past = session, True, None
        self.ruler = named_ruler(session.games[0].config.data) if session.data is None else ruler_of(session)
        self.measured = 0.0

    def fork(self) -> None:
        """Go on from the past moment that is looked at; what came after it is forgotten."""
        if self.past is not None:
            self.session.rewind(self.session.moments[self.past])
            self.past = None

    def do(self, command: list) -> dict:
        """What a button asks for; returns what it asked to have. Raises InputError."""
        name, *rest = command
        session = self.session
        if name == "play":
            self.fork()
            session.playing = not session.trouble
        elif name == "pause":
            session.playing = False
        elif name == "step":
            self.fork()
            session.playing = False
            if rest[0] == "dg":
                session.advance(1)
            elif rest[0] in ("d", "g"):
                session.single(rest[0])
        elif name == "look":
            session.playing = False
            k = bisect_right(session.moments, max(0, int(rest[0]))) - 1
            self.past = None if rest[0] >= session.steps else k
        elif name == "link":
            return {"link": session.link()}
        elif name == "draw":
            drawn = torch.tensor(rest[0], dtype=torch.float32)
            self.start(Session(tuple(game.config for game in session.games), drawn=drawn))
            return {"own": True}
        elif name == "script":
            return {"script": export_script(session)}
        elif name == "film":
            return {"film": base64.b64encode(film(session)).decode()}
        elif name == "save":
            with tempfile.TemporaryDirectory(prefix="ganlab-") as scratch:
                path = Path(scratch, "session.safetensors")
                save(session, path)
                return {"saved": base64.b64encode(path.read_bytes()).decode()}
        return {}


class Lives(Held):
    """All trainings; a few threads take turns in training them."""

    def __init__(self, threads: int | None = None, most: int = MOST):
        super().__init__(most, FORGET_AFTER, GONE)
        self._pool = ThreadPoolExecutor(threads or min(4, os.cpu_count() or 1), "toy", one_thread)

    def open(self, session: Session, holder: str) -> str:
        """The token of a new training, which lasts until its holder closes or leaves it alone for an hour."""
        return self.add(Live(session), holder)

    async def pull(self, request: dict) -> tuple[dict, bytes]:
        """What the commands asked to have, or {"error": a sentence}; and the next frame, empty if there is none.

        request: token, do (a list of commands, see Live.do), layers, steady (whether to send what does not change),
        slow (one step per frame). While a training plays, the frame after this one is made ahead, as this one travels.
        """
        try:
            live = self.get(request.get("token"))
        except InputError as error:
            return {"error": str(error), "gone": True}, b""
        wanted = {name: request.get(name) for name in ("layers", "slow")}
        ahead, live.ahead = live.ahead, None
        answer: dict = {}
        if ahead is not None:
            answer, packed = await asyncio.wrap_future(ahead[1])
            if answer["fresh"]:
                live.fresh = True  # should this frame be passed over, the next one says so again
        if ahead is None or request.get("do") or request.get("steady") or ahead[0] != wanted or live.fresh:
            call = asyncio.get_running_loop().run_in_executor
            answer, packed = await call(self._pool, self._frame, live, request)
        if live.session.playing and not request.get("slow"):
            live.ahead = (wanted, self._pool.submit(self._frame, live, wanted))
        return answer, packed

    def _frame(self, live: Live, request: dict) -> tuple[dict, bytes]:
        answer: dict = {}
        with live.lock:
            live.pulled = now = time.monotonic()
            load = self._load(now)
            try:
                for command in list(request.get("do") or ())[:16]:
                    answer |= live.do(list(command))
            except InputError as error:
                answer["error"] = str(error)
            except (ValueError, TypeError, IndexError):
                answer["error"] = "That was no command of this page; reload it."
            session = live.session
            if session.playing:
                live.past = None
                session.advance(1 if request.get("slow") else None, max(LEAST, BUDGET / load))
            answer["fresh"], live.fresh = live.fresh, False
            ruler = None
            if answer["fresh"] or not session.playing or now - live.measured > MEASURE_EVERY * load:
                live.measured, ruler = now, live.ruler
            layers = request.get("layers")
            layers = tuple(map(str, layers)) if isinstance(layers, list) else ()
            steady = answer["fresh"] or bool(request.get("steady"))
            return answer, frame(session, ruler, steady, layers, live.past)

    def _load(self, now: float) -> float:
        """How many trainings there are to a core, at least 1: the more, the less time each gets, so that all move."""
        training = sum(live.session.playing and now - live.pulled < 1.0 for live in self.all())
        return max(1.0, training / (os.cpu_count() or 1))


def routes(lives: Lives) -> list[Route]:
    """POST /gradio_api/ganlab/toy with a request as Lives.pull takes it, in JSON. The answer is packed: uint32 length
    of the JSON of what was asked for, that JSON, the frame. A route of its own costs a tenth of gradio's calls."""

    async def answer(request: Request) -> Response:
        wanted = await read_question(request, MAX_REQUEST)
        if isinstance(wanted, Response):
            return wanted
        words, packed = await lives.pull(wanted)
        return Response(pack(words, packed), headers=PRIVATE)

    return [Route(f"/{PULL}", answer, methods=["POST"])]
