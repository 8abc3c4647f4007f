"""The description of a nodule, as in a radiology report, and its parts as a CT slice shows them.

Sizes, attenuation and frequencies follow Erasmus et al., RadioGraphics 20:43, 2000 (margins, calcification, fat,
cavities); the Fleischner Society's glossary (Hansell et al., Radiology 246:697, 2008: nodule, ground glass, halo) and
guidelines (MacMahon et al., Radiology 284:228, 2017: solid, part-solid, spiculation, size); Snoeckx et al., Insights
Imaging 9:73, 2018 (lobulation, bubbles, bronchogram, vessels and pleural tags). Benign and malignant nodules overlap in
all of these, as in the clinic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ganlab.phantoms.lungs.anatomy import Wall, bent_path
from ganlab.phantoms.lungs.ct_slice import POINTS, Slab, blended, covered, mean_sheet, polyline, smooth_field, tubes
from ganlab.phantoms.lungs.shapes import Shape, spicules

SOLIDITY = ("solid", "part-solid", "ground-glass", "calcified", "fat-containing")
BENIGN_SHARES, MALIGNANT_SHARES = (0.55, 0.07, 0.08, 0.24, 0.06), (0.53, 0.28, 0.16, 0.03, 0.0)
CALCIFICATION = ("central", "laminated", "popcorn", "diffuse")  # the benign patterns; "stippled" may be malignant


@dataclass(frozen=True)
class NoduleDescription:
    """A nodule as a report describes it."""

    malignant: bool
    solidity: str  # one of SOLIDITY
    diameter: float  # mm, of the disc with its area
    lobulation: float  # 0..1
    spiculation: float  # 0..1
    irregular: float  # amplitude of the outline's waves, relative to the radius
    aspect: float  # shortest axis over longest, approximately
    edge: float  # mm, width of the margin
    solid_hu: float
    glass_hu: float
    feeders: int  # vessels that end in it
    calcification: str = ""  # one of CALCIFICATION or "stippled"; "" for none
    cavity: float = 0.0  # diameter relative to the nodule's
    bubbles: int = 0
    bronchogram: bool = False

    @property
    def subsolid(self) -> bool:
        return self.solidity in ("part-solid", "ground-glass")


def draw_description(rng: np.random.Generator, malignant: bool) -> NoduleDescription:
    """A random nodule: benign ones 4 to 13 mm, mostly smooth and round; malignant ones 7 to 28 mm."""
    return _malignant(rng) if malignant else _benign(rng)


def _benign(rng: np.random.Generator) -> NoduleDescription:
    solidity = str(rng.choice(SOLIDITY, p=BENIGN_SHARES))
    return NoduleDescription(
        malignant=False,
        solidity=solidity,
        diameter=4 + 9 * rng.beta(1.5, 2.4),
        lobulation=rng.beta(1.2, 4.0) if rng.random() < 0.7 else 0.0,
        spiculation=rng.uniform(0.05, 0.4) if rng.random() < 0.12 else 0.0,
        irregular=rng.uniform(0.01, 0.13),
        aspect=rng.uniform(0.58, 0.95),
        edge=rng.uniform(1.0, 2.5) if solidity in ("part-solid", "ground-glass") else rng.uniform(0.2, 1.2),
        solid_hu=rng.uniform(15, 65),
        glass_hu=rng.uniform(-680, -420),
        feeders=int(rng.random() < 0.25),
        calcification=str(rng.choice(CALCIFICATION)) if solidity == "calcified" else "",
    )


def _malignant(rng: np.random.Generator) -> NoduleDescription:
    solidity = str(rng.choice(SOLIDITY, p=MALIGNANT_SHARES))
    subsolid = solidity in ("part-solid", "ground-glass")
    diameter = 7 + 21 * rng.beta(1.5, 2.4)
    hollow = solidity == "solid" and diameter > 12 and rng.random() < 0.1
    return NoduleDescription(
        malignant=True,
        solidity=solidity,
        diameter=diameter,
        lobulation=rng.beta(2.2, 2.0),
        spiculation=rng.beta(1.5, 1.6) * (0.25 if solidity == "ground-glass" else 1.0),
        irregular=rng.uniform(0.04, 0.16),
        aspect=rng.uniform(0.55, 0.92),
        edge=rng.uniform(1.2, 3.0) if subsolid else rng.uniform(0.3, 1.3),
        solid_hu=rng.uniform(5, 55) + (rng.uniform(0, 45) if rng.random() < 0.4 else 0.0),  # with contrast agent
        glass_hu=rng.uniform(-680, -400),
        feeders=int(rng.poisson(1.0)),
        calcification="stippled" if solidity == "calcified" else "",
        cavity=rng.uniform(0.2, 0.5) if hollow else 0.0,
        bubbles=int(rng.poisson(0.8 if subsolid else 0.12)),
        bronchogram=bool(rng.random() < 0.04),
    )


@dataclass(frozen=True)
class Parts:
    """A nodule in a slice: coverage (P, P) by each part, and HU."""

    whole: np.ndarray
    glass: np.ndarray  # ground glass
    haze: np.ndarray  # between spicules
    strands: np.ndarray  # spicules and pleural tags
    solid: np.ndarray
    air: np.ndarray  # inside the nodule
    glass_hu: np.ndarray  # (P, P)
    solid_hu: np.ndarray  # (P, P)
    strand_hu: float

    def under(self, hu: np.ndarray) -> np.ndarray:
        """HU (P, P) of lung with the parts below vessels: ground glass and haze."""
        return blended(blended(hu, self.glass_hu, self.glass), -520.0, self.haze)

    def over(self, hu: np.ndarray) -> np.ndarray:
        """HU (P, P) with the parts above vessels: strands, the solid part and air."""
        return blended(blended(blended(hu, self.strand_hu, self.strands), self.solid_hu, self.solid), -900.0, self.air)

    def mean_hu(self) -> float:
        """Mean HU of the solid part, or of the ground glass where there is no solid part."""
        share, hu = (self.solid, self.solid_hu) if self.solid.any() else (self.glass, self.glass_hu)
        return float((share * hu).sum() / share.sum())


def draw_parts(
    rng: np.random.Generator, nodule: NoduleDescription, body: Shape, slab: Slab, wall: Wall | None
) -> Parts:
    """The parts of a nodule in a slice; body is its surface. Pleural tags reach a wall that it does not touch."""
    if nodule.subsolid:
        rough = 0.05 * nodule.diameter * smooth_field(rng, 2.5) + 0.4 * smooth_field(rng, 1.1)
    else:
        rough = (0.1 + 0.25 * nodule.malignant) * smooth_field(rng, 1.6 if nodule.malignant else 2.5)
    whole = body.coverage(slab, nodule.edge, rough)
    nothing = np.zeros_like(whole)
    haze = strands = nothing
    if nodule.spiculation:
        haze = body.coverage(slab, 3 + 4 * nodule.spiculation, 0.8 * smooth_field(rng, 2.5))
        haze = haze * (1 - whole) * np.clip(rng.uniform(0.3, 0.8) + 0.15 * smooth_field(rng, 1.1), 0, 1)
        strands = tubes(slab, spicules(rng, body, nodule.spiculation)) * rng.uniform(0.65, 1.0)
    if nodule.malignant and wall is not None and not whole[wall.depth > 0].any():
        strands = np.maximum(strands, tubes(slab, _tags(rng, body, wall)))
    return Parts(
        whole=whole,
        glass=whole if nodule.subsolid else nothing,
        haze=haze,
        strands=strands,
        solid=_solid(rng, nodule, body, whole, slab),
        air=_air(rng, nodule, body, slab),
        glass_hu=_glass_hu(rng, nodule) if nodule.subsolid else nothing,
        solid_hu=_solid_hu(rng, nodule, body, whole, slab),
        strand_hu=nodule.solid_hu,
    )


def _glass_hu(rng: np.random.Generator, nodule: NoduleDescription) -> np.ndarray:
    """HU (P, P) of ground glass: unevenly filled or thickened alveoli."""
    return nodule.glass_hu + 45 * smooth_field(rng, 2.5) + 45 * smooth_field(rng, 1.1)


def _solid(
    rng: np.random.Generator, nodule: NoduleDescription, body: Shape, whole: np.ndarray, slab: Slab
) -> np.ndarray:
    """Coverage (P, P) of the solid part: all, nothing, or one to three cores within ground glass."""
    if not nodule.subsolid:
        return whole
    core = np.zeros_like(whole)
    if nodule.solidity == "part-solid":
        for _ in range(rng.choice([1, 1, 2, 3])):
            size = nodule.diameter * rng.uniform(0.22, 0.6)
            centre = body.centre + rng.normal(0, 0.14 * nodule.diameter, 2)
            shape = Shape(rng, centre, size, rng.uniform(0.2, 0.9), 0.18, rng.uniform(0.45, 0.9))
            core = np.maximum(core, shape.coverage(slab, rng.uniform(0.5, 1.5), 0.4 * smooth_field(rng, 1.6)))
    return core * whole


def _solid_hu(
    rng: np.random.Generator, nodule: NoduleDescription, body: Shape, whole: np.ndarray, slab: Slab
) -> np.ndarray:
    """HU (P, P) of the solid part: soft tissue, with fat (hamartoma) or calcium (granuloma)."""
    hu = nodule.solid_hu + rng.uniform(2, 8) * smooth_field(rng, 2.5)
    if nodule.solidity == "fat-containing":
        hu = blended(hu, rng.uniform(-110, -50), _clumps(rng, whole, 2.5, rng.uniform(0.3, 0.7)))
        if rng.random() < 0.4:
            hu = blended(hu, rng.uniform(250, 600), _clumps(rng, whole, 1.6, rng.uniform(0.05, 0.2)))
    if nodule.calcification:
        hu = blended(hu, rng.uniform(250, 800), _calcium(rng, nodule, body, whole, slab))
    return hu


def _clumps(rng: np.random.Generator, whole: np.ndarray, scale: float, share: float) -> np.ndarray:
    """Coverage (P, P) of random clumps, `scale` mm in size, that fill about this share of the nodule."""
    field = smooth_field(rng, scale) + 0.6 * smooth_field(rng, 0.6 * scale)
    return covered(np.quantile(field[whole > 0.5], 1 - share) - field, 0.6)


def _calcium(
    rng: np.random.Generator, nodule: NoduleDescription, body: Shape, whole: np.ndarray, slab: Slab
) -> np.ndarray:
    """Coverage (P, P) of calcium in the nodule's pattern."""
    pattern, radius = nodule.calcification, nodule.diameter / 2
    if pattern == "popcorn":
        return _clumps(rng, whole, 1.6, rng.uniform(0.25, 0.6))
    if pattern == "stippled":
        return _clumps(rng, whole, 1.1, rng.uniform(0.05, 0.12))
    if pattern == "diffuse":
        return np.clip(rng.uniform(0.6, 0.95) + 0.12 * smooth_field(rng, 1.6), 0, 1)
    calcium = np.zeros((POINTS, POINTS), np.float32)
    window, distance = body.distance(slab, 0.5)
    relative_radius = 1 + distance / radius + 0.05 * smooth_field(rng, 1.6)[window]  # 0 at the centre, 1 on the surface
    core = covered((relative_radius - rng.uniform(0.35, 0.6)) * radius, 0.7)
    if pattern == "laminated":
        shell = covered((np.abs(relative_radius - rng.uniform(0.75, 0.9)) - rng.uniform(0.06, 0.1)) * radius, 0.5)
        core = np.maximum(core * rng.uniform(0.4, 1), shell)
    calcium[window] = mean_sheet(core)
    return calcium


