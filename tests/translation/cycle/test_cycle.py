"""Cycles of translators with known outputs, so that the preserved, hidden and lost information is known."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ganlab.errors import InputError
from ganlab.imaging.volume import Volume
from ganlab.translation.cycle import cycle as cycle_module
from ganlab.translation.cycle import hidden_message as hidden_module
from ganlab.translation.cycle.cycle import consistency, run_cycle, scale_between
from ganlab.translation.cycle.hidden_message import blurred, hidden_message, quantised, with_noise
from ganlab.translation.cycle.lesion import (
    InsertedLesion,
    distance_to,
    insert_lesion,
    lesion_contrasts,
    parse_lesion,
)

AFFINE = np.array([[-2.0, 0, 0, 40], [0, 0, 2.0, -40], [0, 2.0, 0, -40], [0, 0, 0, 1]])  # voxels run L, S, A
MODELS = ("forward", "back")


@pytest.fixture
def mr():
    """A head of 40 mm radius: white matter 100 with a texture, nothing around it."""
    volume = Volume(np.zeros((40, 42, 41), np.float32), AFFINE, "arbitrary", "t1")
    texture = 100 + np.random.default_rng(0).normal(0, 5, volume.shape).astype(np.float32)
    return replace(volume, array=np.where(distance_to(volume, (0, 0, 0)) < 36, texture, 0).astype(np.float32))


@pytest.fixture
def translators(monkeypatch):
    """G makes every MR a CT of 40 HU in the head and -1000 outside; it hides the MR in the HU's last decimals. F reads
    that message, so the cycle is perfect without any knowledge of the anatomy."""

    def translate(volume, task, model, **_):
        if task == "mr2ct":
            array = np.where(volume.array > 20, 40 + volume.array / 10_000, -1000.0)
            synthetic = replace(volume, array=array.astype(np.float32), unit="HU", modality="ct")
        else:
            message = np.where(volume.array > -200, (volume.array - 40) * 10_000, 0)
            synthetic = replace(volume, array=(message / 100).astype(np.float32), unit="", modality="t1")
        return SimpleNamespace(synthetic=synthetic, model=model, notices=(), seconds=1.0)

    monkeypatch.setattr(cycle_module, "translate", translate)
    monkeypatch.setattr(hidden_module, "translate", translate)
    monkeypatch.setattr(
        cycle_module,
        "source_units",
        lambda volume, task: replace(volume, array=volume.array / (100 if task.source == "t1" else 1000)),
    )


def test_a_closed_cycle_has_no_error_even_without_anatomy(mr, translators):
    cycle = run_cycle(mr, "mr2ct", *MODELS)
    assert cycle.models == MODELS
    assert cycle.mask.sum() == pytest.approx((mr.array > 20).sum(), rel=0.02)
    result = consistency(cycle)
    assert result["mae"] < 0.02 and result["relative"] < 0.1
    assert len(result["slices"]) == mr.shape[1]  # the second axis of these voxels runs up
    assert result["slices"][0] is None and result["slices"][21] is not None
    assert result["relative"] == pytest.approx(result["mae"] / cycle.range)
    assert result["relative"] == pytest.approx(cycle.relative_error[cycle.mask].mean(), rel=1e-4)


def test_slices_are_counted_from_the_feet_whichever_way_the_voxels_run(mr, translators):
    """The same head, stored from the top down, has the same errors slice by slice."""
    turned = replace(mr, array=mr.array[:, ::-1].copy(), affine=mr.affine @ np.array(
        [[1, 0, 0, 0], [0, -1, 0, mr.shape[1] - 1], [0, 0, 1, 0], [0, 0, 0, 1]]
    ))  # fmt: skip
    low = replace(mr, array=mr.array * (1 + np.arange(42)[None, :, None] / 42).astype(np.float32))
    high = replace(turned, array=low.array[:, ::-1].copy())
    one, other = (consistency(run_cycle(v, "mr2ct", *MODELS, change=quantised(1.0)))["slices"] for v in (low, high))
    assert one == pytest.approx(other) and one[5] != one[-6]


def test_scanner_gain_is_not_counted_as_an_error(mr, translators):
    """The backward model gives white matter as 1; the same cycle of a scan twice as bright has the same error."""
    bright = replace(mr, array=2 * mr.array)
    assert consistency(run_cycle(bright, "mr2ct", *MODELS))["mae"] < 0.02
    ct = replace(mr, array=np.where(mr.array > 20, 1.5, 1.0), unit="HU")
    assert scale_between(ct, mr, mr.array > 20) == 1.0


def test_imperceptible_changes_destroy_a_hidden_message(mr, translators):
    cycle = run_cycle(mr, "mr2ct", *MODELS)
    changes = {"1 HU of noise": with_noise(1.0), "whole HU": quantised(1.0), "2 mm blur": blurred(2.0)}
    result = hidden_message(cycle, changes)
    assert result["as it is"]["mae"] < 0.02
    assert result["1 HU of noise"]["change"] == pytest.approx(0.8, abs=0.05)  # sqrt(2 / pi)
    assert result["1 HU of noise"]["mae"] > 50 and result["whole HU"]["mae"] > 0.9
    direct = consistency(run_cycle(mr, "mr2ct", *MODELS, change=quantised(1.0)))
    assert direct["mae"] == result["whole HU"]["mae"]


def test_a_hidden_message_restores_a_lesion_that_the_synthetic_volume_lacks(mr, translators):
    lesion = InsertedLesion(10.0, -6.0, 8.0, 7.0, 1.6)
    cycle, healthy = (run_cycle(v, "mr2ct", *MODELS) for v in (insert_lesion(mr, lesion), mr))
    result = lesion_contrasts(cycle, healthy, lesion)
    scan, middle, end = result["input"], result["synthetic"], result["reconstruction"]
    assert scan["with"] / scan["without"] == pytest.approx(1.6, abs=1e-3) and scan["kept"] == 1.0
    assert middle["with"] - middle["without"] == pytest.approx(0.006, abs=0.001)  # a CT of 40 HU everywhere
    assert middle["kept"] is None  # HU are not a fraction of an MR's signal
    assert end["kept"] == pytest.approx(1.0, abs=0.02)  # it was hidden in the decimals
    assert scan["noise"] == pytest.approx(0.6 * 100 / 5, rel=0.15)  # a texture of 5
    invisible = InsertedLesion(*lesion.centre, lesion.radius, 1.0)
    assert insert_lesion(mr, invisible).array == pytest.approx(mr.array, abs=1e-4)


def test_tissue_around_a_lesion_does_not_change_its_contrast(mr, translators):
    """A bright ring around the lesion does not change its measured contrast."""
    lesion = InsertedLesion(10.0, -6.0, 8.0, 7.0, 1.4)
    away = distance_to(mr, lesion.centre)
    ringed = replace(mr, array=np.where((away > 8) & (away < 20) & (mr.array > 0), 170, mr.array).astype(np.float32))
    cycle, healthy = (run_cycle(v, "mr2ct", *MODELS) for v in (insert_lesion(ringed, lesion), ringed))
    result = lesion_contrasts(cycle, healthy, lesion)["input"]
    assert result["with"] / result["without"] == pytest.approx(1.4, abs=1e-3)


def test_a_lesion_of_a_ct_is_a_difference_in_hu():
    ct = Volume(np.full((30, 30, 30), 40.0, np.float32), np.eye(4), "HU", "ct")
    array = insert_lesion(ct, parse_lesion("15,15,15,4,30")).array
    assert array[15, 15, 15] == 70 and array[0, 0, 0] == 40 and array.dtype == np.float32


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,0,0,1,2", "Radius is 1.0; give a number from 2 to 40 mm"),
        ("0,0,0,5,9", "Contrast is 9; give a number from 0 to 5 times as bright"),
        ("0,0,0,5,-600", "Contrast is -600.0; give a number from -500 to 2000"),
        ("500,0,0,5,2", "500, 0, 0 mm is outside the scan"),
        ("nan,0,0,5,2", "Right is NaN"),
        ("0,0,0,5", "is not X,Y,Z,RADIUS,CONTRAST"),
    ],
)
def test_refuses_an_impossible_lesion(mr, text, message):
    with pytest.raises(InputError, match=message):
        insert_lesion(mr, parse_lesion(text))


def test_the_text_of_a_lesion_is_read_back():
    lesion = InsertedLesion(26.0, -30.5, 32.0, 8.0, 1.4)
    assert lesion.text == "26,-30.5,32,8,1.4" and parse_lesion(lesion.text) == lesion


def test_only_tasks_with_a_reverse_have_cycles(mr):
    with pytest.raises(InputError, match="no reverse"):
        run_cycle(mr, "t1fa")
