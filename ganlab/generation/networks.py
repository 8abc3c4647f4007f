"""Generators from noise and their discriminators: DCGAN and its variants, and fully connected networks.

Images are (N, 1, size, size) in -1..1, noise is (N, z), labels are (N,) integers.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganlab.filters import binomial
from ganlab.generation.config import NetworkConfig
from ganlab.generation.layers import BatchNorm, Grain, Spread

LABEL_STD = 0.1  # of a label's embedding at the start


def levels(size: int) -> tuple[int, int]:
    """(side of the coarsest map, 4 or 7 pixels; number of doublings to an image of this size)."""
    ups = int(math.log2(size / 7 if size % 7 == 0 else size / 4))
    return size // 2**ups, ups


def channels(config: NetworkConfig) -> list[int]:
    """Channels of every map, the finest first: width, 2 width, ... 8 width."""
    return [config.width * min(2**k, 8) for k in range(levels(config.size)[1])]


def norm_layers(config: NetworkConfig, count: int, discriminator: bool) -> list[nn.Module]:
    """The normalisation of a map of `count` channels, as a list of one layer or none."""
    if discriminator and config.spectral:
        return []
    name = (config.norm_d if discriminator else "") or config.norm
    return {"batch": [BatchNorm(count)], "layer": [nn.GroupNorm(1, count)], "none": []}[name]


def outputs(blocks: nn.ModuleList, x: Tensor) -> list[Tensor]:
    """The output of each block of a sequence."""
    return [x := block(x) for block in blocks]


def with_label(label: nn.Embedding | None, z: Tensor, labels: Tensor | None) -> Tensor:
    """Input of a generator's first layer: z (N, z) and, if it is conditional, the embedding of labels (N,), or of class
    weights (N, classes), which blend classes."""
    if label is None:
        return z
    return torch.cat([z, labels.to(z.dtype) @ label.weight if labels.dim() == 2 else label(labels)], 1)


class Generator(nn.Module):
    """DCGAN's generator: noise and label are projected to the coarsest map, which fractionally strided 4x4 convolutions
    double. Labels may be weights of several classes, see `with_label`.

    A kernel twice as wide as the stride covers every pixel equally often: no checkerboard (Odena et al., Distill 2016).
    """

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        side, ups = levels(config.size)
        c = channels(config)[::-1]
        self.label = nn.Embedding(config.classes, config.z) if config.classes else None
        inputs = config.z * (2 if config.classes else 1)
        act = nn.ReLU if config.relu else nn.Tanh
        hidden = [] if config.convolutional else [nn.Linear(inputs, 8 * config.width), act()]
        project = nn.Linear(8 * config.width if hidden else inputs, c[0] * side**2, bias=False)
        self.project = nn.Sequential(*hidden, project, nn.Unflatten(1, (c[0], side, side)))
        blocks = []
        for k in range(ups):
            last = k == ups - 1
            i, o = c[k], 1 if last else c[k + 1]
            up = (
                [nn.ConvTranspose2d(i, o, 4, 2, 1, bias=last)]
                if config.strided
                else [nn.Upsample(scale_factor=2), nn.Conv2d(i, o, 3, padding=1, bias=last)]
            )
            blocks.append(nn.Sequential(*norm_layers(config, i, False), act(), *up))
        self.blocks = nn.ModuleList(blocks)
        self.grain = Grain(config.size, config.z, config.grain) if config.grain else None
        self.last = nn.Tanh() if config.squash else nn.Identity()
        initialise(self, config)
        if self.grain is not None:
            nn.init.normal_(self.grain.log_strength.weight, 0.0, 0.7 / math.sqrt(config.z))

    def features(self, z: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """Every map, the coarsest first; the last is the image."""
        x = self.project(with_label(self.label, z, labels))
        *maps, image = [x, *outputs(self.blocks, x)]
        image = self.last(image)
        if self.grain is not None:
            # blurred like a scanner's point spread, so that convolutions cannot produce noise themselves
            image = (binomial(image) + self.grain(z)).clamp(-1, 1)
        return [*maps, image]

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.features(z, labels)[-1]


class Discriminator(nn.Module):
    """DCGAN's discriminator: strided 4x4 convolutions halve the map; one logit (N,)."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        side, c = levels(config.size)[0], channels(config)
        act = partial(nn.LeakyReLU, 0.2) if config.leaky else nn.ReLU
        concat = bool(config.classes) and config.condition == "concat"
        self.planes = config.classes if concat else 0
        blocks, i = [], 1 + self.planes
        for k, o in enumerate(c):
            down = (
                [nn.Conv2d(i, o, 4, 2, 1, bias=k == 0)]
                if config.strided
                else [nn.Conv2d(i, o, 3, padding=1, bias=k == 0), nn.AvgPool2d(2)]
            )
            norm = norm_layers(config, o, True) if k else []
            blocks.append(nn.Sequential(*down, *norm, act()))
            i = o
        if config.spread:
            blocks[-1].append(Spread())
            i += 1
        self.blocks = nn.ModuleList(blocks)
        hidden = [] if config.convolutional else [nn.Linear(i * side**2, 8 * config.width), act()]
        self.score = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(8 * config.width if hidden else i * side**2, 1))
        project = bool(config.classes) and config.condition == "projection"
        self.embed = nn.Embedding(config.classes, i) if project else None
        initialise(self, config)
        if config.spectral:
            for module in [m for m in self.modules() if isinstance(m, nn.Conv2d | nn.Linear)]:
                spectral_norm(module)

    def features(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """Every map, the finest first."""
        if self.planes:
            planes = F.one_hot(labels, self.planes)[:, :, None, None].to(x.dtype)
            x = torch.cat([x, planes.expand(-1, -1, *x.shape[2:])], 1)
        return outputs(self.blocks, x)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        last = self.features(x, labels)[-1]
        if last.requires_grad and last.is_contiguous(memory_format=torch.channels_last):
            # the gradient of a flattened map has another memory layout: on a CPU the activation before took 20 times as
            # long with it
            last.register_hook(lambda g: g.contiguous(memory_format=torch.channels_last))
        logit = self.score(last)[:, 0]
        if self.embed is not None:
            logit = logit + (self.embed(labels) * last.mean((2, 3))).sum(1)
        return logit


class DenseGenerator(nn.Module):
    """Fully connected generator: two hidden layers of ReLU (Goodfellow et al. 2014, section 5, for MNIST)."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config, units = config, 32 * config.width
        self.label = nn.Embedding(config.classes, config.z) if config.classes else None
        inputs = config.z * (2 if config.classes else 1)
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(nn.Linear(inputs, units), nn.ReLU()),
                nn.Sequential(nn.Linear(units, units), nn.ReLU()),
                nn.Sequential(nn.Linear(units, config.size**2), nn.Unflatten(1, (1, config.size, config.size))),
            ]
        )
        self.last = nn.Tanh() if config.squash else nn.Identity()

    def features(self, z: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """Both hidden layers and the image."""
        *maps, image = outputs(self.blocks, with_label(self.label, z, labels))
        return [*maps, self.last(image)]

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.features(z, labels)[-1]


class DenseDiscriminator(nn.Module):
    """Fully connected discriminator: maxout of five pieces and dropout (Goodfellow et al. 2013 and 2014)."""

    PIECES = 5

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config, units = config, 8 * config.width
        self.label = nn.Embedding(config.classes, config.size) if config.classes else None
        inputs = config.size**2 + (config.size if config.classes else 0)
        self.first = nn.Linear(inputs, units * self.PIECES)
        self.second = nn.Linear(units, units * self.PIECES)
        self.score = nn.Linear(units, 1)
        self.drop = nn.Dropout(0.3)

    def features(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """Both hidden layers."""
        x = x.flatten(1)
        if self.label is not None:
            x = torch.cat([x, self.label(labels)], 1)
        maps = []
        for layer in (self.first, self.second):
            x = self.drop(layer(x).unflatten(1, (-1, self.PIECES)).amax(2))
            maps.append(x)
        return maps

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.score(self.features(x, labels)[-1])[:, 0]


def initialise(net: nn.Module, config: NetworkConfig) -> None:
    """DCGAN's initial weights: N(0, 0.02), and N(1, 0.02) for the gains of normalisations. Label embeddings start
    small: at N(0, 1) they dominated noise and image, and made all samples of a class the same."""
    for module in net.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, 0.0, LABEL_STD)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and config.small_start:
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm) and config.small_start:
            nn.init.normal_(module.weight, 1.0, 0.02)


def noise(seed: int, count: int, config: NetworkConfig) -> Tensor:
    """(count, z) of N(0, 1) from a seed. The first rows are the same for every count."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.standard_normal((count, config.z), dtype=np.float32))


def make_networks(config: NetworkConfig) -> tuple[nn.Module, nn.Module]:
    """(generator, discriminator), with random weights from torch's global seed."""
    if config.kind == "fc":
        return DenseGenerator(config), DenseDiscriminator(config)
    return Generator(config), Discriminator(config)
