"""Differentiable augmentation: real and generated images are changed in the same way before D sees them, so that it
cannot memorise a small training set, and gradients reach G through the change (Zhao et al., Differentiable
Augmentation, NeurIPS 2020)."""

from __future__ import annotations

from ganlab.lazy import F, Tensor, torch

SHIFT, CUT = 0.125, 0.5  # share of the side
STD = 0.1  # of white noise; images are in -1..1


def intensity(images: Tensor, generator: torch.Generator) -> Tensor:
    """Change the brightness of each image by up to 0.25 and its contrast by up to 25 %."""
    u = torch.rand((2, len(images), 1, 1, 1), generator=generator).to(images.device)
    mean = images.mean((1, 2, 3), keepdim=True)
    return (images - mean) * (0.75 + 0.5 * u[0]) + mean + 0.5 * (u[1] - 0.5)


def translation(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by up to an eighth of its side, filled with zeros."""
    n, _, h, w = images.shape
    reach = round(h * SHIFT)
    y, x = torch.randint(-reach, reach + 1, (2, n), generator=generator).tolist()
    padded = F.pad(images, (reach,) * 4)
    moved = [p[:, reach + b : reach + b + h, reach + a : reach + a + w] for p, a, b in zip(padded, x, y, strict=True)]
    return torch.stack(moved)


def cutout(images: Tensor, generator: torch.Generator) -> Tensor:
    """Set a random square of half the side to 0 in each image."""
    n, _, h, w = images.shape
    side = round(h * CUT)
    corner = torch.randint(1 - side // 2, h - side // 2, (2, n, 1), generator=generator).to(images.device)
    rows, columns = torch.arange(h, device=images.device), torch.arange(w, device=images.device)
    inside = [(corner[k] <= index) & (index < corner[k] + side) for k, index in enumerate((rows, columns))]
    return images * ~(inside[0][:, None, :, None] & inside[1][:, None, None, :])


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror a random half of the images."""
    mirrored = torch.rand((len(images), 1, 1, 1), generator=generator) < 0.5
    return torch.where(mirrored.to(images.device), images.flip(3), images)


def noise(images: Tensor, generator: torch.Generator) -> Tensor:
    """Add white noise, so that D does not rely on fine texture alone (instance noise: Sønderby et al., Amortised
    MAP inference for image super-resolution, ICLR 2017)."""
    return images + STD * torch.randn(images.shape, generator=generator).to(images.device)


AUGMENTATIONS = {"flip": flip, "intensity": intensity, "translation": translation, "cutout": cutout, "noise": noise}


def augmented(images: Tensor, names: tuple[str, ...], generator: torch.Generator) -> Tensor:
    """Images (N, 1, H, W) after the named augmentations, with random numbers from the generator (on the CPU)."""
    for name in names:
        images = AUGMENTATIONS[name](images, generator)
    return images
