import dataclasses
from dataclasses import replace

import pytest
import torch

from ganlab.translation.image_pool import ImagePool
from ganlab.translation.losses import mind, structure_loss
from ganlab.translation.methods import CycleGAN, Pix2Pix
from ganlab.translation.networks import PatchGANConfig, UNetConfig, outlined
from ganlab.translation.training_config import TrainingConfig

TINY = TrainingConfig(network=UNetConfig(widths=(4, 6)), batch=2, size=32, rate=1e-3)
PIX2PIX = dataclasses.replace(TINY, discriminator=PatchGANConfig(2, 4, 1), objective="non-saturating", pixel=10.0)
CYCLEGAN = dataclasses.replace(TINY, discriminator=PatchGANConfig(1, 4, 1), pool=0)


def images(seed=0):
    torch.manual_seed(seed)
    return torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32)


def test_pix2pix_learns_its_pairs_and_its_discriminator_recognises_them():
    torch.manual_seed(0)
    method, (source, target) = Pix2Pix(PIX2PIX, "cpu"), images()
    numbers = [method.step(source, target, k) for k in range(60)]
    assert numbers[-1]["l1"] < 0.7 * numbers[0]["l1"]
    with torch.no_grad():
        real = method.logits("discriminator", torch.cat([source, target], 1), False).mean()
        other = method.logits("discriminator", torch.cat([source, 1 - target], 1), False).mean()
    assert real > other  # the condition matters: the same images, paired differently


def test_the_generator_loss_gives_no_gradient_to_the_discriminator():
    method, (source, target) = CycleGAN(CYCLEGAN, "cpu"), images()
    method.step(source, target, 0)
    for p in method.nets["discriminator"].parameters():
        p.grad = None
    method.objective.generator_loss(method.logits("discriminator", method.nets["generator"](source), False)).backward()
    assert all(p.grad is None for p in method.nets["discriminator"].parameters())
    assert all(p.grad is not None for p in method.nets["generator"].parameters())


def test_cyclegan_reduces_its_cycle_loss():
    torch.manual_seed(0)
    method, (source, target) = CycleGAN(CYCLEGAN, "cpu"), images()
    numbers = [method.step(source, target, k)["cycle"] for k in range(60)]
    assert numbers[-1] < 0.7 * numbers[0]


def test_the_image_pool_shows_old_images_half_of_the_time():
    pool, given = ImagePool(5), [torch.full((1, 1, 2, 2), float(k)) for k in range(200)]
    shown = [float(pool.exchange(image, k).mean()) for k, image in enumerate(given)]
    assert shown[:5] == [0, 1, 2, 3, 4]  # while it fills
    assert 60 < sum(a != b for a, b in enumerate(shown)) < 140
    kept = [float(image.mean()) for image in pool.images]
    assert sorted(kept + shown[5:]) == list(range(200))
    assert [float(ImagePool(0).exchange(image, k).mean()) for k, image in enumerate(given)] == list(range(200))


def test_mind_sees_edges_not_contrast():
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


def test_outlined_fills_the_holes_of_a_head():
    ring = torch.zeros(1, 1, 24, 24)
    ring[..., 4:20, 4:20] = 1
    ring[..., 6:18, 6:18] = 0  # dark within, as bone and fluid are on T1
    inside = outlined(ring, 0.5)
    assert inside[..., 5:19, 5:19].all()
    assert inside.sum() <= 16 * 16
    assert outlined(ring.flip(2, 3), 0.5).equal(inside.flip(2, 3))


def test_discriminators_see_outline_and_windows_of_their_own_modality():
    seen = PatchGANConfig(width=4, layers=1, windows=((0.035, 0.08),), outline=-0.5, depths=(3, 9))
    method = CycleGAN(TrainingConfig(method="cyclegan", network=UNetConfig(widths=(4, 6)), discriminator=seen), "cpu")
    of_ct, of_mr = method.nets["discriminator"], method.nets["back_discriminator"]
    assert (of_ct.body[0].in_channels, of_mr.body[0].in_channels) == (4, 3)
    assert (of_ct.config.outline, of_mr.config.outline) == (-0.5, 0.15)
    image = torch.full((1, 1, 32, 32), -1.0)
    image[..., 8:24, 8:24] = 0.03
    moved = image.clone().requires_grad_()
    of_ct(moved).sum().backward()
    assert moved.grad.abs().sum() > 0
    shifted = image.clone()
    shifted[..., 16, 16] = 0.3  # the outline is the same, the image is not
    assert outlined(shifted, -0.5).equal(outlined(image, -0.5))
    assert not of_ct(shifted).equal(of_ct(image))


