"""Pairs of models, and the analysis of a cycle."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ganlab.errors import Cancelled
from ganlab.imaging.volume import Volume
from ganlab.translation.cycle import cycle as cycle_module
from ganlab.translation.cycle import hidden_message, wording
from ganlab.translation.cycle.analysis import analyse_cycle
from ganlab.translation.cycle.lesion import InsertedLesion, distance_to
from ganlab.translation.cycle.pairing import mixed_notice, pair_of

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
LESION = InsertedLesion(30.0, 30.0, 30.0, 8.0, 60.0)


@pytest.fixture
def ct():
    """A head of 100 HU in air."""
    volume = Volume(np.full((30, 30, 30), -1000.0, np.float32), AFFINE, "HU", "ct")
    inside = distance_to(volume, (29, 29, 29)) < 24
    texture = 100 + np.random.default_rng(0).normal(0, 5, volume.shape)
    return replace(volume, array=np.where(inside, texture, -1000).astype(np.float32))


@pytest.fixture(autouse=True)
def translators(monkeypatch):
    """T1 = (HU + 1000) / 1000, and back with half of the deviation from 100 HU."""

    def translate(volume, task, model, progress=lambda done: None, cancelled=lambda: False, **_):
        progress(1.0)
        if task == "ct2mr":
            synthetic = replace(volume, array=(volume.array + 1000) / 1000, unit="", modality="t1")
        else:
            hu = volume.array * 1000 - 1000
            hu = np.where(hu > -200, 100 + (hu - 100) / 2, hu)
            synthetic = replace(volume, array=hu.astype(np.float32), unit="HU", modality="ct")
        return SimpleNamespace(synthetic=synthetic, model=model, notices=(), seconds=1.0)

    monkeypatch.setattr(cycle_module, "translate", translate)
    monkeypatch.setattr(hidden_message, "translate", translate)


def test_the_pretrained_cyclegans_are_the_pair_to_start_with():
    assert pair_of("mr2ct") == ("mr2ct-cyclegan", "ct2mr-cyclegan")
    assert pair_of("ct2mr") == ("ct2mr-cyclegan", "mr2ct-cyclegan")
    assert pair_of("mr2ct", reverse_model="ct2mr-cyclegan")[0] == "mr2ct-cyclegan"
    assert pair_of("mr2ct", model="mr2ct-unet") == ("mr2ct-unet", "ct2mr-unet")
    assert mixed_notice("mr2ct-cyclegan", "ct2mr-cyclegan") == ""
    assert "not trained together" in mixed_notice("mr2ct-cyclegan", "ct2mr-unet")
    assert "not trained together" in mixed_notice("mr2ct-unet", "ct2mr-unet")  # each trained separately


def test_half_of_a_lesion_is_kept_and_reported(ct):
    shares = []
    cycle, volumes, results = analyse_cycle(
        ct, "ct2mr", "a", "b", LESION, probe=True, progress=lambda done, words: shares.append(done)
    )
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert list(volumes) == ["input", "synthetic", "reconstruction"] and cycle.source.unit == "HU"
    lesion = results["lesion"]
    assert lesion["put"] == LESION.values
    assert lesion["input"]["with"] - lesion["input"]["without"] == pytest.approx(60, abs=0.1)
    assert lesion["reconstruction"]["kept"] == pytest.approx(0.5, abs=0.01)
    rows = {name: rest for name, *rest in wording.lesion_rows("ct2mr", lesion)}
    assert rows["input"][0] == "+60.0 HU" and rows["input"][2] == "100 %" and rows["reconstruction"][2] == "50 %"
    assert rows["synthetic"][0] == "1.05 times" and rows["synthetic"][2] == "\N{EN DASH}"
    text = wording.format_cycle("ct2mr", results)
    assert "+30.0 HU" in text and "2 % of noise" in text and "a and b" in text


def test_a_cancelled_cycle_stops_between_its_parts(ct):
    done = []
    with pytest.raises(Cancelled):
        analyse_cycle(
            ct, "ct2mr", "a", "b", LESION, cancelled=lambda: len(done) > 2, progress=lambda share, words: done.append(1)
        )


@pytest.mark.parametrize(("value", "text"), [(-0.04, "0.0"), (1.0, "+1.0"), (-2.34, "\N{MINUS SIGN}2.3")])
def test_numbers_have_a_sign_and_no_negative_zero(value, text):
    assert wording.signed(value, 1) == text
