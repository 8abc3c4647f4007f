import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ganlab import processes
from ganlab.translation.methods import METHODS
from ganlab.translation.networks import PatchGANConfig, ResNetConfig
from ganlab.translation.training_config import TrainingConfig

pytestmark = pytest.mark.slow

SCRIPT = """
import json, torch
from ganlab import processes
from ganlab.translation.methods import METHODS
from tests.test_processes import step_of
torch.set_num_threads(1)
norms = {method: step_of(method, processes.rank(), processes.count()) for method in METHODS}
print(json.dumps(norms | {"largest": processes.largest(130 * processes.rank() - 1)}))
"""


def step_of(method: str, rank: int, count: int) -> dict[str, float]:
    """The norms of all gradients and of all weights after one step on this process's share of a batch of four."""
    config = TrainingConfig(
        method=method,
        network=ResNetConfig(width=4, blocks=1),
        discriminator=PatchGANConfig(width=4, layers=1, channels=2 if method == "pix2pix" else 1),
        pool=0,
    )
    torch.manual_seed(0)
    trained = METHODS[method](config, "cpu")
    images = torch.randn((2, 4, 1, 32, 32), generator=torch.Generator().manual_seed(1))
    share = slice(rank * 4 // count, (rank + 1) * 4 // count)
    trained.step(images[0, share], images[1, share], 0)
    norms = {}
    for name, net in trained.nets.items():
        norms[f"{name} gradients"] = sum(p.grad.double().norm().item() for p in net.parameters())
        norms[f"{name} weights"] = sum(p.detach().double().norm().item() for p in net.parameters())
    return norms


def test_two_processes_take_the_step_of_one_with_both_batches():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    team = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_WORLD_SIZE": "2"}
    team |= {"PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | team | {"RANK": str(k), "LOCAL_RANK": str(k)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for k in range(2)
    ]
    answers = []
    for process in started:
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        answers.append(json.loads(out.strip().splitlines()[-1]))
    assert [answer["largest"] for answer in answers] == [129, 129]  # if one process gets a signal, all stop
    for method in METHODS:
        ours, theirs = (answer[method] for answer in answers)
        assert ours == pytest.approx(theirs, rel=1e-9)
        alone = step_of(method, 0, 1)
        for name, norm in alone.items():
            # Adam's first step is the gradient's sign, whose sign rounding may flip if the gradient is nearly 0
            assert ours[name] == pytest.approx(norm, rel=1e-5 if "gradients" in name else 1e-3)
        apart = step_of(method, 0, 2)  # half of the slices, without averaging
        assert any(abs(apart[k] - alone[k]) > 1e-2 * abs(alone[k]) for k in alone if "gradients" in k)


def test_a_single_process_does_not_load_accelerate():
    assert (processes.rank(), processes.count()) == (0, 1)
    gradient = torch.ones(3)
    processes.average([gradient])
    processes.wait()
    assert processes.largest(-1) == -1
    with processes.first_alone():
        assert gradient.tolist() == [1, 1, 1]
    assert "accelerate" not in sys.modules
