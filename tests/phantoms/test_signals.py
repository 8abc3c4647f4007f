"""Signal equations, tissue properties and scanners against known values."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ganlab.errors import InputError
from ganlab.phantoms import scanner as room
from ganlab.phantoms.scanner import (
    SCANNERS,
    WHITE,
    Scanner,
    acquire_ct,
    acquire_fa,
    acquire_mr,
    acquire_pet,
    blur,
    metal_streaks,
)
from ganlab.phantoms.signals import (
    SEQUENCES,
    inversion_recovery,
    magnetisation_prepared,
    mr_signals,
    spin_echo,
    spoiled_gradient_echo,
)
from ganlab.phantoms.tissues import INDEX, NAMES, TISSUES, table

T1 = torch.tensor([250.0, 832.0, 1331.0, 4300.0], dtype=torch.float64)
T2 = torch.tensor([60.0, 69.0, 99.0, 2000.0], dtype=torch.float64)
IDEAL = Scanner(noise=0.0, bias=0.0, ct_noise=0.0)


def rng(seed=0):
    return np.random.default_rng(seed)


def recover(mz, time):
    return 1 - (1 - mz) * torch.exp(-time / T1)


# Equations


@pytest.mark.parametrize("k", range(4))
def test_the_ernst_angle_gives_the_largest_spoiled_gradient_echo(k):
    tr = 20.0
    ernst = math.degrees(math.acos(math.exp(-tr / float(T1[k]))))
    signals = [float(spoiled_gradient_echo(T1[k], T2[k], 1.0, tr, 3.0, ernst + d)) for d in (-3, -0.5, 0, 0.5, 3)]
    assert max(signals) == signals[2]
    e1 = math.exp(-tr / float(T1[k]))  # its value there: sqrt((1 - E1) / (1 + E1))
    assert signals[2] == pytest.approx(math.sqrt((1 - e1) / (1 + e1)) * math.exp(-3 / float(T2[k])), rel=1e-6)


def test_spoiled_gradient_echo_is_the_steady_state_of_its_pulses():
    mz = torch.ones_like(T1)
    for _ in range(1000):
        mz = recover(mz * math.cos(math.radians(30)), 18.0)
    expected = mz * math.sin(math.radians(30)) * torch.exp(-10.0 / T2)
    torch.testing.assert_close(spoiled_gradient_echo(T1, T2, 1.0, 18.0, 10.0, 30.0), expected)


def test_spin_echo_limits():
    full = torch.full_like(T1, 0.8)
    torch.testing.assert_close(spin_echo(T1, T2, 0.8, 1e6, 0.0), full)
    torch.testing.assert_close(spin_echo(T1, T2, 0.8, 1e6, 100.0), full * torch.exp(-100 / T2))
    torch.testing.assert_close(spin_echo(T1, T2, 0.8, 500.0, 0.0), full * (1 - torch.exp(-500 / T1)))


def test_spin_echo_is_the_steady_state_of_its_pulses():
    tr, te = 600.0, 30.0
    mz = torch.ones_like(T1)
    for _ in range(50):
        mz = recover(-recover(torch.zeros_like(mz), te / 2), tr - te / 2)
    torch.testing.assert_close(spin_echo(T1, T2, 0.7, tr, te), 0.7 * mz * torch.exp(-te / T2))


def test_inversion_recovery_is_zero_at_t1_ln_2_and_changes_sign_there():
    for k, null in enumerate((T1 * math.log(2)).tolist()):
        before, at, after = (
            float(inversion_recovery(T1[k], T2[k], 1.0, 1e6, 0.0, null + d)) for d in (-20.0, 0.0, 20.0)
        )
        assert before < 0 < after and abs(at) < 1e-12


def test_inversion_recovery_is_the_steady_state_of_its_pulses():
    tr, te, ti = 5000.0, 80.0, 1800.0
    mz = torch.ones_like(T1)
    for _ in range(30):
        excited = recover(-mz, ti)
        mz = recover(-recover(torch.zeros_like(mz), te / 2), tr - ti - te / 2)
    torch.testing.assert_close(inversion_recovery(T1, T2, 0.9, tr, te, ti), 0.9 * excited * torch.exp(-te / T2))


@pytest.mark.parametrize("flip", [4.0, 9.0, 15.0])
def test_magnetisation_prepared_is_the_steady_state_of_its_pulses(flip):
    tr, te, ti, gap, echoes = 2300.0, 3.0, 900.0, 7.1, 160
    cos, sin = math.cos(math.radians(flip)), math.sin(math.radians(flip))
    mz = torch.ones_like(T1)
    for _ in range(40):
        mz = recover(-mz, ti - gap * (echoes // 2))
        for n in range(echoes):
            if n == echoes // 2:
                middle = mz
            mz = recover(mz * cos, gap)
        mz = recover(mz, tr - ti - gap * (echoes - echoes // 2))
    expected = 0.7 * middle * sin * torch.exp(-te / T2)
    torch.testing.assert_close(magnetisation_prepared(T1, T2, 0.7, tr, te, ti, flip, gap, echoes), expected)


# Tissues

PUBLISHED_HU = {
    "fluid": (0, 15),
    "grey matter": (35, 45),
    "white matter": (20, 32),
    "cortical bone": (1000, 1900),
    "cancellous bone": (300, 800),
    "petrous bone": (1500, 2200),
    "vertebral marrow": (150, 450),
    "tooth": (1323, 1900),
    "enamel": (2071, 2955),
    "fat": (-120, -70),
    "muscle": (35, 70),
    "skin": (40, 100),
    "mucosa": (20, 60),
    "gland": (0, 60),
    "fibrous tissue": (50, 120),
    "cartilage": (70, 130),
    "vitreous": (0, 15),
    "lens": (60, 100),
    "vessel": (35, 55),
    "disc": (60, 120),
    "tumour": (20, 45),
    "necrosis": (5, 20),
    "oedema": (10, 26),
    "plaque": (15, 32),
    "blood": (50, 90),
    "background": (-1000, -1000),
    "air": (-1000, -1000),
    "metal": (3071, 3071),
}


@pytest.mark.parametrize("name", NAMES)
def test_ct_numbers_lie_in_their_published_range(name):
    low, high = PUBLISHED_HU[name]
    assert low <= TISSUES[name].hu <= high


def test_every_tissue_has_a_finite_signal_in_every_equation():
    assert NAMES[0] == "background"
    for column in ("t1_15", "t1_3", "t2_15", "t2_3"):
        assert (table(column) > 0).all()
    for column in ("pd", "lipid", "fa", "pet"):
        assert (table(column) >= 0).all() and (table(column) <= 1).all()
    for field in ("15", "3"):  # transverse relaxation is never the slower one
        assert (table(f"t2_{field}") <= table(f"t1_{field}")).all()
    dark = [INDEX[name] for name in ("background", "air", "metal")]
    assert not table("pd")[dark].any() and not table("fa")[dark].any() and not table("pet")[dark].any()


# Signals of the protocols


def signals(modality, field, **options):
    return dict(zip(NAMES, mr_signals(modality, field, **options).tolist(), strict=True))


@pytest.mark.parametrize("field", [1.5, 3])
def test_contrast_orders_of_the_brain(field):
    t1, t2, pd, flair = (signals(m, field) for m in ("t1", "t2", "pd", "flair"))
    fluid, grey, white = "fluid", "grey matter", "white matter"
    assert t1[white] == 1 and 0.6 < t1[grey] < 0.72 and 0.1 < t1[fluid] < 0.3
    assert t2[fluid] == 1 and t2[fluid] > 1.5 * t2[grey] and t2[grey] > 1.2 * t2[white]
    assert pd[fluid] >= pd[grey] > pd[white] > 0.6
    assert flair[fluid] < 0.05 and 0.7 < flair[white] < 0.9 and flair[grey] == 1
    for lesion in ("plaque", "oedema", "tumour"):
        assert flair[lesion] > 1.05 and t2[lesion] > t2[grey] and t1[lesion] < t1[white]
    brain = (fluid, grey, white, "tumour", "necrosis", "oedema", "plaque", "blood")
    assert {"plaque", "oedema"} == set(sorted(brain, key=flair.get)[-2:])
    assert t1["blood"] > 1 and t2["blood"] < t2[white]  # methaemoglobin within red cells


@pytest.mark.parametrize("field", [1.5, 3])
@pytest.mark.parametrize("modality", ["t1", "t2", "pd", "flair"])
def test_air_bone_and_teeth_are_dark_and_no_magnitude_is_negative(modality, field):
    s = signals(modality, field)
    assert min(s.values()) >= 0 and all(map(math.isfinite, s.values()))
    for name in ("background", "air", "metal", "cortical bone", "petrous bone", "tooth", "enamel"):
        assert s[name] < 0.02
    assert (s["vessel"] == 0) == (modality != "t1")


@pytest.mark.parametrize("field", [1.5, 3])
def test_fat_is_brightest_on_t1_unless_suppressed(field):
    seen, suppressed = signals("t1", field), signals("t1", field, fat_suppressed=True)
    assert max(seen, key=seen.get) == "fat" and suppressed["fat"] < 0.15
    assert suppressed["vertebral marrow"] < seen["vertebral marrow"]
    assert all(suppressed[n] == pytest.approx(seen[n]) for n in ("fluid", "grey matter", "white matter", "muscle"))


def test_signals_are_float32_on_the_requested_device():
    s = mr_signals("t2", 1.5, "cpu")
    assert s.dtype == torch.float32 and s.shape == (len(NAMES),) and s.device.type == "cpu"


@pytest.mark.parametrize("field", [0, 7, -3.0, float("nan"), None])
def test_refuses_another_field_strength(field):
    with pytest.raises(InputError, match=r"choose 1\.5 or 3\."):
        mr_signals("t1", field)


def test_refuses_another_modality():
    assert {m for protocol in SEQUENCES.values() for m in protocol} == {"t1", "t2", "pd", "flair"}
    with pytest.raises(InputError, match="choose from t1, t2, pd, flair"):
        mr_signals("ct", 3)


# Scanners


def ball(shape=(40, 44, 48), inside=1.0, outside=0.0):
    axes = np.meshgrid(*((np.arange(n) - n / 2 + 0.5) / (0.4 * n) for n in shape), indexing="ij", sparse=True)
    return np.where(sum(a**2 for a in axes) < 1, inside, outside).astype(np.float32)


def acquisitions(seed, name):
    scanner = SCANNERS[name]
    metal = np.zeros((40, 44, 48), np.float32)
    metal[18:21, 30:33, 20:22] = 1
    yield acquire_mr(ball(), 1.0, scanner, rng(seed))
    yield acquire_ct(ball(inside=40.0, outside=-1000.0), 1.0, scanner, rng(seed), metal)
    yield acquire_fa(ball(inside=0.4), 1.0, scanner, rng(seed))
    yield acquire_pet(ball(), 1.0, rng(seed))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SCANNERS))
def test_same_seed_same_bytes(name):
    for a, b, c in zip(acquisitions(3, name), acquisitions(3, name), acquisitions(4, name), strict=True):
        assert a.dtype == np.float32 and a.shape == (40, 44, 48) and np.isfinite(a).all() and a.flags.c_contiguous
        assert a.tobytes() == b.tobytes() != c.tobytes()


@pytest.mark.slow
def test_inputs_are_not_modified():
    for name in SCANNERS:
        volume, metal = ball(), ball(inside=0.5)
        for acquire in (acquire_mr, acquire_ct, acquire_fa):
            acquire(volume, 1.0, SCANNERS[name], rng())
        acquire_ct(volume, 1.0, SCANNERS[name], rng(), metal)
        acquire_pet(volume, 1.0, rng())
        assert (volume == ball()).all() and (metal == ball(inside=0.5)).all()


def test_noise_in_air_is_rayleigh_and_in_strong_signal_gaussian():
    scanner = replace(IDEAL, noise=0.05)
    air = acquire_mr(np.zeros((64, 64, 64), np.float32), 1.0, scanner, rng()) / WHITE
    assert air.mean() == pytest.approx(0.05 * math.sqrt(math.pi / 2), rel=0.01)
    assert air.std() == pytest.approx(0.05 * math.sqrt(2 - math.pi / 2), rel=0.01)
    white = acquire_mr(np.ones((64, 64, 64), np.float32), 1.0, scanner, rng()) / WHITE
    assert white.mean() == pytest.approx(math.hypot(1, 0.05 / math.sqrt(2)), rel=1e-3)  # sqrt(A^2 + s^2 / 2) nearly
    assert white.std() == pytest.approx(0.05, rel=0.02)


def test_an_ideal_scanner_stores_white_matter_as_800():
    np.testing.assert_allclose(acquire_mr(np.ones((8, 8, 8), np.float32), 1.0, IDEAL, rng()), WHITE, rtol=1e-6)


@pytest.mark.parametrize("spacing", [0.5, 1.0, 2.0])
def test_thick_slices_average_over_their_thickness_and_keep_the_mean(spacing):
    volume = rng(1).random((10, 12, 48), dtype=np.float32)
    scanner = replace(IDEAL, point_spread=0.01, slice_thickness=4.0)
    thick = acquire_mr(volume, spacing, scanner, rng()) / WHITE
    depth = int(4 / spacing)
    assert thick.shape == volume.shape
    assert thick.mean() == pytest.approx(volume.mean(), rel=1e-5)
    for end in (slice(None, depth // 2), slice(-(depth // 2), None)):  # before the first centre, after the last
        slab = volume[:, :, :depth] if end.start is None else volume[:, :, -depth:]
        np.testing.assert_allclose(thick[:, :, end], np.repeat(slab.mean(2, keepdims=True), depth // 2, 2), rtol=1e-4)
    assert np.abs(np.diff(thick, n=2)).mean() < 0.3 * np.abs(np.diff(volume, n=2)).mean()


def test_thick_slices_that_do_not_divide_the_volume_are_still_means():
    volume = rng(1).random((4, 5, 11), dtype=np.float32)
    scanner = replace(IDEAL, point_spread=0.01, slice_thickness=4.0)
    thick = acquire_mr(volume, 1.0, scanner, rng()) / WHITE
    np.testing.assert_allclose(thick[:, :, -1], volume[:, :, 8:].mean(2), rtol=1e-4)
    whole = acquire_mr(volume, 1.0, replace(scanner, slice_thickness=30.0), rng()) / WHITE
    np.testing.assert_allclose(whole, np.broadcast_to(volume.mean(2, keepdims=True), whole.shape), rtol=1e-4)


def test_point_spread_has_its_width_in_mm():
    for spacing in (0.5, 1.0):
        point = np.zeros((31, 31, 31), np.float32)
        point[15, 15, 15] = 1
        spread = blur(point, 2.0 / spacing)
        assert spread.sum() == pytest.approx(1, rel=1e-5)
        line = spread[:, 15, 15] / spread.max()
        assert line[15 + round(1 / spacing)] == pytest.approx(0.5, rel=1e-4)  # half the maximum at half the width


def test_bias_field_is_smooth_random_and_one_at_the_centre():
    ones = np.ones((41, 41, 41), np.float32)
    a, b = (acquire_mr(ones, 1.0, replace(IDEAL, bias=0.2), rng(k)) / WHITE for k in (1, 2))
    assert a[20, 20, 20] == pytest.approx(1, rel=1e-3) and not np.allclose(a, b)
    assert np.ptp(a) > 0.1 and np.abs(np.diff(a, axis=0)).max() < 0.05


def test_gamma_is_the_exponent_of_the_magnitude():
    half = np.full((6, 6, 6), 0.5, np.float32)
    np.testing.assert_allclose(acquire_mr(half, 1.0, replace(IDEAL, gamma=2.0), rng()), WHITE / 4, rtol=1e-5)


@pytest.mark.parametrize("spacing", [0.7, 1.0, 3.0])
def test_ct_has_its_noise_level_and_integer_hu(spacing):
    image = acquire_ct(np.full((60, 60, 60), 40, np.float32), spacing, replace(IDEAL, ct_noise=9.0), rng())
    middle = image[8:-8, 8:-8, 8:-8]  # reflection at the faces repeats noise
    assert middle.mean() == pytest.approx(40, abs=0.2) and middle.std() == pytest.approx(9, rel=0.03)
    assert (image == np.round(image)).all()


def test_ct_is_clipped_to_twelve_bits():
    image = acquire_ct(ball(inside=9000.0, outside=-3000.0), 1.0, IDEAL, rng())
    assert image.min() == -1024 and image.max() == 3071


def skull_with_crowns():
    """(96, 96, 6) HU and metal share: a head of water with two crowns in slices 2 and 3."""
    x, y = np.meshgrid(np.arange(96) - 47.5, np.arange(96) - 47.5, indexing="ij")
    hu = np.repeat(np.where(np.hypot(x, y) < 40, 40.0, -1000.0)[:, :, None], 6, 2).astype(np.float32)
    metal = np.zeros_like(hu)
    metal[28:33, 46:51, 2:4] = metal[63:68, 46:51, 2:4] = 1
    return hu * (1 - metal) + 3071 * metal, metal


def test_metal_causes_streaks_only_in_its_own_slices():
    hu, metal = skull_with_crowns()
    clean, streaked = acquire_ct(hu, 1.0, IDEAL, rng()), acquire_ct(hu, 1.0, IDEAL, rng(), metal)
    assert (clean[:, :, [0, 1, 4, 5]] == streaked[:, :, [0, 1, 4, 5]]).all()
    assert (streaked[metal > 0] == 3071).all()
    change = (streaked - clean)[:, :, 2]
    between, beside = change[40:56, 48], change[40:56, [70, 71, 72, 73, 74]]
    assert between.mean() < -200  # the dark band that hardening leaves between two crowns
    assert abs(beside.mean()) < 60 and beside.std() > 1
    assert (acquire_ct(hu, 1.0, IDEAL, rng(), np.zeros_like(metal)) == clean).all()


def test_metal_seen_at_one_energy_is_restored_at_its_own_attenuation(monkeypatch):
    """One photon energy and unlimited photons: reconstruction returns the metal, and nothing elsewhere."""
    monkeypatch.setattr(room, "SPECTRUM", np.array([1.0]))
    monkeypatch.setattr(room, "WATER", np.array([0.2]))
    monkeypatch.setattr(room, "ALLOY", np.array([0.6]))
    monkeypatch.setattr(room, "PHOTONS", 1e12)
    x, y = np.meshgrid(np.arange(80) - 39.5, np.arange(90) - 44.5, indexing="ij")
    metal = (np.hypot(x - 8, y + 10) < 9)[:, :, None].astype(np.float32)
    added = metal_streaks(3071 * metal - 1000 * (1 - metal), metal, 1.0, rng())[:, :, 0]
    inside, outside = np.hypot(x - 8, y + 10) < 7, np.hypot(x - 8, y + 10) > 12
    assert added[inside].mean() == pytest.approx(3000, rel=0.02)  # 1000 x 0.6 / 0.2
    assert abs(added[outside].mean()) < 10 and np.abs(added[outside]).max() < 150


def test_fa_has_a_noise_floor_and_stays_in_0_to_1():
    scanner = SCANNERS["research"]
    fa = acquire_fa(np.full((50, 50, 50), 0.4, np.float32), 1.0, scanner, rng())
    assert fa.mean() == pytest.approx(0.4, abs=0.005) and 0.02 < fa.std() < 0.04
    fluid = acquire_fa(np.full((50, 50, 50), 1e-6, np.float32), 1.0, scanner, rng())
    assert fluid.min() > 0 and 0.02 < fluid.mean() < 0.1
    whole = acquire_fa(ball(inside=1.0), 1.0, SCANNERS["noisy"], rng())
    assert whole.max() <= 1 and not whole[ball() == 0].any()


def test_pet_noise_grows_with_the_square_root_of_uptake():
    low, high = (acquire_pet(np.full((50, 50, 50), u, np.float32), 1.0, rng()) for u in (0.25, 1.0))
    assert low.mean() == pytest.approx(0.25, rel=0.01) and high.mean() == pytest.approx(1, rel=0.01)
    assert high.std() == pytest.approx(2 * low.std(), rel=0.01)
    edge = acquire_pet(ball(), 1.0, rng())
    assert edge.min() >= 0 and 0.3 < edge[4, 22, 24] < 0.7  # the surface is spread over millimetres
