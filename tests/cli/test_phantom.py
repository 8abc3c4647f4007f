import json
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import typer

from ganlab.cli.main import app

FLAGS = {  # every choice that a phantom has: words of the command, arguments of make_patient
    "--modality": (["pet"], {}),
    "--lesion": (["bleed"], {"lesion": "bleed"}),
    "--misalign": (["4"], {"misalign": 4.0}),
    "--scanner": (["noisy"], {"scanner": "noisy"}),
    "--field": (["1.5"], {"field": 1.5}),
    "--defaced": ([], {"defaced": True}),
    "--craniotomy": ([], {"craniotomy": True}),
    "--fillings": ([], {"fillings": True}),
    "--ventricles": (["2"], {"ventricles": 2.0}),
    "--skull": (["9.5"], {"skull": 9.5}),
    "--fat": (["6"], {"fat": 6.0}),
}


def test_every_option_reaches_the_phantom_and_its_json(run, tmp_path):
    from ganlab.phantoms import LABELS, make_patient

    words = [word for flag, (values, _) in FLAGS.items() for word in (flag, *values)]
    modalities = ("pet", "t1", "ct", "labels")
    code, out, err = run(
        *("phantom", "--seed", 9001, "--spacing", 8, "--out", tmp_path, "--json", "--device", "cpu", *words),
        *(word for name in modalities[1:] for word in ("--modality", name)),
    )
    assert code == 0, err
    facts = json.loads(out)
    wishes = {name: value for _, wish in FLAGS.values() for name, value in wish.items()}
    assert {name: facts[name] for name in wishes} == wishes
    assert (facts["seed"], facts["spacing"], facts["modality"], facts["lesion_at"]) == (
        9001,
        8.0,
        list(modalities),
        None,
    )
    assert facts["labels"] == {str(index): name for index, name in LABELS.items()}
    for name, volume in make_patient(9001, modalities, 8.0, **wishes).items():
        stored = nib.load(facts["files"][name])
        np.testing.assert_array_equal(np.asarray(stored.dataobj), volume.array)
        np.testing.assert_allclose(stored.affine, volume.affine)
    header, *rows = (tmp_path / "labels.tsv").read_text().splitlines()
    assert facts["files"]["label_names"] == str(tmp_path / "labels.tsv")
    assert header == "index\tname" and rows == [f"{index}\t{name}" for index, name in LABELS.items()]


def test_puts_a_lesion_at_the_given_place(run, tmp_path):
    from ganlab.phantoms import Lesion, Spot, make_patient

    place = "-30,-10,20,14"
    words = ("--lesion", "tumour", "--lesion-at", place, "--modality", "labels", "--spacing", 8, "--json")
    code, out, err = run("phantom", "--out", tmp_path, *words)
    assert code == 0, err
    assert json.loads(out)["lesion_at"] == place
    expected = make_patient(7, ("labels",), 8.0, lesion=Lesion("tumour", (Spot(-30, -10, 20, 14),)))["labels"].array
    labels = np.asarray(nib.load(tmp_path / "labels.nii.gz").dataobj)
    np.testing.assert_array_equal(labels, expected)
    assert (labels != make_patient(7, ("labels",), 8.0)["labels"].array).any()


def test_writes_label_names_only_with_labels(run, tmp_path):
    code, out, err = run("phantom", "--out", tmp_path, "--modality", "ct", "--spacing", 8)
    assert code == 0, err
    assert out.split() == [str(tmp_path / "ct.nii.gz")] and [file.name for file in tmp_path.iterdir()] == ["ct.nii.gz"]


def test_help_names_every_choice_and_limit():
    from ganlab.phantoms import LESIONS, MODALITIES, SCANNERS
    from ganlab.phantoms.options import OPTIONS
    from ganlab.phantoms.signals import FIELDS
    from ganlab.phantoms.volumes import SPACINGS

    command = typer.main.get_command(app).commands["phantom"]
    help_of = {option.name: option.help for option in command.params}
    choices = {"modality": MODALITIES, "lesion": LESIONS, "scanner": SCANNERS, "field": [f"{t:g}" for t in FIELDS]}
    for name, words in choices.items():
        assert [word for word in words if word not in help_of[name]] == []
    limits = {each.name: (each.low, each.high) for each in OPTIONS if each.low is not None}
    assert limits.keys() >= {"misalign", "ventricles", "skull", "fat", "atrophy"}
    for name, (low, high) in {**limits, "spacing": SPACINGS}.items():
        assert f"{low:g} to {high:g}" in help_of[name]


