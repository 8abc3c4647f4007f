"""The scripts' own tests, in node; and their fixture is packed by Python."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from ganlab.packing import pack

SCRIPTS = Path(__file__).parent / "scripts"


def test_the_fixture_of_the_decoder_is_what_python_packs():
    """When the format changes: pathlib.Path("tests/scripts/answer.bin").write_bytes(...) of this."""
    arrays = {
        "heat": np.array([[-32768, 0, 1], [2, 3, 32767]], np.int16),
        "file": b"GIF",
        "field": np.array([0.5, -1.5], np.float32),
        "images": np.array([0, 65535], np.uint16),
        "precise": np.array([np.pi]),
        "empty": np.zeros((0, 2), np.float32),
    }
    packed = pack({"title": "Größe", "steps": 3, "trouble": None}, arrays)
    assert (SCRIPTS / "answer.bin").read_bytes() == packed


def test_scripts_pass_their_own_tests():
    node = shutil.which("node")
    if not node:
        pytest.skip("no node on the PATH: install Node.js 20 or later")
    files = sorted(map(str, SCRIPTS.glob("*.test.mjs")))
    assert files
    run = subprocess.run([node, "--test", *files], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
