"""Readings as other programs for studies of many readers and cases take them."""

from __future__ import annotations

import csv
from pathlib import Path

from ganlab.checkpoints import replacing
from ganlab.study.readings import Readings

TEST = "image"  # the one modality


def write_exports(readings: Readings, folder: Path) -> dict[str, str]:
    """folder/imrmc.csv (FDA's iMRMC: readerID, caseID, modalityID, score, with the truth as reader "truth") and
    folder/mrmcaov.csv (for the R package MRMCaov: reader, test, case, truth, rating), of first readings; {program:
    path}. Scores are signed confidences, higher for synthetic. Raises InputError if they cannot be written."""
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
    return paths
