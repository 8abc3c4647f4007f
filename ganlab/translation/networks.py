"""Generators. The configuration stands beside the network and travels in its checkpoint."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


@dataclass(frozen=True)
class UNetConfig:
    """widths: channels per resolution, the finest first; each level halves the image.

    patch: side of the pixel blocks that become channels before the first convolution and pixels again after the
    last (Shi et al., CVPR 2016). With 2 the widest images that a convolution sees have half the side, at the same
    information: about 2.5 times faster on a CPU than a level more at full resolution.
    """

    channels: int = 1
    widths: tuple[int, ...] = (24, 48, 96, 128, 128)
    patch: int = 2


def conv_block(cin: int, cout: int) -> nn.Sequential:
    """Twice a 3x3 convolution, batch normalisation and ReLU."""
    layers: list[nn.Module] = []
    for i in (cin, cout):
        layers += [nn.Conv2d(i, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout, momentum=0.03), nn.ReLU(True)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """U-Net (Ronneberger et al., MICCAI 2015) on pixel blocks, fully convolutional.

    Input and output: (N, channels, H, W), H and W multiples of `stride`. Batch statistics are fixed at inference, so
    that every slice of a volume is treated alike and the normalisation folds into the convolutions (`folded`).
    """

    def __init__(self, config: UNetConfig):
        super().__init__()
        self.config = config
        w, pixels = config.widths, config.channels * config.patch**2
        self.stride = config.patch * 2 ** (len(w) - 1)
        self.down = nn.ModuleList(conv_block(i, o) for i, o in zip((pixels, *w), w, strict=False))
        self.up = nn.ModuleList(conv_block(w[k] + w[k + 1], w[k]) for k in range(len(w) - 1))
        self.out = nn.Conv2d(w[0], pixels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pixel_unshuffle(x, self.config.patch)
        skips = []
        for k, block in enumerate(self.down):
            x = block(x if k == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        x = skips.pop()
        for block in reversed(self.up):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = block(torch.cat([x, skips.pop()], 1))
        return F.pixel_shuffle(self.out(x), self.config.patch)


def folded(net: UNet) -> UNet:
    """The same function for inference: each batch normalisation folded into the convolution before it."""
    net = copy.deepcopy(net).eval()
    for blocks in (net.down, net.up):
        for k, block in enumerate(blocks):
            convolutions = [fuse_conv_bn_eval(block[i], block[i + 1]) for i in range(0, len(block), 3)]
            blocks[k] = nn.Sequential(*(layer for c in convolutions for layer in (c, nn.ReLU(True))))
    return net
