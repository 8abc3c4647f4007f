import json
import re
from pathlib import Path

import pytest


def test_a_study_is_simulated_reported_and_exported(run, tmp_path):
    table, page = tmp_path / "readings.csv", tmp_path / "report.html"
    code, out, err = run("study", "simulate", "--readers", 3, "--cases", 40, "--dprime", 2, "--out", table, "--json")
    assert code == 0 and json.loads(out)["readings"] == 3 * 44, err
    code, out, err = run("study", "report", table, "--out", page, "--title", "Ours", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["average"]["verdict"] == "distinguishable" and "Ours" in page.read_text(encoding="utf-8")
    code, out, err = run("study", "export", table, "--out", tmp_path / "exports", "--json")
    assert code == 0 and all(Path(path).is_file() for path in json.loads(out)["files"].values()), err
    code, out, err = run("study", "plan", "--readers", 3, "--cases", 40, "--studies", 60, "--json")
    assert code == 0 and sum(json.loads(out)["verdicts"].values()) == pytest.approx(1), err


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (("study", "audit", "nowhere", "truth.csv"), '"truth.csv" cannot be read'),
        (("study", "plan", "--readers", "1"), "(?i)reader.*two or more"),
        (("study", "plan", "--margin", "0.6"), "(?i)margin.* 0.6 .*0.5"),
        (("study", "simulate", "--cases", "2", "--out", "x.csv"), "(?i)cases.* 2; .*4.*5000"),
        (("study", "report", "nothing.csv"), '"nothing.csv" cannot be read as CSV'),
        (("study", "export", "nothing.csv", "--out", "x"), '"nothing.csv" cannot be read as CSV'),
    ],
)
def test_refuses_a_mistake_in_one_sentence(refuse, arguments, phrase):
    assert re.search(phrase, refuse(*arguments))
