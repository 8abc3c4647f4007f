"""A reader's session, as the server answers it: invitation, consent, one question at a time, receipt.

A reader's position lives in the database: anyone with the invitation, on any device and after any break, gets
the next question. An answer counts once, in its turn, with the token of its question, and is on disk before it is
acknowledged. Nothing sent before unblinding depends on the truth of the test's images, except for the exposures of a
staircase, which follow correct and wrong answers by design, and a race, which gives feedback.
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
from ganlab.study.design.order import exposure_ms, plan
from ganlab.study.design.protocol import DESIGNS, PRACTICE, TEST
from ganlab.study.design.seal import Sealed, canonical_json
from ganlab.study.reading import archive
from ganlab.study.reading.answers import check_answer, is_correct
from ganlab.study.reading.database import LOCKED, OPEN, UNBLINDED, Unavailable, reading, wipe, writing
from ganlab.study.reading.invitations import UNKNOWN, number_of, signed, study_of, token
from ganlab.study.reading.leaderboard import nickname, standings

GRAIN = 1 / 64  # share of pixels whose last bit is flipped; which ones differs between showings
REFUSED, AGAIN = "refused", "shown again"  # kinds of events in the log; the second: a timed image after a reload
MAX_EVENTS = 10_000  # of one kind in a log, to bound its size
CLOSED = {
    LOCKED: "This study is closed and no longer accepts answers. Thank you.",
    UNBLINDED: "This study is over and has been unblinded. Thank you.",
}


class RequestRefused(InputError):
    """A request that is not allowed in the reader's current state."""


@dataclass(frozen=True)
class ReaderSession:
    """A reader of a study, admitted by a signed invitation; study and reader are database rows."""

    study: dict
    sealed: Sealed
    number: int
    reader: dict

    @property
    def key(self) -> str:
        return self.study["key"]


def handle(engine: Engine, request: dict) -> dict:
    """Answer a reader's request.

    request: `code`, the invitation, and `do`: look, consent (with `experience`), answer (with `token` and `said`),
    receipt, board (of a race) or forget (with `sure` true). Always returns a dictionary: after a mistake or a database
    failure it has a sentence in "error", and nothing was changed. Refused requests go to the study's log, without
    anything that identifies who made them.
    """
    study = None
    try:
        study = study_of(request.get("code"))
        actions = {"look": look, "consent": agree, "answer": answer, "receipt": receipt, "board": board,
                   "forget": forget}  # fmt: skip
        action = request.get("do", "look")
        if not isinstance(action, str) or action not in actions:
            raise RequestRefused("This request is not known; reload the page.")
        reply = actions[action](engine, request, study)
        if action == "look" and reply.get("limit_ms"):
            log_limited(engine, study, f"position {reply['position']}", AGAIN)
        return reply
    except Unavailable as error:
        return {"error": str(error), "again": True}
    except InputError as error:
        if isinstance(error, RequestRefused) and study:
            log_limited(engine, study, str(error), REFUSED)
        return {"error": str(error)}


def log_limited(engine: Engine, study: str, words: str, kind: str) -> None:
    """Append to a study's log, if the study exists, up to MAX_EVENTS of a kind."""
    try:
        with writing(engine) as connection:
            if archive.find_study(connection, study) and archive.event_count(connection, study, kind) < MAX_EVENTS:
                archive.log_event(connection, study, kind, words)
    except Unavailable:
        return  # the reply stands whether or not it could be logged


def admit(connection: Connection, code: object, study: str, lock: bool = False, late: bool = False) -> ReaderSession:
    """The session that an invitation opens. late: after its last day, too. Raises RequestRefused if it is forged, void
    or expired."""
    row = archive.find_study(connection, study, hold=lock)
    if row is None:
        raise InputError(UNKNOWN)
    try:
        number = number_of(code, row["key"], study)
    except InputError as error:
        raise RequestRefused(str(error)) from None
    reader, sealed = archive.find_reader(connection, study, number, lock), archive.unsealed(row["sealed"])
    if reader is None:
        raise RequestRefused(UNKNOWN)
    if reader["deleted"]:
        raise RequestRefused("The answers of this invitation were deleted at your request; it is no longer valid.")
    session = ReaderSession(row, sealed, number, reader)
    if not late and (words := expired(session)):
        raise RequestRefused(words)
    return session


