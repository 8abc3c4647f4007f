"""Volumes in every format, from files, folders and zips."""

import gzip
import re
import zipfile

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from ganlab.errors import InputError
from ganlab.imaging.reading.files import as_volume, read_volume
from tests.imaging.reading import samples
from tests.imaging.reading.samples import same, saved


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(writer(packed=packed, **options), id=f"{writer.__name__}-{packed=}-{options}")
        for packed in (False, True)
        for writer, options in [
            (samples.nifti, {}),
            (samples.nifti, {"big": True}),
            (samples.nifti, {"version": 2}),
            (samples.nifti, {"version": 2, "big": True}),
            (samples.mgh, {}),
            (samples.nrrd, {}),
            (samples.metaimage, {}),
        ]
    ],
)
def test_every_format_gives_the_same_volume_whatever_the_file_name(tmp_path, content):
    for name in ("scan", "scan.nii", "scan.dcm"):
        volume = read_volume(saved(tmp_path, content, name), "t1")
        assert same(volume) and volume.notices == ()
        assert (volume.unit, volume.modality) == ("arbitrary", "t1")


@pytest.mark.parametrize("suffix", ["nii", "nii.gz", "hdr", "nrrd", "nhdr", "mha", "mhd"])
@pytest.mark.parametrize("packed", [False, True])
def test_files_written_by_simpleitk_keep_their_geometry(tmp_path, suffix, packed):
    image = sitk.GetImageFromArray(samples.scan().T)
    turn = samples.oblique((1, 1, 1))[:3, :3]
    image.SetSpacing(samples.SPACING)
    image.SetDirection(turn.ravel().tolist())
    image.SetOrigin((3.5, -41.0, 7.25))
    path = tmp_path / f"scan.{suffix}"
    sitk.WriteImage(image, path, packed and suffix not in ("nii", "hdr"))
    affine = np.eye(4)
    for column in range(3):
        there = np.array(image.TransformIndexToPhysicalPoint([int(axis == column) for axis in range(3)]))
        affine[:3, column] = there - image.GetOrigin()
    affine[:3, 3] = image.GetOrigin()
    assert same(read_volume(path), affine=np.diag([-1, -1, 1, 1]) @ affine)


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"])
def test_every_voxel_type(tmp_path, dtype):
    array = np.clip(samples.scan(), 0, 255).astype(dtype)
    assert same(read_volume(saved(tmp_path, samples.nifti(array))), array)


def test_slope_and_intercept_are_applied(tmp_path):
    volume = read_volume(saved(tmp_path, samples.nifti(scl_slope=0.5, scl_inter=-1024)), "ct")
    assert same(volume, samples.scan() * 0.5 - 1024)
    assert (volume.unit, volume.modality) == ("HU", "ct")
    assert same(read_volume(saved(tmp_path, samples.nifti(scl_slope=0, scl_inter=7))))  # 0 means unscaled


def test_first_of_several_frames_is_read_with_a_notice(tmp_path):
    frames = np.stack([samples.scan(), samples.scan()[::-1], samples.scan() * 0], axis=3)
    volume = read_volume(saved(tmp_path, samples.nifti(frames, packed=True), "rest.nii.gz"))
    assert same(volume) and volume.notices == ('"rest.nii.gz" holds 3 frames; the first was read.',)
    content = samples.nrrd(np.stack([samples.scan()] * 2, axis=3), kinds=None, space_directions=f"{_directions()} none")
    assert read_volume(saved(tmp_path, content)).notices == ('"scan" holds 2 frames; the first was read.',)


def _directions(affine=None):
    text = samples.nrrd(affine=affine)
    return next(line for line in text.decode("latin-1").splitlines() if "directions" in line).split(": ")[1]


