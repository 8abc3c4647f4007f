"""Every damaged, odd or hostile file ends in one sentence or in a sound volume, without eating the machine."""

import gzip
import os
import pickle
import re
import resource
import struct
import time
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

from ganlab.errors import InputError
from ganlab.imaging.reading.files import MAX_VOXELS, read_volume
from ganlab.imaging.reading.unpacking import MAX_FILES
from tests.imaging.reading import sample_files as made

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(100)
ONE = {"affine": np.diag([5.0, 4.0, 6.0, 1.0])}
WRITERS = {
    "nifti": made.nifti,
    "nifti2": lambda **options: made.nifti(version=2, **options),
    "nifti-big": lambda **options: made.nifti(big=True, **options),
    "mgh": made.mgh,
    "nrrd": made.nrrd,
    "metaimage": made.metaimage,
}


def one_sentence(message: str) -> bool:
    assert message.startswith('"') and message.endswith("."), message
    assert message.isprintable() and "Traceback" not in message, message
    assert not re.search(r"\.\s+[A-Z]|\.\.|::| ,|  ", message), message
    assert len(message) < 400, message
    return True


def refused(path, expected: str = "", largest: int = 80_000_000, seconds: float = 10.0) -> str:
    """The sentence for a path, which must take at most `largest` bytes and `seconds` of the processor."""
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    start = time.process_time()
    try:
        with pytest.raises(InputError) as caught:
            read_volume(path, "t1")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - start < seconds
    assert peak < largest
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident) * 1024 < 4 * largest  # C++ as well
    message = str(caught.value)
    assert one_sentence(message)
    assert re.search(expected, message), message
    return message


def save(tmp_path, content: bytes, name="scan.bin"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


# --- not a volume ---------------------------------------------------------------------------------------

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
    "pickle": (pickle.dumps([made.scan()]), "is not an image volume"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(900), "7z archive"),
    "rar": (b"Rar!\x1a\x07" + bytes(900), "RAR archive"),
    "bzip2": (b"BZh91AY&SY" + bytes(900), "bzip2"),
    "xz": (b"\xfd7zXZ\0" + bytes(900), "xz"),
    "tar": (bytes(257) + b"ustar\0" + bytes(700), "tar archive"),
    "tar.gz": (gzip.compress(bytes(257) + b"ustar\0" + bytes(700)), "tar archive"),
    "empty gzip": (gzip.compress(b""), "is empty"),
    "gzip of text": (gzip.compress(b"hello" * 100), "is not an image volume"),
    "gzip of gzip": (gzip.compress(made.nifti(packed=True)), "is not an image volume"),
    "gzip of zip": (gzip.compress(made.zipped({"a": made.nifti()})), "gzipped ZIP file: unpack it"),
    "gzip of dicom": (gzip.compress(made.dicom_series()[0]), "gzipped DICOM file: unpack it"),
    "gzip of zeros": (gzip.compress(bytes(2_000_000)), "is not an image volume"),
    "analyze": (made.nifti(magic=b"")[:-1], "Analyze 7.5 .* which side is left"),
}


@pytest.mark.parametrize("case", NOT_VOLUMES)
def test_what_is_no_volume(tmp_path, case):
    content, expected = NOT_VOLUMES[case]
    refused(save(tmp_path, content), expected)


@pytest.mark.parametrize(
    "name", ["gone.nii", "gone/deeper.nii", "a\0b.nii", "n" * 300, "\n\x1b[31mred.nii", 'say "hi".nii']
)
def test_what_is_not_there(tmp_path, name):
    refused(tmp_path / name, "does not exist|cannot be read|zero byte")


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.nii")  # reading it would wait for ever
    refused(tmp_path / "pipe.nii", "neither a file nor a folder")
    refused("/dev/zero", "neither a file nor a folder")
    refused(save(tmp_path, made.nifti(), "a.nii") / "b.nii", "cannot be read")
    (tmp_path / "loop.nii").symlink_to(tmp_path / "loop.nii")
    refused(tmp_path / "loop.nii", "cannot be read")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are POSIX's")
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_may_not_be_read(tmp_path, kind):
    path = save(tmp_path, made.nifti()) if kind == "file" else made.write_all(tmp_path / "f", [made.nifti()])
    path.chmod(0)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)  # nobody
        refused(path, "may not be read by you")
    finally:
        if root:
            os.seteuid(0)
        path.chmod(0o700)


