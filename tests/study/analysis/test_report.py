"""Readings from a file to a report and to other programs."""

import csv
import dataclasses
import json
import re

import numpy as np
import pytest

from ganlab.errors import InputError
from ganlab.settings import setting, settings_of
from ganlab.study.analysis.analyse import analyse
from ganlab.study.analysis.export import write_exports
from ganlab.study.analysis.report import format_report, report_html, write_report
from ganlab.study.design.planning import format_plan, plan
from ganlab.study.design.simulation import SimulatedStudy, simulate
from ganlab.study.readings import read_readings, write_readings

HOW = SimulatedStudy(4, 60, dprime=1.0, repeats=0.2, seed=3)
HEAD = "reader,case,truth,answer,confidence\n"


@pytest.fixture(scope="module")
def readings():
    return simulate(HOW)


@pytest.fixture(scope="module")
def found(readings):
    return analyse(readings)


def test_a_file_gives_back_what_was_written(readings, tmp_path):
    write_readings(readings, tmp_path / "readings.csv")
    back = read_readings(tmp_path / "readings.csv")
    for f in dataclasses.fields(readings):
        np.testing.assert_allclose(*(getattr(r, f.name) for r in (back, readings)), atol=1e-3) if (
            f.name == "seconds"
        ) else np.testing.assert_array_equal(*(getattr(r, f.name) for r in (back, readings)))


def test_repeats_come_later_and_count_for_their_reader_only(readings, found):
    assert readings.repeat.sum() == 4 * 12 == found["repeats"] and found["readings"] == 240
    for name in readings.readers:
        mine = readings.of(name)
        first = dict(zip(mine.first().case, mine.first().position, strict=True))
        for case, position in zip(mine.case[mine.repeat], mine.position[mine.repeat], strict=True):
            assert position > first[case]
    assert all(r["synthetic"] + r["real"] == 60 and r["with_self"]["of"] == 12 for r in found["readers"].values())


def test_analysis_is_of_the_cases_that_all_have_read(readings):
    some = readings[~((readings.reader == "R02") & (readings.case == "C0001"))]
    assert analyse(some)["average"]["cases"] == 59
    assert analyse(readings[readings.reader == "R01"])["average"] is None


def test_readers_who_can_tell_are_said_to(found):
    assert found["average"]["verdict"] == "distinguishable" and found["average"]["area"]["low"] > 0.5
    assert found["average"]["permutation_p"] < 0.01
    json.dumps(found, allow_nan=False)


def test_report_is_one_file_that_says_what_was_found(found, tmp_path):
    write_report(found, tmp_path / "a.html", "A <study>")
    html = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert html == report_html(found, "A <study>")  # the same bytes every time
    assert "A &lt;study&gt;" in html and html.count("<svg") == 3 and "Distinguishable." in html
    assert not re.search(r"<(script|link|img)|src=", html)
    for name in found["readers"]:
        assert name in html
    assert "Turing test asks whether images look real" in html
    assert f"{found['average']['area']['estimate']:.3f}" in html
    assert "Distinguishable" in format_report(found)


def test_one_reader_is_reported_without_speaking_of_others(readings):
    alone = analyse(readings[readings.reader == "R01"])
    html = report_html(alone, "one")
    assert "verdict'" not in html.split("</style>")[1] and "One reader" in html and "R01" in format_report(alone)


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
])  # fmt: skip
def test_tables_that_are_wrong_are_refused_with_their_line(tmp_path, text, words):
    path = tmp_path / "readings.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(words) if "(" in words else words):
        read_readings(path)


def test_files_that_are_no_tables_are_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00readings")
    for name in ("a.csv", "missing.csv"):
        with pytest.raises(InputError, match="cannot be read as CSV"):
            read_readings(tmp_path / name)


def test_only_one_kind_of_image_is_refused(readings):
    with pytest.raises(InputError, match="one kind"):
        analyse(readings[readings.synthetic])


def test_other_programs_get_scores_and_truth(readings, tmp_path):
    files = write_exports(readings, tmp_path)
    with open(files["imrmc"], newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    truth = {row["caseID"]: int(row["score"]) for row in rows if row["readerID"] == "truth"}
    assert len(truth) == 60 and sum(truth.values()) == 30 and len(rows) == 60 + 240
    with open(files["mrmcaov"], newline="", encoding="utf-8") as file:
        rated = list(csv.DictReader(file))
    assert len(rated) == 240 and all(int(row["truth"]) == truth[row["case"]] for row in rated)
    assert {abs(int(row["rating"])) for row in rated} <= set(range(1, 7))


def test_bids_has_every_reading_in_its_order(readings, tmp_path):
    files = write_exports(readings, tmp_path)
    sidecar = json.loads((tmp_path / "task-turing_events.json").read_text())
    for name in readings.readers:
        with open(files[f"bids {name}"], newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        mine = readings.of(name)
        assert set(rows[0]) == set(sidecar) and len(rows) == len(mine)
        assert [row["case"] for row in rows] == mine.case[np.argsort(mine.position)].tolist()
        assert float(rows[-1]["onset"]) == pytest.approx(sum(float(row["duration"]) for row in rows[:-1]), abs=0.1)
        assert sum(row["repeat"] == "1" for row in rows) == mine.repeat.sum()
    unknown = dataclasses.replace(readings, seconds=np.full(len(readings), np.nan))
    path = write_exports(unknown, tmp_path / "b")["bids R01"]
    with open(path, encoding="utf-8") as file:
        assert file.read().count("n/a\tn/a") == len(readings.of("R01"))
    twins = dataclasses.replace(readings, reader=np.where(readings.reader == "R02", "R-01", readings.reader))
    with pytest.raises(InputError, match="both called sub-R01"):
        write_exports(twins, tmp_path / "c")


@pytest.mark.slow
def test_a_small_study_is_told_that_it_can_support_no_equivalence():
    small = plan(SimulatedStudy(2, 20, dprime=0.0), 0.1, 100)
    assert small["verdicts"]["equivalent"] < 0.1 and "too small to claim equivalence" in format_plan(small)
    large = plan(SimulatedStudy(10, 2000, dprime=0.0, spread=0.1, shared=0.1), 0.1, 60)
    assert large["verdicts"]["equivalent"] > 0.9 and "too small" not in format_plan(large)
    assert sum(small["verdicts"].values()) == pytest.approx(1)


@pytest.mark.parametrize("name", [each.name for each in settings_of(SimulatedStudy)])
def test_refuses_to_simulate_settings_out_of_range(name):
    declared = setting(SimulatedStudy, name)
    for value in (declared.low - 1, declared.high + 1):
        with pytest.raises(InputError, match=declared.title):
            SimulatedStudy(**{name: value})


def test_one_reader_cannot_be_planned_for_readers_at_large():
    with pytest.raises(InputError, match="not a sample of readers"):
        plan(SimulatedStudy(1), 0.1, 50)
