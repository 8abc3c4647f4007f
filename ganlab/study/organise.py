"""The organiser's actions: create a study, watch its progress without results, lock it, unblind it, restore receipts.

What an unblinded study yields is in ganlab.study.results.
"""

from __future__ import annotations

import hmac
import json
import secrets
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Engine

from ganlab.errors import InputError
from ganlab.study.design.audit import EASY_WARNING, FEATURES, inspect, is_easy
from ganlab.study.design.build import build
from ganlab.study.design.order import plan
from ganlab.study.design.protocol import LEAST_WORDS, Protocol, with_dates
from ganlab.study.design.seal import canonical_json
from ganlab.study.design.stimuli import Stimuli, check_kinds
from ganlab.study.mrmc import clusters
from ganlab.study.reading import archive
from ganlab.study.reading.database import LOCKED, OPEN, UNBLINDED, reading, writing
from ganlab.study.reading.invitations import invitation, is_secret, new_secret, new_study, signed
from ganlab.study.reading.session import REFUSED, ReaderSession, log_limited, root
from ganlab.study.readings import reader_name

WRONG = "No study with this name and secret exists. The secret was shown once, when the study was created."


@dataclass(frozen=True)
class CreatedStudy:
    """What the organiser is shown once: the study's name, its secret, the invitations, the seal and the pixel audit."""

    study: str
    secret: str
    invitations: list[str]
    seal: str
    audit: dict


def create(engine: Engine, protocol: Protocol, stimuli: Stimuli) -> CreatedStudy:
    """Seal and store a new study. Raises InputError for an invalid protocol and for unsuitable images: fewer than two
    patients of either kind, or kinds that a classifier separates by their greys alone, unless the protocol gives a
    reason to run the study all the same."""
    protocol = with_dates(protocol)
    check_kinds(stimuli.synthetic)
    whose = [who or f"image {k}" for k, who in enumerate(stimuli.patients or [""] * len(stimuli))]
    clusters(stimuli.synthetic, np.array(whose))
    audit = inspect(list(stimuli.images), stimuli.synthetic, stimuli.patients)
    found = audit["machine"]
    if is_easy(found) and not protocol.race and len(protocol.audit_reason.split()) < LEAST_WORDS:
        best = max(audit["features"], key=lambda name: abs(audit["features"][name] - 0.5))
        raise InputError(
            f"A classifier that sees no anatomy separates real from synthetic images with an area of "
            f"{found['area']:.2f} ({found['low']:.2f} to {found['high']:.2f}), above all by their {FEATURES[best]}: "
            "readers can learn that instead of looking. Give both kinds the same noise, resolution and greys, or give "
            "a reason to run the study all the same (--audit-reason), which is sealed and printed."
        )
    sealed, images = build(protocol, stimuli)
    study, key = new_study(), secrets.token_hex(32)
    secret, stored = new_secret()
    row = {
        "id": study, "created": archive.now(), "status": OPEN, "sealed": sealed.text(), "seal": sealed.seal(),
        "key": key, "organiser": stored, "audit": json.dumps(audit),
    }  # fmt: skip
    archive.add_study(engine, row, images, sealed.protocol.readers)
    codes = [invitation(key, study, number) for number in range(sealed.protocol.readers)]
    return CreatedStudy(study, secret, codes, row["seal"], audit)


def open_study(engine: Engine, study: object, secret: object) -> dict:
    """The study's database row. Raises InputError, and logs the attempt, if the secret is wrong."""
    name = str(study).encode("ascii", "replace").decode()[:8].upper()
    with reading(engine) as connection:
        row = archive.find_study(connection, name)
    if row is None or not is_secret(secret, row["organiser"]):
        log_limited(engine, name, "wrong organiser's secret", REFUSED)
        raise InputError(WRONG)
    return row


