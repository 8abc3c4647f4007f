"""The leaderboard of a race: pseudonyms, correct answers and times."""

from __future__ import annotations

import json

import numpy as np

from ganlab.study.design.order import plan
from ganlab.study.design.protocol import TEST
from ganlab.study.design.seal import Sealed
from ganlab.study.reading.answers import is_correct

COLOURS = ("Blue", "Amber", "Green", "Copper", "Violet", "Silver", "Crimson", "Ivory")
ANIMALS = (
    "Otter", "Heron", "Lynx", "Badger", "Finch", "Marten", "Stork", "Hare", "Newt", "Raven", "Seal", "Wren", "Mole",
    "Swift", "Adder", "Crane",
)  # fmt: skip
NAMES = len(COLOURS) * len(ANIMALS)


def nickname(sealed: Sealed, number: int) -> str:
    """Pseudonym of a reader (0, 1, ...), such as "Amber Heron"; unique within a study."""
    pick = np.random.default_rng([sealed.seed, 3]).permutation(NAMES)[number % NAMES]
    name = f"{COLOURS[pick // len(ANIMALS)]} {ANIMALS[pick % len(ANIMALS)]}"
    return name if number < NAMES else f"{name} {number // NAMES + 1}"


def standings(sealed: Sealed, rows: list[dict]) -> list[dict]:
    """Name, correct answers ("right") of all answers ("of") and seconds of each reader; best first, then fastest."""
    cases, scores = sealed.by_code(), []
    for number in sorted({row["reader"] for row in rows}):
        trials = plan(sealed, number)
        own = [(trials[row["position"]], json.loads(row["said"])) for row in rows if row["reader"] == number]
        counted = [(trial, answer) for trial, answer in own if trial.block == TEST]
        seconds = sum(answer.get("ms", 0) for _, answer in counted) / 1000
        scores.append({
            "name": nickname(sealed, number),
            "right": sum(is_correct(trial, answer, cases) for trial, answer in counted),
            "of": len(counted),
            "seconds": round(seconds),
        })  # fmt: skip
    return sorted(scores, key=lambda score: (-score["right"], score["seconds"]))
