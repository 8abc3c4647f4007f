"""Distributions to learn: samples, labels and, where one exists, the exact density.

Curves are mixtures of many small Gaussians, so that their density is exact. Pictures and boxes are uniform within
cells. User-supplied points have no known density. All are roughly within [-1.5, 1.5] on both axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ganlab.divergences import Grid
from ganlab.errors import InputError
from ganlab.lazy import Tensor, torch

VIEW = 1.6  # half the width of the plane that is drawn and measured
MIN_POINTS, MAX_POINTS = 10, 200_000
MAX_CELLS = 256  # of a picture, along an edge


class Distribution(Protocol):
    """Something to draw samples from."""

    dim: int  # 1 or 2
    classes: int  # number of labels
    modes: Tensor | None  # (M, dim)
    spread: float  # standard deviation of a mode

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Points (n, dim) float32 and labels (n,) int64."""
        ...

    def masses(self, grid: Grid) -> Tensor:
        """(cells + 1,) float64: the probability of each cell."""
        ...

    log_prob: Callable[[Tensor], Tensor] | None  # points (..., dim) -> (...), nats; -inf outside the support


@dataclass(frozen=True)
class Mixture:
    """Weighted Gaussians with the same std; optionally swirled: rotated about 0 by swirl * radius."""

    means: Tensor  # (M, dim)
    std: Tensor  # (dim,)
    weights: Tensor  # (M,), sum 1
    labels: Tensor  # (M,) int64
    modal: bool = True  # whether each mean is a mode to cover
    turns: Tensor | None = None  # (M,) angle by which each component's axes are rotated
    swirl: float = 0.0

    @property
    def dim(self) -> int:
        return self.means.shape[1]

    @property
    def classes(self) -> int:
        return int(self.labels.max()) + 1

    @property
    def modes(self) -> Tensor | None:
        return self.means if self.modal else None

    @property
    def spread(self) -> float:
        return float(self.std.max())

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if bool((self.weights == self.weights[0]).all()):
            which = torch.randint(len(self.means), (n,), generator=generator)
        else:
            which = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        points = torch.randn((n, self.dim), generator=generator) * self.std
        if self.turns is not None:
            points = rotated(points, self.turns[which])
        points = points + self.means[which]
        if self.swirl:
            points = rotated(points, self.swirl * points.norm(dim=-1))
        return points, self.labels[which]

    def log_prob(self, points: Tensor) -> Tensor:
        if self.swirl:  # a rotation that depends on the radius alone preserves area
            points = rotated(points, -self.swirl * points.norm(dim=-1))
        offset = points[..., None, :] - self.means
        if self.turns is not None:
            offset = rotated(offset, -self.turns.expand(offset.shape[:-1]))
        exponent = -0.5 * (offset / self.std).square().sum(-1)
        norm = self.std.log().sum() + self.dim / 2 * math.log(2 * math.pi)
        return torch.logsumexp(exponent + self.weights.log(), -1) - norm

    def masses(self, grid: Grid) -> Tensor:
        if self.turns is not None or self.swirl:
            return grid.masses(self.log_prob)
        return grid.products(
            self.weights, [grid.normal(m, float(s)) for m, s in zip(self.means.T, self.std, strict=True)]
        )


def rotated(points: Tensor, angle: Tensor) -> Tensor:
    """Points (..., 2) rotated counter-clockwise by angles (...)."""
    c, s = angle.cos(), angle.sin()
    x, y = points[..., 0], points[..., 1]
    return torch.stack([c * x - s * y, s * x + c * y], -1)


@dataclass(frozen=True)
class Cells:
    """Weighted boxes, each uniform; they do not overlap."""

    low: Tensor  # (M, dim)
    high: Tensor  # (M, dim)
    weights: Tensor  # (M,)
    labels: Tensor  # (M,)
    modes = None
    spread = 0.0

    @property
    def dim(self) -> int:
        return self.low.shape[1]

    @property
    def classes(self) -> int:
        return int(self.labels.max()) + 1

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        which = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        share = torch.rand((n, self.dim), generator=generator)
        return self.low[which] + share * (self.high - self.low)[which], self.labels[which]

    def log_prob(self, points: Tensor) -> Tensor:
        density = self.weights / (self.high - self.low).prod(-1)
        total = torch.zeros(points.shape[:-1])
        for low, high, d in zip(self.low, self.high, density, strict=True):
            total += d * ((points >= low) & (points < high)).all(-1)
        return total.log()

    def masses(self, grid: Grid) -> Tensor:
        along = [grid.overlap(*edges) for edges in zip(self.low.T, self.high.T, strict=True)]
        return grid.products(self.weights, along)


