"""DICOM: from a heap of files to one geometrically right volume.

The elements are walked here, so that a damaged length is met before GDCM takes it at its word (it reserves
what an element promises, up to 4 GB), and so that every slice's own position counts: multi-frame files,
tilted gantries and missing slices come out right. The pixels are decoded by `pixels.py`.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.reading import dicom_pixels as pixels
from ganlab.imaging.reading.headers import LPS_TO_RAS
from ganlab.imaging.wording import quoted

MAX_SLICE_STEP = 20.0  # mm between neighbouring slices
SAME_PLACE = 0.02  # mm; slices closer than this are repeats of one slice
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END, PIXELS = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0x7FE00010
IMPLICIT, EXPLICIT_BIG, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
NATIVE = (IMPLICIT, "1.2.840.10008.1.2.1")
LONG_FORM = tuple(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())  # value representations with 32-bit lengths
SHORT_FORM = tuple(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())

SHARED, PER_FRAME = 0x52009229, 0x52009230  # functional groups of multi-frame files
PLANE_POSITION, PLANE_ORIENTATION, PIXEL_MEASURES = 0x00209113, 0x00209116, 0x00289110
PIXEL_VALUES = 0x00289145
SEQUENCES = (SHARED, PER_FRAME, PLANE_POSITION, PLANE_ORIENTATION, PIXEL_MEASURES, PIXEL_VALUES)
TRANSFER_SYNTAX, IMAGE_TYPE, MODALITY, DESCRIPTION = 0x00020010, 0x00080008, 0x00080060, 0x0008103E
ECHO_TIME, SERIES, INSTANCE, POSITION, ORIENTATION = (
    0x00180081,
    0x0020000E,
    0x00200013,
    0x00200032,
    0x00200037,
)
SAMPLES, FRAMES, ROWS, COLUMNS, SPACING, BITS = (
    0x00280002,
    0x00280008,
    0x00280010,
    0x00280011,
    0x00280030,
    0x00280100,
)
INTERCEPT, SLOPE = 0x00281052, 0x00281053


class Unusable(ValueError):
    """Why one file cannot be part of a series, as words that follow its name."""


@dataclass(frozen=True)
class Slice:
    """One frame of one file. Position, orientation and spacing as in DICOM: LPS, mm."""

    path: Path
    frame: int
    frames: int
    size: tuple[int, int]  # rows, columns
    position: tuple[float, ...]
    orientation: np.ndarray  # (2, 3): the directions in which the column and the row number grow
    spacing: tuple[float, ...]  # between rows, between columns
    compressed: bool
    series: tuple  # slices that agree in this belong together
    instance: int
    description: str
    modality: str


def is_dicom(head: bytes) -> bool:
    """Whether a file's first 132 bytes are DICOM's; files without the preamble are known by group 8 or 2."""
    return head[128:132] == b"DICM" or head[:4] in (
        b"\x08\0\0\0",
        b"\x08\0\x05\0",
        b"\x08\0\x08\0",
        b"\x02\0\0\0",
    )


# --- elements -------------------------------------------------------------------------------------------


def elements(data, wanted_bytes: int = 4096) -> dict:
    """{tag: bytes, or a list of such dictionaries for a sequence} of a whole DICOM file.

    data: bytes or a memory map. Values longer than `wanted_bytes` are passed over and given as their length;
    the pixels always are. Raises Unusable where a length points outside the file.
    """
    found, pos = {}, 0
    if data[128:132] == b"DICM":
        pos, end = 132, len(data)
        while pos + 8 <= end and data[pos : pos + 2] == b"\x02\0":  # the meta group is always explicit
            part, pos = _dataset(data, pos, end, True, wanted_bytes, one=True)
            found |= part
        explicit = _text(found, TRANSFER_SYNTAX) != IMPLICIT
    else:
        explicit = bytes(data[4:6]).isalpha()
    if _text(found, TRANSFER_SYNTAX) in (EXPLICIT_BIG, DEFLATED):
        raise Unusable("uses a retired or deflated transfer syntax")
    part, _ = _dataset(data, pos, len(data), explicit, wanted_bytes)
    return found | part


def _dataset(data, pos: int, end: int, explicit: bool, wanted: int, depth: int = 0, one: bool = False):
    """Elements from pos up to end (or up to the item's end mark): ({tag: value}, next position)."""
    if depth > 16:
        raise Unusable("nests its sequences more than 16 deep")
    found = {}
    while pos < end:
        if end - pos < 8:
            raise Unusable("is truncated")
        group, element = struct.unpack_from("<HH", data, pos)
        tag = group << 16 | element
        if tag in (ITEM_END, SEQUENCE_END):
            return found, pos + 8
        vr = bytes(data[pos + 4 : pos + 6]) if explicit else b""
        if explicit and vr not in LONG_FORM + SHORT_FORM:
            raise Unusable(f"has a damaged element ({group:04x},{element:04x})")
        if vr in LONG_FORM:
            if end - pos < 12:
                raise Unusable("is truncated")
            length, pos = struct.unpack_from("<I", data, pos + 8)[0], pos + 12
        else:
            length, pos = (
                struct.unpack_from("<H" if explicit else "<I", data, pos + (6 if explicit else 4))[0],
                pos + 8,
            )
        if length != UNDEFINED and length > end - pos:
            raise Unusable(f"is truncated: element ({group:04x},{element:04x}) promises {length} bytes of {end - pos}")
        if tag == PIXELS:
            found[tag], pos = (length, pos + length) if length != UNDEFINED else _fragments(data, pos, end)
        elif length == UNDEFINED or vr == b"SQ" or tag in SEQUENCES:
            stop = end if length == UNDEFINED else pos + length
            found[tag], pos = _items(data, pos, stop, explicit and vr != b"UN", wanted, depth)
        else:
            found[tag], pos = bytes(data[pos : pos + length]) if length <= wanted else length, pos + length
        if one:
            break
    return found, pos


def _items(data, pos: int, end: int, explicit: bool, wanted: int, depth: int):
    """The items of a sequence: ([{tag: value}], next position)."""
    items = []
    while end - pos >= 8:
        group, element, length = struct.unpack_from("<HHI", data, pos)
        pos += 8
        if group << 16 | element == SEQUENCE_END:
            break
        if group << 16 | element != ITEM or (length != UNDEFINED and length > end - pos):
            raise Unusable("has a damaged sequence")
        stop = end if length == UNDEFINED else pos + length
        item, pos = _dataset(data, pos, stop, explicit, wanted, depth + 1)
        items.append(item)
    return items, pos


def _fragments(data, pos: int, end: int):
    """Compressed pixels: (their length, next position)."""
    total = 0
    while end - pos >= 8:
        group, element, length = struct.unpack_from("<HHI", data, pos)
        pos += 8
        if group << 16 | element == SEQUENCE_END:
            return total, pos
        if group << 16 | element != ITEM or length > end - pos:
            break
        total, pos = total + length, pos + length
    raise Unusable("is truncated in its compressed pixels")


def _text(found: dict, tag: int, default: str = "") -> str:
    value = found.get(tag)
    text = value.decode("latin-1").strip(" \0") if isinstance(value, bytes) else default
    return "".join(c if c.isprintable() else "?" for c in text)


def _reals(found: dict, tag: int, count: int) -> tuple[float, ...] | None:
    """A decimal string's numbers; None if it is absent or is not `count` finite numbers."""
    try:
        numbers = tuple(float(word) for word in _text(found, tag).split("\\"))
    except ValueError:
        return None
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None


def _whole(found: dict, tag: int, default: int = 0) -> int:
    value = found.get(tag)
    return struct.unpack("<H", value)[0] if isinstance(value, bytes) and len(value) == 2 else default


def _count(found: dict, tag: int, default: int) -> int:
    numbers = _reals(found, tag, 1)
    return int(numbers[0]) if numbers else default


# --- slices ---------------------------------------------------------------------------------------------


def slices_of(path: Path, max_voxels: int) -> list[Slice]:
    """The frames of one DICOM file, [] if it holds no picture. Raises Unusable, OSError."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = elements(data)
    if PIXELS not in found:
        return []
    rows, columns, frames = _whole(found, ROWS), _whole(found, COLUMNS), _count(found, FRAMES, 1)
    if min(rows, columns, frames) < 1 or rows * columns * frames > max_voxels:
        raise Unusable(f"gives {columns}x{rows}x{frames} as its size")
    if (samples := _whole(found, SAMPLES, 1)) != 1:
        raise Unusable(f"is a colour picture ({samples} numbers per pixel)")
    native = _text(found, TRANSFER_SYNTAX, IMPLICIT) in NATIVE
    promised = rows * columns * frames * _whole(found, BITS, 16) // 8
    if native and found[PIXELS] < promised:
        raise Unusable(f"is truncated: it promises {promised} bytes of pixels and holds {found[PIXELS]}")
    if "MOSAIC" in _text(found, IMAGE_TYPE).upper():
        raise Unusable("is a Siemens mosaic, many slices in one picture: convert it with dcm2niix")

    shared = _first(found.get(SHARED))
    per_frame = found.get(PER_FRAME) if isinstance(found.get(PER_FRAME), list) else []
    if len(per_frame) not in ((frames,) if frames > 1 else (0, 1)):
        raise Unusable("is a multi-frame file that does not say where its frames lie: convert it with dcm2niix")
    scalings = {_scaling(frame, shared) for frame in per_frame}
    if len(scalings) > 1:
        raise Unusable("scales the intensity of each frame differently: convert it with dcm2niix")
    slices = []
    for index, groups in enumerate(per_frame or [{}]):
        position = _placed(found, groups, shared, PLANE_POSITION, POSITION, 3)
        orientation = _placed(found, groups, shared, PLANE_ORIENTATION, ORIENTATION, 6)
        spacing = _placed(found, groups, shared, PIXEL_MEASURES, SPACING, 2)
        if position is None or orientation is None or spacing is None or min(spacing) <= 0:
            raise Unusable("does not say where it lies in the patient")
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
                    *(_text(found, tag) for tag in (SERIES, IMAGE_TYPE, ECHO_TIME)),
                    *np.round([*orientation, *spacing], 3).tolist(),
                    *(rows, columns, frames, native),
                ),
                instance=_count(found, INSTANCE, 0) if frames == 1 else index,
                description=_text(found, DESCRIPTION)[:40] or "unnamed",
                modality=_text(found, MODALITY),
            )
        )
    return slices


def _first(items) -> dict:
    return items[0] if isinstance(items, list) and items else {}


def _placed(found: dict, frame: dict, shared: dict, group: int, tag: int, count: int):
    """A geometry value: the frame's own, else the one all frames share, else the plain element."""
    for place in (_first(frame.get(group)), _first(shared.get(group)), found):
        if (numbers := _reals(place, tag, count)) is not None:
            return numbers
    return None


def _scaling(frame: dict, shared: dict) -> tuple[str, str]:
    values = _first(frame.get(PIXEL_VALUES)) or _first(shared.get(PIXEL_VALUES))
    return _text(values, SLOPE, "1"), _text(values, INTERCEPT, "0")


# --- volume ---------------------------------------------------------------------------------------------


def read_series(paths: list[Path], name: str, max_voxels: int) -> tuple[np.ndarray, np.ndarray, str, list[str]]:
    """The largest series among DICOM files.

    name: what the user gave, quoted, for sentences.
    Returns the array (columns, rows, slices) float32 with rescale slope and intercept applied, its affine
    (voxel -> RAS mm), DICOM's modality ("CT", "MR", ...) and notices. Slices that are missing are
    interpolated between their neighbours, with a notice that says where; neighbours more than
    MAX_SLICE_STEP apart are refused. Raises InputError.
    """
    series, unusable = defaultdict(list), []
    for path in paths:
        try:
            for piece in slices_of(path, max_voxels):
                series[piece.series].append(piece)
        except Unusable as reason:
            unusable.append((path, str(reason)))
    if not series:
        raise InputError(
            f"{name} holds no DICOM picture that can be used: "
            + (f"{quoted(unusable[0][0])} {unusable[0][1]}." if unusable else "none of its files has pixels.")
        )
    order = sorted(series.values(), key=lambda group: (-len(group), group[0].instance))
    chosen, notices = order[0], []
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


def _normal(piece: Slice) -> np.ndarray:
    return np.cross(*piece.orientation)


def _one_per_place(pieces: list[Slice], notices: list[str]) -> list[Slice]:
    """Slices in order along their normal; of several at one place (repeats, time points) the first."""
    normal = _normal(pieces[0])
    heights = np.array([np.dot(piece.position, normal) for piece in pieces])
    order = np.argsort(heights, kind="stable")
    starts = np.flatnonzero(np.diff(heights[order], prepend=-np.inf) > SAME_PLACE)
    places = [[pieces[k] for k in group] for group in np.split(order, starts[1:])]
    kept = [min(group, key=lambda piece: piece.instance) for group in places]
    if len(kept) < len(pieces):
        most = Counter(len(group) for group in places).most_common(1)[0][0]
        notices.append(
            f"The series holds {len(pieces)} pictures of {len(kept)} slices (mostly {most} at each place); "
            "the first of each was read."
        )
    return kept


def _decoded(pieces: list[Slice], name: str, unusable: list) -> tuple[np.ndarray, list[Slice]]:
    """The slices' values, (columns, rows, slices) float32, and those slices that could be decoded."""
    first = pieces[0]
    rows, columns = first.size
    stack = np.empty((columns, rows, len(pieces)), dtype=np.float32, order="F")
    of_path = defaultdict(list)
    for index, piece in enumerate(pieces):
        of_path[piece.path].append(index)
    kept = []
    try:
        files = pixels.decoded(list(of_path), (first.frames, rows, columns), first.compressed)
        for (path, indices), frames in zip(of_path.items(), files, strict=True):
            if frames is None:
                unusable.append((path, "has pixels that cannot be decoded"))
                continue
            kept += indices
            for index in indices:
                stack[..., index] = frames[pieces[index].frame].T
    except pixels.DecoderDied as died:
        raise InputError(
            f"{name} holds {quoted(died.path)}, whose compressed pixels are damaged so that they cannot be "
            "decoded: export the series again, uncompressed."
        ) from None
    kept.sort()
    return (stack if len(kept) == len(pieces) else stack[..., kept]), [pieces[index] for index in kept]


def _evenly(stack, pieces: list[Slice], name: str, max_voxels: int, notices: list[str]):
    """Slices -> an evenly spaced volume: (array, affine voxel -> RAS mm)."""
    normal, places = _normal(pieces[0]), np.array([piece.position for piece in pieces])
    heights = (places - places[0]) @ normal  # rising, from 0
    slant = (places[-1] - places[0]) / heights[-1]  # per mm of height; not the normal if the gantry was tilted
    stray = np.linalg.norm(places - places[0] - heights[:, None] * slant, axis=1).max()
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
            f"{name} has slices from {gaps.min():g} to {gaps.max():g} mm apart, which no even spacing fits."
        )

    row_step, column_step = pieces[0].spacing
    along_columns, along_rows = pieces[0].orientation
    affine = np.eye(4)
    affine[:3, :3] = np.transpose([along_columns * column_step, along_rows * row_step, slant * step])
    affine[:3, 3] = places[0]
    affine = LPS_TO_RAS @ affine

    index = heights / step
    nearest = np.round(index).astype(int)
    on_grid = np.abs(index - nearest) < 0.05
    missing = np.setdiff1d(np.arange(count), nearest[on_grid])
    if on_grid.all() and len(pieces) == count:
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
            f"{len(missing)} of {count} slices {verb} missing, at {_where(affine, shape, missing)}; what stands there "
            "was interpolated between the neighbours and must not be relied on."
        )
    else:
        notices.append(
            f"The slices lie unevenly, {gaps.min():.2f} to {gaps.max():.2f} mm apart; they were interpolated to "
            f"{count} slices an even {step:.2f} mm apart."
        )
    return array, affine


def _where(affine: np.ndarray, shape: tuple[int, ...], slices: np.ndarray) -> str:
    """Slice positions as said at a scanner: "S 12.0, S 14.0 mm" (of the slices' centres)."""
    middle = [(shape[0] - 1) / 2, (shape[1] - 1) / 2]
    axis = int(np.argmax(np.abs(affine[:3, 2])))
    words = []
    for k in slices[:8]:
        mm = float((affine @ [*middle, k, 1.0])[axis])
        words.append(f"{('RL', 'AP', 'SI')[axis][mm < 0]} {abs(mm):.1f}")
    more = f" and {len(slices) - 8} more" if len(slices) > 8 else ""
    return ", ".join(words) + " mm" + more
