"""Whole-volume inference with a 2-D network: a volume is resampled to the model's grid, the predictions of up to three
planes are averaged, and the result is resampled to the input's grid."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from ganlab.checkpoints import fill, load_tensors, model_folder
from ganlab.device import autocast, resolve
from ganlab.device import precision as precision_of
from ganlab.errors import Cancelled, InputError
from ganlab.imaging.checks import looks_like_ct, looks_skull_stripped
from ganlab.imaging.grid import model_grid, resample
from ganlab.imaging.intensity import normalise_mr
from ganlab.imaging.planes import PLANES
from ganlab.imaging.plausibility import check_t1
from ganlab.imaging.units import not_ct
from ganlab.imaging.volume import Volume
from ganlab.imaging.writing import write_volume
from ganlab.translation.air import HEAD, SIGNAL, fill_with_noise, padded_with_air
from ganlab.translation.confidence import Evidence, confidence_of, evidence_of
from ganlab.translation.ct_check import check_ct
from ganlab.translation.networks import folded, generator_config, make_generator
from ganlab.translation.orientation import wrong_way
from ganlab.translation.tasks import Task, check_task, find_model, get_task

SPACING = 1.0  # mm, unless the checkpoint says otherwise
MAX_VOXELS = 400**3  # of the model grid: 64 litres of scan, 0.25 GB per float32 array
OUTLIER = 0.2  # from the median of three planes, in the network's units
PIXELS_PER_BATCH = 2**19  # bounds the memory of activations for any volume
PIXELS_PER_GPU_BATCH = 2**21  # fewer would leave a GPU waiting for its next kernel


@dataclass(frozen=True)
class Translation:
    """A result of `translate`.

    synthetic: on the grid and affine of the input. model: its name. task: what was translated into what. seconds: from
    input to result. precision: "float32" or "bfloat16" (see `device.precision`). disagreement: the
    standard deviation between the predictions of the slice directions, on the same grid and in the same unit; None if
    there was one direction. confidence: the half-width of a 90 % interval at each voxel, on the same grid and in the
    same unit; None if the model is not calibrated. Where it is large, the model is unsure; where it is small, it may
    still be wrong in a way that no calibration has seen. evidence: what the confidence is computed from.
    """

    synthetic: Volume
    model: str
    seconds: float
    notices: tuple[str, ...] = ()
    task: str = "mr2ct"
    disagreement: Volume | None = None
    precision: str = "float32"
    confidence: Volume | None = None
    evidence: Evidence | None = None

    @property
    def volume(self) -> Volume:
        """The synthetic volume."""
        return self.synthetic

    def save(self, path: str | os.PathLike[str]) -> tuple[str, ...]:
        """Write the volume as NIfTI, MGH, NRRD or a DICOM series, by the ending of the name; see `write_volume`.

        Returns notices on what the format cannot hold. Raises InputError.
        """
        return write_volume(self.synthetic, path)


@dataclass(frozen=True)
class LoadedModel:
    """A generator ready for inference, and what its checkpoint says about it.

    task: None if the checkpoint does not say; spacing: mm of the grid it was trained on; planes: the slice directions
    it was trained on; source_range: what its input was clipped to, in network units; precision: of its layers.
    """

    network: torch.nn.Module
    task: str | None
    spacing: float
    planes: tuple[str, ...]
    source_range: tuple[float, float]
    precision: str = "float32"

    @property
    def stride(self) -> int:
        """The sides of the network's images are multiples of this."""
        return self.network.stride


