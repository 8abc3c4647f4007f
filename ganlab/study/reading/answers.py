"""What a reader may say to each kind of question, and what a study's answers say when the truth is known."""

from __future__ import annotations

import json
import math

import numpy as np

from ganlab.errors import InputError
from ganlab.study.analysis.readings import STEPS, Readings, checked
from ganlab.study.design.protocol import FINDING, LONGEST_MS, SHORTEST_MS, TEST, Case, Sealed, Trial, exposure_ms, plan

NUMBERS = {  # what a browser reports beside the answer -> the least and the most of it
    "ms": (0, 1e8),  # from the image on the screen to the answer
    "first_ms": (0, 1e8),  # to the first key or click
    "shown_ms": (0, 1e8),  # that the image was on the screen
    "changes": (0, 1e4),  # of the answer before it was given
    "away": (0, 1e4),  # times that the page was left
    "centre": (-1e4, 1e4), "width": (0, 1e4),  # the window, in grey values
    "zoom": (0.01, 1000),
    "screen": (0, 1e5),  # CSS pixels across
    "ratio": (0.1, 20),  # device pixels per CSS pixel
}  # fmt: skip


def check_answer(trial: Trial, said: dict, shape: tuple[int, int]) -> dict:
    """What counts of an answer to a question about images of a shape (H, W). Raises InputError for no answer."""
    if not isinstance(said, dict):
        raise InputError("That was no answer.")
    found: dict = {}
    if trial.asks == "authenticate":
        if not isinstance(said.get("synthetic"), bool):
            raise InputError("Say real or synthetic.")
        found["synthetic"] = said["synthetic"]
    if trial.asks == "choose":
        found["chosen"] = _whole(said, "chosen", 0, 1)
    if trial.asks == "rate":
        found["realism"] = _whole(said, "realism", 1, STEPS)
    if trial.asks == "mark":
        marked = said.get("marked")
        if not isinstance(marked, list) or any(type(k) is not int or not 0 <= k < len(trial.codes) for k in marked):
            raise InputError(f"Mark images 0 to {len(trial.codes) - 1} of the panel, or none.")
        found["marked"] = sorted(set(marked))
    if trial.asks in ("authenticate", "choose", "diagnose"):
        found["confidence"] = _whole(said, "confidence", 1, STEPS)
    if trial.asks == "diagnose":
        found["place"] = _place(said.get("place"), shape)
        if found["place"] is None and found["confidence"] > STEPS // 2:
            raise InputError("You say there is a lesion: click where.")
    for name, (low, high) in NUMBERS.items():
        value = said.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf:
            found[name] = round(min(max(value, low), high), 3)
    return found


def _whole(said: dict, name: str, low: int, high: int) -> int:
    value = said.get(name)
    if type(value) is not int or not low <= value <= high:
        raise InputError(f"{name} is {str(value)[:20]}; it is a whole number from {low} to {high}.")
    return value


def _place(value, shape: tuple[int, int]) -> list[float] | None:
    if value is None:
        return None
    good = isinstance(value, list) and len(value) == 2 and all(type(v) in (int, float) for v in value)
    if not good or not (0 <= value[0] <= shape[1] and 0 <= value[1] <= shape[0]):
        raise InputError(f"The place is not within the image of {shape[1]} x {shape[0]} pixels.")
    return [round(float(v), 2) for v in value]


