"""Sessions that browsers watch, each reachable by an unguessable token: live games, training runs, practice tests.

A session is dropped when its page is closed, when it has been idle too long, or when there are too many or they take
too much memory: then the one that was left alone longest is dropped first, and its owner gets a message.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from ganlab.errors import InputError

REMEMBERED = 10_000  # dropped tokens whose reason is still known


class Watched(Protocol):
    """Anything with an `nbytes` attribute."""

    @property
    def nbytes(self) -> int: ...


S = TypeVar("S", bound=Watched)


class SessionGone(InputError):
    """The token's session was dropped, or never existed."""


@dataclass(frozen=True)
class Limits:
    """Limits for the sessions of one kind."""

    noun: str  # what a visitor calls one: "training"
    remedy: str  # what a visitor does when it was dropped: "Reload the page."
    count: int  # sessions held at once
    idle: float  # seconds without use until one is dropped
    megabytes: int  # that all of them may take


@dataclass
class _Entry(Generic[S]):
    session: S
    owner: str
    used: float
    nbytes: int
    lock: threading.Lock = field(default_factory=threading.Lock)


class SessionStore(Generic[S]):
    """Sessions by token; safe to use from several threads."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic):
        self.limits, self._clock = limits, clock
        self._entries: OrderedDict[str, _Entry[S]] = OrderedDict()  # the one used last comes last
        self._reasons: OrderedDict[str, str] = OrderedDict()  # dropped token -> why
        self._lock = threading.Lock()

    def open(self, session: S, owner: str) -> str:
        """Store a session for its owner, a browser session's id; returns its token. May drop others."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._entries[token] = _Entry(session, owner, self._clock(), session.nbytes)
            self._make_room()
        return token

    @contextlib.contextmanager
    def use(self, token: Any) -> Iterator[S]:
        """The session of a token, for one thread at a time; afterwards its size is measured again, which may drop
        others.

        Raises SessionGone, which says why.
        """
        with self._lock:
            entry = self._touch(token)
        with entry.lock:
            try:
                yield entry.session
            finally:
                entry.nbytes = entry.session.nbytes
        with self._lock:
            self._make_room()

    def peek(self, token: Any) -> S:
        """The session of a token without waiting for other users of it. Raises SessionGone."""
        with self._lock:
            return self._touch(token).session

    def used_within(self, seconds: float) -> list[S]:
        """The sessions that were used in the last `seconds`."""
        with self._lock:
            since = self._clock() - seconds
            return [entry.session for entry in self._entries.values() if entry.used >= since]

    def close(self, owner: str) -> None:
        """Drop all sessions of an owner."""
        with self._lock:
            for token in [t for t, entry in self._entries.items() if entry.owner == owner]:
                del self._entries[token]

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def nbytes(self) -> int:
        """Bytes of all sessions, each as measured when it was last used."""
        with self._lock:
            return sum(entry.nbytes for entry in self._entries.values())

    def _touch(self, token: Any) -> _Entry[S]:
        self._drop_idle()
        entry = self._entries.get(token) if isinstance(token, str) else None
        if entry is None:
            known = self._reasons.get(token) if isinstance(token, str) else None
            reason = known or "is not on the server: its page was closed or the server restarted"
            raise SessionGone(f"This {self.limits.noun} {reason}. {self.limits.remedy}")
        entry.used = self._clock()
        self._entries.move_to_end(token)
        return entry

    def _make_room(self) -> None:
        """Drop idle sessions, then the least recently used until the rest fits; the one used last always stays."""
        self._drop_idle()
        size = sum(entry.nbytes for entry in self._entries.values())
        while len(self._entries) > 1:
            if len(self._entries) <= self.limits.count and size <= self.limits.megabytes * 2**20:
                break
            size -= self._drop("was closed to free memory, because it had been idle longest")

    def _drop_idle(self) -> None:
        since = self._clock() - self.limits.idle
        while self._entries and next(iter(self._entries.values())).used < since:
            self._drop(f"was dropped after {self.limits.idle / 60:.0f} minutes without use")

    def _drop(self, reason: str) -> int:
        """Drop the least recently used; returns its size."""
        token, entry = self._entries.popitem(last=False)
        self._reasons[token] = reason
        if len(self._reasons) > REMEMBERED:
            self._reasons.popitem(last=False)
        return entry.nbytes
