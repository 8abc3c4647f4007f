"""Readings as other programs for studies of many readers and cases take them."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np

from ganlab.checkpoints import replacing
from ganlab.errors import InputError
from ganlab.study.analysis.readings import REAL, STEPS, SYNTHETIC, Readings

TEST = "image"  # the one modality
TASK = "turing"
EVENTS = {  # column of events.tsv -> what its sidecar says
    "onset": {"Description": "Sum of the times to all answers before, breaks left out", "Units": "s"},
    "duration": {"Description": "Time to the answer", "Units": "s"},
    "trial_type": {"Description": "What the image is", "Levels": {REAL: "real", SYNTHETIC: "generated"}},
    "case": {"Description": "The image"},
    "response": {"Description": "What the reader took it for", "Levels": {REAL: "real", SYNTHETIC: "generated"}},
    "confidence": {"Description": f"1, a guess, to {STEPS}, certain"},
    "repeat": {"Description": "1 where the image had been shown before"},
}


def write_exports(readings: Readings, folder: Path) -> dict[str, str]:
    """Of all readings, folder/sub-READER_task-turing_events.tsv with its sidecar, as BIDS has them; of first readings
    folder/imrmc.csv (FDA's iMRMC: readerID, caseID, modalityID, score, with the truth as reader "truth") and
    folder/mrmcaov.csv (for the R package MRMCaov: reader, test, case, truth, rating); {what: path}. Scores are signed
    confidences, higher for synthetic. Raises InputError if they cannot be written."""
    first, folder = readings.first(), Path(folder)
    truth = dict(zip(first.case.tolist(), first.synthetic.tolist(), strict=True))
    scored = list(zip(first.reader.tolist(), first.case.tolist(), first.scores.tolist(), strict=True))
    tables = {
        "imrmc": [
            ("readerID", "caseID", "modalityID", "score"),
            *(("truth", case, "truth", int(synthetic)) for case, synthetic in sorted(truth.items())),
            *((reader, case, TEST, score) for reader, case, score in scored),
        ],
        "mrmcaov": [
            ("reader", "test", "case", "truth", "rating"),
            *((reader, TEST, case, int(truth[case]), score) for reader, case, score in scored),
        ],
    }
    paths = {}
    for program, lines in tables.items():
        paths[program] = str(folder / f"{program}.csv")
        with replacing(Path(paths[program])) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(lines)
    for name in readings.readers:
        label = re.sub(r"[^0-9A-Za-z]", "", name) or "reader"  # BIDS allows no other letters
        path = folder / f"sub-{label}_task-{TASK}_events.tsv"
        if str(path) in paths.values():
            raise InputError(f'Readers "{name}" and another are both called sub-{label} in BIDS; rename one.')
        paths[f"bids {name}"] = str(path)
        with replacing(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter="\t", lineterminator="\n").writerows([tuple(EVENTS), *events(readings.of(name))])
    paths["bids"] = str(folder / f"task-{TASK}_events.json")
    with replacing(Path(paths["bids"])) as partial:
        partial.write_text(json.dumps(EVENTS, indent=1) + "\n", encoding="utf-8")
    return paths


def events(mine: Readings) -> list[tuple]:
    """Rows of EVENTS of one reader, in the order of the session; n/a where times are not known."""
    mine = mine[np.argsort(mine.position, kind="stable")]
    known = bool(np.isfinite(mine.seconds).all())
    onset = np.concatenate([[0.0], np.cumsum(mine.seconds)[:-1]])
    said = {True: SYNTHETIC, False: REAL}
    return [
        (
            f"{onset[k]:.3f}" if known else "n/a", f"{mine.seconds[k]:.3f}" if known else "n/a",
            said[bool(mine.synthetic[k])], mine.case[k], said[bool(mine.called[k])], int(mine.confidence[k]),
            int(mine.repeat[k]),
        )
        for k in range(len(mine))
    ]  # fmt: skip
