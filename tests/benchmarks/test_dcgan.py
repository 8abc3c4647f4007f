"""The benchmark of a training step: precision is the same, or the difference is stated."""

import pytest
import torch

from ganlab.benchmarks import dcgan as benchmark
from ganlab.benchmarks.dcgan import benchmark_dcgan, format_benchmark

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("tiles", [False, True])
def test_ganlab_is_also_timed_in_float32_if_training_uses_bfloat16(monkeypatch, tiles):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": tiles})
    monkeypatch.setattr(benchmark, "CASES", {"tiny": ("dcgan-digits", 4)})
    result = benchmark_dcgan("cpu", rounds=1)
    case, text = result["cases"]["tiny"], format_benchmark(result)
    assert all(value > 0 for value in case.values())
    assert ("ours_float32_images_per_second" in case) == tiles
    assert "textbook in float32" in text and "tiny" in text
    assert ("ours in bfloat16" in text and "in float32 " in text) if tiles else "ours in float32" in text


def test_float32_training_equals_that_of_a_machine_without_amx(monkeypatch):
    from ganlab.device import exact
    from ganlab.generation.game import ImageGame
    from ganlab.generation.image_kinds import Images, get_kind
    from ganlab.generation.presets import get_preset

    images = Images(get_kind("digits"), torch.rand((16, 1, 16, 16)) * 2 - 1, torch.arange(16) % 10)
    config = get_preset("dcgan-digits")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": False})
    plain = ImageGame(config, images).take_step()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    game = ImageGame(config, images)
    game.autocast = exact
    assert game.take_step() == plain
