"""Does the generator hide information in its output for the backward model? (Chu, Zhmoginov and Sandler, CycleGAN, a
master of steganography, 2017). Changes of the synthetic volume that no reader would notice destroy such a message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import ndimage

from ganlab.imaging.volume import Volume
from ganlab.translation.cycle.cycle import Cycle, consistency
from ganlab.translation.inference import translate
from ganlab.translation.tasks import REVERSE

Change = Callable[[Volume], Volume]


def with_noise(std: float, seed: int = 0) -> Change:
    """Gaussian noise of a standard deviation in the volume's unit."""
    rng = np.random.default_rng(seed)
    return lambda v: replace(v, array=v.array + rng.normal(0, std, v.shape).astype(np.float32))


def quantised(step: float) -> Change:
    """Rounding to multiples of a step in the volume's unit."""
    return lambda v: replace(v, array=np.round(v.array / step).astype(np.float32) * np.float32(step))


def blurred(width: float) -> Change:
    """A Gaussian blur of a full width at half maximum in mm."""
    return lambda v: replace(v, array=ndimage.gaussian_filter(v.array, width / 2.3548 / v.spacing))


def changes_of(modality: str) -> dict[str, Change]:
    """The changes that are tried on a synthetic CT or T1, by name."""
    if modality == "ct":
        return {"noise of 10 HU": with_noise(10.0), "steps of 10 HU": quantised(10.0), "2 mm blur": blurred(2.0)}
    return {"2 % of noise": with_noise(0.02), "steps of 2 %": quantised(0.02), "2 mm blur": blurred(2.0)}


def hidden_message(
    cycle: Cycle, changes: dict[str, Change], progress: Callable[[float], None] = lambda share: None, **options
) -> dict[str, dict]:
    """How much worse the reconstruction gets when the synthetic volume is changed.

    options: device, planes and cancelled, as of `translate`. Returns, for "as it is" and each change, {"change": mean
    |changed - synthetic| in the head, in the synthetic volume's unit, "mae", "relative": the `consistency` of the
    cycle that goes back from the changed volume}.
    """

    def result(change: float, cycle: Cycle) -> dict:
        closed = consistency(cycle)
        return {"change": change, "mae": closed["mae"], "relative": closed["relative"]}

    results = {"as it is": result(0.0, cycle)}
    for k, (name, change) in enumerate(changes.items()):
        changed = change(cycle.synthetic)
        back = translate(
            changed,
            REVERSE[cycle.task],
            cycle.models[1],
            progress=lambda share, k=k: progress((k + share) / len(changes)),
            **options,
        ).synthetic
        reconstruction = replace(back, array=back.array * np.float32(cycle.scale))
        difference = float(np.abs(changed.array - cycle.synthetic.array)[cycle.mask].mean())
        results[name] = result(difference, replace(cycle, reconstruction=reconstruction))
    return results
