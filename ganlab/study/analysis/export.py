"""Readings in the formats of other programs for multi-reader multi-case studies, and as BIDS events."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ganlab.checkpoints import replacing
from ganlab.errors import InputError
from ganlab.study.readings import REAL, STEPS, SYNTHETIC, Readings

MODALITY = "image"  # the only one
TASK = "turing"
LEVELS = {REAL: "real", SYNTHETIC: "generated"}
EVENTS: dict[str, dict] = {  # column of events.tsv -> its entry in the sidecar
    "onset": {"Description": "Sum of the response times of all earlier answers, without breaks", "Units": "s"},
    "duration": {"Description": "Response time", "Units": "s"},
    "trial_type": {"Description": "What the image is", "Levels": LEVELS},
    "case": {"Description": "The image"},
    "response": {"Description": "The reader's answer", "Levels": LEVELS},
    "confidence": {"Description": f"1 (a guess) to {STEPS} (certain)"},
    "repeat": {"Description": "1 if the image had been shown before"},
}


def write_exports(readings: Readings, folder: Path) -> dict[str, str]:
    """Write readings for other programs; returns {what: path}.

    First readings: imrmc.csv (FDA's iMRMC: readerID, caseID, modalityID, score, with the truth as reader "truth") and
    mrmcaov.csv (the R package MRMCaov: reader, test, case, truth, rating). Scores are signed confidences, higher for
    synthetic. All readings: sub-READER_task-turing_events.tsv with a sidecar, as in BIDS. Raises InputError if a file
    cannot be written or two readers get the same BIDS label.
    """
    first, folder = readings.first(), Path(folder)
    truth = dict(zip(first.case.tolist(), first.synthetic.tolist(), strict=True))
    scored = list(zip(first.reader.tolist(), first.case.tolist(), first.scores.tolist(), strict=True))
    tables: dict[str, list[tuple]] = {
        "imrmc": [
            ("readerID", "caseID", "modalityID", "score"),
            *(("truth", case, "truth", int(synthetic)) for case, synthetic in sorted(truth.items())),
            *((reader, case, MODALITY, score) for reader, case, score in scored),
        ],
        "mrmcaov": [
            ("reader", "test", "case", "truth", "rating"),
            *((reader, MODALITY, case, int(truth[case]), score) for reader, case, score in scored),
        ],
    }
    paths = {}
    for program, rows in tables.items():
        paths[program] = str(folder / f"{program}.csv")
        _write_table(Path(paths[program]), rows)
    for name in readings.readers:
        label = re.sub(r"[^0-9A-Za-z]", "", name) or "reader"  # BIDS labels are alphanumeric
        path = folder / f"sub-{label}_task-{TASK}_events.tsv"
        if str(path) in paths.values():
            raise InputError(f'Readers "{name}" and another are both called sub-{label} in BIDS; rename one.')
        paths[f"bids {name}"] = str(path)
        _write_table(path, [tuple(EVENTS), *events(readings.of(name))], delimiter="\t", lineterminator="\n")
    paths["bids"] = str(folder / f"task-{TASK}_events.json")
    with replacing(Path(paths["bids"])) as partial:
        partial.write_text(json.dumps(EVENTS, indent=1) + "\n", encoding="utf-8")
    return paths


def _write_table(path: Path, rows: Iterable[tuple], delimiter: str = ",", lineterminator: str = "\r\n") -> None:
    with replacing(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter, lineterminator=lineterminator).writerows(rows)


def events(readings: Readings) -> list[tuple]:
    """Rows of EVENTS of one reader in session order; times are n/a unless all are known."""
    readings = readings[np.argsort(readings.position, kind="stable")]
    timed = bool(np.isfinite(readings.seconds).all())
    onset = np.concatenate([[0.0], np.cumsum(readings.seconds)[:-1]])
    arm = {True: SYNTHETIC, False: REAL}
    return [
        (
            f"{onset[k]:.3f}" if timed else "n/a", f"{readings.seconds[k]:.3f}" if timed else "n/a",
            arm[bool(readings.synthetic[k])], readings.case[k], arm[bool(readings.called[k])],
            int(readings.confidence[k]), int(readings.repeat[k]),
        )
        for k in range(len(readings))
    ]  # fmt: skip
