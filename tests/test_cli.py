import json
import sys

import nibabel as nib
import numpy as np
import pytest

from ganlab.cli import main


@pytest.fixture
def run(monkeypatch, capsys):
    """run("command", ...) -> (exit code, stdout, stderr)"""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["ganlab", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return end.value.code or 0, out, err

    return call


def test_info_and_models(run):
    code, out, _ = run("info", "--json")
    assert code == 0 and json.loads(out)["device"] in ("cpu", "cuda", "mps")
    code, out, _ = run("models", "--json")
    assert code == 0 and "mr2ct-unet" in [m["name"] for m in json.loads(out)["models"]]


def test_phantom_translate_evaluate(run, tmp_path):
    code, out, _ = run("phantom", "--seed", 9002, "--out", tmp_path, "--spacing", 2, "--json")
    assert code == 0 and json.loads(out)["shape"] == [96, 120, 120]
    code, out, err = run("translate", "--task", "mr2ct", tmp_path / "t1.nii.gz", tmp_path / "sct.nii.gz", "--json")
    assert code == 0, err
    t1, ct = nib.load(tmp_path / "t1.nii.gz"), nib.load(tmp_path / "sct.nii.gz")
    assert t1.shape == ct.shape
    np.testing.assert_array_equal(t1.affine, ct.affine)
    code, out, err = run("evaluate", tmp_path / "ct.nii.gz", tmp_path / "sct.nii.gz", "--json")
    assert code == 0, err
    assert 0 < json.loads(out)["mae"] < 200


def test_training_takes_steps_and_resumes(run, tmp_path):
    arguments = ("train", "mr2ct-unet", "--out", tmp_path / "run", "--workers", 0, "--device", "cpu")
    code, out, _ = run(*arguments, "--steps", 1, "--json")
    assert code == 0 and json.loads(out)["l1_hu"] > 0
    assert (tmp_path / "run" / "model.safetensors").is_file()
    code, _, err = run(*arguments, "--steps", 2)
    assert code == 2 and "--resume" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("translate", "nothing.nii.gz", "out.nii.gz"),
        ("translate", __file__, "out.nii.gz"),
        ("translate", "nothing.nii.gz", "out.txt"),
        ("phantom", "--seed", "-1", "--out", "x"),
        ("phantom", "--spacing", "0", "--out", "x"),
        ("phantom", "--modality", "x-ray", "--out", "x"),
        ("phantom", "--out", "/dev/null/x", "--spacing", "8"),
        ("info", "--device", "tpu"),
        ("train", "nothing"),
        ("benchmark", "nothing"),
        ("evaluate", "a.nii.gz", "b.nii.gz"),
        ("evaluate-models", "--model", "nothing"),
    ],
)
def test_a_mistake_ends_in_one_sentence_and_exit_code_2(run, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert code == 2
    assert out == "" and err.strip().endswith(".") and "Traceback" not in err and len(err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
