"""Images from a trained generator: noise and labels from a seed, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ganlab.errors import InputError
from ganlab.generation.config import GanConfig
from ganlab.generation.image_kinds import ImageKind, Progress, get_kind
from ganlab.generation.loading import load_generator
from ganlab.generation.networks import noise

BATCH, MOST = 64, 100_000  # images at once; images of one call


@dataclass(frozen=True)
class Samples:
    """Generated images (N, size, size) float32 in the kind's unit; labels (N,), -1 for an unconditional generator; and
    the noise z (N, z) they were made from."""

    kind: ImageKind
    images: np.ndarray
    labels: np.ndarray
    z: Tensor


def generate(
    name: str,
    count: int,
    seed: int = 0,
    label: str | None = None,
    psi: float = 1.0,
    device: str = "cpu",
    progress: Progress = None,
) -> Samples:
    """Samples of a pretrained model or of a training folder. Same seed, same samples on a CPU.

    count: 1 to 100,000. label: name of a class; None alternates between all classes. psi: truncation, 0 < psi <= 1, a
    factor of z: samples nearer to the mean of what was learned, and less varied. Raises InputError for other values.
    """
    if not 1 <= count <= MOST:
        raise InputError(f"{count} images cannot be generated at once; choose 1 to {MOST:,}.")
    if not 0 <= seed < 2**32:
        raise InputError(f"The seed {seed} is outside 0 to {2**32 - 1}.")
    if not 0 < psi <= 1:
        raise InputError(f"The truncation {psi:g} is outside 0 to 1; 1 is none.")
    net, config = load_generator(name, device)
    kind = get_kind(config.data)
    labels = labels_for(config, count, label)
    z = psi * noise(seed, count, config.network)
    images = [kind.to_unit(batch) for batch in batches(net, z, labels, device, progress)]
    conditioned_on = labels.numpy() if config.network.classes else np.full(count, -1)
    return Samples(kind, np.concatenate(images), conditioned_on, z)


def labels_for(config: GanConfig, count: int, label: str | None = None) -> Tensor:
    """(count,) labels: of one class, or of all classes in turn. Raises InputError for a class the model does not
    know."""
    classes = get_kind(config.data).classes if config.network.classes else ()
    if label is None:
        return torch.arange(count) % max(1, len(classes))
    if label not in classes:
        hint = (
            f"choose from {', '.join(classes)}" if classes else "this model was trained without labels, so leave it out"
        )
        raise InputError(f'The class "{label}" is not known; {hint}.')
    return torch.full((count,), classes.index(label))


@torch.inference_mode()
def batches(
    net: nn.Module, z: Tensor, labels: Tensor, device: str = "cpu", progress: Progress = None
) -> Iterator[Tensor]:
    """Yield images (n, 1, size, size) in -1..1 on the CPU for z (N, z) and labels (N,), at most BATCH at a time."""
    for start in range(0, len(z), BATCH):
        part = slice(start, start + BATCH)
        yield net(z[part].to(device), labels[part].to(device)).clamp(-1, 1).cpu()
        if progress:
            progress(min(1.0, (start + BATCH) / len(z)))
