"""python -m ganlab ...: parses and prints; the work is done elsewhere."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ganlab.cli.console import Device, Json, Seed, say
from ganlab.cli.cycle import cycle
from ganlab.cli.experiment import experiment
from ganlab.cli.generate import evaluate_generator, generate, stimuli
from ganlab.cli.phantom import nodules, phantom
from ganlab.cli.study import study
from ganlab.cli.toy import toy
from ganlab.cli.train import train
from ganlab.cli.translate import evaluate, evaluate_models, translate
from ganlab.errors import InputError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


def main() -> None:
    """Run a command; a user's mistake ends in one sentence on stderr and exit code 2."""
    try:
        sys.exit(app(standalone_mode=False))
    except InputError as error:
        print(error, file=sys.stderr)
    except typer.TyperException as error:
        if message := error.format_message().rstrip("."):  # empty where the help was printed instead
            print(f"{message}.", file=sys.stderr)
    sys.exit(2)


@app.command()
def info(as_json: Json = False, seed: Seed = 0, device: Device = "auto") -> None:
    """Versions, device and threads of this machine."""
    import ganlab
    from ganlab.device import describe, resolve

    say({"ganlab": ganlab.__version__, **describe(), "device": resolve(device)}, as_json)


@app.command()
def models(as_json: Json = False, seed: Seed = 0, device: Device = "auto") -> None:
    """Pretrained models and what their cards say."""
    from ganlab.checkpoints import list_models

    cards = list_models()
    text = "\n".join(f"{c['name']:<16} {c['task']:<8} {c['parameters']:>10,} parameters  {c['summary']}" for c in cards)
    say({"models": cards}, as_json, text or "No pretrained models.")


for command in (
    train,
    experiment,
    toy,
    phantom,
    translate,
    evaluate,
    evaluate_models,
    cycle,
    nodules,
    generate,
    stimuli,
    evaluate_generator,
):
    app.command()(command)
app.add_typer(study, name="study")


@app.command()
def benchmark(
    name: Annotated[str, typer.Argument(help="translate, train, toy, dcgan, live (the page in a browser) or study.")],
    slices: Annotated[int, typer.Option(help="translate: 256x256 slices per round.", min=1, max=512)] = 8,
    rounds: Annotated[int, typer.Option(help="Alternations of ours and the textbook way.", min=1, max=100)] = 3,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Our way and the textbook way in one run, alternating; prints the ratio."""
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
