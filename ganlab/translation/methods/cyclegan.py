"""CycleGAN (Zhu et al., ICCV 2017; MR to CT: Wolterink et al., SASHIMI 2017): two generators and two discriminators on
unpaired images."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.device import exact
from ganlab.processes import rank
from ganlab.translation.contrasts import examples
from ganlab.translation.image_pool import ImagePool
from ganlab.translation.losses import cycle_loss, identity_loss, l1_loss, structure_loss
from ganlab.translation.methods.base import Adversarial
from ganlab.translation.training_config import BACKWARD, FORWARD, MAX_PROCESSES, TrainingConfig

PRIOR_PACE = 4.0  # learning rate of the prior phase over that of the adversarial one: a regression tolerates more
BACKWARD_EVERY = 4  # the prior phase trains the backward generator, which has less to learn, in every fourth step

D_Y, D_X = "discriminator", "back_discriminator"


class CycleGAN(Adversarial):
    """G: X -> Y against D_Y, F: Y -> X against D_X, and a cycle that must close (Zhu et al., equation 3).

    L = L_GAN(G, D_Y) + L_GAN(F, D_X) + cycle_source * E |F(G(x)) - x| + cycle * E |G(F(y)) - y|
        + identity * (E |G(y) - y| + E |F(x) - x|) + structure * (E |MIND(G(x)) - MIND(x)| + E |MIND(F(y)) - MIND(y)|)
        + known * (E |G(x') - y'| + E |F(y'') - x''|)

    `structure` (Yang et al., IEEE TMI 39:4249, 2020) is there because the cycle loss does not prevent a mapping that is
    consistent but wrong. `known` is a regression on examples made by known contrasts (`contrasts.examples`), and on
    pairs made from CT heads if there are any (`batches.with_known`); the first `prior` steps train on it alone.
    """

    generators = (FORWARD, BACKWARD)
    discriminators = (D_Y, D_X)

    def __init__(self, config: TrainingConfig, device: str):
        super().__init__(config, device)
        self.pools = {name: ImagePool(config.pool) for name in self.discriminators}

    def step(self, source: Tensor, target: Tensor, step: int, *known: Tensor) -> dict[str, Tensor]:
        if step < self.config.prior:
            return self._prior_step(self.known_loss(source, target, step, *known))
        c, real_x, real_y = self.config, source, target  # (N, 1, H, W), of different patients
        G, F = self.nets[FORWARD], self.nets[BACKWARD]

        fake_y, fake_x = G(real_x).float(), F(real_y).float()
        rec_x, rec_y = F(fake_y), G(fake_x)
        loss_cycle_x, loss_cycle_y = cycle_loss(rec_x, real_x), cycle_loss(rec_y, real_y)
        loss_gan_y, loss_gan_x = self.generator_loss(D_Y, fake_y), self.generator_loss(D_X, fake_x)
        weight_x = c.cycle if c.cycle_source is None else c.cycle_source
        loss = loss_gan_y + loss_gan_x + c.cycle * loss_cycle_y + weight_x * loss_cycle_x
        losses = {"cycle": (loss_cycle_x + loss_cycle_y) / 2, "g": loss_gan_y, "g_back": loss_gan_x}
        if c.identity:
            loss_identity = identity_loss(G(real_y), real_y) + identity_loss(F(real_x), real_x)
            loss = loss + c.identity * loss_identity
        if c.structure:
            with exact(self.device):
                loss_structure = structure_loss(real_x, fake_y) + structure_loss(real_y, fake_x)
            loss = loss + c.structure * loss_structure
            losses["structure"] = loss_structure / 2
        if c.known:
            loss_known = self.known_loss(real_x, real_y, step, *known)
            loss = loss + c.known * loss_known
            losses["known"] = loss_known
        self.minimise("generator", loss)

        shown_y = self.pools[D_Y].exchange(fake_y.detach(), step)
        shown_x = self.pools[D_X].exchange(fake_x.detach(), step)
        loss_d = self.discriminator_loss(D_Y, real_y, shown_y) + self.discriminator_loss(D_X, real_x, shown_x)
        self.minimise("discriminator", loss_d)
        return {name: value.detach() for name, value in (losses | {"d": loss_d}).items()}

    def _prior_step(self, loss_known: Tensor) -> dict[str, Tensor]:
        """Learn from known contrasts alone, at a higher rate."""
        for group in self.optimizers["generator"].param_groups:
            group["lr"] *= PRIOR_PACE
        self.minimise("generator", loss_known)
        return {"known": loss_known.detach()}

    def known_loss(self, source: Tensor, target: Tensor, step: int, *known: Tensor) -> Tensor:
        """The L1 loss on synthetic examples with known contrasts (`contrasts.examples`) and on the known pairs."""
        seed = (self.config.seed * 10**6 + step) * MAX_PROCESSES + rank()
        with torch.no_grad(), exact(self.device):
            pairs = examples(self.config.task, source, target, seed)
        if known:
            given = zip(known[::2], known[1::2], strict=True)
            pairs = [(n, torch.cat([a, x]), torch.cat([b, y])) for (n, a, b), (x, y) in zip(pairs, given, strict=True)]
        pairs = pairs if step % BACKWARD_EVERY == 0 else pairs[:1]
        return torch.stack([l1_loss(self.nets[name](example), expected) for name, example, expected in pairs]).sum()

    def memory(self) -> dict[str, Tensor]:
        return {name: torch.stack(pool.images) for name, pool in self.pools.items() if pool.images}

    def restore_memory(self, memory: dict[str, Tensor]) -> None:
        for name, images in memory.items():
            self.pools[name].images = list(images)
