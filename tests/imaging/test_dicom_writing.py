"""Volumes written as DICOM series, as pydicom, SimpleITK, dcm2niix and ganlab read them."""

import shutil
import subprocess
import zipfile
from dataclasses import replace

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.pixels import apply_modality_lut
from scipy.ndimage import map_coordinates

from ganlab.errors import InputError
from ganlab.imaging import dicom_writing
from ganlab.imaging.grid import resample
from ganlab.imaging.reading.files import read_volume
from ganlab.imaging.volume import Origin, Volume
from ganlab.imaging.writing import check_writable, write_volume
from tests.imaging.reading import samples
from tests.imaging.test_writing import itk_affine

AXIAL, SAGITTAL, CORONAL = (0, 1, 2), (1, 2, 0), (2, 0, 1)


def grid(order=AXIAL, signs=(1, 1, 1), angles=(12, -25, 30), spacing=(5.0, 4.0, 6.0)) -> np.ndarray:
    """An oblique affine whose voxel axes run along these of R, A and S, forwards or backwards."""
    affine = samples.oblique((1, 1, 1), angles)
    affine[:3, :3] = affine[:3, list(order)] * signs * spacing
    return affine


def scan(unit="HU", modality="ct", affine=None, **fields) -> Volume:
    share = samples.scan().astype(np.float32) / 910
    array = {"ct": np.rint(share * 4000 - 1000), "fa": share.clip(0, 1)}.get(modality, share * 1.7)
    return Volume(array.astype(np.float32), grid() if affine is None else affine, unit, modality, **fields)


def headers(folder) -> list[pydicom.Dataset]:
    return sorted(map(pydicom.dcmread, folder.iterdir()), key=lambda image: image.InstanceNumber)


def unzipped(path):
    with zipfile.ZipFile(path) as archive:
        archive.extractall(path.parent)
    return path.with_suffix("")


def by_pydicom(folder, scratch):
    images = headers(folder)
    first, last = images[0], images[-1]
    affine = np.eye(4)
    directions = np.reshape(first.ImageOrientationPatient, (2, 3)).T
    affine[:3, :2] = directions * np.array(first.PixelSpacing)[::-1]
    step = np.subtract(last.ImagePositionPatient, first.ImagePositionPatient) / (len(images) - 1)
    np.testing.assert_allclose(np.linalg.norm(step), first.SliceThickness, rtol=1e-6)
    np.testing.assert_allclose(np.cross(*directions.T) * first.SliceThickness, step, atol=1e-6)
    affine[:3, 2], affine[:3, 3] = step, first.ImagePositionPatient
    values = np.stack([apply_modality_lut(image.pixel_array, image).T for image in images], axis=2)
    return values, np.diag([-1, -1, 1, 1]) @ affine


def by_simpleitk(folder, scratch):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    return sitk.GetArrayFromImage(image).T, itk_affine(image)


def by_dcm2niix(folder, scratch):
    if not shutil.which("dcm2niix"):
        pytest.skip("dcm2niix is not installed")
    subprocess.run(["dcm2niix", "-f", "out", "-b", "n", "-o", scratch, folder], check=True, capture_output=True)
    (path,) = scratch.glob("*.nii")
    image = nib.load(path)
    return np.asarray(image.dataobj), image.affine


def by_ganlab(folder, scratch):
    volume = read_volume(folder)
    return volume.array, volume.affine


def assert_same_at_every_place(volume: Volume, values: np.ndarray, affine: np.ndarray, atol: float) -> None:
    """Each voxel of the volume lies at a voxel of (values, affine) and has its value."""
    places = np.vstack([np.indices(volume.shape).reshape(3, -1), np.ones(volume.array.size)])
    index = np.linalg.solve(affine, volume.affine @ places)[:3]
    nearest = np.rint(index).astype(int)
    assert np.abs(index - nearest).max() < 2e-3 and nearest.min() >= 0 and values.size == volume.array.size
    np.testing.assert_allclose(values[tuple(nearest)], volume.array.ravel(), atol=atol)


