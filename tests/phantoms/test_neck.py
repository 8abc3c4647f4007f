"""The neck: parts at their atlas positions, open airway, bone and disc on CT, sizes of adults."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from ganlab.phantoms.build import Build
from ganlab.phantoms.head.spine import FIRST_DISC, LEVEL, axis, levels, spine
from ganlab.phantoms.patient import Patient, make_head
from ganlab.phantoms.tissues import INDEX, table

pytestmark = pytest.mark.slow

SEEDS = (9000, 9001, 9002, 9003)

PLACES = {  # template mm on the right side or in the midline -> tissue
    "anterior arch of the atlas": ((0, -23, -86), "vertebral marrow"),
    "lateral mass of the atlas": ((20, -36, -86), "vertebral marrow"),
    "posterior arch of the atlas": ((0, -64.5, -88), "vertebral marrow"),
    "dens": ((0, -32, -88), "vertebral marrow"),
    "body of the axis": ((0, -30, -104), "vertebral marrow"),
    "spinous process of the axis": ((0, -66, -107), "vertebral marrow"),
    "fourth body": ((3, -26, -143), "vertebral marrow"),
    "disc C3/4": ((0, -26, -134), "disc"),
    "articular pillar": ((21, -46, -125), "vertebral marrow"),
    "cord": ((4, -43.5, -125), "white matter"),
    "fluid of the sac": ((0, -37.5, -125), "fluid"),
    "epidural fat": ((0, -54, -125), "fat"),
    "vertebral artery": ((16, -34.5, -130), "vessel"),
    "common carotid": ((25, -13.5, -140), "vessel"),
    "internal carotid": ((27.5, -15, -115), "vessel"),
    "jugular": ((34, -19.5, -125), "vessel"),
    "oropharynx": ((0, -8.5, -105), "air"),
    "epiglottis": ((0, 0.6, -122), "cartilage"),
    "vallecula": ((5, 2.6, -121.5), "air"),
    "piriform recess": ((14, -3.5, -138), "air"),
    "hyoid": ((0, 16.5, -128), "cancellous bone"),
    "thyroid cartilage": ((12, 7, -148), "cartilage"),
    "vocal folds": ((0, 4, -151), "air"),
    "cricoid": ((0, -5.5, -160), "cartilage"),
    "trachea": ((0, 6, -172), "air"),
    "gullet": ((7, -9, -172), "muscle"),
    "thyroid gland": ((17, -1, -176), "gland"),
    "sternocleidomastoid": ((52, -24, -118), "muscle"),
    "semispinalis capitis": ((15, -81, -118), "muscle"),
    "levator scapulae": ((42, -55, -118), "muscle"),
    "longus colli": ((8, -14.5, -118), "muscle"),
}


def mean_patient(**build):
    drawn = make_head(torch.Generator().manual_seed(0))
    zero = torch.zeros_like(drawn.displacement)
    return Patient(Build(**build), torch.eye(3), torch.zeros(3), zero, drawn.noise)


@pytest.fixture(scope="module")
def mean_head():
    return mean_patient()


def box(x, y, z, step=1.0):
    """(3, X, Y, Z) points in mm of ranges (low, high)."""
    return torch.stack(torch.meshgrid(*[torch.arange(*map(float, r), step) for r in (x, y, z)], indexing="ij"))


def shares_at(patient, points):
    with torch.inference_mode():
        return torch.cat([patient.shares(slab) for slab in points.split(24, 3)], 3)


def shares_in_template(patient, points):
    """Shares at points in template mm, ignoring the warp."""
    return shares_at(patient, torch.tensordot(torch.linalg.inv(patient.matrix), points, 1))


@pytest.mark.parametrize("name", PLACES)
def test_parts_lie_at_their_atlas_positions(mean_head, name):
    (x, y, z), tissue = PLACES[name]
    for side in {x, -x}:
        around = box((-1, 2), (-1, 2), (-1, 2)) + torch.tensor([side, y, z])[:, None, None, None]
        assert shares_at(mean_head, around)[INDEX[tissue]].max() > 0.6, side


def nervous_area(patient):
    """(Z,) mm2 of cord or medulla in every millimetre from z = -48 down, within 8 mm of the canal's axis."""
    points = box((-8, 9), (-62, -18), (-150, -48))
    shares = shares_at(patient, points)
    head = patient.head(points.reshape(3, -1))
    near = ((head.y - axis(head)).abs() < 8).reshape(points.shape[1:])
    return ((shares[INDEX["white matter"]] + shares[INDEX["grey matter"]]) * near).sum((0, 1)).flip(0)


