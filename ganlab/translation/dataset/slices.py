"""Random slices of prepared volumes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import InputError
from ganlab.imaging.planes import PLANES
from ganlab.imaging.wording import shown
from ganlab.translation.dataset.volumes import PreparedDataset, PreparedVolume
from ganlab.translation.inference import air_of
from ganlab.translation.tasks import get_task


class Crop(NamedTuple):
    """A square of a volume: slice `index` across `axis`, from `start` pixels on (negative: beyond the volume)."""

    axis: int
    index: int
    start: tuple[int, int]
    mirrored: bool


def check_planes(prepared: PreparedDataset, planes: Sequence[str]) -> None:
    """Raise InputError for a volume without a slice of tissue in any of these planes."""
    for volume in prepared.sources + prepared.targets:
        if not any(volume.tissue[PLANES[plane]] for plane in planes):
            raise InputError(
                f'"{shown(volume.name)}" has no {" or ".join(planes)} slice that shows tissue; leave it out, or train '
                "on other planes."
            )


def slices(
    seed: int, size: int, prepared: PreparedDataset, planes: Sequence[str] = tuple(PLANES)
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless (source, target) slices (1, size, size), float32, in the network's units; one seed, one sequence.

    A random volume, a random plane, a slice that shows tissue; padded with air and cropped at random (as Wolterink et
    al. 2017 pad 256 pixels to 286), mirrored left to right half of the time where the plane has that axis. A pair is
    cropped in the same way; unpaired source and target are drawn independently.
    """
    rng, task = np.random.default_rng(seed), get_task(prepared.task)
    source_air, target_air = air_of(task), task.empty / task.scale
    while True:
        k = int(rng.integers(len(prepared.sources)))
        source, source_crop = prepared.sources[k], draw_crop(rng, prepared.sources[k], size, planes)
        if prepared.paired:
            target, target_crop = prepared.targets[k], source_crop
        else:
            target = prepared.targets[int(rng.integers(len(prepared.targets)))]
            target_crop = draw_crop(rng, target, size, planes)
        images = (
            crop(prepared.array(source), source_crop, size, source_air),
            crop(prepared.array(target), target_crop, size, target_air),
        )
        yield tuple(torch.from_numpy(image)[None] for image in images)


def draw_crop(
    rng: np.random.Generator, volume: PreparedVolume, size: int, planes: Sequence[str] = tuple(PLANES)
) -> Crop:
    """A random square of a slice that shows tissue."""
    axes = {PLANES[plane] for plane in planes}
    axis = int(rng.choice([a for a in range(3) if a in axes and volume.tissue[a]]))
    index = int(rng.choice(volume.tissue[axis]))
    start = []
    for n in (volume.shape[a] for a in range(3) if a != axis):
        padded = max(n, size) + size // 10
        start.append(int(rng.integers(padded - size + 1)) - (padded - n) // 2)
    return Crop(axis, index, tuple(start), bool(axis != PLANES["sagittal"] and rng.random() < 0.5))


def crop(array: np.ndarray, at: Crop, size: int, air: float) -> np.ndarray:
    """(size, size) float32 of an (I, J, K) array, air beyond its edges. Rows are the first of the remaining axes."""
    plane = np.moveaxis(array, at.axis, 0)[at.index]
    result = np.full((size, size), air, np.float32)
    inside = [(max(s, 0), min(s + size, n)) for s, n in zip(at.start, plane.shape, strict=True)]
    covered = tuple(slice(a - s, b - s) for (a, b), s in zip(inside, at.start, strict=True))
    result[covered] = plane[tuple(slice(a, b) for a, b in inside)]
    return np.ascontiguousarray(result[::-1]) if at.mirrored else result
