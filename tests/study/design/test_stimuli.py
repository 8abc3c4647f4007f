"""Images become stimuli in the same way for both kinds, and anything that would reveal the kind is refused."""

import numpy as np
import pytest
from PIL import Image

from ganlab.errors import InputError
from ganlab.study.design import stimuli
from ganlab.study.design.stimuli import Stimuli, check_kinds, from_folders, from_truth, render
from tests.study.design.conftest import EACH, found, in_turn, noise, save, with_truth

# --- pictures -------------------------------------------------------------------------------------------


def test_pictures_keep_their_grey_values(folders):
    real, synthetic, images = folders
    read = from_folders(real, synthetic)
    assert isinstance(read, Stimuli) and len(read) == 20
    assert read.images.dtype == np.uint8 and (read.images == images).all()
    assert read.synthetic.dtype == bool and read.synthetic.tolist() == [False] * 10 + [True] * 10
    assert read.sources == [f"{name}-{k:02d}.png" for name in ("real", "synthetic") for k in range(10)]
    assert read.strata == [""] * 20 and read.lesions == [None] * 20


def test_pictures_of_16_bits_are_converted_alike_for_both_kinds(tmp_path):
    images = noise(2 * EACH, kind=np.uint16)
    images[:, 0, :3] = 0, 257 * 100, 65535
    save(images[:EACH], tmp_path / "real")
    save(images[EACH:], tmp_path / "synthetic")
    read = from_folders(tmp_path / "real", tmp_path / "synthetic").images
    assert (read[:, 0, :3] == [0, 100, 255]).all()
    assert np.abs(read - images / 257).max() <= 0.5 + 1e-4


def test_scales_16_bit_pictures_by_their_common_range(tmp_path):
    images = 1000 + noise(2 * EACH).astype(np.uint16) * 4
    images[:, 0, :2] = 1000, 1510
    images[3, 0, 2], images[15, 0, 2] = 1000, 2020
    save(images[:EACH], tmp_path / "real")
    save(images[EACH:], tmp_path / "synthetic")
    read = from_folders(tmp_path / "real", tmp_path / "synthetic").images
    assert (read[:, 0, 0] == 0).all() and np.ptp(read[:, 0, 1]) == 0
    assert np.abs(read - (images.astype(float) - 1000) / 4).max() <= 0.5 + 1e-2


@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".tif"])
def test_accepts_any_format_shared_by_both_kinds(tmp_path, suffix):
    images = noise(2 * EACH)
    save(images[:EACH], tmp_path / "real", suffix)
    save(images[EACH:], tmp_path / "synthetic", suffix)
    assert len(from_folders(tmp_path / "real", tmp_path / "synthetic")) == 20


def test_ignores_hidden_files_and_subfolders(folders):
    real, synthetic, _ = folders
    (real / ".DS_Store").write_bytes(b"junk")
    (synthetic / "old").mkdir()
    assert len(from_folders(real, synthetic)) == 20


def test_progress_ends_at_one(folders):
    told = []
    from_folders(*folders[:2], progress=told.append)
    assert told == sorted(told) and len(told) == 20 and told[-1] == 1


def test_accepts_10_of_each_kind_to_2000_images():
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


# --- what would reveal the kind, or cannot be read -------------------------------------------------------


def test_refuses_five_images(tmp_path):
    images = noise(10)
    save(images[:5], tmp_path / "real")
    save(images[5:], tmp_path / "synthetic")
    with pytest.raises(InputError, match="5 real and 5 synthetic images are too few; give at least 10"):
        from_folders(tmp_path / "real", tmp_path / "synthetic")


@pytest.mark.parametrize("arm", ["real", "synthetic"])
def test_refuses_images_of_one_kind(tmp_path, arm):
    with pytest.raises(InputError, match=f"All 20 images are {arm}"):
        from_truth(*with_truth(tmp_path, noise(20), [{"arm": arm}] * 20))


def test_refuses_different_formats_of_the_two_kinds(tmp_path):
    images = noise(2 * EACH)
    save(images[:EACH], tmp_path / "real")
    save(images[EACH:], tmp_path / "synthetic", ".jpg")
    with pytest.raises(
        InputError, match=r"Real images are PNG of 8 bits, synthetic ones JPEG of 8 bits; .* the same format"
    ):
        from_folders(tmp_path / "real", tmp_path / "synthetic")


