"""`Volume`: an array with its position in the patient and its unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

UNITS = {"ct": "HU", "fa": "FA"}  # every other modality is in arbitrary units


@dataclass(frozen=True)
class Origin:
    """The space that a volume lies in and the study that it belongs to, as its file says.

    sform, qform: NIfTI's codes of the space that each matrix leads to: 1 scanner, 2 aligned with another scan, 3
    Talairach, 4 MNI, 5 another template; 0 if there is no such matrix. to_qform: (4, 4) from the volume's RAS mm to
    those of its qform; None if they are the same. dicom: attributes of the patient, the study and the frame of
    reference by DICOM's keyword; empty for other formats.
    """

    sform: int = 1
    qform: int = 1
    to_qform: np.ndarray | None = None
    dicom: Mapping[str, str] = field(default_factory=dict, hash=False)


SCANNER = Origin()  # scanner coordinates, nothing known of the study


@dataclass(frozen=True)
class Volume:
    """A 3-D image in patient space.

    array: (I, J, K), float32 unless it holds labels (uint8 or int16).
    affine: (4, 4) float64, voxel indices -> RAS+ millimetres (NIfTI's convention).
    unit: "HU", "FA" or "arbitrary".
    modality: "t1", "ct", "fa", "labels", ... or "unknown".
    notices: sentences on what was chosen, converted or replaced when the volume was read.
    origin: its space and its study. model: what made a synthetic volume; empty for a scan.
    """

    array: np.ndarray
    affine: np.ndarray
    unit: str = "arbitrary"
    modality: str = "unknown"
    notices: tuple[str, ...] = ()
    origin: Origin = SCANNER
    model: str = ""

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
