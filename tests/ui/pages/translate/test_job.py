"""A Translate job without a network: controls and links, saved results and printed commands."""

import shlex
from dataclasses import asdict, replace
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl

import numpy as np
import pytest
import typer

import ganlab.phantoms
import ganlab.translation.inference
from ganlab.cli.main import app
from ganlab.errors import Cancelled, InputError
from ganlab.phantoms.options import PhantomOptions
from ganlab.translation.real_heads import COLIN27
from ganlab.ui.pages.translate import report
from ganlab.ui.pages.translate.job import COLIN, TranslationJob, commands, job_of, linked_job, names_of, solve
from ganlab.ui.saved_case import ALL_PLANES, load_case
from ganlab.ui.server_settings import Settings
from ganlab.ui.volume_controls import PHANTOM, UPLOAD

ALL = PhantomOptions(
    lesion="plaques", craniotomy=True, fillings=True, defaced=True, misalign=3.5, ventricles=1.3, skull=7.0, fat=10 / 3,
    scanner="fat-suppressed", field=1.5,
)  # fmt: skip
UNTOUCHED = {
    "lesion": "none", "craniotomy": False, "fillings": False, "defaced": False, "misalign": 0, "scanner": "research",
    "field": 3, "own": None, "ventricles": 0.5, "skull": 3, "fat": 0.8,
}  # fmt: skip


def translated(volume, model="mr2ct-unet"):
    return SimpleNamespace(synthetic=volume, model=model, seconds=1.0, notices=(), precision="float32", confidence=None)


def parsed(command):
    """(name of the ganlab command, its parameters) as the command line parses a shell line."""
    python, _, package, name, *words = shlex.split(command)
    assert (python, package) == ("python", "ganlab")
    context = typer.main.get_command(app).commands[name].make_context(name, words)
    return name, context.params


def test_controls_become_a_job():
    phantom = job_of("mr2ct", PHANTOM, 7.0, 1.0, None, None, "m", None, "fused", **UNTOUCHED)
    assert phantom == TranslationJob(seed=7, model="m", planes=ALL_PLANES)
    wishes = {**UNTOUCHED, "lesion": "tumour", "scanner": "clinical"}
    phantom = job_of("mr2ct", PHANTOM, 7.0, 1.0, None, None, "m", None, "fused", **wishes)
    assert phantom == TranslationJob(seed=7, model="m", options=PhantomOptions(lesion="tumour", scanner="clinical"))
    own = job_of("mr2ct", UPLOAD, 7, 1.0, ["a.dcm", "b.dcm"], None, "m", None, "axial", **wishes)
    assert own == TranslationJob(files=("a.dcm", "b.dcm"), model="m", planes=("axial",))
    chosen = {**wishes, "series": "5b", "reference_series": "2"}
    own = job_of("mr2ct", UPLOAD, 7, 1.0, ["a.zip"], ["b.zip"], "m", None, "fused", **chosen)
    assert (own.series, own.reference_series) == ("5b", "2")
    _, options = parsed(commands(own, "m")[0])
    assert (options["series"], options["reference_series"]) == ("5b", "2")


def test_colin27_is_a_scan_from_this_machine():
    job = job_of("mr2ct", COLIN, 7.0, 1.0, None, None, "m", None, "fused", **UNTOUCHED)
    assert job == TranslationJob(files=(str(COLIN27),), model="m") and job.seed is None
    assert names_of(job) == ("Colin27, a real head", "colin27")
    assert commands(job, "m") == (f"python -m ganlab translate --task mr2ct {COLIN27} synthetic-ct.nii.gz --model m",)
    with pytest.raises(InputError, match="Colin27 is a T1 scan: choose a task that starts from T1"):
        job_of("ct2mr", COLIN, 7.0, 1.0, None, None, "m", None, "fused", **UNTOUCHED)


@pytest.mark.parametrize("seed", [None, -1, 1.5, 2.0**31])
def test_refuses_what_is_not_a_seed(seed):
    with pytest.raises(InputError, match="whole number from 0 to 2147483647"):
        job_of("mr2ct", PHANTOM, seed, 1.0, None, None, "m", None, "fused", **UNTOUCHED)


def test_refuses_an_upload_without_files():
    with pytest.raises(InputError, match="No scan was chosen"):
        job_of("mr2ct", UPLOAD, 7, 1.0, [], None, "m", None, "fused", **UNTOUCHED)


@pytest.mark.parametrize(
    "options",
    [
        PhantomOptions(),
        PhantomOptions(
            lesion="bleed", craniotomy=True, fillings=True, defaced=True, misalign=3.5, scanner="fat-suppressed"
        ),
        PhantomOptions(ventricles=1.3, skull=7.0, fat=0.8, field=1.5),
    ],
)
def test_the_link_of_a_case_asks_for_the_same_job(options, make_case, tmp_path):
    case = make_case(tmp_path, spacing=2.0, planes=("axial",), options=options)
    query = dict(parse_qsl(unescape(report.link(case)).removeprefix("?")))
    job = linked_job(query, {"mr2ct": ["mr2ct-unet"]}, case, Settings())
    assert job == TranslationJob(seed=7, spacing=2.0, model="mr2ct-unet", planes=("axial",), options=options)


