"""Protocol between canvas and server: JSON requests, binary responses (see ganlab/packing.py).

The browser's side is assets/shared/live_client.js. A separate route costs a tenth of a gradio call.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ganlab.errors import InputError
from ganlab.packing import pack
from ganlab.ui.session_store import SessionGone

PRIVATE = {"Cache-Control": "no-store"}
NOT_OURS = "Invalid request; reload the page."
MALFORMED = ValueError, TypeError, LookupError, AttributeError, OverflowError  # raised by malformed questions
MAX_COMMANDS = 16  # of one question

Answer = tuple[dict, Mapping[str, np.ndarray | bytes]]  # facts, arrays


async def read_question(request: Request, most: int) -> dict | Response:
    """The JSON object that a canvas sent, or an error response if the body is not one or has more than `most` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body.extend(chunk)
        if len(body) > most:
            return Response(f"That is more than {most:,} bytes, the most that this page may send at once.", 413)
    try:
        question = await asyncio.to_thread(json.loads, body)
        json.dumps(question, ensure_ascii=False).encode()  # lone surrogates are not valid text or file names
    except (ValueError, RecursionError):
        question = None
    return question if isinstance(question, dict) else Response(NOT_OURS, 400)


def live_route(path: str, answer: Callable[[dict], Awaitable[Answer]], most: int) -> Route:
    """POST /path: a question of at most `most` bytes, answered by packed facts and arrays.

    Invalid input becomes {"error": sentence}; for an unknown token there is also "gone".
    """

    async def respond(request: Request) -> Response:
        question = await read_question(request, most)
        if isinstance(question, Response):
            return question
        facts, arrays = await explained(answer(question))
        return Response(pack(facts, arrays), headers=PRIVATE)

    return Route(f"/{path}", respond, methods=["POST"])


async def explained(answer: Awaitable[Answer]) -> Answer:
    """The answer, or the facts that explain why there is none."""
    try:
        return await answer
    except SessionGone as error:
        return {"error": str(error), "gone": True}, {}
    except InputError as error:
        return {"error": str(error)}, {}
    except MALFORMED:
        return {"error": NOT_OURS}, {}


def in_threads(pool: Executor, answer: Callable[..., Answer], *first: Any) -> Callable[[dict], Awaitable[Answer]]:
    """answer(*first, question) as a coroutine for live_route, run by the threads of a pool."""

    async def run(question: dict) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(pool, partial(answer, *first, question))

    return run


def obey(commands: Any, table: Mapping[str, Callable[..., Answer | None]], session: Any) -> Answer:
    """Carry out the commands of a question, each [name, arguments ...], by table[name](session, *arguments).

    Returns all that they returned; the first error stops it and is returned as {"error": sentence}.
    """
    facts: dict = {}
    arrays: dict[str, np.ndarray | bytes] = {}
    try:
        for name, *arguments in list(commands or ())[:MAX_COMMANDS]:
            more_facts, more_arrays = table[name](session, *arguments) or ({}, {})
            facts |= more_facts
            arrays |= more_arrays
    except InputError as error:
        facts["error"] = str(error)
    except MALFORMED:
        facts["error"] = NOT_OURS
    return facts, arrays
