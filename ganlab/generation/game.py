"""The game of a generator from noise and its discriminator: what a step does, from a frozen configuration."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from ganlab.device import autocast, exact
from ganlab.errors import InputError
from ganlab.generation.augment import augmented, check_augmentations
from ganlab.generation.image_kinds import ImageKind, Images
from ganlab.generation.layers import in_parts
from ganlab.generation.networks import NetworkConfig, make_networks
from ganlab.objectives import get_objective, gradient_norm2, gradient_penalty, smoothed
from ganlab.processes import average, rank
from ganlab.training import Average, optimizer_tensors, restore_optimizer


@dataclass(frozen=True)
class GanConfig:
    """One training; the defaults are DCGAN's: Adam with 2e-4 and beta1 0.5, the non-saturating game.

    data: what is learned (see `data`), `count` of them (0: its own number). rate_d, rate_g, beta1: of Adam. d_steps:
    steps of D for one of G. smoothing: one-sided, of real labels. r1: gamma of the penalty on D's gradient at real
    images; penalty: lambda of WGAN-GP; clip: largest weight of a clipped critic. augment: what D sees is changed by
    (see `augment`). horizon: steps over which G's weights are averaged; 0: not. epoch: steps between checkpoints.
    """

    data: str = "nodules"
    count: int = 0
    network: NetworkConfig = field(default_factory=NetworkConfig)
    objective: str = "non-saturating"
    steps: int = 5000
    batch: int = 64
    rate_d: float = 2e-4
    rate_g: float = 2e-4
    beta1: float = 0.5
    d_steps: int = 1
    smoothing: float = 0.0
    r1: float = 0.0
    penalty: float = 10.0
    clip: float = 0.01
    augment: tuple[str, ...] = ()
    horizon: int = 200
    epoch: int = 250
    seed: int = 0


SHAPING = ("data", "count", "network", "seed")  # what a game is made of; the rest can change on the way
LAZY = 8  # every so many steps the R1 penalty is taken, so many times (Karras et al., CVPR 2020, section 3.1)
LIMITS = {
    "batch": (4, 512), "rate_d": (0.0, 0.1), "rate_g": (0.0, 0.1), "beta1": (0.0, 0.999), "d_steps": (1, 10),
    "r1": (0.0, 1000.0), "penalty": (0.0, 1000.0), "clip": (1e-4, 1.0), "horizon": (0, 100_000), "steps": (1, 10**7),
    "seed": (0, 2**31), "count": (0, 10**7), "epoch": (1, 10**6),
}  # fmt: skip


def check_game(config: GanConfig) -> GanConfig:
    """The configuration, if it can be played. Raises InputError."""
    for name, (low, high) in LIMITS.items():
        value = getattr(config, name)
        if not low <= value <= high:
            raise InputError(f"{name} {value} is outside {low:g} to {high:g}.")
        if isinstance(low, int) and value != int(value):
            raise InputError(f"{name} {value} is not a whole number.")
    check_augmentations(config.augment)
    smoothed(get_objective(config.objective), config.smoothing)
    return config


def check_images(config: GanConfig, kind: ImageKind) -> None:
    """Raises InputError where networks of this configuration cannot learn images of this kind."""
    network = check_game(config).network
    for name, fitting in (("size", {kind.size}), ("classes", {0, len(kind.classes)})):
        if (value := getattr(network, name)) not in fitting:
            wanted = " or ".join(map(str, sorted(fitting)))
            raise InputError(f"network.{name} is {value}, which does not fit the images ({kind.name}); {wanted} does.")


class Trouble(ArithmeticError):
    """A loss is no longer a number."""


class Game:
    """Both networks and their optimisers, on images. `number`: steps taken. The chance of a step comes from the seed
    and its number alone, so that a resumed game goes on as it would have."""

    def __init__(self, config: GanConfig, images: Images, device: str = "cpu"):
        self.config, self.images, self.device = check_game(config), images, device
        torch.manual_seed(config.seed)
        self.generator, self.discriminator = (
            net.to(device, memory_format=torch.channels_last) for net in make_networks(config.network)
        )
        fused = device != "mps"
        self.optimizers = {
            name: torch.optim.Adam(net.parameters(), lr=rate, betas=(config.beta1, 0.999), fused=fused)
            for name, net, rate in (
                ("generator", self.generator, config.rate_g),
                ("discriminator", self.discriminator, config.rate_d),
            )
        }
        self.objective = smoothed(get_objective(config.objective), config.smoothing)
        self.average = Average(self.generator, max(1, config.horizon))
        self.shown = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.pool = images.images.to(device)
        self.labels = images.labels.to(device)
        self.number, self.autocast = 0, autocast  # in what the networks run; the benchmark takes float32 as well

    def step(self) -> dict[str, float]:
        """d_steps of D, then one of G; their losses, D's mean output on real and generated images, and the norms of
        both gradients. Raises Trouble if a loss is not a number: go back to an earlier state then."""
        c, chance = self.config, self._chance()
        torch.manual_seed(chance.initial_seed() + 1)  # for dropout, which takes no generator of its own
        for _ in range(c.d_steps):
            real, labels = self._draw(chance)
            with self.autocast(self.device):
                fake, fake_labels = self._generate(chance, len(real))
                d, outputs = self._discriminate(real, labels, fake.detach(), fake_labels, chance)
            norm_d = self._learn("discriminator", d)
        if c.objective == "wasserstein":
            with torch.no_grad():
                for p in self.discriminator.parameters():
                    p.clamp_(-c.clip, c.clip)
        self.discriminator.requires_grad_(False)  # G's step asks nothing of D's weights
        with self.autocast(self.device):
            seen = self.discriminator(augmented(fake, c.augment, chance), fake_labels)
        g = self.objective.generator_loss(seen.float())
        norm_g = self._learn("generator", g)
        self.discriminator.requires_grad_(True)
        self.average.update(self.generator, self.number)
        self.number += 1
        self.outputs = outputs
        real, fake = (v.mean().item() for v in outputs)
        return {"d": d.item(), "g": g.item(), "real": real, "fake": fake, "norm_d": norm_d, "norm_g": norm_g}

    def change(self, **rules) -> None:
        """Go on under other rules, by their names in GanConfig. Raises InputError, and changes nothing, for what cannot
        be played or would need other networks, data or seed (see SHAPING)."""
        config = check_game(replace(self.config, **rules))
        for name in SHAPING:
            if getattr(config, name) != getattr(self.config, name):
                raise InputError(f"{name.capitalize()} cannot change on the way; start again.")
        self.config = config
        self.average.horizon = max(1, config.horizon)
        self.objective = smoothed(get_objective(config.objective), config.smoothing)
        for name, rate in (("generator", config.rate_g), ("discriminator", config.rate_d)):
            for group in self.optimizers[name].param_groups:
                group.update(lr=rate, betas=(config.beta1, 0.999))

    def _chance(self) -> torch.Generator:
        seed = np.random.SeedSequence([self.config.seed, self.number, rank()]).generate_state(1)[0]
        return torch.Generator().manual_seed(int(seed))

    def _draw(self, chance: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(self.pool), (self.config.batch,), generator=chance).to(self.device)
        images = self.pool[rows].to(memory_format=torch.channels_last)
        return images, self.labels[rows]

    def _generate(self, chance: torch.Generator, count: int) -> tuple[Tensor, Tensor]:
        """Images, and the labels that were asked for: as often as they are in the data."""
        z = torch.randn((count, self.config.network.z), generator=chance).to(self.device)
        rows = torch.randint(len(self.labels), (count,), generator=chance).to(self.device)
        labels = self.labels[rows]
        return self.generator(z, labels), labels

    def _discriminate(self, real, labels, fake, fake_labels, chance) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """D's loss and its outputs on real and generated images, which batch normalisation takes apart."""
        c = self.config
        real, fake = (augmented(images, c.augment, chance) for images in (real, fake))
        both = in_parts(self.discriminator, 2)(torch.cat([real, fake]), torch.cat([labels, fake_labels]))
        outputs = both.float().chunk(2)
        in_parts(self.discriminator, 1)
        loss = self.objective.discriminator_loss(*outputs)
        with exact(self.device):
            if c.r1 and self.number % LAZY == 0:
                slope = gradient_norm2(lambda x: self.discriminator(x.view_as(real), labels), real.flatten(1))
                loss = loss + LAZY * c.r1 / 2 * slope.mean()
            if c.objective == "wgan-gp":
                mix = torch.rand((len(real), 1), generator=chance).to(self.device)
                slope = gradient_penalty(
                    lambda x: self.discriminator(x.view_as(real), labels), real.flatten(1), fake.flatten(1), mix
                )
                loss = loss + c.penalty * slope.mean()
        return loss, tuple(v.detach() for v in outputs)

    def _learn(self, name: str, loss: Tensor) -> float:
        """A step of an optimiser by the mean of all processes' gradients; the gradient's norm."""
        if not torch.isfinite(loss):
            self.discriminator.requires_grad_(True)
            raise Trouble(f"the loss of the {name} is {loss.item()}")
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        gradients = [p.grad for p in optimizer.param_groups[0]["params"] if p.grad is not None]
        average(gradients)
        norm = torch.stack(torch._foreach_norm(gradients)).norm().item()
        if not math.isfinite(norm):  # Adam would never move again
            self.discriminator.requires_grad_(True)
            raise Trouble(f"the gradient of the {name} is {norm}")
        optimizer.step()
        return norm

    def probability(self) -> tuple[Tensor, Tensor] | None:
        """What D said of the last step's real and generated images, as the probability of "real"; None where the
        objective's D says nothing of the kind."""
        known = self.objective.probability
        return tuple(known(v).cpu() for v in self.outputs) if known and self.number else None

    @torch.inference_mode()
    def sample(self, z: Tensor, labels: Tensor) -> Tensor:
        """(N, 1, size, size) in -1..1 by the averaged weights, or by G's own where there is no average."""
        self.shown.load_state_dict(self.weights())
        return self.shown(z.to(self.device), labels.to(self.device)).clamp(-1, 1).cpu()

    def weights(self) -> dict[str, Tensor]:
        """Of the generator that is the result."""
        return self.average.state if self.config.horizon else self.generator.state_dict()

    def state(self) -> dict[str, dict[str, Tensor]]:
        """All that is needed to go on, but for the number of steps."""
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.state,
            **{f"optimizer {name}": optimizer_tensors(o) for name, o in self.optimizers.items()},
        }

    def restore(self, state: dict[str, dict[str, Tensor]], number: int) -> None:
        """Go on from a state. Raises KeyError or RuntimeError if it is of another game."""
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.average.restore(state["average"])
        for name, optimizer in self.optimizers.items():
            restore_optimizer(optimizer, state[f"optimizer {name}"])
        self.number = number
