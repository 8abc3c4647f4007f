"""How far two distributions are apart, in nats, and what a finite sample can say about it.

Exact measures take probability masses (..., cells) that sum to 1. Estimates compare a sample's histogram with exact
masses; they never fall below 0, and each comes with its floor: the largest value that samples of the same size from
the *right* distribution gave. What lies below its floor cannot be told from 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ganlab.lazy import Tensor, torch

DRAWS = 200  # perfect samples that a floor is the largest of: exceeded by chance once in 200
PSEUDO = 0.5  # added to each cell's count where a logarithm of it is taken (Jeffreys): KL stays finite


def _sum(terms: Tensor) -> Tensor:
    return terms.sum(-1)


def entropy(p: Tensor) -> Tensor:
    """H(p) = -sum p log p, at least 0."""
    return -_sum(torch.xlogy(p, p))


def cross_entropy(p: Tensor, q: Tensor) -> Tensor:
    """H(p, q) = -sum p log q = H(p) + KL(p || q); infinite where p has mass and q none."""
    return -_sum(torch.where(p > 0, p * q.log(), torch.zeros_like(p)))


def kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) = sum p log(p / q), at least 0; infinite where p has mass and q none."""
    return _sum(torch.where(p > 0, p * (p.log() - q.log()), torch.zeros_like(p))).clamp_min(0)


def js(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon: mean KL of p and q to their mixture, 0 to log 2 (Lin, IEEE Trans. Inf. Theory 37:145, 1991)."""
    middle = (p + q) / 2
    return ((kl(p, middle) + kl(q, middle)) / 2).clamp_max(math.log(2))


def total_variation(p: Tensor, q: Tensor) -> Tensor:
    """Half the summed |p - q|, 0 to 1: the most that the two can differ on any event."""
    return _sum((p - q).abs()) / 2


def pearson(p: Tensor, q: Tensor) -> Tensor:
    """Chi-squared of p from q: sum (p - q)^2 / q; infinite where p has mass and q none."""
    infinite = torch.where(p > 0, torch.inf, torch.zeros_like(p))
    return _sum(torch.where(q > 0, (p - q).square() / q, infinite))


def squared_hellinger(p: Tensor, q: Tensor) -> Tensor:
    """sum (sqrt p - sqrt q)^2, 0 to 2."""
    return _sum((p.sqrt() - q.sqrt()).square())


def wasserstein_1d(p: Tensor, q: Tensor, width: float) -> Tensor:
    """Earth mover's distance of masses in cells of a width on a line: the area between the distribution functions."""
    return _sum((p.cumsum(-1) - q.cumsum(-1)).abs()) * width


F_DIVERGENCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "kl": kl,
    "reverse-kl": lambda p, q: kl(q, p),
    "jensen-shannon": lambda p, q: 2 * js(p, q),  # f-GAN's definition has no halves
    "pearson": pearson,
    "squared-hellinger": squared_hellinger,
}


@dataclass(frozen=True)
class Grid:
    """Equal cells, `cells` along each of dim axes from -reach to reach, and one more for all that lies outside."""

    dim: int
    reach: float
    cells: int

    @property
    def size(self) -> int:
        return self.cells**self.dim + 1

    def index(self, points: Tensor) -> Tensor:
        """The cell of each point (..., dim), first axis slowest; values that are not numbers lie outside."""
        at = (points + self.reach) * (self.cells / (2 * self.reach))
        inside = ((at >= 0) & (at < self.cells)).all(-1)
        column = at.clamp(0, self.cells - 1).nan_to_num(0).long()
        flat = column[..., 0] if self.dim == 1 else column[..., 0] * self.cells + column[..., 1]
        return torch.where(inside, flat, self.size - 1)

    def counts(self, points: Tensor) -> Tensor:
        """(runs, cells + 1) float64 histogram of points (runs, N, dim)."""
        index = self.index(points)
        offset = torch.arange(len(points))[:, None] * self.size
        return (
            torch.bincount((index + offset).flatten(), minlength=len(points) * self.size).view(-1, self.size).double()
        )

    def centres(self, within: int = 1) -> Tensor:
        """(cells ** dim, within ** dim, dim) midpoints of a finer grid inside each cell."""
        n = self.cells * within
        at = (torch.arange(n) + 0.5) * (2 * self.reach / n) - self.reach
        if self.dim == 1:
            return at.view(self.cells, within, 1)
        x, y = torch.meshgrid(at, at, indexing="ij")
        fine = torch.stack([x, y], -1).view(self.cells, within, self.cells, within, 2)
        return fine.transpose(1, 2).reshape(self.cells**2, within**2, 2)

    def masses(self, log_prob: Callable[[Tensor], Tensor], within: int = 8) -> Tensor:
        """(cells + 1,) float64 probabilities of a smooth density: the midpoint rule, `within` times finer."""
        step = 2 * self.reach / (self.cells * within)
        parts = [log_prob(c).double().exp().sum(-1) for c in self.centres(within).split(512)]
        return self.with_rest(torch.cat(parts) * step**self.dim)

    def with_rest(self, inside: Tensor) -> Tensor:
        """Masses of the cells, and what is missing to 1 for the outside."""
        inside = inside / inside.sum().clamp_min(1)
        return torch.cat([inside, (1 - inside.sum()).clamp_min(0)[None]])

    def overlap(self, low: Tensor, high: Tensor) -> Tensor:
        """(M, cells) float64: the share of each interval low..high (M,) of an axis that lies in each cell."""
        low, high = low.double()[:, None], high.double()[:, None]
        return ((self.edges.clamp(low, high) - low) / (high - low)).diff()

    def normal(self, mean: Tensor, std: float) -> Tensor:
        """(M, cells) float64: the share of each normal distribution along an axis that lies in each cell."""
        return torch.special.ndtr((self.edges - mean.double()[:, None]) / std).diff()

    @property
    def edges(self) -> Tensor:
        return torch.linspace(-self.reach, self.reach, self.cells + 1, dtype=torch.float64)

    def products(self, weights: Tensor, along: list[Tensor]) -> Tensor:
        """(cells + 1,) masses of a mixture of products: weights (M,), the shares (M, cells) of each axis."""
        inside = along[0].T @ weights.double() if self.dim == 1 else (along[0].T * weights.double()) @ along[1]
        return self.with_rest(inside.flatten())


