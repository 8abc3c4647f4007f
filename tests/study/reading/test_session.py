"""A reader's session: same question after a break, every answer counts once, and the truth is not revealed."""

import dataclasses
import json
import threading
from base64 import b64decode
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from ganlab.study import organise
from ganlab.study.design.order import plan
from ganlab.study.design.protocol import DESIGNS
from ganlab.study.reading import archive, database, session
from ganlab.study.reading.invitations import invitation
from tests.study.conftest import anything, made_stimuli

SMALL = {"practice": 2, "catch": 1, "repeats": 0.1, "readers": 2}


def stored(study, reader=0):
    with database.reading(study.engine) as connection:
        return archive.answers_of(connection, study.created.study, reader)


def refusals(study):
    with database.reading(study.engine) as connection:
        return [e["words"] for e in archive.log_of(connection, study.created.study) if e["kind"] == "refused"]


@pytest.mark.parametrize("design", DESIGNS)
def test_reader_can_finish_every_design(new_study, design):
    study = new_study(design=design, **SMALL)
    assert study.read()["stage"] == "done"
    rows = stored(study)
    assert [row["position"] for row in rows] == list(range(len(plan(study.sealed(), 0))))
    assert archive.broken_links(rows, rows[0]["previous"]) == []


def test_same_question_comes_after_a_reload_and_on_another_device(new_study):
    study = new_study(**SMALL)
    frame = study.read(most=5)
    assert frame == study.ask() == study.ask()
    assert frame["position"] == 5


def test_answer_sent_twice_counts_once(new_study):
    study = new_study(**SMALL)
    frame = study.read(most=3)
    request = {"do": "answer", "token": frame["token"], "said": anything(frame)}
    first, again = study.ask(**request), study.ask(**request)
    assert first == again
    assert len(stored(study)) == 4


def test_different_second_answer_is_refused_and_logged(new_study):
    study = new_study(**SMALL)
    frame = study.read(most=3)
    study.ask(do="answer", token=frame["token"], said=anything(frame))
    before = stored(study)
    changed = anything(frame) | {"confidence": 6 if anything(frame)["confidence"] != 6 else 1}
    assert "first answer counts" in study.ask(do="answer", token=frame["token"], said=changed)["error"]
    assert stored(study) == before
    assert len(refusals(study)) == 1


