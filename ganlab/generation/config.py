"""Settings of image GANs: of the networks, and of a training. Pages and commands read them without loading torch."""

from __future__ import annotations

from typing import Annotated

from ganlab.generation.augment import AUGMENTATIONS
from ganlab.objectives import OBJECTIVES, get_objective, smoothed
from ganlab.settings import Field, OneOf, frozen_config

SIZES = (16, 28, 32, 56, 64, 128)
KINDS = {"dcgan": "DCGAN", "fc": "Fully connected"}
CONDITIONS = {"concat": "Planes beside the image", "projection": "Projection"}
NORMS = {"batch": "Batch", "layer": "Layer", "none": "None"}


@frozen_config
class NetworkConfig:
    """Architecture of a generator and its discriminator. The defaults are DCGAN's recipe (Radford et al., ICLR 2016) at
    a width for CPUs. Fully connected networks (Goodfellow et al. 2014) use size, z, width, classes and squash only."""

    kind: Annotated[str, OneOf(KINDS)] = Field("dcgan", title="Networks", description="DCGAN or fully connected.")
    size: Annotated[int, OneOf(SIZES)] = Field(64, title="Image size", description="Side of an image.", unit="pixels")
    z: int = Field(100, ge=1, le=512, title="Noise dimensions", description="Length of the noise z, N(0, 1).")
    width: int = Field(
        32,
        ge=4,
        le=256,
        title="Width",
        description="Channels of the finest map; they double with every halving, up to 8 times.",
    )
    classes: int = Field(0, ge=0, le=100, title="Classes", description="Labels that both networks see; 0: none.")
    condition: Annotated[str, OneOf(CONDITIONS)] = Field(
        "concat",
        title="How D sees the class",
        description="concat: a plane per class beside the image (Mirza and Osindero 2014); projection: the "
        "inner product of an embedding and D's features (Miyato and Koyama, ICLR 2018).",
    )
    strided: bool = Field(
        True,
        title="Strided and fractionally strided convolutions (off: pooling and nearest upsampling)",
        description="Convolutions change the resolution.",
    )
    norm: Annotated[str, OneOf(NORMS)] = Field("batch", title="Normalisation", description="After each convolution.")
    leaky: bool = Field(True, title="LeakyReLU 0.2 in D (off: ReLU)", description="D's activation.")
    relu: bool = Field(True, title="ReLU in G (off: tanh)", description="G's activation.")
    squash: bool = Field(True, title="tanh as G's last layer (off: none)", description="G's last activation.")
    convolutional: bool = Field(
        True,
        title="No hidden fully connected layers",
        description="Off: a hidden fully connected layer before G's and after D's convolutions.",
    )
    small_start: bool = Field(
        True, title="Weights start as N(0, 0.02)", description="Off: weights start as torch initialises them."
    )
    norm_d: Annotated[str, OneOf(("", *NORMS))] = Field(
        "", title="Normalisation of D", description="If other than G's; empty: the same."
    )
    spectral: bool = Field(
        False,
        title="Spectral norm on D",
        description="Spectral normalisation of D in place of its normalisation (Miyato et al., ICLR 2018).",
    )
    grain: int = Field(
        0, ge=0, le=32, title="Grain", description="Kernels of the scanner noise that G adds (see `Grain`); 0: none."
    )
    spread: bool = Field(False, title="Spread", description="Give D the minibatch standard deviation (see `Spread`).")


@frozen_config
class GanConfig:
    """A training run; the defaults are DCGAN's: Adam with 2e-4 and beta1 0.5, the non-saturating game."""

    data: str = Field("nodules", title="Images", description="The kind of images to learn, see `image_kinds`.")
    count: int = Field(0, ge=0, le=10**7, title="Images to learn from", description="0: all that the kind has.")
    digest: int = Field(
        0, ge=0, lt=2**32, title="Digest", description="Checksum of the user's files that images come from; 0: unknown."
    )
    network: NetworkConfig = Field(default_factory=NetworkConfig, title="Network", description="Both networks.")
    objective: Annotated[str, OneOf({name: objective.title for name, objective in OBJECTIVES.items()})] = Field(
        "non-saturating", title="Objective", description="What generator and discriminator minimise."
    )
    steps: int = Field(5000, ge=1, le=10**7, title="Steps", description="Steps of the generator in total.")
    batch: int = Field(64, ge=4, le=512, title="Batch", description="Images per step.")
    rate_d: float = Field(2e-4, ge=0, le=0.1, title="Learning rate of D", description="Of D's Adam optimiser.")
    rate_g: float = Field(2e-4, ge=0, le=0.1, title="Learning rate of G", description="Of G's Adam optimiser.")
    beta1: float = Field(0.5, ge=0, le=0.999, title="Momentum (beta 1)", description="Of both Adam optimisers.")
    d_steps: int = Field(1, ge=1, le=10, title="Steps of D per step of G", description="Steps of the discriminator.")
    smoothing: float = Field(0.0, ge=0, le=0.5, title="One-sided label smoothing", description="Of real labels.")
    r1: float = Field(0.0, ge=0, le=1000, title="R1 penalty (gamma)", description="On D's gradient at real images.")
    penalty: float = Field(10.0, ge=0, le=1000, title="Gradient penalty", description="Lambda of WGAN-GP.")
    clip: float = Field(0.01, ge=1e-4, le=1, title="Clip", description="Largest weight of a clipped critic (WGAN).")
    augment: tuple[Annotated[str, OneOf(tuple(AUGMENTATIONS))], ...] = Field(
        (), title="Differentiable augmentation", description="Augmentations of all images that D sees, see `augment`."
    )
    horizon: int = Field(
        200,
        ge=0,
        le=100_000,
        title="Averaged weights",
        description="Steps over which G is averaged; 0: none.",
    )
    epoch: int = Field(250, ge=1, le=10**6, title="Epoch", description="Steps between checkpoints.")
    seed: int = Field(0, ge=0, le=2**31, title="Seed", description="Same seed, same training on a CPU.")

    def __post_init__(self):
        smoothed(get_objective(self.objective), self.smoothing)  # only some objectives have labels to smooth
