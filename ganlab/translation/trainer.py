"""The loop that every translation method trains in: data, learning rate, averages, checkpoints, cards."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, default_collate, get_worker_info

from ganlab import processes
from ganlab.checkpoints import DISCRIMINATOR, as_config, fill, load_tensors, model_folder, save_tensors
from ganlab.device import autocast, describe_device, precision
from ganlab.errors import InputError
from ganlab.imaging.wording import listed
from ganlab.phantoms.pairs import pairs
from ganlab.phantoms.template import load_template
from ganlab.settings import from_values
from ganlab.training import (
    Average,
    Event,
    Stop,
    bear_signals,
    check_start,
    learning_rate,
    load_state,
    optimizer_tensors,
    restore_optimizer,
    save_state,
)
from ganlab.translation import dataset as folders
from ganlab.translation.cards import write_new_card
from ganlab.translation.dataset import Folders, Prepared
from ganlab.translation.methods import (
    HEAD,
    METHODS,
    SOURCE_TO_TARGET,
    STREAMS,
    TARGET_TO_SOURCE,
    Method,
    TrainingConfig,
    check_training,
    network_of,
)
from ganlab.translation.networks import PatchGAN, PatchGANConfig, generator_config, outlined
from ganlab.translation.preview import slices_to_show, write_progress
from ganlab.translation.tasks import REVERSE, get_task

BACK = "back"  # the folder of the way back
FILES = {  # network -> where a training leaves it
    "generator": "model.safetensors",
    "discriminator": DISCRIMINATOR,
    "back": f"{BACK}/model.safetensors",
    "back_discriminator": f"{BACK}/{DISCRIMINATOR}",
}
STREAM = 10**9  # sampler streams start here, so that no training patient is a patient that a user's seed can make


Maker = Callable[[int], Iterator[tuple[Tensor, Tensor]]]


class Slices(IterableDataset):
    """Endless random slices, make(seed), one stream per worker of each process."""

    def __init__(self, seed: int, make: Maker):
        self.seed, self.make = seed, make

    def __iter__(self):
        worker = get_worker_info()
        torch.set_num_threads(1)
        many, mine = (worker.num_workers, worker.id) if worker else (1, 0)
        return self.make(self.seed * STREAMS + processes.rank() * many + mine)


def slices_of(config: TrainingConfig, device: str, data: Prepared | None) -> Maker:
    """make(seed): endless (source, target) slices of 1 mm in the network's units, of phantoms or the user's volumes;
    within the configuration's ranges, if it has any. Raises InputError for volumes without a slice in its planes."""
    task, size, paired = get_task(config.task), config.size * config.spacing, METHODS[config.method].paired
    if data:
        folders.check_planes(data, config.planes)
        make = partial(folders.slices, size=size, prepared=data, planes=config.planes)
    else:
        make = partial(
            scaled_pairs, size=size, device=device, task=task.name, paired=paired, planes=tuple(config.planes)
        )
    if config.ranges:
        make = partial(clipped, make=make, ranges=config.ranges)
    if paired or not config.filled:
        return make
    return partial(filled, make=make, least=config.filled, above=(HEAD[task.source], HEAD[task.target]))


