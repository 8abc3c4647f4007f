"""Slices of volumes: their orientation, window and number."""

import numpy as np
import pytest

from ganlab.errors import InputError
from ganlab.imaging.volume import Volume
from ganlab.imaging.writing import write_volume
from ganlab.study.design.stimuli import from_folders, render
from tests.study.design.conftest import EACH, found, noise, save


@pytest.mark.parametrize("how", [{"plane": "oblique"}, {"slices": 0}, {"slices": 101}])
def test_refuses_invalid_planes_and_numbers_of_slices(folders, how):
    with pytest.raises(InputError, match=r"oblique.* axial|slices of a volume is outside 1 to 100"):
        from_folders(*folders[:2], **how)


def test_given_window_applies_to_both_kinds():
    values = np.random.default_rng(0).uniform(-2000, 3000, (20, 8, 8)).astype(np.float32)
    values[:, 0, :5] = -1200, -160, 40, 240, 2500
    read = render(found(values, np.arange(20) < 10, "volumes"), window=(40, 400)).images
    assert (read[:, 0, :5] == [0, 0, 128, 255, 255]).all()
    assert np.abs(read - np.clip((values + 160) / 400 * 255, 0, 255)).max() <= 0.5 + 1e-3


def test_slices_share_one_range():
    """A darker kind stays darker; the darkest and brightest 0.5 % are clipped."""
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.uniform(0, 1000, (10, 64, 64)), rng.uniform(0, 500, (10, 64, 64))]).astype(np.float32)
    read = render(found(values, np.arange(20) >= 10, "volumes")).images
    low, high = np.percentile(values, (0.5, 99.5))
    assert np.abs(read - np.clip((values - low) / (high - low) * 255, 0, 255)).max() <= 1
    assert read[10:].max() < 132 and read[:10].max() == 255


@pytest.mark.parametrize("window", [
    (40, 0), (40, -400), (40, np.nan), (np.nan, 400), (np.inf, 400), (40, np.inf), (-np.inf, np.inf),
])  # fmt: skip
def test_refuses_windows_out_of_range(window):
    values = np.random.default_rng(0).uniform(0, 100, (20, 8, 8)).astype(np.float32)
    with pytest.raises(InputError, match="window"):
        render(found(values, np.arange(20) < 10, "volumes"), window)


def test_refuses_slices_without_contrast():
    with pytest.raises(InputError, match="single grey value; they contain no image"):
        render(found(np.full((20, 8, 8), 7, np.float32), np.arange(20) < 10, "volumes"))


def test_refuses_a_window_that_hides_everything():
    values = np.random.default_rng(0).uniform(0, 100, (20, 8, 8)).astype(np.float32)
    with pytest.raises(InputError, match="the same image"):
        render(found(values, np.arange(20) < 10, "volumes"), window=(5000, 10))


SPACING = np.diag([2.5, 2.5, 2.5, 1])


AXES = {"axial": (0, 1), "coronal": (0, 2), "sagittal": (1, 2)}  # axes across and up of a RAS volume


def head(seed=0, shape=(20, 24, 28), level=100):
    """A volume of noise in RAS order."""
    values = np.random.default_rng(seed).normal(level, 5, shape).astype(np.float32)
    return Volume(values, SPACING)


def in_lps(volume):
    """The same volume with its first two axes reversed (LPS)."""
    array, affine = volume.array[::-1, ::-1], np.diag([-2.5, -2.5, 2.5, 1.0])
    affine[:3, 3] = volume.affine[:3, :3] @ [volume.shape[0] - 1, volume.shape[1] - 1, 0]
    return Volume(np.ascontiguousarray(array), affine)


def volumes(tmp_path, real, synthetic, suffix=".nii.gz"):
    for name, written in (("real", real), ("synthetic", synthetic)):
        (tmp_path / name).mkdir(exist_ok=True)
        write_volume(written, tmp_path / name / f"{name}{suffix}")
    return tmp_path / "real", tmp_path / "synthetic"


