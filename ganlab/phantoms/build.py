"""Lengths and proportions of the head, which vary between patients in addition to their warp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ganlab.phantoms.lesions import Lesion, Spot

Pair = tuple[float, float]  # right (x > 0) and left


@dataclass(frozen=True)
class AirCells:
    """Air in the bones of the head: paranasal sinuses and the cells of the temporal bones."""

    sphenoid_back: float = 3.0  # y mm of the posterior wall: > 9 presellar, < -5 behind the sella
    sphenoid_width: float = 1.0
    sphenoid_septum: float = 2.0  # mm, x of its septum
    recess: Pair = (0.0, 0.0)  # lateral recesses into the roots of the pterygoids; 0: none
    ethmoid: float = 1.0
    frontal: Pair = (0.95, 0.95)  # 0: aplasia
    maxillary: Pair = (1.0, 1.0)
    lining: tuple[float, float, float, float, float] = (0.6, 0.4, 0.6, 1.0, 1.0)
    # ^ mm of mucosa in sphenoid, ethmoid, frontal and the maxillary sinuses (right, left); 40: opacified
    mastoid: Pair = (17.0, 17.0)  # mm that cells reach from the antrum; 0: sclerotic
    apex: Pair = (0.0, 0.0)  # air in the petrous apex; 0: marrow
    effusion: Pair = (0.0, 0.0)  # share of the cells filled with fluid
    tegmen: float = 0.0  # mm that the roof of the temporal bone is higher


@dataclass(frozen=True)
class Calcified:
    """Share of bone mineral in parts of the brain that may calcify: 0.1 is about 130 HU."""

    pineal: float = 0.1
    plexus: float = 0.0
    falx: float = 0.0


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
    snug: float = 0.0  # share of the fluid around frontal and temporal lobes that brain fills
    sharpness: float = 2.5  # exponent that sharpens the template's averaged folds
    compact: float = 0.7  # density of compact bone: 0 is 1,350 HU, 1 is 1,700
    mineral: float = 0.25  # share of compact bone in the diploe
    marrow: float = 0.2  # share of fat in the diploe and the base's marrow
    hyperostosis: float = 0.0  # mm of bone added inside the frontal vault
    septa: float = 0.3  # share of fibrous septa in the scalp's fat
    third: float = 1.0  # width of the third ventricle
    cells: AirCells = AirCells()
    calcified: Calcified = Calcified()
    face: float = 1.0
    neck: float = 1.0
    lean: float = 0.0  # forward tilt of the neck, mm over 100 mm
    jaw: float = 0.0  # opening of the mouth
    lesion: Lesion | None = None
    flap: Spot | None = None  # a craniotomy's bone flap: centre of its outer surface, and radius
    fillings: tuple[tuple[float, float, float], ...] = ()  # centres of amalgam in the teeth, template mm


class Sampler:
    """Draws of a build from one generator."""

    def __init__(self, generator: torch.Generator):
        self.generator = generator

    def __call__(self, mean: float, std: float, low: float, high: float) -> float:
        """A normally distributed number, clipped."""
        return float((mean + std * torch.randn((), generator=self.generator)).clamp(low, high))

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def rarely(self, p: float, low: float, high: float, otherwise: float = 0.0) -> float:
        """A number from low to high with probability p."""
        chance, value = self.between(0, 1), self.between(low, high)
        return value if chance < p else otherwise

    def pair(self, mean: float, std: float, asymmetry: float, low: float, high: float) -> Pair:
        """Right and left: alike but for the asymmetry (std)."""
        both, right, left = (float(torch.randn((), generator=self.generator)) for _ in range(3))
        sides = (mean + std * both + asymmetry * each for each in (right, left))
        right, left = (min(max(value, low), high) for value in sides)
        return right, left


def sample_build(generator: torch.Generator) -> Build:
    """A patient's build: normally distributed within adult ranges, clipped at their ends."""
    draw = Sampler(generator)
    size: dict[str, Any] = {
        "fluid": draw(1.7, 0.7, 0.6, 4.0),
        "skull": draw(7.4, 1.2, 4.6, 10.5),
        "diploe": draw(1.0, 0.3, 0.4, 1.8),
        "fat": draw(3.4, 1.4, 1.0, 8.0),
        "skin": draw(2.1, 0.4, 1.3, 3.2),
        "galea": draw(1.5, 0.5, 0.5, 3.0),
        "atrophy": draw(2.2, 1.0, 0.9, 5.0),
        "ventricles": draw(1.1, 0.25, 0.7, 2.0),
        "sharpness": draw(2.6, 0.6, 1.4, 4.0),
    }
    inner = branch(generator)
    posture: dict[str, Any] = {
        "face": draw(1.0, 0.05, 0.88, 1.12),
        "neck": draw(1.0, 0.1, 0.8, 1.3),
        "lean": draw(2.0, 9.0, -16.0, 24.0),
        "jaw": draw(2.0, 3.0, 0.0, 10.0),
    }
    return Build(
        **size,
        **posture,
        compact=inner(0.65, 0.3, 0.0, 1.0),
        mineral=inner(0.32, 0.18, 0.0, 0.75),
        marrow=inner(0.2, 0.15, 0.0, 0.55),
        hyperostosis=inner.rarely(0.06, 1.0, 3.0),
        septa=inner(0.33, 0.12, 0.05, 0.6),
        third=inner(1.2, 0.4, 0.6, 2.6),
        cells=sample_air_cells(inner),
        calcified=Calcified(
            pineal=inner.rarely(0.6, 0.04, 0.3),
            plexus=inner.rarely(0.5, 0.04, 0.3),
            falx=inner.rarely(0.08, 0.1, 0.5),
        ),
        snug=inner.rarely(0.5, 0.4, 1.0),
    )


