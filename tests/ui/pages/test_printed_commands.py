"""The commands printed by the Translate and Cycle pages, run as printed: the numbers must be the page's.

Both go through the same functions, and volumes are measured as they are stored in files, so the numbers are equal to
the last bit. Only the white matter of a stored reference is estimated again, which may differ in its last digits.
"""

import json
import shlex
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ganlab.cli.main import main
from ganlab.imaging.writing import write_volume
from ganlab.phantoms import make_patient
from ganlab.translation.cycle.lesion import InsertedLesion
from ganlab.ui.pages.cycle import job as cycle
from ganlab.ui.pages.translate import job as translate
from ganlab.ui.saved_case import load_volume
from ganlab.ui.volume_controls import upload_names

pytestmark = pytest.mark.slow
NUMBERS = ("voxels", "mae", "mean_error", "mse", "correlation", "psnr", "psnr_synthrad", "ssim", "dice", "tissues")


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """run(command): the JSON output of a printed line, run in its own folder."""
    folder = tmp_path / "shell"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def call(command):
        python, flag, package, *words = shlex.split(command)
        assert (python, flag, package) == ("python", "-m", "ganlab")
        monkeypatch.setattr(sys, "argv", ["ganlab", *words, "--json"])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        assert not end.value.code, err
        return json.loads(out)

    return call


def numbers(metrics):
    return {name: metrics[name] for name in NUMBERS}


def case_of(module, job, tmp_path):
    folder = tmp_path / "case"
    folder.mkdir()
    return module.solve(job, folder), folder


@pytest.mark.parametrize("task", ["mr2ct", "ct2mr", "t1fa"])
def test_a_phantoms_commands_give_the_numbers_of_the_page(run, tmp_path, task):
    job = translate.TranslationJob(seed=9000, spacing=2.0, task=task, model=f"{task}-unet", planes=("axial",))
    case, folder = case_of(translate, job, tmp_path)
    phantom, translated, measured = (run(command) for command in case.commands)
    assert phantom["seed"] == 9000 and translated["model"] == job.model
    assert numbers(measured) == numbers(case.metrics) and measured["mask"] == case.metrics["mask"]
    assert measured["notices"] == case.metrics["notices"]
    if task == "ct2mr":
        assert case.metrics["mae"] < 0.5, "of white matter, not of scanner units"
    stored = nib.load(translated["out"])
    assert np.array_equal(np.asarray(stored.dataobj), load_volume(folder, case, "synthetic").array)
    assert Path(translated["out"]).read_bytes() == (folder / "synthetic.nii.gz").read_bytes()


@pytest.mark.parametrize("task", ["mr2ct", "ct2mr"])
def test_the_command_of_an_upload_gives_the_numbers_of_the_page(run, tmp_path, task):
    source, target = translate.get_task(task).source, translate.get_task(task).target
    patient = make_patient(9001, (source, target), 4.0)
    moved = np.array([[1.0, 0, 0, 5], [0, 1, 0, -3], [0, 0, 1, 2], [0, 0, 0, 1]]) @ patient[target].affine
    for kind, affine in ((source, patient[source].affine), (target, moved)):
        write_volume(
            patient[kind].__class__(patient[kind].array, affine, patient[kind].unit, kind), Path(f"{kind}.nii")
        )
    job = translate.TranslationJob(
        files=(str(Path(f"{source}.nii").resolve()),),
        reference=(str(Path(f"{target}.nii").resolve()),),
        task=task,
        model=f"{task}-unet",
        planes=("axial",),
    )
    case, folder = case_of(translate, job, tmp_path)
    [command] = case.commands
    result = run(f"{command} --registered registered.nii.gz")
    assert numbers(result["metrics"]) == numbers(case.metrics)
    assert result["notices"] == list(case.notices) and any("was moved by" in notice for notice in case.notices)
    again = ["evaluate", "registered.nii.gz", result["out"], "--task", task]
    again += ["--source", f"{source}.nii"] if target == "t1" else []
    measured = run(shlex.join(["python", "-m", "ganlab", *again]))
    assert measured["mae"] == pytest.approx(case.metrics["mae"], rel=1e-3)
    downloaded = load_volume(folder, case, "reference").array
    assert np.array_equal(downloaded, np.asarray(nib.load("registered.nii.gz").dataobj))
    assert upload_names(job.files) == (f"{source}.nii", source)


def test_the_command_of_a_cycle_gives_the_numbers_of_the_page(run, tmp_path):
    job = cycle.CycleJob(
        "mr2ct", "mr2ct-unet", "ct2mr-unet", seed=9000, spacing=4.0, planes=("axial",),
        lesion=InsertedLesion(26.0, -30.0, 32.0, 12.0, 1.4),
    )  # fmt: skip
    case, folder = case_of(cycle, job, tmp_path)
    [command] = case.commands
    result = run(command)
    assert {name: result[name] for name in case.cycle} == case.cycle
    for name in ("synthetic", "reconstruction"):
        assert Path(result["files"][name]).read_bytes() == (folder / f"{name}.nii.gz").read_bytes()
