"""The pages of a study, each a page of its own: /rate for readers and /organise for whoever runs it.

They are plain pages, so that nothing of the app's other tabs, no component's value and no listed endpoint is near a
reader. Readers send their invitation with every request; organisers the study's name and secret.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from ganlab.ui.components import ASSETS
from ganlab.ui.live_protocol import PRIVATE, read_question

MAX_REQUEST = 2**13  # bytes of a reader's request
TURING = ASSETS / "turing"
FILES = {  # name in the address: file, media type
    "rate.css": (TURING / "rate.css", "text/css"),
    "controls.js": (ASSETS / "shared" / "controls.js", "text/javascript"),
    "reading.js": (TURING / "reading.js", "text/javascript"),
    "rate.js": (TURING / "rate.js", "text/javascript"),
    "organise.js": (TURING / "organise.js", "text/javascript"),
}
GUARDED = PRIVATE | {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Desk:
    """The studies' database, opened when it is first needed."""

    def __init__(self, url: str | None = None):
        self._url, self._engine, self._lock = url, None, threading.Lock()

    @property
    def engine(self):
        from ganlab.study.reading.archive import delete_overdue, open_archive

        with self._lock:
            today = datetime.now(UTC).date()
            if self._engine is None:
                self._engine, self._day = open_archive(self._url), today
            if self._day != today:  # a server that runs for months deletes on the day as well
                delete_overdue(self._engine)
                self._day = today
            return self._engine


def page(name: str) -> Callable:
    """Serves one of the pages."""

    async def serve(request: Request) -> Response:
        return FileResponse(TURING / name, media_type="text/html", headers=GUARDED)

    return serve


async def file(request: Request) -> Response:
    """A script or the style of the pages."""
    name = request.path_params["name"]
    if name not in FILES:
        return Response("Not found.", 404)
    path, media_type = FILES[name]
    return FileResponse(path, media_type=media_type, headers={"Cache-Control": "no-cache"})


def answering(answer: Callable[[dict], dict], threads: ThreadPoolExecutor, most: Callable[[Request], int]) -> Callable:
    """Answers JSON of most(request) bytes with JSON, in a thread of its own kind: readers never wait for organisers."""

    async def serve(request: Request) -> Response:
        wanted = await read_question(request, most(request))
        if isinstance(wanted, Response):
            return wanted
        found = await asyncio.get_running_loop().run_in_executor(threads, answer, wanted)
        return JSONResponse(found, status_code=503 if found.get("again") else 200, headers=GUARDED)

    return serve


def routes(desk: Desk, host: str = "") -> list[Route]:
    """GET and POST /rate and /organise, and their files. host: the secret by which studies may be created here."""
    from ganlab.ui.pages.turing.organise import Counter

    def read(wanted: dict) -> dict:
        from ganlab.study.reading.session import handle  # with the first reader, not with the app: it brings SQLAlchemy

        return handle(desk.engine, wanted)

    counter = Counter(desk, host)
    reading, organising = ThreadPoolExecutor(8, "readers"), ThreadPoolExecutor(2, "organisers")
    ask = answering(read, reading, lambda request: MAX_REQUEST)
    organise = answering(counter.ask, organising, counter.most)
    return [
        Route("/rate", page("rate.html"), methods=["GET"]),
        Route("/rate", ask, methods=["POST"]),
        Route("/organise", page("organise.html"), methods=["GET"]),
        Route("/organise", organise, methods=["POST"]),
        Route("/rate/{name}", file, methods=["GET"]),
    ]


def serve(desk: Desk, host: str, port: int, secret: str) -> None:
    """Serve the two pages, and nothing else, until stopped; no request is logged with its address."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import RedirectResponse

    first = Route("/", lambda request: RedirectResponse("rate"), methods=["GET"])
    app = Starlette(routes=[first, *routes(desk, secret)])
    quiet = {"access_log": False, "log_level": "warning", "date_header": False, "server_header": False}
    uvicorn.run(app, host=host, port=port, **quiet)
