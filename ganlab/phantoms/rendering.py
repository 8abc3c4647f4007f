"""Simulated acquisition of slices: random MR, CT with and without noise, FA, from tissue shares (tissues, H, W).

Noise, bias and resolution of MR vary more than between real scanners (see contrasts.py). The target of a translation
(CT, FA) depends on anatomy alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.phantoms.contrasts import random_contrast, scanner_contrast
from ganlab.phantoms.head.points import Head
from ganlab.phantoms.scanner import DIFFUSION_VOXEL, SIGMA
from ganlab.phantoms.slices import Draw, replace
from ganlab.phantoms.tissues import INDEX, table
from ganlab.phantoms.volumes import BRAIN, brain_fa

FA_FLOOR = 0.03  # FA that noise leaves in isotropic tissue, at an SNR of 50


def render_ct(shares: Tensor, sigma: float = 0.6) -> Tensor:
    """HU of a slice (H, W), blurred by the scanner's point spread; sigma in pixels."""
    hu = torch.tensordot(table("hu", shares.device), shares, 1)
    return blur(hu, (sigma, sigma))


def render_fa(shares: Tensor, head: Head) -> Tensor:
    """Expected FA of a slice (H, W) in diffusion voxels of 2 mm; 0 outside the brain. head: at the slice's points."""
    fa = brain_fa(shares.flatten(1), head).reshape(shares.shape[1:])
    sigma = DIFFUSION_VOXEL * SIGMA
    seen = torch.hypot(blur(fa, (sigma, sigma)), torch.tensor(FA_FLOOR, device=fa.device))
    return torch.where(fa > 0, seen, 0.0).clamp_max(1)


def stripped(draw: Draw, shares: Tensor) -> Tensor:
    """Skull-stripped shares for a third of all slices: the brain and some fluid around it."""
    if not draw.chance(0.35):
        return shares
    sigma = draw.uniform(0.5, 3.0)
    inside = blur(shares[BRAIN].sum(0), (sigma, sigma)) > draw.uniform(0.2, 0.6)
    return replace(shares, ~inside, "background")


def render_mr(draw: Draw, shares: Tensor, spread: float = 1.0) -> Tensor:
    """A random T1-weighted image (H, W) of tissue shares; white matter near 1 times a random gain.

    spread: how far the image may differ from a clean scan; below 1 the contrast is one of a scanner's.
    """
    signal = (random_contrast(draw) if spread >= 1 else scanner_contrast(draw, spread)).to(shares.device)
    return acquired(draw, torch.tensordot(signal, shares, 1), shares[INDEX["background"]], spread)


def acquired(draw: Draw, image: Tensor, background: Tensor, spread: float = 1.0) -> Tensor:
    """An ideal MR image (H, W) as scanners and their software store it: uneven, blurred, noisy, on a pedestal, clipped,
    coarsely stored, with the background (its share of every pixel, H, W) set to zero or not. spread as above."""
    device, size, u = image.device, image.shape, draw.uniform
    noise = torch.randn((3, *size), generator=draw.generator).to(device)
    grain = blur(noise[0], (0.8, 0.8)) * 2.5
    texture = u(0, 0.09) * grain + u(0, 0.08) * _coarse(draw, size, 24, device)
    image = image * (1 + spread * texture)
    ramp = torch.linspace(-1, 1, size[0], device=device)[:, None] * draw.normal(0.6)
    ramp = ramp + torch.linspace(-1, 1, size[1], device=device)[None] * draw.normal(0.6)
    image = image * torch.exp(spread * (ramp + u(0, 0.3) * _coarse(draw, size, 4, device)))
    image = image.clamp_min(0) ** math.exp(spread * draw.normal(0.16))
    sigma = [u(0.2, 0.75), u(0.2, 0.75)]
    if draw.chance(0.25 * spread):  # a thick-slice or low-resolution acquisition, resampled to 1 mm
        sigma[int(draw.chance(0.5))] = u(0.8, 1.9)
    elif draw.chance(0.2 * spread):
        sigma = [u(0.7, 1.1)] * 2
    image = blur(image, tuple(sigma))
    std = u(0.003, 0.06 * spread)
    real, imaginary = noise[1], noise[2]
    if draw.chance(0.6):  # noise of a coarser grid, resampled to 1 mm, is smooth
        width = (u(0.3, 1.3), u(0.3, 1.3))
        real, imaginary = (n / n.std() for n in (blur(real, width), blur(imaginary, width)))
    image = ((image + std * real) ** 2 + (std * imaginary) ** 2).sqrt()
    if draw.chance(0.5 * spread):
        image = _on_pedestal(draw, image)
    if draw.chance(0.4):  # stored with the background set to zero
        image = torch.where(background > u(0.6, 0.999), torch.zeros_like(image), image)
    if draw.chance(0.15 * spread):
        image = _coarsely_stored(draw, image)
    return image * math.exp(spread * u(math.log(0.5), math.log(1.35)))


