"""`ganlab train PRESET`: a translator, a generator from noise, or the features that generators are measured by."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ganlab.cli.console import Device, Json, Settings, narrate, progress_bar, say
from ganlab.errors import InputError


def train(
    preset: Annotated[
        str,
        typer.Argument(
            help="A translator: mr2ct-unet, ct2mr-unet, t1fa-unet, mr2ct-pix2pix, ct2mr-pix2pix, t1fa-pix2pix, "
            "mr2ct-cyclegan, mr2ct-cyclegan-structure, mr2ct-cyclegan-plain, t1fa-cyclegan or mr2ct-wolterink; "
            "a generator from noise: dcgan-digits, dcgan-nodules, dcgan-nodules-plain, dcgan-brain, dcgan-brain-128, "
            "dcgan-brain-ct, dcgan-brain-fa, fc-digits or fc-nodules; the features that generators are measured by: "
            "features-digits, features-nodules, features-own-64, ..."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Folder for checkpoints; runs/PRESET by default.")] = None,
    resume: Annotated[bool, typer.Option(help="Continue from the last checkpoint.")] = False,
    steps: Annotated[int | None, typer.Option(help="Total number of steps.", min=1)] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Save and stop after this many minutes; continue with --resume.", min=0)
    ] = None,
    start: Annotated[str | None, typer.Option(help="Model to initialise the weights from.")] = None,
    source: Annotated[Path | None, typer.Option(help="Folder of your own volumes, or images, to learn from.")] = None,
    target: Annotated[
        Path | None,
        typer.Option(help="Folder of the target volumes; same file names as the sources, except for cyclegan."),
    ] = None,
    anatomy: Annotated[
        Path | None,
        typer.Option(help="Folder of CT heads, in HU: patients with their anatomy are mixed with the phantoms."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Worker processes that make slices.", min=0)] = 1,
    board: Annotated[bool, typer.Option("--tensorboard", help="Write OUT/tensorboard as well.")] = False,
    setting: Settings = [],  # noqa: B006
    as_json: Json = False,
    seed: Annotated[int | None, typer.Option(help="Seed to use instead of the preset's.")] = None,
    device: Device = "auto",
) -> None:
    """Train a model on phantoms, which are made as it runs, or on your own volumes or images.

    SIGINT (Ctrl-C) and SIGTERM save and stop it after the current step; --resume continues from there.

    On several GPUs or machines: accelerate launch -m ganlab train ...
    """
    from ganlab.device import resolve
    from ganlab.generation.features import FEATURES
    from ganlab.processes import rank
    from ganlab.settings import parse_settings
    from ganlab.training_plan import plan_training

    out, silent = out or Path("runs") / preset, as_json or rank() > 0
    if preset.startswith(FEATURES):
        if setting or minutes is not None:
            raise InputError(f"{preset} has fixed settings and trains in minutes: omit --set and --minutes.")
        say(_train_features(preset, out, resolve(device), steps, source, silent), as_json)
        return
    plan = plan_training(
        preset,
        parse_settings(setting),
        steps=steps,
        seed=seed,
        start=start,
        source=source,
        target=target,
        anatomy=anatomy,
        workers=workers,
        progress=progress_bar("data", silent),
    )
    for notice in plan.notices:
        print(notice, file=sys.stderr)
    _run(partial(plan.run, out, resolve(device), resume), out, plan.steps, minutes, plan.unit, board, as_json)


def _run(begin: Callable, out: Path, steps: int, minutes: float | None, unit: str, board: bool, as_json: bool) -> None:
    """Print the events of begin(stop=stop); if a signal stopped it, exit with the signal's code."""
    from ganlab.checkpoints import read_card
    from ganlab.processes import rank
    from ganlab.training import stopping, tensorboard

    log = tensorboard(out / "tensorboard") if board and rank() == 0 else None
    with stopping(minutes) as stop:
        average = narrate(begin(stop=stop), as_json or rank() > 0, unit, log)
        code = stop()
    if rank():
        return
    reached = read_card(out)["steps"]
    done = reached >= steps
    result = {"out": str(out), "steps": reached} | {k: v for k, v in average.items() if k != "rate"}
    say(
        result,
        as_json,
        f"{out}: done, {reached} steps" if done else f"Stopped at step {reached}; continue with --resume.",
    )
    if not done:
        raise typer.Exit(code or 0)


def _train_features(preset: str, out: Path, device: str, steps: int | None, source: Path | None, silent: bool) -> dict:
    from ganlab.generation.feature_training import train_features
    from ganlab.generation.features import FEATURES
    from ganlab.generation.image_kinds import OWN, get_kind
    from ganlab.generation.own_images import own_kind

    kind = get_kind(preset.removeprefix(FEATURES))
    if source and not kind.name.startswith(OWN):
        raise InputError(f"{preset} is trained on generated images: omit --source.")
    if source:
        kind, notices = own_kind(source, kind.size, progress_bar("images", silent))
        for notice in notices:
            print(notice, file=sys.stderr)
    card = train_features(kind, out, device, steps or 1200, progress=progress_bar(preset, silent))
    return {"out": str(out), **card["metrics"]}
