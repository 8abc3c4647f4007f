"""Named trainings that reproduce the pretrained models."""

from __future__ import annotations

from dataclasses import replace

from ganlab.errors import InputError
from ganlab.translation.supervised import SupervisedConfig

PRESETS = {"mr2ct-unet": SupervisedConfig(), "t1fa-unet": SupervisedConfig(task="t1fa", start="mr2ct-unet", steps=5000)}


def get_preset(name: str, **changes) -> SupervisedConfig:
    """A preset with those changes that are not None."""
    if name not in PRESETS:
        raise InputError(f'Preset "{name}" is not known; choose from {", ".join(PRESETS)}.')
    return replace(PRESETS[name], **{k: v for k, v in changes.items() if v is not None})
