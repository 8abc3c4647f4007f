import pytest
import torch

from ganlab.translation.benchmark import textbook_resnet
from ganlab.translation.networks import UNet, UNetConfig, folded


def parameters(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("blocks", "ngf", "channels", "count"),
    [(9, 64, 3, 11_378_179), (9, 64, 1, 11_365_633), (6, 64, 3, 7_837_699)],
)
def test_textbook_generator_has_the_published_number_of_parameters(blocks, ngf, channels, count):
    assert parameters(textbook_resnet(blocks, ngf, channels)) == count


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
