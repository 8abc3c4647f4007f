"""Distances between distributions, in nats, and their estimates from finite samples.

Exact measures take probability masses (..., cells) that sum to 1. Estimates compare a sample's histogram with exact
masses. They are never negative, and each has a floor: the largest value among samples of the same size from the target
distribution itself. An estimate below its floor is indistinguishable from 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ganlab.lazy import Tensor, torch

DRAWS = 200  # simulated samples per floor; exceeded by chance about once in 200
PSEUDOCOUNT = 0.5  # added to each cell before a logarithm (Jeffreys), so that KL stays finite


def entropy(p: Tensor) -> Tensor:
    """H(p) = -sum p log p, at least 0."""
    return -torch.xlogy(p, p).sum(-1)


def cross_entropy(p: Tensor, q: Tensor) -> Tensor:
    """H(p, q) = -sum p log q = H(p) + KL(p || q); infinite where p has mass and q none."""
    return -torch.where(p > 0, p * q.log(), torch.zeros_like(p)).sum(-1)


def kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) = sum p log(p / q), at least 0; infinite where p has mass and q none."""
    return torch.where(p > 0, p * (p.log() - q.log()), torch.zeros_like(p)).sum(-1).clamp_min(0)


def js(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon: mean KL of p and q from their mixture, 0 to log 2 (Lin, IEEE Trans. Inf. Theory 37:145, 1991)."""
    mixture = (p + q) / 2
    return ((kl(p, mixture) + kl(q, mixture)) / 2).clamp_max(math.log(2))


def total_variation(p: Tensor, q: Tensor) -> Tensor:
    """sum |p - q| / 2, 0 to 1: the largest difference in the probability of any event."""
    return (p - q).abs().sum(-1) / 2


def pearson(p: Tensor, q: Tensor) -> Tensor:
    """Pearson's chi-squared: sum (p - q)^2 / q; infinite where p has mass and q none."""
    infinite = torch.where(p > 0, torch.inf, torch.zeros_like(p))
    return torch.where(q > 0, (p - q).square() / q, infinite).sum(-1)


def squared_hellinger(p: Tensor, q: Tensor) -> Tensor:
    """sum (sqrt p - sqrt q)^2, 0 to 2."""
    return (p.sqrt() - q.sqrt()).square().sum(-1)


def wasserstein_1d(p: Tensor, q: Tensor, width: float) -> Tensor:
    """Earth mover's distance of masses in cells on a line: the area between the two distribution functions.

    width: of a cell; the result has its unit.
    """
    return (p.cumsum(-1) - q.cumsum(-1)).abs().sum(-1) * width


F_DIVERGENCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "kl": kl,
    "reverse-kl": lambda p, q: kl(q, p),
    "jensen-shannon": lambda p, q: 2 * js(p, q),  # without the factor 1/2, as f-GAN defines it
    "pearson": pearson,
    "squared-hellinger": squared_hellinger,
}


@dataclass(frozen=True)
class Grid:
    """Histogram bins: `cells` equal bins along each of dim axes, from -reach to reach, and one for all else."""

    dim: int
    reach: float
    cells: int

    @property
    def size(self) -> int:
        """Number of cells, the one outside included."""
        return self.cells**self.dim + 1

    def index(self, points: Tensor) -> Tensor:
        """The cell of each point, (..., dim) -> (...), first axis slowest; NaN and infinity count as outside."""
        position = (points + self.reach) * (self.cells / (2 * self.reach))
        inside = ((position >= 0) & (position < self.cells)).all(-1)
        column = position.clamp(0, self.cells - 1).nan_to_num(0).long()
        flat = column[..., 0] if self.dim == 1 else column[..., 0] * self.cells + column[..., 1]
        return torch.where(inside, flat, self.size - 1)

    def counts(self, points: Tensor) -> Tensor:
        """Histogram (runs, size), float64, of points (runs, N, dim)."""
        index = self.index(points)
        offset = torch.arange(len(points))[:, None] * self.size
        return (
            torch.bincount((index + offset).flatten(), minlength=len(points) * self.size).view(-1, self.size).double()
        )

    def centres(self, parts: int = 1) -> Tensor:
        """Midpoints (cells ** dim, parts ** dim, dim) of cells that are each divided into parts ** dim."""
        n = self.cells * parts
        middle = (torch.arange(n) + 0.5) * (2 * self.reach / n) - self.reach
        if self.dim == 1:
            return middle.view(self.cells, parts, 1)
        x, y = torch.meshgrid(middle, middle, indexing="ij")
        fine = torch.stack([x, y], -1).view(self.cells, parts, self.cells, parts, 2)
        return fine.transpose(1, 2).reshape(self.cells**2, parts**2, 2)

    def masses(self, log_prob: Callable[[Tensor], Tensor], parts: int = 8) -> Tensor:
        """Probabilities (size,), float64, of a smooth density: the midpoint rule on cells divided into parts."""
        step = 2 * self.reach / (self.cells * parts)
        sums = [log_prob(centres).double().exp().sum(-1) for centres in self.centres(parts).split(512)]
        return self.with_outside(torch.cat(sums) * step**self.dim)

    def with_outside(self, inside: Tensor) -> Tensor:
        """Masses of the cells, (cells ** dim,) -> (size,): the last is what is missing from 1."""
        inside = inside / inside.sum().clamp_min(1)
        return torch.cat([inside, (1 - inside.sum()).clamp_min(0)[None]])

    def overlap(self, low: Tensor, high: Tensor) -> Tensor:
        """The share of each interval low..high (M,) along an axis that lies in each cell: (M, cells), float64."""
        low, high = low.double()[:, None], high.double()[:, None]
        return ((self.edges.clamp(low, high) - low) / (high - low)).diff()

    def normal(self, mean: Tensor, std: float) -> Tensor:
        """The mass of normal distributions of these means (M,) along an axis in each cell: (M, cells), float64."""
        return torch.special.ndtr((self.edges - mean.double()[:, None]) / std).diff()

    @property
    def edges(self) -> Tensor:
        """Borders of the cells along an axis, (cells + 1,), float64."""
        return torch.linspace(-self.reach, self.reach, self.cells + 1, dtype=torch.float64)

    def products(self, weights: Tensor, axes: list[Tensor]) -> Tensor:
        """Masses (size,) of a mixture of products: weights (M,), and along each axis the masses (M, cells)."""
        inside = axes[0].T @ weights.double() if self.dim == 1 else (axes[0].T * weights.double()) @ axes[1]
        return self.with_outside(inside.flatten())


