"""T1 has no unit: what a reference or prediction is brought to before it is measured, air 0 and white matter 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.background import find_background, without_background
from ganlab.imaging.intensity import SAID, white_matter_level
from ganlab.imaging.volume import Volume


def without_pedestal(t1: Volume) -> tuple[Volume, tuple[str, ...]]:
    """A reference T1 with air at 0, and a notice if it was not. (The pedestal of a prediction on the task's scale is an
    error that counts.)"""
    background = find_background(t1)
    if not background.seen or abs(background.zero) <= SAID * background.range:
        return t1, ()
    notice = f"Air of the reference T1 is at {background.zero:.4g} and not at 0: this background was subtracted."
    return replace(t1, array=without_background(t1, background)), (notice,)


def level_in(t1: Volume, head: np.ndarray) -> float:
    level = white_matter_level(t1, head)
    if not level > 0:
        raise InputError(
            f"The reference has no white matter to scale it by ({level:g}): give a T1-weighted scan of a head."
        )
    return level


def checked_level(level: float, t1: Volume) -> float:
    """A given intensity of white matter, if the T1 can be divided by it."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        usable = np.isfinite(np.float32(level)) and level > 0 and np.isfinite(t1.array.max() / np.float32(level))
    if not usable:
        raise InputError(
            f"The intensity of white matter is {level:g}: give a positive number on the scale of the reference T1."
        )
    return level


def divided_by(name: str, t1: Volume, level: float, what: str) -> tuple[Volume, tuple[str, ...]]:
    """The T1 over an intensity of white matter, and a notice that says so."""
    factor = np.float32(level)
    notice = f"The {name} T1 was divided by {factor:.5g}, {what}: T1 has no unit."
    return replace(t1, array=t1.array.astype(np.float32) / factor), () if factor == 1 else (notice,)
