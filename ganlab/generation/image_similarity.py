"""How similar images are to each other: MS-SSIM within a class, nearest training images, and tests for copies.

Images are tensors (N, 1, size, size) in -1..1.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from ganlab.errors import InputError
from ganlab.generation.image_kinds import Images

BATCH = 256  # pairs compared at a time
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of MS-SSIM, the finest scale first


def ms_ssim(a: Tensor, b: Tensor, scales: int = 0) -> Tensor:
    """(N,) multi-scale structural similarity of images and images, 1 where they are equal (Wang, Simoncelli and Bovik,
    Asilomar 2003, eq. 7): the product of contrast and structure over scales, and of luminance at the coarsest.

    scales: by default 3, or as many as leave a side of 14 pixels; their published weights are rescaled to a sum of 1.
    Windows are Gaussian, 11 pixels with a standard deviation of 1.5, or as wide as the image if that is smaller, with
    the deviation in proportion. Negative mean structure counts as 0.
    """
    # Not torchmetrics': it refuses sides of up to 40 pixels at three scales (digits have 16), and at the coarsest scale
    # it averages over mirrored borders, which changed pairs of 56-pixel nodules by up to 0.21.
    scales = scales or min(5, max(3, 1 + int(math.log2(a.shape[-1] / 14))))
    weights = np.array(SCALE_WEIGHTS[:scales]) / sum(SCALE_WEIGHTS[:scales])
    a, b, product = (a + 1) / 2, (b + 1) / 2, 1.0
    for scale, weight in enumerate(weights):
        luminance, structure = _ssim_maps(a, b)
        last = scale == scales - 1
        mean = (luminance * structure if last else structure).mean((1, 2, 3))
        product = product * mean.clamp_min(0) ** weight
        a, b = (x if last else F.avg_pool2d(x, 2) for x in (a, b))
    return product


def _ssim_maps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance, and contrast times structure, of images in 0..1 wherever the window fits."""
    side = min(11, a.shape[-1] - 1 + a.shape[-1] % 2)
    position = torch.arange(side, dtype=a.dtype) - side // 2
    window = torch.exp(-0.5 * (position / (1.5 * side / 11)) ** 2)
    window = (window / window.sum()).to(a.device)

    def mean(x: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(x, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))

    ma, mb = mean(a), mean(b)
    va, vb, ab = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    return (2 * ma * mb + c1) / (ma * ma + mb * mb + c1), (2 * ab + c2) / (va + vb + c2)


def ms_ssim_diversity(images: Images, pairs: int = 1000, seed: int = 0) -> float:
    """Mean MS-SSIM of random pairs of different images of one class (Odena et al., ICML 2017, section 4.2): the higher
    above that of real images, the less varied the images are. Raises InputError if no class has two images."""
    rng, labels = np.random.default_rng(seed), images.labels.numpy()
    order = np.argsort(labels, kind="stable")
    _, first, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    first, sizes = np.repeat(first, sizes), np.repeat(sizes, sizes)  # start and size of the class at each place
    candidates = np.flatnonzero(sizes > 1)
    if not len(candidates):
        raise InputError("No class has two images to compare; generate more.")
    a = rng.choice(candidates, pairs)
    b = first[a] + (a - first[a] + rng.integers(1, sizes[a])) % sizes[a]
    similarity = [
        ms_ssim(images.images[order[a[k : k + BATCH]]], images.images[order[b[k : k + BATCH]]])
        for k in range(0, pairs, BATCH)
    ]
    return float(torch.cat(similarity).mean())


def nearest(images: Tensor, training: Tensor, top: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """(indices, distances), each (N, top), of the training images nearest to each image, the nearest first.

    The distance is the root mean squared difference of pixels (-1..1) after a 3x3 mean, which reduces the influence of
    noise, to the training image or to its mirror image, whichever is nearer.
    """
    top = min(top, len(training))
    search = NearestNeighbors(n_neighbors=top, algorithm="brute").fit(_smoothed(training))
    (plain, i), (mirrored, j) = (search.kneighbors(_smoothed(x)) for x in (images, images.flip(3)))
    distances, indices = np.hstack([plain, mirrored]), np.hstack([i, j])
    order = distances.argsort(1, kind="stable")
    distances, indices = (np.take_along_axis(values, order, 1) for values in (distances, indices))
    # a training image may be near both as it is and mirrored: keep its nearer one
    best = np.stack([np.sort(np.unique(row, return_index=True)[1])[:top] for row in indices])
    pixels = images[0].numel()
    return np.take_along_axis(indices, best, 1), np.take_along_axis(distances, best, 1) / math.sqrt(pixels)


def _smoothed(images: Tensor) -> np.ndarray:
    """(N, pixels) float32 after a 3x3 mean."""
    return F.avg_pool2d(images.float(), 3, 1, 1, count_include_pad=False).flatten(1).numpy()


def memorisation(generated: Tensor, training: Tensor, held_out: Tensor) -> dict[str, float]:
    """Whether generated images are copies: distances to the nearest training image, of generated and held-out images.

    ratio: median of the generated over that of the held-out; 1 or more if nothing is copied. copied: share of the
    generated that are nearer than the nearest 1 % of the held-out, so 0.01 if nothing is copied.
    """
    generated_distances, held_out_distances = (nearest(x, training, 1)[1][:, 0] for x in (generated, held_out))
    return {
        "generated": float(np.median(generated_distances)),
        "held_out": float(np.median(held_out_distances)),
        "ratio": float(np.median(generated_distances) / np.median(held_out_distances)),
        "copied": float((generated_distances < np.quantile(held_out_distances, 0.01)).mean()),
    }