def test_simultaneous_answers_count_once(new_study):
    study = new_study(**SMALL)
    frame = study.read(most=3)
    got = []
    threads = [
        threading.Thread(target=lambda: got.append(study.ask(do="answer", token=frame["token"], said=anything(frame))))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 12
    assert all(each == got[0] and "error" not in each for each in got)
    assert len(stored(study)) == 4


def test_tokens_are_bound_to_reader_and_question(new_study):
    study = new_study(**SMALL)
    mine, other = study.read(0, most=2), study.read(1, most=4)
    later = session.token(study.row()["key"], 0, 3)
    for wrong in (
        other["token"],
        later,
        "",
        None,
        7,
        "\u00e9\ud800",
        mine["token"][:-1] + ("0" if mine["token"][-1] != "0" else "1"),
        mine["token"] + "0",
    ):
        result = study.ask(do="answer", token=wrong, said=anything(mine))
        assert "not your current question" in result["error"], wrong
    assert len(stored(study)) == 2
    assert len(refusals(study)) == 8


def test_refuses_requests_out_of_turn(new_study):
    study = new_study(**SMALL)
    token = session.token(study.row()["key"], 0, 0)
    assert "Please consent first" in study.ask(do="answer", token=token, said={})["error"]
    study.read(most=2)
    assert "last answer" in study.ask(do="receipt")["error"]
    assert "no leaderboard" in study.ask(do="board")["error"]
    for unknown in ("reveal", "unblind", "answers", "__class__", None, ["look"], {"look": 1}):
        assert "is not known" in study.ask(do=unknown)["error"]
    assert len(stored(study)) == 2


def test_refuses_forged_invitations(new_study):
    study, other = new_study(**SMALL), new_study(**SMALL)
    code = study.created.invitations[0]
    foreign = study.created.study + other.created.invitations[0][6:]
    for forged in (code[:-1] + ("0" if code[-1] != "0" else "1"), foreign, "", None, "A" * 18, "\u0130" * 18, 5, ["x"]):
        result = session.handle(study.engine, {"code": forged, "do": "look"})
        assert set(result) == {"error"}, forged
        assert "not known" in result["error"]


def test_forged_requests_cannot_fill_the_log(new_study, monkeypatch):
    monkeypatch.setattr(session, "MAX_EVENTS", 3)
    study = new_study(**SMALL)
    for _ in range(6):
        study.ask(do="reveal")
    assert len(refusals(study)) == 3


def test_refuses_a_reader_who_was_not_invited(new_study):
    study = new_study(**SMALL)
    result = session.handle(study.engine, {"code": invitation(study.row()["key"], study.created.study, 2)})
    assert "not known" in result["error"]


def test_expired_invitation_names_its_last_day(new_study):
    study = new_study(**SMALL)
    study.read(most=2)
    sealed = study.sealed()
    past = str((datetime.now(UTC) - timedelta(2)).date())
    text = dataclasses.replace(sealed, protocol=dataclasses.replace(sealed.protocol, expires=past)).text()
    with database.writing(study.engine) as connection:
        connection.execute(update(database.STUDIES).values(sealed=text))
    page = study.ask()
    assert page["stage"] == "closed" and past in page["words"] and page["deletable"]
    assert past in study.ask(do="receipt")["error"] and len(stored(study)) == 2
    assert "2 answers were deleted" in study.ask(do="forget", sure=True)["words"] and stored(study) == []


def test_answers_of_a_locked_study_stay_as_the_consent_says(new_study):
    study, free = new_study(**SMALL), new_study(**SMALL, final=False)
    assert study.ask()["final"] and not free.ask()["final"]
    for each in (study, free):
        each.read(0)
        assert not each.ask().get("deletable")  # the page of a finished session has its own button
        organise.lock(each.engine, each.row())
    keep_until = study.sealed().protocol.keep_until
    assert study.ask()["deletable"] is False
    assert f"your answers stay until {keep_until}" in study.ask(do="forget", sure=True)["error"]
    assert len(stored(study)) > 20
    assert free.ask()["deletable"] and "answers were deleted" in free.ask(do="forget", sure=True)["words"]


def test_consent_requires_a_group_if_there_are_groups(new_study):
    study = new_study(groups=("student", "radiologist"), **SMALL)
    assert study.ask()["groups"] == ["student", "radiologist"]
    assert "student, radiologist" in study.ask(do="consent", experience="plumber")["error"]
    assert study.ask(do="consent", experience="student")["stage"] == "question"
    study.ask(do="consent", experience="radiologist")  # the first choice stays
    with database.reading(study.engine) as connection:
        assert archive.find_reader(connection, study.created.study, 0)["experience"] == "student"


def test_feedback_comes_in_practice_only(new_study):
    study = new_study(**SMALL)
    frame = study.ask(do="consent")
    cases = study.sealed().by_code()
    for position, trial in enumerate(plan(study.sealed(), 0)):
        frame = study.ask(do="answer", token=frame["token"], said=anything(frame))
        assert ("told" in frame) == (position < 2)
        if position < 2:
            assert frame["told"]["synthetic"] == [cases[trial.codes[0]].synthetic]


def test_locked_study_takes_no_answer_and_loses_none(new_study):
    study = new_study(**SMALL)
    frame = study.read(most=3)
    organise.lock(study.engine, study.row())
    assert study.ask()["stage"] == "closed"
    assert "closed" in study.ask(do="answer", token=frame["token"], said=anything(frame))["error"]
    assert len(stored(study)) == 3


def test_deletion_needs_confirmation_and_is_final(new_study):
    study = new_study(**SMALL)
    study.read(0, most=4)
    study.read(1, most=3)
    assert "confirm" in study.ask(0, do="forget")["error"]
    assert len(stored(study)) == 4
    assert "4 answers were deleted" in study.ask(0, do="forget", sure=True)["words"]
    assert stored(study) == []
    assert len(stored(study, 1)) == 3
    assert "no longer valid" in study.ask(0)["error"]


def test_clock_going_back_is_logged_and_loses_nothing(new_study, monkeypatch):
    study = new_study(**SMALL)
    study.read(most=3)
    monkeypatch.setattr(archive, "now", lambda: "2001-01-01T00:00:00.000+00:00")
    study.read(most=1)
    assert len(stored(study)) == 4
    with database.reading(study.engine) as connection:
        assert [e["kind"] for e in archive.log_of(connection, study.created.study)].count("clock") == 1


def test_locked_database_is_reported_and_the_answer_counts_when_sent_again(new_study, monkeypatch):
    study = new_study(**SMALL)
    frame = study.read(most=3)
    monkeypatch.setattr(database, "WAIT_MS", 1)
    with study.engine.connect() as other:
        other.exec_driver_sql("PRAGMA busy_timeout=1")
    with study.engine.connect().execution_options(writes=True) as holder, holder.begin():
        with study.engine.connect() as next_one:  # the connection that the request will use
            next_one.exec_driver_sql("PRAGMA busy_timeout=1")
        result = study.ask(do="answer", token=frame["token"], said=anything(frame))
    assert result["again"]
    assert "locked" in result["error"]
    assert len(stored(study)) == 3
    assert study.ask(do="answer", token=frame["token"], said=anything(frame))["position"] == 4


@pytest.mark.parametrize("pragma", ["query_only=ON", "max_page_count=1"], ids=["read-only", "full"])
def test_full_or_read_only_disk_is_reported_and_nothing_is_lost(new_study, pragma):
    study = new_study(**SMALL)
    frame = study.read(most=3)
    study.engine.dispose()
    with study.engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA {pragma}")
    words, result = {"ms": 1.0}, {}
    for _ in range(400):  # the last page of a full disk still has room for some answers
        result = study.ask(do="answer", token=frame["token"], said=anything(frame) | words)
        if "error" in result or result["stage"] != "question":
            break
        frame = result
    assert result.get("again"), result
    assert "Try again" in result["error"]
    kept = len(stored(study))
    assert kept == frame["position"]
    study.engine.dispose()  # as after a restart with a working disk
    assert study.ask()["position"] == kept


def test_sent_images_have_equal_length_and_no_metadata(new_study):
    study = new_study(**SMALL)
    frame, sizes = study.ask(do="consent"), set()
    while frame["stage"] == "question":
        data = b64decode(frame["images"][0].removeprefix("data:image/png;base64,"))
        sizes.add(len(data))
        assert chunks(data) == ["IHDR", "IDAT", "IEND"]
        frame = study.ask(do="answer", token=frame["token"], said=anything(frame))
    assert len(sizes) == 1


def chunks(png):
    names, at = [], 8
    while at < len(png):
        size = int.from_bytes(png[at : at + 4], "big")
        names.append(png[at + 4 : at + 8].decode())
        at += 12 + size
    return names


def test_repeat_has_different_bytes(new_study):
    study = new_study(made_stimuli(80), **SMALL | {"repeats": 0.2})
    trials, frame, sent = plan(study.sealed(), 0), study.ask(do="consent"), {}
    while frame["stage"] == "question":
        sent.setdefault(trials[frame["position"]].codes, []).append(frame["images"][0])
        frame = study.ask(do="answer", token=frame["token"], said=anything(frame))
    again = [each for each in sent.values() if len(each) > 1]
    assert len(again) > 5
    assert all(len(set(each)) == len(each) for each in again)


def told_before_the_reveal(study, swap):
    """Everything a reader is sent, with the truth of the test as it is or inverted."""
    sealed = study.sealed()
    if swap:
        cases = tuple(
            dataclasses.replace(c, synthetic=not c.synthetic) if c.role == "test" else c for c in sealed.cases
        )
        with database.writing(study.engine) as connection:
            connection.execute(update(database.STUDIES).values(sealed=dataclasses.replace(sealed, cases=cases).text()))
    frame = study.ask()
    sent = [frame]
    sent.append(study.ask(do="consent"))
    while sent[-1]["stage"] == "question":
        sent.append(study.ask(do="answer", token=sent[-1]["token"], said=anything(sent[-1])))
    study_receipt = study.ask(do="receipt")["receipt"]
    for row in study_receipt["answers"]:
        assert row.pop("at") and row.pop("hash")  # they depend on the time
    study_receipt.pop("signature")
    study_receipt.pop("consented")
    with database.writing(study.engine) as connection:
        for table in (database.ANSWERS, database.EVENTS):
            connection.execute(table.delete())
        connection.execute(update(database.READERS).values(consented=""))
    return json.dumps([*sent, study_receipt]).encode()


@pytest.mark.parametrize("design", [design for design in DESIGNS if design != "staircase"])
def test_nothing_that_is_sent_depends_on_the_truth(new_study, design):
    """Except for a staircase, whose exposures follow correct and wrong answers by design."""
    study = new_study(design=design, **SMALL)
    assert told_before_the_reveal(study, False) == told_before_the_reveal(study, True)


@pytest.mark.parametrize("told", [False, True])
def test_prevalence_is_disclosed_if_the_protocol_says_so(new_study, told):
    study = new_study(prevalence=told, **SMALL)
    assert study.ask()["prevalence"] == (0.5 if told else None)


def test_offers_breaks_as_the_protocol_says(new_study):
    study = new_study(rest=5, **SMALL)
    study.ask(do="consent")
    rests = [study.read(most=1).get("rest") for _ in range(12)]
    assert [k + 1 for k, rest in enumerate(rests) if rest] == [5, 10]


def test_staircase_shortens_after_correct_and_lengthens_after_wrong_answers(new_study):
    study = new_study(design="staircase", **SMALL | {"practice": 0, "repeats": 0, "catch": 0})
    cases, trials = study.sealed().by_code(), plan(study.sealed(), 0)
    shown = [study.ask(do="consent")["limit_ms"]]

    def say(frame):
        truth = cases[trials[frame["position"]].codes[0]].synthetic
        return {
            "synthetic": truth == (frame["position"] < 3),
            "confidence": 2,
        }  # three correct answers, then wrong ones

    for _ in range(5):
        shown.append(study.read(most=1, said=say)["limit_ms"])
    assert shown == [500, 490, 480, 470, 500, 530]


def test_race_gives_feedback_and_ranks_players(new_study):
    study = new_study(race=True, **SMALL)
    cases, trials = study.sealed().by_code(), {k: plan(study.sealed(), k) for k in range(2)}

    def knows(reader):
        def say(frame):
            truth = cases[trials[reader][frame["position"]].codes[0]].synthetic
            return {"synthetic": truth if reader == 0 else not truth, "confidence": 3, "ms": 500.0}

        return say

    frame = study.read(0, said=knows(0))
    study.read(1, said=knows(1))
    assert frame["told"]["right"] is True
    result = study.ask(1, do="board")
    assert [row["right"] for row in result["board"]][1] == 0
    assert result["board"][0]["right"] == result["board"][0]["of"]
    assert result["me"] == result["board"][1]["name"]
    assert len({row["name"] for row in result["board"]}) == 2


def test_reloading_a_timed_image_is_logged(new_study):
    study = new_study(limit_s=0.5, **SMALL)
    study.read(most=2)
    study.ask()
    with database.reading(study.engine) as connection:
        log = archive.log_of(connection, study.created.study)
    assert [event["words"] for event in log if event["kind"] == "shown again"] == ["position 2"]
