"""The Turing test tab: the practice test, plans and reports."""

import base64
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ganlab.errors import InputError
from ganlab.generation.mixed_images import mix_images
from ganlab.packing import pack, unpack
from ganlab.study.design.simulation import SimulatedStudy, simulate
from ganlab.study.readings import write_readings
from ganlab.ui.pages.turing import plan, practice, report
from ganlab.ui.pages.turing.practice import PracticeTest
from ganlab.ui.session_store import SessionStore

MODEL = "dcgan-digits"


@pytest.fixture(scope="module")
def stimuli():
    return mix_images(MODEL, 10, seed=7)


@pytest.fixture
def tests():
    return SessionStore(practice.LIMITS)


@pytest.fixture
def token(tests):
    return practice.open_test(tests, MODEL, 10, "me")


@pytest.fixture
def answer(tests, token):
    """answer(position, synthetic, confidence) -> the reply."""

    def answer(position, synthetic=True, confidence=3):
        return practice.ask(
            tests, {"token": token, "position": position, "synthetic": synthetic, "confidence": confidence}
        )[0]

    return answer


def test_truth_is_not_sent_before_the_answer(stimuli):
    """The first reply is the same, bit for bit, whichever kind the images are."""
    swapped = type(stimuli)(stimuli.images, [("real" if arm == "synthetic" else "synthetic", *rest)
                                             for arm, *rest in stimuli.truth])  # fmt: skip
    first = [pack(*PracticeTest(each).frame()) for each in (stimuli, swapped)]
    assert first[0] == first[1]
    facts, arrays = unpack(first[0])
    assert set(facts) == {"position", "total"} and set(arrays) == {"image"}


def test_responses_have_the_same_length_for_every_picture(stimuli):
    assert len({len(pack({}, {"image": image})) for image in stimuli.images}) == 1


def test_practice_test_ends_in_a_result(tests, token, answer):
    facts, arrays = practice.ask(tests, {"token": token})
    assert facts == {"position": 0, "total": 10} and arrays["image"].shape == (16, 16)
    truth = tests.peek(token).mixed_images.synthetic
    for k in range(10):
        reply = answer(k, bool(truth[k]), 6)
        assert reply["was"] == reply["said"] == bool(truth[k]) and reply["right"] == k + 1
    assert "right 100 % of the time" in reply["result"] and reply["result"].count("<figure") == 10
    assert not practice.ask(tests, {"token": token})[1]


def test_answer_counts_once_and_in_order(tests, token, answer):
    answer(0, True, 2)
    again = answer(0, False, 6)  # sent twice, or by a second tab
    assert again["position"] == 1 and tests.peek(token).answers[0][:2] == (True, 2)
    for position in (5, -1, 10):
        with pytest.raises(InputError, match="cannot be answered now"):
            answer(position)
    with pytest.raises(InputError, match="outside 1 to 6"):
        answer(1, confidence=7)
    assert len(tests.peek(token).answers) == 1


@pytest.mark.parametrize(
    "broken", [{"position": 1}, {"position": "x", "synthetic": True, "confidence": 1}, {"position": 1, "synthetic": 1}]
)
def test_malformed_practice_answers_do_not_count(tests, token, broken):
    with TestClient(Starlette(routes=practice.routes(tests))) as client:
        response = client.post(f"/{practice.PATH}", json={"token": token, **broken})
    assert unpack(response.content)[0]["error"]
    assert tests.peek(token).answers == []


def test_simultaneous_practice_answers_count_once(tests, token, answer):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: answer(0), range(64)))
    assert len(tests.peek(token).answers) == 1


def test_practice_tests_of_others_cannot_be_reached(tests, token):
    for wrong in ("guess", token):
        with pytest.raises(InputError, match="This test is not on the server"):
            practice.ask(tests, {"token": wrong})
        tests.close("me")
    with pytest.raises(InputError, match="not 12"):
        practice.open_test(tests, MODEL, 12, "me")


def test_answers_come_by_post_and_are_not_cached(tests, token):
    with TestClient(Starlette(routes=practice.routes(tests))) as client:
        response = client.post(f"/{practice.PATH}", json={"token": token})
        assert response.status_code == 200 and response.headers["cache-control"] == "no-store"
        assert unpack(response.content)[0]["total"] == 10
        assert client.post(f"/{practice.PATH}", content="x" * 5000).status_code == 413


def test_practice_sets_differ(tests):
    sets = [tests.peek(practice.open_test(tests, MODEL, 10, "me")).mixed_images.images for _ in range(2)]
    assert not np.array_equal(*sets)


def test_plan_is_drawn_and_a_wrong_margin_is_refused():
    html = plan.plan_html(3, 30, 0.0, 0.1)
    assert html.count("<i style") == 3 and "study plan --readers 3 --cases 30" in html
    assert "too small to claim equivalence" in html
    assert "role='alert'" in plan.plan_html(3, 30, 0.0, 0.7)


def test_reports_the_uploaded_file_or_simulated_readers(tmp_path):
    assert "<h1>Simulated readers</h1>" in report.report_page(None, 0.1)
    write_readings(simulate(SimulatedStudy(3, 40, dprime=2.0)), tmp_path / "readings.csv")
    page = report.report_page(str(tmp_path / "readings.csv"), 0.05, " Our <study> ")
    assert "<h1>Our &lt;study&gt;</h1>" in page and "Distinguishable" in page and "3 readers" in page
    framed = report.framed(page)
    assert "<iframe" in framed and "sandbox" in framed and "<h1>" not in framed
    saved = re.search(r"base64,([^']+)'", framed).group(1)
    assert base64.b64decode(saved).decode() == page
    with pytest.raises(InputError, match="margin is empty"):
        report.report_page(None, None)
