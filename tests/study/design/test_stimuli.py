"""Pictures and volumes on their way to readers: both kinds by one way, or a sentence on what would tell them apart."""

import csv

import numpy as np
import pytest
from PIL import Image

from ganlab.errors import InputError
from ganlab.imaging.volume import Volume
from ganlab.imaging.writing import write_volume
from ganlab.study.design import stimuli
from ganlab.study.design.stimuli import SourceImage, Stimuli, check_kinds, from_folders, from_truth, render
from ganlab.study.design.truth import LesionMark

EACH = 10  # pictures of either kind, the fewest that there may be


def noise(count, shape=(16, 20), seed=0, kind=np.uint8):
    return np.random.default_rng(seed).integers(0, np.iinfo(kind).max, (count, *shape), kind, endpoint=True)


def save(images, folder, suffix=".png"):
    folder.mkdir(exist_ok=True)
    for k, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{folder.name}-{k:02d}{suffix}")


@pytest.fixture
def folders(tmp_path):
    """tmp_path/real and tmp_path/synthetic with ten pictures each, and all of them in order."""
    images = noise(2 * EACH)
    save(images[:EACH], tmp_path / "real")
    save(images[EACH:], tmp_path / "synthetic")
    return tmp_path / "real", tmp_path / "synthetic", images


def with_truth(folder, images, rows):
    """A table of truth and its pictures; rows: what the table says of each."""
    save(images, folder / "images")
    with open(folder / "truth.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ["code", "arm", "class", "lesion_x", "lesion_y", "lesion_radius"])
        writer.writeheader()
        writer.writerows({"code": f"images-{k:02d}", **row} for k, row in enumerate(rows))
    return folder / "images", folder / "truth.csv"


def in_turn(count=2 * EACH, **row):
    return [{"arm": "synthetic" if k % 2 else "real", **row} for k in range(count)]


def found(images, synthetic, kind="PNG of 8 bits"):
    """What was read of images with values 0 to 1."""
    return [
        SourceImage(image, kind, f"file {k}", bool(arm))
        for k, (image, arm) in enumerate(zip(images, synthetic, strict=True))
    ]


# --- pictures -------------------------------------------------------------------------------------------


def test_pictures_keep_their_greys(folders):
    real, synthetic, images = folders
    read = from_folders(real, synthetic)
    assert isinstance(read, Stimuli) and len(read) == 20
    assert read.images.dtype == np.uint8 and (read.images == images).all()
    assert read.synthetic.dtype == bool and read.synthetic.tolist() == [False] * 10 + [True] * 10
    assert read.sources == [f"{name}-{k:02d}.png" for name in ("real", "synthetic") for k in range(10)]
    assert read.strata == [""] * 20 and read.lesions == [None] * 20


def test_pictures_of_16_bits_go_to_8_in_both_kinds_alike(tmp_path):
    images = noise(2 * EACH, kind=np.uint16)
    images[:, 0, :3] = 0, 257 * 100, 65535
    save(images[:EACH], tmp_path / "real")
    save(images[EACH:], tmp_path / "synthetic")
    read = from_folders(tmp_path / "real", tmp_path / "synthetic").images
    assert (read[:, 0, :3] == [0, 100, 255]).all()
    assert np.abs(read - images / 257).max() <= 0.5 + 1e-4


def test_of_16_bits_what_is_used_is_shown_by_one_range_for_both_kinds(tmp_path):
    images = 1000 + noise(2 * EACH).astype(np.uint16) * 4
    images[:, 0, :2] = 1000, 1510
    images[3, 0, 2], images[15, 0, 2] = 1000, 2020
    save(images[:EACH], tmp_path / "real")
    save(images[EACH:], tmp_path / "synthetic")
    read = from_folders(tmp_path / "real", tmp_path / "synthetic").images
    assert (read[:, 0, 0] == 0).all() and np.ptp(read[:, 0, 1]) == 0
    assert np.abs(read - (images.astype(float) - 1000) / 4).max() <= 0.5 + 1e-2


@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".tif"])
def test_any_format_will_do_if_both_kinds_have_it(tmp_path, suffix):
    images = noise(2 * EACH)
    save(images[:EACH], tmp_path / "real", suffix)
    save(images[EACH:], tmp_path / "synthetic", suffix)
    assert len(from_folders(tmp_path / "real", tmp_path / "synthetic")) == 20


