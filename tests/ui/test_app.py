"""The app starts light, reads its settings, and contacts no other host."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ganlab.errors import InputError
from ganlab.ui.server_settings import Settings

ROOT = Path(__file__).parents[2]


def test_settings_come_from_the_environment():
    assert Settings.from_environment({}) == Settings()
    environment = {
        "GRADIO_SERVER_NAME": "0.0.0.0",
        "GRADIO_SERVER_PORT": "7000",
        "GANLAB_PORT": "7001",
        "GANLAB_MAX_UPLOAD_MB": "20",
        "GANLAB_PHANTOM_MM": "1.5",
    }
    expected = Settings(host="0.0.0.0", port=7001, max_upload_mb=20, phantom_mm=1.5)
    assert Settings.from_environment(environment) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GANLAB_PORT", "http"),
        ("GANLAB_PORT", "70000"),
        ("GRADIO_SERVER_PORT", "0"),
        ("GANLAB_QUEUE", "1.5"),
        ("GANLAB_PHANTOM_MM", "nan"),
    ],
)
def test_refuses_wrong_values_and_names_the_variable(name, value):
    with pytest.raises(InputError, match=f'{name} is "{value}"; give a .*number from .*, or unset it'):
        Settings.from_environment({name: value})


@pytest.mark.slow
def test_building_the_app_loads_nothing_heavy_and_names_no_other_host():
    script = """
import json, sys
from ganlab.ui import app
from ganlab.ui.sessions import Store
demo = app.build(Store(), app.Settings())
theme = app.theme()
heavy = sorted(set(sys.modules) & {"torch", "SimpleITK", "skimage", "nilearn", "scipy", "matplotlib"})
public = [d["api_name"] for d in demo.config["dependencies"] if d["api_visibility"] == "public"]
print(json.dumps({"heavy": heavy, "public": public, "fonts": theme._stylesheets}))
"""
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == {"heavy": [], "public": [], "fonts": []}
