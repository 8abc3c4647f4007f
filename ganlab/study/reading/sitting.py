"""A reader's way through a study: invited, consenting, one question at a time, thanked. What a server answers.

The position lives in the database: whoever comes with the invitation, from any device and after any break, gets the
question that is next. An answer counts once, in its turn, with the token of its question, and is on the disk before it
is acknowledged. Nothing that is sent before the study is unblinded depends on the truth of the test's images, but for
the exposures of a staircase, which follow right and wrong by design, and a race, which tells.
"""

from __future__ import annotations

import hmac
import io
import json
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from PIL import Image
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from ganlab.errors import InputError
from ganlab.study.design.protocol import DESIGNS, PRACTICE, TEST, Sealed, Trial, canonical_json, exposure_ms, plan
from ganlab.study.reading import archive
from ganlab.study.reading.answers import check_answer, right
from ganlab.study.reading.invitations import UNKNOWN, number_of, signed, study_of, token

GRAIN = 1 / 64  # share of pixels whose last bit is turned, others in every showing
REFUSED, AGAIN = "refused", "shown again"  # a timed image, after a reload
MOST_NOTES = 10_000  # of a kind in a log, which nobody shall fill the disk with
COLOURS = ("Blue", "Amber", "Green", "Copper", "Violet", "Silver", "Crimson", "Ivory")
ANIMALS = (
    "Otter", "Heron", "Lynx", "Badger", "Finch", "Marten", "Stork", "Hare", "Newt", "Raven", "Seal", "Wren", "Mole",
    "Swift", "Adder", "Crane",
)  # fmt: skip
CLOSED = {
    archive.LOCKED: "This study is closed: no more answers are taken. Thank you.",
    archive.UNBLINDED: "This study is over: its truth is told. Thank you.",
}


class Refused(InputError):
    """A request that is not the reader's to make now."""


@dataclass(frozen=True)
class Seat:
    """Who asks: a reader of a study, by a signed invitation."""

    study: dict
    sealed: Sealed
    number: int
    reader: dict

    @property
    def key(self) -> str:
        return self.study["key"]


def handle(engine: Engine, request: dict) -> dict:
    """Answer a reader's request: `code`, the invitation, and `do`: look, consent (with `experience`), answer (with
    `token` and `said`), receipt, board (of a race) or forget (with `sure` true).

    Always a dictionary; a mistake, or the database's trouble, is a sentence in "error", and then nothing was changed.
    What was refused stands in the study's log, without a word about who asked.
    """
    study = None
    try:
        study = study_of(request.get("code"))
        do = {"look": look, "consent": agree, "answer": answer, "receipt": receipt, "board": board, "forget": forget}
        wanted = request.get("do", "look")
        if not isinstance(wanted, str) or wanted not in do:
            raise Refused("That is nothing that can be asked here; reload the page.")
        found = do[wanted](engine, request, study)
        if wanted == "look" and found.get("limit_ms"):
            write_down(engine, study, f"position {found['position']}", AGAIN)
        return found
    except archive.Unavailable as error:
        return {"error": str(error), "again": True}
    except InputError as error:
        if isinstance(error, Refused) and study:
            write_down(engine, study, str(error), REFUSED)
        return {"error": str(error)}


def write_down(engine: Engine, study: str, words: str, kind: str) -> None:
    """Into the log of a study, if there is one of this name, up to MOST_NOTES of a kind."""
    try:
        with archive.writing(engine) as connection:
            if archive.find_study(connection, study) and archive.many(connection, study, kind) < MOST_NOTES:
                archive.note(connection, study, kind, words)
    except archive.Unavailable:
        return  # the refusal stands, whether it could be written down or not


def admit(connection: Connection, code, study: str, lock: bool = False) -> Seat:
    """The seat that an invitation opens. Raises Refused if it is forged, void or expired."""
    row = archive.find_study(connection, study, hold=lock)
    if row is None:
        raise InputError(UNKNOWN)
    try:
        number = number_of(code, row["key"], study)
    except InputError as error:
        raise Refused(str(error)) from None
    reader, sealed = archive.find_reader(connection, study, number, lock), archive.unsealed(row["sealed"])
    if reader is None:
        raise Refused(UNKNOWN)
    if reader["deleted"]:
        raise Refused("The answers of this invitation were deleted as you wished; it is not valid any more.")
    today = str(datetime.now(UTC).date())
    if sealed.protocol.expires < today:
        raise Refused(f"This invitation was valid until {sealed.protocol.expires}, and today is {today} (UTC).")
    return Seat(row, sealed, number, reader)


