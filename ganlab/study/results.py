"""The output of an unblinded study: readings, a report, files for other programs and a certificate of the blinding."""

from __future__ import annotations

import csv
import io
import json
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from sqlalchemy import Engine

from ganlab.checkpoints import list_models, replacing
from ganlab.errors import InputError
from ganlab.study.analysis.export import write_exports
from ganlab.study.analysis.scoring import (
    score_catches,
    score_choices,
    score_lesions,
    score_readings,
    score_staircase,
)
from ganlab.study.analysis.study_report import study_html
from ganlab.study.design.audit import property_of
from ganlab.study.design.order import plan
from ganlab.study.design.protocol import TEST
from ganlab.study.design.seal import digest
from ganlab.study.reading import archive
from ganlab.study.reading.database import UNBLINDED, reading
from ganlab.study.reading.session import REFUSED, ReaderSession, root, shown
from ganlab.study.readings import Readings, reader_name, write_readings

COMPARED = 20  # images of either kind whose sent bytes are compared for the certificate


def answers(engine: Engine, row: dict) -> list[dict]:
    """All rows of answers of a study."""
    with reading(engine) as connection:
        return archive.answers_of(connection, row["id"])


def results(engine: Engine, row: dict) -> tuple[Readings, dict]:
    """(readings, context) of an unblinded study, from readers who have finished. context: everything reported beside
    the analysis of the readings. Raises InputError before unblinding, for a race, and if no reader has finished."""
    if row["status"] != UNBLINDED:
        raise InputError(f"The study is {row['status']}; results are available once it is locked and unblinded.")
    sealed, rows = archive.unsealed(row["sealed"]), answers(engine, row)
    if sealed.protocol.race:
        raise InputError("A race reveals the truth to its players during the game; it is not analysed as a study.")
    done = Counter(r["reader"] for r in rows)
    total = {number: len(plan(sealed, number)) for number in done}
    left_out = {reader_name(k): (done[k], total[k]) for k in sorted(done) if done[k] < total[k]}
    rows = [r for r in rows if done[r["reader"]] == total[r["reader"]]]
    if not rows:
        raise InputError("No reader has finished; there is nothing to analyse.")
    context = {
        "design": sealed.protocol.design, "seal": row["seal"], "machine": json.loads(row["audit"])["machine"],
        "left_out": left_out, "flow": flow(engine, row, len(done) - len(left_out)),
        "attention": score_catches(sealed, rows), "experience": experience(engine, row),
        "diversity": diversity([case.source for case in sealed.cases if case.synthetic and case.role == TEST]),
        "choices": score_choices(sealed, rows), "findings": score_lesions(sealed, rows),
        "staircase": score_staircase(sealed, rows),
    }  # fmt: skip
    return score_readings(sealed, rows), context


def diversity(sources: list[str]) -> dict | None:
    """{"model", "precision", "recall"} from the model card, if all synthetic images are from one pretrained generator:
    how realistic and how varied its images are, measured without readers."""
    models = {source.rpartition(" ")[0] for source in sources}
    if len(models) != 1:
        return None
    model = models.pop()
    cards = {card["name"]: card for card in list_models("generate")}
    measured = cards.get(model, {}).get("metrics", {}).get("generated")
    return {"model": model, **{name: measured[name] for name in ("precision", "recall")}} if measured else None


def flow(engine: Engine, row: dict, finished: int) -> dict[str, int]:
    """How many readers were invited, consented, finished, and had their answers deleted."""
    with reading(engine) as connection:
        people = archive.readers_of(connection, row["id"])
    return {
        "invited": len(people),
        "consented": sum(bool(person["consented"]) for person in people),
        "finished": finished,
        "deleted": sum(bool(person["deleted"]) for person in people),
    }


def experience(engine: Engine, row: dict) -> dict[str, str]:
    """The level of experience that each reader has chosen."""
    with reading(engine) as connection:
        people = archive.readers_of(connection, row["id"])
    return {reader_name(person["number"]): person["experience"] for person in people if person["experience"]}


def report(engine: Engine, row: dict) -> str:
    """The report of an unblinded study as one HTML page."""
    readings, context = results(engine, row)
    return study_html(readings, context, archive.unsealed(row["sealed"]).protocol)


