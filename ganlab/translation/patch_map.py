"""Patch-wise discriminator output over a volume (PatchGAN, Isola et al., CVPR 2017)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from ganlab.checkpoints import DISCRIMINATOR, fill, load_tensors, model_folder
from ganlab.device import resolve
from ganlab.errors import Cancelled, InputError
from ganlab.imaging.grid import model_grid, resample
from ganlab.imaging.planes import PLANES
from ganlab.imaging.volume import Volume
from ganlab.objectives import Objective, get_objective
from ganlab.settings import from_values
from ganlab.translation.inference import (
    SIGNAL,
    SPACING,
    air_of,
    busy_slices,
    check_size,
    head_box,
    on_model_grid,
    ranges_of,
    source_units,
)
from ganlab.translation.networks import PatchGAN, PatchGANConfig
from ganlab.translation.tasks import TASKS, Task, check_task, get_task


@dataclass(frozen=True)
class LoadedDiscriminator:
    """A discriminator ready for inference, and what its checkpoint says about it: see `LoadedModel`. ranges: what
    source and target were clipped to."""

    network: PatchGAN
    objective: Objective
    task: Task
    spacing: float
    ranges: list[tuple[float, float]]


def patch_map(
    volume: Volume,
    source: Volume,
    model: str,
    device: str = "auto",
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Volume:
    """A discriminator's probability of "real" at each position of a volume, 0 to 1, on the volume's grid.

    Axial slices of the model's spacing; a place gets the answer of the patch around it, linear between patches, and 0
    outside the head's box. volume: real or synthetic, of the task's target modality, in the unit that `translate`
    gives. source: the scan that it belongs to, on the same grid; it tells where the head is, and conditional
    discriminators (pix2pix) see it too. Raises InputError for a model without a discriminator, with an objective whose
    output is not a probability, or whose target is not the volume's modality, and Cancelled.
    """
    path = model_folder(model) / DISCRIMINATOR
    if not path.is_file():
        raise InputError(f'"{model}" has no discriminator beside it; choose a model trained with an adversary.')
    device = resolve(device)
    loaded = _load(path, path.stat().st_mtime_ns, device)
    task = loaded.task
    check_task(model, task.name, next((each for each in TASKS.values() if each.target == volume.modality), task))
    affine, shape = model_grid(source, loaded.spacing)
    check_size(shape, loaded.spacing)
    air = air_of(task)
    scan = on_model_grid(source_units(source, task), affine, shape, air)
    target = resample(volume, affine, shape, fill=task.empty).array / task.scale
    box = head_box(scan, air)
    images = [image[box].clip(*limits) for image, limits in zip((scan, target), loaded.ranges, strict=True)]
    images = images[-loaded.network.config.channels :]  # the target alone, or source and target
    probability = np.zeros(shape, np.float32)
    batches = list(busy_slices(scan[box], PLANES["axial"], air + SIGNAL))
    for k, index in enumerate(batches, 1):
        if cancelled and cancelled():
            raise Cancelled
        answers = _probabilities(loaded, [image[:, :, index] for image in images], device)
        probability[box][:, :, index] = np.moveaxis(answers, 0, 2)
        if progress:
            progress(k / len(batches))
    resampled = resample(Volume(probability, affine), volume.affine, volume.shape)
    return replace(resampled, unit="D", modality="judged", origin=volume.origin, model=model)


@torch.inference_mode()
def _probabilities(loaded: LoadedDiscriminator, images: list[np.ndarray], device: str) -> np.ndarray:
    """(N, H, W): the probability of being real at each pixel of slices (H, W, N), one array per channel."""
    slices = np.stack([np.moveaxis(image, 2, 0) for image in images], 1)  # (N, channels, H, W)
    logits = loaded.network(torch.from_numpy(np.ascontiguousarray(slices)).to(device))
    patches = loaded.objective.probability(logits.float())[:, 0].clamp(0, 1).cpu().numpy()
    layers = loaded.network.config.layers
    rows, columns = ((np.arange(n) - patch_centre(layers)) / 2**layers for n in slices.shape[2:])
    at = np.meshgrid(np.arange(len(patches)), rows, columns, indexing="ij")
    return ndimage.map_coordinates(patches, at, order=1, mode="nearest").astype(np.float32)


def patch_centre(layers: int) -> float:
    """The pixel that the first patch is centred on; each next patch is one stride, 2 ** layers, further.

    Output i of a 4x4 convolution of stride s, padded by 1, sees pixels s i - 1 to s i + 2, whose centre is s i + 1/2.
    """
    centre = 0.0
    for stride in (1, 1, *[2] * layers):
        centre = stride * centre + 0.5
    return centre


@lru_cache(maxsize=4)
def _load(path: Path, modified: int, device: str) -> LoadedDiscriminator:
    """modified: the file's time stamp, so that a checkpoint that a training has overwritten is read again."""
    tensors, config = load_tensors(path)
    try:
        objective, task = get_objective(config["objective"]), get_task(config["task"])
        with torch.device("meta"):
            network = PatchGAN(from_values(PatchGANConfig, config["discriminator"]))
        spacing, ranges = float(config.get("spacing", SPACING)), ranges_of(config)
    except (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise InputError(f'"{path}" does not say which discriminator its weights belong to; train it again.') from error
    if objective.probability is None:
        raise InputError(f"The discriminator of {objective.title} gives no probability; choose another model.")
    fill(network, tensors, path, assign=True)
    return LoadedDiscriminator(network.float().eval().to(device), objective, task, spacing, ranges)
