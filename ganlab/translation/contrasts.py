"""Training pairs synthesised from unpaired images with known contrasts: textbook signals of every tissue.

From a CT alone a T1-weighted image can be made that matches it pixel by pixel, as SynthSeg learns segmentation from
random images of labels (Billot et al., Medical Image Analysis 86:102789, 2023). It is not a scan: tissues that look
alike in CT look alike in it. From FA alone come the T1-weighted image of a brain and a random head around it. Images
are (N, 1, H, W) in the networks' units.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import InputError
from ganlab.filters import extremes
from ganlab.phantoms.rendering import acquired
from ganlab.phantoms.slices import Draw
from ganlab.translation.networks import outlined

# CT in thousands of HU and its T1 signal at 3 T (white matter 1): air, fat, fluid, white and grey matter, muscle and
# skin, marrow, bone.
CT = (-1.0, -0.3, -0.11, -0.08, -0.02, 0.0, 0.01, 0.019, 0.028, 0.038, 0.05, 0.11, 0.3, 0.55, 0.9, 1.35, 3.0)
T1 = (0.0, 0.5, 1.56, 1.56, 0.55, 0.16, 0.15, 0.6, 1.0, 0.68, 0.62, 0.62, 0.9, 0.69, 0.2, 0.0, 0.0)
FAT = slice(2, 4)
FAINT_FAT = (-5.0, -0.7)  # logarithm of its signal, suppressed, over that without suppression
BRAIN = slice(5, 10)  # fluid, white and grey matter: textbook values hold better there
MARROW = slice(12, 14)
OUTSIDE = -0.5  # CT of air around the head
# FA and its T1 signal: outside the brain, fluid, grey matter, white matter.
FA = (0.0, 0.04, 0.06, 0.09, 0.13, 0.18, 0.26, 0.4, 1.0)
FA_T1 = (0.1, 0.12, 0.16, 0.36, 0.6, 0.74, 0.92, 1.0, 1.0)
FAINT = 0.08  # T1 signal around the head
SPREAD = 0.7  # of the scanners' effects; signals vary as well
# Shells around the brain, (range of thickness in pixels of 2 mm, T1 signal): fluid, bone, scalp fat, skin.
SHELLS, SCALP = (((0.5, 2.5), 0.16), ((1.0, 5.0), 0.05), ((0.5, 6.0), 1.5), ((0.0, 2.0), 0.6)), 2
PIECES = (
    0.02,
    1.5,
    0.5,
    0.6,
    0.15,
    0.7,
    1.3,
    0.4,
    0.05,
)  # T1 signals of face and neck: air, fat, muscle and their neighbours
# T1 signal to FLAIR signal and back, pixel by pixel; grey matter is 1 in FLAIR.
T1_FLAIR, FLAIR = (0.0, 0.15, 0.3, 0.68, 0.8, 1.0, 1.56), (0.0, 0.02, 0.4, 1.0, 0.95, 0.77, 1.18)
FLAIR_T1, BACK = (0.0, 0.02, 0.6, 0.77, 0.95, 1.05, 1.18, 2.0), (0.0, 0.15, 0.9, 1.0, 0.7, 0.68, 1.5, 1.5)
Example = tuple[str, Tensor, Tensor]


def examples(task: str, source: Tensor, target: Tensor, seed: int) -> list[Example]:
    """(generator, input, expected output) from unpaired source and target images; "generator" is the forward direction,
    "back" the backward one. Raises InputError for a task without known contrasts."""
    if task == "t1fa":
        return [("generator", *synthetic_head(target, seed)), ("back", target, curve(target, FA, FA_T1))]
    if task == "mr2ct":
        flat = target.new_tensor(T1).expand(len(target), -1)
        return [("generator", synthetic_t1(target, seed), target), ("back", target, t1_of(target, flat))]
    if task == "t1flair":
        return [("generator", source, curve(source, T1_FLAIR, FLAIR)), ("back", target, curve(target, FLAIR_T1, BACK))]
    raise InputError(f"There are no known contrasts for {task}; leave prior at 0.")


def curve(images: Tensor, knots: tuple[float, ...], values: tuple[float, ...] | Tensor) -> Tensor:
    """Piecewise linear through (place, value), constant beyond both ends. values: K numbers, or (N, K), K per image."""
    at = images.new_tensor(knots)
    knot_values = torch.as_tensor(values, dtype=images.dtype, device=images.device).expand(len(images), -1)
    k = torch.bucketize(images.contiguous(), at).clamp(1, len(at) - 1)
    share = ((images - at[k - 1]) / (at[k] - at[k - 1])).clamp(0, 1)
    low, high = (knot_values.gather(1, i.flatten(1)).view_as(images) for i in (k - 1, k))
    return low + share * (high - low)


def t1_of(ct: Tensor, signals: Tensor) -> Tensor:
    """The T1-weighted image of a CT with `signals` (N, K) at the HU of CT.

    A pixel at an edge holds two tissues, and its HU is that of a third. There the signal is a mixture of the signals of
    the darkest and the brightest pixel around it, in the proportion of its HU. Edges to air are wider.
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
    """A random T1-weighted scan of these CTs: signals, fat suppression and scanner effects vary more than those of any
    one scanner. Same seed, same result on every device."""
    rng = DeviceRandom(seed, len(ct), ct.device)
    variety = ct.new_full((len(T1),), 0.3)
    variety[BRAIN] = 0.15
    signals = ct.new_tensor(T1) * torch.exp(variety * rng.normal(len(T1)))
    suppressed = rng.uniform(0, 1)[:, 0, 0] < 0.3
    for part in (FAT, MARROW):
        faint = signals[:, part] * torch.exp(rng.uniform(*FAINT_FAT)[:, 0, 0])
        signals[:, part] = torch.where(suppressed, faint, signals[:, part])
    ideal = t1_of(ct, signals ** torch.exp(rng.uniform(-0.15, 0.55)[:, 0, 0]))
    return scanned(ideal, 1 - outlined(ct, OUTSIDE), rng)


