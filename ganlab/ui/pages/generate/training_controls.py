"""The controls of the Training sub-tab as a dictionary of values, and the training that they describe."""

from __future__ import annotations

from dataclasses import fields, replace

from ganlab.errors import InputError
from ganlab.generation.config import GanConfig, NetworkConfig
from ganlab.settings import setting
from ganlab.ui.controls import as_declared
from ganlab.ui.pages.generate.training_sessions import Training

OWN = "own-64"  # the kind of a visitor's images
DATA = {
    "digits": "Handwritten digits",
    "nodules": "Lung nodules, CT",
    "brain-t1-64": "Brain slices, T1",
    "brain-ct-64": "Brain slices, CT",
    "brain-fa-64": "Brain slices, FA",
    OWN: "My images",
}
SWITCHES = ("strided", "convolutional", "relu", "leaky", "small_start")  # of NetworkConfig: the lines of the recipe
OF_NETWORK = ("kind", "condition", "norm", "spectral", "squash")
OF_TRAINING = ("objective", "rate_d", "rate_g", "beta1", "batch", "d_steps", "r1", "smoothing", "augment", "seed")
USUAL = {
    "data": "digits",
    "labels": True,
    "switches": list(SWITCHES),
    "average": True,
    **{name: setting(NetworkConfig, name).default for name in OF_NETWORK},
    **{name: setting(GanConfig, name).default for name in OF_TRAINING},
    "batch": 32,
    "augment": [],
}
HORIZON = 200  # steps over which G's weights are averaged
# Small networks and few images, because a visitor is waiting.
WIDTHS, USUAL_WIDTH = {"digits": 32}, 24  # channels of the finest map
COUNTS, USUAL_COUNT = {"digits": 0, "nodules": 1024, OWN: 0}, 600  # training images; 0: all
RESTARTS = {"data": "other images", "network": "other networks", "seed": "another seed"}  # settings that need a restart


RELEVANT = ("switches", "norm", "spectral", "labels", "condition")  # controls that only some networks and images use


def relevance(values: dict) -> dict[str, bool]:
    """Whether the chosen networks and images use the controls of RELEVANT."""
    from ganlab.generation.image_kinds import get_kind

    dcgan, classes = values["kind"] == "dcgan", bool(get_kind(values["data"]).classes)
    conditional = dcgan and classes and values["labels"]
    return dict(zip(RELEVANT, (dcgan, dcgan, dcgan, classes, conditional), strict=True))


def config_of(values: dict) -> GanConfig:
    """The training that the controls describe. Raises InputError."""
    from ganlab.generation.image_kinds import get_kind

    kind = get_kind(values["data"])
    values = values | {name: USUAL[name] for name, relevant in relevance(values).items() if not relevant}
    network = NetworkConfig(
        size=kind.size,
        width=WIDTHS.get(kind.name, USUAL_WIDTH),
        classes=len(kind.classes) if values["labels"] else 0,
        **{name: values[name] for name in OF_NETWORK},
        **{name: name in values["switches"] for name in SWITCHES},
    )
    training = {name: as_declared(setting(GanConfig, name), values[name]) for name in OF_TRAINING}
    return GanConfig(
        data=kind.name,
        count=COUNTS.get(kind.name, USUAL_COUNT),
        network=network,
        horizon=HORIZON if values["average"] else 0,
        **training | {"augment": tuple(values["augment"])},
    )


def adopt(training: Training, values: dict) -> None:
    """Apply the controls' settings to the training: while it runs if possible, else by a restart with a notice. Raises
    InputError, with nothing changed."""
    from ganlab.generation.game import FIXED

    new_config = config_of(values)
    if new_config.data == OWN and not training.own:
        return  # nothing to do until there are files
    current = training.game.config if training.game else training.config
    if new_config == current:
        return
    reasons = [reason for name, reason in RESTARTS.items() if getattr(new_config, name) != getattr(current, name)]
    if training.game and not reasons:
        training.change(**{f.name: getattr(new_config, f.name) for f in fields(new_config) if f.name not in FIXED})
    else:
        restart(training, new_config)
        training.notice = f"Training started again from step 0: {reasons[0]}." if reasons else ""


def restart(training: Training, config: GanConfig) -> None:
    """Restart from step 0; keeps playing if it was playing."""
    playing = training.playing
    training.start(replace(config))
    training.playing = playing


def start_with(training: Training, config: GanConfig, own=None) -> None:
    """Restart with a configuration, on a visitor's images if `own` are given. Raises InputError if they are missing."""
    if own is not None:
        training.own = own
    if config.data == OWN and not training.own:
        raise InputError("You have not added any images yet; add 16 or more pictures, or a scan.")
    restart(training, config)
