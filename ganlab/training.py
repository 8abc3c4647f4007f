"""What every trainer shares: events, the learning-rate schedule, averaged weights and resumable state."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from ganlab import processes
from ganlab.checkpoints import check_finite, load_tensors, save_tensors
from ganlab.errors import InputError


@dataclass(frozen=True)
class Event:
    """One thing that happened: kind is "step", "data" (the user's volumes are ready; path: a picture of them),
    "checkpoint" or "preview" (path: a picture of what the networks make by now)."""

    kind: str
    step: int
    steps: int
    numbers: dict[str, float] = field(default_factory=dict)
    path: Path | None = None


SIGNALS = (signal.SIGINT, signal.SIGTERM)
Stop = Callable[[], int | None]


@contextmanager
def stopping(minutes: float | None = None) -> Iterator[Stop]:
    """stop(), for a training to ask after every step: None to go on, else save and end, with this exit code: 128 + its
    number after a SIGINT or SIGTERM, 0 when so many minutes are over. Several processes get one answer.

    Signals are caught from the first question on, for before it there is nothing to save, until the block ends. A
    second one does what it always did.
    """
    end = time.monotonic() + 60 * (math.inf if minutes is None else minutes)
    usual, heard = {}, []

    def give_back() -> None:
        for number, handler in usual.items():
            signal.signal(number, handler)

    def hear(number: int, frame) -> None:
        heard.append(number)
        give_back()

    def stop() -> int | None:
        if not usual:
            usual.update({number: signal.signal(number, hear) for number in SIGNALS})
        code = processes.largest(128 + heard[0] if heard else 0 if time.monotonic() >= end else -1)
        return None if code < 0 else code

    try:
        yield stop
    finally:
        give_back()


def bear_signals(worker: int = 0) -> None:
    """Of a process that makes a training's slices: pass over the first SIGINT and SIGTERM. Terminals and schedulers
    send them to all processes, but the training takes its step to the end, and ends its helpers itself."""
    for number in SIGNALS:
        signal.signal(number, lambda number, frame: signal.signal(number, signal.SIG_DFL))


def tensorboard(folder: Path) -> Callable[[Event], None]:
    """Something to tell of every event, that writes files for TensorBoard. Raises InputError where it is not
    installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError(
            "TensorBoard is not installed; pip install tensorboard, or leave --tensorboard out."
        ) from error
    from matplotlib.image import imread

    writer = SummaryWriter(folder)

    def tell(event: Event) -> None:
        for name, value in event.numbers.items():
            writer.add_scalar(name, value, event.step)
        if event.kind == "preview":
            writer.add_image("progress", imread(event.path), event.step, dataformats="HWC")
        if event.kind != "step":
            writer.flush()

    return tell


def learning_rate(step: int, steps: int, peak: float, warmup: int = 100, decay: float = 0.25) -> float:
    """Linear warm-up, constant, then linear to zero over the last share `decay` of the steps.

    The constant stretch does not depend on `steps`, so that a run may be resumed with more or fewer.
    """
    left = (steps - step) / max(1.0, decay * steps)
    return peak * min(1.0, (step + 1) / warmup, left)


class Average:
    """Exponential moving average of a network's parameters and statistics, with a warm-up of its horizon."""

    def __init__(self, net: nn.Module, horizon: float = 100):
        self.horizon = horizon
        self.state = {k: v.detach().clone() for k, v in net.state_dict().items()}

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        now = net.state_dict()
        moving = [k for k, v in now.items() if v.is_floating_point()]
        weight = 1 / min(self.horizon, 1 + step / 5)
        torch._foreach_lerp_([self.state[k] for k in moving], [now[k] for k in moving], weight)
        for k in now.keys() - set(moving):
            self.state[k].copy_(now[k])

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from an average of the same network. Raises RuntimeError if it is of another."""
        shapes = [{k: v.shape for k, v in each.items()} for each in (state, self.state)]
        if shapes[0] != shapes[1]:
            raise RuntimeError("an average of another network")
        self.state = {k: v.clone() for k, v in state.items()}


def check_start(out: Path, resume: bool) -> None:
    """Raise InputError where a training would be begun over another, or there is none to go on with."""
    there = (out / "state.safetensors").exists()
    if there and not resume:
        raise InputError(f'"{out}" already holds a training; add --resume to go on, or choose another --out.')
    if resume and not there:
        raise InputError(
            f'There is no training to resume in "{out}"; leave --resume out to begin one, or give its folder as --out.'
        )


def save_state(path: Path, meta: dict, **parts: dict[str, Tensor]) -> None:
    """Everything needed to go on: facts (configuration, step, ...) and named dictionaries of tensors, in one file."""
    save_tensors(path, {f"{part}/{k}": v for part, items in parts.items() for k, v in items.items()}, meta)


def load_state(path: Path, device: str) -> tuple[dict, dict[str, dict[str, Tensor]]]:
    """(facts, parts) of a file that save_state wrote. Raises InputError for any other, and for what is not finite."""
    tensors, meta = load_tensors(path, device)
    check_finite(tensors, path)
    parts: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        part, _, name = key.partition("/")
        parts.setdefault(part, {})[name] = value
    return meta, parts


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Adam's moments and counts as a flat dictionary."""
    state = optimizer.state_dict()["state"]
    return {f"{i}/{k}": torch.as_tensor(v) for i, entry in state.items() for k, v in entry.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split("/")
        state.setdefault(int(index), {})[name] = value.clone()
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for p, entry in optimizer.state.items():  # fused Adam takes moments to lie in memory as their weights do
        entry.update({k: torch.empty_like(p).copy_(v) for k, v in entry.items() if v.dim() and v.shape == p.shape})
