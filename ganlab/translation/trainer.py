"""Training a translator: the part specific to translation; the loop is `ganlab.training.run`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from ganlab import processes
from ganlab.checkpoints import as_config, fill, save_tensors
from ganlab.device import autocast, describe_device, precision
from ganlab.phantoms.template import load_template
from ganlab.training import (
    STATE,
    Event,
    Stop,
    averaged,
    check_start,
    learning_rate,
    optimizer_tensors,
    restore,
    restore_average,
    restore_optimizer,
    run,
)
from ganlab.translation.batches import SliceMaker, batches_from, slice_maker
from ganlab.translation.card import Trained, write_new_card
from ganlab.translation.dataset.anatomy import describe_heads, prepare_heads
from ganlab.translation.dataset.folders import Folders, check_same_data, describe, find_volumes
from ganlab.translation.dataset.prepare import prepare
from ganlab.translation.methods import METHODS, Method
from ganlab.translation.networks import PatchGAN
from ganlab.translation.preview import slices_to_show, write_progress
from ganlab.translation.tasks import REVERSE, get_task
from ganlab.translation.training_config import BACKWARD, FORWARD, TrainingConfig, check_training, is_paired
from ganlab.translation.warm_start import BACK_FOLDER, FILES, start_from


def train(
    config: TrainingConfig,
    out: Path,
    device: str,
    resume: bool = False,
    workers: int = 1,
    data: Folders | None = None,
    anatomy: Path | None = None,
    progress: Callable[[float], None] | None = None,
    make: SliceMaker | None = None,
    stop: Stop = lambda: None,
) -> Iterator[Event]:
    """Train to config.steps. out/model.safetensors holds the averaged generator, out/discriminator.safetensors its
    discriminator, out/back the same of a CycleGAN's other direction, out/state.safetensors everything needed to resume.

    data: the user's volumes in place of phantoms (see `dataset`); all are checked before the first step and prepared in
    out/data, with progress(share). anatomy: a folder of CT heads, prepared in out/anatomy: a share of config.scanned of
    the patients has their anatomy (see `phantoms.scanned`). make: another stream of slices in place of the phantoms',
    as `slice_maker` gives. stop: asked after every step (see `training.stopping`). A resumed run has the losses of an
    uninterrupted one (same device, same number of workers). With several processes (`accelerate launch`) each draws
    config.batch slices of its own, and all take the same step.
    """
    out = Path(out)
    check_training(config)
    torch.manual_seed(config.seed)
    check_start(out, resume)
    listing = None
    if data:
        kind = get_task(config.task)
        listing = find_volumes(data, is_paired(config.method), (kind.source, kind.target))
    volumes = ((describe(listing) if listing else {}) | (describe_heads(anatomy) if anatomy else {})) or None
    if anatomy or not listing:
        load_template("cpu")  # before worker processes are forked, so that they share it
    method = METHODS[config.method](config, device)
    if config.start and not resume:
        start_from(config, method)
    trainer = TranslatorTrainer(config, device, method, volumes)
    minutes = restore(trainer, out / STATE) if resume else 0.0
    prepared, scans = None, []
    if listing:
        with processes.first_alone():
            prepared = prepare(listing, volumes, get_task(config.task), out, progress)
        yield Event("data", trainer.step, config.steps, path=out / "preview.png")
    if anatomy:
        with processes.first_alone():
            scans = prepare_heads(anatomy, out, progress)
    trainer.feed(make or slice_maker(config, device, prepared, scans), workers, host=bool(make or prepared))
    yield from run(trainer, out, minutes, stop)


class TranslatorTrainer:
    """A method, the running averages of its generators, and the batches it learns from: a `training.Trainer`.

    volumes: `describe` of the user's volumes or `describe_heads` of CT heads, None for phantoms.
    """

    def __init__(self, config: TrainingConfig, device: str, method: Method, volumes: dict | None = None):
        self.config, self.device, self.method, self.volumes = config, device, method, volumes
        self.step, self.nets = 0, method.nets
        self.averages = {name: averaged(method.nets[name]) for name in method.generators}
        for net in self.nets.values():
            net.train()

    def feed(self, make: SliceMaker, workers: int, host: bool) -> None:
        """Learn from these slices, from the current step on, and show some of them at every checkpoint."""
        self.batches = batches_from(self.step, self.config, self.device, workers, make, host)
        self.shown = slices_to_show(self.config.spacing, make) if processes.rank() == 0 else None

    def take_step(self) -> dict[str, float]:
        """Learn from a batch; the losses (L1 in the target's unit) and the learning rate."""
        config = self.config
        if self.step >= (1 - config.frozen) * config.steps:
            for net in self.nets.values():
                freeze_statistics(net)
        rate = learning_rate(self.step, config.steps, config.rate, decay=config.decay)
        for optimizer in self.method.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate * group.get("pace", 1.0)
        batch = next(self.batches)  # not in autocast: phantoms are drawn in float32, here or in a worker forked here
        with autocast(self.device):
            losses = self.method.step(*batch[:2], self.step, *batch[2:])
        for name, average in self.averages.items():
            average.update_parameters(self.nets[name])
        self.step += 1
        scale = get_task(config.task).scale
        return {k: v.item() * (scale if k == "l1" else 1) for k, v in losses.items()} | {"rate": rate}

    def facts(self) -> dict:
        return {"data": self.volumes}

    def state(self) -> dict[str, dict[str, Tensor]]:
        parts = {f"net {name}": net.state_dict() for name, net in self.nets.items()}
        parts |= {f"average {name}": average.module.state_dict() for name, average in self.averages.items()}
        parts |= {f"optimizer {name}": optimizer_tensors(o) for name, o in self.method.optimizers.items()}
        return parts | {"method": self.method.memory()}

    def load_state(self, state: dict[str, dict[str, Tensor]], facts: dict, path: Path) -> None:
        check_same_data(facts.get("data"), self.volumes, path.parent)
        for name, net in self.nets.items():
            fill(net, state[f"net {name}"], path)
        for name, optimizer in self.method.optimizers.items():
            restore_optimizer(optimizer, state.get(f"optimizer {name}", {}))  # none if it has not stepped yet
        for name, average in self.averages.items():
            restore_average(average, state[f"average {name}"], facts["step"])
        self.method.restore_memory(state.get("method", {}))
        self.step = facts["step"]

    def write(self, out: Path, minutes: float) -> None:
        """Weights of all networks, a card for each direction, and progress.png."""
        config = self.config
        for name, net in self.nets.items():
            averaged = self.averages[name].module if name in self.averages else net
            save_tensors(out / FILES[name], averaged.state_dict(), self._checkpoint_config(name))
        volumes = self.volumes or {}
        count = sum(len(volumes.get(side, ())) for side in ("sources", "targets"))
        heads = tuple(name for name, _ in volumes.get("heads", ()))
        where = f"{describe_device(self.device)}, {precision(self.device)}"
        trained = Trained(config, self.step, where, minutes, count, heads)
        parameters = sum(p.numel() for p in self.nets[FORWARD].parameters())
        write_new_card(out, trained, parameters)
        if BACKWARD in self.nets and config.task in REVERSE:
            write_new_card(out / BACK_FOLDER, trained, parameters, back=True)
        averages = {name: average.module for name, average in self.averages.items()}
        write_progress(get_task(config.task), averages, self.shown, out / "progress.png")

    def _checkpoint_config(self, name: str) -> dict:
        """The configuration stored with a network: the training's, seen from its own direction."""
        written = as_config(self.config)
        if FILES[name].startswith(BACK_FOLDER):
            ranges = self.config.ranges
            written |= {"task": REVERSE.get(self.config.task, ""), "ranges": ranges and ranges[::-1]}
        net = self.nets[name]
        return written | {"discriminator" if isinstance(net, PatchGAN) else "network": as_config(net.config)}


def freeze_statistics(net: nn.Module) -> None:
    """Normalise by the running statistics from now on, as at inference. Otherwise the weights fit the statistics of
    small batches, and soft tissue comes out about 10 HU too low."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
