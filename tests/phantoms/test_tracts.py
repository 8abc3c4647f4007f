import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ganlab.phantoms import tracts
from ganlab.phantoms.template import load_template
from ganlab.phantoms.tissues import INDEX, NAMES, table
from ganlab.phantoms.tracts import (
    AXIAL,
    COMPONENTS,
    MIRROR,
    RADIAL,
    TRACTS,
    diffusion,
    fibres,
    fractional_anisotropy,
    in_brainstem,
    load_tracts,
    tract_means,
    voxel_fa,
)

GREY, WHITE, FLUID = (INDEX[n] for n in ("grey matter", "white matter", "fluid"))


def tensor6(matrix):
    return torch.tensor([matrix[i][j] for i, j in COMPONENTS], dtype=torch.float64)


def stick(direction):
    v = np.array(direction, float) / np.linalg.norm(direction)
    return np.array([v[i] * v[j] for i, j in COMPONENTS])


def mixture(**share):
    """Shares (tissues, 1) of one voxel."""
    shares = torch.zeros(len(NAMES), 1)
    for name, value in share.items():
        shares[INDEX[name.replace("_", " ")]] = value
    return shares


@pytest.fixture(scope="module")
def field():
    return load_tracts()


@pytest.fixture(scope="module")
def brain(field):
    """Points (3, ...) every 1.5 mm, the template's tissue shares as the phantom sharpens them, and FA."""
    axes = (torch.arange(a, b, 1.5) for a, b in ((-75.0, 76), (-108.0, 76), (-70.0, 82)))
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    template = load_template()
    grey, white = template.grey_white(points)
    maps = torch.stack([grey, white, (1 - grey - white).clamp(0, 1)]) ** 2.5
    shares = torch.zeros(len(NAMES), *points.shape[1:])
    shares[[GREY, WHITE, FLUID]] = maps / maps.sum(0).clamp_min(1e-6) * (template.distance(points) < 0)
    return points, shares, voxel_fa(shares, points, field)


@given(arrays(float, (3, 3), elements=st.floats(-3, 3, width=32)))
def test_fa_equals_the_eigenvalue_formula(root):
    matrix = root @ root.T + 1e-3 * np.eye(3)  # a diffusion tensor is positive definite
    values = np.linalg.eigvalsh(matrix)
    expected = np.sqrt(1.5 * ((values - values.mean()) ** 2).sum() / (values**2).sum())
    assert float(fractional_anisotropy(tensor6(matrix))) == pytest.approx(expected, abs=1e-7)


def test_fa_of_known_tensors():
    assert float(fractional_anisotropy(tensor6(2.0 * np.eye(3)))) == 0
    assert float(fractional_anisotropy(torch.zeros(6))) == 0
    assert float(fractional_anisotropy(torch.tensor(stick((1, 2, 3))))) == pytest.approx(1)
    crossing = torch.tensor(stick((1, 1, 0)) + stick((1, -1, 0)))  # eigenvalues 1, 1, 0: a disc
    assert float(fractional_anisotropy(crossing)) == pytest.approx(np.sqrt(0.5))


def test_one_coherent_tract_has_its_eigenvalues_and_crossing_lowers_fa():
    one, other = stick((0, 3, 4)), stick((1, 0, 0))
    single, crossed = diffusion(one), diffusion((one + other) / 2)
    matrix = np.empty((3, 3))
    for value, (i, j) in zip(single, COMPONENTS, strict=True):
        matrix[i, j] = matrix[j, i] = value
    np.testing.assert_allclose(np.linalg.eigvalsh(matrix), [RADIAL, RADIAL, AXIAL], atol=1e-12)
    assert crossed[:3].sum() == pytest.approx(single[:3].sum())
    fa = [float(fractional_anisotropy(torch.tensor(t))) for t in (single, crossed)]
    assert 0.75 < fa[0] < 0.85 and fa[1] < 0.75 * fa[0]


