"""From settings to numbers: measures of a game, the command, the benchmark."""

import math
from dataclasses import replace

import pytest
import torch

from ganlab.benchmarks.toy import benchmark_toy, format_benchmark
from ganlab.errors import InputError
from ganlab.toy.config import Config, Network
from ganlab.toy.distributions import DISTRIBUTIONS, from_points, get_distribution
from ganlab.toy.draws import stream
from ganlab.toy.game import Game
from ganlab.toy.measure import Ruler, measure, value_and_bound
from ganlab.toy.run import format_run, run

SMALL = Network(layers=2, units=16)
TWO = Config(generator=SMALL, discriminator=SMALL, batch=32, runs=2)
QUICK = {"generator": {"layers": 2, "units": 16}, "discriminator": {"layers": 2, "units": 16}, "batch": 32}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_perfect_samples_are_indistinguishable_from_the_data(name):
    data = get_distribution(name)
    ruler = Ruler(data)
    measures = ruler.measure(torch.stack([data.sample(ruler.n, stream(7, k))[0] for k in range(3)]))
    for measured, floor in ruler.floors.items():
        assert all(0 <= v <= 1.05 * floor for v in measures[measured]), measured
    assert all(0 <= v <= 3 * (1 / 500 + 1 / 500) * 2 for v in measures["mmd2"])
    if data.modes is not None:
        assert measures["modes_covered"] == [len(data.modes)] * 3
        assert min(measures["high_quality"]) > 0.95


def test_the_users_own_points_are_measured_against_themselves():
    points = from_points(torch.randn((3000, 2), generator=torch.Generator().manual_seed(0)))
    ruler = Ruler(points)
    measures = ruler.measure(points.sample(ruler.n, stream(1, 1))[0][None])
    assert all(measures[name][0] <= 1.05 * floor for name, floor in ruler.floors.items())


def test_measures_of_nan_samples_are_finite():
    ruler = Ruler(get_distribution("ring"))
    measures = ruler.measure(torch.full((1, 4000, 2), math.nan))
    assert measures["js"][0] == pytest.approx(math.log(2))
    assert all(math.isfinite(v[0]) for name, v in measures.items() if name != "shares")
    assert measures["modes_covered"] == [0]


def test_the_bound_stays_below_the_jensen_shannon_divergence():
    """(V + log 4) / 2 <= JS for any D, up to the samples' own noise."""
    game = Game(replace(TWO, rate_d=3e-3))
    ruler = Ruler(game.data)
    for _ in range(300):
        game.step("d")
    value, bound = value_and_bound(game, ruler)
    torch.testing.assert_close(bound, (value + math.log(4)) / 2)
    assert all(b <= js + 0.02 for b, js in zip(bound.tolist(), measure(game, ruler)["js"], strict=True))
    assert float(bound.min()) > 0.3  # and D has learned to tell most of it


def test_objectives_without_probabilities_have_no_value():
    game = Game(replace(TWO, objective="wgan-gp"))
    assert all(t.isnan().all() for t in value_and_bound(game, Ruler(game.data)))


def test_run():
    result = run({**QUICK, "seed": 3}, 30)
    assert result["modes_total"] == 8 and 0 <= result["modes_covered"] <= 8
    assert result["steps"] == 30 and result["steps_per_second"] > 0
    assert {"js", "kl", "high_quality", "value", "js_bound"} <= set(result)
    again = run({**QUICK, "seed": 3}, 30)
    assert {k: v for k, v in result.items() if k != "steps_per_second"} == {
        k: v for k, v in again.items() if k != "steps_per_second"
    }
    assert "floor" in format_run(result)


def test_several_runs_give_lists():
    result = run({**QUICK, "runs": 3, "objective": "wgan-gp"}, 5)
    assert len(result["js"]) == 3 and result["value"] == [None] * 3


def test_a_diverged_run_says_when_and_how_to_avoid_it():
    wild = {**QUICK, "optimiser": "sgd", "rate_g": 1.0, "rate_d": 1.0, "objective": "pearson"}
    with pytest.raises(InputError, match=r"diverged by step \d+.*Lower the learning rates"):
        run(wild, 400)


def test_the_benchmark_measures_both_loops_and_their_ratio():
    result = benchmark_toy("cpu", seconds=0.01, rounds=1)
    assert [r["units"] for r in result["steps_per_second"]] == [128, 64]
    assert all(r["textbook"] > 0 and r["ours"] > 0 and r["ratio"] > 0 for r in result["steps_per_second"])
    assert "times" in format_benchmark(result)
