"""A folder of scans translated in one go."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from ganlab.errors import InputError
from ganlab.translation.many import translate_folder
from tests.imaging.reading import samples
from tests.translation.folder_of_scans import EXPECTED, make_folder, negated


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("ganlab.translation.many.translate", negated)


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "scans")


def outcome(results, out):
    return {str(each.out.relative_to(out)): each.status for each in results}


def test_every_scan_of_a_folder_is_translated_under_its_own_name(folder, tmp_path):
    out = tmp_path / "out"
    seen = []
    results = list(translate_folder(folder, out, device="cpu", progress=lambda name, share: seen.append(name)))
    assert outcome(results, out) == EXPECTED and len(seen) == 5
    written = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert written == {name for name, status in EXPECTED.items() if status == "translated"}
    image = nib.load(out / "sub-01/anat/sub-01_T1w.nii.gz")
    np.testing.assert_array_equal(image.get_fdata(), -samples.scan())
    np.testing.assert_allclose(image.affine, samples.oblique(), atol=1e-4)
    messages = {each.out.name: each.message for each in results}
    assert "truncated" in messages["cut.nii.gz"] and messages["ct.nii.gz"] == "The scan looks like a CT."
    assert "loc" in messages["1-loc.nii.gz"] and '"CT" and not MR' in messages["3-CT.nii.gz"]


def test_results_that_are_there_are_kept_unless_told_otherwise(folder, tmp_path):
    out = tmp_path / "out"
    samples.write_all(out, [b"mine"], "a.nii.gz")
    statuses = outcome(translate_folder(folder, out, device="cpu"), out)
    assert statuses["a.nii.gz"] == "kept" and (out / "a.nii.gz").read_bytes() == b"mine"
    assert statuses["a-2.nii.gz"] == "translated"
    again = outcome(translate_folder(folder, out, device="cpu"), out)
    assert list(again.values()).count("kept") == 5
    again = outcome(translate_folder(folder, out, device="cpu", overwrite=True), out)
    assert again == EXPECTED and (out / "a.nii.gz").read_bytes() != b"mine"


def test_results_may_go_to_the_folder_above_the_scans(folder):
    out = folder.parent
    assert outcome(translate_folder(folder, out, device="cpu"), out) == EXPECTED


def test_results_inside_the_folder_are_not_translated_again(folder):
    out = folder / "out"
    first = outcome(translate_folder(folder, out, device="cpu"), out)
    assert outcome(translate_folder(folder, out, device="cpu"), out).keys() == first.keys() == EXPECTED.keys()


def test_refuses_a_folder_without_scans_or_into_itself(folder, tmp_path):
    empty = samples.write_all(tmp_path / "empty", [b"x"], "notes.txt")
    for places, words in (
        ((empty, tmp_path / "o"), "holds no image volume"),
        ((tmp_path / "none", tmp_path / "o"), "is not a folder"),
        ((folder, folder), "give another folder"),
    ):
        with pytest.raises(InputError, match=words):
            list(translate_folder(*places, device="cpu"))


def test_intervals_are_written_beside_under_the_same_names(folder, tmp_path, monkeypatch):
    def with_interval(volume, *arguments, **options):
        made = negated(volume, *arguments, **options)
        return replace(made, confidence=replace(made.synthetic, array=np.full(volume.shape, 25.0, np.float32)))

    monkeypatch.setattr("ganlab.translation.many.translate", with_interval)
    monkeypatch.setattr("ganlab.translation.many.check_calibrated", lambda model: None)
    out, intervals = tmp_path / "out", tmp_path / "intervals"
    list(translate_folder(folder, out, device="cpu", confidence=intervals))
    written = {str(path.relative_to(intervals)) for path in intervals.rglob("*") if path.is_file()}
    assert written == {name for name, status in EXPECTED.items() if status == "translated"}
    assert (nib.load(intervals / "sub-01/anat/sub-01_T1w.nii.gz").get_fdata() == 25).all()
    for place in (out, folder / "intervals", folder):
        with pytest.raises(InputError, match="a folder of their own"):
            list(translate_folder(folder, out, device="cpu", confidence=place))


def test_a_damaged_zip_is_one_failure(folder, tmp_path):
    samples.saved(folder, b"PK\3\4" + bytes(99), "bad.zip")
    results = {each.out.name: each for each in translate_folder(folder, tmp_path / "out", device="cpu")}
    assert results["bad.nii.gz"].status == "failed" and "damaged zip" in results["bad.nii.gz"].message


def test_a_fault_of_the_program_is_one_failure_too(folder, tmp_path, monkeypatch):
    def faulty(volume, *arguments, **options):
        if volume.affine[0, 3] == samples.oblique()[0, 3]:
            raise ZeroDivisionError("division by zero")
        return negated(volume, *arguments, **options)

    monkeypatch.setattr("ganlab.translation.many.translate", faulty)
    results = list(translate_folder(folder, tmp_path / "out", device="cpu"))
    assert len(results) == len(EXPECTED)
    assert any("ZeroDivisionError: division by zero" in each.message for each in results if each.status == "failed")
