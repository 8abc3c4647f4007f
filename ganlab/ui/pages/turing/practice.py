"""Short Turing tests that a visitor takes alone: one image at a time, told after each answer. Nothing is kept.

What a browser gets before an answer is the picture alone, by a token that nobody can guess; the truth follows the
answer, which is taken once and in its turn.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ganlab.errors import InputError
from ganlab.ui.components import data_address
from ganlab.ui.live_protocol import PRIVATE, Held, read_question

ASK = "gradio_api/ganlab/trial"  # also where practice.js asks
MAX_REQUEST = 2**12  # bytes
COUNTS = (10, 20, 40)
MOST, FORGET_AFTER = 300, 3600.0  # tests held at once; s without an answer
GONE = "This test is no longer on the server: it was forgotten after an hour of rest. Start a new one."
VISITOR = "you"


class Trial:
    """A set of images on its way through a visitor's hands."""

    def __init__(self, stimuli):
        self.stimuli, self.pulled = stimuli, time.monotonic()
        self.answers: list[tuple[bool, int, float]] = []  # synthetic, confidence, seconds
        self.shown = time.monotonic()
        self.lock = threading.Lock()  # an answer that is sent twice comes by two threads

    def answer(self, position: int, synthetic: bool, confidence: int) -> None:
        """Take the answer to an image, if it is its turn; one that was taken already stays. Raises InputError."""
        from ganlab.study.analysis.readings import STEPS

        if not 0 <= position <= len(self.answers) or position >= len(self.stimuli.images):
            raise InputError("That image is not to be answered now; reload the page.")
        if not 1 <= confidence <= STEPS:
            raise InputError(f"A confidence of {confidence} is outside 1 to {STEPS}.")
        if position == len(self.answers):
            now = time.monotonic()
            self.answers.append((synthetic, confidence, now - self.shown))
            self.shown = now

    def frame(self) -> dict:
        """Where the test stands: the next image; what the last one was; at the end, what came out."""
        truth, done = self.stimuli.synthetic, len(self.answers)
        total = len(truth)
        head = {"position": done, "total": total}
        if done:
            said = np.array([synthetic for synthetic, *_ in self.answers])
            head |= {"right": int((said == truth[:done]).sum()), "was": bool(truth[done - 1]), "said": bool(said[-1])}
        if done < total:
            return head | {"image": picture(self.stimuli.images[done])}
        return head | {"result": self.result()}

    def result(self) -> str:
        """HTML: the visitor's numbers with their intervals, and every image with its truth."""
        from ganlab.study.analysis.analyse import analyse
        from ganlab.study.analysis.readings import checked
        from ganlab.study.analysis.report import number, readers_table, share

        truth = self.stimuli.synthetic.tolist()
        rows = [
            (VISITOR, f"{k + 1}", truth[k], said, confidence, k + 1, seconds, False)
            for k, (said, confidence, seconds) in enumerate(self.answers)
        ]
        found = analyse(checked(rows, "The test"))
        mine = found["readers"][VISITOR]
        low, high = (100 * mine["accuracy"][key] for key in ("low", "high"))
        tiles = "".join(
            f"<figure class='gl-trial-{'synthetic' if synthetic else 'real'}'>"
            f"<img src='{picture(image)}' alt='{k + 1}'><figcaption>{'synthetic' if synthetic else 'real'}"
            f"{'' if said == synthetic else ', missed'}</figcaption></figure>"
            for k, (image, synthetic, (said, *_)) in enumerate(
                zip(self.stimuli.images, truth, self.answers, strict=True)
            )
        )
        return (
            f"<h3>You were right {100 * mine['accuracy']['estimate']:.0f} % of the time</h3>"
            f"<p>With {len(truth)} images that means {low:.0f} to {high:.0f} % (95 %, Wilson), and d\u2032 "
            f"{share(mine['dprime'])} with a criterion of {number(mine['criterion'])}: {words(mine)}</p>"
            f"<div class='gl-scroll'>{readers_table(found)}</div><div class='gl-trial-all'>{tiles}</div>"
        )


def words(mine: dict) -> str:
    """What one reader's numbers may be said to mean."""
    if mine["chance_p"] < 0.05:
        return "a coin would hardly do that. So much for you and these images; other readers and others may differ."
    return "a coin might do as well, which is no proof that you cannot tell: so few images could not show it."


def picture(image: np.ndarray) -> str:
    """A data address of pixels (H, W) uint8, not compressed, so that its length tells nothing."""
    from PIL import Image

    return data_address(Image.fromarray(image), compress_level=0)


class Trials(Held):
    """All of them."""

    def __init__(self):
        super().__init__(MOST, FORGET_AFTER, GONE)

    def open(self, model: str, count: int, holder: str) -> str:
        """The token of a new test. Raises InputError."""
        from ganlab.generation.mixed_images import mix_images

        if count not in COUNTS:
            raise InputError(f"A test has {', '.join(map(str, COUNTS))} images, not {count}.")
        return self.add(Trial(mix_images(model, count, secrets.randbits(32))), holder)

    def ask(self, request: dict) -> dict:
        """request: token, and to answer position, synthetic and confidence. What `Trial.frame` says, or an error."""
        try:
            trial = self.get(request.get("token"))
            trial.pulled = time.monotonic()
            with trial.lock:
                if "position" in request:
                    if not isinstance(request.get("synthetic"), bool):
                        raise InputError("Say real or synthetic.")
                    trial.answer(int(request["position"]), request["synthetic"], int(request["confidence"]))
                return trial.frame()
        except InputError as error:
            return {"error": str(error)}
        except (KeyError, TypeError, ValueError):
            return {"error": "That was no answer of this page; reload it."}


def routes(trials: Trials) -> list[Route]:
    """POST /gradio_api/ganlab/trial with a request as Trials.ask takes it, in JSON."""

    async def answer(request: Request) -> Response:
        wanted = await read_question(request, MAX_REQUEST)
        if isinstance(wanted, Response):
            return wanted
        return JSONResponse(await asyncio.to_thread(trials.ask, wanted), headers=PRIVATE)

    return [Route(f"/{ASK}", answer, methods=["POST"])]
