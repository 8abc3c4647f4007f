"""Weights on disk: safetensors with their configuration inside, and a card next to them. Pickle files are never
loaded."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganlab.errors import InputError
from ganlab.paths import shipped

if TYPE_CHECKING:
    from torch import nn

PRETRAINED = shipped("pretrained")
DISCRIMINATOR = "discriminator.safetensors"  # next to model.safetensors, if the model was trained with one
SUMS = PRETRAINED / "SHA256SUMS"
PIPELINES = {"generate": "unconditional-image-generation", "features": "image-feature-extraction"}  # the Hub's names
TAGS = ["gan", "medical-imaging"]
HUB = ("library_name", "pipeline_tag", "tags")  # front matter that only the Hub uses
PICKLED = (".pt", ".pth", ".ckpt", ".pkl", ".pickle")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file to write to, which replaces `path` at the end of the block: a crash leaves the old file intact.

    Raises InputError if it cannot be written, for lack of space or permission; the temporary file is removed.
    """
    from safetensors import SafetensorError

    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())  # on the disk before it replaces the old one
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f'"{path}" cannot be written ({reason}), and the previous file is unchanged; free some space or choose '
            "another folder."
        ) from error
    finally:
        with contextlib.suppress(OSError):  # the folder itself may be the problem
            partial.unlink()


def save_tensors(path: Path, tensors: dict, config: dict) -> None:
    """Write a safetensors file with the configuration as JSON in its metadata; a crash leaves the old file intact.

    Raises InputError if it cannot be written.
    """
    from safetensors.torch import save_file

    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    with replacing(path) as partial:
        save_file(tensors, partial, metadata(tensors, config))


def metadata(tensors: dict, config: dict) -> dict[str, str]:
    """The metadata of a file of these tensors: the configuration and a digest."""
    return {"config": json.dumps(config), "sha256": digest(tensors)}


def digest(tensors: dict) -> str:
    """SHA-256 (hexadecimal) of tensors with their names, types and shapes."""
    import torch

    sha256 = hashlib.sha256()
    for name, values in sorted(tensors.items()):
        sha256.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        sha256.update(values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return sha256.hexdigest()


@lru_cache(maxsize=1)
def shipped_digests() -> dict[str, str]:
    """Name -> SHA-256 of the weight files shipped with the repository, which carry no digest inside; from a file in the
    format of `sha256sum`."""
    lines = SUMS.read_text(encoding="utf-8").splitlines() if SUMS.is_file() else []
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}


def check_unchanged(path: Path, expected: str | None, tensors: dict) -> None:
    """Raise InputError if a file's tensors do not match its digest, or if it has none and is not a shipped file."""
    remedy = "so it is rejected; copy it again from the original, or retrain the model"
    if expected is None:
        with open(path, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() not in shipped_digests().values():
                raise InputError(f'"{path}" has no SHA-256 inside and is not one of the shipped files, {remedy}.')
    elif expected != digest(tensors):
        raise InputError(f'"{path}" was changed after it was written (its SHA-256 does not match), {remedy}.')


def load_tensors(path: Path, device: str = "cpu") -> tuple[dict, dict]:
    """Read (tensors, configuration) from a file written by `save_tensors`. Raises InputError for any other file, and
    for one that was changed since."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    refuse_pickled(path)
    try:
        with safe_open(path, framework="pt", device=device) as f:
            written = f.metadata() or {}
            config = json.loads(written.get("config", "null"))
            tensors = {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(
            f'"{path}" is not a readable safetensors checkpoint; copy it again or train it again.'
        ) from error
    if not isinstance(config, dict):
        raise InputError(f'"{path}" holds no configuration, so ganlab did not write it; train it again.')
    check_unchanged(path, written.get("sha256"), tensors)
    return tensors, config


def fill(net: nn.Module, tensors: dict, path: Path, assign: bool = False) -> None:
    """Load weights into a torch module. Raises InputError if they belong to another architecture or are not finite."""
    check_finite(tensors, path)
    try:
        net.load_state_dict(tensors, assign=assign)
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f'"{path}" contains weights of a different architecture; copy it again or train it again.'
        ) from error


def check_finite(tensors: dict, path: Path) -> None:
    """Raise InputError for weights that are NaN or infinite, which would make black images without any error."""
    for name, values in tensors.items():
        if values.is_floating_point() and not values.float().isfinite().all():
            raise InputError(
                f'"{path}" holds NaN or infinite values in the tensor "{name}": it is damaged, or was written by a '
                "training that diverged; copy it again or train it again."
            )


def refuse_pickled(path: Path) -> None:
    """Raise InputError for a file name with an extension of pickled files."""
    path = Path(path)
    if path.suffix.lower() in PICKLED:
        raise InputError(
            f'"{path}" is a pickled file ({path.suffix}), which can run any code when it is opened, so ganlab does '
            "not open it; give weights as safetensors and volumes as NIfTI."
        )


def read_card(folder: Path) -> dict:
    """The front matter of a model card, as it was passed to `write_card`."""
    front = deepcopy(_parsed((folder / "card.md").read_text(encoding="utf-8").split("---\n", 2)[1]))
    figures = front.pop("figures", front.get("metrics", {}))
    return {key: value for key, value in front.items() if key not in HUB} | {"metrics": figures}


@lru_cache(maxsize=64)
def _parsed(front: str) -> dict:
    """Cached: pages read all cards many times while they are built, and parsing YAML is slow."""
    import yaml

    return yaml.safe_load(front)


def write_card(folder: Path, front: dict, text: str) -> None:
    """Write folder/card.md: front matter and Markdown. Raises InputError if it cannot be written.

    The front matter is valid for the Hugging Face Hub, where `metrics` are a list of names: the figures themselves are
    written as `figures`.
    """
    from huggingface_hub import ModelCardData

    pipeline, figures = PIPELINES.get(front["task"], "image-to-image"), front["metrics"]
    measured = figures.get("mean") or figures.get("generated") or figures
    named = front | {"metrics": [name for name in measured if name != "held_out"], "figures": figures}
    card = ModelCardData(library_name="ganlab", pipeline_tag=pipeline, tags=TAGS, **named)
    with replacing(folder / "card.md") as partial:
        partial.write_text(f"---\n{card.to_yaml()}\n---\n{text}", encoding="utf-8")


def list_models(task: str | None = None) -> list[dict]:
    """Front matter of every card under pretrained/, sorted by name; only those of `task` if given."""
    cards = [read_card(c.parent) for c in sorted(PRETRAINED.glob("*/card.md"))]
    return [c for c in cards if task in (None, c["task"])]


def model_folder(name: str) -> Path:
    """pretrained/NAME, or a training folder. Raises InputError if there is no model."""
    refuse_pickled(Path(name))
    for folder in (PRETRAINED / name, Path(name)):
        if (folder / "model.safetensors").is_file():
            return folder
    for path in sorted(Path(name).glob("*")):
        refuse_pickled(path)  # explain that a pickled model is never opened
    known = ", ".join(m["name"] for m in list_models()) or "none"
    raise InputError(f'There is no model "{name}"; known models: {known}, or give a training folder.')


def has_discriminator(name: str) -> bool:
    """Whether a model comes with its discriminator."""
    return (model_folder(name) / DISCRIMINATOR).is_file()


def as_config(dataclass: Any) -> dict:
    """A configuration as JSON values."""
    return json.loads(json.dumps(asdict(dataclass)))
