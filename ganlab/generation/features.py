"""The fixed networks whose features are used to evaluate generated images: one per kind of image, trained to predict
known attributes of the images (see `feature_training`). Nothing is downloaded, and unlike Inception's features these
were not learned from photographs.

A small convolutional network: 64 features, and linear heads on them for the label and for attributes. Its
configuration is saved in its checkpoint, pretrained/features-KIND.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn

from ganlab.checkpoints import PRETRAINED, fill, load_tensors
from ganlab.errors import InputError
from ganlab.generation.augment import AUGMENTATIONS
from ganlab.generation.image_kinds import ImageKind, get_kind, same_images
from ganlab.settings import Field, OneOf, from_values, frozen_config

TASK = "features"
FEATURES = "features-"  # their folders begin with this


@frozen_config
class FeatureConfig:
    """A feature network and its training."""

    data: str = Field(title="Images", description="The kind of image.")
    size: int = Field(ge=1, le=1024, title="Image size", description="Side of an image.", unit="pixels")
    classes: int = Field(ge=1, le=1000, title="Classes", description="Labels to predict.")
    attributes: tuple[str, ...] = Field((), title="Attributes", description="Known attributes to regress.")
    widths: tuple[Annotated[int, Field(ge=1, le=2048)], ...] = Field(
        (24, 48, 96, 64),
        min_length=1,
        max_length=8,
        title="Widths",
        description="Channels of the convolutions; the last are the features.",
    )
    augment: tuple[Annotated[str, OneOf(tuple(AUGMENTATIONS))], ...] = Field(
        ("translation",), title="Augmentation", description="Changes of the images in training, see `augment`."
    )
    steps: int = Field(1200, ge=1, le=10**7, title="Steps", description="Training steps.")
    batch: int = Field(64, ge=1, le=4096, title="Batch", description="Images per step.")
    rate: float = Field(2e-3, ge=0, le=1, title="Learning rate", description="Peak learning rate of Adam.")
    count: int = Field(0, ge=0, le=10**7, title="Images to learn from", description="Number of training images.")
    digest: int = Field(
        0, ge=0, lt=2**32, title="Digest", description="Checksum of the user's files that images come from; 0: unknown."
    )
    seed: int = Field(0, ge=0, le=2**31, title="Seed", description="Same seed, same features on a CPU.")


class FeatureNet(nn.Module):
    """3x3 convolutions, batch normalisation and ReLU, with stride 2 while the map is wider than 4 pixels. The features
    (N, widths[-1]) are the mean over the map, and never negative."""

    def __init__(self, config: FeatureConfig):
        super().__init__()
        self.config = config
        layers, side, i = [], config.size, 1
        for o in config.widths:
            stride = 2 if side > 4 else 1
            side //= stride
            layers += [nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]
            i = o
        self.maps = nn.Sequential(*layers)
        self.label = nn.Linear(i, config.classes)
        self.attributes = nn.Linear(i, len(config.attributes)) if config.attributes else None
        self.register_buffer("centre", torch.zeros(len(config.attributes)))
        self.register_buffer("spread", torch.ones(len(config.attributes)))

    def features(self, x: Tensor) -> Tensor:
        """(N, widths[-1]) of images (N, 1, size, size) in -1..1."""
        return self.maps(x).mean((2, 3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, classes), and attributes (N, len(config.attributes)) in their own units."""
        features = self.features(x)
        attributes = self.attributes(features) if self.attributes else features[:, :0]
        return self.label(features), attributes * self.spread + self.centre


@torch.inference_mode()
def embed(net: FeatureNet, images: Tensor, batch: int = 256) -> np.ndarray:
    """(N, 64) float64 features of images (N, 1, size, size) in -1..1."""
    device = net.label.weight.device
    return np.concatenate([net.features(part.to(device)).double().cpu().numpy() for part in images.split(batch)])


def own_features(kind: ImageKind, folder: Path, source: Path, device: str = "cpu") -> FeatureNet:
    """The features of a user's own images (see `own_images.own_kind`), from a folder of training runs. Raises
    InputError if there are none, or those of other images."""
    net = load_features(kind.name, device, folder, f' --source "{source}"')
    if not same_images(net.config, kind):
        others = " others" if net.config.count == kind.count else ""
        raise InputError(
            f'The features in "{folder / (FEATURES + kind.name)}" were trained on {net.config.count:,} images, and '
            f'"{source}" has {kind.count:,}{others}; train them with python -m ganlab train '
            f'{FEATURES}{kind.name} --source "{source}" --out "{folder / (FEATURES + kind.name)}".'
        )
    return net


def load_features(kind_name: str, device: str = "cpu", folder: Path | None = None, source: str = "") -> FeatureNet:
    """The features of a kind in evaluation mode, from pretrained/ or another folder. source: the
    --source option of the command that trains them, for the error. Raises InputError if there are none."""
    get_kind(kind_name)
    path = (folder or PRETRAINED) / f"{FEATURES}{kind_name}" / "model.safetensors"
    if not path.is_file():
        raise InputError(
            f'There are no features to measure images "{kind_name}" with; train them with python -m ganlab train '
            f'features-{kind_name}{source} --out "{path.parent}".'
        )
    tensors, written = load_tensors(path, device)
    try:
        net = FeatureNet(from_values(FeatureConfig, written))
    except InputError as error:
        raise InputError(f'"{path}" does not hold features of images; train them again.') from error
    fill(net, tensors, path)
    return net.to(device).eval().requires_grad_(False)
