"""Smooth random fields and shapes, from which the anatomy is built.

Points are (3, ...) tensors of millimetres. A shape is a signed distance, negative inside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache, reduce
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Point = Sequence[float]  # x, y, z in mm


def sample_grid(grid: Tensor, points: Tensor, origin: Tensor, spacing: float, padding: str = "border") -> Tensor:
    """Trilinear values of grid (C, X, Y, Z), whose first voxel lies at origin (3,) mm, at points (3, ...) mm."""
    size = torch.tensor(grid.shape[1:], device=points.device, dtype=points.dtype)
    flat = points.reshape(3, -1)
    unit = 2 * (flat - origin[:, None]) / (spacing * (size[:, None] - 1)) - 1
    coordinates = unit.flip(0).T.reshape(1, 1, 1, -1, 3)  # grid_sample wants (z, y, x) last
    values = F.grid_sample(grid[None], coordinates, mode="bilinear", padding_mode=padding, align_corners=True)
    return values.reshape(grid.shape[0], *points.shape[1:])


def length(v: Tensor) -> Tensor:
    """Euclidean norm over the first axis; on a CPU several times faster than torch's norm over a strided axis."""
    return reduce(torch.add, (c * c for c in v)).sqrt()


def smooth_noise(generator: torch.Generator, channels: int, size: Sequence[int], scales: dict[float, float]) -> Tensor:
    """Periodic Gaussian noise (channels, *size): the sum of independent fields {smoothing sigma in cells: std}.

    Drawn in one transform: white noise times the root of the summed power spectra.
    """
    frequency = _frequency(size)
    power = torch.zeros_like(frequency)
    for sigma, std in scales.items():
        gaussian = torch.exp(-4 * (math.pi * sigma * frequency) ** 2)
        power += std**2 * gaussian / gaussian.mean()
    return _coloured(generator, channels, power)


def banded_noise(generator: torch.Generator, channels: int, size: Sequence[int], wavelength: float) -> Tensor:
    """Periodic Gaussian noise (channels, *size), std 1, with waves of about this length in cells.

    Its positive parts are winding ridges of even width, like gyri.
    """
    power = torch.exp(-((_frequency(size) * wavelength - 1) ** 2) / (2 * 0.22**2))
    return _coloured(generator, channels, power / power.mean())


def _frequency(size: Sequence[int]) -> Tensor:
    axes = [torch.fft.fftfreq(n) for n in size]
    return reduce(torch.add, (f**2 for f in torch.meshgrid(*axes, indexing="ij"))).sqrt()


