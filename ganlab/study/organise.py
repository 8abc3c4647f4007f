"""The organiser's side: create a study, watch it without results, lock, unblind, export, take receipts back."""

from __future__ import annotations

import csv
import hmac
import json
import secrets
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import Engine

from ganlab.checkpoints import list_models, replacing
from ganlab.errors import InputError
from ganlab.study.analysis.export import write_exports
from ganlab.study.analysis.readings import Readings, write_readings
from ganlab.study.design.audit import EASY, TOLD, inspect, property_of
from ganlab.study.design.protocol import TEST, Protocol, build, canonical_json, digest, plan
from ganlab.study.design.stimuli import Stimuli, check_kinds
from ganlab.study.reading import archive
from ganlab.study.reading.answers import attention, choices, findings, reader_name, readings, staircase
from ganlab.study.reading.invitations import invitation, is_secret, new_secret, new_study, signed
from ganlab.study.reading.sitting import REFUSED, Seat, root, shown, write_down
from ganlab.study.session_report import study_html

WRONG = "No study of this name with this secret is here; the secret was shown once, when the study was created."
COMPARED = 20  # images of either kind whose bytes are compared for the certificate


@dataclass(frozen=True)
class Created:
    """What the organiser gets to know once: the study's name, its secret, the readers' invitations, the seal."""

    study: str
    secret: str
    invitations: list[str]
    seal: str
    audit: dict


def create(engine: Engine, protocol: Protocol, stimuli: Stimuli) -> Created:
    """Store a new study, sealed. Raises InputError for what the protocol or the images lack, and for images that their
    files give away."""
    check_kinds(stimuli.synthetic)
    sealed, images = build(protocol, stimuli)
    study, key = new_study(), secrets.token_hex(32)
    secret, kept = new_secret()
    row = {
        "id": study, "created": archive.now(), "status": archive.OPEN, "sealed": sealed.text(), "seal": sealed.seal(),
        "key": key, "organiser": kept, "audit": "",
    }  # fmt: skip
    found = inspect(list(stimuli.images), stimuli.synthetic)
    archive.add_study(engine, row | {"audit": json.dumps(found)}, images, sealed.protocol.readers)
    codes = [invitation(key, study, number) for number in range(sealed.protocol.readers)]
    return Created(study, secret, codes, row["seal"], found)


def open_study(engine: Engine, study, secret) -> dict:
    """The study's row, for its organiser. Raises InputError for any other, which its log keeps."""
    name = str(study).encode("ascii", "replace").decode()[:8].upper()
    with archive.reading(engine) as connection:
        row = archive.find_study(connection, name)
    if row is None or not is_secret(secret, row["organiser"]):
        write_down(engine, name, "a wrong secret of the organiser", REFUSED)
        raise InputError(WRONG)
    return row


def progress(engine: Engine, row: dict) -> dict:
    """How far readers are, without a result: {"study", "title", "status", "seal", "design", "readers": [...]}; what was
    refused; the machine's area; the invitations."""
    sealed = archive.unsealed(row["sealed"])
    with archive.reading(engine) as connection:
        done = archive.counts(connection, row["id"])
        log = archive.log_of(connection, row["id"])
        people = archive.readers_of(connection, row["id"])
    readers = [
        {
            "reader": reader_name(k), "invitation": invitation(row["key"], row["id"], k),
            "answers": done.get(k, 0), "of": len(plan(sealed, k)), "experience": person["experience"],
            "state": "deleted" if person["deleted"] else "reading" if person["consented"] else "invited",
        }
        for k, person in enumerate(people)
    ]  # fmt: skip
    for reader in readers:
        if reader["answers"] == reader["of"]:
            reader["state"] = "done"
    return {
        "study": row["id"], "title": sealed.protocol.title, "design": sealed.protocol.design, "status": row["status"],
        "race": sealed.protocol.race, "created": row["created"], "expires": sealed.protocol.expires,
        "keep_until": sealed.protocol.keep_until, "seal": row["seal"], "hash": sealed.design_hash(), "readers": readers,
        "refused": sum(event["kind"] == "refused" for event in log), "machine": json.loads(row["audit"])["machine"],
        "warning": TOLD if json.loads(row["audit"])["machine"]["low"] > EASY else "",
    }  # fmt: skip


def lock(engine: Engine, row: dict) -> None:
    """Take no more answers, for good."""
    if row["status"] != archive.OPEN:
        raise InputError(f"The study is {row['status']} already.")
    with archive.writing(engine) as connection:
        archive.set_status(connection, row["id"], archive.OPEN, archive.LOCKED)


