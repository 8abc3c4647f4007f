"""Which models close a cycle together: the two generators of one CycleGAN."""

from __future__ import annotations

from ganlab.checkpoints import list_models, model_folder, read_card
from ganlab.translation.tasks import REVERSE, get_task


def pair_of(task: str, model: str | None = None, reverse_model: str | None = None) -> tuple[str, str]:
    """The models of a task and of its reverse, where one or both are not given: two of one training if there are any,
    else the tasks' defaults."""
    forward = [model] if model else [card["name"] for card in list_models(task)]
    back = [reverse_model] if reverse_model else [card["name"] for card in list_models(REVERSE[task])]
    pairs = ((one, other) for one in forward for other in back if trained_together(one, other))
    defaults = (model or get_task(task).default_model, reverse_model or get_task(REVERSE[task]).default_model)
    return next(pairs, defaults)


def trained_together(model: str, reverse_model: str) -> bool:
    """Whether two models are the generators of one CycleGAN."""
    training = training_of(model)
    return training is not None and training == training_of(reverse_model)


def training_of(model: str) -> dict | None:
    """The configuration of the CycleGAN that a model is part of, which is in the cards of both; None for others."""
    folder = model_folder(model)
    config = read_card(folder).get("config") if (folder / "card.md").is_file() else None
    return config if config and config.get("method") == "cyclegan" else None


def mixed_notice(model: str, reverse_model: str) -> str:
    """A sentence about models that were not trained as a pair; empty for those of one training."""
    if trained_together(model, reverse_model):
        return ""
    return f"{model} and {reverse_model} were not trained together to close this cycle."
