"""Saved generators and their discriminators, loaded from their folder, ready for inference."""

from __future__ import annotations

from torch import nn

from ganlab.checkpoints import DISCRIMINATOR, fill, load_tensors, model_folder
from ganlab.errors import InputError
from ganlab.generation.config import GanConfig
from ganlab.generation.networks import make_networks
from ganlab.settings import from_values


def load_generator(name: str, device: str = "cpu") -> tuple[nn.Module, GanConfig]:
    """(generator in evaluation mode, training configuration) of a pretrained model or of a training folder. Raises
    InputError."""
    return _load(name, "model.safetensors", 0, device)


def load_discriminator(name: str, device: str = "cpu") -> nn.Module:
    """The discriminator that a model was trained against, in evaluation mode. Raises InputError."""
    return _load(name, DISCRIMINATOR, 1, device)[0]


def _load(name: str, file: str, which: int, device: str) -> tuple[nn.Module, GanConfig]:
    path = model_folder(name) / file
    tensors, written = load_tensors(path, device)
    if "network" not in written or "z" not in written["network"]:
        raise InputError(f'"{name}" is not a generator from noise; see python -m ganlab models.')
    config = written_config(written)
    net = make_networks(config.network)[which]
    fill(net, tensors, path)
    return net.to(device).eval().requires_grad_(False), config


def written_config(written: dict) -> GanConfig:
    """The configuration in a checkpoint's JSON. Raises InputError if another version of ganlab wrote it."""
    try:
        return from_values(GanConfig, written)
    except InputError as error:
        raise InputError(f"{error} These weights are from another version of ganlab; train the model again.") from error
