"""The organiser's actions: no result before unblinding, a valid seal, and receipts that restore lost answers."""

import copy
import csv
import dataclasses
import hashlib
import json

import pytest
from sqlalchemy import delete, update

from ganlab.errors import InputError
from ganlab.study import organise, results
from ganlab.study.design.order import plan
from ganlab.study.reading import archive, database
from tests.study.conftest import anything, made_stimuli

pytestmark = pytest.mark.slow


SMALL = {"practice": 2, "catch": 1, "repeats": 0.1, "readers": 3}


def test_refuses_results_before_unblinding(new_study, tmp_path):
    study = new_study(**SMALL)
    study.read(0)
    engine = study.engine
    for act in (lambda: results.report(engine, study.row()), lambda: results.export(engine, study.row(), tmp_path)):
        with pytest.raises(InputError, match="unblinded"):
            act()
    with pytest.raises(InputError, match="lock it"):
        organise.unblind(engine, study.row())
    organise.lock(engine, study.row())
    with pytest.raises(InputError, match="unblinded"):
        results.report(engine, study.row())
    with pytest.raises(InputError, match="already locked"):
        organise.lock(engine, study.row())
    assert {path.name.split("-")[0] for path in tmp_path.iterdir()} == {"studies.db"}


def test_progress_shows_counts_and_no_results(new_study):
    study = new_study(groups=("student", "radiologist"), **SMALL)
    study.read(1, most=4)
    result = organise.progress(study.engine, study.row())
    assert [reader["answers"] for reader in result["readers"]] == [0, 4, 0]
    assert [reader["state"] for reader in result["readers"]] == ["invited", "reading", "invited"]
    text = json.dumps(result)
    assert study.sealed().nonce not in text
    assert not any(case.code in text for case in study.sealed().cases)


def test_seal_is_the_hash_of_the_unblinded_text(new_study):
    study = new_study(**SMALL)
    organise.lock(study.engine, study.row())
    text = organise.unblind(study.engine, study.row())
    assert hashlib.sha256(text.encode()).hexdigest() == study.created.seal
    assert organise.unblind(study.engine, study.row()) == text  # again


@pytest.mark.parametrize("secret", ["", "wrong", None, 5, "x" * 10_000])
def test_refuses_a_wrong_secret(new_study, secret):
    study = new_study(**SMALL)
    with pytest.raises(InputError, match="secret"):
        organise.open_study(study.engine, study.created.study, secret)
    assert organise.progress(study.engine, study.row())["refused"] == 1


def test_secret_is_not_stored_in_the_database(new_study, tmp_path):
    study = new_study(**SMALL)
    study.engine.dispose()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("studies.db*"))
    assert study.created.secret.encode() not in stored
    assert study.created.seal.encode() in stored


def test_receipt_restores_lost_answers(new_study):
    study = new_study(groups=("student",), **SMALL)
    study.read(0)
    receipt = study.ask(0, do="receipt")["receipt"]
    before = results.answers(study.engine, study.row())
    with database.writing(study.engine) as connection:
        connection.execute(delete(database.ANSWERS).where(database.ANSWERS.c.position >= 9))
    lost = len(before) - 9
    assert organise.take_receipt(study.engine, study.row(), json.loads(json.dumps(receipt))) == lost
    assert results.answers(study.engine, study.row()) == before
    assert organise.take_receipt(study.engine, study.row(), receipt) == 0
    assert results.certificate(study.engine, study.row())["links_broken"] == []


@pytest.mark.parametrize("what", ["answer", "reader", "nothing", "list", "unsigned", "other study"])
def test_refuses_a_changed_receipt(new_study, what):
    study = new_study(**SMALL)
    study.read(0)
    receipt = copy.deepcopy(study.ask(0, do="receipt")["receipt"])
    if what == "answer":
        receipt["answers"][4]["said"] = '{"synthetic":true,"confidence":6}'
    if what == "reader":
        receipt["reader"] = 1
    if what == "unsigned":
        del receipt["signature"]
    if what == "other study":
        other = new_study(**SMALL)
        other.read(0)
        receipt = other.ask(0, do="receipt")["receipt"]
    receipt = {"nothing": {}, "list": [receipt]}.get(what, receipt)
    before = results.answers(study.engine, study.row())
    with pytest.raises(InputError, match="receipt"):
        organise.take_receipt(study.engine, study.row(), receipt)
    assert results.answers(study.engine, study.row()) == before


