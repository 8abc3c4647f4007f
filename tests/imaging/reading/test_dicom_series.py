"""What belongs to one DICOM volume, which of several is read, and what is said about the rest."""

import re
import shutil
import subprocess

import nibabel as nib
import numpy as np
import pytest

from ganlab.errors import InputError
from ganlab.imaging.reading.files import read_volume
from ganlab.imaging.reading.scans import list_series, one_path
from tests.imaging.reading import dicom_makers as makers
from tests.imaging.reading.dicom_makers import holds
from tests.imaging.reading.refusals import refused, sound_or_refused

needs_dcm2niix = pytest.mark.skipif(not shutil.which("dcm2niix"), reason="dcm2niix is not installed")


def agrees_with_dcm2niix(volume, folder, tmp_path):
    """The same values at the same places as the first file that dcm2niix writes."""
    out = tmp_path / "nifti"
    out.mkdir()
    subprocess.run(["dcm2niix", "-z", "n", "-o", out, folder], check=True, stdout=subprocess.DEVNULL)
    image = nib.load(min(out.glob("*.nii"), key=lambda path: len(path.name)))
    to_theirs = np.linalg.inv(image.affine) @ volume.affine
    turn, shift = np.round(to_theirs[:3, :3]), np.round(to_theirs[:3, 3:])
    assert np.abs(to_theirs[:3] - np.c_[turn, shift]).max() < 1e-3
    at = (turn @ np.indices(volume.shape).reshape(3, -1) + shift).astype(int)
    data = image.get_fdata().reshape(*image.shape[:3], -1)[..., 0]
    np.testing.assert_allclose(data[tuple(at)], volume.array.ravel(), atol=1e-3)
    return True


# --- one series -----------------------------------------------------------------------------------------


def jitter(data, k):
    """Directions and spacing that straddle a rounding edge of their third decimal, as one scanner writes them."""
    angle = 0.0125 + (-1) ** k * 1e-5
    cos, sin = np.cos(angle), np.sin(angle)
    data.ImageOrientationPatient = [round(float(x), 9) for x in (cos, sin, 0, -sin, cos, 0)]
    data.PixelSpacing = [2.5005 + (-1) ** k * 1e-5, 3.0005 - (-1) ** k * 1e-5]


def anonymised(data, k):
    """Directions cut to three decimals in every other file."""
    if k % 2:
        data.ImageOrientationPatient = [round(float(x), 3) for x in data.ImageOrientationPatient]


def scaled(data, k):
    data.RescaleSlope, data.RescaleIntercept = 1 + k / 8, -2 * k


