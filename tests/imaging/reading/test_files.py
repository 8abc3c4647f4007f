import gzip
import zipfile

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from ganlab.errors import InputError
from ganlab.imaging.reading.files import read_volume
from ganlab.imaging.volume import Volume
from ganlab.imaging.writing import check_writable, write_volume
from tests.imaging.reading import sample_files as made


def saved(folder, content: bytes, name="scan"):
    path = folder / name
    path.write_bytes(content)
    return path


def same(volume, array=None, affine=None, atol=1e-5):
    """Every voxel and its place."""
    np.testing.assert_array_equal(volume.array, (made.scan() if array is None else array).astype(np.float32))
    np.testing.assert_allclose(volume.affine, made.oblique() if affine is None else affine, atol=atol)
    assert volume.array.dtype == np.float32
    return True


# --- one block of numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(writer(packed=packed, **options), id=f"{writer.__name__}-{packed=}-{options}")
        for packed in (False, True)
        for writer, options in [
            (made.nifti, {}),
            (made.nifti, {"big": True}),
            (made.nifti, {"version": 2}),
            (made.nifti, {"version": 2, "big": True}),
            (made.mgh, {}),
            (made.nrrd, {}),
            (made.metaimage, {}),
        ]
    ],
)
def test_one_scan_in_every_format_is_the_same_volume_whatever_its_name(tmp_path, content):
    for name in ("scan", "scan.nii", "scan.dcm"):
        volume = read_volume(saved(tmp_path, content, name), "t1")
        assert same(volume) and volume.notices == ()
        assert (volume.unit, volume.modality) == ("arbitrary", "t1")


@pytest.mark.parametrize("suffix", ["nii", "nii.gz", "hdr", "nrrd", "nhdr", "mha", "mhd"])
@pytest.mark.parametrize("packed", [False, True])
def test_files_written_by_simpleitk_lie_where_simpleitk_says(tmp_path, suffix, packed):
    image = sitk.GetImageFromArray(made.scan().T)
    turn = made.oblique((1, 1, 1))[:3, :3]
    image.SetSpacing(made.SPACING)
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
def test_every_type_of_number(tmp_path, dtype):
    array = np.clip(made.scan(), 0, 255).astype(dtype)
    assert same(read_volume(saved(tmp_path, made.nifti(array))), array)


def test_slope_and_intercept(tmp_path):
    volume = read_volume(saved(tmp_path, made.nifti(scl_slope=0.5, scl_inter=-1024)), "ct")
    assert same(volume, made.scan() * 0.5 - 1024)
    assert (volume.unit, volume.modality) == ("HU", "ct")
    assert same(read_volume(saved(tmp_path, made.nifti(scl_slope=0, scl_inter=7))))  # 0 means unscaled


def test_first_frame_of_four_dimensions_is_read_and_said(tmp_path):
    frames = np.stack([made.scan(), made.scan()[::-1], made.scan() * 0], axis=3)
    volume = read_volume(saved(tmp_path, made.nifti(frames, packed=True), "rest.nii.gz"))
    assert same(volume) and volume.notices == ('"rest.nii.gz" holds 3 frames; the first was read.',)
    content = made.nrrd(np.stack([made.scan()] * 2, axis=3), kinds=None, space_directions=f"{_directions()} none")
    assert read_volume(saved(tmp_path, content)).notices == ('"scan" holds 2 frames; the first was read.',)


def _directions(affine=None):
    text = made.nrrd(affine=affine)
    return next(line for line in text.decode("latin-1").splitlines() if "directions" in line).split(": ")[1]


def test_trailing_axes_of_one_are_nothing(tmp_path):
    array = made.scan()
    for shape in ((*array.shape, 1), (*array.shape, 1, 1), (*array.shape, 1, 1, 1, 1)):
        volume = read_volume(saved(tmp_path, made.nifti(array.reshape(shape))))
        assert same(volume) and volume.notices == ()


@pytest.mark.parametrize(("code", "per_mm", "word"), [(1, 1e-3, "metres"), (3, 1e3, "microns")])
def test_declared_units_of_length_are_converted_and_said(tmp_path, code, per_mm, word):
    affine = np.diag([per_mm, per_mm, per_mm, 1]) @ made.oblique()
    volume = read_volume(saved(tmp_path, made.nifti(affine=affine, xyzt_units=code)))
    assert same(volume, atol=1e-3) and word in volume.notices[0]


