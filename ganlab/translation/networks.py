"""Generators and the discriminator of translation, each with its configuration, which is saved in its checkpoint."""

from __future__ import annotations

import copy
import itertools
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ganlab.device import exact
from ganlab.errors import InputError
from ganlab.filters import smooth
from ganlab.settings import Field, from_values, frozen_config

Window = tuple[float, Annotated[float, Field(gt=0)]]  # centre and half-width of a range of intensities


@frozen_config
class UNetConfig:
    """A U-Net's settings.

    With a patch of 2 the widest images that a convolution sees have half the side, at the same information: about 2.5
    times faster on a CPU than one more level at full resolution (pixel blocks: Shi et al., CVPR 2016). A window is for
    CT what the brain window is to a reader: the 20 HU between fluid and brain are nothing beside bone.
    """

    channels: int = Field(1, ge=1, le=8, title="Channels", description="Channels of an image.")
    widths: tuple[Annotated[int, Field(ge=1, le=2048)], ...] = Field(
        (24, 48, 96, 128, 128),
        min_length=1,
        max_length=8,
        title="Widths (1 to 8 numbers from 1 to 2048)",
        description="Channels per resolution, the finest first; each level halves the image.",
    )
    patch: int = Field(
        2, ge=1, le=8, title="Patch", description="Side of the pixel blocks that become channels.", unit="pixels"
    )
    window: Window | None = Field(
        None,
        title="Window (centre, half-width)",
        description="A range of the input shown once more as a channel, spread over -1..1; in the input's units.",
    )


def windowed(x: Tensor, window: tuple[float, float]) -> Tensor:
    """x with a window (centre, half-width) spread over -1..1, clipped beyond."""
    centre, half = window
    return ((x - centre) / half).clamp(-1, 1)


def conv_block(cin: int, cout: int) -> nn.Sequential:
    """Twice a 3x3 convolution, batch normalisation and ReLU."""
    layers: list[nn.Module] = []
    for i in (cin, cout):
        layers += [nn.Conv2d(i, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout, momentum=0.03), nn.ReLU(True)]
    return nn.Sequential(*layers)


class UpBlock(nn.Sequential):
    """A conv_block of the coarser level's features, each pixel repeated to 2 x 2, beside those of its own level."""

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return super().forward(torch.cat([x, skip], 1))


class FoldedUpBlock(nn.Module):
    """The same function as an UpBlock at inference, in four fifths of the time.

    Repeating pixels 2 x 2 and then convolving 3 x 3 is one transposed convolution, 4 x 4 with a stride of 2: 4 products
    per output in place of 9. The features of both levels meet in a sum, so that nothing is concatenated.
    """

    def __init__(self, first: nn.Conv2d, second: nn.Conv2d, coarse: int):
        super().__init__()
        own, out = first.in_channels - coarse, first.out_channels
        self.skip = nn.Conv2d(own, out, 3, padding=1)
        self.up = nn.ConvTranspose2d(coarse, out, 4, stride=2, padding=1, bias=False)
        self.second = second
        weight = first.weight.detach()  # (out, coarse + own, 3, 3)
        self.skip.weight.data, self.skip.bias.data = weight[:, coarse:].clone(), first.bias.detach().clone()
        repeated = F.conv_transpose2d(weight[:, :coarse].flip(2, 3).flatten(0, 1)[:, None], weight.new_ones(1, 1, 2, 2))
        self.up.weight.data = repeated.view(out, coarse, 4, 4).transpose(0, 1).contiguous()

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return F.relu_(self.second(F.relu_(self.skip(skip).add_(self.up(x)))))


