"""The truth table: kinds, strata and lesions of the pictures of a study."""

import numpy as np
import pytest

from ganlab.errors import InputError
from ganlab.study.design.stimuli import from_truth
from ganlab.study.design.truth import LesionMark, read_truth
from tests.study.design.conftest import EACH, in_turn, noise, with_truth


def test_truth_table_gives_kind_stratum_and_lesion(tmp_path):
    images, rows = noise(2 * EACH), in_turn()
    rows[0] |= {"class": " tumour ", "lesion_x": "4.5", "lesion_y": "6", "lesion_radius": "2"}
    rows[1] |= {"class": "healthy", "arm": " Synthetic "}
    read = from_truth(*with_truth(tmp_path, images, rows))
    assert (read.images == images).all() and read.synthetic.tolist() == [False, True] * 10
    assert read.strata == ["tumour", "healthy", *[""] * 18]
    assert read.lesions == [LesionMark(4.5, 6, 2), *[None] * 19]
    assert read.sources[0] == "images-00.png"


def test_truth_table_needs_only_code_and_arm_and_selects_the_pictures(tmp_path):
    folder, truth = with_truth(tmp_path, noise(24), in_turn(24))
    rows = [f"images-{k:02d},{'synthetic' if k % 2 else 'real'}" for k in range(20)]
    truth.write_text("\n".join(["\ufeffcode,arm", *reversed(rows)]), encoding="utf-8")
    read = from_truth(folder, truth)
    assert read.sources == [f"images-{k:02d}.png" for k in reversed(range(20))]
    assert read.synthetic.tolist() == [True, False] * 10 and read.lesions == [None] * 20


def test_refuses_a_code_listed_twice(tmp_path):
    folder, truth = with_truth(tmp_path, noise(20), in_turn())
    truth.write_text(truth.read_text() + "images-03,synthetic\n")
    with pytest.raises(InputError, match=r"images-03.png .synthetic. and images-03.png .synthetic. are the same"):
        from_truth(folder, truth)


@pytest.mark.parametrize(("change", "sentence"), [
    ({"code": "99"}, '"images" has no image "99", which "truth.csv" lists'),
    ({"code": "../real"}, 'has no image "../real"'), ({"code": ""}, 'has no image ""'),
    ({"arm": "fake"}, 'the arm of "images-05" is "fake"; it must be real or synthetic'),
    ({"arm": ""}, 'is ""; it must be real'),
    ({"lesion_x": "3"}, 'lesion of "images-05" is 3, , ; give x, y and radius in pixels'),
    ({"lesion_x": "3", "lesion_y": "left", "lesion_radius": "2"}, "is 3, left, 2; give x, y and radius"),
    ({"lesion_x": "3", "lesion_y": "3", "lesion_radius": "0"}, "radius of 0; it must be above 0"),
    ({"lesion_x": "3", "lesion_y": "3", "lesion_radius": "-2"}, "radius of -2"),
    ({"lesion_x": "3", "lesion_y": "3", "lesion_radius": "nan"}, "lesion of"),
    ({"lesion_x": "3", "lesion_y": "3", "lesion_radius": "inf"}, "lesion of"),
    ({"lesion_x": "nan", "lesion_y": "3", "lesion_radius": "2"}, "lesion of"),
    ({"lesion_x": "3", "lesion_y": "-inf", "lesion_radius": "2"}, "lesion of"),
])  # fmt: skip
def test_refuses_an_invalid_row_by_name(tmp_path, change, sentence):
    rows = in_turn()
    rows[5] |= change
    with pytest.raises(InputError, match=sentence):
        from_truth(*with_truth(tmp_path, noise(20), rows))


@pytest.mark.parametrize(("data", "sentence"), [
    (b"", "lacks the columns code and arm"), (b"code,truth\n1,real\n", "lacks the columns code and arm"),
    (b"\xff\xfe\x00", "cannot be read"), (None, "cannot be read"), (b"code,arm\n", "All 0 images"),
    (b"code,arm\nimages-00\n", 'arm of "images-00" is ""'),
])  # fmt: skip
def test_refuses_a_file_that_is_not_a_truth_table(tmp_path, data, sentence):
    folder, truth = with_truth(tmp_path, noise(20), in_turn())
    truth.unlink()
    if data is not None:
        truth.write_bytes(data)
    with pytest.raises(InputError, match=sentence):
        from_truth(folder, truth)


def test_lesion_marks_are_resized_with_the_image(tmp_path):
    rows = in_turn(lesion_x="10", lesion_y="4", lesion_radius="3")
    read = from_truth(*with_truth(tmp_path, noise(20, (16, 32)), rows), size=64)
    assert read.images.shape == (20, 64, 64)
    assert all(
        each == LesionMark(20, 16, pytest.approx(3 * 8**0.5)) for each in read.lesions
    )  # same area as the resampled ellipse


@pytest.mark.parametrize("size", [None, 20, 40, 64, 100])
def test_lesion_mark_scales_with_the_image(tmp_path, size):
    """The mark stays at the centre of a bright square, in pixels from the upper left corner."""
    images = noise(20, (40, 40)) // 16
    images[:, 24:32, 8:14] = 255
    rows = in_turn(lesion_x="11", lesion_y="28", lesion_radius="4")
    read = from_truth(*with_truth(tmp_path, images, rows), size=size)
    for image, lesion in zip(read.images, read.lesions, strict=True):
        bright = np.clip(image.astype(float) - 16, 0, None)
        y, x = ((bright * (at + 0.5)).sum() / bright.sum() for at in np.indices(image.shape))
        assert (x, y) == pytest.approx((lesion.x, lesion.y), abs=0.1)
        assert lesion.radius == pytest.approx(4 * (size or 40) / 40)


@pytest.mark.parametrize(("text", "words"), [
    ("code\n1\n", "lacks the columns"), ("code,arm\n1,fake\n", 'arm of "1" is "fake"'), (None, "cannot be read"),
])  # fmt: skip
def test_refuses_an_invalid_truth_table(tmp_path, text, words):
    if text:
        (tmp_path / "truth.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        read_truth(tmp_path / "truth.csv")
