"""Volumes written as NIfTI, MGH and NRRD."""

import gzip

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

import ganlab
from ganlab.errors import InputError
from ganlab.imaging import writing
from ganlab.imaging.grid import canonical, resample
from ganlab.imaging.reading.files import as_volume, read_volume
from ganlab.imaging.volume import Origin, Volume
from ganlab.imaging.writing import check_writable, write_volume
from tests.imaging.reading import samples
from tests.imaging.reading.samples import same, saved

KINDS_OF_VALUES = [
    (samples.scan().astype(np.float32) + 0.25, "arbitrary", np.float32),
    (samples.scan().astype(np.float32), "HU", np.int16),
    (samples.scan().astype(np.float32) * 100, "HU", np.float32),  # does not fit
    (samples.scan().astype(np.float64) / 900, "FA", np.float32),
    (np.clip(samples.scan(), 0, 9).astype(np.uint8), "arbitrary", np.uint8),
    (samples.scan(), "arbitrary", np.int16),
    (samples.scan() > 100, "arbitrary", np.uint8),
]


def itk_affine(image: sitk.Image) -> np.ndarray:
    """Voxel -> RAS mm."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return np.diag([-1, -1, 1, 1]) @ affine


@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz", "OUT.NII.GZ"])
@pytest.mark.parametrize(("array", "unit", "stored"), KINDS_OF_VALUES)
def test_written_volumes_read_back(tmp_path, name, array, unit, stored):
    path = tmp_path / name
    write_volume(Volume(array, samples.oblique(), unit, "ct"), path)
    image = nib.load(path)
    header = image.header
    assert image.get_data_dtype() == stored
    assert header.get_xyzt_units() == ("mm", "sec") and unit.encode() in header["descrip"].item()
    assert header["sform_code"] > 0 and header["qform_code"] > 0
    np.testing.assert_allclose(header.get_qform(), samples.oblique(), atol=1e-4)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, array.astype(np.float32))
    np.testing.assert_allclose(volume.affine, samples.oblique(), atol=1e-5)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["out.mgz", "out.mgh", "out.nrrd"])
@pytest.mark.parametrize(("array", "unit", "stored"), KINDS_OF_VALUES)
def test_mgh_and_nrrd_are_read_by_nibabel_simpleitk_and_ganlab(tmp_path, name, array, unit, stored):
    path = tmp_path / name
    assert write_volume(Volume(array, samples.oblique(), unit, "ct"), path) == ()
    if path.suffix == ".nrrd":
        image = sitk.ReadImage(path)
        values, affine = sitk.GetArrayFromImage(image).T, itk_affine(image)
    else:
        content = path.read_bytes()
        image = nib.MGHImage.from_bytes(gzip.decompress(content) if path.suffix == ".mgz" else content)
        values, affine = np.asarray(image.dataobj), image.affine
    assert values.dtype.newbyteorder("=") == stored
    np.testing.assert_array_equal(values, array.astype(np.float32))
    np.testing.assert_allclose(affine, samples.oblique(), atol=1e-4)
    assert same(read_volume(path), array, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16])
@pytest.mark.parametrize("name", ["out.nii.gz", "out.mgz", "out.nrrd"])
def test_whole_numbers_of_any_type_keep_their_values(tmp_path, name, dtype):
    array = np.linspace(np.iinfo(dtype).min, np.iinfo(dtype).max, samples.scan().size).astype(dtype)
    array = array.reshape(samples.SHAPE)
    write_volume(Volume(array, samples.oblique()), tmp_path / name)
    assert same(read_volume(tmp_path / name), array, atol=1e-4)


@pytest.mark.parametrize(("sform", "qform"), [(4, 4), (4, 1), (1, 1), (2, 1), (3, 0), (5, 2), (0, 1), (0, 2)])
@pytest.mark.parametrize("version", [1, 2])
def test_the_space_of_a_nifti_file_is_kept(tmp_path, sform, qform, version):
    source = saved(tmp_path, samples.nifti(version=version, sform_code=sform, qform_code=qform), "in.nii")
    for name in ("out.nii.gz", "out.nrrd", "again.nii.gz"):
        write_volume(read_volume(source), tmp_path / name)
        source = tmp_path / name
    header = nib.load(tmp_path / "again.nii.gz").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (sform, qform)
    assert same(read_volume(tmp_path / "again.nii.gz"), atol=1e-4)


def test_a_qform_that_leads_elsewhere_than_the_sform_is_kept_on_every_grid(tmp_path):
    scanner = samples.oblique(angles=(3, 0, 0), origin=(1, 2, 3))
    image = nib.Nifti1Image(samples.scan(), samples.oblique())
    image.set_qform(scanner, 1)
    image.set_sform(samples.oblique(), 4)
    nib.save(image, tmp_path / "in.nii")
    for volume in (read_volume(tmp_path / "in.nii"), as_volume(image)):
        write_volume(canonical(volume), tmp_path / "out.nii")
        header = nib.load(tmp_path / "out.nii").header
        moved = canonical(Volume(samples.scan(), samples.oblique())).affine
        expected = scanner @ np.linalg.solve(samples.oblique(), moved)
        np.testing.assert_allclose(header.get_qform(coded=True)[0], expected, atol=1e-3)
        np.testing.assert_allclose(header.get_sform(), moved, atol=1e-4)
        assert (int(header["sform_code"]), int(header["qform_code"])) == (4, 1)


def test_an_unusable_sform_has_no_code_any_more(tmp_path):
    source = saved(tmp_path, samples.nifti(sform_code=4, qform_code=1, srow_x=np.zeros(4)), "in.nii")
    write_volume(read_volume(source), tmp_path / "out.nii")
    header = nib.load(tmp_path / "out.nii").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 1)
    np.testing.assert_allclose(nib.load(tmp_path / "out.nii").affine, samples.oblique(), atol=1e-4)


def test_mgh_says_that_it_loses_the_mni_space(tmp_path):
    volume = Volume(samples.scan(), samples.oblique(), origin=Origin(sform=4, qform=1))
    (notice,) = write_volume(volume, tmp_path / "out.mgz")
    assert notice.startswith("MGH cannot say that a volume lies in MNI space")
    assert write_volume(volume, tmp_path / "out.nii.gz") == write_volume(volume, tmp_path / "out.nrrd") == ()


def test_resampling_and_nibabel_images_keep_the_space():
    image = nib.Nifti1Image(samples.scan(), samples.oblique())
    image.header["sform_code"] = 4
    volume = as_volume(image)
    assert volume.origin.sform == 4
    assert resample(volume, np.diag([6.0, 6, 6, 1]), (12, 12, 12)).origin == volume.origin


def test_the_file_names_the_version_and_the_model(tmp_path):
    volume = Volume(samples.scan(), samples.oblique(), "HU", "ct", model="runs/long/mr2ct-own")
    write_volume(volume, tmp_path / "out.nii")
    words = f"ganlab {ganlab.__version__} mr2ct-own ct [HU]"
    assert nib.load(tmp_path / "out.nii").header["descrip"].item().decode() == words
    write_volume(volume, tmp_path / "out.nrrd")
    assert f"content: {words}\n".encode() in (tmp_path / "out.nrrd").read_bytes()


def test_hounsfield_units_are_rounded(tmp_path):
    array = samples.scan() + np.float32(0.6)
    write_volume(Volume(array, samples.oblique(), "HU", "ct"), tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "ct.nii.gz").array, samples.scan() + 1)


@pytest.mark.parametrize("ending", ["nii.gz", "mgz", "nrrd"])
def test_the_same_volume_gives_the_same_bytes(tmp_path, ending):
    volume = read_volume(saved(tmp_path, samples.nifti()))
    for name in ("a", "b"):
        write_volume(volume, tmp_path / f"{name}.{ending}")
    assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


def test_a_sheared_grid_has_no_qform(tmp_path):
    affine = samples.oblique()
    affine[:3, 2] += affine[:3, 1] / 2
    for origin in (Origin(), Origin(sform=0, qform=1)):
        write_volume(Volume(samples.scan(), affine, origin=origin), tmp_path / "out.nii")
        header = nib.load(tmp_path / "out.nii").header
        assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 0)
        assert same(read_volume(tmp_path / "out.nii"), affine=affine)


def test_a_sheared_grid_is_kept_in_mgh_and_nrrd(tmp_path):
    affine = samples.oblique()
    affine[:3, 2] += affine[:3, 1] / 2
    for name in ("out.mgz", "out.nrrd"):
        write_volume(Volume(samples.scan(), affine), tmp_path / name)
        assert same(read_volume(tmp_path / name), affine=affine, atol=1e-4)


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "out.nii.gz"
    path.write_bytes(b"before")

    def crash(image, target):
        target.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nib.Nifti1Image, "to_stream", crash)
    with pytest.raises(InputError, match=r'^"out.nii.gz" cannot be written \(No space left on device\)'):
        write_volume(Volume(samples.scan(), samples.oblique()), path)
    assert path.read_bytes() == b"before" and [entry.name for entry in tmp_path.iterdir()] == ["out.nii.gz"]


@pytest.mark.parametrize(
    "name",
    ["out.mha", "out", "out.gz", "out.nii.zip", "out.nii.gz.zip", ".nii", ".zip", "none/out.nii", "none/out.dcm",
     "folder.nii", "full.dcm", "file.dcm"],
)  # fmt: skip
def test_refuses_an_unwritable_path_before_any_work(tmp_path, name):
    (tmp_path / "folder.nii").mkdir()
    (tmp_path / "full.dcm").mkdir()
    (tmp_path / "full.dcm" / "1.dcm").touch()
    (tmp_path / "file.dcm").touch()
    before = sorted(tmp_path.rglob("*"))
    for attempt in (
        check_writable,
        lambda path: write_volume(Volume(samples.scan(), samples.oblique(), "HU", "ct"), path),
    ):
        with pytest.raises(InputError, match=r'^"[^"]+" cannot be written.*\.$'):
            attempt(tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before
    check_writable(tmp_path / "fine.nii.gz")


def test_a_wrong_ending_is_answered_with_all_that_there_are(tmp_path):
    with pytest.raises(InputError, match=r"must end in .*\.nii\.gz.*\.mgz.*\.nrrd.*\.dcm.*DICOM.*\.zip"):
        check_writable(tmp_path / "out.mha")


def test_refuses_a_volume_longer_than_nifti_counts(tmp_path):
    long = Volume(np.zeros((2, 2, 32_768), np.uint8), np.eye(4))
    with pytest.raises(InputError, match=r"2x2x32768 voxels.*at most 32,767 a side; crop it"):
        check_writable(tmp_path / "out.nii", long)
    assert writing.write_volume(long, tmp_path / "out.nrrd") == ()
