"""Named training configurations that reproduce the pretrained models."""

from __future__ import annotations

from dataclasses import replace

from ganlab.errors import InputError
from ganlab.settings import with_settings
from ganlab.translation.networks import PatchGANConfig, ResNetConfig, UNetConfig
from ganlab.translation.tasks import TASKS
from ganlab.translation.training_config import TrainingConfig, check_training

# The adversary is added to a trained L1 model.
PIX2PIX = TrainingConfig(
    method="pix2pix", discriminator=PatchGANConfig(channels=2, width=32), objective="non-saturating",
    steps=2000, batch=4, rate=2e-4, decay=0.5, frozen=1.0, pixel=100.0,
)  # fmt: skip
BRAIN_WINDOW = UNetConfig(window=(0.035, 0.08))  # of CT in thousands of HU: W 160 L 35
CYCLEGAN = TrainingConfig(
    method="cyclegan", network=BRAIN_WINDOW, steps=9000, batch=2, size=160, rate=4e-4, decay=0.5, epoch=250
)
# Two things keep the skull out of the scalp's fat: the prior steps learn from MR synthesised from CT with textbook
# signals, and the discriminators see how deep each pixel lies under the outline of the head, and CT through brain and
# bone windows. The cycle from MR weighs less, as a CT cannot hold all of an MR.
CYCLEGAN_KNOWN = replace(
    CYCLEGAN, batch=4, steps=5000, decay=0.3, cycle_source=1.0, prior=3500, known=5.0, pace=2.0,
    filled=0.12,
    discriminator=PatchGANConfig(width=32, windows=((0.035, 0.08), (0.3, 0.5)), outline=-0.5, depths=(9, 25)),
)  # fmt: skip

PRESETS = {
    "mr2ct-unet": TrainingConfig(),
    "ct2mr-unet": TrainingConfig(task="ct2mr", network=BRAIN_WINDOW, steps=3000),
    "t1fa-unet": TrainingConfig(task="t1fa", start="mr2ct-unet", steps=5000),
    "mr2ct-pix2pix": replace(PIX2PIX, start="mr2ct-unet", steps=1000),
    "ct2mr-pix2pix": replace(PIX2PIX, task="ct2mr", network=BRAIN_WINDOW, start="ct2mr-unet"),
    "t1fa-pix2pix": replace(PIX2PIX, task="t1fa", start="t1fa-unet"),
    "mr2ct-cyclegan": CYCLEGAN_KNOWN,
    "mr2ct-cyclegan-structure": replace(CYCLEGAN, structure=5.0),
    "mr2ct-cyclegan-plain": CYCLEGAN,
    # FA shows nothing of the scalp, so the cycle from T1 cannot close. FA is small, and so is an error of it: known
    # contrasts need a larger weight than for CT, or the generator learns to answer 0.
    "t1fa-cyclegan": replace(
        CYCLEGAN, task="t1fa", network=UNetConfig(widths=(24, 48, 96, 128), patch=1), spacing=2, size=96, batch=4,
        steps=3600, decay=0.3, cycle_source=0.0, prior=3000, known=40.0, pace=2.0, filled=0.12,
        discriminator=PatchGANConfig(width=32, outline=0.05, depths=(5, 13)),
    ),
    # Wolterink et al. 2017: sagittal slices of 256 x 256, CT clipped to [-600, 1400] HU, 100 + 100 epochs. MR has white
    # matter at 1 here; a thousandth of the head is brighter than 2.5.
    "mr2ct-wolterink": TrainingConfig(
        method="cyclegan", network=ResNetConfig(), discriminator=PatchGANConfig(width=64),
        steps=400_000, batch=1, size=256, rate=2e-4, decay=0.5, frozen=0.0,
        planes=("sagittal",), ranges=((0.0, 2.5), (-0.6, 1.4)),
    ),
}  # fmt: skip


def get_preset(name: str, settings: dict | None = None, **changes) -> TrainingConfig:
    """A preset with those changes that are not None, and settings that `parse_settings` found. Raises InputError for
    unknown settings, values out of range, and settings that do not fit together."""
    if name not in PRESETS:
        raise InputError(f'Preset "{name}" is not known; choose from {", ".join(PRESETS)}.')
    config = replace(PRESETS[name], **{k: v for k, v in changes.items() if v is not None})
    config = with_settings(config, settings or {})
    if config.task not in TASKS:
        raise InputError(f'There is no training for the task "{config.task}"; choose from {", ".join(TASKS)}.')
    if isinstance(config.network, ResNetConfig) and not config.ranges:
        raise InputError(
            "A ResNet ends in tanh, so its output range must be set; give the ranges of source and target, CT in "
            "thousands of HU and MR with white matter at 1, such as ranges=[[0, 2.5], [-0.6, 1.4]]."
        )
    return check_training(config)
