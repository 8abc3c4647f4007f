"""Paths through a generator's latent space, where z is N(0, 1): lines, great circles, sheets and walks; arithmetic,
principal directions and truncation. Latents are float32 on the CPU; every path contains its given points exactly."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.errors import InputError
from ganlab.generation.config import NetworkConfig
from ganlab.generation.networks import Generator, noise, with_label


def lerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """(T, z) or (T, N, z): the straight line from a to b, both (z,) or (N, z), at t (T,) between 0 and 1.

    The midpoint of two draws is N(0, 1/2): its norm is smaller by sqrt 2 than any that the generator was trained on.
    """
    return torch.lerp(a, b, t.view(-1, *(1,) * a.dim()))


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """As lerp, but along the great circle (Shoemake, SIGGRAPH 1985; White, Sampling Generative Networks, 2016): the
    direction turns at a constant rate, and the norm goes linearly from |a| to |b|.

    Opposite vectors have no unique great circle; theirs passes the coordinate axis most nearly orthogonal to them.
    """
    return slerp_pairs(a, b, t.view(-1, *(1,) * a.dim()))


def slerp_pairs(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """slerp for shapes that broadcast: t (..., 1) with a and b (..., z). t of 0 and 1 gives a and b exactly."""
    u, v, share = a.double(), b.double(), t.double()
    norm = torch.lerp(*torch.broadcast_tensors(*(x.norm(dim=-1, keepdim=True) for x in (u, v)), share))
    u, v = F.normalize(u, dim=-1), F.normalize(v, dim=-1)
    angle = 2 * torch.atan2((u - v).norm(dim=-1, keepdim=True), (u + v).norm(dim=-1, keepdim=True)) * share
    axis = F.one_hot(u.abs().argmin(-1), u.shape[-1]).to(u)
    from_v, from_axis = (x - (x * u).sum(-1, keepdim=True) * u for x in (v, axis))  # components orthogonal to u
    parallel = from_v.norm(dim=-1, keepdim=True) < 1e-6  # opposite, or equal, where the choice does not matter
    orthogonal = F.normalize(torch.where(parallel, from_axis, from_v), dim=-1)
    path = (norm * (angle.cos() * u + angle.sin() * orthogonal)).to(a)
    return torch.where(t == 0, a, torch.where(t == 1, b, path))


def sheet(corners: Tensor, rows: int, columns: int) -> Tensor:
    """(rows, columns, z) between corners (4, z): top left, top right, bottom left, bottom right. The top and bottom
    edges are slerps, and so is every column between them; the corners are exact."""
    top, bottom = (slerp(*pair, torch.linspace(0, 1, columns)) for pair in (corners[:2], corners[2:]))
    return slerp(top, bottom, torch.linspace(0, 1, rows))


def walk(points: Tensor, frames: int, closed: bool = True) -> Tensor:
    """(frames, z): a smooth path from points[0] through all points (K, z) along great circles. It slows down at every
    point, where the direction changes, by smoothstep 3 t^2 - 2 t^3. A closed walk would return to the first frame after
    the last; an open one ends at points[-1]."""
    start, end, t = walk_segments(len(points), frames, closed)
    return slerp_pairs(points[start], points[end], t)


def walk_segments(count: int, frames: int, closed: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """For each frame of `walk` over `count` points: the indices (frames,) of the points before and after it, and the
    share (frames, 1) of the path between these."""
    segments, steps = (count, frames) if closed else (count - 1, frames - 1)
    position = torch.arange(frames) * segments
    segment, t = position // max(1, steps), position % max(1, steps) / max(1, steps)
    return segment, (segment + 1) % count, (t * t * (3 - 2 * t))[:, None]


def arithmetic(plus: Tensor, minus: Tensor, base: Tensor) -> Tensor:
    """base + mean(plus) - mean(minus), scaled to the norm of base: "man with glasses - man + woman" (Radford et al.,
    ICLR 2016, section 6.3.2: single examples are unstable, the mean of three is not). plus, minus (N, z); base (z,) or
    (M, z), which is the shape of the result."""
    moved = base + plus.mean(0) - minus.mean(0)
    return F.normalize(moved, dim=-1) * base.norm(dim=-1, keepdim=True)


@torch.no_grad()
def principal_directions(
    generator: nn.Module, seed: int, count: int = 2000, layer: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Directions of z that change a layer of the generator most, the strongest first: (directions (K, z), explained
    share (K,) of the features' variance, std (K,) of the features along each). Features are generator.features(...)
    minus their class mean.

    z has no preferred direction, features have (Härkönen et al., GANSpace, NeurIPS 2020). As there, features of `count`
    draws are regressed on z, but before and not after taking principal components. So the directions are orthogonal,
    and free of sampling noise if the layer is linear, as the first usually is (Shen and Zhou, SeFa, CVPR 2021). The
    shares add up to 1 for a linear layer, to less for others.

    Directions have unit norm, and their largest entry is positive; a step of 1 along one moves the features by its std.
    The first layer of a small DCGAN has almost no preferred direction; the last, the image, has.
    """
    config = generator.config
    z, labels = noise(seed, count, config), torch.arange(count) % max(1, config.classes)
    features = layer_features(generator, z, labels, layer)
    for label in range(max(1, config.classes)):
        for values in (z, features):
            values[labels == label] -= values[labels == label].mean(0)
    slopes = torch.linalg.solve(z.T @ z, z.T @ features)  # (z, features), least squares
    directions, std, _ = torch.linalg.svd(slopes, full_matrices=False)
    directions = directions.T
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    total = features.square().sum() / z.square().mean() / count
    return directions * largest.sign(), std.square() / total, std


def layer_features(generator: nn.Module, z: Tensor, labels: Tensor, layer: int) -> Tensor:
    """(N, features) of generator.features(z, labels)[layer]; the first layer is computed without those after it."""
    first = generator.project if isinstance(generator, Generator) else generator.blocks[0]
    device, maps = next(generator.parameters()).device, []
    for part in zip(z.to(device).split(100), labels.to(device).split(100), strict=True):
        maps.append(generator.features(*part)[layer] if layer else first(with_label(generator.label, *part)))
    return torch.cat(maps).flatten(1).cpu()


def truncated(z: Tensor, psi: float) -> Tensor:
    """psi z, that is, z moved toward its mean, 0: less variety below 1, more above. StyleGAN's truncation (Karras et
    al., CVPR 2019) for z in N(0, 1); BigGAN's is `resampled`."""
    return z * psi


SMALLEST_LIMIT = 0.1


def resampled(seed: int, count: int, config: NetworkConfig, limit: float) -> Tensor:
    """(count, z): `noise` of the seed, with entries beyond +-limit drawn again until they are within (Brock et al.,
    ICLR 2019, section 3.1). The first rows are the same for every count. Raises InputError for a limit below 0.1."""
    if not limit >= SMALLEST_LIMIT:
        raise InputError(f"The limit {limit:g} is below {SMALLEST_LIMIT}; 0.5 is strong truncation, 2 is weak.")
    z, attempt = noise(seed, count, config), 0
    while (beyond := z.abs() > limit).any():
        attempt += 1
        fresh = np.random.default_rng((seed, attempt)).standard_normal((count, config.z), dtype=np.float32)
        z = torch.where(beyond, torch.from_numpy(fresh), z)
    return z
