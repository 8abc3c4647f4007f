"""A short Turing test that a visitor takes alone: one image at a time, with the truth after each answer.

Before an answer the browser gets only the pixels, by an unguessable token. Each answer counts once and in order.
Nothing is stored. A question is {"token"}, and to answer also {"position", "synthetic", "confidence"}.
"""

from __future__ import annotations

import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from starlette.routing import Route

from ganlab.device import one_thread
from ganlab.errors import InputError
from ganlab.ui.components import data_address
from ganlab.ui.live_protocol import Answer, in_threads, live_route
from ganlab.ui.session_store import Limits, SessionStore

PATH = "gradio_api/ganlab/practice"  # also in practice_canvas.js
LIMITS = Limits("test", "Press New set to start another.", count=300, idle=3600.0, megabytes=256)
MAX_QUESTION = 2**12  # bytes
COUNTS = (10, 20, 40)
VISITOR = "you"


class PracticeTest:
    """A set of images and a visitor's answers so far."""

    def __init__(self, mixed_images):
        self.mixed_images = mixed_images
        self.answers: list[tuple[bool, int, float]] = []  # synthetic, confidence, seconds
        self.shown = time.monotonic()

    @property
    def nbytes(self) -> int:
        return self.mixed_images.images.nbytes

    def answer(self, position: int, synthetic: bool, confidence: int) -> None:
        """Take the answer to an image if it is the next one; a second answer changes nothing. Raises InputError."""
        from ganlab.study.readings import STEPS

        if not 0 <= position <= len(self.answers) or position >= len(self.mixed_images.images):
            raise InputError("This image cannot be answered now; reload the page.")
        if not 1 <= confidence <= STEPS:
            raise InputError(f"Confidence {confidence} is outside 1 to {STEPS}.")
        if position == len(self.answers):
            now = time.monotonic()
            self.answers.append((synthetic, confidence, now - self.shown))
            self.shown = now

    def frame(self) -> Answer:
        """The state of the test: whether the last answer was right, and the next "image" (H, W) uint8 or the result."""
        truth, done = self.mixed_images.synthetic, len(self.answers)
        facts = {"position": done, "total": len(truth)}
        if done:
            answered = np.array([synthetic for synthetic, *_ in self.answers])
            facts["right"] = int((answered == truth[:done]).sum())
            facts |= {"was": bool(truth[done - 1]), "said": bool(answered[-1])}
        if done < len(truth):
            return facts, {"image": self.mixed_images.images[done]}
        return facts | {"result": self.result()}, {}

    def result(self) -> str:
        """HTML: the visitor's numbers with their intervals, and every image with its truth."""
        from ganlab.study.analysis.analyse import analyse
        from ganlab.study.analysis.report import number, readers_table, share
        from ganlab.study.readings import Row, checked

        truth = self.mixed_images.synthetic.tolist()
        rows = [
            Row(VISITOR, f"{k + 1}", truth[k], said, confidence, k + 1, seconds)
            for k, (said, confidence, seconds) in enumerate(self.answers)
        ]
        results = analyse(checked(rows, "The test"))
        own = results["readers"][VISITOR]
        low, high = (100 * own["accuracy"][key] for key in ("low", "high"))
        tiles = "".join(
            tile(k + 1, image, synthetic, said == synthetic)
            for k, (image, synthetic, (said, *_)) in enumerate(
                zip(self.mixed_images.images, truth, self.answers, strict=True)
            )
        )
        return (
            f"<h3>You were right {100 * own['accuracy']['estimate']:.0f} % of the time</h3>"
            f"<p>With {len(truth)} images that means {low:.0f} to {high:.0f} % (95 %, Wilson), and d\u2032 "
            f"{share(own['dprime'])} with a criterion of {number(own['criterion'])}: {interpretation(own)}</p>"
            f"<div class='gl-scroll'>{readers_table(results)}</div><div class='gl-trial-all'>{tiles}</div>"
        )


def tile(number: int, image: np.ndarray, synthetic: bool, right: bool) -> str:
    """HTML of an image (H, W) uint8 with its truth."""
    from PIL import Image

    kind = "synthetic" if synthetic else "real"
    address = data_address(Image.fromarray(image))
    return (
        f"<figure class='gl-trial-{kind}'><img src='{address}' alt='{number}'>"
        f"<figcaption>{kind}{'' if right else ', missed'}</figcaption></figure>"
    )


def interpretation(own: dict) -> str:
    """How to interpret one reader's results."""
    if own["chance_p"] < 0.05:
        return (
            "guessing would rarely do this well or this badly. This holds for you and these images; other readers and "
            "other images may differ."
        )
    return "guessing could do as well. That does not prove that you cannot tell them apart: this test is too short."


def open_test(tests: SessionStore[PracticeTest], model: str, count: int, owner: str) -> str:
    """The token of a new test. Raises InputError."""
    from ganlab.generation.mixed_images import mix_images

    if count not in COUNTS:
        raise InputError(f"A test has {', '.join(map(str, COUNTS))} images, not {count}.")
    return tests.open(PracticeTest(mix_images(model, count, secrets.randbits(32))), owner)


def ask(tests: SessionStore[PracticeTest], question: dict) -> Answer:
    """Take the answer in a question, if there is one; returns PracticeTest.frame(). Raises InputError."""
    with tests.use(question.get("token")) as test:
        if "position" in question:
            if not isinstance(question.get("synthetic"), bool):
                raise InputError("Choose real or synthetic.")
            test.answer(int(question["position"]), question["synthetic"], int(question["confidence"]))
        return test.frame()


def routes(tests: SessionStore[PracticeTest]) -> list[Route]:
    """POST PATH."""
    pool = ThreadPoolExecutor(2, "practice", one_thread)
    return [live_route(PATH, in_threads(pool, partial(ask, tests)), MAX_QUESTION)]
