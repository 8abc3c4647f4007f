"""Building a study: random codes and roles for its images, and the seal over all of it."""

from __future__ import annotations

import secrets

import numpy as np

from ganlab.errors import InputError
from ganlab.study.design.protocol import CATCH, PRACTICE, TEST, Protocol, with_dates
from ganlab.study.design.seal import Sealed, StudyCase, digest
from ganlab.study.design.stimuli import Stimuli

LEAST_TESTED = 5  # images of either kind that must be left for the test
WITH_CATCH = ("yes-no", "2afc", "ordinal", "diagnose")  # designs that can show catch images


def build(protocol: Protocol, stimuli: Stimuli) -> tuple[Sealed, dict[str, np.ndarray]]:
    """(what is sealed, images by code) of a new study. Codes, seed and roles are random and differ between studies.

    Practice images are taken from both kinds in turn. A catch image is a practice image, whose truth readers are told
    anyway, with its tiles shuffled. Without practice it is any image of the test, of either kind, so that its tiles
    reveal nothing. Of two alternatives the other one is an image of the practice, so that without practice there are no
    catches. Raises InputError if too few images are left for the test, or if a study of lesions has no image
    with one or no image without.
    """
    protocol = with_dates(protocol)
    if protocol.design == "diagnose" and not (any(stimuli.lesions) and not all(stimuli.lesions)):
        raise InputError(
            "Diagnosing needs images with a lesion and images without: give lesion_x, lesion_y and lesion_radius in "
            "the truth table."
        )
    seed, nonce = secrets.randbits(63), secrets.token_hex(32)
    rng = np.random.default_rng([seed, 0])
    order = rng.permutation(len(stimuli))
    practice = _practice(protocol, stimuli, order)
    codes = iter(_codes(rng, len(stimuli) + protocol.catch))
    cases, images = [], {}
    for k in range(len(stimuli)):
        case = StudyCase(
            next(codes), bool(stimuli.synthetic[k]), PRACTICE if k in practice else TEST, stimuli.strata[k],
            stimuli.sources[k], stimuli.lesions[k] if stimuli.lesions else None,
            stimuli.patients[k] if stimuli.patients else "",
        )  # fmt: skip
        cases.append(case)
        images[case.code] = stimuli.images[k]
    pool = practice or [int(k) for k in order]
    catches = protocol.design in WITH_CATCH and (practice or protocol.design != "2afc")
    for k in range(protocol.catch if catches else 0):
        case = StudyCase(next(codes), True, CATCH)
        cases.append(case)
        images[case.code] = shuffled_tiles(stimuli.images[pool[k % len(pool)]], rng)
    cases.sort(key=lambda case: case.code)
    pixels = {code: digest(image) for code, image in images.items()}
    return Sealed(protocol, tuple(cases), pixels, seed, nonce), images


def _practice(protocol: Protocol, stimuli: Stimuli, order: np.ndarray) -> list[int]:
    """Indices of the practice images, real and synthetic in turn. Raises InputError if too few images are left."""
    arms = [[int(k) for k in order if stimuli.synthetic[k] == arm] for arm in (False, True)]
    if any(len(arm) - (protocol.practice + 1 - k) // 2 < LEAST_TESTED for k, arm in enumerate(arms)):
        raise InputError(f"{len(stimuli)} images minus {protocol.practice} for practice are too few; give more images.")
    practice = [arms[k % 2].pop() for k in range(protocol.practice)]
    if protocol.design == "diagnose" and len({stimuli.lesions[k] is None for arm in arms for k in arm}) < 2:
        raise InputError(
            "Practice would use the last image with a lesion, or the last without; give more images or less practice."
        )
    return practice


def shuffled_tiles(image: np.ndarray, rng: np.random.Generator, tiles: int = 6) -> np.ndarray:
    """An image (H, W) cut into tiles x tiles pieces in a random order; a remainder at the edges stays in place."""
    h, w = (side // tiles for side in image.shape)
    corners = [(i * h, j * w) for i in range(tiles) for j in range(tiles)]
    result = image.copy()
    for (i, j), k in zip(corners, rng.permutation(len(corners)), strict=True):
        a, b = corners[k]
        result[i : i + h, j : j + w] = image[a : a + h, b : b + w]
    return result


def _codes(rng: np.random.Generator, count: int) -> list[str]:
    """Distinct codes of 8 characters; the leading letter keeps spreadsheets from reading them as numbers."""
    return [f"c{value:07x}" for value in rng.choice(2**28, count, replace=False)]
