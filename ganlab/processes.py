"""Several processes that train one model, started by `accelerate launch` on one machine or many. For a single process
these functions do nothing, and Accelerate is not imported."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@cache
def _state() -> Any:
    """Accelerate's view of the processes; None for a single process."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return None
    import torch
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available())


def rank() -> int:
    """The number of this process, from 0. Only process 0 writes files."""
    return _state().process_index if _state() else 0


def count() -> int:
    """The number of processes."""
    return _state().num_processes if _state() else 1


@contextmanager
def first_alone() -> Iterator[None]:
    """Process 0 runs the block before all others."""
    if not _state():
        yield
        return
    with _state().main_process_first():
        yield


def wait() -> None:
    """Wait until every process has reached this call."""
    if _state():
        _state().wait_for_everyone()


def largest(value: int) -> int:
    """The largest value of all processes."""
    if not _state():
        return value
    import torch
    from accelerate.utils import gather

    return int(gather(torch.tensor([value], device=_state().device)).max())


def average(tensors: list[Tensor]) -> None:
    """Replace floating-point tensors by their means over the processes, in one exchange per dtype."""
    if not _state():
        return
    import torch
    from accelerate.utils import reduce

    for dtype in {t.dtype for t in tensors}:
        same = [t for t in tensors if t.dtype == dtype]
        flat = reduce(torch.cat([t.reshape(-1) for t in same]), "mean")
        for t, mean in zip(same, flat.split([t.numel() for t in same]), strict=True):
            t.copy_(mean.view(t.shape))
