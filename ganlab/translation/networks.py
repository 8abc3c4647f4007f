"""Generators and the discriminator. The configuration stands beside the network and travels in its checkpoint."""

from __future__ import annotations

import copy
import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ganlab.filters import smooth
from ganlab.settings import from_values, frozen_config


@frozen_config
class UNetConfig:
    """widths: channels per resolution, the finest first; each level halves the image.

    patch: side of the pixel blocks that become channels before the first convolution and pixels again after the
    last (Shi et al., CVPR 2016). With 2 the widest images that a convolution sees have half the side, at the same
    information: about 2.5 times faster on a CPU than a level more at full resolution.

    window: centre and half-width of a range of the input, in its units, that is shown once more, spread over -1..1: as
    a reader of CT opens a brain window, for 20 HU between fluid and brain are nothing beside bone.
    """

    channels: int = 1
    widths: tuple[int, ...] = (24, 48, 96, 128, 128)
    patch: int = 2
    window: tuple[float, float] | None = None


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
        seen = pixels * (2 if config.window else 1)
        self.stride = stride_of(config)
        self.down = nn.ModuleList(conv_block(i, o) for i, o in zip((seen, *w), w, strict=False))
        self.up = nn.ModuleList(conv_block(w[k] + w[k + 1], w[k]) for k in range(len(w) - 1))
        self.out = nn.Conv2d(w[0], pixels, 1)

    def forward(self, x: Tensor) -> Tensor:
        if self.config.window:
            centre, half = self.config.window
            x = torch.cat([x, ((x - centre) / half).clamp(-1, 1)], 1)
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


@frozen_config
class ResNetConfig:
    """width: channels of the first layer. blocks: residual blocks, 6 or 9 in the paper. low, high: the outputs that
    tanh's ends stand for."""

    channels: int = 1
    width: int = 64
    blocks: int = 9
    low: float = -1.0
    high: float = 1.0


class Residual(nn.Module):
    """x + two 3x3 convolutions of it, reflected at the borders, instance-normalised."""

    def __init__(self, channels: int):
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels), nn.ReLU()]
        self.body = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class ResNet(nn.Module):
    """The generator of CycleGAN: c7s1-64, d128, d256, blocks x R256, u128, u64, c7s1 (Zhu et al., ICCV 2017, section
    7.2; after Johnson et al., ECCV 2016), reflection padding, instance normalisation. (N, channels, H, W) in and out,
    H and W multiples of `stride`.
    """

    stride = 4

    def __init__(self, config: ResNetConfig):
        super().__init__()
        self.config = config
        c, w = config.channels, config.width
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(c, w, 7), nn.InstanceNorm2d(w), nn.ReLU()]
        for i in (w, 2 * w):
            layers += [nn.Conv2d(i, 2 * i, 3, stride=2, padding=1), nn.InstanceNorm2d(2 * i), nn.ReLU()]
        layers += [Residual(4 * w) for _ in range(config.blocks)]
        for i in (4 * w, 2 * w):
            up = nn.ConvTranspose2d(i, i // 2, 3, stride=2, padding=1, output_padding=1)
            layers += [up, nn.InstanceNorm2d(i // 2), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(w, c, 7), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        low, high = self.config.low, self.config.high
        return low + (high - low) * (self.body(x) + 1) / 2


@frozen_config
class PatchGANConfig:
    """channels: 1, or 2 where the discriminator sees the source beside the target. width: of the first layer.

    What it is shown besides the image, the last channel: windows, each a centre and half-width as a generator's
    `window`; and how deep every pixel lies under the outline of what is above `outline`, blurred by boxes of `depths`
    pixels. Without it a skull in the scalp's fat looks, to patches, as good as one below it.
    """

    channels: int = 1
    width: int = 64
    layers: int = 3
    windows: tuple[tuple[float, float], ...] = ()
    outline: float | None = None
    depths: tuple[int, ...] = ()


class PatchGAN(nn.Module):
    """C64-C128-C256-C512 and one output per patch, each of which sees 70x70 pixels (Isola et al., CVPR 2017, section
    3.2): 4x4 convolutions, LeakyReLU 0.2, instance normalisation but for the first. (N, channels, H, W) to logits
    (N, 1, H / 8 - 2, W / 8 - 2).
    """

    def __init__(self, config: PatchGANConfig):
        super().__init__()
        self.config = config
        w = [config.width * min(2**k, 8) for k in range(config.layers + 1)]
        self.depths = config.depths if config.outline is not None else ()
        seen = config.channels + len(config.windows) + len(self.depths)
        layers: list[nn.Module] = [nn.Conv2d(seen, w[0], 4, 2, 1), nn.LeakyReLU(0.2)]
        for k, (i, o) in enumerate(itertools.pairwise(w)):
            stride = 2 if k < config.layers - 1 else 1
            layers += [nn.Conv2d(i, o, 4, stride, 1), nn.InstanceNorm2d(o), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, nn.Conv2d(w[-1], 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        image = x[:, -1:]
        parts = [x, *(((image - centre) / half).clamp(-1, 1) for centre, half in self.config.windows)]
        if self.depths:
            inside = outlined(image.detach(), self.config.outline)
            parts += [smooth(inside, side) for side in self.depths]
        return self.body(torch.cat(parts, 1) if len(parts) > 1 else x)


def outlined(images: Tensor, threshold: float) -> Tensor:
    """1 where something above a threshold lies to the left and to the right, above and below, else 0: an object without
    its holes. Images (N, 1, H, W), their mean over 3 x 3 pixels is what counts."""
    above = (F.avg_pool2d(images, 3, 1, 1, count_include_pad=False) > threshold).float()
    ways = [above.cummax(axis).values for axis in (2, 3)]
    ways += [above.flip(axis).cummax(axis).values.flip(axis) for axis in (2, 3)]
    return torch.stack(ways).amin(0)


GENERATORS = {"unet": (UNet, UNetConfig), "resnet": (ResNet, ResNetConfig)}


def generator_config(written: dict) -> UNetConfig | ResNetConfig:
    """From a checkpoint's JSON. A generator's kind is told by its fields: U-Nets have widths, ResNets blocks."""
    kind = "resnet" if "blocks" in written else "unet"
    return from_values(GENERATORS[kind][1], written)


def make_generator(config: UNetConfig | ResNetConfig) -> nn.Module:
    return next(net(config) for net, kind in GENERATORS.values() if isinstance(config, kind))


def stride_of(config: UNetConfig | ResNetConfig) -> int:
    """Of what the sides of a generator's images are multiples."""
    return ResNet.stride if isinstance(config, ResNetConfig) else config.patch * 2 ** (len(config.widths) - 1)


def folded(net: nn.Module) -> nn.Module:
    """The same function for inference: each batch normalisation folded into the convolution before it."""
    net = copy.deepcopy(net).eval()
    if not isinstance(net, UNet):
        return net
    for blocks in (net.down, net.up):
        for k, block in enumerate(blocks):
            convolutions = [fuse_conv_bn_eval(block[i], block[i + 1]) for i in range(0, len(block), 3)]
            blocks[k] = nn.Sequential(*(layer for c in convolutions for layer in (c, nn.ReLU(True))))
    return net
