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
from ganlab.imaging.metrics import head_mask, lesion_contrast_ratio
from ganlab.imaging.volume import Volume
from ganlab.translation.pipeline import source_units, translate
from ganlab.translation.tasks import REVERSE, get_task

RADIUS = (2.0, 40.0)  # mm of a lesion
RING = (1.5, 2.5)  # radii between which the surroundings of a lesion are looked at


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
    def relative_error(self) -> np.ndarray:
        """The error as a share of the input's range in the head, 1st to 99th percentile (after Wolterink, figure 6)."""
        low, high = np.percentile(self.source.array[self.mask], [1, 99])
        return self.error / max(float(high - low), 1e-6)


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
    """{"mae": of the volume's head, "relative": the same as a share of its range, "slices": mae of each axial slice,
    None where there is no head}; mae in the input's unit."""
    error, mask = cycle.error, cycle.mask
    axis = int(np.argmax(np.abs(cycle.source.affine[2, :3])))  # across axial slices
    counts = mask.sum(tuple(i for i in range(3) if i != axis))
    sums = np.where(mask, error, 0).sum(tuple(i for i in range(3) if i != axis), dtype=np.float64)
    return {
        "mae": float(error[mask].mean()),
        "relative": float(cycle.relative_error[mask].mean()),
        "slices": [float(s / n) if n else None for s, n in zip(sums, counts, strict=True)],
    }


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


def hidden_message(cycle: Cycle, changes: dict[str, Callable[[Volume], Volume]], **how) -> dict[str, dict]:
    """How the reconstruction suffers when the synthetic volume is changed by what no reader would mind.

    A generator may hide in its output what it needs to come back (Chu, Zhmoginov and Sandler, CycleGAN, a master of
    steganography, 2017). Returns for "as it is" and each change the consistency of the reconstruction, and `change`:
    mean |changed - synthetic| in the head, in the synthetic volume's unit.
    """
    back = REVERSE[cycle.task]
    found = {"as it is": {"change": 0.0, **consistency(cycle)}}
    for name, change in changes.items():
        changed = change(cycle.synthetic)
        again = translate(changed, back, cycle.models[1], **how).synthetic
        again = replace(again, array=again.array * np.float32(cycle.scale))
        moved = float(np.abs(changed.array - cycle.synthetic.array)[cycle.mask].mean())
        found[name] = {"change": moved, **consistency(replace(cycle, reconstruction=again))}
    return found


def put_lesion(volume: Volume, centre: tuple[float, float, float], radius: float, contrast: float) -> Volume:
    """The volume with a ball in it that is `contrast` times as bright as the place was; its edge is 1 mm soft.

    centre: RAS mm; radius: mm, 2 to 40; contrast: 0 to 5, 1 changes nothing. The texture inside stays. Of a CT, HU +
    1000 are multiplied, so that 0 is air. Raises InputError for numbers out of range, and for a place outside the
    volume.
    """
    if not RADIUS[0] <= radius <= RADIUS[1]:
        raise InputError(
            f"A lesion of {radius:g} mm radius cannot be put in; choose {RADIUS[0]:g} to {RADIUS[1]:g} mm."
        )
    if not 0 <= contrast <= 5:
        raise InputError(f"A contrast of {contrast:g} is not possible; choose 0 to 5 times the surroundings.")
    away = distance_to(volume, centre)
    if away.min() > radius:
        raise InputError(f"The place {', '.join(f'{x:.0f}' for x in centre)} mm is not in the scan; choose one inside.")
    share = np.clip(radius + 0.5 - away, 0, 1).astype(np.float32)
    offset = 1000.0 if volume.unit == "HU" else 0.0
    return replace(volume, array=(volume.array + offset) * (1 + (contrast - 1) * share) - offset)


def distance_to(volume: Volume, centre: tuple[float, float, float]) -> np.ndarray:
    """mm from every voxel to a place in RAS mm, float32."""
    squared = np.zeros(volume.shape, np.float32)
    for row in range(3):
        parts = [volume.affine[row, axis] * np.arange(n) for axis, n in enumerate(volume.shape)]
        along = parts[0][:, None, None] + parts[1][:, None] + parts[2] + volume.affine[row, 3] - centre[row]
        squared += np.square(along, dtype=np.float32)
    return np.sqrt(squared)


def lesion_contrasts(cycle: Cycle, centre: tuple[float, float, float], radius: float) -> dict[str, float]:
    """Mean of the lesion over the mean of a ring around it, 1.5 to 2.5 radii away and inside the head, in input,
    synthetic and reconstruction (the lesion contrast ratio of Wei et al. 2019). CT counts from air: HU + 1000."""
    away = distance_to(cycle.source, centre)
    lesion, ring = away <= radius, (away > RING[0] * radius) & (away <= RING[1] * radius) & cycle.mask
    return {
        name: lesion_contrast_ratio(volume.array + (1000.0 if volume.unit == "HU" else 0.0), lesion, ring)
        for name, volume in (
            ("input", cycle.source),
            ("synthetic", cycle.synthetic),
            ("reconstruction", cycle.reconstruction),
        )
    }