def branch(generator: torch.Generator) -> Sampler:
    """A stream of its own, which advances the generator by three draws however many are taken from it."""
    values = [torch.randn((), generator=generator) for _ in range(3)]
    seed = int.from_bytes(torch.stack(values).numpy().tobytes()[:7], "little")
    return Sampler(torch.Generator().manual_seed(seed))


def sample_air_cells(draw: Sampler) -> AirCells:
    """Air cells as often and as large as in adults.

    Sphenoid: 2 % conchal, 21 % presellar, 55 % sellar, 22 % behind the sella (Hamid et al., Skull Base 18:9, 2008, in
    the classes of Hammer and Radberg, Acta Radiol 56:401, 1961); a lateral recess in a third (Wang et al., Neurosurgery
    66:703, 2010). Frontal: aplasia of both in 4 %, of one in 5 % (Danesh-Sani et al., Dentomaxillofac Radiol 40:e14,
    2011), on average 30 mm high, 25 mm wide and 18 mm deep (Gray's Anatomy, 41st ed., ch. 33). Maxillary: hypoplasia in
    10 % (Bolger et al., Otolaryngol Head Neck Surg 103:759, 1990). Thickened mucosa in a third of people without
    complaints (Havas et al., Arch Otolaryngol 114:856, 1988). Mastoid: volume from 1 to 20 cm3 (Colhoun et al., J
    Laryngol Otol 102:996, 1988: mean 6); the petrous apex is pneumatised in a third, on one side in some (Yetiser et
    al., Otol Neurotol 23:604, 2002).
    """
    frontal = draw.pair(1.05, 0.4, 0.25, 0.0, 2.0)
    kept = draw.between(0, 1)
    none = (kept < 0.065, kept < 0.04 or kept > 0.975)
    right, left = (0.0 if missing or size < 0.25 else size for size, missing in zip(frontal, none, strict=True))
    mastoid = draw.pair(18.5, 6.5, 2.5, 0.0, 32.0)
    return AirCells(
        sphenoid_back=draw.rarely(0.02, 32.0, 36.0, draw(2.0, 8.5, -14.0, 20.0)),
        sphenoid_width=draw(1.0, 0.15, 0.7, 1.35),
        sphenoid_septum=draw(0.0, 4.0, -9.0, 9.0),
        recess=(draw.rarely(0.3, 0.6, 1.3), draw.rarely(0.3, 0.6, 1.3)),
        ethmoid=draw(1.0, 0.1, 0.8, 1.2),
        frontal=(right, left),
        maxillary=draw.pair(1.0, 0.12, 0.06, 0.6, 1.3),
        lining=(
            draw.rarely(0.04, 40.0, 40.0, draw.rarely(0.15, 1.0, 5.0, 0.5)),
            draw.rarely(0.25, 0.5, 2.0, 0.3),
            draw.rarely(0.03, 40.0, 40.0, draw.rarely(0.12, 1.0, 4.0, 0.5)),
            draw.rarely(0.04, 40.0, 40.0, draw.rarely(0.35, 1.5, 9.0, 0.7)),
            draw.rarely(0.04, 40.0, 40.0, draw.rarely(0.35, 1.5, 9.0, 0.7)),
        ),
        mastoid=mastoid,
        apex=(draw.rarely(0.3, 0.5, 1.2), draw.rarely(0.3, 0.5, 1.2)),
        effusion=(draw.rarely(0.06, 0.2, 1.0), draw.rarely(0.06, 0.2, 1.0)),
        tegmen=draw(0.0, 1.8, -4.0, 4.0),
    )


def seed_build(seed: int) -> Build:
    """The build of the patient with this seed: the first thing that a head draws."""
    return sample_build(torch.Generator().manual_seed(seed))
