"""Examples for a training that has no pairs, by what is known of contrasts: the signal of every tissue is in textbooks.

From a CT alone a T1-weighted MR can be made that lies on it pixel by pixel, as networks learn segmentation from random
images of labels (Billot et al., SynthSeg, Medical Image Analysis 86:102789, 2023). It is not a scan: what is alike in
CT is alike in it. Images are (N, 1, H, W) in the networks' units.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import InputError
from ganlab.filters import binomial, extremes

# Thousands of HU and T1 signal at 3 T, white matter 1: air, fat, fluid, white, grey, muscle and skin, marrow, bone.
CT = (-1.0, -0.3, -0.11, -0.08, -0.02, 0.0, 0.01, 0.019, 0.028, 0.038, 0.05, 0.11, 0.3, 0.55, 0.9, 1.35, 3.0)
T1 = (0.0, 0.5, 1.56, 1.56, 0.55, 0.16, 0.15, 0.6, 1.0, 0.68, 0.62, 0.62, 0.9, 0.69, 0.2, 0.0, 0.0)
FAT = slice(2, 4)
MARROW = slice(12, 14)
CURVES = {  # by what a pixel shows alone: values of T1 and of the other
    "fa": ((0.0, 0.3, 0.75, 0.95, 1.3, 1.6), (0.0, 0.05, 0.12, 0.42, 0.42, 0.0)),
    "flair": ((0.0, 0.15, 0.3, 0.68, 0.8, 1.0, 1.56), (0.0, 0.02, 0.4, 1.0, 0.95, 0.77, 1.18)),
}
BACK = {  # and from the other to T1
    "fa": ((0.0, 0.04, 0.12, 0.35, 1.0), (0.0, 0.3, 0.65, 1.0, 1.0)),
    "flair": ((0.0, 0.02, 0.6, 0.77, 0.95, 1.05, 1.18, 2.0), (0.0, 0.15, 0.9, 1.0, 0.7, 0.68, 1.5, 1.5)),
}
Example = tuple[str, Tensor, Tensor]


def examples(task: str, source: Tensor, target: Tensor, seed: int) -> list[Example]:
    """(generator, what it is given, what it is to give) from source and target that are no pairs: "generator" goes
    forth, "back" back. Raises InputError for a task that nothing is known of."""
    if task == "mr2ct":
        return [
            ("generator", synthetic_t1(target, seed), target),
            ("back", target, t1_of(target, target.new_tensor(T1).expand(len(target), -1))),
        ]
    known = task.removeprefix("t1")
    if known not in CURVES:
        raise InputError(f"Nothing is known of the contrasts of {task}: leave prior at 0.")
    forth, back = (curve(x, *c[known]) for x, c in ((source, CURVES), (target, BACK)))
    return [("generator", source, forth), ("back", target, back)]


def curve(images: Tensor, places: tuple[float, ...], values: tuple[float, ...] | Tensor) -> Tensor:
    """Piecewise linear through (place, value), constant beyond both ends; values may be (N, K), of each image."""
    at = images.new_tensor(places)
    given = torch.as_tensor(values, dtype=images.dtype, device=images.device).expand(len(images), -1)
    k = torch.bucketize(images.contiguous(), at).clamp(1, len(at) - 1)
    share = ((images - at[k - 1]) / (at[k] - at[k - 1])).clamp(0, 1)
    low, high = (given.gather(1, i.flatten(1)).view_as(images) for i in (k - 1, k))
    return low + share * (high - low)


def t1_of(ct: Tensor, signals: Tensor) -> Tensor:
    """The T1-weighted image of a CT by `signals` (N, K) at the HU of CT.

    At an edge a pixel holds two tissues, and its HU is that of a third: there the signal is the mixture of those of
    the lowest and the highest pixel around it, by as much as its HU is of theirs. Edges of air are wider.
    """
    low, high = extremes(ct, 3)
    wide_low, wide_high = extremes(ct, 5)
    air = (wide_low < -0.5) & (ct < 0)
    low, high = torch.where(air, wide_low, low), torch.where(air, wide_high, high)
    share = ((ct - low) / (high - low).clamp_min(1e-3)).clamp(0, 1)
    below, above = curve(low, CT, signals), curve(high, CT, signals)
    edge = ((high - low - 0.1) / 0.15).clamp(0, 1)
    return torch.lerp(curve(ct, CT, signals), torch.lerp(below, above, share), edge)


def synthetic_t1(ct: Tensor, seed: int) -> Tensor:
    """What a T1-weighted scan of these CTs might be: signals, fat suppression, gain, field, blur and noise at random,
    wider than any one scanner's. The same for the same seed, whatever the device."""
    host, n = torch.Generator().manual_seed(seed), len(ct)

    def normal(*shape: int) -> Tensor:
        return torch.randn((n, *shape), generator=host).to(ct.device)

    def uniform(low: float, high: float) -> Tensor:
        return (low + (high - low) * torch.rand((n, 1, 1, 1), generator=host)).to(ct.device)

    signals = ct.new_tensor(T1) * torch.exp(0.15 * normal(len(T1)))
    suppressed = uniform(0, 1)[:, 0, 0] < 0.2
    for part in (FAT, MARROW):
        signals[:, part] = torch.where(suppressed, signals[:, part] * uniform(0.1, 0.5)[:, 0, 0], signals[:, part])
    image = t1_of(ct, signals ** torch.exp(uniform(-0.15, 0.55)[:, 0, 0]))
    field = F.interpolate(0.12 * normal(1, 3, 3), size=ct.shape[2:], mode="bicubic", align_corners=True)
    image = image * torch.exp(field) * (1 + uniform(0, 0.05) * normal(1, *ct.shape[2:]))
    image = torch.lerp(image, binomial(image), uniform(0, 0.9))
    std = uniform(0, 0.03)
    image = torch.hypot(image + std * normal(1, *ct.shape[2:]), std * normal(1, *ct.shape[2:]))
    return image * torch.exp(uniform(-0.2, 0.1))
