"""Read a volume from disk: any of the usual formats, a folder or a zip -> `Volume`.

The format is recognised by the file's content, never by its name. The size that a header declares is checked against
the limits and against the file before any memory is allocated; compressed data are unpacked in chunks, and never
beyond the declared size. Every problem with a file raises InputError with one sentence.
"""

from __future__ import annotations

import math
import os
import re
import stat
import zlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.reading import dicom, headers, nifti_space
from ganlab.imaging.reading.dicom_elements import is_dicom
from ganlab.imaging.reading.dicom_series import Series
from ganlab.imaging.reading.unpacking import CHUNK, MAX_FILES, head_of, inflated, skipped, taken, unzipped
from ganlab.imaging.volume import UNITS, Origin, Volume
from ganlab.imaging.wording import listed, megabytes, quoted, shown, times
from ganlab.paths import around, entered

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

MAX_VOXELS = 512**3  # 134 million: 537 MB as float32
MAX_OFFSET = 64 * 1024**2  # bytes before the voxel data (header extensions)
SPACING_MM = (0.05, 20.0)
EXTENT_MM = (40.0, 1000.0)

PARSERS = {
    "nifti": headers.nifti,
    "mgh": headers.mgh,
    "nrrd": headers.nrrd,
    "metaimage": headers.metaimage,
}
NOT_VOLUMES = {  # first bytes: what the file is
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"BM": "a BMP picture",
    b"II*\0": "a TIFF picture",
    b"MM\0*": "a TIFF picture",
    b"%PDF": "a PDF document",
    b"\x89HDF": "an HDF5 file (MINC 2 or MATLAB 7.3)",
    b"CDF\x01": "a MINC 1 file",
    b"CDF\x02": "a MINC 1 file",
    b"MATLAB": "a MATLAB file",
    b"\x93NUMPY": "a NumPy array, which has no orientation",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"BZh": "bzip2-compressed",
    b"\xfd7zXZ": "xz-compressed",
}
KNOWN = "NIfTI, MGH/MGZ, NRRD, MetaImage or DICOM"


def read_volume(path: str | os.PathLike, modality: str = "unknown", series: str | None = None) -> Volume:
    """Read a file, a folder or a zip that holds one volume.

    path: NIfTI-1/2 (.nii, .nii.gz, .hdr/.img), MGH/MGZ, NRRD, MetaImage, a DICOM series as a folder or a zip, a
    multi-frame DICOM file, or a folder or zip with one file of the above. A single file that is not DICOM may be
    gzipped.
    modality: what the caller knows the volume to be ("t1", "ct", ...); it sets the unit, and which of several DICOM
    series is read. series: the number of the DICOM series to read, or a part of its description; see
    `scans.list_series`.

    The array is float32, finite and not constant, has at least 2 voxels along each axis and at most MAX_VOXELS in all,
    in the file's own voxel order and with its affine (voxel -> RAS mm). Of a 4-D file the first frame is read. The
    `notices` say what was chosen, converted or replaced.
    Raises InputError, with one sentence, for a file that cannot be read or cannot be a scan of a patient.
    """
    path = Path(path)
    name = quoted(path)
    if "\0" in str(path):
        raise InputError(f"{name} is not a valid file name: it contains a zero byte.")
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            volume = _read_folder(path, name, modality, series)
        elif stat.S_ISREG(mode):
            volume = _read_file(path, name, modality, series)
        else:
            raise InputError(f"{name} is neither a file nor a folder: give a file, folder or zip with one volume.")
    except FileNotFoundError:
        raise InputError(f"{name} does not exist: check the name and the folder.") from None
    except PermissionError:
        raise InputError(f"{name} cannot be read without permission: ask its owner for it.") from None
    except OSError as error:
        raise InputError(f"{name} cannot be read ({error.strerror or error}): copy it again.") from None
    return _checked(volume, name)


def as_volume(
    source: Volume | str | os.PathLike | SpatialImage, modality: str = "unknown", series: str | None = None
) -> Volume:
    """A volume as it is; a file, folder or zip as `read_volume` reads it; a nibabel image, held to the same limits."""
    if isinstance(source, str | os.PathLike):
        return read_volume(source, modality, series)
    if series is not None:
        raise InputError(f'A {type(source).__name__} has no DICOM series to choose from; leave out series="{series}".')
    if isinstance(source, Volume):
        return source
    if not all(hasattr(source, name) for name in ("affine", "dataobj", "shape")):
        raise InputError(f"A scan is a path, a Volume or a nibabel image, not a {type(source).__name__}.")
    name, affine = "The image", source.affine
    header = headers.Header(source.shape, source.get_data_dtype(), affine, offset=0)
    header = headers.without_leading_axes(header)
    try:
        _check_promise(header)
        origin = nifti_space.image_origin(source)
    except InputError as error:
        raise InputError(f"{name} {error}.") from None
    leading = len(source.shape) - len(header.shape)
    first = tuple(slice(None) if 0 <= axis - leading < 3 else 0 for axis in range(len(source.shape)))
    array = np.array(source.dataobj[first], np.float32)
    unit = UNITS.get(modality, "arbitrary")
    notices = header.notices + _other_frames(header, name)
    return _checked(Volume(array, affine, unit, modality, notices, origin=origin), name)


