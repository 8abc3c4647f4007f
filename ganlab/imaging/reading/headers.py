"""Headers of volume files: one small parser per format, each `bytes -> Header`.

Only the header is parsed here, from the file's first bytes, so that `files.py` can check the declared size against the
file before it allocates memory. NIfTI and MGH headers are parsed by nibabel. NRRD and MetaImage headers are plain text
and are parsed here, because the usual C++ readers trust the declared size (MetaIO corrupts the heap on a damaged
header).

Every parser raises InputError with a sentence that continues after the file's name: "is ...", "has ...".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.reading.nifti_space import RESAVE, nifti_space
from ganlab.imaging.volume import SCANNER, Origin
from ganlab.imaging.wording import shown

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
MILLIMETRES = {"m": 1e3, "cm": 10.0, "mm": 1.0, "um": 1e-3, "µm": 1e-3}


@dataclass(frozen=True)
class Header:
    """The voxel data that a file declares, and where they lie in the patient.

    shape: as declared, the fastest axis first; 1 to 7 axes, of which the first three are spatial.
    dtype: of one stored number, byte order included.
    affine: (4, 4) voxel indices -> RAS+ mm.
    offset: bytes before the voxel data in their file.
    data_file: name of the file beside this one that holds the voxel data; None: this file.
    deflated: whether the voxel data (not the file) are a gzip or zlib stream.
    slope, intercept: value = slope * stored number + intercept.
    origin: the space that the affine leads to.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    affine: np.ndarray
    offset: int
    data_file: str | None = None
    deflated: bool = False
    slope: float = 1.0
    intercept: float = 0.0
    notices: tuple[str, ...] = ()
    origin: Origin = SCANNER


def without_leading_axes(header: Header) -> Header:
    """(x, y, z) for (1, x, y, z), as arrays are saved that have an axis of channels or of batches first; the affine is
    that of the others."""
    leading = 0
    while len(header.shape) - leading > 3 and header.shape[leading] == 1:
        leading += 1
    if not leading:
        return header
    sizes = "x".join(map(str, header.shape))
    sentence = f"The file's size is {sizes}; the first {'axis' if leading == 1 else f'{leading} axes'} of length 1"
    notice = f"{sentence} were left out." if leading > 1 else f"{sentence} was left out."
    return replace(header, shape=header.shape[leading:], notices=(*header.notices, notice))


def nifti(head: bytes) -> Header:
    """NIfTI-1 or NIfTI-2 in either byte order (https://nifti.nimh.nih.gov).

    The sform is used if its code is positive, else the qform. When both codes are 0 the standard defines the voxel size
    but no orientation: left and right may be swapped. Such a file is refused, since a notice on a mirrored head is too
    easily overlooked.
    """
    import nibabel as nib

    two = head[4:8] in (b"n+2\0", b"ni2\0")
    kind, size = (nib.Nifti2Header, 540) if two else (nib.Nifti1Header, 348)
    if len(head) < size:
        raise InputError(f"ends inside its NIfTI header, after {len(head)} bytes: copy it again from its source")
    fields = kind(head[:size], check=False)
    pair = bytes(fields["magic"].item())[:2] == b"ni"
    axes = int(fields["dim"][0])
    if not 1 <= axes <= 7:
        raise InputError(f"has a NIfTI header that gives {axes} dimensions: the file is damaged; copy it again")
    offset = float(fields["vox_offset"])
    if not 0 <= offset < 2**53:
        raise InputError(f"has a NIfTI header that puts its voxel data at byte {offset:g}: the file is damaged")
    affine, origin, notices = nifti_space(fields)
    slope, intercept = float(fields["scl_slope"]), float(fields["scl_inter"])
    if not np.isfinite(slope) or slope == 0:  # the standard's "not scaled"
        slope, intercept = 1.0, 0.0
    if not np.isfinite(intercept):
        raise InputError(f"has a NIfTI header whose intensity offset is {intercept}: {RESAVE}")
    return Header(
        shape=tuple(int(n) for n in fields["dim"][1 : axes + 1]),
        dtype=_nifti_dtype(fields),
        affine=affine,
        offset=int(offset) if pair else max(int(offset), size + 4),
        data_file="*.img" if pair else None,
        slope=slope,
        intercept=intercept,
        notices=notices,
        origin=origin,
    )


