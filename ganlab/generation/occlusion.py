"""Which parts of an image a discriminator's output depends on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganlab.filters import smooth

WINDOWS = 7  # per side


@torch.inference_mode()
def occlusion_map(discriminator: nn.Module, image: Tensor, labels: Tensor | None = None) -> tuple[float, Tensor]:
    """(logit of an image (1, 1, size, size), map (size, size)): how much the logit falls when the surroundings of a
    pixel are blurred. Above 0 the place speaks for "real", below 0 for "generated".

    After Zeiler and Fergus (Visualizing and Understanding Convolutional Networks, ECCV 2014, section 4.2), but a place
    is blurred under a soft window and not covered by a grey square, so that D does not judge the square and its edges.
    """
    size = image.shape[-1]
    width = max(2, size // WINDOWS)
    centres = torch.arange(width // 2, size, max(1, width // 2))
    bump = torch.exp(-0.5 * ((torch.arange(size) - centres[:, None]) / (width / 2)) ** 2)  # (K, size)
    windows = (bump[:, None, :, None] * bump[None, :, None, :]).flatten(0, 1)[:, None].to(image)  # (K^2, 1, size, size)
    blurred = torch.lerp(image, smooth(image, width | 1), windows)
    repeated = None if labels is None else labels.expand(len(blurred) + 1)
    logits = discriminator(torch.cat([image, blurred]), repeated)
    falls = (logits[0] - logits[1:]).view(-1, 1, 1, 1)
    return float(logits[0]), ((falls * windows).sum(0) / windows.sum(0).clamp_min(1e-6))[0]
