"""Training images for the pages: made once for all visitors, in the background, for some take minutes. Of those in the
making the two that had least time go on, so that what is soon made never waits for what is not."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from ganlab.device import one_thread

AT_ONCE = 2  # the processor is the trainings' as well
_pool = ThreadPoolExecutor(64, "images", one_thread)  # one for each set: there are fewer
_made: dict[tuple[str, int], tuple[Future, list[float]]] = {}
_spent: dict[tuple[str, int], float] = {}  # s of work on each set in the making
_turn = threading.Condition()


def images_of(name: str, count: int) -> tuple[Future, list[float]]:
    """The first `count` training images of a name, as a future, and a list whose last number is the share made."""
    with _turn:
        if (name, count) not in _made:
            share = [0.0]
            _made[name, count] = (_pool.submit(_make, name, count, share), share)
        return _made[name, count]


def _make(name: str, count: int, share: list[float]):
    from ganlab.generation.image_kinds import get_kind, load_images

    key = name, count

    def goes_on() -> bool:
        return key in sorted(_spent, key=_spent.get)[:AT_ONCE]

    def progress(made: float) -> None:
        nonlocal begun
        share.append(made)
        with _turn:
            _spent[key] += time.monotonic() - begun
            _turn.notify_all()
            _turn.wait_for(goes_on)
        begun = time.monotonic()

    with _turn:
        _spent[key] = 0.0
        _turn.wait_for(goes_on)
    begun = time.monotonic()
    try:
        return load_images(get_kind(name), count=count, progress=progress)
    finally:
        with _turn:
            del _spent[key]
            _turn.notify_all()
