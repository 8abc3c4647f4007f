"""Training speed in images per second: our methods and the papers', alternating in one run on the same slices.

Two speed-ups. Against the papers' networks in a plain loop: how much faster is training here? Most of that is the
smaller network. Against the same plain loop with our networks and batch: how much of it is the loop?
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
    """The U-Net of pix2pix (Isola et al., CVPR 2017, section 6.1.1) as in `unet_256` of the authors' PyTorch code.

    4x4 convolutions halve the image `halvings` times, from 2^halvings pixels to one; as many transposed convolutions
    double it again, each with a skip connection. Batch normalisation, and dropout on the widest levels except the
    innermost. (N, channels, H, W) in and out, within -1..1.
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
    """pix2pix as tutorials write it: eager float32, channels first, separate discriminator calls for real and fake."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module, rate: float = RATE, pixel: float = 100.0):
        self.g, self.d, self.pixel = generator, discriminator, pixel
        self.opt_g = torch.optim.Adam(self.g.parameters(), rate, betas=BETAS)
        self.opt_d = torch.optim.Adam(self.d.parameters(), rate, betas=BETAS)
        self.bce, self.l1 = nn.BCEWithLogitsLoss(), nn.L1Loss()

    def step(self, source: Tensor, target: Tensor, step: int) -> None:
        """Train on a batch of pairs (N, 1, H, W)."""
        fake = self.g(source)
        self.opt_g.zero_grad()
        pred_fake = self.d(torch.cat([source, fake], 1))
        (self.bce(pred_fake, torch.ones_like(pred_fake)) + self.pixel * self.l1(fake, target)).backward()
        self.opt_g.step()
        self.opt_d.zero_grad()
        pred_real = self.d(torch.cat([source, target], 1))
        pred_fake = self.d(torch.cat([source, fake.detach()], 1))
        loss_real = self.bce(pred_real, torch.ones_like(pred_real))
        loss_fake = self.bce(pred_fake, torch.zeros_like(pred_fake))
        ((loss_real + loss_fake) / 2).backward()
        self.opt_d.step()


class PlainCycleGAN:
    """CycleGAN as tutorials write it, without the identity loss, which the paper uses for paintings only; `structure`:
    weight of the loss that our preset adds."""

    def __init__(
        self, generators: list[nn.Module], discriminators: list[nn.Module], rate: float = RATE, structure: float = 0.0
    ):
        self.G, self.F = generators
        self.D_y, self.D_x = discriminators
        self.structure, self.pools = structure, (ImagePool(50), ImagePool(50))
        self.opt_g = torch.optim.Adam([p for net in generators for p in net.parameters()], rate, betas=BETAS)
        self.opts_d = [torch.optim.Adam(net.parameters(), rate, betas=BETAS) for net in discriminators]
        self.mse, self.l1 = nn.MSELoss(), nn.L1Loss()

    def step(self, source: Tensor, target: Tensor, step: int) -> None:
        """Learn from a batch of unpaired images (N, 1, H, W)."""
        fake_y, fake_x = self.G(source), self.F(target)
        self.opt_g.zero_grad()
        pred_fake_y, pred_fake_x = self.D_y(fake_y), self.D_x(fake_x)
        loss = self.mse(pred_fake_y, torch.ones_like(pred_fake_y)) + self.mse(pred_fake_x, torch.ones_like(pred_fake_x))
        loss = loss + 10.0 * (self.l1(self.F(fake_y), source) + self.l1(self.G(fake_x), target))
        if self.structure:
            loss = loss + self.structure * (structure_loss(source, fake_y) + structure_loss(target, fake_x))
        loss.backward()
        self.opt_g.step()
        games = ((self.D_y, target, fake_y), (self.D_x, source, fake_x))
        for (d, real, fake), optimizer, pool in zip(games, self.opts_d, self.pools, strict=True):
            optimizer.zero_grad()
            pred_real, pred_fake = d(real), d(pool.exchange(fake.detach(), step))
            loss_real = self.mse(pred_real, torch.ones_like(pred_real))
            loss_fake = self.mse(pred_fake, torch.zeros_like(pred_fake))
            ((loss_real + loss_fake) / 2).backward()
            optimizer.step()


def papers_method(config: TrainingConfig, device: str, size: int, width: int = 64) -> PlainPix2Pix | PlainCycleGAN:
    """The papers' networks in a plain loop; width: channels of their first layers."""
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
    """Our networks as the trainer prepares them."""
    method = METHODS[config.method](config, device)
    for net in method.nets.values():
        net.train()
        if config.frozen == 1:
            freeze_statistics(net)
    return method


class Contender:
    """An implementation and the batch that it trains on."""

    def __init__(self, method, images: tuple[Tensor, Tensor], batch: int, device: str, ours: bool):
        self.method, self.batch, self.device, self.count = method, batch, device, 0
        layout = torch.channels_last if ours else torch.contiguous_format
        self.images = tuple(i[:batch].to(device).contiguous(memory_format=layout) for i in images)
        self.precision = autocast if ours else lambda device: nullcontext()

    def rate(self, seconds: float) -> float:
        """Images per second, over at least one step and at least `seconds`."""
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
    """Median images per second of training steps of pix2pix and CycleGAN by each implementation.

    ours: the preset's networks, losses and batch, in training precision; plain: the same in a plain float32 loop;
    papers: the papers' networks in a plain loop, one image at a time. Each implementation runs for `seconds` per round.
    size: pixels, a power of two; width: channels of the papers' first layers. Making slices, averaging weights and
    writing files are not measured. Raises InputError for another size.
    """
    if size < 64 or size & (size - 1):
        raise InputError(
            f"Images of {size} pixels cannot be halved to one pixel; choose a power of two of at least 64."
        )
    device = resolve(device)
    torch.manual_seed(seed)
    results = {}
    for name in PRESETS:
        config = replace(get_preset(name), size=size)
        images = draw_slices(config, seed)
        contenders = {
            "ours": Contender(our_method(config, device), images, config.batch, device, True),
            "plain": Contender(plain_method(config, device), images, config.batch, device, False),
            "papers": Contender(papers_method(config, device, size, width), images, 1, device, False),
        }
        results[name] = {"batch": config.batch} | measure(contenders, rounds, seconds)
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


def measure(contenders: dict[str, Contender], rounds: int, seconds: float) -> dict[str, float]:
    """Median images per second of each implementation, alternating, and the ratios of ours."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, contender in contenders.items():
            rate = contender.rate(seconds if turn else 0.0)
            if turn:  # the first turn warms up
                rates[name].append(rate)
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
            f"{r['plain']:.3g} ({r['ratio_plain']:.2f} times: the speed-up of the loop alone)"
        )
    return "\n".join(lines)
