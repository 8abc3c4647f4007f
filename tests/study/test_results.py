"""The output of an unblinded study: results, reports, exports and the certificate of its blinding."""

import csv
import dataclasses

import numpy as np
import pytest
from sqlalchemy import delete, update

from ganlab.errors import InputError
from ganlab.generation.mixed_images import mix_images
from ganlab.study import results
from ganlab.study.design.audit import inspect, is_easy
from ganlab.study.design.order import plan
from ganlab.study.design.protocol import DESIGNS
from ganlab.study.design.stimuli import from_mixed
from ganlab.study.reading import archive, database
from ganlab.study.readings import read_readings
from tests.study.conftest import made_stimuli

pytestmark = pytest.mark.slow

SMALL = {"practice": 2, "catch": 1, "repeats": 0.1, "readers": 3}


@pytest.mark.parametrize("design", DESIGNS)
def test_study_of_every_design_ends_in_a_report_and_exports(new_study, design, tmp_path):
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
    assert len(first) == 38  # every test image once
    cases = study.sealed().by_code()
    assert all(cases[case].synthetic == synthetic for case, synthetic in zip(first.case, first.synthetic, strict=True))


def test_readings_contain_the_answers(new_study):
    study = new_study(**SMALL)
    study.read(0, said=lambda frame: {"synthetic": True, "confidence": 5, "ms": 1234.5})
    study.close()
    table, _ = results.results(study.engine, study.row())
    assert table.called.all()
    assert (table.confidence == 5).all()
    np.testing.assert_allclose(table.seconds, 1.2345)
    assert len(table.first()) == 38


def test_unfinished_readers_are_excluded_by_name(new_study):
    study = new_study(**SMALL)
    study.read(0)
    study.read(1)
    study.read(2, most=5)
    study.close()
    table, beside = results.results(study.engine, study.row())
    assert table.readers == ["reader-01", "reader-02"]
    assert beside["left_out"] == {"reader-03": (5, len(plan(study.sealed(), 2)))}
    assert "reader-03 (5 of" in results.report(study.engine, study.row())


def test_refuses_results_if_no_reader_has_finished(new_study):
    study = new_study(**SMALL)
    study.read(0, most=3)
    study.close()
    with pytest.raises(InputError, match="No reader has finished"):
        results.results(study.engine, study.row())


def test_race_is_never_analysed_as_a_study(new_study):
    study = new_study(race=True, **SMALL)
    study.read(0)
    study.close()
    with pytest.raises(InputError, match="race"):
        results.results(study.engine, study.row())


def test_reports_a_single_reader(new_study):
    study = new_study(**SMALL | {"readers": 1})
    study.read(0)
    study.close()
    assert "agreement needs two" in results.report(study.engine, study.row())


def test_certificate_finds_later_changes(new_study):
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


def test_removed_answer_breaks_the_chain(new_study):
    study = new_study(**SMALL)
    study.read(0)
    with database.writing(study.engine) as connection:
        connection.execute(delete(database.ANSWERS).where(database.ANSWERS.c.position == 7))
    assert results.certificate(study.engine, study.row())["links_broken"] == ["reader-01, 8"]


def test_report_states_the_generators_diversity():
    result = results.diversity(["dcgan-nodules 3", "dcgan-nodules 17"])
    assert result["model"] == "dcgan-nodules"
    assert 0 < result["recall"] < result["precision"] < 1
    assert results.diversity(["a.png", "b.png"]) is None
    assert results.diversity(["dcgan-nodules 3", "dcgan-digits 3"]) is None


def test_report_includes_the_generators_precision_and_recall(new_study):
    mixed = mix_images("dcgan-digits", 40, 0)
    study = new_study(from_mixed(mixed.images, mixed.truth), **SMALL)
    study.read(0)
    study.close()
    assert "dcgan-digits has a precision of" in results.report(study.engine, study.row())


@pytest.mark.parametrize("turned", [False, True])
def test_images_that_their_greys_give_away_are_refused_without_a_reason(new_study, turned):
    stimuli = made_stimuli()
    images = stimuli.images.copy()
    images[stimuli.synthetic] = images[stimuli.synthetic] // 8 + 100
    stimuli = dataclasses.replace(stimuli, images=images)
    if turned:  # twins of one patient
        stimuli = dataclasses.replace(stimuli, patients=[f"p{k // 2}" for k in range(len(stimuli))])
    with pytest.raises(InputError, match=r"separates real from synthetic images with an area of .*--audit-reason"):
        new_study(stimuli, **SMALL)
    assert new_study(stimuli, **SMALL, race=True).created.study  # a game, whose results nobody cites
    reason = "A lesson on what greys give away."
    study = new_study(stimuli, **SMALL, audit_reason=reason)
    study.read(0)
    study.close()
    assert f"Reason given to run the study all the same: {reason}" in results.report(study.engine, study.row())


def test_digits_of_a_study_share_one_range_of_greys():
    mixed = mix_images("dcgan-digits", 60, 0)
    assert {len(np.unique(image)) for image in mixed.images} <= {8, 9}
    assert all((image.min(), image.max()) == (0, 255) for image in mixed.images)
    found = inspect(list(mixed.images), mixed.synthetic)
    assert found["features"]["brightest"] == 0.5 and not is_easy(found["machine"])


def test_a_study_needs_two_patients_of_either_kind(new_study):
    stimuli = made_stimuli()
    stimuli = dataclasses.replace(stimuli, patients=["a" if k % 2 else f"{k}" for k in range(len(stimuli))])
    with pytest.raises(InputError, match=r"patients with synthetic and 1 with real images are too few|^1 patients"):
        new_study(stimuli, **SMALL)


def test_report_counts_invited_finished_and_deleted_readers(new_study):
    study = new_study(**SMALL | {"readers": 4})
    study.read(0)
    study.read(1, most=4)
    study.read(2, most=2)
    study.ask(2, do="forget", sure=True)
    study.close()
    page = results.report(study.engine, study.row())
    assert "4 readers were invited, 3 consented, 1 finished, 1 had their answers deleted" in " ".join(page.split())


def test_staircase_and_rating_scale_get_no_unjustified_verdict(new_study):
    stairs, scale = new_study(design="staircase", **SMALL), new_study(design="ordinal", **SMALL)
    for study in (stairs, scale):
        for reader in range(3):
            study.read(reader)
        study.close()
    assert "class='verdict'" not in results.report(stairs.engine, stairs.row())
    page = results.report(scale.engine, scale.row())
    assert "class='verdict'" in page and "sensitivity</th>" not in page
