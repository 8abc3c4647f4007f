import json
import re
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

import ganlab
from ganlab.checkpoints import as_config, save_tensors
from ganlab.imaging.grid import canonical
from ganlab.imaging.volume import Origin
from ganlab.translation.networks import UNet, UNetConfig


@pytest.mark.slow
def test_a_phantom_is_translated_and_evaluated(run, tmp_path):
    code, out, _ = run("phantom", "--seed", 9002, "--out", tmp_path, "--spacing", 2, "--json")
    assert code == 0 and json.loads(out)["shape"] == [96, 120, 120]
    paths = (tmp_path / "t1.nii.gz", tmp_path / "sct.nii.gz")
    code, out, err = run("translate", "--task", "mr2ct", *paths, "--planes", "axial", "--json")
    assert code == 0, err
    assert json.loads(out)["precision"] in ("float32", "bfloat16")
    t1, ct = nib.load(tmp_path / "t1.nii.gz"), nib.load(tmp_path / "sct.nii.gz")
    assert t1.shape == ct.shape
    np.testing.assert_array_equal(t1.affine, ct.affine)
    code, out, err = run("evaluate", tmp_path / "ct.nii.gz", tmp_path / "sct.nii.gz", "--json")
    assert code == 0, err
    assert 0 < json.loads(out)["mae"] < 200


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (("translate", "nothing.nii.gz", "out.nii.gz"), '"nothing.nii.gz" does not exist'),
        (("translate", __file__, "out.nii.gz"), '"test_translate.py" '),
        (("translate", "nothing.nii.gz", "out.txt"), '"out.txt" .*.nii.gz'),
        (("translate", "t1.nii.gz", "out.nii.gz", "--registered", "ct.nii.gz"), "needs --reference"),
        (("translate", "nothing.nii.gz", "out.nii.gz", "--reference", "b.nii"), '"nothing.nii.gz" does not exist'),
        (("translate", "t1.nii.gz", "out.nii.gz", "--precision", "half"), 'Precision "half".*bfloat16'),
        (("evaluate", "a.nii.gz", "b.nii.gz"), '"a.nii.gz" does not exist'),
        (("evaluate-models", "--model", "nothing"), '"nothing".*mr2ct-unet'),
        (("evaluate-models", "--model", "t1fa-unet"), '"t1fa-unet" makes FA.*mr2ct-unet'),
        (("evaluate-models", "--task", "t1flair"), '"t1flair".*ct2mr'),
        (("evaluate-models", "--task", "t1pet"), '"t1pet".*ct2mr'),
    ],
)
def test_refuses_invalid_input_in_one_sentence(refuse, arguments, phrase):
    assert re.search(phrase, refuse(*arguments))


@pytest.fixture
def head(tmp_path_factory):
    """head(name, array): a file of a CT-like ball, changed by a function of its HU."""
    x = np.stack(np.meshgrid(*(np.arange(40) - 19.5,) * 3, indexing="ij"))
    r = np.linalg.norm(x, axis=0)
    folder = tmp_path_factory.mktemp("scans")
    hu = np.where(r > 17, -1000, np.where(r > 15, 900, 40)).astype(np.float32)

    def write(name, change=lambda hu: hu):
        path = folder / f"{name}.nii.gz"
        nib.save(nib.Nifti1Image(change(hu).astype(np.float32), np.diag([5.0, 5, 5, 1])), path)
        return path

    return write


@pytest.fixture
def quick_model(tmp_path_factory):
    """A folder with an untrained model of a few weights on a grid of 5 mm."""
    folder = tmp_path_factory.mktemp("models") / "mr2ct-quick"
    folder.mkdir()
    network = UNet(UNetConfig(widths=(4, 6)))
    config = {"network": as_config(network.config), "task": "mr2ct", "spacing": 5.0}
    save_tensors(folder / "model.safetensors", network.state_dict(), config)
    return folder


