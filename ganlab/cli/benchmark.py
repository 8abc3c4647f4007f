"""ganlab benchmark: our way and the textbook way in one run."""

from __future__ import annotations

from typing import Annotated

import typer

from ganlab.cli.console import Device, Json, Seed, say
from ganlab.errors import InputError


def benchmark(
    name: Annotated[str, typer.Argument(help="translate, train, toy, dcgan, live (the page in a browser) or study.")],
    slices: Annotated[int, typer.Option(help="translate: 256x256 slices per round.", min=1, max=512)] = 8,
    rounds: Annotated[int, typer.Option(help="Alternations of ours and the textbook way.", min=1, max=100)] = 3,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Time our way and the textbook way in one run, alternating, and print the ratio."""
    if name == "translate":
        from ganlab.benchmarks.translate import benchmark_translate, format_benchmark

        result = benchmark_translate(device, slices, rounds, seed)
    elif name == "train":
        from ganlab.benchmarks.train import benchmark_training, format_benchmark

        result = benchmark_training(device, rounds, seed)
    elif name == "toy":
        from ganlab.benchmarks.toy import benchmark_toy, format_benchmark

        result = benchmark_toy(device, rounds=rounds, seed=seed)
    elif name == "dcgan":
        from ganlab.benchmarks.dcgan import benchmark_dcgan, format_benchmark

        result = benchmark_dcgan(device, rounds, seed)
    elif name == "live":
        from ganlab.benchmarks.live import benchmark_live
        from ganlab.benchmarks.live import format_live as format_benchmark

        result = benchmark_live()
    elif name == "study":
        import os

        from ganlab.benchmarks.study import benchmark_study
        from ganlab.benchmarks.study import format_study as format_benchmark

        result = benchmark_study(url=os.environ.get("GANLAB_DATABASE_URL"), seed=seed)
    else:
        raise InputError(f'Benchmark "{name}" is not known; choose from translate, train, toy, dcgan, live, study.')
    say(result, as_json, format_benchmark(result))