def test_cyclegan_learns_from_known_contrasts_before_the_game():
    torch.manual_seed(0)
    config = TrainingConfig(method="cyclegan", network=UNetConfig(widths=(4, 6)), prior=8, known=2.0, rate=1e-3,
                            discriminator=PatchGANConfig(width=4, layers=1))  # fmt: skip
    mr, ct = torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32) - 0.5
    method = CycleGAN(config, "cpu")
    judge = [p.clone() for p in method.nets["discriminator"].parameters()]
    way_back = [p.clone() for p in method.nets["back"].parameters()]
    first = method.step(mr, ct, 1)
    assert set(first) == {"known"}
    assert all(a.equal(b) for a, b in zip(way_back, method.nets["back"].parameters(), strict=True))  # not in this step
    method.step(mr, ct, 4)
    assert not all(a.equal(b) for a, b in zip(way_back, method.nets["back"].parameters(), strict=True))
    assert all(a.equal(b) for a, b in zip(judge, method.nets["discriminator"].parameters(), strict=True))
    assert {"known", "cycle", "d", "g"} <= set(method.step(mr, ct, 8))
    assert not all(a.equal(b) for a, b in zip(judge, method.nets["discriminator"].parameters(), strict=True))


def test_known_pairs_teach_both_generators_of_a_cyclegan():
    config = TrainingConfig(method="cyclegan", network=UNetConfig(widths=(4, 6)), prior=400, rate=2e-3,
                            discriminator=PatchGANConfig(width=4, layers=1))  # fmt: skip
    torch.manual_seed(0)
    mr, ct = torch.rand(2, 1, 32, 32), torch.full((2, 1, 32, 32), -1.0)
    method, bright, dark = CycleGAN(config, "cpu"), torch.full_like(ct, 1.3), torch.full_like(ct, 0.3)
    for step in range(120):
        method.optimizers["generator"].param_groups[0]["lr"] = config.rate  # as the trainer sets it
        method.step(mr, ct, 4 * (step // 4), dark, bright, bright, dark)
    for net in method.nets.values():
        net.eval()
    with torch.no_grad():
        assert method.nets["generator"](dark).mean() == pytest.approx(1.3, abs=0.3)
        assert method.nets["back"](bright).mean() == pytest.approx(0.3, abs=0.15)


@pytest.mark.parametrize("task", ["mr2ct", "t1fa", "t1flair"])
def test_structure_and_known_losses_are_computed_in_float32(task):
    config = replace(CYCLEGAN, task=task, method="cyclegan", prior=1, known=1.0, structure=1.0, spacing=2)
    (source, target), result = images(), []
    for precise in (True, False):
        torch.manual_seed(0)
        method = CycleGAN(config, "cpu")
        with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
            result.append([method.step(source, target, k) for k in range(2)])
        assert all(p.dtype == torch.float32 for net in method.nets.values() for p in net.parameters())
    for exact, near in zip(*result, strict=True):
        assert exact.keys() == near.keys() and all(v.dtype == torch.float32 for v in near.values())
        assert all(float(near[k]) == pytest.approx(float(v), rel=0.15, abs=0.05) for k, v in exact.items())


def test_the_prior_steps_have_a_higher_learning_rate():
    config = replace(CYCLEGAN, prior=2, method="cyclegan")
    mr, ct = torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32) - 0.5
    rates = []
    for number in (0, 2):
        method = CycleGAN(config, "cpu")
        method.step(mr, ct, number)
        rates.append(method.optimizers["generator"].param_groups[0]["lr"])
    assert rates == [pytest.approx(4 * config.rate), pytest.approx(config.rate)]


def test_the_source_cycle_may_have_another_weight():
    config = TrainingConfig(method="cyclegan", network=UNetConfig(widths=(4, 6)),
                            discriminator=PatchGANConfig(width=4, layers=1))  # fmt: skip
    mr, ct, result = torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32), []
    for weight in (None, 10.0, 1.0):
        torch.manual_seed(1)
        method = CycleGAN(replace(config, cycle_source=weight), "cpu")
        method.step(mr, ct, 0)
        result.append(torch.cat([p.detach().flatten() for p in method.nets["generator"].parameters()]))
    assert result[0].equal(result[1])
    assert not result[0].equal(result[2])