@pytest.mark.parametrize("name", TRACTS)
def test_fibres_are_dense_pass_the_nodes_and_run_along_the_tract(name):
    tract = TRACTS[name]
    points, tangents = fibres(tract)
    nodes = np.concatenate([np.array(s, float) for s in tract.strands])
    to_nodes = np.linalg.norm(points[:, None] - nodes, axis=2)
    assert to_nodes.min(0).max() < 1.5
    assert len({len(s) for s in tract.strands}) == 1
    coherence = (tangents**2).sum(1)
    assert min(tract.coherence) - 1e-6 <= coherence.min() and coherence.max() <= max(tract.coherence) + 1e-6 <= 1 + 1e-6
    assert points[:, 0].min() > -1e-6  # the right hemisphere
    crossing = points[:, 0] < 1e-6
    assert crossing.any() == (tract.strands[0][0][0] == 0)
    unit = tangents[crossing] / np.linalg.norm(tangents[crossing], axis=1, keepdims=True)
    assert (np.abs(unit[:, 0]) > 0.99).all()  # commissures cross the midline at a right angle


def test_the_field_is_mirrored(field):
    mirror = torch.tensor(MIRROR)[:, None, None, None]
    torch.testing.assert_close(field.tensor.flip(1) * mirror, field.tensor, atol=1e-4, rtol=0)
    assert (field.core == field.core.flip(0)).float().mean() > 0.9999
    assert float(field.origin[0]) == -float(field.origin[0] + field.spacing * (field.core.shape[0] - 1))


def test_the_field_is_deterministic_physical_and_small(field):
    orientation, core = tracts._arrays.__wrapped__()
    assert diffusion(orientation).tobytes() == field.tensor.numpy().tobytes()
    assert core.tobytes() == field.core.numpy().tobytes()
    assert field.tensor.numel() * 4 + field.core.numel() < 50e6
    trace = field.tensor[:3].sum(0)
    torch.testing.assert_close(trace, torch.full_like(trace, AXIAL + 2 * RADIAL))
    assert float(table("md")[WHITE]) == pytest.approx((AXIAL + 2 * RADIAL) / 3, abs=0.02)
    matrices = field.tensor[:, ::5, ::5, ::5][[0, 3, 4, 3, 1, 5, 4, 5, 2]].reshape(3, 3, -1).permute(2, 0, 1)
    values = torch.linalg.eigvalsh(matrices)
    assert values.min() > RADIAL - 1e-3 and values.max() < AXIAL + 1e-3


