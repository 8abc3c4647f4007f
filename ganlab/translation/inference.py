"""A whole volume through a slice network: resampled, three planes averaged, back on the grid that it came from."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from ganlab.checkpoints import fill, load_tensors, model_folder
from ganlab.device import resolve
from ganlab.errors import Cancelled, InputError
from ganlab.imaging.checks import looks_like_ct, looks_skull_stripped
from ganlab.imaging.grid import canonical, model_grid, resample
from ganlab.imaging.intensity import mr_gain
from ganlab.imaging.planes import PLANES
from ganlab.imaging.volume import Volume
from ganlab.imaging.writing import write_volume
from ganlab.translation.networks import folded, generator_config, make_generator
from ganlab.translation.tasks import Task, check_task, find_model, get_task

SPACING = 1.0  # mm, what networks are trained on unless they say otherwise
MAX_VOXELS = 400**3  # of the model grid: 64 litres of scan, 0.25 GB per float32 array
HEAD, SIGNAL = 0.12, 0.02  # above air, in the network's units: what is a head, what is worth a look
PIXELS_PER_BATCH = 2**19  # bounds the memory of activations, whatever the volume


@dataclass(frozen=True)
class Translation:
    """synthetic: on the grid and affine of the input; seconds: from input to result."""

    synthetic: Volume
    model: str
    seconds: float
    notices: tuple[str, ...] = ()

    @property
    def volume(self) -> Volume:
        """The synthetic volume."""
        return self.synthetic

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the volume as NIfTI (.nii or .nii.gz). Raises InputError."""
        write_volume(self.synthetic, path)


def translate(
    volume: Volume,
    task: str = "mr2ct",
    model: str | None = None,
    device: str = "auto",
    planes: Sequence[str] | None = None,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Translation:
    """Translate a volume of any orientation and spacing; the result has its shape and affine.

    planes: the slice directions whose predictions are averaged, any of PLANES; unless given, those that the model
    learned from. progress(share of the work) and
    cancelled() are called between batches. Raises InputError for a volume that the task cannot take, Cancelled.
    """
    start = time.perf_counter()
    task = get_task(task)
    device = resolve(device)
    check_planes(planes if planes is not None else PLANES)
    notices = check_source(volume, task)
    name = model or task.default_model
    net = load_network(name, device, task)
    planes = planes or net.planes

    source = canonical(volume)
    affine, shape = model_grid(source, net.spacing)
    if np.prod(shape, dtype=np.int64) > MAX_VOXELS:
        raise InputError(
            f"The volume spans {shape[0]} x {shape[1]} x {shape[2]} mm, more than {MAX_VOXELS / 1e6:.0f} litres; "
            "crop it to the head."
        )
    moved = resample(source, affine, shape, fill=air_of(task) * task.source_scale)
    array = source_units(moved.array, task)
    predicted = np.full(array.shape, task.empty, np.float32)
    box = head_box(array, air_of(task))
    nothing = task.empty / task.scale
    predicted[box] = fuse(net, array[box], planes, device, progress, cancelled, nothing, air_of(task)) * task.scale
    back = resample(Volume(predicted, affine), volume.affine, volume.shape, fill=task.empty)
    back = replace(back, unit=task.unit, modality=task.target)
    np.clip(back.array, *task.limits, out=back.array)
    return Translation(back, name, time.perf_counter() - start, notices)


def check_planes(planes: Sequence[str]) -> None:
    """Raise InputError unless these are some of PLANES."""
    unknown = [plane for plane in planes if plane not in PLANES]
    if unknown or not planes:
        raise InputError(f'Plane "{", ".join(unknown)}" is not known; choose from {", ".join(PLANES)}.')


def source_units(array: np.ndarray, task: Task) -> np.ndarray:
    """What a network is fed: MR with white matter near 1, CT in thousands of HU between air and the densest bone."""
    if task.source != "ct":
        return array * mr_gain(array)
    return array.clip(-1000.0, 3000.0) / task.source_scale


def air_of(task: Task) -> float:
    """The value of empty space in a network's input."""
    return -1.0 if task.source == "ct" else 0.0


def check_source(volume: Volume, task: Task) -> tuple[str, ...]:
    """Refuse what the task cannot take; return what should be known about the rest."""
    if task.source == "ct":
        if not looks_like_ct(volume):
            raise InputError("This does not look like a CT in HU (air near -1000, tissue near 0, bone); give a CT.")
    elif looks_like_ct(volume):
        raise InputError(
            "This looks like a CT (air near -1000, whole HU), but the task wants a T1-weighted MR; give the T1 scan."
        )
    elif task.target == "ct" and looks_skull_stripped(volume):
        raise InputError(
            "This T1 is skull-stripped: a skull that was cut away cannot be made up; give the scan before stripping."
        )
    notices = []
    thickest = float(volume.spacing.max())
    if thickest > 2.5:
        notices.append(f"Slices are {thickest:.1f} mm apart: thin bone between them is a guess; best below 1.5 mm.")
    return tuple(notices)


def load_network(name: str, device: str, task: Task | None = None) -> torch.nn.Module:
    """The network of a pretrained model or of a training's folder, ready for inference.

    Raises InputError if there is none, if its weights are not those of the network that it says it is, or if it is of
    another task than the one that is given.
    """
    path = (find_model(name, task) if task else model_folder(name)) / "model.safetensors"
    net = _load(path, path.stat().st_mtime_ns, device)
    if task:
        check_task(name, net.task, task)
    return net


@lru_cache(maxsize=4)
def _load(path: Path, written: int, device: str) -> torch.nn.Module:
    """A file that was written anew, as by a training that goes on, is read anew."""
    tensors, config = load_tensors(path)
    try:
        with torch.device("meta"):  # takes no memory, however large the file says that the network is
            net = make_generator(generator_config(config["network"]))
        net.task, net.spacing = config.get("task"), float(config.get("spacing", SPACING))
        if not 0.5 <= net.spacing <= 8:
            raise ValueError("no spacing of a head")
        net.planes = tuple(plane for plane in PLANES if plane in config.get("planes", PLANES))
        net.sees = ranges_of(config)[0]
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RuntimeError) as error:
        raise InputError(f'"{path}" does not say which network its weights are of; train it anew.') from error
    fill(net, tensors, path, assign=True)
    return folded(net.float()).to(device, memory_format=torch.channels_last)


