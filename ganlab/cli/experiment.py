"""`ganlab experiment NAME`: train the models that a lecture's question compares, and measure them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganlab.cli.console import Device, Json, Seed, narrate, progress_bar, say


def experiment(
    name: Annotated[str, typer.Argument(help="paired-vs-unpaired, hallucination or generators.")],
    out: Annotated[Path | None, typer.Option(help="Folder for training runs and result; runs/NAME by default.")] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of every training run; default: the experiment's.", min=1)
    ] = None,
    workers: Annotated[int, typer.Option(help="Worker processes that make slices.", min=0)] = 1,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Train the models that an experiment compares, then measure them. Run it again to continue."""
    from ganlab.device import resolve
    from ganlab.experiments import get_experiment
    from ganlab.experiments.arms import trainings

    chosen = get_experiment(name)
    out, steps, place = out or Path("runs") / name, steps or chosen.STEPS, resolve(device)
    for title, events in trainings(chosen.arms(steps, seed), out, place, workers):
        if not as_json:
            print(title, flush=True)
        narrate(events, as_json)
    result = chosen.measure(steps, out, place, progress_bar("measuring", as_json) or (lambda share: None))
    say(result, as_json, f"{chosen.format_result(result)}\n\n{out / 'figure.png'}")
