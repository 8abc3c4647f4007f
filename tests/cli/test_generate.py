import json
import re
from pathlib import Path

import numpy as np
import pytest


def test_same_seed_gives_the_same_files(run, tmp_path):
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


@pytest.fixture
def pictures(tmp_path):
    """A folder of ninety pictures."""
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    for k, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (90, 24, 24), np.uint8)):
        Image.fromarray(pixels).save(folder / f"{k:02d}.png")
    return folder


def test_a_generator_of_user_images_is_evaluated_on_held_out_ones(run, tmp_path, pictures):
    from ganlab.generation.own_images import read_folder

    learned, held_out, _ = read_folder(pictures, 16)
    own, measuring = tmp_path / "runs" / "own", tmp_path / "runs" / "features-own-16"
    code, _, err = run("train", "dcgan-digits", "--source", pictures, "--steps", 2, "--out", own)
    assert code == 0 and f"{len(held_out)} of 90 images are held out" in err
    code, _, err = run("evaluate-generator", "--model", own)
    assert code == 2 and "give their folder with --source" in err
    code, _, err = run("evaluate-generator", "--model", own, "--source", pictures)
    command = f'train features-own-16 --source "{pictures}" --out "{measuring}"'
    assert code == 2 and command in err
    code, _, err = run("train", "features-own-16", "--source", pictures, "--out", measuring, "--steps", 2)
    assert code == 0, err
    code, out, err = run("evaluate-generator", "--model", own, "--source", pictures, "--json")
    assert code == 0, err
    assert f"{len(held_out)} held-out images are few" in err
    counts = json.loads(out)[str(own)]["counts"]
    assert (counts["held_out"], counts["training"]) == (len(held_out), len(learned))
    code, out, err = run(
        "stimuli", "--model", own, "--source", pictures, "--n", 20, "--out", tmp_path / "set", "--json"
    )
    assert code == 0 and len(list((tmp_path / "set" / "images").iterdir())) == 20, err
    code, _, err = run("stimuli", "--model", own, "--source", pictures, "--n", 80, "--out", tmp_path / "more")
    assert code == 2 and f"{len(held_out)} are held out" in err
    (pictures / "00.png").rename(pictures / "another name.png")
    (pictures / "03.png").unlink()
    (pictures / "04.png").unlink()
    code, _, err = run("evaluate-generator", "--model", own, "--source", pictures)
    assert code == 2 and f"was trained on {len(learned)} images" in err


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (("generate", "--model", "nothing", "--out", "x"), '"nothing".*dcgan-digits'),
        (("generate", "--model", "mr2ct-unet", "--out", "x"), '"mr2ct-unet" is not a generator'),
        (("generate", "--model", "dcgan-digits", "--label", "benign", "--out", "x"), '"benign".*0, 1, 2'),
        (("generate", "--model", "dcgan-digits", "--psi", "0", "--out", "x"), "(?i)truncation 0 .*0 to 1"),
        (("generate", "--model", "dcgan-digits", "--seed", "-1", "--out", "x"), "(?i)seed -1 "),
        (("evaluate-generator", "--model", "mr2ct-unet"), '"mr2ct-unet" is not a generator'),
        (("evaluate-generator", "--model", "dcgan-digits", "--n", "99"), "99 images.*--n 100"),
        (("evaluate-generator", "--source", "x"), "--source"),
        (("evaluate-generator", "--model", "dcgan-digits", "--source", "x"), "--source"),
        (("stimuli", "--model", "dcgan-digits", "--n", "7", "--out", "x"), "7 images.*even"),
        (("stimuli", "--model", "dcgan-digits", "--source", "x", "--out", "x"), "--source"),
    ],
)
def test_refuses_invalid_input_in_one_sentence(refuse, arguments, phrase):
    assert re.search(phrase, refuse(*arguments))
