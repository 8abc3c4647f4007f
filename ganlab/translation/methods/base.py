"""Shared by all methods: networks, optimisers, and one step of an optimiser."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from ganlab.objectives import get_objective
from ganlab.processes import average
from ganlab.translation.networks import PatchGAN, PatchGANConfig, make_generator
from ganlab.translation.tasks import get_task
from ganlab.translation.training_config import (
    BACKWARD,
    FORWARD,
    HEAD_THRESHOLD,
    TrainingConfig,
    network_of,
)

CLIP_NORM = 1.0  # largest norm of a network's gradient


class Method:
    """Networks and how they learn from a batch.

    nets, optimizers: by name. generators: the nets whose averaged weights are the result.
    """

    generators: tuple[str, ...] = (FORWARD,)

    def __init__(self, config: TrainingConfig, device: str):
        self.config, self.device = config, device
        self.nets: dict[str, nn.Module] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        for name in self.generators:
            net = make_generator(network_of(config, name))
            self.nets[name] = net.to(device, memory_format=torch.channels_last)

    def step(self, source: Tensor, target: Tensor, step: int, *known: Tensor) -> dict[str, Tensor]:
        """Learn from a batch of images (N, 1, H, W) in the networks' units at this step; returns the losses as
        scalars. known: of a CycleGAN that learns from known contrasts, an input and an expected output for each of its
        generators, or nothing."""
        raise NotImplementedError

    def memory(self) -> dict[str, Tensor]:
        """State that a resumed run needs in addition to networks and optimisers."""
        return {}

    def restore_memory(self, memory: dict[str, Tensor]) -> None:
        """Restore what `memory` returned."""

    def minimise(self, optimizer: str, loss: Tensor) -> None:
        """One step of an optimiser, by the mean of all processes' gradients, clipped."""
        self.optimizers[optimizer].zero_grad(set_to_none=True)
        loss.backward()
        for group in self.optimizers[optimizer].param_groups:
            average([p.grad for p in group["params"] if p.grad is not None])
            nn.utils.clip_grad_norm_(group["params"], CLIP_NORM)
        self.optimizers[optimizer].step()


class Adversarial(Method):
    """A method with PatchGAN discriminators: one Adam(0.5, 0.999) for the generators, one for the discriminators."""

    discriminators: tuple[str, ...] = ()

    def __init__(self, config: TrainingConfig, device: str):
        super().__init__(config, device)
        self.objective = get_objective(config.objective)
        # On a CPU instance normalisation is faster with channels first: an eighth of the discriminator's time.
        self.layout = torch.channels_last if device == "cuda" else torch.contiguous_format
        for name in self.discriminators:
            net = PatchGAN(self.discriminator_config(name))
            for p in net.parameters():
                if p.dim() > 1:
                    nn.init.normal_(p, 0, 0.02)  # as in both papers
            self.nets[name] = net.to(device, memory_format=self.layout)
        for side, names, pace in (
            ("generator", self.generators, 1.0),
            ("discriminator", self.discriminators, config.pace),
        ):
            group = {"params": [p for name in names for p in self.nets[name].parameters()], "pace": pace}
            self.optimizers[side] = torch.optim.Adam(
                [group], lr=config.rate, betas=(0.5, 0.999), fused=device == "cuda"
            )

    def discriminator_config(self, name: str) -> PatchGANConfig:
        """The configuration of one discriminator: its outline has the threshold of the modality it judges, and only one
        of CT has windows."""
        task, config = get_task(self.config.task), self.config.discriminator
        modality = task.source if name.startswith(BACKWARD) else task.target
        outline = None if config.outline is None else HEAD_THRESHOLD[modality]
        return replace(config, windows=config.windows if modality == "ct" else (), outline=outline)

    def logits(self, name: str, images: Tensor, learn: bool) -> Tensor:
        """A discriminator's logits (N, 1, h, w); unless it is to learn, no gradient reaches its weights."""
        self.nets[name].requires_grad_(learn)
        return self.nets[name](images.contiguous(memory_format=self.layout)).float()

    def generator_loss(self, name: str, fake: Tensor) -> Tensor:
        """A generator's loss against a discriminator that sees `fake` (N, C, H, W)."""
        return self.objective.generator_loss(self.logits(name, fake, learn=False))

    def discriminator_loss(self, name: str, real: Tensor, fake: Tensor) -> Tensor:
        """A discriminator's loss on real and generated images (N, C, H, W); halved, which slows D (Isola et al., CVPR
        2017, section 3.3)."""
        real_logits, fake_logits = self.logits(name, torch.cat([real, fake]), learn=True).chunk(2)
        return self.objective.discriminator_loss(real_logits, fake_logits) / 2
