"""Results of experiments on the pages: existing results are shown, and no other file is served."""

import gradio as gr
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ganlab.experiments import EXPERIMENTS
from ganlab.ui import experiment_results


@pytest.fixture
def hallucination(tmp_path, monkeypatch):
    """Made-up results of one experiment."""
    folder = tmp_path / "hallucination"
    folder.mkdir()
    (folder / "result.md").write_text("| arm |\n|---|\n| balanced |\n")
    (folder / "figure.png").write_bytes(b"\x89PNG picture")
    monkeypatch.setattr(experiment_results, "RESULTS", tmp_path)


def test_a_section_has_text_figure_and_table(hallucination):
    (result,) = experiment_results.available()
    with gr.Blocks() as demo:
        experiment_results.build(result)
    shown = [block.value for block in demo.blocks.values() if getattr(block, "value", None)]
    page = "\n".join(value for value in shown if isinstance(value, str))
    assert "balanced" in page and "Warning" in page and "ganlab experiment hallucination" in page
    assert f"src='{experiment_results.FIGURES}/hallucination/figure.png'" in page


def test_the_figure_is_served_and_no_other_file(hallucination):
    client = TestClient(Starlette(routes=experiment_results.routes()))
    response = client.get(f"/{experiment_results.FIGURES}/hallucination/figure.png")
    assert response.status_code == 200 and response.content == b"\x89PNG picture"
    for name in ("paired-vs-unpaired/figure", "..%2fhallucination/figure", "hallucination/result"):
        assert client.get(f"/{experiment_results.FIGURES}/{name}.png").status_code == 404


def test_every_experiment_has_a_section_with_a_text():
    assert {result.experiment for result in experiment_results.ALL} == set(EXPERIMENTS)
    for result in experiment_results.ALL:
        assert (experiment_results.TEXTS / f"{result.name}.md").read_text(encoding="utf-8").strip()