def test_refuses_a_single_file_of_another_format_whatever_its_name(folders):
    real, synthetic, images = folders
    Image.fromarray(images[-1]).save(synthetic / "synthetic-09.png", "JPEG")
    with pytest.raises(InputError, match="synthetic ones JPEG of 8 bits and PNG of 8 bits"):
        from_folders(real, synthetic)


def test_refuses_mixed_formats_within_a_kind(tmp_path):
    """Most real images are JPEG and most synthetic ones PNG, so the format nearly reveals the truth."""
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


def test_refuses_different_bit_depths(tmp_path):
    save(noise(EACH, kind=np.uint16), tmp_path / "real")
    save(noise(EACH), tmp_path / "synthetic")
    with pytest.raises(InputError, match="Real images are PNG of 16 bits, synthetic ones PNG of 8 bits"):
        from_folders(tmp_path / "real", tmp_path / "synthetic")


def test_different_sizes_require_a_common_size(tmp_path):
    save(noise(EACH, (16, 20)), tmp_path / "real")
    save(noise(EACH, (24, 18), seed=1), tmp_path / "synthetic")
    with pytest.raises(InputError, match=r"2 sizes \(20 x 16, 18 x 24\); give --size N"):
        from_folders(tmp_path / "real", tmp_path / "synthetic")
    assert from_folders(tmp_path / "real", tmp_path / "synthetic", size=32).images.shape == (20, 32, 32)


@pytest.mark.parametrize("size", [15, 2049, -1, 1])
def test_refuses_sizes_out_of_range(folders, size):
    with pytest.raises(InputError, match=f"size of {size} pixels is outside 16 to 2048"):
        from_folders(*folders[:2], size=size)


def test_images_of_the_requested_size_are_not_resampled(tmp_path):
    images = noise(2 * EACH, (16, 16))
    assert (from_truth(*with_truth(tmp_path, images, in_turn()), size=16).images == images).all()


def test_refuses_duplicate_pictures(folders):
    real, synthetic, images = folders
    Image.fromarray(images[3]).save(synthetic / "synthetic-07.png")
    with pytest.raises(InputError, match=r"synthetic-07.png .synthetic. and real-03.png .real. are the same"):
        from_folders(real, synthetic)


@pytest.mark.parametrize(("name", "data", "sentence"), [
    ("real-04.png", b"no picture", '"real-04.png" is not a picture that can be read, or is damaged'),
    ("real-04.png", b"", '"real-04.png" is not a picture that can be read, or is damaged'),
    ("notes.txt", b"notes", '"notes.txt"'), ("scan.nii.gz", b"\x1f\x8b damaged", '"scan.nii.gz"'),
])  # fmt: skip
def test_names_files_that_cannot_be_read(folders, name, data, sentence):
    (folders[0] / name).write_bytes(data)
    with pytest.raises(InputError, match=sentence):
        from_folders(*folders[:2])


def test_refuses_a_truncated_picture(folders):
    path = folders[1] / "synthetic-02.png"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r'"synthetic-02.png" is not a picture that can be read'):
        from_folders(*folders[:2])


def test_names_folders_that_are_missing_or_empty(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match='"nowhere" is not a folder'):
        from_folders(folders[0], tmp_path / "nowhere")
    with pytest.raises(InputError, match='"empty" contains no images'):
        from_folders(tmp_path / "empty", folders[1])
    with pytest.raises(InputError, match=r'"real-00.png" is not a folder'):
        from_folders(folders[0] / "real-00.png", folders[1])


def test_refuses_too_many_pixels(folders, monkeypatch):
    monkeypatch.setattr(stimuli, "MAX_BYTES", 2**20)
    with pytest.raises(InputError, match="20 images of 256 x 256 pixels exceed 1 MB; choose a smaller --size"):
        from_folders(*folders[:2], size=256)
    assert len(from_folders(*folders[:2], size=128)) == 20


def test_refuses_too_many_pixels_before_allocating_memory(monkeypatch):
    monkeypatch.setattr(stimuli.np, "empty", lambda *_: pytest.fail("memory was taken"))
    images = [np.broadcast_to(np.float32(k / 20), (6000, 6000)) for k in range(20)]  # one stored value each
    with pytest.raises(InputError, match="20 images of 6000 x 6000 pixels exceed 512 MB"):
        render(found(images, np.arange(20) < 10))
    with pytest.raises(InputError, match="200 images of 2048 x 2048 pixels exceed 512 MB"):
        render(found([np.eye(k, dtype=np.float32) for k in range(8, 208)], np.arange(200) < 100), size=2048)
