import json
import re

import pytest


def test_toy_trains_and_measures(run):
    code, out, err = run(
        "toy", "--data", "ring", "--objective", "minimax", "--steps", 20, "--set", "batch=16", "--json"
    )
    assert code == 0, err
    result = json.loads(out)
    assert result["modes_total"] == 8 and result["objective"] == "minimax"
    assert {"modes_covered", "high_quality", "js", "kl", "steps_per_second"} <= set(result)
    code, out, _ = run("toy", "--data", "gaussians-1d", "--steps", 5, "--runs", 2)
    assert code == 0 and "js: " in out and "(floor " in out


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (("toy", "--data", "doughnut"), '"doughnut".*spiral'),
        (("toy", "--objective", "maximin"), '"maximin".*hinge'),
        (("toy", "--steps", "0"), "'--steps'.*greater than or equal to 1"),
        (("toy", "--seed", "-1"), "Seed is -1; .*from 0"),
        (("toy", "--set", "rate_g=1e9"), "(?i)rate .*1000000000.*1e-06 to 1"),
        (("toy", "--set", "rate_g"), '"rate_g" is not NAME=VALUE'),
        (("toy", "--set", "colour=red"), "colour.*batch"),
        (("toy", "--set", "generator.layers=40"), "Hidden layers is 40; .*1 to 5"),
        (
            ("toy", "--set", "optimiser=sgd", "--set", "rate_g=1", "--set", "rate_d=1", "--objective", "pearson"),
            "diverged by step 50.*learning rates",
        ),
    ],
)
def test_refuses_invalid_input_in_one_sentence(refuse, arguments, phrase):
    assert re.search(phrase, refuse(*arguments))