def test_sform_first_and_qform_if_the_sform_is_no_use(tmp_path):
    other = made.oblique(angles=(0, 0, 5))
    rows = {f"srow_{axis}": other[row] for row, axis in enumerate("xyz")}
    assert same(read_volume(saved(tmp_path, made.nifti(**rows))), affine=other)
    assert same(read_volume(saved(tmp_path, made.nifti(**rows, sform_code=0))))
    useless = {f"srow_{axis}": np.zeros(4) for axis in "xyz"}
    volume = read_volume(saved(tmp_path, made.nifti(**useless)))
    assert same(volume) and "qform" in volume.notices[0]


def test_repairs_of_the_nifti_standard(tmp_path):
    plain = np.diag([*made.SPACING, 1.0])
    content = made.nifti(affine=plain, sform_code=0, pixdim=[0, -5, -4, -6, 0, 0, 0, 0])  # qfac 0 means 1
    assert same(read_volume(saved(tmp_path, content)), affine=plain)
    assert same(read_volume(saved(tmp_path, made.nifti(vox_offset=0))))  # the smallest that there is


def test_nrrd_spaces_are_turned_to_ras(tmp_path):
    box = np.diag([*made.SPACING, 1.0])
    box[:3, 3] = 1, 2, 3
    for space, signs in (
        ("right-anterior-superior", (1, 1, 1)),
        ("LAS", (-1, 1, 1)),
        ("left-posterior-superior", (-1, -1, 1)),
    ):
        content = made.nrrd(space=space, space_directions="(5,0,0) (0,4,0) (0,0,6)", space_origin="(1,2,3)")
        affine = np.diag([*signs, 1]) @ box
        assert same(read_volume(saved(tmp_path, content)), affine=affine)


def test_big_endian_and_lengths_in_other_units(tmp_path):
    swapped = made.scan().astype(">i2").view("i2")
    assert same(read_volume(saved(tmp_path, made.nrrd(swapped, endian="big"))))
    assert same(read_volume(saved(tmp_path, made.metaimage(swapped, BinaryDataByteOrderMSB="True"))))
    content = made.metaimage(affine=np.diag([0.1, 0.1, 0.1, 1]) @ made.oblique(), DistanceUnits="cm")
    assert same(read_volume(saved(tmp_path, content)))


def test_numbers_beside_their_header(tmp_path):
    raw = made.scan().tobytes(order="F")
    saved(tmp_path, raw, "a.raw")
    saved(tmp_path, b"12345" + raw, "b.raw")
    assert same(read_volume(saved(tmp_path, made.nrrd(data_file="a.raw"), "a.nhdr")))
    assert same(read_volume(saved(tmp_path, made.nrrd(data_file="b.raw", byte_skip="5"), "b.nhdr")))
    assert same(read_volume(saved(tmp_path, made.metaimage(data_file="a.raw"), "a.mhd")))
    assert same(read_volume(saved(tmp_path, made.metaimage(data_file="b.raw", HeaderSize="5"), "b.mhd")))
    pair = {"c.hdr": made.nifti(magic=b"ni1", vox_offset=0)[:352], "c.img": raw}
    assert same(read_volume(saved(tmp_path, made.zipped(pair), "pair.zip")))


def test_a_header_cannot_name_a_file_elsewhere(tmp_path):
    secret = saved(tmp_path, made.scan().tobytes(order="F"), "secret.raw")
    folder = tmp_path / "inside"
    folder.mkdir()
    for name in ("../secret.raw", str(secret), "..\\secret.raw"):
        with pytest.raises(InputError, match=r"secret\.raw"):
            read_volume(saved(folder, made.metaimage(data_file=name), "a.mhd"))


def test_what_is_not_a_number_is_replaced_and_counted(tmp_path):
    array = made.scan().astype(np.float32)
    array[0, 0, :3] = np.nan, np.inf, -np.inf
    volume = read_volume(saved(tmp_path, made.nifti(array)))
    lowest = array[np.isfinite(array)].min()
    assert (volume.array[0, 0, :3] == lowest).all() and (volume.array[1:] == array[1:]).all()
    assert volume.notices == (f"Voxels that were NaN or infinite, 3, were set to the lowest value, {lowest:g}.",)
    huge = made.scan().astype(np.float64)
    huge[2, 2, 2] = 1e300  # more than float32 holds
    assert "infinite, 1, were" in read_volume(saved(tmp_path, made.nifti(huge))).notices[0]


