import dataclasses

import pytest
import torch

from ganlab.translation.methods import CycleGAN, Pix2Pix, Pool, TrainingConfig, mind, structure_loss
from ganlab.translation.networks import PatchGANConfig, UNetConfig

TINY = TrainingConfig(network=UNetConfig(widths=(4, 6)), batch=2, size=32, rate=1e-3)
PIX2PIX = dataclasses.replace(TINY, discriminator=PatchGANConfig(2, 4, 1), objective="non-saturating", pixel=10.0)
CYCLEGAN = dataclasses.replace(TINY, discriminator=PatchGANConfig(1, 4, 1), pool=0)


def images(seed=0):
    torch.manual_seed(seed)
    return torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32)


def test_pix2pix_learns_its_pairs_and_its_discriminator_tells_them():
    torch.manual_seed(0)
    method, (source, target) = Pix2Pix(PIX2PIX, "cpu"), images()
    numbers = [method.step(source, target, k) for k in range(60)]
    assert numbers[-1]["l1"] < 0.7 * numbers[0]["l1"]
    with torch.no_grad():
        real = method.look("discriminator", torch.cat([source, target], 1), False).mean()
        other = method.look("discriminator", torch.cat([source, 1 - target], 1), False).mean()
    assert real > other  # the condition counts: the same images, not paired so


def test_no_gradient_of_the_generators_loss_reaches_a_discriminator():
    method, (source, target) = CycleGAN(CYCLEGAN, "cpu"), images()
    method.step(source, target, 0)
    for p in method.nets["discriminator"].parameters():
        p.grad = None
    method.objective.generator_loss(method.look("discriminator", method.nets["generator"](source), False)).backward()
    assert all(p.grad is None for p in method.nets["discriminator"].parameters())
    assert all(p.grad is not None for p in method.nets["generator"].parameters())


def test_a_cyclegan_closes_its_cycle():
    torch.manual_seed(0)
    method, (source, target) = CycleGAN(CYCLEGAN, "cpu"), images()
    numbers = [method.step(source, target, k)["cycle"] for k in range(60)]
    assert numbers[-1] < 0.7 * numbers[0]


def test_a_pool_shows_old_images_half_of_the_time_and_loses_none():
    pool, given = Pool(5), [torch.full((1, 1, 2, 2), float(k)) for k in range(200)]
    shown = [float(pool.exchange(image, k).mean()) for k, image in enumerate(given)]
    assert shown[:5] == [0, 1, 2, 3, 4]  # while it fills
    assert 60 < sum(a != b for a, b in enumerate(shown)) < 140
    kept = [float(image.mean()) for image in pool.images]
    assert sorted(kept + shown[5:]) == list(range(200))
    assert [float(Pool(0).exchange(image, k).mean()) for k, image in enumerate(given)] == list(range(200))


def test_mind_sees_edges_and_not_contrast():
    torch.manual_seed(1)
    image = torch.zeros(1, 1, 48, 48)
    image[..., 12:30, 16:36] = 1.0
    image += 0.01 * torch.rand_like(image)
    assert mind(image).shape == (1, 4, 48, 48)
    assert mind(image).min() >= 0 and mind(image).max() <= 1
    inverted, moved = 2.0 - 3.0 * image, image.roll(5, 3)
    assert structure_loss(image, inverted) < 0.02 < structure_loss(image, moved)


@pytest.mark.parametrize("distance", [1, 2, 3])
def test_mind_of_a_flat_image_is_one(distance):
    torch.testing.assert_close(mind(torch.full((1, 1, 16, 16), 3.0), distance), torch.ones(1, 4, 16, 16))
