"""Write a `Volume` to disk as NIfTI."""

from __future__ import annotations

import contextlib
import gzip
import os
import threading
from io import IOBase
from pathlib import Path

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.volume import Volume
from ganlab.imaging.wording import quoted


def check_writable(path: str | os.PathLike) -> None:
    """Raise InputError for a path that `write_volume` could not write, before any work is done for it."""
    path = Path(path)
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        raise InputError(f"{quoted(path)} cannot be written: the name must end in .nii or .nii.gz.")
    if path.is_dir():
        raise InputError(f"{quoted(path)} cannot be written: it is a folder; add a file's name.")
    if not path.parent.is_dir():
        raise InputError(
            f"{quoted(path)} cannot be written: its folder does not exist; make {quoted(path.parent)} first."
        )
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{quoted(path)} cannot be written: its folder is not writable; choose another folder.")


def write_volume(volume: Volume, path: str | os.PathLike) -> None:
    """Write NIfTI-1, .nii or .nii.gz, completely or not at all.

    Integers of at most 16 bits keep their type; HU that fit are rounded to int16, as scanners store them; all else is
    float32. sform (and qform, unless the axes are sheared) hold the affine with code 1, lengths are in mm, and the
    description names modality and unit. The same volume gives the same bytes.
    Raises InputError for another suffix or a folder that cannot be written to.
    """
    import nibabel as nib

    path = Path(path)
    check_writable(path)
    array = volume.array
    if array.dtype.kind in "iub" and array.dtype.itemsize <= 2:
        array = array.astype(np.uint8) if array.dtype.kind == "b" else array
    elif volume.unit == "HU" and array.min() >= -32768 and array.max() <= 32767:
        array = np.rint(array).astype(np.int16)
    else:
        array = array.astype(np.float32)
    image = nib.Nifti1Image(array, volume.affine)
    axes = volume.affine[:3, :3] / volume.spacing
    sheared = np.abs(axes.T @ axes - np.eye(3)).max() > 1e-4
    image.set_sform(volume.affine, code=1)
    image.set_qform(None if sheared else volume.affine, code=0 if sheared else 1)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = f"ganlab {volume.modality} [{volume.unit}]".encode("ascii", "replace")[:79]
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(open(partial, "wb"))
            target: IOBase = file
            if path.name.lower().endswith(".gz"):
                zipped = gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0)
                target = stack.enter_context(zipped)
            image.to_stream(target)
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"{quoted(path)} cannot be written ({error.strerror}): choose another folder.") from None
    finally:
        partial.unlink(missing_ok=True)