def test_hidden_files_and_folders_are_no_pictures(folders):
    real, synthetic, _ = folders
    (real / ".DS_Store").write_bytes(b"junk")
    (synthetic / "old").mkdir()
    assert len(from_folders(real, synthetic)) == 20


def test_progress_goes_to_one(folders):
    told = []
    from_folders(*folders[:2], progress=told.append)
    assert told == sorted(told) and len(told) == 20 and told[-1] == 1


def test_a_table_of_truth_says_what_each_picture_is(tmp_path):
    images, rows = noise(2 * EACH), in_turn()
    rows[0] |= {"class": " tumour ", "lesion_x": "4.5", "lesion_y": "6", "lesion_radius": "2"}
    rows[1] |= {"class": "healthy", "arm": " Synthetic "}
    read = from_truth(*with_truth(tmp_path, images, rows))
    assert (read.images == images).all() and read.synthetic.tolist() == [False, True] * 10
    assert read.strata == ["tumour", "healthy", *[""] * 18]
    assert read.lesions == [LesionMark(4.5, 6, 2), *[None] * 19]
    assert read.sources[0] == "images-00.png"


def test_a_table_need_only_have_code_and_arm_and_says_which_pictures_are_taken(tmp_path):
    folder, truth = with_truth(tmp_path, noise(24), in_turn(24))
    rows = [f"images-{k:02d},{'synthetic' if k % 2 else 'real'}" for k in range(20)]
    truth.write_text("\n".join(["\ufeffcode,arm", *reversed(rows)]), encoding="utf-8")
    read = from_truth(folder, truth)
    assert read.sources == [f"images-{k:02d}.png" for k in reversed(range(20))]
    assert read.synthetic.tolist() == [True, False] * 10 and read.lesions == [None] * 20


def test_ten_of_either_kind_and_2000_in_all_are_the_limits():
    check_kinds(np.arange(20) < 10)
    check_kinds(np.arange(2000) < 10)
    for synthetic, sentence in (
        (np.arange(20) < 9, "11 real and 9 synthetic images are too few; give at least 10 of each"),
        (np.arange(20) < 11, "9 real and 11 synthetic images are too few"),
        (np.arange(2001) < 1000, "2,001 images are too many"),
        (np.zeros(20, bool), "All 20 images are real; a Turing test needs both kinds"),
        (np.ones(20, bool), "All 20 images are synthetic"),
    ):
        with pytest.raises(InputError, match=sentence):
            check_kinds(synthetic)


# --- what would tell the kinds apart, or cannot be read -------------------------------------------------


def test_five_images_are_too_few(tmp_path):
    images = noise(10)
    save(images[:5], tmp_path / "real")
    save(images[5:], tmp_path / "synthetic")
    with pytest.raises(InputError, match="5 real and 5 synthetic images are too few; give at least 10"):
        from_folders(tmp_path / "real", tmp_path / "synthetic")


@pytest.mark.parametrize("arm", ["real", "synthetic"])
def test_images_of_one_kind_are_no_test(tmp_path, arm):
    with pytest.raises(InputError, match=f"All 20 images are {arm}"):
        from_truth(*with_truth(tmp_path, noise(20), [{"arm": arm}] * 20))


def test_formats_that_differ_are_refused(tmp_path):
    images = noise(2 * EACH)
    save(images[:EACH], tmp_path / "real")
    save(images[EACH:], tmp_path / "synthetic", ".jpg")
    with pytest.raises(
        InputError, match=r"Real images are PNG of 8 bits, synthetic ones JPEG of 8 bits; .* the same format"
    ):
        from_folders(tmp_path / "real", tmp_path / "synthetic")


