"""What commands share: their options, and what they print: a result, a bar, the story of a training;
and the folder that they write to."""

from __future__ import annotations

import json
import sys
from collections import deque
from pathlib import Path
from statistics import mean
from typing import Annotated

import typer

from ganlab.errors import InputError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Seed = Annotated[int, typer.Option(help="Same seed, same result on a CPU.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Settings = Annotated[
    list[str], typer.Option("--set", help="Any other setting as NAME=VALUE, e.g. batch=128; may be repeated.")
]


def say(result: dict, as_json: bool, text: str | None = None) -> None:
    """Print a result as one JSON object, or as text for people."""
    if as_json:
        print(json.dumps(result))
    else:
        print(text if text is not None else "\n".join(f"{k}: {v}" for k, v in result.items()))


def progress_bar(label: str, silent: bool):
    """A callback for a share 0..1 that draws a bar on stderr when somebody is watching."""
    if silent or not sys.stderr.isatty():
        return None

    def show(share: float) -> None:
        filled = round(30 * share)
        end = "\n" if share >= 1 else ""
        print(f"\r{label} [{'#' * filled}{'.' * (30 - filled)}] {share:4.0%}", end=end, file=sys.stderr, flush=True)

    return show


def make_folder(folder: Path) -> None:
    """Make a folder for results, unless it is there. Raises InputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f'The folder "{folder}" cannot be made ({error.strerror}); choose another --out.') from error


def narrate(events, silent: bool, unit: str = "", log=None) -> dict[str, float]:
    """Print what a training says as it goes: one line that moves where somebody is watching, else one every 20 steps.

    log(event): hears of everything, too. Returns the means of the last step's losses over the last
    100 steps that have them: losses come and go, as where a training's first steps are of another kind.
    """
    recent: deque[dict[str, float]] = deque(maxlen=100)
    average: dict[str, float] = {}
    watched = sys.stdout.isatty()
    for event in events:
        if log:
            log(event)
        last = event.step == event.steps
        if event.kind != "step":
            if not silent:
                print(f"saved {event.path}", flush=True)
            continue
        recent.append(event.numbers)
        if event.step % 20 and not last:
            continue
        average = {name: mean(n[name] for n in recent if name in n) for name in event.numbers}
        if not silent:
            words = "  ".join(f"{k} {v:.4g}{' ' + unit if unit and k == 'l1' else ''}" for k, v in average.items())
            filled = round(20 * event.step / event.steps)
            bar = f"[{'#' * filled}{'.' * (20 - filled)}] " if watched else ""
            print(
                f"{bar}step {event.step}/{event.steps}  {words}", end="\r" if watched and not last else "\n", flush=True
            )
    return average
