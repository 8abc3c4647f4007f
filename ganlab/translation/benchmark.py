"""Seconds per volume: the default model against a textbook generator on the same slices, alternating in one run."""

from __future__ import annotations

import time
from statistics import median

import numpy as np
import torch
from torch import nn

from ganlab.device import resolve
from ganlab.errors import InputError
from ganlab.translation.pipeline import load_network, predict
from ganlab.translation.tasks import get_task

SIDE = 256
VOLUME = 183  # slices, as a sagittal volume of Wolterink et al. 2017


def textbook_resnet(blocks: int = 9, ngf: int = 64, channels: int = 1) -> nn.Sequential:
    """The ResNet generator of CycleGAN (Zhu et al., ICCV 2017; Johnson et al., ECCV 2016) in plain PyTorch:
    c7s1-64, d128, d256, 9 x R256, u128, u64, c7s1, reflection padding, instance normalisation."""

    class Residual(nn.Module):
        def __init__(self, c: int):
            super().__init__()
            half = [nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), nn.InstanceNorm2d(c)]
            again = [nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), nn.InstanceNorm2d(c)]
            self.body = nn.Sequential(*half, nn.ReLU(), *again)

        def forward(self, x):
            return x + self.body(x)

    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(channels, ngf, 7), nn.InstanceNorm2d(ngf), nn.ReLU()]
    for c in (ngf, 2 * ngf):
        layers += [nn.Conv2d(c, 2 * c, 3, stride=2, padding=1), nn.InstanceNorm2d(2 * c), nn.ReLU()]
    layers += [Residual(4 * ngf) for _ in range(blocks)]
    for c in (4 * ngf, 2 * ngf):
        up = nn.ConvTranspose2d(c, c // 2, 3, stride=2, padding=1, output_padding=1)
        layers += [up, nn.InstanceNorm2d(c // 2), nn.ReLU()]
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(ngf, channels, 7), nn.Tanh())


def benchmark_translate(device: str = "auto", slices: int = 8, rounds: int = 3, seed: int = 0) -> dict:
    """Median milliseconds per 256x256 slice of both, and what that makes per volume of 183 slices."""
    device = resolve(device)
    ours = load_network(get_task("mr2ct").default_model, device)
    torch.manual_seed(seed)
    textbook = textbook_resnet().to(device).eval()
    array = np.random.default_rng(seed).random((slices, SIDE, SIDE), dtype=np.float32)
    if slices < 1:
        raise InputError("A benchmark needs at least one slice.")

    @torch.inference_mode()
    def run_textbook() -> np.ndarray:
        x = torch.from_numpy(array)[:, None].to(device)
        return np.stack([textbook(one[None])[0, 0].cpu().numpy() for one in x])

    ways = {"ours": lambda: predict(ours, array, device), "textbook": run_textbook}
    for way in ways.values():  # first calls pay for memory and kernels
        way()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
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
