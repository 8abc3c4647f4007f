"""There and back again: what a cycle of two translators keeps, what it hides, and whether a lesion survives it.

Forward: MR -> CT -> MR, with G and F; backward: CT -> MR -> CT, with F and G (Wolterink et al. 2017, section 2.1). A
small cycle error says that F undoes G, not that G(x) is right: a consistent and wrong pair has none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ganlab.errors import InputError
from ganlab.imaging.grid import canonical
from ganlab.imaging.metrics import head_mask
from ganlab.imaging.volume import Volume
from ganlab.translation.inference import source_units, translate
from ganlab.translation.tasks import REVERSE, get_task

RADIUS = (2.0, 40.0)  # mm of a lesion
SOFT = 1.0  # mm over which its edge fades
CONTRAST = {"HU": (-500.0, 2000.0), "": (0.0, 5.0)}  # of a lesion: HU more than the place had; of MR, times as bright


@dataclass(frozen=True)
class Cycle:
    """Input, synthetic and reconstruction on one grid. Input and reconstruction are in one unit: MR relative to white
    matter and brought to the input's by the factor `scale`, CT in HU. mask: the head, where errors are measured."""

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
        """How far the input's values spread in the head, 1st to 99th percentile."""
        low, high = np.percentile(self.source.array[self.mask], [1, 99])
        return max(float(high - low), 1e-6)

    @property
    def relative_error(self) -> np.ndarray:
        """The error as a share of the input's range (after Wolterink, figure 6), float32."""
        return self.error / np.float32(self.range)


def run_cycle(
    volume: Volume,
    task: str,
    there: str | None = None,
    back: str | None = None,
    change: Callable[[Volume], Volume] | None = None,
    progress: Callable[[float], None] = lambda done: None,
    **how,
) -> Cycle:
    """Translate a volume and translate the result back; `change` is done to the synthetic volume on its way.

    there, back: models of the task and of its reverse. how: device, planes and cancelled, as of `translate`. Raises
    InputError for a task without a way back, and for what `translate` refuses.
    """
    if task not in REVERSE:
        raise InputError(f'Task "{task}" has no way back; choose from {", ".join(REVERSE)}.')
    kind = get_task(task)
    first = translate(volume, task, there, progress=lambda done: progress(done / 2), **how)
    changed = change(first.synthetic) if change else first.synthetic
    second = translate(changed, REVERSE[task], back, progress=lambda done: progress((1 + done) / 2), **how)
    unit = 1.0 if kind.source == "t1" else kind.source_scale
    source = replace(volume, array=(source_units(volume.array, kind) * unit).astype(np.float32))
    mask = head_mask(volume if kind.source == "ct" else first.synthetic)
    models, seconds = (first.model, second.model), first.seconds + second.seconds
    scale = scale_between(second.synthetic, source, mask)
    again = replace(second.synthetic, array=second.synthetic.array * np.float32(scale))
    return Cycle(task, models, source, first.synthetic, again, mask, scale, seconds)


def scale_between(volume: Volume, source: Volume, mask: np.ndarray) -> float:
    """The factor that brings an MR nearest to another in a mask (least squares); 1 for CT. MR has no unit, and what is
    compared must not depend on the scanner's gain."""
    if volume.unit == "HU":
        return 1.0
    a, b = volume.array[mask].astype(np.float64), source.array[mask].astype(np.float64)
    return float((a @ b) / max(a @ a, 1e-9))


def consistency(cycle: Cycle) -> dict:
    """{"mae": of the volume's head, "range": of the input there, "relative": mae as a share of it, "slices": mae of
    each axial slice from the feet to the head, None where there is no head}; all but the share in the input's unit."""
    error, mask = (canonical(replace(cycle.source, array=array)).array for array in (cycle.error, cycle.mask))
    counts = mask.sum((0, 1))
    sums = np.where(mask, error, 0).sum((0, 1), dtype=np.float64)
    mae, span = float(error[mask].mean()), cycle.range
    slices = [float(s / n) if n else None for s, n in zip(sums, counts, strict=True)]
    return {"mae": mae, "range": span, "relative": mae / span, "slices": slices}


def with_noise(std: float, seed: int = 0) -> Callable[[Volume], Volume]:
    """A change of a volume: Gaussian noise of a standard deviation in its unit."""
    rng = np.random.default_rng(seed)
    return lambda v: replace(v, array=v.array + rng.normal(0, std, v.shape).astype(np.float32))


def quantised(step: float) -> Callable[[Volume], Volume]:
    """A change of a volume: rounded to multiples of a step in its unit."""
    return lambda v: replace(v, array=np.round(v.array / step).astype(np.float32) * np.float32(step))


def blurred(width: float) -> Callable[[Volume], Volume]:
    """A change of a volume: a Gaussian of a full width at half maximum in mm."""
    return lambda v: replace(v, array=ndimage.gaussian_filter(v.array, width / 2.3548 / v.spacing))


