"""Networks of every size and switch are built as the papers describe; labels and noise have an effect."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from ganlab.errors import InputError
from ganlab.generation.config import NORMS, SIZES, NetworkConfig
from ganlab.generation.layers import Spread, in_parts, symmetric
from ganlab.generation.networks import levels, make_networks, noise

TINY = NetworkConfig(size=16, z=10, width=4)
SWITCHES = (
    *({name: False} for name in ("strided", "leaky", "relu", "squash", "convolutional", "small_start")),
    *({"norm": norm} for norm in NORMS),
    *({"norm_d": norm} for norm in NORMS),
    {"spectral": True},
    {"spread": True},
    {"kind": "fc"},
    {"kind": "fc", "squash": False},
)
LABELLED = ({"condition": "concat"}, {"condition": "projection"}, {"kind": "fc"})


def count(net):
    return sum(p.numel() for p in net.parameters())


def of(net, *kinds):
    return [m for m in net.modules() if isinstance(m, kinds)]


def check_both(config):
    """Shapes, ranges, and a gradient for every weight."""
    generator, discriminator = make_networks(config)
    z, labels = noise(0, 3, config), torch.tensor([0, 1, 1])
    images = generator(z, labels)
    assert images.shape == (3, 1, config.size, config.size)
    assert not config.squash or images.abs().max() <= 1
    logits = discriminator(images, labels)
    assert logits.shape == (3,) and logits.isfinite().all()
    logits.sum().backward()
    for net in (generator, discriminator):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    generator.eval()
    maps = generator.features(z, labels)
    assert torch.equal(maps[-1], generator(z, labels))
    assert all(len(m) == 3 for m in maps + discriminator.features(images, labels))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["dcgan", "fc"])
def test_makes_images_of_every_size(kind, size):
    config = replace(TINY, kind=kind, size=size)
    check_both(config)
    side, ups = levels(size)
    assert side in (4, 7) and side * 2**ups == size
    if kind == "dcgan":
        sides = [m.shape[-1] for m in make_networks(config)[0].features(noise(0, 2, config))]
        assert sides == [side * 2**k for k in range(ups + 1)]


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("changes", SWITCHES, ids=str)
def test_every_switch_gives_networks_that_learn(changes, classes):
    check_both(replace(TINY, classes=classes, **changes))


@pytest.mark.parametrize("changes", LABELLED, ids=str)
def test_labels_change_the_output_of_both_networks(changes):
    config = replace(TINY, classes=3, **changes)
    generator, discriminator = (net.eval() for net in make_networks(config))
    z, x = noise(0, 1, config).expand(3, -1), torch.rand(1, 1, 16, 16).expand(3, -1, -1, -1)
    for output in (generator(z, torch.arange(3)).flatten(1), discriminator(x, torch.arange(3))[:, None]):
        assert torch.pdist(output).min() > 1e-6 * output.abs().max()
    last = discriminator.features(x, torch.arange(3))[-1].flatten(1)
    assert torch.equal(last[0], last[1]) == (config.condition == "projection" and config.kind == "dcgan")


def test_unconditional_networks_need_no_labels():
    generator, discriminator = make_networks(TINY)
    assert not any("label" in k or "embed" in k for net in (generator, discriminator) for k in net.state_dict())
    assert discriminator.eval()(generator(noise(0, 2, TINY))).shape == (2,)


def test_dcgan_has_the_published_number_of_parameters():
    """Radford et al. 2016, figure 1, with one channel for three: 100 -> 512 x 4 x 4 -> 256 -> 128 -> 64 -> image by 4x4
    kernels, batch normalisation (a gain and a bias) everywhere except at the image, D in mirror image."""
    generator, discriminator = make_networks(NetworkConfig(size=64, z=100, width=64))
    wide = [512, 256, 128, 64]
    kernels = 16 * sum(i * o for i, o in zip(wide, [*wide[1:], 1], strict=True))
    assert count(generator) == 100 * 512 * 4 * 4 + kernels + 2 * sum(wide) + 1  # the image has a bias
    assert count(generator) == 3_574_657
    assert count(discriminator) == kernels + 2 * sum(wide[:3]) + 64 + 512 * 4 * 4 + 1  # 64: the first layer's bias
    assert len(of(generator, nn.ReLU)) == 4 and len(of(discriminator, nn.LeakyReLU)) == 4
    assert {(m.kernel_size, m.stride) for m in of(generator, nn.ConvTranspose2d)} == {((4, 4), (2, 2))}
    for net in (generator, discriminator):
        weights = torch.cat([m.weight.flatten() for m in of(net, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)])
        assert weights.std().item() == pytest.approx(0.02, rel=0.01)


def test_switches_change_the_layers_they_name():
    def both(**changes):
        return make_networks(replace(TINY, **changes))

    generator, discriminator = both(strided=False)
    assert len(of(generator, nn.Upsample)) == len(of(discriminator, nn.AvgPool2d)) == 2
    assert not of(generator, nn.ConvTranspose2d)
    for norm, kind in (("batch", nn.BatchNorm2d), ("layer", nn.GroupNorm)):
        assert [len(of(net, kind)) for net in both(norm=norm)] == [2, 1]
        assert [len(of(net, kind)) for net in both(norm="none", norm_d=norm)] == [0, 1]
    assert not any(of(net, nn.BatchNorm2d, nn.GroupNorm) for net in both(norm="none"))
    assert len(of(both(leaky=False)[1], nn.ReLU)) == 2 and not of(both(leaky=False)[1], nn.LeakyReLU)
    assert not of(both(relu=False)[0], nn.ReLU)
    for net, more in zip(both(), both(convolutional=False), strict=True):
        assert len(of(more, nn.Linear)) == len(of(net, nn.Linear)) + 1
    unsquashed = both(squash=False, small_start=False)[0]
    assert (100 * unsquashed(noise(0, 8, TINY))).abs().max() > 1 and not of(unsquashed, nn.Tanh)
    assert both(small_start=False)[0].project[0].weight.std() > 0.1


def test_spectral_normalisation_keeps_the_largest_singular_value_at_one():
    discriminator = make_networks(replace(TINY, spectral=True))[1]
    assert not of(discriminator, nn.BatchNorm2d)
    for _ in range(30):
        discriminator(torch.rand(2, 1, 16, 16))
    weights = [m.weight.flatten(1) for m in of(discriminator, nn.Conv2d, nn.Linear)]
    assert len(weights) == 3
    assert all(torch.linalg.svdvals(w)[0].item() == pytest.approx(1, abs=0.02) for w in weights)


def test_maxout_takes_the_largest_of_five_pieces():
    discriminator = make_networks(replace(TINY, kind="fc"))[1].eval()
    x = torch.rand(2, 1, 16, 16)
    pieces = discriminator.first(x.flatten(1)).view(2, 32, 5)
    assert torch.equal(discriminator.features(x)[0], pieces.max(2).values)
    assert not torch.equal(discriminator.train()(x), discriminator(x))  # dropout


def test_noise_of_a_seed_starts_alike_for_every_count():
    config = replace(TINY, z=7)
    many = noise(3, 500, config)
    assert many.shape == (500, 7) and many.dtype == torch.float32
    assert all(torch.equal(noise(3, n, config), many[:n]) for n in (1, 2, 64, 499))
    assert abs(many.mean()) < 0.05 and many.std().item() == pytest.approx(1, abs=0.05)
    assert not torch.equal(noise(4, 1, config), many[:1])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kind": "gan"}, 'Networks is "gan"; give one of dcgan, fc (default dcgan).'),
        ({"norm": "instance"}, 'Normalisation is "instance"; give one of batch, layer, none (default batch).'),
        ({"size": 48}, "Image size is 48; give one of 16, 28, 32, 56, 64, 128 (default 64)."),
        ({"z": 0}, "Noise dimensions is 0; give a whole number from 1 to 512 (default 100)."),
        ({"z": math.nan}, "Noise dimensions is NaN; give a whole number from 1 to 512 (default 100)."),
        ({"classes": -1}, "Classes is -1; give a whole number from 0 to 100 (default 0)."),
        ({"grain": 33}, "Grain is 33; give a whole number from 0 to 32 (default 0)."),
    ],
)
def test_refuses_networks_that_cannot_be_built(changes, sentence):
    with pytest.raises(InputError) as error:
        replace(TINY, **changes)
    assert str(error.value) == sentence


GRAINY = NetworkConfig(size=56, width=4, z=100, classes=2, grain=6)


def grainy(count=64):
    torch.manual_seed(0)
    generator = make_networks(GRAINY)[0].eval()
    return generator, noise(3, count, GRAINY), torch.zeros(count, dtype=torch.long)


def test_grain_is_as_strong_at_the_border_as_in_the_middle():
    generator, z, _ = grainy(400)
    with torch.inference_mode():
        grain = generator.grain(z)
    assert grain.shape == (400, 1, 56, 56)
    spread, rim = grain.std(0)[0], torch.ones(56, 56, dtype=torch.bool)
    rim[4:-4, 4:-4] = False
    assert abs(float(spread[rim].mean() / spread[~rim].mean()) - 1) < 0.05
    strengths = grain.std((1, 2, 3))
    assert strengths.max() > 2 * strengths.min()  # it varies from image to image


def test_grain_has_no_preferred_direction():
    kernels = torch.randn(3, 1, 9, 9)
    result = symmetric(kernels)
    for turned in (result.transpose(2, 3), result.flip(2), result.flip(3)):
        torch.testing.assert_close(turned, result)
    torch.testing.assert_close(symmetric(result), result)
    torch.testing.assert_close(result.mean((2, 3)), kernels.mean((2, 3)))


def test_an_image_with_grain_is_a_smooth_function_of_z_alone():
    generator, z, labels = grainy()
    with torch.inference_mode():
        image, again, near = (generator(v, labels) for v in (z, z, z + 1e-4))
    assert image.equal(again) and image.abs().max() <= 1
    assert (image - near).abs().max() < 1e-2


def test_without_grain_images_have_no_checkerboard():
    generator, z, labels = grainy()
    generator.grain.strength = 0.0
    with torch.inference_mode():
        image = generator(z, labels)
    at = torch.arange(56)
    board = 1.0 - 2.0 * ((at[:, None] + at) % 2)
    assert ((image - image.mean((2, 3), keepdim=True)) * board).mean((1, 2, 3)).abs().max() < 1e-4


def test_spread_differs_between_uniform_and_varied_parts_of_a_batch():
    spread = Spread()
    varied, same = torch.randn(6, 3, 4, 4), torch.randn(1, 3, 4, 4).expand(6, -1, -1, -1)
    together = in_parts(spread, 2)(torch.cat([varied, same]))
    assert together.shape == (12, 4, 4, 4) and together[:, :3].equal(torch.cat([varied, same]))
    assert together[:6, 3].min() > 0.5 and together[6:, 3].max() < 1e-3
    assert in_parts(spread, 1)(varied)[:, 3].equal(together[:6, 3])  # a separate pass gives the same


def test_spread_in_evaluation_mode_is_the_running_mean_of_training():
    spread, varied = Spread(), torch.randn(8, 3, 4, 4)
    for _ in range(60):
        spread(varied)
    usual = spread(varied)[0, 3, 0, 0]
    spread.eval()
    torch.testing.assert_close(spread(varied)[:, 3], usual.expand(8, 4, 4), atol=0.01, rtol=0)
    assert spread(varied[:1]).equal(spread(varied)[:1])
