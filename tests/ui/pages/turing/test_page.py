"""The Turing test page: a visitor's own test, planning, reports."""

import base64
import json
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ganlab.errors import InputError
from ganlab.generation.mixed_images import mix_images
from ganlab.study.analysis.readings import write_readings
from ganlab.study.design.simulate import Readers, simulate
from ganlab.ui.pages.turing import page as turing
from ganlab.ui.pages.turing import practice as trials
from ganlab.ui.pages.turing.practice import Trial, Trials

MODEL = "dcgan-digits"


@pytest.fixture(scope="module")
def stimuli():
    return mix_images(MODEL, 10, seed=7)


@pytest.fixture
def opened():
    held = Trials()
    return held, held.open(MODEL, 10, "me")


def answer(held, token, position, synthetic=True, confidence=3):
    return held.ask({"token": token, "position": position, "synthetic": synthetic, "confidence": confidence})


def test_nothing_of_the_truth_leaves_before_the_answer(stimuli):
    """What a browser gets first is the same, bit for bit, whichever kind the images are of."""
    swapped = type(stimuli)(stimuli.images, [("real" if arm == "synthetic" else "synthetic", *rest)
                                             for arm, *rest in stimuli.truth])  # fmt: skip
    first = [Trial(each).frame() for each in (stimuli, swapped)]
    assert first[0] == first[1] and set(first[0]) == {"position", "total", "image"}


def test_pictures_are_as_long_whatever_is_on_them(stimuli):
    lengths = {len(trials.picture(image)) for image in stimuli.images}
    assert len(lengths) == 1
    data = base64.b64decode(trials.picture(stimuli.images[0]).partition(",")[2])
    assert re.findall(rb"IHDR|IDAT|IEND|tEXt|tIME|eXIf", data) == [b"IHDR", b"IDAT", b"IEND"]


def test_a_test_is_taken_to_its_end(opened):
    held, token = opened
    found = held.ask({"token": token})
    assert found["position"] == 0 and found["total"] == 10
    truth = held.get(token).stimuli.synthetic
    for k in range(10):
        found = answer(held, token, k, bool(truth[k]), 6)
        assert found["was"] == found["said"] == bool(truth[k]) and found["right"] == k + 1
    assert "right 100 % of the time" in found["result"] and found["result"].count("<figure") == 10
    assert "image" not in found


def test_an_answer_counts_once_and_in_its_turn(opened):
    held, token = opened
    answer(held, token, 0, True, 2)
    again = answer(held, token, 0, False, 6)  # sent twice, or by a second tab
    assert again["position"] == 1 and held.get(token).answers[0][:2] == (True, 2)
    for position in (5, -1, 10):
        assert "not to be answered now" in answer(held, token, position)["error"]
    assert "outside 1 to 6" in answer(held, token, 1, confidence=7)["error"]
    for broken in (
        {"position": 1},
        {"position": "x", "synthetic": True, "confidence": 1},
        {"position": 1, "synthetic": 1},
    ):
        assert held.ask({"token": token, **broken})["error"]
    assert len(held.get(token).answers) == 1


def test_answers_that_come_at_once_count_once(opened):
    held, token = opened
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: answer(held, token, 0), range(64)))
    assert len(held.get(token).answers) == 1


def test_other_tests_cannot_be_reached(opened):
    held, token = opened
    assert "no longer on the server" in held.ask({"token": "guess"})["error"]
    held.close("me")
    assert "no longer on the server" in held.ask({"token": token})["error"]
    with pytest.raises(InputError, match="not 12"):
        held.open(MODEL, 12, "me")


def test_answers_come_by_post_and_are_not_kept_by_caches(opened):
    held, token = opened
    client = TestClient(Starlette(routes=trials.routes(held)))
    got = client.post(f"/{trials.ASK}", content=json.dumps({"token": token}))
    assert got.status_code == 200 and got.headers["cache-control"] == "no-store" and got.json()["total"] == 10
    assert client.post(f"/{trials.ASK}", content="[]").status_code == 400
    assert client.post(f"/{trials.ASK}", content="x" * 5000).status_code == 413
    assert client.get(f"/{trials.ASK}").status_code == 405


def test_two_sets_differ():
    held = Trials()
    sets = [held.get(held.open(MODEL, 10, "me")).stimuli.images for _ in range(2)]
    assert not np.array_equal(*sets)


def test_a_plan_is_drawn_and_a_wrong_one_told():
    html = turing.plan_html(3, 30, 0.0, 0.1)
    assert html.count("<i style") == 3 and "study plan --readers 3 --cases 30" in html
    assert "too few to claim equivalence" in html
    assert "role='alert'" in turing.plan_html(3, 30, 0.0, 0.7)


def test_a_report_is_of_the_file_or_of_simulated_readers(tmp_path):
    assert "<h1>Simulated readers</h1>" in turing.page_of(None, 0.1)
    write_readings(simulate(Readers(3, 40, dprime=2.0)), tmp_path / "readings.csv")
    page = turing.page_of(str(tmp_path / "readings.csv"), 0.05, " Our <study> ")
    assert "<h1>Our &lt;study&gt;</h1>" in page and "Distinguishable" in page and "3 readers" in page
    framed = turing.framed(page)
    assert "<iframe" in framed and "sandbox" in framed and "<h1>" not in framed
    saved = re.search(r"base64,([^']+)'", framed).group(1)
    assert base64.b64decode(saved).decode() == page
    with pytest.raises(InputError, match="margin is empty"):
        turing.page_of(None, None)