def test_trailing_axes_of_length_one_are_ignored(tmp_path):
    array = samples.scan()
    for shape in ((*array.shape, 1), (*array.shape, 1, 1), (*array.shape, 1, 1, 1, 1)):
        volume = read_volume(saved(tmp_path, samples.nifti(array.reshape(shape))))
        assert same(volume) and volume.notices == ()


@pytest.mark.parametrize(("code", "per_mm", "word"), [(1, 1e-3, "metres"), (3, 1e3, "microns")])
def test_units_of_length_are_converted_with_a_notice(tmp_path, code, per_mm, word):
    affine = np.diag([per_mm, per_mm, per_mm, 1]) @ samples.oblique()
    volume = read_volume(saved(tmp_path, samples.nifti(affine=affine, xyzt_units=code)))
    assert same(volume, atol=1e-3) and word in volume.notices[0]


def test_sform_is_preferred_and_qform_replaces_an_unusable_one(tmp_path):
    other = samples.oblique(angles=(0, 0, 5))
    rows = {f"srow_{axis}": other[row] for row, axis in enumerate("xyz")}
    assert same(read_volume(saved(tmp_path, samples.nifti(**rows))), affine=other)
    assert same(read_volume(saved(tmp_path, samples.nifti(**rows, sform_code=0))))
    useless = {f"srow_{axis}": np.zeros(4) for axis in "xyz"}
    volume = read_volume(saved(tmp_path, samples.nifti(**useless)))
    assert same(volume) and "qform" in volume.notices[0]


@pytest.mark.parametrize(
    ("change", "codes", "words"),
    [
        (np.diag([1.4, 1.4, 1.4, 1]), (1, 1), r"voxels of 7x5.6x8.4 mm against 5x4x6 mm"),
        (np.diag([1, -1, 1, 1]), (2, 1), "mirror image"),
        (np.diag([1.4, 1.4, 1.4, 1]), (4, 1), ""),  # in an atlas, sizes may differ
        (samples.oblique() @ np.linalg.inv(samples.oblique(angles=(0, 0, 5))), (2, 1), ""),  # another space
    ],
)
def test_two_orientations_that_contradict_each_other_are_named(tmp_path, change, codes, words):
    rows = {f"srow_{axis}": (change @ samples.oblique())[row] for row, axis in enumerate("xyz")}
    content = samples.nifti(**rows, sform_code=codes[0], qform_code=codes[1])
    notices = " ".join(read_volume(saved(tmp_path, content)).notices)
    assert ("two orientations disagree" in notices) == bool(words)
    assert re.search(words, notices)


def test_another_place_with_the_same_code_is_a_contradiction(tmp_path):
    moved = samples.oblique()
    moved[0, 3] += 30
    rows = {f"srow_{axis}": moved[row] for row, axis in enumerate("xyz")}
    assert "lies 30 mm apart" in read_volume(saved(tmp_path, samples.nifti(**rows))).notices[0]
    assert read_volume(saved(tmp_path, samples.nifti(**rows, sform_code=2))).notices == ()


def test_repairs_of_the_nifti_standard(tmp_path):
    plain = np.diag([*samples.SPACING, 1.0])
    content = samples.nifti(affine=plain, sform_code=0, pixdim=[0, -5, -4, -6, 0, 0, 0, 0])  # qfac 0 means 1
    assert same(read_volume(saved(tmp_path, content)), affine=plain)
    assert same(read_volume(saved(tmp_path, samples.nifti(vox_offset=0))))  # the smallest valid size


def test_nrrd_spaces_become_ras(tmp_path):
    box = np.diag([*samples.SPACING, 1.0])
    box[:3, 3] = 1, 2, 3
    for space, signs in (
        ("right-anterior-superior", (1, 1, 1)),
        ("LAS", (-1, 1, 1)),
        ("left-posterior-superior", (-1, -1, 1)),
    ):
        content = samples.nrrd(space=space, space_directions="(5,0,0) (0,4,0) (0,0,6)", space_origin="(1,2,3)")
        affine = np.diag([*signs, 1]) @ box
        assert same(read_volume(saved(tmp_path, content)), affine=affine)