@pytest.mark.parametrize(
    "query",
    [
        {}, {"seed": "x"}, {"seed": "-1"}, {"seed": str(2**31)}, {"seed": "\u00b2"}, {"task": "x"},
        {"tab": "generate", "seed": "7", "model": "dcgan-digits"},
    ],
)  # fmt: skip
def test_a_link_without_a_seed_or_of_another_page_asks_for_nothing(query, make_case, tmp_path):
    assert linked_job(query, {"mr2ct": ["mr2ct-unet"]}, make_case(tmp_path), Settings()) is None


def test_a_link_to_a_task_shows_the_opening_patient_in_it(make_case, tmp_path):
    models = {"mr2ct": ["mr2ct-unet"], "t1fa": ["t1fa-unet", "t1fa-pix2pix"]}
    case = make_case(tmp_path)
    job = linked_job({"tab": "translate", "task": "t1fa"}, models, case, Settings())
    assert (job.seed, job.task, job.model) == (case.seed, "t1fa", "t1fa-unet")


def test_invalid_parts_of_a_link_take_the_pages_defaults(make_case, tmp_path):
    query = {"seed": "7", "model": "../../x", "spacing": "nan", "planes": "all"}
    job = linked_job(query, {"mr2ct": ["mr2ct-unet"]}, make_case(tmp_path), Settings(phantom_mm=1.5))
    assert job == TranslationJob(seed=7, spacing=1.5, model="mr2ct-unet", planes=ALL_PLANES)


def test_commands_name_options_that_differ_from_their_defaults():
    phantom = TranslationJob(seed=7, spacing=2.0, planes=("axial",))
    assert commands(phantom, "mr2ct-unet") == (
        "python -m ganlab phantom --seed 7 --out patient-7 --spacing 2",
        "python -m ganlab translate --task mr2ct patient-7/t1.nii.gz synthetic-ct.nii.gz --model mr2ct-unet "
        "--planes axial",
        "python -m ganlab evaluate patient-7/ct.nii.gz synthetic-ct.nii.gz",
    )
    assert commands(TranslationJob(seed=7, task="ct2mr"), "ct2mr-unet", 756.8721)[2] == (
        "python -m ganlab evaluate patient-7/t1.nii.gz synthetic-t1.nii.gz --task ct2mr --source patient-7/ct.nii.gz "
        "--white-matter 756.8721"
    )


@pytest.mark.parametrize(
    "options", [PhantomOptions(), PhantomOptions(lesion="tumour"), PhantomOptions(fat=0.8, scanner="clinical"), ALL]
)
@pytest.mark.parametrize("planes", [ALL_PLANES, ("axial",), ("coronal", "sagittal")])
def test_commands_reproduce_the_case(options, planes):
    job = TranslationJob(seed=7, spacing=1 / 3 + 1, planes=planes, options=options)
    phantom, translation, measured = (parsed(command) for command in commands(job, "mr2ct-unet"))
    folder = Path(f"patient-7{options.words()[1]}")
    assert phantom[0] == "phantom" and {name: phantom[1][name] for name in asdict(options)} == asdict(options)
    assert {name: phantom[1][name] for name in ("seed", "spacing", "out")} == {
        "seed": 7, "spacing": job.spacing, "out": folder
    }  # fmt: skip
    assert phantom[1]["lesion_at"] is None and {"t1", "ct"} <= set(phantom[1]["modality"])
    assert translation[0] == "translate" and translation[1]["source"] == folder / "t1.nii.gz"
    assert (translation[1]["model"], translation[1]["task"]) == ("mr2ct-unet", "mr2ct")
    assert (translation[1]["planes"] or ",".join(ALL_PLANES)).split(",") == list(planes)  # all by default
    assert measured[0] == "evaluate" and measured[1]["reference"] == folder / "ct.nii.gz"
    assert measured[1]["prediction"] == translation[1]["out"]


def test_the_command_of_an_upload_names_its_files():
    own = TranslationJob(files=("/tmp/x/my scan.nii.gz",), reference=("/tmp/y/ct.nii",))
    assert commands(own, "mr2ct-unet") == (
        "python -m ganlab translate --task mr2ct 'my scan.nii.gz' synthetic-ct.nii.gz --model mr2ct-unet "
        "--reference ct.nii",
    )


def test_training_has_as_many_lesions_as_the_notice_says(monkeypatch):
    import torch

    from ganlab.phantoms import patient, slices
    from ganlab.phantoms.build import Build

    head = patient.Patient(Build(), *[None] * 4)
    monkeypatch.setattr(slices, "make_head", lambda generator, device: head)
    draw = slices.Draw(torch.Generator().manual_seed(0))
    lesions = [slices.random_patient(draw).build.lesion for _ in range(4000)]
    assert np.mean([lesion is not None for lesion in lesions]) == pytest.approx(0.15, abs=0.02)


