"""A hundred patients compared with published adult ranges; every skull is closed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ganlab.phantoms import LABELS
from ganlab.phantoms.head.anatomy import anatomy
from ganlab.phantoms.patient import make_head
from ganlab.phantoms.signals import mr_signals
from ganlab.phantoms.template import load_template
from ganlab.phantoms.tissues import INDEX, NAMES, table
from ganlab.phantoms.tracts import TRACTS, load_tracts, tract_means
from ganlab.phantoms.volumes import brain_fa

pytestmark = pytest.mark.slow

SEEDS = range(100)
BONE = [INDEX[t] for t in ("cortical bone", "cancellous bone", "petrous bone")]
CENTRE = (0.0, -15.0, 12.0)  # patient mm, in the middle of the brain
SITES = {"frontal": (0.15, 1, 0.45), "parietal": (0.62, -0.25, 0.75), "occipital": (0.05, -1, 0.12)}
STEP = 0.5


def rays(directions):
    """(3, rays, points) patient mm, from the centre outwards."""
    v = torch.as_tensor(directions, dtype=torch.float32)
    v = v / v.norm(dim=1, keepdim=True)
    return torch.tensor(CENTRE)[:, None, None] + v.T[:, :, None] * torch.arange(0, 130, STEP)


@pytest.fixture(scope="module")
def people():
    """Litres of grey and white matter and fluid above the foramen magnum, mm of bone, and how closed the vault is."""
    upper = np.random.default_rng(0).normal(size=(150, 3))
    upper[:, 2] = np.abs(upper[:, 2])
    sites, vault = rays(list(SITES.values())), rays(upper)
    axes = [torch.arange(a, b, 4.0) for a, b in ((-82, 83), (-108, 84), (-62, 90))]
    box = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    result = []
    for seed in SEEDS:
        head = make_head(torch.Generator().manual_seed(seed))
        with torch.inference_mode():
            thickness = head.shares(sites)[BONE].sum((0, 2)) * STEP
            hu = torch.tensordot(table("hu"), head.shares(vault), 1)
            litres = sum(head.shares(block).sum((1, 2, 3)) for block in box.split(14, 1)) * 4.0**3 / 1e6
        result.append(
            {
                "grey": litres[INDEX["grey matter"]].item(),
                "white": litres[INDEX["white matter"]].item(),
                "fluid": litres[INDEX["fluid"]].item(),
                "closed": (hu.amax(1) > 300).float().mean().item(),
                "outside": hu[:, -1].max().item(),
                **dict(zip(SITES, thickness.tolist(), strict=True)),
            }
        )
    return {key: np.array([f[key] for f in result]) for key in result[0]}


@pytest.mark.parametrize(
    ("key", "mean", "extremes"),
    [  # litres: Good et al., NeuroImage 14:21, 2001; mm: Lillie et al., J Craniofac Surg 27:e131, 2016
        ("grey", (0.58, 0.75), (0.42, 1.0)),
        ("white", (0.42, 0.55), (0.32, 0.72)),
        ("fluid", (0.22, 0.42), (0.12, 0.65)),
        ("frontal", (6.0, 7.8), (2.5, 13.0)),
        ("parietal", (5.5, 7.5), (2.0, 13.0)),
        ("occipital", (6.3, 9.0), (2.5, 14.0)),
    ],
)
def test_volumes_and_thicknesses_match_adults(people, key, mean, extremes):
    assert mean[0] <= people[key].mean() <= mean[1]
    assert people[key].min() >= extremes[0] and people[key].max() <= extremes[1]


def test_intracranial_volume_varies_as_in_adults(people):
    space = people["grey"] + people["white"] + people["fluid"]
    assert 1.35 <= space.mean() <= 1.6
    assert 0.09 <= space.std() <= 0.18


def test_every_skull_is_closed_and_every_head_fits_the_field_of_view(people):
    assert people["closed"].min() >= 0.995
    assert people["outside"].max() < -950


@pytest.fixture(scope="module")
def diffusion():
    """FA, white share and template points of three patients without their warp, 2 mm, over the brain's box."""
    axes = [torch.arange(a, b, 2.0) for a, b in ((-74, 75), (-110, 77), (-66, 85))]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij")).reshape(3, -1)
    fa, shares = [], []
    for seed in range(3):
        drawn = make_head(torch.Generator().manual_seed(seed))
        head = replace(drawn, matrix=torch.eye(3), displacement=torch.zeros_like(drawn.displacement))
        with torch.inference_mode():
            for block in points.split(50_000, 1):
                at = head.head(block, 2.0)
                shares.append(anatomy(at))
                fa.append(brain_fa(shares[-1], at))
    return points, torch.cat(fa).reshape(3, -1), torch.cat(shares, 1).reshape(len(NAMES), 3, -1)


def test_fa_of_grey_matter_fluid_and_callosum(diffusion):
    points, fa, shares = diffusion
    assert 0.12 <= fa[shares[INDEX["grey matter"]] > 0.95].mean() <= 0.18
    assert fa[shares[INDEX["fluid"]] > 0.98].mean() < 0.1
    core = load_tracts("cpu").label(points)
    for part in ("genu", "body", "splenium"):
        where = (core == 1 + list(TRACTS).index(f"{part} of corpus callosum")) & (shares[INDEX["white matter"]] > 0.8)
        assert 0.7 <= fa[where].mean() <= 0.85, part


def test_fa_shows_tracts_beyond_white_matter(diffusion):
    points, fa, _ = diffusion
    mean = fa.mean(0)
    grey, white = load_template("cpu").grey_white(points)
    brain = grey + white > 0.3
    assert 0.5 < np.corrcoef(mean[brain], white[brain])[0, 1] < 0.8
    tracts = tract_means(mean, points, load_tracts("cpu"))
    assert set(tracts) == set(TRACTS)
    assert tracts["splenium of corpus callosum"] > tracts["posterior limb of internal capsule"]
    assert tracts["posterior limb of internal capsule"] > tracts["superior longitudinal fasciculus"] > 0.35


def test_every_label_has_a_signal_in_every_modality():
    assert list(LABELS.values()) == NAMES
    for modality in ("t1", "t2", "pd", "flair"):
        for field in (1.5, 3.0):
            assert mr_signals(modality, field).isfinite().all()
    for column in ("hu", "fa", "md", "pet"):
        assert table(column).shape == (len(NAMES),) and table(column).isfinite().all()