OBLIQUE = makers.grid((12, -25, 40))
SERIES = {
    "plain": {},
    "oblique": {"affine": OBLIQUE},
    "rounding jitter": {"change": jitter},
    "three decimals": {"affine": OBLIQUE, "change": anonymised},
    "uint16": {"array": makers.head().astype(np.uint16) + np.uint16(40_000)},
    "a CT": {"modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024},
    "slopes differing per slice": {"change": scaled},
    "twelve bits": {"BitsStored": 12, "HighBit": 11, "array": makers.head().astype(np.uint16)},
}


@needs_dcm2niix
@pytest.mark.parametrize("case", SERIES)
@pytest.mark.parametrize("order", ["rising", "reversed", "interleaved"])
def test_series_agrees_with_dcm2niix(tmp_path, case, order):
    files = makers.series(**SERIES[case])
    order = {"rising": slice(None), "reversed": slice(None, None, -1), "interleaved": None}[order]
    files = files[::2] + files[1::2] if order is None else files[order]
    for number, data in enumerate(files):
        data.InstanceNumber = data.InstanceNumber if order is None else number + 1
    folder = makers.write(tmp_path / "series", files, "{:03d}.IMA")
    volume = read_volume(folder, "ct" if case == "a CT" else "t1")
    assert volume.shape == makers.SHAPE and volume.notices == ()
    if case != "three decimals":  # dcm2niix trusts the first file
        assert agrees_with_dcm2niix(volume, folder, tmp_path)


def test_slices_numbered_as_they_were_taken(tmp_path):
    files = makers.series()
    for number, data in enumerate(files[::2] + files[1::2]):
        data.InstanceNumber = number + 1
    volume = read_volume(makers.write(tmp_path / "s", files), "t1")
    assert holds(volume) and volume.notices == ()


def test_rounded_directions_do_not_cut_a_series_in_two(tmp_path):
    volume = read_volume(makers.write(tmp_path / "s", makers.series(change=jitter)), "t1")
    turn = np.array([[np.cos(0.0125), -np.sin(0.0125)], [np.sin(0.0125), np.cos(0.0125)]])
    affine = makers.grid()
    affine[:2, :2] = turn * [3.0005, 2.5005]
    assert holds(volume, affine=affine) and volume.notices == ()


@pytest.mark.parametrize("name", ["{:04d}", "IM{:04d}.IMA", "MR.1.2.840.{}", "I{}.dcm.bak"])
@pytest.mark.parametrize("implicit", [False, True])
def test_file_names_and_transfer_syntax_do_not_matter(tmp_path, name, implicit):
    folder = makers.write(tmp_path / "s", makers.series(), name, implicit)
    assert holds(read_volume(folder, "t1"))


def test_two_labels_of_one_stack_are_one_volume(tmp_path):
    def label(data, k):
        data.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"] + (["NORM"] if k < 8 else [])
        data.EchoTime = 2.98 if k % 2 else 2.9800001

    volume = read_volume(makers.write(tmp_path / "s", makers.series(change=label)), "t1")
    assert holds(volume) and volume.notices == ()


def test_padding_of_a_ct_becomes_air_with_a_notice(tmp_path):
    stored = makers.head()
    stored[:3] = -2000
    files = makers.series(stored, modality="CT", RescaleSlope=1, RescaleIntercept=-1024, PixelPaddingValue=-2000)
    volume = read_volume(makers.write(tmp_path / "ct", files))
    expected = stored - 1024.0
    expected[:3] = -1000
    assert holds(volume, expected)
    assert volume.notices == ("Padding, 1,680 voxels of -3024 that the scanner did not fill, was set to -1000 HU.",)


def test_black_padding_is_left_alone(tmp_path):
    stored = makers.head().astype(np.uint16) + np.uint16(10)
    stored[:3] = 0
    files = makers.series(stored, modality="CT", RescaleSlope=1, RescaleIntercept=-1024, PixelPaddingValue=0)
    volume = read_volume(makers.write(tmp_path / "ct", files))
    assert holds(volume, stored - 1024.0) and volume.notices == ()


def test_copied_files_are_left_out_with_a_notice(tmp_path):
    folder = makers.write(tmp_path / "s", makers.series())
    makers.write(folder / "copy", makers.series()[:6])
    volume = read_volume(folder, "t1")
    assert holds(volume) and volume.notices[0].startswith("6 pictures have the identifier and the position of another")


def test_a_slice_taken_twice_is_said(tmp_path):
    files = makers.series()
    again = makers.series()[4]
    again.SOPInstanceUID, again.InstanceNumber = f"{makers.STUDY}.99", 99
    volume = read_volume(makers.write(tmp_path / "s", [again, *files]), "t1")
    assert holds(volume) and "1 slice more than its 20 places" in volume.notices[0]


# --- multi-frame files and mosaics -------------------------------------------------------------------------


@needs_dcm2niix
def test_enhanced_file_agrees_with_dcm2niix(tmp_path):
    frames = [*range(1, 20, 2), *range(0, 20, 2)]
    folder = makers.write(tmp_path / "one", [makers.enhanced(affine=OBLIQUE, frames=frames)])
    volume = read_volume(folder, "t1")
    assert holds(volume, affine=OBLIQUE) and agrees_with_dcm2niix(volume, folder, tmp_path)


def test_frames_with_scalings_of_their_own(tmp_path):
    scalings = [(1 + k / 4, -3.0 * k) for k in range(20)]
    for slopes in (scalings, scalings[::-1]):
        volume = read_volume(makers.write(tmp_path / "one", [makers.enhanced(slopes=slopes)]), "t1")
        slope, intercept = np.transpose(slopes)
        assert holds(volume, makers.head() * slope + intercept) and volume.notices == ()


def test_a_frame_scaled_by_0_is_refused(tmp_path):
    slopes = [(1, 0)] * 19 + [(0, 0)]
    refused(makers.write(tmp_path / "one", [makers.enhanced(slopes=slopes)]), "rescale slope that is 0")


def test_time_points_in_one_enhanced_file(tmp_path):
    def index(groups, frame):
        groups.FrameContentSequence[0].TemporalPositionIndex = frame // 20 + 1

    data = makers.enhanced(frames=[*range(20), *range(20)], per_frame=index)
    volume = read_volume(makers.write(tmp_path / "one", [data]), "t1")
    assert holds(volume) and "2 pictures of each of its 20 slices" in volume.notices[0]


@needs_dcm2niix
@pytest.mark.parametrize("slices", [20, 16, 13])
def test_mosaic_agrees_with_dcm2niix(tmp_path, slices):
    array, affine = makers.head()[..., :slices], makers.grid((3, 5, -7))
    folder = makers.write(tmp_path / "mosaic", [makers.mosaic(array, affine)], "{}.IMA")
    volume = read_volume(folder, "t1")
    assert holds(volume, array, affine) and volume.notices == ()
    assert agrees_with_dcm2niix(volume, folder, tmp_path)


def test_first_time_point_of_a_run_of_mosaics(tmp_path):
    moved = [makers.grid(shift=(-30.0, -40.0, -35.0 + 0.3 * time)) for time in range(4)]  # the scanner follows the head
    files = [makers.mosaic(makers.head(time), moved[time], time=time) for time in range(4)]
    volume = read_volume(makers.write(tmp_path / "run", files[::-1]), "t1")
    assert holds(volume, makers.head(0)) and "4 pictures of each of its 20 slices" in volume.notices[0]


def test_mosaic_without_its_private_header_is_refused(tmp_path):
    refused(makers.write(tmp_path / "m", [makers.mosaic(with_csa=False)]), "mosaic.*private header.*export it again")


@pytest.mark.parametrize("seed", range(20))
def test_damaged_private_header_is_harmless(tmp_path, seed):
    rng, data = np.random.default_rng(seed), makers.mosaic()
    header = bytearray(data.private_block(0x29, "SIEMENS CSA HEADER")[0x10].value)
    for at in rng.integers(0, len(header), 12):
        header[at] = rng.integers(256)
    data.private_block(0x29, "SIEMENS CSA HEADER")[0x10].value = bytes(header[: rng.integers(50, len(header))])
    outcomes = {"read": 0, "refused": 0}
    sound_or_refused(makers.write(tmp_path / "m", [data]), outcomes)
    assert sum(outcomes.values()) == 1


# --- several volumes ----------------------------------------------------------------------------------------


def study(tmp_path):
    """Localizers, a T1, a functional run, a T2 with more slices."""

    def three_planes(data, k):
        data.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        data.ImageOrientationPatient = [[1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1]][k % 3]

    makers.write(
        tmp_path, makers.series(makers.head()[..., :9], number=1, description="loc", change=three_planes), "a{}"
    )
    makers.write(tmp_path, makers.series(number=2, description="T1 MPRAGE sag"), "b{}")
    few = makers.grid() @ np.diag([1, 1, 1.5, 1])
    for time in range(6):
        run = makers.series(makers.head(time)[..., :13], few, 3, "fMRI rest", AcquisitionNumber=time + 1)
        for data in run:
            data.SOPInstanceUID += f".{time}"
            data.InstanceNumber += 13 * time
        makers.write(tmp_path, run, f"c{time}-{{}}")
    fine = makers.grid() @ np.diag([1, 1, 0.5, 1])
    many = np.repeat(makers.head(), 2, axis=2)
    makers.write(tmp_path, makers.series(many, fine, 4, "T2 SPACE"), "d{}")
    return tmp_path


def test_the_t1_of_a_study_is_read_and_the_rest_is_said(tmp_path):
    volume = read_volume(study(tmp_path / "study"), "t1")
    assert holds(volume)
    [notice] = volume.notices
    assert '2 "T1 MPRAGE sag" (20 slices every 4 mm, 24x28) was read' in notice
    assert '3 "fMRI rest" (13 slices every 6 mm, 4 mm thick, 6 time points, 24x28)' in notice
    assert notice.endswith("; choose another by its number (--series).")


def test_any_series_can_be_chosen_by_number_uid_or_description(tmp_path):
    folder = study(tmp_path / "study")
    keys = {each.key: each for each in list_series(folder)}
    assert [key for key, each in keys.items() if not each.problem] == ["2", "3", "4"]
    assert {keys[key].times for key in "24"} == {1} and keys["3"].times == 6
    for wanted in ("3", "fmri", f"{makers.STUDY}.3"):
        volume = read_volume(folder, "t1", series=wanted)
        assert volume.shape == (24, 28, 13)
        assert "6 pictures of each of its 13 slices" in volume.notices[1]
    for wanted, words in (("9", 'no series "9"'), ("t", r'3 series "t"; choose .*2 "T1 MPRAGE sag"')):
        with pytest.raises(InputError, match=words):
            read_volume(folder, "t1", series=wanted)


def test_a_ct_is_read_where_a_ct_is_wanted(tmp_path):
    folder = makers.write(tmp_path / "study", makers.series(number=2, description="T1"), "a{}")
    ct = makers.series(makers.head()[..., :12], number=1, description="Head 5.0", modality="CT", RescaleIntercept=-1024)
    makers.write(folder, ct, "b{}")
    assert read_volume(folder, "ct").shape[2] == 12 and read_volume(folder, "t1").shape[2] == 20
    assert read_volume(folder).shape[2] == 20


@pytest.mark.parametrize("marked", ["image type", "GE"])
def test_phase_and_magnitude_are_never_mixed(tmp_path, marked):
    def phase(data, k):
        if marked == "GE":
            data.private_block(0x43, "GEMS_PARM_01", create=True).add_new(0x2F, "SS", 1)
        else:
            data.ImageType = ["ORIGINAL", "PRIMARY", "P", "ND"]
        data.SOPInstanceUID += ".1"

    for name, places in (("whole", range(20)), ("half", range(10, 20))):
        folder = makers.write(tmp_path / name, makers.series()[: 20 if name == "whole" else 10], "m{}")
        other = makers.series(makers.head(1), change=phase)
        makers.write(folder, [other[k] for k in places], "p{}")
        volumes = list_series(folder)
        assert [each.kind for each in volumes].count("phase") == 1
        volume = read_volume(folder, "t1")
        np.testing.assert_array_equal(volume.array, makers.head()[..., : volume.shape[2]])


@pytest.mark.parametrize(
    ("element", "values", "words"),
    [
        ("ImageType", [["ORIGINAL", "PRIMARY", "M", "ND"], ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"]], ["", "NORM"]),
        ("EchoTime", [2.5, 4.9], ["TE 2.5 ms", "TE 4.9 ms"]),
        ("InversionTime", [700, 2500], ["TI 700 ms", "TI 2500 ms"]),
    ],
)
def test_two_images_of_each_place_are_two_volumes(tmp_path, element, values, words):
    for number, value in enumerate(values):
        files = makers.series(makers.head(number), **{element: value})
        for data in files:
            data.SOPInstanceUID += f".{number}"
        makers.write(tmp_path / "s", files, f"{number}-{{}}")
    assert [(each.key, each.kind) for each in list_series(tmp_path / "s")] == [("5a", words[0]), ("5b", words[1])]
    for number, key in enumerate(("5a", "5b")):
        volume = read_volume(tmp_path / "s", "t1", series=key)
        assert holds(volume, makers.head(number)) and "holds 2 series" in volume.notices[0]


@pytest.mark.parametrize("by", ["TemporalPositionIdentifier", "AcquisitionNumber", "AcquisitionTime", "", "per slice"])
def test_time_points_are_not_slices(tmp_path, by):
    for time in range(5):
        files = makers.series(makers.head(time))
        for k, data in enumerate(files):
            data.SOPInstanceUID += f".{time}"
            data.InstanceNumber = 1 + k * 5 + time if by else 1 + k + 20 * time
            if by == "per slice":
                data.AcquisitionTime = f"1015{time:02d}.{k:06d}"
            elif by:
                setattr(data, by, f"10150{time}.5" if by == "AcquisitionTime" else time + 1)
        makers.write(tmp_path / "run", files, f"{4 - time}-{{}}")
    volume = read_volume(tmp_path / "run", "t1")
    assert holds(volume, makers.head(0))
    assert "5 pictures of each of its 20 slices (time points or repetitions); the first" in volume.notices[0]


def test_an_incomplete_first_time_point_is_passed_over(tmp_path):
    for time in range(3):
        files = makers.series(makers.head(time), TemporalPositionIdentifier=time + 1)
        for data in files:
            data.SOPInstanceUID += f".{time}"
        makers.write(tmp_path / "run", files[: 6 if time == 0 else 20], f"{time}-{{}}")
    assert holds(read_volume(tmp_path / "run", "t1"), makers.head(1))


def test_series_without_numbers_get_some(tmp_path):
    for number in (5, 6):
        files = makers.series(number=number, description=f"T1 {number}")
        for data in files:
            del data.SeriesNumber
        makers.write(tmp_path, files, f"{number}-{{}}")
    assert [each.key for each in list_series(tmp_path)] == ["1", "2"]


def test_one_series_for_each_file_is_said(tmp_path):
    files = makers.series()
    for k, data in enumerate(files):
        data.SeriesInstanceUID += f".{k}"
    refused(makers.write(tmp_path / "s", files), r"one slice and not a volume \(its files are 20 series of one slice")


def test_files_of_an_upload_are_read_together(tmp_path):
    first = makers.write(tmp_path / "a", makers.series()[:10])
    second = makers.write(tmp_path / "b", makers.series()[10:])
    files = [*first.iterdir(), *second.iterdir()]  # names repeat
    with one_path(files) as path:
        assert holds(read_volume(path, "t1")) and [each.key for each in list_series(path)] == ["5"]
    with one_path(files[:1]) as path:
        assert path == files[0]
    with pytest.raises(InputError, match="No scan was chosen"), one_path([]):
        pass


def test_many_directions_take_no_time(tmp_path):
    """A hostile folder: every file has a direction of its own."""
    files = []
    for k in range(120):
        [data] = makers.series(makers.head()[..., :1], makers.grid((k * 1.1, k * 0.7, k * 2.3)))
        data.SOPInstanceUID += f".{k}"
        files.append(data)
    message = refused(makers.write(tmp_path / "s", files), "one slice")
    assert re.search(r"\(its files are 120 series|give the folder", message)
