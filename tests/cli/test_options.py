"""Options of commands, made from what a config declares."""

import json
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from ganlab.cli.options import with_options
from ganlab.errors import InputError
from ganlab.settings import Field, OneOf, frozen_config


@frozen_config
class Head:
    lesion: Annotated[str | None, OneOf(("tumour", "bleed"))] = Field(None, description="What the patient has.")
    skull_mm: float | None = Field(None, ge=3.0, le=12.0, unit="mm", description="Thickness of the skull.")
    defaced: bool = Field(False, description="Cut the face away.")
    sharp: bool = Field(True, description="Sharp kernel.")
    parts: tuple[str, ...] = Field((), description="Parts to draw.")
    seeds: int = Field(4, ge=1, le=9)


app = typer.Typer()


@app.command()
@with_options(Head, without=["seeds"])
def make(
    out: Annotated[Path, typer.Argument(help="Folder.")],
    head: Head,
    as_json: Annotated[bool, typer.Option("--json")] = False,
):
    """Make a head."""
    typer.echo(json.dumps([str(out), repr(head), as_json]))


def run(*words):
    result = CliRunner().invoke(app, words)
    return json.loads(result.output) if result.exit_code == 0 else result


def test_a_command_gets_the_config_made_of_its_options():
    assert run("out") == ["out", repr(Head()), False]
    words = "out --lesion bleed --skull-mm 4 --defaced --no-sharp --parts a --parts b --json"
    given = run(*words.split())
    assert given == ["out", repr(Head("bleed", 4.0, True, False, ("a", "b"))), True]


def test_the_help_shows_range_unit_and_choices():
    text = " ".join(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output.split())
    for words in ("Thickness of the skull, 3 to 12 mm.", "What the patient has: tumour, bleed.", "--no-sharp"):
        assert words in text
    assert "--seeds" not in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--skull-mm", "40"], "Skull mm is 40.0; give a number from 3 to 12 mm, or leave it out."),
        (["--lesion", "cyst"], 'Lesion is "cyst"; give one of tumour, bleed, or leave it out.'),
    ],
)
def test_a_refused_option_shows_the_error_of_its_config(words, sentence):
    error = CliRunner().invoke(app, ["out", *words]).exception
    assert isinstance(error, InputError) and str(error) == sentence
