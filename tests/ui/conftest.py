"""Small cases that need no network: a head-shaped box with a T1, a CT and a synthetic CT that is 20 HU too high."""

import numpy as np
import pytest

from ganlab.imaging.volume import Volume
from ganlab.translation.compare import compare
from ganlab.ui.saved_case import save_case
from ganlab.ui.sessions import Store

LPS = np.array([[-2.0, 0, 0, 30], [0, 0, 3.0, -40], [0, 1.5, 0, -20], [0, 0, 0, 1]])  # voxels run L, S, A


@pytest.fixture
def volumes():
    rng = np.random.default_rng(3)
    ct = np.full((20, 24, 18), -1000.0, np.float32)
    ct[4:16, 4:20, 3:15] = 40
    ct[4:16, 18:20, 3:15] = 900
    t1 = np.where(ct > -200, 500.0, 0.0).astype(np.float32) + rng.random(ct.shape, np.float32)
    return {
        "input": Volume(t1, LPS, "arbitrary", "t1"),
        "synthetic": Volume(ct + 20, LPS, "HU", "ct"),
        "reference": Volume(ct, LPS, "HU", "ct"),
    }


@pytest.fixture
def make_case(volumes):
    """make_case(folder, reference=True, **words) saves a case there and returns it."""

    def make(folder, reference=True, **words):
        chosen = volumes if reference else {**volumes, "reference": None}
        evaluation = compare(volumes["reference"], volumes["synthetic"]) if reference else None
        defaults = {
            "title": "Phantom patient 7",
            "stem": "phantom-7",
            "model": "mr2ct-unet",
            "seconds": 12.0,
            "planes": ("axial", "coronal", "sagittal"),
            "notices": ("A notice.",),
            "commands": ("python -m ganlab phantom --seed 7 --out patient-7",),
            "seed": 7,
        }
        measured = {"metrics": evaluation.metrics, "histogram": evaluation.histogram} if evaluation else {}
        return save_case(folder, chosen, **{**defaults, **measured, **words})

    return make


@pytest.fixture
def store():
    return Store(shared=2)
