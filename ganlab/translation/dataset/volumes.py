"""Prepared volumes on disk, in the networks' units."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np


class PreparedVolume(NamedTuple):
    """name: the volume's file name. file: its .npy file. shape: (I, J, K) in RAS at 1 mm. tissue: for each axis, the
    indices of the slices across it that show tissue."""

    name: str
    file: str
    shape: tuple[int, int, int]
    tissue: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class PreparedDataset:
    """Prepared volumes in `folder`; if paired, sources[k] and targets[k] lie on one grid."""

    folder: Path
    task: str
    paired: bool
    sources: tuple[PreparedVolume, ...]
    targets: tuple[PreparedVolume, ...]

    def array(self, volume: PreparedVolume) -> np.ndarray:
        """(I, J, K) float16, mapped from the disk, so that memory does not grow with the number of volumes."""
        return np.load(self.folder / volume.file, mmap_mode="r", allow_pickle=False)
