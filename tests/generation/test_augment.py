"""Augmentations change images as documented, reproducibly by seed, and pass gradients."""

import pytest
import torch
import torch.nn.functional as F

from ganlab.generation.augment import (
    AUGMENTATIONS,
    STD,
    augmented,
    cutout,
    flip,
    intensity,
    noise,
    translation,
)

ALL = tuple(AUGMENTATIONS)


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def images():
    return torch.rand((64, 1, 16, 16), generator=chance(7)) * 2 - 1


@pytest.mark.parametrize("names", [*((name,) for name in ALL), ALL, ()], ids=str)
def test_augmentations_keep_shapes_pass_gradients_and_follow_the_seed(names, images):
    images.requires_grad_()
    result = augmented(images, names, chance())
    assert result.shape == images.shape and result.dtype == images.dtype
    assert torch.equal(result, augmented(images, names, chance()))
    assert torch.equal(result, augmented(images, names, chance(1))) == (not names)
    result.square().sum().backward()
    assert (images.grad.flatten(1).norm(dim=1) > 0).all()


def test_half_of_the_images_are_flipped_and_back_again(images):
    once = flip(images, chance())
    assert torch.equal(flip(once, chance()), images)
    turned = (once != images).flatten(1).any(1)
    assert torch.equal(once[turned], images[turned].flip(3)) and 20 < turned.sum() < 44


def test_translation_shifts_by_up_to_an_eighth(images):
    result = translation(images, chance())
    y, x = torch.randint(-2, 3, (2, 64), generator=chance()).tolist()
    assert set(y) == set(x) == {-2, -1, 0, 1, 2}  # an eighth of the side
    for before, after, b, a in zip(images, result, y, x, strict=True):
        rolled = F.pad(before, (2, 2, 2, 2)).roll((-b, -a), (1, 2))
        assert torch.equal(after, rolled[:, 2:-2, 2:-2])


def test_cutout_is_a_square_of_half_the_side_cut_at_the_border(images):
    result = cutout(images, chance())
    sides = set()
    for before, after in zip(images[:, 0], result[:, 0], strict=True):
        rows, columns = torch.where(after == 0)
        box = slice(int(rows.min()), int(rows.max()) + 1), slice(int(columns.min()), int(columns.max()) + 1)
        assert not after[box].any() and (after == before).sum() == 256 - after[box].numel()
        sides.update(after[box].shape)
    assert sides == {5, 6, 7, 8}


def test_intensity_changes_brightness_and_contrast_of_each_image(images):
    result = intensity(images, chance())
    middle = images.mean((1, 2, 3), keepdim=True)
    shift = result.mean((1, 2, 3), keepdim=True) - middle
    contrast = result.std((1, 2, 3), keepdim=True) / images.std((1, 2, 3), keepdim=True)
    assert torch.allclose(result, (images - middle) * contrast + middle + shift, atol=1e-5)
    for values, low, high in ((shift, -0.25, 0.25), (contrast, 0.75, 1.25)):
        assert low <= values.min() < low + 0.05 and high - 0.05 < values.max() <= high


def test_noise_is_white_with_the_documented_std(images):
    added = noise(images, chance()) - images
    assert abs(float(added.std()) - STD) < 0.02 * STD and abs(float(added.mean())) < 0.02 * STD
    assert abs(float((added[..., 1:] * added[..., :-1]).mean())) < 0.02 * STD**2
