import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ganlab.errors import InputError
from ganlab.imaging.metrics import (
    correlation,
    dice,
    evaluate,
    format_table,
    head_mask,
    lesion_contrast_ratio,
    psnr,
    ssim_synthrad,
)
from ganlab.imaging.volume import Volume


def ct(array, affine=None):
    return Volume(np.asarray(array, np.float32), np.eye(4) if affine is None else affine, "HU", "ct")


def head(shape=(40, 44, 36)):
    """A ball of soft tissue with a bone shell and an air cavity; each voxel's distance from its centre."""
    grid = np.stack(np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in shape), indexing="ij"))
    radius = np.linalg.norm(grid, axis=0)
    array = np.full(shape, -1000.0, np.float32)
    array[radius < 15] = 40
    array[(radius < 13) & (radius > 10)] = 900
    array[np.linalg.norm(grid - np.reshape([0, 5, 0], (3, 1, 1, 1)), axis=0) < 3] = -1000
    return array, radius


def noisy(array, sigma=60, seed=0):
    return array + np.random.default_rng(seed).normal(0, sigma, array.shape).astype(np.float32)


# --- known answers


def camera_pair():
    """scikit-image's camera, and the same with noise of sigma 20, seed 5, in whole numbers from 0 to 255."""
    from skimage.data import camera

    clean = camera()
    noise = np.random.RandomState(5).normal(0, 20, clean.shape)
    return clean, np.clip(clean + noise, 0, 255).astype(np.uint8)


def test_ssim_and_psnr_match_published_values():
    clean, dirty = camera_pair()
    assert round(ssim_synthrad(clean, dirty, limits=(0, 255)), 5) == 0.36745
    assert round(psnr(clean, dirty, data_range=255), 4) == 22.4094


def test_a_constant_offset_has_analytic_answers():
    array, radius = head()
    array = np.clip(array, -900, 900)
    result = evaluate(ct(array), ct(array + 10), mask=radius < 18)
    assert result["mae"] == pytest.approx(10)
    assert result["mean_error"] == pytest.approx(10)
    assert result["mse"] == pytest.approx(100)
    assert result["psnr"] == pytest.approx(20 * math.log10(4095 / 10))
    assert result["psnr_synthrad"] == pytest.approx(20 * math.log10(4024 / 10))
    for tissue in result["tissues"].values():
        assert tissue["mae"] == pytest.approx(10)
        assert tissue["mean_error"] == pytest.approx(10)


def test_only_the_synthrad_psnr_clips():
    array, _ = head()
    prediction = array.copy()
    prediction[20, 22, 18] = 4000  # 40 HU in truth: 3960 off, 2960 after clipping at 3000
    everywhere = np.ones(array.shape, bool)
    result = evaluate(ct(array), ct(prediction), everywhere)
    assert result["psnr"] == pytest.approx(20 * math.log10(4095 / 3960 * math.sqrt(array.size)))
    assert result["psnr_synthrad"] == pytest.approx(20 * math.log10(4024 / 2960 * math.sqrt(array.size)))


def test_tissues_are_split_by_the_reference_at_minus_200_and_250_hu():
    array = np.full((8, 8, 8), -1000.0)
    array[0, 0, :6] = [-200.5, -200, 0, 250, 250.5, 2000]
    errors = np.zeros(array.shape)
    errors[0, 0, :6] = [-7, 1, 2, -6, 100, -300]
    mask = np.zeros(array.shape, bool)
    mask[0, 0, :6] = True
    tissues = evaluate(ct(array), ct(array + errors), mask)["tissues"]
    assert tissues["air"] == {"range": "< -200 HU", "voxels": 1, "mae": 7.0, "mean_error": -7.0}
    assert tissues["soft"] == {"range": "-200 to 250 HU", "voxels": 3, "mae": 3.0, "mean_error": -1.0}
    assert tissues["bone"] == {"range": "> 250 HU", "voxels": 2, "mae": 200.0, "mean_error": -100.0}


