"""Generators from noise and their discriminators: fully connected, DCGAN and its variants. The configuration stands
beside the networks and travels in their checkpoint.

Images are (N, 1, size, size) in -1..1, noise is (N, z), labels (N,) integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganlab.errors import InputError
from ganlab.filters import binomial

LABEL = 0.1  # std of a label's embedding before training
NORMS = ("batch", "layer", "none")
SIZES = (16, 28, 32, 56, 64, 128)


@dataclass(frozen=True)
class NetworkConfig:
    """What both networks are made of; the defaults are DCGAN's recipe (Radford et al., ICLR 2016) at a width for CPUs.

    kind: "dcgan" or "fc", Goodfellow's fully connected networks, which know of z, width, classes and squash only. z:
    noise dimensions, N(0, 1). width: channels beside the image; they double with every halving, up to 8 times. classes:
    0, or labels given to both networks: to G beside the noise, to D as `condition` says: "concat" a plane per class
    beside the image, ones or zeros (Mirza and Osindero 2014), "projection" the inner product of an embedding with D's
    features (Miyato and Koyama, ICLR 2018).

    The recipe's lines, each of which can be turned off: `strided` (else nearest upsampling and average pooling),
    `norm` ("batch", "layer" or "none"), `leaky` (LeakyReLU 0.2 in D; else ReLU), `relu` (ReLU in G; else tanh),
    `squash` (tanh as G's last layer; else none), `convolutional` (else a hidden fully connected layer on top of either
    network's features), `small_start` (weights N(0, 0.02); else torch's own). norm_d: D's own normalisation; "" as
    `norm`. spectral: spectral normalisation of D in place of it (Miyato et al., ICLR 2018). grain: kernels of noise of
    its own that G adds (see `Grain`). spread: D is told how much a batch varies (see `Spread`).
    """

    kind: str = "dcgan"
    size: int = 64
    z: int = 100
    width: int = 32
    classes: int = 0
    condition: str = "concat"
    strided: bool = True
    norm: str = "batch"
    leaky: bool = True
    relu: bool = True
    squash: bool = True
    convolutional: bool = True
    small_start: bool = True
    norm_d: str = ""
    spectral: bool = False
    grain: int = 0
    spread: bool = False


def check_network(config: NetworkConfig) -> NetworkConfig:
    """The configuration, if it can be built. Raises InputError."""
    for name, value, known in (
        ("kind", config.kind, ("dcgan", "fc")),
        ("norm", config.norm, NORMS),
        ("norm_d", config.norm_d or config.norm, NORMS),
        ("condition", config.condition, ("concat", "projection")),
        ("size", config.size, SIZES),
    ):
        if value not in known:
            raise InputError(f'{name} "{value}" is not known; choose from {", ".join(map(str, known))}.')
    for name, value, low, high in (("z", config.z, 1, 512), ("width", config.width, 4, 256)):
        if not low <= value <= high:
            raise InputError(f"{name} {value} is outside {low}-{high}.")
    if not 0 <= config.grain <= 32:
        raise InputError(f"grain {config.grain} is outside 0-32.")
    if not 0 <= config.classes <= 100:
        raise InputError(f"{config.classes} classes are outside 0-100.")
    return config


def levels(size: int) -> tuple[int, int]:
    """(side of the coarsest map, how often it is doubled): 4 or 7 pixels at first."""
    ups = int(math.log2(size / 7 if size % 7 == 0 else size / 4))
    return size // 2**ups, ups


def channels(config: NetworkConfig) -> list[int]:
    """Of every map, the finest first: width, 2 width, ... 8 width."""
    return [config.width * min(2**k, 8) for k in range(levels(config.size)[1])]


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation of each of `parts` equal parts of a batch by its own statistics: real and generated images
    in one pass through D, which is faster, come out as they do in two."""

    parts = 1

    def forward(self, x: Tensor) -> Tensor:
        if self.parts == 1 or not self.training:
            return super().forward(x)
        return torch.cat([nn.BatchNorm2d.forward(self, part) for part in x.chunk(self.parts)])


class Spread(nn.Module):
    """A map more: the standard deviation over each part of a batch, its mean over channels and pixels, by which D sees
    that images are too much alike (Karras et al., ICLR 2018, section 3). In use an image is not judged by others that
    are asked about with it: the map is the training's running mean."""

    parts, momentum = 1, 0.1

    def __init__(self):
        super().__init__()
        self.register_buffer("usual", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        side = self.usual.expand(len(x))
        if self.training:
            apart = [part.float().var(0, unbiased=False).add(1e-8).sqrt().mean() for part in x.chunk(self.parts)]
            side = torch.stack(apart).repeat_interleave(len(x) // self.parts)
            self.usual.lerp_(side.detach().mean(), self.momentum)
        return torch.cat([x, side.to(x.dtype).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])], 1)


