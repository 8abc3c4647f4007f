"""Images from a trained generator: noise and labels from a seed, in batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ganlab.errors import InputError
from ganlab.generation.data import Kind, get_kind
from ganlab.generation.game import GanConfig
from ganlab.generation.networks import noise
from ganlab.generation.trainer import load_generator

BATCH, MOST = 64, 100_000


@dataclass(frozen=True)
class Samples:
    """images (N, size, size) float32 in the kind's unit; labels (N,), -1 where nothing was asked for; z (N, z)."""

    kind: Kind
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
    progress: Callable[[float], None] | None = None,
) -> Samples:
    """Samples of a pretrained model or a training's folder: same seed, same samples on a CPU.

    count: 1 to 100,000. label: a class's name; else the classes take turns. psi: truncation, 0 < psi <= 1, a factor of
    z: nearer to the middle of what was learned, and less various. Raises InputError for other values.
    """
    if not 1 <= count <= MOST:
        raise InputError(f"{count} images cannot be made at once; ask for 1 to {MOST:,}.")
    if not 0 <= seed < 2**32:
        raise InputError(f"The seed {seed} is outside 0 to {2**32 - 1}.")
    if not 0 < psi <= 1:
        raise InputError(f"The truncation {psi:g} is outside 0 to 1; 1 is none.")
    net, config = load_generator(name, device)
    kind = get_kind(config.data)
    labels = labels_for(config, count, label)
    z = psi * noise(seed, count, config.network)
    images = [kind.to_unit(part) for part in batches(net, z, labels, device, progress)]
    said = labels.numpy() if config.network.classes else np.full(count, -1)
    return Samples(kind, np.concatenate(images), said, z)


def labels_for(config: GanConfig, count: int, label: str | None = None) -> Tensor:
    """(count,) labels: of one class, or of all in turn. Raises InputError for a class that the model does not know."""
    known = get_kind(config.data).classes if config.network.classes else ()
    if label is None:
        return torch.arange(count) % max(1, len(known))
    if label not in known:
        what = f"choose from {', '.join(known)}" if known else "this model was trained without labels, so leave it out"
        raise InputError(f'The class "{label}" is not known; {what}.')
    return torch.full((count,), known.index(label))


@torch.inference_mode()
def batches(net: nn.Module, z: Tensor, labels: Tensor, device: str = "cpu", progress=None):
    """Images (n, 1, size, size) in -1..1, at most BATCH at once."""
    for start in range(0, len(z), BATCH):
        part = slice(start, start + BATCH)
        yield net(z[part].to(device), labels[part].to(device)).clamp(-1, 1).cpu()
        if progress:
            progress(min(1.0, (start + BATCH) / len(z)))
