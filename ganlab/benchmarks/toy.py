"""Steps per second of the engine and of the textbook loop, alternating in one run, on one thread."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from statistics import median

import torch
from torch import nn

from ganlab.device import one_thread, resolve
from ganlab.toy.config import Config, Network
from ganlab.toy.game import Game

SIZES = ((3, 128, 256), (3, 64, 128))  # hidden layers, units, batch


class Textbook:
    """The loop as tutorials write it: modules, BCEWithLogitsLoss, torch.optim.Adam; on the ring, fresh noise for G."""

    def __init__(self, layers: int, units: int, batch: int, device: str, seed: int):
        torch.manual_seed(seed)

        def mlp(inputs: int, outputs: int) -> nn.Module:
            parts: list[nn.Module] = [nn.Linear(inputs, units), nn.ReLU()]
            for _ in range(layers - 1):
                parts += [nn.Linear(units, units), nn.ReLU()]
            return nn.Sequential(*parts, nn.Linear(units, outputs)).to(device)

        self.g, self.d, self.batch, self.device = mlp(2, 2), mlp(2, 1), batch, device
        self.opt_g = torch.optim.Adam(self.g.parameters(), 1e-3, betas=(0.5, 0.999))
        self.opt_d = torch.optim.Adam(self.d.parameters(), 1e-3, betas=(0.5, 0.999))
        self.bce = nn.BCEWithLogitsLoss()
        self.ones, self.zeros = torch.ones(batch, 1, device=device), torch.zeros(batch, 1, device=device)

    def step(self) -> None:
        angle = torch.randint(8, (self.batch,), device=self.device) * (math.pi / 4)
        real = torch.stack([angle.cos(), angle.sin()], 1)
        real = real + 0.05 * torch.randn(self.batch, 2, device=self.device)
        fake = self.g(torch.randn(self.batch, 2, device=self.device)).detach()
        self.opt_d.zero_grad()
        (self.bce(self.d(real), self.ones) + self.bce(self.d(fake), self.zeros)).backward()
        self.opt_d.step()
        self.opt_g.zero_grad()
        self.bce(self.d(self.g(torch.randn(self.batch, 2, device=self.device))), self.ones).backward()
        self.opt_g.step()


def benchmark_toy(device: str = "cpu", seconds: float = 1.0, rounds: int = 5, seed: int = 0) -> dict:
    """Median steps per second of both loops, and of eight runs at once, per run; each gets `seconds` per round."""
    device = resolve("cpu" if device == "auto" else device)
    one_thread()
    results = []
    for layers, units, batch in SIZES:
        network = Network(layers, units)
        config = Config(generator=network, discriminator=network, batch=batch, rate_g=1e-3, rate_d=1e-3, seed=seed)
        ways = {
            "textbook": Textbook(layers, units, batch, device, seed),
            "ours": Game(config, device=device),
            "eight": Game(replace(config, runs=8), device=device),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(rounds + 1):
            for name, way in ways.items():
                rate = _rate(way, seconds, device)
                if turn:  # the first round warms up
                    rates[name].append(rate)
        middle = {name: median(r) for name, r in rates.items()}
        results.append(
            {
                "layers": layers,
                "units": units,
                "batch": batch,
                "textbook": round(middle["textbook"]),
                "ours": round(middle["ours"]),
                "eight_runs_per_run": round(middle["eight"] * 8),
                "ratio": round(middle["ours"] / middle["textbook"], 2),
                "ratio_eight": round(middle["eight"] * 8 / middle["textbook"], 2),
            }
        )
    return {"device": device, "threads": 1, "rounds": rounds, "steps_per_second": results}


def _rate(way, seconds: float, device: str) -> float:
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for _ in range(8):
            way.step()
        steps += 8
    if device == "cuda":
        torch.cuda.synchronize()
    return steps / (time.perf_counter() - start)


def format_benchmark(result: dict) -> str:
    lines = [f"{result['device']}, one thread, steps per second, median of {result['rounds']} alternations"]
    for r in result["steps_per_second"]:
        lines.append(
            f"{r['layers']} x {r['units']}, batch {r['batch']}: textbook {r['textbook']:,}, ours {r['ours']:,} "
            f"({r['ratio']:.1f} times), eight runs at once {r['eight_runs_per_run']:,} per run "
            f"({r['ratio_eight']:.1f} times)"
        )
    return "\n".join(lines)
