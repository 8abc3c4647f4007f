"""Write a `Volume` to disk: NIfTI, MGH, NRRD or a DICOM series, by the ending of the file's name."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from io import IOBase
from pathlib import Path
from typing import Any

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging import dicom_writing
from ganlab.imaging.grid import is_sheared
from ganlab.imaging.volume import Volume
from ganlab.imaging.wording import quoted, times
from ganlab.version import __version__

ENDINGS = ".nii.gz, .nii, .mgz, .mgh, .nrrd, .dcm (a folder with a DICOM series) or .zip (the same, zipped)"
FORMATS = {".nii.gz": "nifti", ".nii": "nifti", ".mgz": "mgh", ".mgh": "mgh", ".nrrd": "nrrd"}
FORMATS |= {".dcm": "dicom", ".zip": "dicom"}
SPACES = {2: "the space of another scan", 3: "Talairach space", 4: "MNI space", 5: "a template's space"}
MAX_SIDES = {"nifti": 32767, "mgh": 2**31 - 1, "nrrd": 2**63 - 1}  # what a header can hold


def check_writable(path: str | os.PathLike, volume: Volume | None = None) -> None:
    """Raise InputError for a path that `write_volume` could not write, before any work is done for it.

    volume: what is to be written, or one on the same grid and of the same modality.
    """
    path = Path(path)
    kind = _format(path)
    if kind == "dicom" and path.name.lower().endswith(".dcm"):
        if path.is_file():
            raise InputError(f"{quoted(path)} cannot be written: it is a file; DICOM series need a new folder.")
        if path.is_dir() and any(path.iterdir()):
            raise InputError(
                f"{quoted(path)} cannot be written: the folder holds files, and a DICOM series needs one of its own."
            )
    elif path.is_dir():
        raise InputError(f"{quoted(path)} cannot be written: it is a folder; add a file's name.")
    if not path.parent.is_dir():
        raise InputError(
            f"{quoted(path)} cannot be written: its folder does not exist; make {quoted(path.parent)} first."
        )
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{quoted(path)} cannot be written: its folder is not writable; choose another folder.")
    if volume is None:
        return
    if kind == "dicom":
        dicom_writing.check(volume, quoted(path))
    elif max(volume.shape) > MAX_SIDES[kind]:
        raise InputError(
            f"{quoted(path)} cannot be written: the volume has {times(volume.shape)} voxels, and this format has at "
            f"most {MAX_SIDES[kind]:,} a side; crop it."
        )


def _format(path: Path) -> str:
    """The format that a name's ending stands for. Raises InputError for other endings, "x.nii.zip" among them."""
    name = path.name.lower()
    for ending, kind in FORMATS.items():
        stem = name.removesuffix(ending)
        zipped_file = ending == ".zip" and stem.endswith(tuple(each for each in FORMATS if FORMATS[each] != kind))
        if stem not in ("", name) and not zipped_file:
            return kind
    raise InputError(f"{quoted(path)} cannot be written: the name must end in {ENDINGS}.")


def write_volume(volume: Volume, path: str | os.PathLike) -> tuple[str, ...]:
    """Write a volume, completely or not at all, in the format that the name's ending stands for (ENDINGS).

    Integers of at most 16 bits keep their type; HU that fit are rounded to int16, as scanners store them; all else is
    float32 (in DICOM, int16 with a scale). The file says the volume's space (NIfTI's sform and qform codes), lengths in
    mm, and which version and model of ganlab made it. The same volume gives the same bytes, except in DICOM, whose
    identifiers are new each time; see `ganlab.imaging.dicom_writing`.

    Returns notices on what the format cannot hold. Raises InputError for another ending, for a path that cannot be
    written to and for a volume that the format cannot hold.
    """
    path = Path(path)
    check_writable(path, volume)
    kind = _format(path)
    if kind == "dicom":
        _write_dicom(volume, path)
    else:
        write = {"nifti": _nifti, "mgh": _mgh, "nrrd": _nrrd}[kind](volume)
        with _replaced(path) as partial, open(partial, "wb") as file, contextlib.ExitStack() as stack:
            target: IOBase = file
            if path.name.lower().endswith((".gz", ".mgz")):
                zipped = gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0)
                target = stack.enter_context(zipped)
            write(target)
    return losses(volume, path)


