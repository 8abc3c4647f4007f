"""Images per second of a training step: our methods against the papers' own, alternating in one run on the same slices.

Two questions, two ratios. Against the papers' networks in a plain loop: how much sooner is a training done here? Most
of that is the smaller network. Against the same plain loop with our networks at our batch: what is the loop worth?
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice, pairwise
from statistics import median

import torch
from torch import Tensor, nn

from ganlab.device import autocast, precision, resolve
from ganlab.errors import InputError
from ganlab.phantoms.pairs import pairs
from ganlab.translation.image_pool import ImagePool
from ganlab.translation.losses import structure_loss
from ganlab.translation.methods import METHODS, Method
from ganlab.translation.networks import PatchGAN, PatchGANConfig, ResNet, ResNetConfig, make_generator
from ganlab.translation.presets import get_preset
from ganlab.translation.tasks import get_task
from ganlab.translation.trainer import freeze_statistics
from ganlab.translation.training_config import TrainingConfig, is_paired

PRESETS = ("mr2ct-pix2pix", "mr2ct-cyclegan-structure")
RATE, BETAS = 2e-4, (0.5, 0.999)  # of both papers


class UNet256(nn.Module):
    """The U-Net of pix2pix (Isola et al., CVPR 2017, section 6.1.1) as `unet_256` of the authors' PyTorch code has it.

    4x4 convolutions halve the image `halvings` times, to one pixel of 2^halvings, and as many transposed ones double
    it again, each beside its skip; batch normalisation, and dropout on the widest levels but the innermost.
    (N, channels, H, W) in and out, within -1..1.
    """

    def __init__(self, channels: int = 3, width: int = 64, halvings: int = 8):
        super().__init__()
        w = [width * min(2**k, 8) for k in range(halvings)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for k, (i, o) in enumerate(pairwise([channels, *w])):
            layers: list[nn.Module] = [nn.LeakyReLU(0.2)] if k else []
            layers.append(nn.Conv2d(i, o, 4, 2, 1, bias=False))
            if 0 < k < halvings - 1:
                layers.append(nn.BatchNorm2d(o))
            self.down.append(nn.Sequential(*layers))
        for k in reversed(range(1, halvings)):
            skip = 1 if k == halvings - 1 else 2
            layers = [nn.ReLU(), nn.ConvTranspose2d(skip * w[k], w[k - 1], 4, 2, 1, bias=False)]
            layers.append(nn.BatchNorm2d(w[k - 1]))
            if skip == 2 and w[k] == w[k - 1]:
                layers.append(nn.Dropout(0.5))
            self.up.append(nn.Sequential(*layers))
        self.out = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(2 * w[0], channels, 4, 2, 1), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)
        x = skips.pop()
        for block in self.up:
            x = torch.cat([skips.pop(), block(x)], 1)
        return self.out(x)


class PlainPix2Pix:
    """pix2pix as tutorials write it: eager float32, NCHW, one discriminator call for each kind of image."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module, rate: float = RATE, pixel: float = 100.0):
        self.g, self.d, self.pixel = generator, discriminator, pixel
        self.opt_g = torch.optim.Adam(self.g.parameters(), rate, betas=BETAS)
        self.opt_d = torch.optim.Adam(self.d.parameters(), rate, betas=BETAS)
        self.bce, self.l1 = nn.BCEWithLogitsLoss(), nn.L1Loss()

    def step(self, source: Tensor, target: Tensor, number: int) -> None:
        fake = self.g(source)
        self.opt_g.zero_grad()
        answer = self.d(torch.cat([source, fake], 1))
        (self.bce(answer, torch.ones_like(answer)) + self.pixel * self.l1(fake, target)).backward()
        self.opt_g.step()
        self.opt_d.zero_grad()
        real, made = self.d(torch.cat([source, target], 1)), self.d(torch.cat([source, fake.detach()], 1))
        ((self.bce(real, torch.ones_like(real)) + self.bce(made, torch.zeros_like(made))) / 2).backward()
        self.opt_d.step()


class PlainCycleGAN:
    """CycleGAN as tutorials write it, without the identity loss, which the paper has for paintings alone; with
    `structure`, what our preset adds."""

    def __init__(
        self, generators: list[nn.Module], discriminators: list[nn.Module], rate: float = RATE, structure: float = 0.0
    ):
        self.forth, self.back = generators
        self.d_target, self.d_source = discriminators
        self.structure, self.pools = structure, (ImagePool(50), ImagePool(50))
        self.opt_g = torch.optim.Adam([p for net in generators for p in net.parameters()], rate, betas=BETAS)
        self.opts_d = [torch.optim.Adam(net.parameters(), rate, betas=BETAS) for net in discriminators]
        self.mse, self.l1 = nn.MSELoss(), nn.L1Loss()

    def step(self, source: Tensor, target: Tensor, number: int) -> None:
        made, unmade = self.forth(source), self.back(target)
        self.opt_g.zero_grad()
        answers = self.d_target(made), self.d_source(unmade)
        loss = sum(self.mse(answer, torch.ones_like(answer)) for answer in answers)
        loss = loss + 10.0 * (self.l1(self.back(made), source) + self.l1(self.forth(unmade), target))
        if self.structure:
            loss = loss + self.structure * (structure_loss(source, made) + structure_loss(target, unmade))
        loss.backward()
        self.opt_g.step()
        games = ((self.d_target, target, made), (self.d_source, source, unmade))
        for (net, true, fake), optimizer, pool in zip(games, self.opts_d, self.pools, strict=True):
            optimizer.zero_grad()
            real, old = net(true), net(pool.exchange(fake.detach(), number))
            ((self.mse(real, torch.ones_like(real)) + self.mse(old, torch.zeros_like(old))) / 2).backward()
            optimizer.step()


