"""Paths through the latent space, inversion of a generator, films and strips."""

import io
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ganlab.errors import Cancelled, InputError
from ganlab.generation.config import NetworkConfig
from ganlab.generation.films import enlarged, film, strip
from ganlab.generation.inversion import invert
from ganlab.generation.latent import (
    arithmetic,
    layer_features,
    lerp,
    principal_directions,
    resampled,
    sheet,
    slerp,
    truncated,
    walk,
)
from ganlab.generation.networks import make_networks, noise

CONFIG = NetworkConfig(size=16, z=16, width=4, small_start=False)
T = torch.linspace(0, 1, 9)


def z(seed, count=1, dimensions=100):
    return noise(seed, count, NetworkConfig(z=dimensions))


def made_networks(config=CONFIG):
    """Both, of unequal weights in every direction, for inference."""
    torch.manual_seed(5)
    generator, discriminator = (net.eval().requires_grad_(False) for net in make_networks(config))
    first = generator.project[-2] if config.kind == "dcgan" else generator.blocks[0][0]
    first.weight[:, : config.z] *= torch.linspace(3, 0.5, config.z)
    return generator, discriminator


def test_a_line_loses_norm_in_the_middle_and_a_great_circle_does_not():
    a, b = z(0, 200), z(1, 200)
    straight, round_ = (path(a, b, T).norm(dim=2).mean(1) / 10 for path in (lerp, slerp))
    assert straight[[0, -1]] == pytest.approx(1, abs=0.02) and straight[4] == pytest.approx(math.sqrt(0.5), abs=0.02)
    assert round_ == pytest.approx(1, abs=0.02)


@settings(max_examples=50)
@given(seed=st.integers(0, 10**6), dimensions=st.integers(2, 40), length=st.floats(0.1, 10))
def test_slerp_turns_at_a_constant_rate_in_the_plane_of_its_ends(seed, dimensions, length):
    a, b = z(seed, 2, dimensions) * torch.tensor([[1.0], [length]])
    way = slerp(a, b, T)
    assert torch.equal(way[0], a) and torch.equal(way[-1], b)
    steps = torch.cosine_similarity(way[:-1].double(), way[1:].double(), dim=1).clamp(-1, 1).acos()
    assert steps.std() < 1e-3 and steps.sum() <= math.pi + 1e-3
    assert torch.allclose(way.norm(dim=1), torch.lerp(a.norm(), b.norm(), T), rtol=1e-5)
    assert torch.linalg.svdvals(way / way.norm(dim=1, keepdim=True))[2:].sum() < 1e-4


def test_batches_are_interpolated_like_single_vectors():
    a, b = z(0, 3), z(1, 3)
    for path in (lerp, slerp):
        assert path(a, b, T).shape == (9, 3, 100)
        for k in range(3):
            assert torch.allclose(path(a, b, T)[:, k], path(a[k], b[k], T), atol=1e-6)


@pytest.mark.parametrize("factor", [1.0, 2.0, 1 + 1e-7, -1.0, -2.0])
@pytest.mark.parametrize("dimensions", [2, 100])
def test_parallel_and_opposite_vectors_are_joined(factor, dimensions):
    a = z(2, 1, dimensions)[0]
    way = slerp(a, factor * a, T)
    assert torch.allclose(way.norm(dim=1), torch.lerp(a.norm(), abs(factor) * a.norm(), T), rtol=1e-5)
    along = torch.cosine_similarity(way, a[None], dim=1)
    assert torch.allclose(along, torch.ones(9) if factor > 0 else (math.pi * T).cos(), atol=1e-5)


def test_slerp_is_finite_at_zero_and_in_one_dimension():
    for a, b in ((torch.zeros(5), z(0, 1, 5)[0]), (torch.zeros(5), torch.zeros(5)), (torch.ones(1), -torch.ones(1))):
        way = slerp(a, b, T)
        assert way.isfinite().all() and torch.equal(way[0], a) and torch.equal(way[-1], b)


