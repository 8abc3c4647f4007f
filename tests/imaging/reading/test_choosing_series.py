"""Which DICOM series is meant by a number, whose it is, and what is refused."""

import pytest

from ganlab.errors import InputError
from ganlab.imaging.reading.files import read_volume
from ganlab.imaging.reading.scans import list_series
from tests.imaging.reading import dicom_makers as makers
from tests.imaging.reading import samples
from tests.imaging.reading.dicom_makers import holds


def test_a_number_is_a_series_and_never_a_part_of_a_description(tmp_path):
    def phase(data, k):
        data.ImageType, data.SOPInstanceUID = ["ORIGINAL", "PRIMARY", "P"], data.SOPInstanceUID + ".1"

    folder = makers.write(tmp_path / "s", makers.series(number=1, description="T1 0.5 mm, 3 echoes"), "a{}")
    makers.write(folder, makers.series(number=5, description="field map"), "b{}")
    makers.write(folder, makers.series(makers.head(1), number=5, description="field map", change=phase), "c{}")
    for wanted, words in (("3", 'no series "3"'), ("5", '2 series "5"; choose by number from: 5a .*; 5b ')):
        with pytest.raises(InputError, match=words):
            read_volume(folder, "t1", series=wanted)


def test_series_of_something_that_is_not_dicom_is_refused(tmp_path):
    path = samples.saved(tmp_path, samples.nifti(), "t1.nii")
    assert list_series(path) == []
    with pytest.raises(InputError, match="is not DICOM and has no series"):
        read_volume(path, series="2")


@pytest.mark.parametrize("shift", [0.0, 1.3])
def test_two_patients_under_one_identifier_are_two_volumes(tmp_path, shift):
    """As careless anonymisation leaves them; the heads lie at the same heights or not."""
    first, second = makers.head(), makers.head(1)
    other = makers.grid()
    other[2, 3] += shift

    def renamed(data, k):
        data.PatientID, data.SOPInstanceUID = "B", f"{data.SOPInstanceUID}.7"

    makers.write(tmp_path, makers.series(first), "a{}")
    makers.write(tmp_path, makers.series(second, other, change=renamed), "b{}")
    assert [(each.key, each.kind) for each in list_series(tmp_path)] == [("5a", "patient 0"), ("5b", "patient B")]
    assert holds(read_volume(tmp_path, "t1", series="5a"), first)
    assert holds(read_volume(tmp_path, "t1", series="5b"), second, other)
    assert "patient B" in read_volume(tmp_path, "t1").notices[0]


def test_a_patient_identifier_of_its_own_for_each_file_does_not_cut_a_series(tmp_path):
    def scattered(data, k):
        data.PatientID = f"anon{k:05d}"

    makers.write(tmp_path, makers.series(change=scattered))
    assert holds(read_volume(tmp_path, "t1"))
