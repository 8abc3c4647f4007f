"""Simulated readers of known sensitivity, to plan studies with and to validate the analysis.

Model (Roe and Metz, Acad Radiol 4:298, 1997, one modality): a reader's perception of a case is a number, higher for a
case that looks synthetic. It is the reader's d' if the case is synthetic, plus a case effect common to all readers,
plus a case effect of this reader. The two case effects have a total variance of 1, of which `shared` is common to all.
Of several images of one patient, the share `within` of either effect's variance is the patient's.
"""

from __future__ import annotations

import numpy as np

from ganlab.settings import Field, frozen_config
from ganlab.study.readings import STEPS, Readings, Row, checked


@frozen_config
class SimulatedStudy:
    """A study with simulated readers. Raises InputError for values out of range."""

    readers: int = Field(4, ge=1, le=200, step=1, title="Readers", description="How many readers read every image")
    cases: int = Field(60, ge=4, le=5000, step=2, title="Cases", description="Images, half of them synthetic")
    dprime: float = Field(
        0.5, ge=-6.0, le=6.0, step=0.1, title="Mean d'", description="Mean sensitivity d' of the readers; 0 is chance"
    )
    criterion: float = Field(
        0.0, ge=-4.0, le=4.0, step=0.1, title="Criterion", description="Mean criterion; below 0 favours synthetic"
    )
    spread: float = Field(
        0.2, ge=0.0, le=3.0, step=0.1, title="Spread", description="Standard deviation of d' among readers"
    )
    shared: float = Field(
        0.3, ge=0.0, le=1.0, step=0.1, title="Shared", description="Share of the case variance common to all readers"
    )
    slices: int = Field(
        1, ge=1, le=100, step=1, title="Slices", description="Images of each patient; patients are what is sampled"
    )
    within: float = Field(
        0.5, ge=0.0, le=1.0, step=0.1, title="Within", description="Correlation of two images of one patient"
    )
    paired: bool = Field(
        False, title="Paired", description="Every real image has its synthetic version, of the same patient"
    )
    repeats: float = Field(
        0.1, ge=0.0, le=0.5, step=0.05, title="Repeats", description="Share of the images shown a second time"
    )
    seed: int = Field(0, ge=0, le=2**32 - 1, title="Seed", description="Seed of the simulation")


LAG = 20  # least number of readings between a case and its repeat


def perceive(study: SimulatedStudy, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(what each reader perceives (J, N), with the criterion at 0; synthetic (N,); patients (N,))."""
    synthetic, patients = np.arange(study.cases) < study.cases // 2, patients_of(study)
    alone = len(set(patients.tolist())) == study.cases

    def effects(count: int) -> np.ndarray:
        each = rng.standard_normal((count, study.cases))
        if alone:
            return each
        own = rng.standard_normal((count, patients.max() + 1))[:, patients]
        return np.sqrt(study.within) * own + np.sqrt(1 - study.within) * each

    dprime = study.dprime + study.spread * rng.standard_normal(study.readers)
    individual, common = effects(study.readers), effects(1)
    perceived = np.sqrt(study.shared) * common + np.sqrt(1 - study.shared) * individual
    perceived += dprime[:, None] * (synthetic - 0.5)  # c = 0 lies midway between the two kinds
    return perceived - study.criterion, synthetic, patients


def patients_of(study: SimulatedStudy) -> np.ndarray:
    """Whose image each case is, (N,), from 0."""
    half = study.cases // 2
    numbers = [np.arange(count) // study.slices for count in (half, study.cases - half)]
    return np.concatenate([numbers[0], numbers[1] + (0 if study.paired else numbers[0].max() + 1)])


def confidence_of(perceived: np.ndarray) -> np.ndarray:
    """Confidence 1 to 6: distance from the criterion, cut at the sextiles of |x| for a standard normal x."""
    from scipy.stats import halfnorm

    return np.digitize(np.abs(perceived), halfnorm.ppf(np.arange(1, STEPS) / STEPS)) + 1


def simulate(study: SimulatedStudy) -> Readings:
    """Simulated readings; every reader sees the cases in a different order.

    A repeat keeps the case effects but gets fresh noise, and comes at least 20 readings later, or at the end. Response
    times are log-normal around 6 s and shorter for more confident answers.
    """
    rng = np.random.default_rng(study.seed)
    perceived, synthetic, patients = perceive(study, rng)
    several = len(set(patients.tolist())) < study.cases
    rows: list[Row] = []
    for j in range(study.readers):
        order = rng.permutation(study.cases)
        repeated = rng.permutation(study.cases)[: round(study.repeats * study.cases)]  # places in the order
        noise = 0.5 * rng.standard_normal(len(repeated))
        x = np.concatenate([perceived[j, order], perceived[j, order[repeated]] + noise])
        cases, repeat = np.concatenate([order, order[repeated]]), np.arange(len(x)) >= study.cases
        confidence = confidence_of(x)
        seconds = np.exp(rng.normal(np.log(6) - 0.1 * (confidence - 3), 0.4))
        due = np.argsort(np.concatenate([np.arange(study.cases), repeated + LAG + 0.5]), kind="stable")
        for position, k in enumerate(due.tolist(), 1):
            reader, case = f"R{j + 1:02d}", f"C{cases[k] + 1:04d}"
            truth, called = bool(synthetic[cases[k]]), bool(x[k] > 0)
            sure, took, again = int(confidence[k]), float(seconds[k]), bool(repeat[k])
            whose = f"P{patients[cases[k]] + 1:04d}" if several else ""
            rows.append(Row(reader, case, truth, called, sure, position, took, again, whose))
    return checked(rows, "The simulation")