@pytest.mark.parametrize("read", [by_pydicom, by_simpleitk, by_dcm2niix, by_ganlab])
@pytest.mark.parametrize(
    ("unit", "modality", "atol"), [("HU", "ct", 0), ("FA", "fa", 6e-5), ("", "fa", 6e-5), ("arbitrary", "t1", 6e-5)]
)
@pytest.mark.parametrize(
    ("order", "signs"), [(AXIAL, (1, 1, 1)), (SAGITTAL, (-1, -1, 1)), (SAGITTAL, (1, -1, 1)), (CORONAL, (1, 1, -1))]
)
def test_every_reader_gets_the_same_values_and_geometry(tmp_path, read, unit, modality, atol, order, signs):
    volume = scan(unit, modality, grid(order, signs))
    assert write_volume(volume, tmp_path / "out.dcm") == ()
    (tmp_path / "scratch").mkdir()
    assert_same_at_every_place(volume, *read(tmp_path / "out.dcm", tmp_path / "scratch"), atol)


def test_slices_are_axial_from_feet_to_head_with_left_and_back_increasing(tmp_path):
    write_volume(scan(affine=grid(SAGITTAL, (-1, -1, 1), angles=(3, 2, 4))), tmp_path / "out.dcm")
    images = headers(tmp_path / "out.dcm")
    right_to_left, front_to_back = np.reshape(images[0].ImageOrientationPatient, (2, 3))
    assert right_to_left[0] > 0.9 and front_to_back[1] > 0.9
    assert np.all(np.diff([image.ImagePositionPatient[2] for image in images]) > 3.9)
    assert (images[0].Rows, images[0].Columns, len(images)) == (12, 10, 14)  # scan: front, up, right
    assert images[0].PixelSpacing == [5, 6] and images[0].SliceThickness == 4


def test_a_zip_holds_the_same_series(tmp_path):
    write_volume(scan(), tmp_path / "ct.zip")
    with zipfile.ZipFile(tmp_path / "ct.zip") as archive:
        assert archive.namelist()[:2] == ["ct/0001.dcm", "ct/0002.dcm"] and archive.testzip() is None
    volume = read_volume(tmp_path / "ct.zip")
    assert_same_at_every_place(scan(), volume.array, volume.affine, 0)
    assert (volume.unit, volume.modality) == ("HU", "ct") and [path.name for path in tmp_path.iterdir()] == ["ct.zip"]


