"""Nodules: reproducible, with plausible HU and shapes, classes as documented, and true to their parameters."""

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from ganlab.errors import InputError
from ganlab.phantoms.lungs import anatomy as lung
from ganlab.phantoms.lungs.ct_slice import (
    FINE,
    LEVELS,
    MARGIN,
    PIXEL,
    PIXEL_FREQUENCY,
    POINTS,
    SIZE,
    Kernel,
    Slab,
    acquire,
    draw_kernel,
    smooth_field,
    tubes,
)
from ganlab.phantoms.lungs.nodule_parts import SOLIDITY
from ganlab.phantoms.lungs.nodules import KINDS, LAST, MOST, make_nodules
from ganlab.phantoms.lungs.shapes import Shape, spicules

NAMES = [f.name for f in fields(make_nodules(0, 1))]
COUNT = 150


@pytest.fixture(scope="module")
def benign():
    return make_nodules(11, COUNT, "benign")


@pytest.fixture(scope="module")
def malignant():
    return make_nodules(12, COUNT, "malignant")


@pytest.fixture(scope="module", params=KINDS)
def nodules(request):
    return request.getfixturevalue(request.param)


def area_diameter(masks):
    return np.sqrt(4 / np.pi * masks.sum((1, 2))) * PIXEL


def eroded(mask, pixels=3):
    return ndimage.binary_erosion(mask, iterations=pixels)


@settings(max_examples=8)
@given(seed=st.integers(0, LAST), start=st.integers(0, LAST - 3), kind=st.sampled_from([None, *KINDS]))
def test_a_patch_depends_only_on_its_seed_and_index(seed, start, kind):
    several, one = make_nodules(seed, 3, kind, start), make_nodules(seed, 1, kind, start + 2)
    for name in NAMES:
        assert getattr(several, name)[2:].tobytes() == getattr(one, name).tobytes(), name
    assert (several.images[0] != several.images[1]).mean() > 0.8


def test_a_patch_of_a_kind_equals_the_randomly_drawn_one():
    tossed = make_nodules(3, 16)
    assert set(tossed.labels) == {0, 1}
    for label, kind in enumerate(KINDS):
        expected = make_nodules(3, 16, kind)
        assert (expected.labels == label).all()
        where = tossed.labels == label
        for name in NAMES:
            assert np.array_equal(getattr(expected, name)[where], getattr(tossed, name)[where]), name


def test_large_seeds_and_indices_give_different_patches():
    images = [make_nodules(seed, 1, start=start).images[0] for seed, start in ((0, 5), (5, 0), (LAST, 5), (5, LAST))]
    assert len({image.tobytes() for image in images}) == 4


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_number_of_threads():
    code = "from ganlab.phantoms.lungs.nodules import *; import sys; sys.stdout.buffer.write(make_nodules(9, 6).images)"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert seen == {make_nodules(9, 6).images.tobytes()}


def test_arrays_are_as_documented(nodules):
    assert nodules.images.shape == nodules.masks.shape == (COUNT, SIZE, SIZE)
    assert nodules.images.dtype == np.float32 and nodules.masks.dtype == bool and nodules.pleural.dtype == bool
    assert nodules.images.min() >= -1024 and nodules.images.max() <= 3071
    assert np.array_equal(nodules.images, np.round(nodules.images))
    ranges = {
        "diameter_mm": (4, 28),
        "roundness": (0.3, 1),
        "mean_hu": (-800, 800),
        "spiculation": (0, 1),
        "lobulation": (0, 1),
        "solidity": (0, len(SOLIDITY) - 1),
        "slice_mm": (1, 2.5),
        "kernel_mm": (0.8, 1.45),
        "noise_hu": (8, 40),
    }
    for name, (low, high) in ranges.items():
        values = getattr(nodules, name)
        assert values.shape == (COUNT,) and values.min() >= low and values.max() <= high, name
        assert len(np.unique(values)) > (2 if name == "solidity" else 10), name


def test_lung_has_realistic_hu_and_varies(nodules):
    free = np.flatnonzero(~nodules.pleural)
    around = [nodules.images[i][~ndimage.binary_dilation(nodules.masks[i], iterations=6)] for i in free]
    medians = np.array([np.median(a) for a in around])
    assert -890 < np.median(medians) < -820 and medians.min() > -960
    assert (medians < -750).mean() > 0.8  # in the others a wall is in the way
    assert np.mean([(a > -600).mean() for a in around]) > 0.02  # vessels and walls
    corner = nodules.images[:, :16, :16].reshape(COUNT, -1)
    alike = np.corrcoef(corner[corner.std(1) < 120])
    assert np.abs(alike[np.triu_indices(len(alike), 1)]).mean() < 0.12