def clipped(
    seed: int, make: Maker, ranges: tuple[tuple[float, float], tuple[float, float]]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Those pairs of make(seed), each side within its range: what no generator can make is not asked of one, nor shown
    to a discriminator as what tells real images."""
    for images in make(seed):
        yield tuple(image.clamp(*limits) for image, limits in zip(images, ranges, strict=True))


def filled(seed: int, make: Maker, least: float, above: tuple[float, float]) -> Iterator[tuple[Tensor, Tensor]]:
    """Those pairs of make(seed) in which the head fills at least a share of both: on a slice beside it, or of a cut
    field of view, a discriminator learns nothing."""
    for images in make(seed):
        if all(outlined(image[None], level).mean() >= least for image, level in zip(images, above, strict=True)):
            yield images


def scaled_pairs(seed: int, task: str, **how) -> Iterator[tuple[Tensor, Tensor]]:
    """Slices of phantoms in the units of the network."""
    kind = get_task(task)
    return ((source / kind.source_scale, target / kind.scale) for source, target in pairs(seed, task=task, **how))


def batches(
    config: TrainingConfig, epoch: int, device: str, workers: int, make: Maker, host: bool = False
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of (source, target) of an epoch, from slices of 1 mm; pixels of more are means of these.

    Workers cut and make slices on a CPU, and always if `host`; phantoms are made on the GPU where there is one.
    """
    seed = STREAM + config.seed * 10**6 + epoch
    if host or device == "cpu":
        images = iter(DataLoader(Slices(seed, make), config.batch, num_workers=workers, worker_init_fn=bear_signals))
    else:
        stream = iter(Slices(seed, make))
        images = (default_collate([next(stream) for _ in range(config.batch)]) for _ in itertools.count())
    for pair in images:
        coarse = (F.avg_pool2d(image.to(device), config.spacing) for image in pair)
        yield tuple(image.to(memory_format=torch.channels_last) for image in coarse)


def train(
    config: TrainingConfig,
    out: Path,
    device: str,
    resume: bool = False,
    workers: int = 1,
    data: Folders | None = None,
    progress: Callable[[float], None] | None = None,
    make: Maker | None = None,
    stop: Stop = lambda: None,
) -> Iterator[Event]:
    """Train to config.steps. out/model.safetensors holds the averaged generator, out/discriminator.safetensors its
    judge, out/back the same of the way back, out/state.safetensors all to resume.

    data: the user's volumes in place of phantoms (see `folders`); all are checked before the first step, and prepared
    in out/data while progress(share) is told how far. The state holds their names, the model does not. make: another
    stream of slices in place of the phantoms', as `slices_of` gives. stop: asked after every step (see `stopping`).
    Resuming a run gives the losses of the run that was not interrupted (same device, same number of workers). Of
    several processes (`accelerate launch`) each draws config.batch slices of its own, and all take the same step.
    """
    out = Path(out)
    check_training(config)
    torch.manual_seed(config.seed)
    check_start(out, resume)
    kind = METHODS[config.method]
    listing = folders.find_volumes(data, kind.paired) if data else None
    facts = folders.describe(listing) if listing else None
    if not listing:
        load_template("cpu")  # before workers fork, so that they share it
    method = kind(config, device)
    if config.start and not resume:
        fill(method.nets[SOURCE_TO_TARGET], starting_weights(config), config.start)
        _fill_others(config, method)
    averages = {name: Average(method.nets[name]) for name in method.generators}
    step, minutes = 0, 0.0
    if resume:
        step, minutes = _restore(config, out / "state.safetensors", device, method, averages, facts)
    prepared = None
    if listing:
        with processes.first_alone():
            prepared = folders.prepare(listing, facts, get_task(config.task), out, progress)
        yield Event("data", step, config.steps, path=out / "preview.png")
    make, host = make or slices_of(config, device, prepared), bool(make or prepared)
    volumes = len(prepared.sources + prepared.targets) if prepared else 0
    shown = slices_to_show(config, make) if processes.rank() == 0 else None
    for net in method.nets.values():
        net.train()
    clock = time.perf_counter()
    while step < config.steps:
        epoch, begun = divmod(step, config.epoch)
        stream = batches(config, epoch, device, workers, make, host)
        for _ in range(begun):  # of a training that was complete, and is to have more steps
            next(stream)
        for _ in range(min(config.epoch - begun, config.steps - step)):
            numbers = _take_step(config, method, averages, next(stream), step, device)
            step += 1
            yield Event("step", step, config.steps, numbers)
            if stopped := stop() is not None:
                break
        del stream
        for net in method.nets.values():
            processes.average([b for b in net.buffers() if b.is_floating_point()])
        if processes.rank() == 0:
            spent = minutes + (time.perf_counter() - clock) / 60
            _save(config, out, method, averages, step, spent, facts)
            where = f"{describe_device(device)}, {precision(device)}"
            done = (method.nets[SOURCE_TO_TARGET], step, where, spent, volumes)
            write_new_card(out, config, *done)
            if TARGET_TO_SOURCE in method.generators and config.task in REVERSE:
                write_new_card(out / BACK, config, *done, back=True)
            write_progress(config, method, averages, shown, out / "progress.png")
        processes.wait()
        yield Event("checkpoint", step, config.steps, path=out / "model.safetensors")
        yield Event("preview", step, config.steps, path=out / "progress.png")
        if stopped:
            return


def _take_step(
    config: TrainingConfig, method: Method, averages: dict[str, Average], batch: tuple, step: int, device: str
) -> dict[str, float]:
    """Learn from a batch; the losses, L1 in the target's unit, and the learning rate."""
    if step >= (1 - config.frozen) * config.steps:
        for net in method.nets.values():
            freeze_statistics(net)
    rate = learning_rate(step, config.steps, config.rate, decay=config.decay)
    for optimizer in method.optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("pace", 1.0)
    with autocast(device):
        numbers = method.step(*batch, step)
    for name, average in averages.items():
        average.update(method.nets[name], step)
    scale = get_task(config.task).scale
    return {k: v.item() * (scale if k == "l1" else 1) for k, v in numbers.items()} | {"rate": rate}


def starting_weights(config: TrainingConfig) -> dict:
    """The weights of config.start. Raises InputError if that network is not of config's shape."""
    tensors, saved = load_tensors(model_folder(config.start) / "model.safetensors")
    try:
        same = generator_config(saved["network"]) == network_of(config, SOURCE_TO_TARGET)  # what is not in it is usual
    except (LookupError, TypeError, InputError):
        same = False
    if not same:
        raise InputError(
            f'"{config.start}" is a network of another shape; start from one of the same preset, or from none.'
        )
    return tensors


def _fill_others(config: TrainingConfig, method: Method) -> None:
    """The rest of the game from config.start, where it has nets of the same shapes: so stages follow one another."""
    for name, net in method.nets.items():
        path = model_folder(config.start) / FILES[name]
        if name == SOURCE_TO_TARGET or not path.is_file():
            continue
        tensors, saved = load_tensors(path)
        if name in method.generators:
            same = generator_config(saved["network"]) == network_of(config, name)
        else:
            same = from_values(PatchGANConfig, saved["discriminator"]) == net.config
        if same:
            fill(net, tensors, path)


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
        file = FILES[name]
        back = {"task": REVERSE.get(config.task, ""), "ranges": config.ranges and config.ranges[::-1]}
        facts = written | (back if file.startswith(BACK) else {})
        facts |= {"discriminator" if isinstance(net, PatchGAN) else "network": as_config(net.config)}
        save_tensors(out / file, averages[name].state if name in averages else net.state_dict(), facts)


def _restore(
    config: TrainingConfig, path: Path, device: str, method: Method, averages: dict, facts: dict | None
) -> tuple[int, float]:
    meta, parts = load_state(path, device)
    try:
        saved, step, minutes = as_config(TrainingConfig()) | meta["config"], meta["step"], meta["minutes"]
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
            restore_optimizer(optimizer, parts.get(f"optimizer {name}", {}))  # none if it has not stepped yet
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
