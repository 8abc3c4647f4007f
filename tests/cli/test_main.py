import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import typer

from ganlab.checkpoints import read_card
from ganlab.cli.main import app, main
from ganlab.generation.loading import load_generator

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
    paths = (tmp_path / "t1.nii.gz", tmp_path / "sct.nii.gz")
    code, out, err = run("translate", "--task", "mr2ct", *paths, "--planes", "axial", "--json")
    assert code == 0, err
    t1, ct = nib.load(tmp_path / "t1.nii.gz"), nib.load(tmp_path / "sct.nii.gz")
    assert t1.shape == ct.shape
    np.testing.assert_array_equal(t1.affine, ct.affine)
    code, out, err = run("evaluate", tmp_path / "ct.nii.gz", tmp_path / "sct.nii.gz", "--json")
    assert code == 0, err
    assert 0 < json.loads(out)["mae"] < 200


def test_a_cycle_with_a_lesion_and_its_judge(run, tmp_path):
    words = ("cycle", "--task", "ct2mr", "--planes", "axial", "--judge", "--lesion", "26,-30,32,12,40")
    code, out, err = run(*words, "--seed", 9002, "--spacing", 4, "--out", tmp_path / "cycle", "--json")
    assert code == 0, err
    said = json.loads(out)
    assert said["models"] == ["ct2mr-cyclegan", "mr2ct-cyclegan"] and said["notices"] == [] and said["unit"] == "HU"
    put = said["lesion"]["input"]
    assert put["with"] - put["without"] == pytest.approx(40, abs=0.5)
    assert "hidden" not in said and 0 < said["judged"]["judged-real"] < 1
    names = ("input", "synthetic", "reconstruction", "judged", "judged-real", "relative-error")
    assert list(said["files"]) == list(names)
    share, head = nib.load(said["files"]["relative-error"]).get_fdata(), nib.load(said["files"]["input"])
    assert share.shape == head.shape and share.max() > 100 * said["consistency"]["relative"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "either a scan, or --seed"),
        (("scan.nii", "--seed", 7), "either a scan, or --seed"),
        (("--seed", 7, "--task", "t1fa"), "no way back"),
        (("--seed", 7, "--lesion", "1,2,3"), "is not X,Y,Z,RADIUS,CONTRAST"),
    ],
)
def test_a_cycle_that_cannot_be_is_a_sentence(run, words, sentence):
    code, _, err = run("cycle", *words)
    assert code == 2 and sentence in err and len(err.splitlines()) == 1


def test_a_phantom_is_what_its_flags_say_and_its_json_repeats_them(run, tmp_path):
    from ganlab.phantoms import LABELS, make_patient

    words = [word for flag, (values, _) in FLAGS.items() for word in (flag, *values)]
    modalities = ("pet", "t1", "ct", "labels")
    code, out, err = run(
        *("phantom", "--seed", 9001, "--spacing", 8, "--out", tmp_path, "--json", "--device", "cpu", *words),
        *(word for name in modalities[1:] for word in ("--modality", name)),
    )
    assert code == 0, err
    said = json.loads(out)
    wishes = {name: value for _, wish in FLAGS.values() for name, value in wish.items()}
    assert {name: said[name] for name in wishes} == wishes
    assert (said["seed"], said["spacing"], said["modality"], said["lesion_at"]) == (9001, 8.0, list(modalities), None)
    assert said["labels"] == {str(index): name for index, name in LABELS.items()}
    for name, volume in make_patient(9001, modalities, 8.0, **wishes).items():
        stored = nib.load(said["files"][name])
        np.testing.assert_array_equal(np.asarray(stored.dataobj), volume.array)
        np.testing.assert_allclose(stored.affine, volume.affine)
    header, *rows = (tmp_path / "labels.tsv").read_text().splitlines()
    assert said["files"]["label_names"] == str(tmp_path / "labels.tsv")
    assert header == "index\tname" and rows == [f"{index}\t{name}" for index, name in LABELS.items()]


def test_a_lesion_lies_where_it_is_put(run, tmp_path):
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


def test_without_labels_there_are_no_names_of_them(run, tmp_path):
    code, out, err = run("phantom", "--out", tmp_path, "--modality", "ct", "--spacing", 8)
    assert code == 0, err
    assert out.split() == [str(tmp_path / "ct.nii.gz")] and [file.name for file in tmp_path.iterdir()] == ["ct.nii.gz"]


