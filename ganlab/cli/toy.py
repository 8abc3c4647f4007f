"""python -m ganlab toy: parses and prints; the work is done in ganlab/toy."""

from __future__ import annotations

from typing import Annotated

import typer

from ganlab.cli.console import Device, Json, Seed, Settings, progress_bar, say


def toy(
    data: Annotated[str, typer.Option(help="Target distribution: ring, grid, spiral, gaussians-1d, ...")] = "ring",
    objective: Annotated[str, typer.Option(help="Objective: minimax, non-saturating, wgan-gp, ...")] = "non-saturating",
    steps: Annotated[int, typer.Option(help="Number of training steps.", min=1, max=10**7)] = 2000,
    runs: Annotated[int, typer.Option(help="Parallel runs, with consecutive seeds from --seed.", min=1, max=8)] = 1,
    setting: Settings = [],  # noqa: B006
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """Train a GAN on a one- or two-dimensional distribution and measure what it learned."""
    from ganlab.settings import parse_settings
    from ganlab.toy.run import format_run, run

    values = {"data": data, "objective": objective, "runs": runs, "seed": seed, **parse_settings(setting)}
    bar = progress_bar("training", as_json)
    result = run(values, steps, device, bar)
    say(result, as_json, format_run(result))