def _air(rng: np.random.Generator, nodule: NoduleDescription, body: Shape, slab: Slab) -> np.ndarray:
    """Coverage (P, P) of air within the nodule: a cavity, bubble lucencies, or a bronchus that enters it."""
    air = np.zeros((POINTS, POINTS), np.float32)
    middle = np.append(body.centre, 0)
    if nodule.cavity:
        centre = body.centre + rng.normal(0, 0.05 * nodule.diameter, 2)
        hole = Shape(rng, centre, nodule.cavity * nodule.diameter, 0.8, 0.3, 0.7)
        air = hole.coverage(slab, 0.5, 0.3 * smooth_field(rng, 1.6))
    segments = []
    if nodule.bubbles:
        centres = middle + rng.uniform(-0.36, 0.36, (nodule.bubbles, 3)) * nodule.diameter * [1, 1, 0.1]
        ends = np.stack([centres, centres + rng.normal(0, 0.6, centres.shape)], 1)
        segments.append(polyline(ends, rng.uniform(0.35, 0.9, (nodule.bubbles, 1)) * [1, 0.8]))
    if nodule.bronchogram:
        turn = rng.uniform(0, 2 * math.pi)
        out = np.array([math.cos(turn), math.sin(turn), rng.normal(0, 0.1)])
        path = bent_path(rng, middle + out * body.surface(turn), middle - out * nodule.diameter * 0.15, 4, 0.08)
        segments.append(polyline(path, rng.uniform(0.35, 0.8) * np.array([1.0, 0.95, 0.85, 0.7, 0.4])))
    return np.maximum(air, 0.8 * tubes(slab, np.concatenate(segments))) if segments else air


