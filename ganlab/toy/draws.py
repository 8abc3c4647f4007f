"""The random draws of each step. They depend only on (seed, step), so a run can be resumed, rewound and replayed
exactly."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ganlab.lazy import Tensor, torch
from ganlab.toy.config import Config
from ganlab.toy.distributions import Distribution

CHUNK = 16  # steps that are drawn at once
WEIGHTS_G, WEIGHTS_D, BATCHES, SHOWN = range(4)  # streams of random numbers


class Draws(NamedTuple):
    """The random draws of one turn; None for those that the game does not need."""

    real: Tensor  # (K, batch, dim)
    real_labels: Tensor  # (K, batch)
    z: Tensor  # (K, batch, latent)
    z_labels: Tensor  # (K, batch)
    noise_real: Tensor | None  # (K, batch, dim), for instance noise
    noise_fake: Tensor | None  # (K, batch, dim)
    mix: Tensor | None  # (K, batch, 1), for the gradient penalty


def stream(seed: int, *key: int) -> torch.Generator:
    """An independent generator of random numbers for each (seed, key)."""
    state = np.random.SeedSequence([seed, *key]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def latent_noise(config: Config, n: int, generator: torch.Generator) -> Tensor:
    """(n, latent)"""
    if config.noise == "gaussian":
        return torch.randn((n, config.latent), generator=generator)
    return 2 * torch.rand((n, config.latent), generator=generator) - 1


def draw_chunk(config: Config, data: Distribution, chunk: int) -> list[Tensor | None]:
    """The fields of Draws for CHUNK steps, (CHUNK, d_steps + 1, K, ...) each; on the host, so that the device does not
    change them."""
    turns = config.d_steps + 1
    shape, n = (CHUNK, turns, config.batch), CHUNK * turns * config.batch
    runs = []
    for k in range(config.runs):
        generator = stream(config.seed + k, BATCHES, chunk)
        real, labels = data.sample(n, generator)
        z = latent_noise(config, n, generator)
        z_labels = data.sample(n, generator)[1] if config.conditional else labels
        noise = [
            torch.randn((*shape, real.shape[1]), generator=generator) if config.instance_noise else None
            for _ in range(2)
        ]
        mix = torch.rand((*shape, 1), generator=generator) if config.objective == "wgan-gp" else None
        runs.append([real.view(*shape, -1), labels.view(shape), z.view(*shape, -1), z_labels.view(shape), *noise, mix])
    return [None if parts[0] is None else torch.stack(parts, 2) for parts in zip(*runs, strict=True)]
