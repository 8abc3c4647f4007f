"""`ganlab translate FOLDER OUT`, and `ganlab list-series`."""

import json

import pytest

from tests.imaging.reading import samples
from tests.translation.folder_of_scans import EXPECTED, make_folder, negated


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("ganlab.translation.many.translate", negated)
    return make_folder(tmp_path / "scans")


def test_the_command_counts_failures_and_lists_every_scan(folder, tmp_path, run):
    code, out, err = run("translate", folder, tmp_path / "out", "--json")
    report = json.loads(out)
    assert code == 1 and "failed: The scan looks like a CT." in err
    assert {status: report[status] for status in ("translated", "kept", "skipped", "failed")} == {
        "translated": 5, "kept": 0, "skipped": 2, "failed": 2,
    }  # fmt: skip
    assert len(report["scans"]) == 9 and {each["status"] for each in report["scans"]} == set(EXPECTED.values())
    for name in ("ct.nii", "cut.nii"):
        (folder / name).unlink()
    code, out, err = run("translate", folder, tmp_path / "out")
    assert code == 0 and "5 kept, 2 skipped (files that were there" in out


def test_a_dicom_folder_and_a_file_name_are_still_one_scan(folder, tmp_path, run, monkeypatch):
    seen = []
    monkeypatch.setattr("ganlab.cli.folder.translate_many", lambda *arguments: seen.append(arguments))
    run("translate", folder / "pacs", tmp_path / "out.nii.gz", "--model", "nothing")
    assert not seen
    run("translate", folder / "pacs", tmp_path / "out")
    assert len(seen) == 1


def test_a_folder_takes_no_options_of_a_single_scan(folder, tmp_path, run):
    code, out, err = run("translate", folder, tmp_path / "out", "--series", "2")
    assert (code, out) == (2, "") and "--series" in err and "name the output file" in err


def test_lists_the_series_of_a_folder(folder, run, tmp_path):
    code, out, _ = run("list-series", folder / "pacs", "--json")
    series = json.loads(out)["series"]
    assert code == 0 and [each["series"] for each in series] == ["1", "2", "3"]
    assert series[1] | {"problem": ""} == series[1]
    assert (series[1]["description"], series[1]["slices"], series[1]["step"]) == ("T1 MPRAGE", 20, 4)
    assert "covers only" in series[0]["problem"]
    code, out, _ = run("list-series", folder / "pacs")
    assert out.splitlines()[1].startswith("2 \N{MIDDLE DOT} T1 MPRAGE")
    code, out, err = run("list-series", samples.saved(tmp_path, samples.nifti(), "x.nii"))
    assert code == 2 and "holds no DICOM series" in err