def expired(session: ReaderSession) -> str:
    """That an invitation is no longer valid, in words; "" if it is."""
    last, today = session.sealed.protocol.expires, str(datetime.now(UTC).date())
    return f"This invitation was valid until {last}, and today is {today} (UTC)." if last < today else ""


def look(engine: Engine, request: dict, study: str) -> dict:
    """The reader's current page."""
    with reading(engine) as connection:
        session = admit(connection, request["code"], study, late=True)
        rows = archive.answers_of(connection, study, session.number)
    if words := expired(session):
        return {"stage": "closed", "words": words, "deletable": deletable(session)}
    return frame(engine, session, rows)


def agree(engine: Engine, request: dict, study: str) -> dict:
    """Store consent and the reader's level of experience."""
    with writing(engine) as connection:
        session = admit(connection, request["code"], study, lock=True)
        if session.study["status"] != OPEN:
            raise InputError(CLOSED[session.study["status"]])
        groups, chosen = session.sealed.protocol.groups, request.get("experience", "")
        if groups and chosen not in groups:
            raise InputError(f"Choose your experience: {', '.join(groups)}.")
        if not session.reader["consented"]:
            archive.consent(connection, study, session.number, chosen if groups else "")
    return look(engine, request, study)


def answer(engine: Engine, request: dict, study: str) -> dict:
    """Store an answer and return the next question. The same answer sent again is acknowledged again."""
    try:
        feedback = _store(engine, request, study)
    except Unavailable as error:
        if not isinstance(error.__cause__, IntegrityError):
            raise
        feedback = _store(engine, request, study)  # a simultaneous request stored it: acknowledge or refuse this one
    return look(engine, request, study) | feedback


def _store(engine: Engine, request: dict, study: str) -> dict:
    with writing(engine) as connection:
        session = admit(connection, request["code"], study, lock=True)
        if session.study["status"] != OPEN:
            raise InputError(CLOSED[session.study["status"]])
        if not session.reader["consented"]:
            raise RequestRefused("Please consent first; reload the page.")
        rows, trials = archive.answers_of(connection, study, session.number), plan(session.sealed, session.number)
        position = _position(session, request.get("token"), len(rows), len(trials))
        trial = trials[position]
        h, w = archive.picture(engine, study, trial.codes[0]).shape
        said = canonical_json(check_answer(trial, request.get("said"), (h, w)))
        if position < len(rows):
            if rows[position]["said"] != said:
                raise RequestRefused("This question already has a different answer; the first answer counts.")
        else:
            previous = rows[-1]["hash"] if rows else root(session)
            row = archive.append(connection, study, session.number, position, said, previous)
            if rows and row["at"] < rows[-1]["at"]:
                archive.log_event(connection, study, "clock", f"went back to {row['at']}", session.number)
    if trial.block == PRACTICE or session.sealed.protocol.race:
        cases = session.sealed.by_code()
        truth = [cases[code].synthetic for code in trial.codes]
        return {"told": {"right": is_correct(trial, json.loads(said), cases), "synthetic": truth}}
    return {}


def _position(session: ReaderSession, received: object, done: int, total: int) -> int:
    """The question that a token belongs to: the next one, or one already answered. Raises RequestRefused otherwise."""
    if isinstance(received, str):
        for position in range(min(done, total - 1), -1, -1):
            expected = token(session.key, session.number, position)
            if hmac.compare_digest(expected.encode(), received.encode(errors="replace")):
                return position
    raise RequestRefused("This is not your current question; reload the page.")


def root(session: ReaderSession) -> str:
    """The initial value of a reader's hash chain."""
    return signed(session.key, "root", session.sealed.design_hash(), session.number)


def frame(engine: Engine, session: ReaderSession, rows: list[dict]) -> dict:
    """The content of the reader's page; "stage" is consent, question, done or closed. rows: the reader's answers."""
    sealed, protocol = session.sealed, session.sealed.protocol
    trials = plan(sealed, session.number)
    head = {"title": protocol.title, "position": len(rows), "total": len(trials), "race": protocol.race}
    if session.study["status"] != OPEN:
        return head | {
            "stage": "closed", "words": CLOSED[session.study["status"]], "deletable": deletable(session)
        }  # fmt: skip
    if not session.reader["consented"]:
        return head | {
            "stage": "consent", "instructions": protocol.instructions, "groups": list(protocol.groups),
            "design": DESIGNS[protocol.design], "keep_until": protocol.keep_until, "final": protocol.final,
            "prevalence": _prevalence(sealed) if protocol.prevalence else None,
            "practice": sum(trial.block == PRACTICE for trial in trials), "hash": sealed.design_hash(),
        }  # fmt: skip
    if len(rows) >= len(trials):
        return head | {"stage": "done"}
    return head | _question(engine, session, rows)


