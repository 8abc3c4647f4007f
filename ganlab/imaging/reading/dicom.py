"""Reads DICOM: assembles a set of files into one volume with the right geometry.

Each slice is placed by its own position, so that multi-frame files, tilted gantries and missing slices come out right.
The elements of a file are parsed in `dicom_elements.py`, its pixels are decoded in `dicom_pixels.py`.
"""

from __future__ import annotations

import math
import mmap
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.reading import dicom_elements as tags
from ganlab.imaging.reading import dicom_pixels as pixels
from ganlab.imaging.reading.dicom_elements import Elements, Unusable, elements, first_item, integer, reals, text, uint16
from ganlab.imaging.reading.headers import LPS_TO_RAS
from ganlab.imaging.wording import quoted

MAX_SLICE_STEP = 20.0  # mm between neighbouring slices
SAME_PLACE = 0.02  # mm; slices closer than this are repeats of one slice


@dataclass(frozen=True)
class Slice:
    """One frame of one file. Position, orientation and spacing as in DICOM: LPS, mm."""

    path: Path
    frame: int
    frames: int
    size: tuple[int, int]  # rows, columns
    position: tuple[float, ...]  # of the first pixel's centre
    orientation: np.ndarray  # (2, 3): directions of increasing column and of increasing row
    spacing: tuple[float, ...]  # between rows, between columns
    compressed: bool
    series: tuple  # equal for slices of one series
    instance: int
    description: str
    modality: str


