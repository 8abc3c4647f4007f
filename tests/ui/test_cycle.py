"""The Cycle page without a browser: what its controls ask for, and what is said of what was found."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ganlab.errors import InputError
from ganlab.translation import cycles, judge
from ganlab.ui import cycle, viewer
from ganlab.ui.cases import load_case
from ganlab.ui.cycle import CycleJob, job_of, solve_cycle
from ganlab.ui.translate import PHANTOM, UPLOAD

ASKED = {
    "task": "mr2ct", "source": PHANTOM, "seed": 7.0, "spacing": 4.0, "files": None, "there": "a", "back": "b",
    "planes": "axial", "probe": False, "judge": False, "lesion": False, "x": 20.0, "y": -25.0,
    "z": 25.0, "radius": 8.0, "contrast": 1.5,
}  # fmt: skip


@pytest.fixture(autouse=True)
def translators(monkeypatch):
    """There: a CT of 40 HU wherever the T1 is bright. Back: white matter wherever the CT is no air."""

    def translate(volume, task, model, progress=lambda done: None, **_):
        progress(1.0)
        if task == "mr2ct":
            bright = volume.array > 0.3 * np.percentile(volume.array, 95)
            made = replace(volume, array=np.where(bright, 40.0, -1000.0).astype(np.float32), unit="HU", modality="ct")
        else:
            made = replace(volume, array=(volume.array > -500).astype(np.float32), unit="", modality="t1")
        return SimpleNamespace(synthetic=made, model=model, notices=(), seconds=1.5)

    monkeypatch.setattr(cycles, "translate", translate)


def test_controls_become_a_job():
    assert job_of(**ASKED) == CycleJob("mr2ct", "a", "b", seed=7, spacing=4.0, planes=("axial",))
    own = job_of(**{**ASKED, "source": UPLOAD, "files": ["s.nii"], "lesion": True, "probe": True})
    assert own == CycleJob(
        "mr2ct", "a", "b", files=("s.nii",), planes=("axial",), probe=True, lesion=(20, -25, 25, 8, 1.5)
    )


@pytest.mark.parametrize(
    ("what", "words"), [({"seed": -1}, "no seed"), ({"lesion": True, "x": None}, "no place or size")]
)
def test_what_makes_no_job_is_a_sentence(what, words):
    with pytest.raises(InputError, match=words):
        job_of(**{**ASKED, **what})


@pytest.mark.parametrize("task", ["mr2ct", "ct2mr"])
def test_a_phantom_goes_there_and_back(tmp_path, task):
    job = job_of(**{**ASKED, "task": task, "lesion": True, "probe": True})
    said = []
    case = solve_cycle(job, tmp_path, lambda done, words: said.append(done))
    assert load_case(tmp_path) == case and said == sorted(said)
    assert [layer.name for layer in case.layers] == ["input", "synthetic", "reconstruction"]
    assert case.seconds == 3.0 and case.cycle["models"] == ["a", "b"]
    found = case.cycle
    assert found["consistency"]["mae"] > 0 and len(found["hidden"]) == 4
    assert found["lesion"]["input"] > 1.2 and found["lesion"]["reconstruction"] < 1.1  # this pair takes it away
    page = "".join(part for part in cycle.show(case, "token") if isinstance(part, str))
    target = {"mr2ct": "CT", "ct2mr": "T1"}[task]
    assert cycle.ROUTES[task] in page and "Hidden message" in page and f"Synthetic {target}" in page
    assert "/token/reconstruction.nii.gz'" in page and "/token/error.nii.gz'" in page
    shown = viewer.manifest(case, "token")
    assert shown["compared"] == (("reconstruction", "input"),)
    assert shown["errorRange"] == {"mr2ct": 0.5, "ct2mr": 300.0}[task]


@pytest.mark.parametrize("task", ["mr2ct", "ct2mr"])
def test_the_discriminator_judges_the_synthetic_and_a_phantoms_real_volume(tmp_path, monkeypatch, task):
    def patch_map(volume, source, model, cancelled):
        assert model == "a" and volume.shape == source.shape
        return replace(volume, array=np.full(volume.shape, 0.25 + 0.5 * (volume.modality != "t1")), unit="D")

    monkeypatch.setattr(judge, "patch_map", patch_map)
    case = solve_cycle(job_of(**{**ASKED, "task": task, "judge": True}), tmp_path)
    layers = {layer.name: layer for layer in case.layers}
    assert list(layers) == ["input", "synthetic", "reconstruction", "judged", "judged-real"]
    assert layers["judged"].window == (0, 1) and layers["judged"].unit == "D"
    target = {"mr2ct": "CT", "ct2mr": "T1"}[task]
    assert layers["judged-real"].label == f"D of the real {target}"
    assert case.cycle["judged"]["judged"] == pytest.approx({"mr2ct": 0.75, "ct2mr": 0.25}[task])
    assert f"Real {target}" in cycle.figures(case)


def test_a_lesion_outside_the_scan_is_refused(tmp_path):
    with pytest.raises(InputError, match="not in the scan"):
        solve_cycle(job_of(**{**ASKED, "lesion": True, "x": 900.0}), tmp_path)


def test_commands_make_the_same_volumes():
    job = job_of(**ASKED)
    assert cycle.commands(job, "Phantom patient 7") == (
        "python -m ganlab phantom --seed 7 --out patient-7 --spacing 4",
        "python -m ganlab translate --task mr2ct patient-7/t1.nii.gz synthetic-ct.nii.gz --model a --planes axial",
        "python -m ganlab translate --task ct2mr synthetic-ct.nii.gz reconstructed-t1.nii.gz --model b --planes axial",
    )
