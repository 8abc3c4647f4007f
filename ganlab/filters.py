"""Filters for images (N, 1, H, W)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def binomial(images: Tensor) -> Tensor:
    """Convolve with (1, 2, 1) x (1, 2, 1) / 16, mirroring the edge: removes checkerboard patterns at the pixel scale,
    including at the edge."""
    row = images.new_tensor((1.0, 2.0, 1.0)) / 4
    return F.conv2d(F.pad(images, (1,) * 4, mode="reflect"), (row[:, None] * row)[None, None])


def smooth(images: Tensor, side: int) -> Tensor:
    """Two box means with an odd side, the edge replicated."""
    for _ in range(2):
        padded = F.pad(images, (side // 2,) * 4, mode="replicate")
        images = F.avg_pool2d(F.avg_pool2d(padded, (side, 1), 1), (1, side), 1)
    return images


def extremes(images: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Minimum and maximum within a box with an odd side, the edge replicated."""
    padded = F.pad(images, (side // 2,) * 4, mode="replicate")
    return -F.max_pool2d(-padded, side, 1), F.max_pool2d(padded, side, 1)
