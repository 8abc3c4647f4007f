"""DICOM series, multi-frame files, tilted gantries and missing slices."""

import numpy as np
import pytest
import SimpleITK as sitk

from ganlab.imaging.reading.files import read_volume
from tests.imaging.reading import samples
from tests.imaging.reading.samples import same, saved


def test_reads_a_dicom_series_from_a_folder_or_zip_in_any_order(tmp_path):
    slices = samples.dicom_series(slope=2, intercept=-100)
    shuffled = [slices[k] for k in np.random.default_rng(3).permutation(len(slices))]
    folder = samples.write_all(tmp_path / "series" / "deeper", shuffled)
    saved(folder, b"<html>", "README.html")
    archive = saved(tmp_path, samples.zipped({f"a/b/{k}": c for k, c in enumerate(shuffled)}), "s.zip")
    for path in (tmp_path / "series", archive):
        volume = read_volume(path, "t1")
        assert same(volume, samples.scan() * 2.0 - 100, atol=1e-4) and volume.notices == ()


def test_dicom_modality_sets_the_unit_or_a_notice(tmp_path):
    folder = samples.write_all(tmp_path / "ct", samples.dicom_series(modality="CT", slope=1, intercept=-1024))
    volume = read_volume(folder)
    assert same(volume, samples.scan() - 1024, atol=1e-4)
    assert (volume.unit, volume.modality) == ("HU", "ct")
    assert "CT and not T1" in read_volume(folder, "t1").notices[0]
    magnetic = samples.write_all(tmp_path / "mr", samples.dicom_series())
    assert '"MR" and not CT' in read_volume(magnetic, "ct").notices[0]
    assert read_volume(magnetic, "t1").notices == ()
    emission = samples.write_all(tmp_path / "pt", samples.dicom_series(modality="PT"))
    assert '"PT" and not MR: check that it is a T1' in read_volume(emission, "t1").notices[0]
    assert read_volume(emission).notices == ()


def test_a_tilted_gantry_gives_a_sheared_grid(tmp_path):
    affine = np.diag([5.0, 4.0, 6.0, 1.0])
    affine[1, 2] = 2.5  # each slice starts 2.5 mm further forward
    volume = read_volume(samples.write_all(tmp_path / "tilt", samples.dicom_series(affine=affine)))
    assert same(volume, affine=affine)
    assert volume.notices[0].startswith("The gantry was tilted by 22.6\N{DEGREE SIGN}; the slices were placed where")


@pytest.mark.parametrize("compressor", [None, "JPEG", "JPEG2000"])
def test_dicom_written_by_simpleitk(tmp_path, compressor):
    array = samples.scan()
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
        volume = read_volume(saved(tmp_path, samples.enhanced_dicom(order=order), "one.dcm"))
        assert same(volume, samples.scan() * 2.0 - 100, atol=1e-4) and volume.notices == ()


def test_series_with_most_slices_is_read_with_a_notice(tmp_path):
    folder = samples.write_all(tmp_path / "study", samples.dicom_series(description="T1 sag"), "a{}")
    samples.write_all(
        folder, samples.dicom_series(samples.scan()[:, :, :4], series="1.2.9", description="Scout"), "b{}"
    )
    volume = read_volume(folder)
    assert same(volume, atol=1e-4)
    assert volume.notices == (
        '"study" holds 2 series; 1 "T1 sag" (10 slices every 6 mm, 12x14) was read, and not '
        '2 "Scout" (4 slices every 6 mm, 12x14).',
    )


def test_missing_slices_are_interpolated_with_a_notice(tmp_path):
    affine = np.diag([5.0, 4.0, 6.0, 1.0])
    affine[2, 3] = -12
    slices = samples.dicom_series(affine=affine)
    whole = read_volume(samples.write_all(tmp_path / "whole", slices))
    gapped = samples.write_all(tmp_path / "gapped", [s for k, s in enumerate(slices) if k not in (1, 5, 6)])
    volume = read_volume(gapped)
    np.testing.assert_allclose(volume.affine, whole.affine)
    assert volume.shape == whole.shape
    present = [0, 2, 3, 4, 7, 8, 9]
    np.testing.assert_array_equal(volume.array[..., present], whole.array[..., present])
    between = (2 * whole.array[..., 4] + whole.array[..., 7]) / 3
    np.testing.assert_allclose(volume.array[..., 5], between, rtol=1e-5, atol=1e-3)
    assert volume.notices[0].startswith("3 of 10 slices are missing, at I 6.0, S 18.0, S 24.0 mm; ")


def test_a_damaged_slice_counts_as_missing(tmp_path):
    slices = samples.dicom_series()
    folder = samples.write_all(tmp_path / "study", [s[:-100] if k == 4 else s for k, s in enumerate(slices)])
    volume = read_volume(folder)
    assert volume.shape == samples.SHAPE
    cut, missing = volume.notices
    assert '1 DICOM file could not be used, the first being "IM0004", which is truncated' in cut
    assert missing.startswith("1 of 10 slices is missing")


def test_uneven_slices_are_interpolated_with_a_notice(tmp_path):
    heights = np.array([0, 6, 12, 18, 24, 30, 36, 45, 54, 63.0])
    ramp = np.broadcast_to(heights * 10, samples.SHAPE).astype(np.int16) + np.arange(12, dtype=np.int16)[:, None, None]
    slices = [samples.dicom(ramp[..., k].T, (0, 0, z), instance=k) for k, z in enumerate(heights)]
    volume = read_volume(samples.write_all(tmp_path / "uneven", slices))
    step = volume.spacing[2]
    np.testing.assert_allclose(volume.array[0, 0], 10 * step * np.arange(volume.shape[2]), atol=0.06 * 10 * step)
    assert "6.00 to 9.00 mm apart" in volume.notices[0]


def test_an_extra_slice_does_not_stretch_the_volume(tmp_path):
    slices = samples.dicom_series()
    between = (samples.oblique() @ [0, 0, 4.4, 1])[:3] * (-1, -1, 1)
    axes = samples.oblique()[:3, :2] * np.array([[-1], [-1], [1]]) / samples.SPACING[:2]
    extra = samples.dicom(samples.scan()[..., 0].T * 0, between, axes.T.ravel(), samples.SPACING[1::-1], instance=99)
    volume = read_volume(samples.write_all(tmp_path / "extra", [*slices, extra]))
    assert same(volume, atol=1e-4)
    assert "interpolated to 10 slices an even 6.00 mm apart" in volume.notices[0]


def test_first_of_repeated_slices_is_read_with_a_notice(tmp_path):
    first, second = samples.dicom_series(), samples.dicom_series(samples.scan()[::-1])
    folder = samples.write_all(tmp_path / "repeats", first, "a{:02d}")
    samples.write_all(folder, second, "b{:02d}")
    volume = read_volume(folder)
    assert same(volume, atol=1e-4)
    assert "10 pictures have the identifier and the position of another one" in volume.notices[0]


def test_dicom_is_preferred_to_its_conversion(tmp_path):
    folder = samples.write_all(tmp_path / "both", samples.dicom_series())
    saved(folder, samples.nifti(samples.scan()[::-1]), "converted.nii")
    volume = read_volume(folder)
    assert same(volume, atol=1e-4) and 'DICOM and "converted.nii"' in volume.notices[0]