def slices_of(path: Path, max_voxels: int) -> list[Slice]:
    """The frames of one DICOM file; [] if it has no pixels. Raises Unusable, OSError."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        dataset = elements(data)
    if tags.PIXELS not in dataset:
        return []
    rows, columns, frames = uint16(dataset, tags.ROWS), uint16(dataset, tags.COLUMNS), integer(dataset, tags.FRAMES, 1)
    if min(rows, columns, frames) < 1 or rows * columns * frames > max_voxels:
        raise Unusable(f"gives {columns}x{rows}x{frames} as its size")
    if (samples := uint16(dataset, tags.SAMPLES, 1)) != 1:
        raise Unusable(f"is a colour picture ({samples} values per pixel)")
    native = text(dataset, tags.TRANSFER_SYNTAX, tags.IMPLICIT) in tags.NATIVE
    promised = rows * columns * frames * uint16(dataset, tags.BITS, 16) // 8
    if native and dataset[tags.PIXELS] < promised:
        raise Unusable(f"is truncated: it promises {promised} bytes of pixels and holds {dataset[tags.PIXELS]}")
    if "MOSAIC" in text(dataset, tags.IMAGE_TYPE).upper():
        raise Unusable("is a Siemens mosaic, many slices in one picture: convert it with dcm2niix")

    shared = first_item(dataset.get(tags.SHARED))
    groups = dataset.get(tags.PER_FRAME)
    per_frame: list[Elements] = groups if isinstance(groups, list) else []
    if len(per_frame) not in ((frames,) if frames > 1 else (0, 1)):
        raise Unusable("is a multi-frame file that does not say where its frames lie: convert it with dcm2niix")
    scalings = {_scaling(frame, shared) for frame in per_frame}
    if len(scalings) > 1:
        raise Unusable("scales the intensity of each frame differently: convert it with dcm2niix")
    slices = []
    for index, frame in enumerate(per_frame or [{}]):
        position = _placed(dataset, frame, shared, tags.PLANE_POSITION, tags.POSITION, 3)
        orientation = _placed(dataset, frame, shared, tags.PLANE_ORIENTATION, tags.ORIENTATION, 6)
        spacing = _placed(dataset, frame, shared, tags.PIXEL_MEASURES, tags.SPACING, 2)
        if position is None or orientation is None or spacing is None or min(spacing) <= 0:
            raise Unusable("does not say where it is in the patient")
        axes = np.reshape(orientation, (2, 3))
        if np.abs(axes @ axes.T - np.eye(2)).max() > 0.01:
            raise Unusable("has directions that are not at right angles")
        slices.append(
            Slice(
                path=path,
                frame=index,
                frames=frames,
                size=(rows, columns),
                position=position,
                orientation=axes,
                spacing=spacing,
                compressed=not native,
                series=(
                    *(text(dataset, tag) for tag in (tags.SERIES, tags.IMAGE_TYPE, tags.ECHO_TIME)),
                    *np.round([*orientation, *spacing], 3).tolist(),
                    *(rows, columns, frames, native),
                ),
                instance=integer(dataset, tags.INSTANCE, 0) if frames == 1 else index,
                description=text(dataset, tags.DESCRIPTION)[:40] or "unnamed",
                modality=text(dataset, tags.MODALITY),
            )
        )
    return slices


def _placed(
    dataset: Elements, frame: Elements, shared: Elements, group: int, tag: int, count: int
) -> tuple[float, ...] | None:
    """A geometry value: the frame's own, else the one that all frames share, else the file's."""
    for source in (first_item(frame.get(group)), first_item(shared.get(group)), dataset):
        if (numbers := reals(source, tag, count)) is not None:
            return numbers
    return None


def _scaling(frame: Elements, shared: Elements) -> tuple[str, str]:
    """Rescale slope and intercept of a frame, as written."""
    values = first_item(frame.get(tags.PIXEL_VALUES)) or first_item(shared.get(tags.PIXEL_VALUES))
    return text(values, tags.SLOPE, "1"), text(values, tags.INTERCEPT, "0")


def read_series(paths: list[Path], name: str, max_voxels: int) -> tuple[np.ndarray, np.ndarray, str, list[str]]:
    """The largest series among DICOM files.

    name: the file or folder that the user gave, quoted, for messages.
    Returns the array (columns, rows, slices), float32 with rescale slope and intercept applied; its affine (voxel ->
    RAS mm); DICOM's modality ("CT", "MR", ...); and notices. Missing slices are interpolated between their neighbours,
    with a notice that says where. Raises InputError, also if neighbouring slices are more than MAX_SLICE_STEP apart.
    """
    series: dict[tuple, list[Slice]] = defaultdict(list)
    unusable: list[tuple[Path, str]] = []
    for path in paths:
        try:
            for slice_ in slices_of(path, max_voxels):
                series[slice_.series].append(slice_)
        except Unusable as reason:
            unusable.append((path, str(reason)))
    if not series:
        raise InputError(
            f"{name} holds no DICOM picture that can be used: "
            + (f"{quoted(unusable[0][0])} {unusable[0][1]}." if unusable else "none of its files has pixels.")
        )
    order = sorted(series.values(), key=lambda group: (-len(group), group[0].instance))
    chosen = order[0]
    notices: list[str] = []
    if len(order) > 1:
        others = ", ".join(f'"{group[0].description}" ({len(group)})' for group in order[1:6])
        more = f" and {len(order) - 6} more" if len(order) > 6 else ""
        notices.append(
            f"{name} holds {len(order)} series; the largest was read, "
            f'"{chosen[0].description}" ({len(chosen)} slices), and not {others}{more}.'
        )
    chosen = _one_per_place(chosen, notices)
    rows, columns = chosen[0].size
    if rows * columns * len(chosen) > max_voxels:
        raise InputError(
            f"{name} holds {columns}x{rows}x{len(chosen)} voxels, more than the limit of {max_voxels:,}: "
            "crop or downsample it first."
        )
    stack, chosen = _decoded(chosen, name, unusable)
    if unusable:
        notices.append(
            f"{len(unusable)} DICOM file{'s' * (len(unusable) > 1)} could not be used, the first being "
            f"{quoted(unusable[0][0])}, which {unusable[0][1]}."
        )
    if len(chosen) < 2:
        raise InputError(
            f"{name} holds one slice and not a volume: give the folder, or a zip of it, with all slices of the series."
        )
    array, affine = _evenly(stack, chosen, name, max_voxels, notices)
    return array, affine, chosen[0].modality, notices


def _normal(slice_: Slice) -> np.ndarray:
    return np.cross(*slice_.orientation)


def _one_per_place(slices: list[Slice], notices: list[str]) -> list[Slice]:
    """The slices in order along their normal; of several at one position (repeats, time points) the first."""
    normal = _normal(slices[0])
    heights = np.array([np.dot(slice_.position, normal) for slice_ in slices])
    order = np.argsort(heights, kind="stable")
    starts = np.flatnonzero(np.diff(heights[order], prepend=-np.inf) > SAME_PLACE)
    groups = [[slices[k] for k in group] for group in np.split(order, starts[1:])]
    kept = [min(group, key=lambda slice_: slice_.instance) for group in groups]
    if len(kept) < len(slices):
        repeats = Counter(len(group) for group in groups).most_common(1)[0][0]
        notices.append(
            f"The series holds {len(slices)} pictures of {len(kept)} slices (mostly {repeats} at each place); "
            "the first of each was read."
        )
    return kept


def _decoded(slices: list[Slice], name: str, unusable: list[tuple[Path, str]]) -> tuple[np.ndarray, list[Slice]]:
    """The decoded slices: their values (columns, rows, slices), float32, and the slices."""
    first = slices[0]
    rows, columns = first.size
    stack = np.empty((columns, rows, len(slices)), dtype=np.float32, order="F")
    of_path: dict[Path, list[int]] = defaultdict(list)
    for index, slice_ in enumerate(slices):
        of_path[slice_.path].append(index)
    kept: list[int] = []
    try:
        files = pixels.decoded(list(of_path), (first.frames, rows, columns), first.compressed)
        for (path, indices), frames in zip(of_path.items(), files, strict=True):
            if frames is None:
                unusable.append((path, "has pixels that cannot be decoded"))
                continue
            kept += indices
            for index in indices:
                stack[..., index] = frames[slices[index].frame].T
    except pixels.DecoderDied as died:
        raise InputError(
            f"{name} holds {quoted(died.path)}, whose compressed pixels are damaged so that they cannot be "
            "decoded: export the series again, uncompressed."
        ) from None
    kept.sort()
    return (stack if len(kept) == len(slices) else stack[..., kept]), [slices[index] for index in kept]


def _evenly(
    stack: np.ndarray, slices: list[Slice], name: str, max_voxels: int, notices: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """An evenly spaced volume from slices: (array, affine voxel -> RAS mm)."""
    normal, positions = _normal(slices[0]), np.array([slice_.position for slice_ in slices])
    heights = (positions - positions[0]) @ normal  # rising, from 0
    slant = (positions[-1] - positions[0]) / heights[-1]  # per mm of height; not the normal if the gantry was tilted
    stray = np.linalg.norm(positions - positions[0] - heights[:, None] * slant, axis=1).max()
    if stray > 0.5:
        raise InputError(
            f"{name} has slices that lie up to {stray:.1f} mm off a straight line: convert it with dcm2niix."
        )
    gaps = np.diff(heights)
    if gaps.max() > MAX_SLICE_STEP:
        raise InputError(
            f"{name} has neighbouring slices {gaps.max():.1f} mm apart, more than the limit of {MAX_SLICE_STEP:g} mm: "
            "slices are missing; export the whole series."
        )
    step = float(np.median(gaps))
    count = round(heights[-1] / step) + 1
    step = heights[-1] / (count - 1)
    shape = (*stack.shape[:2], count)
    if math.prod(shape) > max_voxels:
        raise InputError(
            f"{name} has slices from {gaps.min():g} to {gaps.max():g} mm apart, which is not an even spacing."
        )

    row_step, column_step = slices[0].spacing
    along_columns, along_rows = slices[0].orientation
    affine = np.eye(4)
    affine[:3, :3] = np.transpose([along_columns * column_step, along_rows * row_step, slant * step])
    affine[:3, 3] = positions[0]
    affine = LPS_TO_RAS @ affine

    index = heights / step
    nearest = np.round(index).astype(int)
    on_grid = np.abs(index - nearest) < 0.05
    missing = np.setdiff1d(np.arange(count), nearest[on_grid])
    if on_grid.all() and len(slices) == count:
        return stack, affine
    array = np.empty(shape, dtype=np.float32, order="F")
    for k in range(count):
        after = int(np.clip(np.searchsorted(index, k), 1, len(index) - 1))
        weight = np.clip((k - index[after - 1]) / (index[after] - index[after - 1]), 0.0, 1.0)
        weight = np.round(weight) if k not in missing else weight
        array[..., k] = (1 - weight) * stack[..., after - 1] + weight * stack[..., after]
    if on_grid.all():
        verb = "is" if len(missing) == 1 else "are"
        notices.append(
            f"{len(missing)} of {count} slices {verb} missing, at {_where(affine, shape, missing)}; these were "
            "interpolated between their neighbours and are unreliable."
        )
    else:
        notices.append(
            f"The slices lie unevenly, {gaps.min():.2f} to {gaps.max():.2f} mm apart; they were interpolated to "
            f"{count} slices an even {step:.2f} mm apart."
        )
    return array, affine


def _where(affine: np.ndarray, shape: tuple[int, ...], slices: np.ndarray) -> str:
    """Positions of the slices' centres as a scanner shows them: "S 12.0, S 14.0 mm"."""
    middle = [(shape[0] - 1) / 2, (shape[1] - 1) / 2]
    axis = int(np.argmax(np.abs(affine[:3, 2])))
    positions = []
    for k in slices[:8]:
        mm = float((affine @ [*middle, k, 1.0])[axis])
        positions.append(f"{('RL', 'AP', 'SI')[axis][mm < 0]} {abs(mm):.1f}")
    more = f" and {len(slices) - 8} more" if len(slices) > 8 else ""
    return ", ".join(positions) + " mm" + more
