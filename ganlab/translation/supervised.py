"""Paired translation by regression alone: L = E |y - G(x)|_1, no adversary. The baseline of every other model."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import torch.nn.functional as F
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
from ganlab.translation.networks import UNet, UNetConfig
from ganlab.translation.tasks import get_task

STREAM = 10**9  # sampler streams start here, so that no training patient is a patient that a user's seed can make


@dataclass(frozen=True)
class SupervisedConfig:
    """Defaults are the preset `mr2ct-unet`."""

    task: str = "mr2ct"
    network: UNetConfig = field(default_factory=UNetConfig)
    steps: int = 8000
    batch: int = 6
    size: int = 192  # pixels of 1 mm
    rate: float = 1.5e-3
    epoch: int = 500  # steps between checkpoints; each epoch has a data stream of its own
    frozen: float = 0.0625  # last share of the steps, trained with the batch statistics of inference
    seed: int = 0
    start: str = ""  # a model whose weights the training starts from; chance unless given


class Slices(IterableDataset):
    """The phantom's random slices, one stream per worker."""

    def __init__(self, seed: int, size: int, target: str):
        self.seed, self.size, self.target = seed, size, target

    def __iter__(self):
        worker = get_worker_info()
        torch.set_num_threads(1)
        return pairs(self.seed * 64 + (worker.id if worker else 0), self.size, target=self.target)


def batches(config: SupervisedConfig, epoch: int, device: str, workers: int) -> Iterator[tuple]:
    """Batches of (mr, target in the task's scale); made on the GPU where there is one, else by worker processes."""
    task = get_task(config.task)
    seed = STREAM + config.seed * 10**6 + epoch
    if device == "cpu":
        loader = DataLoader(Slices(seed, config.size, task.target), batch_size=config.batch, num_workers=workers)
        slices = iter(loader)
    else:
        stream = pairs(seed * 64, config.size, device, target=task.target)
        slices = (default_collate([next(stream) for _ in range(config.batch)]) for _ in itertools.count())
    for source, truth in slices:
        yield source.to(device), truth.to(device) / task.scale


def train(config: SupervisedConfig, out: Path, device: str, resume: bool = False, workers: int = 1) -> Iterator[Event]:
    """Train to config.steps; out/model.safetensors holds the averaged weights, out/state.safetensors all to resume.

    Resuming a run gives the losses of the run that was not interrupted (same device, same number of workers).
    """
    out = Path(out)
    torch.manual_seed(config.seed)
    load_template("cpu")  # before workers fork, so that they share it
    net = UNet(config.network).to(device, memory_format=torch.channels_last)
    if config.start and not resume:
        net.load_state_dict(starting_weights(config))
    optimizer = torch.optim.AdamW(net.parameters(), lr=config.rate, weight_decay=1e-4)
    average = Average(net)
    step, minutes = 0, 0.0
    if resume:
        step, minutes = _restore(config, out / "state.safetensors", device, net, optimizer, average)
    elif (out / "state.safetensors").exists():
        raise InputError(f'"{out}" already holds a training; add --resume to go on, or choose another --out.')
    scale = get_task(config.task).scale
    net.train()
    clock = time.perf_counter()
    while step < config.steps:
        stream = batches(config, step // config.epoch, device, workers)
        for _ in range(min(config.epoch, config.steps - step)):
            if step >= (1 - config.frozen) * config.steps:
                freeze_statistics(net)
            source, truth = next(stream)
            rate = learning_rate(step, config.steps, config.rate)
            for group in optimizer.param_groups:
                group["lr"] = rate
            with autocast(device):
                loss = F.l1_loss(net(source.to(memory_format=torch.channels_last)).float(), truth)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            average.update(net, step)
            step += 1
            yield Event("step", step, config.steps, {"l1": loss.item() * scale, "rate": rate})
        del stream
        spent = minutes + (time.perf_counter() - clock) / 60
        meta = {"config": as_config(config), "step": step, "minutes": spent}
        state = {"net": net.state_dict(), "average": average.state, "optimizer": optimizer_tensors(optimizer)}
        save_state(out / "state.safetensors", meta, **state)
        save_tensors(out / "model.safetensors", average.state, as_config(config))
        write_new_card(out, config, net, step, describe_device(device), spent)
        yield Event("checkpoint", step, config.steps, path=out / "model.safetensors")


def starting_weights(config: SupervisedConfig) -> dict:
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


def _restore(config, path: Path, device: str, net, optimizer, average) -> tuple[int, float]:
    meta, parts = load_state(path, device)
    saved, step = meta["config"], meta["step"]
    mine = as_config(replace(config, steps=saved["steps"]))
    if saved != mine:
        differing = ", ".join(k for k in mine if saved.get(k) != mine[k])
        raise InputError(f'The training in "{path.parent}" had another configuration ({differing}); start a new one.')
    if step % config.epoch:
        raise InputError(f"The training stopped after its {step} steps were complete; start a new one.")
    net.load_state_dict(parts["net"])
    restore_optimizer(optimizer, parts["optimizer"])
    average.state = parts["average"]
    return step, meta["minutes"]
