"""A case: one patient's input, synthetic and (where there are) rival and reference volumes, with all a page says of it.

On disk a case is a folder: case.json (`Case`) and one file a layer, NAME.i16.gz, int16, little-endian, C order, in
canonical orientation. The opening case is such a folder in assets/.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ganlab.errors import Cancelled, InputError
from ganlab.translation.tasks import Task, get_task, short
from ganlab.ui.phantom_options import USUAL, Options, option_notices

if TYPE_CHECKING:
    from ganlab.imaging.volume import Volume

TASK = "mr2ct"  # what the page opens with
PLANES = ("axial", "coronal", "sagittal")
NAMES = {"t1": "T1", "ct": "CT", "fa": "FA"}
HISTOGRAM_EDGES = {"ct": np.arange(-1000, 1001, 20.0), "fa": np.arange(-50, 51) / 100, "t1": np.arange(-50, 51) / 50}
WINDOWS = {"ct": (-160.0, 240.0), "fa": (0.0, 0.8), "judged": (0.0, 1.0)}  # to open with; of an MR it is its own
ERROR_RANGES = {"ct": 300.0, "fa": 0.3, "t1": 0.5}  # shown to either side of zero at first
VERTEX_DEPTH = 75.0  # mm below the top of the head where the viewer opens: the lateral ventricles


@dataclass(frozen=True)
class Job:
    """What to translate: a phantom patient by its seed, or the user's files.

    spacing: edge of the phantom's voxels, mm; options: of the phantom.
    files: one image file or zip, or the files of one DICOM series; reference: the same of the task's target.
    model, rival: of the task; a rival's result is shown beside the model's.
    """

    seed: int | None = None
    spacing: float = 1.0
    files: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    model: str | None = None
    planes: tuple[str, ...] = PLANES
    options: Options = USUAL
    task: str = TASK
    rival: str | None = None


@dataclass(frozen=True)
class Layer:
    """One volume as it is stored: value = stored * scale + offset; window: [low, high] to show it with first."""

    name: str
    label: str
    unit: str
    scale: float
    offset: float
    window: tuple[float, float]


@dataclass(frozen=True)
class Case:
    """What case.json holds; fit for JSON.

    affine: 4 x 4 of the canonical voxels -> RAS mm; source_affine: of the input's own voxels.
    metrics: as ganlab.imaging.metrics.evaluate returns, None without a reference.
    histogram: {"edges": ..., tissue: voxels per bin of synthetic - reference}, None without a reference.
    rival: {"model", "seconds", "metrics"} of the second model, None without one.
    cycle: what ganlab.translation.cycle.examine found, None of a translation one way.
    commands: shell lines that make the same volumes.
    seed, spacing, options: of a phantom patient, the voxels (mm) and all else it was made with; seed is None of an
    upload.
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
    options: Options = USUAL
    metrics: dict | None = None
    histogram: dict | None = None
    task: str = TASK
    rival: dict | None = None
    cycle: dict | None = None

    @property
    def target(self) -> str:
        """The modality that is made: ct, fa or t1."""
        return get_task(self.task).target

    @property
    def measured(self) -> str:
        """The modality whose errors are shown: of a cycle the one that it comes back to."""
        return get_task(self.task).source if self.cycle else self.target

    @property
    def compared(self) -> tuple[tuple[str, str], ...]:
        """(layer, what it should be): whose differences are shown."""
        if self.cycle:
            return (("reconstruction", "input"),)
        return (("synthetic", "reference"), ("rival", "reference"))


