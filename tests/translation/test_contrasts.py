import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from ganlab.errors import InputError
from ganlab.phantoms.pairs import pairs
from ganlab.translation.contrasts import (
    CT,
    FA,
    FA_T1,
    FLAIR,
    T1,
    curve,
    examples,
    grown,
    synthetic_head,
    synthetic_t1,
    t1_of,
)
from ganlab.translation.networks import outlined

FLAT = torch.tensor([[*T1]])


def block(value, around=-1.0, side=24):
    image = torch.full((1, 1, side, side), around)
    image[..., 6:18, 6:18] = value
    return image


@pytest.mark.parametrize(
    ("hu", "signal"),
    [(-1000, 0.0), (-95, 1.56), (28, 1.0), (38, 0.68), (10, 0.15), (1350, 0.0), (2000, 0.0), (3071, 0.0)],
)
def test_every_tissue_has_its_textbook_signal(hu, signal):
    synthetic = t1_of(torch.full((1, 1, 8, 8), hu / 1000), FLAT)
    torch.testing.assert_close(synthetic, torch.full_like(synthetic, signal), atol=1e-5, rtol=0)


def test_an_edge_is_a_mixture_of_its_two_sides_not_a_third_tissue():
    """Between brain and bone HU pass through those of marrow, between air and skin through those of fat."""
    for low, high in ((0.038, 1.35), (-1.0, 0.05), (-1.0, -0.095)):
        ct = block(high, low)
        ct[..., 6:18, 5] = ct[..., 6:18, 18] = (low + high) / 2
        synthetic, ends = t1_of(ct, FLAT), curve(torch.tensor([low, high]).view(2, 1, 1, 1), CT, T1).flatten()
        assert synthetic[0, 0, 12, 5] == pytest.approx(float(ends.mean()), abs=0.02)
        assert ends.min() - 1e-5 <= synthetic.min() and synthetic.max() <= ends.max() + 1e-5


@given(st.lists(st.floats(-2, 4), min_size=1, max_size=20))
def test_curve_interpolates_linearly_like_numpy(values):
    x = torch.tensor(values).view(1, 1, 1, -1)
    torch.testing.assert_close(
        curve(x, CT, T1).flatten().numpy(), np.interp(values, CT, T1).astype("f4"), atol=1e-5, rtol=0
    )
    at = torch.tensor(CT).view(1, 1, 1, -1)
    torch.testing.assert_close(curve(at, CT, T1).flatten(), torch.tensor(T1))


def test_synthetic_scans_are_reproducible_and_all_different():
    ct = block(0.03).expand(3, -1, -1, -1).contiguous()
    synthetic = synthetic_t1(ct, 5)
    assert synthetic.shape == ct.shape and synthetic.isfinite().all() and synthetic.min() >= 0
    assert synthetic.equal(synthetic_t1(ct, 5)) and not synthetic.equal(synthetic_t1(ct, 6))
    assert not synthetic[0].equal(synthetic[1])


def test_t1_of_a_ct_correlates_with_the_patients_own_t1():
    t1, ct = next(pairs(9, size=128, wild=False))
    synthetic, head = t1_of(ct[None] / 1000, FLAT)[0], ct > -300
    assert head.float().mean() > 0.2
    assert torch.corrcoef(torch.stack([synthetic[head], t1[head]]))[0, 1] > 0.6


def test_a_synthetic_head_shows_its_fa_in_the_brain_and_random_tissue_around_it():
    _, fa = next(pairs(9, size=224, task="t1fa", wild=False))
    fa = F.avg_pool2d(fa, 2)[None].expand(12, -1, -1, -1).contiguous()
    (synthetic, expected), brain = synthetic_head(fa, 5), fa[0] > 0.05
    assert 0.05 < brain.float().mean() < 0.6
    assert synthetic.shape == fa.shape and synthetic.isfinite().all() and synthetic.min() >= 0
    for one, again, other in zip((synthetic, expected), synthetic_head(fa, 5), synthetic_head(fa, 6), strict=True):
        assert one.equal(again) and not one.equal(other)
    tissues = curve(fa[:1], FA, FA_T1)[0]
    necks = [bool(target.max() == 0) for target in expected]
    assert 0 < sum(necks) < 12
    alike = []
    for image, target, neck in zip(synthetic, expected, necks, strict=True):
        assert neck or target.equal(fa[0])
        like = torch.corrcoef(torch.stack([image[brain], tissues[brain]]))[0, 1]
        assert abs(like) < 0.4 if neck else like > 0.6  # other signals where FA is 0
        alike += [] if neck else [float(like)]
    assert np.median(alike) > 0.8  # a few scans are shaded and coarse
    away = outlined(fa[:1], 0.01)[0] == 0
    bright = torch.stack([image[away].quantile(0.98) for image in synthetic])
    assert bright.min() < 0.2 and bright.max() > 1.0  # some are stripped
    assert synthetic_head(torch.zeros(2, 1, 32, 32), 1)[0].isfinite().all()


@pytest.mark.parametrize("pixels", [0.0, 1.0, 2.5, 6.0])
def test_a_mask_is_dilated_to_an_octagon(pixels):
    point = torch.zeros(1, 1, 33, 33)
    point[..., 16, 16] = 1
    wide = grown(point, torch.full((1, 1, 1, 1), pixels))[0, 0]
    assert wide[16].sum() == pytest.approx(2 * pixels + 1)
    corner = max((i for i in range(17) if wide[16 + i, 16 + i] == 1), default=0)
    assert 0.5 * int(pixels) <= corner <= max(1, 0.8 * pixels)  # an octagon, neither square nor diamond


def test_examples_match_their_inputs_pixel_by_pixel():
    mr, ct = torch.rand(2, 1, 16, 16) * 1.5, torch.rand(2, 1, 16, 16) - 0.5
    (forward, input_mr, expected), (backward, input_ct, _) = examples("mr2ct", mr, ct, 1)
    assert (forward, backward) == ("generator", "back") and expected is ct and input_ct is ct and not input_mr.equal(mr)
    (_, source, flair), (_, target, t1) = examples("t1flair", mr, ct.abs(), 1)
    assert source is mr and flair.shape == mr.shape and t1.shape == target.shape
    assert FLAIR[0] <= flair.min() and flair.max() <= max(FLAIR)
    (_, head, fa), (_, target, t1) = examples("t1fa", mr, ct.abs(), 1)
    assert target.equal(ct.abs()) and head.shape == fa.shape and t1.max() <= 1
    with pytest.raises(InputError, match="leave prior at 0"):
        examples("ct2mr", ct, mr, 1)
