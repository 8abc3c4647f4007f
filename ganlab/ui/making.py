"""Training images for the pages: made once for all visitors, in the background, for some take half a minute."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

from ganlab.device import one_thread

_pool = ThreadPoolExecutor(1, "images", one_thread)
_made: dict[tuple[str, int], tuple[Future, list[float]]] = {}
_lock = threading.Lock()


def images_of(name: str, count: int) -> tuple[Future, list[float]]:
    """The first `count` training images of a name, as a future, and a list whose last number is the share made."""
    from ganlab.generation.data import get_kind, load_images

    with _lock:
        if (name, count) not in _made:
            kind, share = get_kind(name), [0.0]
            _made[name, count] = (_pool.submit(load_images, kind, False, count, share.append), share)
        return _made[name, count]
