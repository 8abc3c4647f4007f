"""Insert a lesion into a scan, and measure what remains of it after translation and back (Cohen et al. 2018)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.volume import Volume
from ganlab.settings import Field, frozen_config, number

if TYPE_CHECKING:
    from ganlab.translation.cycle.cycle import Cycle

SOFT = 1.0  # mm over which the edge of a lesion fades
CONTRASTS = {"HU": (-500.0, 2000.0), "": (0.0, 5.0)}  # by the unit of the scan
FORM = "X,Y,Z,RADIUS,CONTRAST"


@frozen_config
class InsertedLesion:
    """A ball in the patient's RAS mm. contrast: HU above the tissue that was there on CT; on MR, which has no unit, how
    many times as bright as it."""

    x: float = Field(title="Right", unit="mm", description="To the patient's right of the origin.")
    y: float = Field(title="Front", unit="mm", description="In front of the origin.")
    z: float = Field(title="Up", unit="mm", description="Above the origin.")
    radius: float = Field(ge=2, le=40, title="Radius", unit="mm", description="Radius of the ball.")
    contrast: float = Field(ge=-500, le=2000, title="Contrast", description="HU above tissue on CT, a factor on MR.")

    @property
    def centre(self) -> tuple[float, float, float]:
        return self.x, self.y, self.z

    @property
    def values(self) -> list[float]:
        return [*self.centre, self.radius, self.contrast]

    @property
    def text(self) -> str:
        """As links and commands have it, and `parse_lesion` reads it."""
        return ",".join(number(value) for value in self.values)


def parse_lesion(text: str) -> InsertedLesion:
    """X,Y,Z,RADIUS,CONTRAST as a lesion. Raises InputError."""
    try:
        x, y, z, radius, contrast = map(float, text.split(","))
    except ValueError as error:
        raise InputError(
            f'Lesion "{text}" is not {FORM}, such as 26,-30,32,8,1.4 on MR or 26,-30,32,8,30 on CT.'
        ) from error
    return InsertedLesion(x, y, z, radius, contrast)


def insert_lesion(volume: Volume, lesion: InsertedLesion) -> Volume:
    """The volume with a lesion in it, whose edge is 1 mm soft; the texture inside stays. Raises InputError for a
    contrast that the modality cannot have, and for a place outside the volume."""
    hu = volume.unit == "HU"
    low, high = CONTRASTS["HU" if hu else ""]
    if not low <= lesion.contrast <= high:
        unit = "HU above the tissue there" if hu else "times as bright as the tissue there"
        raise InputError(f"Contrast is {lesion.contrast:g}; give a number from {low:g} to {high:g} {unit}.")
    distance = distance_to(volume, lesion.centre)
    if distance.min() > lesion.radius:
        place = ", ".join(f"{mm:.0f}" for mm in lesion.centre)
        raise InputError(f"The position {place} mm is outside the scan; choose one inside.")
    share = np.clip(lesion.radius + SOFT / 2 - distance, 0, 1)
    contrast = np.float32(lesion.contrast)
    added = contrast * share if hu else volume.array * ((contrast - 1) * share)
    return replace(volume, array=(volume.array + added).astype(np.float32))


def distance_to(volume: Volume, centre: tuple[float, float, float]) -> np.ndarray:
    """The distance in mm of every voxel from a place in RAS mm, float32."""
    squared = np.zeros(volume.shape, np.float32)
    for row in range(3):
        parts = [volume.affine[row, axis] * np.arange(n) for axis, n in enumerate(volume.shape)]
        along = parts[0][:, None, None] + parts[1][:, None] + parts[2] + volume.affine[row, 3] - centre[row]
        squared += np.square(along, dtype=np.float32)
    return np.sqrt(squared)


def lesion_contrasts(ill: Cycle, healthy: Cycle, lesion: InsertedLesion) -> dict[str, dict]:
    """The lesion's contrast in input, synthetic volume and reconstruction, each against the same voxels of the same
    cycle without it, so that the surroundings do not affect it.

    For each of the three {"without", "with": means inside the soft edge, in the volume's unit; "noise": the difference
    over the standard deviation of these voxels without the lesion; "kept": the difference as a share of the input's,
    None for the synthetic volume, which has another unit}.
    """
    distance = distance_to(ill.source, lesion.centre)
    inside = distance <= max(lesion.radius - SOFT / 2, float(distance.min()))
    gain = healthy.scale / ill.scale  # one factor for both cycles, whose scales differ by the lesion
    results = {}
    for name, ill_volume, healthy_volume, factor in (
        ("input", ill.source, healthy.source, 1.0),
        ("synthetic", ill.synthetic, healthy.synthetic, 1.0),
        ("reconstruction", ill.reconstruction, healthy.reconstruction, gain),
    ):
        present = factor * ill_volume.array[inside].astype(np.float64)
        absent = healthy_volume.array[inside].astype(np.float64)
        difference, spread = float(present.mean() - absent.mean()), float(absent.std())
        results[name] = {
            "without": float(absent.mean()),
            "with": float(present.mean()),
            "noise": difference / spread if spread > 0 else None,
            "kept": None,
        }
    inserted = results["input"]["with"] - results["input"]["without"]
    for name in ("input", "reconstruction"):
        difference = results[name]["with"] - results[name]["without"]
        results[name]["kept"] = difference / inserted if abs(inserted) > 1e-9 else None
    return results