def test_a_sheet_contains_its_corners_and_keeps_the_norm():
    corners = z(3, 4)
    result = sheet(corners, 5, 7)
    assert result.shape == (5, 7, 100)
    assert torch.equal(result[[0, 0, -1, -1], [0, -1, 0, -1]], corners)
    assert torch.equal(result[0], slerp(corners[0], corners[1], torch.linspace(0, 1, 7)))
    norms = corners.norm(dim=1)
    assert (result.norm(dim=2) > norms.min() - 1e-4).all() and (result.norm(dim=2) < norms.max() + 1e-4).all()
    assert torch.equal(sheet(corners, 1, 1)[0], corners[:1])


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize(("count", "frames"), [(1, 5), (2, 7), (4, 60), (5, 60), (5, 3), (3, 1)])
def test_a_walk_is_smooth_and_visits_its_points(count, frames, closed):
    points = z(4, count)
    way = walk(points, frames, closed)
    assert way.shape == (frames, 100) and torch.equal(way[0], points[0])
    assert way.norm(dim=1).min() > points.norm(dim=1).min() - 1e-4
    if not closed and frames > 1:
        assert torch.equal(way[-1], points[-1])
    if frames == 60:
        again = torch.cat([way, way[:1]]) if closed else way
        steps = again.diff(dim=0).norm(dim=1)
        most = 1.6 * sum((a - b).norm() for a, b in itertools.pairwise(torch.cat([points, points[: int(closed)]]))) / 60
        assert steps.max() < 1.2 * most
        assert again.diff(n=2, dim=0).norm(dim=1).max() < steps.max()  # no corner: it slows down at points
    if closed and frames % count == 0:
        assert torch.equal(way[:: frames // count], points)


def test_arithmetic_uses_means_and_keeps_the_norm():
    plus, minus, base = z(5, 3), z(6, 4), z(7, 2)
    result = arithmetic(plus, minus, base)
    assert result.shape == (2, 100) and torch.allclose(result.norm(dim=1), base.norm(dim=1))
    expected = base + plus.mean(0) - minus.mean(0)
    assert torch.allclose(torch.cosine_similarity(result, expected, dim=1), torch.ones(2))
    assert torch.allclose(arithmetic(plus, plus, base[0]), base[0], atol=1e-5)


@pytest.mark.parametrize("kind", ["dcgan", "fc"])
@pytest.mark.parametrize("classes", [0, 3])
def test_principal_directions_of_a_linear_layer_are_its_singular_vectors(kind, classes):
    config = NetworkConfig(kind=kind, size=16, z=16, width=4, classes=classes, small_start=False)
    generator, _ = made_networks(config)
    directions, share, std = principal_directions(generator, 0, 600)
    assert directions.shape == (16, 16) and share.shape == std.shape == (16,)
    assert torch.allclose(directions @ directions.T, torch.eye(16), atol=1e-4)
    assert (directions.gather(1, directions.abs().argmax(1, keepdim=True)) > 0).all()
    assert (std.diff() <= 0).all() and 0.3 < share.sum() < 1.05
    if kind == "dcgan":  # a linear layer: known in closed form
        _, s, v = torch.linalg.svd(generator.project[-2].weight[:, :16], full_matrices=False)
        assert torch.allclose(std, s, rtol=1e-3) and torch.allclose((directions * v).sum(1).abs(), torch.ones(16))
        assert share.sum() == pytest.approx(1, abs=0.03)
        other = principal_directions(generator, 1, 600)[0]
        assert torch.allclose(other, directions, atol=1e-3)
    last, _, std = principal_directions(generator, 0, 600, layer=-1)
    labels = torch.zeros(1, dtype=torch.int64)
    moved = [(generator(0.1 * d[None], labels) - generator(-0.1 * d[None], labels)).norm() / 0.2 for d in last]
    assert sum(moved[:4]) > 1.5 * sum(moved[-4:])
    assert torch.allclose(principal_directions(generator, 0, 600, layer=-1)[0], last, atol=1e-4)


@pytest.mark.parametrize("kind", ["dcgan", "fc"])
@pytest.mark.parametrize("classes", [0, 3])
def test_layer_features_equal_those_of_the_generator(kind, classes):
    generator, _ = made_networks(NetworkConfig(kind=kind, size=16, z=16, width=4, classes=classes))
    draws, labels = z(0, 130, 16), torch.arange(130) % 3
    for layer in (0, 1, -1):
        expected = generator.features(draws, labels)[layer].flatten(1)
        assert torch.allclose(layer_features(generator, draws, labels, layer), expected, atol=1e-6)


def test_truncation_redraws_only_what_exceeds_the_limit():
    plain, result = noise(0, 50, CONFIG), resampled(0, 50, CONFIG, 0.5)
    assert result.abs().max() <= 0.5 and result.std() == pytest.approx(0.283, abs=0.02)  # of a normal cut at 0.5
    assert torch.equal(result[plain.abs() <= 0.5], plain[plain.abs() <= 0.5])
    assert torch.equal(resampled(0, 7, CONFIG, 0.5), result[:7])
    assert torch.equal(resampled(0, 7, CONFIG, 9.0), plain[:7])
    assert torch.equal(truncated(plain, 0.7), 0.7 * plain)
    for limit in (0.0, -1.0, math.nan):
        with pytest.raises(InputError, match=r"0\.1"):
            resampled(0, 1, CONFIG, limit)


DISC = (torch.arange(16)[:, None] - 5) ** 2 + (torch.arange(16) - 9) ** 2 < 8


@pytest.mark.parametrize("judged", [False, True])
def test_inversion_finds_a_generated_image_and_leaves_an_anomaly_in_the_residual(judged):
    generator, discriminator = made_networks()
    own = generator(z(8, 1, 16))
    apart = (own - generator(z(9, 200, 16))).abs().mean()
    drawn = own.clone()
    drawn[0, 0, DISC] = drawn[0, 0, DISC].sign().neg()
    result = invert(generator, torch.cat([own, drawn]), discriminator=discriminator if judged else None, steps=80)
    assert result.z.shape == (2, 16) and result.reconstruction.shape == result.residual.shape == (2, 1, 16, 16)
    assert torch.allclose(generator(result.z), result.reconstruction, atol=1e-6)
    assert result.residual[0].abs().mean() < 0.03 * apart and result.score[1] > 10 * result.score[0]
    assert result.residual[1, 0, DISC].abs().mean() > 4 * result.residual[1, 0, ~DISC].abs().mean()
    assert (result.z.norm(dim=1) / 4 - 1).abs().max() < 0.5
    assert torch.equal(result.scores[:, 0], result.score) and not result.labels.any()


def test_inversion_tries_every_class_unless_one_is_given():
    generator, _ = made_networks(NetworkConfig(size=16, z=16, width=4, classes=3, small_start=False))
    generator.label.weight.mul_(20)
    labels = torch.tensor([2, 0])
    own = generator(z(8, 2, 16), labels)
    shares = []
    result = invert(generator, own, steps=60, restarts=2, progress=shares.append)
    assert torch.equal(result.labels, labels) and result.scores.isfinite().all()
    assert torch.equal(result.scores.argmin(1), labels)
    assert len(shares) == 120 and shares == sorted(shares) and shares[-1] == 1
    again = invert(generator, own[1], steps=60, restarts=2)
    assert torch.equal(again.z[0], result.z[1])
    given = invert(generator, own, torch.tensor([1, 0]), steps=60, restarts=2)
    assert given.labels.tolist() == [1, 0] and given.score[0] > 2 * result.score[0]
    assert given.scores.isfinite().tolist() == [[False, True, False], [True, False, False]]


def test_inversion_can_be_cancelled_and_refuses_other_sizes():
    generator, _ = made_networks()

    def stop(share):
        assert share < 0.1
        if share > 0.05:
            raise Cancelled

    with pytest.raises(Cancelled):
        invert(generator, torch.zeros(1, 16, 16), steps=100, progress=stop)
    with pytest.raises(InputError, match="1 x 16 x 16"):
        invert(generator, torch.zeros(1, 28, 28))


def test_an_mp4_plays_at_its_frame_rate_with_its_greys():
    """H.264 with even sides; greys are close enough that the eye sees no difference."""
    import av

    at = np.linspace(0, 2 * np.pi, 9)
    pictures = np.stack([np.uint8(120 + 60 * np.sin(at[None] + k) * np.cos(at[:, None])) for k in range(5)])
    with av.open(io.BytesIO(film(pictures, fps=20, scale=5, form="mp4"))) as shown:
        stream = shown.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate) == ("h264", 20)
        frames = [frame.to_ndarray(format="gray") for frame in shown.decode(stream)]
    assert len(frames) == 5 and frames[0].shape == (46, 46)  # 9 pixels, five times, and one more
    for frame, picture in zip(frames, pictures, strict=True):
        assert np.abs(frame[:45, :45] - np.float32(enlarged(picture, 5))).mean() < 2
    with pytest.raises(InputError, match='cannot be a "webp"; choose from gif, mp4'):
        film(pictures, form="webp")


def test_a_gif_loops_and_a_strip_has_its_columns():
    pictures = np.random.default_rng(0).integers(0, 256, (10, 12, 8), dtype=np.uint8)
    with Image.open(io.BytesIO(film(pictures, fps=20, scale=3))) as shown:
        assert (shown.n_frames, shown.size, shown.info["loop"], shown.info["duration"]) == (10, (24, 36), 0, 50)
    with Image.open(io.BytesIO(film(pictures, scale=1))) as shown:
        for k, picture in enumerate(pictures):
            shown.seek(k)
            assert np.array_equal(np.asarray(shown.convert("L")), picture)
    with Image.open(io.BytesIO(strip(pictures, 4, scale=1))) as sheet_:
        pixels = np.asarray(sheet_)
    assert pixels.shape == (3 * 13 - 1, 4 * 9 - 1)
    assert np.array_equal(pixels[13:25, 9:17], pictures[5]) and (pixels[12] == 90).all()
