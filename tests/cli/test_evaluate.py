"""ganlab evaluate: volumes on another grid."""

from __future__ import annotations

import json

import numpy as np

from ganlab.imaging.grid import resample
from ganlab.imaging.writing import write_volume
from ganlab.phantoms import make_patient


def test_a_prediction_on_another_grid_is_resampled_when_asked(run, tmp_path):
    ct = make_patient(9100, ("ct",), 4.0)["ct"]
    write_volume(ct, tmp_path / "ct.nii.gz")
    coarse = resample(ct, ct.affine @ np.diag([1.5, 1.5, 1.5, 1]), [int(n / 1.5) for n in ct.shape], fill=-1000)
    write_volume(coarse, tmp_path / "prediction.nii.gz")
    files = ("evaluate", tmp_path / "ct.nii.gz", tmp_path / "prediction.nii.gz")
    code, _, sentence = run(*files)
    assert code == 2 and "--resample" in sentence
    code, out, _ = run(*files, "--resample", "--json")
    assert code == 0 and any("was resampled" in notice for notice in json.loads(out)["notices"])