def solve(
    job: Job,
    folder: Path,
    progress: Callable[[float, str], None] = lambda fraction, words: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Case:
    """Make or read the volumes, translate, compare with the reference if there is one, and save the case.

    Raises InputError for unusable files or numbers, Cancelled when cancelled() turns true.
    """
    from ganlab.translation.inference import translate

    def stage(fraction: float, words: str) -> None:
        if cancelled():
            raise Cancelled
        progress(fraction, words)

    task, mask = get_task(job.task), None
    stage(0.0, "Making the patient" if job.seed is not None else "Reading the scan")
    if job.seed is not None:
        volume, reference, mask = _phantom(job, lambda done: stage(0.3 * done, "Making the patient"))
        title_end, stem_end = job.options.words()
        title, stem = f"Phantom patient {job.seed}{title_end}", f"phantom-{job.seed}{stem_end}"
    else:
        volume, reference = read_scan(job.files, task.source, folder), None
        title, stem = scan_names(job.files)
    models = [job.model, job.rival] if job.rival else [job.model]
    results = []
    for k, model in enumerate(models):
        words = "Translating" if len(models) == 1 else f"Translating with {model or task.default_model}"
        start, share = 0.3 + 0.5 * k / len(models), 0.5 / len(models)
        stage(start, words)
        results.append(
            translate(
                volume,
                task=job.task,
                model=model,
                planes=job.planes,
                progress=lambda done, start=start, share=share, words=words: progress(start + share * done, words),
                cancelled=cancelled,
            )
        )
    made = results[0]
    notices = [*volume.notices, *made.notices, *option_notices(job.options, task)]
    if job.reference:
        from ganlab.imaging.registration import register_rigid

        stage(0.8, f"Registering the reference {NAMES[task.target]}")
        reference, matrix = register_rigid(read_scan(job.reference, task.target, folder), volume)
        notices += [motion_words(matrix, volume, task), *(f"Reference: {notice}" for notice in reference.notices)]
        reference, mask = comparable(reference, volume, task)
    stage(0.9, "Comparing" if reference else "Saving")
    compared = [compare(reference, one.synthetic, task, mask) if reference else (None, None) for one in results]
    metrics, histogram = compared[0]
    if metrics:
        notices += metrics["notices"]
    volumes = {"input": volume, "synthetic": made.synthetic}
    rival = None
    if job.rival:
        volumes["rival"] = results[1].synthetic
        rival = {"model": results[1].model, "seconds": results[1].seconds, "metrics": compared[1][0]}
    stage(0.95, "Saving")
    return save_case(
        folder,
        {**volumes, "reference": reference},
        title=title,
        stem=stem,
        model=made.model,
        seconds=made.seconds,
        planes=job.planes,
        notices=tuple(notices),
        commands=_commands(job, made.model, title, stem),
        seed=job.seed,
        spacing=job.spacing,
        options=job.options,
        metrics=metrics,
        histogram=histogram,
        task=job.task,
        rival=rival,
    )


def motion_words(matrix: np.ndarray, volume: Volume, task: Task) -> str:
    """How far a registration's 4 x 4 matrix moves the middle of a volume, and how far it turns it."""
    middle = volume.affine @ np.array([*(np.array(volume.shape) - 1) / 2, 1.0])
    shift = np.linalg.norm((matrix @ middle - middle)[:3])
    turn = np.degrees(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1)))
    moved = f"The reference {NAMES[task.target]} was moved by {shift:.1f} mm and turned by {turn:.1f}\N{DEGREE SIGN}"
    return f"{moved} onto the {NAMES[task.source]}."


def comparable(reference: Volume, source: Volume, task: Task) -> tuple[Volume, np.ndarray | None]:
    """A reference on the scale of the task's output, and the mask to measure it in; None: the metrics' own."""
    if task.target != "t1":
        return reference, None
    from ganlab.imaging.intensity import mr_gain
    from ganlab.imaging.metrics import head_mask

    return replace(reference, array=reference.array * np.float32(mr_gain(reference.array))), head_mask(source)


def compare(reference: Volume, synthetic: Volume, task: Task, mask: np.ndarray | None = None) -> tuple[dict, dict]:
    """(metrics, histogram of the signed error by tissue) inside a mask, by default that of the task's metrics."""
    from ganlab.imaging.metrics import SCALES, evaluate, head_mask

    words = "head of the CT: its largest body above -200 HU, filled"
    if mask is None:
        mask = head_mask(reference) if task.target == "ct" else reference.array > 0
        words = words if task.target == "ct" else "brain: where the reference is above 0"
    edges = HISTOGRAM_EDGES[task.target]
    truth, error = reference.array[mask], (synthetic.array - reference.array)[mask]
    error = error.clip(edges[0], edges[-1])
    counts = {
        name: np.histogram(error[rule(truth)], edges)[0].tolist()
        for name, (_, rule) in SCALES[task.name].tissues.items()
    }
    metrics = evaluate(reference, synthetic, mask, task=task.name)
    metrics["mask"] = words
    return metrics, {"edges": edges.tolist(), **counts}


