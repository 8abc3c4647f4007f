"""Reading and writing studies in their database: studies, images, readers, answers and the log."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256

import numpy as np
from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from ganlab.errors import InputError
from ganlab.study.design.seal import Sealed, canonical_json, read_sealed
from ganlab.study.reading.database import (
    ANSWERS,
    EVENTS,
    PICTURES,
    READERS,
    STUDIES,
    open_database,
    reading,
    wipe,
    writing,
)


def open_archive(url: str | None = None) -> Engine:
    """open_database, and delete studies that are overdue."""
    engine = open_database(url)
    delete_overdue(engine)
    return engine


def now() -> str:
    """The time in UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def log_event(connection: Connection, study: str, kind: str, words: str = "", reader: int | None = None) -> None:
    """Append to the study's log."""
    connection.execute(insert(EVENTS).values(study=study, reader=reader, at=now(), kind=kind, words=words[:500]))


def add_study(engine: Engine, row: dict, images: dict[str, np.ndarray], readers: int) -> None:
    """Store a study, its images and its readers in one transaction."""
    with writing(engine) as connection:
        connection.execute(insert(STUDIES).values(**row))
        connection.execute(
            insert(PICTURES),
            [
                {"study": row["id"], "code": code, "height": a.shape[0], "width": a.shape[1], "greys": a.tobytes()}
                for code, a in images.items()
            ],
        )
        blank = {"study": row["id"], "experience": "", "consented": "", "deleted": ""}
        connection.execute(insert(READERS), [blank | {"number": k} for k in range(readers)])
        log_event(connection, row["id"], "created", row["seal"])


def find_study(connection: Connection, study: str, hold: bool = False) -> dict | None:
    """The row of a study. hold: keep its status from changing until the transaction ends."""
    query = select(STUDIES).where(STUDIES.c.id == study)
    row = connection.execute(query.with_for_update(read=True) if hold else query).mappings().first()
    return dict(row) if row else None


def all_studies(engine: Engine) -> list[dict]:
    """The rows of all studies, oldest first."""
    with reading(engine) as connection:
        return [dict(row) for row in connection.execute(select(STUDIES).order_by(STUDIES.c.created)).mappings()]


@lru_cache(64)
def unsealed(text: str) -> Sealed:
    """read_sealed with a cache."""
    return read_sealed(text)


@lru_cache(256)
def picture(engine: Engine, study: str, code: str) -> np.ndarray:
    """An image of a study (H, W) uint8, cached."""
    with reading(engine) as connection:
        query = select(PICTURES).where(PICTURES.c.study == study, PICTURES.c.code == code)
        row = connection.execute(query).mappings().one()
    return np.frombuffer(row["greys"], np.uint8).reshape(row["height"], row["width"])


def find_reader(connection: Connection, study: str, number: int, lock: bool = False) -> dict | None:
    """The row of a reader. lock: keep others from changing it until the transaction ends."""
    query = select(READERS).where(READERS.c.study == study, READERS.c.number == number)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    return dict(row) if row else None


def readers_of(connection: Connection, study: str) -> list[dict]:
    """Rows of all invited readers, by number."""
    query = select(READERS).where(READERS.c.study == study).order_by(READERS.c.number)
    return [dict(row) for row in connection.execute(query).mappings()]


def answers_of(connection: Connection, study: str, reader: int | None = None) -> list[dict]:
    """Rows of the answers of a reader, or of all readers, in order."""
    query = select(ANSWERS).where(ANSWERS.c.study == study).order_by(ANSWERS.c.reader, ANSWERS.c.position)
    if reader is not None:
        query = query.where(ANSWERS.c.reader == reader)
    return [dict(row) for row in connection.execute(query).mappings()]


def chain_hash(study: str, reader: int, position: int, said: str, at: str, previous: str) -> str:
    """SHA-256 over an answer and, through `previous`, all answers before it."""
    return sha256(canonical_json([previous, study, reader, position, said, at]).encode()).hexdigest()


