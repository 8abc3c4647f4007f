"""The occlusion map finds where the discriminator looks."""

import torch
from torch import nn

from ganlab.generation.occlusion import occlusion_map


class Corner(nn.Module):
    """Judges an image by the texture of its upper left quarter alone."""

    def forward(self, images, labels=None):
        return images[..., :14, :14].square().mean((1, 2, 3)) * (1 if labels is None else labels)


def test_the_map_is_high_where_the_output_comes_from_and_zero_elsewhere():
    image = torch.randn((1, 1, 28, 28), generator=torch.Generator().manual_seed(0))
    score, moved = occlusion_map(Corner(), image)
    assert score == Corner()(image).item()
    assert moved.shape == (28, 28)
    assert moved[:11, :11].min() > 10 * moved[20:, 20:].abs().max()
    doubled, twice = occlusion_map(Corner(), image, torch.tensor([2]))
    assert doubled == 2 * score
    torch.testing.assert_close(twice, 2 * moved)