def test_the_phantoms_help_names_every_choice_and_limit():
    from ganlab.phantoms import LESIONS, MODALITIES, SCANNERS
    from ganlab.phantoms.build import LIMITS
    from ganlab.phantoms.signals import FIELDS
    from ganlab.phantoms.volumes import MISALIGNMENTS, SPACINGS

    command = typer.main.get_command(app).commands["phantom"]
    help_of = {option.name: option.help for option in command.params}
    choices = {"modality": MODALITIES, "lesion": LESIONS, "scanner": SCANNERS, "field": [f"{t:g}" for t in FIELDS]}
    for name, words in choices.items():
        assert [word for word in words if word not in help_of[name]] == []
    for name, (low, high) in {**LIMITS, "spacing": SPACINGS, "misalign": MISALIGNMENTS}.items():
        assert name == "atrophy" or f"{low:g} to {high:g}" in help_of[name]


def test_training_takes_steps_and_resumes(run, tmp_path):
    arguments = ("train", "mr2ct-unet", "--out", tmp_path / "run", "--workers", 0, "--device", "cpu")
    arguments = (*arguments, "--set", "network.widths=[4, 6]", "--set", "size=32")
    code, out, _ = run(*arguments, "--steps", 1, "--json")
    assert code == 0 and json.loads(out)["l1"] > 0
    assert read_card(tmp_path / "run")["config"]["network"]["widths"] == [4, 6]
    code, _, err = run(*arguments, "--steps", 2)
    assert code == 2 and "--resume" in err


def test_an_unknown_preset_is_told_those_of_both_families(run):
    code, _, err = run("train", "dcgan-brains")
    assert code == 2 and all(name in err for name in ("dcgan-digits", "fc-nodules", "mr2ct-unet", "t1fa-cyclegan"))


def test_training_on_two_folders_of_volumes(run, tmp_path):
    for kind, folder in (("t1", "mr"), ("ct", "ct")):
        code, _, err = run("phantom", "--modality", kind, "--spacing", 8, "--out", tmp_path / folder, "--device", "cpu")
        assert code == 0, err
        (tmp_path / folder / f"{kind}.nii.gz").rename(tmp_path / folder / "p7.nii.gz")
    arguments = ("train", "mr2ct-unet", "--out", tmp_path / "run", "--workers", 0, "--device", "cpu", "--steps", 1)
    folders = ("--source", tmp_path / "mr", "--target", tmp_path / "ct")
    code, out, err = run(*arguments, *folders)
    assert code == 0, err
    assert [line.split()[0] for line in out.splitlines()] == ["saved", "step", "saved", "saved", f"{tmp_path / 'run'}:"]
    assert (tmp_path / "run" / "preview.png").is_file() and (tmp_path / "run" / "progress.png").is_file()
    code, _, err = run(*arguments, "--resume")
    assert code == 2 and f'add --source "{tmp_path / "mr"}"' in err
    code, out, err = run(*arguments[:-1], 2, "--resume", *folders, "--json")
    assert code == 0 and json.loads(out)["l1"] > 0, err
    (tmp_path / "mr" / "p8.nii.gz").write_bytes(b"nonsense")
    code, _, err = run(*arguments, *folders, "--resume")
    assert code == 2 and "no partner" in err