def translate(
    volume: Volume,
    task: str = "mr2ct",
    model: str | None = None,
    device: str = "auto",
    planes: Sequence[str] | None = None,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    precision: str = "auto",
) -> Translation:
    """Translate a volume of any orientation and spacing; the result has its shape and affine.

    model: a pretrained model or a training folder; by default the task's default model. planes: the slice directions
    whose predictions are averaged, any of PLANES; by default those of the model's training. progress(share of
    the work) and cancelled() are called at every step and between batches. precision: "float32", "bfloat16", or "auto"
    for what is fast on the device, as `device.precision` says. Raises InputError for a volume that the task cannot
    take, Cancelled.
    """
    start = time.perf_counter()

    def report(share: float) -> None:
        if cancelled and cancelled():
            raise Cancelled
        if progress:
            progress(share)

    kind = get_task(task)
    device = resolve(device)
    check_planes(planes if planes is not None else PLANES)
    scan = source_units(volume, kind)
    report(0.03)
    notices = check_source(volume, kind, scan)
    report(0.06)
    name = model or kind.default_model
    loaded = replace(load_model(name, device, kind), precision=precision_of(device, precision))

    affine, shape = model_grid(volume, loaded.spacing)
    check_size(shape, loaded.spacing)
    air = air_of(kind)
    source = on_model_grid(scan, affine, shape, air)
    predicted = np.full(shape, kind.empty, np.float32)
    box, empty = head_box(source, air), kind.empty / kind.scale
    if kind.source != "ct":
        fill_with_noise(source[box], air)
    planes = planes or loaded.planes
    report(0.1)
    spread = np.zeros(shape, np.float32) if len(planes) > 1 else None
    inside = spread[box] if spread is not None else None
    fused = fuse(
        loaded, source[box], planes, device, lambda done: report(0.1 + 0.8 * done), cancelled, empty, air, inside
    )
    predicted[box] = fused * kind.scale
    evidence = evidence_of(
        source[box], fused, inside if set(planes) == set(loaded.planes) else None, box_affine(affine, box), kind, air
    )
    report(0.92)
    synthetic = _like(volume, predicted, affine, kind.empty, kind.limits, kind.unit, kind.target, name)
    report(0.95)
    differing = None
    if spread is not None:
        differing = _like(volume, spread * kind.scale, affine, 0.0, (0.0, np.inf), kind.unit, "disagreement", name)
    report(0.97)
    confidence, doubts = confidence_of(name, evidence, synthetic, kind)
    report(1.0)
    seconds = time.perf_counter() - start
    notices += doubts
    return Translation(
        synthetic, name, seconds, notices, task, differing, loaded.precision, confidence=confidence, evidence=evidence
    )


def _like(
    volume: Volume,
    array: np.ndarray,
    affine: np.ndarray,
    fill: float,
    limits: tuple[float, float],
    unit: str,
    modality: str,
    model: str,
) -> Volume:
    """An array on the model's grid as a volume on the grid of the input and of its origin, clipped to limits."""
    moved = resample(Volume(array, affine), volume.affine, volume.shape, fill=fill)
    np.clip(moved.array, *limits, out=moved.array)
    return replace(moved, unit=unit, modality=modality, origin=volume.origin, model=model)


def check_size(shape: Sequence[int], spacing: float) -> None:
    """Raise InputError for a model grid, of a spacing in mm, that is larger than a head can be."""
    if np.prod(shape, dtype=np.int64) > MAX_VOXELS:
        size = " x ".join(f"{n * spacing:.0f}" for n in shape)
        litres = MAX_VOXELS * spacing**3 / 1e6
        raise InputError(f"The volume spans {size} mm, more than {litres:.0f} litres; crop it to the head.")


def check_planes(planes: Sequence[str]) -> None:
    """Raise InputError unless these are some of PLANES."""
    unknown = [plane for plane in planes if plane not in PLANES]
    if unknown or not planes:
        raise InputError(f'Plane "{", ".join(unknown)}" is not known; choose from {", ".join(PLANES)}.')


def source_units(volume: Volume, task: Task) -> Volume:
    """A source in the network's units, on its own grid: MR with air 0 and white matter 1, CT in thousands of HU, -1 to
    3. Notices tell of a background that was subtracted. Raises InputError as `normalise_mr` does."""
    if task.source != "ct":
        return normalise_mr(volume)
    return replace(volume, array=volume.array.clip(-1000.0, 3000.0) / np.float32(task.source_scale))