def test_big_endian_and_lengths_in_other_units(tmp_path):
    swapped = samples.scan().astype(">i2").view("i2")
    assert same(read_volume(saved(tmp_path, samples.nrrd(swapped, endian="big"))))
    assert same(read_volume(saved(tmp_path, samples.metaimage(swapped, BinaryDataByteOrderMSB="True"))))
    content = samples.metaimage(affine=np.diag([0.1, 0.1, 0.1, 1]) @ samples.oblique(), DistanceUnits="cm")
    assert same(read_volume(saved(tmp_path, content)))


def test_detached_voxel_data(tmp_path):
    raw = samples.scan().tobytes(order="F")
    saved(tmp_path, raw, "a.raw")
    saved(tmp_path, b"12345" + raw, "b.raw")
    assert same(read_volume(saved(tmp_path, samples.nrrd(data_file="a.raw"), "a.nhdr")))
    assert same(read_volume(saved(tmp_path, samples.nrrd(data_file="b.raw", byte_skip="5"), "b.nhdr")))
    assert same(read_volume(saved(tmp_path, samples.metaimage(data_file="a.raw"), "a.mhd")))
    assert same(read_volume(saved(tmp_path, samples.metaimage(data_file="b.raw", HeaderSize="5"), "b.mhd")))
    pair = {"c.hdr": samples.nifti(magic=b"ni1", vox_offset=0)[:352], "c.img": raw}
    assert same(read_volume(saved(tmp_path, samples.zipped(pair), "pair.zip")))


def test_a_header_cannot_name_a_file_in_another_folder(tmp_path):
    secret = saved(tmp_path, samples.scan().tobytes(order="F"), "secret.raw")
    folder = tmp_path / "inside"
    folder.mkdir()
    for name in ("../secret.raw", str(secret), "..\\secret.raw"):
        with pytest.raises(InputError, match=r"secret\.raw"):
            read_volume(saved(folder, samples.metaimage(data_file=name), "a.mhd"))


def test_nan_and_infinite_voxels_are_replaced_with_a_notice(tmp_path):
    array = samples.scan().astype(np.float32)
    array[0, 0, :3] = np.nan, np.inf, -np.inf
    volume = read_volume(saved(tmp_path, samples.nifti(array)))
    lowest = array[np.isfinite(array)].min()
    assert (volume.array[0, 0, :3] == lowest).all() and (volume.array[1:] == array[1:]).all()
    assert volume.notices == (f"Voxels that were NaN or infinite, 3, were set to the lowest value, {lowest:g}.",)
    huge = samples.scan().astype(np.float64)
    huge[2, 2, 2] = 1e300  # more than float32 holds
    assert "infinite, 1, were" in read_volume(saved(tmp_path, samples.nifti(huge))).notices[0]


def test_gzip_with_padding_and_several_members(tmp_path):
    content = samples.nifti()
    parts = gzip.compress(content[:1000]) + gzip.compress(content[1000:])
    assert same(read_volume(saved(tmp_path, parts + b"\0" * 512)))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_with_one_volume(tmp_path, method):
    content = {
        "x/scan.nii.gz": samples.nifti(packed=True),
        "__MACOSX/x/._scan.nii.gz": b"\0\5\26\7",
        "x/notes.txt": b"hi",
    }
    assert same(read_volume(saved(tmp_path, samples.zipped(content, method), "scan.zip")))


def test_a_zip_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    hostile = {
        "../../up.nii": samples.nifti(),
        "/etc/passwd": b"x",
        "C:\\evil\\e.nii": b"y",
        "../": b"",
        "..": b"z",
        "a/" + "n" * 250: b"long",
    }
    assert same(read_volume(saved(tmp_path, samples.zipped(hostile), "scan.zip")))
    with pytest.raises(InputError):
        read_volume(saved(tmp_path, samples.zipped({"a": b"b"}), "none.zip"))
    assert list((tmp_path / "temporary").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"temporary", "scan.zip", "none.zip"}