def synthetic_head(fa: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """(T1, FA): a random T1-weighted scan of the head around each FA map, which shows the brain alone, and its FA.

    The signal of the brain follows from its FA. Around it lie shells of fluid, bone and scalp of random thickness, and
    pieces of random shape and signal for face and neck; FA is 0 in all of them. Three in ten heads are skull-stripped.
    One in four shows such pieces in place of the brain, like the neck, and has no FA at all. Same seed, same result on
    every device.
    """
    rng = DeviceRandom(seed, len(fa), fa.device)
    tissues = curve(fa, FA, fa.new_tensor(FA_T1) * torch.exp(0.1 * rng.normal(len(FA))))
    brain = outlined(fa, FA[1] / 2)
    smooth, pieces = scattered(rng, fa.shape[2:])
    thickness = [rng.uniform(*limits) for limits, _ in SHELLS]
    signals = [signal * torch.exp(0.3 * rng.normal(1, 1, 1)) for _, signal in SHELLS]
    signals[SCALP] = torch.where(rng.uniform(0, 1) < 0.25, 0.3 * signals[SCALP], signals[SCALP])  # fat suppression
    inside, around = brain, torch.zeros_like(fa)
    for pixels, signal in zip(thickness, signals, strict=True):
        wider = grown(inside, pixels)
        around, inside = around + (wider - inside) * signal, wider
    around = around + (1 - inside) * (smooth > rng.uniform(-1, 1.5)) * pieces
    neck = rng.uniform(0, 1) < 1 / 4
    stripped = (rng.uniform(0, 1) < 0.3) & ~neck
    image = brain * torch.where(neck, pieces, tissues) + torch.where(stripped, 0.0, around)
    ideal = image ** torch.exp(rng.uniform(-0.25, 0.25))
    return scanned(ideal, 1 - outlined(ideal, FAINT), rng), torch.where(neck, 0.0, fa)


def grown(mask: Tensor, pixels: Tensor) -> Tensor:
    """Masks (N, 1, H, W) in 0..1, dilated by this many pixels (N, 1, 1, 1)."""
    for k in range(int(pixels.max().ceil())):
        wider = F.max_pool2d(mask, 3, 1, 1)
        if k % 2:  # squares and diamonds alternate: an octagon
            wider = torch.maximum(F.max_pool2d(mask, (3, 1), 1, (1, 0)), F.max_pool2d(mask, (1, 3), 1, (0, 1)))
        mask = torch.lerp(mask, wider, (pixels - k).clamp(0, 1))
    return mask


def scattered(rng: DeviceRandom, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Two random fields (N, 1, H, W): a smooth one of either sign, and pieces with the signals PIECES."""
    coarse, middle, fine = (
        F.interpolate(rng.normal(1, *(max(2, side // pixels) for side in shape)), size=shape, mode="bicubic")
        for pixels in (36, 12, 5)
    )
    level = middle + 0.6 * fine  # of fine pieces within larger ones, as muscles and the fat between them
    signals = fine.new_tensor(PIECES)
    return coarse, signals[((level + 2) / 4 * len(signals)).long().clamp(0, len(signals) - 1)]


def scanned(images: Tensor, background: Tensor, rng: DeviceRandom) -> Tensor:
    """Ideal images as scanners store them, with the effects that the phantoms' MR has; background: 1 outside."""
    draw = Draw(rng.host)
    each = zip(images[:, 0], background[:, 0], strict=True)
    return torch.stack([acquired(draw, image, outside, SPREAD) for image, outside in each])[:, None]


class DeviceRandom:
    """Random numbers for n images, the same on every device."""

    def __init__(self, seed: int, n: int, device: torch.device):
        self.host, self.n, self.device = torch.Generator().manual_seed(seed), n, device

    def normal(self, *shape: int) -> Tensor:
        """(n, *shape) of N(0, 1)."""
        return torch.randn((self.n, *shape), generator=self.host).to(self.device)

    def uniform(self, low: float, high: float) -> Tensor:
        """(n, 1, 1, 1), uniform in low..high, one number per image."""
        return (low + (high - low) * torch.rand((self.n, 1, 1, 1), generator=self.host)).to(self.device)
