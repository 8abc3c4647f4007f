"""What can be translated into what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ganlab.checkpoints import PRETRAINED, list_models, model_folder, refuse_pickled
from ganlab.errors import InputError

if TYPE_CHECKING:
    from ganlab.imaging.volume import Volume


@dataclass(frozen=True)
class Task:
    """scale, source_scale: what one unit of the network's output and input is worth in the unit of target and source;
    empty: the target where there is nothing; limits: the range that a file can hold."""

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


HU = (1000.0, -1000.0, (-1024.0, 3071.0))  # networks work in thousands of HU
TASKS = {
    "mr2ct": Task("mr2ct", "T1-weighted MR to CT", "t1", "ct", "HU", 1.0, *HU, "mr2ct-unet"),
    "ct2mr": Task("ct2mr", "CT to T1-weighted MR", "ct", "t1", "", 1000.0, 1.0, 0.0, (0.0, 10.0), "ct2mr-unet"),
    "t1fa": Task("t1fa", "T1-weighted MR to FA", "t1", "fa", "", 1.0, 1.0, 0.0, (0.0, 1.0), "t1fa-unet"),
}


REVERSE = {"mr2ct": "ct2mr", "ct2mr": "mr2ct"}
STUDIED = {  # in experiments only: no pretrained model, no metrics
    "t1flair": Task(
        "t1flair", "T1-weighted MR to FLAIR", "t1", "flair", "", 1.0, 1.0, 0.0, (0.0, 10.0), "t1flair-cyclegan"
    ),
}


def get_task(name: str) -> Task:
    if name not in TASKS | STUDIED:
        raise InputError(f'Task "{name}" is not known; choose from {", ".join(TASKS)}.')
    return (TASKS | STUDIED)[name]


ORDER = ("l1", "pix2pix", "cyclegan")  # in the order in which they are compared


def cards_of(task: str) -> list[dict]:
    """Front matter of a task's pretrained models: by L1 loss, pix2pix, CycleGAN."""
    rank = {method: k for k, method in enumerate(ORDER)}
    return sorted(list_models(task), key=lambda card: rank[card["config"].get("method", ORDER[0])])


def find_model(name: str, task: Task) -> Path:
    """The folder of a model. Raises InputError if there is none, with the names of those of the task."""
    if not any(folder.exists() for folder in (PRETRAINED / name, Path(name))):
        refuse_pickled(Path(name))
        raise InputError(f'There is no model "{name}" that makes {_product(task)}; {_remedy(task)}.')
    return model_folder(name)


def check_task(name: str, written: str | None, task: Task) -> None:
    """Raise InputError if a model, which says that it is of the task `written`, is not of this one."""
    if written == task.name:
        return
    if written not in TASKS | STUDIED:
        raise InputError(f'"{name}" does not say which task it was trained for; {_remedy(task)}.')
    raise InputError(f'"{name}" makes {_product(get_task(written))}, not {task.target.upper()}; {_remedy(task)}.')


def _product(task: Task) -> str:
    return f"{task.target.upper()} from {task.source.upper()}"


def _remedy(task: Task) -> str:
    names = "".join(f"{card['name']}, " for card in cards_of(task.name))
    return f"choose {names}or give the folder of a training" if names else "give the folder of a training"


def short(model: str) -> str:
    """mr2ct-pix2pix -> pix2pix; the folder's name of a training of one's own."""
    return Path(model).name.partition("-")[2] or Path(model).name


def phantom_pair(task: Task, **patient) -> tuple[Volume, Volume, np.ndarray | None]:
    """(source, reference, mask) of the phantom that make_patient makes of these arguments; mask None: the metrics' own.

    A T1 reference has white matter near 1, as the network's output, and is measured inside the head of its CT.
    """
    from ganlab.imaging.metrics import head_mask
    from ganlab.phantoms import make_patient
    from ganlab.phantoms.tissues import INDEX

    if task.target != "t1":
        volumes = make_patient(modalities=(task.source, task.target), **patient)
        return volumes[task.source], volumes[task.target], None
    volumes = make_patient(modalities=("t1", "ct", "labels"), **patient)
    t1, white = volumes["t1"].array, volumes["labels"].array == INDEX["white matter"]
    return volumes["ct"], replace(volumes["t1"], array=t1 / np.median(t1[white])), head_mask(volumes["ct"])
