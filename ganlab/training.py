"""Shared training code: the loop with its events and checkpoints, resuming, averaged weights, the learning rate, and
stopping on a signal."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ganlab import processes
from ganlab.checkpoints import as_config, check_finite, load_tensors, save_tensors
from ganlab.errors import InputError

STATE = "state.safetensors"  # in the training folder: all that is needed to resume
STATE_VERSION = 1  # of that file's layout; files without a version have layout 1


@dataclass(frozen=True)
class Event:
    """Something that happened during training.

    kind: "step"; "data" (the user's volumes are ready; path: a picture of them); "checkpoint" (path: the weights); or
    "preview" (path: a picture of the networks' current output). numbers: losses of a step, by name.
    """

    kind: str
    step: int
    steps: int
    numbers: dict[str, float] = field(default_factory=dict)
    path: Path | None = None


# --- the loop ---------------------------------------------------------------------------------------------


class Trainer(Protocol):
    """What `run` needs from a trainer.

    config: a frozen dataclass with `steps` and `epoch`, the steps between checkpoints. step: steps taken so far. nets:
    all networks, by name.
    """

    config: Any
    device: str

    @property
    def nets(self) -> Mapping[str, nn.Module]: ...

    @property
    def step(self) -> int: ...

    def take_step(self) -> dict[str, float]:
        """Train on one batch, count it in `step` and return the losses."""
        ...

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Named groups of tensors: everything needed to continue, except config and step."""
        ...

    def facts(self) -> dict:
        """Other values to write into the state, JSON-compatible."""
        ...

    def load_state(self, state: dict[str, dict[str, Tensor]], facts: dict, path: Path) -> None:
        """Continue from a state read from `path` at facts["step"]; facts: the values written with it. Raises
        InputError, or LookupError, TypeError, ValueError or RuntimeError if it is not a state of this training."""
        ...

    def write(self, out: Path, minutes: float) -> None:
        """Write weights, card and progress.png."""
        ...


Stop = Callable[[], int | None]


def run(trainer: Trainer, out: Path, minutes: float = 0.0, stop: Stop = lambda: None) -> Iterator[Event]:
    """Train to config.steps; yields an event for every step, and for the checkpoint and its picture every config.epoch
    steps, at the end, and where stop() (called after every step, see `stopping`) ends the training.

    minutes: time already spent, as `restore` returns it. Of several processes only the first writes files.
    """
    config, begin = trainer.config, time.perf_counter()
    while trainer.step < config.steps:
        losses = trainer.take_step()
        yield Event("step", trainer.step, config.steps, losses)
        stopped = stop() is not None
        if stopped or trainer.step % config.epoch == 0 or trainer.step == config.steps:
            for net in trainer.nets.values():
                processes.average([b for b in net.buffers() if b.is_floating_point()])
            if processes.rank() == 0:
                spent = minutes + (time.perf_counter() - begin) / 60
                save(trainer, out / STATE, spent)
                trainer.write(out, spent)
            processes.wait()
            yield Event("checkpoint", trainer.step, config.steps, path=out / "model.safetensors")
            yield Event("preview", trainer.step, config.steps, path=out / "progress.png")
        if stopped:
            return


def check_start(out: Path, resume: bool) -> None:
    """Raise InputError where a new training would overwrite another, or there is none to resume."""
    if out.exists() and not out.is_dir():
        raise InputError(f'"{out}" is a file; choose a folder as --out.')
    exists = (out / STATE).exists()
    if exists and not resume:
        raise InputError(f'"{out}" already holds a training run; add --resume to continue it, or choose another --out.')
    if resume and not exists:
        raise InputError(
            f'There is no training to resume in "{out}"; omit --resume to begin one, or give its folder as --out.'
        )


def save(trainer: Trainer, path: Path, minutes: float) -> None:
    """Write everything needed to resume into one file."""
    tensors = {f"{part}/{k}": v for part, group in trainer.state().items() for k, v in group.items()}
    facts = {"config": as_config(trainer.config), "step": trainer.step, "minutes": minutes, "version": STATE_VERSION}
    save_tensors(path, tensors, facts | trainer.facts())


def restore(trainer: Trainer, path: Path) -> float:
    """Continue from a file written by `save`; returns the minutes spent so far. Raises InputError for any other file,
    another version, another configuration (except `steps`), and values that are not finite."""
    tensors, facts = load_tensors(path, trainer.device)
    check_finite(tensors, path)
    if facts.get("version", 1) != STATE_VERSION:
        raise InputError(
            f'"{path}" was written by another version of ganlab (state version {facts["version"]}, this one reads '
            f"{STATE_VERSION}); resume it with that one, or start a new training."
        )
    state: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        part, _, name = key.partition("/")
        state.setdefault(part, {})[name] = value
    try:
        saved = as_config(type(trainer.config)()) | facts["config"]
        current = as_config(replace(trainer.config, steps=saved["steps"]))
        if saved != current:
            differing = [k for k in current if saved.get(k) != current[k]]
            if "digest" in differing:  # of the user's own images
                raise InputError(
                    f'The training in "{path.parent}" learned from other images; give the folder as it was, or start a '
                    "new one."
                )
            raise InputError(
                f'The training in "{path.parent}" had another configuration ({_shown(saved, differing)}): give the '
                "same settings, or start a new one."
            )
        trainer.load_state(state, facts, path)
        return facts["minutes"]
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise InputError(f'"{path}" is not a state of this training; start a new one.') from error


def _shown(config: dict, names: list[str]) -> str:
    """Settings with their values, where these are short."""
    return ", ".join(name if isinstance(config.get(name), dict) else f"{name}={config.get(name)}" for name in names)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Adam's moments and step counts as a flat dictionary."""
    state = optimizer.state_dict()["state"]
    return {f"{i}/{k}": torch.as_tensor(v) for i, entry in state.items() for k, v in entry.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Restore what `optimizer_tensors` returned; learning rates stay as they are."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split("/")
        state.setdefault(int(index), {})[name] = value.clone()
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for p, entry in optimizer.state.items():  # fused Adam needs moments in the memory format of their weights
        entry.update({k: torch.empty_like(p).copy_(v) for k, v in entry.items() if v.dim() and v.shape == p.shape})


# --- averaged weights and the learning rate -----------------------------------------------------------------


def averaged(net: nn.Module, horizon: float = 100) -> AveragedModel:
    """An exponential moving average of a network's parameters and buffers, in evaluation mode as `.module`."""
    average = AveragedModel(net, multi_avg_fn=ema(horizon), use_buffers=True)
    return average.eval().requires_grad_(False)


def ema(horizon: float) -> Callable[[Any, Any, Any], None]:
    """The update of an AveragedModel: average += (value - average) / min(horizon, 1 + n / 5), n updates so far. The
    horizon grows, so that the first weights are soon forgotten. Integers (counts of batches) are copied."""

    @torch.no_grad()
    def update(averages: list[Tensor], values: list[Tensor], updates: Tensor) -> None:
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, values, 1 / min(horizon, 1 + int(updates) / 5))
        else:
            torch._foreach_copy_(averages, values)

    return update


def restore_average(average: AveragedModel, state: dict[str, Tensor], updates: int) -> None:
    """Continue from averaged weights after this many updates. Raises RuntimeError if they belong to another network."""
    average.module.load_state_dict(state)
    average.n_averaged.fill_(updates)


def learning_rate(step: int, steps: int, peak: float, warmup: int = 100, decay: float = 0.25) -> float:
    """Linear warm-up, constant, then linear to zero over the last share `decay` of the steps.

    The constant part does not depend on `steps`, so a run may be resumed with more steps or fewer. A function of the
    step, unlike torch's schedulers, has no state to save.
    """
    left = (steps - step) / max(1.0, decay * steps)
    return peak * min(1.0, (step + 1) / warmup, left)


# --- stopping and logging -----------------------------------------------------------------------------------

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopping(minutes: float | None = None) -> Iterator[Stop]:
    """Yield stop(), which the training loop calls after every step. It returns None to continue, or the exit code with
    which to save and end: 128 + the signal's number after SIGINT or SIGTERM, 0 when the time limit is reached. All
    processes of a training run get the same answer.

    Signals are caught from the first call on (before it there is nothing to save) until the block ends. A second signal
    has its usual effect.
    """
    end = time.monotonic() + 60 * (math.inf if minutes is None else minutes)
    previous_handlers: dict[signal.Signals, Any] = {}
    received: list[int] = []

    def restore_handlers() -> None:
        for signum, handler in previous_handlers.items():
            signal.signal(signum, handler)

    def receive(signum: int, frame: Any) -> None:
        received.append(signum)
        restore_handlers()

    def stop() -> int | None:
        if not previous_handlers:
            previous_handlers.update({signum: signal.signal(signum, receive) for signum in SIGNALS})
        code = processes.largest(128 + received[0] if received else 0 if time.monotonic() >= end else -1)
        return None if code < 0 else code

    try:
        yield stop
    finally:
        restore_handlers()


def ignore_first_signal(worker: int = 0) -> None:
    """In a data loader's worker process: ignore the first SIGINT and the first SIGTERM. Terminals and schedulers send
    them to all processes, but the training finishes its step and then ends its workers itself."""
    for signum in SIGNALS:
        signal.signal(signum, lambda signum, frame: signal.signal(signum, signal.SIG_DFL))


def tensorboard(folder: Path) -> Callable[[Event], None]:
    """A function that takes every event and writes it for TensorBoard. Raises InputError if it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError("TensorBoard is not installed; pip install tensorboard, or omit --tensorboard.") from error
    from matplotlib.image import imread

    writer = SummaryWriter(folder)

    def log(event: Event) -> None:
        for name, value in event.numbers.items():
            writer.add_scalar(name, value, event.step)
        if event.kind == "preview" and event.path:
            writer.add_image("progress", imread(event.path), event.step, dataformats="HWC")
        if event.kind != "step":
            writer.flush()

    return log
