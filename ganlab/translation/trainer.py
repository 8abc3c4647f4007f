"""The loop that every translation method trains in: data, learning rate, averages, checkpoints, cards."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, default_collate, get_worker_info

from ganlab.checkpoints import as_config, fill, load_tensors, model_folder, save_tensors
from ganlab.device import autocast, describe_device
from ganlab.errors import InputError
from ganlab.imaging.phantom.sampler import pairs
from ganlab.imaging.phantom.template import load_template
from ganlab.imaging.wording import listed
from ganlab.training import (
    Average,
    Event,
    learning_rate,
    load_state,
    optimizer_tensors,
    restore_optimizer,
    save_state,
)
from ganlab.translation import folders
from ganlab.translation.cards import write_new_card
from ganlab.translation.folders import Folders, Prepared
from ganlab.translation.methods import METHODS, SOURCE_TO_TARGET, Method, TrainingConfig
from ganlab.translation.tasks import get_task

STREAM = 10**9  # sampler streams start here, so that no training patient is a patient that a user's seed can make


class Slices(IterableDataset):
    """Endless random slices, make(seed), one stream per worker."""

    def __init__(self, seed: int, make: Callable[[int], Iterator[tuple[Tensor, Tensor]]]):
        self.seed, self.make = seed, make

    def __iter__(self):
        worker = get_worker_info()
        torch.set_num_threads(1)
        return self.make(self.seed * 64 + (worker.id if worker else 0))


def batches(
    config: TrainingConfig, epoch: int, device: str, workers: int, data: Prepared | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of (source, target) in the network's units, of phantoms or of the user's volumes.

    Workers make them; phantoms are made on the GPU where there is one.
    """
    task, paired = get_task(config.task), METHODS[config.method].paired
    seed, scales = STREAM + config.seed * 10**6 + epoch, (task.source_scale, task.scale)
    if data:
        make, scales = partial(folders.slices, size=config.size, prepared=data), (1.0, 1.0)
    else:
        make = partial(pairs, size=config.size, device=device, task=task.name, paired=paired)
    if data or device == "cpu":
        images = iter(DataLoader(Slices(seed, make), batch_size=config.batch, num_workers=workers))
    else:
        stream = make(seed * 64)
        images = (default_collate([next(stream) for _ in range(config.batch)]) for _ in itertools.count())
    for pair in images:
        scaled = (image.to(device) / scale for image, scale in zip(pair, scales, strict=True))
        yield tuple(image.to(memory_format=torch.channels_last) for image in scaled)


def train(
    config: TrainingConfig,
    out: Path,
    device: str,
    resume: bool = False,
    workers: int = 1,
    data: Folders | None = None,
    progress: Callable[[float], None] | None = None,
) -> Iterator[Event]:
    """Train to config.steps. out/model.safetensors holds the averaged generator, out/state.safetensors all to resume;
    what trains beside the generator (the way back, discriminators) lies in out/ under its own name.

    data: the user's volumes in place of phantoms (see `folders`); all are checked before the first step, and prepared
    in out/data while progress(share) is told how far. The state holds their names, the model does not.
    Resuming a run gives the losses of the run that was not interrupted (same device, same number of workers).
    """
    out = Path(out)
    torch.manual_seed(config.seed)
    if not resume and (out / "state.safetensors").exists():
        raise InputError(f'"{out}" already holds a training; add --resume to go on, or choose another --out.')
    kind = METHODS[config.method]
    listing = folders.find_volumes(data, kind.paired) if data else None
    facts = folders.describe(listing) if listing else None
    if not listing:
        load_template("cpu")  # before workers fork, so that they share it
    method = kind(config, device)
    if config.start and not resume:
        fill(method.nets[SOURCE_TO_TARGET], starting_weights(config), config.start)
    averages = {name: Average(method.nets[name]) for name in method.generators}
    step, minutes = 0, 0.0
    if resume:
        step, minutes = _restore(config, out / "state.safetensors", device, method, averages, facts)
    prepared = None
    if listing:
        prepared = folders.prepare(listing, facts, get_task(config.task), out, progress)
        yield Event("data", step, config.steps, path=out / "preview.png")
    scale = get_task(config.task).scale
    for net in method.nets.values():
        net.train()
    clock = time.perf_counter()
    while step < config.steps:
        epoch, begun = divmod(step, config.epoch)
        stream = batches(config, epoch, device, workers, prepared)
        for _ in range(begun):  # of a training that was complete, and is to have more steps
            next(stream)
        for _ in range(min(config.epoch - begun, config.steps - step)):
            if step >= (1 - config.frozen) * config.steps:
                for net in method.nets.values():
                    freeze_statistics(net)
            rate = learning_rate(step, config.steps, config.rate, decay=config.decay)
            for optimizer in method.optimizers.values():
                for group in optimizer.param_groups:
                    group["lr"] = rate
            with autocast(device):
                numbers = method.step(*next(stream), step)
            for name, average in averages.items():
                average.update(method.nets[name], step)
            step += 1
            numbers = {k: v.item() * (scale if k == "l1" else 1) for k, v in numbers.items()}
            yield Event("step", step, config.steps, numbers | {"rate": rate})
        del stream
        spent = minutes + (time.perf_counter() - clock) / 60
        _save(config, out, method, averages, step, spent, facts)
        volumes = len(prepared.sources + prepared.targets) if prepared else 0
        write_new_card(out, config, method.nets[SOURCE_TO_TARGET], step, describe_device(device), spent, volumes)
        yield Event("checkpoint", step, config.steps, path=out / "model.safetensors")


