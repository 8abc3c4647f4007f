"""AnoGAN's anomaly map: the parts of an image that a generator cannot reproduce (Schlegl et al., IPMI 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganlab.generation.explorer import Explorer
from ganlab.generation.image_kinds import Progress
from ganlab.generation.inversion import invert

STEPS = 150
BALL_RADIUS, BALL_CENTRE = 0.13, (0.75, 0.25)  # of the painted ball, as shares of the side (row, column)


@dataclass(frozen=True)
class AnomalyMap:
    """An image, its reconstruction, and residual = image - reconstruction, all (size, size) in the kind's unit; the z
    (z,) and label of the reconstruction, and its anomaly score, which is 0 for a perfect reconstruction."""

    image: np.ndarray
    reconstruction: np.ndarray
    residual: np.ndarray
    z: Tensor
    label: int
    score: float


def anomaly_map(explorer: Explorer, image: Tensor, progress: Progress = None, steps: int = STEPS) -> AnomalyMap:
    """Invert an image (1, size, size) in -1..1. progress(share) may raise to cancel. Raises InputError for an image of
    another size."""
    inversion = invert(explorer.generator, image, None, explorer.discriminator, steps=steps, progress=progress)
    original, reconstruction = (explorer.kind.to_unit(x)[0] for x in (image[None], inversion.reconstruction))
    residual = original - reconstruction
    return AnomalyMap(
        original, reconstruction, residual, inversion.z[0], int(inversion.labels[0]), float(inversion.score[0])
    )


def ball_mask(size: int) -> np.ndarray:
    """(size, size) bool: where `with_ball` paints."""
    y, x = (np.arange(size) + 0.5) / size - np.array(BALL_CENTRE)[:, None]
    return np.hypot(y[:, None], x[None]) < BALL_RADIUS


def with_ball(image: Tensor) -> Tensor:
    """A copy of an image (1, size, size) with a bright ball, an anomaly absent from the training images."""
    painted = image.clone()
    painted[0, torch.from_numpy(ball_mask(image.shape[-1]))] = 1.0
    return painted