def layer_labels(task: Task, model: str, rival: str | None) -> dict[str, str]:
    """What each layer is called."""
    made, target = f"Synthetic {NAMES[task.target]}", NAMES[task.target]
    labels = {"input": NAMES[task.source], "synthetic": made, "reference": f"Reference {target}"}
    if rival:
        labels |= {"synthetic": f"{target} by {short(model)}", "rival": f"{target} by {short(rival)}"}
    labels |= {"reconstruction": f"Reconstructed {NAMES[task.source]}"}
    return labels | {"judged": f"D of the synthetic {target}", "judged-real": f"D of the real {target}"}


def save_case(
    folder: Path,
    volumes: dict[str, Volume | None],
    steps: int = 65535,
    hu_step: float = 1.0,
    judged_steps: int = 1000,
    compresslevel: int = 1,
    place: tuple[float, float, float] | None = None,
    **words,
) -> Case:
    """Write the layers (all on one grid; None is left out) and case.json; `words` are the rest of `Case`.

    steps, hu_step: see `encode`; judged_steps: the steps of a discriminator's maps; compresslevel: gzip's; place: RAS
    mm to look at first, in the brain unless given.
    """
    from ganlab.imaging.grid import canonical

    task, rival = get_task(words.get("task", TASK)), words.get("rival")
    labels = layer_labels(task, words["model"], rival and rival["model"])
    source_affine = volumes["input"].affine.tolist()
    volumes = {name: canonical(volume) for name, volume in volumes.items() if volume is not None}
    head = _head(volumes, task)
    layers = []
    for name, volume in volumes.items():
        fine = judged_steps if name.startswith("judged") else steps
        stored, scale, offset = encode(volume.array, volume.unit, fine, hu_step)
        with gzip.open(folder / f"{name}.i16.gz", "wb", compresslevel=compresslevel) as file:
            file.write(stored.tobytes())
        modality = task.source if name in ("input", "reconstruction") else task.target
        modality = "judged" if name.startswith("judged") else modality
        unit = "" if volume.unit in ("arbitrary", "FA") else volume.unit
        window = WINDOWS.get(modality) or _head_window(volume.array, head)
        layers.append(Layer(name, labels[name], unit, scale, offset, window))
    grid = volumes["synthetic"]
    case = Case(
        shape=grid.shape,
        affine=grid.affine.tolist(),
        source_affine=source_affine,
        crosshair=_opening_voxel(head, grid.spacing) if place is None else _voxel(grid, place),
        layers=tuple(layers),
        **words,
    )
    (folder / "case.json").write_text(json.dumps(asdict(case)))
    return case


def _head(volumes: dict[str, Volume], task: Task) -> np.ndarray:
    """Where the head is: a CT tells best, else what is bright on the T1."""
    if "ct" in (task.source, task.target):
        return volumes["input" if task.source == "ct" else "synthetic"].array > -200.0
    from ganlab.imaging.intensity import mr_gain

    return volumes["input"].array * mr_gain(volumes["input"].array) > 0.15


def load_case(folder: Path) -> Case:
    """Read case.json back."""
    words = json.loads((folder / "case.json").read_text())
    layers = tuple(Layer(**{**layer, "window": tuple(layer["window"])}) for layer in words.pop("layers"))
    lists = ("shape", "crosshair", "planes", "notices", "commands")
    words = {key: tuple(value) if key in lists else value for key, value in words.items()}
    return Case(layers=layers, options=Options(**words.pop("options", {})), **words)


def load_layer(folder: Path, case: Case, name: str) -> np.ndarray:
    """A layer's values, float32, in canonical orientation. Raises KeyError if the case has no such layer."""
    layer = {layer.name: layer for layer in case.layers}[name]
    with gzip.open(folder / f"{name}.i16.gz") as file:
        stored = np.frombuffer(file.read(), dtype="<i2").reshape(case.shape)
    return (stored * layer.scale + layer.offset).astype(np.float32)


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


def _phantom(job: Job, progress: Callable[[float], None]) -> tuple[Volume, Volume, np.ndarray | None]:
    from ganlab.translation.tasks import phantom_pair

    return phantom_pair(
        get_task(job.task), seed=job.seed, spacing=job.spacing, progress=progress, **job.options.chosen()
    )