def test_padded_and_many_membered_gzip(tmp_path):
    content = made.nifti()
    parts = gzip.compress(content[:1000]) + gzip.compress(content[1000:])
    assert same(read_volume(saved(tmp_path, parts + b"\0" * 512)))


# --- DICOM ----------------------------------------------------------------------------------------------


def test_dicom_series_as_folder_zip_and_shuffled(tmp_path):
    slices = made.dicom_series(slope=2, intercept=-100)
    shuffled = [slices[k] for k in np.random.default_rng(3).permutation(len(slices))]
    folder = made.write_all(tmp_path / "series" / "deeper", shuffled)
    saved(folder, b"<html>", "README.html")
    archive = saved(tmp_path, made.zipped({f"a/b/{k}": c for k, c in enumerate(shuffled)}), "s.zip")
    for path in (tmp_path / "series", archive):
        volume = read_volume(path, "t1")
        assert same(volume, made.scan() * 2.0 - 100, atol=1e-4) and volume.notices == ()


def test_a_declared_ct_is_in_hounsfield_units(tmp_path):
    folder = made.write_all(tmp_path / "ct", made.dicom_series(modality="CT", slope=1, intercept=-1024))
    volume = read_volume(folder)
    assert same(volume, made.scan() - 1024, atol=1e-4)
    assert (volume.unit, volume.modality) == ("HU", "ct")
    assert "CT and not T1" in read_volume(folder, "t1").notices[0]
    magnetic = made.write_all(tmp_path / "mr", made.dicom_series())
    assert '"MR" and not CT' in read_volume(magnetic, "ct").notices[0]


def test_a_tilted_gantry_gives_a_sheared_grid(tmp_path):
    affine = np.diag([5.0, 4.0, 6.0, 1.0])
    affine[1, 2] = 2.5  # each slice starts 2.5 mm further forward
    volume = read_volume(made.write_all(tmp_path / "tilt", made.dicom_series(affine=affine)))
    assert same(volume, affine=affine) and volume.notices == ()


@pytest.mark.parametrize("compressor", [None, "JPEG", "JPEG2000"])
def test_dicom_written_by_simpleitk(tmp_path, compressor):
    array = made.scan()
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.KeepOriginalImageUIDOn()
    writer.SetUseCompression(compressor is not None)
    writer.SetCompressor(compressor or "")
    for k in range(array.shape[2]):
        image = sitk.GetImageFromArray(array[None, :, :, k].transpose(0, 2, 1))
        image.SetSpacing((5, 4, 6))
        tags = {"0020|0032": f"{-6 * k}\\0\\0", "0020|0037": "0\\1\\0\\0\\0\\-1", "0020|000e": "1.2.3.9"}  # sagittal
        for tag, value in (tags | {"0008|0060": "MR", "0020|0013": str(k)}).items():
            image.SetMetaData(tag, value)
        writer.SetFileName(tmp_path / f"{k}.dcm")
        writer.Execute(image)
    affine = np.array([[0, 0, 6.0, 0], [-5, 0, 0, 0], [0, -4, 0, 0], [0, 0, 0, 1]])
    volume = read_volume(tmp_path)
    assert same(volume, affine=affine) and volume.notices == ()


def test_enhanced_dicom_places_each_frame(tmp_path):
    for order in (None, range(9, -1, -1), [3, 0, 9, 1, 2, 4, 5, 6, 7, 8]):
        volume = read_volume(saved(tmp_path, made.enhanced_dicom(order=order), "one.dcm"))
        assert same(volume, made.scan() * 2.0 - 100, atol=1e-4) and volume.notices == ()


def test_the_largest_of_several_series_is_read_and_said(tmp_path):
    folder = made.write_all(tmp_path / "study", made.dicom_series(description="T1 sag"), "a{}")
    made.write_all(folder, made.dicom_series(made.scan()[:, :, :4], series="1.2.9", description="Scout"), "b{}")
    volume = read_volume(folder)
    assert same(volume, atol=1e-4)
    assert volume.notices == (
        '"study" holds 2 series; the largest was read, "T1 sag" (10 slices), and not "Scout" (4).',
    )