def test_toy_trains_and_measures(run):
    code, out, err = run(
        "toy", "--data", "ring", "--objective", "minimax", "--steps", 20, "--set", "batch=16", "--json"
    )
    assert code == 0, err
    result = json.loads(out)
    assert result["modes_total"] == 8 and result["objective"] == "minimax"
    assert {"modes_covered", "high_quality", "js", "kl", "steps_per_second"} <= set(result)
    code, out, _ = run("toy", "--data", "gaussians-1d", "--steps", 5, "--runs", 2)
    assert code == 0 and "js: " in out and "(floor " in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("toy", "--data", "doughnut"),
        ("toy", "--objective", "maximin"),
        ("toy", "--steps", "0"),
        ("toy", "--seed", "-1"),
        ("toy", "--set", "rate_g=1e9"),
        ("toy", "--set", "rate_g"),
        ("toy", "--set", "colour=red"),
        ("toy", "--set", "generator.layers=40"),
        ("toy", "--set", "optimiser=sgd", "--set", "rate_g=1", "--set", "rate_d=1", "--objective", "pearson"),
        ("translate", "nothing.nii.gz", "out.nii.gz"),
        ("translate", __file__, "out.nii.gz"),
        ("translate", "nothing.nii.gz", "out.txt"),
        ("phantom", "--seed", "-1", "--out", "x"),
        ("phantom", "--spacing", "0", "--out", "x"),
        ("phantom", "--modality", "x-ray", "--out", "x"),
        ("phantom", "--out", "/dev/null/x", "--spacing", "8"),
        ("phantom",),
        ("phantom", "--seed", "seven", "--out", "x"),
        ("phantom", "--seed", "1.5", "--out", "x"),
        ("phantom", "--colour", "red", "--out", "x"),
        ("phantom", "--lesion", "aneurysm", "--out", "x"),
        ("phantom", "--lesion-at", "30,-10,20,12", "--out", "x"),
        ("phantom", "--lesion", "bleed", "--lesion-at", "30,-10,20", "--out", "x"),
        ("phantom", "--lesion", "bleed", "--lesion-at", "30,-10,20,12,1", "--out", "x"),
        ("phantom", "--lesion", "bleed", "--lesion-at", "here", "--out", "x"),
        ("phantom", "--lesion", "bleed", "--lesion-at", "30,-10,20,99", "--out", "x"),
        ("phantom", "--lesion", "bleed", "--lesion-at", "300,-10,20,12", "--out", "x"),
        ("phantom", "--lesion", "bleed", "--lesion-at", "nan,-10,20,12", "--out", "x"),
        ("phantom", "--misalign", "13", "--out", "x"),
        ("phantom", "--scanner", "old", "--out", "x"),
        ("phantom", "--field", "7", "--out", "x"),
        ("phantom", "--ventricles", "3", "--out", "x"),
        ("phantom", "--skull", "0", "--out", "x"),
        ("phantom", "--fat", "nan", "--out", "x"),
        ("nothing",),
        ("info", "--device", "tpu"),
        ("train", "nothing"),
        ("train", "mr2ct-unet", "--source", "mr"),
        ("train", "mr2ct-unet", "--target", "ct"),
        ("train", "mr2ct-unet", "--source", "mr", "--target", "ct"),
        ("benchmark", "nothing"),
        ("evaluate", "a.nii.gz", "b.nii.gz"),
        ("evaluate-models", "--model", "nothing"),
        ("evaluate-models", "--model", "t1fa-unet"),
        ("evaluate-models", "--task", "t1flair"),
        ("evaluate-models", "--task", "t1pet"),
        ("generate", "--model", "nothing", "--out", "x"),
        ("generate", "--model", "mr2ct-unet", "--out", "x"),
        ("generate", "--model", "dcgan-digits", "--label", "benign", "--out", "x"),
        ("generate", "--model", "dcgan-digits", "--psi", "0", "--out", "x"),
        ("generate", "--model", "dcgan-digits", "--seed", "-1", "--out", "x"),
        ("evaluate-generator", "--model", "mr2ct-unet"),
        ("evaluate-generator", "--model", "dcgan-digits", "--n", "99"),
        ("train", "dcgan-digits", "--start", "dcgan-digits"),
        ("train", "dcgan-digits", "--source", "nowhere"),
        ("train", "mr2ct-unet", "--set", "size=100"),
        ("train", "mr2ct-unet", "--set", "colour=red"),
        ("train", "mr2ct-pix2pix", "--set", "network.widths=[4, 6]"),
        ("train", "features-digits", "--minutes", "1"),
        ("train", "dcgan-digits", "--set", "colour=red", "--out", "x"),
        ("train", "dcgan-digits", "--set", "network.size=64", "--out", "x"),
        ("train", "features-nothing"),
        ("stimuli", "--model", "dcgan-digits", "--n", "7", "--out", "x"),
        ("study", "audit", "nowhere", "truth.csv"),
        ("study", "plan", "--readers", "1"),
        ("study", "plan", "--margin", "0.6"),
        ("study", "simulate", "--cases", "2", "--out", "x.csv"),
        ("study", "report", "nothing.csv"),
        ("study", "export", "nothing.csv", "--out", "x"),
    ],
)
def test_a_mistake_ends_in_one_sentence_and_exit_code_2(run, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert code == 2
    assert out == "" and err.strip().endswith(".") and "Traceback" not in err and len(err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_study_is_simulated_reported_and_exported(run, tmp_path):
    table, page = tmp_path / "readings.csv", tmp_path / "report.html"
    code, out, err = run("study", "simulate", "--readers", 3, "--cases", 40, "--dprime", 2, "--out", table, "--json")
    assert code == 0 and json.loads(out)["readings"] == 3 * 44, err
    code, out, err = run("study", "report", table, "--out", page, "--title", "Ours", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["average"]["verdict"] == "distinguishable" and "Ours" in page.read_text(encoding="utf-8")
    code, out, err = run("study", "export", table, "--out", tmp_path / "exports", "--json")
    assert code == 0 and all(Path(path).is_file() for path in json.loads(out)["files"].values()), err
    code, out, err = run("study", "plan", "--readers", 3, "--cases", 40, "--studies", 60, "--json")
    assert code == 0 and sum(json.loads(out)["verdicts"].values()) == pytest.approx(1), err


def test_nodules_come_with_their_truth_and_a_sheet(run, tmp_path):
    code, out, err = run("nodules", "--n", 5, "--seed", 3, "--out", tmp_path / "nodules", "--json")
    assert code == 0, err
    result = json.loads(out)
    with np.load(result["files"]["patches"], allow_pickle=False) as stored:
        assert stored["images"].shape == stored["masks"].shape == (5, 56, 56) and stored["images"].dtype == np.int16
    rows = Path(result["files"]["truth"]).read_text().splitlines()
    assert len(rows) == 6 and rows[0].startswith("patch,labels,diameter_mm")
    assert sum("malignant" in row for row in rows) == result["malignant"]
    for window in ("lung", "mediastinum"):
        assert Path(result["files"][window]).read_bytes().startswith(b"\x89PNG")
    code, _, err = run("nodules", "--kind", "cystic", "--out", tmp_path)
    assert code == 2 and "benign, malignant" in err


def test_generated_images_are_the_same_bytes_for_a_seed(run, tmp_path):
    def made(name, *more):
        code, out, err = run(
            "generate", "--model", "dcgan-digits", "--n", 12, "--out", tmp_path / name, "--json", *more
        )
        assert code == 0, err
        files = json.loads(out)["files"]
        assert len(list(Path(files["images"]).iterdir())) == 12
        return {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}

    first = made("a")
    assert first == made("b") and first != made("c", "--seed", 1) and first != made("d", "--label", 3)


def test_generator_takes_steps_and_resumes(run, tmp_path):
    out = tmp_path / "mine"
    settings = ("--set", "network.width=8", "--set", "batch=8")
    code, text, err = run("train", "dcgan-digits", "--steps", 2, "--out", out, "--json", *settings)
    assert code == 0 and json.loads(text)["steps"] == 2, err
    assert load_generator(str(out))[1].network.width == 8
    code, text, err = run("train", "dcgan-digits", "--steps", 3, "--out", out, "--resume", *settings)
    assert code == 0 and "step 3/3" in text, err


@pytest.fixture
def pictures(tmp_path):
    """A folder of ninety pictures."""
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    for k, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (90, 24, 24), np.uint8)):
        Image.fromarray(pixels).save(folder / f"{k:02d}.png")
    return folder


def test_a_generator_of_own_images_is_judged_by_what_it_never_saw(run, tmp_path, pictures):
    from ganlab.generation.own_images import read_folder

    learned, kept, _ = read_folder(pictures, 16)
    own, measuring = tmp_path / "runs" / "own", tmp_path / "runs" / "features-own-16"
    code, _, err = run("train", "dcgan-digits", "--source", pictures, "--steps", 2, "--out", own)
    assert code == 0 and f"{len(kept)} of 90 images are held out" in err
    code, _, err = run("evaluate-generator", "--model", own)
    assert code == 2 and "give the folder it learned from with --source" in err
    code, _, err = run("evaluate-generator", "--model", own, "--source", pictures)
    command = f'train features-own-16 --source "{pictures}" --out "{measuring}"'
    assert code == 2 and command in err
    code, _, err = run("train", "features-own-16", "--source", pictures, "--out", measuring, "--steps", 2)
    assert code == 0, err
    code, out, err = run("evaluate-generator", "--model", own, "--source", pictures, "--json")
    assert code == 0, err
    assert f"{len(kept)} held-out images are few" in err
    counts = json.loads(out)[str(own)]["counts"]
    assert (counts["held_out"], counts["training"]) == (len(kept), len(learned))
    code, out, err = run(
        "stimuli", "--model", own, "--source", pictures, "--n", 20, "--out", tmp_path / "set", "--json"
    )
    assert code == 0 and len(list((tmp_path / "set" / "images").iterdir())) == 20, err
    code, _, err = run("stimuli", "--model", own, "--source", pictures, "--n", 80, "--out", tmp_path / "more")
    assert code == 2 and f"{len(kept)} are held out" in err
    (pictures / "00.png").rename(pictures / "another name.png")
    (pictures / "03.png").unlink()
    (pictures / "04.png").unlink()
    code, _, err = run("evaluate-generator", "--model", own, "--source", pictures)
    assert code == 2 and f"learned from {len(learned)} images" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate-generator", "--source", "x"),
        ("evaluate-generator", "--model", "dcgan-digits", "--source", "x"),
        ("stimuli", "--model", "dcgan-digits", "--source", "x", "--out", "x"),
        ("train", "features-digits", "--source", "x"),
        ("train", "features-own-16"),
    ],
)
def test_a_source_where_there_is_none_to_give_or_none_where_it_is_wanted(run, arguments):
    code, _, err = run(*arguments)
    assert code == 2 and "--source" in err and err.strip().endswith(".") and len(err.strip().splitlines()) == 1
