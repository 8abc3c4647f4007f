"""The slices of one DICOM file: of a picture, of a multi-frame file, of a Siemens mosaic.

Each slice has its own place in the patient, its own scaling, and what tells it from others at the same place.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ganlab.imaging.reading import dicom_elements as tags
from ganlab.imaging.reading.dicom_elements import (
    Elements,
    Unusable,
    elements,
    first_item,
    integer,
    real,
    reals,
    text,
    uint16,
)
from ganlab.imaging.reading.dicom_mosaic import Mosaic, mosaic_of

COMPLEX_PARTS = {  # words of ImageType and of ComplexImageComponent
    "P": "phase",
    "PHASE": "phase",
    "PHASE MAP": "phase",
    "R": "real",
    "REAL": "real",
    "I": "imaginary",
    "IMAGINARY": "imaginary",
}
GE_COMPLEX_PARTS = ("magnitude", "phase", "real", "imaginary")
COMPUTED = {"LOCALIZER", "PROJECTION IMAGE", "MIP", "MINIP", "CSA MIP", "SECONDARY", "ADC", "FA", "TRACEW"}


@dataclass(frozen=True)
class DicomFile:
    """What the slices of one file share.

    series: SeriesInstanceUID. study: StudyInstanceUID. patient: identifier, or else name. number: of the series. These
    are "" if absent. shape: (frames, rows, columns) of its pixels. scaling: (slope, intercept) that the decoder applies
    to all frames.
    """

    path: Path
    image: str
    series: str
    study: str
    patient: str
    number: str
    description: str
    modality: str
    shape: tuple[int, int, int]
    compressed: bool
    scaling: tuple[float, float]
    padding: float | None
    enhanced: bool  # with a contrast agent


@dataclass(frozen=True, eq=False)
class Slice:
    """One slice. Position, orientation and spacing as in DICOM: LPS, mm.

    frame: of the file. tile: of a mosaic, (row, column) of its first pixel; else None. part: magnitude, phase, real or
    imaginary. kinds: what may differ between two volumes of one series; times: what may differ between time points.
    """

    file: DicomFile
    frame: int
    tile: tuple[int, int] | None
    size: tuple[int, int]  # rows, columns
    position: tuple[float, ...]  # of the first pixel's centre
    orientation: np.ndarray  # (2, 3): directions of increasing column and of increasing row
    spacing: tuple[float, ...]  # between rows, between columns
    thickness: float | None
    scaling: tuple[float, float]  # slope and intercept of this frame
    part: str
    kinds: tuple[str | float | None, ...]
    times: tuple[str | float | None, ...]
    instance: tuple[int, int]  # of the file in its series, of the frame in the file

    @property
    def normal(self) -> np.ndarray:
        """The direction across the slice, (3,), of length 1."""
        return np.cross(*self.orientation)


def slices_of(path: Path, max_voxels: int) -> list[Slice]:
    """The slices of one DICOM file; [] if it has no pixels. Raises Unusable, OSError."""
    dataset = read_elements(path)
    if tags.PIXELS not in dataset:
        return []
    frames, rows, columns = checked_shape(dataset, max_voxels)
    shared = first_item(dataset.get(tags.SHARED))
    groups = dataset.get(tags.PER_FRAME)
    per_frame: list[Elements] = groups if isinstance(groups, list) else []
    if len(per_frame) not in ((frames,) if frames > 1 else (0, 1)):
        raise Unusable("is a multi-frame file that does not say where its frames lie: convert it with dcm2niix")
    layers = [_layered(dataset, shared, frame) for frame in per_frame or [{}]]
    scalings = [_scaling(layer) for layer in layers]
    if not all(np.isfinite(scaling).all() and scaling[0] for scaling in scalings):
        raise Unusable("has a rescale slope that is 0 or not a number")
    mosaic = mosaic_of(dataset)
    file = _file(path, dataset, (frames, rows, columns), scalings[0])
    slices = []
    for index, (layer, scaling) in enumerate(zip(layers, scalings, strict=True)):
        whole = _slice(file, layer, index, scaling, (rows, columns))
        slices += _tiles(whole, mosaic) if mosaic else [whole]
    return slices


def read_elements(path: Path) -> Elements:
    """The elements of a file, memory-mapped. Raises Unusable, OSError."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return elements(data)


def checked_shape(dataset: Elements, max_voxels: int) -> tuple[int, int, int]:
    """(frames, rows, columns) of the pixels. Raises Unusable for sizes that are no picture's or beyond the limit, for
    colours, and for a file that is shorter than it promises."""
    rows, columns, frames = uint16(dataset, tags.ROWS), uint16(dataset, tags.COLUMNS), integer(dataset, tags.FRAMES, 1)
    if min(rows, columns, frames) < 1 or rows * columns * frames > max_voxels:
        raise Unusable(f"gives {columns}x{rows}x{frames} as its size")
    if (samples := uint16(dataset, tags.SAMPLES, 1)) != 1:
        raise Unusable(f"is a colour picture ({samples} values per pixel)")
    promised = rows * columns * frames * uint16(dataset, tags.BITS, 16) // 8
    if is_native(dataset) and dataset[tags.PIXELS] < promised:
        raise Unusable(f"is truncated: it promises {promised} bytes of pixels and holds {dataset[tags.PIXELS]}")
    return frames, rows, columns


def is_native(dataset: Elements) -> bool:
    """Whether the pixels are not compressed."""
    return text(dataset, tags.TRANSFER_SYNTAX, tags.IMPLICIT) in tags.NATIVE


