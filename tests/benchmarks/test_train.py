"""The training benchmark: the papers' networks have the published size, and every implementation trains."""

import copy
from dataclasses import replace

import pytest
import torch

from ganlab.benchmarks.train import (
    PRESETS,
    PlainCycleGAN,
    PlainPix2Pix,
    UNet256,
    benchmark_training,
    format_benchmark,
    our_method,
    plain_method,
)
from ganlab.errors import InputError
from ganlab.translation.networks import PatchGAN, PatchGANConfig, UNet, UNetConfig
from ganlab.translation.presets import get_preset

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def one_thread():
    """A second thread slows down networks as small as these."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_the_papers_unet_has_the_published_number_of_parameters():
    net = UNet256()
    assert sum(p.numel() for p in net.parameters()) == 54_413_955
    assert sum(isinstance(m, torch.nn.Dropout) for m in net.modules()) == 3


def test_the_papers_unet_keeps_the_image_size():
    out = UNet256(1, 4, 6)(torch.rand(2, 1, 64, 64))
    assert out.shape == (2, 1, 64, 64)
    assert out.abs().max() <= 1


def light(networks=1):
    torch.manual_seed(0)
    generators = [UNet(UNetConfig(widths=(4, 6))) for _ in range(networks)]
    return generators, [PatchGAN(PatchGANConfig(3 - networks, 4, 1)) for _ in range(networks)]


@pytest.mark.parametrize("kind", ["pix2pix", "cyclegan"])
def test_a_step_of_the_plain_loop_updates_every_network(kind):
    nets, discriminators = light(1 if kind == "pix2pix" else 2)
    if kind == "pix2pix":
        method = PlainPix2Pix(*nets, *discriminators)
    else:
        method = PlainCycleGAN(nets, discriminators, structure=1.0)
    before = copy.deepcopy([*nets, *discriminators])
    method.step(torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32), 0)
    for old, new in zip(before, [*nets, *discriminators], strict=True):
        assert any(not torch.equal(a, b) for a, b in zip(old.parameters(), new.parameters(), strict=True))


def test_the_plain_loops_take_the_same_step_as_the_trainer():
    """Adam's first step does not depend on the scale of a loss, so the trainer's halved losses and its clipping do not
    matter."""
    images = torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32)
    for name, preset in zip(("pix2pix", "cyclegan"), PRESETS, strict=True):
        network = UNetConfig(widths=(4, 6))
        d = PatchGANConfig(2 if name == "pix2pix" else 1, 4, 1)
        config = replace(get_preset(preset), network=network, discriminator=d)
        ours, plain = our_method(config, "cpu"), plain_method(config, "cpu")
        mine, others = list(ours.nets.values()), list(nets_of(plain))
        for net, other in zip(mine, others, strict=True):
            other.load_state_dict(net.state_dict())
        before = copy.deepcopy(others)
        ours.step(*images, 0)
        plain.step(*images, 0)
        for k, net in enumerate(mine):
            if name == "cyclegan" and k < 2:
                continue  # halved squares against the plain loop's, with the same cycle loss
            moved, same = 0, 0
            for a, b, was in zip(net.parameters(), others[k].parameters(), before[k].parameters(), strict=True):
                moved += int(((b - was).abs() > 0.5 * config.rate).sum())
                same += int(((a - b).abs() < 0.05 * config.rate).logical_and((b - was).abs() > 0.5 * config.rate).sum())
            assert moved and same > 0.97 * moved


def nets_of(method):
    """In the order of the trainer's methods: generators, discriminators."""
    if isinstance(method, PlainPix2Pix):
        return method.g, method.d
    return method.G, method.F, method.D_y, method.D_x


def test_the_benchmark_reports_every_implementation_and_its_ratios():
    result = benchmark_training("cpu", rounds=1, seconds=0.0, size=64, width=8)
    assert set(result["images_per_second"]) == set(PRESETS)
    for name, figures in result["images_per_second"].items():
        assert set(figures) == {"batch", "ours", "plain", "papers", "ratio_papers", "ratio_plain"}
        assert all(value > 0 for value in figures.values())
        assert f"{name}: ours" in format_benchmark(result)


@pytest.mark.parametrize("size", [32, 100, 192])
def test_refuses_a_size_that_is_not_a_power_of_two(size):
    with pytest.raises(InputError, match="power of two"):
        benchmark_training("cpu", size=size)
