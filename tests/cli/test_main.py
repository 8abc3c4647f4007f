import json
import re

import pytest

import ganlab


def test_version(run):
    assert run("--version") == (0, f"ganlab {ganlab.__version__}\n", "")


def test_info_shows_version_and_device(run):
    code, out, _ = run("info", "--json")
    result = json.loads(out)
    assert code == 0 and result["ganlab"] == ganlab.__version__ and result["device"] in ("cpu", "cuda", "mps")


def test_models_lists_pretrained_models(run):
    code, out, _ = run("models", "--json")
    assert code == 0 and "mr2ct-unet" in [model["name"] for model in json.loads(out)["models"]]


def test_prints_help_without_a_command(run):
    code, out, err = run()
    assert code == 2 and err == "" and "translate" in out


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (("nothing",), "No such command 'nothing'"),
        (("info", "--device", "tpu"), '"tpu".*auto, cpu, cuda, mps'),
        (("benchmark", "nothing"), '"nothing".*translate, volume, train'),
    ],
)
def test_refuses_invalid_input_in_one_sentence(refuse, arguments, phrase):
    assert re.search(phrase, refuse(*arguments))
