"""DICOM elements: the tags and values of one file, read by walking it.

Elements are parsed here, so that a wrong length is detected before GDCM trusts it: GDCM allocates whatever an element
declares, up to 4 GB.
"""

from __future__ import annotations

import struct
from mmap import mmap
from typing import Any

import numpy as np

UNDEFINED = 0xFFFFFFFF  # length unknown: an end mark follows the value
ITEM, ITEM_END, SEQUENCE_END, PIXELS = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0x7FE00010
IMPLICIT, EXPLICIT_BIG, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
NATIVE = (IMPLICIT, "1.2.840.10008.1.2.1")  # transfer syntaxes with uncompressed pixels
LONG_FORM = tuple(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())  # value representations with 32-bit lengths
SHORT_FORM = tuple(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())

SHARED, PER_FRAME = 0x52009229, 0x52009230  # functional groups of multi-frame files
PLANE_POSITION, PLANE_ORIENTATION, PIXEL_MEASURES = 0x00209113, 0x00209116, 0x00289110
PIXEL_VALUES, FRAME_CONTENT, MR_ECHO, MR_DIFFUSION = 0x00289145, 0x00209111, 0x00189114, 0x00189117
MR_TIMING, MR_FRAME_TYPE, CT_FRAME_TYPE = 0x00189112, 0x00189226, 0x00189329
FRAME_GROUPS = (
    PLANE_POSITION,
    PLANE_ORIENTATION,
    PIXEL_MEASURES,
    PIXEL_VALUES,
    FRAME_CONTENT,
    MR_ECHO,
    MR_DIFFUSION,
    MR_TIMING,
    MR_FRAME_TYPE,
    CT_FRAME_TYPE,
)
SEQUENCES = (SHARED, PER_FRAME, *FRAME_GROUPS)
TRANSFER_SYNTAX, CLASS, IMAGE, IMAGE_TYPE = 0x00020010, 0x00080016, 0x00080018, 0x00080008
MODALITY, DESCRIPTION, PROTOCOL = 0x00080060, 0x0008103E, 0x00181030
SERIES, SERIES_NUMBER, INSTANCE = 0x0020000E, 0x00200011, 0x00200013
STUDY, PATIENT, PATIENT_NAME = 0x0020000D, 0x00100020, 0x00100010
POSITION, ORIENTATION, SPACING, THICKNESS, SLICE_STEP = 0x00200032, 0x00200037, 0x00280030, 0x00180050, 0x00180088
SAMPLES, FRAMES, ROWS, COLUMNS, BITS, SIGNED = 0x00280002, 0x00280008, 0x00280010, 0x00280011, 0x00280100, 0x00280103
PADDING, INTERCEPT, SLOPE = 0x00280120, 0x00281052, 0x00281053
CONTRAST_AGENT, ECHO_TIME, ECHO_NUMBER, INVERSION_TIME = 0x00180010, 0x00180081, 0x00180086, 0x00180082
REPETITION_TIME, FLIP_ANGLE, KERNEL, PEAK_VOLTAGE = 0x00180080, 0x00181314, 0x00181210, 0x00180060
EFFECTIVE_ECHO_TIME, B_VALUE, SIEMENS_B_VALUE, GE_B_VALUE = 0x00189082, 0x00189087, 0x0019100C, 0x00431039
DOUBLES = (EFFECTIVE_ECHO_TIME, B_VALUE)
FRAME_TYPE, COMPLEX_PART, GE_COMPLEX_PART = 0x00089007, 0x00089208, 0x0043102F
TIME_POSITION, TIME_INDEX, ACQUISITION = 0x00200100, 0x00209128, 0x00200012
TRIGGER_TIME, ACQUISITION_DATE, ACQUISITION_TIME = 0x00181060, 0x00080022, 0x00080032
SIEMENS_TILES, SIEMENS_CREATOR = 0x0019100A, b"SIEMENS CSA HEADER"

MAX_DEPTH = 16  # of nested sequences
CSA_GROUP, MAX_CSA = 0x0029, 1 << 18  # where Siemens describes a mosaic, and the bytes that are kept of it

Elements = dict[int, Any]  # {tag: bytes; the length, of long values and pixels; a list of Elements, of a sequence}
Buffer = bytes | mmap


class Unusable(ValueError):
    """Why a file cannot be part of a series, phrased so that it can follow the file's name."""


def is_dicom(head: bytes) -> bool:
    """Whether a file's first 132 bytes are DICOM's. Files without the preamble start with group 8 or 2."""
    return head[128:132] == b"DICM" or head[:4] in (b"\x08\0\0\0", b"\x08\0\x05\0", b"\x08\0\x08\0", b"\x02\0\0\0")


def elements(data: Buffer, max_bytes: int = 4096) -> Elements:
    """All elements of a DICOM file.

    data: the file's bytes, or a memory map of it. Values longer than `max_bytes` are skipped and given as their length;
    so are pixels of any length. Raises Unusable where a length points outside the file.
    """
    dataset: Elements = {}
    pos = 0
    if data[128:132] == b"DICM":
        pos, end = 132, len(data)
        while pos + 8 <= end and data[pos : pos + 2] == b"\x02\0":  # the meta group is always explicit
            part, pos = _dataset(data, pos, end, True, max_bytes, first_only=True)
            dataset |= part
        explicit = text(dataset, TRANSFER_SYNTAX) != IMPLICIT
    else:
        explicit = bytes(data[4:6]).isalpha()
    if text(dataset, TRANSFER_SYNTAX) in (EXPLICIT_BIG, DEFLATED):
        raise Unusable("uses a retired or deflated transfer syntax (convert it with dcmconv +te, or export it again)")
    part, _ = _dataset(data, pos, len(data), explicit, max_bytes)
    return dataset | part