def deletable(session: ReaderSession) -> bool:
    """Whether a reader can still have the answers deleted."""
    open_or_free = session.study["status"] == OPEN or not session.sealed.protocol.final
    return bool(session.reader["consented"]) and open_or_free


def _question(engine: Engine, session: ReaderSession, rows: list[dict]) -> dict:
    protocol, trials, position = session.sealed.protocol, plan(session.sealed, session.number), len(rows)
    trial, cases = trials[position], session.sealed.by_code()
    correct: list[bool] = []
    if protocol.design == "staircase":
        correct = [
            is_correct(earlier, json.loads(row["said"]), cases)
            for earlier, row in zip(trials, rows, strict=False)
            if earlier.block == TEST
        ]
    return {
        "stage": "question", "asks": trial.asks, "block": trial.block,
        "images": [shown(engine, session, code, position, k) for k, code in enumerate(trial.codes)],
        "token": token(session.key, session.number, position), "limit_ms": exposure_ms(protocol, correct),
        "rest": bool(position) and position % protocol.rest == 0,
        "first": position == 0 or trials[position - 1].block != trial.block,
    }  # fmt: skip


def _prevalence(sealed: Sealed) -> float:
    tested = [case.synthetic for case in sealed.cases if case.role == TEST]
    return round(float(np.mean(tested)), 2)


def shown(engine: Engine, session: ReaderSession, code: str, position: int, place: int) -> str:
    """An image as a data URL: a PNG of IHDR, IDAT and IEND whose length depends on the image's shape alone. The last
    bit of one pixel in 64 is flipped, different ones in each showing, so that a repeat has different bytes."""
    image = archive.picture(engine, session.study["id"], code)
    rng = np.random.default_rng(int(signed(session.key, "grain", session.number, position, place), 16))
    image = image ^ (rng.random(image.shape) < GRAIN)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=0)
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"


def receipt(engine: Engine, request: dict, study: str) -> dict:
    """All of a reader's answers, signed, for the reader to keep in case the database is lost."""
    with reading(engine) as connection:
        session = admit(connection, request["code"], study)
        rows = archive.answers_of(connection, study, session.number)
    if len(rows) < len(plan(session.sealed, session.number)):
        raise RequestRefused("The receipt is available after the last answer.")
    return {"receipt": signed_receipt(session, rows)}


def signed_receipt(session: ReaderSession, rows: list[dict]) -> dict:
    """Study, reader, design hash, experience, consent and answers with their HMAC. The field names must not change."""
    kept = [{name: row[name] for name in ("position", "said", "at", "hash")} for row in rows]
    facts = {
        "study": session.study["id"], "reader": session.number, "design": session.sealed.design_hash(),
        "experience": session.reader["experience"], "consented": session.reader["consented"], "answers": kept,
    }  # fmt: skip
    return facts | {"signature": signed(session.key, "receipt", canonical_json(facts))}


def forget(engine: Engine, request: dict, study: str) -> dict:
    """Permanently delete all answers of this invitation."""
    if request.get("sure") is not True:
        raise InputError("Deleting all your answers cannot be undone; confirm it.")
    with writing(engine) as connection:
        session = admit(connection, request["code"], study, lock=True, late=True)
        if session.sealed.protocol.final and session.study["status"] != OPEN:
            raise InputError(
                "The study is locked, and its results may have been drawn: your answers stay until "
                f"{session.sealed.protocol.keep_until}, as you were told before you agreed."
            )
        deleted = archive.forget_reader(connection, study, session.number)
    wipe(engine)
    return {"stage": "forgotten", "words": f"{deleted} answers were deleted, and the invitation is void."}


def board(engine: Engine, request: dict, study: str) -> dict:
    """The leaderboard of a race."""
    with reading(engine) as connection:
        session = admit(connection, request["code"], study)
        if not session.sealed.protocol.race:
            raise RequestRefused("This study has no leaderboard.")
        rows = archive.answers_of(connection, study)
    return {"board": standings(session.sealed, rows), "me": nickname(session.sealed, session.number)}