def _nifti_dtype(fields: Any) -> np.dtype:
    from nibabel.spatialimages import HeaderDataError

    code = int(fields["datatype"])
    try:
        return fields.get_data_dtype()
    except (HeaderDataError, KeyError):
        raise InputError(f"has an undefined NIfTI data type ({code}): the file is damaged") from None


def mgh(head: bytes) -> Header:
    """FreeSurfer MGH, always big-endian (https://surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat)."""
    from nibabel.freesurfer.mghformat import MGHHeader

    size = MGHHeader.template_dtype.itemsize
    if len(head) < size:
        raise InputError(f"ends inside its MGH header, after {len(head)} bytes: copy it again from its source")
    fields = MGHHeader(head[:size], check=False)
    types = {0: ">u1", 1: ">i4", 3: ">f4", 4: ">i2", 10: ">u2"}
    if (code := int(fields["type"])) not in types:
        raise InputError(f"has an MGH data type ({code}) other than uchar, int, float, short or ushort: {RESAVE}")
    if head[28:30] != b"\0\1":  # goodRASFlag; nibabel would silently use its defaults
        raise InputError(
            "has no spatial orientation (its MGH header says that the direction cosines are not good), so that "
            "left and right cannot be told apart: convert it again from DICOM"
        )
    with np.errstate(all="ignore"):
        affine = fields.get_affine()
    return Header(
        shape=tuple(int(n) for n in fields["dims"]),
        dtype=np.dtype(types[code]),
        affine=affine,
        offset=fields.get_data_offset(),
    )


NRRD_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": (
        "longlong",
        "long long",
        "long long int",
        "signed long long",
        "signed long long int",
        "int64",
        "int64_t",
    ),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
NRRD_SPACES = {  # signs that turn the file's axes into right, anterior, superior
    ("right-anterior-superior", "ras"): (1, 1, 1),
    ("left-anterior-superior", "las"): (-1, 1, 1),
    ("left-posterior-superior", "lps"): (-1, -1, 1),
}


