"""The arms of an experiment: training runs that differ in one factor, run one after another, each in its own folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from ganlab.checkpoints import read_card, replacing
from ganlab.generation import trainer
from ganlab.generation.config import GanConfig
from ganlab.training import Event
from ganlab.translation.batches import SliceMaker
from ganlab.translation.networks import PatchGANConfig, UNetConfig
from ganlab.translation.presets import BRAIN_WINDOW
from ganlab.translation.trainer import train
from ganlab.translation.training_config import TrainingConfig

PIXEL = 2  # mm: an arm takes minutes on two cores
NETWORK = UNetConfig(widths=(16, 32, 64, 96), patch=1, window=BRAIN_WINDOW.window)
DISCRIMINATOR = PatchGANConfig(width=32, layers=2)  # sees 34 x 34 pixels, 68 mm


@dataclass(frozen=True)
class Arm:
    """One training: of a generator from noise, or of a translator, for which make(seed) may give the stream of slices
    (see `translation.batches`)."""

    title: str
    config: TrainingConfig | GanConfig
    make: SliceMaker | None = None


def trainings(arms: dict[str, Arm], out: Path, device: str, workers: int = 1) -> Iterator[tuple[str, Iterator[Event]]]:
    """(title, events) of every arm: iterating over the events trains it in out/NAME, from its last checkpoint if there
    is one."""
    for name, arm in arms.items():
        folder = Path(out) / name
        resume = (folder / "state.safetensors").exists()
        if isinstance(arm.config, GanConfig):
            yield arm.title, trainer.train(arm.config, folder, device, resume)
        else:
            yield arm.title, train(arm.config, folder, device, resume, workers, make=arm.make)


def spent(folder: Path) -> dict:
    """Cost of a training run, from its card: steps, minutes, device, parameters."""
    card = read_card(Path(folder))
    return {key: card[key] for key in ("steps", "minutes", "device", "parameters")}


def summary(rows: list[dict[str, float]]) -> dict[str, list[float]]:
    """{figure: [mean, standard deviation]} over rows, of the figures that all rows have."""
    keys = [key for key in rows[0] if all(key in row for row in rows)]
    columns = {key: [row[key] for row in rows] for key in keys}
    return {key: [round(mean(values), 4), round(stdev(values), 4)] for key, values in columns.items()}


def write_result(result: dict, text: str, out: Path) -> None:
    """out/result.json and out/result.md."""
    write_text(json.dumps(result, indent=1), Path(out) / "result.json")
    write_text(text, Path(out) / "result.md")


def write_text(text: str, path: Path) -> None:
    """Write a text file at once. Raises InputError if it cannot be written."""
    with replacing(path) as partial:
        partial.write_text(f"{text}\n", encoding="utf-8")