def test_dice_of_bone_matches_a_manual_count():
    array = np.zeros((8, 8, 8))
    array[0, 0, :4] = 1000
    prediction = np.zeros((8, 8, 8))
    prediction[0, 0, 1:7] = 1000
    result = evaluate(ct(array), ct(prediction), np.ones(array.shape, bool))
    assert result["dice"] == {"bone": pytest.approx(2 * 3 / (4 + 6))}


def test_identical_volumes_have_no_error_and_null_psnr():
    array, _ = head()
    result = evaluate(ct(array), ct(array))
    assert (result["mae"], result["mse"], result["mean_error"]) == (0, 0, 0)
    assert result["ssim"] == pytest.approx(1, abs=1e-12)
    assert result["dice"] == {"bone": 1.0}
    assert result["psnr"] is None
    assert result["psnr_synthrad"] is None


def test_the_result_is_strict_json_with_every_number_defined():
    array, _ = head()
    result = evaluate(ct(array), ct(noisy(array)))
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    numbers = {"mae", "mean_error", "mse", "correlation", "psnr", "psnr_synthrad", "ssim", "dice", "tissues"}
    assert numbers == set(result["definitions"])
    assert numbers <= set(result)


def test_the_table_shows_the_numbers_with_their_units_and_a_dash_for_none():
    array, radius = head()
    table = format_table(evaluate(ct(array), ct(array + 10), mask=(radius > 10.5) & (radius < 12.5))).splitlines()
    assert "MAE                               10 HU" in table
    assert "MSE                              100 HU^2" in table
    assert "PSNR                           52.25 dB" in table
    (air,) = [line.split() for line in table if line.startswith("air")]
    assert air == ["air", "(<", "-200", "HU)", "0", "-", "-"]


def test_fa_is_measured_from_0_to_1():
    rng = np.random.default_rng(3)
    array = np.zeros((12, 12, 12), np.float32)
    array[3:9, 3:9, 3:9] = rng.uniform(0.05, 0.9, (6, 6, 6))
    fa, prediction = (Volume(a, np.eye(4), "FA", "fa") for a in (array, array + np.float32(0.1)))
    result = evaluate(fa, prediction, task="t1fa")
    assert result["voxels"] == 6**3
    assert result["unit"] == "FA"
    assert result["psnr"] == pytest.approx(20, abs=1e-4)
    assert set(result["tissues"]) == {"grey_matter_and_fluid", "white_matter"}
    assert result["tissues"]["white_matter"]["voxels"] == np.count_nonzero(array > 0.2)


def test_lesion_contrast_ratio():
    image = np.array([10.0, 20, 30, 60, 60])
    lesion, matter = np.array([0, 0, 0, 1, 1]), np.array([1, 1, 1, 0, 0])
    assert lesion_contrast_ratio(image, lesion, matter) == 3.0
    with pytest.raises(InputError, match="mask of the lesion is empty"):
        lesion_contrast_ratio(image, np.zeros(5), matter)
    with pytest.raises(InputError, match="mean 0"):
        lesion_contrast_ratio(image - 20, lesion, matter)


# --- SSIM against its definition


def ssim_by_definition(reference, prediction, mask, low, high):
    """The windows one by one, in plain float64."""
    x, y = (np.where(mask, np.clip(a.astype(float), low, high), low) - low for a in (reference, prediction))
    span = high - low
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    values = []
    for centre in np.argwhere(mask):
        if (centre < 3).any() or (centre + 4 > x.shape).any():
            continue
        window = tuple(slice(c - 3, c + 4) for c in centre)
        a, b = x[window].ravel(), y[window].ravel()
        cov = np.cov(a, b, ddof=1)
        values.append(
            (2 * a.mean() * b.mean() + c1)
            * (2 * cov[0, 1] + c2)
            / ((a.mean() ** 2 + b.mean() ** 2 + c1) * (cov[0, 0] + cov[1, 1] + c2))
        )
    return np.mean(values)


@pytest.mark.parametrize("masked", [slice(None), slice(5, 12), slice(0, 9)], ids=["all", "inside", "at the border"])
def test_ssim_follows_its_definition_in_every_window(masked):
    array, _ = head((14, 13, 12))
    reference, prediction = noisy(array * 3, 50, 1), noisy(array * 3, 300, 2)
    mask = np.zeros(array.shape, bool)
    mask[masked, masked] = True
    expected = ssim_by_definition(reference, prediction, mask, -1024, 3000)
    assert ssim_synthrad(reference, prediction, mask) == pytest.approx(expected, rel=1e-9)


