"""A case: one patient's input, synthetic and (where there is one) reference volume, with everything a page says of it.

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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ganlab.errors import Cancelled, InputError

if TYPE_CHECKING:
    from ganlab.imaging.volume import Volume

TASK = "mr2ct"
PLANES = ("axial", "coronal", "sagittal")
HISTOGRAM_EDGES = np.arange(-1000, 1001, 20)  # HU
VERTEX_DEPTH = 75.0  # mm below the top of the head where the viewer opens: the lateral ventricles
BUILD = ("ventricles", "skull", "fat")  # options that every seed has a value of its own for
OPTION_WORDS = {  # how an option is said in a title and in a file's name
    "lesion": ("{}", "{}"),
    "craniotomy": ("craniotomy", "craniotomy"),
    "fillings": ("dental fillings", "fillings"),
    "defaced": ("defaced", "defaced"),
    "misalign": ("misaligned by {} mm", "misalign-{}"),
    "ventricles": ("ventricles {} times the mean", "ventricles-{}"),
    "skull": ("skull {} mm", "skull-{}"),
    "fat": ("scalp fat {} mm", "fat-{}"),
    "scanner": ("{} scanner", "{}"),
    "field": ("{} T", "field-{}"),
}


@dataclass(frozen=True)
class Options:
    """What a phantom patient has that its seed does not say, and its scanner: arguments of make_patient.

    ventricles (relative to the adult mean), skull, fat (mm): None is what the seed has.
    """

    lesion: str | None = None
    craniotomy: bool = False
    fillings: bool = False
    defaced: bool = False
    misalign: float = 0.0
    ventricles: float | None = None
    skull: float | None = None
    fat: float | None = None
    scanner: str = "research"
    field: float = 3.0

    def chosen(self) -> dict[str, str | float | bool]:
        """Those that differ from what a seed alone gives."""
        return {name: value for name, value in asdict(self).items() if value != getattr(Options, name)}

    def texts(self) -> dict[str, str]:
        """The chosen ones as a link and a command write them; numbers in the fewest digits that say them exactly."""
        return {
            name: value if isinstance(value, str) else np.format_float_positional(value, trim="-")
            for name, value in self.chosen().items()
        }

    def words(self) -> tuple[str, str]:
        """The chosen ones as a title ends, and as a file's name does; empty where there are none."""
        said = [[words.format(text) for words in OPTION_WORDS[name]] for name, text in self.texts().items()]
        title = ", ".join(words for words, _ in said)
        return f": {title}" if said else "", "".join(f"-{words}" for _, words in said)


@dataclass(frozen=True)
class Job:
    """What to translate: a phantom patient by its seed, or the user's files.

    spacing: edge of the phantom's voxels, mm; options: of the phantom.
    files: one image file or zip, or the files of one DICOM series; reference: the same of a CT of the patient.
    """

    seed: int | None = None
    spacing: float = 1.0
    files: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    model: str | None = None
    planes: tuple[str, ...] = PLANES
    options: Options = Options()


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
    histogram: {"edges": HU, tissue: voxels per bin of synthetic - reference}, None without a reference.
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
    options: Options = Options()
    metrics: dict | None = None
    histogram: dict | None = None


