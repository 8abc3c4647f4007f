"""The Cycle page without a browser: the jobs of its controls, and its reports."""

import json
import re
from dataclasses import replace
from html import unescape
from types import SimpleNamespace
from urllib.parse import parse_qsl

import numpy as np
import pytest

from ganlab.errors import InputError
from ganlab.translation import patch_map
from ganlab.translation.cycle import cycle as cycle_module
from ganlab.translation.cycle import hidden_message
from ganlab.translation.cycle.lesion import InsertedLesion
from ganlab.translation.cycle.pairing import pair_of
from ganlab.ui import opening_cases, viewer
from ganlab.ui.pages.cycle import job as job_module
from ganlab.ui.pages.cycle import page, report
from ganlab.ui.pages.cycle.job import CycleJob, command, job_of, linked_job, saved_job, solve
from ganlab.ui.saved_case import ALL_PLANES, load_case
from ganlab.ui.server_settings import Settings
from ganlab.ui.volume_controls import PHANTOM, UPLOAD

ASKED = {
    "task": "mr2ct", "source": PHANTOM, "seed": 7.0, "spacing": 4.0, "files": None, "model": "a", "reverse_model": "b",
    "planes": "axial", "probe": False, "judge": False, "lesion": False, "x": 20.0, "y": -25.0,
    "z": 25.0, "radius": 8.0, "contrast": 1.5,
}  # fmt: skip


LESION = InsertedLesion(20.0, -25.0, 25.0, 8.0, 1.5)


@pytest.fixture(autouse=True)
def translators(monkeypatch):
    """Forward: a CT of 40 HU wherever the T1 is bright. Back: white matter wherever the CT is not air."""

    def translate(volume, task, model, progress=lambda done: None, **_):
        progress(1.0)
        if task == "mr2ct":
            bright = volume.array > 0.3 * np.percentile(volume.array, 95)
            synthetic = replace(
                volume, array=np.where(bright, 40.0, -1000.0).astype(np.float32), unit="HU", modality="ct"
            )
        else:
            synthetic = replace(volume, array=(volume.array > -500).astype(np.float32), unit="", modality="t1")
        return SimpleNamespace(synthetic=synthetic, model=model, notices=(), seconds=1.5)

    monkeypatch.setattr(cycle_module, "translate", translate)
    monkeypatch.setattr(hidden_message, "translate", translate)
    monkeypatch.setattr(job_module, "mixed_notice", lambda model, reverse: f"{model} and {reverse} are mixed.")


def test_controls_become_a_job():
    assert job_of(**ASKED) == CycleJob("mr2ct", "a", "b", seed=7, spacing=4.0, planes=("axial",))
    own = job_of(**{**ASKED, "source": UPLOAD, "files": ["s.nii"], "lesion": True, "probe": True})
    assert own == CycleJob("mr2ct", "a", "b", files=("s.nii",), planes=("axial",), probe=True, lesion=LESION)
    own = job_of(**{**ASKED, "source": UPLOAD, "files": ["s.zip"], "series": "3"})
    assert own.series == "3" and "s.zip --series 3" in command(own)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"seed": -1}, "Seed is -1; give a whole number"),
        ({"lesion": True, "radius": 1}, "Radius is 1"),
        ({"lesion": True, "x": None}, "no position or size"),
        ({"source": UPLOAD}, "No scan was chosen"),
    ],
)
def test_refuses_invalid_controls_in_one_sentence(what, words):
    with pytest.raises(InputError, match=words):
        job_of(**{**ASKED, **what})


@pytest.mark.parametrize("task", ["mr2ct", "ct2mr"])
def test_a_phantom_is_translated_forward_and_back(tmp_path, task):
    contrast = {"mr2ct": 1.5, "ct2mr": 30.0}[task]
    job = job_of(**{**ASKED, "task": task, "lesion": True, "probe": True, "contrast": contrast})
    stages = []
    case = solve(job, tmp_path, lambda done, words: stages.append(done))
    assert load_case(tmp_path) == case and stages == sorted(stages) and saved_job(case) == job
    assert [layer.name for layer in case.layers] == ["input", "synthetic", "reconstruction"]
    assert case.seconds == 3.0 and case.cycle["models"] == ["a", "b"]
    results = case.cycle
    assert results["consistency"]["mae"] > 0 and len(results["hidden"]) == 4
    put, kept = results["lesion"]["input"], results["lesion"]["reconstruction"]["kept"]
    grown = put["with"] / put["without"] if task == "mr2ct" else put["with"] - put["without"]
    assert grown == pytest.approx(contrast, rel=0.02) and kept == pytest.approx(0, abs=0.1)  # removed
    html = "".join(part for part in report.show(case, "token") if isinstance(part, str))
    target = {"mr2ct": "CT", "ct2mr": "T1"}[task]
    assert report.ROUTES[task] in html and "Hidden message" in html and f"Synthetic {target}" in html
    assert {"mr2ct": "1.50 times", "ct2mr": "+30.0 HU"}[task] in html and "a and b are mixed." in html
    assert "/token/reconstruction.nii.gz'" in html and "/token/relative.nii.gz'" in html
    shown = viewer.manifest(case, "token")
    assert shown["compared"] == (("reconstruction", "input"),)
    assert shown["errorRange"] == {"mr2ct": 0.5, "ct2mr": 300.0}[task]
    assert shown["relativeTo"] == results["consistency"]["range"]
    assert len(shown["sliceErrors"]) == case.shape[2], "one number for each slice that the viewer shows"


