"""The audit finds images whose truth is revealed by their files or by pixel statistics."""

import os

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from ganlab.errors import InputError
from ganlab.generation.export import save_png
from ganlab.generation.mixed_images import write_mixed_images
from ganlab.study.design.audit import FEATURES, audit, features, format_audit
from ganlab.study.design.truth import read_truth

COUNT = 40


def pictures(seed=0, sigma=20.0):
    """Pictures that do not differ between the kinds: noise around a random grey value."""
    draw = np.random.default_rng(seed)
    levels = draw.uniform(90, 160, COUNT)
    return [np.clip(draw.normal(level, sigma, (32, 32)), 0, 255).astype(np.uint8) for level in levels]


@pytest.fixture
def fair(tmp_path):
    """A folder of indistinguishable kinds, and its truth."""
    folder, truth = tmp_path / "images", {}
    for k, picture in enumerate(pictures()):
        save_png(picture, folder / f"{k:02d}.png", plain=True)
        truth[f"{k:02d}"] = k % 2 == 0
        os.utime(folder / f"{k:02d}.png", (1e9, 1e9))
    return folder, truth


def synthetic_ones(fair):
    folder, truth = fair
    return [folder / f"{code}.png" for code, synthetic in truth.items() if synthetic]


def test_fair_images_pass_the_audit(fair):
    result = audit(*fair)
    assert result["leaks"] == [] and result["images"] == COUNT and result["synthetic"] == COUNT // 2
    assert result["machine"]["low"] <= 0.5 <= result["machine"]["high"]
    text = format_audit(result)
    assert "Do not start" not in text and "the same in all" in text


@pytest.mark.parametrize("what", ["words", "bytes", "changed", "format", "mode", "pixels"])
def test_audit_finds_leaks_in_file_properties(fair, what):
    for path in synthetic_ones(fair):
        with Image.open(path) as opened:
            image = opened.copy()
        if what == "words":
            words = PngImagePlugin.PngInfo()
            words.add_text("Software", "a generator")
            image.save(path, pnginfo=words, compress_level=0)
        elif what == "bytes":
            image.save(path, compress_level=9)
        elif what == "format":
            path.unlink()
            image.save(path.with_suffix(".bmp"))
        elif what == "mode":
            image.convert("RGB").save(path)
        elif what == "pixels":
            image.crop((0, 0, 31, 32)).save(path)
        os.utime(path if path.exists() else path.with_suffix(".bmp"), (1e9 + 60 * (what == "changed"),) * 2)
    result = audit(*fair)
    assert what in result["leaks"]
    assert "Do not start" in format_audit(result)


def test_classifier_finds_differences_outside_the_anatomy(fair):
    """A black line at the border separates the kinds."""
    for path in synthetic_ones(fair):
        picture = np.asarray(Image.open(path)).copy()
        picture[0] = 0
        save_png(picture, path, plain=True)
    result = audit(*fair)
    assert result["features"]["black"] == 1 and result["machine"]["area"] > 0.95
    assert "A classifier that sees no anatomy" in format_audit(result | {"leaks": []})


def test_features_have_their_defined_values():
    flat = np.full((16, 16), 100, np.uint8)
    flat[4, 4] = 104
    result = features(flat)
    assert set(result) == set(FEATURES) and all(np.isfinite(list(result.values())))
    assert result["darkest"] == 100 and result["greys"] == 2 and result["noise"] == 0
    assert result["comb"] == pytest.approx(3 / 5) and result["black"] == result["white"] == 0


def test_generated_sets_have_no_leak(tmp_path):
    files = write_mixed_images("dcgan-digits", 40, tmp_path)
    result = audit(tmp_path / "images", read_truth(tmp_path / "truth.csv"))
    assert result["leaks"] == [] and files["truth"].endswith("truth.csv")


def test_refuses_sets_that_cannot_be_audited(fair, tmp_path):
    folder, truth = fair
    with pytest.raises(InputError, match='is missing 1 of 41 images, such as "99"'):
        audit(folder, truth | {"99": True})
    with pytest.raises(InputError, match="is missing 40 of 40"):
        audit(tmp_path / "nowhere", truth)
    with pytest.raises(InputError, match="too few to audit"):
        audit(folder, {code: truth[code] for code in list(truth)[:12]})
    save_png(np.asarray(Image.open(folder / "00.png")), folder / "01.png")
    with pytest.raises(InputError, match='"01" and "00" are the same picture'):
        audit(folder, truth)
    (folder / "01.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r'"01\.png" is damaged or not a picture'):
        audit(folder, truth)
