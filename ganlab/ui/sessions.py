"""Files and live sessions that belong to browser sessions, reachable only by unguessable tokens.

A path (a result's folder, an uploaded file) is kept as long as someone holds it: a browser session, or the cache of
phantom results. It is deleted when the last holder releases it.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path

from ganlab.errors import Cancelled
from ganlab.ui.session_store import Limits, SessionStore

CACHE = object()  # holds the results that several browser sessions share


class Store:
    """Held paths, the result folders among them, and live sessions; safe to use from several threads.

    shared: how many public results (phantom patients) are kept for the next visitor.
    """

    def __init__(self, shared: int = 8):
        self._live: dict[Limits, SessionStore] = {}
        self._root = Path(tempfile.mkdtemp(prefix="ganlab-"))
        weakref.finalize(self, shutil.rmtree, self._root, ignore_errors=True)  # at interpreter exit at the latest
        self._holders: dict[Path, set[Hashable]] = {}
        self._results: dict[str, Path] = {}  # token -> folder
        self._shared: OrderedDict[Hashable, str] = OrderedDict()  # key -> token
        self._cancels: dict[Hashable, threading.Event] = {}
        self._room = shared
        self._lock = threading.RLock()

    def live(self, limits: Limits) -> SessionStore:
        """The live sessions of one kind, which end with the browser session that owns them."""
        with self._lock:
            return self._live.setdefault(limits, SessionStore(limits))

    def new_result(self, holder: Hashable) -> tuple[str, Path]:
        """An empty folder for a result and the token that opens it."""
        token = secrets.token_urlsafe(32)
        folder = self._root / token
        folder.mkdir()
        with self._lock:
            self._results[token] = folder
            self.hold(holder, folder)
        return token, folder

    def publish(self, folder: Path) -> str:
        """A token for a folder that ships with the app and is never deleted."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._results[token] = folder
        return token

    def folder(self, token: str) -> Path:
        """The result's folder. Raises KeyError for an unknown token."""
        return self._results[token]

    def hold(self, holder: Hashable, *paths: Path | str) -> None:
        with self._lock:
            for path in paths:
                self._holders.setdefault(Path(path), set()).add(holder)

    def release(self, holder: Hashable, paths: Iterable[Path] | None = None) -> None:
        """Release some paths, or of all that the holder has; paths without a holder are deleted."""
        with self._lock:
            held = [path for path, holders in self._holders.items() if holder in holders]
            for path in held if paths is None else set(held) & set(map(Path, paths)):
                self._holders[path].discard(holder)
                if not self._holders[path]:
                    self._delete(path)

    def keep(self, holder: Hashable, token: str) -> None:
        """Make this result the only one that the holder keeps; its uploads stay."""
        with self._lock:
            mine = [path for path in self._results.values() if path != self._results[token]]
            if self._results[token] in self._holders:
                self.hold(holder, self._results[token])
            self.release(holder, mine)

    def share(self, key: Hashable, token: str) -> None:
        """Keep a result for everyone who asks for the same key; drops the least recently used."""
        with self._lock:
            self.hold(CACHE, self._results[token])
            self._shared[key] = token
            while len(self._shared) > self._room:
                _, oldest = self._shared.popitem(last=False)
                self.release(CACHE, [self._results[oldest]])

    def shared(self, key: Hashable) -> str | None:
        """The token of a shared result, if there is one."""
        with self._lock:
            if key in self._shared:
                self._shared.move_to_end(key)
            return self._shared.get(key)

    def result(
        self, holder: Hashable, make: Callable[[Path, Callable[[], bool]], object], key: Hashable | None = None
    ) -> str:
        """Run a holder's job and make its result the only one that the holder keeps; returns the token.

        make(folder, cancelled) fills an empty folder. key: of a public result, which is shared with everyone who asks
        for the same key. Raises Cancelled and any error of `make`; the holder then keeps what it had.
        """
        event = self.start(holder)
        token = self.shared(key) if key is not None else None
        if token is None:
            token, folder = self.new_result(event)  # held by the job until it is done, even if the holder is closed
        else:
            folder = self.folder(token)
            self.hold(event, folder)
        try:
            if not any(folder.iterdir()):
                make(folder, event.is_set)
                if key is not None:
                    self.share(key, token)
            if not event.is_set():
                self.keep(holder, token)
            if event.is_set():  # perhaps only just now, and the holder may be closed
                self.release(holder, [folder])
                raise Cancelled
            return token
        finally:
            self.release(event)

    def start(self, holder: Hashable) -> threading.Event:
        """An event that is set when the holder's new job is cancelled; cancels the holder's earlier job."""
        with self._lock:
            self.cancel(holder)
            self._cancels[holder] = threading.Event()
            return self._cancels[holder]

    def cancel(self, holder: Hashable) -> None:
        with self._lock:
            if holder in self._cancels:
                self._cancels.pop(holder).set()

    def close(self, holder: Hashable) -> None:
        """End a browser session: cancel its job, end its live sessions and delete its files."""
        self.cancel(holder)
        for sessions in list(self._live.values()):
            sessions.close(holder)
        self.release(holder)

    def _delete(self, path: Path) -> None:
        del self._holders[path]
        self._results = {token: folder for token, folder in self._results.items() if folder != path}
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
