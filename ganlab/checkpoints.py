"""Weights on disk: safetensors with their configuration inside, and a card beside them. Nothing is unpickled."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from ganlab.errors import InputError

PRETRAINED = Path(__file__).resolve().parent.parent / "pretrained"


def save_tensors(path: Path, tensors: dict, config: dict) -> None:
    """Write a safetensors file whose metadata holds the configuration as JSON; a crash leaves the old file whole."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, partial, {"config": json.dumps(config)})
    os.replace(partial, path)


def load_tensors(path: Path, device: str = "cpu") -> tuple[dict, dict]:
    """(tensors, configuration) of a file that save_tensors wrote."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device=device) as f:
            config = json.loads((f.metadata() or {}).get("config", "null"))
            tensors = {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118 - not a dict
    except (FileNotFoundError, SafetensorError, json.JSONDecodeError) as error:
        raise InputError(
            f'"{path}" is not a readable safetensors checkpoint; copy it again or train it anew.'
        ) from error
    if not isinstance(config, dict):
        raise InputError(f'"{path}" holds no configuration, so it was not written by ganlab; train it anew.')
    return tensors, config


def read_card(folder: Path) -> dict:
    """The front matter of a model card: what lies between the first two lines of three dashes."""
    import yaml

    parts = (folder / "card.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(parts[1])


def write_card(folder: Path, front: dict, text: str) -> None:
    import yaml

    folder.mkdir(parents=True, exist_ok=True)
    head = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=110)
    (folder / "card.md").write_text(f"---\n{head}---\n{text}", encoding="utf-8")


def list_models(task: str | None = None) -> list[dict]:
    """Front matter of every card under pretrained/, by name; of one task if given."""
    cards = [read_card(c.parent) for c in sorted(PRETRAINED.glob("*/card.md"))]
    return [c for c in cards if task in (None, c["task"])]


def model_folder(name: str) -> Path:
    """pretrained/NAME, or a folder that a training wrote."""
    for folder in (PRETRAINED / name, Path(name)):
        if (folder / "model.safetensors").is_file():
            return folder
    known = ", ".join(m["name"] for m in list_models()) or "none"
    raise InputError(f'There is no model "{name}"; known models: {known}, or give the folder of a training.')


def as_config(dataclass) -> dict:
    return json.loads(json.dumps(asdict(dataclass)))