def on_model_grid(scan: Volume, affine: np.ndarray, shape: Sequence[int], air: float) -> np.ndarray:
    """A scan in the network's units on another grid, with air beyond its field of view and nothing darker."""
    array = resample(scan, affine, shape, fill=air).array
    return np.maximum(array, np.float32(air), out=array)


def air_of(task: Task) -> float:
    """The value of air in a network's input."""
    return -1.0 if task.source == "ct" else 0.0


def check_source(volume: Volume, task: Task, scan: Volume | None = None) -> tuple[str, ...]:
    """Notices about a source volume. Raises InputError for one that the task cannot take.

    scan: the volume in the network's units, if it is known already.
    """
    notices: list[str] = []
    if task.source == "ct":
        if not looks_like_ct(volume):
            raise InputError(not_ct(volume))
        notices += check_ct(volume)
    elif looks_like_ct(volume):
        raise InputError(
            "This looks like a CT (air near -1000, whole HU), but the task needs a T1-weighted MR; give the T1 scan."
        )
    if task.source == "t1":
        scan = scan or source_units(volume, task)
        notices += scan.notices[len(volume.notices) :]
        stripped = looks_skull_stripped(volume)
        doubts = check_t1(scan, volume.array, stripped)
        if stripped and task.target == "ct":
            raise InputError(
                "This T1 is skull-stripped, and a skull that was cut away cannot be predicted: give the unstripped "
                "scan."
            )
        notices += doubts
        if not stripped and (turned := wrong_way(scan)):
            notices.append(turned)
    thickest = float(volume.spacing.max())
    if thickest > 2.5:
        notices.append(f"Slices are {thickest:.1f} mm apart: thin bone between them is a guess; below 1.5 mm is best.")
    return tuple(notices)


def load_model(name: str, device: str, task: Task | None = None) -> LoadedModel:
    """A pretrained model, or the model in a training folder.

    Raises InputError if there is none, if its weights do not fit the network that its checkpoint describes, or if it
    was trained for another task than the given one.
    """
    path = (find_model(name, task) if task else model_folder(name)) / "model.safetensors"
    loaded = _load(path, path.stat().st_mtime_ns, device)
    if task:
        check_task(name, loaded.task, task)
    return loaded


@lru_cache(maxsize=4)
def _load(path: Path, modified: int, device: str) -> LoadedModel:
    """modified: the file's time stamp, so that a checkpoint that a training has overwritten is read again."""
    tensors, config = load_tensors(path)
    try:
        with torch.device("meta"):  # takes no memory, however large the file says that the network is
            network = make_generator(generator_config(config["network"]))
        spacing = float(config.get("spacing", SPACING))
        if not 0.5 <= spacing <= 8:
            raise ValueError("not a spacing in mm for heads")
        planes = tuple(plane for plane in PLANES if plane in config.get("planes", PLANES))
        source_range, _ = ranges_of(config)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RuntimeError) as error:
        raise InputError(f'"{path}" does not say which network its weights belong to; train it again.') from error
    fill(network, tensors, path, assign=True)
    network = folded(network.float()).to(device, memory_format=torch.channels_last)
    return LoadedModel(network, config.get("task"), spacing, planes, source_range)


def ranges_of(config: dict) -> list[tuple[float, float]]:
    """The ranges that a checkpoint's training clipped source and target to, (low, high) each, in network units."""
    return [(float(low), float(high)) for low, high in config.get("ranges") or [(-np.inf, np.inf)] * 2]


