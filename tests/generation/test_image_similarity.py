"""MS-SSIM, nearest training images and the test for copies."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from ganlab.errors import InputError
from ganlab.generation.image_kinds import HELD_OUT, Images, get_kind, load_images
from ganlab.generation.image_similarity import memorisation, ms_ssim, ms_ssim_diversity, nearest
from ganlab.phantoms.lungs.nodules import make_nodules

DIGITS, NODULES = get_kind("digits"), get_kind("nodules")


@pytest.fixture(scope="module")
def digits():
    return load_images(DIGITS)


@pytest.fixture(scope="module")
def nodules():
    return make_nodules(HELD_OUT + 7, 200)


def test_ms_ssim_of_one_scale_equals_ssim_of_scikit_image(nodules):
    images = NODULES.to_network(nodules.images[:4])
    for a, b in ((0, 1), (2, 3)):
        expected = structural_similarity(
            *((images[k, 0].double().numpy() + 1) / 2 for k in (a, b)),
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0,
        )  # fmt: skip
        assert ms_ssim(images[[a]], images[[b]], scales=1).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("size", [16, 28, 56, 64, 128])
def test_ms_ssim_is_one_for_equal_images_and_falls_with_noise(size):
    x = torch.rand((3, 1, size, size), generator=torch.Generator().manual_seed(0)) * 2 - 1
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    values = [ms_ssim(x, x + s * noise).mean().item() for s in (0.0, 0.1, 0.5)]
    assert values[0] == pytest.approx(1, abs=1e-5)
    assert 1 > values[1] > values[2] >= 0


def test_diversity_compares_different_images_of_one_class(digits):
    one_each = torch.tensor([digits.images[digits.labels == k][0].tolist() for k in range(10)])
    labels = torch.arange(10).repeat(3)
    assert ms_ssim_diversity(Images(DIGITS, one_each.repeat(3, 1, 1, 1), labels), 60) == pytest.approx(1, abs=1e-5)
    with pytest.raises(InputError, match="No class has two"):
        ms_ssim_diversity(Images(DIGITS, one_each, labels[:10]))
    value = ms_ssim_diversity(digits, 300)
    assert value == ms_ssim_diversity(digits, 300) != ms_ssim_diversity(digits, 300, seed=1)
    mixed = Images(DIGITS, digits.images, torch.zeros_like(digits.labels))
    assert ms_ssim_diversity(mixed, 300) < value < 0.9


def test_nearest_finds_copies_and_mirrored_copies(digits):
    expected = torch.tensor([5, 700, 44])
    copies = digits.images[expected]
    for images in (copies, copies.flip(3), (copies + 0.02).clamp(-1, 1)):
        indices, distances = nearest(images, digits.images)
        assert indices.shape == distances.shape == (3, 3)
        assert indices[:, 0].tolist() == expected.tolist()
        assert (distances[:, 0] < 0.021).all() and (np.diff(distances, axis=1) >= 0).all()
    assert nearest(copies, digits.images[:2])[0].shape == (3, 2)


def test_nearest_distance_is_the_rms_difference_after_a_3x3_mean(digits):
    a, b = digits.images[:1], digits.images[1:2]

    def blurred(x):
        return np.array(
            [[x[max(0, i - 1) : i + 2, max(0, j - 1) : j + 2].mean() for j in range(16)] for i in range(16)]
        )

    a0, b0, b1 = (blurred(x[0, 0].numpy()) for x in (a, b, b.flip(3)))
    expected = min(np.sqrt(((a0 - other) ** 2).mean()) for other in (b0, b1))
    assert nearest(a, b)[1].item() == pytest.approx(expected, rel=1e-5)


def test_copies_are_detected_and_new_images_are_not(nodules):
    images = NODULES.to_network(nodules.images)
    training, held_out, fresh = images[:100], images[100:150], images[150:]
    noise = 0.02 * torch.randn((50, 1, 56, 56), generator=torch.Generator().manual_seed(0))
    copies = memorisation(training[:50].flip(3) + noise, training, held_out)
    assert copies["ratio"] < 0.2 and copies["copied"] == 1
    honest = memorisation(fresh, training, held_out)
    assert 0.7 < honest["ratio"] < 1.4 and honest["copied"] < 0.1