def _read_file(path: Path, name: str, modality: str, series: str | None) -> Volume:
    try:
        head, gzipped = head_of(path)
        kind = kind_of(head)
        if gzipped and kind in ("zip", "dicom"):
            raise InputError(f"{name} is a gzipped {kind.upper()} file: unpack it first.")
        if kind == "zip":
            with unzipped(path, name) as folder:
                return _read_folder(folder, name, modality, series)
        if kind == "dicom":
            return _read_dicom([path], name, modality, series)
        if kind in PARSERS and series is not None:
            raise InputError(f"{name} is not DICOM and has no series to choose from: leave --series out.")
        if kind in PARSERS:
            return _read_numbers(path, name, head, kind, gzipped, modality)
    except zlib.error:
        raise InputError(f"{name} is damaged (its compressed data do not add up): copy it again.") from None
    except EOFError:
        raise InputError(f"{name} is truncated (its checksum is missing): copy it again from its source.") from None
    if not head:
        raise InputError(f"{name} is empty (0 bytes{' once unpacked' if gzipped else ''}): copy it again.")
    if header := _header_of(path):
        raise InputError(f"{name} holds the voxels of {quoted(header)}, which says how they lie: give that file.")
    if gzipped and head.startswith(b"\x1f\x8b"):
        raise InputError(f"{name} is gzipped twice: unpack it once with gunzip.")
    raise InputError(f"{name} is {kind or 'not an image volume'}: give a volume as {KNOWN}.")


def _header_of(path: Path) -> Path | None:
    """The header of a pair of files, of which this is the one with the voxels."""
    name = path.name.lower().removesuffix(".gz")
    endings = (".hdr", ".HDR", ".hdr.gz") if name.endswith(".img") else ()
    stem = path.name[: len(name) - len(".img")]
    return next((header for ending in endings if (header := path.with_name(stem + ending)).is_file()), None)


def files_by_kind(folder: Path, name: str) -> dict[str, list[Path]]:
    """A folder's files: "dicom", "volume" (any other format), "packed", "damaged", ..."""
    by_kind: dict[str, list[Path]] = {}
    for path in _files_in(folder, name):
        try:
            head, gzipped = head_of(path, 4096)
        except (zlib.error, EOFError):
            kind = "damaged"
        else:
            kind = kind_of(head)
            if kind == "zip" or (gzipped and kind == "dicom"):
                kind = "packed"
        by_kind.setdefault("volume" if kind in PARSERS else kind, []).append(path)
    return by_kind


def _read_folder(folder: Path, name: str, modality: str, series: str | None) -> Volume:
    """A folder's DICOM series or, without DICOM, its only volume."""
    by_kind = files_by_kind(folder, name)
    volumes = by_kind.get("volume", [])
    if "dicom" in by_kind:
        volume = _read_dicom(by_kind["dicom"], name, modality, series)
        if volumes:
            volume = volume.with_notices(f"{name} holds DICOM and {listed(volumes)}; the DICOM series was read.")
        return volume
    if len(volumes) > 1:
        raise InputError(f"{name} holds {len(volumes)} volumes, {listed(volumes)}: give one of them.")
    if volumes:
        return _read_file(volumes[0], f"{quoted(volumes[0])} in {name}", modality, series)
    if "packed" in by_kind:
        raise InputError(f"{name} holds no volume, only packed files, {listed(by_kind['packed'])}: unpack them.")
    if "damaged" in by_kind:
        raise InputError(f"{name} holds no volume, only damaged files, {listed(by_kind['damaged'])}: copy them again.")
    raise InputError(f"{name} holds no image volume: give {KNOWN}.")


def _files_in(folder: Path, name: str) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise error

    files: dict[Path, Path] = {}  # what a path leads to, and the path
    seen = around(folder)
    for root, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = [each.name for each in entered((Path(root, n) for n in folders if n[0] != "."), seen)]
        for path in sorted((Path(root, n) for n in names if not n.startswith("._")), key=Path.is_symlink):
            if path.is_file():
                files.setdefault(path.resolve(), path)
        if len(files) > MAX_FILES:
            raise InputError(f"{name} holds more than the limit of {MAX_FILES:,} files: give the series' own folder.")
    return sorted(files.values())


