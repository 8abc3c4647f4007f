"""README and docs: their commands exist, their links work, their Python runs."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from ganlab.cli.main import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language=""):
    """Code blocks of all pages, of one language."""
    for page in PAGES:
        yield from re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_every_command_and_option_in_the_docs_exists():
    root = typer.main.get_command(app)
    lines = [line for block in blocks() for line in block.splitlines() if line.startswith("ganlab ")]
    assert len(lines) > 50
    for line in lines:
        command, words = root, shlex.split(line, comments=True)[1:]
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        known = {name for parameter in command.params for name in parameter.opts} | {"--help", "--version"}
        assert command is not root or words == ["--version"], line
        assert {word for word in words if word.startswith("--")} <= known, line


def test_links_lead_to_files():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.slow
def test_the_readme_is_short_and_its_python_runs(tmp_path, monkeypatch, capsys):
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 900
    monkeypatch.chdir(tmp_path)
    script = next(blocks("python"))
    quick = script.replace("seed=9000", "seed=9000, spacing=4").replace('"mr2ct")', '"mr2ct", planes=["axial"])')
    exec(quick, {})
    assert 0 < float(capsys.readouterr().out) < 200 and (tmp_path / "ct.nii.gz").is_file()
