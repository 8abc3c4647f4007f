"""Commands run in this process, as the shell would run them."""

import sys

import pytest

from ganlab.cli.main import main


@pytest.fixture
def run(monkeypatch, capsys):
    """run("command", ...) -> (exit code, stdout, stderr)"""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["ganlab", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return end.value.code or 0, out, err

    return call


@pytest.fixture
def refuse(run, tmp_path, monkeypatch):
    """refuse("command", ...) -> the one sentence on stderr of a command that exits with 2 and writes nothing."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        code, out, err = run(*arguments)
        assert (code, out) == (2, "") and not list(tmp_path.iterdir())
        (sentence,) = err.splitlines()
        assert sentence.endswith(".")
        return sentence

    return call