def papers_method(config: TrainingConfig, device: str, size: int, width: int = 64) -> PlainPix2Pix | PlainCycleGAN:
    """The papers' networks, of `width` channels in their first layers, in a plain loop."""
    if config.method == "pix2pix":
        g, d = UNet256(1, width, size.bit_length() - 1), PatchGAN(PatchGANConfig(2, width))
        return PlainPix2Pix(g.to(device).train(), d.to(device).train())
    generators = [ResNet(ResNetConfig(width=width)).to(device).train() for _ in range(2)]
    return PlainCycleGAN(generators, [PatchGAN(PatchGANConfig(1, width)).to(device).train() for _ in range(2)])


def plain_method(config: TrainingConfig, device: str) -> PlainPix2Pix | PlainCycleGAN:
    """Our networks and losses in a plain loop."""
    n = 1 if config.method == "pix2pix" else 2
    generators = [make_generator(config.network).to(device).train() for _ in range(n)]
    discriminators = [PatchGAN(config.discriminator).to(device).train() for _ in range(n)]
    if config.frozen == 1:
        for net in generators:
            freeze_statistics(net)
    if n == 1:
        return PlainPix2Pix(*generators, *discriminators, config.rate, config.pixel)
    return PlainCycleGAN(generators, discriminators, config.rate, config.structure)


def our_method(config: TrainingConfig, device: str) -> Method:
    """As the trainer prepares it."""
    method = METHODS[config.method](config, device)
    for net in method.nets.values():
        net.train()
        if config.frozen == 1:
            freeze_statistics(net)
    return method


class Way:
    """One way to train and the batch that it is fed."""

    def __init__(self, method, images: tuple[Tensor, Tensor], batch: int, device: str, ours: bool):
        self.method, self.batch, self.device, self.count = method, batch, device, 0
        layout = torch.channels_last if ours else torch.contiguous_format
        self.images = tuple(i[:batch].to(device).contiguous(memory_format=layout) for i in images)
        self.precision = autocast if ours else lambda device: nullcontext()

    def rate(self, seconds: float) -> float:
        """Images per second of at least one step and at least so many seconds."""
        images, start = 0, time.perf_counter()
        while not images or time.perf_counter() - start < seconds:
            with self.precision(self.device):
                self.method.step(*self.images, self.count)
            self.count, images = self.count + 1, images + self.batch
            if self.device == "cuda":
                torch.cuda.synchronize()
        return images / (time.perf_counter() - start)


def benchmark_training(
    device: str = "auto", rounds: int = 3, seed: int = 0, seconds: float = 2.0, size: int = 256, width: int = 64
) -> dict:
    """Median images per second of each way to take a training step, for pix2pix and CycleGAN.

    ours: the preset's networks, losses and batch, in the precision of trainings; plain: the same in a plain loop in
    float32; papers: the papers' networks in a plain loop, one image at a time. Each round gives each way `seconds`.
    size: pixels, a power of two; width: channels of the papers' first layers. Making slices, averaging weights and
    writing files are not part of it. Raises InputError.
    """
    if size < 64 or size & (size - 1):
        raise InputError(f"Images of {size} pixels cannot be halved down to one: choose a power of two from 64 on.")
    device = resolve(device)
    torch.manual_seed(seed)
    results = {}
    for name in PRESETS:
        config = replace(get_preset(name), size=size)
        images = draw_slices(config, seed)
        ways = {
            "ours": Way(our_method(config, device), images, config.batch, device, True),
            "plain": Way(plain_method(config, device), images, config.batch, device, False),
            "papers": Way(papers_method(config, device, size, width), images, 1, device, False),
        }
        results[name] = {"batch": config.batch} | measure(ways, rounds, seconds)
    return {
        "device": device,
        "precision": precision(device),
        "threads": torch.get_num_threads(),
        "size": size,
        "rounds": rounds,
        "images_per_second": results,
    }


def draw_slices(config: TrainingConfig, seed: int) -> tuple[Tensor, Tensor]:
    """A batch of the preset's (source, target) in the network's units, as the trainer feeds them."""
    task = get_task(config.task)
    stream = pairs(seed, config.size, task=config.task, paired=is_paired(config.method))
    source, target = (torch.stack(images) for images in zip(*islice(stream, config.batch), strict=True))
    return source / task.source_scale, target / task.scale


def measure(ways: dict[str, Way], rounds: int, seconds: float) -> dict[str, float]:
    """Median images per second of each way, turn about, and what that makes of ours."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            found = way.rate(seconds if turn else 0.0)
            if turn:  # the first pays for memory and kernels
                rates[name].append(found)
    middle = {name: median(r) for name, r in rates.items()}
    return {name: round(rate, 4) for name, rate in middle.items()} | {
        "ratio_papers": round(middle["ours"] / middle["papers"], 2),
        "ratio_plain": round(middle["ours"] / middle["plain"], 2),
    }


def format_benchmark(result: dict) -> str:
    lines = [
        f"{result['device']}, ours in {result['precision']}, {result['threads']} threads, images per second of "
        f"training at {result['size']}x{result['size']}, median of {result['rounds']} alternations"
    ]
    for name, r in result["images_per_second"].items():
        lines.append(
            f"{name}: ours {r['ours']:.3g} (batch {r['batch']}); the papers' networks, plain loop, batch 1: "
            f"{r['papers']:.3g} ({r['ratio_papers']:.1f} times); our networks, plain loop, batch {r['batch']}: "
            f"{r['plain']:.3g} ({r['ratio_plain']:.2f} times: what the loop alone is worth)"
        )
    return "\n".join(lines)
