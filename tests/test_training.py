"""Trainings that are asked to stop: by a signal, by the clock."""

import itertools
import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from ganlab.checkpoints import load_tensors, read_card
from ganlab.generation.presets import get_preset as get_generator
from ganlab.generation.trainer import train as train_generator
from ganlab.training import bear_signals, stopping
from ganlab.translation.methods import TrainingConfig
from ganlab.translation.networks import UNetConfig
from ganlab.translation.presets import PRESETS
from ganlab.translation.trainer import train

ROOT = Path(__file__).parents[1]
TINY = TrainingConfig(network=UNetConfig(widths=(4, 6)), steps=10_000, batch=2, size=32, epoch=30)
DIGITS = get_generator("dcgan-digits", steps=10_000)
SCRIPT = f"""
import sys
from ganlab.cli.main import main
from ganlab.translation.methods import TrainingConfig
from ganlab.translation.networks import PatchGANConfig, UNetConfig
from ganlab.translation.presets import PRESETS
PRESETS["tiny"] = {TINY!r}
sys.argv[0] = "ganlab"
main()
"""


def start(*words):
    """`ganlab train ...` in a process, and a group, of its own, with TINY among the presets."""
    command = [sys.executable, "-u", "-c", SCRIPT, "train", *map(str, words), "--device", "cpu"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, start_new_session=True, **pipes)


@pytest.mark.parametrize(("preset", "number"), [("tiny", signal.SIGTERM), ("dcgan-digits", signal.SIGINT)])
def test_a_signal_saves_and_stops_and_resuming_gives_the_losses_of_a_run_without_a_break(tmp_path, preset, number):
    def losses(out, first, last, **how):
        """Of the steps from one to another."""
        run = partial(train_generator, DIGITS) if preset == "dcgan-digits" else partial(train, TINY, workers=1)
        with closing(run(out=out, device="cpu", **how)) as events:
            numbers = (e.numbers for e in events if e.kind == "step")
            return list(itertools.islice(numbers, first, last))

    with start(preset, "--steps", DIGITS.steps, "--out", tmp_path / "cut") as process:
        try:
            said = process.stdout.readline()
            assert said.startswith("step 20/"), said + process.stderr.read()
            os.killpg(process.pid, number)  # as a terminal does: its helpers get it as well
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    reached = read_card(tmp_path / "cut")["steps"]
    assert process.returncode == 128 + number and not err
    assert reached >= 20 and out.splitlines()[-1] == f"Stopped at step {reached}; --resume goes on."
    assert load_tensors(tmp_path / "cut" / "state.safetensors")[1]["step"] == reached
    expected = losses(tmp_path / "whole", reached, reached + 3)
    assert losses(tmp_path / "cut", 0, 3, resume=True) == expected


def test_minutes_stop_a_training_and_leave_its_schedule(tmp_path, monkeypatch, capsys):
    from ganlab.cli.main import main

    monkeypatch.setitem(PRESETS, "tiny", TINY)
    words = ["ganlab", "train", "tiny", "--out", str(tmp_path), "--workers", "0", "--device", "cpu", "--json"]
    monkeypatch.setattr(sys, "argv", [*words, "--minutes", "0"])
    with pytest.raises(SystemExit) as end:
        main()
    said = json.loads(capsys.readouterr().out)
    assert not end.value.code and said["steps"] == 1
    facts = load_tensors(tmp_path / "state.safetensors")[1]
    assert facts["step"] == 1 and facts["config"]["steps"] == TINY.steps


def test_signals_are_caught_once_and_given_back(monkeypatch):
    usual = signal.getsignal(signal.SIGTERM)
    with stopping() as stop:
        assert signal.getsignal(signal.SIGTERM) == usual  # nothing to save before the first step
        assert stop() is None and signal.getsignal(signal.SIGTERM) != usual
        signal.raise_signal(signal.SIGTERM)
        assert stop() == 143 and signal.getsignal(signal.SIGTERM) == usual
    with stopping() as stop:
        stop()
    assert signal.getsignal(signal.SIGTERM) == usual
    kept = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    bear_signals()
    signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    for number, handler in kept:
        signal.signal(number, handler)
