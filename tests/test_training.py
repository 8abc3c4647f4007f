"""The shared training code: stopping on a signal or after some minutes, averaged weights, the learning rate."""

import dataclasses
import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.optim.lr_scheduler import ConstantLR, LinearLR, SequentialLR

from ganlab.checkpoints import load_tensors, read_card, save_tensors
from ganlab.errors import InputError
from ganlab.generation.config import GanConfig, NetworkConfig
from ganlab.generation.presets import get_preset as get_generator
from ganlab.generation.trainer import train as train_generator
from ganlab.training import STATE_VERSION, averaged, ignore_first_signal, learning_rate, stopping
from ganlab.translation.networks import UNet, UNetConfig
from ganlab.translation.presets import PRESETS
from ganlab.translation.trainer import train
from ganlab.translation.training_config import TrainingConfig

ROOT = Path(__file__).parents[1]
TINY = TrainingConfig(network=UNetConfig(widths=(4, 6)), steps=10_000, batch=2, size=32, epoch=30)
DIGITS = get_generator("dcgan-digits", steps=10_000)
SCRIPT = f"""
import sys
from ganlab.cli.main import main
from ganlab.translation.training_config import TrainingConfig
from ganlab.translation.networks import PatchGANConfig, UNetConfig
from ganlab.translation.presets import PRESETS
PRESETS["tiny"] = {TINY!r}
sys.argv[0] = "ganlab"
main()
"""


def start(*words):
    """`ganlab train ...` in a separate process and process group, with TINY among the presets."""
    command = [sys.executable, "-u", "-c", SCRIPT, "train", *map(str, words), "--device", "cpu"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, start_new_session=True, **pipes)


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "number"), [("tiny", signal.SIGTERM), ("dcgan-digits", signal.SIGINT)])
def test_a_training_stopped_by_a_signal_resumes_exactly(tmp_path, preset, number):
    def losses(out, first, last, **how):
        """Losses of the steps from one to another."""
        run = partial(train_generator, DIGITS) if preset == "dcgan-digits" else partial(train, TINY, workers=1)
        with closing(run(out=out, device="cpu", **how)) as events:
            numbers = (e.numbers for e in events if e.kind == "step")
            return list(itertools.islice(numbers, first, last))

    with start(preset, "--steps", DIGITS.steps, "--out", tmp_path / "cut") as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("step 20/"), line + process.stderr.read()
            os.killpg(process.pid, number)  # as a terminal does: its workers receive it as well
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    reached = read_card(tmp_path / "cut")["steps"]
    assert process.returncode == 128 + number and not err
    assert reached >= 20 and out.splitlines()[-1] == f"Stopped at step {reached}; continue with --resume."
    assert load_tensors(tmp_path / "cut" / "state.safetensors")[1]["step"] == reached
    expected = losses(tmp_path / "whole", reached, reached + 3)
    assert losses(tmp_path / "cut", 0, 3, resume=True) == expected


def test_minutes_stop_a_training_without_changing_its_schedule(tmp_path, monkeypatch, capsys):
    from ganlab.cli.main import main

    monkeypatch.setitem(PRESETS, "tiny", TINY)
    words = ["ganlab", "train", "tiny", "--out", str(tmp_path), "--workers", "0", "--device", "cpu", "--json"]
    monkeypatch.setattr(sys, "argv", [*words, "--minutes", "0"])
    with pytest.raises(SystemExit) as end:
        main()
    result = json.loads(capsys.readouterr().out)
    assert not end.value.code and result["steps"] == 1
    facts = load_tensors(tmp_path / "state.safetensors")[1]
    assert facts["step"] == 1 and facts["config"]["steps"] == TINY.steps


