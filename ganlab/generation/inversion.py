"""The way back: the z from which a generator makes an image, and what of the image no z makes.

A generator that has only learned healthy images cannot make a lesion: it stays in the residual (Schlegl et al., AnoGAN,
IPMI 2017).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganlab.errors import InputError
from ganlab.generation.networks import noise

RATE = 0.3  # of Adam at first; it falls to 0 as a cosine
PULL = 0.1  # of |z| toward sqrt(dim): at 0.01 images unlike all others were found at two and a half times that


@dataclass(frozen=True)
class Inversion:
    """What was found for N images: z (N, z), labels (N,), reconstruction (N, 1, size, size) in -1..1. residual: image
    - reconstruction. score (N,): what was minimised, 0 for an image that is found exactly. scores (N, classes): the
    best of every class; infinite where it was not tried."""

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
    """The z of images (1, size, size) or (N, 1, size, size) in -1..1, by Adam from `restarts` draws at once.

    Minimised is (1 - weight) mean |x - G(z)| + weight mean |f(x) - f(G(z))| / mean |f(x)|, where f is the last map of
    the discriminator (AnoGAN's equations 2 to 5, with means for sums; its first term alone without a discriminator),
    plus 0.1 (|z| / sqrt(dim) - 1)^2, for all draws of the training have a norm near sqrt(dim).

    labels (N,): classes of the images; where None, all classes of a conditional generator are tried. progress(share of
    the work, 0 to 1) may raise to cancel. Networks are taken as load_generator gives them: in evaluation mode. Every
    image is searched for alone, from the same draws: results depend on the seed, not on other images. Raises InputError
    for images of another size.
    """
    config = generator.config
    images = images.view(-1, *images.shape[-3:])
    if images.shape[1:] != (1, config.size, config.size):
        raise InputError(
            f"This generator makes images of 1 x {config.size} x {config.size} pixels, so that none of "
            f"{' x '.join(map(str, images.shape[1:]))} can be found; resample it first."
        )
    classes = max(1, config.classes)
    found = []
    for n, image in enumerate(images):
        tried = torch.arange(classes) if labels is None else labels[n : n + 1]
        asked = tried.repeat_interleave(restarts)
        starts = noise(seed, restarts, config).repeat(len(tried), 1)
        part = progress and (lambda share, n=n: progress((n + share) / len(images)))
        z, made, score = search(generator, discriminator, image[None], starts, asked, steps, weight, part)
        k = score.argmin()
        scores = torch.full((classes,), torch.inf).scatter_reduce(0, asked, score, "amin")
        found.append((z[k], asked[k], made[k], image - made[k], score[k], scores))
    return Inversion(*(torch.stack(values) for values in zip(*found, strict=True)))


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
    """From starts (B, z) with labels (B,) toward one image (1, 1, size, size): (z (B, z), G(z), what is left (B,))."""
    device = next(generator.parameters()).device
    image, labels, z = image.to(device), labels.to(device), starts.to(device).requires_grad_()
    if discriminator is not None:
        with torch.no_grad():
            wanted = discriminator.features(image.expand(len(z), -1, -1, -1), labels)[-1].flatten(1)

    def losses(made: Tensor) -> Tensor:
        loss = (image - made).abs().mean((1, 2, 3))
        if discriminator is not None:
            seen = discriminator.features(made, labels)[-1].flatten(1)
            loss = torch.lerp(loss, (seen - wanted).abs().mean(1) / wanted.abs().mean(1), weight)
        return loss + PULL * (z.norm(dim=1) / z.shape[1] ** 0.5 - 1).square()

    optimizer = torch.optim.Adam([z], RATE, betas=(0.9, 0.99))
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * step / steps)) / 2
        (z.grad,) = torch.autograd.grad(losses(generator(z, labels)).sum(), z)
        optimizer.step()
        if progress:
            progress((step + 1) / steps)
    with torch.no_grad():
        made = generator(z, labels)
        return z.detach().cpu(), made.cpu(), losses(made).cpu()