@pytest.mark.parametrize(("plane", "shape"), [("axial", (24, 20)), ("coronal", (28, 20)), ("sagittal", (28, 24))])
def test_slices_come_from_the_middle_of_each_volume(tmp_path, plane, shape):
    read = from_folders(*volumes(tmp_path, head(0), head(1)), slices=10, plane=plane)
    assert read.images.shape == (20, *shape) and read.synthetic.tolist() == [False] * 10 + [True] * 10
    places = [[int(source.split("slice ")[1]) for source in part] for part in (read.sources[:10], read.sources[10:])]
    depth = {"axial": 28, "coronal": 24, "sagittal": 20}[plane]
    assert places[0] == places[1] == sorted(set(places[0])) and len(places[0]) == 10
    assert min(places[0]) >= 0.2 * depth - 0.5 and max(places[0]) <= 0.8 * depth + 0.5
    assert sum(places[0]) / 10 == pytest.approx(depth / 2, abs=0.75)
    assert read.sources[0].startswith("real.nii.gz, slice ")


def test_takes_no_more_slices_than_a_volume_has(tmp_path):
    read = from_folders(*volumes(tmp_path, head(0), head(1)), slices=100)
    assert len(read) == 2 * len(set(read.sources[: len(read) // 2])) and 2 * 16 <= len(read) <= 2 * 18


def test_real_and_synthetic_images_share_one_window(tmp_path):
    folders = volumes(tmp_path, head(0, level=100), head(1, level=150))
    read = from_folders(*folders, window=(125, 100), slices=10).images.reshape(2, -1)
    assert read.mean(1) == pytest.approx([0.25 * 255, 0.75 * 255], abs=2)
    together = from_folders(*folders, slices=10).images.reshape(2, -1)
    assert (together == 0).any(1).tolist() == [True, False] and (together == 255).any(1).tolist() == [False, True]
    assert 100 < together.mean(1)[1] - together.mean(1)[0] < 255


@pytest.mark.parametrize("plane", AXES)
@pytest.mark.parametrize("turn", [lambda volume: volume, in_lps], ids=["RAS", "LPS"])
def test_slices_are_in_radiological_orientation(tmp_path, plane, turn):
    """A bright block at the patient's right, anterior and superior is at the top left; sagittal slices face left."""
    volume, (across, up) = head(), AXES[plane]
    where = [slice(None)] * 3
    where[across] = slice(volume.shape[across] - 7, None)  # wide
    where[up] = slice(volume.shape[up] - 4, None)  # and low
    volume.array[tuple(where)] = 1000
    read = from_folders(*volumes(tmp_path, turn(volume), turn(head(1))), slices=10, plane=plane, window=(500, 1000))
    expected = np.zeros(read.images.shape[1:], bool)
    expected[:4, :7] = True
    assert ((read.images[:10] > 128) == expected).all() and (read.images[10:] < 128).all()


def test_slices_do_not_depend_on_voxel_order(tmp_path):
    with pytest.raises(InputError, match=r"slice 6 .synthetic. and real.nii.gz, slice 6 .real. are the same"):
        from_folders(*volumes(tmp_path, head(), in_lps(head())), slices=10)


def test_refuses_to_mix_slices_and_pictures(tmp_path):
    real, _ = volumes(tmp_path, head(), head(1))
    save(noise(EACH, (24, 20)), tmp_path / "pictures")
    with pytest.raises(InputError, match="Real images are volumes, synthetic ones PNG of 8 bits"):
        from_folders(real, tmp_path / "pictures", slices=10)


def test_volumes_of_different_sizes_require_a_common_size(tmp_path):
    real, synthetic = volumes(tmp_path, head(0), head(1, (24, 24, 28)))
    with pytest.raises(InputError, match=r"20 x 24, 24 x 24.*--size"):
        from_folders(real, synthetic, slices=10)
    assert from_folders(real, synthetic, slices=10, size=48).images.shape == (20, 48, 48)


def test_pixels_of_thick_slices_become_square(tmp_path):
    thick = [Volume(head(seed).array[:, :, ::4], np.diag([3.0, 3.0, 12.0, 1.0])) for seed in (0, 1)]
    assert from_folders(*volumes(tmp_path, *thick), slices=10, plane="coronal").images.shape[1:] == (28, 20)


def test_refuses_a_window_for_pictures(tmp_path):
    save(noise(EACH), tmp_path / "real")
    save(noise(EACH, seed=1), tmp_path / "synthetic")
    with pytest.raises(InputError, match="applies to volumes"):
        from_folders(tmp_path / "real", tmp_path / "synthetic", window=(40, 400))
