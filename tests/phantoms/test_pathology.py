"""Lesions, bone flaps, fillings, scanners, misalignment and defacing of phantom patients."""

import numpy as np
import pytest
import torch

from ganlab.errors import InputError
from ganlab.phantoms import LESIONS, Lesion, Spot, make_patient
from ganlab.phantoms.lesions import draw_lesion, pushed
from ganlab.phantoms.tissues import INDEX

pytestmark = pytest.mark.slow

MM = 4.0


def labels(seed=3, **options):
    return make_patient(seed, ("labels",), MM, **options)["labels"]


@pytest.mark.parametrize(("kind", "tissue"), [("tumour", "tumour"), ("plaques", "plaque"), ("bleed", "blood")])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_lesions_appear_only_on_request(kind, tissue, seed):
    with_, without = labels(seed, lesion=kind), labels(seed)
    assert (with_.array == INDEX[tissue]).any() or kind == "plaques"  # small plaques may not fill a 4 mm voxel
    assert not np.isin(without.array, [INDEX[t] for t in ("tumour", "necrosis", "oedema", "plaque", "blood")]).any()
    bone = [INDEX["cortical bone"], INDEX["cancellous bone"]]
    skull, other = np.isin(without.array, bone), np.isin(with_.array, bone)
    assert (skull != other).sum() < 2e-3 * skull.sum()  # the skull base gives way where a mass pushes brain against it


@pytest.mark.parametrize("side", [-1, 1])
def test_a_lesion_on_the_right_lies_at_positive_x_in_every_modality(side):
    spot = Spot(side * 32.0, 0.0, 22.0, 14.0)
    modalities = ("t1", "t2", "flair", "ct", "fa", "labels")
    with_lesion, healthy = (make_patient(4, modalities, 2.0, lesion=x) for x in (Lesion("bleed", (spot,)), None))
    where = np.argwhere(with_lesion["labels"].array == INDEX["blood"])
    centre = with_lesion["labels"].affine[:3, :3] @ where.mean(0) + with_lesion["labels"].affine[:3, 3]
    assert np.sign(centre[0]) == side and 20 < abs(centre[0]) < 40
    assert np.linalg.norm(centre[1:] - np.array([0, 22]) / 1.125) < 14
    for m in ("t1", "t2", "flair", "ct", "fa"):  # RAS: the first axis runs to the patient's right
        change = np.abs(with_lesion[m].array - healthy[m].array)
        half = change.shape[0] // 2
        left, right = change[:half].sum(), change[half:].sum()
        assert (right > 2 * left) if side > 0 else (left > 2 * right), m


def test_lesions_have_their_typical_contrast_in_each_modality():
    spot = (Spot(30.0, -5.0, 24.0, 15.0),)
    for kind, tissue, bright, dark in (
        ("tumour", "oedema", ("t2", "flair"), ("t1", "ct")),
        ("bleed", "blood", ("ct", "t1"), ()),
        ("plaques", "plaque", ("t2", "flair"), ("t1", "pet")),
    ):
        patient = make_patient(5, ("t1", "t2", "flair", "ct", "pet", "labels"), 2.0, lesion=Lesion(kind, spot))
        lesion = patient["labels"].array == INDEX[tissue]
        white = patient["labels"].array == INDEX["white matter"]
        assert lesion.sum() > 50
        for m in bright:
            assert patient[m].array[lesion].mean() > 1.1 * patient[m].array[white].mean(), (kind, m)
        for m in dark:
            assert patient[m].array[lesion].mean() < 0.97 * patient[m].array[white].mean(), (kind, m)


def test_a_mass_displaces_tissue_without_tearing():
    lesion = Lesion("tumour", (Spot(30.0, 0.0, 20.0, 12.0),))
    x = torch.linspace(42.1, 120, 400)
    line = torch.stack([x, torch.zeros_like(x), torch.full_like(x, 20.0)])
    before = pushed(line, lesion)[0]
    assert (before.diff() > 0).all() and (before <= x).all()
    assert abs(before[-1] - x[-1]) < 0.01
    assert pushed(line, None) is line


@pytest.mark.parametrize("kind", LESIONS)
def test_lesions_occur_on_both_sides(kind):
    sides = {np.sign(draw_lesion(kind, torch.Generator().manual_seed(s)).spots[0].x) for s in range(20)}
    assert sides == {-1, 1}


