"""Files, folders and archives that hold no volume, or more than one."""

import gzip
import os
import pickle

import numpy as np
import pytest

from tests.imaging.reading import samples
from tests.imaging.reading.refusals import PICTURE, refused, save

NOT_VOLUMES = {
    "nothing": (b"", r"is empty \(0 bytes\)"),
    "one byte": (b"\0", "is not an image volume"),
    "text": (b"Dear colleague,\nplease find attached\n" * 50, "is not an image volume: give a volume as NIfTI"),
    "noise": (np.random.default_rng(5).bytes(5000), "is not an image volume"),
    "zeros": (bytes(5000), "is not an image volume"),
    "png": (PICTURE, "is a PNG picture"),
    "jpeg": (b"\xff\xd8\xff\xe0" + bytes(900), "is a JPEG picture"),
    "gif": (b"GIF89a" + bytes(900), "is a GIF picture"),
    "bmp": (b"BM" + bytes(900), "is a BMP picture"),
    "tiff": (b"II*\0" + bytes(900), "is a TIFF picture"),
    "pdf": (b"%PDF-1.7\n" + bytes(900), "is a PDF document"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(900), "HDF5"),
    "minc 1": (b"CDF\x01" + bytes(900), "MINC 1"),
    "matlab": (b"MATLAB 5.0 MAT-file" + bytes(900), "MATLAB"),
    "numpy": (b"\x93NUMPY\x01\0" + bytes(900), "NumPy"),
    "pickle": (pickle.dumps([samples.scan()]), "is not an image volume"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(900), "7z archive"),
    "rar": (b"Rar!\x1a\x07" + bytes(900), "RAR archive"),
    "bzip2": (b"BZh91AY&SY" + bytes(900), "bzip2"),
    "xz": (b"\xfd7zXZ\0" + bytes(900), "xz"),
    "tar": (bytes(257) + b"ustar\0" + bytes(700), "tar archive"),
    "tar.gz": (gzip.compress(bytes(257) + b"ustar\0" + bytes(700)), "tar archive"),
    "empty gzip": (gzip.compress(b""), "is empty"),
    "gzip of text": (gzip.compress(b"hello" * 100), "is not an image volume"),
    "gzip of gzip": (gzip.compress(samples.nifti(packed=True)), "is gzipped twice: unpack it once"),
    "gzip of zip": (gzip.compress(samples.zipped({"a": samples.nifti()})), "gzipped ZIP file: unpack it"),
    "gzip of dicom": (gzip.compress(samples.dicom_series()[0]), "gzipped DICOM file: unpack it"),
    "gzip of zeros": (gzip.compress(bytes(2_000_000)), "is not an image volume"),
    "analyze": (samples.nifti(magic=b"")[:-1], "Analyze 7.5 .* which side is left"),
}


@pytest.mark.parametrize("case", NOT_VOLUMES)
def test_refuses_files_that_are_not_volumes(tmp_path, case):
    content, expected = NOT_VOLUMES[case]
    refused(save(tmp_path, content), expected)


@pytest.mark.parametrize(
    "name", ["gone.nii", "gone/deeper.nii", "a\0b.nii", "n" * 300, "\n\x1b[31mred.nii", 'say "hi".nii']
)
def test_refuses_a_path_that_does_not_exist(tmp_path, name):
    refused(tmp_path / name, "does not exist|cannot be read|zero byte")


def test_refuses_pipes_devices_and_loops(tmp_path):
    os.mkfifo(tmp_path / "pipe.nii")  # reading it would block forever
    refused(tmp_path / "pipe.nii", "neither a file nor a folder")
    refused("/dev/zero", "neither a file nor a folder")
    refused(save(tmp_path, samples.nifti(), "a.nii") / "b.nii", "cannot be read")
    (tmp_path / "loop.nii").symlink_to(tmp_path / "loop.nii")
    refused(tmp_path / "loop.nii", "cannot be read")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are POSIX's")
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_refuses_a_file_without_permission(tmp_path, kind):
    path = save(tmp_path, samples.nifti()) if kind == "file" else samples.write_all(tmp_path / "f", [samples.nifti()])
    path.chmod(0)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)  # nobody
        refused(path, "cannot be read without permission")
    finally:
        if root:
            os.seteuid(0)
        path.chmod(0o700)


def _encrypted():
    content = bytearray(samples.zipped({"scan.nii": samples.nifti()}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def _method(number):
    content = bytearray(samples.zipped({"scan.nii": samples.nifti()}))
    content[8] = content[content.index(b"PK\x01\x02") + 10] = number
    return bytes(content)


def _unnamed():
    content = bytearray(samples.zipped({"a": samples.nifti()}))
    at = content.index(b"PK\x01\x02") + 46  # the name in the directory, cut short by a zero byte
    content[at] = content[30] = 0
    return bytes(content)


ARCHIVES = {
    "empty": (samples.zipped({}), "holds no image volume"),
    "no image": (samples.zipped({"a.txt": b"hello", "b/c.png": PICTURE}), "holds no image volume"),
    "nested": (
        samples.zipped({"inner.zip": samples.zipped({"scan.nii": samples.nifti()})}),
        'packed files, "inner.zip": unpack them',
    ),
    "encrypted": (_encrypted(), "is encrypted"),
    "deflate64": (_method(9), "unsupported compression"),
    "wrong checksum": (samples.zipped({"a": samples.nifti()}, 0).replace(b"n+1", b"n+2", 1), "damaged zip"),
    "two volumes": (
        samples.zipped({"a.nii": samples.nifti(), "b.mgz": samples.mgh(packed=True)}),
        'holds 2 volumes, "a.nii", "b.mgz"',
    ),
    "truncated inside": (
        samples.zipped({"d/a.nii": samples.nifti()[:900]}),
        '"a.nii" in "scan.bin" promises',
    ),
    "numpy archive": (samples.zipped({"arr.npy": b"\x93NUMPY"}), "holds no image volume"),
    "damaged gzip inside": (samples.zipped({"a.nii.gz": b"\x1f\x8b" + b"x" * 50}), 'damaged files, "a.nii.gz"'),
    "gzipped dicom inside": (
        samples.zipped({"a.dcm.gz": gzip.compress(samples.dicom_series()[0])}),
        'packed files, "a.dcm.gz"',
    ),
    "name of nothing": (_unnamed(), "damaged zip|holds no image volume"),
    "name that is no UTF-8": (
        samples.zipped({"\u00e9.nii": samples.nifti()}).replace(b"\xc3\xa9", b"\xff\xa9"),
        "damaged zip",
    ),
    "dicom directory": (samples.zipped({"DICOMDIR": bytes(128) + b"DICM"}), "none of its files has pixels"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_refuses_an_archive_without_exactly_one_volume(tmp_path, case):
    content, expected = ARCHIVES[case]
    refused(save(tmp_path, content), expected)


def test_refuses_a_folder_without_exactly_one_volume(tmp_path):
    refused(tmp_path, "holds no image volume")
    save(tmp_path, PICTURE, "a.png")
    refused(tmp_path, "holds no image volume")
    for k in range(6):
        save(tmp_path, samples.nifti(), f"{k}.nii")
    refused(tmp_path, 'holds 6 volumes, "0.nii", "1.nii", "2.nii", "3.nii" and 2 more: give one of them')
