import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab.errors import InputError
from ganlab.phantoms import LABELS, make_patient
from ganlab.phantoms.contrasts import random_contrast
from ganlab.phantoms.fields import BOX_SPACING, Noise, capsule, cover, diffeomorphism, ellipsoid, smooth_noise
from ganlab.phantoms.pairs import pairs
from ganlab.phantoms.patient import make_head
from ganlab.phantoms.slices import Draw, random_slice
from ganlab.phantoms.tissues import INDEX, table


def head(seed):
    return make_head(torch.Generator().manual_seed(seed))


def rays(count=600, reach=130, step=0.5):
    """(3, count, n) points along rays from the middle of the brain into the upper half."""
    rng = np.random.default_rng(0)
    v = rng.normal(size=(3, count))
    v[2] = np.abs(v[2])
    v /= np.linalg.norm(v, axis=0)
    t = np.arange(0, reach, step)
    centre = np.array([0.0, -15.0, 15.0])
    return torch.tensor(centre[:, None, None] + v[:, :, None] * t, dtype=torch.float32)


def test_same_seed_same_bytes_and_another_seed_another_patient():
    a, b, c = (make_patient(s, ("t1", "ct", "labels"), spacing=4.0) for s in (3, 3, 4))
    for name in a:
        assert a[name].array.tobytes() == b[name].array.tobytes()
        assert a[name].array.tobytes() != c[name].array.tobytes()
        assert np.isfinite(a[name].array).all()


def test_volumes_share_one_ras_grid_of_the_documented_size():
    patient = make_patient(1, ("t1", "ct", "labels"), spacing=3.0)
    assert {v.shape for v in patient.values()} == {(64, 80, 80)}
    for volume in patient.values():
        np.testing.assert_allclose(volume.spacing, 3.0)
        assert (np.diag(volume.affine)[:3] > 0).all()
    assert patient["ct"].unit == "HU" and patient["t1"].unit == "arbitrary"
    assert set(np.unique(patient["labels"].array)) <= set(LABELS)


@pytest.mark.parametrize("seed", range(12))
def test_vault_is_closed_and_brain_and_air_have_their_ct_numbers(seed):
    with torch.inference_mode():
        shares = head(seed).shares(rays())
    hu = torch.tensordot(table("hu"), shares, 1)
    assert (hu.amax(1) > 300).float().mean() >= 0.99
    assert (hu[:, -1] < -950).float().mean() > 0.99
    brain = shares[INDEX["grey matter"]] + shares[INDEX["white matter"]] > 0.9
    assert 20 <= hu[brain].mean() <= 45


def test_t1_intensities_rank_white_grey_fluid():
    patient = make_patient(5, ("t1", "labels"), spacing=2.0)
    t1, labels = patient["t1"].array, patient["labels"].array
    white, grey, fluid = (t1[labels == INDEX[n]].mean() for n in ("white matter", "grey matter", "fluid"))
    assert white > grey > fluid


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 2**31))
def test_tissue_shares_sum_to_one(seed, where):
    points = torch.rand((3, 400), generator=torch.Generator().manual_seed(where)) * 300 - 160
    with torch.inference_mode():
        shares = head(seed).shares(points)
    assert (shares >= 0).all()
    torch.testing.assert_close(shares.sum(0), torch.ones(400), atol=1e-4, rtol=0)


@pytest.mark.parametrize("seed", range(5))
def test_warp_never_folds(seed):
    field = diffeomorphism(torch.Generator().manual_seed(seed), {40.0: 4.0, 18.0: 1.4, 9.0: 0.7})
    gradient = torch.stack(torch.gradient(field, spacing=BOX_SPACING, dim=(1, 2, 3)), 1)
    jacobian = torch.eye(3).reshape(3, 3, 1, 1, 1) + gradient
    assert torch.linalg.det(jacobian.permute(2, 3, 4, 0, 1)).min() > 0


def test_smooth_noise_has_the_requested_variance():
    field = smooth_noise(torch.Generator().manual_seed(0), 6, (32, 32, 32), {2.0: 3.0, 1.0: 4.0})
    assert abs(field.std().item() - 5.0) < 0.4
    noise = Noise(torch.Generator().manual_seed(0), "cpu")
    points = torch.rand(3, 2000) * 200
    period = noise.SIZE * 30.0 / 6.0  # wraps without a seam
    torch.testing.assert_close(noise(points, 30.0), noise(points + period, 30.0), atol=1e-3, rtol=0)


def test_shapes_are_signed_distances():
    p = torch.tensor([[12.0, 0, 0], [10.0, 0, 0], [0, 0, 0]]).T
    torch.testing.assert_close(ellipsoid(p, (0, 0, 0), (10, 10, 10))[:2], torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(capsule(p, (0, 0, 0), (0, 5, 0), 3.0), torch.tensor([9.0, 7.0, -3.0]))
    assert cover(torch.tensor([-2.0, 0.0, 2.0])).tolist() == [1.0, 0.5, 0.0]


def test_training_pairs_are_seeded_and_in_range():
    one, two = pairs(11, size=64, pool=4), pairs(11, size=64, pool=4)
    for _ in range(6):
        (mr, ct), (mr2, ct2) = next(one), next(two)
        assert torch.equal(mr, mr2) and torch.equal(ct, ct2)
        assert mr.shape == ct.shape == (1, 64, 64)
        assert mr.isfinite().all() and mr.min() >= 0
        assert ct.min() >= -1000.1 and ct.max() < 3100


def test_points_outside_the_field_of_view_are_air_in_both_modalities():
    draw = Draw(torch.Generator().manual_seed(2))
    patient = make_head(draw.generator)
    with torch.inference_mode():
        for _ in range(8):
            (shares,), _ = random_slice(draw, [patient], 64)
            torch.testing.assert_close(shares.sum(0), torch.ones(64, 64), atol=1e-4, rtol=0)


def test_random_contrasts_stay_t1_weighted():
    draw = Draw(torch.Generator().manual_seed(0))
    for _ in range(200):
        signal = random_contrast(draw)
        fluid, grey, white = (signal[INDEX[n]] for n in ("fluid", "grey matter", "white matter"))
        assert fluid < grey < white
        assert signal[INDEX["cortical bone"]] < grey


@pytest.mark.parametrize(
    "request_",
    [
        {"seed": -1},
        {"seed": 1.5},
        {"seed": True},
        {"seed": 2**63},
        {"seed": 1, "spacing": 0},
        {"seed": 1, "spacing": 0.1},
        {"seed": 1, "spacing": float("nan")},
        {"seed": 1, "spacing": 50},
        {"seed": 1, "modalities": ("t1", "x-ray")},
        {"seed": 1, "modalities": ()},
    ],
)
def test_bad_requests_give_one_sentence(request_):
    with pytest.raises(InputError, match=r"^[A-Z].*\.$"):
        make_patient(**request_)
