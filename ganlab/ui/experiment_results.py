"""What the experiments found, as pages show it: words, the figure and the table that `ganlab experiment` wrote."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import NamedTuple

import gradio as gr
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from ganlab.ui.components import ASSETS

FINDINGS = ASSETS / "experiments"  # NAME/figure.png, result.md and more, as an experiment leaves them
FIGURES = "gradio_api/ganlab/figures"  # relative, so that it holds behind a proxy's prefix
WORDS = Path(__file__).parent  # finding-NAME.md


class Finding(NamedTuple):
    """A section: its title, the experiment, and the names of its files there; words: of finding-WORDS.md."""

    title: str
    experiment: str
    figure: str = "figure"
    table: str = "result"
    words: str = ""


CYCLE = (
    Finding("Consistent and wrong: a cycle that closes over a skull in the wrong place", "paired-vs-unpaired", "cycles",
            "cycles", "consistent-and-wrong"),
    Finding("Experiment: aligned pairs, misaligned pairs, no pairs", "paired-vs-unpaired"),
    Finding("Experiment: lesions that appear and vanish", "hallucination"),
)  # fmt: skip
GENERATE = (Finding("Experiment: fully connected, DCGAN, conditional", "generators"),)
SECTIONS = CYCLE + GENERATE


def found(sections: tuple[Finding, ...] = SECTIONS) -> list[Finding]:
    """Those of the sections whose results are here."""
    return [s for s in sections if (FINDINGS / s.experiment / f"{s.figure}.png").is_file()]


def build(section: Finding) -> None:
    """Add a closed section with words, figure and table to the page that is being built."""
    name = section.words or section.experiment
    folder, words = FINDINGS / section.experiment, (WORDS / f"finding-{name}.md").read_text(encoding="utf-8")
    address = f"{FIGURES}/{section.experiment}/{section.figure}.png"
    picture = f"<img class='gl-finding' loading='lazy' src='{address}' alt='{escape(section.title)}'>"
    with gr.Accordion(section.title, open=False, elem_id=f"finding-{name}"):
        gr.Markdown(words)
        gr.HTML(picture, apply_default_css=False)
        gr.Markdown((folder / f"{section.table}.md").read_text(encoding="utf-8"))
        gr.Markdown(f"Again, from nothing: `python -m ganlab experiment {section.experiment}`.")


def serve(request: Request) -> Response:
    wanted = (request.path_params["experiment"], request.path_params["figure"])
    if wanted not in {(section.experiment, section.figure) for section in found()}:
        return PlainTextResponse("There is no such figure.", status_code=404)
    return FileResponse(FINDINGS / wanted[0] / f"{wanted[1]}.png", headers={"Cache-Control": "public, max-age=3600"})


def routes() -> list[Route]:
    return [Route(f"/{FIGURES}/{{experiment}}/{{figure}}.png", serve)]