def estimates(counts: Tensor, p: Tensor) -> dict[str, Tensor]:
    """Measures (runs,) of samples with counts (runs, cells) against the target's masses p (cells,).

    js and tv compare p with the plain histogram q. kl is KL(p || q), which a missing mode makes large; reverse_kl is
    KL(q || p), which samples off the data make large. For both, p and q are smoothed by PSEUDOCOUNT.
    """
    n = counts.sum(-1, keepdim=True)
    q = counts / n
    extra = PSEUDOCOUNT * counts.shape[-1]
    smooth_q, smooth_p = (counts + PSEUDOCOUNT) / (n + extra), (p * n + PSEUDOCOUNT) / (n + extra)
    return {
        "js": js(p.expand_as(q), q),
        "kl": kl(smooth_p, smooth_q),
        "reverse_kl": kl(smooth_q, smooth_p),
        "tv": total_variation(p, q),
    }


def floors(p: Tensor, n: int, draws: int = DRAWS, seed: int = 0) -> dict[str, float]:
    """For each of `estimates`, the largest value among `draws` samples of size n from p itself."""
    perfect = np.random.default_rng(seed).multinomial(n, (p / p.sum()).numpy(), size=draws)
    return {name: float(values.max()) for name, values in estimates(torch.from_numpy(perfect).double(), p).items()}


def mmd2(x: Tensor, y: Tensor, width: float = 0.25) -> Tensor:
    """Squared maximum mean discrepancy (...,) of samples (..., N, dim) and (..., M, dim), at least 0.

    The V-statistic of three Gaussian kernels, 1, 2 and 4 times `width` wide (Gretton et al., JMLR 13:723, 2012,
    equation 5). Its bias is upwards and at most 3 (1/N + 1/M).
    """

    def mean_kernel(a: Tensor, b: Tensor) -> Tensor:
        d2 = torch.cdist(a, b).square()
        kernels = [torch.exp(-d2 / (2 * (width * k) ** 2)) for k in (1, 2, 4)]
        return torch.stack([kernel.mean((-2, -1)) for kernel in kernels]).sum(0)

    return (mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y)).clamp_min(0)


@dataclass(frozen=True)
class Coverage:
    """Mode coverage of a generator.

    high_quality: (...), share of samples within three standard deviations of a mode. shares: (..., M), share of samples
    near each mode. covered: (..., M), whether that is at least a quarter of what the target has there.
    """

    high_quality: Tensor
    shares: Tensor
    covered: Tensor


def coverage(points: Tensor, modes: Tensor, std: float, weights: Tensor) -> Coverage:
    """Points (..., N, dim) against modes (M, dim) of standard deviation std and weights (M,) that sum to 1.

    High quality follows Srivastava et al. (VEEGAN, NeurIPS 2017, section 4.1): within three std of the nearest mode.
    They call a mode captured by a single such sample; here it takes a quarter of the mode's weight, so that a few stray
    points between two modes do not count.
    """
    distance, nearest = torch.cdist(points.nan_to_num(nan=1e9), modes).min(-1)
    near = distance <= 3 * std
    hits = torch.nn.functional.one_hot(nearest, len(modes)) * near[..., None]
    shares = hits.float().mean(-2)
    return Coverage(near.float().mean(-1), shares, shares >= weights / 4)