@dataclass(frozen=True)
class Picture:
    """A picture's brightness as a density, uniform within each pixel; row 0 is at the top."""

    weights: Tensor  # (H, W)
    dim = 2
    classes = 1
    modes = None
    spread = 0.0
    edge = 1.4  # half the longer side

    def _pixel(self) -> float:
        return 2 * self.edge / max(self.weights.shape)

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        h, w = self.weights.shape
        which = torch.multinomial(self.weights.flatten(), n, replacement=True, generator=generator)
        share = torch.rand((n, 2), generator=generator)
        column, row = which % w + share[:, 0], which // w + share[:, 1]
        points = torch.stack([column - w / 2, h / 2 - row], -1) * self._pixel()
        return points, torch.zeros(n, dtype=torch.int64)

    def log_prob(self, points: Tensor) -> Tensor:
        h, w = self.weights.shape
        column = (points[..., 0] / self._pixel() + w / 2).floor().long()
        row = (h / 2 - points[..., 1] / self._pixel()).floor().long()
        inside = (column >= 0) & (column < w) & (row >= 0) & (row < h)
        mass = self.weights[row.clamp(0, h - 1), column.clamp(0, w - 1)] * inside
        return (mass / self.weights.sum() / self._pixel() ** 2).log()

    def masses(self, grid: Grid) -> Tensor:
        h, w = self.weights.shape
        column, row = torch.arange(w) - w / 2, h / 2 - torch.arange(h)
        pixel = self._pixel()
        x, y = grid.overlap(column * pixel, (column + 1) * pixel), grid.overlap((row - 1) * pixel, row * pixel)
        return grid.with_outside((x.T @ self.weights.double().T @ y).flatten() / self.weights.double().sum())


@dataclass(frozen=True)
class Points:
    """A user's points, drawn with replacement; the density they come from is not known."""

    points: Tensor  # (N, 2)
    labels: Tensor  # (N,)
    modes = None
    spread = 0.0
    log_prob = None

    @property
    def dim(self) -> int:
        return self.points.shape[1]

    @property
    def classes(self) -> int:
        return int(self.labels.max()) + 1

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        which = torch.randint(len(self.points), (n,), generator=generator)
        return self.points[which], self.labels[which]

    def masses(self, grid: Grid) -> Tensor:
        return grid.counts(self.points[None])[0] / len(self.points)


def mixture(means, std, *, modal=True, labels=None, weights=None, **kwargs) -> Mixture:
    means = torch.as_tensor(means, dtype=torch.float32)
    means = means[:, None] if means.ndim == 1 else means
    m, dim = means.shape
    weights = torch.ones(m) if weights is None else torch.as_tensor(weights, dtype=torch.float32)
    labels = torch.arange(m) if labels is None else torch.as_tensor(labels)
    std = torch.as_tensor(std, dtype=torch.float32).expand(dim)
    return Mixture(means, std, weights / weights.sum(), labels, modal, **kwargs)


def boxes(low, high, labels=None) -> Cells:
    low, high = torch.as_tensor(low, dtype=torch.float32), torch.as_tensor(high, dtype=torch.float32)
    area = (high - low).prod(-1)
    labels = torch.zeros(len(low), dtype=torch.int64) if labels is None else torch.as_tensor(labels)
    return Cells(low, high, area / area.sum(), labels)


def along_curve(curves: list[Tensor], std: float) -> Mixture:
    """Equal mass per length along curves, given as fine polylines (N, 2); one label per curve."""
    means, labels = [], []
    for k, curve in enumerate(curves):
        length = torch.cat([torch.zeros(1), (curve[1:] - curve[:-1]).norm(dim=-1).cumsum(0)])
        n = max(2, math.ceil(float(length[-1]) / (0.5 * std)))  # half a std apart: ripples below 1e-8
        place = torch.linspace(0, float(length[-1]), n)
        right = torch.searchsorted(length, place).clamp(1, len(curve) - 1)
        share = ((place - length[right - 1]) / (length[right] - length[right - 1]))[:, None]
        means.append(curve[right - 1] + share * (curve[right] - curve[right - 1]))
        labels += [k] * n
    return mixture(torch.cat(means), std, modal=False, labels=labels)


def gaussians_1d() -> Mixture:
    """Bimodal density in one dimension, as in the usual lecture figure."""
    return mixture([-0.7, 0.6], 0.2, weights=[0.35, 0.65])


def line() -> Mixture:
    return along_curve([torch.tensor([[-1.1, -0.7], [1.1, 0.7]])], 0.04)


def ring() -> Mixture:
    """Eight Gaussians on a circle (Metz et al., Unrolled GANs, ICLR 2017)."""
    angle = torch.arange(8) * (math.pi / 4)
    return mixture(torch.stack([angle.cos(), angle.sin()], 1), 0.07)


