"""Results of the experiments as sections of pages: a text, and the figure and table that `ganlab experiment` wrote."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import NamedTuple

import gradio as gr
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from ganlab.ui.components import ASSETS

RESULTS = ASSETS / "experiments"  # NAME/figure.png, result.md and more, as an experiment writes them
TEXTS = Path(__file__).parent / "experiment_texts"
FIGURES = "gradio_api/ganlab/figures"  # relative, so that it works behind a proxy's prefix


class ExperimentResult(NamedTuple):
    """A section about an experiment: figure.png and table.md are files of its results, text is TEXTS/text.md (by
    default named as the experiment)."""

    title: str
    experiment: str
    figure: str = "figure"
    table: str = "result"
    text: str = ""

    @property
    def name(self) -> str:
        return self.text or self.experiment


CYCLE = (
    ExperimentResult(
        "Consistent but wrong: a cycle closes over a skull in the wrong place", "paired-vs-unpaired", "cycles",
        "cycles", "consistent-and-wrong",
    ),
    ExperimentResult("Experiment: aligned pairs, misaligned pairs, no pairs", "paired-vs-unpaired"),
    ExperimentResult("Experiment: lesions that appear and vanish", "hallucination"),
)  # fmt: skip
GENERATE = (ExperimentResult("Experiment: fully connected, DCGAN, conditional", "generators"),)
ALL = CYCLE + GENERATE


def available(results: tuple[ExperimentResult, ...] = ALL) -> list[ExperimentResult]:
    """The results whose figures exist."""
    return [r for r in results if (RESULTS / r.experiment / f"{r.figure}.png").is_file()]


def build(result: ExperimentResult) -> None:
    """Add a closed section with text, figure and table to the page that is being built."""
    text = (TEXTS / f"{result.name}.md").read_text(encoding="utf-8")
    table = (RESULTS / result.experiment / f"{result.table}.md").read_text(encoding="utf-8")
    address = f"{FIGURES}/{result.experiment}/{result.figure}.png"
    picture = f"<img class='gl-experiment' loading='lazy' src='{address}' alt='{escape(result.title)}'>"
    with gr.Accordion(result.title, open=False, elem_id=f"experiment-{result.name}"):
        gr.Markdown(text)
        gr.HTML(picture, apply_default_css=False)
        gr.Markdown(table)
        gr.Markdown(f"To repeat it: `python -m ganlab experiment {result.experiment}`.")


def serve(request: Request) -> Response:
    """Serve a result's figure; any other path is a 404."""
    names = (request.path_params["experiment"], request.path_params["figure"])
    if names not in {(result.experiment, result.figure) for result in available()}:
        return PlainTextResponse("There is no such figure.", status_code=404)
    return FileResponse(RESULTS / names[0] / f"{names[1]}.png", headers={"Cache-Control": "public, max-age=3600"})


def routes() -> list[Route]:
    """GET FIGURES/EXPERIMENT/FIGURE.png, see `serve`."""
    return [Route(f"/{FIGURES}/{{experiment}}/{{figure}}.png", serve)]
