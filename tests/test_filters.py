import torch

from ganlab.filters import binomial, extremes, smooth


def checkerboard(side=8):
    at = torch.arange(side)
    return ((at[:, None] + at) % 2).float()[None, None]


def test_binomial_removes_a_checkerboard_and_keeps_a_constant():
    torch.testing.assert_close(binomial(checkerboard()), torch.full((1, 1, 8, 8), 0.5))  # including the edge
    for flat in (binomial(torch.full((2, 1, 5, 7), 3.0)), smooth(torch.full((2, 1, 5, 7), 3.0), 3)):
        torch.testing.assert_close(flat, torch.full((2, 1, 5, 7), 3.0))


def test_smoothing_spreads_a_point_and_keeps_the_sum():
    point = torch.zeros(1, 1, 15, 15)
    point[..., 7, 7] = 1
    assert binomial(point)[0, 0, 7, 6:9].tolist() == [0.125, 0.25, 0.125]
    torch.testing.assert_close(smooth(point, 5).sum(), torch.tensor(1.0))
    assert int((smooth(point, 5) > 1e-6).sum()) == 81  # a box over a box


def test_extremes_of_a_box():
    image = torch.arange(25.0).view(1, 1, 5, 5)
    low, high = extremes(image, 3)
    assert (low[0, 0, 2, 2], high[0, 0, 2, 2]) == (6, 18)
    assert (low[0, 0, 0, 0], high[0, 0, 4, 4]) == (0, 24)