def test_a_synthetic_ct_says_what_it_is_and_what_made_it(tmp_path):
    write_volume(scan(model="runs/mr2ct-own"), tmp_path / "out.dcm")
    images = headers(tmp_path / "out.dcm")
    one = images[0]
    assert one.SOPClassUID == pydicom.uid.CTImageStorage and one.Modality == "CT"
    assert one.SeriesDescription == "SYNTHETIC, NOT FOR CLINICAL USE: CT by mr2ct-own"
    assert list(one.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
    assert "mr2ct-own (ganlab " in one.DerivationDescription and one.Manufacturer == "ganlab"
    assert any("mr2ct-own" in version for version in one.SoftwareVersions)
    assert one.ContributingEquipmentSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue == "109100"  # synthesizing
    assert (one.RescaleType, one.RescaleSlope, one.PixelRepresentation) == ("HU", 1, 1)
    for keyword, different in {"SOPInstanceUID": 10, "SeriesInstanceUID": 1, "FrameOfReferenceUID": 1}.items():
        assert len({image[keyword].value for image in images}) == different
    assert len(one.SeriesDescription) <= 64


def test_a_real_scan_is_not_called_synthetic(tmp_path):
    write_volume(scan(), tmp_path / "out.dcm")
    one = headers(tmp_path / "out.dcm")[0]
    assert one.SeriesDescription == "CONVERTED, NOT FOR CLINICAL USE: CT" and "ynthe" not in one.DerivationDescription


def test_a_very_long_model_name_fits(tmp_path):
    write_volume(scan(model="m" * 90), tmp_path / "out.dcm")
    one = headers(tmp_path / "out.dcm")[0]
    assert len(one.SeriesDescription) == 64 and len(one.ManufacturerModelName) == 64


def test_patient_study_and_frame_of_reference_are_those_of_the_source(tmp_path):
    source = {
        "PatientName": "Łęcka^Zofia", "PatientID": "7/11", "PatientBirthDate": "19500101", "StudyInstanceUID": "1.2.3",
        "FrameOfReferenceUID": "1.2.4", "SeriesInstanceUID": "1.2.5", "SeriesNumber": "7", "PatientPosition": "HFP",
    }  # fmt: skip
    write_volume(scan(model="m", origin=Origin(dicom=source)), tmp_path / "out.dcm")
    one = headers(tmp_path / "out.dcm")[0]
    for keyword in source.keys() - {"SeriesInstanceUID", "SeriesNumber"}:
        assert one[keyword].value == source[keyword]
    assert one.SeriesInstanceUID != "1.2.5" and "made from series 1.2.5" in one.DerivationDescription
    assert one.SeriesNumber == 1007 and one.StudyDate == ""  # not known, and not today


def test_a_scan_read_from_dicom_carries_its_patient_to_what_is_made_from_it(tmp_path):
    patient = {"PatientName": "Łęcka^Zofia", "PatientID": "7/11", "StudyInstanceUID": "1.2.3", "StudyID": "4"}
    patient |= {"FrameOfReferenceUID": "1.2.4", "AccessionNumber": "A1", "PatientIdentityRemoved": "YES"}
    write_volume(scan("arbitrary", "t1", origin=Origin(dicom=patient)), tmp_path / "t1.dcm")
    t1 = read_volume(tmp_path / "t1.dcm", "t1")
    assert patient.items() <= t1.origin.dicom.items()
    made = replace(resample(t1, grid(), (11, 12, 9)), unit="HU", modality="ct", model="m")
    write_volume(made, tmp_path / "ct.zip")
    ct = read_volume(tmp_path / "ct.zip", "ct")
    assert patient.items() <= ct.origin.dicom.items()
    assert ct.origin.dicom["SeriesInstanceUID"] != t1.origin.dicom["SeriesInstanceUID"]
    assert t1.origin.dicom["SeriesInstanceUID"] in headers(unzipped(tmp_path / "ct.zip"))[0].DerivationDescription


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 13", "GB18030", "UNKNOWN", "\\\\", ""])
def test_names_in_any_character_set_are_read(tmp_path, charset):
    write_volume(scan("arbitrary", "t1"), tmp_path / "t1.dcm")
    for path in (tmp_path / "t1.dcm").iterdir():
        raw = path.read_bytes().replace(b"ISO_IR 192", charset.encode().ljust(10))
        path.write_bytes(raw.replace(b"GANLAB^", "Zoë^An".encode("latin-1") + b"\x1b"))
    name = read_volume(tmp_path / "t1.dcm", "t1").origin.dicom["PatientName"]
    assert name.isprintable() and name.startswith("Zoë" if charset == "ISO_IR 100" else "Zo")
    write_volume(read_volume(tmp_path / "t1.dcm", "t1"), tmp_path / "again.zip")


def test_identifiers_that_are_none_are_replaced(tmp_path):
    source = {"StudyInstanceUID": "1.2.3.4", "FrameOfReferenceUID": "1.5.6.7", "SeriesNumber": "7"}
    write_volume(scan(origin=Origin(dicom=source)), tmp_path / "ct.dcm")
    for path in (tmp_path / "ct.dcm").iterdir():
        raw = path.read_bytes().replace(b"1.2.3.4", b"one.two").replace(b"1.5.6.7", b"1..5.6.")
        path.write_bytes(raw.replace(b"1007", b"7th."))
    ct = read_volume(tmp_path / "ct.dcm")
    assert not {"StudyInstanceUID", "FrameOfReferenceUID", "SeriesNumber"} & ct.origin.dicom.keys()
    write_volume(ct, tmp_path / "again.dcm")
    one = headers(tmp_path / "again.dcm")[0]
    assert one.StudyInstanceUID.is_valid and one.FrameOfReferenceUID.is_valid and one.SeriesNumber == 1000


def test_volumes_without_a_patient_get_different_ones(tmp_path):
    for name in ("a.dcm", "b.dcm"):
        write_volume(scan(), tmp_path / name)
    a, b = (headers(tmp_path / name)[0] for name in ("a.dcm", "b.dcm"))
    for keyword in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert a[keyword].value and a[keyword].value != b[keyword].value


def test_fa_and_t1_are_mr_images_whose_units_are_named(tmp_path):
    for modality, unit, kind in (("fa", "FA", ["DIFFUSION MAP", "FA"]), ("t1", "arbitrary", ["OTHER"])):
        write_volume(scan(unit, modality), tmp_path / f"{modality}.dcm")
        one = headers(tmp_path / f"{modality}.dcm")[0]
        assert one.SOPClassUID == pydicom.uid.MRImageStorage and list(one.ImageType)[2:] == kind
        (mapping,) = one.RealWorldValueMappingSequence
        assert mapping.RealWorldValueSlope == one.RescaleSlope and mapping.LUTLabel == modality.upper()


def test_whole_numbers_are_stored_as_they_are(tmp_path):
    volume = Volume(samples.scan().astype(np.float32), grid(), modality="t1")
    write_volume(volume, tmp_path / "out.dcm")
    assert "RescaleSlope" not in headers(tmp_path / "out.dcm")[0]
    assert_same_at_every_place(volume, *by_pydicom(tmp_path / "out.dcm", None), 0)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_signals_of_any_size_fit_into_sixteen_bits(tmp_path, scale):
    volume = Volume(samples.scan() * np.float32(scale), grid(), modality="t1")
    write_volume(volume, tmp_path / "out.dcm")
    for read in (by_pydicom, by_simpleitk, by_ganlab):
        assert_same_at_every_place(volume, *read(tmp_path / "out.dcm", None), 0.15 * scale)


def test_a_sheared_volume_is_resampled_and_says_so(tmp_path):
    affine = grid(angles=(3, 2, 4))
    affine[:3, 2] += affine[:3, 1] / 3
    volume = scan(affine=affine)
    (notice,) = write_volume(volume, tmp_path / "out.dcm")
    assert "not at right angles" in notice and "resampled" in notice
    written, written_affine = by_pydicom(tmp_path / "out.dcm", None)
    by_itk = by_simpleitk(tmp_path / "out.dcm", None)
    np.testing.assert_array_equal(by_itk[0], written)
    np.testing.assert_allclose(by_itk[1], written_affine, atol=1e-5)
    inside = np.indices(volume.shape)[:, 2:-2, 2:-2, 2:-2].reshape(3, -1)
    index = np.linalg.solve(written_affine, affine @ np.vstack([inside, np.ones(inside.shape[1])]))[:3]
    values = map_coordinates(written.astype(float), index, order=1)
    assert np.corrcoef(values, volume.array[tuple(inside)])[0, 1] > 0.98
    assert headers(tmp_path / "out.dcm")[0].DerivationCodeSequence[0].CodeMeaning == "Spatial resampling"


def test_mni_space_cannot_be_said_in_dicom(tmp_path):
    (notice,) = write_volume(scan(origin=Origin(sform=4)), tmp_path / "out.dcm")
    assert "MNI space" in notice


@pytest.mark.parametrize("modality", ["labels", "unknown", "disagreement", "pet"])
def test_other_kinds_of_volumes_are_refused_with_another_format(tmp_path, modality):
    with pytest.raises(InputError, match=rf'DICOM is for ct, .*"{modality}"; write it as \.nii\.gz'):
        check_writable(tmp_path / "out.dcm", scan("arbitrary", modality))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "sentence"), [(np.nan, "NaN or infinite"), (np.inf, "NaN or infinite"), (4e4, "more than the 16 bits")]
)
def test_values_that_dicom_cannot_hold_are_refused_and_leave_nothing(tmp_path, value, sentence):
    volume = scan()
    volume.array[3, 3, 3] = value
    for name in ("out.dcm", "out.zip"):
        with pytest.raises(InputError, match=sentence):
            write_volume(volume, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_volume_too_large_for_a_series_is_refused_before_memory_is_taken(tmp_path):
    huge = Volume(np.broadcast_to(np.float32(0), (3000, 3000, 3000)), np.diag([0.1, 0.1, 0.1, 1]), "HU", "ct")
    with pytest.raises(InputError, match=r"3000x3000x3000 voxels, more than 134,217,728"):
        write_volume(huge, tmp_path / "out.dcm")


def test_an_extreme_shear_is_refused_before_memory_is_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(dicom_writing, "MAX_VOXELS", 5000)
    affine = grid()
    affine[:3, 2] += affine[:3, 1] * 9
    with pytest.raises(InputError, match="far from right angles"):
        write_volume(scan(affine=affine), tmp_path / "out.dcm")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(self, *_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pydicom.Dataset, "save_as", full)
    for name in ("out.dcm", "out.zip"):
        with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
            write_volume(scan(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "out.dcm").mkdir()
    write_volume(scan(), tmp_path / "out.dcm")
    assert len(list((tmp_path / "out.dcm").iterdir())) == 10


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dciodvfy (Debian's dicom3tools) is not installed")
@pytest.mark.parametrize("modality", ["ct", "fa", "t1"])
def test_dciodvfy_finds_no_error(tmp_path, modality):
    write_volume(scan("HU" if modality == "ct" else "arbitrary", modality, model="m"), tmp_path / "out.dcm")
    done = subprocess.run(["dciodvfy", tmp_path / "out.dcm" / "0001.dcm"], capture_output=True, text=True)
    assert "Error" not in done.stderr and ("CTImage" if modality == "ct" else "MRImage") in done.stderr