def append(connection: Connection, study: str, reader: int, position: int, said: str, previous: str) -> dict:
    """Add the next answer of a reader and return its row."""
    at = now()
    row = {
        "study": study, "reader": reader, "position": position, "said": said, "at": at, "previous": previous,
        "hash": chain_hash(study, reader, position, said, at, previous),
    }  # fmt: skip
    connection.execute(insert(ANSWERS).values(**row))
    return row


def restore(connection: Connection, rows: list[dict]) -> None:
    """Add answers from a receipt, with their original hashes and times."""
    connection.execute(insert(ANSWERS), rows)


def broken_links(rows: list[dict], root: str) -> list[tuple[int, int]]:
    """(reader, position) of answers whose hash does not follow from the one before, because something was changed or
    removed. root: the value that a reader's first hash builds on."""
    broken = []
    last: dict[int, tuple[int, str]] = {}  # reader -> (position, hash)
    for row in rows:
        reader, position = row["reader"], row["position"]
        previous_position, previous = last.get(reader, (-1, root))
        expected = chain_hash(row["study"], reader, position, row["said"], row["at"], row["previous"])
        if (position, row["previous"], row["hash"]) != (previous_position + 1, previous, expected):
            broken.append((reader, position))
        last[reader] = position, row["hash"]
    return broken


def consent(connection: Connection, study: str, number: int, experience: str) -> None:
    """Store a reader's consent and level of experience."""
    where = (READERS.c.study == study) & (READERS.c.number == number)
    connection.execute(update(READERS).where(where).values(consented=now(), experience=experience))
    log_event(connection, study, "consented", "", number)


def forget_reader(connection: Connection, study: str, number: int) -> int:
    """Delete a reader's answers and experience and void the invitation. Returns the number of answers deleted."""
    where = (ANSWERS.c.study == study) & (ANSWERS.c.reader == number)
    deleted = connection.execute(delete(ANSWERS).where(where)).rowcount
    where = (READERS.c.study == study) & (READERS.c.number == number)
    connection.execute(update(READERS).where(where).values(deleted=now(), experience=""))
    log_event(connection, study, "deleted", f"{deleted} answers, at the reader's request", number)
    return deleted


def set_status(connection: Connection, study: str, before: str, status: str) -> None:
    """Move a study from one status to the next. Raises InputError if its status has changed meanwhile."""
    where = (STUDIES.c.id == study) & (STUDIES.c.status == before)
    if not connection.execute(update(STUDIES).where(where).values(status=status)).rowcount:
        raise InputError(f"The study is no longer {before}; reload the page.")
    log_event(connection, study, status)


def delete_overdue(engine: Engine) -> list[str]:
    """Delete every study whose keep_until is in the past. Returns their names."""
    today = str(datetime.now(UTC).date())
    overdue = [row["id"] for row in all_studies(engine) if unsealed(row["sealed"]).protocol.keep_until < today]
    for study in overdue:
        with writing(engine) as connection:
            for table in (ANSWERS, READERS, PICTURES, EVENTS):
                connection.execute(delete(table).where(table.c.study == study))
            connection.execute(delete(STUDIES).where(STUDIES.c.id == study))
    if overdue:
        wipe(engine)
    return overdue


def counts(connection: Connection, study: str) -> dict[int, int]:
    """Number of answers by reader."""
    query = (
        select(ANSWERS.c.reader, func.count().label("given")).where(ANSWERS.c.study == study).group_by(ANSWERS.c.reader)
    )
    return {row.reader: row.given for row in connection.execute(query)}


def event_count(connection: Connection, study: str, kind: str) -> int:
    """Number of events of a kind in the study's log."""
    query = select(func.count()).where(EVENTS.c.study == study, EVENTS.c.kind == kind)
    return connection.execute(query).scalar_one()


def log_of(connection: Connection, study: str) -> list[dict]:
    """The study's log, oldest first."""
    query = select(EVENTS).where(EVENTS.c.study == study).order_by(EVENTS.c.id)
    return [dict(row) for row in connection.execute(query).mappings()]
