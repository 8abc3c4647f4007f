"""The pages of a study outside the app: /rate for readers and /organise for organisers.

They are plain pages, so that a reader gets nothing of the app's other tabs, component values or listed endpoints.
Readers send their invitation with every request, organisers the study's name and secret.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from ganlab.errors import InputError
from ganlab.ui.components import ASSETS
from ganlab.ui.live_protocol import PRIVATE, read_question
from ganlab.ui.pages.turing import organise

if TYPE_CHECKING:
    from sqlalchemy import Engine

MAX_REQUEST = 2**13  # bytes of a reader's request
TURING = ASSETS / "turing"
FILES = {  # name in the URL -> file, media type
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


class StudyDatabase:
    """The database of studies, opened at first use; studies that are overdue are deleted daily.

    url: address of the database; by default the one that open_archive chooses.
    """

    def __init__(self, url: str | None = None):
        self._url = url
        self._engine: Engine | None = None
        self._day: date | None = None
        self._lock = threading.Lock()

    def engine(self) -> Engine:
        """The open database. Raises InputError if it cannot be opened."""
        from ganlab.study.reading.archive import delete_overdue, open_archive

        with self._lock:
            today = datetime.now(UTC).date()
            if self._engine is None:
                self._engine, self._day = open_archive(self._url), today
            if self._day != today:  # for servers that run for months
                delete_overdue(self._engine)
                self._day = today
            return self._engine


def answer_reader(database: StudyDatabase, request: dict) -> dict:
    """Answer a reader's request."""
    from ganlab.study.reading.session import handle  # imported by the first reader: SQLAlchemy would delay the app

    return handle(database.engine(), request)


def reader_bytes(request: Request) -> int:
    """Bytes accepted from a reader."""
    return MAX_REQUEST


def organiser_bytes(host: str, request: Request) -> int:
    """Bytes accepted from an organiser; more with the host's secret. host: that secret."""
    is_host = organise.is_host(request.headers.get("x-ganlab-host", ""), host)
    return organise.MAX_BYTES if is_host else organise.MAX_REQUEST


async def send_page(name: str, request: Request) -> Response:
    """Send a page."""
    return FileResponse(TURING / name, media_type="text/html", headers=GUARDED)


async def send_file(request: Request) -> Response:
    """Send a script or the style sheet of the pages."""
    name = request.path_params["name"]
    if name not in FILES:
        return Response("Not found.", 404)
    path, media_type = FILES[name]
    return FileResponse(path, media_type=media_type, headers={"Cache-Control": "no-cache"})


async def answer_json(
    answer: Callable[[dict], dict], threads: ThreadPoolExecutor, most: Callable[[Request], int], request: Request
) -> Response:
    """Answer JSON of at most most(request) bytes with JSON, in one of the threads."""
    question = await read_question(request, most(request))
    if isinstance(question, Response):
        return question
    reply = await asyncio.get_running_loop().run_in_executor(threads, answer, question)
    return JSONResponse(reply, status_code=503 if reply.get("again") else 200, headers=GUARDED)


def routes(database: StudyDatabase, host: str = "") -> list[Route]:
    """GET and POST /rate and /organise, and their files. Readers and organisers have separate threads, so that readers
    never wait for organisers. host: the secret that allows creating studies here."""
    readers, organisers = ThreadPoolExecutor(8, "readers"), ThreadPoolExecutor(2, "organisers")
    rate = partial(answer_json, partial(answer_reader, database), readers, reader_bytes)
    answer_organiser = partial(organise.answer, database.engine, host)
    manage = partial(answer_json, answer_organiser, organisers, partial(organiser_bytes, host))
    return [
        Route("/rate", partial(send_page, "rate.html"), methods=["GET"]),
        Route("/rate", rate, methods=["POST"]),
        Route("/organise", partial(send_page, "organise.html"), methods=["GET"]),
        Route("/organise", manage, methods=["POST"]),
        Route("/rate/{name}", send_file, methods=["GET"]),
    ]


async def send_to_rate(request: Request) -> Response:
    """Redirect to the readers' page."""
    return RedirectResponse("rate")


def check_address(host: str, port: int) -> None:
    """Raise InputError if nothing can listen there."""
    try:
        with socket.create_server((host, port)):
            pass
    except (OSError, OverflowError) as error:
        raise InputError(f"Cannot listen on {host}, port {port} ({error}); choose another --host or --port.") from error


def serve(database: StudyDatabase, host: str, port: int, secret: str) -> None:
    """Serve only these pages until stopped; requests are not logged, so no addresses are kept."""
    import uvicorn

    app = Starlette(routes=[Route("/", send_to_rate, methods=["GET"]), *routes(database, secret)])
    quiet = {"access_log": False, "log_level": "warning", "date_header": False, "server_header": False}
    uvicorn.run(app, host=host, port=port, **quiet)
