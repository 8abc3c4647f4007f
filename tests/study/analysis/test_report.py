"""The analysis of readings and its report."""

import json
import re

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


def test_report_of_one_reader_has_no_verdict(readings):
    alone = analyse(readings[readings.reader == "R01"])
    html = report_html(alone, "one")
    assert "verdict'" not in html.split("</style>")[1] and "One reader" in html and "R01" in format_report(alone)


def test_refuses_readings_of_one_kind(readings):
    with pytest.raises(InputError, match="one kind"):
        analyse(readings[readings.synthetic])
