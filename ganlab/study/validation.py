"""Are the claims of a study right as often as they say? Simulated studies whose truth is known.

Lazy readers, who do not look, must not make a study end in "equivalent". Slices of few patients must not make readers
at chance distinguishable more often than in 5 % of studies, and intervals must contain the true area in 95 %. The
simulator is independent of the planner's (`design.simulation`): it draws effects of patients, slices and readers one by
one.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

import numpy as np
from scipy import stats

from ganlab.study.analysis.analyse import analyse
from ganlab.study.mrmc import EQUIVALENT, many_readers
from ganlab.study.readings import STEPS, Readings, Row, checked

# name -> (what they press: one of both keys, or any; slips; seconds for an image)
LAZY: dict[str, tuple[str, float, float]] = {
    "one key, 2 % slips": ("either", 0.02, 3.0),
    "one key, 5 % slips": ("either", 0.05, 3.0),
    "always synthetic, 2 % slips": ("synthetic", 0.02, 3.0),
    "always real, 5 % slips": ("real", 0.05, 3.0),
    "any key": ("any", 1.0, 3.0),
    "any key, 0.1 s for an image": ("any", 1.0, 0.1),
}
SIZES = ((4, 60), (8, 100))  # readers, images
PATIENTS, SLICES = (10, 20), 8  # of either kind; of each patient
SPREAD = 0.2  # standard deviation of d' among readers

Progress = Callable[[float], None] | None


def lazy_readings(kind: str, readers: int, images: int, rng: np.random.Generator, catches: int = 6) -> Readings:
    """Readings of readers who do not look at the images."""
    press, slips, seconds = LAZY[kind]
    rows = []
    for reader in range(readers):
        key = bool(rng.random() < 0.5) if press == "either" else press == "synthetic"
        for k in range(images + catches):
            slip = rng.random() < slips
            called, confidence = (bool(rng.random() < 0.5), int(rng.integers(1, STEPS + 1))) if slip else (key, STEPS)
            synthetic, took = k >= images or k < images // 2, float(seconds * np.exp(0.4 * rng.standard_normal()))
            row = Row(f"R{reader}", f"C{k}", synthetic, called, confidence, seconds=took, catch=k >= images)
            rows.append(row)
    return checked(rows, "The simulation")


def lazy_table(studies: int = 500, seed: int = 0, progress: Progress = None) -> list[dict]:
    """How often studies of lazy readers end in each verdict."""
    table, cells = [], list(itertools.product(LAZY, SIZES))
    for n, (kind, (readers, images)) in enumerate(cells):
        found: Counter[str] = Counter()
        for k in range(studies):
            rng = np.random.default_rng([seed, n, k])
            found[analyse(lazy_readings(kind, readers, images, rng))["average"]["verdict"]] += 1
            if progress:
                progress((n + (k + 1) / studies) / len(cells))
        shares = {name: count / studies for name, count in found.items()}
        table.append({"readers are": kind, "readers": readers, "images": images, EQUIVALENT: 0.0} | shares)
    return table


def clustered(
    rng: np.random.Generator,
    readers: int,
    patients: int,
    slices: int,
    within: float,
    shared: float,
    paired: bool,
    dprime: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(scores (J, N) of six steps of confidence, synthetic (N,), patient (N,)) of patients with several slices.

    within: correlation of two slices of one patient. shared: share of the variance of a case that all readers share.
    paired: every patient has a real and a synthetic version of each slice, else one of them.
    """
    rows, synthetic, patient = [], [], []
    d = dprime + SPREAD * rng.standard_normal(readers)
    own, each = np.sqrt([within, 1 - within])
    common, single = np.sqrt([shared, 1 - shared])
    for p in range(patients if paired else 2 * patients):
        of_patient = common * rng.standard_normal() + single * rng.standard_normal(readers)
        for arm in (True, False) if paired else (p % 2 == 0,):
            for _ in range(slices):
                of_slice = common * rng.standard_normal() + single * rng.standard_normal(readers)
                rows.append(own * of_patient + each * of_slice + d * (0.5 if arm else -0.5))
                synthetic.append(arm)
                patient.append(p)
    perceived = np.array(rows).T
    steps = np.digitize(np.abs(perceived), stats.halfnorm.ppf(np.arange(1, STEPS) / STEPS)) + 1
    return np.where(perceived > 0, steps, -steps).astype(float), np.array(synthetic), np.array(patient)


def cluster_table(studies: int = 500, seed: int = 0, progress: Progress = None) -> list[dict]:
    """How often studies of readers at chance exclude 0.5, with patients as the sample and with slices as cases, and how
    often the 95 % interval contains the area of readers with d' 1."""
    cells = list(itertools.product((False, True), PATIENTS, (4, 8), (0.5, 0.8), (0.3, 0.7)))
    table = []
    for n, (paired, patients, readers, within, shared) in enumerate(cells):
        wrong, wrong_cases, holds = 0, 0, 0
        truth = _true_area(1.0, within, 1 / patients if paired else 0.0)
        for k in range(studies):
            rng = np.random.default_rng([seed, n, k])
            scores, synthetic, patient = clustered(rng, readers, patients, SLICES, within, shared, paired)
            wrong += many_readers(scores, synthetic, patient).p < 0.05
            wrong_cases += many_readers(scores, synthetic).p < 0.05
            interval = many_readers(*clustered(rng, readers, patients, SLICES, within, shared, paired, 1.0)).interval()
            holds += interval.low <= truth <= interval.high
            if progress:
                progress((n + (k + 1) / studies) / len(cells))
        table.append(
            {
                "design": "paired" if paired else "unpaired",
                "patients of either kind": patients,
                "readers": readers,
                "within": within,
                "shared": shared,
                "false positives": wrong / studies,
                "with slices as cases": wrong_cases / studies,
                "coverage": holds / studies,
            }
        )
    return table


def _true_area(dprime: float, within: float, same: float, draws: int = 400_000) -> float:
    """The expected area of the rounded scores of a reader with a random d', by drawing pairs of a synthetic and a real
    image; this share of them are of the same patient."""
    rng = np.random.default_rng(0)
    d = dprime + SPREAD * rng.standard_normal(draws)
    edges = np.concatenate([-stats.halfnorm.ppf(np.arange(STEPS - 1, 0, -1) / STEPS), [0.0]])
    edges = np.concatenate([edges, -edges[-2::-1]])
    of_patient = np.sqrt(np.where(rng.random(draws) < same, within, 0.0))
    patient = rng.standard_normal(draws)
    synthetic, real = (
        np.digitize(of_patient * patient + np.sqrt(1 - of_patient**2) * rng.standard_normal(draws) + s * d, edges)
        for s in (0.5, -0.5)
    )
    return float((synthetic > real).mean() + 0.5 * (synthetic == real).mean())


TABLES: dict[str, Callable[..., list[dict]]] = {"lazy": lazy_table, "clusters": cluster_table}


def format_table(rows: list[dict]) -> str:
    """Rows of one table as Markdown; shares with three decimals."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[f"{v:.3f}" if isinstance(v := row.get(name, 0.0), float) else str(v) for name in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in (columns, ["---"] * len(columns), *cells))
