"""`Volume`: an array with its position in the patient and its unit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

UNITS = {"ct": "HU", "fa": "FA"}  # every other modality is in arbitrary units


@dataclass(frozen=True)
class Volume:
    """A 3-D image in patient space.

    array: (I, J, K), float32 unless it holds labels (uint8 or int16).
    affine: (4, 4) float64, voxel indices -> RAS+ millimetres (NIfTI's convention).
    unit: "HU", "FA" or "arbitrary".
    modality: "t1", "ct", "fa", "labels", ... or "unknown".
    notices: sentences on what was chosen, converted or replaced when the volume was read.
    """

    array: np.ndarray
    affine: np.ndarray
    unit: str = "arbitrary"
    modality: str = "unknown"
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            raise ValueError(f"a volume has 3 dimensions, got shape {self.array.shape}")
        object.__setattr__(self, "affine", np.asarray(self.affine, dtype=np.float64))

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.array.shape

    @property
    def spacing(self) -> np.ndarray:
        """Voxel edge lengths in mm, (3,)."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    def with_notices(self, *sentences: str) -> Volume:
        return replace(self, notices=self.notices + sentences)
