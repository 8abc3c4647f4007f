"""A patient: a build, a warp and textures from one seed, and volumes of what scanners would see."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import InputError
from ganlab.imaging.phantom.anatomy import Build, anatomy, sample_build
from ganlab.imaging.phantom.fields import Noise, diffeomorphism, displaced
from ganlab.imaging.phantom.template import load_template
from ganlab.imaging.phantom.tissues import table
from ganlab.imaging.volume import UNITS, Volume


@dataclass(frozen=True)
class Patient:
    """Everything random about a head; `shares` evaluates it anywhere."""

    build: Build
    matrix: Tensor  # (3, 3): patient mm -> template mm before the warp
    offset: Tensor  # (3,)
    displacement: Tensor  # (3, X, Y, Z) mm
    noise: Noise

    def to_template(self, points: Tensor) -> Tensor:
        flat = points.reshape(3, -1)
        mapped = (self.matrix @ flat + self.offset[:, None]).reshape(points.shape)
        return displaced(mapped, self.displacement)

    def shares(self, points: Tensor, width: float = 1.0) -> Tensor:
        """Tissue shares (tissues, ...) at points (3, ...) in the patient's RAS mm."""
        template = load_template(str(points.device))
        return anatomy(self.to_template(points), self.build, self.noise, template, width)


def make_head(generator: torch.Generator, device="cpu") -> Patient:
    """Draw a patient: adult size (a little below the template's, which is large), rotated by a few degrees."""
    build = sample_build(generator)
    size = 1.08 + 0.035 * torch.randn((), generator=generator) + 0.03 * torch.randn(3, generator=generator)
    shear = 0.02 * torch.randn((3, 3), generator=generator)
    angles = 0.06 * torch.randn(3, generator=generator)
    matrix = torch.diag(size.clamp(0.92, 1.25)) @ (torch.eye(3) + shear) @ rotation(angles)
    displacement = diffeomorphism(generator, {40.0: 4.0, 18.0: 1.4, 9.0: 0.7}, device)
    return Patient(build, matrix.to(device), torch.zeros(3, device=device), displacement, Noise(generator, device))


def rotation(angles: Tensor) -> Tensor:
    """(3, 3) rotation by angles (3,) in radians about x, y, z."""
    skew = torch.zeros(3, 3)
    skew[2, 1], skew[0, 2], skew[1, 0] = angles
    return torch.linalg.matrix_exp(skew - skew.T)


MODALITIES = ("t1", "ct", "labels")
FIELD_OF_VIEW = np.array([[-96.0, 96.0], [-128.0, 112.0], [-140.0, 100.0]])  # mm, RAS: the head and upper neck
SPACINGS = (0.5, 8.0)  # mm
WHITE = 800.0  # white matter on the T1 volume, arbitrary units