def nrrd(head: bytes) -> Header:
    """NRRD with attached or detached voxel data, raw or gzip (https://teem.sourceforge.net/nrrd/format.html)."""
    end = re.search(rb"\r?\n\r?\n", head)
    text = (head[: end.start()] if end else head).decode("latin-1")
    pairs = (line.split(":", 1) for line in text.splitlines()[1:] if ":" in line and not line.startswith("#"))
    fields = {key.strip().lower().replace(" ", ""): value.strip() for key, value in pairs if value[:1] != "="}
    data_file = fields.get("datafile")
    if end is None and not data_file:
        raise InputError("ends inside its NRRD header (there is no blank line after it): copy it again")
    if data_file is not None and re.search(r"%|\bLIST\b|\s", data_file):
        raise InputError(f"is an NRRD header whose voxel data are in several files: {RESAVE}")

    encoding = _field(fields, "encoding", "NRRD").lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise InputError(f'has NRRD encoding "{shown(encoding, 40)}", not raw or gzip: {RESAVE}')
    names = {name: code for code, names in NRRD_TYPES.items() for name in names}
    kind = _field(fields, "type", "NRRD").lower()
    if kind not in names:
        raise InputError(f'has NRRD type "{shown(kind, 40)}", neither integer nor float: {RESAVE}')
    dtype = np.dtype(names[kind])
    if dtype.itemsize > 1:
        endian = _field(fields, "endian", "NRRD").lower()
        if endian not in ("little", "big"):
            raise InputError(f'has NRRD byte order "{shown(endian, 40)}", not little or big: {RESAVE}')
        dtype = dtype.newbyteorder("<" if endian == "little" else ">")
    skip = int(_numbers(fields.get("byteskip", "0"), "byte skip")[0])
    if fields.get("lineskip", "0") != "0" or (skip and encoding != "raw") or skip < 0:
        raise InputError(f"has an NRRD header that skips lines or unknown bytes before its voxel data: {RESAVE}")

    sizes = _sizes(_field(fields, "sizes", "NRRD"))
    directions = re.findall(r"none|\([^)]*\)", fields.get("spacedirections", ""))
    signs = {name: signs for names, signs in NRRD_SPACES.items() for name in names}
    space = fields.get("space", "").lower()
    if space not in signs or "spaceorigin" not in fields:
        raise InputError(
            'has no spatial orientation (its NRRD header has no "space" of the patient, such as '
            f"left-posterior-superior, or no origin), so that left and right cannot be told apart: {RESAVE}"
        )
    spatial = [axis for axis, direction in enumerate(directions) if direction != "none"]
    if len(directions) != len(sizes) or len(spatial) != 3:
        raise InputError(f"has an NRRD header with {len(spatial)} directions in space for {len(sizes)} axes: {RESAVE}")
    within = [axis for axis in range(spatial[-1]) if axis not in spatial and sizes[axis] != 1]
    if within:
        raise InputError(f"holds {sizes[within[0]]} values per voxel (colour or vectors), not one: {RESAVE}")
    units = re.findall(r'"([^"]*)"', fields.get("spaceunits", "")) or ["mm"]
    axes = [_vector(directions[axis]) for axis in spatial]
    affine = np.eye(4)
    affine[:3, :3] = np.transpose(axes)
    affine[:3, 3] = _vector(fields["spaceorigin"])
    scale = MILLIMETRES.get(units[0], 1.0)
    codes = {key: int(code) for key, code in re.findall(r"^([sq]form)_code:=([0-5])\s*$", text, re.MULTILINE)}  # ITK's
    return Header(
        shape=tuple(sizes[axis] for axis in spatial) + tuple(sizes[spatial[-1] + 1 :]),
        dtype=dtype,
        affine=np.diag([*(scale * np.array(signs[space])), 1.0]) @ affine,
        offset=skip + (end.end() if end and not data_file else 0),
        data_file=data_file,
        deflated=encoding != "raw",
        origin=Origin(codes.get("sform", 0), codes.get("qform", 0)) if any(codes.values()) else SCANNER,
    )


META_TYPES = {
    "met_char": "i1",
    "met_uchar": "u1",
    "met_short": "i2",
    "met_ushort": "u2",
    "met_int": "i4",
    "met_uint": "u4",
    "met_long": "i4",
    "met_ulong": "u4",
    "met_long_long": "i8",
    "met_ulong_long": "u8",
    "met_float": "f4",
    "met_double": "f8",
}