def test_a_single_file_of_another_format_is_refused_whatever_it_is_called(folders):
    real, synthetic, images = folders
    Image.fromarray(images[-1]).save(synthetic / "synthetic-09.png", "JPEG")
    with pytest.raises(InputError, match="synthetic ones JPEG of 8 bits and PNG of 8 bits"):
        from_folders(real, synthetic)


def test_formats_that_are_mixed_otherwise_are_refused(tmp_path):
    """Nine in ten real ones are JPEG and nine in ten synthetic ones PNG: the format is nearly the truth."""
    images = noise(2 * EACH)
    for folder, part, often, once in (
        ("real", images[:EACH], "JPEG", "PNG"),
        ("synthetic", images[EACH:], "PNG", "JPEG"),
    ):
        save(part, tmp_path / folder)
        for k, image in enumerate(part):
            Image.fromarray(image).save(tmp_path / folder / f"{folder}-{k:02d}.png", often if k else once)
    with pytest.raises(InputError, match="the same format"):
        from_folders(tmp_path / "real", tmp_path / "synthetic")


def test_depths_that_differ_are_refused(tmp_path):
    save(noise(EACH, kind=np.uint16), tmp_path / "real")
    save(noise(EACH), tmp_path / "synthetic")
    with pytest.raises(InputError, match="Real images are PNG of 16 bits, synthetic ones PNG of 8 bits"):
        from_folders(tmp_path / "real", tmp_path / "synthetic")


def test_sizes_that_differ_want_one_size(tmp_path):
    save(noise(EACH, (16, 20)), tmp_path / "real")
    save(noise(EACH, (24, 18), seed=1), tmp_path / "synthetic")
    with pytest.raises(InputError, match=r"2 sizes \(20 x 16, 18 x 24\); give --size N"):
        from_folders(tmp_path / "real", tmp_path / "synthetic")
    assert from_folders(tmp_path / "real", tmp_path / "synthetic", size=32).images.shape == (20, 32, 32)


@pytest.mark.parametrize("size", [15, 2049, -1, 1])
def test_sizes_out_of_range_are_refused(folders, size):
    with pytest.raises(InputError, match=f"size of {size} pixels is outside 16 to 2048"):
        from_folders(*folders[:2], size=size)


def test_what_has_that_size_stays_as_it_is(tmp_path):
    images = noise(2 * EACH, (16, 16))
    assert (from_truth(*with_truth(tmp_path, images, in_turn()), size=16).images == images).all()


def test_a_picture_is_not_shown_as_two(folders):
    real, synthetic, images = folders
    Image.fromarray(images[3]).save(synthetic / "synthetic-07.png")
    with pytest.raises(InputError, match=r"synthetic-07.png .synthetic. and real-03.png .real. are the same"):
        from_folders(real, synthetic)


def test_a_row_that_is_there_twice_is_the_same_picture(tmp_path):
    folder, truth = with_truth(tmp_path, noise(20), in_turn())
    truth.write_text(truth.read_text() + "images-03,synthetic\n")
    with pytest.raises(InputError, match=r"images-03.png .synthetic. and images-03.png .synthetic. are the same"):
        from_truth(folder, truth)


@pytest.mark.parametrize(("name", "data", "sentence"), [
    ("real-04.png", b"no picture", '"real-04.png" is not a picture that can be read, or is damaged'),
    ("real-04.png", b"", '"real-04.png" is not a picture that can be read, or is damaged'),
    ("notes.txt", b"notes", '"notes.txt"'), ("scan.nii.gz", b"\x1f\x8b damaged", '"scan.nii.gz"'),
])  # fmt: skip
def test_files_that_cannot_be_read_are_named(folders, name, data, sentence):
    (folders[0] / name).write_bytes(data)
    with pytest.raises(InputError, match=sentence):
        from_folders(*folders[:2])


def test_half_a_picture_is_none(folders):
    path = folders[1] / "synthetic-02.png"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r'"synthetic-02.png" is not a picture that can be read'):
        from_folders(*folders[:2])