def test_gravity_makes_lung_denser_towards_the_back():
    rng = np.random.default_rng(4)
    mean = np.mean([lung.parenchyma(rng) for _ in range(100)], 0)
    slope = np.polyfit(np.arange(POINTS) * FINE, mean.mean(1), 1)[0]
    assert 0.2 < slope < 0.6  # HU per mm


def test_hu_in_the_image_is_the_known_mean_of_each_kind(benign, malignant):
    seen = {name: [] for name in SOLIDITY}
    for d in (benign, malignant):
        for image, mask, mean, solidity in zip(d.images, d.masks, d.mean_hu, d.solidity, strict=True):
            if eroded(mask).sum() > 12:
                seen[SOLIDITY[solidity]].append((np.median(image[eroded(mask)]), mean))
    limits = {"solid": (0, 110, 20), "ground-glass": (-730, -370, 60), "fat-containing": (-120, 120, 70)}
    for name, (low, high, apart) in limits.items():
        median, mean = np.array(seen[name]).T
        assert (mean > low).all() and (mean < high).all(), name
        assert np.median(np.abs(median - mean)) < apart / 2 and np.quantile(np.abs(median - mean), 0.9) < apart, name
    calcified = benign.mean_hu[benign.solidity == SOLIDITY.index("calcified")]
    assert np.median(calcified) > 130 and calcified.max() > 300
    bright = benign.images.max((1, 2), where=benign.masks & ~benign.pleural[:, None, None], initial=-1024)
    assert np.median(bright[benign.solidity == SOLIDITY.index("calcified")]) > 250


def test_part_solid_nodules_have_a_core_and_a_halo(malignant):
    chosen = np.flatnonzero((malignant.solidity == SOLIDITY.index("part-solid")) & (malignant.diameter_mm > 10))
    inside = [malignant.images[i][eroded(malignant.masks[i], 1)] for i in chosen]
    assert len(inside) > 10
    assert np.median([np.quantile(x, 0.95) for x in inside]) > -80
    assert -720 < np.median([np.quantile(x, 0.25) for x in inside]) < -350


def test_classes_differ_and_overlap(benign, malignant):
    for name, least in (("diameter_mm", 4), ("spiculation", 0.2), ("lobulation", 0.2)):
        b, m = getattr(benign, name), getattr(malignant, name)
        assert m.mean() - b.mean() > least, name
        assert np.quantile(b, 0.95) > np.quantile(m, 0.1), name
    assert benign.roundness.mean() > malignant.roundness.mean() + 0.03
    assert benign.diameter_mm.max() > 10 and malignant.diameter_mm.min() < 9
    solid = [d.mean_hu[d.solidity == 0] for d in (benign, malignant)]
    assert max(x.min() for x in solid) < min(x.max() for x in solid) - 30
    subsolid = [np.isin(d.solidity, [1, 2]).mean() for d in (benign, malignant)]
    assert 0.05 < subsolid[0] < 0.3 < subsolid[1] < 0.6
    for d in (benign, malignant):
        assert 0.08 < d.pleural.mean() < 0.3


def test_spiculated_margins_are_streaked(malignant):
    def streaks(i):
        rim = ndimage.binary_dilation(malignant.masks[i], iterations=5)
        rim &= ~ndimage.binary_dilation(malignant.masks[i], iterations=2)
        return (malignant.images[i][rim] > -700).mean()

    solid = (malignant.solidity == 0) & ~malignant.pleural
    smooth, spiky = (
        [streaks(i) for i in np.flatnonzero(solid & where)]
        for where in (malignant.spiculation < 0.25, malignant.spiculation > 0.6)
    )
    assert min(len(smooth), len(spiky)) > 8
    assert np.median(spiky) > 1.5 * np.median(smooth)


def test_masks_have_the_documented_diameter(nodules):
    apart = area_diameter(nodules.masks) - nodules.diameter_mm
    free, subsolid = ~nodules.pleural, np.isin(nodules.solidity, [1, 2])
    assert abs(np.median(apart[free])) < 0.15
    assert (np.abs(apart) < 0.3 + 0.05 * nodules.diameter_mm)[free & ~subsolid].all()
    assert (np.abs(apart) < 0.8 + 0.1 * nodules.diameter_mm)[free & subsolid].all()  # ground glass ends gradually
    assert np.median(apart[~free]) < 0 and (apart[~free] > -0.6 * nodules.diameter_mm[~free]).all()


