"""Losses of image translation: pure functions of images (N, 1, H, W), each with its formula and source.

The adversarial losses are in `ganlab.objectives`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def l1_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """E |y - G(x)|, whose minimum is the conditional median. The prediction may be in lower precision."""
    return F.l1_loss(prediction.float(), target)


def cycle_loss(reconstruction: Tensor, original: Tensor) -> Tensor:
    """E |F(G(x)) - x|: an image must be recovered by both generators (Zhu et al., ICCV 2017, equation 2; for MR to CT
    Wolterink et al., SASHIMI 2017)."""
    return l1_loss(reconstruction, original)


def identity_loss(translated: Tensor, original: Tensor) -> Tensor:
    """E |G(y) - y|: a generator does not change what is already in its target domain (Taigman et al., ICLR 2017; Zhu et
    al., ICCV 2017, section 5.2)."""
    return l1_loss(translated, original)


def structure_loss(before: Tensor, after: Tensor) -> Tensor:
    """E |MIND(after) - MIND(before)|: edges stay where they are, for any contrast (Yang et al., IEEE TMI 39:4249,
    2020)."""
    return l1_loss(mind(after), mind(before))


def mind(images: Tensor, distance: int = 2, sigma: float = 1.5) -> Tensor:
    """The modality-independent neighbourhood descriptor (N, 4, H, W) of images (N, 1, H, W), each channel in 0..1.

    exp(-d / v): d the Gaussian-weighted squared difference of the patch around a pixel and the one `distance` pixels
    up, down, left or right; v its mean over the four (Heinrich et al., Medical Image Analysis 16:1423, 2012, equations
    4 to 6).
    """
    offsets = ((distance, 0), (-distance, 0), (0, distance), (0, -distance))
    x = F.pad(images, (distance,) * 4, mode="replicate")
    h, w = images.shape[2:]
    shifted = torch.cat(  # (N, 4, H, W)
        [x[:, :, distance + i : distance + i + h, distance + j : distance + j + w] for i, j in offsets], 1
    )
    radius = 3
    at = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = (kernel / kernel.sum()).repeat(4, 1)
    d = F.pad((images - shifted) ** 2, (radius,) * 4, mode="replicate")
    d = F.conv2d(F.conv2d(d, kernel[:, None, :, None], groups=4), kernel[:, None, None, :], groups=4)
    v = d.mean(1, keepdim=True)
    floor = 1e-3 * v.mean(dim=(1, 2, 3), keepdim=True) + 1e-6  # suppresses the noise of flat regions
    descriptor = torch.exp(-d / (v + floor))
    return descriptor / descriptor.amax(1, keepdim=True)