def test_folders_that_are_none_or_empty_are_named(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match='"nowhere" is not a folder'):
        from_folders(folders[0], tmp_path / "nowhere")
    with pytest.raises(InputError, match='"empty" contains no images'):
        from_folders(tmp_path / "empty", folders[1])
    with pytest.raises(InputError, match=r'"real-00.png" is not a folder'):
        from_folders(folders[0] / "real-00.png", folders[1])


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
def test_a_row_that_cannot_be_is_named(tmp_path, change, sentence):
    rows = in_turn()
    rows[5] |= change
    with pytest.raises(InputError, match=sentence):
        from_truth(*with_truth(tmp_path, noise(20), rows))


@pytest.mark.parametrize(("data", "sentence"), [
    (b"", "lacks the columns code and arm"), (b"code,truth\n1,real\n", "lacks the columns code and arm"),
    (b"\xff\xfe\x00", "cannot be read"), (None, "cannot be read"), (b"code,arm\n", "All 0 images"),
    (b"code,arm\nimages-00\n", 'arm of "images-00" is ""'),
])  # fmt: skip
def test_a_table_that_is_none_is_refused(tmp_path, data, sentence):
    folder, truth = with_truth(tmp_path, noise(20), in_turn())
    truth.unlink()
    if data is not None:
        truth.write_bytes(data)
    with pytest.raises(InputError, match=sentence):
        from_truth(folder, truth)


@pytest.mark.parametrize("how", [{"plane": "oblique"}, {"slices": 0}, {"slices": 101}])
def test_slices_that_cannot_be_are_refused(folders, how):
    with pytest.raises(InputError, match=r"oblique.* axial|slices of a volume is outside 1 to 100"):
        from_folders(*folders[:2], **how)


def test_too_many_pixels_are_refused(folders, monkeypatch):
    monkeypatch.setattr(stimuli, "MAX_BYTES", 2**20)
    with pytest.raises(InputError, match="20 images of 256 x 256 pixels exceed 1 MB; choose a smaller --size"):
        from_folders(*folders[:2], size=256)
    assert len(from_folders(*folders[:2], size=128)) == 20


def test_no_memory_is_taken_for_too_many_pixels(monkeypatch):
    monkeypatch.setattr(stimuli.np, "empty", lambda *_: pytest.fail("memory was taken"))
    images = [np.broadcast_to(np.float32(k / 20), (6000, 6000)) for k in range(20)]  # of a single number each
    with pytest.raises(InputError, match="20 images of 6000 x 6000 pixels exceed 512 MB"):
        render(found(images, np.arange(20) < 10))
    with pytest.raises(InputError, match="200 images of 2048 x 2048 pixels exceed 512 MB"):
        render(found([np.eye(k, dtype=np.float32) for k in range(8, 208)], np.arange(200) < 100), size=2048)


# --- windows --------------------------------------------------------------------------------------------


def test_one_window_is_for_both_kinds():
    values = np.random.default_rng(0).uniform(-2000, 3000, (20, 8, 8)).astype(np.float32)
    values[:, 0, :5] = -1200, -160, 40, 240, 2500
    read = render(found(values, np.arange(20) < 10, "volumes"), window=(40, 400)).images
    assert (read[:, 0, :5] == [0, 0, 128, 255, 255]).all()
    assert np.abs(read - np.clip((values + 160) / 400 * 255, 0, 255)).max() <= 0.5 + 1e-3


def test_slices_get_the_range_of_all_of_them_together():
    """A kind that is darker stays so; the brightest and darkest 0.5 % are black and white."""
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.uniform(0, 1000, (10, 64, 64)), rng.uniform(0, 500, (10, 64, 64))]).astype(np.float32)
    read = render(found(values, np.arange(20) >= 10, "volumes")).images
    low, high = np.percentile(values, (0.5, 99.5))
    assert np.abs(read - np.clip((values - low) / (high - low) * 255, 0, 255)).max() <= 1
    assert read[10:].max() < 132 and read[:10].max() == 255


