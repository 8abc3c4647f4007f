"""The model card of a generator from noise."""

from __future__ import annotations

from pathlib import Path

from ganlab.checkpoints import as_config, write_card
from ganlab.generation.game import ImageGame
from ganlab.generation.image_kinds import OWN, Images
from ganlab.generation.shipped import TASK

NAMES = {"dcgan": "DCGAN", "fc": "fully connected GAN"}
ARCHITECTURES = {
    "dcgan": "DCGAN (Radford et al. 2016): fractionally strided 4x4 convolutions, batch normalisation, ReLU, tanh",
    "fc": "fully connected, two hidden layers of ReLU (Goodfellow et al. 2014)",
}


def write_new_card(out: Path, game: ImageGame, device: str, minutes: float) -> None:
    """Write the card of a training at its current step; `evaluate-generator --write-card` adds the figures."""
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
        "steps": game.step,
        "device": device,
        "minutes": round(minutes),
        "metrics": {},
        "intended_use": "teaching and research",
        "limits": f"not a medical device; {'may resemble the training images' if own else 'shows no real person'}",
    }
    text = (
        f"\n# {out.name}\n\n```\npython -m ganlab generate --model {out.name} --n 64 --seed 0 --out samples\n"
        f"python -m ganlab evaluate-generator --model {out.name}{' --source FOLDER' * own} --write-card\n```\n"
    )
    write_card(out, front, text)


def trained_on(images: Images) -> str:
    """A card's description of the training images."""
    kind, count = images.kind, f"{len(images):,} images"
    if kind.name.startswith(OWN):
        return f"{count} of the user's own, {kind.size} x {kind.size}"
    origin = "scikit-learn's, from the UCI repository" if kind.name == "digits" else "made by ganlab, no patient's data"
    return f"{count} ({kind.name}): {origin}"
