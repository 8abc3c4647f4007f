"""A case on disk: one patient's volumes, and everything that a page shows about them.

A case is a folder: case.json (`SavedCase`); for the viewer one file a layer, NAME.i16.gz, int16, little-endian, in C
order and canonical orientation; for downloads NAME.nii.gz on the input's own grid, as the commands write it. Opening
cases in assets/ have no download files; they are made from the layers.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ganlab.imaging.planes import PLANES
from ganlab.phantoms.options import PhantomOptions
from ganlab.settings import from_values
from ganlab.translation.tasks import NAMES, Task, get_task, method_of

if TYPE_CHECKING:
    from ganlab.imaging.volume import Volume

TASK = "mr2ct"  # default task of the Translate page
ALL_PLANES = tuple(PLANES)
WINDOWS = {"ct": (-160.0, 240.0), "fa": (0.0, 0.8), "judged": (0.0, 1.0)}  # initial; an MR's depends on its values
INTERVALS = {"confidence": "synthetic", "confidence-rival": "rival"}  # layers of half-widths -> whose they are
INTERVAL_RANGES = {"ct": 500.0, "fa": 0.3, "t1": 0.5}  # half-widths shown in the brightest colour at first
ERROR_RANGES = {"ct": 300.0, "fa": 0.3, "t1": 0.5}  # on either side of zero, when the page opens
VERTEX_DEPTH = 75.0  # mm below the top of the head where the viewer opens: the lateral ventricles


@dataclass(frozen=True)
class Layer:
    """One volume as it is stored: value = stored * scale + offset. window: (low, high) to show it with first. of: the
    layer whose 90 % interval has these half-widths."""

    name: str
    label: str
    unit: str
    scale: float
    offset: float
    window: tuple[float, float]
    of: str | None = None


@dataclass(frozen=True)
class SavedCase:
    """The contents of case.json; JSON-compatible.

    affine: 4 x 4 of the canonical voxels -> RAS mm; source_affine: of the input's own voxels. metrics: as
    ganlab.translation.compare returns them, None without a reference. histogram: {"edges": ..., tissue: voxels per bin
    of synthetic - reference}, None without a reference. rival: {"model", "seconds", "metrics"} of the second model,
    None without one. confidence: see `ganlab.translation.confidence.interval_summary`. cycle: the results of
    ganlab.translation.cycle.analysis, None for a single translation. dicom: the input's patient and study, see
    `Origin`. losses: what a DICOM series of the synthetic volume cannot hold. commands: shell lines that reproduce the
    volumes and the numbers. seed, spacing, options: of a phantom patient, its voxels (mm) and options; seed is None for
    an upload. precision: in which the networks were computed.
    """

    title: str
    stem: str
    shape: tuple[int, int, int]
    affine: list
    source_affine: list
    crosshair: tuple[int, int, int]
    layers: tuple[Layer, ...]
    model: str
    seconds: float
    planes: tuple[str, ...]
    notices: tuple[str, ...]
    commands: tuple[str, ...]
    seed: int | None = None
    spacing: float = 1.0
    options: PhantomOptions = field(default_factory=PhantomOptions)
    metrics: dict | None = None
    histogram: dict | None = None
    task: str = TASK
    rival: dict | None = None
    cycle: dict | None = None
    precision: str = "float32"
    confidence: dict | None = None
    dicom: dict = field(default_factory=dict)
    losses: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """The modality that is synthesised: ct, fa or t1."""
        return get_task(self.task).target

    @property
    def measured(self) -> str:
        """The modality whose errors are shown: the target, or a cycle's source."""
        return get_task(self.task).source if self.cycle else self.target

    @property
    def unit(self) -> str:
        """The unit of the errors that are shown: HU, or "" for fractions."""
        return "HU" if self.measured == "ct" else ""

    @property
    def compared(self) -> tuple[tuple[str, str], ...]:
        """(layer, ground truth): the pairs whose differences are shown."""
        if self.cycle:
            return (("reconstruction", "input"),)
        return (("synthetic", "reference"), ("rival", "reference"))

    def layer(self, name: str) -> Layer:
        """The layer of this name. Raises KeyError if the case has none."""
        return {layer.name: layer for layer in self.layers}[name]


@dataclass(frozen=True)
class Encoding:
    """How finely layers are stored, in steps: whole HU in multiples of hu_step, a discriminator's maps in judged_steps
    steps, everything else in `steps`, at most 65535. compresslevel: gzip's."""

    steps: int = 65535
    hu_step: float = 1.0
    judged_steps: int = 1000
    compresslevel: int = 1


