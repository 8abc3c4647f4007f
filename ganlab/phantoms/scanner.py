"""Acquisition: from signals of tissues to stored volumes, with point spread, slices, bias, noise and metal artefacts.

Volumes are (X, Y, Z) float32 in RAS order with isotropic voxels of `spacing` mm. No function changes its input; each
returns a new volume on the same grid, and `rng` is the only source of randomness. Widths are full widths at half
maximum (FWHM) in mm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ganlab.phantoms.tissues import TISSUES

if TYPE_CHECKING:  # scipy.sparse is loaded for metal only
    from scipy.sparse import csr_array

WHITE = 800.0  # stored value of an MR signal of 1 (white matter on T1), arbitrary units
HU_RANGE = (-1024, 3071)  # 12 bits
DIFFUSION_VOXEL = 2.0  # mm
PET_SPREAD, PET_NOISE = 4.5, 0.06  # mm; std in white matter
SIGMA = 1 / math.sqrt(8 * math.log(2))  # standard deviation of a Gaussian of FWHM 1
TRUNCATE = 3.0  # standard deviations at which a kernel ends


@dataclass(frozen=True)
class Scanner:
    """How MR and CT are acquired."""

    noise: float = 0.018  # std of each MR channel (real, imaginary), relative to a signal of 1
    bias: float = 0.12  # MR receive field: std of its logarithm at the edge of the volume
    point_spread: float = 1.0  # mm, MR
    slice_thickness: float = 0.0  # mm, MR, axial; a 3-D acquisition if no thicker than a voxel
    gamma: float = 1.0  # exponent of the MR magnitude; 1 is linear
    fat_suppressed: bool = False
    ct_noise: float = 6.0  # HU, std
    ct_kernel: float = 1.4  # mm, FWHM of the reconstruction kernel


SCANNERS = {  # their labels are in options.py
    "research": Scanner(),  # 3-D, low noise
    "fat-suppressed": Scanner(noise=0.025, gamma=1.4, fat_suppressed=True),  # water excitation, high contrast
    "clinical": Scanner(noise=0.03, bias=0.18, slice_thickness=4.0, ct_noise=8.0),  # 1 x 1 x 4 mm
    "noisy": Scanner(noise=0.06, bias=0.35, point_spread=1.4, ct_noise=14.0, ct_kernel=1.1),  # an old coil and tube
}


def acquire_mr(signal: np.ndarray, spacing: float, scanner: Scanner, rng: np.random.Generator) -> np.ndarray:
    """MR magnitude in arbitrary units (a signal of 1 is stored as 800) from signals such as mr_signals gives.

    Noise is Rician: the magnitude of a signal with Gaussian noise in both channels (Gudbjartsson and Patz, MRM 34:910,
    1995), in air std sqrt(pi / 2). Slices thicker than a voxel get their own noise and are then interpolated linearly
    to the grid, as by a viewer.
    """
    depth = max(1, round(scanner.slice_thickness / spacing))
    image = thick_slices(blur(signal, scanner.point_spread / spacing), depth)
    for axis, factor in enumerate(bias_field(image.shape, scanner.bias, rng)):
        image *= np.expand_dims(factor, [k for k in range(3) if k != axis])
    real, imaginary = (rng.standard_normal(image.shape, dtype=np.float32) for _ in range(2))
    real *= np.float32(scanner.noise)
    imaginary *= np.float32(scanner.noise)
    real += image
    np.hypot(real, imaginary, out=image)
    if scanner.gamma != 1:
        image **= np.float32(scanner.gamma)
    image *= np.float32(WHITE)
    return between_slices(image, depth, signal.shape[2])


def bias_field(shape: tuple[int, ...], strength: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Factors along each axis of a smooth receive field, 1 at the centre: exp(slope u - curvature u^2), u in -1..1.

    A low-order polynomial of the logarithm (Van Leemput et al., IEEE TMI 18:885, 1999), brightest near the middle.
    """
    slopes, curvatures = rng.normal(0, strength, 3), rng.normal(strength / 2, strength / 4, 3)
    axes = (np.linspace(-1, 1, n) for n in shape)
    return [np.exp(s * u - c * u**2).astype(np.float32) for s, c, u in zip(slopes, curvatures, axes, strict=True)]


