"""A pool of generated images that a discriminator is shown again (Shrivastava et al., CVPR 2017, section 2.3)."""

from __future__ import annotations

import random

import torch
from torch import Tensor


class ImagePool:
    """The last `size` generated images: half of the time a discriminator sees an old one in place of a new one, so that
    it does not forget what the generator did before. A pool of size 0 changes nothing."""

    def __init__(self, size: int):
        self.size = size
        self.images: list[Tensor] = []  # (C, H, W) each

    def exchange(self, images: Tensor, seed: int) -> Tensor:
        """Images (N, C, H, W) to show in place of these; which are exchanged depends on the seed alone."""
        chance, exchanged = random.Random(seed), []
        for image in images:
            if len(self.images) < self.size:
                self.images.append(image)
            elif self.size and chance.random() < 0.5:
                k = chance.randrange(self.size)
                self.images[k], image = image, self.images[k]
            exchanged.append(image)
        return torch.stack(exchanged)