def save_case(
    folder: Path,
    volumes: Mapping[str, Volume | None],
    encoding: Encoding = Encoding(),
    place: tuple[float, float, float] | None = None,
    downloads: bool = True,
    progress: Callable[[float], None] = lambda share: None,
    **fields,
) -> SavedCase:
    """Write the layers (all on the input's grid; None is left out) and case.json.

    place: where the crosshair starts, RAS mm; by default in the brain. downloads: write NAME.nii.gz, too. progress:
    called with the share of the work before each file. fields: the rest of `SavedCase`.
    """
    from ganlab.imaging.grid import canonical
    from ganlab.imaging.writing import losses, write_volume

    task, rival = get_task(fields.get("task", TASK)), fields.get("rival")
    labels = layer_labels(task, fields["model"], rival and rival["model"])
    present = {name: volume for name, volume in volumes.items() if volume is not None}
    straight = {name: canonical(volume) for name, volume in present.items()}
    head = _head(straight, task)
    layers = []
    for k, (name, volume) in enumerate(straight.items()):
        progress(k / len(straight))
        steps = encoding.judged_steps if name.startswith("judged") else encoding.steps
        stored, scale, offset = encode(volume.array, volume.unit, steps, encoding.hu_step)
        with gzip.open(folder / f"{name}.i16.gz", "wb", compresslevel=encoding.compresslevel) as file:
            file.write(stored.tobytes())
        if downloads:
            progress((k + 0.3) / len(straight))
            write_volume(present[name], folder / f"{name}.nii.gz")
        unit = "" if volume.unit in ("arbitrary", "FA") else volume.unit
        layers.append(
            Layer(name, labels[name], unit, scale, offset, _window(name, volume.array, head, task), INTERVALS.get(name))
        )
    grid = straight["synthetic"]
    case = SavedCase(
        shape=grid.shape,
        affine=grid.affine.tolist(),
        source_affine=present["input"].affine.tolist(),
        crosshair=_opening_voxel(head, grid.spacing) if place is None else _voxel(grid, place),
        layers=tuple(layers),
        dicom=dict(present["synthetic"].origin.dicom),
        losses=losses(present["synthetic"], "series.zip"),
        **fields,
    )
    (folder / "case.json").write_text(json.dumps(asdict(case)), encoding="utf-8")
    return case


def load_case(folder: Path) -> SavedCase:
    """Read case.json back."""
    fields = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    layers = tuple(Layer(**{**layer, "window": tuple(layer["window"])}) for layer in fields.pop("layers"))
    tuples = ("shape", "crosshair", "planes", "notices", "commands", "losses")
    fields = {key: tuple(value) if key in tuples else value for key, value in fields.items()}
    return SavedCase(layers=layers, options=from_values(PhantomOptions, fields.pop("options", {})), **fields)


def load_layer(folder: Path, case: SavedCase, name: str) -> np.ndarray:
    """A layer's values, float32, in canonical orientation. Raises KeyError if the case has no such layer."""
    layer = case.layer(name)
    with gzip.open(folder / f"{name}.i16.gz") as file:
        stored = np.frombuffer(file.read(), dtype="<i2").reshape(case.shape)
    return (stored * layer.scale + layer.offset).astype(np.float32)


def load_volume(folder: Path, case: SavedCase, name: str) -> Volume:
    """A volume on the input's own grid: as it was measured, or from its layer if the case has no downloads. Raises
    KeyError if the case has no such layer."""
    import nibabel as nib
    from nibabel.orientations import apply_orientation, io_orientation, ornt_transform

    from ganlab.imaging.reading.nifti_space import image_origin
    from ganlab.imaging.volume import Origin, Volume

    unit = case.layer(name).unit or "arbitrary"
    scans = ("input", "synthetic", "rival", "reference", "reconstruction")
    about = {"modality": _kind(name, get_task(case.task)) if name in scans else name, "model": _maker(name, case)}
    if (path := folder / f"{name}.nii.gz").is_file():
        image = nib.load(path)
        origin = replace(image_origin(image), dicom=case.dicom)
        return Volume(np.asarray(image.dataobj, dtype=np.float32), image.affine, unit, origin=origin, **about)
    affine = np.array(case.source_affine)
    back = ornt_transform(io_orientation(np.array(case.affine)), io_orientation(affine))
    array = apply_orientation(load_layer(folder, case, name), back)
    return Volume(array, affine, unit, origin=Origin(dicom=case.dicom), **about)


def _maker(name: str, case: SavedCase) -> str:
    """The model that a layer comes from; "phantom", or "" for an uploaded scan."""
    if name.endswith("rival") and case.rival:
        return case.rival["model"]
    if name == "reconstruction" and case.cycle:
        return case.cycle["models"][1]
    if name in ("input", "reference", "judged-real"):
        return "" if case.seed is None else "phantom"
    return case.model


