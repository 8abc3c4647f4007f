"""The analysis of a cycle, for the Cycle page and `ganlab cycle`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ganlab.errors import Cancelled
from ganlab.imaging.volume import Volume
from ganlab.translation.compare import phantom_pair, prepare_reference
from ganlab.translation.cycle.cycle import Cycle, consistency, run_cycle
from ganlab.translation.cycle.hidden_message import changes_of, hidden_message
from ganlab.translation.cycle.lesion import InsertedLesion, insert_lesion, lesion_contrasts
from ganlab.translation.tasks import get_task


def phantom_source(task: str, seed: int, spacing: float = 1.0, judge: bool = False) -> tuple[Volume, Volume | None]:
    """A phantom patient's scan for a task, and the real volume of its target if the discriminator is to see it."""
    from ganlab.phantoms import make_patient

    source = get_task(task).source
    if not judge:
        return make_patient(seed, (source,), spacing)[source], None
    pair = phantom_pair(task, seed=seed, spacing=spacing)
    reference = prepare_reference(pair.reference, task, pair.source, white_matter=pair.white_matter)
    return pair.source, reference.volume


def analyse_cycle(
    volume: Volume,
    task: str,
    model: str,
    reverse_model: str,
    lesion: InsertedLesion | None = None,
    probe: bool = False,
    judge: bool = False,
    real: Volume | None = None,
    progress: Callable[[float, str], None] = lambda share, stage: None,
    **options,
) -> tuple[Cycle, dict[str, Volume], dict]:
    """(the cycle, its volumes by name, the results) of a volume translated by a task and back.

    lesion: inserted first. probe: test for a hidden message. judge: apply the model's discriminator to the synthetic
    volume, and to `real`, of the task's target, if it is given. options: device, planes and cancelled, as of
    `translate`. Results, fit for JSON: models; consistency; with a lesion {"put": its values, and `lesion_contrasts`};
    hidden: `hidden_message`; judged: means of the discriminator's maps in the head. Raises InputError and Cancelled.
    """
    cancelled = options.setdefault("cancelled", lambda: False)
    changes = changes_of(get_task(task).target) if probe else {}
    total = 2 + 2 * bool(lesion) + len(changes) + judge  # cost of each stage, in translations
    done = 0

    def next_stage(stage: str, translations: int) -> Callable[[float], None]:
        """Begin a stage that takes so long; returns how it reports its own share."""
        nonlocal done
        if cancelled():
            raise Cancelled
        start, done = done, done + translations
        progress(start / total, stage)
        return lambda share: progress((start + translations * share) / total, stage)

    source = insert_lesion(volume, lesion) if lesion else volume
    cycle = run_cycle(source, task, model, reverse_model, progress=next_stage("Forward and back", 2), **options)
    volumes = {"input": cycle.source, "synthetic": cycle.synthetic, "reconstruction": cycle.reconstruction}
    results: dict = {"models": list(cycle.models), "consistency": consistency(cycle)}
    if lesion:
        report = next_stage("The same without the lesion", 2)
        healthy = run_cycle(volume, task, model, reverse_model, progress=report, **options)
        results["lesion"] = {"put": lesion.values, **lesion_contrasts(cycle, healthy, lesion)}
    if probe:
        report = next_stage("Testing for a hidden message", len(changes))
        results["hidden"] = hidden_message(cycle, changes, progress=report, **options)
    if judge:
        next_stage("Applying the discriminator", 1)
        maps = judged(cycle, source, volume, real, cancelled)
        results["judged"] = {name: float(each.array[cycle.mask].mean()) for name, each in maps.items()}
        volumes |= maps
    progress(1.0, "Saving")
    return cycle, volumes, results


def judged(
    cycle: Cycle, source: Volume, healthy: Volume, real: Volume | None, cancelled: Callable[[], bool]
) -> dict[str, Volume]:
    """The maps of the model's discriminator, 0 to 1 in the head and 0 outside: of the synthetic volume (made from
    `source`), and of the real one if there is one (which belongs to the scan without a lesion, `healthy`)."""
    from ganlab.translation.patch_map import patch_map

    pairs = {"judged": (cycle.synthetic, source)} | ({"judged-real": (real, healthy)} if real else {})
    maps = {name: patch_map(*pair, cycle.models[0], cancelled=cancelled) for name, pair in pairs.items()}
    return {n: replace(each, array=np.where(cycle.mask, each.array, np.float32(0))) for n, each in maps.items()}
