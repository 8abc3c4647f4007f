"""A whole head at 1 mm in three planes: ganlab and a plain implementation of the same model, alternating in one run.

Every turn has a fresh process, so that its peak memory is its own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from ganlab.checkpoints import fill, load_tensors, model_folder
from ganlab.device import precision, resolve
from ganlab.imaging.grid import model_grid
from ganlab.imaging.planes import PLANES
from ganlab.imaging.volume import Volume
from ganlab.phantoms import make_patient
from ganlab.translation.inference import source_units, translate
from ganlab.translation.networks import generator_config, make_generator
from ganlab.translation.tasks import get_task

TASK, SEED = get_task("mr2ct"), 9000  # of a phantom that no model was trained on
HEAD = -900  # HU


def benchmark_volume(
    device: str = "auto", rounds: int = 3, volume: Volume | None = None, planes: Sequence[str] = tuple(PLANES)
) -> dict:
    """Medians over rounds of seconds, processor seconds and peak memory in MB of each implementation, and how far its
    synthetic CT is from the plain one's, in HU. volume: a T1; by default a phantom's of 192 x 240 x 240 voxels."""
    device = resolve(device)
    volume = volume or make_patient(SEED, ("t1",), device=device)["t1"]
    names = ["ours", "plain"] if precision(device) == "float32" else ["ours", "ours in float32", "plain"]
    turns: dict[str, list[dict]] = {name: [] for name in names}
    arrays = {}
    for _ in range(rounds):
        for name in names:
            with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
                arrays[name], figures = fresh.submit(_turn, name, volume, device, tuple(planes)).result()
            turns[name].append(figures)
    results = {
        name: {key: median(turn[key] for turn in runs) if runs[0][key] is not None else None for key in runs[0]}
        for name, runs in turns.items()
    }
    head = arrays["plain"] > HEAD
    for name in names[:-1]:
        difference = np.abs(arrays[name] - arrays["plain"])[head]
        results[name] |= {
            "ratio": results["plain"]["seconds"] / results[name]["seconds"],
            "ratio_cpu": results["plain"]["cpu_seconds"] / results[name]["cpu_seconds"],
            "difference": float(difference.mean()),
            "difference_p99": float(np.percentile(difference, 99)),
        }
    return {
        "device": device,
        "precision": precision(device),
        "threads": torch.get_num_threads(),
        "shape": list(volume.shape),
        "planes": list(planes),
        "rounds": rounds,
        "results": {name: {k: v if v is None else round(v, 2) for k, v in r.items()} for name, r in results.items()},
    }


def _turn(name: str, volume: Volume, device: str, planes: tuple[str, ...]) -> tuple[np.ndarray, dict]:
    """The synthetic CT and what it took; libraries are loaded, the model is not."""
    start, cpu = time.perf_counter(), time.process_time()
    if name == "plain":
        array = plain_translate(volume, device, planes)
    else:
        chosen = "float32" if name == "ours in float32" else "auto"
        array = translate(volume, TASK.name, device=device, planes=planes, precision=chosen).synthetic.array
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return array, {"seconds": seconds, "cpu_seconds": cpu, "peak_memory": peak_memory()}


@torch.inference_mode()
def plain_translate(volume: Volume, device: str, planes: Sequence[str]) -> np.ndarray:
    """The default model as tutorials would run it: eager float32, channels first, one slice at a time, all of the
    volume, with cubic resampling to the model's grid and back."""
    path = model_folder(TASK.default_model) / "model.safetensors"
    tensors, config = load_tensors(path)
    network = make_generator(generator_config(config["network"])).eval()
    fill(network, tensors, path)
    network.to(device)

    affine, shape = model_grid(volume, config.get("spacing", 1.0))
    scan = _cubic(source_units(volume, TASK).array, volume.affine, affine, shape, 0.0).clip(0)
    total = np.zeros(shape, np.float32)
    for plane in planes:
        slices, sums = np.moveaxis(scan, PLANES[plane], 0), np.moveaxis(total, PLANES[plane], 0)
        h, w = slices.shape[1:]
        for image, summed in zip(slices, sums, strict=True):
            x = torch.from_numpy(np.ascontiguousarray(image))[None, None].to(device)  # (1, 1, H, W)
            x = F.pad(x, (0, -w % network.stride, 0, -h % network.stride))
            summed += network(x)[0, 0, :h, :w].cpu().numpy()
    synthetic = total * np.float32(TASK.scale / len(planes))
    return _cubic(synthetic, affine, volume.affine, volume.shape, TASK.empty).clip(*TASK.limits)


def _cubic(array: np.ndarray, old: np.ndarray, new: np.ndarray, shape: Sequence[int], fill: float) -> np.ndarray:
    """An array on the grid of an affine, on that of another: cubic B-splines."""
    to_voxel = np.linalg.solve(old, new)
    return ndimage.affine_transform(array, to_voxel[:3, :3], to_voxel[:3, 3], shape, order=3, cval=fill)


def peak_memory() -> float | None:
    """The most memory that this process has held so far, in MB; None where the system does not say."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where getrusage counts the parent's memory, too
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS


def format_benchmark(result: dict) -> str:
    size = " x ".join(map(str, result["shape"]))
    lines = [
        f"{result['device']}, {result['threads']} threads, {size} voxels, {', '.join(result['planes'])}; medians of "
        f"{result['rounds']} alternations, a fresh process each; plain: the same model in eager float32, one slice at "
        "a time, with cubic resampling"
    ]
    for name, r in result["results"].items():
        title = f"ours in {result['precision']}" if name == "ours" else name
        memory = f"{r['peak_memory']:,.0f} MB" if r["peak_memory"] else "memory unknown"
        line = f"{title:<16} {r['seconds']:6.1f} s   processor {r['cpu_seconds']:6.1f} s   {memory}"
        if "ratio" in r:
            line += (
                f"   {r['ratio']:.1f} times as fast ({r['ratio_cpu']:.1f} in processor time), {r['difference']:.2f} HU "
                f"from plain, 99 % within {r['difference_p99']:.1f}"
            )
        lines.append(line)
    return "\n".join(lines)