def progress(engine: Engine, row: dict) -> dict:
    """How far readers have got, without any results: the study's facts, its readers with their invitations, the number
    of refused requests, and the area of the classifier."""
    sealed = archive.unsealed(row["sealed"])
    with reading(engine) as connection:
        answered = archive.counts(connection, row["id"])
        log = archive.log_of(connection, row["id"])
        people = archive.readers_of(connection, row["id"])
    readers = []
    for k, person in enumerate(people):
        done, of = answered.get(k, 0), len(plan(sealed, k))
        readers.append({
            "reader": reader_name(k), "invitation": invitation(row["key"], row["id"], k), "answers": done, "of": of,
            "experience": person["experience"], "state": _state(person, done == of),
        })  # fmt: skip
    machine = json.loads(row["audit"])["machine"]
    return {
        "study": row["id"], "title": sealed.protocol.title, "design": sealed.protocol.design, "status": row["status"],
        "race": sealed.protocol.race, "created": row["created"], "expires": sealed.protocol.expires,
        "keep_until": sealed.protocol.keep_until, "seal": row["seal"], "hash": sealed.design_hash(), "readers": readers,
        "refused": sum(event["kind"] == REFUSED for event in log), "machine": machine,
        "warning": EASY_WARNING if is_easy(machine) else "",
    }  # fmt: skip


def _state(person: dict, finished: bool) -> str:
    if finished:
        return "done"
    return "deleted" if person["deleted"] else "reading" if person["consented"] else "invited"


def lock(engine: Engine, row: dict) -> None:
    """Permanently stop accepting answers."""
    if row["status"] != OPEN:
        raise InputError(f"The study is already {row['status']}.")
    with writing(engine) as connection:
        archive.set_status(connection, row["id"], OPEN, LOCKED)


def unblind(engine: Engine, row: dict) -> str:
    """Reveal the truth of a locked study: the sealed text, whose SHA-256 is the seal."""
    if row["status"] == OPEN:
        raise InputError("The study still takes answers; lock it before unblinding it.")
    if row["status"] == LOCKED:
        with writing(engine) as connection:
            archive.set_status(connection, row["id"], LOCKED, UNBLINDED)
    return row["sealed"]


def take_receipt(engine: Engine, row: dict, receipt: object) -> int:
    """Restore answers that a reader's receipt has and the database lacks. Returns how many. Raises InputError for a
    receipt of another study, one that was changed, and one that contradicts the stored answers."""
    sealed = archive.unsealed(row["sealed"])
    facts = _verified(row, receipt)
    number, receipt_answers = facts["reader"], facts["answers"]
    with writing(engine) as connection:
        reader = archive.find_reader(connection, row["id"], number, lock=True)
        if reader is None or reader["deleted"]:
            raise InputError("The reader of this receipt has had the answers deleted; they cannot be restored.")
        stored = archive.answers_of(connection, row["id"], number)
        missing = _missing(ReaderSession(row, sealed, number, reader), stored, receipt_answers)
        if missing:
            archive.restore(connection, missing)
        if not reader["consented"]:
            archive.consent(connection, row["id"], number, str(facts["experience"]))
        archive.log_event(connection, row["id"], "receipt", f"{len(missing)} answers restored", number)
    return len(missing)


def _verified(row: dict, receipt: object) -> dict:
    """The facts of a receipt. Raises InputError unless this study has signed them."""
    if not (isinstance(receipt, dict) and {"study", "reader", "answers", "experience", "signature"} <= set(receipt)):
        raise InputError("This is not a receipt of a study; give the file that the reader saved at the end.")
    facts = {name: value for name, value in receipt.items() if name != "signature"}
    try:
        signature = signed(row["key"], "receipt", canonical_json(facts))
        valid = hmac.compare_digest(signature.encode(), str(receipt["signature"]).encode())
    except UnicodeEncodeError:
        valid = False
    if not valid or facts["study"] != row["id"]:
        raise InputError("This receipt is from another study or was changed; nothing was restored from it.")
    return facts


def _missing(session: ReaderSession, stored: list[dict], receipt_answers: list[dict]) -> list[dict]:
    """Rows of the answers of a receipt that are not stored. Raises InputError if the two do not fit together."""
    if any(a["hash"] != b["hash"] for a, b in zip(stored, receipt_answers, strict=False)):
        raise InputError("The receipt's answers differ from the stored ones; nothing was restored from it.")
    previous = stored[-1]["hash"] if stored else root(session)
    missing = []
    for answer in receipt_answers[len(stored) :]:
        missing.append({"study": session.study["id"], "reader": session.number, "previous": previous} | answer)
        previous = answer["hash"]
    if archive.broken_links(stored + missing, root(session)):
        raise InputError("The hashes of the receipt's answers do not match; nothing was restored from it.")
    return missing
