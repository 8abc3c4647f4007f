"""Several processes that train one model: what `accelerate launch` starts, on one machine or many. One alone is a team
of one, for which all of this does nothing and loads nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@cache
def _team() -> Any:
    """Accelerate's view of the processes; None for one alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return None
    import torch
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available())


def rank() -> int:
    """Which of the processes this is, from 0 on. Only 0 writes files."""
    return _team().process_index if _team() else 0


def count() -> int:
    """How many processes there are."""
    return _team().num_processes if _team() else 1


@contextmanager
def first_alone() -> Iterator[None]:
    """Process 0 goes through the block before all others."""
    if not _team():
        yield
        return
    with _team().main_process_first():
        yield


def wait() -> None:
    """Until every process has come here."""
    if _team():
        _team().wait_for_everyone()


def largest(value: int) -> int:
    """The largest of all processes' numbers."""
    if not _team():
        return value
    import torch
    from accelerate.utils import gather

    return int(gather(torch.tensor([value], device=_team().device)).max())


def average(tensors: list[Tensor]) -> None:
    """Replace floating-point tensors by their means over the processes, in one exchange per type."""
    if not _team():
        return
    import torch
    from accelerate.utils import reduce

    for kind in {t.dtype for t in tensors}:
        same = [t for t in tensors if t.dtype == kind]
        flat = reduce(torch.cat([t.reshape(-1) for t in same]), "mean")
        for t, mean in zip(same, flat.split([t.numel() for t in same]), strict=True):
            t.copy_(mean.view(t.shape))