def estimates(counts: Tensor, p: Tensor) -> dict[str, Tensor]:
    """Measures (runs,) of samples' counts (runs, cells) against masses p (cells,).

    js and tv use the plain histogram q. kl is KL(p || q), which a missing mode makes large; reverse_kl is KL(q || p),
    which samples off the data make large. Both smooth q and p alike by PSEUDO counts per cell, and so stay finite.
    """
    n = counts.sum(-1, keepdim=True)
    q = counts / n
    extra = PSEUDO * counts.shape[-1]
    smooth_q, smooth_p = (counts + PSEUDO) / (n + extra), (p * n + PSEUDO) / (n + extra)
    return {
        "js": js(p.expand_as(q), q),
        "kl": kl(smooth_p, smooth_q),
        "reverse_kl": kl(smooth_q, smooth_p),
        "tv": total_variation(p, q),
    }


def floors(p: Tensor, n: int, draws: int = DRAWS, seed: int = 0) -> dict[str, float]:
    """For each of `estimates`, the largest of `draws` samples of size n from p itself."""
    perfect = np.random.default_rng(seed).multinomial(n, (p / p.sum()).numpy(), size=draws)
    found = estimates(torch.from_numpy(perfect).double(), p)
    return {name: float(values.max()) for name, values in found.items()}


def mmd2(x: Tensor, y: Tensor, width: float = 0.25) -> Tensor:
    """Squared maximum mean discrepancy (...,) of samples (..., N, dim) and (..., M, dim), at least 0.

    The V-statistic, with a Gaussian kernel summed over widths of 1, 2 and 4 times `width` (Gretton et al., JMLR 13:723,
    2012, equation 5). It is biased upwards by at most 3 (1/N + 1/M), three kernels' peaks.
    """

    def mean_kernel(a: Tensor, b: Tensor) -> Tensor:
        d2 = torch.cdist(a, b).square()
        return sum(torch.exp(-d2 / (2 * (width * k) ** 2)).mean((-2, -1)) for k in (1, 2, 4))

    return (mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y)).clamp_min(0)


@dataclass(frozen=True)
class Coverage:
    """high_quality: share of samples within three std of a mode. shares: (..., M) share of samples that each mode got.
    covered: (..., M), whether a mode got a quarter or more of its fair share of all samples."""

    high_quality: Tensor
    shares: Tensor
    covered: Tensor


def coverage(points: Tensor, modes: Tensor, std: float, weights: Tensor) -> Coverage:
    """Points (..., N, dim) against modes (M, dim) of a std, weights (M,) summing to 1.

    High quality is Srivastava et al.'s (VEEGAN, NeurIPS 2017, section 4.1): within three std of the nearest mode.
    Theirs calls a mode captured by a single such sample; here it takes a quarter of the mode's share, so that stray
    points between two modes do not count.
    """
    distance, nearest = torch.cdist(points.nan_to_num(nan=1e9), modes).min(-1)
    good = distance <= 3 * std
    hits = torch.nn.functional.one_hot(nearest, len(modes)) * good[..., None]
    shares = hits.float().mean(-2)
    return Coverage(good.float().mean(-1), shares, shares >= weights / 4)