def test_craniotomy_cuts_the_vault_but_not_the_brain():
    cut, whole = (make_patient(6, ("ct", "labels"), 2.0, craniotomy=c) for c in (True, False))
    bone, brain = INDEX["cortical bone"], INDEX["grey matter"]
    lost = (whole["labels"].array == bone) & (cut["labels"].array == INDEX["fibrous tissue"])
    assert 50 < lost.sum() < 4000
    changed = (whole["labels"].array == brain) != (cut["labels"].array == brain)
    assert changed.sum() < 10 and whole["ct"].array[changed].min(initial=1000) > 300  # bone lies in part of the voxel
    assert cut["ct"].array[lost].mean() < whole["ct"].array[lost].mean() - 300


def test_fillings_cause_ct_streaks_only_near_the_teeth():
    modalities = ("t1", "ct", "labels")
    filled, sound = (make_patient(7, modalities, 2.0, fillings=f) for f in (True, False))
    metal = (filled["labels"].array == INDEX["metal"]).any(axis=(0, 1))
    assert metal.any()
    change = np.abs(filled["ct"].array - sound["ct"].array).max(axis=(0, 1))
    assert change[metal].min() > 300
    far = np.flatnonzero(metal).max() + 10
    assert change[far:].max() == 0


def test_misalignment_moves_the_throat_more_than_the_skull():
    still, moved = (make_patient(8, ("t1", "ct", "labels"), 2.0, misalign=m) for m in (0.0, 8.0))
    assert np.array_equal(still["labels"].array, moved["labels"].array)
    assert np.array_equal(still["ct"].array, moved["ct"].array)
    change = np.abs(still["t1"].array - moved["t1"].array)
    edge = np.abs(np.gradient(still["t1"].array, axis=1))
    low, high = slice(5, 35), slice(75, 110)  # throat and jaw; vault
    assert change[:, :, low].sum() / edge[:, :, low].sum() > 1.2 * change[:, :, high].sum() / edge[:, :, high].sum()


def test_defacing_removes_the_face_but_no_brain():
    whole, cut = (make_patient(9, ("t1", "ct", "labels"), 2.0, defaced=d) for d in (False, True))
    gone = (cut["labels"].array == 0) & (whole["labels"].array != 0)
    front = np.argwhere(gone)[:, 1].mean() * 2 - 128
    assert gone.sum() * 8 / 1000 > 40 and front > 20  # ml, and mm in front of the middle
    brain = np.isin(whole["labels"].array, [INDEX["grey matter"], INDEX["white matter"]])
    assert (gone & brain).sum() < 2e-4 * brain.sum()  # the optic nerve goes with the orbit
    assert cut["ct"].array[gone].mean() < -900 and cut["t1"].array[gone].mean() < 60


def test_an_option_changes_only_what_it_names():
    small, large = (labels(10, ventricles=v) for v in (0.7, 2.0))
    x, y, z = (slice(a, b) for a, b in ((18, 30), (22, 38), (36, 43)))  # around the lateral ventricles
    assert (large.array[x, y, z] == INDEX["fluid"]).sum() > 1.3 * (small.array[x, y, z] == INDEX["fluid"]).sum()
    bones = [(labels(10, skull=s).array == INDEX["cancellous bone"]).sum() for s in (5.0, 10.0)]
    assert bones[1] > 1.3 * bones[0]
    fat = [(labels(10, fat=f).array == INDEX["fat"]).sum() for f in (1.5, 8.0)]
    assert fat[1] > 1.2 * fat[0]


def test_scanner_and_field_change_images_but_not_anatomy():
    usual = make_patient(11, ("t1", "labels"), MM)
    for wish in ({"scanner": "noisy"}, {"scanner": "clinical"}, {"scanner": "fat-suppressed"}, {"field": 1.5}):
        other = make_patient(11, ("t1", "labels"), MM, **wish)
        assert np.array_equal(usual["labels"].array, other["labels"].array)
        assert not np.allclose(usual["t1"].array, other["t1"].array, rtol=0.05)


@pytest.mark.parametrize(
    "wish",
    [
        {"lesion": "cyst"},
        {"lesion": Lesion("tumour", (Spot(30, 0, 20, 80),))},
        {"lesion": Lesion("tumour", (Spot(300, 0, 20, 10),))},
        {"lesion": Lesion("tumour", (Spot(float("nan"), 0, 20, 10),))},
        {"misalign": -1},
        {"misalign": 50},
        {"misalign": float("nan")},
        {"scanner": "pocket"},
        {"field": 7},
        {"skull": 40},
        {"ventricles": float("nan")},
        {"shoe": 43},
    ],
)
def test_impossible_options_give_one_sentence(wish):
    with pytest.raises(InputError, match=r"^[A-Z].*\.$"):
        make_patient(1, ("labels",), 8.0, **wish)