def test_medulla_continues_smoothly_into_the_cord(mean_head):
    area = nervous_area(mean_head)
    assert area[60:].min() > 60 and area[60:].max() < 125  # cord: 13 by 8 mm in life
    assert (area[1:] / area[:-1] - 1).abs().max() < 0.08


@pytest.mark.parametrize("seed", SEEDS)
def test_the_cord_runs_to_the_bottom(seed):
    shares = shares_in_template(make_head(torch.Generator().manual_seed(seed)), box((-35, 36), (-85, 5), (-152, -30)))
    nervous = shares[INDEX["white matter"]] + shares[INDEX["grey matter"]]
    parts, _ = ndimage.label((nervous > 0.5).numpy())
    stem = parts == np.bincount(parts[parts > 0]).argmax()
    assert stem[:, :, -1].any()
    cut = stem.sum((0, 1))[: 152 - 75]
    assert cut.min() > 60 and cut.max() < 160


@pytest.mark.parametrize("seed", SEEDS)
def test_the_airway_is_open_to_the_windpipe(seed):
    shares = shares_in_template(make_head(torch.Generator().manual_seed(seed)), box((-32, 33), (-50, 40), (-176, -90)))
    parts, _ = ndimage.label((shares[INDEX["air"]] > 0.5).numpy())
    common = set(parts[:, :, 0].flat) & set(parts[:, :, -1].flat)
    assert common - {0}


@pytest.mark.parametrize("lean", [-16.0, 0.0, 24.0])
def test_bodies_are_bone_and_discs_are_not(lean):
    patient = mean_patient(lean=lean)
    points = box((-5, 6), (-45, 20), (-160, -110))
    hu = torch.tensordot(table("hu"), shares_at(patient, points), 1).reshape(-1)
    head = patient.head(points.reshape(3, -1))
    depth, height = spine(head)[1], levels(head)
    for number in range(2):
        disc = FIRST_DISC - number * LEVEL
        between = (depth - 18).abs() < 5
        assert hu[between & ((height - disc).abs() < 1.2)].mean() < 150
        assert hu[between & ((height - disc + LEVEL / 2).abs() < 5)].mean() > 250


def test_lean_moves_the_neck_but_not_the_skull():
    z = torch.tensor([-60.0, -140.0])
    points = torch.stack([torch.zeros(2), torch.zeros(2), z])
    skull, neck = axis(mean_patient(lean=20.0).head(points)) - axis(mean_patient().head(points))
    assert abs(skull) < 0.5 and 8 < neck < 13


@pytest.mark.parametrize("seed", SEEDS)
def test_neck_girth_is_that_of_adults(seed):
    patient = make_head(torch.Generator().manual_seed(seed))
    points = box((-90, 90), (-120, 75), (-132, -130), 1.0)  # below chin and jaw
    inside = 1 - shares_at(patient, points)[INDEX["background"]]
    girth = 2 * math.pi * math.sqrt(inside[..., 0].sum().item() / math.pi)
    assert 290 < girth < 480  # mm


def test_neck_muscles_lie_in_layers_separated_by_fat(mean_head):
    line = box((14, 15), (-92, -60), (-120, -119), 0.5)
    muscle = shares_at(mean_head, line)[INDEX["muscle"]][0, :, 0] > 0.6
    assert (muscle[1:] & ~muscle[:-1]).sum() >= 2


def test_shares_sum_to_one_and_do_not_depend_on_blocks():
    patient = make_head(torch.Generator().manual_seed(1))
    random = torch.Generator().manual_seed(0)
    for _ in range(10):
        low = torch.tensor([-60.0, -90, -150]) + torch.rand(3, generator=random) * torch.tensor([100.0, 100, 80])
        points = box((0, 20), (0, 20), (0, 20)) + low[:, None, None, None]
        whole = shares_at(patient, points)
        assert whole.min() >= 0
        torch.testing.assert_close(whole.sum(0), torch.ones(20, 20, 20), atol=1e-4, rtol=0)
        pieces = torch.cat([shares_at(patient, piece) for piece in points.split(5, 1)], 1)
        torch.testing.assert_close(whole, pieces, atol=0.02, rtol=0)
