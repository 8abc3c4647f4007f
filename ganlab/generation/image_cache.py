"""Training images, made once per process in the background, because some kinds take minutes. When several are
requested at once, the two that have had the least time run, so that quick sets never wait for slow ones."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from ganlab.device import one_thread

AT_ONCE = 2  # training needs the processor as well
_pool = ThreadPoolExecutor(64, "images", one_thread)  # a thread per set; there are fewer sets than threads
_sets: dict[tuple[str, int], tuple[Future, list[float]]] = {}
_spent: dict[tuple[str, int], float] = {}  # seconds of work on each unfinished set
_turn = threading.Condition()


def images_of(name: str, count: int) -> tuple[Future, list[float]]:
    """A future of the first `count` training images of a kind, and a list whose last value is the progress, 0 to 1."""
    with _turn:
        if (name, count) not in _sets:
            share = [0.0]
            _sets[name, count] = (_pool.submit(_make, name, count, share), share)
        return _sets[name, count]


def _make(name: str, count: int, share: list[float]):
    from ganlab.generation.image_kinds import get_kind, load_images

    key = name, count

    def may_run() -> bool:
        return key in sorted(_spent, key=_spent.get)[:AT_ONCE]

    def progress(done: float) -> None:
        nonlocal started
        share.append(done)
        with _turn:
            _spent[key] += time.monotonic() - started
            _turn.notify_all()
            _turn.wait_for(may_run)
        started = time.monotonic()

    with _turn:
        _spent[key] = 0.0
        _turn.wait_for(may_run)
    started = time.monotonic()
    try:
        return load_images(get_kind(name), count=count, progress=progress)
    finally:
        with _turn:
            del _spent[key]
            _turn.notify_all()