def acquire_ct(
    hu: np.ndarray,
    spacing: float,
    scanner: Scanner,
    rng: np.random.Generator,
    metal: np.ndarray | None = None,
) -> np.ndarray:
    """CT in integer HU from -1024 to 3071, as float32, from the HU of tissues and the share of metal in each voxel.

    Quantum noise passes through the reconstruction kernel like the object, so that its correlation matches the image's
    sharpness. Axial slices with metal get streaks.
    """
    kernel = scanner.ct_kernel / spacing
    image = noise_before_blur(hu.shape, scanner.ct_noise, kernel, rng)
    image += hu
    image = blur(image, kernel)
    if metal is not None:
        metal_slices = np.flatnonzero(metal.max(axis=(0, 1)) >= VISIBLE_METAL)
        if len(metal_slices):
            image[:, :, metal_slices] += metal_streaks(
                hu.take(metal_slices, 2), metal.take(metal_slices, 2), spacing, rng
            )
    np.round(image, out=image)
    return np.clip(image, *HU_RANGE, out=image)


def acquire_fa(fa: np.ndarray, spacing: float, scanner: Scanner, rng: np.random.Generator) -> np.ndarray:
    """FA in 0..1 from diffusion voxels of 2 mm, interpolated to the grid.

    Noise scales with that of the MR scanner. Since it makes eigenvalues unequal, FA never falls to zero in tissue
    (Pierpaoli and Basser, MRM 36:893, 1996). Where FA is exactly 0 no tensor was fitted, and it stays 0.
    """
    std = scanner.noise * 1.5  # after averaging over the directions: 0.03 in FA at an SNR of 50
    voxel = DIFFUSION_VOXEL / spacing
    image = noise_before_blur(fa.shape, std, voxel, rng)
    image += fa
    image = blur(image, voxel)
    np.hypot(image, np.float32(std), out=image)
    image *= fa > 0
    return np.minimum(image, 1, out=image)


def acquire_pet(uptake: np.ndarray, spacing: float, rng: np.random.Generator) -> np.ndarray:
    """PET uptake relative to white matter, through a 4.5 mm point spread (HRRT to clinical: 2.5 to 6 mm).

    Counts are Poisson-distributed, so noise grows with the square root of the uptake; reconstruction correlates it.
    """
    spread = PET_SPREAD / spacing
    image = noise_before_blur(uptake.shape, PET_NOISE, spread, rng)
    image *= np.sqrt(uptake)
    image += uptake
    image = blur(image, spread)
    return np.maximum(image, 0, out=image)


def blur(volume: np.ndarray, width: float) -> np.ndarray:
    """A Gaussian point spread of FWHM `width` voxels, reflected at the edges, which preserves the mean."""
    from scipy import ndimage

    return ndimage.gaussian_filter(volume, width * SIGMA, truncate=TRUNCATE)


def noise_before_blur(shape: tuple[int, ...], std: float, width: float, rng: np.random.Generator) -> np.ndarray:
    """White Gaussian noise whose standard deviation after blur(noise, width) is std."""
    sigma = width * SIGMA
    x = np.arange(-int(TRUNCATE * sigma + 0.5), int(TRUNCATE * sigma + 0.5) + 1)
    kernel = np.exp(-0.5 * (x / sigma) ** 2)
    noise = rng.standard_normal(shape, dtype=np.float32)
    noise *= np.float32(std * (kernel.sum() / np.linalg.norm(kernel)) ** len(shape))
    return noise


def thick_slices(volume: np.ndarray, depth: int) -> np.ndarray:
    """(X, Y, ceil(Z / depth)) means over slices `depth` voxels thick: the box profile of slice selection."""
    if depth == 1:
        return volume
    starts = np.arange(0, volume.shape[2], depth)
    counts = np.diff(starts, append=volume.shape[2]).astype(np.float32)
    return np.add.reduceat(volume, starts, axis=2) / counts


def between_slices(slices: np.ndarray, depth: int, count: int) -> np.ndarray:
    """(X, Y, count) voxels, linear between the centres of slices `depth` voxels thick, constant beyond the last.

    The volume keeps the slices' mean if count is a multiple of depth.
    """
    if depth == 1:
        return slices
    starts = np.arange(0, count, depth)
    centres = (starts + np.minimum(starts + depth, count) - 1) / 2
    position = np.interp(np.arange(count), centres, np.arange(len(starts)))
    low = np.minimum(position.astype(int), max(len(starts) - 2, 0))
    high = np.minimum(low + 1, len(starts) - 1)
    weight = (position - low).astype(np.float32)
    below = slices.take(low, 2)
    image = slices.take(high, 2)
    image -= below
    image *= weight
    image += below
    return image


