"""The loop that every translation method trains in: data, learning rate, averages, checkpoints, cards."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, default_collate, get_worker_info

from ganlab.checkpoints import as_config, load_tensors, model_folder, save_tensors
from ganlab.device import autocast, describe_device
from ganlab.errors import InputError
from ganlab.imaging.phantom.sampler import pairs
from ganlab.imaging.phantom.template import load_template
from ganlab.training import (
    Average,
    Event,
    learning_rate,
    load_state,
    optimizer_tensors,
    restore_optimizer,
    save_state,
)
from ganlab.translation.cards import write_new_card
from ganlab.translation.methods import METHODS, SOURCE_TO_TARGET, Method, TrainingConfig
from ganlab.translation.tasks import get_task

STREAM = 10**9  # sampler streams start here, so that no training patient is a patient that a user's seed can make


class Slices(IterableDataset):
    """The phantom's random slices, one stream per worker."""

    def __init__(self, seed: int, size: int, task: str, paired: bool):
        self.seed, self.size, self.task, self.paired = seed, size, task, paired

    def __iter__(self):
        worker = get_worker_info()
        torch.set_num_threads(1)
        return pairs(self.seed * 64 + (worker.id if worker else 0), self.size, task=self.task, paired=self.paired)


def batches(config: TrainingConfig, epoch: int, device: str, workers: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of (source, target) in the network's units; made on the GPU where there is one, else by workers."""
    task, paired = get_task(config.task), METHODS[config.method].paired
    seed = STREAM + config.seed * 10**6 + epoch
    if device == "cpu":
        loader = DataLoader(Slices(seed, config.size, task.name, paired), batch_size=config.batch, num_workers=workers)
        slices = iter(loader)
    else:
        stream = pairs(seed * 64, config.size, device, task=task.name, paired=paired)
        slices = (default_collate([next(stream) for _ in range(config.batch)]) for _ in itertools.count())
    for source, target in slices:
        pair = source.to(device) / task.source_scale, target.to(device) / task.scale
        yield tuple(images.to(memory_format=torch.channels_last) for images in pair)


def train(config: TrainingConfig, out: Path, device: str, resume: bool = False, workers: int = 1) -> Iterator[Event]:
    """Train to config.steps. out/model.safetensors holds the averaged generator, out/state.safetensors all to resume;
    what trains beside the generator (the way back, discriminators) lies in out/ under its own name.

    Resuming a run gives the losses of the run that was not interrupted (same device, same number of workers).
    """
    out = Path(out)
    torch.manual_seed(config.seed)
    load_template("cpu")  # before workers fork, so that they share it
    method = METHODS[config.method](config, device)
    if config.start and not resume:
        method.nets[SOURCE_TO_TARGET].load_state_dict(starting_weights(config))
    averages = {name: Average(method.nets[name]) for name in method.generators}
    step, minutes = 0, 0.0
    if resume:
        step, minutes = _restore(config, out / "state.safetensors", device, method, averages)
    elif (out / "state.safetensors").exists():
        raise InputError(f'"{out}" already holds a training; add --resume to go on, or choose another --out.')
    scale = get_task(config.task).scale
    for net in method.nets.values():
        net.train()
    clock = time.perf_counter()
    while step < config.steps:
        stream = batches(config, step // config.epoch, device, workers)
        for _ in range(min(config.epoch, config.steps - step)):
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
        _save(config, out, method, averages, step, spent)
        write_new_card(out, config, method.nets[SOURCE_TO_TARGET], step, describe_device(device), spent)
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


def _save(config: TrainingConfig, out: Path, method: Method, averages: dict, step: int, minutes: float) -> None:
    written = as_config(config)
    parts = {f"net {name}": net.state_dict() for name, net in method.nets.items()}
    parts |= {f"average {name}": average.state for name, average in averages.items()}
    parts |= {f"optimizer {name}": optimizer_tensors(o) for name, o in method.optimizers.items()}
    parts |= {"method": method.memory()}
    save_state(out / "state.safetensors", {"config": written, "step": step, "minutes": minutes}, **parts)
    for name, net in method.nets.items():
        file = "model" if name == SOURCE_TO_TARGET else name
        save_tensors(
            out / f"{file}.safetensors", averages[name].state if name in averages else net.state_dict(), written
        )


def _restore(config: TrainingConfig, path: Path, device: str, method: Method, averages: dict) -> tuple[int, float]:
    meta, parts = load_state(path, device)
    saved, step = meta["config"], meta["step"]
    mine = as_config(replace(config, steps=saved["steps"]))
    if saved != mine:
        differing = ", ".join(k for k in mine if saved.get(k) != mine[k])
        raise InputError(f'The training in "{path.parent}" had another configuration ({differing}); start a new one.')
    if step % config.epoch:
        raise InputError(f"The training stopped after its {step} steps were complete; start a new one.")
    for name, net in method.nets.items():
        net.load_state_dict(parts[f"net {name}"])
    for name, optimizer in method.optimizers.items():
        restore_optimizer(optimizer, parts[f"optimizer {name}"])
    for name, average in averages.items():
        average.state = parts[f"average {name}"]
    method.recall(parts.get("method", {}))
    return step, meta["minutes"]
