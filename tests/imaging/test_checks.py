import numpy as np
import pytest
from scipy import ndimage

from ganlab.imaging.checks import looks_like_ct, looks_skull_stripped
from ganlab.imaging.grid import resample
from ganlab.imaging.reading.files import read_volume
from ganlab.imaging.volume import Volume


def drawn_head(spacing=2.0, half=(72.0, 90.0, 80.0), cut=None):
    """An egg-shaped T1 head: skin and fat 6 mm, skull 6 mm, brain; and the mask of its brain."""
    shape = tuple(int(2.4 * reach / spacing) for reach in half)
    world = np.stack(np.meshgrid(*[(np.arange(n) - n / 2) * spacing for n in shape], indexing="ij"), axis=-1)
    depth = (1 - np.linalg.norm(world / half, axis=-1)) * min(half)
    rng = np.random.default_rng(0)
    brain = depth > 12
    array = np.select([brain, depth > 6, depth > 0], [80.0, 3.0, 100.0], 0.0) * (1 + 0.1 * rng.normal(size=shape))
    array[brain & (ndimage.gaussian_filter(rng.normal(size=shape), 2) > 0.05)] *= 0.6  # grey matter
    array = np.hypot(array, rng.normal(size=shape)).astype(np.float32)
    affine = np.diag([spacing, spacing, spacing, 1])
    return Volume(array[:, :, :cut], affine, modality="t1"), brain[:, :, :cut]


@pytest.mark.parametrize("half", [(72, 90, 80), (60, 75, 66)])
def test_tells_a_synthetic_head_from_its_brain(half):
    head, brain = drawn_head(half=half)
    assert not looks_skull_stripped(head)
    background_zero = Volume(np.where(head.array < 4, 0, head.array), head.affine)
    assert not looks_skull_stripped(background_zero)
    alone = Volume(np.where(brain, head.array, 0), head.affine)
    assert looks_skull_stripped(alone)
    standard = (alone.array - alone.array[brain].mean()) / alone.array[brain].std()
    assert looks_skull_stripped(Volume(standard, head.affine))
    assert looks_skull_stripped(Volume(np.where(brain, standard, 0), head.affine))


def test_a_slab_of_a_head_is_not_a_brain():
    head, _ = drawn_head(cut=40)
    assert not looks_skull_stripped(Volume(head.array[:, :, 20:], head.affine))


def test_an_empty_image_is_not_a_brain():
    assert not looks_skull_stripped(Volume(np.zeros((20, 20, 20), np.float32), np.eye(4)))
    noise = np.random.default_rng(0).normal(size=(60, 60, 60)).astype(np.float32)
    assert not looks_skull_stripped(Volume(noise, np.diag([3, 3, 3, 1])))


@pytest.mark.parametrize("spacing", [1, 2])
def test_recognises_the_stripped_mni_template(spacing):
    nilearn = pytest.importorskip("nilearn.datasets")
    template = nilearn.load_mni152_template(resolution=spacing)
    volume = Volume(np.asarray(template.dataobj, dtype=np.float32), template.affine)
    assert looks_skull_stripped(volume) and not looks_like_ct(volume)


@pytest.fixture(scope="module")
def real(real_t1):
    return read_volume(real_t1, "t1")


@pytest.fixture(scope="module")
def brain(real):
    """MNI's brain mask, scaled and shifted onto the real head by eye."""
    nilearn = pytest.importorskip("nilearn.datasets")
    mask = nilearn.load_mni152_brain_mask(resolution=1)
    onto = np.diag([0.93, 0.93, 0.93, 1.0])
    onto[:3, 3] = 0, 20, -1
    placed = Volume(np.asarray(mask.dataobj).astype(np.uint8), onto @ mask.affine)
    return resample(placed, real.affine, real.shape, order=0).array > 0


def test_accepts_a_real_head(real):
    assert not looks_skull_stripped(real) and not looks_like_ct(real)


@pytest.mark.parametrize("threshold", [3, 8, 15])
def test_accepts_a_real_head_with_a_zeroed_background(real, threshold):
    array = np.where(real.array < threshold, 0, real.array)
    assert not looks_skull_stripped(Volume(array, real.affine))
    child = np.diag([0.7, 0.7, 0.7, 1])  # a brain's volume in all
    assert not looks_skull_stripped(Volume(array, child @ real.affine))


@pytest.mark.parametrize("grow", [-4, 0, 4])
def test_recognises_a_real_head_without_skull(real, brain, grow):
    change = ndimage.binary_dilation if grow > 0 else ndimage.binary_erosion
    mask = change(brain, iterations=abs(grow)) if grow else brain
    assert looks_skull_stripped(Volume(real.array * mask, real.affine))


def test_recognises_hounsfield_units_by_air():
    head, brain = drawn_head()
    rng = np.random.default_rng(1)
    ct = np.select([brain, head.array < 30, head.array >= 30], [35.0, 900.0, -50.0])
    outside = ndimage.binary_fill_holes(head.array > 30)
    ct = np.where(outside, ct, -1000) + rng.normal(0, 10, ct.shape)
    assert looks_like_ct(Volume(ct.astype(np.float32), head.affine))
    assert looks_like_ct(Volume(np.clip(ct, -1024, 3071).round().astype(np.float32), head.affine))
    assert not looks_like_ct(head)
    phase = rng.uniform(-4096, 4095, ct.shape).astype(np.float32)
    assert not looks_like_ct(Volume(phase, head.affine))
    assert not looks_like_ct(Volume((head.array - head.array.mean()) / head.array.std(), head.affine))