def _dataset(
    data: Buffer, pos: int, end: int, explicit: bool, max_bytes: int, depth: int = 0, first_only: bool = False
) -> tuple[Elements, int]:
    """The elements from pos to end, or to the item's end mark, and the position after them. first_only: only one."""
    if depth > MAX_DEPTH:
        raise Unusable(f"nests its sequences more than {MAX_DEPTH} deep")
    dataset: Elements = {}
    while pos < end:
        if end - pos < 8:
            raise Unusable("is truncated")
        group, element = struct.unpack_from("<HH", data, pos)
        tag = group << 16 | element
        if tag in (ITEM_END, SEQUENCE_END):
            return dataset, pos + 8
        vr = bytes(data[pos + 4 : pos + 6]) if explicit else b""
        if explicit and vr not in LONG_FORM + SHORT_FORM:
            raise Unusable(f"has a damaged element ({group:04x},{element:04x})")
        if vr in LONG_FORM:
            if end - pos < 12:
                raise Unusable("is truncated")
            length, pos = struct.unpack_from("<I", data, pos + 8)[0], pos + 12
        elif explicit:
            length, pos = struct.unpack_from("<H", data, pos + 6)[0], pos + 8
        else:
            length, pos = struct.unpack_from("<I", data, pos + 4)[0], pos + 8
        if length != UNDEFINED and length > end - pos:
            raise Unusable(f"is truncated: element ({group:04x},{element:04x}) promises {length} bytes of {end - pos}")
        if tag == PIXELS:
            dataset[tag], pos = (length, pos + length) if length != UNDEFINED else _fragments(data, pos, end)
        elif length == UNDEFINED or vr == b"SQ" or tag in SEQUENCES:
            stop = end if length == UNDEFINED else pos + length
            dataset[tag], pos = _items(data, pos, stop, explicit and vr != b"UN", max_bytes, depth)
        else:
            limit = MAX_CSA if group == CSA_GROUP else max_bytes
            dataset[tag], pos = bytes(data[pos : pos + length]) if length <= limit else length, pos + length
        if first_only:
            break
    return dataset, pos


def _items(data: Buffer, pos: int, end: int, explicit: bool, max_bytes: int, depth: int) -> tuple[list[Elements], int]:
    """The items of a sequence, and the position after them."""
    items = []
    while end - pos >= 8:
        group, element, length = struct.unpack_from("<HHI", data, pos)
        pos += 8
        if group << 16 | element == SEQUENCE_END:
            break
        if group << 16 | element != ITEM or (length != UNDEFINED and length > end - pos):
            raise Unusable("has a damaged sequence")
        stop = end if length == UNDEFINED else pos + length
        item, pos = _dataset(data, pos, stop, explicit, max_bytes, depth + 1)
        items.append(item)
    return items, pos


def _fragments(data: Buffer, pos: int, end: int) -> tuple[int, int]:
    """The length of compressed pixels, and the position after them."""
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


def text(dataset: Elements, tag: int, default: str = "") -> str:
    """A string value without padding, printable; the default if it is absent."""
    value = dataset.get(tag)
    string = value.decode("latin-1").strip(" \0") if isinstance(value, bytes) else default
    return "".join(c if c.isprintable() else "?" for c in string)


def reals(dataset: Elements, tag: int, count: int) -> tuple[float, ...] | None:
    """The numbers of a decimal string; None if it is absent or is not `count` finite numbers."""
    try:
        numbers = tuple(float(word) for word in text(dataset, tag).split("\\"))
    except ValueError:
        return None
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None


def integer(dataset: Elements, tag: int, default: int = 0) -> int:
    """The integer of a decimal string; the default if it is absent or not a number."""
    numbers = reals(dataset, tag, 1)
    return int(numbers[0]) if numbers else default


def uint16(dataset: Elements, tag: int, default: int = 0) -> int:
    """A binary unsigned short; the default if it is absent."""
    value = dataset.get(tag)
    return int.from_bytes(value, "little") if isinstance(value, bytes) and len(value) == 2 else default


def real(dataset: Elements, tag: int) -> float | None:
    """The number of a decimal string, the first of several, or of a binary double (DOUBLES); None if it is absent."""
    value = dataset.get(tag)
    if tag in DOUBLES:
        number = float(np.frombuffer(value, "<f8")[0]) if isinstance(value, bytes) and len(value) == 8 else np.nan
        return number if np.isfinite(number) else None
    numbers = reals({tag: text(dataset, tag).split("\\")[0].encode()}, tag, 1)
    return numbers[0] if numbers else None


def first_item(items: Any) -> Elements:
    """The first item of a sequence; {} if it is absent or empty."""
    return items[0] if isinstance(items, list) and items else {}