def read_scan(files: tuple[str, ...], modality: str, folder: Path) -> Volume:
    """An upload: one file, or the files of one DICOM series, brought together in the folder. Raises InputError."""
    from ganlab.imaging.reading.files import read_volume

    if not files:
        raise InputError("No scan was chosen: upload a NIfTI, MGZ, NRRD, MHA or DICOM file, a folder or a zip.")
    if len(files) == 1:
        return read_volume(files[0], modality=modality)
    together = folder / f"upload-{modality}"  # readers want a folder; across folders names may repeat
    together.mkdir()
    for number, file in enumerate(files):
        name = Path(file).name
        os.symlink(file, together / (f"{number:05d}-{name}" if (together / name).exists() else name))
    return read_volume(together, modality=modality)


def scan_names(files: tuple[str, ...]) -> tuple[str, str]:
    """An upload's title, and the stem of its results' files."""
    title = Path(files[0]).name if len(files) == 1 else f"{len(files)} DICOM files"
    return title, re.sub(r"[^A-Za-z0-9]+", "-", title.split(".")[0]).strip("-") or "scan"


def _commands(job: Job, model: str, title: str, stem: str) -> tuple[str, ...]:
    task = get_task(job.task)
    planes = [] if job.planes == PLANES else ["--planes", ",".join(job.planes)]
    made = f"synthetic-{task.target}.nii.gz"

    def translate(path: str) -> list[str]:
        outs = {made: model} | ({f"rival-{task.target}.nii.gz": job.rival} if job.rival else {})
        words = ["python", "-m", "ganlab", "translate", "--task", task.name, path]
        return [shlex.join([*words, out, "--model", name, *planes]) for out, name in outs.items()]

    def evaluate(path: str) -> str:
        named = [] if task.name == TASK else ["--task", task.name]
        return shlex.join(["python", "-m", "ganlab", "evaluate", path, made, *named])

    if job.seed is None:
        translated = translate(title if len(job.files) == 1 else "DICOM-FOLDER")
        return (*translated, *([evaluate(f"{stem}-reference-{task.target}.nii.gz")] if job.reference else []))
    folder = stem.replace("phantom", "patient")
    phantom = ["python", "-m", "ganlab", "phantom", "--seed", str(job.seed), "--out", folder]
    if task.target == "fa":
        phantom += ["--modality", "t1", "--modality", "fa"]
    if job.spacing != 1:
        phantom += ["--spacing", np.format_float_positional(job.spacing, trim="-")]
    for name, text in job.options.texts().items():
        phantom += [f"--{name}"] if getattr(job.options, name) is True else [f"--{name}", text]
    return (
        shlex.join(phantom),
        *translate(f"{folder}/{task.source}.nii.gz"),
        evaluate(f"{folder}/{task.target}.nii.gz"),
    )


def _head_window(array: np.ndarray, head: np.ndarray) -> tuple[float, float]:
    """From the 1st to the 99.5th percentile of the head's voxels (of every eighth: enough for a window)."""
    values = array[::2, ::2, ::2][head[::2, ::2, ::2]]
    low, high = np.percentile(values if values.size else array, [1.0, 99.5])
    return float(low), float(high if high > low else low + 1.0)


def _voxel(grid: Volume, place: tuple[float, float, float]) -> tuple[int, int, int]:
    """The voxel nearest to a place in RAS mm."""
    index = np.linalg.solve(grid.affine, [*place, 1.0])[:3]
    return tuple(int(k) for k in np.rint(index).clip(0, np.array(grid.shape) - 1))


def _opening_voxel(head: np.ndarray, spacing: np.ndarray) -> tuple[int, int, int]:
    """Where the viewer opens: 75 mm below the vertex, amid the head; the centre of a volume without a head."""
    rows = np.flatnonzero(head.any(axis=(0, 1)))
    if not rows.size:
        return tuple(n // 2 for n in head.shape)
    k = max(int(rows[-1] - VERTEX_DEPTH / spacing[2]), int(rows[0]))
    slab = head[:, :, k] if head[:, :, k].any() else head.any(axis=2)
    i, j = (int(np.flatnonzero(slab.any(axis=axis)).mean()) for axis in (1, 0))
    return i, j, k