@pytest.mark.parametrize(
    ("name", "point", "direction"),
    [
        ("genu of corpus callosum", (0, 28, 6), (1, 0, 0)),
        ("body of corpus callosum", (0, -5, 26), (1, 0, 0)),
        ("splenium of corpus callosum", (0, -37.5, 14), (1, 0, 0)),
        ("posterior limb of internal capsule", (21, -10, 6), (0.4, 0, 1)),
        ("anterior limb of internal capsule", (18, 12, 5), (0.4, 1, 0)),
        ("corticospinal tract", (6, -24.5, -30), (0.1, 0.2, 1)),
        ("cingulum, cingulate part", (9, -10, 34), (0, 1, 0)),
        ("inferior longitudinal fasciculus", (41, -43, -9), (0.1, 1, -0.3)),
        ("middle cerebellar peduncle", (20, -36, -34), (0.4, -1, 0)),
    ],
)
def test_landmarks_lie_in_their_tract_and_fibres_point_its_way_on_both_sides(field, name, point, direction):
    for side in (1, -1):
        where = torch.tensor(point, dtype=torch.float32) * torch.tensor([side, 1, 1])
        assert list(TRACTS)[int(field.label(where)) - 1] == name
        xx, yy, zz, xy, xz, yz = field.at(where).tolist()
        _, vectors = np.linalg.eigh([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        along = np.array(direction) * (side, 1, 1)
        assert abs(vectors[:, 2] @ along) / np.linalg.norm(along) > 0.9


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [  # as atlas regions of adults usually have it; low ends allow for the template's blurred tissue borders
        ("genu of corpus callosum", 0.70, 0.85),
        ("body of corpus callosum", 0.68, 0.85),
        ("splenium of corpus callosum", 0.70, 0.85),
        ("anterior limb of internal capsule", 0.48, 0.62),
        ("posterior limb of internal capsule", 0.60, 0.72),
        ("external capsule", 0.40, 0.50),
        ("anterior corona radiata", 0.40, 0.52),
        ("superior corona radiata", 0.42, 0.55),
        ("posterior corona radiata", 0.42, 0.55),
        ("corticospinal tract", 0.48, 0.65),
        ("cingulum, cingulate part", 0.45, 0.60),
        ("cingulum, hippocampal part", 0.38, 0.52),
        ("superior longitudinal fasciculus", 0.40, 0.52),
        ("arcuate fasciculus", 0.42, 0.55),
        ("inferior longitudinal fasciculus", 0.40, 0.52),
        ("inferior fronto-occipital fasciculus", 0.45, 0.55),
        ("uncinate fasciculus", 0.40, 0.52),
        ("posterior thalamic radiation", 0.52, 0.66),
        ("anterior thalamic radiation", 0.40, 0.55),
        ("fornix", 0.40, 0.62),
        ("middle cerebellar peduncle", 0.50, 0.66),
    ],
)
def test_tract_means_lie_in_the_adult_range(field, brain, name, low, high):
    points, _, fa = brain
    assert low <= tract_means(fa, points, field)[name] <= high


def test_every_tract_is_found_and_the_callosum_has_the_highest_fa(field, brain):
    points, _, fa = brain
    means = tract_means(fa, points, field)
    assert list(means) == list(TRACTS)
    assert max(means, key=means.get) == "splenium of corpus callosum"
    assert tract_means(fa[:1, :1], points[:, :1, :1], field) == {}  # outside the brain


def test_grey_fluid_and_subcortical_white(field, brain):
    points, shares, fa = brain
    assert float(fa[shares[GREY] > 0.98].mean()) == pytest.approx(0.15, abs=0.01)
    assert float(fa[shares[FLUID] > 0.98].max()) < 0.1
    between = (shares[WHITE] > 0.9) & (field.label(points) == 0)
    assert 0.3 < float(fa[between].mean()) < 0.4
    assert fa.min() >= 0 and fa.max() < 0.86
    assert not fa[shares.sum(0) == 0].any()


def test_brainstem_called_grey_by_the_template_has_tracts(field):
    stem, thalamus = torch.tensor([[6.0], [-24.0], [-28.0]]), torch.tensor([[14.0], [-18.0], [8.0]])
    half = mixture(grey_matter=0.5, white_matter=0.5)
    assert in_brainstem(stem) == 1 and in_brainstem(thalamus) == 0
    white = float(voxel_fa(mixture(white_matter=1.0), stem, field))
    assert float(voxel_fa(half, stem, field)) == pytest.approx(white, rel=0.06)
    grey = float(voxel_fa(mixture(grey_matter=1.0), thalamus, field))
    assert grey == pytest.approx(float(table("fa")[GREY]), abs=1e-5)
    near = torch.tensor([[x, -30.0, -35.0] for x in (0.0, 12.9, 15.0, 17.1, 40.0)]).T
    np.testing.assert_allclose(in_brainstem(near), [1, 1, 0.5, 0, 0], atol=0.06)


def test_fa_is_not_white_matter_probability(brain):
    points, _, fa = brain
    maps = load_template().grey_white(points)
    inside = maps.sum(0) > 0.1
    assert 0.5 < float(np.corrcoef(fa[inside], maps[1][inside])[0, 1]) < 0.8


def test_partial_volume_lowers_fa(field):
    splenium = torch.tensor([[0.0], [-37.5], [14.0]])
    falling = [float(voxel_fa(mixture(white_matter=w, fluid=1 - w), splenium, field)) for w in (1, 0.7, 0.4, 0.1, 0)]
    assert falling == sorted(falling, reverse=True) and falling[0] > 0.8 and falling[-1] < 0.1
    fa = table("fa")
    for name in ("muscle", "grey matter", "fluid"):
        value = float(voxel_fa(mixture(**{name: 1.0}), splenium, field))
        assert value == pytest.approx(float(fa[INDEX[name]]), abs=1e-5)
    assert float(voxel_fa(mixture(air=1.0), splenium, field)) == 0


def test_fa_is_low_in_the_centrum_semiovale(field):
    """Where callosal, projection and association fibres cross, FA falls below what any of them has alone."""
    y = torch.full((41,), -8.0)
    line = torch.stack([torch.arange(0, 41.0), y, 26 + 0.25 * torch.arange(0, 41.0)])
    fa = fractional_anisotropy(field.at(line))
    assert fa[:10].mean() > 0.75
    assert fa[16:36].min() < 0.45