def make_patient(
    seed: int,
    modalities: Iterable[str] = ("t1", "ct"),
    spacing: float = 1.0,
    device: str = "cpu",
    progress: Callable[[float], None] | None = None,
) -> dict[str, Volume]:
    """Volumes of the patient with this seed, all on one RAS grid of isotropic spacing in mm.

    t1: magnetisation-prepared gradient echo, arbitrary units, with bias field and Rician noise; ct: HU with noise;
    labels: uint8 index into LABELS, the tissue that covers most of the voxel. At 1 mm: 192 x 240 x 240 voxels.
    The same seed gives the same bytes on a CPU. Raises InputError for an unknown modality, a seed that is not a
    non-negative integer or a spacing out of range.
    """
    modalities = tuple(modalities)
    check_request(seed, modalities, spacing)
    generator = torch.Generator().manual_seed(int(seed))
    with torch.inference_mode():
        head = make_head(generator, device)
        shape = np.round((FIELD_OF_VIEW[:, 1] - FIELD_OF_VIEW[:, 0]) / spacing).astype(int)
        axes = [
            torch.from_numpy(low + spacing * (np.arange(n) + 0.5)).float().to(device)
            for low, n in zip(FIELD_OF_VIEW[:, 0], shape, strict=True)
        ]
        signals = {"t1": table("t1", device), "ct": table("hu", device)}
        arrays = {m: np.empty(shape, np.uint8 if m == "labels" else np.float32) for m in modalities}
        slab = max(1, 120_000 // int(shape[1] * shape[0]))
        for k in range(0, shape[2], slab):
            points = torch.stack(torch.meshgrid(axes[0], axes[1], axes[2][k : k + slab], indexing="ij"))
            shares = head.shares(points, spacing)
            for m, array in arrays.items():
                if m == "labels":
                    array[:, :, k : k + slab] = _largest(shares).cpu().numpy()
                else:
                    array[:, :, k : k + slab] = torch.tensordot(signals[m], shares, 1).cpu().numpy()
            if progress:
                progress(min(1.0, (k + slab) / shape[2]))
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = FIELD_OF_VIEW[:, 0] + spacing / 2
    scanner = np.random.default_rng([int(seed), 1])
    if "t1" in arrays:
        arrays["t1"] = _magnet(arrays["t1"], spacing, scanner)
    if "ct" in arrays:
        arrays["ct"] = _tube(arrays["ct"], spacing, scanner)
    return {m: Volume(a, affine, UNITS.get(m, "arbitrary"), m) for m, a in arrays.items()}


def _largest(shares: Tensor) -> Tensor:
    """argmax over the first axis as uint8; torch's own is ten times slower over a strided axis."""
    best, label = shares[0].clone(), torch.zeros_like(shares[0], dtype=torch.uint8)
    for k in range(1, len(shares)):
        higher = shares[k] > best
        label[higher] = k
        torch.maximum(best, shares[k], out=best)
    return label


def check_request(seed, modalities: tuple[str, ...], spacing: float) -> None:
    unknown = [m for m in modalities if m not in MODALITIES]
    if unknown or not modalities:
        raise InputError(f'Modality "{", ".join(unknown)}" is not made; choose from {", ".join(MODALITIES)}.')
    if isinstance(seed, bool) or int(seed) != seed or not 0 <= seed < 2**63:
        raise InputError(f"Seed {seed} is not a whole number from 0 to 2^63 - 1; choose one such as 7.")
    if not SPACINGS[0] <= spacing <= SPACINGS[1]:
        size = np.prod((FIELD_OF_VIEW[:, 1] - FIELD_OF_VIEW[:, 0]) / max(spacing, 1e-3)) * 4 / 2**30
        raise InputError(
            f"Spacing {spacing:g} mm is outside {SPACINGS[0]:g}-{SPACINGS[1]:g} mm"
            + (f" and would need {size:,.0f} GiB per volume" if 0 < spacing < SPACINGS[0] else "")
            + "; 1 mm is usual."
        )


def _magnet(signal: np.ndarray, spacing: float, rng: np.random.Generator) -> np.ndarray:
    """Point spread, receive-field bias and Rician noise (Gudbjartsson and Patz, MRM 34:910, 1995)."""
    from scipy import ndimage

    image = ndimage.gaussian_filter(signal, 0.45 / spacing)
    axes = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in image.shape), indexing="ij", sparse=True)
    slope = rng.normal(0, 0.12, 3)
    image *= np.exp(sum(s * a - 0.1 * a**2 for s, a in zip(slope, axes, strict=True)))
    std = rng.uniform(0.012, 0.03)
    real = image + std * rng.standard_normal(image.shape, dtype=np.float32)
    imaginary = std * rng.standard_normal(image.shape, dtype=np.float32)
    return np.hypot(real, imaginary, out=real) * np.float32(WHITE)


def _tube(hu: np.ndarray, spacing: float, rng: np.random.Generator) -> np.ndarray:
    """Point spread and quantum noise of a soft-tissue kernel; stored as whole HU, as scanners do."""
    from scipy import ndimage

    noise = ndimage.gaussian_filter(rng.standard_normal(hu.shape, dtype=np.float32), 0.6)
    noise *= rng.uniform(4, 9) / noise.std()
    return np.clip(np.round(ndimage.gaussian_filter(hu, 0.6 / spacing) + noise), -1024, 3071).astype(np.float32)