def write_report(engine: Engine, row: dict, path: Path) -> dict[str, str]:
    """Write the report; returns {"report": path}. Raises InputError if it cannot be written."""
    text = report(engine, row)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return {"report": str(path)}


def certificate(engine: Engine, row: dict) -> dict:
    """The checks of the blinding, on the bytes that readers receive and on the hash chain of the answers."""
    sealed = archive.unsealed(row["sealed"])
    session, tested = ReaderSession(row, sealed, 0, {}), [case for case in sealed.cases if case.role == TEST]
    arms = [[case for case in tested if case.synthetic == arm][:COMPARED] for arm in (True, False)]
    sent = [len(shown(engine, session, case.code, k, 0)) for k, case in enumerate([*arms[0], *arms[1]])]
    synthetic = np.array([True] * len(arms[0]) + [False] * len(arms[1]))
    images = {case.code: archive.picture(engine, row["id"], case.code) for case in sealed.cases}
    with reading(engine) as connection:
        rows, log = archive.answers_of(connection, row["id"]), archive.log_of(connection, row["id"])
    broken = []
    for number in sorted({r["reader"] for r in rows}):
        own = [r for r in rows if r["reader"] == number]
        broken += archive.broken_links(own, root(ReaderSession(row, sealed, number, {})))
    exception = " and for the exposures of the staircase" if sealed.protocol.design == "staircase" else ""
    return {
        "study": row["id"], "status": row["status"], "seal": row["seal"],
        "seal_matches": sealed.seal() == row["seal"],
        "images_changed": sorted(code for code, image in images.items() if digest(image) != sealed.pixels[code]),
        "bytes_sent": property_of(sent, synthetic),
        "audit": json.loads(row["audit"]),
        "answers": len(rows), "links_broken": [f"{reader_name(reader)}, {position}" for reader, position in broken],
        "refused": [f"{event['at']} {event['words']}" for event in log if event["kind"] == REFUSED],
        "told": "before unblinding, the server sends neither feedback on answers nor truth nor seed, except in practice"
        + exception,
    }  # fmt: skip


def export(engine: Engine, row: dict, folder: Path) -> dict[str, str]:
    """Write everything about an unblinded study to a folder; returns {what: path}.

    readings.csv with iMRMC, MRMCaov and BIDS files (for two alternatives: pairs.csv), answers.json with everything that
    was recorded, protocol.json whose SHA-256 is the seal, report.html, certificate.json and log.csv. Raises InputError.
    """
    readings, context = results(engine, row)
    folder = Path(folder)
    if context["choices"]:  # a pair is one answer, which programs for single images would count as two
        tables = {"pairs": str(folder / "pairs.csv")}
        _write_csv(folder / "pairs.csv", [("reader", "synthetic", "real", "right"), *context["choices"]["pairs"]])
    else:
        tables = {"readings": str(folder / "readings.csv"), **write_exports(readings, folder)}
        write_readings(readings, folder / "readings.csv")
    rows = [answer | {"said": json.loads(answer["said"])} for answer in answers(engine, row)]
    write_report(engine, row, folder / "report.html")
    texts = {
        "protocol": row["sealed"],
        "answers": json.dumps({"answers": rows, **context}, indent=1),
        "certificate": json.dumps(certificate(engine, row), indent=1),
    }
    for name, text in texts.items():
        with replacing(folder / f"{name}.json") as partial:
            partial.write_text(text, encoding="utf-8")
    with reading(engine) as connection:
        log = archive.log_of(connection, row["id"])
    columns = ("at", "kind", "reader", "words")
    _write_csv(folder / "log.csv", [columns, *([event[name] for name in columns] for event in log)])
    documents = {name: str(folder / f"{name}.json") for name in texts}
    return {**documents, "report": str(folder / "report.html"), "log": str(folder / "log.csv"), **tables}


def export_zip(engine: Engine, row: dict) -> bytes:
    """The files of `export` as a ZIP archive."""
    archive_file = io.BytesIO()
    with tempfile.TemporaryDirectory(prefix="ganlab-") as folder:
        files = export(engine, row, Path(folder))
        with zipfile.ZipFile(archive_file, "w", zipfile.ZIP_DEFLATED) as packed:
            for file in files.values():
                packed.write(file, Path(file).relative_to(folder))
    return archive_file.getvalue()


def _write_csv(path: Path, rows: Iterable[Iterable[object]]) -> None:
    with replacing(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