def test_masks_have_the_documented_roundness(nodules):
    chosen = ~nodules.pleural & (nodules.diameter_mm > 8) & np.isin(nodules.solidity, [0, 3])
    measured = []
    for mask, diameter in zip(nodules.masks[chosen], area_diameter(nodules.masks[chosen]), strict=True):
        points = np.argwhere(mask & ~eroded(mask, 1)) * PIXEL
        longest = np.sqrt(((points[:, None] - points) ** 2).sum(-1)).max() + 0.8 * PIXEL
        measured.append((diameter / longest) ** 2)
    apart = np.array(measured) - nodules.roundness[chosen]
    assert abs(np.median(apart)) < 0.04 and np.abs(apart).max() < 0.2
    assert np.corrcoef(measured, nodules.roundness[chosen])[0, 1] > 0.85


def test_masks_lie_in_the_middle_in_one_piece(nodules):
    for mask, image in zip(nodules.masks[:60], nodules.images, strict=False):
        labelled, _ = ndimage.label(mask)
        assert np.bincount(labelled.ravel())[1:].max() > 0.9 * mask.sum()
        assert np.hypot(*(np.array(ndimage.center_of_mass(mask)) - (SIZE - 1) / 2)) * PIXEL < 9
        assert image[mask].mean() > image[~ndimage.binary_dilation(mask, iterations=2)].min() + 100


KERNELS = [Kernel(1.45, 0.0, 12.0), Kernel(1.1, 0.1, 20.0), Kernel(0.8, 0.4, 38.0)]


@pytest.mark.parametrize("kernel", KERNELS)
def test_noise_has_the_kernels_strength_and_spectrum(kernel):
    rng = np.random.default_rng(8)
    flat = np.full((POINTS, POINTS), 40.0, np.float32)
    noise = np.stack([acquire(flat, kernel, rng) for _ in range(150)]) - 40
    assert abs(noise.mean()) < 0.3 and abs(noise.std() / kernel.noise - 1) < 0.03
    power = kernel.noise_power(PIXEL_FREQUENCY)
    expected = np.fft.ifft2(power).real / power.mean()
    for dy, dx in ((0, 1), (1, 0), (1, 1), (0, 2), (3, 0)):
        a, b = noise[:, dy:, dx:], noise[:, : SIZE - dy, : SIZE - dx]
        assert abs((a * b).mean() / noise.var() - expected[dy, dx]) < 0.02
    assert expected[0, 1] > (0.4 if kernel.width > 1.4 else 0.02)  # never white


def test_noise_has_its_documented_strength_in_every_patch():
    kernels = [draw_kernel(np.random.default_rng(k)) for k in range(200)]
    assert all(8 <= k.noise <= 40 and 0.8 <= k.width <= 1.45 and 0 <= k.edge < 0.5 for k in kernels)
    assert np.corrcoef([k.width for k in kernels], [k.noise for k in kernels])[0, 1] < -0.3  # sharp kernels are noisy


