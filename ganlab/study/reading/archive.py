"""Where studies live: a database that loses no answer it has acknowledged, and what may be done to it.

SQLite in WAL mode with full synchronisation unless GANLAB_DATABASE_URL names another, such as PostgreSQL where several
servers share the studies. Rows of answers are only ever added; each carries the hash of the one before it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    make_url,
    select,
    update,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from ganlab.errors import InputError
from ganlab.study.design.protocol import Sealed, canonical_json, read_sealed

VARIABLE = "GANLAB_DATABASE_URL"
USUAL = "sqlite:///studies/studies.db"
OPEN, LOCKED, UNBLINDED = "open", "locked", "unblinded"
WAIT_MS = 20_000  # for another writer
META = MetaData()

STUDIES = Table(
    "studies", META,
    Column("id", String(8), primary_key=True),
    Column("created", String(32), nullable=False),
    Column("status", String(16), nullable=False),
    Column("sealed", Text, nullable=False),  # protocol, truth, seed: read for orders and practice, told when unblinded
    Column("seal", String(64), nullable=False),
    Column("key", String(64), nullable=False),  # signs invitations, tokens and receipts
    Column("organiser", String(256), nullable=False),  # scrypt of the organiser's secret
    Column("audit", Text, nullable=False),
)  # fmt: skip
PICTURES = Table(
    "pictures", META,
    Column("study", String(8), ForeignKey("studies.id"), primary_key=True),
    Column("code", String(8), primary_key=True),
    Column("height", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    Column("greys", LargeBinary, nullable=False),
)  # fmt: skip
READERS = Table(
    "readers", META,
    Column("study", String(8), ForeignKey("studies.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("experience", String(64), nullable=False),
    Column("consented", String(32), nullable=False),
    Column("deleted", String(32), nullable=False),
)  # fmt: skip
ANSWERS = Table(
    "answers", META,
    Column("study", String(8), ForeignKey("studies.id"), primary_key=True),
    Column("reader", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("said", Text, nullable=False),
    Column("at", String(32), nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)  # fmt: skip
EVENTS = Table(
    "events", META,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("study", String(8), nullable=False, index=True),
    Column("reader", Integer),
    Column("at", String(32), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("words", Text, nullable=False),
)  # fmt: skip


class Unavailable(InputError):
    """The database does not answer now; nothing was changed."""


def open_archive(url: str | None = None) -> Engine:
    """The database at url, else GANLAB_DATABASE_URL, else studies/studies.db; its tables are made or brought up to
    date, and what was to be deleted by today is. Raises InputError if it cannot be opened."""
    url = url or os.environ.get(VARIABLE) or USUAL
    if url.startswith("postgres://"):  # as hosts write it
        url = "postgresql://" + url.removeprefix("postgres://")
    url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        address = make_url(url)
        if address.get_backend_name() == "sqlite" and address.database in (None, "", ":memory:"):
            raise InputError(f"{VARIABLE} names no file; answers must outlive the server.")
        engine = create_engine(
            address, pool_pre_ping=address.get_backend_name() != "sqlite", pool_size=20, max_overflow=40
        )
        if engine.dialect.name == "sqlite":
            Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
            _prepare_sqlite(engine)
        _migrate(engine)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise InputError(f"{VARIABLE} is no database's address that is known here ({str(error)[:80]}).") from error
    except (SQLAlchemyError, OSError) as error:
        raise InputError(f"The studies' database cannot be opened ({_reason(error)}); check {VARIABLE}.") from error
    delete_overdue(engine)
    return engine


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def settle(connection, record):
        connection.isolation_level = None  # transactions begin where we say
        for pragma in (
            f"busy_timeout={WAIT_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection):
        immediate = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _migrate(engine: Engine) -> None:
    """Bring the tables up to date. One server at a time: SQLite by its lock, PostgreSQL by an advisory one."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7340217)")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _reason(error: Exception) -> str:
    original = getattr(error, "orig", None) or error
    return (str(original).strip().splitlines() or ["no reason given"])[0][:120]


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection. Raises Unavailable if the database does not answer."""
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise Unavailable(f"The database does not answer ({_reason(error)}); nothing is lost. Try again.") from error


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction, which is on the disk when the block has ended. Raises Unavailable if it is not."""
    try:
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection
    except DBAPIError as error:
        raise Unavailable(
            f"The database could not store it ({_reason(error)}); nothing that was stored is lost. Try again."
        ) from error


def now() -> str:
    """UTC, ISO 8601, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def note(connection: Connection, study: str, kind: str, words: str = "", reader: int | None = None) -> None:
    """Write into the study's log."""
    connection.execute(insert(EVENTS).values(study=study, reader=reader, at=now(), kind=kind, words=words[:500]))


def add_study(engine: Engine, row: dict, images: dict[str, np.ndarray], readers: int) -> None:
    """Store a study, its images and places for its readers, all or nothing."""
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
        note(connection, row["id"], "created", row["seal"])


def find_study(connection: Connection, study: str, hold: bool = False) -> dict | None:
    """hold: its status stays as it is until the transaction ends."""
    wanted = select(STUDIES).where(STUDIES.c.id == study)
    found = connection.execute(wanted.with_for_update(read=True) if hold else wanted).mappings().first()
    return dict(found) if found else None


def all_studies(engine: Engine) -> list[dict]:
    with reading(engine) as connection:
        return [dict(row) for row in connection.execute(select(STUDIES).order_by(STUDIES.c.created)).mappings()]


@lru_cache(64)
def unsealed(text: str) -> Sealed:
    return read_sealed(text)


