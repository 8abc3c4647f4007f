import json

import nibabel as nib
import pytest


@pytest.mark.slow
def test_cycle_follows_a_lesion_and_maps_the_discriminator(run, tmp_path):
    words = ("cycle", "--task", "ct2mr", "--planes", "axial", "--judge", "--lesion", "26,-30,32,12,40")
    code, out, err = run(*words, "--seed", 9002, "--spacing", 4, "--out", tmp_path / "cycle", "--json")
    assert code == 0, err
    report = json.loads(out)
    assert (
        report["models"] == ["ct2mr-cyclegan", "mr2ct-cyclegan"] and report["notices"] == [] and report["unit"] == "HU"
    )
    put = report["lesion"]["input"]
    assert put["with"] - put["without"] == pytest.approx(40, abs=0.5)
    assert "hidden" not in report and 0 < report["judged"]["judged-real"] < 1
    names = ("input", "synthetic", "reconstruction", "judged", "judged-real", "relative-error")
    assert list(report["files"]) == list(names)
    share, head = nib.load(report["files"]["relative-error"]).get_fdata(), nib.load(report["files"]["input"])
    assert share.shape == head.shape and share.max() > 100 * report["consistency"]["relative"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "either a scan, or --seed"),
        (("scan.nii", "--seed", 7), "either a scan, or --seed"),
        (("--seed", 7, "--task", "t1fa"), "no reverse"),
        (("--seed", 7, "--lesion", "1,2,3"), "is not X,Y,Z,RADIUS,CONTRAST"),
        (("--seed", 7, "--back", "nope"), 'no model "nope"'),
        (("--seed", 7, "--model", "mr2ct-unet", "--judge"), "no discriminator to ask"),
    ],
)
def test_refuses_an_impossible_cycle_in_one_sentence(run, words, sentence):
    code, _, err = run("cycle", *words)
    assert code == 2 and sentence in err and len(err.splitlines()) == 1
