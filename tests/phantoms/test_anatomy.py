"""Anatomy of the mean head: parts at their atlas positions, open airways, results independent of blocks."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from ganlab.phantoms.build import Build
from ganlab.phantoms.patient import Patient, make_head
from ganlab.phantoms.tissues import INDEX, NAMES, table

pytestmark = pytest.mark.slow

PLACES = {  # MNI mm on the right side or in the midline -> tissue
    "globe": ((34, 58, -41), "vitreous"),
    "lens": ((34, 69.6, -41), "lens"),
    "orbital fat": ((34, 42, -38), "fat"),
    "sphenoid sinus": ((8, 16, -42), "air"),
    "maxillary sinus": ((31, 46, -72), "air"),
    "frontal sinus": ((11, 79, -17), "air"),
    "nasopharynx": ((0, 12, -68), "air"),
    "nasal floor": ((8, 40, -78), "air"),
    "tongue": ((12, 45, -104), "muscle"),
    "upper incisor": ((4.5, 83.5, -92), "tooth"),
    "chin": ((4, 80, -128), "cancellous bone"),
    "ramus": ((54.5, 4, -100), "cancellous bone"),
    "masseter": ((62, 14, -95), "muscle"),
    "parotid": ((57, -9, -90), "gland"),
    "otic capsule": ((36, -18, -46), "petrous bone"),
    "petrous apex": ((20, -14, -46), "cancellous bone"),
    "mastoid cells": ((52, -34, -52), "air"),
    "middle ear": ((52, -19, -54), "air"),
    "pineal body": ((0, -31, 1), "gland"),
    "internal cerebral vein": ((2, -20, 13), "vessel"),
    "basilar artery": ((0, -16, -36), "vessel"),
    "clivus": ((0, -10, -48), "cancellous bone"),
    "pituitary": ((0, 2, -31), "gland"),
    "occipital bone": ((0, -98, -30), "cancellous bone"),
    "medulla": ((0, -43, -62), "white matter"),
    "cord": ((3.5, -43, -120), "white matter"),
    "dens": ((0, -31, -88), "vertebral marrow"),
    "third vertebra": ((0, -24, -124), "vertebral marrow"),
    "disc below it": ((0, -24, -134), "disc"),
    "oropharynx": ((0, -12, -100), "air"),
    "windpipe": ((0, 1, -170), "air"),
    "sternocleidomastoid": ((46, -23, -118), "muscle"),
    "internal carotid": ((26, -14, -105), "vessel"),
    "superior sagittal sinus": ((0, -60, 76), "vessel"),
    "corpus callosum": ((0, 27, 6), "white matter"),
    "thalamus": ((11, -18, 8), "grey matter"),
    "lateral ventricle": ((9, 2, 19), "fluid"),
}


@pytest.fixture(scope="module")
def mean_head():
    drawn = make_head(torch.Generator().manual_seed(0))
    zero = torch.zeros_like(drawn.displacement)
    return Patient(Build(), torch.eye(3), torch.zeros(3), zero, drawn.noise)


def shares_at(head, points):
    with torch.inference_mode():
        return head.shares(torch.as_tensor(points, dtype=torch.float32))


@pytest.mark.parametrize("name", PLACES)
def test_parts_lie_at_their_atlas_positions(mean_head, name):
    place, tissue = PLACES[name]
    near = torch.tensor(place)[:, None, None, None] + torch.stack(
        torch.meshgrid(*[torch.arange(-3.0, 3.5, 1.0)] * 3, indexing="ij")
    )
    assert (shares_at(mean_head, near)[INDEX[tissue]] > 0.5).any(), name


def test_paired_parts_exist_on_both_sides(mean_head):
    for name in ("globe", "maxillary sinus", "ramus", "parotid", "masseter"):
        (x, y, z), tissue = PLACES[name]
        for side in (-x, x):
            cube = (
                torch.tensor((side, y, z))[:, None]
                + torch.tensor([[0, 2, -2, 0, 0, 0, 0]] * 3) * torch.eye(3)[:, [0, 0, 0, 1, 1, 2, 2]]
            )
            assert (shares_at(mean_head, cube)[INDEX[tissue]] > 0.5).any(), (name, side)


@pytest.mark.parametrize("seed", [0, 5, 9001])
def test_air_passes_from_the_nostrils_to_the_windpipe(seed):
    head = make_head(torch.Generator().manual_seed(seed))
    axes = [torch.arange(-25.0, 25.0), torch.arange(-60.0, 112.0), torch.arange(-138.0, -30.0)]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    with torch.inference_mode():
        shares = torch.cat([head.shares(block) for block in grid.split(20, 3)], 3)
        template = head.to_template(grid)
    air = ((shares[INDEX["air"]] + shares[INDEX["background"]]) > 0.4).numpy()
    parts, _ = ndimage.label(air)
    outside = parts[25, -1, -1]  # in front of the face
    low = (shares[INDEX["air"]] > 0.6).numpy()[:, :, :4]
    assert outside > 0 and low.any()
    assert set(np.unique(parts[:, :, :4][low])) >= {outside}
    choanae = ((template - torch.tensor([0.0, 18.0, -68.0])[:, None, None, None]).norm(dim=0) < 3).numpy()
    assert (parts[choanae] == outside).any()


@pytest.mark.parametrize("seed", [0, 9002])
def test_the_cord_runs_from_the_medulla_downwards(seed):
    head = make_head(torch.Generator().manual_seed(seed))
    axes = [torch.arange(-40.0, 40.0), torch.arange(-90.0, 30.0), torch.arange(-139.0, -20.0)]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    with torch.inference_mode():
        shares = torch.cat([head.shares(block) for block in grid.split(20, 3)], 3)
    nervous = (shares[INDEX["white matter"]] + shares[INDEX["grey matter"]] > 0.5).numpy()
    parts, _ = ndimage.label(nervous)
    bottom, top = set(np.unique(parts[:, :, 2])) - {0}, set(np.unique(parts[:, :, -1])) - {0}
    assert len(bottom) == 1 and bottom & top


def test_vertebrae_and_discs_have_their_ct_numbers(mean_head):
    axes = [torch.arange(-6.0, 7.0), torch.arange(-30.0, -19.0), torch.arange(-156.0, -118.0)]
    shares = shares_at(mean_head, torch.stack(torch.meshgrid(*axes, indexing="ij")))
    hu = torch.tensordot(table("hu"), shares, 1)
    bone = shares[INDEX["vertebral marrow"]] + shares[INDEX["cortical bone"]] > 0.9
    disc = shares[INDEX["disc"]] > 0.9
    assert bone.sum() > 500 and disc.sum() > 200
    assert hu[bone].mean() > 250 and hu[disc].mean() < 150


@pytest.mark.parametrize("seed", [1, 2])
def test_tissue_at_a_point_does_not_depend_on_its_block(seed):
    head = make_head(torch.Generator().manual_seed(seed))
    random = torch.Generator().manual_seed(0)
    for _ in range(12):
        low = torch.tensor([-80.0, -115, -135]) + torch.rand(3, generator=random) * torch.tensor([160.0, 215, 225])
        block = torch.stack(torch.meshgrid(*[low[k] + torch.arange(20.0) for k in range(3)], indexing="ij"))
        whole = shares_at(head, block)
        pieces = torch.cat([shares_at(head, piece) for piece in block.split(5, 2)], 2)
        assert (whole - pieces).abs().max() < 0.05


def test_every_tissue_of_the_head_occurs(mean_head):
    axes = [torch.arange(-90.0, 90, 3), torch.arange(-118.0, 118, 3), torch.arange(-155.0, 95, 3)]
    shares = shares_at(mean_head, torch.stack(torch.meshgrid(*axes, indexing="ij")))
    result = {NAMES[k] for k in range(len(NAMES)) if shares[k].max() > 0.3}
    assert set(NAMES) - result == {"tumour", "necrosis", "oedema", "plaque", "blood", "metal"}