# --- headers that are wrong -----------------------------------------------------------------------------


def _frames(*shape):
    return np.resize(made.scan(), shape)


HEADERS = {
    "rgb": (made.nifti(datatype=128, bitpix=24), "colour picture"),
    "rgba": (made.nifti(datatype=2304, bitpix=32), "colour picture"),
    "complex64": (made.nifti(datatype=32, bitpix=64), "complex numbers: give the magnitude"),
    "complex128": (made.nifti(datatype=1792, bitpix=128), "complex numbers"),
    "complex256": (made.nifti(datatype=2048, bitpix=256), "complex numbers|numbers of type"),
    "float128": (made.nifti(datatype=1536, bitpix=128), "holds numbers of type"),
    "one bit": (made.nifti(datatype=1, bitpix=1), "data type|numbers of type"),
    "no type": (made.nifti(datatype=0), "data type|numbers of type"),
    "unknown type": (made.nifti(datatype=999), r"data type \(999\)"),
    "no affine": (made.nifti(sform_code=0, qform_code=0), "no spatial orientation .* dcm2niix"),
    "singular": (made.nifti(srow_x=[0] * 4, qform_code=0), "singular"),
    "parallel axes": (made.nifti(srow_x=[1, 1, 0, 0], srow_y=[1, 1, 0, 0], qform_code=0), "singular"),
    "NaN in affine": (made.nifti(srow_y=[0, np.nan, 0, 0], qform_code=0), "not a number"),
    "inf in affine": (made.nifti(srow_y=[0, 1, 0, np.inf], qform_code=0), "not a number"),
    "huge affine": (made.nifti(srow_y=[0, 3e38, 0, 0], qform_code=0), "singular or not a number"),
    "bad quaternion": (made.nifti(sform_code=0, quatern_b=3, quatern_c=4), "singular or not a number"),
    "voxel size 0": (made.nifti(sform_code=0, pixdim=[1, 0, 4, 6, 0, 0, 0, 0]), "singular|not a number"),
    "voxel size NaN": (made.nifti(sform_code=0, pixdim=[1, np.nan, 4, 6, 0, 0, 0, 0]), "not a number"),
    "no dimension": (made.nifti(dim=[0, 12, 14, 10, 1, 1, 1, 1]), "gives 0 dimensions"),
    "nine dimensions": (made.nifti(dim=[9, 12, 14, 10, 1, 1, 1, 1]), r"gives \d+ dimensions"),
    "one axis": (made.nifti(dim=[1, 1680, 1, 1, 1, 1, 1, 1]), "one slice"),
    "two axes": (made.nifti(dim=[2, 12, 140, 1, 1, 1, 1, 1]), "one slice"),
    "one slice": (made.nifti(_frames(40, 42, 1)), r"holds one slice \(40x42x1\)"),
    "one sagittal slice": (made.nifti(_frames(1, 42, 40)), "one slice"),
    "slices over time": (made.nifti(_frames(40, 42, 1, 5)), "one slice"),
    "length 0": (made.nifti(dim=[3, 12, 0, 10, 1, 1, 1, 1]), "not positive"),
    "length -1": (made.nifti(dim=[3, -1, 14, 10, 1, 1, 1, 1]), "not positive"),
    "five dimensions": (made.nifti(_frames(12, 14, 10, 1, 3)), "has 5 dimensions"),
    "four and five": (made.nifti(_frames(12, 14, 10, 2, 3)), "has 5 dimensions"),
    "six dimensions": (made.nifti(_frames(12, 14, 10, 1, 1, 2)), "has 6 dimensions"),
    "numbers before start": (made.nifti(vox_offset=-5), "at byte -5"),
    "numbers nowhere": (made.nifti(vox_offset=np.nan), "at byte nan"),
    "numbers beyond": (made.nifti(vox_offset=1e12), "at byte"),
    "numbers far off": (made.nifti(vox_offset=60e6), "holds only 0 bytes"),
    "intercept NaN": (made.nifti(scl_slope=1, scl_inter=np.nan), "intensity offset is nan"),
    "header alone": (made.nifti()[:348], "holds only 0 bytes"),
    "more than held": (
        made.nifti(dim=[3, 400, 400, 400, 1, 1, 1, 1]),
        r"promises 400x400x400 .*128.0 MB.* only 3,360 bytes",
    ),
    "more than allowed": (
        made.nifti(dim=[3, 513, 512, 512, 1, 1, 1, 1]),
        "513x512x512 voxels, more than the limit of 134,217,728",
    ),
    "far too much": (made.nifti(dim=[3, 32767, 32767, 32767, 1, 1, 1, 1]), "more than the limit"),
    "far too much, 64 bit": (made.nifti(version=2, dim=[3, 2**40, 2**40, 2**40, 1, 1, 1, 1]), "more than the limit"),
    "all the same": (made.nifti(np.full(made.SHAPE, 7, np.int16)), r"constant \(every voxel is 7\)"),
    "slope 1e-45": (made.nifti(scl_slope=1e-45, scl_inter=3), "constant"),
    "all NaN": (made.nifti(np.full(made.SHAPE, np.nan, np.float32)), "all of its 1,680 voxels are NaN"),
    "one NaN, else constant": (made.nifti(np.where(_frames(*made.SHAPE) == 900, np.nan, np.float32(4))), "constant|is"),
    "metres": (made.nifti(affine=np.diag([0.005, 0.004, 0.006, 1])), "look like metres"),
    "centimetres": (made.nifti(affine=np.diag([0.5, 0.4, 0.6, 1])), "look like centimetres"),
    "microns": (made.nifti(affine=np.diag([5000.0, 4000, 6000, 1])), "look like microns"),
    "wrongly declared microns": (made.nifti(xyzt_units=3), "0.05 to 20 mm"),
    "wrongly declared metres": (made.nifti(xyzt_units=1), "0.05 to 20 mm"),
    "thick slices": (made.nifti(affine=np.diag([5.0, 4, 25, 1])), "5x4x25 mm, outside 0.05 to 20 mm"),
    "a mouse": (made.nifti(affine=np.diag([1.5, 1.2, 1.8, 1])), "covers 18x16.8x18 mm, outside 40 to 1000 mm"),
    "a few slices": (made.nifti(_frames(40, 40, 5)), "covers 200x160x30 mm"),
    "a whole body": (made.nifti(_frames(10, 10, 120), np.diag([10.0, 10, 12, 1])), "covers 100x100x1440 mm"),
    "pair without numbers": (made.nifti(magic=b"ni1")[:352], "only a header"),
    "mgh without directions": (made.mgh(goodRASFlag=0), "no spatial orientation"),
    "mgh of tensors": (made.mgh(type=2), r"MGH data type \(2\)"),
    "mgh length 0": (made.mgh(dims=[12, 0, 10, 1]), "not positive"),
    "mgh length -5": (made.mgh(dims=[12, -5, 10, 1]), "not positive"),
    "mgh one slice": (made.mgh(dims=[120, 14, 1, 1]), "one slice"),
    "mgh too large": (made.mgh(dims=[2000, 2000, 2000, 1]), "more than the limit"),
    "mgh more than held": (made.mgh(dims=[200, 200, 200, 1]), "the file is truncated"),
    "mgh NaN": (made.mgh(Mdc=np.full((3, 3), np.nan)), "singular or not a number"),
    "nrrd without space": (made.nrrd(space=None), "no spatial orientation"),
    "nrrd of a scanner": (made.nrrd(space="scanner-xyz"), "no spatial orientation"),
    "nrrd without origin": (made.nrrd(space_origin=None), "no spatial orientation"),
    "nrrd without directions": (made.nrrd(space_directions=None), "0 directions in space for 3 axes"),
    "nrrd with two directions": (made.nrrd(space_directions="(5,0,0) (0,4,0) none"), "2 directions"),
    "nrrd of words": (made.nrrd(space_directions="(5,0,x) (0,4,0) (0,0,6)"), "as its direction or origin"),
    "nrrd of NaN": (made.nrrd(space_origin="(nan,0,0)"), "as its direction or origin"),
    "nrrd short vector": (made.nrrd(space_origin="(1,2)"), "not three numbers"),
    "nrrd singular": (made.nrrd(space_directions="(0,0,0) (0,4,0) (0,0,6)"), "singular"),
    "nrrd without sizes": (made.nrrd(sizes=None), 'without "sizes"'),
    "nrrd sizes in words": (made.nrrd(sizes="twelve 14 10"), "as its sizes"),
    "nrrd size 0": (made.nrrd(sizes="0 14 10"), "not positive"),
    "nrrd too large": (made.nrrd(sizes="99999 99999 99999"), "more than the limit"),
    "nrrd absurdly large": (made.nrrd(sizes="1e300 1e300 2"), "as its sizes"),
    "nrrd more than held": (made.nrrd(sizes="200 200 200"), "the file is truncated"),
    "nrrd of blocks": (made.nrrd(type="block"), 'NRRD type "block"'),
    "nrrd without type": (made.nrrd(type=None), 'without "type"'),
    "nrrd as text": (made.nrrd(encoding="ascii"), 'encoding "ascii"'),
    "nrrd in bzip2": (made.nrrd(encoding="bzip2"), 'encoding "bzip2"'),
    "nrrd without byte order": (made.nrrd(endian=None), 'without "endian"'),
    "nrrd odd byte order": (made.nrrd(endian="middle"), 'byte order "middle"'),
    "nrrd skipping lines": (made.nrrd(line_skip="3"), "skips lines"),
    "nrrd counted from the end": (made.nrrd(byte_skip="-1"), "skips lines"),
    "nrrd of colours": (
        made.nrrd(sizes="3 12 14 10", space_directions="none (5,0,0) (0,4,0) (0,0,6)"),
        "3 numbers per voxel",
    ),
    "nrrd in many files": (made.nrrd(data_file="slice%03d.raw 1 10 1"), "several files"),
    "nrrd list of files": (made.nrrd(data_file="LIST"), "several files|only a header"),
    "nrrd alone": (made.nrrd(data_file="gone.raw"), '"gone.raw" with its numbers is not beside it'),
    "nrrd of itself": (made.nrrd(data_file="scan.bin"), "is not beside it"),
    "nrrd of a folder": (made.nrrd(data_file="."), "is not beside it"),
    "nrrd without end": (b"NRRD0004\ntype: short\n" + b"# comment\n" * 10, "no blank line"),
    "nrrd not deflated": (made.nrrd(encoding="gzip"), "compressed data"),
    "mha in colour": (made.metaimage(ElementNumberOfChannels="3"), "3 numbers per voxel"),
    "mha of text": (made.metaimage(BinaryData="False"), "as text"),
    "mha odd type": (made.metaimage(ElementType="MET_STRING"), "MetaImage type"),
    "mha without type": (made.metaimage(ElementType=None), 'without "elementtype"'),
    "mha without matrix": (made.metaimage(TransformMatrix=None), "no spatial orientation"),
    "mha of zeros": (made.metaimage(TransformMatrix="0 0 0 0 0 0 0 0 0"), "singular"),
    "mha short matrix": (made.metaimage(TransformMatrix="1 0 0 1"), "does not fit 3 axes"),
    "mha words": (made.metaimage(Offset="a b c"), "as its Offset"),
    "mha without spacing": (made.metaimage(ElementSpacing=None), 'without "elementsize"'),
    "mha spacing 0": (made.metaimage(ElementSpacing="0 4 6"), "singular"),
    "mha of two axes": (made.metaimage(DimSize="12 140"), "has 2 axes"),
    "mha of a point": (made.metaimage(DimSize=""), 'without "dimsize"'),
    "mha too large": (made.metaimage(DimSize="9999 9999 9999"), "more than the limit"),
    "mha more than held": (made.metaimage(DimSize="200 200 200"), "the file is truncated"),
    "mha in many files": (made.metaimage(data_file="LIST"), "several files"),
    "mha alone": (made.metaimage(data_file="gone.zraw"), "is not beside it"),
    "mha counted from the end": (made.metaimage(HeaderSize="-1"), "does not say where its numbers begin"),
    "mha without end": (b"ObjectType = Image\nNDims = 3\n", "no ElementDataFile line"),
    "mha not deflated": (made.metaimage(CompressedData="True"), "compressed data"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_what_a_header_may_not_say(tmp_path, case):
    content, expected = HEADERS[case]
    refused(save(tmp_path, content), expected)


@pytest.mark.parametrize("case", [c for c in HEADERS if "alone" not in c and "itself" not in c and "mgh" not in c][::3])
def test_the_same_inside_gzip(tmp_path, case):
    content, expected = HEADERS[case]
    refused(save(tmp_path, gzip.compress(content, 1)), expected)


# --- truncation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("writer", WRITERS)
def test_truncated_anywhere(tmp_path, writer, packed):
    content = WRITERS[writer](packed=packed)
    # the last 20 bytes of MGH are a footer that may be absent
    cuts = [*range(0, 700, 37), *np.linspace(700, len(content) - 21, 12).astype(int)]
    for cut in (cut for cut in cuts if cut < len(content)):
        refused(save(tmp_path, content[:cut]), largest=20_000_000)


@pytest.mark.parametrize("cut", [132, 140, 200, 350, 500, 700, 800])
def test_truncated_dicom(tmp_path, cut):
    refused(made.write_all(tmp_path / "s", [c[:cut] for c in made.dicom_series()]), "no DICOM picture that can be used")


@pytest.mark.parametrize("share", np.linspace(0.02, 0.999, 12))
def test_truncated_zip(tmp_path, share):
    whole = made.zipped({f"{k}.dcm": c for k, c in enumerate(made.dicom_series())})
    refused(save(tmp_path, whole[: int(share * len(whole))]), "damaged zip archive|not an image volume")


# --- bytes at random ------------------------------------------------------------------------------------


def _bases():
    series = {f"{k}.dcm": content for k, content in enumerate(made.dicom_series())}
    return {
        **{name: writer() for name, writer in WRITERS.items()},
        **{f"{name} packed": WRITERS[name](packed=True) for name in ("nifti", "mgh", "nrrd", "metaimage")},
        "enhanced dicom": made.enhanced_dicom(),
        "zip of nifti": made.zipped({"a/scan.nii": made.nifti()}),
        "zip of dicom": made.zipped(series, zipfile.ZIP_STORED),
    }


@pytest.mark.parametrize("base", _bases())
def test_bytes_at_random_give_a_sentence_or_a_sound_volume(tmp_path, base):
    whole = _bases()[base]
    outcomes = {"read": 0, "refused": 0}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        damaged = bytearray(whole)
        reach = min(len(whole), 700) if seed % 4 else len(whole)
        for at in rng.integers(0, reach, rng.integers(1, 6)):
            damaged[at] = rng.choice([0, 1, 127, 128, 255, rng.integers(256)])
        _sound_or_sentence(save(tmp_path, damaged), outcomes)
    assert sum(outcomes.values()) == 60 and outcomes["refused"] > 0


def test_a_damaged_slice_among_others_at_random(tmp_path):
    whole = made.dicom_series()
    outcomes = {"read": 0, "refused": 0}
    for seed in range(30):
        rng = np.random.default_rng(seed)
        damaged = bytearray(whole[4])
        for at in rng.integers(0, len(damaged) - 300, rng.integers(1, 5)):
            damaged[at] = rng.integers(256)
        _sound_or_sentence(made.write_all(tmp_path / "s", [*whole[:4], bytes(damaged), *whole[5:]]), outcomes)
    assert outcomes["read"] > 25


def _sound_or_sentence(path, outcomes):
    sentence = ""
    try:
        volume = read_volume(path, "t1")
    except InputError as error:
        sentence = str(error)
    if sentence:
        assert one_sentence(sentence)
        outcomes["refused"] += 1
    else:
        assert volume.array.dtype == np.float32 and np.isfinite(volume.array).all()
        assert np.ptp(volume.array) > 0 and min(volume.shape) > 1
        assert np.isfinite(volume.affine).all() and abs(np.linalg.det(volume.affine)) > 0
        assert all(note.endswith(".") and note.isprintable() for note in volume.notices)
        outcomes["read"] += 1


# --- bombs ----------------------------------------------------------------------------------------------

MEGABYTES_16 = gzip.compress(bytes(1 << 24), 1)


def test_a_gzip_bomb_is_unpacked_only_as_far_as_promised(tmp_path):
    bomb = gzip.compress(made.nifti(np.zeros(made.SHAPE, np.int16)), 1) + MEGABYTES_16 * 64  # 1 GB of zeros
    refused(save(tmp_path, bomb), "constant", largest=20_000_000, seconds=2)
    refused(save(tmp_path, MEGABYTES_16 * 64), "is not an image volume", largest=20_000_000, seconds=2)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_great_promise_takes_no_memory(tmp_path, writer):
    if "nifti" in writer:
        content = WRITERS[writer](dim=[3, 512, 512, 512, 1, 1, 1, 1])
    elif writer == "mgh":
        content = WRITERS[writer](dims=[512, 512, 512, 1])
    else:
        content = WRITERS[writer](**{{"nrrd": "sizes", "metaimage": "DimSize"}[writer]: "512 512 512"})
    for packed in (content, gzip.compress(content)):
        refused(
            save(tmp_path, packed), "promises 512x512x512 .* holds only 3,360|holds only 6,7[24]0", largest=20_000_000
        )
    assert MAX_VOXELS == 512**3  # so that the size itself is allowed


def test_deflated_numbers_that_are_a_bomb(tmp_path):
    head = made.nrrd(np.zeros(made.SHAPE, np.int16), packed=True, sizes="12 14 10")
    head = head[: head.index(b"\n\n") + 2]
    refused(save(tmp_path, head + MEGABYTES_16 * 64), "constant", largest=20_000_000, seconds=2)
    head = made.metaimage(packed=True)
    head = head[: head.index(b"LOCAL\n") + 6]
    refused(save(tmp_path, head + zlib.compress(bytes(1 << 27), 1)), "constant", largest=20_000_000, seconds=2)


def test_numbers_far_inside_a_gzip_bomb(tmp_path):
    bomb = gzip.compress(made.nifti(vox_offset=60e6)[:352], 1) + MEGABYTES_16
    refused(save(tmp_path, bomb), "holds only 0 bytes", largest=20_000_000, seconds=2)


def _claiming(content: bytes, size: int) -> bytes:
    """A zip whose directory gives its first member another unpacked size."""
    at = content.index(b"PK\x01\x02")
    return content[: at + 24] + struct.pack("<I", size) + content[at + 28 :]


def test_zip_bombs(tmp_path):
    refused(
        save(tmp_path, _claiming(made.zipped({"a.nii": b"x"}), 0xFFFFFFF0)),
        "unpacks to 4,295.0 MB, more than the limit",
    )
    lying = _claiming(made.zipped({"a.nii": bytes(1 << 24)}), 100)
    refused(save(tmp_path, lying), "damaged zip", largest=20_000_000)
    many = made.zipped(dict.fromkeys(map(str, range(MAX_FILES + 1)), b""), zipfile.ZIP_STORED)
    refused(save(tmp_path, many), "holds 20,001 files, more than the limit of 20,000", largest=100_000_000, seconds=20)


def test_dicom_that_promises_gigabytes(tmp_path):
    whole = made.dicom_series()[0]
    for at in [m.end() - 4 for m in re.finditer(rb"OW\0\0....|OB\0\0....", whole, re.DOTALL)]:
        promising = whole[:at] + b"\xf0\xff\xff\xff" + whole[at + 4 :]
        refused(save(tmp_path, promising), "promises 4294967280 bytes", largest=20_000_000)
    wide = whole.replace(struct.pack("<HH2sH", 0x28, 0x10, b"US", 2) + b"\x0e\0", b"\x28\0\x10\0US\2\0\xff\xff")
    refused(save(tmp_path, wide), "is truncated: it promises", largest=20_000_000)


# --- folders, archives, DICOM ---------------------------------------------------------------------------


def _encrypted():
    content = bytearray(made.zipped({"scan.nii": made.nifti()}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def _method(number):
    content = bytearray(made.zipped({"scan.nii": made.nifti()}))
    content[8] = content[content.index(b"PK\x01\x02") + 10] = number
    return bytes(content)


def _unnamed():
    content = bytearray(made.zipped({"a": made.nifti()}))
    at = content.index(b"PK\x01\x02") + 46  # the name in the directory, cut short by a zero byte
    content[at] = content[30] = 0
    return bytes(content)


ARCHIVES = {
    "empty": (made.zipped({}), "holds no image volume"),
    "no image": (made.zipped({"a.txt": b"hello", "b/c.png": PICTURE}), "holds no image volume"),
    "nested": (
        made.zipped({"inner.zip": made.zipped({"scan.nii": made.nifti()})}),
        'packed files, "inner.zip": unpack them',
    ),
    "encrypted": (_encrypted(), "is encrypted"),
    "deflate64": (_method(9), "unsupported compression"),
    "wrong checksum": (made.zipped({"a": made.nifti()}, 0).replace(b"n+1", b"n+2", 1), "damaged zip"),
    "two volumes": (
        made.zipped({"a.nii": made.nifti(), "b.mgz": made.mgh(packed=True)}),
        'holds 2 volumes, "a.nii", "b.mgz"',
    ),
    "truncated inside": (made.zipped({"d/a.nii": made.nifti()[:900]}), '"a.nii" in "scan.bin" promises'),
    "numpy archive": (made.zipped({"arr.npy": b"\x93NUMPY"}), "holds no image volume"),
    "damaged gzip inside": (made.zipped({"a.nii.gz": b"\x1f\x8b" + b"x" * 50}), 'damaged files, "a.nii.gz"'),
    "gzipped dicom inside": (
        made.zipped({"a.dcm.gz": gzip.compress(made.dicom_series()[0])}),
        'packed files, "a.dcm.gz"',
    ),
    "name of nothing": (_unnamed(), "damaged zip|holds no image volume"),
    "name that is no UTF-8": (
        made.zipped({"\u00e9.nii": made.nifti()}).replace(b"\xc3\xa9", b"\xff\xa9"),
        "damaged zip",
    ),
    "dicom directory": (made.zipped({"DICOMDIR": bytes(128) + b"DICM"}), "none of its files has pixels"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_archives_without_one_volume(tmp_path, case):
    content, expected = ARCHIVES[case]
    refused(save(tmp_path, content), expected)


def test_folders_without_one_volume(tmp_path):
    refused(tmp_path, "holds no image volume")
    save(tmp_path, PICTURE, "a.png")
    refused(tmp_path, "holds no image volume")
    for k in range(6):
        save(tmp_path, made.nifti(), f"{k}.nii")
    refused(tmp_path, 'holds 6 volumes, "0.nii", "1.nii", "2.nii", "3.nii" and 2 more: give one of them')


def _series(**options):
    return made.dicom_series(**options)


DICOM = {
    "one slice": (lambda: _series()[:1], "one slice and not a volume"),
    "three scouts": (
        lambda: [
            made.dicom(made.scan()[..., 0].T, orientation=o, instance=k)
            for k, o in enumerate([(1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1), (1, 0, 0, 0, 0, -1)])
        ],
        "one slice and not a volume",
    ),
    "colour": (lambda: _series(samples=3), "colour picture"),
    "mosaic": (lambda: _series(image_type="ORIGINAL\\PRIMARY\\M\\ND\\MOSAIC"), "mosaic.*dcm2niix"),
    "no place": (lambda: [made.dicom(made.scan()[..., 0].T, None)], "does not say where it lies"),
    "crooked": (
        lambda: [made.dicom(made.scan()[..., k].T, (0, 0, 6 * k), (1, 0, 0, 0.5, 1, 0)) for k in range(9)],
        "right angles",
    ),
    "place of NaN": (
        lambda: [made.dicom(made.scan()[..., k].T, (0, 0, np.nan)) for k in range(9)],
        "does not say where",
    ),
    "spacing 0": (
        lambda: [made.dicom(made.scan()[..., k].T, (0, 0, 6 * k), spacing=(0, 5)) for k in range(9)],
        "does not say where",
    ),
    "all at one place": (lambda: [made.dicom(made.scan()[..., k].T, instance=k) for k in range(9)], "one slice"),
    "most missing": (lambda: [_series()[0], _series()[9]], "54.0 mm apart, more than the limit of 20 mm"),
    "on a curve": (
        lambda: [made.dicom(made.scan()[..., k].T, (k * k, 0, 6 * k)) for k in range(9)],
        "off a straight line",
    ),
    "constant": (lambda: _series(array=np.full(made.SHAPE, 5, np.int16)), "constant"),
    "frames without places": (lambda: [made.dicom(made.scan().T)], "multi-frame file that does not say"),
    "frames missing a place": (lambda: [made.enhanced_dicom()[:-3360] + bytes(3000)], "truncated"),
    "deflated": (lambda: _series(syntax="1.2.840.10008.1.2.1.99"), "transfer syntax"),
    "big-endian": (lambda: _series(syntax="1.2.840.10008.1.2.2"), "transfer syntax"),
    "few slices": (lambda: _series()[:5], "covers 60x56x30 mm"),
    "no pixels": (lambda: [c[: c.index(b"\xe0\x7f\x10\0")] for c in _series()], "none of its files has pixels"),
}


@pytest.mark.parametrize("case", DICOM)
def test_dicom_that_is_no_volume(tmp_path, case):
    content, expected = DICOM[case]
    refused(made.write_all(tmp_path / "study", content()), expected)


def test_damaged_jpeg_does_not_end_the_program(tmp_path):
    """A precision of 209 bits makes GDCM's JPEG decoder read beyond its memory."""
    import SimpleITK as sitk

    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.KeepOriginalImageUIDOn()
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    for k in range(10):
        image = sitk.GetImageFromArray(made.scan()[None, :, :, k].transpose(0, 2, 1))
        image.SetSpacing((5, 4, 6))
        for tag, value in {
            "0020|0032": f"0\\0\\{6 * k}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|000e": "1.2.3",
            "0008|0060": "MR",
        }.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(tmp_path / f"{k}.dcm")
        writer.Execute(image)
    path = tmp_path / "4.dcm"
    content = bytearray(path.read_bytes())
    frame = content.index(b"\xff\xc3\0")
    content[frame + 4] = 209
    path.write_bytes(content)
    outcomes = {"read": 0, "refused": 0}
    _sound_or_sentence(tmp_path, outcomes)
    assert sum(outcomes.values()) == 1


def test_there_are_a_hundred_and_more():
    assert len(NOT_VOLUMES) + len(HEADERS) + len(ARCHIVES) + len(DICOM) > 150