def _coloured(generator: torch.Generator, channels: int, power: Tensor) -> Tensor:
    noise = torch.randn((channels, *power.shape), generator=generator)
    spectrum = torch.fft.rfftn(noise, dim=(1, 2, 3)) * power[..., : power.shape[2] // 2 + 1].sqrt()
    return torch.fft.irfftn(spectrum, s=power.shape, dim=(1, 2, 3))


class Noise:
    """Periodic noise with mean 0 and standard deviation 1; a call costs one trilinear look-up.

    Channels 0 to 3 are smooth; channels FOLDS and FOLDS + 1 have a single wavelength.
    """

    SIZE = 40
    SIGMA = 1.3  # cells; a full swing then takes about six cells
    FOLDS = 4

    def __init__(self, generator: torch.Generator, device: str | torch.device):
        size = (self.SIZE,) * 3
        grid = torch.cat(
            [smooth_noise(generator, 4, size, {self.SIGMA: 1.0}), banded_noise(generator, 2, size, 40 / 7)]
        )
        wrap = torch.arange(self.SIZE + 1) % self.SIZE
        self.grid = grid[:, wrap][:, :, wrap][:, :, :, wrap].contiguous().to(device)

    def __call__(self, points: Tensor, wavelength: float, channel: int = 0) -> Tensor:
        cell = (points * (6.0 / wavelength)) % self.SIZE
        return sample_grid(self.grid[channel : channel + 1], cell, torch.zeros(3, device=points.device), 1.0)[0]


BOX_ORIGIN = (-136.0, -176.0, -248.0)  # a box of coarse cells around any head, mm
BOX_SPACING = 10.0
BOX_SIZE = (28, 36, 42)


def diffeomorphism(
    generator: torch.Generator, scales: dict[float, float], device: str | torch.device = "cpu"
) -> Tensor:
    """A smooth invertible displacement (3, X, Y, Z) in mm on the coarse box.

    A stationary velocity field, the sum of Gaussian fields {smoothing sigma mm: standard deviation mm}, is
    integrated by scaling and squaring (Arsigny et al., MICCAI 2006), so that the map never folds.
    """
    cells = {size / BOX_SPACING: std for size, std in scales.items()}
    velocity = smooth_noise(generator, 3, BOX_SIZE, cells)
    velocity = velocity.to(device)
    origin = torch.tensor(BOX_ORIGIN, device=device)
    index = torch.stack(torch.meshgrid(*(torch.arange(n, device=device) for n in BOX_SIZE), indexing="ij"))
    points = origin[:, None, None, None] + index * BOX_SPACING
    displacement = velocity / 32
    for _ in range(5):
        displacement = displacement + sample_grid(displacement, points + displacement, origin, BOX_SPACING)
    return displacement


def displaced(points: Tensor, displacement: Tensor) -> Tensor:
    """Points (3, ...) mm moved by a displacement on the coarse box."""
    """Points (3, ...) mm moved by a displacement on the coarse box."""
    origin = torch.tensor(BOX_ORIGIN, device=points.device)
    return points + sample_grid(displacement, points, origin, BOX_SPACING)


def ellipsoid(p: Tensor, centre: Sequence[float], radii: Sequence[float | Tensor]) -> Tensor:
    """Signed distance, exact on the surface and to first order around it."""
    r = p.new_tensor(radii).reshape(3, *[1] * (p.ndim - 1))
    q = (p - p.new_tensor(centre).reshape(r.shape)) / r
    k0, k1 = length(q), length(q / r).clamp_min(1e-6)
    return k0 * (k0 - 1) / k1


def capsule(p: Tensor, start: Point, end: Point, radius: float) -> Tensor:
    """Signed distance of the tube of a radius around the segment from start to end."""
    shape = (3, *[1] * (p.ndim - 1))
    a, b = p.new_tensor(start).reshape(shape), p.new_tensor(end).reshape(shape)
    axis = b - a
    t = (((p - a) * axis).sum(0) / (axis * axis).sum()).clamp(0, 1)
    return length(p - a - t * axis) - radius


def tube(p: Tensor, nodes: Sequence[Point], radius: float) -> Tensor:
    """Union of the capsules along a polyline."""
    pieces = [capsule(p, a, b, radius) for a, b in pairwise(nodes)]
    return torch.stack(pieces).amin(0)


def along(x: Tensor, knots: tuple[tuple[float, float], ...]) -> Tensor:
    """Linear interpolation through (x, value) knots, constant beyond the ends."""
    at, value = (x.new_tensor(column) for column in zip(*knots, strict=True))
    k = torch.searchsorted(at, x).clamp(1, len(at) - 1)
    t = ((x - at[k - 1]) / (at[k] - at[k - 1])).clamp(0, 1)
    return torch.lerp(value[k - 1], value[k], t)


@lru_cache
def _coefficients(knots: tuple[tuple[float, float], ...]) -> tuple[float, ...]:
    x, y = np.array(knots, float).T
    return tuple(np.polyfit(x, y, len(x) - 1))


def through(x: Tensor, knots: tuple[tuple[float, float], ...]) -> Tensor:
    """The polynomial through two to four (x, value) knots; valid only between the outer ones."""
    first, *rest = _coefficients(knots)
    value = torch.full_like(x, first)
    for c in rest:
        value = torch.addcmul(torch.full_like(x, c), value, x)
    return value


def blend(a: Tensor, b: Tensor, width: float) -> Tensor:
    """Union of two shapes with a fillet of about this width in mm (polynomial smooth minimum)."""
    h = (0.5 + 0.5 * (b - a) / width).clamp(0, 1)
    return b + (a - b) * h - width * h * (1 - h)


def cover(distance: Tensor, width: float = 1.0) -> Tensor:
    """Share of a voxel of this width that lies inside: partial volume to first order."""
    return (0.5 - distance / width).clamp(0, 1)