def look(engine: Engine, request: dict, study: str) -> dict:
    """Where the reader stands."""
    with archive.reading(engine) as connection:
        seat = admit(connection, request["code"], study)
        rows = archive.answers_of(connection, study, seat.number)
    return frame(engine, seat, rows)


def agree(engine: Engine, request: dict, study: str) -> dict:
    """Consent, and the reader's group of experience."""
    with archive.writing(engine) as connection:
        seat = admit(connection, request["code"], study, lock=True)
        if seat.study["status"] != archive.OPEN:
            raise InputError(CLOSED[seat.study["status"]])
        groups, chosen = seat.sealed.protocol.groups, request.get("experience", "")
        if groups and chosen not in groups:
            raise InputError(f"Choose your experience: {', '.join(groups)}.")
        if not seat.reader["consented"]:
            archive.consent(connection, study, seat.number, chosen if groups else "")
    return look(engine, request, study)


def answer(engine: Engine, request: dict, study: str) -> dict:
    """Take an answer; the next question. One that came before and was the same is acknowledged again."""
    try:
        told = _take(engine, request, study)
    except archive.Unavailable as error:
        if isinstance(error.__cause__, IntegrityError):  # the same moment, by another way: now it is there
            told = _take(engine, request, study)
        else:
            raise
    return look(engine, request, study) | told


def _take(engine: Engine, request: dict, study: str) -> dict:
    with archive.writing(engine) as connection:
        seat = admit(connection, request["code"], study, lock=True)
        if seat.study["status"] != archive.OPEN:
            raise InputError(CLOSED[seat.study["status"]])
        if not seat.reader["consented"]:
            raise Refused("Consent comes first; reload the page.")
        rows, trials = archive.answers_of(connection, study, seat.number), plan(seat.sealed, seat.number)
        position = _position(seat, request.get("token"), len(rows), len(trials))
        trial = trials[position]
        shape = archive.picture(engine, study, trial.codes[0]).shape
        said = canonical_json(check_answer(trial, request.get("said"), shape))
        if position < len(rows):
            if rows[position]["said"] != said:
                raise Refused("This question was answered before, in another way; the first answer counts.")
        else:
            previous = rows[-1]["hash"] if rows else root(seat)
            row = archive.append(connection, study, seat.number, position, said, previous)
            if rows and row["at"] < rows[-1]["at"]:
                archive.note(connection, study, "clock", f"went back to {row['at']}", seat.number)
    if trial.block == PRACTICE or seat.sealed.protocol.race:
        cases = seat.sealed.by_code()
        truth = [cases[code].synthetic for code in trial.codes]
        return {"told": {"right": right(trial, json.loads(said), cases), "synthetic": truth}}
    return {}


def _position(seat: Seat, shown, done: int, total: int) -> int:
    """The question that a token is of: the next, or one that is answered. Raises Refused for any other."""
    if isinstance(shown, str):
        for position in range(min(done, total - 1), -1, -1):
            if hmac.compare_digest(token(seat.key, seat.number, position).encode(), shown.encode(errors="replace")):
                return position
    raise Refused("This is not the question that is yours to answer now; reload the page.")


def root(seat: Seat) -> str:
    """What the first hash of a reader's answers stands on."""
    return signed(seat.key, "root", seat.sealed.design_hash(), seat.number)


def frame(engine: Engine, seat: Seat, rows: list[dict]) -> dict:
    """What the reader's page shows: {"stage": ...} with consent, question, done or closed."""
    protocol, done = seat.sealed.protocol, len(rows)
    trials = plan(seat.sealed, seat.number)
    head = {"title": protocol.title, "position": done, "total": len(trials), "race": protocol.race}
    if seat.study["status"] != archive.OPEN:
        return head | {"stage": "closed", "words": CLOSED[seat.study["status"]]}
    if not seat.reader["consented"]:
        told = _prevalence(seat.sealed) if protocol.prevalence else None
        return head | {
            "stage": "consent", "instructions": protocol.instructions, "groups": list(protocol.groups),
            "design": DESIGNS[protocol.design], "keep_until": protocol.keep_until, "prevalence": told,
            "practice": sum(trial.block == PRACTICE for trial in trials), "hash": seat.sealed.design_hash(),
        }  # fmt: skip
    if done >= len(trials):
        return head | {"stage": "done"}
    trial = trials[done]
    good = [right(t, json.loads(row["said"]), seat.sealed.by_code()) for t, row in zip(trials, rows, strict=False)
            if t.block == TEST] if protocol.design == "staircase" else []  # fmt: skip
    images = [shown(engine, seat, code, done, k) for k, code in enumerate(trial.codes)]
    return head | {
        "stage": "question", "asks": trial.asks, "block": trial.block, "images": images,
        "token": token(seat.key, seat.number, done), "limit_ms": exposure_ms(protocol, good),
        "rest": bool(done) and done % protocol.rest == 0, "first": done == 0 or trials[done - 1].block != trial.block,
    }  # fmt: skip


