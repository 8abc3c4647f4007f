"""Volume files whose header cannot be right."""

import gzip

import numpy as np
import pytest

from tests.imaging.reading import samples
from tests.imaging.reading.refusals import refused, save


def _frames(*shape):
    return np.resize(samples.scan(), shape)


HEADERS = {
    "rgb": (samples.nifti(datatype=128, bitpix=24), "colour picture"),
    "rgba": (samples.nifti(datatype=2304, bitpix=32), "colour picture"),
    "complex64": (samples.nifti(datatype=32, bitpix=64), "complex numbers: give the magnitude"),
    "complex128": (samples.nifti(datatype=1792, bitpix=128), "complex numbers"),
    "complex256": (samples.nifti(datatype=2048, bitpix=256), "complex numbers|values of type"),
    "float128": (samples.nifti(datatype=1536, bitpix=128), "holds values of type"),
    "one bit": (samples.nifti(datatype=1, bitpix=1), "data type|values of type"),
    "no type": (samples.nifti(datatype=0), "data type|values of type"),
    "unknown type": (samples.nifti(datatype=999), r"data type \(999\)"),
    "no affine": (samples.nifti(sform_code=0, qform_code=0), "no spatial orientation .* dcm2niix"),
    "singular": (samples.nifti(srow_x=[0] * 4, qform_code=0), "singular"),
    "parallel axes": (samples.nifti(srow_x=[1, 1, 0, 0], srow_y=[1, 1, 0, 0], qform_code=0), "singular"),
    "NaN in affine": (samples.nifti(srow_y=[0, np.nan, 0, 0], qform_code=0), "not a number"),
    "inf in affine": (samples.nifti(srow_y=[0, 1, 0, np.inf], qform_code=0), "not a number"),
    "huge affine": (samples.nifti(srow_y=[0, 3e38, 0, 0], qform_code=0), "singular or not a number"),
    "bad quaternion": (samples.nifti(sform_code=0, quatern_b=3, quatern_c=4), "singular or not a number"),
    "voxel size 0": (samples.nifti(sform_code=0, pixdim=[1, 0, 4, 6, 0, 0, 0, 0]), "singular|not a number"),
    "voxel size NaN": (samples.nifti(sform_code=0, pixdim=[1, np.nan, 4, 6, 0, 0, 0, 0]), "not a number"),
    "no dimension": (samples.nifti(dim=[0, 12, 14, 10, 1, 1, 1, 1]), "gives 0 dimensions"),
    "nine dimensions": (samples.nifti(dim=[9, 12, 14, 10, 1, 1, 1, 1]), r"gives \d+ dimensions"),
    "one axis": (samples.nifti(dim=[1, 1680, 1, 1, 1, 1, 1, 1]), "one slice"),
    "two axes": (samples.nifti(dim=[2, 12, 140, 1, 1, 1, 1, 1]), "one slice"),
    "one slice": (samples.nifti(_frames(40, 42, 1)), r"holds one slice \(40x42x1\)"),
    "one sagittal slice": (samples.nifti(_frames(1, 42, 40)), "one slice"),
    "slices over time": (samples.nifti(_frames(40, 42, 1, 5)), "one slice"),
    "length 0": (samples.nifti(dim=[3, 12, 0, 10, 1, 1, 1, 1]), "not positive"),
    "length -1": (samples.nifti(dim=[3, -1, 14, 10, 1, 1, 1, 1]), "not positive"),
    "five dimensions": (samples.nifti(_frames(12, 14, 10, 1, 3)), "has 5 dimensions"),
    "four and five": (samples.nifti(_frames(12, 14, 10, 2, 3)), "has 5 dimensions"),
    "six dimensions": (samples.nifti(_frames(12, 14, 10, 1, 1, 2)), "has 6 dimensions"),
    "numbers before start": (samples.nifti(vox_offset=-5), "at byte -5"),
    "numbers nowhere": (samples.nifti(vox_offset=np.nan), "at byte nan"),
    "numbers beyond": (samples.nifti(vox_offset=1e12), "at byte"),
    "numbers far off": (samples.nifti(vox_offset=60e6), "holds only 0 bytes"),
    "intercept NaN": (samples.nifti(scl_slope=1, scl_inter=np.nan), "intensity offset is nan"),
    "header alone": (samples.nifti()[:348], "holds only 0 bytes"),
    "more than held": (
        samples.nifti(dim=[3, 400, 400, 400, 1, 1, 1, 1]),
        r"promises 400x400x400 .*128.0 MB.* only 3,360 bytes",
    ),
    "more than allowed": (
        samples.nifti(dim=[3, 513, 512, 512, 1, 1, 1, 1]),
        "513x512x512 voxels, more than the limit of 134,217,728",
    ),
    "far too much": (samples.nifti(dim=[3, 32767, 32767, 32767, 1, 1, 1, 1]), "more than the limit"),
    "far too much, 64 bit": (
        samples.nifti(version=2, dim=[3, 2**40, 2**40, 2**40, 1, 1, 1, 1]),
        "more than the limit",
    ),
    "all the same": (samples.nifti(np.full(samples.SHAPE, 7, np.int16)), r"constant \(every voxel is 7\)"),
    "slope 1e-45": (samples.nifti(scl_slope=1e-45, scl_inter=3), "constant"),
    "all NaN": (samples.nifti(np.full(samples.SHAPE, np.nan, np.float32)), "all of its 1,680 voxels are NaN"),
    "one NaN, else constant": (
        samples.nifti(np.where(_frames(*samples.SHAPE) == 900, np.nan, np.float32(4))),
        "constant|is",
    ),
    "metres": (samples.nifti(affine=np.diag([0.005, 0.004, 0.006, 1])), "look like metres"),
    "centimetres": (samples.nifti(affine=np.diag([0.5, 0.4, 0.6, 1])), "look like centimetres"),
    "microns": (samples.nifti(affine=np.diag([5000.0, 4000, 6000, 1])), "look like microns"),
    "wrongly declared microns": (samples.nifti(xyzt_units=3), "0.05 to 20 mm"),
    "wrongly declared metres": (samples.nifti(xyzt_units=1), "0.05 to 20 mm"),
    "thick slices": (samples.nifti(affine=np.diag([5.0, 4, 25, 1])), "5x4x25 mm, outside 0.05 to 20 mm"),
    "a mouse": (samples.nifti(affine=np.diag([1.5, 1.2, 1.8, 1])), "covers 18x16.8x18 mm, outside 40 to 1000 mm"),
    "a few slices": (samples.nifti(_frames(40, 40, 5)), "covers 200x160x30 mm"),
    "a whole body": (samples.nifti(_frames(10, 10, 120), np.diag([10.0, 10, 12, 1])), "covers 100x100x1440 mm"),
    "pair without numbers": (samples.nifti(magic=b"ni1")[:352], "only a header"),
    "mgh without directions": (samples.mgh(goodRASFlag=0), "no spatial orientation"),
    "mgh of tensors": (samples.mgh(type=2), r"MGH data type \(2\)"),
    "mgh length 0": (samples.mgh(dims=[12, 0, 10, 1]), "not positive"),
    "mgh length -5": (samples.mgh(dims=[12, -5, 10, 1]), "not positive"),
    "mgh one slice": (samples.mgh(dims=[120, 14, 1, 1]), "one slice"),
    "mgh too large": (samples.mgh(dims=[2000, 2000, 2000, 1]), "more than the limit"),
    "mgh more than held": (samples.mgh(dims=[200, 200, 200, 1]), "the file is truncated"),
    "mgh NaN": (samples.mgh(Mdc=np.full((3, 3), np.nan)), "singular or not a number"),
    "nrrd without space": (samples.nrrd(space=None), "no spatial orientation"),
    "nrrd of a scanner": (samples.nrrd(space="scanner-xyz"), "no spatial orientation"),
    "nrrd without origin": (samples.nrrd(space_origin=None), "no spatial orientation"),
    "nrrd without directions": (samples.nrrd(space_directions=None), "0 directions in space for 3 axes"),
    "nrrd with two directions": (samples.nrrd(space_directions="(5,0,0) (0,4,0) none"), "2 directions"),
    "nrrd of words": (samples.nrrd(space_directions="(5,0,x) (0,4,0) (0,0,6)"), "as its direction or origin"),
    "nrrd of NaN": (samples.nrrd(space_origin="(nan,0,0)"), "as its direction or origin"),
    "nrrd short vector": (samples.nrrd(space_origin="(1,2)"), "not three numbers"),
    "nrrd singular": (samples.nrrd(space_directions="(0,0,0) (0,4,0) (0,0,6)"), "singular"),
    "nrrd without sizes": (samples.nrrd(sizes=None), 'without "sizes"'),
    "nrrd sizes in words": (samples.nrrd(sizes="twelve 14 10"), "as its sizes"),
    "nrrd size 0": (samples.nrrd(sizes="0 14 10"), "not positive"),
    "nrrd too large": (samples.nrrd(sizes="99999 99999 99999"), "more than the limit"),
    "nrrd absurdly large": (samples.nrrd(sizes="1e300 1e300 2"), "as its sizes"),
    "nrrd more than held": (samples.nrrd(sizes="200 200 200"), "the file is truncated"),
    "nrrd of blocks": (samples.nrrd(type="block"), 'NRRD type "block"'),
    "nrrd without type": (samples.nrrd(type=None), 'without "type"'),
    "nrrd as text": (samples.nrrd(encoding="ascii"), 'encoding "ascii"'),
    "nrrd in bzip2": (samples.nrrd(encoding="bzip2"), 'encoding "bzip2"'),
    "nrrd without byte order": (samples.nrrd(endian=None), 'without "endian"'),
    "nrrd odd byte order": (samples.nrrd(endian="middle"), 'byte order "middle"'),
    "nrrd skipping lines": (samples.nrrd(line_skip="3"), "skips lines"),
    "nrrd counted from the end": (samples.nrrd(byte_skip="-1"), "skips lines"),
    "nrrd of colours": (
        samples.nrrd(sizes="3 12 14 10", space_directions="none (5,0,0) (0,4,0) (0,0,6)"),
        "3 values per voxel",
    ),
    "nrrd in many files": (samples.nrrd(data_file="slice%03d.raw 1 10 1"), "several files"),
    "nrrd list of files": (samples.nrrd(data_file="LIST"), "several files|only a header"),
    "nrrd alone": (samples.nrrd(data_file="gone.raw"), '"gone.raw" with its voxel data is not beside it'),
    "nrrd of itself": (samples.nrrd(data_file="scan.bin"), "is not beside it"),
    "nrrd of a folder": (samples.nrrd(data_file="."), "is not beside it"),
    "nrrd without end": (b"NRRD0004\ntype: short\n" + b"# comment\n" * 10, "no blank line"),
    "nrrd not deflated": (samples.nrrd(encoding="gzip"), "compressed data"),
    "mha in colour": (samples.metaimage(ElementNumberOfChannels="3"), "3 values per voxel"),
    "mha of text": (samples.metaimage(BinaryData="False"), "as text"),
    "mha odd type": (samples.metaimage(ElementType="MET_STRING"), "MetaImage type"),
    "mha without type": (samples.metaimage(ElementType=None), 'without "elementtype"'),
    "mha without matrix": (samples.metaimage(TransformMatrix=None), "no spatial orientation"),
    "mha of zeros": (samples.metaimage(TransformMatrix="0 0 0 0 0 0 0 0 0"), "singular"),
    "mha short matrix": (samples.metaimage(TransformMatrix="1 0 0 1"), "does not fit 3 axes"),
    "mha words": (samples.metaimage(Offset="a b c"), "as its Offset"),
    "mha without spacing": (samples.metaimage(ElementSpacing=None), 'without "elementsize"'),
    "mha spacing 0": (samples.metaimage(ElementSpacing="0 4 6"), "singular"),
    "mha of two axes": (samples.metaimage(DimSize="12 140"), "has 2 axes"),
    "mha of a point": (samples.metaimage(DimSize=""), 'without "dimsize"'),
    "mha too large": (samples.metaimage(DimSize="9999 9999 9999"), "more than the limit"),
    "mha more than held": (samples.metaimage(DimSize="200 200 200"), "the file is truncated"),
    "mha in many files": (samples.metaimage(data_file="LIST"), "several files"),
    "mha alone": (samples.metaimage(data_file="gone.zraw"), "is not beside it"),
    "mha counted from the end": (samples.metaimage(HeaderSize="-1"), "does not say where its voxel data begin"),
    "mha without end": (b"ObjectType = Image\nNDims = 3\n", "no ElementDataFile line"),
    "mha not deflated": (samples.metaimage(CompressedData="True"), "compressed data"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_refuses_a_bad_header(tmp_path, case):
    content, expected = HEADERS[case]
    refused(save(tmp_path, content), expected)


@pytest.mark.parametrize(
    "case", [c for c in HEADERS if "alone" not in c and "itself" not in c and "mgh" not in c][::12]
)
def test_refuses_a_bad_header_inside_gzip(tmp_path, case):
    content, expected = HEADERS[case]
    refused(save(tmp_path, gzip.compress(content, 1)), expected)


def test_the_voxels_of_a_pair_name_their_header(tmp_path):
    save(tmp_path, samples.nifti(magic=b"ni1")[:348], "scan.hdr")
    refused(save(tmp_path, samples.scan().tobytes(), "scan.img"), 'holds the voxels of "scan.hdr"')


def test_values_beyond_single_precision_are_called_so(tmp_path):
    refused(save(tmp_path, samples.nifti(samples.scan() * 1e302)), "beyond 3e38")
