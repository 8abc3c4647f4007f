"""The training step of an image GAN: a generator from noise against its discriminator."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ganlab.device import autocast, exact
from ganlab.errors import InputError
from ganlab.generation.augment import augmented
from ganlab.generation.config import GanConfig
from ganlab.generation.image_kinds import ImageKind, Images
from ganlab.generation.layers import in_parts
from ganlab.generation.networks import make_networks
from ganlab.objectives import get_objective, gradient_norm2, gradient_penalty, smoothed
from ganlab.processes import average, rank
from ganlab.training import averaged, ema, optimizer_tensors, restore_average, restore_optimizer

FIXED = ("data", "count", "network", "seed")  # cannot change during training
LAZY = 8  # the R1 penalty is computed every 8 steps, with 8 times the weight (Karras et al., CVPR 2020, section 3.1)


def check_images(config: GanConfig, kind: ImageKind) -> None:
    """Raise InputError if networks of this configuration cannot learn images of this kind."""
    for name, fitting in (("size", {kind.size}), ("classes", {0, len(kind.classes)})):
        if (value := getattr(config.network, name)) not in fitting:
            allowed = " or ".join(map(str, sorted(fitting)))
            raise InputError(
                f"network.{name} is {value}, which does not fit the images ({kind.name}); choose {allowed}."
            )


class Diverged(ArithmeticError):
    """A loss or a gradient is NaN or infinite."""


class ImageGame:
    """Both networks and their optimisers, on images. `step`: steps taken.

    The randomness of a step depends only on the seed and the step number, so that a resumed run continues exactly. Runs
    in the precision that `autocast` gives; the benchmark sets another.
    """

    def __init__(self, config: GanConfig, images: Images, device: str = "cpu"):
        self.config, self.images, self.device = config, images, device
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
        self.average = averaged(self.generator, max(1, config.horizon))
        self.real_images = images.images.to(device)
        self.labels = images.labels.to(device)
        self.step, self.autocast = 0, autocast

    def take_step(self) -> dict[str, float]:
        """d_steps of D, then one of G; their losses, D's mean output on real and generated images, and the norms of
        both gradients. Raises Diverged if a loss or gradient is not finite: restore an earlier state then."""
        c, generator = self.config, self._generator()
        torch.manual_seed(generator.initial_seed() + 1)  # for dropout, which takes no generator argument
        for _ in range(c.d_steps):
            real, labels = self._draw(generator)
            with self.autocast(self.device):
                fake, fake_labels = self._generate(generator, len(real))
                loss_d, outputs = self._discriminate(real, labels, fake.detach(), fake_labels, generator)
            norm_d = self._minimise("discriminator", loss_d)
        if c.objective == "wasserstein":
            with torch.no_grad():
                for p in self.discriminator.parameters():
                    p.clamp_(-c.clip, c.clip)
        self.discriminator.requires_grad_(False)  # G's step needs no gradient of D's weights
        with self.autocast(self.device):
            fake_output = self.discriminator(augmented(fake, c.augment, generator), fake_labels)
        loss_g = self.objective.generator_loss(fake_output.float())
        norm_g = self._minimise("generator", loss_g)
        self.discriminator.requires_grad_(True)
        self.average.update_parameters(self.generator)
        self.step += 1
        self.outputs = outputs
        real_mean, fake_mean = (output.mean().item() for output in outputs)
        return {
            "d": loss_d.item(), "g": loss_g.item(), "real": real_mean, "fake": fake_mean,
            "norm_d": norm_d, "norm_g": norm_g,
        }  # fmt: skip

    def change(self, **settings) -> None:
        """Continue with other settings of GanConfig. Raises InputError, and changes nothing, for values out of range
        and for FIXED settings."""
        config = replace(self.config, **settings)
        for name in FIXED:
            if getattr(config, name) != getattr(self.config, name):
                raise InputError(f"{name.capitalize()} cannot change during a training; start again.")
        self.config = config
        self.average.multi_avg_fn = ema(max(1, config.horizon))
        self.objective = smoothed(get_objective(config.objective), config.smoothing)
        for name, rate in (("generator", config.rate_g), ("discriminator", config.rate_d)):
            for group in self.optimizers[name].param_groups:
                group.update(lr=rate, betas=(config.beta1, 0.999))

    def _generator(self) -> torch.Generator:
        seed = np.random.SeedSequence([self.config.seed, self.step, rank()]).generate_state(1)[0]
        return torch.Generator().manual_seed(int(seed))

    def _draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(self.real_images), (self.config.batch,), generator=generator).to(self.device)
        images = self.real_images[rows].to(memory_format=torch.channels_last)
        return images, self.labels[rows]

    def _generate(self, generator: torch.Generator, count: int) -> tuple[Tensor, Tensor]:
        """Generated images (count, 1, size, size) and their labels (count,), drawn as often as in the data."""
        z = torch.randn((count, self.config.network.z), generator=generator).to(self.device)
        rows = torch.randint(len(self.labels), (count,), generator=generator).to(self.device)
        labels = self.labels[rows]
        return self.generator(z, labels), labels

    def _discriminate(self, real, labels, fake, fake_labels, generator) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """D's loss, and its outputs (N,) on real and on generated images, which batch normalisation keeps apart."""
        c = self.config
        real, fake = (augmented(images, c.augment, generator) for images in (real, fake))
        both = in_parts(self.discriminator, 2)(torch.cat([real, fake]), torch.cat([labels, fake_labels]))
        outputs = both.float().chunk(2)
        in_parts(self.discriminator, 1)
        loss = self.objective.discriminator_loss(*outputs)
        with exact(self.device):
            if c.r1 and self.step % LAZY == 0:
                norm2 = gradient_norm2(lambda x: self.discriminator(x.view_as(real), labels), real.flatten(1))
                loss = loss + LAZY * c.r1 / 2 * norm2.mean()
            if c.objective == "wgan-gp":
                mix = torch.rand((len(real), 1), generator=generator).to(self.device)
                penalty = gradient_penalty(
                    lambda x: self.discriminator(x.view_as(real), labels), real.flatten(1), fake.flatten(1), mix
                )
                loss = loss + c.penalty * penalty.mean()
        return loss, tuple(v.detach() for v in outputs)

    def _minimise(self, name: str, loss: Tensor) -> float:
        """One step of an optimiser, by the mean of all processes' gradients; the norm of the gradient."""
        if not torch.isfinite(loss):
            self.discriminator.requires_grad_(True)
            raise Diverged(f"the loss of the {name} is {loss.item()}")
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        gradients = [p.grad for p in optimizer.param_groups[0]["params"] if p.grad is not None]
        average(gradients)
        norm = torch.stack(torch._foreach_norm(gradients)).norm().item()
        if not math.isfinite(norm):  # Adam would never recover
            self.discriminator.requires_grad_(True)
            raise Diverged(f"the gradient of the {name} is {norm}")
        optimizer.step()
        return norm

    def probability(self) -> tuple[Tensor, Tensor] | None:
        """D's probabilities of "real" for the last step's real and generated images, (N,) each; None if D's output of
        this objective is not a probability."""
        probability = self.objective.probability
        return tuple(probability(output).cpu() for output in self.outputs) if probability and self.step else None

    @torch.inference_mode()
    def sample(self, z: Tensor, labels: Tensor) -> Tensor:
        """Images (N, 1, size, size) in -1..1 on the CPU, of the averaged generator if the weights are averaged."""
        net = self._result()
        training = net.training
        images = net.eval()(z.to(self.device), labels.to(self.device)).clamp(-1, 1).cpu()
        net.train(training)
        return images

    def weights(self) -> dict[str, Tensor]:
        """The weights of the resulting generator: the averaged one, if weights are averaged."""
        return self._result().state_dict()

    def _result(self) -> torch.nn.Module:
        return self.average.module if self.config.horizon else self.generator

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Everything needed to continue, except the number of steps."""
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.module.state_dict(),
            **{f"optimizer {name}": optimizer_tensors(o) for name, o in self.optimizers.items()},
        }

    def restore(self, state: dict[str, dict[str, Tensor]], step: int) -> None:
        """Continue from a state at this step. Raises KeyError or RuntimeError if it is from a different run."""
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        restore_average(self.average, state["average"], step)
        for name, optimizer in self.optimizers.items():
            restore_optimizer(optimizer, state[f"optimizer {name}"])
        self.step = step