def test_ssim_does_not_depend_on_how_the_volume_is_cut_into_slabs(monkeypatch):
    array, radius = head()
    reference, prediction = noisy(array, 50, 1), noisy(array, 300, 2)
    whole = ssim_synthrad(reference, prediction, radius < 17)
    monkeypatch.setattr("ganlab.imaging.metrics.SLAB", 1)
    assert ssim_synthrad(reference, prediction, radius < 17) == pytest.approx(whole, rel=1e-12)


def test_ssim_of_a_volume_without_a_complete_window_is_undefined():
    array = noisy(np.zeros((6, 20, 20)))
    assert math.isnan(ssim_synthrad(array, array))
    result = evaluate(ct(array), ct(array + 1), np.ones(array.shape, bool))
    assert result["ssim"] is None
    assert result["mae"] == pytest.approx(1, abs=1e-4)


def test_correlation_is_pearsons_and_undefined_for_a_constant():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 500))
    assert correlation(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-12)
    assert correlation(a, 3 - 2 * a) == pytest.approx(-1)
    assert math.isnan(correlation(a, np.ones(500)))


# --- properties

images = hnp.arrays(np.float32, (9, 8, 10), elements=st.floats(-1500, 3500, width=32))
masks = hnp.arrays(bool, (6, 7), elements=st.booleans())


@given(images, st.integers(0, 2**32 - 1), st.permutations(range(3)), st.integers(0, 2))
def test_metrics_do_not_depend_on_axis_order(array, seed, order, flipped):
    rng = np.random.default_rng(seed)
    array[4, 4, 4:6] = [0, 1]  # not constant
    prediction = array + rng.normal(0, 100, array.shape).astype(np.float32)
    mask = rng.random(array.shape) < 0.7
    straight = evaluate(ct(array), ct(prediction), mask)
    turned = [np.flip(a.transpose(order), flipped) for a in (array, prediction, mask)]
    turned = evaluate(ct(turned[0]), ct(turned[1]), turned[2])
    for name in ("mae", "mean_error", "mse", "psnr", "psnr_synthrad", "ssim"):
        assert turned[name] == pytest.approx(straight[name], rel=1e-6, abs=1e-9)
    assert turned["dice"] == straight["dice"]
    assert [t["voxels"] for t in turned["tissues"].values()] == [t["voxels"] for t in straight["tissues"].values()]


@given(images, st.integers(0, 2**32 - 1))
def test_tissues_add_up_to_the_whole(array, seed):
    array[4, 4, 4:6] = [0, 1]
    prediction = array + np.random.default_rng(seed).normal(0, 100, array.shape).astype(np.float32)
    result = evaluate(ct(array), ct(prediction), np.ones(array.shape, bool))
    parts = [t for t in result["tissues"].values() if t["voxels"]]
    assert sum(t["voxels"] for t in parts) == result["voxels"] == array.size
    for name in ("mae", "mean_error"):
        assert sum(t[name] * t["voxels"] for t in parts) / array.size == pytest.approx(result[name], abs=1e-6)


@given(masks, masks)
def test_dice_is_symmetric_and_between_0_and_1(a, b):
    if not (a.any() or b.any()):
        assert math.isnan(dice(a, b))
        return
    assert dice(a, b) == dice(b, a)
    assert 0 <= dice(a, b) <= 1
    assert (dice(a, b) == 1) == np.array_equal(a, b)
    assert (dice(a, b) == 0) == (not (a & b).any())


@given(st.floats(0.5, 50), st.floats(1.1, 4))
def test_psnr_falls_with_the_logarithm_of_noise(sigma, times):
    clean = np.zeros((8, 8, 8))
    noise = np.random.default_rng(0).normal(0, sigma, clean.shape)
    lost = psnr(clean, noise) - psnr(clean, times * noise)
    assert lost == pytest.approx(20 * math.log10(times))