def starting_weights(config: TrainingConfig) -> dict:
    """The weights of config.start. Raises InputError if that network is not of config's shape."""
    tensors, saved = load_tensors(model_folder(config.start) / "model.safetensors")
    if saved.get("network") != as_config(config)["network"]:
        raise InputError(f'"{config.start}" is a network of another shape; start from one of the same preset.')
    return tensors


def freeze_statistics(net: torch.nn.Module) -> None:
    """Normalise by the running statistics from now on, as at inference. Without it the weights fit the statistics of
    small batches, and soft tissue comes out about 10 HU too low."""
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()


def _save(
    config: TrainingConfig, out: Path, method: Method, averages: dict, step: int, minutes: float, facts: dict | None
) -> None:
    written = as_config(config)
    parts = {f"net {name}": net.state_dict() for name, net in method.nets.items()}
    parts |= {f"average {name}": average.state for name, average in averages.items()}
    parts |= {f"optimizer {name}": optimizer_tensors(o) for name, o in method.optimizers.items()}
    parts |= {"method": method.memory()}
    meta = {"config": written, "step": step, "minutes": minutes, "data": facts}
    save_state(out / "state.safetensors", meta, **parts)
    for name, net in method.nets.items():
        file = "model" if name == SOURCE_TO_TARGET else name
        save_tensors(
            out / f"{file}.safetensors", averages[name].state if name in averages else net.state_dict(), written
        )


def _restore(
    config: TrainingConfig, path: Path, device: str, method: Method, averages: dict, facts: dict | None
) -> tuple[int, float]:
    meta, parts = load_state(path, device)
    try:
        saved, step, minutes = meta["config"], meta["step"], meta["minutes"]
        mine = as_config(replace(config, steps=saved["steps"]))
        if saved != mine:
            differing = ", ".join(k for k in mine if saved.get(k) != mine[k])
            raise InputError(
                f'The training in "{path.parent}" had another configuration ({differing}); start a new one.'
            )
        _check_same_data(meta.get("data"), facts, path.parent)
        for name, net in method.nets.items():
            fill(net, parts[f"net {name}"], path)
        for name, optimizer in method.optimizers.items():
            restore_optimizer(optimizer, parts[f"optimizer {name}"])
        for name, average in averages.items():
            average.restore(parts[f"average {name}"])
        method.recall(parts.get("method", {}))
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise InputError(f'"{path}" is not a state of this training; start a new one.') from error
    return step, minutes


def _check_same_data(saved: dict | None, mine: dict | None, out: Path) -> None:
    """Refuse to go on with other volumes. Folders may have moved; names and bytes are held against each other."""
    if not saved and not mine:
        return
    if not mine:
        places = f'--source "{saved["source"]}" --target "{saved["target"]}"'
        raise InputError(f'The training in "{out}" was on own data; add {places}.')
    if not saved:
        raise InputError(f'The training in "{out}" was on phantoms; leave --source and --target out.')
    for side in ("source", "target"):
        before, now = (dict(facts[f"{side}s"]) for facts in (saved, mine))
        changed = sorted(name for name in before | now if before.get(name) != now.get(name))
        if changed:
            raise InputError(
                f'The training in "{out}" had other volumes as its {side} (new, gone or changed: '
                f"{listed([Path(name) for name in changed])}); bring them back or start a new one."
            )
