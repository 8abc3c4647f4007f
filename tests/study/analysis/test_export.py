"""Readings in the formats of other programs."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from ganlab.errors import InputError
from ganlab.study.analysis.export import write_exports


def test_imrmc_and_mrmcaov_files_have_scores_and_truth(readings, tmp_path):
    files = write_exports(readings, tmp_path)
    with open(files["imrmc"], newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    truth = {row["caseID"]: int(row["score"]) for row in rows if row["readerID"] == "truth"}
    assert len(truth) == 60 and sum(truth.values()) == 30 and len(rows) == 60 + 240
    with open(files["mrmcaov"], newline="", encoding="utf-8") as file:
        rated = list(csv.DictReader(file))
    assert len(rated) == 240 and all(int(row["truth"]) == truth[row["case"]] for row in rated)
    assert {abs(int(row["rating"])) for row in rated} <= set(range(1, 7))


def test_bids_events_have_every_reading_in_order(readings, tmp_path):
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