def head_box(array: np.ndarray, air: float = 0.0, margin: int = 12) -> tuple[slice, slice, slice]:
    """The box around the largest bright object and a margin of voxels: outside it there is only air to predict.

    array: in the network's units. A quarter of the resolution is enough to find a head.
    """
    coarse = ndimage.zoom(array - air, 0.25, order=1, mode="grid-constant", grid_mode=True)
    labels, count = ndimage.label(coarse > HEAD)
    if not count:
        return tuple(slice(0, n) for n in array.shape)
    largest = np.argmax(np.bincount(labels.ravel())[1:])
    box = ndimage.find_objects(labels)[largest]
    return tuple(
        slice(max(0, 4 * s.start - margin), min(n, 4 * s.stop + margin)) for s, n in zip(box, array.shape, strict=True)
    )


def box_affine(affine: np.ndarray, box: tuple[slice, ...]) -> np.ndarray:
    """The affine of a part of a grid."""
    moved = affine.copy()
    moved[:3, 3] = (affine @ [*(part.start for part in box), 1])[:3]
    return moved


def fuse(
    model: LoadedModel,
    array: np.ndarray,
    planes: Sequence[str],
    device: str,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    empty: float = -1.0,
    air: float = 0.0,
    spread: np.ndarray | None = None,
) -> np.ndarray:
    """The mean over planes (see `combined`) of the slice-wise prediction for an (I, J, K) array, float32, in the
    network's units.

    Slices of air are not computed: they are `empty`. spread: zeros of the same shape, which become the standard
    deviation over planes.
    """
    changes = np.zeros((len(planes), *array.shape), np.float32)  # prediction - empty
    pixels = PIXELS_PER_GPU_BATCH if device == "cuda" else PIXELS_PER_BATCH
    axes = [PLANES[plane] for plane in planes]
    work = [(k, index) for k, axis in enumerate(axes) for index in busy_slices(array, axis, air + SIGNAL, pixels)]
    for n, (k, index) in enumerate(work, 1):
        if cancelled and cancelled():
            raise Cancelled
        slices = np.moveaxis(array, axes[k], 0)[index].clip(*model.source_range)
        with autocast(device, model.precision):
            change = predict(model.network, slices, device, air) - empty
        np.moveaxis(changes[k], axes[k], 0)[index] = change
        if progress:
            progress(n / len(work))
    return combined(changes, spread) + empty


def combined(predictions: np.ndarray, spread: np.ndarray | None = None) -> np.ndarray:
    """The mean (I, J, K) of one to three predictions (N, I, J, K). Of three, what differs from their median by more
    than OUTLIER counts as that far from it: what a single direction invents, such as bone in the brain, does not get
    through. spread: becomes the standard deviation."""
    mean = np.empty(predictions.shape[1:], np.float32)
    for i in range(len(mean)):  # slabs, so that there is no second stack
        slab = predictions[:, i]
        if spread is not None:
            spread[i] = slab.std(0)
        if len(slab) == 3:
            a, b, c = slab
            median = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
            slab = slab.clip(median - OUTLIER, median + OUTLIER)
        mean[i] = slab.mean(0)
    return mean


def busy_slices(
    array: np.ndarray, axis: int, threshold: float = SIGNAL, pixels: int = PIXELS_PER_BATCH
) -> Iterator[np.ndarray]:
    """Indices of the slices with a value above a threshold, in batches of at most this many pixels."""
    slices = np.moveaxis(array, axis, 0)
    busy = np.flatnonzero(slices.reshape(len(slices), -1).max(1) > threshold)
    size = max(1, pixels // max(1, slices[0].size))
    return (busy[i : i + size] for i in range(0, len(busy), size))


@torch.inference_mode()
def predict(network: torch.nn.Module, slices: np.ndarray, device: str, air: float) -> np.ndarray:
    """(N, H, W) float32 -> the same shape: padded with air to a multiple of the network's stride and cropped back."""
    h, w = slices.shape[1:]
    x = torch.from_numpy(np.ascontiguousarray(slices))[:, None].to(device)  # (N, 1, H, W)
    x = padded_with_air(x, -h % network.stride, -w % network.stride, air)
    y = network(x.contiguous(memory_format=torch.channels_last))
    return y[:, 0, :h, :w].float().cpu().numpy()
