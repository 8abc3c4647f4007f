"""The analysis of readings and its report."""

import dataclasses
import json
import re

import numpy as np
import pytest

from ganlab.errors import InputError
from ganlab.study.analysis.analyse import analyse
from ganlab.study.analysis.report import format_report, report_html, write_report


def test_analyses_the_cases_that_all_readers_have_read(readings):
    some = readings[~((readings.reader == "R02") & (readings.case == "C0001"))]
    assert analyse(some)["average"]["cases"] == 59
    assert analyse(readings[readings.reader == "R01"])["average"] is None


def test_distinguishable_images_get_that_verdict(found):
    assert found["average"]["verdict"] == "distinguishable" and found["average"]["area"]["low"] > 0.5
    assert found["average"]["permutation_p"] < 0.01
    json.dumps(found, allow_nan=False)


def test_report_is_one_file_with_all_results(found, tmp_path):
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


def test_slices_of_few_patients_allow_no_claim(readings):
    """60 images of 12 patients, six of either kind; then of 20."""
    number = np.array([int(case[1:]) - 1 for case in readings.case])
    few = dataclasses.replace(readings, patient=np.array([f"p{k // 5}" for k in number]))
    analysis = analyse(few)
    assert analysis["average"]["verdict"] == "too few patients" and analysis["average"]["area"]["low"] > 0.5
    html, text = report_html(analysis, "few"), format_report(analysis)
    for shown in (html, text):
        assert "Too few patients." in shown and "No claim is possible" in shown
        assert "60 images (30 synthetic, 30 real) of 12 patients (6 with synthetic images, 6 with real ones)" in shown
    assert "they are too narrow" in html and "relabelled, together" in html
    enough = analyse(dataclasses.replace(readings, patient=np.array([f"p{k // 3}" for k in number])))
    assert enough["average"]["verdict"] == "distinguishable"
    assert enough["patients"] == {"synthetic": 10, "real": 10, "both": 0}
    wider, alone = enough["average"]["area"], analyse(readings)["average"]["area"]
    assert wider["estimate"] == alone["estimate"] and wider["low"] != alone["low"]
    assert "patients (" not in report_html(analyse(readings), "own")


def test_report_of_one_reader_has_no_verdict(readings):
    alone = analyse(readings[readings.reader == "R01"])
    html = report_html(alone, "one")
    assert "verdict'" not in html.split("</style>")[1] and "One reader" in html and "R01" in format_report(alone)


def test_refuses_readings_of_one_kind(readings):
    with pytest.raises(InputError, match="one kind"):
        analyse(readings[readings.synthetic])