def test_missing_slices_are_filled_in_place_and_said(tmp_path):
    affine = np.diag([5.0, 4.0, 6.0, 1.0])
    affine[2, 3] = -12
    slices = made.dicom_series(affine=affine)
    whole = read_volume(made.write_all(tmp_path / "whole", slices))
    gapped = made.write_all(tmp_path / "gapped", [s for k, s in enumerate(slices) if k not in (1, 5, 6)])
    volume = read_volume(gapped)
    np.testing.assert_allclose(volume.affine, whole.affine)
    assert volume.shape == whole.shape
    there = [0, 2, 3, 4, 7, 8, 9]
    np.testing.assert_array_equal(volume.array[..., there], whole.array[..., there])
    between = (2 * whole.array[..., 4] + whole.array[..., 7]) / 3
    np.testing.assert_allclose(volume.array[..., 5], between, rtol=1e-5, atol=1e-3)
    assert volume.notices[0].startswith("3 of 10 slices are missing, at I 6.0, S 18.0, S 24.0 mm; ")


def test_a_damaged_slice_is_a_missing_one(tmp_path):
    slices = made.dicom_series()
    folder = made.write_all(tmp_path / "study", [s[:-100] if k == 4 else s for k, s in enumerate(slices)])
    volume = read_volume(folder)
    assert volume.shape == made.SHAPE
    cut, missing = volume.notices
    assert '1 DICOM file could not be used, the first being "IM0004", which is truncated' in cut
    assert missing.startswith("1 of 10 slices is missing")


def test_uneven_slices_are_interpolated_and_said(tmp_path):
    heights = np.array([0, 6, 12, 18, 24, 30, 36, 45, 54, 63.0])
    ramp = np.broadcast_to(heights * 10, made.SHAPE).astype(np.int16) + np.arange(12, dtype=np.int16)[:, None, None]
    slices = [made.dicom(ramp[..., k].T, (0, 0, z), instance=k) for k, z in enumerate(heights)]
    volume = read_volume(made.write_all(tmp_path / "uneven", slices))
    step = volume.spacing[2]
    np.testing.assert_allclose(volume.array[0, 0], 10 * step * np.arange(volume.shape[2]), atol=0.06 * 10 * step)
    assert "6.00 to 9.00 mm apart" in volume.notices[0]


def test_a_slice_too_many_does_not_stretch_the_volume(tmp_path):
    slices = made.dicom_series()
    between = (made.oblique() @ [0, 0, 4.4, 1])[:3] * (-1, -1, 1)
    axes = made.oblique()[:3, :2] * np.array([[-1], [-1], [1]]) / made.SPACING[:2]
    extra = made.dicom(made.scan()[..., 0].T * 0, between, axes.T.ravel(), made.SPACING[1::-1], instance=99)
    volume = read_volume(made.write_all(tmp_path / "extra", [*slices, extra]))
    assert same(volume, atol=1e-4)
    assert "interpolated to 10 slices an even 6.00 mm apart" in volume.notices[0]


def test_repeated_slices_give_the_first_of_each(tmp_path):
    first, second = made.dicom_series(), made.dicom_series(made.scan()[::-1])
    again = [content.replace(b"IS\x02\x00", b"IS\x02\x00", 1) for content in second]
    folder = made.write_all(tmp_path / "repeats", first, "a{:02d}")
    made.write_all(folder, again, "b{:02d}")
    volume = read_volume(folder)
    assert same(volume, atol=1e-4)
    assert "20 pictures of 10 slices (mostly 2 at each place)" in volume.notices[0]


def test_dicom_beside_its_conversion_is_read_as_dicom(tmp_path):
    folder = made.write_all(tmp_path / "both", made.dicom_series())
    saved(folder, made.nifti(made.scan()[::-1]), "converted.nii")
    volume = read_volume(folder)
    assert same(volume, atol=1e-4) and 'DICOM and "converted.nii"' in volume.notices[0]


# --- archives -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_with_one_volume(tmp_path, method):
    content = {"x/scan.nii.gz": made.nifti(packed=True), "__MACOSX/x/._scan.nii.gz": b"\0\5\26\7", "x/notes.txt": b"hi"}
    assert same(read_volume(saved(tmp_path, made.zipped(content, method), "scan.zip")))


def test_a_zip_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    hostile = {
        "../../up.nii": made.nifti(),
        "/etc/passwd": b"x",
        "C:\\evil\\e.nii": b"y",
        "../": b"",
        "..": b"z",
        "a/" + "n" * 250: b"long",
    }
    assert same(read_volume(saved(tmp_path, made.zipped(hostile), "scan.zip")))
    with pytest.raises(InputError):
        read_volume(saved(tmp_path, made.zipped({"a": b"b"}), "none.zip"))
    assert list((tmp_path / "temporary").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"temporary", "scan.zip", "none.zip"}


