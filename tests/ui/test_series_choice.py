"""The choice between the DICOM series of an upload."""

import numpy as np

from ganlab.ui.volume_controls import offer_series
from tests.imaging.reading import dicom_makers as makers
from tests.imaging.reading import samples


def upload(folder):
    return [str(path) for path in sorted(folder.iterdir())]


def test_an_upload_of_several_series_can_be_chosen_from(tmp_path):
    makers.write(tmp_path / "s", makers.series(number=2, description="T2 SPACE", SliceThickness=4), "a{}")
    makers.write(tmp_path / "s", makers.series(number=3, description="T1 MPRAGE"), "b{}")
    makers.write(tmp_path / "s", makers.series(makers.head()[..., :1], number=1, description="Scout"), "c{}")
    choice = offer_series("source", upload(tmp_path / "s"), "mr2ct")
    assert (
        choice.visible and choice.value == "3" and choice.info == "The upload holds 2 volumes; 1 more is not a volume"
    )
    assert choice.choices == [
        ("2 \N{MIDDLE DOT} T2 SPACE \N{MIDDLE DOT} 20 slices every 4 mm, 24x28", "2"),
        ("3 \N{MIDDLE DOT} T1 MPRAGE \N{MIDDLE DOT} 20 slices every 4 mm, 24x28", "3"),
    ]


def test_the_series_that_is_chosen_first_follows_the_task(tmp_path):
    makers.write(tmp_path / "s", makers.series(number=1, description="T1"), "a{}")
    makers.write(tmp_path / "s", makers.series(number=2, description="Head", modality="CT"), "b{}")
    files = upload(tmp_path / "s")
    chosen = {task: offer_series("source", files, task).value for task in ("mr2ct", "ct2mr")}
    assert chosen == {"mr2ct": "1", "ct2mr": "2"}
    assert offer_series("target", files, "mr2ct").value == "2"


def test_nothing_is_offered_where_there_is_no_choice(tmp_path):
    one = upload(makers.write(tmp_path / "one", makers.series()))
    volume = [str(samples.saved(tmp_path, samples.nifti(), "t1.nii"))]
    damaged = [str(samples.saved(tmp_path, b"PK\3\4" + bytes(50), "bad.zip"))]
    for files in (None, [], one, volume, damaged):
        choice = offer_series("source", files, "mr2ct")
        assert not choice.visible and choice.value is None


def test_a_zip_is_listed_like_a_folder(tmp_path):
    contents = {}
    for number in (1, 2):
        folder = makers.write(tmp_path / str(number), makers.series(makers.head(number), number=number))
        contents |= {f"{number}/{path.name}": path.read_bytes() for path in folder.iterdir()}
    path = samples.saved(tmp_path, samples.zipped(contents), "study.zip")
    choice = offer_series("source", [str(path)], "mr2ct")
    assert [key for _, key in choice.choices] == ["1", "2"] and np.isin(choice.value, ("1", "2"))
