"""Layers of the image GANs that torch does not have: batch normalisation in parts, the spread of a batch, and grain."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation of each of `parts` equal parts of a batch by its own statistics. Real and generated images go
    through D in one pass, which is faster than two and gives the same result."""

    parts = 1

    def forward(self, x: Tensor) -> Tensor:
        if self.parts == 1 or not self.training:
            return super().forward(x)
        return torch.cat([nn.BatchNorm2d.forward(self, part) for part in x.chunk(self.parts)])


class Spread(nn.Module):
    """Append a channel with the standard deviation over each part of a batch, averaged over channels and pixels, which
    lets D detect a lack of variety (Karras et al., ICLR 2018, section 3). In evaluation mode the channel holds
    the running mean of training, so that an image is judged independently of the rest of its batch."""

    parts, momentum = 1, 0.1

    def __init__(self):
        super().__init__()
        self.register_buffer("usual", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        spread = self.usual.expand(len(x))
        if self.training:
            std = [part.float().var(0, unbiased=False).add(1e-8).sqrt().mean() for part in x.chunk(self.parts)]
            spread = torch.stack(std).repeat_interleave(len(x) // self.parts)
            self.usual.lerp_(spread.detach().mean(), self.momentum)
        return torch.cat([x, spread.to(x.dtype).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])], 1)


def in_parts(net: nn.Module, parts: int) -> nn.Module:
    """Set how many equal parts the batches of a network consist of; returns the network."""
    for module in net.modules():
        if isinstance(module, BatchNorm | Spread):
            module.parts = parts
    return net


class Grain(nn.Module):
    """Scanner noise (N, 1, size, size): white noise through learned kernels, the strength of each learned from z.

    A hundred numbers cannot determine three thousand pixels of noise, and convolutions that have to make it from them
    make the same amount in every image. In training the white noise is new every time; in evaluation mode it is a fixed
    random projection of z of about unit variance, so that an image is a smooth function of z alone. (In training a
    discriminator could memorise that projection.) The strength does not depend on the label. Grain starts as noise of
    several sharpnesses, with a strength that varies between images: started at zero it stays there, because the other
    layers learn to make noise first.
    """

    SIDE = 9  # of a kernel, pixels
    WIDTHS = (0.3, 2.0)  # std of the initial Gaussian kernels, pixels
    STRENGTH = 0.02  # of all kernels at first, in units of the image

    def __init__(self, size: int, z: int, kernels: int):
        super().__init__()
        self.side = size + self.SIDE - 1  # with a border, so that noise is the same up to the edge
        self.register_buffer("pattern", torch.randn(z, self.side**2) / math.sqrt(z))
        at = torch.arange(self.SIDE) - self.SIDE // 2
        widths = torch.logspace(*(math.log10(w) for w in self.WIDTHS), kernels)
        rows = torch.exp(-0.5 * (at / widths[:, None]) ** 2)
        gaussians = rows[:, None, :, None] * rows[:, None, None, :]  # (kernels, 1, SIDE, SIDE)
        self.kernels = nn.Parameter(gaussians / gaussians.square().sum((2, 3), keepdim=True).sqrt())
        self.log_strength = nn.Linear(z, kernels)
        self.strength = self.STRENGTH / math.sqrt(kernels)

    def forward(self, z: Tensor) -> Tensor:
        white = torch.randn(len(z), self.side**2, device=z.device, dtype=z.dtype) if self.training else z @ self.pattern
        white = white.view(-1, 1, self.side, self.side)
        strength = self.strength * torch.exp(self.log_strength(z))  # (N, kernels)
        return (F.conv2d(white, symmetric(self.kernels)) * strength[:, :, None, None]).sum(1, keepdim=True)


def symmetric(kernels: Tensor) -> Tensor:
    """The mean of kernels (K, 1, side, side) over their mirror images and transposes: scanner noise has no preferred
    direction."""
    kernels = (kernels + kernels.transpose(2, 3)) / 2
    for axis in (2, 3):
        kernels = (kernels + kernels.flip(axis)) / 2
    return kernels