@pytest.mark.parametrize("window", [
    (40, 0), (40, -400), (40, np.nan), (np.nan, 400), (np.inf, 400), (40, np.inf), (-np.inf, np.inf),
])  # fmt: skip
def test_windows_out_of_range_are_refused(window):
    values = np.random.default_rng(0).uniform(0, 100, (20, 8, 8)).astype(np.float32)
    with pytest.raises(InputError, match="window"):
        render(found(values, np.arange(20) < 10, "volumes"), window)


def test_slices_without_contrast_are_refused():
    with pytest.raises(InputError, match="single grey value; there is nothing to see"):
        render(found(np.full((20, 8, 8), 7, np.float32), np.arange(20) < 10, "volumes"))


def test_a_window_that_hides_all_is_no_window():
    values = np.random.default_rng(0).uniform(0, 100, (20, 8, 8)).astype(np.float32)
    with pytest.raises(InputError, match="the same image"):
        render(found(values, np.arange(20) < 10, "volumes"), window=(5000, 10))


# --- lesions --------------------------------------------------------------------------------------------


def test_lesions_go_with_the_size(tmp_path):
    rows = in_turn(lesion_x="10", lesion_y="4", lesion_radius="3")
    read = from_truth(*with_truth(tmp_path, noise(20, (16, 32)), rows), size=64)
    assert read.images.shape == (20, 64, 64)
    assert all(each == LesionMark(20, 16, pytest.approx(3 * 8**0.5)) for each in read.lesions)  # as large an ellipse


@pytest.mark.parametrize("size", [None, 20, 40, 64, 100])
def test_a_lesion_is_where_its_pixels_are(tmp_path, size):
    """The middle of a bright square, in pixels from the upper left corner of the picture."""
    images = noise(20, (40, 40)) // 16
    images[:, 24:32, 8:14] = 255
    rows = in_turn(lesion_x="11", lesion_y="28", lesion_radius="4")
    read = from_truth(*with_truth(tmp_path, images, rows), size=size)
    for image, lesion in zip(read.images, read.lesions, strict=True):
        bright = np.clip(image.astype(float) - 16, 0, None)
        y, x = ((bright * (at + 0.5)).sum() / bright.sum() for at in np.indices(image.shape))
        assert (x, y) == pytest.approx((lesion.x, lesion.y), abs=0.1)
        assert lesion.radius == pytest.approx(4 * (size or 40) / 40)


# --- volumes --------------------------------------------------------------------------------------------

SPACING = np.diag([2.5, 2.5, 2.5, 1])
AXES = {"axial": (0, 1), "coronal": (0, 2), "sagittal": (1, 2)}  # of a RAS volume, across and up


def head(seed=0, shape=(20, 24, 28), level=100):
    """A volume of noise in RAS order."""
    values = np.random.default_rng(seed).normal(level, 5, shape).astype(np.float32)
    return Volume(values, SPACING)


def in_lps(volume):
    """The same places and values, counted from the patient's left and back."""
    array, affine = volume.array[::-1, ::-1], np.diag([-2.5, -2.5, 2.5, 1.0])
    affine[:3, 3] = volume.affine[:3, :3] @ [volume.shape[0] - 1, volume.shape[1] - 1, 0]
    return Volume(np.ascontiguousarray(array), affine)


def volumes(tmp_path, real, synthetic, suffix=".nii.gz"):
    for name, written in (("real", real), ("synthetic", synthetic)):
        (tmp_path / name).mkdir(exist_ok=True)
        write_volume(written, tmp_path / name / f"{name}{suffix}")
    return tmp_path / "real", tmp_path / "synthetic"


@pytest.mark.parametrize(("plane", "shape"), [("axial", (24, 20)), ("coronal", (28, 20)), ("sagittal", (28, 24))])
def test_slices_are_from_the_middle_of_each_volume(tmp_path, plane, shape):
    read = from_folders(*volumes(tmp_path, head(0), head(1)), slices=10, plane=plane)
    assert read.images.shape == (20, *shape) and read.synthetic.tolist() == [False] * 10 + [True] * 10
    places = [[int(source.split("slice ")[1]) for source in part] for part in (read.sources[:10], read.sources[10:])]
    depth = {"axial": 28, "coronal": 24, "sagittal": 20}[plane]
    assert places[0] == places[1] == sorted(set(places[0])) and len(places[0]) == 10
    assert min(places[0]) >= 0.2 * depth - 0.5 and max(places[0]) <= 0.8 * depth + 0.5
    assert sum(places[0]) / 10 == pytest.approx(depth / 2, abs=0.75)
    assert read.sources[0].startswith("real.nii.gz, slice ")


