"""A patient: build, warp and textures from one generator; its motion between scans; and its defacing."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ganlab.phantoms.build import Build, sample_build
from ganlab.phantoms.fields import BOX_ORIGIN, BOX_SPACING, Noise, diffeomorphism, displaced
from ganlab.phantoms.head.anatomy import anatomy
from ganlab.phantoms.head.points import Head
from ganlab.phantoms.template import load_template

MEAN_SIZE = 1.125  # template mm per mm of an adult: the template is large


@dataclass(frozen=True)
class Patient:
    """All random properties of a head; `shares` evaluates it at any point."""

    build: Build
    matrix: Tensor  # (3, 3): patient mm -> template mm before the warp
    offset: Tensor  # (3,)
    displacement: Tensor  # (3, X, Y, Z) mm
    noise: Noise

    def to_template(self, points: Tensor) -> Tensor:
        """Points (3, ...) in the patient's RAS mm as template mm."""
        flat = points.reshape(3, -1)
        mapped = (self.matrix @ flat + self.offset[:, None]).reshape(points.shape)
        return displaced(mapped, self.displacement)

    def head(self, points: Tensor, width: float = 1.0) -> Head:
        """The head at points (3, N) in the patient's RAS mm, for voxels of a width in mm."""
        return Head(self.to_template(points), self.build, self.noise, load_template(str(points.device)), width)

    def shares(self, points: Tensor, width: float = 1.0) -> Tensor:
        """Tissue shares (tissues, ...) at points (3, ...) in the patient's RAS mm."""
        shares = anatomy(self.head(points.reshape(3, -1), width))
        return shares.reshape(len(shares), *points.shape[1:])


def make_head(generator: torch.Generator, device: str | torch.device = "cpu") -> Patient:
    """Draw a patient of adult size (a little below the template's, which is large), rotated by a few degrees."""
    build = sample_build(generator)
    size = MEAN_SIZE + 0.018 * torch.randn((), generator=generator) + 0.018 * torch.randn(3, generator=generator)
    shear = 0.02 * torch.randn((3, 3), generator=generator)
    angles = 0.06 * torch.randn(3, generator=generator)
    matrix = torch.diag(size.clamp(1.03, 1.23)) @ (torch.eye(3) + shear) @ rotation(angles)
    displacement = diffeomorphism(generator, {40.0: 3.5, 18.0: 1.4, 9.0: 0.7}, device)
    return Patient(build, matrix.to(device), torch.zeros(3, device=device), displacement, Noise(generator, device))


def rotation(angles: Tensor) -> Tensor:
    """(3, 3) rotation by angles (3,) in radians about x, y, z."""
    skew = torch.zeros(3, 3)
    skew[2, 1], skew[0, 2], skew[1, 0] = angles
    return torch.linalg.matrix_exp(skew - skew.T)


def misaligned(patient: Patient, amount: float, generator: torch.Generator) -> Patient:
    """The patient at a later scan: rotated and shifted as a whole, with throat, jaw and neck deformed by `amount` mm.

    After registration, scans of one patient agree in the skull within about a millimetre, but not in throat, mouth and
    neck (Wolterink et al., SASHIMI 2017, figure 2). The local deformation increases from the skull base downwards.
    """
    turn = rotation(0.004 * amount * torch.randn(3, generator=generator)).to(patient.matrix)
    shift = 0.2 * amount * torch.randn(3, generator=generator)
    local = diffeomorphism(generator, {22.0: amount / math.sqrt(3)}, patient.displacement.device)
    height = BOX_ORIGIN[2] + BOX_SPACING * torch.arange(local.shape[3], device=local.device)
    low = torch.sigmoid(-(height + 62) / 10)
    return replace(
        patient,
        matrix=patient.matrix @ turn,
        offset=patient.offset + shift.to(patient.offset),
        displacement=patient.displacement + (0.15 + 0.85 * low) * local,
    )


class Deface:
    """Defacing as in public scans: removes everything anterior to a wavy oblique plane, but no brain or vault."""

    def __init__(self, generator: torch.Generator):
        def uniform(low: float, high: float) -> float:
            return low + (high - low) * float(torch.rand((), generator=generator))

        self.angle, self.top, self.front = uniform(0.0, 0.8), uniform(-38, -4), uniform(38, 82)
        self.wobble, self.wave, self.margin = uniform(1, 9), uniform(20, 50), uniform(4, 12)

    def __call__(self, p: Tensor, patient: Any) -> Tensor:
        """Which of the points (3, ...) in template mm are removed from a patient, of whom only the noise is used."""
        wobble = self.wobble * patient.noise(p, self.wave, 3)
        beyond = math.cos(self.angle) * (p[1] - self.front) - math.sin(self.angle) * (p[2] - self.top) + wobble
        beyond = torch.minimum(beyond, self.top + 14 - p[2])
        keep = load_template(str(p.device)).distance(p) < self.margin
        return (beyond > 0) & ~keep
