"""The questions of a reader and their order, which does not depend on which kind of image is the synthetic one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ganlab.study.design.protocol import CATCH, FINDING, PRACTICE, TEST, Protocol
from ganlab.study.design.seal import Sealed, StudyCase

LAG = 20  # least number of other images between an image and its repeat
BLOCKS = (4, 6, 8)  # block sizes of the permuted blocks; which size comes when is random
PANEL = 9  # images of a mosaic
START_MS, DOWN_MS, UP_MS, SHORTEST_MS, LONGEST_MS = 500, 10, 30, 30, 1000  # exposures of the staircase


@dataclass(frozen=True)
class Trial:
    """One question. asks: authenticate, choose (the synthetic one of two), rate, mark (the synthetic ones) or diagnose.
    repeat: whether the same question was asked before."""

    asks: str
    block: str
    codes: tuple[str, ...]
    repeat: bool = False
    catch: bool = False


def plan(sealed: Sealed, reader: int) -> list[Trial]:
    """The questions of a reader (0, 1, ...) in order. Readers 2k and 2k + 1 see the test in opposite orders, and pairs
    of alternatives with sides swapped, so that neither position nor time favours an image."""
    protocol, cases = sealed.protocol, sealed.cases
    rng = np.random.default_rng([sealed.seed, 1, reader // 2])
    mirrored = bool(reader % 2)
    tested = [case for case in cases if case.role == TEST]
    practice = permuted([case for case in cases if case.role == PRACTICE], rng)
    trials = [Trial(_asks(protocol.design), PRACTICE, (case.code,)) for case in practice]
    if protocol.design == "2afc":
        trials = [Trial("choose", PRACTICE, pair) for pair in shuffled_pairs(pairs(practice, rng), rng)]
        common = pairs(tested, np.random.default_rng([sealed.seed, 2]))  # the same pairs for all readers
        test = [Trial("choose", TEST, pair[::-1] if mirrored else pair) for pair in shuffled_pairs(common, rng)]
    elif protocol.design == "mosaic":
        trials = [Trial("mark", PRACTICE, tuple(case.code for case in practice))] if practice else []
        codes = [case.code for case in permuted(tested, rng)]
        panels = np.array_split(codes, -(-len(codes) // PANEL))
        test = [Trial("mark", TEST, tuple(map(str, panel))) for panel in panels]
    else:
        test = [Trial(_asks(protocol.design), TEST, (case.code,)) for case in permuted(tested, rng)]
    if mirrored:
        test.reverse()
    if protocol.design == "diagnose":
        order = rng.permutation(len(tested))
        diagnoses = [Trial("diagnose", FINDING, (tested[k].code,)) for k in (order[::-1] if mirrored else order)]
        trials = diagnoses + trials  # lesions come first, so that readers are not primed by "real or synthetic"
    catches: list[tuple[str, ...]] = [(case.code,) for case in cases if case.role == CATCH]
    if protocol.design == "2afc":  # beside images whose truth was told; neither side nor image depends on it
        told = [case.code for case in cases if case.role == PRACTICE]
        catches = [(*code, told[int(rng.integers(len(told)))])[:: 1 if rng.random() < 0.5 else -1] for code in catches]
    return trials + with_extras(test, catches, protocol.repeats, rng)


def _asks(design: str) -> str:
    return "rate" if design == "ordinal" else "authenticate"


def kinds(cases: list[StudyCase]) -> tuple[list[StudyCase], list[StudyCase]]:
    """Cases of the same kind as the first case, and those of the other kind. Two studies with opposite truths get the
    same lists, and hence the same order."""
    first = bool(cases) and cases[0].synthetic
    return [case for case in cases if case.synthetic == first], [case for case in cases if case.synthetic != first]


def permuted(cases: list[StudyCase], rng: np.random.Generator) -> list[StudyCase]:
    """Cases in random blocks of 4, 6 or 8, each with its share of both kinds."""
    a, b = kinds(cases)
    rng.shuffle(a)
    rng.shuffle(b)
    order: list[StudyCase] = []
    share, offset, taken = len(a) / max(1, len(cases)), rng.random(), 0
    while a or b:
        size = min(int(rng.choice(BLOCKS)), len(a) + len(b))
        from_a = int((len(order) + size) * share + offset) - taken
        from_a = max(size - len(b), min(from_a, len(a), size))
        taken += from_a
        block = [a.pop() for _ in range(from_a)] + [b.pop() for _ in range(size - from_a)]
        order += [block[k] for k in rng.permutation(len(block))]
    return order


def pairs(cases: list[StudyCase], rng: np.random.Generator) -> list[tuple[str, str]]:
    """Codes of one real and one synthetic image each, from the same stratum as far as possible."""
    sides = kinds(cases)
    for side in sides:
        rng.shuffle(side)
    matched: list[tuple[str, str]] = []
    left: tuple[list[str], list[str]] = ([], [])
    for stratum in sorted({case.stratum for case in cases}):
        codes = [[case.code for case in side if case.stratum == stratum] for side in sides]
        both = min(map(len, codes))
        matched += zip(codes[0][:both], codes[1][:both], strict=True)
        for rest, side_codes in zip(left, codes, strict=True):
            rest.extend(side_codes[both:])
    return matched + list(zip(*left, strict=False))


def shuffled_pairs(matched: list[tuple[str, str]], rng: np.random.Generator) -> list[tuple[str, str]]:
    """Pairs in random order, half of them with sides swapped."""
    order, swap = rng.permutation(len(matched)), rng.permutation(np.arange(len(matched)) % 2)
    return [matched[k][::-1] if swapped else matched[k] for k, swapped in zip(order, swap, strict=True)]


def with_extras(
    trials: list[Trial], catches: Sequence[tuple[str, ...]], share: float, rng: np.random.Generator
) -> list[Trial]:
    """Trials with catch images, or pairs with one, at random places and a share of the questions repeated at least LAG
    questions later."""
    n = len(trials)
    keyed = [(float(k), trial) for k, trial in enumerate(trials)]
    first = np.arange(max(0, n - LAG))
    for k in rng.permutation(first)[: round(share * n)]:
        repeated = Trial(trials[k].asks, trials[k].block, trials[k].codes, repeat=True)
        keyed.append((float(rng.uniform(k + LAG, n)), repeated))
    for codes in catches:
        keyed.append((float(rng.uniform(0, n)), Trial(trials[0].asks, TEST, codes, catch=True)))
    return [trial for _, trial in sorted(keyed, key=lambda item: item[0])]


def exposure_ms(protocol: Protocol, correct: list[bool]) -> int:
    """Milliseconds for which the next image is shown; 0 means no limit. correct: whether each answer of the test so far
    was; only the staircase uses it.

    Steps of 10 ms down after a correct answer and 30 ms up after a wrong one converge to 75 % correct (Kaernbach,
    Perception & Psychophysics 49:227, 1991). The reverse, as HYPE's steps are often quoted, would converge to 25 %,
    below chance, so that every reader would end at the shortest exposure.
    """
    if protocol.design != "staircase":
        return round(1000 * protocol.limit_s)
    exposure = START_MS
    for was_correct in correct:
        exposure = max(SHORTEST_MS, exposure - DOWN_MS) if was_correct else min(LONGEST_MS, exposure + UP_MS)
    return exposure