# --- the head mask


def test_head_mask_includes_sinuses_and_airways_but_not_the_table():
    shape = (60, 60, 60)
    i, j, k = np.indices(shape)
    array = np.full(shape, -1000.0)
    ball = (i - 30) ** 2 + (j - 30) ** 2 + (k - 36) ** 2 < 20**2
    neck = ((i - 30) ** 2 + (j - 30) ** 2 < 10**2) & (k < 30)  # cut by the volume's bottom face
    array[ball | neck] = 40
    sinus = (i - 30) ** 2 + (j - 42) ** 2 + (k - 36) ** 2 < 4**2
    nostril = (abs(i - 30) < 3) & (abs(k - 36) < 3) & (j > 42)  # from the sinus out through the face
    trachea = ((i - 30) ** 2 + (j - 30) ** 2 < 3**2) & (k < 30)  # open at the bottom face
    array[sinus | nostril | trachea] = -1000
    table = (j == 2) & (abs(i - 30) < 28)
    array[table] = 0
    mask = head_mask(ct(array))
    assert mask.dtype == bool
    assert mask[sinus].all()
    assert mask[trachea].all()
    assert mask[nostril & (j < 48)].all()
    assert not mask[table].any()
    assert not mask[~(ball | neck)].any()


def test_head_mask_is_the_same_in_every_orientation():
    array, radius = head()
    array[19:21, 22:, 18] = -1000  # a channel from the air cavity to the outside
    mask = head_mask(ct(array))
    assert mask[radius < 14].all()
    for order in ((1, 0, 2), (2, 1, 0), (1, 2, 0)):
        assert np.array_equal(head_mask(ct(array.transpose(order)[::-1])), mask.transpose(order)[::-1])


def test_head_mask_fills_a_head_that_touches_every_face():
    array = np.full((20, 20, 20), 40.0)
    array[8:12, 8:12, 8:12] = -1000
    assert head_mask(ct(array)).all()


# --- invalid input


def test_invalid_input_gives_one_sentence():
    array, _ = head()
    good = ct(array)
    shifted = np.eye(4)
    shifted[0, 3] = 5
    broken = array.copy()
    broken[0, 0, :2] = [np.nan, np.inf]
    cases = [
        ((good, ct(array[1:])), {}, r"different grids: shape 39 x 44 x 36 with affine .* resample"),
        ((good, ct(array, shifted)), {}, r"with affine \[\[1.0, 0.0, 0.0, 5.0\].*resample"),
        ((good, good), {"mask": ct(array > 0, shifted)}, "mask and the reference lie on different grids"),
        ((good, good), {"mask": array[1:] > 0}, "mask has shape 39 x 44 x 36 and the reference 40 x 44 x 36"),
        ((good, good), {"mask": np.zeros(array.shape)}, "mask .* is empty"),
        ((good, ct(broken)), {}, "prediction has 2 voxels that are NaN or infinite"),
        ((ct(broken), good), {}, "reference has 2 voxels that are NaN or infinite"),
        ((ct(np.full(array.shape, 7)), good), {}, "reference is 7 everywhere"),
        (
            (ct(array.clip(max=-300)), good),
            {},
            "No voxel of the reference is above -200 HU .the largest is -300",
        ),
        ((good, good), {"task": "ct2pet"}, "'ct2pet': choose one of mr2ct, t1fa, ct2mr"),
    ]
    for volumes, options, sentence in cases:
        with pytest.raises(InputError, match=sentence) as caught:
            evaluate(*volumes, **options)
        assert "\n" not in str(caught.value)


def test_suspicious_input_is_measured_with_a_notice():
    array, _ = head()
    no_air = evaluate(ct(array.clip(min=0)), ct(noisy(array)))
    assert any("no air" in notice for notice in no_air["notices"])
    assert no_air["tissues"]["air"] == {"range": "< -200 HU", "voxels": 0, "mae": None, "mean_error": None}
    flat = evaluate(ct(array), ct(np.zeros_like(array)))
    assert flat["notices"] == ["The prediction is 0 everywhere."]
    assert evaluate(ct(array), ct(noisy(array)))["notices"] == []
