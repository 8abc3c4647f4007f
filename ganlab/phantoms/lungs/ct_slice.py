"""One CT slice of the chest: shapes through its thickness, then the reconstruction kernel and its noise.

A slice is drawn on 128 x 128 points of 0.35 mm, half the pixel size of 0.7 mm, and acquired as 56 x 56 pixels. Points
are (x, y, z) mm with the patch's centre at 0: x to the right of the image, y down (dorsal in a supine patient), z along
the body. Coverage is the share, 0..1, of a point's volume through the slice that a shape fills.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft, sparse

SIZE, PIXEL = 56, 0.7  # pixels and mm of a patch
POINTS, FINE = 128, PIXEL / 2  # points and mm of the drawing, which extends 2.8 mm beyond the patch
MARGIN = (POINTS // 2 - SIZE) // 2  # pixels
LEVELS = 3  # sheets through the thickness of a slice
AXIS = ((np.arange(POINTS) - (POINTS // 2 - 1)) * FINE).astype(np.float32)  # mm; even points are pixels
HU_RANGE = (-1024, 3071)  # 12 bits


class Slab:
    """The points of a slice of this thickness in mm: x (1, 1, P), y (1, P, 1) and z (LEVELS, 1, 1)."""

    def __init__(self, thickness: float):
        self.thickness = thickness
        self.x, self.y = AXIS[None, None, :], AXIS[None, :, None]
        sheets = (np.arange(LEVELS) + 0.5) / LEVELS - 0.5
        self.z = (sheets * thickness).astype(np.float32)[:, None, None]

    def window(self, low: np.ndarray, high: np.ndarray) -> tuple[slice, slice]:
        """Rows and columns of the points between two corners (x, y) in mm, one point beyond each."""
        columns, rows = (slice(_point(a) - 1, _point(b) + 2) for a, b in zip(low, high, strict=True))
        return rows, columns


def _point(mm: float) -> int:
    """Index of the last point at or before a position, at least two points inside the drawing."""
    return min(max(math.floor((mm - AXIS[0]) / FINE), 2), POINTS - 2)


def covered(distance: np.ndarray, width: float = FINE) -> np.ndarray:
    """Coverage from a signed distance in mm, negative inside, over an edge of this width in mm."""
    share = 0.5 - distance * np.float32(1 / max(width, FINE))
    return np.clip(share, 0, 1, out=share)


def mean_sheet(coverage: np.ndarray) -> np.ndarray:
    """Coverage (...) through the whole slice: the mean of its sheets (LEVELS, ...)."""
    return sum(coverage) * np.float32(1 / LEVELS)


def blended(hu: np.ndarray, value: np.ndarray | float, coverage: np.ndarray) -> np.ndarray:
    """HU with a shape of this value painted over."""
    return hu + coverage * (value - hu)


def tubes(slab: Slab, segments: np.ndarray) -> np.ndarray:
    """Coverage (P, P) of the union of tapered capsules (K, 8): two ends x, y, z and their two radii, in mm.

    Tubes finer than the sheets are widened and made fainter, with the same cross-section, so that they do not fall
    between two sheets. Each capsule is drawn in a window around it; windows of one size are drawn together.
    """
    union = np.zeros((LEVELS, POINTS, POINTS), np.float32)
    finest = np.float32(max(0.6 * slab.thickness / LEVELS, 0.6 * FINE))
    segments = segments.astype(np.float32)
    a, b, widest = segments[:, :3], segments[:, 3:6], segments[:, 6:].max(1, initial=0)
    wide = (np.maximum(widest, finest) + FINE / 2)[:, None]
    low, high = np.minimum(a, b) - wide, np.maximum(a, b) + wide
    edge = np.array([-AXIS[0], -AXIS[0], slab.z.max()], np.float32)
    seen = ((low < edge) & (high > -edge)).all(1)
    segments, low, high = segments[seen], low[seen, :2], high[seen, :2]
    sizes = np.minimum(12 * np.ceil(((high - low).max(1, initial=0) / FINE + 1) / 12), POINTS).astype(int)
    corners = np.clip(np.floor((low - AXIS[0]) / FINE), 0, POINTS - sizes[:, None]).astype(int)
    for size in np.unique(sizes):
        alike = sizes == size
        windows = _capsules(slab, segments[alike], corners[alike], size, finest)
        for (column, row), coverage in zip(corners[alike].tolist(), windows, strict=True):
            window = union[:, row : row + size, column : column + size]
            np.maximum(window, coverage, out=window)
    return mean_sheet(union)


def _capsules(slab: Slab, segments: np.ndarray, corners: np.ndarray, size: int, finest: np.float32) -> np.ndarray:
    """Coverage (K, LEVELS, size, size) of capsules (K, 8) in windows of this size at corners (K, 2), column and row."""
    ax, ay, az, bx, by, bz, ra, rb = segments.T[:, :, None, None, None]
    ux, uy, uz = bx - ax, by - ay, bz - az
    inside = np.arange(size)
    x = AXIS[corners[:, :1] + inside][:, None, None, :] - ax
    y = AXIS[corners[:, 1:] + inside][:, None, :, None] - ay
    z = slab.z - az
    along, length2 = (y * uy + z * uz) + x * ux, ux * ux + uy * uy + uz * uz
    t = np.clip(along / length2, 0, 1)
    distance = t * length2  # |p - a - t u|^2 = |p - a|^2 + t (t |u|^2 - 2 (p - a) u)
    distance -= along
    distance -= along
    distance *= t
    distance += (y * y + z * z) + x * x
    np.sqrt(np.maximum(distance, 0, out=distance), out=distance)
    middle = (ra + rb) / 2
    widened = np.maximum(middle, finest)
    soft = widened - np.sqrt(widened**2 - FINE**2 / 12)  # what an edge of width FINE adds to a disc
    t *= rb - ra
    t += ra - soft
    distance -= np.maximum(t, finest - soft, out=t)
    return covered(distance) * (middle / widened) ** 2


def polyline(points: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Segments (K, 8) for tubes along points (..., n + 1, 3) mm with radii (..., n + 1) mm."""
    ends = points[..., :-1, :], points[..., 1:, :], radii[..., :-1, None], radii[..., 1:, None]
    return np.concatenate(ends, -1).reshape(-1, 8)


