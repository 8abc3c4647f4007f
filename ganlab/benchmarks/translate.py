"""Seconds per volume: the default model against a textbook generator on the same slices, alternating in one run."""

from __future__ import annotations

import time
from statistics import median

import numpy as np
import torch

from ganlab.device import resolve
from ganlab.errors import InputError
from ganlab.translation.inference import load_model, predict
from ganlab.translation.networks import ResNet, ResNetConfig
from ganlab.translation.tasks import get_task

SIDE = 256
VOLUME = 183  # slices, as a sagittal volume of Wolterink et al. 2017


def benchmark_translate(device: str = "auto", slices: int = 8, rounds: int = 3, seed: int = 0) -> dict:
    """Median milliseconds per 256x256 slice of both, and what that makes per volume of 183 slices."""
    device = resolve(device)
    ours = load_model(get_task("mr2ct").default_model, device).network
    torch.manual_seed(seed)
    textbook = ResNet(ResNetConfig()).to(device).eval()  # eager, one slice at a time
    array = np.random.default_rng(seed).random((slices, SIDE, SIDE), dtype=np.float32)
    if slices < 1:
        raise InputError("A benchmark needs at least one slice.")

    @torch.inference_mode()
    def run_textbook() -> np.ndarray:
        x = torch.from_numpy(array)[:, None].to(device)
        return np.stack([textbook(image[None])[0, 0].cpu().numpy() for image in x])

    contenders = {"ours": lambda: predict(ours, array, device, air=0.0), "textbook": run_textbook}
    for run in contenders.values():  # first calls pay for memory and kernels
        run()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - start) / slices * 1000)
    ms = {name: median(t) for name, t in times.items()}
    return {
        "device": device,
        "slices": slices,
        "rounds": rounds,
        "ms_per_slice": {k: round(v, 2) for k, v in ms.items()},
        "seconds_per_volume": {
            "ours, one plane": round(ms["ours"] * VOLUME / 1000, 2),
            "ours, three planes": round(3 * ms["ours"] * VOLUME / 1000, 2),
            "textbook, one plane": round(ms["textbook"] * VOLUME / 1000, 2),
        },
        "ratio": round(ms["textbook"] / ms["ours"], 2),
        "ratio_three_planes": round(ms["textbook"] / ms["ours"] / 3, 2),
    }


def format_benchmark(r: dict) -> str:
    per = r["seconds_per_volume"]
    return (
        f"{r['device']}, {r['slices']} slices of {SIDE}x{SIDE}, median of {r['rounds']} alternations\n"
        f"ours      {r['ms_per_slice']['ours']:8.1f} ms per slice\n"
        f"textbook  {r['ms_per_slice']['textbook']:8.1f} ms per slice (ResNet, 9 blocks, ngf 64, eager float32)\n"
        f"per volume of {VOLUME} slices: "
        + ", ".join(f"{k} {v:.1f} s" for k, v in per.items())
        + f"\nratio {r['ratio']:.1f} on the same slices, {r['ratio_three_planes']:.1f} with three planes against one"
    )
