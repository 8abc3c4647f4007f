"""Named training configurations of generators; the pretrained ones were trained with them."""

from __future__ import annotations

import shlex
from dataclasses import replace

from ganlab.errors import InputError
from ganlab.generation.config import GanConfig, NetworkConfig
from ganlab.generation.image_kinds import OWN, Images
from ganlab.settings import as_settings

# DCGAN's own recipe, with labels as planes beside the image. Batch normalisation in D lets it compare the images of a
# batch, which keeps the samples of a class varied: with R1 instead, all samples of a digit looked the same.
RECIPE = GanConfig(batch=32, horizon=500)
# With labels, or without augmentation, all slices of a level became the same.
BRAIN = replace(
    RECIPE, data="brain-t1-64", steps=22000, horizon=1000, augment=("flip", "translation", "cutout"),
    network=NetworkConfig(size=64, width=32, spread=True),
)  # fmt: skip
PRESETS = {
    "dcgan-digits": replace(RECIPE, data="digits", steps=4000, network=NetworkConfig(size=16, width=32, classes=10)),
    "dcgan-nodules": replace(
        RECIPE, data="nodules", steps=8000, augment=("flip",),
        network=NetworkConfig(size=56, width=32, classes=2, grain=6),
    ),
    "dcgan-brain": BRAIN,
    "dcgan-brain-128": replace(BRAIN, data="brain-t1-128", network=replace(BRAIN.network, size=128)),
    "dcgan-brain-ct": replace(BRAIN, data="brain-ct-64"),
    "dcgan-brain-fa": replace(BRAIN, data="brain-fa-64"),
    "dcgan-nodules-plain": GanConfig(network=NetworkConfig(size=56)),  # Radford's recipe, no labels
    "fc-digits": GanConfig(data="digits", network=NetworkConfig(kind="fc", size=16)),
    "fc-nodules": GanConfig(data="nodules", network=NetworkConfig(kind="fc", size=56)),
}  # fmt: skip


def get_preset(name: str, **changes) -> GanConfig:
    """A preset with these changes, None meaning none. Raises InputError for an unknown name."""
    if name not in PRESETS:
        raise InputError(f'Preset "{name}" is not known; choose from {", ".join(PRESETS)}.')
    return replace(PRESETS[name], **{k: v for k, v in changes.items() if v is not None})


def on_own(config: GanConfig, images: Images) -> GanConfig:
    """The same training on a user's own images, which have no classes. Their count and the checksum of their files are
    stored, to recognise the folder later."""
    kind, network = images.kind, replace(config.network, classes=0)
    return replace(config, data=kind.name, count=len(images), digest=kind.digest, network=network)


def command(config: GanConfig, steps: int) -> str:
    """The shell command that repeats a training of this many steps, up to rounding: the nearest preset, and every
    setting that differs from it."""
    if config.data.startswith(OWN):  # --source determines them
        config = replace(config, count=0, digest=0)
    settings = {
        name: as_settings(replace(config, steps=preset.steps, epoch=preset.epoch), preset)
        for name, preset in PRESETS.items()
    }

    def distance(name: str) -> tuple:
        preset = PRESETS[name]
        return preset.data != config.data, preset.network.kind != config.network.kind, len(settings[name])

    name = min(PRESETS, key=distance)
    parts = ["python -m ganlab train", name, *(f"--set {shlex.quote(text)}" for text in settings[name])]
    parts += ["--source YOUR-FOLDER"] if config.data.startswith(OWN) else []
    parts += [f"--steps {steps}"] if steps else []
    return " ".join([*parts, f"--out runs/my-{name}"])
