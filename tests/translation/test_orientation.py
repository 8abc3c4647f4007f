"""A head that lies as its header says passes in silence; one that lies another way is named."""

from dataclasses import replace

import numpy as np
import pytest

from ganlab.errors import InputError
from ganlab.imaging.grid import canonical, model_grid, resample
from ganlab.imaging.intensity import normalise_mr
from ganlab.imaging.reading.files import read_volume
from ganlab.phantoms import make_patient
from ganlab.translation.orientation import BRIGHTEST, MEAN_HEAD, drawn_mean_head, wrong_way
from ganlab.translation.scan_check import check_scan

SPACING = 4.0


@pytest.fixture(scope="module")
def head():
    return normalise_mr(make_patient(9101, ("t1",), SPACING)["t1"])


def laid(head, order, flips=()):
    return replace(head, array=np.flip(head.array.transpose(order), flips).copy())


@pytest.mark.parametrize(("seed", "scanner"), [(9100, "research"), (9102, "noisy"), (9103, "clinical")])
def test_upright_heads_pass_in_silence(seed, scanner):
    assert wrong_way(normalise_mr(make_patient(seed, ("t1",), SPACING, scanner=scanner)["t1"])) is None


def test_a_scan_stored_in_another_order_is_upright_if_its_header_says_so(head):
    turned = replace(head, array=head.array.transpose(2, 0, 1), affine=head.affine[:, [2, 0, 1, 3]])
    assert wrong_way(head) is None and wrong_way(turned) is None


@pytest.mark.parametrize(
    ("order", "flips", "front", "top"),
    [
        ((0, 1, 2), (2,), "front", "bottom"),
        ((0, 1, 2), (1, 2), "back", "bottom"),
        ((0, 2, 1), (), "top", "front"),
        ((1, 0, 2), (), "right", "top"),
        ((2, 0, 1), (), "top", "right"),
    ],
)
def test_heads_that_lie_another_way_are_named(head, order, flips, front, top):
    notice = wrong_way(laid(head, order, flips))
    assert f"its front at what is called {front}, its top at what is called {top}" in notice
    assert "correct the orientation" in notice


def test_a_defaced_head_with_its_front_at_the_back_is_named(real_t1):
    scan = canonical(read_volume(real_t1, "t1"))
    scan = normalise_mr(resample(scan, *model_grid(scan, 3.0)))
    assert wrong_way(scan) is None
    turned = wrong_way(replace(scan, array=scan.array[::-1, ::-1].copy()))
    assert "its front at what is called back, its top at what is called top" in turned


def test_half_a_head_lies_as_far_as_can_be_told_as_it_says(head):
    assert wrong_way(replace(head, array=head.array[: head.shape[0] // 2, :, head.shape[2] // 2 :])) is None


def test_the_check_of_a_scan_tells(head):
    upside_down = laid(head, (0, 1, 2), (2,))
    assert any("another way than its header says" in each for each in check_scan(upside_down)["notices"])


def test_the_shipped_mean_head_is_that_of_the_phantom():
    shipped = np.load(MEAN_HEAD, allow_pickle=False)
    assert np.abs(shipped - drawn_mean_head() * 255 / BRIGHTEST).max() <= 1.0


def test_a_head_in_which_no_brain_is_found_is_not_refused_for_it(head, monkeypatch):
    def no_brain(*volumes):
        raise InputError("There is no contrast.")

    monkeypatch.setattr("ganlab.imaging.affine.fit_brain", no_brain)
    upside_down = laid(head, (0, 1, 2), (2,))
    assert wrong_way(upside_down, better=2.0) is None  # left to the brain
    assert "upright" in wrong_way(upside_down)