@pytest.mark.slow
def test_the_ending_of_the_output_chooses_its_format(run, quick_model, tmp_path):
    patient = ganlab.phantom(seed=9002, modalities=["t1"], spacing=4)["t1"]
    source = tmp_path / "t1.nii.gz"
    ganlab.write(replace(patient, origin=Origin(sform=4, qform=4)), source)
    values = {}
    for name in ("ct.nii.gz", "ct.mgz", "ct.nrrd", "ct.dcm", "ct.zip"):
        code, out, err = run("translate", source, tmp_path / name, "--model", quick_model, "--json")
        assert code == 0, err
        lost = [notice for notice in json.loads(out)["notices"] if "MNI space" in notice]
        assert len(lost) == (name in ("ct.mgz", "ct.dcm", "ct.zip")) and all(notice in err for notice in lost)
        volume = canonical(ganlab.read(tmp_path / name, "ct"))
        np.testing.assert_allclose(volume.affine, patient.affine, atol=1e-4)
        values[name] = volume.array
    for array in values.values():
        np.testing.assert_array_equal(array, values["ct.nii.gz"])
    header = nib.load(tmp_path / "ct.nii.gz").header
    assert (header["sform_code"], header["qform_code"]) == (4, 4) and b"mr2ct-quick ct" in header["descrip"].item()
    code, out, err = run("translate", source, tmp_path / "ct.dcm", "--model", quick_model)
    assert (code, out) == (2, "") and "the folder holds files" in err


def test_evaluate_refuses_units_that_make_no_sense(refuse, head):
    ct, shifted = head("ct"), head("shifted", lambda hu: hu + 1024)
    t1 = head("t1", lambda hu: np.where(hu > 500, 100, np.where(hu > -500, 800, 0)))
    assert "subtract the offset" in refuse("evaluate", ct, shifted)
    assert "give that CT, or a mask" in refuse("evaluate", t1, t1, "--task", "ct2mr")


@pytest.mark.parametrize(
    ("out", "options", "phrase"),
    [
        ("t1.nii.gz", (), 'output file is the input file, "t1.nii.gz"'),
        ("./ct.nii.gz", ("--reference", "ct.nii.gz"), "output file is the --reference file"),
        ("o.nii.gz", ("--reference", "ct.nii.gz", "--registered", "o.nii.gz"), "--registered file is the output file"),
        ("o.nii.gz", ("--reference", "ct.nii.gz", "--registered", "ct.nii.gz"), "is the --reference file"),
    ],
)
def test_translate_refuses_to_overwrite_one_file_with_another(refuse, tmp_path, monkeypatch, out, options, phrase):
    monkeypatch.chdir(tmp_path)
    assert phrase in refuse("translate", "t1.nii.gz", out, *options)
    assert not list(tmp_path.iterdir())


def test_evaluate_says_what_was_replaced_in_the_files(run, head):
    ct, gaps = head("ct"), head("gaps", lambda hu: np.where(hu == hu[0, 0, 0], np.nan, hu))
    code, out, err = run("evaluate", ct, gaps, "--json")
    assert code == 0, err
    assert any(notice.startswith("Prediction: Voxels that were NaN") for notice in json.loads(out)["notices"])


def test_evaluate_rescales_t1_and_reports_it(run, head):
    ct = head("ct")
    t1 = head("t1", lambda hu: np.where(hu > 500, 100, np.where(hu > -500, 700 + hu / 2, 0)) + np.arange(40))
    code, out, err = run("evaluate", t1, t1, "--task", "ct2mr", "--source", ct, "--json")
    assert code == 0, err
    metrics = json.loads(out)
    assert metrics["mae"] == 0 and metrics["mask"].startswith("head of the source CT")
    assert any("divided by" in notice and "estimated" in notice for notice in metrics["notices"])
    code, out, err = run("evaluate", t1, t1, "--task", "ct2mr", "--source", ct, "--white-matter", 700)
    assert code == 0 and "divided by 700" in out
