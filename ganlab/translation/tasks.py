"""Translation tasks: source, target, units and models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ganlab.checkpoints import PRETRAINED, list_models, model_folder, refuse_pickled
from ganlab.errors import InputError


@dataclass(frozen=True)
class Task:
    """source, target: modalities. source_scale, scale: one unit of the network's input and output in the unit of source
    and target. empty: the target's value in air. limits: the range that a file can hold."""

    name: str
    title: str
    source: str
    target: str
    unit: str
    source_scale: float
    scale: float
    empty: float
    limits: tuple[float, float]
    default_model: str


CT_LIMITS = (-1024.0, 3071.0)  # HU of 12-bit CT
TASKS = {
    "mr2ct": Task("mr2ct", "T1-weighted MR to CT", "t1", "ct", "HU", 1.0, 1000.0, -1000.0, CT_LIMITS, "mr2ct-unet"),
    "ct2mr": Task("ct2mr", "CT to T1-weighted MR", "ct", "t1", "", 1000.0, 1.0, 0.0, (0.0, 10.0), "ct2mr-unet"),
    "t1fa": Task("t1fa", "T1-weighted MR to FA", "t1", "fa", "", 1.0, 1.0, 0.0, (0.0, 1.0), "t1fa-unet"),
}
REVERSE = {"mr2ct": "ct2mr", "ct2mr": "mr2ct"}
EXPERIMENT_TASKS = {  # used in experiments only: no pretrained model, no metrics
    "t1flair": Task(
        "t1flair", "T1-weighted MR to FLAIR", "t1", "flair", "", 1.0, 1.0, 0.0, (0.0, 10.0), "t1flair-cyclegan"
    ),
}
METHOD_ORDER = ("l1", "pix2pix", "cyclegan")  # the order in which models are compared
NAMES = {"t1": "T1", "ct": "CT", "fa": "FA"}  # modalities as they are written


def get_task(name: str) -> Task:
    """The task of this name. Raises InputError if there is none."""
    if name not in TASKS | EXPERIMENT_TASKS:
        raise InputError(f'Task "{name}" is not known; choose from {", ".join(TASKS)}.')
    return (TASKS | EXPERIMENT_TASKS)[name]


def cards_of(task: str) -> list[dict]:
    """The front matter of a task's pretrained models, in METHOD_ORDER."""
    rank = {method: k for k, method in enumerate(METHOD_ORDER)}
    return sorted(list_models(task), key=lambda card: rank[card["config"].get("method", METHOD_ORDER[0])])


def find_model(name: str, task: Task) -> Path:
    """The folder of a model. If there is none, raises InputError with the names of the task's models."""
    if not any(folder.exists() for folder in (PRETRAINED / name, Path(name))):
        refuse_pickled(Path(name))
        raise InputError(f'There is no model "{name}" that makes {_product(task)}; {_remedy(task)}.')
    return model_folder(name)


def check_task(name: str, trained_for: str | None, task: Task) -> None:
    """Raise InputError unless a model was trained for this task. trained_for: the task that its checkpoint names."""
    if trained_for == task.name:
        return
    if trained_for not in TASKS | EXPERIMENT_TASKS:
        raise InputError(f'"{name}" does not say which task it was trained for; {_remedy(task)}.')
    raise InputError(f'"{name}" makes {_product(get_task(trained_for))}, not {task.target.upper()}; {_remedy(task)}.')


def _product(task: Task) -> str:
    return f"{task.target.upper()} from {task.source.upper()}"


def _remedy(task: Task) -> str:
    names = "".join(f"{card['name']}, " for card in cards_of(task.name))
    return f"choose {names}or give the folder of a training" if names else "give the folder of a training"


def method_of(model: str) -> str:
    """A model's name without its task, mr2ct-pix2pix -> pix2pix; of your own training the name of its folder."""
    return Path(model).name.partition("-")[2] or Path(model).name