def test_a_volume_has_no_more_slices_than_it_has(tmp_path):
    read = from_folders(*volumes(tmp_path, head(0), head(1)), slices=100)
    assert len(read) == 2 * len(set(read.sources[: len(read) // 2])) and 2 * 16 <= len(read) <= 2 * 18


def test_both_arms_go_through_one_window(tmp_path):
    folders = volumes(tmp_path, head(0, level=100), head(1, level=150))
    read = from_folders(*folders, window=(125, 100), slices=10).images.reshape(2, -1)
    assert read.mean(1) == pytest.approx([0.25 * 255, 0.75 * 255], abs=2)
    together = from_folders(*folders, slices=10).images.reshape(2, -1)
    assert (together == 0).any(1).tolist() == [True, False] and (together == 255).any(1).tolist() == [False, True]
    assert 100 < together.mean(1)[1] - together.mean(1)[0] < 255


@pytest.mark.parametrize("plane", AXES)
@pytest.mark.parametrize("turn", [lambda volume: volume, in_lps], ids=["RAS", "LPS"])
def test_slices_lie_as_radiologists_look_at_them(tmp_path, plane, turn):
    """A bright block at the patient's right, front and top in the plane: top left; right on left, and in a sagittal one
    the nose to the left as in the browser's viewer."""
    volume, (across, up) = head(), AXES[plane]
    where = [slice(None)] * 3
    where[across] = slice(volume.shape[across] - 7, None)  # wide
    where[up] = slice(volume.shape[up] - 4, None)  # and low
    volume.array[tuple(where)] = 1000
    read = from_folders(*volumes(tmp_path, turn(volume), turn(head(1))), slices=10, plane=plane, window=(500, 1000))
    expected = np.zeros(read.images.shape[1:], bool)
    expected[:4, :7] = True
    assert ((read.images[:10] > 128) == expected).all() and (read.images[10:] < 128).all()


def test_both_voxel_orders_are_one_picture(tmp_path):
    with pytest.raises(InputError, match=r"slice 6 .synthetic. and real.nii.gz, slice 6 .real. are the same"):
        from_folders(*volumes(tmp_path, head(), in_lps(head())), slices=10)


def test_slices_of_volumes_and_pictures_do_not_mix(tmp_path):
    real, _ = volumes(tmp_path, head(), head(1))
    save(noise(EACH, (24, 20)), tmp_path / "pictures")
    with pytest.raises(InputError, match="Real images are volumes, synthetic ones PNG of 8 bits"):
        from_folders(real, tmp_path / "pictures", slices=10)


def test_volumes_of_other_sizes_want_one_size_too(tmp_path):
    real, synthetic = volumes(tmp_path, head(0), head(1, (24, 24, 28)))
    with pytest.raises(InputError, match=r"20 x 24, 24 x 24.*--size"):
        from_folders(real, synthetic, slices=10)
    assert from_folders(real, synthetic, slices=10, size=48).images.shape == (20, 48, 48)


def test_pixels_of_thick_slices_are_made_square(tmp_path):
    thick = [Volume(head(seed).array[:, :, ::4], np.diag([3.0, 3.0, 12.0, 1.0])) for seed in (0, 1)]
    assert from_folders(*volumes(tmp_path, *thick), slices=10, plane="coronal").images.shape[1:] == (28, 20)


def test_a_window_is_not_for_pictures(tmp_path):
    save(noise(EACH), tmp_path / "real")
    save(noise(EACH, seed=1), tmp_path / "synthetic")
    with pytest.raises(InputError, match="applies to volumes"):
        from_folders(tmp_path / "real", tmp_path / "synthetic", window=(40, 400))
