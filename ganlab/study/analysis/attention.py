"""Did readers look? Rules that are fixed in the sealed protocol, and what equivalence requires of them.

Readers who press one key, or any key, cannot tell images apart either. A study that ends in "equivalent" must have been
able to show a difference (assay sensitivity: ICH E10, 2000, section 1.5): its readers must have found the obvious
fakes, taken the time to look, and used their keys.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ganlab.study.design.protocol import Protocol
from ganlab.study.mrmc import EQUIVALENT, INCONCLUSIVE, UNATTENTIVE
from ganlab.study.readings import Readings

LEAST_CATCHES = 4  # seen by a reader; fewer are passed by chance too often
QUICK = 0.1  # largest share of a reader's answers that may be quicker than the protocol's least time
LEAST_ABIDING = 2  # readers, and half of all


@dataclass(frozen=True)
class Attention:
    """What a reader's session shows: catch images found and seen, the share of answers that were too quick (None if
    times are unknown), the share of the more frequent of the answers real and synthetic, the entropy of answers and
    confidences in bits, and the rules that were broken, in words."""

    caught: int
    catches: int
    quick: float | None
    one_sided: float
    bits: float
    broken: tuple[str, ...]


def attention_of(readings: Readings, rules: Protocol) -> dict[str, Attention]:
    """The attention of every reader, by name. rules: catch_rate, least_s, one_sided and least_bits are used."""
    found = {}
    for name in readings.readers:
        own = readings.of(name)
        test, catches = own[~own.catch], own[own.catch]
        caught = int(catches.called.sum()), len(catches)
        found[name] = judge(caught, test.called, test.scores, test.seconds, rules, ("real", "synthetic"))
    return found


def judge(
    caught: tuple[int, int],
    sides: np.ndarray,
    keys: np.ndarray,
    seconds: np.ndarray,
    rules: Protocol,
    names: tuple[str, str],
) -> Attention:
    """The attention of a reader who found some of the catch images, (found, seen), and gave N answers: which of the two
    (N,) bool, with the names of both; which key, (N,); and after how many seconds, (N,), NaN if unknown."""
    found, seen = caught
    known = seconds[np.isfinite(seconds)]
    quick = float((known < rules.least_s).mean()) if len(known) else None
    share = float(sides.mean())
    one_sided, bits = max(share, 1 - share), entropy(keys)
    broken = []
    if seen and found < rules.catch_rate * seen:
        broken.append(f"{found} of {seen} catch images were called synthetic (at least {rules.catch_rate:.0%})")
    if quick is not None and quick > QUICK:
        broken.append(f"{quick:.0%} of the answers came within {rules.least_s:g} s (at most {QUICK:.0%})")
    if one_sided > rules.one_sided and rules.design != "ordinal":  # a rating scale has no sides
        broken.append(f"{one_sided:.0%} of the answers were {names[share > 0.5]} (at most {rules.one_sided:.0%})")
    if bits < rules.least_bits:
        broken.append(f"the answers have an entropy of {bits:.2f} bits (at least {rules.least_bits:g})")
    return Attention(found, seen, quick, one_sided, bits, tuple(broken))


def entropy(keys: np.ndarray) -> float:
    """Shannon entropy of the keys that a reader pressed, in bits."""
    _, counts = np.unique(keys, return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum()) + 0.0


def abiding(found: dict[str, Attention]) -> list[str]:
    """The readers who broke no rule."""
    return [name for name, attention in found.items() if not attention.broken]


def is_shown(found: dict[str, Attention]) -> bool:
    """Whether attention was shown: two readers and half of all broke no rule, and each of these saw enough catch
    images."""
    kept = abiding(found)
    enough = len(kept) >= max(LEAST_ABIDING, len(found) / 2)
    return enough and all(found[name].catches >= LEAST_CATCHES for name in kept)


def conclusion(everyone: dict, abiding: dict | None, shown: bool) -> str:
    """The verdict of a study from the analyses of all readers and, if some broke rules, of those who did not.

    Equivalence must hold in both, and attention must have been shown. A difference need only be found by readers who
    looked.
    """
    found = [(abiding or everyone)["verdict"], everyone["verdict"]]
    if not shown and EQUIVALENT in found:
        return UNATTENTIVE
    return INCONCLUSIVE if found[0] == EQUIVALENT != found[1] else found[0]
