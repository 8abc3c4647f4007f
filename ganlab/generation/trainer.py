"""Training a generator from noise: the part that is specific to it; the loop is `ganlab.training.run`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from ganlab.checkpoints import DISCRIMINATOR, as_config, save_tensors
from ganlab.device import describe_device, precision
from ganlab.errors import InputError
from ganlab.generation.card import write_new_card
from ganlab.generation.config import GanConfig
from ganlab.generation.export import COLUMNS, write_sheet
from ganlab.generation.game import Diverged, ImageGame, check_images
from ganlab.generation.image_kinds import Images, get_kind, load_images
from ganlab.generation.networks import noise
from ganlab.training import STATE, Event, Stop, check_start, restore, run

SHOWN = 64  # images of a sheet, at most


def train(
    config: GanConfig,
    out: Path,
    device: str,
    resume: bool = False,
    images: Images | None = None,
    progress: Callable[[float], None] | None = None,
    stop: Stop = lambda: None,
) -> Iterator[Event]:
    """Train to config.steps. out/model.safetensors holds the averaged generator, out/discriminator.safetensors its
    discriminator, out/progress.png samples of the same noise, out/state.safetensors everything to resume.

    images: the user's own, instead of config.data. progress(share): while the images are made. stop: asked after every
    step (see `training.stopping`). A resumed run has the losses of an uninterrupted one (same device). Raises
    InputError if a loss becomes NaN or infinite; the last checkpoint stays.
    """
    out = Path(out)
    check_start(out, resume)
    check_images(config, images.kind if images else get_kind(config.data))
    images = images or load_images(get_kind(config.data), count=config.count or None, progress=progress)
    trainer = GeneratorTrainer(ImageGame(config, images, device))
    minutes = restore(trainer, out / STATE) if resume else 0.0
    try:
        yield from run(trainer, out, minutes, stop)
    except Diverged as error:
        raise InputError(
            f'At step {trainer.step + 1} {error}. The last checkpoint in "{out}" is kept; lower the learning rates or '
            "add a penalty."
        ) from error


class GeneratorTrainer:
    """Wraps an `ImageGame` as a `training.Trainer`."""

    def __init__(self, game: ImageGame):
        self.game, self.config, self.device = game, game.config, game.device
        self.nets: dict[str, nn.Module] = {"generator": game.generator, "discriminator": game.discriminator}
        self.take_step, self.state = game.take_step, game.state

    @property
    def step(self) -> int:
        return self.game.step

    def facts(self) -> dict:
        return {}

    def load_state(self, state: dict[str, dict[str, Tensor]], facts: dict, path: Path) -> None:
        self.game.restore(state, facts["step"])

    def write(self, out: Path, minutes: float) -> None:
        """Weights of both networks, a card, and progress.png."""
        config = as_config(self.config)
        save_tensors(out / "model.safetensors", self.game.weights(), config)
        save_tensors(out / DISCRIMINATOR, self.game.discriminator.state_dict(), config)
        write_new_card(out, self.game, f"{describe_device(self.device)}, {precision(self.device)}", minutes)
        write_progress(self.game, out / "progress.png")


def columns(config: GanConfig) -> int:
    """Columns of a sheet: the usual number, or one for each class if there are more."""
    return min(SHOWN, max(COLUMNS, config.network.classes))


def fixed_noise(config: GanConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """(z, labels) of a sheet: as many of SHOWN as fill whole rows, the classes in columns."""
    across = columns(config)
    count = SHOWN // across * across
    return noise(config.seed, count, config.network), torch.arange(count) % across % max(1, config.network.classes)


def write_progress(game: ImageGame, path: Path) -> None:
    """A contact sheet of samples from the same noise at every checkpoint."""
    kind = game.images.kind
    images = kind.to_unit(game.sample(*fixed_noise(game.config)))
    write_sheet(images, path, kind.window, columns(game.config))