def in_parts(net: nn.Module, parts: int) -> nn.Module:
    """The network, whose batches consist of so many parts from now on."""
    for module in net.modules():
        if isinstance(module, BatchNorm | Spread):
            module.parts = parts
    return net


def normalised(config: NetworkConfig, count: int, discriminator: bool) -> list[nn.Module]:
    if discriminator and config.spectral:
        return []
    name = (config.norm_d if discriminator else "") or config.norm
    return {"batch": [BatchNorm(count)], "layer": [nn.GroupNorm(1, count)], "none": []}[name]


def through(blocks: nn.ModuleList, x: Tensor) -> list[Tensor]:
    """What comes out of each block, one after the other."""
    return [x := block(x) for block in blocks]


class Grain(nn.Module):
    """Noise of a scanner, (N, 1, size, size): white noise through learned kernels, each as strong as learned from z.

    A hundred numbers do not draw three thousand pixels of noise, and convolutions that have to make it from them make
    the same amount in every image. Trained on noise that is new every time, in use the white noise is a fixed random
    projection of z, of about unit variance, so that an image is a smooth function of z alone; a discriminator could
    learn that projection by heart. The strength knows no label: noise says nothing of a class. It starts as noise of
    several sharpnesses and of a strength that varies from image to image: what starts at nothing stays there, for the
    other layers make noise before it does.
    """

    SIDE = 9  # of a kernel, pixels
    WIDTHS = (0.3, 2.0)  # std of the Gaussians that kernels start as, pixels
    STRENGTH = 0.02  # of all kernels at first, in units of the image

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.side = config.size + self.SIDE - 1  # a border for the kernels, so that noise is the same up to the edge
        self.register_buffer("pattern", torch.randn(config.z, self.side**2) / math.sqrt(config.z))
        at = torch.arange(self.SIDE) - self.SIDE // 2
        widths = torch.logspace(*(math.log10(w) for w in self.WIDTHS), config.grain)
        rows = torch.exp(-0.5 * (at / widths[:, None]) ** 2)
        kernels = rows[:, None, :, None] * rows[:, None, None, :]
        self.kernels = nn.Parameter(kernels / kernels.square().sum((2, 3), keepdim=True).sqrt())
        self.log_strength = nn.Linear(config.z, config.grain)
        self.strength = self.STRENGTH / math.sqrt(config.grain)

    def forward(self, z: Tensor) -> Tensor:
        white = torch.randn(len(z), self.side**2, device=z.device, dtype=z.dtype) if self.training else z @ self.pattern
        white = white.view(-1, 1, self.side, self.side)
        strength = self.strength * torch.exp(self.log_strength(z))
        return (F.conv2d(white, alike(self.kernels)) * strength[:, :, None, None]).sum(1, keepdim=True)


def alike(kernels: Tensor) -> Tensor:
    """The mean over mirrored and turned kernels (K, 1, side, side): a scanner's noise has no direction of its own."""
    kernels = (kernels + kernels.transpose(2, 3)) / 2
    for axis in (2, 3):
        kernels = (kernels + kernels.flip(axis)) / 2
    return kernels


def told(label: nn.Embedding | None, z: Tensor, labels: Tensor | None) -> Tensor:
    """What a generator's first layer sees: z (N, z), and beside it what stands for labels (N,), or for shares of all
    classes (N, classes), which blend."""
    if label is None:
        return z
    return torch.cat([z, labels.to(z.dtype) @ label.weight if labels.dim() == 2 else label(labels)], 1)


