"""The settings of a translator's training, and the rules that tie several of them together."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from ganlab.errors import InputError
from ganlab.imaging.planes import PLANES
from ganlab.objectives import OBJECTIVES
from ganlab.settings import Field, OneOf, frozen_config
from ganlab.translation.networks import PatchGANConfig, ResNetConfig, UNetConfig, stride_of
from ganlab.translation.tasks import get_task

METHOD_NAMES = {"l1": "L1", "pix2pix": "pix2pix", "cyclegan": "CycleGAN"}
FORWARD, BACKWARD = "generator", "back"  # the generators' names in checkpoints: source to target, target to source
MAX_PROCESSES = 64  # of one run; each draws its own slices and examples
HEAD_THRESHOLD = {"t1": 0.15, "flair": 0.15, "ct": -0.5, "fa": 0.05}  # threshold of the head, in the networks' units
# The others need a penalty or clipped weights, which these methods do not have.
GAMES = tuple(name for name, objective in OBJECTIVES.items() if objective.probability)


@frozen_config
class TrainingConfig:
    """A training run; the defaults are the preset `mr2ct-unet`."""

    task: str = Field("mr2ct", title="Task", description="Source and target modality.")
    method: Annotated[str, OneOf(METHOD_NAMES)] = Field("l1", title="Method", description="L1, pix2pix or CycleGAN.")
    network: UNetConfig | ResNetConfig = Field(
        default_factory=UNetConfig, title="Network", description="The generators; those of a CycleGAN are identical."
    )
    discriminator: PatchGANConfig = Field(
        default_factory=lambda: PatchGANConfig(width=32), title="Discriminator", description="A PatchGAN."
    )
    objective: Annotated[str, OneOf(GAMES)] = Field(
        "least-squares", title="Objective", description="Adversarial loss of generator and discriminator."
    )
    steps: int = Field(8000, ge=1, le=10**7, title="Steps", description="Steps in total.")
    batch: int = Field(6, ge=1, le=512, title="Batch", description="Slices per step.")
    size: int = Field(192, ge=16, le=1024, title="Size", description="Side of a slice.", unit="pixels")
    spacing: int = Field(1, ge=1, le=8, title="Spacing", description="Edge of a pixel.", unit="mm")
    rate: float = Field(1.5e-3, ge=0, le=1, title="Learning rate", description="Peak learning rate of the generators.")
    decay: float = Field(
        0.6, ge=0, le=1, title="Decay", description="Last share of the steps, in which the learning rate falls to 0."
    )
    epoch: int = Field(
        500,
        ge=1,
        le=10**6,
        title="Epoch",
        description="Steps between checkpoints; each epoch has its own data.",
    )
    frozen: float = Field(  # long enough to adapt to them: otherwise dark slices come out with blobs of other tissue
        0.4,
        ge=0,
        le=1,
        title="Frozen",
        description="Last share of the steps, with batch statistics frozen.",
    )
    pixel: float = Field(1.0, ge=0, le=1e4, title="L1 weight", description="Weight of pix2pix's L1 loss.")
    cycle: float = Field(10.0, ge=0, le=1e4, title="Cycle weight", description="Weight of the cycle loss.")
    cycle_source: float | None = Field(
        None, ge=0, le=1e4, title="Source cycle weight", description="Weight of the source's cycle, if different."
    )
    identity: float = Field(
        0.0, ge=0, le=1e4, title="Identity weight", description="Weight of the identity loss; 5 in CycleGAN's code."
    )
    structure: float = Field(0.0, ge=0, le=1e4, title="Structure weight", description="Weight of the MIND loss.")
    pool: int = Field(
        50, ge=0, le=10**4, title="Pool", description="Generated images that a discriminator may be shown again."
    )
    seed: int = Field(0, ge=0, le=2**31, title="Seed", description="Same seed, same training on a CPU.")
    start: str = Field("", title="Start", description="A model whose weights to start from; random weights if empty.")
    prior: int = Field(
        0, ge=0, le=10**7, title="Prior steps", description="First steps of a CycleGAN, on synthetic pairs alone."
    )
    known: float = Field(
        0.0, ge=0, le=1e4, title="Known weight", description="Weight of known contrasts in the steps after these."
    )
    pace: float = Field(
        1.0, ge=0, le=100, title="Pace", description="Learning rate of discriminators over that of generators."
    )
    filled: float = Field(
        0.0,
        ge=0,
        le=0.5,
        title="Filled",
        description="Least share of the head in slices that are not paired.",
    )
    scanned: float = Field(
        0.4,
        ge=0,
        le=1,
        title="Scanned",
        description="Share of the patients with the anatomy of your CT heads, if there are any; the rest are phantoms.",
    )
    own: float = Field(
        0.3,
        ge=0,
        le=1,
        title="Own",
        description="Share of the slices from your own volumes, if they are mixed with phantoms and CT heads.",
    )
    planes: tuple[Annotated[str, OneOf(PLANES)], ...] = Field(
        ("axial", "coronal", "sagittal"), min_length=1, title="Planes", description="Planes of the slices."
    )
    ranges: tuple[tuple[float, float], tuple[float, float]] | None = Field(
        None,
        title="Ranges",
        extra={"example": "[[0, 2.5], [-0.6, 1.4]]"},
        description="Of source and target, in the networks' units: images are clipped to it, a ResNet's tanh spans it.",
    )


def check_training(config: TrainingConfig) -> TrainingConfig:
    """The configuration, if its settings fit together. Raises InputError."""
    get_task(config.task)
    if config.ranges and not all(low < high for low, high in config.ranges):
        raise InputError(f"ranges {config.ranges} must be increasing, such as [[0, 2.5], [-0.6, 1.4]].")
    stride = stride_of(config.network)
    if config.size % stride or config.size < 2 * stride:
        below = max(2, config.size // stride) * stride
        raise InputError(
            f"size {config.size} is not a multiple of {stride}, the network's stride, of at least {2 * stride}; "
            f"choose {below} or {below + stride}."
        )
    _check_channels("network", config.network.channels, 1)
    if config.method != "l1":
        _check_channels("discriminator", config.discriminator.channels, 2 if config.method == "pix2pix" else 1)
        least = 3 * 2**config.discriminator.layers
        if config.size < least:
            raise InputError(
                f"size {config.size} is less than the {least} pixels that a discriminator of "
                f"{config.discriminator.layers} layers sees; choose a larger size or fewer discriminator.layers."
            )
    return config


def _check_channels(name: str, channels: int, expected: int) -> None:
    if channels != expected:
        raise InputError(f"{name}.channels is {channels}; this method needs {expected}.")


def is_paired(method: str) -> bool:
    """Whether a method learns from pairs of source and target."""
    return method != "cyclegan"


def network_of(config: TrainingConfig, name: str) -> UNetConfig | ResNetConfig:
    """The network of a generator: both directions have the same, except for the range of a ResNet's output."""
    if config.ranges is None or isinstance(config.network, UNetConfig):
        return config.network
    low, high = config.ranges[1 if name == FORWARD else 0]
    return replace(config.network, low=low, high=high)