def test_a_folder_with_one_volume(tmp_path):
    saved(tmp_path, made.mgh(packed=True), "orig.mgz")
    saved(tmp_path, b"text", "notes.txt")
    assert same(read_volume(tmp_path))


# --- writing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz", "OUT.NII.GZ"])
@pytest.mark.parametrize(
    ("array", "unit", "stored"),
    [
        (made.scan().astype(np.float32) + 0.25, "arbitrary", np.float32),
        (made.scan().astype(np.float32), "HU", np.int16),
        (made.scan().astype(np.float32) * 100, "HU", np.float32),  # does not fit
        (made.scan().astype(np.float64) / 900, "FA", np.float32),
        (np.clip(made.scan(), 0, 9).astype(np.uint8), "arbitrary", np.uint8),
        (made.scan(), "arbitrary", np.int16),
        (made.scan() > 100, "arbitrary", np.uint8),
    ],
)
def test_written_volumes_read_back(tmp_path, name, array, unit, stored):
    path = tmp_path / name
    write_volume(Volume(array, made.oblique(), unit, "ct"), path)
    image = nib.load(path)
    header = image.header
    assert image.get_data_dtype() == stored
    assert header.get_xyzt_units()[0] == "mm" and unit.encode() in header["descrip"].item()
    assert header["sform_code"] > 0 and header["qform_code"] > 0
    np.testing.assert_allclose(header.get_qform(), made.oblique(), atol=1e-4)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, array.astype(np.float32))
    np.testing.assert_allclose(volume.affine, made.oblique(), atol=1e-5)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_hounsfield_units_are_rounded_and_not_cut(tmp_path):
    array = made.scan() + np.float32(0.6)
    write_volume(Volume(array, made.oblique(), "HU", "ct"), tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "ct.nii.gz").array, made.scan() + 1)


def test_same_volume_same_bytes(tmp_path):
    volume = read_volume(saved(tmp_path, made.nifti()))
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(volume, tmp_path / name)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_sheared_grid_has_no_qform(tmp_path):
    affine = made.oblique()
    affine[:3, 2] += affine[:3, 1] / 2
    write_volume(Volume(made.scan(), affine), tmp_path / "out.nii")
    assert nib.load(tmp_path / "out.nii").header["qform_code"] == 0
    assert same(read_volume(tmp_path / "out.nii"), affine=affine)


def test_a_crash_while_writing_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "out.nii.gz"
    path.write_bytes(b"before")

    def crash(image, target):
        target.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nib.Nifti1Image, "to_stream", crash)
    with pytest.raises(InputError, match=r'^"out.nii.gz" cannot be written \(No space left on device\)'):
        write_volume(Volume(made.scan(), made.oblique()), path)
    assert path.read_bytes() == b"before" and [entry.name for entry in tmp_path.iterdir()] == ["out.nii.gz"]


@pytest.mark.parametrize("name", ["out.mha", "out", "out.gz", "out.nii.zip", "none/out.nii", "folder.nii"])
def test_what_cannot_be_written_is_said_before_the_work(tmp_path, name):
    (tmp_path / "folder.nii").mkdir()
    for attempt in (check_writable, lambda path: write_volume(Volume(made.scan(), made.oblique()), path)):
        with pytest.raises(InputError, match=r'^"[^"]+" cannot be written.*\.$'):
            attempt(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.nii"] and not list(
        (tmp_path / "folder.nii").iterdir()
    )
    check_writable(tmp_path / "fine.nii.gz")


# --- a real scan ----------------------------------------------------------------------------------------


def test_the_real_scan_and_its_copies(tmp_path, real_t1):
    volume = read_volume(real_t1, "t1")
    reference = nib.load(real_t1)
    assert np.array_equal(volume.array, reference.dataobj) and np.array_equal(volume.affine, reference.affine)
    assert volume.notices == ()
    with pytest.raises(InputError, match=r"promises \d+x\d+x\d+ voxels \([\d.]+ MB\) but holds only [\d.]+ MB"):
        read_volume(saved(tmp_path, real_t1.read_bytes()[:2_000_000], "cut.nii"))
