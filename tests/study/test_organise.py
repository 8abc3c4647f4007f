"""The organiser's side: no result before unblinding, the seal holds, receipts bring back what a database lost."""

import copy
import csv
import dataclasses
import hashlib
import json

import numpy as np
import pytest
from sqlalchemy import delete, update

from ganlab.errors import InputError
from ganlab.generation.mixed_images import mix_images
from ganlab.study import organise, results
from ganlab.study.design.order import plan
from ganlab.study.design.protocol import DESIGNS
from ganlab.study.design.stimuli import from_mixed
from ganlab.study.reading import archive, database
from ganlab.study.readings import read_readings
from tests.study.conftest import anything, made_stimuli

pytestmark = pytest.mark.slow

SMALL = {"practice": 2, "catch": 1, "repeats": 0.1, "readers": 3}


@pytest.mark.parametrize("design", DESIGNS)
def test_a_study_ends_in_a_report_and_files(new_study, design, tmp_path):
    study = new_study(design=design, groups=("student",), title="Are they real?", **SMALL)
    for reader in range(3):
        study.read(reader)
    study.close()
    page = results.report(study.engine, study.row())
    assert "Are they real?" in page
    assert study.created.seal in page
    files = results.export(study.engine, study.row(), tmp_path / "out")
    assert {"protocol", "answers", "certificate", "log", "report"} <= set(files)
    if design == "2afc":
        with open(files["pairs"], newline="", encoding="utf-8") as file:
            pairs = list(csv.DictReader(file))
        assert len(pairs) == 3 * 19 and "imrmc" not in files
        cases = study.sealed().by_code()
        assert all(cases[pair["synthetic"]].synthetic and not cases[pair["real"]].synthetic for pair in pairs)
        return
    assert {"readings", "imrmc", "mrmcaov", "bids"} <= set(files)
    table = read_readings(files["readings"])
    assert table.readers == ["reader-01", "reader-02", "reader-03"]
    first = table.first().of("reader-01")
    assert len(first) == 38  # all images of the test, once
    cases = study.sealed().by_code()
    assert all(cases[case].synthetic == synthetic for case, synthetic in zip(first.case, first.synthetic, strict=True))


def test_readings_say_what_was_answered(new_study):
    study = new_study(**SMALL)
    study.read(0, said=lambda frame: {"synthetic": True, "confidence": 5, "ms": 1234.5})
    study.close()
    table, _ = results.results(study.engine, study.row())
    assert table.called.all()
    assert (table.confidence == 5).all()
    np.testing.assert_allclose(table.seconds, 1.2345)
    assert len(table.first()) == 38


def test_no_result_before_the_study_is_unblinded(new_study, tmp_path):
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


def test_progress_tells_how_far_and_nothing_of_right_or_wrong(new_study):
    study = new_study(groups=("student", "radiologist"), **SMALL)
    study.read(1, most=4)
    found = organise.progress(study.engine, study.row())
    assert [reader["answers"] for reader in found["readers"]] == [0, 4, 0]
    assert [reader["state"] for reader in found["readers"]] == ["invited", "reading", "invited"]
    text = json.dumps(found)
    assert study.sealed().nonce not in text
    assert not any(case.code in text for case in study.sealed().cases)


def test_the_seal_is_the_hash_of_what_unblinding_tells(new_study):
    study = new_study(**SMALL)
    organise.lock(study.engine, study.row())
    text = organise.unblind(study.engine, study.row())
    assert hashlib.sha256(text.encode()).hexdigest() == study.created.seal
    assert organise.unblind(study.engine, study.row()) == text  # told again


@pytest.mark.parametrize("secret", ["", "wrong", None, 5, "x" * 10_000])
def test_a_wrong_secret_opens_nothing(new_study, secret):
    study = new_study(**SMALL)
    with pytest.raises(InputError, match="secret"):
        organise.open_study(study.engine, study.created.study, secret)
    assert organise.progress(study.engine, study.row())["refused"] == 1


def test_the_secret_is_nowhere_in_the_database(new_study, tmp_path):
    study = new_study(**SMALL)
    study.engine.dispose()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("studies.db*"))
    assert study.created.secret.encode() not in stored
    assert study.created.seal.encode() in stored


def test_readers_who_have_not_finished_are_left_out_by_name(new_study):
    study = new_study(**SMALL)
    study.read(0)
    study.read(1)
    study.read(2, most=5)
    study.close()
    table, beside = results.results(study.engine, study.row())
    assert table.readers == ["reader-01", "reader-02"]
    assert beside["left_out"] == {"reader-03": (5, len(plan(study.sealed(), 2)))}
    assert "reader-03 (5 of" in results.report(study.engine, study.row())


def test_a_study_that_nobody_finished_says_so(new_study):
    study = new_study(**SMALL)
    study.read(0, most=3)
    study.close()
    with pytest.raises(InputError, match="No reader has finished"):
        results.results(study.engine, study.row())


def test_a_race_is_never_analysed_as_a_study(new_study):
    study = new_study(race=True, **SMALL)
    study.read(0)
    study.close()
    with pytest.raises(InputError, match="race"):
        results.results(study.engine, study.row())


def test_one_reader_alone_is_reported(new_study):
    study = new_study(**SMALL | {"readers": 1})
    study.read(0)
    study.close()
    assert "agreement needs two" in results.report(study.engine, study.row())


