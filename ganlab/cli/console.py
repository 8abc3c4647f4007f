"""What commands share: options, the result as text or JSON, progress bars, and the folder they write to."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Annotated

import typer

from ganlab.errors import InputError

if TYPE_CHECKING:
    from rich.progress import Progress

    from ganlab.training import Event

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Seed = Annotated[int, typer.Option(help="Same seed, same result on a CPU.")]


def _known_device(name: str) -> str:
    from ganlab.device import check_choice

    check_choice(name)
    return name


DicomSeries = Annotated[
    str | None,
    typer.Option("--series", help="Which DICOM series to read: its number, or a part of its description."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.", callback=_known_device)]


def _known_precision(name: str) -> str:
    from ganlab.device import check_precision

    check_precision(name)
    return name


Precision = Annotated[
    str,
    typer.Option(
        help="auto, float32 or bfloat16; auto is bfloat16 where the hardware multiplies it natively.",
        callback=_known_precision,
    ),
]
Settings = Annotated[
    list[str], typer.Option("--set", help="Any other setting as NAME=VALUE, e.g. batch=128; may be repeated.")
]


def say(result: dict, as_json: bool, text: str | None = None) -> None:
    """Print a result as one JSON object, or as human-readable text."""
    if as_json:
        print(json.dumps(result))
    else:
        print(text if text is not None else "\n".join(f"{k}: {v}" for k, v in result.items()))


def progress_bar(label: str, silent: bool) -> Callable[[float], None] | None:
    """A callback for the share of work done, 0 to 1, that draws a bar on stderr; None if silent or stderr is not a
    terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if silent or not console.is_terminal:
        return None
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console)
    task = progress.add_task(label, total=1.0)

    def show(share: float) -> None:
        _display(progress)
        progress.update(task, completed=share)
        if share >= 1:
            stop_display()

    return show


_displayed: list[Progress] = []  # on the terminal: one at a time


def _display(progress: Progress) -> None:
    if progress not in _displayed:
        stop_display()
        progress.start()
        _displayed.append(progress)


def stop_display() -> None:
    """Stop drawing on the terminal, so that it scrolls again and shows its cursor."""
    while _displayed:
        _displayed.pop().stop()


def make_folder(folder: Path) -> None:
    """Create a folder for results if it does not exist. Raises InputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f'Folder "{folder}" cannot be created ({error.strerror}); choose another --out.') from error


def narrate(
    events: Iterable[Event], silent: bool, unit: str = "", log: Callable[[Event], None] | None = None
) -> dict[str, float]:
    """Print the progress of a training run: a bar with the losses on a terminal, elsewhere a line every 20 steps.

    log(event) is called with every event. Returns the last step's losses, each averaged over those of the last 100
    steps that have it: the first steps of a run may report different losses.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console()
    columns = (BarColumn(20), MofNCompleteColumn(), TextColumn("{task.fields[losses]}"), TimeRemainingColumn())
    progress = Progress(*columns, console=console)
    task = progress.add_task("training", total=None, losses="")
    recent: deque[dict[str, float]] = deque(maxlen=100)
    average: dict[str, float] = {}
    for event in events:
        if log:
            log(event)
        if event.kind != "step":
            if not silent:
                print(f"saved {event.path}", flush=True)
            continue
        recent.append(event.numbers)
        if event.step % 20 and event.step != event.steps:
            continue
        average = {name: mean(n[name] for n in recent if name in n) for name in event.numbers}
        losses = "  ".join(f"{k} {v:.4g}{' ' + unit if unit and k == 'l1' else ''}" for k, v in average.items())
        if not silent and console.is_terminal:
            _display(progress)
            progress.update(task, completed=event.step, total=event.steps, losses=losses)
        elif not silent:
            print(f"step {event.step}/{event.steps}  {losses}", flush=True)
    stop_display()
    return average
