"""The `ganlab` command, assembled from the other files of this package; `python -m ganlab` is the same."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

import ganlab
from ganlab.cli.benchmark import benchmark
from ganlab.cli.console import stop_display
from ganlab.cli.cycle import cycle
from ganlab.cli.experiment import experiment
from ganlab.cli.generate import evaluate_generator, generate, stimuli
from ganlab.cli.info import info, models, serve_app
from ganlab.cli.phantom import nodules, phantom
from ganlab.cli.study import study
from ganlab.cli.toy import toy
from ganlab.cli.train import train
from ganlab.cli.translate import calibrate, evaluate, evaluate_models, list_series, translate
from ganlab.errors import InputError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=ganlab.__doc__)

app.command(name="app")(serve_app)
COMMANDS: list[Callable] = [info, models, toy, phantom, nodules, list_series, translate, evaluate, evaluate_models]
COMMANDS += [calibrate, cycle, generate, evaluate_generator, stimuli, train, experiment, benchmark]
for command in COMMANDS:
    app.command()(command)
app.add_typer(study, name="study")


def main() -> None:
    """Run a command; invalid input ends in one sentence on stderr and exit code 2."""
    try:
        sys.exit(app(standalone_mode=False))
    except InputError as error:
        print(error, file=sys.stderr)
    except typer.TyperException as error:
        if message := error.format_message().rstrip("."):  # empty where the help was printed instead
            print(f"{message}.", file=sys.stderr)
    finally:
        stop_display()
    sys.exit(2)


def print_version(wanted: bool) -> None:
    """Print "ganlab" and its version and exit, if wanted."""
    if wanted:
        print(f"ganlab {ganlab.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of the command itself."""
