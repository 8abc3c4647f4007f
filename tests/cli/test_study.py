import json
import re
import socket
from pathlib import Path

import pytest


def test_a_study_is_simulated_reported_and_exported(run, tmp_path):
    table, page = tmp_path / "readings.csv", tmp_path / "report.html"
    code, out, err = run("study", "simulate", "--readers", 3, "--cases", 40, "--dprime", 2, "--out", table, "--json")
    assert code == 0 and json.loads(out)["readings"] == 3 * 44, err
    code, out, err = run("study", "report", table, "--out", page, "--title", "Ours", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert result["average"]["verdict"] == "distinguishable" and "Ours" in page.read_text(encoding="utf-8")
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
def test_refuses_invalid_input_in_one_sentence(refuse, arguments, phrase):
    assert re.search(phrase, refuse(*arguments))


@pytest.mark.parametrize("option", [("--window", "40,400"), ("--size", "64"), ("--plane", "nope"), ("--slices", "2")])
def test_options_for_folders_are_refused_beside_a_model(run, tmp_path, monkeypatch, option):
    monkeypatch.setenv("GANLAB_DATABASE_URL", f"sqlite:///{tmp_path}/studies.db")
    code, _, err = run("study", "create", "--model", "dcgan-digits", "--n", 40, *option)
    assert code == 2 and f"{option[0]}: for images from folders" in err


def test_a_busy_port_is_refused_before_any_address_is_printed(run, tmp_path, monkeypatch):
    monkeypatch.setenv("GANLAB_DATABASE_URL", f"sqlite:///{tmp_path}/studies.db")
    with socket.create_server(("127.0.0.1", 0)) as busy:
        code, out, err = run("study", "serve", "--port", busy.getsockname()[1])
    assert code == 2 and out == "" and "choose another --host or --port" in err


def test_a_study_is_created_watched_and_closed_by_commands(run, tmp_path, monkeypatch):
    monkeypatch.setenv("GANLAB_DATABASE_URL", f"sqlite:///{tmp_path}/studies.db")
    words = (
        "study create --model dcgan-digits --n 30 --readers 2 --practice 2 --design ordinal --limit 1.5 --margin 0.2"
    )
    more = ("--group", "student", "--group", "radiologist", "--tell-prevalence", "--title", "Real?", "--json")
    code, out, err = run(*words.split(), *more)
    assert code == 0, err
    created = json.loads(out)
    assert len(created["invitations"]) == 2
    manage = ("study", "manage", created["study"], "--secret", created["secret"], "--json")
    code, out, err = run(*manage)
    assert code == 0 and [reader["state"] for reader in json.loads(out)["readers"]] == ["invited"] * 2, err
    assert run(*manage, "--do", "lock")[0] == 0
    code, out, err = run(*manage, "--do", "unblind")
    sealed = json.loads(json.loads(out)["sealed"])["protocol"]
    assert sealed | {"expires": "", "keep_until": ""} == {
        "title": "Real?", "design": "ordinal", "instructions": "", "readers": 2, "practice": 2, "catch": 6,
        "repeats": 0.1, "rest": 40, "limit_s": 1.5, "prevalence": True, "groups": ["student", "radiologist"],
        "margin": 0.2, "catch_rate": 0.8, "least_s": 0.5, "one_sided": 0.9,
        "least_bits": 0.5, "final": True, "race": False, "expires": "", "keep_until": "",
    }  # fmt: skip
    code, out, err = run(*manage, "--do", "certificate")
    assert code == 0 and json.loads(out)["seal_matches"], err


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (("--readers", "0"), "Readers is 0; give a whole number from 1 to 200"),
        (("--design", "3afc"), "Design is .3afc.; give one of yes-no"),
        (("--limit", "601"), "Time limit is 601\\.0; give a number from 0 to 600 s"),
        (("--expires", "soon"), 'expires is "soon"'),
        (("--real", "x"), "Choose one source of images"),
    ],
)
def test_refuses_to_create_an_invalid_study(refuse, arguments, phrase, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GANLAB_DATABASE_URL", f"sqlite:///{tmp_path_factory.mktemp('studies')}/studies.db")
    assert re.search(phrase, refuse("study", "create", "--model", "dcgan-digits", "--n", "30", *arguments))
