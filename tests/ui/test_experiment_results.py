"""What experiments found, on the page: only what is there, and nothing but that."""

import gradio as gr
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ganlab.experiments import EXPERIMENTS
from ganlab.ui import experiment_results as findings


@pytest.fixture
def one(tmp_path, monkeypatch):
    """The results of one experiment, made up."""
    folder = tmp_path / "hallucination"
    folder.mkdir()
    (folder / "result.md").write_text("| arm |\n|---|\n| balanced |\n")
    (folder / "figure.png").write_bytes(b"\x89PNG picture")
    monkeypatch.setattr(findings, "FINDINGS", tmp_path)


def test_a_section_holds_words_figure_and_table(one):
    (section,) = findings.found()
    with gr.Blocks() as demo:
        findings.build(section)
    shown = [block.value for block in demo.blocks.values() if getattr(block, "value", None)]
    page = "\n".join(value for value in shown if isinstance(value, str))
    assert "balanced" in page and "Warning" in page and "ganlab experiment hallucination" in page
    assert f"src='{findings.FIGURES}/hallucination/figure.png'" in page


def test_its_figure_is_served_and_no_other_file(one):
    client = TestClient(Starlette(routes=findings.routes()))
    got = client.get(f"/{findings.FIGURES}/hallucination/figure.png")
    assert got.status_code == 200 and got.content == b"\x89PNG picture"
    for name in ("paired-vs-unpaired/figure", "..%2fhallucination/figure", "hallucination/result"):
        assert client.get(f"/{findings.FIGURES}/{name}.png").status_code == 404


def test_every_experiment_has_a_section_with_words():
    assert {section.experiment for section in findings.SECTIONS} == set(EXPERIMENTS)
    for section in findings.SECTIONS:
        words = findings.WORDS / f"finding-{section.words or section.experiment}.md"
        assert words.read_text(encoding="utf-8").strip()