def solve(
    job: Job,
    folder: Path,
    progress: Callable[[float, str], None] = lambda fraction, words: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Case:
    """Make or read the volumes, translate, compare with the reference if there is one, and save the case.

    Raises InputError for unusable files or numbers, Cancelled when cancelled() turns true.
    """
    from ganlab.translation.pipeline import translate

    def stage(fraction: float, words: str) -> None:
        if cancelled():
            raise Cancelled
        progress(fraction, words)

    stage(0.0, "Making the patient" if job.seed is not None else "Reading the scan")
    if job.seed is not None:
        patient = _phantom(job, lambda done: stage(0.3 * done, "Making the patient"))
        volume, reference = patient["t1"], patient["ct"]
        title_end, stem_end = job.options.words()
        title, stem = f"Phantom patient {job.seed}{title_end}", f"phantom-{job.seed}{stem_end}"
    else:
        volume, reference = _read(job.files, "t1", folder), None
        title = _file_title(job.files)
        stem = re.sub(r"[^A-Za-z0-9]+", "-", title.split(".")[0]).strip("-") or "scan"
    stage(0.3, "Translating")
    made = translate(
        volume,
        task=TASK,
        model=job.model,
        planes=job.planes,
        progress=lambda fraction: progress(0.3 + 0.5 * fraction, "Translating"),
        cancelled=cancelled,
    )
    notices = [*volume.notices, *made.notices, *option_notices(job.options)]
    if job.reference:
        from ganlab.imaging.register import register_rigid

        stage(0.8, "Registering the reference CT")
        reference, matrix = register_rigid(_read(job.reference, "ct", folder), volume)
        notices += [motion_words(matrix, volume), *(f"Reference: {notice}" for notice in reference.notices)]
    stage(0.9, "Comparing" if reference else "Saving")
    metrics, histogram = compare(reference, made.synthetic) if reference else (None, None)
    if metrics:
        notices += metrics["notices"]
    stage(0.95, "Saving")
    return save_case(
        folder,
        {"input": volume, "synthetic": made.synthetic, "reference": reference},
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
    )


def option_notices(options: Options) -> tuple[str, ...]:
    """What a reader of the errors must know of the phantom's options."""
    notices = []
    if options.lesion:
        notices.append("About 15 % of the patients in the model's training have a tumour, plaques or a bleed.")
    if options.misalign:
        notices.append(
            f"Throat and jaw moved by about {options.texts()['misalign']} mm between T1 and CT, the skull by a third "
            "of it: that part of the error is not the model's."
        )
    return tuple(notices)


def seed_build(seed: int) -> dict[str, float]:
    """What the patient of a seed has of each option in BUILD."""
    import torch

    from ganlab.imaging.phantom.build import sample_build

    drawn = sample_build(torch.Generator().manual_seed(seed))  # a head begins with its build
    return {name: getattr(drawn, name) for name in BUILD}


def motion_words(matrix: np.ndarray, volume: Volume) -> str:
    """How far a registration's 4 x 4 matrix moves the middle of a volume, and how far it turns it."""
    middle = volume.affine @ np.array([*(np.array(volume.shape) - 1) / 2, 1.0])
    shift = np.linalg.norm((matrix @ middle - middle)[:3])
    turn = np.degrees(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1)))
    return f"The reference CT was moved by {shift:.1f} mm and turned by {turn:.1f}\N{DEGREE SIGN} onto the T1."


def compare(reference: Volume, synthetic: Volume) -> tuple[dict, dict]:
    """(metrics, histogram of the signed error by tissue) inside the reference's head mask."""
    from ganlab.imaging.metrics import SCALES, evaluate, head_mask

    mask = head_mask(reference)
    truth, error = reference.array[mask], (synthetic.array - reference.array)[mask]
    error = error.clip(HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1])
    counts = {
        name: np.histogram(error[rule(truth)], HISTOGRAM_EDGES)[0].tolist()
        for name, (_, rule) in SCALES[TASK].tissues.items()
    }
    metrics = evaluate(reference, synthetic, mask, task=TASK)
    metrics["mask"] = "head of the reference: its largest body above -200 HU, filled"
    return metrics, {"edges": HISTOGRAM_EDGES.tolist(), **counts}


