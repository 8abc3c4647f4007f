"""What the Cycle page and `python -m ganlab cycle` do: a cycle, and the three experiments on it that are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ganlab.errors import Cancelled
from ganlab.imaging.volume import Volume
from ganlab.translation.cycle import cycle as cycles
from ganlab.translation.tasks import get_task, phantom_pair

Lesion = tuple[float, float, float, float, float]  # x, y, z, radius in mm, contrast as `put_lesion` takes it
PROBES = {  # of the synthetic volume, by its modality: what no reader would mind
    "ct": (
        ("noise of 10 HU", cycles.with_noise, 10.0),
        ("steps of 10 HU", cycles.quantised, 10.0),
        ("2 mm blur", cycles.blurred, 2.0),
    ),
    "t1": (
        ("2 % of noise", cycles.with_noise, 0.02),
        ("steps of 2 %", cycles.quantised, 0.02),
        ("2 mm blur", cycles.blurred, 2.0),
    ),
}


def phantom_source(task: str, seed: int, spacing: float = 1.0, judge: bool = False) -> tuple[Volume, Volume | None]:
    """A phantom patient's scan for a task, and the real volume of what it is translated into if it is to be judged."""
    from ganlab.phantoms import make_patient

    kind = get_task(task)
    if judge:
        return phantom_pair(kind, seed=seed, spacing=spacing)[:2]
    return make_patient(seed, (kind.source,), spacing)[kind.source], None


def examine(
    volume: Volume,
    task: str,
    there: str,
    back: str,
    lesion: Lesion | None = None,
    probe: bool = False,
    judge: bool = False,
    real: Volume | None = None,
    progress: Callable[[float, str], None] = lambda done, words: None,
    **how,
) -> tuple[cycles.Cycle, dict[str, Volume], dict]:
    """(the cycle, its volumes by name, what was found) of a volume there and back.

    lesion: is put in first. probe: look for a hidden message. judge: ask the discriminator of `there` about the
    synthetic volume, and about `real` of the task's target if there is one. how: device, planes and cancelled, as of
    `translate`. Found, fit for JSON: consistency; with a lesion {"put", and what `lesion_kept` says}; hidden, as
    `hidden_message`; judged, the means of the maps in the head. Raises InputError and Cancelled.
    """
    cancelled = how.setdefault("cancelled", lambda: False)
    source = cycles.put_lesion(volume, lesion[:3], *lesion[3:]) if lesion else volume
    changes = {name: make(value) for name, make, value in PROBES[get_task(task).target]} if probe else {}
    ways = 2 + 2 * bool(lesion) + len(changes) + judge  # translations, and about as long as one

    def stage(done: float, words: str) -> None:
        if cancelled():
            raise Cancelled
        progress(done / ways, words)

    def run(scan: Volume, done: int, words: str) -> cycles.Cycle:
        stage(done, words)
        return cycles.run_cycle(
            scan, task, there, back, progress=lambda share: progress((done + 2 * share) / ways, words), **how
        )

    cycle = run(source, 0, "There and back")
    volumes = {"input": cycle.source, "synthetic": cycle.synthetic, "reconstruction": cycle.reconstruction}
    found = {"models": list(cycle.models), "consistency": cycles.consistency(cycle)}
    done = 2
    if lesion:
        healthy = run(volume, done, "The same without the lesion")
        found["lesion"] = {"put": list(lesion), **cycles.lesion_kept(cycle, healthy, lesion[:3], lesion[3])}
        done += 2
    if probe:
        stage(done, "Looking for a hidden message")
        found["hidden"] = cycles.hidden_message(
            cycle,
            changes,
            progress=lambda share: progress((done + share * len(changes)) / ways, "Looking for a hidden message"),
            **how,
        )
        done += len(changes)
    if judge:
        stage(done, "Asking the discriminator")
        maps = judged(cycle, source, volume, real, cancelled)
        found["judged"] = {name: float(told.array[cycle.mask].mean()) for name, told in maps.items()}
        volumes |= maps
    progress(1.0, "Saving")
    return cycle, volumes, found


def judged(
    cycle: cycles.Cycle, source: Volume, healthy: Volume, real: Volume | None, cancelled: Callable[[], bool]
) -> dict[str, Volume]:
    """What the discriminator takes the synthetic volume for, and the real one if there is one: 0 to 1 in the head."""
    from ganlab.translation.patch_map import patch_map

    asked = {"judged": (cycle.synthetic, source)} | ({"judged-real": (real, healthy)} if real else {})
    maps = {name: patch_map(*pair, cycle.models[0], cancelled=cancelled) for name, pair in asked.items()}
    return {n: replace(told, array=np.where(cycle.mask, told.array, np.float32(0))) for n, told in maps.items()}