def _layered(dataset: Elements, shared: Elements, frame: Elements) -> Elements:
    """The elements that hold for a frame: its own before the shared ones, and these before the file's."""
    result = dict(dataset)
    for group in tags.FRAME_GROUPS:
        result |= first_item(shared.get(group)) | first_item(frame.get(group))
    return result


def _scaling(layer: Elements) -> tuple[float, float]:
    slope, intercept = real(layer, tags.SLOPE), real(layer, tags.INTERCEPT)
    return 1.0 if slope is None else slope, intercept or 0.0


def _file(path: Path, dataset: Elements, shape: tuple[int, int, int], scaling: tuple[float, float]) -> DicomFile:
    padding = dataset.get(tags.PADDING)
    if isinstance(padding, bytes) and len(padding) == 2:
        pixel = int.from_bytes(padding, "little", signed=uint16(dataset, tags.SIGNED) == 1)
    words = (text(dataset, tags.DESCRIPTION), text(dataset, tags.PROTOCOL), "unnamed")
    return DicomFile(
        path=path,
        image=text(dataset, tags.IMAGE),
        series=text(dataset, tags.SERIES),
        study=text(dataset, tags.STUDY),
        patient=text(dataset, tags.PATIENT) or text(dataset, tags.PATIENT_NAME),
        number=text(dataset, tags.SERIES_NUMBER)[:12],
        description=next(word for word in words if word).replace('"', "'")[:40],
        modality=text(dataset, tags.MODALITY),
        shape=shape,
        compressed=not is_native(dataset),
        scaling=scaling,
        padding=float(pixel) if isinstance(padding, bytes) and len(padding) == 2 else None,
        enhanced=bool(text(dataset, tags.CONTRAST_AGENT)),
    )


def _slice(file: DicomFile, layer: Elements, index: int, scaling: tuple[float, float], size: tuple[int, int]) -> Slice:
    position = reals(layer, tags.POSITION, 3)
    orientation = reals(layer, tags.ORIENTATION, 6)
    spacing = reals(layer, tags.SPACING, 2)
    if position is None or orientation is None or spacing is None or min(spacing) <= 0:
        raise Unusable("does not say where it is in the patient")
    axes = np.reshape(orientation, (2, 3))
    if np.abs(axes @ axes.T - np.eye(2)).max() > 0.01:
        raise Unusable("has directions that are not at right angles")
    image_type = text(layer, tags.FRAME_TYPE) or text(layer, tags.IMAGE_TYPE)
    echo = real(layer, tags.EFFECTIVE_ECHO_TIME)
    b_values = (real(layer, tag) for tag in (tags.B_VALUE, tags.SIEMENS_B_VALUE, tags.GE_B_VALUE))
    return Slice(
        file=file,
        frame=index,
        tile=None,
        size=size,
        position=position,
        orientation=axes,
        spacing=spacing,
        thickness=real(layer, tags.THICKNESS),
        scaling=scaling,
        part=_part(layer, image_type),
        kinds=(
            image_type.upper(),
            real(layer, tags.ECHO_NUMBER),
            real(layer, tags.ECHO_TIME) if echo is None else echo,
            real(layer, tags.INVERSION_TIME),
            real(layer, tags.REPETITION_TIME),
            real(layer, tags.FLIP_ANGLE),
            next((value for value in b_values if value is not None), None),
            text(layer, tags.KERNEL),
            real(layer, tags.PEAK_VOLTAGE),
        ),
        times=(
            None,  # the file, for a mosaic
            real(layer, tags.TIME_POSITION),
            _integer(layer.get(tags.TIME_INDEX)),
            real(layer, tags.ACQUISITION),
            real(layer, tags.TRIGGER_TIME),
            (text(layer, tags.ACQUISITION_DATE) + text(layer, tags.ACQUISITION_TIME)) or None,
        ),
        instance=(integer(layer, tags.INSTANCE, 0), index),
    )


def _integer(value: object) -> float | None:
    return float(int.from_bytes(value, "little")) if isinstance(value, bytes) and len(value) in (2, 4) else None


def _part(layer: Elements, image_type: str) -> str:
    """Magnitude, phase, real or imaginary."""
    if (code := uint16(layer, tags.GE_COMPLEX_PART, 99)) < len(GE_COMPLEX_PARTS):
        return GE_COMPLEX_PARTS[code]
    words = [text(layer, tags.COMPLEX_PART).upper(), *image_type.upper().split("\\")[2:]]
    return next((COMPLEX_PARTS[word] for word in words if word in COMPLEX_PARTS), "magnitude")


def _tiles(whole: Slice, mosaic: Mosaic) -> list[Slice]:
    """The slices of a mosaic. The file gives the first pixel of the whole square as if the tile in its centre had the
    square's size (https://nipy.org/nibabel/dicom/dicom_mosaic.html)."""
    side, (rows, columns) = mosaic.side, whole.size
    if rows % side or columns % side:
        raise Unusable(f"is a Siemens mosaic whose {columns}x{rows} pixels are not {side}x{side} tiles")
    size = rows // side, columns // side
    shift = (np.array([columns, rows]) - [size[1], size[0]]) / 2
    steps = whole.orientation * np.array(whole.spacing)[::-1, None]
    origin = np.array(whole.position) + shift @ steps
    return [
        replace(
            whole,
            position=tuple(origin + k * mosaic.step),
            tile=(k // side * size[0], k % side * size[1]),
            size=size,
            times=(whole.file.image, *whole.times[1:]),
        )
        for k in range(mosaic.count)
    ]