class Generator(nn.Module):
    """DCGAN's: noise and label projected to the coarsest map, doubled by fractionally strided 4x4 convolutions. Labels
    may be shares of several classes, see `told`.

    A kernel of twice the stride covers every pixel equally often: no checkerboard (Odena et al., Distill 2016).
    """

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        side, ups = levels(config.size)
        c = channels(config)[::-1]
        self.label = nn.Embedding(config.classes, config.z) if config.classes else None
        seen = config.z * (2 if config.classes else 1)
        act = nn.ReLU if config.relu else nn.Tanh
        hidden = [] if config.convolutional else [nn.Linear(seen, 8 * config.width), act()]
        project = nn.Linear(8 * config.width if hidden else seen, c[0] * side**2, bias=False)
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
            blocks.append(nn.Sequential(*normalised(config, i, False), act(), *up))
        self.blocks = nn.ModuleList(blocks)
        self.grain = Grain(config) if config.grain else None
        self.last = nn.Tanh() if config.squash else nn.Identity()
        start(self, config)
        if self.grain is not None:
            nn.init.normal_(self.grain.log_strength.weight, 0.0, 0.7 / math.sqrt(config.z))

    def features(self, z: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """Every map on the way, the coarsest first; the last is the image."""
        x = self.project(told(self.label, z, labels))
        *maps, image = [x, *through(self.blocks, x)]
        image = self.last(image)
        if self.grain is not None:
            # through a scanner's point spread: what convolutions draw has no noise of its own
            image = (binomial(image) + self.grain(z)).clamp(-1, 1)
        return [*maps, image]

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.features(z, labels)[-1]


class Discriminator(nn.Module):
    """DCGAN's: halved by strided 4x4 convolutions; one logit (N,)."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        side, c = levels(config.size)[0], channels(config)
        act = partial(nn.LeakyReLU, 0.2) if config.leaky else nn.ReLU
        beside = bool(config.classes) and config.condition == "concat"
        self.planes = config.classes if beside else 0
        blocks, i = [], 1 + self.planes
        for k, o in enumerate(c):
            down = (
                [nn.Conv2d(i, o, 4, 2, 1, bias=k == 0)]
                if config.strided
                else [nn.Conv2d(i, o, 3, padding=1, bias=k == 0), nn.AvgPool2d(2)]
            )
            norm = normalised(config, o, True) if k else []
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
        start(self, config)
        if config.spectral:
            for module in [m for m in self.modules() if isinstance(m, nn.Conv2d | nn.Linear)]:
                spectral_norm(module)

    def features(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """Every map on the way, the finest first."""
        if self.planes:
            planes = F.one_hot(labels, self.planes)[:, :, None, None].to(x.dtype)
            x = torch.cat([x, planes.expand(-1, -1, *x.shape[2:])], 1)
        return through(self.blocks, x)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        last = self.features(x, labels)[-1]
        if last.requires_grad and last.is_contiguous(memory_format=torch.channels_last):
            # flattened, a gradient lies otherwise: on a CPU the activation before took twenty times as long for it
            last.register_hook(lambda g: g.contiguous(memory_format=torch.channels_last))
        logit = self.score(last)[:, 0]
        if self.embed is not None:
            logit = logit + (self.embed(labels) * last.mean((2, 3))).sum(1)
        return logit


class DenseGenerator(nn.Module):
    """Goodfellow's for MNIST: two hidden layers of ReLU, no convolution (Goodfellow et al. 2014, section 5)."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config, units = config, 32 * config.width
        self.label = nn.Embedding(config.classes, config.z) if config.classes else None
        seen = config.z * (2 if config.classes else 1)
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(nn.Linear(seen, units), nn.ReLU()),
                nn.Sequential(nn.Linear(units, units), nn.ReLU()),
                nn.Sequential(nn.Linear(units, config.size**2), nn.Unflatten(1, (1, config.size, config.size))),
            ]
        )
        self.last = nn.Tanh() if config.squash else nn.Identity()

    def features(self, z: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        *maps, image = through(self.blocks, told(self.label, z, labels))
        return [*maps, self.last(image)]

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.features(z, labels)[-1]


class DenseDiscriminator(nn.Module):
    """Goodfellow's for MNIST: maxout of five pieces, dropout (Goodfellow et al. 2013 and 2014)."""

    PIECES = 5

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config, units = config, 8 * config.width
        self.label = nn.Embedding(config.classes, config.size) if config.classes else None
        seen = config.size**2 + (config.size if config.classes else 0)
        self.first = nn.Linear(seen, units * self.PIECES)
        self.second = nn.Linear(units, units * self.PIECES)
        self.score = nn.Linear(units, 1)
        self.drop = nn.Dropout(0.3)

    def features(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
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


def start(net: nn.Module, config: NetworkConfig) -> None:
    """Weights as DCGAN starts them: N(0, 0.02), gains of normalisations N(1, 0.02). Labels start faint, so that noise
    and image are not drowned: an embedding of N(0, 1) made every sample of a class the same."""
    for module in net.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, 0.0, LABEL)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and config.small_start:
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm) and config.small_start:
            nn.init.normal_(module.weight, 1.0, 0.02)


def noise(seed: int, count: int, config: NetworkConfig) -> Tensor:
    """(count, z) of N(0, 1) from a seed: the first rows are the same for every count."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.standard_normal((count, config.z), dtype=np.float32))


def network_config(written: dict) -> NetworkConfig:
    """From a checkpoint's JSON. Raises InputError if a field is unknown."""
    try:
        return check_network(NetworkConfig(**written))
    except TypeError as error:
        raise InputError("These weights are not those of a generator from noise; train it anew.") from error


def make_networks(config: NetworkConfig) -> tuple[nn.Module, nn.Module]:
    """(generator, discriminator). Raises InputError for what cannot be built."""
    check_network(config)
    if config.kind == "fc":
        return DenseGenerator(config), DenseDiscriminator(config)
    return Generator(config), Discriminator(config)