def save_case(
    folder: Path,
    volumes: dict[str, Volume | None],
    steps: int = 65535,
    hu_step: float = 1.0,
    compresslevel: int = 1,
    **words,
) -> Case:
    """Write the layers (all on one grid; None is left out) and case.json; `words` are the rest of `Case`.

    steps, hu_step: see `encode`; compresslevel: gzip's.
    """
    from ganlab.imaging.grid import canonical

    labels = {"input": "T1", "synthetic": "Synthetic CT", "reference": "Reference CT"}
    source_affine = volumes["input"].affine.tolist()
    volumes = {name: canonical(volume) for name, volume in volumes.items() if volume is not None}
    head = volumes["synthetic"].array > -200.0
    layers = []
    for name, volume in volumes.items():
        stored, scale, offset = encode(volume.array, volume.unit, steps, hu_step)
        with gzip.open(folder / f"{name}.i16.gz", "wb", compresslevel=compresslevel) as file:
            file.write(stored.tobytes())
        unit = "" if volume.unit == "arbitrary" else volume.unit
        window = (-160.0, 240.0) if unit == "HU" else _head_window(volume.array, head)
        layers.append(Layer(name, labels[name], unit, scale, offset, window))
    grid = volumes["synthetic"]
    case = Case(
        shape=grid.shape,
        affine=grid.affine.tolist(),
        source_affine=source_affine,
        crosshair=_opening_voxel(head, grid.spacing),
        layers=tuple(layers),
        **words,
    )
    (folder / "case.json").write_text(json.dumps(asdict(case)))
    return case


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


def _phantom(job: Job, progress: Callable[[float], None]) -> dict[str, Volume]:
    from ganlab.imaging.phantom import make_patient

    return make_patient(job.seed, spacing=job.spacing, progress=progress, **job.options.chosen())


def _read(files: tuple[str, ...], modality: str, folder: Path) -> Volume:
    from ganlab.imaging.files import read_volume

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


def _file_title(files: tuple[str, ...]) -> str:
    return Path(files[0]).name if len(files) == 1 else f"{len(files)} DICOM files"


def _commands(job: Job, model: str, title: str, stem: str) -> tuple[str, ...]:
    planes = [] if job.planes == PLANES else ["--planes", ",".join(job.planes)]

    def translate(path: str) -> str:
        words = ["python", "-m", "ganlab", "translate", "--task", TASK, path, "synthetic-ct.nii.gz", "--model", model]
        return shlex.join(words + planes)

    if job.seed is None:
        translated = translate(title if len(job.files) == 1 else "DICOM-FOLDER")
        measured = f"python -m ganlab evaluate {stem}-reference-ct.nii.gz synthetic-ct.nii.gz"  # as downloaded
        return (translated, measured) if job.reference else (translated,)
    folder = stem.replace("phantom", "patient")
    phantom = ["python", "-m", "ganlab", "phantom", "--seed", str(job.seed), "--out", folder]
    if job.spacing != 1:
        phantom += ["--spacing", np.format_float_positional(job.spacing, trim="-")]
    for name, text in job.options.texts().items():
        phantom += [f"--{name}"] if getattr(job.options, name) is True else [f"--{name}", text]
    return (
        shlex.join(phantom),
        translate(f"{folder}/t1.nii.gz"),
        f"python -m ganlab evaluate {folder}/ct.nii.gz synthetic-ct.nii.gz",
    )


def _head_window(array: np.ndarray, head: np.ndarray) -> tuple[float, float]:
    """From the 1st to the 99.5th percentile of the head's voxels (of every eighth: enough for a window)."""
    values = array[::2, ::2, ::2][head[::2, ::2, ::2]]
    low, high = np.percentile(values if values.size else array, [1.0, 99.5])
    return float(low), float(high if high > low else low + 1.0)


def _opening_voxel(head: np.ndarray, spacing: np.ndarray) -> tuple[int, int, int]:
    """Where the viewer opens: 75 mm below the vertex, amid the head; the centre of a volume without a head."""
    rows = np.flatnonzero(head.any(axis=(0, 1)))
    if not rows.size:
        return tuple(n // 2 for n in head.shape)
    k = max(int(rows[-1] - VERTEX_DEPTH / spacing[2]), int(rows[0]))
    slab = head[:, :, k] if head[:, :, k].any() else head.any(axis=2)
    i, j = (int(np.flatnonzero(slab.any(axis=axis)).mean()) for axis in (1, 0))
    return i, j, k