class UNet(nn.Module):
    """U-Net (Ronneberger et al., MICCAI 2015) on pixel blocks, fully convolutional.

    Input and output: (N, channels, H, W), H and W multiples of `stride`. At inference the batch statistics are fixed:
    every slice of a volume is treated the same way, and the normalisation folds into the convolutions (`folded`).
    """

    def __init__(self, config: UNetConfig):
        super().__init__()
        self.config = config
        w, pixels = config.widths, config.channels * config.patch**2
        inputs = pixels * (2 if config.window else 1)
        self.stride = stride_of(config)
        self.down = nn.ModuleList(conv_block(i, o) for i, o in zip((inputs, *w), w, strict=False))
        self.up = nn.ModuleList(UpBlock(*conv_block(w[k] + w[k + 1], w[k])) for k in range(len(w) - 1))
        self.out = nn.Conv2d(w[0], pixels, 1)

    def forward(self, x: Tensor) -> Tensor:
        if self.config.window:
            x = torch.cat([x, windowed(x, self.config.window)], 1)  # (N, 2 channels, H, W)
        x = F.pixel_unshuffle(x, self.config.patch)  # (N, channels * patch^2, H / patch, W / patch)
        skips = []
        for k, block in enumerate(self.down):
            x = block(x if k == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        x = skips.pop()
        for block in reversed(self.up):
            x = block(x, skips.pop())
        with exact(x.device.type):  # bfloat16 has steps of 8 HU at 1000 HU
            return F.pixel_shuffle(self.out(x.float()), self.config.patch)


@frozen_config
class ResNetConfig:
    """A ResNet generator's settings; the defaults are CycleGAN's."""

    channels: int = Field(1, ge=1, le=8, title="Channels", description="Channels of an image.")
    width: int = Field(64, ge=1, le=512, title="Width", description="Channels of the first layer.")
    blocks: int = Field(9, ge=0, le=64, title="Residual blocks", description="6 or 9 in the paper.")
    low: float = Field(-1.0, title="Low", description="The output at tanh = -1.")
    high: float = Field(1.0, title="High", description="The output at tanh = 1.")


class Residual(nn.Module):
    """x plus two 3x3 convolutions of it with reflection padding and instance normalisation."""

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
        x = self.body[:-3](x)
        with exact(x.device.type):  # as in UNet
            return low + (high - low) * (self.body[-3:](x.float()) + 1) / 2


@frozen_config
class PatchGANConfig:
    """A discriminator's settings.

    Besides the image (the last channel) it may be shown windows of it, and how deep every pixel lies under the outline
    of the head: otherwise patches cannot tell a skull in the scalp's fat from one below it.
    """

    channels: int = Field(1, ge=1, le=8, title="Channels", description="1, or 2 where it sees the source too.")
    width: int = Field(64, ge=1, le=512, title="Width", description="Channels of the first layer.")
    layers: int = Field(3, ge=1, le=6, title="Layers", description="Strided layers; 3 see 70 x 70 pixels.")
    windows: tuple[Window, ...] = Field(
        (), title="Windows (centre, half-width)", description="Ranges of the image, each shown as a channel in -1..1."
    )
    outline: float | None = Field(
        None, title="Outline", description="Threshold above which a pixel is head, in the networks' units."
    )
    depths: tuple[Annotated[int, Field(ge=1, le=255)], ...] = Field(
        (), title="Depths", description="Odd sides of the boxes that the outline is blurred by.", unit="pixels"
    )

    def __post_init__(self):
        if not all(side % 2 for side in self.depths):
            raise InputError(f"discriminator.depths {list(self.depths)} are not odd; 9, 25 is usual.")


class PatchGAN(nn.Module):
    """C64-C128-C256-C512 and one output per patch, each of which sees 70x70 pixels (Isola et al., CVPR 2017, section
    3.2): 4x4 convolutions, LeakyReLU 0.2, instance normalisation except in the first. (N, channels, H, W) to logits
    (N, 1, H / 8 - 2, W / 8 - 2).
    """

    def __init__(self, config: PatchGANConfig):
        super().__init__()
        self.config = config
        w = [config.width * min(2**k, 8) for k in range(config.layers + 1)]
        self.depths = config.depths if config.outline is not None else ()
        inputs = config.channels + len(config.windows) + len(self.depths)
        layers: list[nn.Module] = [nn.Conv2d(inputs, w[0], 4, 2, 1), nn.LeakyReLU(0.2)]
        for k, (i, o) in enumerate(itertools.pairwise(w)):
            stride = 2 if k < config.layers - 1 else 1
            layers += [nn.Conv2d(i, o, 4, stride, 1), nn.InstanceNorm2d(o), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, nn.Conv2d(w[-1], 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        image = x[:, -1:]
        inputs = [x, *(windowed(image, window) for window in self.config.windows)]
        if self.depths:
            head = outlined(image.detach(), self.config.outline)
            inputs += [smooth(head, side) for side in self.depths]
        return self.body(torch.cat(inputs, 1) if len(inputs) > 1 else x)


def outlined(images: Tensor, threshold: float) -> Tensor:
    """An object with its holes filled: 1 where the image is above the threshold somewhere to the left and to the right,
    above and below, else 0. Images (N, 1, H, W), averaged over 3 x 3 pixels first."""
    above = (F.avg_pool2d(images, 3, 1, 1, count_include_pad=False) > threshold).float()
    directions = [above.cummax(axis).values for axis in (2, 3)]
    directions += [above.flip(axis).cummax(axis).values.flip(axis) for axis in (2, 3)]
    return torch.stack(directions).amin(0)


def generator_config(written: dict) -> UNetConfig | ResNetConfig:
    """The configuration in a checkpoint's JSON: a ResNet's has blocks, a U-Net's has widths. Raises InputError."""
    return from_values(ResNetConfig if "blocks" in written else UNetConfig, written)


def make_generator(config: UNetConfig | ResNetConfig) -> UNet | ResNet:
    """The network of a configuration, with random weights."""
    return ResNet(config) if isinstance(config, ResNetConfig) else UNet(config)


def stride_of(config: UNetConfig | ResNetConfig) -> int:
    """The sides of a generator's images are multiples of this, in pixels."""
    return ResNet.stride if isinstance(config, ResNetConfig) else config.patch * 2 ** (len(config.widths) - 1)


def folded(net: nn.Module) -> nn.Module:
    """A copy for inference, the same function: each batch normalisation is folded into the convolution before it, and
    each UpBlock is replaced by a FoldedUpBlock."""
    net = copy.deepcopy(net).eval()
    if not isinstance(net, UNet):
        return net
    widths = net.config.widths
    for k, block in enumerate(net.down):
        first, second = _without_normalisation(block)
        net.down[k] = nn.Sequential(first, nn.ReLU(True), second, nn.ReLU(True))
    for k, block in enumerate(net.up):
        net.up[k] = FoldedUpBlock(*_without_normalisation(block), widths[k + 1])
    return net.eval()


def _without_normalisation(block: nn.Sequential) -> tuple[nn.Conv2d, nn.Conv2d]:
    """The convolutions of a conv_block, with its normalisations folded into them."""
    first, second = (fuse_conv_bn_eval(block[i], block[i + 1]) for i in (0, 3))
    return first, second
