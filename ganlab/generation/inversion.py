"""Inversion of a generator: the z that best reproduces an image, and the residual that no z reproduces.

A generator trained on healthy images only cannot make a lesion, so the lesion stays in the residual (Schlegl et al.,
AnoGAN, IPMI 2017).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganlab.errors import InputError
from ganlab.generation.networks import noise

RATE = 0.3  # of Adam; it falls to 0 as a cosine
NORM_WEIGHT = 0.1  # keeps |z| near sqrt(dim); with 0.01, z of unusual images drifted to 2.5 times that norm


@dataclass(frozen=True)
class Inversion:
    """The result for N images: z (N, z), labels (N,), reconstruction and residual = image - reconstruction, both (N, 1,
    size, size). score (N,) is the minimised loss, 0 for a perfect match; scores (N, classes) are the best of every
    class, infinite for those not tried."""

    z: Tensor
    labels: Tensor
    reconstruction: Tensor
    residual: Tensor
    score: Tensor
    scores: Tensor


def invert(
    generator: nn.Module,
    images: Tensor,
    labels: Tensor | None = None,
    discriminator: nn.Module | None = None,
    steps: int = 200,
    seed: int = 0,
    restarts: int = 4,
    weight: float = 0.1,
    progress: Callable[[float], None] | None = None,
) -> Inversion:
    """Find the z of images (1, size, size) or (N, 1, size, size) in -1..1, with Adam from `restarts` draws at once.

    The loss is (1 - weight) mean |x - G(z)| + weight mean |f(x) - f(G(z))| / mean |f(x)|, where f is the last map of
    the discriminator (AnoGAN's equations 2 to 5 with means for sums; without a discriminator the first term alone),
    plus 0.1 (|z| / sqrt(dim) - 1)^2, because all draws in training have a norm near sqrt(dim).

    labels (N,): classes of the images; None tries all classes of a conditional generator. progress(share) may raise to
    cancel. Networks must be in evaluation mode, as load_generator returns them. Each image is searched for on its own,
    from the same draws, so its result does not depend on the others. Raises InputError for images of another size.
    """
    config = generator.config
    images = images.view(-1, *images.shape[-3:])
    if images.shape[1:] != (1, config.size, config.size):
        raise InputError(
            f"This generator makes images of 1 x {config.size} x {config.size} pixels, so an image of "
            f"{' x '.join(map(str, images.shape[1:]))} cannot be found; resample it first."
        )
    classes = max(1, config.classes)
    results = []
    for n, image in enumerate(images):
        tried = torch.arange(classes) if labels is None else labels[n : n + 1]
        start_labels = tried.repeat_interleave(restarts)
        starts = noise(seed, restarts, config).repeat(len(tried), 1)
        part = progress and (lambda share, n=n: progress((n + share) / len(images)))
        z, fake, score = search(generator, discriminator, image[None], starts, start_labels, steps, weight, part)
        k = score.argmin()
        scores = torch.full((classes,), torch.inf).scatter_reduce(0, start_labels, score, "amin")
        results.append((z[k], start_labels[k], fake[k], image - fake[k], score[k], scores))
    return Inversion(*(torch.stack(values) for values in zip(*results, strict=True)))


def search(
    generator: nn.Module,
    discriminator: nn.Module | None,
    image: Tensor,
    starts: Tensor,
    labels: Tensor,
    steps: int,
    weight: float,
    progress: Callable[[float], None] | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Search from starts (B, z) with labels (B,) for one image (1, 1, size, size): (z (B, z), G(z), loss (B,))."""
    device = next(generator.parameters()).device
    image, labels, z = image.to(device), labels.to(device), starts.to(device).requires_grad_()
    if discriminator is not None:
        with torch.no_grad():
            target = discriminator.features(image.expand(len(z), -1, -1, -1), labels)[-1].flatten(1)

    def losses(fake: Tensor) -> Tensor:
        loss = (image - fake).abs().mean((1, 2, 3))
        if discriminator is not None:
            features = discriminator.features(fake, labels)[-1].flatten(1)
            loss = torch.lerp(loss, (features - target).abs().mean(1) / target.abs().mean(1), weight)
        return loss + NORM_WEIGHT * (z.norm(dim=1) / z.shape[1] ** 0.5 - 1).square()

    optimizer = torch.optim.Adam([z], RATE, betas=(0.9, 0.99))
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * step / steps)) / 2
        (z.grad,) = torch.autograd.grad(losses(generator(z, labels)).sum(), z)
        optimizer.step()
        if progress:
            progress((step + 1) / steps)
    with torch.no_grad():
        fake = generator(z, labels)
        return z.detach().cpu(), fake.cpu(), losses(fake).cpu()