def _read_dicom(paths: list[Path], name: str, modality: str, series: str | None) -> Volume:
    return _dicom_volume(*dicom.read_series(paths, name, MAX_VOXELS, modality, series), modality)


def read_listed(series: Series, name: str, modality: str = "unknown") -> Volume:
    """The volume of a series that was found, while its files are there. Raises InputError."""
    return _checked(_dicom_volume(*dicom.assemble(series, name, MAX_VOXELS, [], [series]), modality), name)


def _dicom_volume(
    array: np.ndarray, affine: np.ndarray, declared: str, notices: list[str], origin: Origin, modality: str
) -> Volume:
    if declared == "CT" and modality == "unknown":
        modality = "ct"
    elif declared == "CT" and modality != "ct":
        notices.append(f"The DICOM header says that this is a CT and not {modality.upper()}.")
    elif declared != "CT" and modality == "ct":
        notices.append(f'The DICOM header gives the modality as "{declared}" and not CT: its values may not be HU.')
    elif declared not in ("MR", "CT", "") and modality != "unknown":
        notices.append(f'The DICOM header gives the modality as "{declared}" and not MR: check that it is a T1.')
    return Volume(array, affine, UNITS.get(modality, "arbitrary"), modality, tuple(notices), origin)


def kind_of(head: bytes) -> str:
    """A key of PARSERS, "zip", "dicom", a phrase for another known format, or "" for an unknown one."""
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "zip"
    if head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0"):
        return "nifti"
    if head[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c") and len(head) >= 348:
        return "an Analyze 7.5 file, which does not store which side is left"
    if head[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c", b"\x1c\x02\0\0", b"\0\0\x02\x1c"):
        return "nifti" if len(head) < 348 else ""
    if re.match(rb"NRRD000\d", head):
        return "nrrd"
    if re.match(rb"\s*(ObjectType|NDims|Comment|ObjectSubType)\s*=", head):
        return "metaimage"
    if head[:4] == b"\0\0\0\x01":
        return "mgh"
    if is_dicom(head):
        return "dicom"
    if head[257:262] == b"ustar":
        return "a tar archive (give a zip)"
    return next((called for magic, called in NOT_VOLUMES.items() if head.startswith(magic)), "")


def _read_numbers(path: Path, name: str, head: bytes, kind: str, gzipped: bool, modality: str) -> Volume:
    """A header and a block of voxel data: every format but DICOM."""
    try:
        header = PARSERS[kind](head)
        if kind in ("nifti", "mgh"):  # of the others, the axis would have a direction of its own
            header = headers.without_leading_axes(header)
        _check_promise(header)
        if header.data_file:
            path = _beside(path, header.data_file)
            gzipped = path.suffix == ".gz" and not header.deflated
    except InputError as error:
        raise InputError(f"{name} {error}.") from None
    shape = header.shape[:3]
    expected = math.prod(shape) * header.dtype.itemsize
    with open(path, "rb") as file:
        chunks: Iterable[bytes] = iter(lambda: file.read(CHUNK), b"")
        if gzipped:
            chunks = inflated(chunks)
        chunks = skipped(chunks, header.offset)
        if header.deflated:
            chunks = inflated(chunks)
        data = taken(chunks, expected)
    if len(data) < expected:
        raise InputError(
            f"{name} promises {times(shape)} voxels ({megabytes(expected)}) but holds only {megabytes(len(data))}: "
            "the file is truncated; copy it again from its source."
        )
    numbers = np.frombuffer(data, header.dtype).reshape(shape, order="F")
    notices = header.notices + _other_frames(header, name)
    unit = UNITS.get(modality, "arbitrary")
    values = _scaled(numbers, header.slope, header.intercept)
    return Volume(values, header.affine, unit, modality, notices, header.origin)


def _other_frames(header: headers.Header, name: str) -> tuple[str, ...]:
    """A notice on a 4-D volume, of which one frame is read."""
    frames = header.shape[3:]
    return (f"{name} holds {frames[0]} frames; the first was read.",) if math.prod(frames) > 1 else ()


def _check_promise(header: headers.Header) -> None:
    """Raise InputError for a header that declares no volume within the limits, before any memory is allocated."""
    shape = header.shape
    if min(shape, default=0) < 1:
        raise InputError(f"gives {times(shape)} as its size, which is not positive: the file is damaged")
    if header.dtype.names:
        raise InputError("is a colour picture (RGB), not a scan: give the scan with one value per voxel")
    if header.dtype.kind == "c":
        raise InputError("holds complex numbers: give the magnitude image")
    if header.dtype.kind not in "iuf" or header.dtype.itemsize > 8:
        raise InputError(f"holds values of type {header.dtype.name}: {nifti_space.RESAVE} with 32-bit floats")
    if any(n > 1 for n in shape[4:]):
        raise InputError(f"has {len(shape)} dimensions ({times(shape)}), and a volume has 3: give one of its parts")
    if len(shape) < 3 or min(shape[:3]) < 2:
        raise InputError(f"holds one slice ({times(shape)}) and not a volume: give the whole scan")
    if math.prod(shape[:3]) > MAX_VOXELS:
        raise InputError(
            f"promises {times(shape[:3])} voxels, more than the limit of {MAX_VOXELS:,} (512x512x512): "
            "crop or downsample it first"
        )
    if header.offset > MAX_OFFSET:
        raise InputError(f"puts its voxel data at byte {header.offset:,}, beyond {MAX_OFFSET:,}: the file is damaged")


def _beside(path: Path, data_file: str) -> Path:
    """The data file of a detached header; "*.img" stands for the header's name with that suffix."""
    plain = PurePosixPath(data_file.replace("\\", "/")).name.replace("*", path.stem)
    for candidate in (path.parent / plain, path.parent / f"{plain}.gz"):
        if plain and candidate != path and candidate.is_file():
            return candidate
    raise InputError(f'is only a header, and "{shown(plain)}" with its voxel data is not beside it: zip both')


def _scaled(numbers: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """slope * numbers + intercept as float32, slice by slice; overflow becomes infinite."""
    values = np.empty(numbers.shape, dtype=np.float32, order="F")
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(numbers.shape[2]):
            plane = numbers[..., k]
            values[..., k] = plane if (slope, intercept) == (1, 0) else plane.astype(np.float64) * slope + intercept
    return values


def _checked(volume: Volume, name: str) -> Volume:
    """Raise InputError for a volume that cannot be a scan of a head; replace NaN and infinite voxels."""
    array, affine, notices = volume.array, volume.affine, volume.notices
    if not nifti_space.is_invertible(affine):
        raise InputError(f"{name} has an orientation matrix that is singular or not a number: {nifti_space.RESAVE}.")
    spacing, extent = volume.spacing, volume.spacing * volume.shape
    if spacing.min() < SPACING_MM[0] or spacing.max() > SPACING_MM[1]:
        raise InputError(
            f"{name} has voxels of {times(spacing)} mm, outside {SPACING_MM[0]:g} to {SPACING_MM[1]:g} mm"
            f"{_unit_hint(extent)}: correct the voxel size in its header."
        )
    if extent.min() < EXTENT_MM[0] or extent.max() > EXTENT_MM[1]:
        raise InputError(
            f"{name} covers {times(extent)} mm, outside {EXTENT_MM[0]:g} to {EXTENT_MM[1]:g} mm"
            f"{_unit_hint(extent)}: give a scan of a whole head, with lengths in millimetres."
        )
    finite = np.isfinite(array)
    bad = array.size - int(np.count_nonzero(finite))
    overflow = bad and bool(np.isinf(array).any())
    if bad == array.size:
        raise InputError(f"{name} holds no finite values: all of its {array.size:,} voxels are NaN or infinite.")
    if bad:
        lowest = array.min(where=finite, initial=np.inf)
        background = min(lowest, 0.0) if volume.modality == "fa" else lowest  # FA marks the brain by being above 0
        array[~finite] = background
        value = f"the lowest value, {lowest:g}" if background == lowest else "0"
        notices += (f"Voxels that were NaN or infinite, {bad:,}, were set to {value}.",)
    if overflow and array.min() == array.max():
        raise InputError(f"{name} holds values beyond 3e38, the largest that can be worked with: rescale them.")
    if (lowest := array.min()) == array.max():
        raise InputError(f"{name} is constant (every voxel is {lowest:g}), so it contains no image.")
    return replace(volume, array=array, notices=notices)


def _unit_hint(extent: np.ndarray) -> str:
    """A guess at the unit of lengths, if the volume would be a head in metres, centimetres or microns."""
    low, high = EXTENT_MM
    for unit, scale in (("metres", 1e3), ("centimetres", 10.0), ("microns", 1e-3)):
        if (extent * scale > low).all() and (extent * scale < high).all():
            return f" (its lengths look like {unit})"
    return ""