def hidden_message(
    cycle: Cycle,
    changes: dict[str, Callable[[Volume], Volume]],
    progress: Callable[[float], None] = lambda done: None,
    **how,
) -> dict[str, dict]:
    """How the reconstruction suffers when the synthetic volume is changed by what no reader would mind.

    A generator may hide in its output what it needs to come back (Chu, Zhmoginov and Sandler, CycleGAN, a master of
    steganography, 2017). Returns for "as it is" and each change {"change": mean |changed - synthetic| in the head, in
    the synthetic volume's unit, "mae", "relative": as `consistency` has them of the reconstruction}.
    """

    def closed(change: float, cycle: Cycle) -> dict:
        found = consistency(cycle)
        return {"change": change, "mae": found["mae"], "relative": found["relative"]}

    back = REVERSE[cycle.task]
    found = {"as it is": closed(0.0, cycle)}
    for k, (name, change) in enumerate(changes.items()):
        changed = change(cycle.synthetic)
        again = translate(
            changed, back, cycle.models[1], progress=lambda done, k=k: progress((k + done) / len(changes)), **how
        ).synthetic
        again = replace(again, array=again.array * np.float32(cycle.scale))
        moved = float(np.abs(changed.array - cycle.synthetic.array)[cycle.mask].mean())
        found[name] = closed(moved, replace(cycle, reconstruction=again))
    return found


def put_lesion(volume: Volume, centre: tuple[float, float, float], radius: float, contrast: float) -> Volume:
    """The volume with a ball in it, its edge 1 mm soft; the texture inside stays.

    centre: RAS mm; radius: mm, 2 to 40; contrast: of a CT by how many HU the ball is above the place as it was, -500 to
    2000; of an MR, which has no zero of its own, how many times as bright it is, 0 to 5. Raises InputError for numbers
    out of range, and for a place outside the volume.
    """
    if not RADIUS[0] <= radius <= RADIUS[1]:
        raise InputError(
            f"A lesion of {radius:g} mm radius cannot be put in; choose {RADIUS[0]:g} to {RADIUS[1]:g} mm."
        )
    hu = volume.unit == "HU"
    low, high = CONTRAST["HU" if hu else ""]
    if not low <= contrast <= high:
        of = "HU above the place" if hu else "times as bright as the place"
        raise InputError(f"A contrast of {contrast:g} is not possible; choose {low:g} to {high:g} {of}.")
    away = distance_to(volume, centre)
    if not away.min() <= radius:  # nor is a place that is no number
        raise InputError(f"The place {', '.join(f'{x:.0f}' for x in centre)} mm is not in the scan; choose one inside.")
    share = np.clip(radius + SOFT / 2 - away, 0, 1)
    added = np.float32(contrast) * share if hu else volume.array * ((np.float32(contrast) - 1) * share)
    return replace(volume, array=(volume.array + added).astype(np.float32))


def distance_to(volume: Volume, centre: tuple[float, float, float]) -> np.ndarray:
    """mm from every voxel to a place in RAS mm, float32."""
    squared = np.zeros(volume.shape, np.float32)
    for row in range(3):
        parts = [volume.affine[row, axis] * np.arange(n) for axis, n in enumerate(volume.shape)]
        along = parts[0][:, None, None] + parts[1][:, None] + parts[2] + volume.affine[row, 3] - centre[row]
        squared += np.square(along, dtype=np.float32)
    return np.sqrt(squared)


def lesion_kept(ill: Cycle, healthy: Cycle, centre: tuple[float, float, float], radius: float) -> dict[str, dict]:
    """A lesion in input, synthetic and reconstruction, each against the same voxels of the cycle without it.

    The neighbourhood cannot mislead this: what differs between the two is the lesion's doing. For each of the three
    {"without", "with": means inside the soft edge, in the volume's unit; "noise": the difference over the standard
    deviation of these voxels without it; "kept": the difference as a share of the input's, None of the synthetic
    volume, whose unit is another}.
    """
    away = distance_to(ill.source, centre)
    inside = away <= max(radius - SOFT / 2, float(away.min()))
    found = {}
    gain = healthy.scale / ill.scale  # one factor for both: the whole head's is not the lesion's doing
    for name, one, other, factor in (
        ("input", ill.source, healthy.source, 1.0),
        ("synthetic", ill.synthetic, healthy.synthetic, 1.0),
        ("reconstruction", ill.reconstruction, healthy.reconstruction, gain),
    ):
        there, before = factor * one.array[inside].astype(np.float64), other.array[inside].astype(np.float64)
        difference, spread = float(there.mean() - before.mean()), float(before.std())
        found[name] = {
            "without": float(before.mean()),
            "with": float(there.mean()),
            "noise": difference / spread if spread > 0 else None,
            "kept": None,
        }
    put_in = found["input"]["with"] - found["input"]["without"]
    for name in ("input", "reconstruction"):
        got = found[name]["with"] - found[name]["without"]
        found[name]["kept"] = got / put_in if abs(put_in) > 1e-9 else None
    return found
