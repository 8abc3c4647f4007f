"""The generators that are shipped with ganlab, by their cards; does not need torch."""

from __future__ import annotations

from collections import Counter

from ganlab.checkpoints import list_models

TASK = "generate"
FIRST = "dcgan-nodules"  # listed first, if it is there


def generator_names() -> list[str]:
    """Names of the shipped generators from noise."""
    names = [card["name"] for card in list_models(TASK)]
    return sorted(names, key=lambda name: (name != FIRST, name))


def generator_titles() -> dict[str, str]:
    """Name -> title of each: the card's summary up to the first comma, followed by the name if others have the same."""
    short = {card["name"]: card["summary"].split(",")[0] for card in list_models(TASK)}
    counts = Counter(short.values())
    return {
        name: short[name] if counts[short[name]] == 1 else f"{short[name]}: {name}" for name in generator_names()
    }  # fmt: skip
