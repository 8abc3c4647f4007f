"""The exported script runs without ganlab and reproduces the run; saved sessions are restored exactly."""

import ast
import json
import subprocess
import sys
from dataclasses import replace
from types import ModuleType

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from ganlab.checkpoints import save_tensors
from ganlab.errors import InputError
from ganlab.toy.config import Config, Network
from ganlab.toy.distributions import DISTRIBUTIONS, from_picture, from_points
from ganlab.toy.export import MODULES, ROOT, export_script
from ganlab.toy.session import Session
from ganlab.toy.session_io import link_text, load, save

SMALL = Network(layers=1, units=8)
TINY = Config(generator=SMALL, discriminator=SMALL, batch=8)


def parameters(session):
    return torch.cat([torch.cat([g.flat_g, g.flat_d], 1) for g in session.games])


def eventful():
    session = Session((TINY, replace(TINY, objective="wgan-gp")), drawn=torch.rand(30, 2).round(decimals=3))
    session.advance(12)
    session.change(which=1, rate_g=5e-3)
    session.single("d")
    session.advance(9)
    return session


@pytest.mark.slow
def test_the_script_runs_alone_and_repeats_the_run(tmp_path):
    session = eventful()
    script = tmp_path / "gan.py"
    script.write_text(export_script(session))
    blocked = "import sys; sys.modules['ganlab'] = None; sys.argv = ['gan.py']; import runpy; "
    done = subprocess.run(
        [sys.executable, "-c", blocked + "runpy.run_path('gan.py', run_name='__main__')"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for game in session.games:
        total = float(game.flat_g.double().sum() + game.flat_d.double().sum())
        assert f"step {session.steps}, sum of parameters {total!r}" in done.stdout
    assert (tmp_path / "gan.png").stat().st_size > 5000


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_scripts_repeat_the_run_on_all_data(name, monkeypatch):
    session = Session((replace(TINY, data=name),))
    session.advance(3)
    script = ModuleType("script")
    monkeypatch.setitem(sys.modules, "script", script)
    exec(compile(export_script(session), "script.py", "exec"), script.__dict__)
    games = script.play(script.STEPS)
    assert torch.equal(torch.cat([games[0].flat_g, games[0].flat_d], 1), parameters(session))


def test_modules_of_the_script_do_not_redefine_names():
    names = []
    for module in MODULES:
        for node in ast.parse((ROOT / f"{module}.py").read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.append(node.name)
            elif isinstance(node, ast.Assign):
                names += [t.id for t in ast.walk(node.targets[0]) if isinstance(t, ast.Name)]
            elif isinstance(node, ast.AnnAssign):
                names.append(node.target.id)
    assert sorted(names) == sorted(set(names))


def test_a_saved_session_continues_and_rewinds_exactly(tmp_path):
    session = eventful()
    save(session, tmp_path / "s.safetensors")
    again = load(tmp_path / "s.safetensors")
    assert again.steps == session.steps and torch.equal(parameters(again), parameters(session))
    assert link_text(again) == link_text(session)
    for s in (session, again):
        s.advance(20)
    assert torch.equal(parameters(again), parameters(session))
    for s in (session, again):
        s.rewind(7)
    assert torch.equal(parameters(again), parameters(session))


@pytest.mark.parametrize(
    "data",
    [
        from_points(torch.randn((50, 2), generator=torch.Generator().manual_seed(0)), torch.arange(50) % 3),
        from_picture(torch.rand((9, 12), generator=torch.Generator().manual_seed(0))),
    ],
    ids=["points", "picture"],
)
def test_data_from_a_file_is_saved_with_the_session(tmp_path, data):
    session = Session((TINY,), data=data)
    session.advance(5)
    save(session, tmp_path / "s.safetensors")
    again = load(tmp_path / "s.safetensors")
    for s in (session, again):
        s.advance(20)
    assert torch.equal(parameters(again), parameters(session))
    with pytest.raises(InputError, match="save the session"):
        export_script(session)


def test_refuses_files_that_are_not_sessions(tmp_path):
    path = tmp_path / "s.safetensors"
    path.write_bytes(b"no")
    with pytest.raises(InputError):
        load(path)
    save_tensors(path, {"x": torch.zeros(1)}, {})
    with pytest.raises(InputError, match="not a saved session"):
        load(path)
    save(eventful(), path)
    tensors = load_file(path)
    with safe_open(path, "pt") as opened:
        config = json.loads(opened.metadata()["config"])
    for broken in ({"0.flat_g": torch.zeros(1, 3)}, {"0.right_0": None}, {"points": torch.full((20, 2), torch.nan)}):
        changed = {k: v for k, v in {**tensors, **broken}.items() if v is not None}
        save_tensors(path, changed, config)
        with pytest.raises(InputError):
            load(path)