def _prevalence(sealed: Sealed) -> float:
    tested = [case.synthetic for case in sealed.cases if case.role == TEST]
    return round(float(np.mean(tested)), 2)


def shown(engine: Engine, seat: Seat, code: str, position: int, place: int) -> str:
    """An image as a data address: a PNG of IHDR, IDAT and IEND whose size depends on the image's sides alone. The last
    bit of one pixel in 64 is turned, others in each showing, so that a repeat has other bytes."""
    image = archive.picture(engine, seat.study["id"], code)
    rng = np.random.default_rng(int(signed(seat.key, "grain", seat.number, position, place), 16))
    image = image ^ (rng.random(image.shape) < GRAIN)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=0)
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"


def receipt(engine: Engine, request: dict, study: str) -> dict:
    """All of a reader's answers, signed: for the reader to keep, and for the organiser if the database is lost."""
    with archive.reading(engine) as connection:
        seat = admit(connection, request["code"], study)
        rows = archive.answers_of(connection, study, seat.number)
    if len(rows) < len(plan(seat.sealed, seat.number)):
        raise Refused("The receipt comes with the last answer.")
    return {"receipt": signed_receipt(seat, rows)}


def signed_receipt(seat: Seat, rows: list[dict]) -> dict:
    kept = [{name: row[name] for name in ("position", "said", "at", "hash")} for row in rows]
    facts = {
        "study": seat.study["id"], "reader": seat.number, "design": seat.sealed.design_hash(),
        "experience": seat.reader["experience"], "consented": seat.reader["consented"], "answers": kept,
    }  # fmt: skip
    return facts | {"signature": signed(seat.key, "receipt", canonical_json(facts))}


def forget(engine: Engine, request: dict, study: str) -> dict:
    """Delete all answers of this invitation, for good."""
    if request.get("sure") is not True:
        raise InputError("Deleting all your answers cannot be undone; confirm it.")
    with archive.writing(engine) as connection:
        seat = admit(connection, request["code"], study, lock=True)
        many = archive.forget_reader(connection, study, seat.number)
    archive.wipe(engine)
    return {"stage": "forgotten", "words": f"{many} answers were deleted, and the invitation is void."}


def board(engine: Engine, request: dict, study: str) -> dict:
    """The leaderboard of a race: made-up names, right answers of answers, the fastest first among equals."""
    with archive.reading(engine) as connection:
        seat = admit(connection, request["code"], study)
        if not seat.sealed.protocol.race:
            raise Refused("This study has no leaderboard.")
        rows = archive.answers_of(connection, study)
    return {"board": standings(seat.sealed, rows), "me": nickname(seat.sealed, seat.number)}


def nickname(sealed: Sealed, number: int) -> str:
    pick = np.random.default_rng([sealed.seed, 3]).permutation(len(ANIMALS) * len(COLOURS))[number % 128]
    name = f"{COLOURS[pick // len(ANIMALS)]} {ANIMALS[pick % len(ANIMALS)]}"
    return name if number < 128 else f"{name} {number // 128 + 1}"


def standings(sealed: Sealed, rows: list[dict]) -> list[dict]:
    cases, scores = sealed.by_code(), {}
    for number in sorted({row["reader"] for row in rows}):
        trials = plan(sealed, number)
        mine = [(trials[row["position"]], json.loads(row["said"])) for row in rows if row["reader"] == number]
        counted: list[tuple[Trial, dict]] = [(t, said) for t, said in mine if t.block == TEST]
        good = sum(right(t, said, cases) for t, said in counted)
        seconds = sum(said.get("ms", 0) for _, said in counted) / 1000
        scores[number] = {
            "name": nickname(sealed, number),
            "right": good,
            "of": len(counted),
            "seconds": round(seconds),
        }
    return sorted(scores.values(), key=lambda score: (-score["right"], score["seconds"]))