def test_signals_are_caught_once_and_their_handlers_restored(monkeypatch):
    usual = signal.getsignal(signal.SIGTERM)
    with stopping() as stop:
        assert signal.getsignal(signal.SIGTERM) == usual  # nothing to save before the first step
        assert stop() is None and signal.getsignal(signal.SIGTERM) != usual
        signal.raise_signal(signal.SIGTERM)
        assert stop() == 143 and signal.getsignal(signal.SIGTERM) == usual
    with stopping() as stop:
        stop()
    assert signal.getsignal(signal.SIGTERM) == usual
    handlers = [(signum, signal.getsignal(signum)) for signum in (signal.SIGINT, signal.SIGTERM)]
    ignore_first_signal()
    signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    for signum, handler in handlers:
        signal.signal(signum, handler)


def test_averaged_weights_follow_the_ema_formula_with_warm_up():
    torch.manual_seed(0)
    net, horizon = UNet(UNetConfig(widths=(4, 6))), 4
    average = averaged(net, horizon)
    expected = {name: value.clone() for name, value in net.state_dict().items()}
    for step in range(30):
        net(torch.randn(2, 1, 16, 16))  # moves the running statistics
        with torch.no_grad():
            for p in net.parameters():
                p.add_(torch.randn_like(p))
        average.update_parameters(net)
        for name, value in net.state_dict().items():
            if value.is_floating_point():
                expected[name].lerp_(value, 1 / min(horizon, 1 + step / 5))
            else:
                expected[name] = value.clone()
    state = average.module.state_dict()
    assert state.keys() == expected.keys() and not average.module.training
    assert all(torch.equal(state[name], value) for name, value in expected.items())


def test_learning_rate_is_that_of_torchs_schedulers():
    steps, warmup, decay, peak = 1000, 100, 0.25, 2e-3
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=peak)
    falling = int(decay * steps)
    schedule = SequentialLR(
        optimizer,
        [
            LinearLR(optimizer, 1 / warmup, 1.0, warmup - 1),
            ConstantLR(optimizer, 1.0),
            LinearLR(optimizer, 1.0, 1e-12, falling),
        ],
        [warmup, steps - falling],
    )
    for step in range(steps):
        assert learning_rate(step, steps, peak, warmup, decay) == pytest.approx(schedule.get_last_lr()[0], rel=1e-6)
        optimizer.step()
        schedule.step()


def test_refuses_to_resume_a_state_of_another_version(tmp_path):
    list(train(dataclasses.replace(TINY, steps=1), tmp_path, "cpu", workers=0))
    tensors, facts = load_tensors(tmp_path / "state.safetensors")
    save_tensors(tmp_path / "state.safetensors", tensors, facts | {"version": STATE_VERSION + 1})
    with pytest.raises(InputError, match=r"another version of ganlab \(state version 2, this one reads 1\)"):
        list(train(TINY, tmp_path, "cpu", resume=True, workers=0))


@pytest.mark.parametrize("kind", ["l1", "dcgan"])
def test_training_runs_of_earlier_versions_resume(tmp_path, kind):
    """States of step 2, written before states had a version."""
    if kind == "l1":
        settings = {"decay": 0.25, "frozen": 0.0625}  # the defaults of then
        run = partial(train, dataclasses.replace(TINY, steps=6, epoch=2, **settings), workers=0)
    else:
        network = NetworkConfig(size=16, z=10, width=4, classes=10)
        config = GanConfig(
            data="digits", network=network, batch=8, steps=6, epoch=2, horizon=5, augment=("flip",), r1=1
        )
        run = partial(train_generator, config)
    shutil.copy(Path(__file__).parent / "data" / f"state-{kind}.safetensors", tmp_path / "state.safetensors")
    assert "version" not in load_tensors(tmp_path / "state.safetensors")[1]
    steps = [event for event in run(out=tmp_path, device="cpu", resume=True) if event.kind == "step"]
    assert [event.step for event in steps] == [3, 4, 5, 6]
    assert all(math.isfinite(value) for event in steps for value in event.numbers.values())
    assert load_tensors(tmp_path / "state.safetensors")[1]["version"] == STATE_VERSION