def test_a_folder_with_one_volume(tmp_path):
    saved(tmp_path, samples.mgh(packed=True), "orig.mgz")
    saved(tmp_path, b"text", "notes.txt")
    assert same(read_volume(tmp_path))


def test_links_in_a_folder_are_followed_once(tmp_path):
    elsewhere, scan = tmp_path / "elsewhere", tmp_path / "scan"
    elsewhere.mkdir()
    scan.mkdir()
    saved(elsewhere, samples.mgh(packed=True), "orig.mgz")
    (scan / "series").symlink_to(elsewhere)
    (elsewhere / "up").symlink_to(scan)
    (elsewhere / "all").symlink_to(tmp_path)
    (elsewhere / "latest.mgz").symlink_to(elsewhere / "orig.mgz")
    saved(tmp_path, b"text", "another.nii")
    assert same(read_volume(scan))


def test_reads_a_real_scan(tmp_path, real_t1):
    volume = read_volume(real_t1, "t1")
    reference = nib.load(real_t1)
    assert np.array_equal(volume.array, reference.dataobj) and np.array_equal(volume.affine, reference.affine)
    assert volume.notices == ()
    with pytest.raises(InputError, match=r"promises \d+x\d+x\d+ voxels \([\d.]+ MB\) but holds only [\d.]+ MB"):
        read_volume(saved(tmp_path, real_t1.read_bytes()[:2_000_000], "cut.nii"))


@pytest.mark.parametrize(("before", "after"), [((1,), ()), ((1, 1), ()), ((), (1,)), ((), (1, 1))])
def test_axes_of_length_1_before_or_after_the_volume_are_left_out(tmp_path, before, after):
    shape = (*before, *samples.SHAPE, *after)
    array = samples.scan().reshape(shape, order="F")
    path = saved(tmp_path, samples.nifti(array), "scan.nii")
    for volume in (read_volume(path), as_volume(nib.load(path))):
        assert same(volume)
        said = " ".join(volume.notices)
        assert ("of length 1" in said and "x".join(map(str, shape)) in said) == (shape[0] == 1)


def test_an_image_without_orientation_is_refused_from_disk_and_from_memory(tmp_path):
    path = saved(tmp_path, samples.nifti(sform_code=0, qform_code=0), "scan.nii")
    for source in (path, nib.load(path)):
        with pytest.raises(InputError, match="has no spatial orientation"):
            as_volume(source)
    assert same(as_volume(nib.Nifti1Image(samples.scan(), samples.oblique())))


def test_of_many_frames_the_first_is_read_and_it_is_said(tmp_path):
    frames = np.stack([samples.scan(), samples.scan() + np.int16(1), samples.scan()], axis=3)
    path = saved(tmp_path, samples.nifti(frames), "scan.nii")
    for volume in (read_volume(path), as_volume(nib.load(path))):
        assert same(volume) and volume.notices[0].endswith("holds 3 frames; the first was read.")


def test_a_slice_with_many_frames_is_still_no_volume(tmp_path):
    path = saved(tmp_path, samples.nifti(samples.scan().reshape(12, 140, 1)), "scan.nii")
    with pytest.raises(InputError, match="one slice"):
        read_volume(path)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("name", ["scan.mgh", "scan.mgz"])
def test_reads_mgh_of_every_type_that_freesurfer_writes(tmp_path, kind, name):
    array = (samples.scan() // 4).clip(0).astype(kind)
    array[0, 0, 0] = min(np.iinfo(kind).max if np.issubdtype(kind, np.integer) else 60_000, 60_000)
    image = nib.MGHImage(array, samples.oblique())
    nib.save(image, tmp_path / name)
    assert same(read_volume(tmp_path / name), array, atol=1e-4)
