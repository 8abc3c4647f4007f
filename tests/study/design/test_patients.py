"""Whose images a study shows, by the names of their files and by the truth table."""

import numpy as np
import pytest

from ganlab.imaging.volume import Volume
from ganlab.imaging.writing import write_volume
from ganlab.study.design.build import build
from ganlab.study.design.patients import patients_of
from ganlab.study.design.protocol import Protocol
from ganlab.study.design.seal import read_sealed
from ganlab.study.design.stimuli import from_folders, from_truth
from tests.study.design.conftest import noise, with_truth


@pytest.mark.parametrize(
    "form", ["P{:02d}_{:03d}.png", "sub-{:03d} slice{}.png", "case{}-z{:02d}.tif", "{:04d}_{}.jpg"]
)
def test_pictures_of_one_patient_are_told_by_their_names(form):
    patients, (notice,) = patients_of([form.format(p, k) for p in range(6) for k in (3, 12, 40)])
    assert len(set(patients)) == 6 and [patients.count(who) for who in patients] == [3] * 18
    assert "18 pictures are of 6 patients, such as " in notice and "column patient" in notice


@pytest.mark.parametrize("names", [
    [f"img_{k:03d}.png" for k in range(30)],  # numbers alone
    [f"{k}.png" for k in range(30)],
    [f"t1_{k:03d}.png" for k in range(30)] + [f"p2p_{k:03d}.png" for k in range(30)],  # numbers in a title
    [f"P{k:02d}_1.png" for k in range(30)],  # one of each
    [f"{k:08x}a.png" for k in range(30)],
])  # fmt: skip
def test_numbers_in_names_are_not_always_patients(names):
    assert patients_of(names) == ([name.rpartition(".")[0] for name in names], ())


def test_a_real_image_and_its_synthetic_version_are_of_one_patient(tmp_path):
    names = {
        "real": ["sub-01_T1w", "sub-02_ses-1_T1w", "p3"],
        "synthetic": ["sub-01_desc-gan_T1w", "sub-02_ses-2_T1w", "x"],
    }
    rng = np.random.default_rng(0)
    for arm, stems in names.items():
        (tmp_path / arm).mkdir()
        for stem in stems:
            volume = Volume(rng.uniform(0, 100, (12, 12, 20)).astype(np.float32), np.diag([4.0, 4, 4, 1]), "", "t1")
            write_volume(volume, tmp_path / arm / f"{stem}.nii.gz")
    read = from_folders(tmp_path / "real", tmp_path / "synthetic", slices=4)
    whose = {arm: {p for p, s in zip(read.patients, read.synthetic, strict=True) if s == arm} for arm in (False, True)}
    assert whose == {False: {"sub-01", "sub-02", "p3"}, True: {"sub-01", "sub-02", "x"}}
    assert read.notices == ()


def test_patients_are_sealed_with_the_truth(tmp_path):
    rows = [{"arm": "synthetic" if k % 2 else "real", "patient": f"p{k // 6}"} for k in range(42)]
    stimuli = from_truth(*with_truth(tmp_path, noise(42), rows))
    assert sorted(set(stimuli.patients)) == ["p0", "p1", "p2", "p3", "p4", "p5", "p6"]
    sealed, images = build(Protocol(), stimuli)
    assert read_sealed(sealed.text()) == sealed
    for case in sealed.cases:
        if case.patient:
            [k] = [k for k, image in enumerate(stimuli.images) if np.array_equal(image, images[case.code])]
            assert case.patient == stimuli.patients[k]
    assert sum(bool(case.patient) for case in sealed.cases) == len(stimuli)