def metaimage(head: bytes) -> Header:
    """MetaImage: .mha, or .mhd with its voxel data beside it (https://itk.org/Wiki/ITK/MetaIO/Documentation).

    Its world is LPS; row n of TransformMatrix is the direction of axis n.
    """
    end = re.search(rb"^ElementDataFile[ \t]*=[ \t]*([^\r\n]*)\r?\n?", head, re.MULTILINE)
    if end is None:
        raise InputError("ends inside its MetaImage header (no ElementDataFile line): copy it again")
    pairs = (line.split("=", 1) for line in head[: end.end()].decode("latin-1").splitlines() if "=" in line)
    fields = {key.strip().lower(): value.strip() for key, value in pairs}
    data_file = fields["elementdatafile"]
    if data_file.split(" ")[0] == "LIST" or "%" in data_file:
        raise InputError(f"is a MetaImage header whose voxel data are in several files: {RESAVE}")
    if fields.get("binarydata", "true").lower() != "true":
        raise InputError(f"holds its voxel data as text: {RESAVE}")
    if fields.get("elementnumberofchannels", "1") != "1":
        channels = shown(fields["elementnumberofchannels"], 40)
        raise InputError(f"holds {channels} values per voxel (colour or vectors), not one: {RESAVE}")
    kind = _field(fields, "elementtype", "MetaImage").lower()
    if kind not in META_TYPES:
        raise InputError(f'has MetaImage type "{shown(kind, 40)}", neither integer nor float: {RESAVE}')
    order = fields.get("elementbyteordermsb", fields.get("binarydatabyteordermsb", "false")).lower()
    sizes = _sizes(_field(fields, "dimsize", "MetaImage"))
    matrix = fields.get("transformmatrix") or fields.get("rotation") or fields.get("orientation")
    if matrix is None:
        raise InputError(
            "has no spatial orientation (its MetaImage header has no TransformMatrix), so that left and right "
            f"cannot be told apart: {RESAVE}"
        )
    n = len(sizes)
    rows = _numbers(matrix, "TransformMatrix")
    origin = fields.get("offset") or fields.get("position") or fields.get("origin") or " ".join("0" * n)
    spacing = _field(fields, "elementspacing" if "elementspacing" in fields else "elementsize", "MetaImage")
    shift, steps = _numbers(origin, "Offset"), _numbers(spacing, "ElementSpacing")
    if n < 3:
        raise InputError(f"has {n} axes, not three: it is a picture, not a volume")
    if len(rows) != n * n or len(shift) != n or len(steps) != n:
        raise InputError(f"has a MetaImage header whose matrix, offset or spacing does not fit {n} axes: {RESAVE}")
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(rows, (n, n))[:3, :3].T * steps[:3]
    affine[:3, 3] = shift[:3]
    scale = MILLIMETRES.get(fields.get("distanceunits", "mm").strip('"'), 1.0)
    return Header(
        shape=sizes,
        dtype=np.dtype(META_TYPES[kind]).newbyteorder(">" if order == "true" else "<"),
        affine=LPS_TO_RAS @ np.diag([scale, scale, scale, 1.0]) @ affine,
        offset=_meta_offset(fields, end.end()),
        data_file=None if data_file.lower() == "local" else data_file,
        deflated=fields.get("compresseddata", "false").lower() == "true",
    )


def _meta_offset(fields: dict[str, str], local: int) -> int:
    skip = int(_numbers(fields.get("headersize", "0"), "HeaderSize")[0])
    if skip < 0:
        raise InputError(f"has a MetaImage header that does not say where its voxel data begin: {RESAVE}")
    return skip if skip or fields["elementdatafile"].lower() != "local" else local


def _field(fields: dict[str, str], key: str, what: str) -> str:
    if not fields.get(key):
        raise InputError(f'has a {what} header without "{key}": the file is damaged; copy it again from its source')
    return fields[key]


def _numbers(text: str, what: str) -> np.ndarray:
    """At most 64 finite numbers separated by blanks."""
    try:
        numbers = np.array([float(word) for word in text.split()[:64]])
    except ValueError:
        numbers = np.array([])
    if not numbers.size or not np.isfinite(numbers).all():
        raise InputError(f'gives "{shown(text, 40)}" as its {what}: the file is damaged; copy it again from its source')
    return numbers


def _vector(text: str) -> np.ndarray:
    vector = _numbers(text.strip("()").replace(",", " "), "direction or origin")
    if vector.size != 3:
        raise InputError(f'gives "{shown(text, 40)}" as a direction or origin, which is not three numbers: {RESAVE}')
    return vector


def _sizes(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\s*[+-]?\d{1,9}(\s+[+-]?\d{1,9})*\s*", text):
        raise InputError(f'gives "{shown(text, 40)}" as its sizes: the file is damaged; copy it again from its source')
    return tuple(int(word) for word in text.split())
