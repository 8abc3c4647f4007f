"""Everything that decides a run, and what is wrong with it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields, replace

from ganlab.errors import InputError
from ganlab.objectives import get_objective, smoothed
from ganlab.toy.networks import Network
from ganlab.toy.optimisers import OPTIMISERS

PLAYS = ("alternating", "simultaneous", "extragradient", "optimistic", "consensus", "unrolled")
NOISES = ("gaussian", "uniform")
LATENTS = (1, 2, 8)
MAX_RUNS = 8

# name: (least, most, what is usual)
RANGES = {
    "batch": (4, 1024, 128),
    "rate_g": (1e-6, 1.0, 2e-3),
    "rate_d": (1e-6, 1.0, 3e-3),
    "beta1": (-0.9, 0.999, 0.5),
    "beta2": (0.0, 0.9999, 0.999),
    "d_steps": (1, 10, 1),
    "unroll": (1, 10, 5),
    "consensus": (0.0, 100.0, 1.0),
    "clip": (1e-3, 10.0, 0.1),
    "penalty": (0.0, 100.0, 1.0),
    "r1": (0.0, 100.0, 0.1),
    "smoothing": (0.0, 0.5, 0.1),
    "instance_noise": (0.0, 1.0, 0.1),
    "runs": (1, MAX_RUNS, 1),
    "seed": (0, 2**53 - 1, 0),  # what a JavaScript number holds exactly
}
WHOLE = ("batch", "d_steps", "unroll", "runs", "seed")


@dataclass(frozen=True)
class Config:
    """A game on a distribution. Run k of `runs` has the seed `seed + k`. The defaults learn all of the ring.

    latent: dimensions of the noise. play: how the two take turns; alternating is Goodfellow's algorithm 1 with d_steps
    = k. beta1 is also the momentum. unroll: steps of D that G sees ahead (Metz et al., 2017). consensus: weight of the
    squared gradients (Mescheder et al., 2017). clip: largest weight of a Wasserstein critic. penalty: WGAN-GP's lambda.
    r1: gamma. smoothing: label smoothing. instance_noise: std added to all that D sees. minibatch: discrimination,
    feature_matching and virtual_batch_norm: Salimans et al., 2016. conditional: both see the label.
    """

    data: str = "ring"
    objective: str = "non-saturating"
    latent: int = 2
    noise: str = "gaussian"
    generator: Network = field(default_factory=Network)
    discriminator: Network = field(default_factory=lambda: Network(activation="leaky-relu"))
    batch: int = 128
    optimiser: str = "adam"
    rate_g: float = 2e-3
    rate_d: float = 3e-3
    beta1: float = 0.5
    beta2: float = 0.999
    play: str = "alternating"
    d_steps: int = 1
    unroll: int = 5
    consensus: float = 1.0
    clip: float = 0.1
    penalty: float = 1.0
    r1: float = 0.0
    smoothing: float = 0.0
    instance_noise: float = 0.0
    minibatch: bool = False
    feature_matching: bool = False
    virtual_batch_norm: bool = False
    conditional: bool = False
    seed: int = 0
    runs: int = 1

    def __post_init__(self):
        smoothed(get_objective(self.objective), self.smoothing)
        for name, options in (("optimiser", OPTIMISERS), ("play", PLAYS), ("noise", NOISES)):
            if getattr(self, name) not in options:
                raise InputError(
                    f'{name.capitalize()} "{getattr(self, name)}" is not known; choose from {", ".join(options)}.'
                )
        if self.latent not in LATENTS:
            raise InputError(f"The noise has {self.latent} dimensions; 1, 2 or 8 are possible.")
        for name, (low, high, usual) in RANGES.items():
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not number or not low <= value <= high or (name in WHOLE and value != int(value)):
                shown = f"{value:g}" if number else value
                whole = "a whole number " if name in WHOLE else ""
                raise InputError(f"{_title(name)} {shown} is not {whole}from {low:g} to {high:g}; {usual:g} is usual.")
        self.generator.check("generator")
        self.discriminator.check("discriminator")
        if self.generator.spectral:
            raise InputError("Spectral norm bounds a discriminator; take it off the generator.")


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def as_dict(config: Config) -> dict:
    """What differs from the default, for links and files."""
    plain, usual = asdict(config), asdict(Config())
    return {k: v for k, v in plain.items() if v != usual[k]}


def from_dict(values: dict) -> Config:
    """The config of as_dict(), or of anything that a user wrote: raises InputError for what is not a config."""
    known = {f.name for f in fields(Config)}
    unknown = [str(k) for k in values if k not in known]
    if unknown:
        raise InputError(f"Setting {', '.join(unknown)} is not known; choose from {', '.join(sorted(known))}.")
    values = dict(values)
    for name in ("generator", "discriminator"):
        if name in values:
            values[name] = _network(values[name], name)
    try:
        return Config(**values)
    except TypeError as error:
        raise InputError(f"The settings are of a wrong kind: {error}.") from error


def _network(value, whose: str) -> Network:
    if isinstance(value, Network):
        return value
    known = {f.name for f in fields(Network)}
    if not isinstance(value, dict) or not set(value) <= known:
        raise InputError(f"The {whose} is {value!r}; give {', '.join(sorted(known))}.")
    return replace(getattr(Config(), whose), **value)
