"""A study stored by an earlier version can still be read, continued, analysed and restored, with the same hashes."""

import hashlib
import json
import sqlite3
from dataclasses import asdict
from pathlib import Path

import pytest
from sqlalchemy import delete

from ganlab.study import organise, results
from ganlab.study.design.order import plan
from ganlab.study.design.seal import ADDED_TO_PROTOCOL, canonical_json, read_sealed
from ganlab.study.reading import archive, database, session

DATA = Path(__file__).parent / "data"
SAVED = json.loads((DATA / "study.json").read_text(encoding="utf-8"))


@pytest.fixture
def engine(tmp_path):
    """The stored study: two of three readers have finished, and it is still open."""
    connection = sqlite3.connect(tmp_path / "studies.db")
    connection.executescript((DATA / "study.sql").read_text(encoding="utf-8"))
    connection.close()
    engine = archive.open_archive(f"sqlite:///{tmp_path}/studies.db")
    yield engine
    engine.dispose()


def open_row(engine):
    return organise.open_study(engine, SAVED["study"], SAVED["secret"])


def test_sealed_text_keeps_its_hashes():
    sealed = read_sealed(SAVED["sealed"])
    assert sealed.text() == SAVED["sealed"]
    assert sealed.seal() == SAVED["seal"]
    assert sealed.design_hash() == SAVED["design_hash"]
    known = {name: value for name, value in asdict(sealed.protocol).items() if name not in ADDED_TO_PROTOCOL}
    assert canonical_json(known) in SAVED["sealed"]
    assert not sealed.protocol.rules  # it was sealed without rules for attention


@pytest.mark.parametrize("reader", [0, 1, 2])
def test_readers_get_the_same_questions_in_the_same_order(reader):
    trials = [asdict(trial) for trial in plan(read_sealed(SAVED["sealed"]), reader)]
    text = json.dumps(trials, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == SAVED["plans_sha256"][str(reader)]


def test_reader_continues_with_the_old_invitation(engine):
    frame = session.handle(engine, {"code": SAVED["invitations"][2]})
    assert frame["stage"] == "consent"
    frame = session.handle(engine, {"code": SAVED["invitations"][2], "do": "consent", "experience": "student"})
    assert (frame["stage"], frame["asks"], frame["limit_ms"]) == ("question", "diagnose", 1500)


def test_blinding_of_a_stored_study_is_intact(engine):
    result = results.certificate(engine, open_row(engine))
    assert result["seal_matches"]
    assert result["images_changed"] == result["links_broken"] == []


def test_exports_of_a_stored_study_are_the_same_files(engine, tmp_path):
    organise.lock(engine, open_row(engine))
    assert organise.unblind(engine, open_row(engine)) == SAVED["sealed"]
    files = results.export(engine, open_row(engine), tmp_path / "out")
    for name, digest in SAVED["exports_sha256"].items():
        assert hashlib.sha256(Path(files[name]).read_bytes()).hexdigest() == digest, name


def test_an_old_receipt_restores_lost_answers(engine):
    before = results.answers(engine, open_row(engine))
    with database.writing(engine) as connection:
        connection.execute(delete(database.ANSWERS).where(database.ANSWERS.c.reader == 0))
    lost = sum(row["reader"] == 0 for row in before)
    assert organise.take_receipt(engine, open_row(engine), SAVED["receipt"]) == lost > 0
    assert results.answers(engine, open_row(engine)) == before