def test_a_phantom_is_made_as_its_job_says(monkeypatch, volumes, tmp_path):
    arguments = {}

    def make_patient(seed, spacing, progress, **options):
        arguments.update(seed=seed, spacing=spacing, **options)
        return {"t1": volumes["input"], "ct": volumes["reference"]}

    monkeypatch.setattr(ganlab.phantoms, "make_patient", make_patient)
    monkeypatch.setattr(ganlab.translation.inference, "translate", lambda *_, **__: translated(volumes["synthetic"]))
    options = PhantomOptions(lesion="plaques", misalign=3.0, ventricles=1.5)
    case = solve(TranslationJob(seed=7, spacing=2.0, options=options), tmp_path)
    assert arguments == {
        "modalities": ("t1", "ct"),
        "seed": 7,
        "spacing": 2.0,
        "lesion": "plaques",
        "misalign": 3.0,
        "ventricles": 1.5,
    }
    assert case.options == options and load_case(tmp_path) == case
    assert case.title == "Phantom patient 7: plaques, misaligned by 3 mm, ventricles 1.5 times the mean"
    assert case.stem == "phantom-7-plaques-misalign-3-ventricles-1.5"
    assert case.notices[:2] == options.notices(("t1", "ct"))
    assert "--lesion plaques --misalign 3 --ventricles 1.5" in case.commands[0]


def test_a_rival_is_translated_measured_and_kept_beside_the_model(monkeypatch, volumes, tmp_path):
    worse = replace(volumes["synthetic"], array=volumes["synthetic"].array + 80)
    results = {"mr2ct-unet": volumes["synthetic"], "mr2ct-pix2pix": worse}
    pair = {"t1": volumes["input"], "ct": volumes["reference"]}
    monkeypatch.setattr(ganlab.phantoms, "make_patient", lambda **_: pair)
    monkeypatch.setattr(
        ganlab.translation.inference,
        "translate",
        lambda volume, task, model, *_, **__: translated(results[model], model),
    )
    case = solve(TranslationJob(seed=7, model="mr2ct-unet", rival="mr2ct-pix2pix"), tmp_path)
    assert load_case(tmp_path) == case
    labels = {layer.name: layer.label for layer in case.layers}
    assert labels == {
        "input": "T1", "synthetic": "CT by unet", "rival": "CT by pix2pix", "reference": "Reference CT"
    }  # fmt: skip
    assert case.rival["metrics"]["mean_error"] == pytest.approx(case.metrics["mean_error"] + 80, abs=0.1)
    assert case.commands[1].endswith("synthetic-ct.nii.gz --model mr2ct-unet")
    assert case.commands[2].endswith("rival-ct.nii.gz --model mr2ct-pix2pix")
    table = report.metrics_table(case)
    assert "MAE, unet" in table and "MAE, pix2pix" in table
    assert "rival=mr2ct-pix2pix" in report.link(case)


@pytest.mark.parametrize(
    ("task", "labels"),
    [("t1fa", ["T1", "Synthetic FA", "Reference FA"]), ("ct2mr", ["CT", "Synthetic T1", "Reference T1"])],
)
def test_other_tasks_have_their_own_labels_scales_and_masks(monkeypatch, tmp_path, task, labels):
    pair = ganlab.translation.compare.phantom_pair(task, seed=3, spacing=4.0)
    level = pair.white_matter or 1.0

    def nearly_perfect(*_, **__):
        return translated(replace(pair.reference, array=pair.reference.array / np.float32(level / 0.9)), f"{task}-unet")

    monkeypatch.setattr(ganlab.translation.compare, "phantom_pair", lambda *_, **__: pair)
    monkeypatch.setattr(ganlab.translation.inference, "translate", nearly_perfect)
    case = solve(TranslationJob(seed=3, spacing=4.0, task=task, model=f"{task}-unet"), tmp_path)
    assert [layer.label for layer in case.layers] == labels
    assert case.metrics["task"] == task and case.metrics["correlation"] == pytest.approx(1, abs=1e-6)
    assert sum(map(sum, (v for k, v in case.histogram.items() if k != "edges"))) == case.metrics["voxels"]
    assert f"task={task}" in report.link(case) and f"--task {task}" in case.commands[-1]
    assert "MAE, HU" not in report.metrics_table(case) and "HU" not in report.histogram(case)
    assert ("divided by" in " ".join(case.notices)) == (task == "ct2mr")


def test_a_job_that_is_cancelled_before_it_starts_does_nothing(tmp_path):
    with pytest.raises(Cancelled):
        solve(TranslationJob(seed=1), tmp_path, cancelled=lambda: True)
    assert not list(tmp_path.iterdir())
