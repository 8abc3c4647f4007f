"""Weights that a training run starts from: those of another model, or of an earlier stage of training."""

from __future__ import annotations

from ganlab.checkpoints import DISCRIMINATOR, fill, load_tensors, model_folder
from ganlab.errors import InputError
from ganlab.settings import from_values
from ganlab.translation.methods import Method
from ganlab.translation.networks import PatchGANConfig, generator_config
from ganlab.translation.training_config import BACKWARD, FORWARD, TrainingConfig, network_of

BACK_FOLDER = "back"  # of the backward generator, in a training folder
FILES = {  # network -> where a training writes it
    FORWARD: "model.safetensors",
    "discriminator": DISCRIMINATOR,
    BACKWARD: f"{BACK_FOLDER}/model.safetensors",
    "back_discriminator": f"{BACK_FOLDER}/{DISCRIMINATOR}",
}


def start_from(config: TrainingConfig, method: Method) -> None:
    """Give the networks the weights of config.start: the forward generator, and of the others those that exist and
    have the same shapes, so that one stage can follow another. Raises InputError if the generator does not fit."""
    fill(method.nets[FORWARD], starting_weights(config), model_folder(config.start) / FILES[FORWARD])
    for name, net in method.nets.items():
        path = model_folder(config.start) / FILES[name]
        if name == FORWARD or not path.is_file():
            continue
        tensors, saved = load_tensors(path)
        if name in method.generators:
            same = generator_config(saved["network"]) == network_of(config, name)
        else:
            same = from_values(PatchGANConfig, saved["discriminator"]) == net.config
        if same:
            fill(net, tensors, path)


def starting_weights(config: TrainingConfig) -> dict:
    """The weights of config.start. Raises InputError if that network has another configuration."""
    tensors, saved = load_tensors(model_folder(config.start) / "model.safetensors")
    try:
        same = generator_config(saved["network"]) == network_of(config, FORWARD)
    except (LookupError, TypeError, InputError):
        same = False
    if not same:
        raise InputError(
            f'"{config.start}" is a network of another shape; start from one of the same preset, or from none.'
        )
    return tensors
