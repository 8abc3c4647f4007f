"""The drawing of both networks."""

import re

import pytest
import torch

from ganlab.generation.config import NetworkConfig
from ganlab.generation.explorer import get_explorer
from ganlab.ui.pages.generate import architecture


def test_both_networks_are_drawn_with_the_shapes_of_their_maps():
    html = architecture.networks_html("dcgan-digits")
    drawn = re.findall(r"<text [^>]*>([^<]+)</text>", html)
    assert {"z: 100 + 100 of the class", "200", "image", "1 x 16 x 16", "D(x)"} <= set(drawn)
    explorer = get_explorer("dcgan-digits")
    z, label = torch.zeros(1, 100), torch.zeros(1, dtype=torch.int64)
    generator = explorer.generator.features(z, label)
    discriminator = explorer.discriminator.features(torch.zeros(1, 1, 16, 16), label)
    for maps in (generator, discriminator):
        assert {" x ".join(map(str, x.shape[1:])) for x in maps} <= set(drawn)
    assert html.count("<svg") == 2 and "<figcaption><b>D</b>" in html


@pytest.mark.parametrize("changes", [{}, {"kind": "fc"}, {"strided": False, "norm": "none", "squash": False}])
def test_captions_follow_the_configuration(changes):
    config = NetworkConfig(size=16, **changes)
    up, down = architecture.generator_words(config), architecture.discriminator_words(config)
    assert ("convolution" in up) == ("convolution" in down) == (config.kind != "fc")
    assert ("fractionally strided" in up) == (config.strided and config.kind == "dcgan")
    assert ("batch normalisation" in up) == (config.norm == "batch" and config.kind == "dcgan")
    assert ("tanh at the end" in up) == config.squash
