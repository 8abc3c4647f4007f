"""Scoring the answers of a study against its truth: readings, catch images, alternatives, lesions and the staircase."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

import numpy as np
from scipy import stats

from ganlab.study.analysis.attention import Attention, abiding, conclusion, is_shown, judge
from ganlab.study.design.order import LONGEST_MS, SHORTEST_MS, Trial, exposure_ms, plan
from ganlab.study.design.protocol import CATCH, FINDING, TEST
from ganlab.study.design.seal import Sealed
from ganlab.study.design.truth import LesionMark
from ganlab.study.mrmc import reader_average, verdict
from ganlab.study.reading.answers import HALF, is_correct
from ganlab.study.readings import Readings, Row, checked, reader_name
from ganlab.study.statistics import area, proportion

SETTLED = (0.65, 0.85)  # share of correct answers around the 75 % that a staircase converges to


@dataclass(frozen=True)
class Answered:
    """A stored answer with its question. number: the reader, from 0; position: place in the session, from 0."""

    number: int
    position: int
    trial: Trial
    answer: dict

    @property
    def reader(self) -> str:
        return reader_name(self.number)


def answered(sealed: Sealed, rows: list[dict]) -> list[Answered]:
    """Database rows of answers with their questions, in the same order."""
    plans = {number: plan(sealed, number) for number in {row["reader"] for row in rows}}
    return [
        Answered(row["reader"], row["position"], plans[row["reader"]][row["position"]], json.loads(row["said"]))
        for row in rows
    ]


def judgements(trial: Trial, answer: dict) -> list[tuple[str, bool, int]]:
    """(code, whether called synthetic, confidence 1 to 6) for each image that an answer judges.

    Of two alternatives, one is called synthetic and the other real with the same confidence. Realism 1, 2, 3 becomes
    synthetic with confidence 6, 4, 2, and realism 4, 5, 6 becomes real with 2, 4, 6, which keeps the order that an area
    depends on. Marks in a panel have no confidence and count as 1.
    """
    if trial.asks == "authenticate":
        return [(trial.codes[0], answer["synthetic"], answer["confidence"])]
    if trial.asks == "choose":
        return [(code, k == answer["chosen"], answer["confidence"]) for k, code in enumerate(trial.codes)]
    if trial.asks == "rate":
        signed = 2 * answer["realism"] - 7  # -5, -3, ..., 5
        return [(trial.codes[0], signed < 0, abs(signed) + 1)]
    if trial.asks == "mark":
        return [(code, k in answer["marked"], 1) for k, code in enumerate(trial.codes)]
    return []


def score_readings(sealed: Sealed, rows: list[dict]) -> Readings:
    """The answers of the test, without practice, as a table; with catch images if the protocol has rules for attention.
    Raises InputError if there are none."""
    cases = sealed.by_code()
    readings: list[Row] = []
    for each in answered(sealed, rows):
        catch = each.trial.catch
        if each.trial.block != TEST or (catch and not sealed.protocol.rules):
            continue
        seconds = each.answer["ms"] / 1000 if "ms" in each.answer else math.nan
        for code, called, confidence in judgements(each.trial, each.answer):
            if catch and cases[code].role != CATCH:
                continue  # the other one of a pair, whose truth was told
            truth, patient = cases[code].synthetic, cases[code].patient
            place, repeat = each.position + 1, each.trial.repeat
            readings.append(Row(each.reader, code, truth, called, confidence, place, seconds, repeat, patient, catch))
    return checked(readings, "The study")


def score_catches(sealed: Sealed, rows: list[dict]) -> dict[str, tuple[int, int]]:
    """For each reader (catch images called synthetic, catch images seen)."""
    cases = sealed.by_code()
    scores: dict[str, tuple[int, int]] = {}
    for each in answered(sealed, rows):
        if each.trial.catch:
            correct, seen = scores.get(each.reader, (0, 0))
            scores[each.reader] = correct + is_correct(each.trial, each.answer, cases), seen + 1
    return scores


def score_choices(sealed: Sealed, rows: list[dict]) -> dict | None:
    """Results of a study of two alternatives; None for other designs.

    "readers": each reader's share of correct choices and d' = sqrt 2 z(share), with half a choice added on either side
    (Macmillan and Creelman, Detection Theory, chapter 7). "average": the mean share with readers and pairs as random
    samples, averaged as Obuchowski and Rockette average any figure of merit; None for fewer than two readers or common
    pairs. "pairs": (reader, synthetic, real, 1 if correct) for each choice.
    """
    if sealed.protocol.design != "2afc":
        return None
    cases = sealed.by_code()
    tables: dict[str, dict[frozenset[str], bool]] = {}  # reader -> pair -> correct
    for each in sorted(answered(sealed, rows), key=lambda each: each.number):
        if each.trial.block == TEST and not (each.trial.repeat or each.trial.catch):
            correct = is_correct(each.trial, each.answer, cases)
            tables.setdefault(each.reader, {})[frozenset(each.trial.codes)] = correct
    pairs = [
        (name, *sorted(pair, key=lambda code: not cases[code].synthetic), int(correct))
        for name, table in tables.items()
        for pair, correct in sorted(table.items(), key=lambda item: sorted(item[0]))
    ]
    attention, margin = attention_of_choices(sealed, rows), sealed.protocol.margin
    average, kept_average = _average_choice(tables, margin), None
    kept = {name: table for name, table in tables.items() if name in abiding(attention)}
    if len(kept) < len(tables):
        kept_average = _average_choice(kept, margin)
    if average:
        final = conclusion(average, kept_average, is_shown(attention))
        average |= {"verdict": final, "alone": average["verdict"]}
    return {
        "readers": {name: _choices_of(table) for name, table in tables.items()},
        "attention": {name: asdict(found) for name, found in attention.items()},
        "average": average,
        "abiding": kept_average and kept_average | {"readers": sorted(kept)},
        "pairs": pairs,
    }


def attention_of_choices(sealed: Sealed, rows: list[dict]) -> dict[str, Attention]:
    """The attention of every reader of a study of two alternatives, by name."""
    cases = sealed.by_code()
    of_reader: dict[str, list[Answered]] = {}
    for each in answered(sealed, rows):
        if each.trial.block == TEST:
            of_reader.setdefault(each.reader, []).append(each)
    found = {}
    for name, own in sorted(of_reader.items()):
        caught = [is_correct(each.trial, each.answer, cases) for each in own if each.trial.catch]
        test = [each.answer for each in own if not each.trial.catch]
        right = np.array([answer["chosen"] == 1 for answer in test], bool)
        sure = np.array([answer["confidence"] for answer in test])
        seconds = np.array([answer.get("ms", math.nan) / 1000 for answer in test])
        if test:
            keys = np.where(right, sure, -sure)
            caught_of = sum(caught), len(caught)
            found[name] = judge(caught_of, right, keys, seconds, sealed.protocol, ("on the left", "on the right"))
    return found


def _choices_of(table: dict[frozenset[str], bool]) -> dict:
    correct, of = sum(table.values()), len(table)
    share = proportion(correct, of)
    d_prime = math.sqrt(2) * stats.norm.ppf((correct + 0.5) / (of + 1))
    return {
        "right": correct, "of": of, "share": share.estimate, "low": share.low, "high": share.high,
        "d_prime": float(d_prime),
    }  # fmt: skip


def _average_choice(tables: dict[str, dict[frozenset[str], bool]], margin: float) -> dict | None:
    common = sorted(set.intersection(*(set(table) for table in tables.values())), key=sorted) if tables else []
    if len(tables) < 2 or len(common) < 2:
        return None
    correct = np.array([[table[pair] for pair in common] for table in tables.values()], float)  # (readers, pairs)
    covariances = np.cov(correct) / len(common)
    cov2 = float(covariances[~np.eye(len(correct), dtype=bool)].mean())
    average = reader_average(correct.mean(1), cov2)
    wide, narrow = average.interval(), average.interval(0.9)
    return {
        "share": average.area, "low": wide.low, "high": wide.high, "low_90": narrow.low, "high_90": narrow.high,
        "p": average.p, "pairs": len(common), "verdict": verdict(average, margin),
    }  # fmt: skip


def score_lesions(sealed: Sealed, rows: list[dict]) -> dict | None:
    """For real and for synthetic images: the mean over readers of the area for telling lesions from none, and how many
    lesions were called and located within their radius. None if nothing was diagnosed."""
    cases = sealed.by_code()
    arms: dict[str, dict[str, list]] = {"real": {}, "synthetic": {}}  # arm -> reader -> (lesion, confidence, place)
    for each in answered(sealed, rows):
        if each.trial.block == FINDING:
            case = cases[each.trial.codes[0]]
            of_reader = arms["synthetic" if case.synthetic else "real"].setdefault(each.reader, [])
            of_reader.append((case.lesion, each.answer["confidence"], each.answer["place"]))
    if not any(arms.values()):
        return None
    return {arm: _lesions_of(list(by_reader.values())) for arm, by_reader in arms.items()}


def _lesions_of(diagnoses: list[list[tuple[LesionMark | None, int, list[float] | None]]]) -> dict:
    """diagnoses: for each reader (lesion, confidence, place) of each image."""
    areas: list[float] = []
    located: list[bool] = []
    for of_reader in diagnoses:
        has_lesion = np.array([lesion is not None for lesion, *_ in of_reader])
        if 0 < has_lesion.sum() < len(has_lesion):
            areas.append(area(np.array([confidence for _, confidence, _ in of_reader], float), has_lesion))
        located += [is_located(lesion, confidence, place) for lesion, confidence, place in of_reader if lesion]
    return {
        "area": float(np.mean(areas)) if areas else None, "readers": len(diagnoses),
        "placed": sum(located), "lesions": len(located),
    }  # fmt: skip


def is_located(lesion: LesionMark, confidence: int, place: list[float] | None) -> bool:
    """Whether a reader called a lesion and clicked within its radius."""
    if confidence <= HALF or place is None:
        return False
    return math.hypot(place[0] - lesion.x, place[1] - lesion.y) <= lesion.radius


def score_staircase(sealed: Sealed, rows: list[dict]) -> dict[str, dict]:
    """For each reader of a staircase: "share", the share of correct answers in the last half, and "ms", the mean
    exposure at the reversals there. Repeats do not count.

    "ms" is None unless the share is near the 75 % that a staircase converges to and no exposure reached its bounds: a
    reader who guesses, or is correct at any exposure, has no threshold.
    """
    scores: dict[str, dict] = {}
    if sealed.protocol.design != "staircase":
        return scores
    cases = sealed.by_code()
    tested: dict[str, list[tuple[bool, bool]]] = {}  # reader -> (correct, first showing) of each answer
    for each in sorted(answered(sealed, rows), key=lambda each: each.number):
        if each.trial.block == TEST:
            correct = is_correct(each.trial, each.answer, cases)
            tested.setdefault(each.reader, []).append((correct, not each.trial.repeat))
    for reader, answers in tested.items():
        correct_so_far = [correct for correct, _ in answers]
        exposures = [exposure_ms(sealed.protocol, correct_so_far[:k]) for k in range(len(answers))]
        last = range(len(answers) // 2, len(answers))
        counted = [answers[k][0] for k in last if answers[k][1]]
        reversals = [exposures[k] for k in last if k and answers[k][0] != answers[k - 1][0]]
        if not counted:
            continue
        share = sum(counted) / len(counted)
        within_bounds = all(SHORTEST_MS < exposures[k] < LONGEST_MS for k in last)
        settled = SETTLED[0] <= share <= SETTLED[1] and within_bounds and len(reversals) > 3
        scores[reader] = {"share": share, "ms": float(np.mean(reversals)) if settled else None}
    return scores
