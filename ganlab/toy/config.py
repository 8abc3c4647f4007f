"""The settings of a run, each with its range, default and help."""

from __future__ import annotations

from typing import Annotated

from ganlab.errors import InputError
from ganlab.objectives import OBJECTIVES, get_objective, smoothed
from ganlab.settings import Field, OneOf, changes, from_values, frozen_config
from ganlab.toy.networks import ACTIVATIONS

MAX_RUNS = 8
# changing these requires a restart
SHAPING = ("data", "latent", "generator", "discriminator", "minibatch", "conditional", "seed", "runs")

DATA = {
    "ring": "Ring of eight",
    "grid": "Grid of 25",
    "spiral": "Spiral",
    "two-moons": "Two moons",
    "pinwheel": "Pinwheel",
    "checkerboard": "Checkerboard",
    "line": "Line",
    "square": "Square",
    "disjoint-pair": "Disjoint pair",
    "gaussians-1d": "Bimodal, one dimension",
}
PLAYS = {
    "alternating": "Alternating",
    "simultaneous": "Simultaneous",
    "extragradient": "Extragradient",
    "optimistic": "Optimistic",
    "consensus": "Consensus",
    "unrolled": "Unrolled",
}
OPTIMISER_NAMES = {"sgd": "SGD", "momentum": "Momentum", "rmsprop": "RMSprop", "adam": "Adam"}
NOISES = {"gaussian": "Gaussian", "uniform": "Uniform"}
LATENTS = (1, 2, 8)


@frozen_config
class Network:
    """A multilayer perceptron."""

    layers: int = Field(3, ge=1, le=5, step=1, title="Hidden layers")
    units: int = Field(64, ge=4, le=512, step=4, title="Units per layer")
    activation: Annotated[str, OneOf(ACTIVATIONS)] = Field("relu", title="Activation")
    spectral: bool = Field(
        False, title="Spectral norm", description="Divides each weight of D by its largest singular value."
    )


@frozen_config
class Config:
    """A GAN trained on a distribution; the defaults learn all modes of the ring. Run k of `runs` has the seed `seed +
    k`."""

    data: Annotated[str, OneOf(DATA)] = Field("ring", title="Data")
    objective: Annotated[str, OneOf({name: o.title for name, o in OBJECTIVES.items()})] = Field(
        "non-saturating", title="Objective", description="The losses of D and G."
    )
    latent: Annotated[int, OneOf(LATENTS)] = Field(2, title="Dimensions of the noise")
    noise: Annotated[str, OneOf(NOISES)] = Field("gaussian", title="Noise")
    generator: Network = Field(default_factory=Network, title="Generator")
    discriminator: Network = Field(default_factory=lambda: Network(activation="leaky-relu"), title="Discriminator")
    batch: int = Field(128, ge=4, le=1024, title="Batch", description="Points per step.")
    optimiser: Annotated[str, OneOf(OPTIMISER_NAMES)] = Field("adam", title="Optimiser")
    rate_g: float = Field(2e-3, ge=1e-6, le=1.0, title="Learning rate of G")
    rate_d: float = Field(3e-3, ge=1e-6, le=1.0, title="Learning rate of D")
    beta1: float = Field(
        0.5, ge=-0.9, le=0.999, title="Momentum (beta 1)", description="For both players; may be negative."
    )
    beta2: float = Field(
        0.999, ge=0.0, le=0.9999, title="Beta 2", description="Decay of the squared gradients of Adam and RMSprop."
    )
    play: Annotated[str, OneOf(PLAYS)] = Field(
        "alternating", title="Turns", description="How the players take turns; alternating is Goodfellow's algorithm 1."
    )
    d_steps: int = Field(1, ge=1, le=10, step=1, title="Steps of D per step of G (k)")
    unroll: int = Field(
        5, ge=1, le=10, step=1, title="Unrolled steps of D", description="How far G looks ahead (Metz et al. 2017)."
    )
    consensus: float = Field(
        1.0,
        ge=0.0,
        le=100.0,
        title="Weight of consensus",
        description="Weight of the squared gradient norms (Mescheder et al. 2017).",
    )
    clip: float = Field(
        0.1, ge=1e-3, le=10.0, title="Largest weight of a clipped critic", description="For the Wasserstein objective."
    )
    penalty: float = Field(
        1.0, ge=0.0, le=100.0, title="Gradient penalty (lambda)", description="For WGAN-GP (Gulrajani et al. 2017)."
    )
    r1: float = Field(
        0.0,
        ge=0.0,
        le=100.0,
        title="R1 penalty (gamma)",
        description="On D's gradient at real data (Mescheder et al. 2018).",
    )
    smoothing: float = Field(
        0.0,
        ge=0.0,
        le=0.5,
        step=0.05,
        title="One-sided label smoothing",
        description="D's target on real data is 1 - this.",
    )
    instance_noise: float = Field(
        0.0, ge=0.0, le=1.0, step=0.05, title="Instance noise (std)", description="Added to all that D sees."
    )
    minibatch: bool = Field(
        False, title="Minibatch discrimination", description="D sees how close samples are (Salimans et al. 2016)."
    )
    feature_matching: bool = Field(
        False, title="Feature matching", description="G matches D's mean features (Salimans et al. 2016)."
    )
    virtual_batch_norm: bool = Field(
        False,
        title="Virtual batch normalisation in G",
        description="Statistics of a fixed batch (Salimans et al. 2016).",
    )
    conditional: bool = Field(
        False, title="Both see the labels", description="A conditional GAN (Mirza and Osindero 2014)."
    )
    seed: int = Field(0, ge=0, le=2**53 - 1, title="Seed")  # largest integer that JavaScript represents exactly
    runs: int = Field(1, ge=1, le=MAX_RUNS, title="Runs", description="Seeds side by side.")

    def __post_init__(self):
        smoothed(get_objective(self.objective), self.smoothing)
        if self.generator.spectral:
            raise InputError("Spectral norm is for a discriminator; turn it off in the generator.")


def as_dict(config: Config) -> dict:
    """The settings that differ from their defaults, for links and files."""
    return changes(config)


def from_dict(values: dict) -> Config:
    """A config from as_dict(), or from anything a user wrote. Raises InputError if it is not a config."""
    return from_values(Config, values)
