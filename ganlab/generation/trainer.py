"""The training of a generator from noise: checkpoints, resume, a sheet of samples, the model's card."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from ganlab import processes
from ganlab.checkpoints import DISCRIMINATOR, as_config, save_tensors, write_card
from ganlab.device import describe_device, precision
from ganlab.errors import InputError
from ganlab.generation.export import COLUMNS, write_sheet
from ganlab.generation.game import Game, GanConfig, Trouble, check_images
from ganlab.generation.image_kinds import OWN, Images, get_kind, load_images
from ganlab.generation.loading import TASK
from ganlab.generation.networks import noise
from ganlab.training import Event, Stop, check_start, load_state, save_state

SHOWN = 64  # images of a sheet, at most


def train(
    config: GanConfig,
    out: Path,
    device: str,
    resume: bool = False,
    images: Images | None = None,
    progress=None,
    stop: Stop = lambda: None,
) -> Iterator[Event]:
    """Play to config.steps. out/model.safetensors holds the averaged generator, out/discriminator.safetensors its
    judge, out/progress.png what the same noise gives by then, out/state.safetensors all to resume.

    images: the user's, in place of config.data. progress(share): while the images are made. stop: asked after every
    step (see `stopping`). Resuming gives what the run without a break would have given (same device). Raises InputError
    if a loss is no longer a number; the last checkpoint stays.
    """
    out = Path(out)
    check_start(out, resume)
    check_images(config, images.kind if images else get_kind(config.data))
    images = images or load_images(get_kind(config.data), count=config.count or None, progress=progress)
    game = Game(config, images, device)
    minutes = _restore(game, out / "state.safetensors", device) if resume else 0.0
    clock = time.perf_counter()
    while game.number < config.steps:
        try:
            numbers = game.step()
        except Trouble as trouble:
            raise InputError(
                f'At step {game.number + 1} {trouble}. The last checkpoint in "{out}" is kept; lower the learning '
                "rates or turn a penalty on."
            ) from trouble
        yield Event("step", game.number, config.steps, numbers)
        stopped = stop() is not None
        if game.number % config.epoch == 0 or game.number == config.steps or stopped:
            if processes.rank() == 0:
                spent = minutes + (time.perf_counter() - clock) / 60
                _save(game, out, spent)
                write_new_card(out, game, f"{describe_device(device)}, {precision(device)}", spent)
                write_progress(game, out / "progress.png")
            processes.wait()
            yield Event("checkpoint", game.number, config.steps, path=out / "model.safetensors")
            yield Event("preview", game.number, config.steps, path=out / "progress.png")
        if stopped:
            return


def _save(game: Game, out: Path, minutes: float) -> None:
    written = as_config(game.config)
    save_state(out / "state.safetensors", {"config": written, "step": game.number, "minutes": minutes}, **game.state())
    save_tensors(out / "model.safetensors", game.weights(), written)
    save_tensors(out / DISCRIMINATOR, game.discriminator.state_dict(), written)


def _restore(game: Game, path: Path, device: str) -> float:
    meta, parts = load_state(path, device)
    try:
        saved, mine = meta["config"], as_config(replace(game.config, steps=meta["config"]["steps"]))
        if saved != mine:
            differing = ", ".join(k for k in mine if saved.get(k) != mine[k])
            raise InputError(
                f'The training in "{path.parent}" had another configuration ({differing}); start a new one.'
            )
        game.restore(parts, meta["step"])
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f'"{path}" is not a state of this training; start a new one.') from error
    return meta["minutes"]


def columns(config: GanConfig) -> int:
    """Of a sheet: as usual, or as many as there are classes."""
    return min(SHOWN, max(COLUMNS, config.network.classes))


def fixed_noise(config: GanConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """(z, labels) of a sheet, SHOWN of them or what whole rows leave of these: a column a class, or all alike."""
    across = columns(config)
    count = SHOWN // across * across
    return noise(config.seed, count, config.network), torch.arange(count) % across % max(1, config.network.classes)


def write_progress(game: Game, path: Path) -> None:
    """A sheet of what the same noise gives."""
    kind = game.images.kind
    images = kind.to_unit(game.sample(*fixed_noise(game.config)))
    write_sheet(images, path, kind.window, columns(game.config))


def write_new_card(out: Path, game: Game, device: str, minutes: float) -> None:
    """A card that says what was trained, before anything is measured."""
    config, kind = game.config, game.images.kind
    own = kind.name.startswith(OWN)
    front = {
        "name": out.name,
        "task": TASK,
        "summary": f"{kind.title}, {'conditional ' if config.network.classes else ''}{NAMES[config.network.kind]}",
        "architecture": ARCHITECTURES[config.network.kind],
        "config": as_config(config),
        "parameters": sum(p.numel() for p in game.generator.parameters()),
        "training_data": trained_on(game.images),
        "steps": game.number,
        "device": device,
        "minutes": round(minutes),
        "metrics": {},
        "intended_use": "teaching and research",
        "limits": f"not a medical device; the images are {'like those it was shown' if own else 'of nobody'}",
    }
    text = (
        f"\n# {out.name}\n\n```\npython -m ganlab generate --model {out.name} --n 64 --seed 0 --out samples\n"
        f"python -m ganlab evaluate-generator --model {out.name}{' --source FOLDER' * own} --write-card\n```\n"
    )
    write_card(out, front, text)


def trained_on(images: Images) -> str:
    """For a card."""
    kind, count = images.kind, f"{len(images):,} images"
    if kind.name.startswith(OWN):
        return f"{count} of the user's own, {kind.size} x {kind.size}"
    made = "scikit-learn's, from the UCI repository" if kind.name == "digits" else "made by ganlab, no patient's data"
    return f"{count} ({kind.name}): {made}"


NAMES = {"dcgan": "DCGAN", "fc": "fully connected GAN"}
ARCHITECTURES = {
    "dcgan": "DCGAN (Radford et al. 2016): fractionally strided 4x4 convolutions, batch normalisation, ReLU, tanh",
    "fc": "fully connected, two hidden layers of ReLU (Goodfellow et al. 2014)",
}