def test_the_certificate_finds_what_was_changed_since(new_study):
    study = new_study(**SMALL)
    study.read(0)
    good = results.certificate(study.engine, study.row())
    assert good["seal_matches"]
    assert good["images_changed"] == good["links_broken"] == []
    assert not good["bytes_sent"]["leak"]
    assert good["bytes_sent"]["values"] == 1
    code = study.sealed().cases[0].code
    with database.writing(study.engine) as connection:
        third = (database.ANSWERS.c.reader == 0) & (database.ANSWERS.c.position == 3)
        connection.execute(update(database.ANSWERS).where(third).values(said='{"synthetic":true,"confidence":6}'))
        connection.execute(
            update(database.PICTURES).where(database.PICTURES.c.code == code).values(greys=b"\0" * 24 * 24)
        )
        connection.execute(update(database.STUDIES).values(sealed=study.row()["sealed"].replace('"seed":', '"seed":1')))
    archive.picture.cache_clear()
    bad = results.certificate(study.engine, study.row())
    assert not bad["seal_matches"]
    assert bad["images_changed"] == [code]
    assert "reader-01, 3" in bad["links_broken"]


def test_an_answer_taken_out_breaks_the_chain(new_study):
    study = new_study(**SMALL)
    study.read(0)
    with database.writing(study.engine) as connection:
        connection.execute(delete(database.ANSWERS).where(database.ANSWERS.c.position == 7))
    assert results.certificate(study.engine, study.row())["links_broken"] == ["reader-01, 8"]


def test_a_receipt_brings_back_what_a_database_lost(new_study):
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
def test_a_receipt_that_was_changed_gives_nothing(new_study, what):
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


def test_deleted_answers_do_not_come_back_by_a_receipt(new_study):
    study = new_study(**SMALL)
    study.read(0)
    receipt = study.ask(0, do="receipt")["receipt"]
    study.ask(0, do="forget", sure=True)
    with pytest.raises(InputError, match="deleted"):
        organise.take_receipt(study.engine, study.row(), receipt)


def test_what_is_overdue_is_deleted_when_the_archive_is_opened(new_study, tmp_path):
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


def test_simulated_answers_come_out_of_the_whole_way_as_they_went_in(new_study, tmp_path):
    """A reader who is right four times in five is reported with that accuracy."""
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


def test_answers_of_another_kind_are_refused_in_words(new_study):
    study = new_study(**SMALL)
    frame = study.read(0, most=0)
    for wrong in ({}, None, [], {"synthetic": 1, "confidence": 3}, anything(frame) | {"confidence": 7}):
        found = study.ask(0, do="answer", token=frame["token"], said=wrong)
        assert set(found) == {"error"}
    assert results.answers(study.engine, study.row()) == []


def test_the_report_says_how_various_a_pretrained_generator_is():
    found = results.diversity(["dcgan-nodules 3", "dcgan-nodules 17"])
    assert found["model"] == "dcgan-nodules"
    assert 0 < found["recall"] < found["precision"] < 1
    assert results.diversity(["a.png", "b.png"]) is None
    assert results.diversity(["dcgan-nodules 3", "dcgan-digits 3"]) is None


def test_a_study_of_a_generator_reports_its_diversity(new_study):
    mixed = mix_images("dcgan-digits", 40, 0)
    study = new_study(from_mixed(mixed.images, mixed.truth), **SMALL)
    study.read(0)
    study.close()
    assert "dcgan-digits has a precision of" in results.report(study.engine, study.row())


def test_readers_who_all_press_one_key_are_no_evidence(new_study):
    study = new_study(**SMALL)
    for reader in range(3):
        study.read(reader, said=lambda frame: {"synthetic": False, "confidence": 1})
    study.close()
    page = results.report(study.engine, study.row())
    assert "<b>Inconclusive.</b>" in page
    assert "Equivalent" not in page


def test_the_report_counts_everybody(new_study):
    study = new_study(**SMALL | {"readers": 4})
    study.read(0)
    study.read(1, most=4)
    study.read(2, most=2)
    study.ask(2, do="forget", sure=True)
    study.close()
    page = results.report(study.engine, study.row())
    assert "4 readers were invited, 3 consented, 1 finished, 1 had their answers deleted" in " ".join(page.split())


def test_a_staircase_and_a_scale_claim_no_more_than_they_can(new_study):
    stairs, scale = new_study(design="staircase", **SMALL), new_study(design="ordinal", **SMALL)
    for study in (stairs, scale):
        for reader in range(3):
            study.read(reader)
        study.close()
    assert "class='verdict'" not in results.report(stairs.engine, stairs.row())
    page = results.report(scale.engine, scale.row())
    assert "class='verdict'" in page and "sensitivity</th>" not in page


def test_what_was_deleted_is_gone_from_the_disk(new_study, tmp_path):
    study = new_study(**SMALL)
    study.read(0, most=5, said=lambda frame: {"synthetic": True, "confidence": 5, "ms": 7654.321})

    def on_disk():
        return b"".join(path.read_bytes() for path in tmp_path.glob("studies.db*"))

    assert b"7654.321" in on_disk()
    study.ask(0, do="forget", sure=True)
    assert b"7654.321" not in on_disk()


def test_a_late_second_lock_does_not_take_back_the_unblinding(new_study):
    study = new_study(**SMALL)
    stale = study.row()
    study.close()
    with pytest.raises(InputError, match="no longer open"):
        organise.lock(study.engine, stale)
    assert study.row()["status"] == "unblinded"


def test_images_that_noise_alone_tells_apart_are_warned_of(new_study):
    smooth = made_stimuli()
    images = smooth.images.copy()
    images[smooth.synthetic] = images[smooth.synthetic] // 8 + 100
    told = new_study(dataclasses.replace(smooth, images=images), **SMALL)
    assert "Warning: noise" in organise.progress(told.engine, told.row())["warning"]
    assert organise.progress(told.engine, new_study(**SMALL).row())["warning"] == ""
