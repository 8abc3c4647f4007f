"""Forward and back with two translators, and how far the reconstruction is from the input.

Forward cycle: MR -> CT -> MR, by G and F; backward cycle: CT -> MR -> CT, by F and G (Wolterink et al. 2017, section
2.1). A small cycle error says that F undoes G, not that G(x) is right: a pair can be consistent but wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.grid import canonical
from ganlab.imaging.masks import head_mask
from ganlab.imaging.volume import Volume
from ganlab.translation.inference import source_units, translate
from ganlab.translation.tasks import REVERSE, get_task


@dataclass(frozen=True)
class Cycle:
    """Input, synthetic volume and reconstruction on one grid.

    source and reconstruction are in one unit: HU for CT; MR relative to white matter, the reconstruction multiplied by
    `scale` to match the input. mask: the head, where errors are measured.
    """

    task: str
    models: tuple[str, str]
    source: Volume
    synthetic: Volume
    reconstruction: Volume
    mask: np.ndarray
    scale: float = 1.0
    seconds: float = 0.0

    @property
    def error(self) -> np.ndarray:
        """|reconstruction - input|, float32."""
        return np.abs(self.reconstruction.array - self.source.array)

    @property
    def range(self) -> float:
        """The spread of the input's values in the head, 1st to 99th percentile."""
        low, high = np.percentile(self.source.array[self.mask], [1, 99])
        return max(float(high - low), 1e-6)

    @property
    def relative_error(self) -> np.ndarray:
        """The error as a share of the input's range (after Wolterink, figure 6), float32."""
        return self.error / np.float32(self.range)


def run_cycle(
    volume: Volume,
    task: str,
    model: str | None = None,
    reverse_model: str | None = None,
    change: Callable[[Volume], Volume] | None = None,
    progress: Callable[[float], None] = lambda share: None,
    **options,
) -> Cycle:
    """Translate a volume by `task`, and translate the result back; `change` is applied to the synthetic volume first.

    model, reverse_model: of the task and of its reverse. options: device, planes and cancelled, as of `translate`.
    Raises InputError for a task that has no reverse, and for what `translate` refuses.
    """
    if task not in REVERSE:
        raise InputError(f'Task "{task}" has no reverse; choose from {", ".join(REVERSE)}.')
    kind = get_task(task)
    forward = translate(volume, task, model, progress=lambda share: progress(share / 2), **options)
    changed = change(forward.synthetic) if change else forward.synthetic
    back = translate(changed, REVERSE[task], reverse_model, progress=lambda share: progress((1 + share) / 2), **options)
    unit = 1.0 if kind.source == "t1" else kind.source_scale
    source = source_units(volume, kind)
    source = replace(source, array=source.array * np.float32(unit))
    mask = head_mask(volume if kind.source == "ct" else forward.synthetic)
    models, seconds = (forward.model, back.model), forward.seconds + back.seconds
    scale = scale_between(back.synthetic, source, mask)
    reconstruction = replace(back.synthetic, array=back.synthetic.array * np.float32(scale))
    return Cycle(task, models, source, forward.synthetic, reconstruction, mask, scale, seconds)


def scale_between(volume: Volume, source: Volume, mask: np.ndarray) -> float:
    """The least-squares scale factor between two MRs in a mask, so that the scanner's gain does not
    count as an error; 1 for CT."""
    if volume.unit == "HU":
        return 1.0
    a, b = volume.array[mask].astype(np.float64), source.array[mask].astype(np.float64)
    return float((a @ b) / max(a @ a, 1e-9))


def consistency(cycle: Cycle) -> dict:
    """How well a cycle closes: {"mae": in the head, "range": of the input there, "relative": mae / range, "slices": mae
    of each axial slice from the feet up, None outside the head}; mae, range and slices in the input's unit."""
    error, mask = (canonical(replace(cycle.source, array=array)).array for array in (cycle.error, cycle.mask))
    counts = mask.sum((0, 1))
    sums = np.where(mask, error, 0).sum((0, 1), dtype=np.float64)
    mae, span = float(error[mask].mean()), cycle.range
    slices = [float(total / count) if count else None for total, count in zip(sums, counts, strict=True)]
    return {"mae": mae, "range": span, "relative": mae / span, "slices": slices}
