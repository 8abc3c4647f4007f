"""Lengths and proportions of the head, which vary between patients in addition to their warp."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ganlab.phantoms.lesions import Lesion, Spot


@dataclass(frozen=True)
class Build:
    """Lengths in mm, the rest relative to the adult mean = 1."""

    fluid: float = 2.0  # subarachnoid space under the inner table
    skull: float = 6.5
    diploe: float = 1.0
    fat: float = 3.5
    skin: float = 2.2
    galea: float = 1.5
    atrophy: float = 1.0  # prior weight of fluid against tissue
    ventricles: float = 1.0  # width of the lateral ventricles
    sharpness: float = 2.5  # exponent that sharpens the template's averaged folds
    sinus: float = 1.0
    frontal: float = 1.0
    mastoid: float = 1.0
    face: float = 1.0
    neck: float = 1.0
    lean: float = 0.0  # forward tilt of the neck, mm over 100 mm
    jaw: float = 0.0  # opening of the mouth
    lesion: Lesion | None = None
    flap: Spot | None = None  # a craniotomy's bone flap: centre of its outer surface, and radius
    fillings: tuple[tuple[float, float, float], ...] = ()  # centres of amalgam in the teeth, template mm


def sample_build(generator: torch.Generator) -> Build:
    """A patient's build: normally distributed within adult ranges, clipped at their ends."""

    def draw(mean: float, std: float, low: float, high: float) -> float:
        return float((mean + std * torch.randn((), generator=generator)).clamp(low, high))

    return Build(
        fluid=draw(1.7, 0.7, 0.6, 4.0),
        skull=draw(7.4, 1.2, 4.6, 10.5),
        diploe=draw(1.0, 0.3, 0.4, 1.8),
        fat=draw(3.4, 1.4, 1.0, 8.0),
        skin=draw(2.1, 0.4, 1.3, 3.2),
        galea=draw(1.5, 0.5, 0.5, 3.0),
        atrophy=draw(2.2, 1.0, 0.9, 5.0),
        ventricles=draw(1.1, 0.25, 0.7, 2.0),
        sharpness=draw(2.6, 0.6, 1.4, 4.0),
        sinus=draw(1.0, 0.14, 0.65, 1.3),
        frontal=draw(0.95, 0.35, 0.0, 1.7),
        mastoid=draw(1.0, 0.25, 0.3, 1.5),
        face=draw(1.0, 0.05, 0.88, 1.12),
        neck=draw(1.0, 0.1, 0.8, 1.3),
        lean=draw(2.0, 9.0, -16.0, 24.0),
        jaw=draw(2.0, 3.0, 0.0, 10.0),
    )


def seed_build(seed: int) -> Build:
    """The build of the patient with this seed: the first thing that a head draws."""
    return sample_build(torch.Generator().manual_seed(seed))