def unblind(engine: Engine, row: dict) -> str:
    """Tell the truth of a study that is locked; the sealed text, whose SHA-256 is the seal."""
    if row["status"] == archive.OPEN:
        raise InputError("The study still takes answers; lock it before it is unblinded.")
    if row["status"] == archive.LOCKED:
        with archive.writing(engine) as connection:
            archive.set_status(connection, row["id"], archive.LOCKED, archive.UNBLINDED)
    return row["sealed"]


def answers(engine: Engine, row: dict) -> list[dict]:
    with archive.reading(engine) as connection:
        return archive.answers_of(connection, row["id"])


def results(engine: Engine, row: dict) -> tuple[Readings, dict]:
    """(readings, {what belongs beside their analysis}) of a study that is unblinded, of readers who have finished.
    Raises InputError before, and for a race."""
    if row["status"] != archive.UNBLINDED:
        raise InputError(f"The study is {row['status']}; results are told when it is locked and unblinded.")
    sealed, rows = archive.unsealed(row["sealed"]), answers(engine, row)
    if sealed.protocol.race:
        raise InputError("A race tells its players the truth as they go: it is no study, and is not analysed as one.")
    done = Counter(r["reader"] for r in rows)
    total = {number: len(plan(sealed, number)) for number in done}
    left_out = {reader_name(k): (done[k], total[k]) for k in sorted(done) if done[k] < total[k]}
    rows = [r for r in rows if done[r["reader"]] == total[r["reader"]]]
    if not rows:
        raise InputError("No reader has finished; there is nothing to analyse.")
    beside = {
        "design": sealed.protocol.design, "seal": row["seal"], "machine": json.loads(row["audit"])["machine"],
        "left_out": left_out, "flow": flow(engine, row, len(done) - len(left_out)),
        "attention": attention(sealed, rows), "experience": experience(engine, row),
        "diversity": diversity([case.source for case in sealed.cases if case.synthetic and case.role == TEST]),
        "choices": choices(sealed, rows), "findings": findings(sealed, rows), "staircase": staircase(sealed, rows),
    }  # fmt: skip
    return readings(sealed, rows), beside


def diversity(sources: list[str]) -> dict | None:
    """{"model", "precision", "recall"} from the card of the pretrained generator that all synthetic images are of,
    where there is one: how real and how various its images are, measured by no reader."""
    models = {source.rpartition(" ")[0] for source in sources}
    cards = {card["name"]: card for card in list_models("generate")}
    measured = cards.get(models.pop(), {}).get("metrics", {}).get("generated") if len(models) == 1 else None
    return measured and {"model": sources[0].rpartition(" ")[0], **{k: measured[k] for k in ("precision", "recall")}}


def report(engine: Engine, row: dict) -> str:
    """The report of an unblinded study as one page of HTML."""
    table, beside = results(engine, row)
    return study_html(table, beside, archive.unsealed(row["sealed"]).protocol)


def write_report(engine: Engine, row: dict, path: Path) -> dict[str, str]:
    """The report as a file; {what: path}. Raises InputError if it cannot be written."""
    text = report(engine, row)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return {"report": str(path)}


def flow(engine: Engine, row: dict, finished: int) -> dict[str, int]:
    """How many readers were invited, consented, finished, and had their answers deleted."""
    with archive.reading(engine) as connection:
        people = archive.readers_of(connection, row["id"])
    counts = {key: sum(bool(person[key]) for person in people) for key in ("consented", "deleted")}
    return {
        "invited": len(people),
        "consented": counts["consented"],
        "finished": finished,
        "deleted": counts["deleted"],
    }


def experience(engine: Engine, row: dict) -> dict[str, str]:
    """The group that each reader has named."""
    with archive.reading(engine) as connection:
        people = archive.readers_of(connection, row["id"])
    return {reader_name(person["number"]): person["experience"] for person in people if person["experience"]}


