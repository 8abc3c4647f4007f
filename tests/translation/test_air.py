import numpy as np
import pytest
import torch

from ganlab.translation.air import fill_with_noise, padded_with_air


def test_noise_goes_on_in_the_padding_and_the_head_does_not():
    """A mirror image of the scan's own noise, so that no edge to clean air is taken for skin."""
    scan = 0.1 * torch.rand((1, 1, 20, 16), generator=torch.Generator().manual_seed(0))
    scan[..., 10:, :8] = 0.9  # a neck that the field of view cuts
    x = padded_with_air(scan, 12, 8, 0.0)
    assert x.shape == (1, 1, 32, 24) and torch.equal(x[..., :20, :16], scan)
    assert x[..., 20:, :].max() <= 0.12 and x[..., :, 16:].max() <= 0.12
    assert 0.04 < x[..., 20:, 8:].mean() < 0.06
    tiny = padded_with_air(torch.zeros(1, 1, 4, 4), 28, 28, -1.0)
    assert torch.equal(tiny[..., 4:, :], torch.full((1, 1, 28, 32), -1.0))


def test_a_noisy_scan_in_a_larger_empty_box_gets_noise_around_it():
    rng = np.random.default_rng(0)
    scan = np.zeros((40, 40, 40), np.float32)
    scan[8:32, 8:32, 8:32] = rng.rayleigh(0.03, (24, 24, 24)).clip(0.001, 0.11)
    scan[14:26, 14:26, 8:26] = 0.8  # a head, cut off at the bottom
    before = scan.copy()
    fill_with_noise(scan, 0.0)
    assert np.array_equal(scan[before > 0], before[before > 0])
    assert np.median(scan[before == 0]) == pytest.approx(0.03 * np.sqrt(np.log(4)), abs=0.003)
    clean = np.where(before > 0.5, before, 0)
    unchanged = clean.copy()
    fill_with_noise(unchanged, 0.0)
    assert np.array_equal(unchanged, clean)
