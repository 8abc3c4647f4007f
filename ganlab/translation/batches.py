"""The stream of batches that a translator learns from: slices of phantoms or of the user's volumes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, default_collate, get_worker_info

from ganlab import processes
from ganlab.phantoms.pairs import pairs
from ganlab.phantoms.scanned.head import ScannedHead
from ganlab.training import ignore_first_signal
from ganlab.translation.dataset.slices import check_planes, slices
from ganlab.translation.dataset.volumes import PreparedDataset
from ganlab.translation.networks import outlined
from ganlab.translation.tasks import REVERSE, get_task
from ganlab.translation.training_config import HEAD_THRESHOLD, MAX_PROCESSES, TrainingConfig, is_paired

FIRST_SEED = 10**9  # of sampler streams, so that no user's seed makes a training patient
APART = 2**58  # between the seeds of streams that are joined: more than the seeds of any training span

SliceMaker = Callable[[int], Iterator[tuple[Tensor, ...]]]  # seed -> endless (source, target, ...), each (1, H, W)


def slice_maker(
    config: TrainingConfig, device: str, data: PreparedDataset | None, scans: Sequence[ScannedHead] = ()
) -> SliceMaker:
    """make(seed): endless (source, target) slices of 1 mm in the networks' units, clipped to config.ranges if there are
    any. They show phantoms and patients with the anatomy of CT heads; the user's volumes, if there are no CT heads; a
    share of config.own of these, if there are both. A CycleGAN that learns from known contrasts is also given two pairs
    that follow from the CT heads alone, one for each of its generators: (source, target, input, expected, input,
    expected). Raises InputError for a volume without a slice in config.planes.
    """
    task, size, paired = get_task(config.task), config.size * config.spacing, is_paired(config.method)
    makers: list[SliceMaker] = []
    if data:
        check_planes(data, config.planes)
        makers.append(partial(slices, size=size, prepared=data, planes=config.planes))
    if scans or not data:
        drawn = partial(
            phantom_slices,
            size=size,
            device=device,
            task=task.name,
            paired=paired,
            planes=tuple(config.planes),
            scans=scans,
            scanned=config.scanned,
        )
        makers.append(drawn)
    make = makers[0] if len(makers) == 1 else partial(mixed, makers=makers, first=config.own)
    if config.ranges:
        make = partial(clipped, make=make, ranges=config.ranges)
    if not paired and config.filled:
        thresholds = HEAD_THRESHOLD[task.source], HEAD_THRESHOLD[task.target]
        make = partial(filled, make=make, least=config.filled, thresholds=thresholds)
    from_ct = scans and not paired and (config.prior or config.known) and task.target == "ct"
    return with_known(make, config, device, scans) if from_ct else make


def with_known(make: SliceMaker, config: TrainingConfig, device: str, scans: Sequence[ScannedHead]) -> SliceMaker:
    """make, and after its images a pair for each generator of a CycleGAN to or from CT: the anatomy of the CT heads,
    seen by a simulated MR scanner. Such pairs are made from CT alone, as known contrasts are."""
    size = config.size * config.spacing
    drawn = partial(phantom_slices, size=size, device=device, planes=tuple(config.planes), scans=scans, scanned=1.0)
    makers = [partial(drawn, task=task) for task in (config.task, REVERSE[config.task])]
    if config.ranges:
        ranges = config.ranges, config.ranges[::-1]
        makers = [partial(clipped, make=m, ranges=r) for m, r in zip(makers, ranges, strict=True)]
    return partial(joined, makers=[make, *makers])


def joined(seed: int, makers: Sequence[SliceMaker]) -> Iterator[tuple[Tensor, ...]]:
    """The images of all makers together; each has its own stream of random numbers."""
    streams = [make(seed + k * APART) for k, make in enumerate(makers)]
    return (sum(parts, ()) for parts in zip(*streams, strict=True))


def phantom_slices(seed: int, task: str, **options) -> Iterator[tuple[Tensor, Tensor]]:
    """The sampler's slices of phantoms in the networks' units; options: of `phantoms.pairs.pairs`."""
    units = get_task(task)
    return ((source / units.source_scale, target / units.scale) for source, target in pairs(seed, task=task, **options))


def mixed(seed: int, makers: Sequence[SliceMaker], first: float) -> Iterator[tuple[Tensor, Tensor]]:
    """Slices of the first of two makers with this probability, else of the second."""
    generator = torch.Generator().manual_seed(seed)
    own, other = (make(seed) for make in makers)
    while True:
        yield next(own if float(torch.rand((), generator=generator)) < first else other)


def clipped(
    seed: int, make: SliceMaker, ranges: tuple[tuple[float, float], tuple[float, float]]
) -> Iterator[tuple[Tensor, Tensor]]:
    """The pairs of make(seed), each side clipped to its range: otherwise a discriminator could tell real images by
    intensities that the generator cannot produce."""
    for images in make(seed):
        yield tuple(image.clamp(*limits) for image, limits in zip(images, ranges, strict=True))


def filled(
    seed: int, make: SliceMaker, least: float, thresholds: tuple[float, float]
) -> Iterator[tuple[Tensor, Tensor]]:
    """The pairs of make(seed) in which the head fills at least this share of both slices: a discriminator learns
    nothing from a slice next to the head or from a cropped field of view."""
    for images in make(seed):
        if all(outlined(image[None], t).mean() >= least for image, t in zip(images, thresholds, strict=True)):
            yield images


class SliceStream(IterableDataset):
    """Endless random slices make(seed), one stream per worker of each process."""

    def __init__(self, seed: int, make: SliceMaker):
        self.seed, self.make = seed, make

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        worker = get_worker_info()
        torch.set_num_threads(1)
        workers, index = (worker.num_workers, worker.id) if worker else (1, 0)
        return self.make(self.seed * MAX_PROCESSES + processes.rank() * workers + index)


def epoch_batches(
    config: TrainingConfig, epoch: int, device: str, workers: int, make: SliceMaker, host: bool = False
) -> Generator[tuple[Tensor, ...], None, None]:
    """The batches of one epoch: (source, target) and what else `make` gives, (batch, 1, size, size) each, from slices
    of 1 mm; coarser pixels are means of these.

    On a CPU, and always if `host`, worker processes make the slices; on a GPU phantoms are made by the GPU itself.
    """
    seed = FIRST_SEED + config.seed * 10**6 + epoch
    if host or device == "cpu":
        loader = DataLoader(
            SliceStream(seed, make), config.batch, num_workers=workers, worker_init_fn=ignore_first_signal
        )
        images = iter(loader)
    else:
        stream = iter(SliceStream(seed, make))
        images = (default_collate([next(stream) for _ in range(config.batch)]) for _ in itertools.count())
    for pair in images:
        coarse = (F.avg_pool2d(image.to(device), config.spacing) for image in pair)
        yield tuple(image.to(memory_format=torch.channels_last) for image in coarse)


def batches_from(
    step: int, config: TrainingConfig, device: str, workers: int, make: SliceMaker, host: bool = False
) -> Iterator[tuple[Tensor, ...]]:
    """The batches of all steps from this one on. Every epoch has a separate stream, so that a resumed training sees
    the batches of an uninterrupted one."""
    while True:
        epoch, done = divmod(step, config.epoch)
        stream = epoch_batches(config, epoch, device, workers, make, host)
        for _ in range(done):  # a finished training that is resumed with more steps
            next(stream)
        for _ in range(config.epoch - done):
            yield next(stream)
            step += 1
        stream.close()