def _on_pedestal(draw: Draw, image: Tensor) -> Tensor:
    """An image (H, W) on a smooth background of up to 12 % of white matter: an offset, the floor of averaged or
    denoised Rician magnitudes, or the haze of averaged heads, which fades with distance. In most cases it is subtracted
    again, too little or too much, which leaves bone at exactly 0 where the background had covered it."""
    level = draw.uniform(0.0, 0.12)
    if draw.chance(0.5):
        floor = level * (1 + 0.4 * _coarse(draw, image.shape, 5, image.device)).clamp_min(0)
    else:
        width = draw.uniform(5.0, 22.0)
        floor = 2 * level * blur(image, (width, width))
    combine = (torch.add, torch.hypot, torch.maximum)[int(draw.uniform(0, 3))]
    image = combine(image, floor)
    if draw.chance(0.7):
        image = (image - draw.uniform(0.5, 1.2) * floor).clamp_min(0)
    return image


def _coarsely_stored(draw: Draw, image: Tensor) -> Tensor:
    """An image (H, W) clipped at a value near white matter's or fat's, and in half of all cases in 8 bits or fewer."""
    image = image.clamp_max(draw.uniform(1.05, 2.5))
    if draw.chance(0.5):
        step = float(image.max()) / draw.uniform(60, 255)
        image = (image / max(step, 1e-6)).round() * step
    return image


def render_noisy_ct(draw: Draw, ct: Tensor) -> Tensor:
    """HU (H, W) with noise, blurred as by a reconstruction: up to 35 HU, mostly below 12. The head is some HU brighter
    or darker than it should be, and unevenly, as by beam hardening and scatter. In half of the slices there are a
    table, a head holder or pads around the head."""
    shading = draw.normal(4) + draw.uniform(0, 5) * _coarse(draw, ct.shape, 4, ct.device)
    ct = ct + shading * (ct > -300)
    if draw.chance(0.5):
        ct = _supported(draw, ct)
    noise = torch.randn(ct.shape, generator=draw.generator).to(ct.device)
    width = draw.uniform(0.2, 1.2)
    noise = blur(noise, (width, width))
    return ct + 35 * draw.uniform(0, 1) ** 2 * noise / noise.std()


def _supported(draw: Draw, ct: Tensor) -> Tensor:
    """HU (H, W) with one to three shells, straight or curved, in the air around the head: from foam to carbon fibre."""
    x, y = (torch.linspace(-n / 2, n / 2, n, device=ct.device) for n in ct.shape)
    air = ct < -900
    for _ in range(1 + int(draw.uniform(0, 3))):
        angle, bend = draw.uniform(0, 2 * math.pi), draw.uniform(-0.002, 0.006)
        along = math.cos(angle) * x[:, None] - math.sin(angle) * y[None]
        depth = math.sin(angle) * x[:, None] + math.cos(angle) * y[None] - bend * along**2
        depth = (depth - draw.uniform(35, 115)).abs() - draw.uniform(0.5, 14) / 2
        share = (0.5 - depth).clamp(0, 1) * (along.abs() < draw.uniform(40, 250))
        level = draw.uniform(-960, -800) if draw.chance(0.5) else draw.uniform(-800, 250)
        ct = torch.where(air, torch.lerp(ct, torch.full_like(ct, level), share), ct)
    return ct


def blur(image: Tensor, sigma: Sequence[float]) -> Tensor:
    """An image (H, W) blurred by a Gaussian of sigma pixels along each axis; below 0.15 an axis stays sharp."""
    for axis, s in enumerate(sigma):
        if s > 0.15:
            r = max(1, math.ceil(3 * s))
            x = torch.arange(-r, r + 1, device=image.device, dtype=image.dtype)
            kernel = torch.exp(-0.5 * (x / s) ** 2)
            kernel = (kernel / kernel.sum()).reshape(1, 1, *((-1, 1) if axis == 0 else (1, -1)))
            pad = (0, 0, r, r) if axis == 0 else (r, r, 0, 0)
            image = F.conv2d(F.pad(image[None, None], pad, mode="replicate"), kernel)[0, 0]
    return image


def _coarse(draw: Draw, size: Sequence[int], cells: int, device: torch.device) -> Tensor:
    """A smooth random image with mean 0 and standard deviation about 1."""
    nodes = torch.randn((1, 1, cells, cells), generator=draw.generator).to(device)
    return F.interpolate(nodes, size=size, mode="bicubic", align_corners=True)[0, 0] * 1.3
