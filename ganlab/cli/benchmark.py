"""`ganlab benchmark`: ganlab timed against textbook implementations."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Annotated

import typer

from ganlab.cli.console import Device, Json, Seed, say
from ganlab.errors import InputError

BENCHMARKS = ("translate", "volume", "train", "toy", "dcgan", "live", "study")  # modules of ganlab.benchmarks


def benchmark(
    name: Annotated[str, typer.Argument(help="translate, volume, train, toy, dcgan, live (in a browser) or study.")],
    slices: Annotated[int, typer.Option(help="translate: 256x256 slices per round.", min=1, max=512)] = 8,
    rounds: Annotated[int, typer.Option(help="Number of alternations.", min=1, max=100)] = 3,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Time ganlab against a textbook implementation, alternating in one run, and print the speed-up."""
    if name not in BENCHMARKS:
        raise InputError(f'Benchmark "{name}" is not known; choose from {", ".join(BENCHMARKS)}.')
    if seed < 0:
        raise InputError(f"Seed {seed} is negative; give a whole number from 0.")
    module = import_module(f"ganlab.benchmarks.{name}")
    if name == "translate":
        result = module.benchmark_translate(device, slices, rounds, seed)
    elif name == "volume":
        result = module.benchmark_volume(device, rounds)
    elif name == "train":
        result = module.benchmark_training(device, rounds, seed)
    elif name == "toy":
        result = module.benchmark_toy(device, rounds=rounds, seed=seed)
    elif name == "dcgan":
        result = module.benchmark_dcgan(device, rounds, seed)
    elif name == "live":
        result = module.benchmark_live()
    else:
        result = module.benchmark_study(url=os.environ.get("GANLAB_DATABASE_URL"), seed=seed)
    say(result, as_json, module.format_benchmark(result))
