"""What a discriminator says of a volume, place by place: the map of its patches (Isola et al., CVPR 2017)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from ganlab.checkpoints import DISCRIMINATOR, fill, load_tensors, model_folder
from ganlab.device import resolve
from ganlab.errors import Cancelled, InputError
from ganlab.imaging.grid import canonical, model_grid, resample
from ganlab.imaging.volume import Volume
from ganlab.objectives import Objective, get_objective
from ganlab.settings import from_values
from ganlab.translation.inference import (
    MAX_VOXELS,
    SIGNAL,
    SPACING,
    air_of,
    busy_slices,
    head_box,
    ranges_of,
    source_units,
)
from ganlab.translation.networks import PatchGAN, PatchGANConfig
from ganlab.translation.tasks import TASKS, check_task, get_task


def patch_map(
    volume: Volume,
    source: Volume,
    model: str,
    device: str = "auto",
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Volume:
    """How real a model's discriminator takes a place of a volume for, 0 to 1, on its grid; 0 outside the head's box.

    Axial slices of the model's spacing; a place has the answer of the patch around it, between patches linear.
    volume: of the task's target, real or synthetic, in the unit that `translate` gives; source: the scan that it
    belongs to, on the same grid, which tells where the head is, and which discriminators of pix2pix see too. Raises
    InputError for a model without a discriminator, with a game whose output is no probability, or of another task than
    the volume's, and Cancelled.
    """
    path = model_folder(model) / DISCRIMINATOR
    if not path.is_file():
        raise InputError(f'"{model}" has no discriminator beside it; choose a model trained with an adversary.')
    device = resolve(device)
    net, objective, task, spacing, ranges = _load(path, path.stat().st_mtime_ns, device)
    wanted = next((each for each in TASKS.values() if each.target == volume.modality), task)
    check_task(model, task.name, wanted)
    affine, shape = model_grid(canonical(source), spacing)
    if np.prod(shape, dtype=np.int64) > MAX_VOXELS:
        raise InputError("The volume is larger than a head can be; crop it to the head.")
    air = air_of(task)
    seen = source_units(resample(canonical(source), affine, shape, fill=air * task.source_scale).array, task)
    judged = resample(canonical(volume), affine, shape, fill=task.empty).array / task.scale
    box = head_box(seen, air)
    pair = [image[box].clip(*limits) for image, limits in zip((seen, judged), ranges, strict=True)]
    pair = pair[-net.config.channels :]
    found = np.zeros(shape, np.float32)
    work = list(busy_slices(seen[box], 2, air + SIGNAL))
    for k, index in enumerate(work):
        if cancelled and cancelled():
            raise Cancelled
        found[box][:, :, index] = np.moveaxis(_judge(net, objective, [a[:, :, index] for a in pair], device), 0, 2)
        if progress:
            progress((k + 1) / len(work))
    return replace(resample(Volume(found, affine), volume.affine, volume.shape), unit="D", modality="judged")


@torch.inference_mode()
def _judge(net: PatchGAN, objective: Objective, arrays: list[np.ndarray], device: str) -> np.ndarray:
    """(N, H, W) of slices (H, W, N) per channel."""
    slices = np.stack([np.moveaxis(a, 2, 0) for a in arrays], 1)
    answers = net(torch.from_numpy(np.ascontiguousarray(slices)).to(device))
    says = objective.probability(answers.float())[:, 0].clamp(0, 1).cpu().numpy()
    stride = 2**net.config.layers
    first = patch_centre(net.config.layers)
    rows, columns = ((np.arange(n) - first) / stride for n in slices.shape[2:])
    at = np.meshgrid(np.arange(len(says)), rows, columns, indexing="ij")
    return ndimage.map_coordinates(says, at, order=1, mode="nearest").astype(np.float32)


def patch_centre(layers: int) -> float:
    """The pixel that the first patch is centred on; one stride, 2 ** layers, further for each patch.

    A 4x4 convolution padded by 1 sees pixels s i - 1 to s i + 2, whose middle is s i + 1/2.
    """
    place = 0.0
    for stride in (1, 1, *[2] * layers):
        place = stride * place + 0.5
    return place


@lru_cache(maxsize=4)
def _load(path: Path, written: int, device: str):
    """(network, objective, task, spacing, ranges) of a discriminator's file."""
    tensors, config = load_tensors(path)
    try:
        objective, task = get_objective(config["objective"]), get_task(config["task"])
        with torch.device("meta"):
            net = PatchGAN(from_values(PatchGANConfig, config["discriminator"]))
        spacing, ranges = float(config.get("spacing", SPACING)), ranges_of(config)
    except (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise InputError(f'"{path}" does not say which discriminator its weights are of; train it anew.') from error
    if objective.probability is None:
        raise InputError(f"The discriminator of {objective.title} gives no probability; choose another model.")
    fill(net, tensors, path, assign=True)
    return net.float().eval().to(device), objective, task, spacing, ranges
