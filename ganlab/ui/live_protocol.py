"""What canvases and server say to each other: questions in JSON, answers of JSON and arrays, things held by token."""

from __future__ import annotations

import asyncio
import json
import secrets
import struct
import threading
import time

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from ganlab.errors import InputError

PRIVATE = {"Cache-Control": "no-store"}


async def read_question(request: Request, most: int) -> dict | Response:
    """The JSON object that a canvas sent, or the answer to what is none or has more than `most` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body.extend(chunk)
        if len(body) > most:
            return Response("Too long.", 413)
    try:
        wanted = await asyncio.to_thread(json.loads, body)
        json.dumps(wanted, ensure_ascii=False).encode()  # halves of surrogate pairs are no text, and no file's name
    except (ValueError, RecursionError):
        wanted = None
    return wanted if isinstance(wanted, dict) else Response("Not a request of this page.", 400)


def pack(head: dict, *parts: bytes) -> bytes:
    """uint32 length of the JSON, the JSON (a multiple of 4 bytes), the parts."""
    words = json.dumps(head).encode()
    words += b" " * (-len(words) % 4)
    return struct.pack("<I", len(words)) + words + b"".join(parts)


def pack_images(head: dict, arrays: dict[str, np.ndarray]) -> bytes:
    """pack with arrays one after another, as head["arrays"] then lists them."""
    head = head | {"arrays": [{"name": name, "shape": list(a.shape)} for name, a in arrays.items()]}
    return pack(head, *(a.tobytes() for a in arrays.values()))


class Held:
    """Things that browsers watch, each with `pulled`, the time of its last pull, by unguessable token. Left alone for
    `rest` seconds a thing is forgotten; when there are `most`, the one that has rested longest."""

    def __init__(self, most: int, rest: float, gone: str):
        self._most, self._rest, self._gone = most, rest, gone
        self._things: dict[str, object] = {}
        self._holders: dict[str, str] = {}  # token -> who opened it
        self._lock = threading.Lock()

    def add(self, thing, holder: str) -> str:
        """The token of a thing, which lasts until its holder closes or leaves it alone."""
        token, thing.pulled = secrets.token_urlsafe(24), time.monotonic()
        with self._lock:
            for pulled, old in sorted((t.pulled, k) for k, t in self._things.items()):
                if thing.pulled - pulled > self._rest or len(self._things) >= self._most:
                    self._forget(old)
            self._things[token], self._holders[token] = thing, holder
        return token

    def get(self, token):
        """Raises InputError for a token that opens nothing."""
        thing = self._things.get(token) if isinstance(token, str) else None
        if thing is None:
            raise InputError(self._gone)
        return thing

    def close(self, holder: str) -> None:
        """Forget all that the holder opened."""
        with self._lock:
            for token in [t for t, who in self._holders.items() if who == holder]:
                self._forget(token)

    def all(self) -> list:
        return list(self._things.values())

    def _forget(self, token: str) -> None:
        del self._things[token], self._holders[token]
