"""Heads from CT scans. The CT is a phantom's, so that its tissues are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ganlab.errors import InputError
from ganlab.imaging.grid import same_grid
from ganlab.imaging.volume import Volume
from ganlab.phantoms import make_patient
from ganlab.phantoms.build import Build
from ganlab.phantoms.fields import BOX_SIZE, Noise
from ganlab.phantoms.pairs import pairs
from ganlab.phantoms.scanned import volumes
from ganlab.phantoms.scanned.fit import LOW, aligned
from ganlab.phantoms.scanned.head import ScannedPatient, bone_hu, decompose, depth_in_template
from ganlab.phantoms.scanned.tissues import FIELDS, tissue_fields, without_metal
from ganlab.phantoms.tissues import INDEX


@pytest.fixture(scope="session")
def ct() -> Volume:
    return make_patient(8001, ("ct",), 2.0)["ct"]


@pytest.fixture(scope="session")
def scan(ct):
    return decompose(ct)


def still_patient(scan) -> ScannedPatient:
    """The CT head as it lies, without a warp."""
    noise = Noise(torch.Generator().manual_seed(0), "cpu")
    return ScannedPatient(scan, Build(), torch.eye(3), torch.zeros((3, *BOX_SIZE)), noise, -1.0, 1.0)


def axial(z: float) -> torch.Tensor:
    x, y = torch.meshgrid(torch.arange(-95.0, 95), torch.arange(-125.0, 110), indexing="ij")
    return torch.stack([x, y, torch.full_like(x, z)])


@pytest.mark.parametrize("z", [-40.0, 0.0, 40.0])
def test_shares_of_a_slice_sum_to_one_and_reproduce_the_ct(scan, z):
    patient, points = still_patient(scan), axial(z)
    shares, hu = patient.shares(points)
    assert torch.allclose(shares.sum(0), torch.ones_like(points[0]), atol=0.03)
    drawn = bone_hu(shares, hu)
    tissue = 1 - shares[INDEX["background"]] - shares[INDEX["air"]]
    assert 0.2 < float((tissue > 0.5).float().mean()) < 0.8
    stored = scan.sample(points.reshape(3, -1)).reshape(len(FIELDS), *points.shape[1:])
    bone = stored[FIELDS.index("bone")] > 0.9
    assert bone.any() and float(drawn[bone].median()) > 500


def test_brain_skull_and_scalp_lie_inside_each_other(scan):
    shares, _ = still_patient(scan).shares(axial(40.0))
    middle = shares[:, 95, 125]
    assert (
        float(middle[[INDEX[t] for t in ("white matter", "grey matter", "fluid", "vessel", "fibrous tissue")]].sum())
        > 0.9
    )
    row = shares[:, :, 125]  # from left to right through the middle
    order = [int((row[INDEX[t]] > 0.4).nonzero()[0]) for t in ("skin", "cortical bone")]
    brain = int((row[[INDEX["grey matter"], INDEX["white matter"], INDEX["fluid"]]].sum(0) > 0.8).nonzero()[0])
    assert order[0] < order[1] < brain


def test_a_dark_band_of_the_mr_has_the_width_of_the_bone_of_the_ct(scan):
    """Both are drawn from the same shares: a network must not learn to thicken the skull."""
    shares, hu = still_patient(scan).shares(axial(40.0))
    bone = shares[INDEX["cortical bone"]] + shares[INDEX["cancellous bone"]]
    drawn = bone_hu(shares, hu)
    apart = []
    for y in range(90, 160):  # from outside to the middle of the head
        edge = int((bone[:95, y] > 0.5).nonzero()[0])
        peak = drawn[edge : edge + 4, y].max()
        apart.append(int((drawn[:95, y] > (peak + 50) / 2).nonzero()[0]) - edge)
    assert abs(np.mean(apart)) < 0.3 and np.abs(apart).max() <= 1


def test_slices_are_finite_paired_and_show_a_head(scan):
    shown = []
    for (mr, ct), _ in zip(pairs(3, 96, pool=8, scans=[scan], scanned=1.0), range(8), strict=False):
        assert mr.shape == ct.shape == (1, 96, 96)
        assert torch.isfinite(mr).all() and torch.isfinite(ct).all()
        assert float(mr.min()) >= 0 and float(ct.min()) >= -1024 and float(ct.max()) < 3100
        shown.append(float((ct > -300).float().mean()) > 0.005)  # not where the field of view ends above the slice
    assert sum(shown) >= 6


def test_same_seed_same_slices_and_a_share_of_zero_leaves_phantoms_alone(scan):
    first, again, alone = (next(pairs(4, 64, scans=s, scanned=p)) for s, p in (([scan], 1.0), ([scan], 1.0), ((), 1.0)))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[1], alone[1])


def test_fa_and_ct_to_mr_have_scanned_heads_too(scan):
    for task, low, high in (("t1fa", 0, 1), ("ct2mr", 0, 10)):
        _, target = next(pairs(5, 96, task=task, scans=[scan], scanned=1.0))
        assert low <= float(target.min()) and float(target.max()) <= high


def test_slices_with_metal_and_those_beyond_are_left_out(ct):
    array = ct.array.copy()
    array[40:50, 60:70, 30] = 3071
    kept = without_metal(array)
    assert np.isnan(kept[..., :33]).all() and np.isfinite(kept[..., 33:]).all()
    assert np.isfinite(without_metal(ct.array)).all()


def test_the_table_is_left_out(ct, scan):
    array = ct.array.copy()
    array[10:90, 2:4, :] = 300.0  # a table behind the head
    lying = aligned(replace(ct, array=array))
    bone = tissue_fields(lying.array, depth_in_template(lying, scan.nodes))[FIELDS.index("bone")]
    behind = np.nonzero(bone.sum((0, 2)))[0].min() + LOW[1]
    assert behind > -115  # the back of the skull; the table lies at -125


def test_refuses_a_ct_without_a_whole_head(ct):
    block = np.full(ct.shape, -1000.0, np.float32)
    block[30:60, 40:80, 40:80] = 60.0
    with pytest.raises(InputError, match=r"0\.38 litres of tissue"):
        decompose(replace(ct, array=block))
    with pytest.raises(InputError, match="litres of"):
        decompose(replace(ct, array=ct.array[:, :, 95:]))


def test_low_is_the_corner_of_the_fields(scan):
    assert scan.fields.shape[0] == len(FIELDS) and scan.fields.dtype == np.uint8
    beyond = torch.tensor(LOW)[:, None] - 5
    assert float(scan.sample(beyond).abs().max()) == 0


def test_a_ct_gives_a_pair_of_volumes_to_measure_on(ct, scan, monkeypatch):
    monkeypatch.setattr(volumes, "decompose", lambda _: scan)
    pair = volumes.scanned_pair(ct, seed=3)
    t1, drawn = pair["t1"], pair["ct"]
    assert t1.shape == drawn.shape and same_grid(t1, drawn) and (t1.unit, drawn.unit) == ("arbitrary", "HU")
    head = drawn.array > -300
    assert drawn.array[drawn.array > 250].size / head.sum() > 0.1
    assert np.median(t1.array[~head]) < 0.1 * np.percentile(t1.array[head], 90)
    lying = aligned(ct)
    both = np.isfinite(lying.array) & (lying.array > 400)
    assert np.median(np.abs(drawn.array - lying.array)[both]) < 200  # bone has the CT's own HU, a little sharper
