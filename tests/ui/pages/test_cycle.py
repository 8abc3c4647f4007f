"""The Cycle page without a browser: what its controls ask for, and what is said of what was found."""

import json
from dataclasses import replace
from html import unescape
from types import SimpleNamespace
from urllib.parse import parse_qsl

import numpy as np
import pytest

from ganlab.errors import InputError
from ganlab.translation import patch_map as judge
from ganlab.translation.cycle import cycle as cycles
from ganlab.translation.cycle import pairing as halves
from ganlab.ui import opening_cases as opening
from ganlab.ui import viewer
from ganlab.ui.case import PLANES, load_case
from ganlab.ui.pages.cycle import page as cycle
from ganlab.ui.pages.cycle import report as cycle_report
from ganlab.ui.pages.cycle.page import CycleJob, job_of, job_shown, linked_job, solve_cycle
from ganlab.ui.pages.translate.page import PHANTOM, UPLOAD
from ganlab.ui.server_settings import Settings

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
    monkeypatch.setattr(cycle, "mixed", lambda there, back: f"{there} and {back} are mixed.")


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
    contrast = {"mr2ct": 1.5, "ct2mr": 30.0}[task]
    job = job_of(**{**ASKED, "task": task, "lesion": True, "probe": True, "contrast": contrast})
    said = []
    case = solve_cycle(job, tmp_path, lambda done, words: said.append(done))
    assert load_case(tmp_path) == case and said == sorted(said) and job_shown(case) == job
    assert [layer.name for layer in case.layers] == ["input", "synthetic", "reconstruction"]
    assert case.seconds == 3.0 and case.cycle["models"] == ["a", "b"]
    found = case.cycle
    assert found["consistency"]["mae"] > 0 and len(found["hidden"]) == 4
    put, kept = found["lesion"]["input"], found["lesion"]["reconstruction"]["kept"]
    grown = put["with"] / put["without"] if task == "mr2ct" else put["with"] - put["without"]
    assert grown == pytest.approx(contrast, rel=0.02) and kept == pytest.approx(0, abs=0.1)  # this pair takes it away
    page = "".join(part for part in cycle.show(case, "token") if isinstance(part, str))
    target = {"mr2ct": "CT", "ct2mr": "T1"}[task]
    assert cycle.ROUTES[task] in page and "Hidden message" in page and f"Synthetic {target}" in page
    assert {"mr2ct": "1.50 times", "ct2mr": "+30.0 HU"}[task] in page and "a and b are mixed." in page
    assert "/token/reconstruction.nii.gz'" in page and "/token/relative.nii.gz'" in page
    shown = viewer.manifest(case, "token")
    assert shown["compared"] == (("reconstruction", "input"),)
    assert shown["errorRange"] == {"mr2ct": 0.5, "ct2mr": 300.0}[task]
    assert shown["relativeTo"] == found["consistency"]["range"]
    assert len(shown["sliceErrors"]) == case.shape[2], "one number for each slice that the viewer shows"


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
    assert f"Real {target}" in cycle_report.figures(case)


def test_a_lesion_outside_the_scan_is_refused(tmp_path):
    with pytest.raises(InputError, match="not in the scan"):
        solve_cycle(job_of(**{**ASKED, "lesion": True, "x": 900.0}), tmp_path)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "--seed 7 --spacing 4 --task mr2ct --model a --back b --planes axial"),
        (
            {"planes": "fused", "spacing": 1.0, "lesion": True, "probe": True, "judge": True},
            "--seed 7 --task mr2ct --model a --back b --lesion 20,-25,25,8,1.5 --probe --judge",
        ),
        (
            {"source": UPLOAD, "files": ["x/my scan.nii"]},
            "'my scan.nii' --task mr2ct --model a --back b --planes axial",
        ),
    ],
)
def test_one_command_makes_the_same(more, words):
    assert cycle.command(job_of(**{**ASKED, **more}), "my scan.nii") == f"python -m ganlab cycle {words} --out cycle"


MODELS = {"mr2ct": ["mr2ct-unet", "mr2ct-cyclegan"], "ct2mr": ["ct2mr-unet", "ct2mr-cyclegan"]}


@pytest.fixture
def first():
    return load_case(cycle.OPENING)


def test_the_link_of_a_case_asks_for_the_same_cycle(first):
    query = dict(parse_qsl(unescape(cycle_report.link(first)).removeprefix("?")))
    assert linked_job(query, MODELS, first, Settings(phantom_mm=4.0)) == job_shown(first)
    plain = replace(first, seed=9123, task="ct2mr", planes=("axial",), spacing=2.0, cycle={
        **{k: first.cycle[k] for k in ("consistency",)}, "models": ["ct2mr-unet", "mr2ct-unet"]
    })  # fmt: skip
    query = dict(parse_qsl(unescape(cycle_report.link(plain)).removeprefix("?")))
    assert linked_job(query, MODELS, first, Settings()) == job_shown(plain) == CycleJob(
        "ct2mr", "ct2mr-unet", "mr2ct-unet", seed=9123, spacing=2.0, planes=("axial",)
    )  # fmt: skip


@pytest.mark.parametrize(
    "query",
    [{}, {"tab": "cycle"}, {"seed": "7"}, {"tab": "translate", "seed": "7"}, {"tab": "cycle", "seed": "-1"}],
)
def test_a_link_of_another_page_or_without_a_patient_asks_for_nothing(query, first):
    assert linked_job(query, MODELS, first, Settings()) is None


def test_what_makes_no_sense_in_a_link_is_as_a_patient_is_without_it(first):
    query = {"tab": "cycle", "seed": "7", "task": "t1fa", "model": "x", "lesion": "1,2,nan,4,5", "judge": "yes"}
    assert linked_job(query, MODELS, first, Settings(phantom_mm=1.5)) == CycleJob(
        "mr2ct", "mr2ct-cyclegan", "ct2mr-cyclegan", seed=7, spacing=1.5, planes=PLANES
    )


def test_a_link_with_half_of_a_pair_finds_the_other(first):
    query = {"tab": "cycle", "seed": "9123", "task": "ct2mr", "model": "ct2mr-cyclegan", "judge": "1"}
    job = linked_job(query, MODELS, first, Settings())
    assert (job.there, job.back, job.judge) == ("ct2mr-cyclegan", "mr2ct-cyclegan", True)
    job = linked_job({**query, "model": "ct2mr-unet"}, MODELS, first, Settings())
    assert (job.there, job.judge) == ("ct2mr-unet", False), "it has no discriminator to ask"


def test_the_page_opens_on_a_stored_cycle_of_one_training(first):
    assert tuple(first.cycle["models"]) == halves.pair_of("mr2ct")
    assert {"lesion", "hidden", "judged"} <= first.cycle.keys() and first.spacing == 1.0
    assert [layer.name for layer in first.layers] == ["input", "synthetic", "reconstruction", "judged", "judged-real"]
    assert len(first.cycle["consistency"]["slices"]) == first.shape[2]
    size = sum(file.stat().st_size for file in cycle.OPENING.iterdir())
    assert size < opening.LIMITS["cycle"] and json.loads((cycle.OPENING / "case.json").read_text())


def test_the_chart_has_round_ticks_and_marks_the_slice_in_view(first):
    assert cycle_report.ticks(0.29, 4) == pytest.approx([0, 0.1, 0.2])
    assert cycle_report.ticks(430, 4) == [0, 200, 400]
    chart = cycle_report.slices_chart(first)
    assert chart.count("class='gl-here'") == 2 and ">0.1<" in chart
