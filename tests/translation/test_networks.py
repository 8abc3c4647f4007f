import pytest
import torch

from ganlab.checkpoints import as_config
from ganlab.translation.networks import (
    PatchGAN,
    PatchGANConfig,
    ResNet,
    ResNetConfig,
    UNet,
    UNetConfig,
    folded,
    generator_config,
    make_generator,
)


def parameters(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("blocks", "ngf", "channels", "count"),
    [(9, 64, 3, 11_378_179), (9, 64, 1, 11_365_633), (9, 32, 1, 2_844_289), (6, 64, 3, 7_837_699)],
)
def test_the_resnet_generator_has_the_published_number_of_parameters(blocks, ngf, channels, count):
    assert parameters(ResNet(ResNetConfig(channels, ngf, blocks))) == count


@pytest.mark.parametrize(("channels", "count"), [(3, 2_764_737), (1, 2_762_689)])
def test_the_patchgan_has_the_published_number_of_parameters(channels, count):
    assert parameters(PatchGAN(PatchGANConfig(channels))) == count


def test_each_patchgan_output_sees_70_by_70_pixels():
    net = PatchGAN(PatchGANConfig(width=4)).eval()
    for layer in net.body:
        if isinstance(layer, torch.nn.InstanceNorm2d):
            layer.forward = lambda x: x  # its statistics see the whole image
    x = torch.randn(1, 1, 256, 256, requires_grad=True)
    y = net(x)
    assert y.shape == (1, 1, 30, 30)
    y[0, 0, 15, 15].backward()
    seen = x.grad[0, 0].abs() > 0
    assert seen.any(0).sum() == seen.any(1).sum() == 70


def test_a_resnet_covers_its_range_and_its_config_survives_json():
    torch.manual_seed(0)
    net = ResNet(ResNetConfig(width=4, blocks=1, low=-0.6, high=1.4))
    y = net(1000 * torch.randn(1, 1, 32, 40))
    assert y.shape == (1, 1, 32, 40) and y.min() >= -0.6 and y.max() <= 1.4 and y.max() - y.min() > 1
    for config in (net.config, UNetConfig(widths=(4, 6))):
        assert generator_config(as_config(config)) == config
        assert type(make_generator(config)) is (ResNet if config is net.config else UNet)


@pytest.mark.parametrize("patch", [1, 2])
def test_unet_keeps_the_image_size_and_folding_keeps_the_function(patch):
    torch.manual_seed(0)
    net = UNet(UNetConfig(widths=(6, 8, 10), patch=patch))
    x = torch.randn(2, 1, 48, 64)
    net(x)  # moves the batch statistics away from 0 and 1
    net.eval()
    with torch.inference_mode():
        y = net(x)
        assert y.shape == x.shape
        torch.testing.assert_close(folded(net)(x), y, atol=1e-4, rtol=1e-4)
    assert net.stride == 4 * patch


def test_unet_is_translation_equivariant_by_its_stride():
    torch.manual_seed(0)
    net = folded(UNet(UNetConfig(widths=(4, 6, 8))))
    x = torch.zeros(1, 1, 128, 128)
    x[..., 40:60, 40:60] = torch.randn(20, 20)
    with torch.inference_mode():
        y, moved = net(x), net(x.roll((net.stride, 2 * net.stride), (2, 3)))
    inner = slice(32, 96)
    rolled = y.roll((net.stride, 2 * net.stride), (2, 3))
    torch.testing.assert_close(moved[..., inner, inner], rolled[..., inner, inner], atol=1e-5, rtol=1e-5)


def test_a_window_adds_a_clipped_range_of_the_input():
    torch.manual_seed(0)
    config = UNetConfig(widths=(4, 6), window=(0.035, 0.08))
    net = make_generator(config).eval()
    first = net.down[0][0]
    assert first.in_channels == 2 * 4
    assert generator_config(as_config(config)) == config
    with torch.no_grad():
        first.weight[:, :4] = 0  # it sees only the window, beyond which all is clipped
        x = torch.full((1, 1, 16, 16), 0.5)
        assert torch.equal(net(x), net(2 * x)) and not torch.equal(net(0.1 * x), net(0.2 * x))
        assert torch.allclose(folded(net)(0.1 * x), net(0.1 * x), atol=1e-6)


@pytest.mark.parametrize("config", [UNetConfig(widths=(4, 6)), ResNetConfig(width=4, blocks=1)])
def test_bfloat16_does_not_round_the_output_to_steps_of_8_hu(config):
    torch.manual_seed(0)
    net, x = make_generator(config).eval(), torch.rand(1, 1, 32, 32)
    with torch.inference_mode():
        exact = net(x)
        with torch.autocast("cpu", torch.bfloat16):
            near = net(x)
    assert near.dtype == torch.float32 and 0 < (near - exact).abs().max() < 0.02 * (exact.max() - exact.min())
    assert len(near.unique()) > len(near.bfloat16().unique())
