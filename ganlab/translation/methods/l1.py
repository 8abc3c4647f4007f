"""L1 alone: a regression without an adversary, the baseline of every other method."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.translation.losses import l1_loss
from ganlab.translation.methods.base import Method
from ganlab.translation.training_config import FORWARD, TrainingConfig


class L1(Method):
    """min_G E |y - G(x)|."""

    def __init__(self, config: TrainingConfig, device: str):
        super().__init__(config, device)
        self.optimizers["generator"] = torch.optim.AdamW(
            self.nets[FORWARD].parameters(), lr=config.rate, weight_decay=1e-4, fused=device == "cuda"
        )

    def step(self, source: Tensor, target: Tensor, step: int, *known: Tensor) -> dict[str, Tensor]:
        loss = l1_loss(self.nets[FORWARD](source), target)
        self.minimise("generator", loss)
        return {"l1": loss.detach()}
