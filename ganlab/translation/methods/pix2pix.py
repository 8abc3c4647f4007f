"""pix2pix (Isola et al., CVPR 2017): L1 and an adversary that sees source and target side by side."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.translation.losses import l1_loss
from ganlab.translation.methods.base import Adversarial
from ganlab.translation.training_config import FORWARD


class Pix2Pix(Adversarial):
    """min_G max_D of the conditional adversarial loss of D on (x, G(x)), plus pixel * E |y - G(x)| (equation 4)."""

    discriminators = ("discriminator",)

    def step(self, source: Tensor, target: Tensor, step: int, *known: Tensor) -> dict[str, Tensor]:
        fake = self.nets[FORWARD](source).float()
        fake_pair = torch.cat([source, fake], 1)  # (N, 2, H, W)
        loss_gan = self.generator_loss("discriminator", fake_pair)
        loss_l1 = l1_loss(fake, target)
        self.minimise("generator", self.config.pixel * loss_l1 + loss_gan)

        real_pair = torch.cat([source, target], 1)
        loss_d = self.discriminator_loss("discriminator", real_pair, fake_pair.detach())
        self.minimise("discriminator", loss_d)
        return {"l1": loss_l1.detach(), "g": loss_gan.detach(), "d": loss_d.detach()}
