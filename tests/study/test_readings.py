"""Readings are unchanged after writing and reading, and invalid files are refused."""

import dataclasses
import re

import numpy as np
import pytest

from ganlab.errors import InputError
from ganlab.study.readings import read_readings, write_readings

HEAD = "reader,case,truth,answer,confidence\n"


def test_readings_survive_writing_and_reading(readings, tmp_path):
    write_readings(readings, tmp_path / "readings.csv")
    back = read_readings(tmp_path / "readings.csv")
    for f in dataclasses.fields(readings):
        np.testing.assert_allclose(*(getattr(r, f.name) for r in (back, readings)), atol=1e-3) if (
            f.name == "seconds"
        ) else np.testing.assert_array_equal(*(getattr(r, f.name) for r in (back, readings)))


def test_patients_are_written_if_images_share_them(readings, tmp_path):
    write_readings(readings, tmp_path / "own.csv")
    assert "patient" not in (tmp_path / "own.csv").read_text(encoding="utf-8")
    shared = dataclasses.replace(readings, patient=np.array([f"p{int(case[1:]) // 3}" for case in readings.case]))
    write_readings(shared, tmp_path / "shared.csv")
    assert read_readings(tmp_path / "shared.csv").patient.tolist() == shared.patient.tolist()


@pytest.mark.parametrize(("text", "words"), [
    ("", "no column reader"),
    ("reader,case\nA,1\n", "no column truth, answer, confidence"),
    (HEAD, "contains no readings"),
    (HEAD + "A,1,fake,real,3\n", 'line 2: truth is "fake"'),
    (HEAD + "A,1,real,real,7\n", "line 2: confidence"),
    (HEAD + "A,1,real,real,3.5\n", "line 2: confidence"),
    (HEAD + ",1,real,real,3\n", "line 2: reader or case is empty"),
    (HEAD + "A,1,real,real,3\nB,1,synthetic,real,3\n", 'case "1" is real in one row'),
    (HEAD + "A,1,real,real,3\nA,1,real,real,3\n", "twice; mark the second"),
    ("reader,case,truth,answer,confidence,seconds\nA,1,real,real,3,soon\n", "is not a number"),
    ("reader,case,truth,answer,confidence,repeat\nA,1,real,real,3,1\n", "before reading it"),
    (HEAD[:-1] + ",patient\nA,1,real,real,3,p\nB,1,real,real,3,q\n", 'is of patient "p" in one row and "q" in another'),
])  # fmt: skip
def test_refuses_invalid_readings_with_their_line(tmp_path, text, words):
    path = tmp_path / "readings.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(words) if "(" in words else words):
        read_readings(path)


def test_refuses_files_that_are_not_csv(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00readings")
    for name in ("a.csv", "missing.csv"):
        with pytest.raises(InputError, match="cannot be read as CSV"):
            read_readings(tmp_path / name)