@lru_cache(256)
def picture(engine: Engine, study: str, code: str) -> np.ndarray:
    """An image (H, W) uint8."""
    with reading(engine) as connection:
        wanted = select(PICTURES).where(PICTURES.c.study == study, PICTURES.c.code == code)
        found = connection.execute(wanted).mappings().one()
    return np.frombuffer(found["greys"], np.uint8).reshape(found["height"], found["width"])


def find_reader(connection: Connection, study: str, number: int, lock: bool = False) -> dict | None:
    wanted = select(READERS).where(READERS.c.study == study, READERS.c.number == number)
    found = connection.execute(wanted.with_for_update() if lock else wanted).mappings().first()
    return dict(found) if found else None


def readers_of(connection: Connection, study: str) -> list[dict]:
    """All invited readers, by number."""
    wanted = select(READERS).where(READERS.c.study == study).order_by(READERS.c.number)
    return [dict(row) for row in connection.execute(wanted).mappings()]


def answers_of(connection: Connection, study: str, reader: int | None = None) -> list[dict]:
    """Rows of answers of a reader, or of all, in order."""
    wanted = select(ANSWERS).where(ANSWERS.c.study == study).order_by(ANSWERS.c.reader, ANSWERS.c.position)
    if reader is not None:
        wanted = wanted.where(ANSWERS.c.reader == reader)
    return [dict(row) for row in connection.execute(wanted).mappings()]


def chained(study: str, reader: int, position: int, said: str, at: str, previous: str) -> str:
    """The hash of an answer and all before it."""
    from hashlib import sha256

    return sha256(canonical_json([previous, study, reader, position, said, at]).encode()).hexdigest()


def append(connection: Connection, study: str, reader: int, position: int, said: str, previous: str) -> dict:
    """Add the next answer of a reader; the row."""
    row = {"study": study, "reader": reader, "position": position, "said": said, "at": now(), "previous": previous}
    row["hash"] = chained(study, reader, position, said, row["at"], previous)
    connection.execute(insert(ANSWERS).values(**row))
    return row


def restore(connection: Connection, rows: list[dict]) -> None:
    """Add answers that were kept elsewhere, with the hashes and times that they had."""
    connection.execute(insert(ANSWERS), rows)


def broken_links(rows: list[dict], root: str) -> list[tuple[int, int]]:
    """(reader, position) of answers whose hash does not follow from what is there: changed or taken out since."""
    wrong, last = [], {}
    for row in rows:
        reader, position = row["reader"], row["position"]
        place, previous = last.get(reader, (-1, root))
        expected = chained(row["study"], reader, position, row["said"], row["at"], row["previous"])
        if (position, row["previous"], row["hash"]) != (place + 1, previous, expected):
            wrong.append((reader, position))
        last[reader] = position, row["hash"]
    return wrong


def consent(connection: Connection, study: str, number: int, experience: str) -> None:
    where = (READERS.c.study == study) & (READERS.c.number == number)
    connection.execute(update(READERS).where(where).values(consented=now(), experience=experience))
    note(connection, study, "consented", "", number)


def forget_reader(connection: Connection, study: str, number: int) -> int:
    """Delete a reader's answers and experience; how many answers there were. The invitation is void from then on."""
    where = (ANSWERS.c.study == study) & (ANSWERS.c.reader == number)
    many = connection.execute(delete(ANSWERS).where(where)).rowcount
    where = (READERS.c.study == study) & (READERS.c.number == number)
    connection.execute(update(READERS).where(where).values(deleted=now(), experience=""))
    note(connection, study, "deleted", f"{many} answers, as the reader wished", number)
    return many


def wipe(engine: Engine) -> None:
    """Leave nothing of what was deleted in SQLite's log beside the database."""
    if engine.dialect.name == "sqlite":
        with reading(engine) as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("BEGIN")


def set_status(connection: Connection, study: str, before: str, status: str) -> None:
    """From one status to the next. Raises InputError if another was faster."""
    where = (STUDIES.c.id == study) & (STUDIES.c.status == before)
    if not connection.execute(update(STUDIES).where(where).values(status=status)).rowcount:
        raise InputError(f"The study is not {before} any more; reload the page.")
    note(connection, study, status)


def delete_overdue(engine: Engine) -> list[str]:
    """Delete all of every study whose answers were to be kept until before today; their ids."""
    today = str(datetime.now(UTC).date())
    if not inspect(engine).has_table(STUDIES.name):
        return []
    gone = [row["id"] for row in all_studies(engine) if unsealed(row["sealed"]).protocol.keep_until < today]
    for study in gone:
        with writing(engine) as connection:
            for table in (ANSWERS, READERS, PICTURES, EVENTS):
                connection.execute(delete(table).where(table.c.study == study))
            connection.execute(delete(STUDIES).where(STUDIES.c.id == study))
    if gone:
        wipe(engine)
    return gone


def counts(connection: Connection, study: str) -> dict[int, int]:
    """How many answers each reader has given."""
    wanted = select(ANSWERS.c.reader, func.count()).where(ANSWERS.c.study == study).group_by(ANSWERS.c.reader)
    return dict(connection.execute(wanted).all())


def many(connection: Connection, study: str, kind: str) -> int:
    """How many events of a kind the study's log has."""
    wanted = select(func.count()).where(EVENTS.c.study == study, EVENTS.c.kind == kind)
    return connection.execute(wanted).scalar_one()


def log_of(connection: Connection, study: str) -> list[dict]:
    wanted = select(EVENTS).where(EVENTS.c.study == study).order_by(EVENTS.c.id)
    return [dict(row) for row in connection.execute(wanted).mappings()]
