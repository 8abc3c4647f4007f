"""The valid answers to each kind of question, and whether an answer is correct."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ganlab.errors import InputError
from ganlab.study.design.order import Trial
from ganlab.study.design.protocol import CATCH
from ganlab.study.design.seal import StudyCase
from ganlab.study.readings import STEPS

HALF = STEPS // 2  # ratings up to here lean one way, ratings above the other
MEASUREMENTS = {  # reported by the browser beside the answer: (lowest, highest) value that is kept
    "ms": (0, 1e8),  # from the image appearing to the answer
    "first_ms": (0, 1e8),  # to the first key press or click
    "shown_ms": (0, 1e8),  # how long the image was on screen
    "changes": (0, 1e4),  # changes of the answer before it was submitted
    "away": (0, 1e4),  # times the page lost focus
    "centre": (-1e4, 1e4), "width": (0, 1e4),  # window, in grey values
    "zoom": (0.01, 1000),
    "screen": (0, 1e5),  # screen width in CSS pixels
    "ratio": (0.1, 20),  # device pixels per CSS pixel
}  # fmt: skip


def check_answer(trial: Trial, answer: object, shape: tuple[int, int]) -> dict:
    """The parts of an answer that are stored. shape: (H, W) of the images. Raises InputError for an invalid answer."""
    if not isinstance(answer, dict):
        raise InputError("This is not a valid answer.")
    checked: dict = {}
    if trial.asks == "authenticate":
        if not isinstance(answer.get("synthetic"), bool):
            raise InputError("Answer real or synthetic.")
        checked["synthetic"] = answer["synthetic"]
    if trial.asks == "choose":
        checked["chosen"] = _integer(answer, "chosen", 0, 1)
    if trial.asks == "rate":
        checked["realism"] = _integer(answer, "realism", 1, STEPS)
    if trial.asks == "mark":
        marked = answer.get("marked")
        if not isinstance(marked, list) or any(type(k) is not int or not 0 <= k < len(trial.codes) for k in marked):
            raise InputError(f"Mark images 0 to {len(trial.codes) - 1} of the panel, or none.")
        checked["marked"] = sorted(set(marked))
    if trial.asks in ("authenticate", "choose", "diagnose"):
        checked["confidence"] = _integer(answer, "confidence", 1, STEPS)
    if trial.asks == "diagnose":
        checked["place"] = _place(answer.get("place"), shape)
        if checked["place"] is None and checked["confidence"] > HALF:
            raise InputError("You answered that there is a lesion: click on it.")
    for name, (low, high) in MEASUREMENTS.items():
        value = answer.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf:
            checked[name] = round(min(max(value, low), high), 3)
    return checked


def _integer(answer: dict, name: str, low: int, high: int) -> int:
    value = answer.get(name)
    if type(value) is not int or not low <= value <= high:
        raise InputError(f"{name} is {str(value)[:20]}; it must be a whole number from {low} to {high}.")
    return value


def _place(value: object, shape: tuple[int, int]) -> list[float] | None:
    if value is None:
        return None
    pair = value if isinstance(value, list) and len(value) == 2 else []
    numbers = [v for v in pair if type(v) in (int, float)]
    if len(numbers) != 2 or not (0 <= numbers[0] <= shape[1] and 0 <= numbers[1] <= shape[0]):
        raise InputError(f"The position is outside the image of {shape[1]} x {shape[0]} pixels.")
    return [round(float(v), 2) for v in numbers]


def is_correct(trial: Trial, answer: dict, cases: Mapping[str, StudyCase]) -> bool:
    """Whether an answer is correct. A panel is correct if all of it is; a realism rating counts as its half; of a pair
    with a catch image, that one must be chosen, whatever the other is."""
    truth = [cases[code].synthetic for code in trial.codes]
    if trial.asks == "authenticate":
        return answer["synthetic"] == truth[0]
    if trial.asks == "choose" and trial.catch:
        return cases[trial.codes[answer["chosen"]]].role == CATCH
    if trial.asks == "choose":
        return truth[answer["chosen"]]
    if trial.asks == "rate":
        return (answer["realism"] <= HALF) == truth[0]
    if trial.asks == "diagnose":
        return (answer["confidence"] > HALF) == (cases[trial.codes[0]].lesion is not None)
    return answer["marked"] == [k for k, synthetic in enumerate(truth) if synthetic]