@pytest.mark.parametrize("kernel", [Kernel(k.width, k.edge, 0.0) for k in KERNELS])
def test_edges_have_the_kernels_width_and_only_sharp_ones_overshoot(kernel):
    hu = np.full((POINTS, POINTS), -900.0, np.float32)
    hu[:, 32:96] = 100.0
    row = acquire(hu, kernel, np.random.default_rng(0))[SIZE // 2]
    assert (row.max() > 105) == (kernel.edge > 0.05)
    assert (row.min() < -905) == (kernel.edge > 0.05)
    assert abs(row[SIZE // 2] - 100) < 2
    point = np.zeros((POINTS, POINTS), np.float32)
    point[POINTS // 2, POINTS // 2] = 5e4
    peak = acquire(point, kernel, np.random.default_rng(0))
    assert np.unravel_index(peak.argmax(), peak.shape) == (POINTS // 4 - MARGIN, POINTS // 4 - MARGIN)
    if not kernel.edge:
        wide = 4 * np.log(2) / (np.pi * kernel.width**2) * FINE**2 * 5e4  # peak of a Gaussian of this FWHM and volume
        assert peak.max() == pytest.approx(wide, rel=0.02)


@settings(max_examples=25)
@given(st.floats(0.15, 2.0), st.floats(1.0, 2.5), st.floats(0, np.pi), st.integers(0, 2**20))
def test_tubes_fill_their_volume(radius, thickness, turn, seed):
    shift = np.random.default_rng(seed).uniform(-1, 1, 2)
    slab = Slab(thickness)
    through = np.array([[*shift, -9, *shift, 9, radius, radius]])
    assert tubes(slab, through).sum() * FINE**2 == pytest.approx(np.pi * radius**2, rel=0.1)
    if radius < 0.3 * thickness:  # wherever it lies between the sheets, on average
        c, s = 8 * np.cos(turn), 8 * np.sin(turn)
        heights = (np.arange(8) / 8 - 0.5) * thickness / LEVELS
        volume = [tubes(slab, np.array([[-c, -s, z, c, s, z, radius, radius]])).sum() for z in heights]
        assert np.mean(volume) * FINE**2 * thickness == pytest.approx(
            np.pi * radius**2 * (16 + 4 / 3 * radius), rel=0.1
        )
        assert min(volume) > 0.5 * max(volume)


def test_tubes_outside_the_slice_are_not_seen():
    assert not tubes(Slab(1.0), np.array([[0, 0, 2.0, 5, 5, 6.0, 0.8, 0.8], [90, 0, 0, 95, 5, 0, 1, 1]])).any()
    assert not tubes(Slab(1.0), np.zeros((0, 8))).any()


@settings(max_examples=30)
@given(st.integers(0, 2**20), st.floats(4, 28), st.floats(0, 1), st.floats(0, 0.16))
def test_shapes_have_their_area(seed, diameter, lobulation, irregular):
    shape = Shape(np.random.default_rng(seed), (0.3, -0.4), diameter, lobulation, irregular, 0.6)
    assert shape.outline.min() > 0.1 * diameter and 0.2 < shape.roundness <= 1
    area = shape.coverage(Slab(0.01), 0.0).sum() * FINE**2
    assert area == pytest.approx(np.pi / 4 * diameter**2, rel=0.03)


def test_an_even_shape_is_a_ball_and_lobes_make_it_less_round():
    ball = Shape(np.random.default_rng(0), (0, 0), 10, 0.0, 0.0, 1.0)
    assert ball.roundness == pytest.approx(1, abs=1e-3) and np.ptp(ball.outline) < 1e-3
    section = ball.sections(Slab(6.0))
    assert section[0] == pytest.approx(np.sqrt(25 - 4), abs=1e-2)  # sheets at -2, 0 and 2 mm
    lobed = [Shape(np.random.default_rng(k), (0, 0), 10, 1.0, 0.0, 1.0).roundness for k in range(20)]
    assert np.mean(lobed) < 0.9
    assert len(spicules(np.random.default_rng(0), ball, 0.0)) == 0
    few, many = (len(spicules(np.random.default_rng(0), ball, x)) for x in (0.2, 1.0))
    assert many > 2 * few > 0


def test_smooth_fields_are_standard_and_smooth_at_their_scale():
    rng = np.random.default_rng(6)
    for scale in (1.1, 2.5, 7.0):
        field = np.stack([smooth_field(rng, scale) for _ in range(200)])
        assert abs(field.mean()) < 0.06 and abs(field.std() - 1) < 0.06
        near, far = (
            np.mean(field[:, :, : -round(d / FINE)] * field[:, :, round(d / FINE) :]) for d in (FINE, 4 * scale)
        )
        assert near > 0.85 and abs(far) < 0.1


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"seed": -1}, "The seed -1 is outside 0 to 4294967295; choose one inside."),
        ({"seed": LAST + 1}, "The seed 4294967296 is outside 0 to 4294967295; choose one inside."),
        ({"seed": 1.5}, "The seed 1.5 is not a whole number; give one such as 0."),
        ({"seed": True}, "The seed True is not a whole number; give one such as 0."),
        ({"count": "8"}, "The count '8' is not a whole number; give one such as 64."),
        ({"count": 0}, "0 nodules cannot be made at once; ask for 1 to 100000, and use start for the next ones."),
        (
            {"count": MOST + 1},
            "100001 nodules cannot be made at once; ask for 1 to 100000, and use start for the next ones.",
        ),
        ({"start": -2}, "Nodules -2 to -2 are outside 0 to 4294967295; choose another start."),
        ({"start": LAST + 1}, "Nodules 4294967296 to 4294967296 are outside 0 to 4294967295; choose another start."),
        ({"kind": "odd"}, 'Nodules of kind "odd" are not known; choose from benign, malignant, or leave it out.'),
    ],
)
def test_wrong_arguments_give_one_sentence(wrong, sentence):
    with pytest.raises(InputError) as caught:
        make_nodules(**{"seed": 0, "count": 1} | wrong)
    assert str(caught.value) == sentence