def right(trial: Trial, said: dict, cases: dict[str, Case]) -> bool:
    """Whether an answer was right; of a panel, whether all of it was; of realism, whether its half was."""
    truth = [cases[code].synthetic for code in trial.codes]
    if trial.asks == "authenticate":
        return said["synthetic"] == truth[0]
    if trial.asks == "choose":
        return truth[said["chosen"]]
    if trial.asks == "rate":
        return (said["realism"] <= STEPS // 2) == truth[0]
    if trial.asks == "diagnose":
        return (said["confidence"] > STEPS // 2) == (cases[trial.codes[0]].lesion is not None)
    return said["marked"] == [k for k, synthetic in enumerate(truth) if synthetic]


def judged(trial: Trial, said: dict) -> list[tuple[str, bool, int]]:
    """(code, called synthetic, confidence 1 to 6) of each image that an answer judges.

    Of two images one is called synthetic and the other real, equally surely. Realism 1, 2, 3 is synthetic with
    confidence 6, 4, 2, and 4, 5, 6 real with 2, 4, 6: the order is kept, which is all that an area is made of. A mark
    has no confidence, and counts as 1 throughout.
    """
    if trial.asks == "authenticate":
        return [(trial.codes[0], said["synthetic"], said["confidence"])]
    if trial.asks == "choose":
        return [(code, k == said["chosen"], said["confidence"]) for k, code in enumerate(trial.codes)]
    if trial.asks == "rate":
        apart = 2 * said["realism"] - 7  # -5, -3, ..., 5
        return [(trial.codes[0], apart < 0, abs(apart) + 1)]
    if trial.asks == "mark":
        return [(code, k in said["marked"], 1) for k, code in enumerate(trial.codes)]
    return []


def reader_name(number: int) -> str:
    return f"reader-{number + 1:02d}"


def readings(sealed: Sealed, rows: list[dict]) -> Readings:
    """The test's answers as a table; without practice and catch images. Raises InputError if there are none."""
    cases, found = sealed.by_code(), []
    plans = {number: plan(sealed, number) for number in {row["reader"] for row in rows}}
    for row in rows:
        trial, said = plans[row["reader"]][row["position"]], json.loads(row["said"])
        if trial.block != TEST or trial.catch:
            continue
        seconds = said["ms"] / 1000 if "ms" in said else math.nan
        for code, called, sure in judged(trial, said):
            reader = reader_name(row["reader"])
            found.append(
                (reader, code, cases[code].synthetic, called, sure, row["position"] + 1, seconds, trial.repeat)
            )
    return checked(found, "The study")


def attention(sealed: Sealed, rows: list[dict]) -> dict[str, tuple[int, int]]:
    """Catch images that each reader has seen: (rightly called synthetic, seen)."""
    cases, found = sealed.by_code(), {}
    plans = {number: plan(sealed, number) for number in {row["reader"] for row in rows}}
    for row in rows:
        trial = plans[row["reader"]][row["position"]]
        if trial.catch:
            good, seen = found.get(reader_name(row["reader"]), (0, 0))
            found[reader_name(row["reader"])] = good + right(trial, json.loads(row["said"]), cases), seen + 1
    return found


def choices(sealed: Sealed, rows: list[dict]) -> dict | None:
    """Of two alternatives: each reader's share of right choices and d' = sqrt 2 z(share), half a choice added on either
    side (Macmillan and Creelman, Detection Theory, chapter 7); and the mean share with readers and pairs random, as
    Obuchowski and Rockette average any figure of merit. None in other designs."""
    from scipy.stats import norm

    from ganlab.study.analysis.statistics import proportion, reader_average, verdict

    if sealed.protocol.design != "2afc":
        return None
    cases, tables = sealed.by_code(), {}
    for number in sorted({row["reader"] for row in rows}):
        trials = plan(sealed, number)
        mine = [(trials[row["position"]], json.loads(row["said"])) for row in rows if row["reader"] == number]
        good = {frozenset(t.codes): right(t, said, cases) for t, said in mine if t.block == TEST and not t.repeat}
        if good:
            tables[reader_name(number)] = good
    readers = {}
    for name, good in tables.items():
        count, of = sum(good.values()), len(good)
        share = proportion(count, of)
        d = math.sqrt(2) * norm.ppf((count + 0.5) / (of + 1))
        readers[name] = {"right": count, "of": of, "share": share.estimate, "low": share.low, "high": share.high,
                         "d_prime": float(d)}  # fmt: skip
    common = sorted(set.intersection(*(set(good) for good in tables.values())), key=sorted) if tables else []
    average = found = None
    if len(tables) > 1 and len(common) > 1:
        table = np.array([[good[pair] for pair in common] for good in tables.values()], float)
        covariances = np.cov(table) / len(common)
        cov2 = float(covariances[~np.eye(len(table), dtype=bool)].mean())
        found = reader_average(table.mean(1), cov2)
    if found:
        wide, narrow = found.interval(), found.interval(0.9)
        average = {"share": found.area, "low": wide.low, "high": wide.high, "low_90": narrow.low,
                   "high_90": narrow.high, "p": found.p, "pairs": len(common),
                   "verdict": verdict(found, sealed.protocol.margin)}  # fmt: skip
    pairs = [
        (name, *sorted(pair, key=lambda code: not cases[code].synthetic), int(hit))
        for name, good in tables.items()
        for pair, hit in sorted(good.items(), key=lambda item: sorted(item[0]))
    ]
    return {"readers": readers, "average": average, "pairs": pairs}


def findings(sealed: Sealed, rows: list[dict]) -> dict | None:
    """Of diagnoses: for real and for synthetic images, the mean over readers of the area by which lesions are told from
    none, and the share of lesions called and placed within their radius; None where nothing was diagnosed."""
    from ganlab.study.analysis.statistics import area

    cases = sealed.by_code()
    per_arm: dict[str, dict[str, list]] = {"real": {}, "synthetic": {}}
    for number in sorted({row["reader"] for row in rows}):
        trials = plan(sealed, number)
        for row in (row for row in rows if row["reader"] == number):
            trial, said = trials[row["position"]], json.loads(row["said"])
            if trial.block == FINDING:
                case = cases[trial.codes[0]]
                arm = per_arm["synthetic" if case.synthetic else "real"]
                arm.setdefault(reader_name(number), []).append((case.lesion, said["confidence"], said["place"]))
    if not any(per_arm.values()):
        return None
    found = {}
    for arm, readers in per_arm.items():
        areas, placed = [], []
        for mine in readers.values():
            there = np.array([lesion is not None for lesion, *_ in mine])
            if 0 < there.sum() < len(there):
                areas.append(area(np.array([sure for _, sure, _ in mine], float), there))
            placed += [_hit(*each) for each in mine if each[0]]
        found[arm] = {
            "area": float(np.mean(areas)) if areas else None, "readers": len(readers),
            "placed": sum(placed), "lesions": len(placed),
        }  # fmt: skip
    return found


def _hit(lesion, confidence: int, place: list[float] | None) -> bool:
    if confidence <= STEPS // 2 or place is None:
        return False
    return math.hypot(place[0] - lesion.x, place[1] - lesion.y) <= lesion.radius


def staircase(sealed: Sealed, rows: list[dict]) -> dict[str, dict]:
    """Of a staircase, by reader: the "share" of right answers in its last half, and "ms", the mean exposure at its
    turns there, if that share is what a staircase settles at, 0.65 to 0.85, and no exposure was at its bounds; else
    None: who guesses, or is right at any exposure, has no threshold. Repeats do not count."""
    cases, found = sealed.by_code(), {}
    if sealed.protocol.design != "staircase":
        return found
    for number in sorted({row["reader"] for row in rows}):
        trials, good, told = plan(sealed, number), [], []
        for row in (row for row in rows if row["reader"] == number):
            trial = trials[row["position"]]
            if trial.block == TEST:
                good.append(right(trial, json.loads(row["said"]), cases))
                told.append(not trial.repeat)
        shown = [exposure_ms(sealed.protocol, good[:k]) for k in range(len(good))]
        last = range(len(good) // 2, len(good))
        counted = [good[k] for k in last if told[k]]
        turns = [shown[k] for k in last if k and good[k] != good[k - 1]]
        if not counted:
            continue
        share = sum(counted) / len(counted)
        inside = all(SHORTEST_MS < shown[k] < LONGEST_MS for k in last)
        settled = 0.65 <= share <= 0.85 and inside and len(turns) > 3
        found[reader_name(number)] = {"share": share, "ms": float(np.mean(turns)) if settled else None}
    return found
