"""What a discriminator's verdict on an image rests on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganlab.filters import smooth

SHARE = 7  # of a side that a window takes


@torch.inference_mode()
def occlusion_map(discriminator: nn.Module, image: Tensor, labels: Tensor | None = None) -> tuple[float, Tensor]:
    """(logit of an image (1, 1, size, size), map (size, size)): by how much the logit falls where the image is smoothed
    away around a pixel. Above 0 the place speaks for "real", below 0 it gives the image away.

    After Zeiler and Fergus (Visualizing and Understanding Convolutional Networks, ECCV 2014, section 4.2); but a place
    is smoothed and not painted grey, under a soft window and not a square, lest D judges the paint and its edges.
    """
    size = image.shape[-1]
    width = max(2, size // SHARE)
    centres = torch.arange(width // 2, size, max(1, width // 2))
    bump = torch.exp(-0.5 * ((torch.arange(size) - centres[:, None]) / (width / 2)) ** 2)  # (K, size)
    windows = (bump[:, None, :, None] * bump[None, :, None, :]).flatten(0, 1)[:, None].to(image)
    covered = torch.lerp(image, smooth(image, width | 1), windows)
    said = None if labels is None else labels.expand(len(covered) + 1)
    logits = discriminator(torch.cat([image, covered]), said)
    falls = (logits[0] - logits[1:]).view(-1, 1, 1, 1)
    return float(logits[0]), ((falls * windows).sum(0) / windows.sum(0).clamp_min(1e-6))[0]
