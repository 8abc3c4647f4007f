import json
import re

import nibabel as nib
import numpy as np
import pytest


@pytest.mark.slow
def test_a_phantom_is_translated_and_evaluated(run, tmp_path):
    code, out, _ = run("phantom", "--seed", 9002, "--out", tmp_path, "--spacing", 2, "--json")
    assert code == 0 and json.loads(out)["shape"] == [96, 120, 120]
    paths = (tmp_path / "t1.nii.gz", tmp_path / "sct.nii.gz")
    code, out, err = run("translate", "--task", "mr2ct", *paths, "--planes", "axial", "--json")
    assert code == 0, err
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
        (("evaluate", "a.nii.gz", "b.nii.gz"), '"a.nii.gz" does not exist'),
        (("evaluate-models", "--model", "nothing"), '"nothing".*mr2ct-unet'),
        (("evaluate-models", "--model", "t1fa-unet"), '"t1fa-unet" makes FA.*mr2ct-unet'),
        (("evaluate-models", "--task", "t1flair"), '"t1flair".*ct2mr'),
        (("evaluate-models", "--task", "t1pet"), '"t1pet".*ct2mr'),
    ],
)
def test_refuses_a_mistake_in_one_sentence(refuse, arguments, phrase):
    assert re.search(phrase, refuse(*arguments))
