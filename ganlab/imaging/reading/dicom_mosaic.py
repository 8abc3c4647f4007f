"""Siemens mosaics: the slices of one time point as tiles of one picture."""

from __future__ import annotations

import math
import struct
import warnings
from dataclasses import dataclass

import numpy as np

from ganlab.imaging.reading import dicom_elements as tags
from ganlab.imaging.reading.dicom_elements import Elements, Unusable, real, text, uint16

EXPORT = "export it again with its private elements, or give the NIfTI file that dcm2niix makes of the original"


@dataclass(frozen=True)
class Mosaic:
    """count: slices. step: from one slice to the next, (3,), LPS mm."""

    count: int
    step: np.ndarray

    @property
    def side(self) -> int:
        """Tiles along each side of the square."""
        return math.ceil(math.sqrt(self.count))


def mosaic_of(dataset: Elements) -> Mosaic | None:
    """How a file is cut into tiles, by its CSA header; None if it is not a mosaic. Raises Unusable."""
    if "MOSAIC" not in text(dataset, tags.IMAGE_TYPE).upper().split("\\"):
        return None
    csa = _csa(dataset)
    count = int(next(iter(_numbers(csa, "NumberOfImagesInMosaic")), uint16(dataset, tags.SIEMENS_TILES)))
    normal = np.array(_numbers(csa, "SliceNormalVector"))
    gap = real(dataset, tags.SLICE_STEP) or real(dataset, tags.THICKNESS)
    if count < 1 or normal.shape != (3,) or not abs(np.linalg.norm(normal) - 1) < 0.01 or not gap or gap < 0:
        raise Unusable(
            "is a Siemens mosaic, many slices in one picture, without the private header that says where they lie: "
            f"{EXPORT}"
        )
    return Mosaic(count, normal * gap)


def _csa(dataset: Elements) -> dict:
    """The tags of Siemens' image header, {} if there is none that can be read. Its block is the first that Siemens has
    reserved in group 0029."""
    creators = [tag & 0xFF for tag, value in dataset.items() if _is_creator(tag, value)]
    header = dataset.get(tags.CSA_GROUP << 16 | creators[0] << 8 | 0x10) if creators else None
    if not isinstance(header, bytes):
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nibabel calls its DICOM readers experimental
        from nibabel.nicom.csareader import CSAReadError, read
    try:
        return read(header)["tags"]
    except (CSAReadError, struct.error, ValueError, AssertionError, LookupError):
        return {}


def _is_creator(tag: int, value: object) -> bool:
    reserved = tag >> 16 == tags.CSA_GROUP and 0x10 <= tag & 0xFFFF <= 0xFF
    return reserved and isinstance(value, bytes) and value.strip(b" \0") == tags.SIEMENS_CREATOR


def _numbers(csa: dict, name: str) -> list[float]:
    items = csa.get(name, {}).get("items", [])
    return [float(item) for item in items if isinstance(item, int | float) and math.isfinite(item)]
