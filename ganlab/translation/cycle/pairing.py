"""Which models close a cycle together: the halves of one CycleGAN."""

from __future__ import annotations

from ganlab.checkpoints import list_models, model_folder, read_card
from ganlab.translation.tasks import REVERSE, get_task


def pair_of(task: str, there: str | None = None, back: str | None = None) -> tuple[str, str]:
    """The models of a task and of its way back where one or both are not given: two halves of one training, if there
    are any, else the task's own."""
    forth = [there] if there else [card["name"] for card in list_models(task)]
    home = [back] if back else [card["name"] for card in list_models(REVERSE[task])]
    pairs = ((one, other) for one in forth for other in home if trained_together(one, other))
    return next(pairs, (there or get_task(task).default_model, back or get_task(REVERSE[task]).default_model))


def trained_together(there: str, back: str) -> bool:
    """Whether two models are the halves of one CycleGAN."""
    training = training_of(there)
    return training is not None and training == training_of(back)


def training_of(model: str) -> dict | None:
    """The configuration of the CycleGAN that a model is half of, which stands in the cards of both; None of others."""
    folder = model_folder(model)
    config = read_card(folder).get("config") if (folder / "card.md").is_file() else None
    return config if config and config.get("method") == "cyclegan" else None


def mixed(there: str, back: str) -> str:
    """The sentence on models that never learned this cycle together; empty for the halves of one training."""
    if trained_together(there, back):
        return ""
    return f"{there} and {back} are not the halves of one training: neither was ever asked to close this cycle."
