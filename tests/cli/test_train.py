import json
import re

import pytest

from ganlab.checkpoints import read_card
from ganlab.generation.loading import load_generator


def test_trains_a_translator_and_resumes(run, tmp_path):
    arguments = ("train", "mr2ct-unet", "--out", tmp_path / "run", "--workers", 0, "--device", "cpu")
    arguments = (*arguments, "--set", "network.widths=[4, 6]", "--set", "size=32")
    code, out, _ = run(*arguments, "--steps", 1, "--json")
    assert code == 0 and json.loads(out)["l1"] > 0
    assert read_card(tmp_path / "run")["config"]["network"]["widths"] == [4, 6]
    code, _, err = run(*arguments, "--steps", 2)
    assert code == 2 and "--resume" in err


@pytest.mark.slow
def test_trains_on_two_folders_of_volumes(run, tmp_path):
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


def test_trains_a_generator_and_resumes(run, tmp_path):
    out = tmp_path / "mine"
    settings = ("--set", "network.width=8", "--set", "batch=8")
    code, text, err = run("train", "dcgan-digits", "--steps", 2, "--out", out, "--json", *settings)
    assert code == 0 and json.loads(text)["steps"] == 2, err
    assert load_generator(str(out))[1].network.width == 8
    code, text, err = run("train", "dcgan-digits", "--steps", 3, "--out", out, "--resume", *settings)
    assert code == 0 and "step 3/3" in text, err


def test_unknown_preset_lists_translators_and_generators(run):
    code, _, err = run("train", "dcgan-brains")
    assert code == 2 and all(name in err for name in ("dcgan-digits", "fc-nodules", "mr2ct-unet", "t1fa-cyclegan"))


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (("train", "nothing"), '"nothing".*dcgan-digits.*mr2ct-unet'),
        (("train", "mr2ct-unet", "--source", "mr"), "Source and target go together"),
        (("train", "mr2ct-unet", "--target", "ct"), "Source and target go together"),
        (("train", "mr2ct-unet", "--source", "mr", "--target", "ct"), '"mr" does not exist'),
        (("train", "mr2ct-unet", "--set", "size=100"), "size 100 .*96 or 128"),
        (("train", "mr2ct-unet", "--set", "colour=red"), "colour .*batch"),
        (("train", "mr2ct-pix2pix", "--set", "network.widths=[4, 6]"), "another shape"),
        (("train", "dcgan-digits", "--start", "dcgan-digits"), "leave start, target and anatomy out"),
        (("train", "dcgan-digits", "--source", "nowhere"), '"nowhere" is (no|not a) folder'),
        (("train", "dcgan-digits", "--set", "colour=red", "--out", "x"), "colour .*batch"),
        (("train", "dcgan-digits", "--set", "network.size=64", "--out", "x"), "64.*digits.*16"),
        (("train", "dcgan-digits", "--steps", "2", "--out", __file__), "is a file; choose a folder"),
        (("train", "features-nothing"), '"nothing".*digits'),
        (("train", "features-digits", "--minutes", "1"), "omit --set and --minutes"),
        (("train", "features-digits", "--source", "x"), "omit --source"),
        (("train", "features-own-16"), "--source"),
    ],
)
def test_refuses_invalid_input_in_one_sentence(refuse, arguments, phrase):
    assert re.search(phrase, refuse(*arguments))