def grid() -> Mixture:
    """25 Gaussians on a 5 x 5 grid."""
    axis = torch.linspace(-1.2, 1.2, 5)
    return mixture(torch.cartesian_prod(axis, axis), 0.03)


def spiral() -> Mixture:
    t = torch.linspace(0.15, 1, 400)
    angle = 3.5 * math.pi * t
    return along_curve([torch.stack([angle.cos(), angle.sin()], 1) * (1.25 * t)[:, None]], 0.04)


def two_moons() -> Mixture:
    angle = torch.linspace(0, math.pi, 200)
    upper = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], 1) * 0.8
    return along_curve([upper, -upper], 0.06)


def pinwheel() -> Mixture:
    angle = torch.arange(5) * (2 * math.pi / 5)
    means = torch.stack([angle.cos(), angle.sin()], 1) * 0.75
    return mixture(means, [0.2, 0.045], modal=False, labels=range(5), turns=angle, swirl=1.2)


def square() -> Cells:
    return boxes([[-1.0, -1.0]], [[1.0, 1.0]])


def checkerboard() -> Cells:
    low = torch.tensor([(i / 2 - 1.0, j / 2 - 1.0) for i in range(4) for j in range(4) if (i + j) % 2 == 0])
    return boxes(low * 1.2, (low + 0.5) * 1.2)


def disjoint_pair() -> Cells:
    """Two thin parallel strips, which generated points rarely hit by chance (after Arjovsky et al., WGAN, example
    1)."""
    return boxes([[-1.1, -1.0], [1.0, -1.0]], [[-1.0, 1.0], [1.1, 1.0]], labels=[0, 1])


DISTRIBUTIONS: dict[str, Callable[[], Distribution]] = {
    "gaussians-1d": gaussians_1d,
    "line": line,
    "ring": ring,
    "grid": grid,
    "spiral": spiral,
    "two-moons": two_moons,
    "checkerboard": checkerboard,
    "disjoint-pair": disjoint_pair,
    "pinwheel": pinwheel,
    "square": square,
}


def get_distribution(name: str) -> Distribution:
    if name not in DISTRIBUTIONS:
        raise InputError(f'Data "{name}" is not known; choose from {", ".join(DISTRIBUTIONS)}.')
    return DISTRIBUTIONS[name]()


def from_drawing(points: Tensor) -> Points:
    """Points (N, 2) drawn by a user, in plane coordinates. Raises InputError."""
    points = _checked(points, "The drawing")
    return Points(points.clamp(-VIEW, VIEW), torch.zeros(len(points), dtype=torch.int64))


def from_points(points: Tensor, labels: Tensor | None = None) -> Points:
    """Points (N, 2) of any range, shifted and scaled equally on both axes to fill most of the plane. Raises
    InputError."""
    points = _checked(points, "The file")
    low, high = points.amin(0), points.amax(0)
    size = float((high - low).max())
    if size == 0:
        raise InputError(f"All {len(points)} points are the same; give points that differ.")
    centred = (points.double() - (low.double() + high.double()) / 2) / size * 2.4
    labels = torch.zeros(len(points), dtype=torch.int64) if labels is None else labels
    return Points(centred.float(), labels)


def from_picture(brightness: Tensor) -> Picture:
    """A picture (H, W) of brightness 0 to 1; bright is dense. Pictures with more than MAX_CELLS along an edge are
    averaged down. Raises InputError."""
    if brightness.ndim != 2 or min(brightness.shape) < 2:
        raise InputError(f"A picture of shape {tuple(brightness.shape)} gives no density; give one of 2 x 2 or more.")
    factor = math.ceil(max(brightness.shape) / MAX_CELLS)
    if factor > 1:
        brightness = torch.nn.functional.avg_pool2d(brightness[None].float(), factor, ceil_mode=True)[0]
    if not torch.isfinite(brightness).all() or float(brightness.min()) < 0:
        raise InputError("The picture has pixels that are negative or not finite; give brightness from 0 to 1.")
    if not float(brightness.sum()) > 0:
        raise InputError("The picture is all black, so it has no density; give one with bright pixels.")
    return Picture(brightness.float() / brightness.sum())


def _checked(points: Tensor, what: str) -> Tensor:
    if points.ndim != 2 or points.shape[1] != 2:
        raise InputError(f"{what} has points of shape {tuple(points.shape)}; give two numbers per point.")
    if not MIN_POINTS <= len(points) <= MAX_POINTS:
        raise InputError(f"{what} has {len(points):,} points; give {MIN_POINTS} to {MAX_POINTS:,}.")
    if not torch.isfinite(points).all():
        bad = int((~torch.isfinite(points).all(1)).nonzero()[0, 0]) + 1
        raise InputError(f"{what} has a value that is not finite, first in point {bad}; remove it.")
    return points.float()