def ranges_of(config: dict) -> list[tuple[float, float]]:
    """Of source and target, what images were clipped to in the training that wrote a checkpoint, in network units."""
    return [(float(low), float(high)) for low, high in config.get("ranges") or [(-np.inf, np.inf)] * 2]


def head_box(array: np.ndarray, air: float = 0.0, margin: int = 12) -> tuple[slice, slice, slice]:
    """The box around the largest bright object, some voxels wider: outside it there is only air to predict.

    array: in the network's units. A quarter of the sampling is enough to find a head.
    """
    coarse = ndimage.zoom(array - air, 0.25, order=1, mode="grid-constant", grid_mode=True)
    labels, count = ndimage.label(coarse > HEAD)
    if not count:
        return tuple(slice(0, n) for n in array.shape)
    largest = np.argmax(np.bincount(labels.ravel())[1:])
    found = ndimage.find_objects(labels)[largest]
    return tuple(
        slice(max(0, 4 * s.start - margin), min(n, 4 * s.stop + margin))
        for s, n in zip(found, array.shape, strict=True)
    )


def fuse(
    net, array: np.ndarray, planes, device: str, progress=None, cancelled=None, empty: float = -1.0, air: float = 0.0
) -> np.ndarray:
    """Mean over planes of the slice-wise prediction of a (I, J, K) array, float32, in the network's units.

    Slices with no signal at all are not computed: they are `empty`.
    """
    total = np.full(array.shape, empty * len(planes), np.float32)
    work = [(p, index) for p in planes for index in busy_slices(array, PLANES[p], air + SIGNAL)]
    for n, (plane, index) in enumerate(work):
        if cancelled and cancelled():
            raise Cancelled
        slices = np.moveaxis(array, PLANES[plane], 0)[index].clip(*net.sees)
        np.moveaxis(total, PLANES[plane], 0)[index] += predict(net, slices, device) - empty
        if progress:
            progress((n + 1) / len(work))
    return total / len(planes)


def busy_slices(array: np.ndarray, axis: int, threshold: float = SIGNAL) -> Iterator[np.ndarray]:
    """Indices of the slices with something above a threshold, in groups of a bounded number of pixels."""
    slices = np.moveaxis(array, axis, 0)
    busy = np.flatnonzero(slices.reshape(len(slices), -1).max(1) > threshold)
    size = max(1, PIXELS_PER_BATCH // max(1, slices[0].size))
    return (busy[i : i + size] for i in range(0, len(busy), size))


@torch.inference_mode()
def predict(net, slices: np.ndarray, device: str) -> np.ndarray:
    """(N, H, W) float32 -> the same, padded to the network's stride and cropped back."""
    h, w = slices.shape[1:]
    x = torch.from_numpy(np.ascontiguousarray(slices))[:, None].to(device)
    x = F.pad(x, (0, -w % net.stride, 0, -h % net.stride), value=min(0.0, float(x.min())))  # air
    y = net(x.contiguous(memory_format=torch.channels_last))
    return y[:, 0, :h, :w].float().cpu().numpy()
