"""Weights on disk: safetensors with their configuration inside, and a card beside them. Nothing is unpickled."""

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

from ganlab.errors import InputError
from ganlab.paths import shipped

PRETRAINED = shipped("pretrained")
DISCRIMINATOR = "discriminator.safetensors"  # beside model.safetensors, of a model that had one
SUMS = PRETRAINED / "SHA256SUMS"
PIPELINES = {"generate": "unconditional-image-generation", "features": "image-feature-extraction"}  # the Hub's names
TAGS = ["gan", "medical-imaging"]
PICKLED = (".pt", ".pth", ".ckpt", ".pkl", ".pickle")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write in place of `path`, which takes its name when all is written: a crash leaves the old file whole.

    Raises InputError if it cannot be written, for want of space or permission; nothing of it is left then.
    """
    from safetensors import SafetensorError

    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())  # on the disk before it takes the old one's name
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f'"{path}" cannot be written ({reason}), and what was there before is untouched; free some space or choose '
            "another folder."
        ) from error
    finally:
        with contextlib.suppress(OSError):  # its folder may be what is wrong
            partial.unlink()


def save_tensors(path: Path, tensors: dict, config: dict) -> None:
    """Write a safetensors file whose metadata holds the configuration as JSON; a crash leaves the old file whole.

    Raises InputError if it cannot be written.
    """
    from safetensors.torch import save_file

    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    with replacing(path) as partial:
        save_file(tensors, partial, metadata(tensors, config))


def metadata(tensors: dict, config: dict) -> dict[str, str]:
    """What a file of these tensors says of itself."""
    return {"config": json.dumps(config), "sha256": digest(tensors)}


def digest(tensors: dict) -> str:
    """SHA-256, in hexadecimal, of tensors with their names, types and shapes."""
    import torch

    found = hashlib.sha256()
    for name, values in sorted(tensors.items()):
        found.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        found.update(values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return found.hexdigest()


@lru_cache(maxsize=1)
def shipped_digests() -> dict[str, str]:
    """Name -> SHA-256 of the files of weights that came with the repository, as `sha256sum` writes them; those carry
    none inside."""
    lines = SUMS.read_text(encoding="utf-8").splitlines() if SUMS.is_file() else []
    return {name: told for told, name in (line.split(maxsplit=1) for line in lines)}


def check_unchanged(path: Path, told: str | None, tensors: dict) -> None:
    """Raise InputError for a file whose tensors are not those of the digest that it carries, or that carries none and
    is no shipped one."""
    remedy = "so it is not used; copy it again from where it came, or train it anew"
    if told is None:
        with open(path, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() not in shipped_digests().values():
                raise InputError(f'"{path}" carries no SHA-256 and is no file of the repository as it was, {remedy}.')
    elif told != digest(tensors):
        raise InputError(f'"{path}" was changed since it was written, for its SHA-256 is another, {remedy}.')


def load_tensors(path: Path, device: str = "cpu") -> tuple[dict, dict]:
    """(tensors, configuration) of a file that save_tensors wrote. Raises InputError for any other, and for one that was
    changed since."""
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
            f'"{path}" is not a readable safetensors checkpoint; copy it again or train it anew.'
        ) from error
    if not isinstance(config, dict):
        raise InputError(f'"{path}" holds no configuration, so it was not written by ganlab; train it anew.')
    check_unchanged(path, written.get("sha256"), tensors)
    return tensors, config


def fill(net, tensors: dict, path: Path, assign: bool = False) -> None:
    """Give a torch module its weights. Raises InputError if they are those of another architecture, or not finite."""
    check_finite(tensors, path)
    try:
        net.load_state_dict(tensors, assign=assign)
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f'"{path}" holds weights of another architecture than is wanted here; copy it again or train it anew.'
        ) from error


def check_finite(tensors: dict, path: Path) -> None:
    """Raise InputError for weights that hold NaN or infinity: all that they make would be black, without a word."""
    for name, values in tensors.items():
        if values.is_floating_point() and not values.float().isfinite().all():
            raise InputError(
                f'"{path}" holds values that are no finite numbers, in the tensor "{name}": it is damaged, or was '
                "written by a training that had come apart; copy it again or train it anew."
            )


def refuse_pickled(path: Path) -> None:
    """Raise InputError for a name that only pickled files have."""
    path = Path(path)
    if path.suffix.lower() in PICKLED:
        raise InputError(
            f'"{path}" is a pickled file ({path.suffix}), which can run any code when it is opened, so it is not; '
            "give weights as safetensors and volumes as NIfTI."
        )


def read_card(folder: Path) -> dict:
    """The front matter of a model card, the figures of its model under "metrics"."""
    front = deepcopy(_parsed((folder / "card.md").read_text(encoding="utf-8").split("---\n", 2)[1]))
    return front | {"metrics": front.pop("figures")} if "figures" in front else front


@lru_cache(maxsize=64)
def _parsed(front: str) -> dict:
    """Pages ask for all cards many times while they are built, and YAML is slow to read."""
    import yaml

    return yaml.safe_load(front)


def write_card(folder: Path, front: dict, text: str) -> None:
    """Write folder/card.md: front matter, as `read_card` gives it back, and Markdown. Raises InputError.

    The front matter is valid for the Hugging Face Hub, where `metrics` are a list of names: the figures themselves are
    written as `figures`.
    """
    from huggingface_hub import ModelCardData

    front = {
        "library_name": "ganlab",
        "pipeline_tag": PIPELINES.get(front["task"], "image-to-image"),
        "tags": TAGS,
    } | front
    figures = front["metrics"]
    card = ModelCardData(**front | {"metrics": list(figures.get("mean", figures)), "figures": figures})
    with replacing(folder / "card.md") as partial:
        partial.write_text(f"---\n{card.to_yaml()}\n---\n{text}", encoding="utf-8")


def list_models(task: str | None = None) -> list[dict]:
    """Front matter of every card under pretrained/, by name; of one task if given."""
    cards = [read_card(c.parent) for c in sorted(PRETRAINED.glob("*/card.md"))]
    return [c for c in cards if task in (None, c["task"])]


def model_folder(name: str) -> Path:
    """pretrained/NAME, or a folder that a training wrote."""
    refuse_pickled(Path(name))
    for folder in (PRETRAINED / name, Path(name)):
        if (folder / "model.safetensors").is_file():
            return folder
    for path in sorted(Path(name).glob("*")):
        refuse_pickled(path)  # there may be a model, but in a file that is never opened
    known = ", ".join(m["name"] for m in list_models()) or "none"
    raise InputError(f'There is no model "{name}"; known models: {known}, or give the folder of a training.')


def has_discriminator(name: str) -> bool:
    """Whether a model's discriminator lies beside it."""
    return (model_folder(name) / DISCRIMINATOR).is_file()


def as_config(dataclass) -> dict:
    return json.loads(json.dumps(asdict(dataclass)))