# A 120 kVp tube in lines of 40, 60, 80 and 100 keV: their shares, and attenuation in 1/cm of water and of a dental
# alloy that attenuates as iron does at 7.9 g/cm3 (Hubbell and Seltzer, NISTIR 5632, 1995).
SPECTRUM = np.array([0.15, 0.40, 0.30, 0.15])
WATER = np.array([0.268, 0.206, 0.184, 0.171])
ALLOY = np.array([28.6, 9.5, 4.7, 2.9])
PHOTONS = 3e5  # per ray and view, before the head
VIEWS = 360  # over half a turn
VISIBLE_METAL = 0.05  # share of a voxel below which metal makes no streaks


def metal_streaks(hu: np.ndarray, metal: np.ndarray, spacing: float, rng: np.random.Generator) -> np.ndarray:
    """The contribution of metal to the HU of axial slices (X, Y, N): itself, beam hardening and photon starvation.

    Parallel rays are projected through tissue (as water of its density) and metal. The log signal of a scanner,

        p = -ln(Poisson(I sum_E s_E exp(-w_E L_water - m_E L_metal)) / I),

    minus the same without metal, is what metal adds to each ray. Filtered back-projection is linear and turns it into
    what metal adds to the image (De Man et al., IEEE Trans Nucl Sci 46:691, 1999; reconstruction:
    Kak and Slaney, Principles of Computerized Tomographic Imaging, 1988, section 3.3).
    """
    shape = hu.shape
    metal, hu = (x.reshape(-1, shape[2]).astype(np.float32, order="C") for x in (metal, hu))
    tissue = np.maximum(1 + hu / 1000 - (1 + TISSUES["metal"].hu / 1000) * metal, 0)
    inside, alloyed = np.flatnonzero(tissue.any(1)), np.flatnonzero(metal.any(1))
    tissue, alloy = tissue[inside] * np.float32(spacing / 10), metal[alloyed] * np.float32(spacing / 10)
    bins = math.ceil(math.hypot(*shape[:2])) + 2
    ramp = ramp_filter(bins)
    image = np.zeros_like(metal)
    for angle in np.arange(VIEWS) * (math.pi / VIEWS):
        rays = parallel_rays(shape[:2], angle, bins)
        behind = rays[alloyed].T @ alloy  # (bins, N) cm of metal
        hit = behind > 0
        behind, before = behind[hit], (rays[inside].T @ tissue)[hit]
        lines = SPECTRUM * np.exp(-np.multiply.outer(before, WATER))
        counts = rng.poisson(PHOTONS * (lines * np.exp(-np.multiply.outer(behind, ALLOY))).sum(1))
        added = np.zeros(hit.shape, np.float32)
        added[hit] = np.log(PHOTONS * lines.sum(1) / np.maximum(counts, 0.5))
        image += rays @ np.fft.irfft(ramp * np.fft.rfft(added, len(ramp) * 2 - 2, axis=0), axis=0)[:bins]
    image *= 1000 / (SPECTRUM @ WATER) * math.pi / VIEWS / (spacing / 10)
    return image.reshape(shape)


def parallel_rays(shape: tuple[int, int], angle: float, bins: int) -> csr_array:
    """(pixels, bins) sparse: each pixel's share in the two rays nearest it, one pixel apart, seen at an angle.

    Its transpose projects; the matrix itself back-projects.
    """
    from scipy.sparse import csr_array

    u, v = (np.arange(n, dtype=np.float32) - (n - 1) / 2 for n in shape)
    u, v = u * np.float32(math.cos(angle)), v * np.float32(math.sin(angle))
    t = np.add.outer(u + np.float32((bins - 1) / 2), v).ravel()
    low = t.astype(np.int32)
    above = t - low
    shares = np.stack([1 - above, above], 1).ravel()
    columns = np.stack([low, low + 1], 1).ravel()
    return csr_array((shares, columns, np.arange(0, 2 * t.size + 1, 2, dtype=np.int32)), shape=(t.size, bins))


def ramp_filter(bins: int) -> np.ndarray:
    """(frequencies, 1) float32 transform of the band-limited ramp, with a Hann window, for rays one pixel apart."""
    size = 2 ** math.ceil(math.log2(2 * bins))
    n = np.fft.fftfreq(size, 1 / size)
    kernel = np.where(n % 2 == 1, -1 / (np.pi * np.where(n == 0, 1, n)) ** 2, 0.0)
    kernel[0] = 0.25
    hann = 0.5 + 0.5 * np.cos(2 * np.pi * np.fft.rfftfreq(size))
    return (np.fft.rfft(kernel).real * hann).astype(np.float32)[:, None]