def losses(volume: Volume, path: str | os.PathLike) -> tuple[str, ...]:
    """What the format of this name cannot hold of a volume, in sentences; nothing is written."""
    kind, space = _format(Path(path)), SPACES.get(volume.origin.sform or volume.origin.qform)
    tilted = (dicom_writing.TILTED,) if kind == "dicom" and is_sheared(volume.affine) else ()
    if not space or kind not in ("mgh", "dicom"):
        return tilted
    name = "DICOM" if kind == "dicom" else "MGH"
    return (*tilted, f"{name} cannot say that a volume lies in {space}: programs will take it for scanner coordinates.")


@contextlib.contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """A name beside `path` for what will take its place when the block ends, unless it raises. OSError becomes
    InputError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        yield partial
        if path.is_dir():
            path.rmdir()  # empty, see check_writable
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"{quoted(path)} cannot be written ({error.strerror}): choose another folder.") from None
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def _write_dicom(volume: Volume, path: Path) -> None:
    with _replaced(path) as partial:
        if path.name.lower().endswith(".zip"):
            dicom_writing.write_zip(volume, partial, path.stem)
        else:
            partial.mkdir()
            dicom_writing.write_folder(volume, partial)


def _stored(volume: Volume) -> np.ndarray:
    """The voxels in the type in which they are written."""
    array = volume.array
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.kind in "iu" and array.dtype.itemsize <= 2:
        return array
    if volume.unit == "HU" and array.min() >= -32768 and array.max() <= 32767:
        return np.rint(array).astype(np.int16)
    return array.astype(np.float32)


def _description(volume: Volume) -> str:
    words = ["ganlab", __version__, Path(volume.model).name, volume.modality, volume.unit and f"[{volume.unit}]"]
    return " ".join(filter(None, words)).encode("ascii", "replace")[:79].decode()


def _nifti(volume: Volume) -> Callable[[IOBase], None]:
    import nibabel as nib

    image = nib.Nifti1Image(_stored(volume), volume.affine)
    origin = volume.origin
    qform = volume.affine if origin.to_qform is None else origin.to_qform @ volume.affine
    codes = {"sform": origin.sform, "qform": origin.qform}
    if is_sheared(qform):  # which a qform cannot be
        codes = {"sform": origin.sform or origin.qform, "qform": 0}
    image.set_qform(qform if codes["qform"] else None, code=codes["qform"])
    image.set_sform(volume.affine, code=codes["sform"])
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = _description(volume).encode()
    return image.to_stream


def _mgh(volume: Volume) -> Callable[[IOBase], None]:
    import nibabel as nib

    array = _stored(volume)
    if array.dtype not in (np.uint8, np.int16, np.float32):
        array = array.astype(np.int32 if array.dtype.kind == "u" else np.int16)
    return nib.MGHImage(array, volume.affine).to_stream


def _nrrd(volume: Volume) -> Callable[[Any], None]:
    """NRRD with attached, gzipped voxels. "sform_code" and "qform_code" are named as ITK names them."""
    array = _stored(volume)
    types = {"i1": "int8", "u1": "uint8", "i2": "int16", "u2": "uint16", "f4": "float"}
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    vector = "({!r},{!r},{!r})".format
    lines = [
        "NRRD0005",
        f"content: {_description(volume)}",
        f"type: {types[array.dtype.str[1:]]}",
        "dimension: 3",
        "space: left-posterior-superior",
        "sizes: {} {} {}".format(*array.shape),
        "space directions: " + " ".join(vector(*axis) for axis in lps[:3, :3].T.tolist()),
        "kinds: domain domain domain",
        "endian: little",
        "encoding: gzip",
        'space units: "mm" "mm" "mm"',
        "space origin: " + vector(*lps[:3, 3].tolist()),
        f"sform_code:={volume.origin.sform}",
        f"qform_code:={volume.origin.qform}",
    ]

    def write(target: Any) -> None:
        target.write(("\n".join(lines) + "\n\n").encode())
        with gzip.GzipFile("", "wb", compresslevel=1, fileobj=target, mtime=0) as zipped:
            for plane in np.moveaxis(array, 2, 0):
                zipped.write(plane.astype(plane.dtype.newbyteorder("<")).tobytes(order="F"))

    return write