def feeder(rng: np.random.Generator, body: Shape) -> np.ndarray:
    """Segments (K, 8) of a vessel that ends in the nodule."""
    turn = rng.uniform(0, 2 * math.pi)
    out = np.array([math.cos(turn), math.sin(turn), math.tan(rng.normal(0, 0.25))])
    middle = np.append(body.centre, 0)
    path = bent_path(rng, middle + 26 * out, middle + 0.5 * body.surface(turn) * out, 8, 0.1)
    return polyline(path, np.linspace(rng.uniform(0.2, 1.2), rng.uniform(0.2, 0.8), 9))


def _tags(rng: np.random.Generator, body: Shape, wall: Wall) -> np.ndarray:
    """Segments (K, 8) of one to three strands from the nodule to the pleura, thickest at the pleura."""
    count = rng.integers(1, 4)
    turn = math.atan2(wall.heading[1], wall.heading[0]) + rng.normal(0, 0.4, count)
    out = np.stack([np.cos(turn), np.sin(turn), rng.normal(0, 0.06, count)], -1)
    reach = np.array([body.surface(t) for t in turn])[:, None]
    start = np.append(body.centre, 0) + out * reach * 0.85
    path = bent_path(rng, start, start + out * 24, 6, 0.03)
    return polyline(path, rng.uniform(0.25, 0.5, (count, 1)) * np.linspace(0.8, 1.6, 7))
