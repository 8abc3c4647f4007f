"""Image sets for a visual Turing test: only the pixels differ between the arms."""

import csv

import numpy as np
import pytest
from PIL import Image

from ganlab.errors import InputError
from ganlab.generation.export import grey
from ganlab.generation.image_kinds import get_kind, load_images
from ganlab.generation.mixed_images import in_few_greys, mix_images, write_mixed_images
from ganlab.generation.sampling import generate

MODEL = "dcgan-digits"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    write_mixed_images(MODEL, 60, folder, seed=4)
    return folder, list(csv.DictReader((folder / "truth.csv").read_text(encoding="utf-8").splitlines()))


def test_half_is_real_and_classes_are_equally_frequent_in_both_arms(written):
    folder, rows = written
    assert sorted(row["code"] for row in rows) == sorted(p.stem for p in (folder / "images").iterdir())
    arms = {arm: sorted(row["class"] for row in rows if row["arm"] == arm) for arm in ("real", "synthetic")}
    assert len(arms["real"]) == 30 and arms["real"] == arms["synthetic"]


def test_files_differ_only_in_their_pixels(written):
    folder, rows = written
    files = [(folder / "images" / f"{row['code']}.png").read_bytes() for row in rows]
    assert len({len(data) for data in files}) == 1
    heads = {data[: data.index(b"IDAT")] for data in files}
    assert len(heads) == 1 and b"tEXt" not in next(iter(heads)) and b"tIME" not in next(iter(heads))
    assert not any(word in row["code"] for row in rows for word in ("real", "synth"))


def test_truth_names_the_image_that_the_file_shows(written):
    folder, rows = written
    kind = get_kind("digits")
    real, synthetic = kind.to_unit(load_images(kind, held_out=True).images), generate(MODEL, 30, 4).images
    for row in rows:
        shown = np.asarray(Image.open(folder / "images" / f"{row['code']}.png"))
        source = (real if row["arm"] == "real" else synthetic)[int(row["number"])]
        window = kind.windows["usual"]
        np.testing.assert_array_equal(shown, grey(in_few_greys(source[None], window)[0], window))


def test_a_set_follows_from_its_seed(written, tmp_path):
    folder, _ = written
    write_mixed_images(MODEL, 60, tmp_path / "a", seed=4)
    write_mixed_images(MODEL, 60, tmp_path / "b", seed=5)
    assert (tmp_path / "a" / "truth.csv").read_bytes() == (folder / "truth.csv").read_bytes()
    assert (tmp_path / "b" / "truth.csv").read_bytes() != (folder / "truth.csv").read_bytes()


@pytest.mark.parametrize(("count", "words"), [(7, "even"), (0, "even"), (1000, "held out")])
def test_refuses_odd_and_too_large_sets(tmp_path, count, words):
    with pytest.raises(InputError, match=words):
        write_mixed_images(MODEL, count, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_every_set_of_phantoms_has_new_real_images():
    sets = [mix_images("dcgan-nodules", 8, seed=seed) for seed in (0, 1)]
    real = [{image.tobytes() for image in each.images[~each.synthetic]} for each in sets]
    assert len(real[0] | real[1]) == 8
    assert np.array_equal(mix_images("dcgan-nodules", 8, seed=1).images, sets[1].images)