def certificate(engine: Engine, row: dict) -> dict:
    """What was checked of the blinding, on the very bytes that readers get and on the answers' chain."""
    sealed = archive.unsealed(row["sealed"])
    seat, cases = Seat(row, sealed, 0, {}), [case for case in sealed.cases if case.role == TEST]
    kinds = [[case for case in cases if case.synthetic == arm][:COMPARED] for arm in (True, False)]
    sent = [len(shown(engine, seat, case.code, k, 0)) for k, case in enumerate([*kinds[0], *kinds[1]])]
    synthetic = np.array([True] * len(kinds[0]) + [False] * len(kinds[1]))
    whole = {case.code: archive.picture(engine, row["id"], case.code) for case in sealed.cases}
    with archive.reading(engine) as connection:
        rows, log = archive.answers_of(connection, row["id"]), archive.log_of(connection, row["id"])
    broken = []
    for number in sorted({r["reader"] for r in rows}):
        mine = [r for r in rows if r["reader"] == number]
        broken += archive.broken_links(mine, root(Seat(row, sealed, number, {})))
    return {
        "study": row["id"], "status": row["status"], "seal": row["seal"],
        "seal_matches": sealed.seal() == row["seal"],
        "images_changed": sorted(code for code, image in whole.items() if digest(image) != sealed.pixels[code]),
        "bytes_sent": property_of(sent, synthetic),
        "audit": json.loads(row["audit"]),
        "answers": len(rows), "links_broken": [f"{reader_name(reader)}, {position}" for reader, position in broken],
        "refused": [f"{event['at']} {event['words']}" for event in log if event["kind"] == "refused"],
        "told": "no answer's right or wrong, no truth, no seed leaves the server before unblinding, but for practice"
        + (", the exposures of the staircase" if sealed.protocol.design == "staircase" else ""),
    }  # fmt: skip


def export(engine: Engine, row: dict, folder: Path) -> dict[str, str]:
    """All of an unblinded study as files: readings.csv with iMRMC, MRMCaov and BIDS beside it (of pairs: pairs.csv),
    answers.json with all that was recorded, protocol.json whose SHA-256 is the seal, report.html, certificate.json and
    log.csv; {what: path}."""
    table, beside = results(engine, row)
    folder = Path(folder)
    if beside["choices"]:  # two images of a pair are one answer, and no program for single images may take them for two
        files = {"pairs": str(folder / "pairs.csv")}
        with replacing(folder / "pairs.csv") as partial, open(partial, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("reader", "synthetic", "real", "right"), *beside["choices"]["pairs"]])
    else:
        files = {"readings": str(folder / "readings.csv"), **write_exports(table, folder)}
        write_readings(table, folder / "readings.csv")
    rows = [answer | {"said": json.loads(answer["said"])} for answer in answers(engine, row)]
    with archive.reading(engine) as connection:
        log = archive.log_of(connection, row["id"])
    write_report(engine, row, folder / "report.html")
    texts = {
        "protocol": row["sealed"],
        "answers": json.dumps({"answers": rows, **beside}, indent=1),
        "certificate": json.dumps(certificate(engine, row), indent=1),
    }
    for name, text in texts.items():
        with replacing(folder / f"{name}.json") as partial:
            partial.write_text(text, encoding="utf-8")
    with replacing(folder / "log.csv") as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["at", "kind", "reader", "words"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(log)
    told = {name: str(folder / f"{name}.json") for name in texts}
    told["report"] = str(folder / "report.html")
    return {**told, "log": str(folder / "log.csv"), **files}


def take_receipt(engine: Engine, row: dict, receipt: dict) -> int:
    """Put back answers that a reader's receipt holds and the database lacks; how many. Raises InputError for a receipt
    of another study, one that was changed, and one that contradicts what is stored."""
    sealed = archive.unsealed(row["sealed"])
    try:
        facts = {name: value for name, value in receipt.items() if name != "signature"}
        good = hmac.compare_digest(signed(row["key"], "receipt", canonical_json(facts)), str(receipt["signature"]))
        number, kept = int(facts["reader"]), facts["answers"]
    except (AttributeError, LookupError, TypeError, ValueError):
        raise InputError("This is no receipt of a study; give the file that the reader saved at the end.") from None
    if not good or facts["study"] != row["id"]:
        raise InputError("This receipt is of another study, or was changed; nothing was taken from it.")
    with archive.writing(engine) as connection:
        reader = archive.find_reader(connection, row["id"], number, lock=True)
        if reader is None or reader["deleted"]:
            raise InputError("The reader of this receipt has had the answers deleted; they stay so.")
        there = archive.answers_of(connection, row["id"], number)
        if any(a["hash"] != b["hash"] for a, b in zip(there, kept, strict=False)):
            raise InputError("The receipt's answers are not those that are stored; nothing was taken from it.")
        previous = there[-1]["hash"] if there else root(Seat(row, sealed, number, reader))
        new = []
        for answer in kept[len(there) :]:
            mine = {"study": row["id"], "reader": number, "previous": previous} | answer
            new.append(mine)
            previous = answer["hash"]
        if archive.broken_links(there + new, root(Seat(row, sealed, number, reader))):
            raise InputError("The receipt's answers do not follow from one another; nothing was taken from it.")
        if new:
            archive.restore(connection, new)
        if not reader["consented"]:
            archive.consent(connection, row["id"], number, str(facts["experience"]))
        archive.note(connection, row["id"], "receipt", f"{len(new)} answers put back", number)
    return len(new)