def test_receipt_does_not_restore_deleted_answers(new_study):
    study = new_study(**SMALL)
    study.read(0)
    receipt = study.ask(0, do="receipt")["receipt"]
    study.ask(0, do="forget", sure=True)
    with pytest.raises(InputError, match="deleted"):
        organise.take_receipt(study.engine, study.row(), receipt)


def test_overdue_studies_are_deleted_on_opening(new_study, tmp_path):
    old, young = new_study(**SMALL), new_study(**SMALL)
    old.read(0, most=3)
    young.read(0, most=3)
    text = old.row()["sealed"]
    kept = old.sealed().protocol.keep_until
    with database.writing(old.engine) as connection:
        where = database.STUDIES.c.id == old.created.study
        connection.execute(update(database.STUDIES).where(where).values(sealed=text.replace(kept, "2020-01-01")))
    again = archive.open_archive(f"sqlite:///{tmp_path}/studies.db")
    assert [row["id"] for row in archive.all_studies(again)] == [young.created.study]
    assert len(results.answers(again, young.row())) == 3
    with database.reading(again) as connection:
        assert archive.answers_of(connection, old.created.study) == []
    again.dispose()


def test_simulated_answers_survive_storage_and_scoring(new_study, tmp_path):
    """A reader with 80 % correct answers is reported with that accuracy."""
    study = new_study(made_stimuli(120), **SMALL | {"readers": 2, "repeats": 0})
    cases = study.sealed().by_code()
    for reader in range(2):
        trials = plan(study.sealed(), reader)

        def say(frame, trials=trials):
            truth = cases[trials[frame["position"]].codes[0]].synthetic
            return {"synthetic": truth == (frame["position"] % 5 != 0), "confidence": 4, "ms": 900.0}

        study.read(reader, said=say)
    study.close()
    table, beside = results.results(study.engine, study.row())
    assert abs((table.called == table.synthetic).mean() - 0.8) < 0.02
    files = results.export(study.engine, study.row(), tmp_path / "files")
    with open(files["imrmc"], newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert sum(line["readerID"] == "truth" for line in lines) == 118
    assert beside["attention"].keys() == {"reader-01", "reader-02"}


def test_refuses_malformed_answers_with_a_sentence(new_study):
    study = new_study(**SMALL)
    frame = study.read(0, most=0)
    for wrong in ({}, None, [], {"synthetic": 1, "confidence": 3}, anything(frame) | {"confidence": 7}):
        result = study.ask(0, do="answer", token=frame["token"], said=wrong)
        assert set(result) == {"error"}
    assert results.answers(study.engine, study.row()) == []


def test_constant_answers_give_no_verdict(new_study):
    study = new_study(**SMALL)
    for reader in range(3):
        study.read(reader, said=lambda frame: {"synthetic": False, "confidence": 1})
    study.close()
    page = results.report(study.engine, study.row())
    assert "<b>Inconclusive.</b>" in page
    assert "Equivalent" not in page


def test_deleted_answers_are_gone_from_the_disk(new_study, tmp_path):
    study = new_study(**SMALL)
    study.read(0, most=5, said=lambda frame: {"synthetic": True, "confidence": 5, "ms": 7654.321})

    def on_disk():
        return b"".join(path.read_bytes() for path in tmp_path.glob("studies.db*"))

    assert b"7654.321" in on_disk()
    study.ask(0, do="forget", sure=True)
    assert b"7654.321" not in on_disk()


def test_late_second_lock_does_not_undo_unblinding(new_study):
    study = new_study(**SMALL)
    stale = study.row()
    study.close()
    with pytest.raises(InputError, match="no longer open"):
        organise.lock(study.engine, stale)
    assert study.row()["status"] == "unblinded"


def test_warns_if_noise_alone_separates_the_images(new_study):
    smooth = made_stimuli()
    images = smooth.images.copy()
    images[smooth.synthetic] = images[smooth.synthetic] // 8 + 100
    told = new_study(dataclasses.replace(smooth, images=images), **SMALL, audit_reason="A lesson on noise.")
    assert "Warning: noise" in organise.progress(told.engine, told.row())["warning"]
    assert organise.progress(told.engine, new_study(**SMALL).row())["warning"] == ""