def test_writes_nodules_with_their_truth_and_a_contact_sheet(run, tmp_path):
    code, out, err = run("nodules", "--n", 5, "--seed", 3, "--out", tmp_path / "nodules", "--json")
    assert code == 0, err
    result = json.loads(out)
    with np.load(result["files"]["patches"], allow_pickle=False) as stored:
        assert stored["images"].shape == stored["masks"].shape == (5, 56, 56) and stored["images"].dtype == np.int16
    rows = Path(result["files"]["truth"]).read_text(encoding="utf-8").splitlines()
    assert len(rows) == 6 and rows[0].startswith("patch,labels,diameter_mm")
    assert sum("malignant" in row for row in rows) == result["malignant"]
    for window in ("lung", "mediastinum"):
        assert Path(result["files"][window]).read_bytes().startswith(b"\x89PNG")
    code, _, err = run("nodules", "--kind", "cystic", "--out", tmp_path)
    assert code == 2 and "benign, malignant" in err


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (("phantom",), "Missing option '--out'"),
        (("phantom", "--seed", "-1", "--out", "x"), "Seed -1 "),
        (("phantom", "--seed", "seven", "--out", "x"), "'--seed'.*valid integer"),
        (("phantom", "--seed", "1.5", "--out", "x"), "'--seed'.*valid integer"),
        (("phantom", "--colour", "red", "--out", "x"), "No such option: --colour"),
        (("phantom", "--spacing", "0", "--out", "x"), "Spacing 0 .*0.5"),
        (("phantom", "--modality", "x-ray", "--out", "x"), '"x-ray".*flair'),
        (("phantom", "--out", f"{__file__}/x", "--spacing", "8"), "cannot be created .*--out"),
        (("phantom", "--lesion", "aneurysm", "--out", "x"), '"aneurysm".*tumour'),
        (("phantom", "--lesion-at", "30,-10,20,12", "--out", "x"), "without a lesion: choose one of"),
        (("phantom", "--lesion", "bleed", "--lesion-at", "30,-10,20", "--out", "x"), '"30,-10,20" is not X,Y,Z,RADIUS'),
        (
            ("phantom", "--lesion", "bleed", "--lesion-at", "30,-10,20,12,1", "--out", "x"),
            '"30,-10,20,12,1" is not X,Y,Z,RADIUS',
        ),
        (("phantom", "--lesion", "bleed", "--lesion-at", "here", "--out", "x"), '"here" is not X,Y,Z,RADIUS'),
        (("phantom", "--lesion", "bleed", "--lesion-at", "30,-10,20,99", "--out", "x"), "radius 99 "),
        (
            ("phantom", "--lesion", "bleed", "--lesion-at", "300,-10,20,12", "--out", "x"),
            "300, -10, 20 .*outside the brain",
        ),
        (("phantom", "--lesion", "bleed", "--lesion-at", "nan,-10,20,12", "--out", "x"), "Lesion"),
        (("phantom", "--misalign", "13", "--out", "x"), "Misalignment is 13.*12 mm"),
        (("phantom", "--scanner", "old", "--out", "x"), '"old".*clinical'),
        (("phantom", "--field", "7", "--out", "x"), "field is 7.*1.5, 3"),
        (("phantom", "--ventricles", "3", "--out", "x"), "Ventricle width is 3.*0.5 to 2.5"),
        (("phantom", "--skull", "0", "--out", "x"), "Skull thickness is 0.*3 to 12 mm"),
        (("phantom", "--fat", "nan", "--out", "x"), "Scalp fat is NaN.*0.8 to 12 mm"),
    ],
)
def test_refuses_invalid_input_in_one_sentence(refuse, arguments, phrase):
    assert re.search(phrase, refuse(*arguments))