def difference(folder: Path, case: SavedCase) -> Volume:
    """Synthetic - reference, or reconstruction - input of a cycle, on the input's own grid. Raises KeyError if there is
    nothing to compare with."""
    actual, expected = (load_volume(folder, case, name) for name in case.compared[0])
    error = actual.array - expected.array
    return replace(actual, array=error, unit=case.unit or "arbitrary", modality="error")


def encode(
    array: np.ndarray, unit: str = "arbitrary", steps: int = 65535, hu_step: float = 1.0
) -> tuple[np.ndarray, float, float]:
    """(int16 little-endian C-ordered array, scale, offset) with value = stored * scale + offset within half a step.

    HU are kept in steps of hu_step and whole numbers as they are, where they fit; anything else is spread over
    `steps` equal steps (at most 65535). The array must be finite.
    """
    low, high = float(array.min()), float(array.max())
    if unit == "HU" and max(-low, high) <= 32767 * hu_step:
        scale, offset = hu_step, 0.0
    elif max(-low, high) <= 32767 and np.array_equal(array, np.rint(array)):
        scale, offset = 1.0, 0.0
    else:
        scale = (high - low) / steps or 1.0
        offset = low + 32768 * scale
    stored = np.rint((array.astype(np.float64) - offset) / scale).clip(-32768, 32767)
    return np.ascontiguousarray(stored, dtype="<i2"), scale, offset


def layer_labels(task: Task, model: str, rival: str | None) -> dict[str, str]:
    """The name of each layer on the page."""
    source, target = NAMES[task.source], NAMES[task.target]
    labels = {"input": source, "synthetic": f"Synthetic {target}", "reference": f"Reference {target}"}
    if rival:
        labels |= {"synthetic": f"{target} by {method_of(model)}", "rival": f"{target} by {method_of(rival)}"}
        labels |= {"confidence-rival": f"90 % interval, {method_of(rival)}"}
    labels |= {"confidence": f"90 % interval, {method_of(model)}" if rival else "90 % interval"}
    labels |= {"reconstruction": f"Reconstructed {source}"}
    return labels | {"judged": f"D of the synthetic {target}", "judged-real": f"D of the real {target}"}


def _kind(name: str, task: Task) -> str:
    """What a layer shows: a modality, or "judged"."""
    if name.startswith("judged"):
        return "judged"
    return task.source if name in ("input", "reconstruction") else task.target


def _head(volumes: Mapping[str, Volume], task: Task) -> np.ndarray:
    """Where the head is: on the CT if there is one, else where the T1 is bright."""
    if "ct" in (task.source, task.target):
        return volumes["input" if task.source == "ct" else "synthetic"].array > -200.0
    from ganlab.imaging.intensity import normalise_mr

    return normalise_mr(volumes["input"]).array > 0.15


def _window(name: str, array: np.ndarray, head: np.ndarray, task: Task) -> tuple[float, float]:
    """What a layer is shown with first."""
    if name in INTERVALS:
        return 0.0, INTERVAL_RANGES[task.target]
    return WINDOWS.get(_kind(name, task)) or _head_window(array, head)


def _head_window(array: np.ndarray, head: np.ndarray) -> tuple[float, float]:
    """From the 1st to the 99.5th percentile of the head's voxels (every eighth voxel is enough for a window)."""
    values = array[::2, ::2, ::2][head[::2, ::2, ::2]]
    low, high = np.percentile(values if values.size else array, [1.0, 99.5])
    return float(low), float(high if high > low else low + 1.0)


def _voxel(grid: Volume, place: tuple[float, float, float]) -> tuple[int, int, int]:
    """The voxel nearest to a place in RAS mm."""
    index = np.linalg.solve(grid.affine, [*place, 1.0])[:3]
    i, j, k = np.rint(index).clip(0, np.array(grid.shape) - 1)
    return int(i), int(j), int(k)


def _opening_voxel(head: np.ndarray, spacing: np.ndarray) -> tuple[int, int, int]:
    """Where the viewer opens: 75 mm below the vertex, in the middle of the head; the centre of a volume without a
    head."""
    rows = np.flatnonzero(head.any(axis=(0, 1)))
    if not rows.size:
        i, j, k = (n // 2 for n in head.shape)
        return i, j, k
    k = max(int(rows[-1] - VERTEX_DEPTH / spacing[2]), int(rows[0]))
    slab = head[:, :, k] if head[:, :, k].any() else head.any(axis=2)
    i, j = (int(np.flatnonzero(slab.any(axis=axis)).mean()) for axis in (1, 0))
    return i, j, k
