"""The database of studies: its tables, opening and migrating it, and transactions.

SQLite in WAL mode with full synchronisation, unless GANLAB_DATABASE_URL names another database, such as PostgreSQL for
several servers that share their studies. Answers are append-only; each row carries the hash of the one before it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
    event,
    make_url,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from ganlab.errors import InputError

VARIABLE = "GANLAB_DATABASE_URL"
DEFAULT_URL = "sqlite:///studies/studies.db"
OPEN, LOCKED, UNBLINDED = "open", "locked", "unblinded"  # status of a study
WAIT_MS = 20_000  # how long to wait for another writer
META = MetaData()

STUDIES = Table(
    "studies", META,
    Column("id", String(8), primary_key=True),
    Column("created", String(32), nullable=False),
    Column("status", String(16), nullable=False),
    Column("sealed", Text, nullable=False),  # protocol, truth and seed; revealed by unblinding
    Column("seal", String(64), nullable=False),
    Column("key", String(64), nullable=False),  # signs invitations, tokens and receipts
    Column("organiser", String(256), nullable=False),  # scrypt hash of the organiser's secret
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
    """The database does not respond; nothing was changed."""


def open_database(url: str | None = None) -> Engine:
    """The database at url, else at GANLAB_DATABASE_URL, else studies/studies.db. Its tables are created or migrated.
    Raises InputError if it cannot be opened."""
    url = url or os.environ.get(VARIABLE) or DEFAULT_URL
    if url.startswith("postgres://"):  # the form that hosting services use
        url = "postgresql://" + url.removeprefix("postgres://")
    url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        address = make_url(url)
        sqlite = address.get_backend_name() == "sqlite"
        if sqlite and address.database in (None, "", ":memory:"):
            raise InputError(f"{VARIABLE} does not name a file; answers must outlive the server.")
        engine = create_engine(address, pool_pre_ping=not sqlite, pool_size=20, max_overflow=40)
        if sqlite:
            _make_private(Path(str(address.database)))
            _prepare_sqlite(engine)
        _migrate(engine)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise InputError(f"{VARIABLE} is not a known database address ({str(error)[:80]}).") from error
    except (SQLAlchemyError, OSError) as error:
        raise InputError(f"The study database cannot be opened ({_reason(error)}); check {VARIABLE}.") from error
    return engine


def _make_private(path: Path) -> None:
    """Create a database's folder and file for its owner alone; SQLite gives the files beside it the same mode. A file
    that exists is closed to others."""
    if not path.parent.exists():
        path.parent.mkdir(parents=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    if path.stat().st_mode & 0o077:
        for each in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
            with contextlib.suppress(FileNotFoundError, PermissionError):  # a file of another user stays as it is
                each.chmod(0o600)


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: object) -> None:
        connection.isolation_level = None  # transactions start in `begin` below
        for pragma in (
            f"busy_timeout={WAIT_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _migrate(engine: Engine) -> None:
    """Migrate the tables. One server at a time: SQLite by its write lock, PostgreSQL by an advisory lock."""
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
    """A connection for reading. Raises Unavailable if the database does not respond."""
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise Unavailable(f"The database does not respond ({_reason(error)}); nothing is lost. Try again.") from error


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is on disk when the block ends. Raises Unavailable if it could not be stored."""
    try:
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection
    except DBAPIError as error:
        raise Unavailable(
            f"The database could not store this ({_reason(error)}); nothing stored earlier is lost. Try again."
        ) from error


def wipe(engine: Engine) -> None:
    """Remove deleted data from SQLite's write-ahead log beside the database."""
    if engine.dialect.name == "sqlite":
        with reading(engine) as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("BEGIN")
