"""Volumes written as NIfTI."""

import nibabel as nib
import numpy as np
import pytest

from ganlab.errors import InputError
from ganlab.imaging.reading.files import read_volume
from ganlab.imaging.volume import Volume
from ganlab.imaging.writing import check_writable, write_volume
from tests.imaging.reading import samples
from tests.imaging.reading.samples import same, saved


@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz", "OUT.NII.GZ"])
@pytest.mark.parametrize(
    ("array", "unit", "stored"),
    [
        (samples.scan().astype(np.float32) + 0.25, "arbitrary", np.float32),
        (samples.scan().astype(np.float32), "HU", np.int16),
        (samples.scan().astype(np.float32) * 100, "HU", np.float32),  # does not fit
        (samples.scan().astype(np.float64) / 900, "FA", np.float32),
        (np.clip(samples.scan(), 0, 9).astype(np.uint8), "arbitrary", np.uint8),
        (samples.scan(), "arbitrary", np.int16),
        (samples.scan() > 100, "arbitrary", np.uint8),
    ],
)
def test_written_volumes_read_back(tmp_path, name, array, unit, stored):
    path = tmp_path / name
    write_volume(Volume(array, samples.oblique(), unit, "ct"), path)
    image = nib.load(path)
    header = image.header
    assert image.get_data_dtype() == stored
    assert header.get_xyzt_units()[0] == "mm" and unit.encode() in header["descrip"].item()
    assert header["sform_code"] > 0 and header["qform_code"] > 0
    np.testing.assert_allclose(header.get_qform(), samples.oblique(), atol=1e-4)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, array.astype(np.float32))
    np.testing.assert_allclose(volume.affine, samples.oblique(), atol=1e-5)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_hounsfield_units_are_rounded(tmp_path):
    array = samples.scan() + np.float32(0.6)
    write_volume(Volume(array, samples.oblique(), "HU", "ct"), tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "ct.nii.gz").array, samples.scan() + 1)


def test_the_same_volume_gives_the_same_bytes(tmp_path):
    volume = read_volume(saved(tmp_path, samples.nifti()))
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(volume, tmp_path / name)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_sheared_grid_has_no_qform(tmp_path):
    affine = samples.oblique()
    affine[:3, 2] += affine[:3, 1] / 2
    write_volume(Volume(samples.scan(), affine), tmp_path / "out.nii")
    assert nib.load(tmp_path / "out.nii").header["qform_code"] == 0
    assert same(read_volume(tmp_path / "out.nii"), affine=affine)


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


@pytest.mark.parametrize("name", ["out.mha", "out", "out.gz", "out.nii.zip", "none/out.nii", "folder.nii"])
def test_refuses_an_unwritable_path_before_any_work(tmp_path, name):
    (tmp_path / "folder.nii").mkdir()
    for attempt in (
        check_writable,
        lambda path: write_volume(Volume(samples.scan(), samples.oblique()), path),
    ):
        with pytest.raises(InputError, match=r'^"[^"]+" cannot be written.*\.$'):
            attempt(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.nii"] and not list(
        (tmp_path / "folder.nii").iterdir()
    )
    check_writable(tmp_path / "fine.nii.gz")