@lru_cache
def _spline(scale: float) -> sparse.csr_array:
    """(P, knots) values of cubic B-splines on knots `scale` mm apart, four to a row, rows of unit norm."""
    position = np.arange(POINTS) * FINE / scale
    t = position % 1
    values = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], 1)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    knots = np.floor(position).astype(int)[:, None] + np.arange(4)
    return sparse.csr_array((values.astype(np.float32).ravel(), knots.ravel(), np.arange(0, 4 * POINTS + 1, 4)))


def smooth_field(rng: np.random.Generator, scale: float) -> np.ndarray:
    """A Gaussian random field (P, P), mean 0, standard deviation 1, that varies over about `scale` mm.

    Splines with random weights. Sparse products run in one thread, so the bits do not depend on the thread count.
    """
    basis = _spline(scale)
    nodes = rng.standard_normal((basis.shape[1],) * 2, dtype=np.float32)
    return basis @ (basis @ nodes).T


@dataclass(frozen=True)
class Kernel:
    """How a slice was reconstructed."""

    width: float  # mm, FWHM of the point spread
    edge: float  # edge enhancement of a sharp kernel, which overshoots at edges
    noise: float  # HU, standard deviation

    def transfer(self, frequency: np.ndarray) -> np.ndarray:
        """Modulation transfer at frequencies in 1/mm, 1 at 0: a Gaussian minus a wider one times `edge`."""
        a = (math.pi * self.width * frequency) ** 2 / (4 * math.log(2))
        return (1 + self.edge) * np.exp(-a) - self.edge * np.exp(-5 * a)

    def noise_power(self, frequency: np.ndarray) -> np.ndarray:
        """Noise power, mean 1 over the given frequencies: the ramp of filtered backprojection times the transfer
        squared (Riederer, Pelc and Chesler, Phys Med Biol 23:446, 1978), and a little at 0, from the sampling by pixels
        (Kijewski and Judy, Phys Med Biol 32:565, 1987)."""
        power = (frequency + 0.02) * self.transfer(frequency) ** 2
        return power / power.mean()


def draw_kernel(rng: np.random.Generator) -> Kernel:
    """A soft, medium or sharp ("lung") kernel: its transfer falls to half at 0.3 to 0.75 line pairs per mm."""
    sharpness = rng.random()
    noise = 9 + 10 * sharpness + 16 * rng.beta(1.2, 2.2)
    return Kernel(1.45 - 0.65 * sharpness, max(0.0, sharpness - 0.4) * rng.uniform(0.3, 0.8), min(noise, 40.0))


def _frequencies(points: int, spacing: float) -> np.ndarray:
    return np.hypot(fft.fftfreq(points, spacing)[:, None], fft.fftfreq(points, spacing)[None]).astype(np.float32)


FINE_FREQUENCY = _frequencies(POINTS, FINE)[:, : POINTS // 2 + 1]
PIXEL_FREQUENCY = _frequencies(POINTS // 2, PIXEL)


def acquire(hu: np.ndarray, kernel: Kernel, rng: np.random.Generator) -> np.ndarray:
    """Pixels (56, 56), integer HU from -1024 to 3071 as float32, of a slice drawn in HU (P, P)."""
    spectrum = fft.rfft2(hu.astype(np.float32, copy=False))
    spectrum *= kernel.transfer(FINE_FREQUENCY)
    image = fft.irfft2(spectrum, s=hu.shape)[::2, ::2]
    white = rng.standard_normal((POINTS // 2,) * 2, dtype=np.float32)
    shaped = fft.rfft2(white) * np.sqrt(kernel.noise_power(PIXEL_FREQUENCY))[:, : POINTS // 4 + 1]
    image = image + kernel.noise * fft.irfft2(shaped, s=white.shape)
    return np.clip(np.round(patch(image)), *HU_RANGE).astype(np.float32)


def patch(pixels: np.ndarray) -> np.ndarray:
    """The patch (56, 56) within pixels (64, 64)."""
    return pixels[MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE]
