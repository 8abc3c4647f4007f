"""Ways through a generator's latent space, where z is N(0, 1): lines, great circles, sheets, walks, arithmetic,
principal directions, truncation. Latents are float32 on the CPU; every way is exact at the points it was given."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.errors import InputError
from ganlab.generation.networks import Generator, NetworkConfig, noise, with_label


def lerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """(T, z) or (T, N, z): the straight line from a to b, both (z,) or (N, z), at the shares t (T,).

    Between two draws the middle is N(0, 1/2): its norm is shorter by sqrt 2 than any that the generator was trained on.
    """
    return torch.lerp(a, b, t.view(-1, *(1,) * a.dim()))


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """As lerp, on the great circle (Shoemake, SIGGRAPH 1985; White, Sampling Generative Networks, 2016): the direction
    turns evenly, the norm goes evenly from |a| to |b|.

    Opposite vectors have no shortest way; they are joined through the coordinate axis most nearly at a right angle.
    """
    return turn(a, b, t.view(-1, *(1,) * a.dim()))


def turn(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """slerp with shapes that broadcast: t (..., 1) beside a and b (..., z). Shares of 0 and 1 give a and b exactly."""
    u, v, share = a.double(), b.double(), t.double()
    norm = torch.lerp(*torch.broadcast_tensors(*(x.norm(dim=-1, keepdim=True) for x in (u, v)), share))
    u, v = F.normalize(u, dim=-1), F.normalize(v, dim=-1)
    angle = 2 * torch.atan2((u - v).norm(dim=-1, keepdim=True), (u + v).norm(dim=-1, keepdim=True)) * share
    axis = F.one_hot(u.abs().argmin(-1), u.shape[-1]).to(u)
    beside, across = (x - (x * u).sum(-1, keepdim=True) * u for x in (v, axis))
    opposite = beside.norm(dim=-1, keepdim=True) < 1e-6  # or alike, where it does not matter
    side = F.normalize(torch.where(opposite, across, beside), dim=-1)
    way = (norm * (angle.cos() * u + angle.sin() * side)).to(a)
    return torch.where(t == 0, a, torch.where(t == 1, b, way))


def sheet(corners: Tensor, rows: int, columns: int) -> Tensor:
    """(rows, columns, z) between the corners (4, z): top left, top right, bottom left, bottom right. Columns are slerps
    from the top edge to the bottom edge, which are slerps themselves; the corners are exact."""
    top, bottom = (slerp(*pair, torch.linspace(0, 1, columns)) for pair in (corners[:2], corners[2:]))
    return slerp(top, bottom, torch.linspace(0, 1, rows))


def walk(points: Tensor, frames: int, closed: bool = True) -> Tensor:
    """(frames, z): a smooth way from points[0] through all points (K, z), on great circles; it slows down at every
    point, where the circles meet, by smoothstep 3 t^2 - 2 t^3. Closed, the frame after the last would be the first
    again; open, the last is points[-1]."""
    here, there, t = stations(len(points), frames, closed)
    return turn(points[here], points[there], t)


def stations(count: int, frames: int, closed: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Of each frame of `walk`: the numbers (frames,) of the points before and after it, and the share (frames, 1) of
    the way between these."""
    parts, steps = (count, frames) if closed else (count - 1, frames - 1)
    place = torch.arange(frames) * parts
    segment, t = place // max(1, steps), place % max(1, steps) / max(1, steps)
    return segment, (segment + 1) % count, (t * t * (3 - 2 * t))[:, None]


def arithmetic(plus: Tensor, minus: Tensor, base: Tensor) -> Tensor:
    """base + mean(plus) - mean(minus), with the norm of base: "man with glasses - man + woman" (Radford et al., ICLR
    2016, section 6.3.2: one example each is unstable, the mean of three is not). plus, minus (N, z); base (z,) or
    (M, z), which is the shape of the result."""
    moved = base + plus.mean(0) - minus.mean(0)
    return F.normalize(moved, dim=-1) * base.norm(dim=-1, keepdim=True)


@torch.no_grad()
def principal_directions(
    generator: nn.Module, seed: int, count: int = 2000, layer: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """What a layer of the generator makes most of: (directions (K, z), share (K,) of the features' variance, std (K,)
    of the features along each), the strongest first. Features are those of generator.features, less their class's mean.

    z is alike in every direction, features are not (Härkönen et al., GANSpace, NeurIPS 2020). As there, `count` draws
    are regressed; but on z before the principal components are taken, not after. So the directions are at right angles,
    and free of chance where the layer is linear, as the first usually is (Shen and Zhou, SeFa, CVPR 2021). The shares
    add up to 1 there, to less elsewhere.

    Directions have unit norm, and their largest entry is positive; a step of 1 along one moves the features by its std.
    The first layer of a small DCGAN makes much the same of all directions; the last, the image, prefers some.
    """
    config = generator.config
    z, labels = noise(seed, count, config), torch.arange(count) % max(1, config.classes)
    features = layer_features(generator, z, labels, layer)
    for label in range(max(1, config.classes)):
        for values in (z, features):
            values[labels == label] -= values[labels == label].mean(0)
    slopes = torch.linalg.solve(z.T @ z, z.T @ features)  # (z, features), by least squares
    directions, std, _ = torch.linalg.svd(slopes, full_matrices=False)
    directions = directions.T
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    total = features.square().sum() / z.square().mean() / count
    return directions * largest.sign(), std.square() / total, std


def layer_features(generator: nn.Module, z: Tensor, labels: Tensor, layer: int) -> Tensor:
    """(N, features) of generator.features(z, labels)[layer]; the first without the work of the layers after it."""
    first = generator.project if isinstance(generator, Generator) else generator.blocks[0]
    device, maps = next(generator.parameters()).device, []
    for part in zip(z.to(device).split(100), labels.to(device).split(100), strict=True):
        maps.append(generator.features(*part)[layer] if layer else first(with_label(generator.label, *part)))
    return torch.cat(maps).flatten(1).cpu()


def truncated(z: Tensor, psi: float) -> Tensor:
    """psi z: toward the mean of all z, which is 0. Fewer surprises below 1, more above. It is StyleGAN's trick (Karras
    et al., CVPR 2019) for a z that is N(0, 1); BigGAN's is `resampled`."""
    return z * psi


LEAST = 0.1  # of a limit


def resampled(seed: int, count: int, config: NetworkConfig, limit: float) -> Tensor:
    """(count, z): `noise` of the seed, of which entries beyond +-limit are drawn again until they are within (Brock et
    al., ICLR 2019, section 3.1). The first rows are the same for every count. Raises InputError for a limit below
    0.1."""
    if not limit >= LEAST:
        raise InputError(f"The limit {limit:g} is below {LEAST}; 0.5 is strong truncation, 2 is weak.")
    z, again = noise(seed, count, config), 0
    while (beyond := z.abs() > limit).any():
        again += 1
        fresh = np.random.default_rng((seed, again)).standard_normal((count, config.z), dtype=np.float32)
        z = torch.where(beyond, torch.from_numpy(fresh), z)
    return z