@pytest.mark.parametrize("task", ["mr2ct", "ct2mr"])
def test_the_discriminator_judges_the_synthetic_and_a_phantoms_real_volume(tmp_path, monkeypatch, task):
    def constant(volume, source, model, cancelled):
        assert model == "a" and volume.shape == source.shape
        return replace(volume, array=np.full(volume.shape, 0.25 + 0.5 * (volume.modality != "t1")), unit="D")

    monkeypatch.setattr(patch_map, "patch_map", constant)
    case = solve(job_of(**{**ASKED, "task": task, "judge": True}), tmp_path)
    layers = {layer.name: layer for layer in case.layers}
    assert list(layers) == ["input", "synthetic", "reconstruction", "judged", "judged-real"]
    assert layers["judged"].window == (0, 1) and layers["judged"].unit == "D"
    target = {"mr2ct": "CT", "ct2mr": "T1"}[task]
    assert layers["judged-real"].label == f"D of the real {target}"
    assert case.cycle["judged"]["judged"] == pytest.approx({"mr2ct": 0.75, "ct2mr": 0.25}[task])
    assert f"Real {target}" in report.figures(case)


def test_a_lesion_outside_the_scan_is_refused(tmp_path):
    with pytest.raises(InputError, match="outside the scan"):
        solve(job_of(**{**ASKED, "lesion": True, "x": 900.0}), tmp_path)


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
def test_one_command_reproduces_the_case(more, words):
    assert command(job_of(**{**ASKED, **more})) == f"python -m ganlab cycle {words} --out cycle"


MODELS = {"mr2ct": ["mr2ct-unet", "mr2ct-cyclegan"], "ct2mr": ["ct2mr-unet", "ct2mr-cyclegan"]}


@pytest.fixture
def first():
    return load_case(page.OPENING)


def test_the_link_of_a_case_asks_for_the_same_cycle(first):
    query = dict(parse_qsl(unescape(report.link(first)).removeprefix("?")))
    assert linked_job(query, MODELS, first, Settings(phantom_mm=4.0)) == saved_job(first)
    plain = replace(first, seed=9123, task="ct2mr", planes=("axial",), spacing=2.0, cycle={
        **{k: first.cycle[k] for k in ("consistency",)}, "models": ["ct2mr-unet", "mr2ct-unet"]
    })  # fmt: skip
    query = dict(parse_qsl(unescape(report.link(plain)).removeprefix("?")))
    assert linked_job(query, MODELS, first, Settings()) == saved_job(plain) == CycleJob(
        "ct2mr", "ct2mr-unet", "mr2ct-unet", seed=9123, spacing=2.0, planes=("axial",)
    )  # fmt: skip


@pytest.mark.parametrize(
    "query",
    [{}, {"tab": "cycle"}, {"seed": "7"}, {"tab": "translate", "seed": "7"}, {"tab": "cycle", "seed": "-1"}],
)
def test_a_link_of_another_page_or_without_a_patient_asks_for_nothing(query, first):
    assert linked_job(query, MODELS, first, Settings()) is None


def test_invalid_parts_of_a_link_are_ignored(first):
    query = {"tab": "cycle", "seed": "7", "task": "t1fa", "model": "x", "lesion": "1,2,nan,4,5", "judge": "yes"}
    assert linked_job(query, MODELS, first, Settings(phantom_mm=1.5)) == CycleJob(
        "mr2ct", "mr2ct-cyclegan", "ct2mr-cyclegan", seed=7, spacing=1.5, planes=ALL_PLANES
    )


def test_a_link_with_one_model_of_a_pair_gets_the_other(first):
    query = {"tab": "cycle", "seed": "9123", "task": "ct2mr", "model": "ct2mr-cyclegan", "judge": "1"}
    job = linked_job(query, MODELS, first, Settings())
    assert (job.model, job.reverse_model, job.judge) == ("ct2mr-cyclegan", "mr2ct-cyclegan", True)
    job = linked_job({**query, "model": "ct2mr-unet"}, MODELS, first, Settings())
    assert (job.model, job.judge) == ("ct2mr-unet", False), "it has no discriminator to ask"


def test_the_page_opens_on_a_stored_cycle_of_models_trained_together(first):
    assert tuple(first.cycle["models"]) == pair_of("mr2ct")
    assert {"lesion", "hidden", "judged"} <= first.cycle.keys() and first.spacing == 1.0
    assert [layer.name for layer in first.layers] == ["input", "synthetic", "reconstruction", "judged", "judged-real"]
    assert len(first.cycle["consistency"]["slices"]) == first.shape[2]
    size = sum(file.stat().st_size for file in page.OPENING.iterdir())
    assert size < opening_cases.LIMITS["cycle"] and json.loads((page.OPENING / "case.json").read_text())


def test_the_chart_has_round_ticks_and_marks_the_slice_in_view(first):
    assert report.ticks(0.29, 4) == pytest.approx([0, 0.1, 0.2])
    assert report.ticks(430, 4) == [0, 200, 400]
    chart = report.slices_chart(first)
    assert chart.count("class='gl-here'") == 2
    labels = [float(label) for label in re.findall(r"<text[^>]*>([\d.]+)</text>", chart)]
    assert any(0 < label < 1 and round(label, 2) == label for label in labels)  # of errors, in units of white matter
