"""Plan the training of any preset, on generated data or on your own; shared by `ganlab train` and `ganlab.train`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganlab.errors import InputError

if TYPE_CHECKING:
    from ganlab.training import Event

Progress = Callable[[float], None]


@dataclass(frozen=True)
class TrainingPlan:
    """A training that has been checked and can begin.

    steps: where it ends. unit: the unit of the loss `l1`, or "". notices: what was dropped or converted in the user's
    images. run(out, device, resume=False, stop=...): the training's events (see `ganlab.training`).
    """

    steps: int
    unit: str
    notices: tuple[str, ...]
    run: Callable[..., Iterator[Event]]


def plan_training(
    preset: str,
    settings: dict[str, Any],
    *,
    steps: int | None = None,
    seed: int | None = None,
    start: str | None = None,
    source: Path | None = None,
    target: Path | None = None,
    anatomy: Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> TrainingPlan:
    """Prepare a preset of `ganlab train --help`.

    settings: fields of the preset's config to change. start: a model whose weights a translator starts from. source,
    target: folders of the user's volumes (a translator needs both), or source alone, a folder of images (a generator
    from noise). anatomy: a folder of CT heads, whose anatomy a translator mixes with the phantoms'. workers: processes
    that make a translator's slices. progress(share): while images are read or made. Raises InputError for an unknown
    preset, for arguments the preset cannot use, and for invalid settings.
    """
    from ganlab.generation.presets import PRESETS as GENERATORS
    from ganlab.translation.presets import PRESETS as TRANSLATORS

    if preset in GENERATORS:
        if start or target or anatomy:
            raise InputError(f"{preset} makes images from noise: leave start, target and anatomy out.")
        return _generator(preset, settings, steps, seed, source, progress)
    if preset in TRANSLATORS:
        if (source is None) != (target is None):
            raise InputError("Source and target go together: give both folders, or neither to train on phantoms.")
        return _translator(preset, settings, steps, seed, start, source, target, anatomy, workers, progress)
    known = f"{', '.join(GENERATORS)} (images from noise) or {', '.join(TRANSLATORS)} (translation)"
    raise InputError(f'Preset "{preset}" is not known; choose from {known}.')


def _generator(
    preset: str,
    settings: dict[str, Any],
    steps: int | None,
    seed: int | None,
    source: Path | None,
    progress: Progress | None,
) -> TrainingPlan:
    from ganlab.generation.own_images import read_folder
    from ganlab.generation.presets import get_preset, on_own
    from ganlab.generation.trainer import train
    from ganlab.settings import with_settings

    config, images = with_settings(get_preset(preset, steps=steps, seed=seed), settings), None
    notices: tuple[str, ...] = ()
    if source:
        images, _, found_notices = read_folder(source, config.network.size, progress)
        config, notices = on_own(config, images), tuple(found_notices)
    return TrainingPlan(config.steps, "", notices, partial(train, config, images=images, progress=progress))


def _translator(
    preset: str,
    settings: dict[str, Any],
    steps: int | None,
    seed: int | None,
    start: str | None,
    source: Path | None,
    target: Path | None,
    anatomy: Path | None,
    workers: int,
    progress: Progress | None,
) -> TrainingPlan:
    from ganlab.translation.dataset.folders import Folders, find_volumes, left_out_notice
    from ganlab.translation.presets import get_preset
    from ganlab.translation.tasks import get_task
    from ganlab.translation.trainer import train
    from ganlab.translation.training_config import is_paired

    config = get_preset(preset, settings, steps=steps, seed=seed, start=start)
    data, kind = None, get_task(config.task)
    notices: tuple[str, ...] = ()
    if source and target:
        data = Folders(source, target)
        notices = left_out_notice(find_volumes(data, is_paired(config.method), (kind.source, kind.target)))
    run = partial(train, config, workers=workers, data=data, anatomy=anatomy, progress=progress)
    return TrainingPlan(config.steps, kind.unit, notices, run)
