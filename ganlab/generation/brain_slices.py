"""Axial slices of phantom heads, as training images: T1-weighted MR, CT or FA."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F

HEIGHTS = (-12.0, 52.0)  # mm in the template: from the temporal lobes to above the ventricles
LEVELS = ("temporal lobes", "basal ganglia", "ventricles", "centrum semiovale")  # class names, from the bottom up
PER_PATIENT = 6  # slices
FIELD = 224.0  # side of a slice in mm
POINTS = 128  # points per side at rendering, averaged down to pixels


def make_brain_slices(
    seed: int,
    count: int,
    progress: Callable[[float], None] | None = None,
    modality: str = "t1",
    size: int = 64,
) -> tuple[np.ndarray, np.ndarray]:
    """(slices (count, size, size), level in the head (count,), an index into LEVELS). Same seed, same slices."""
    images, labels = [], []
    for k, (image, label) in zip(range(count), brain_slices(seed, modality, size), strict=False):
        images.append(image)
        labels.append(label)
        if progress:
            progress((k + 1) / count)
    return np.stack(images), np.array(labels)


def brain_slices(seed: int, modality: str, size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Yield (slice (size, size), level) without end. Each patient gives six slices at evenly spread heights; the head
    is rotated by a few degrees and shifted by a few mm."""
    from ganlab.phantoms.contrasts import plain_t1
    from ganlab.phantoms.patient import make_head, rotation
    from ganlab.phantoms.rendering import render_ct, render_fa, render_noisy_ct
    from ganlab.phantoms.slices import Draw, slice_shares

    spacing = FIELD / POINTS
    coordinate = (torch.arange(POINTS) - (POINTS - 1) / 2) * spacing
    a, b = torch.meshgrid(coordinate, coordinate, indexing="ij")
    draw = Draw(torch.Generator().manual_seed(seed))
    while True:
        patient = make_head(draw.generator, "cpu")
        tilt = rotation(torch.tensor([draw.normal(0.04) for _ in range(3)]))
        shift = [draw.normal(3.0), draw.normal(3.0) - 18.0]
        for k in range(PER_PATIENT):
            share = (k + draw.uniform(0, 1)) / PER_PATIENT
            height = HEIGHTS[0] + share * (HEIGHTS[1] - HEIGHTS[0])
            points = torch.stack([a + shift[0], b + shift[1], torch.full_like(a, height)])  # (3, 128, 128) mm
            points = torch.tensordot(tilt, points, 1)
            with torch.inference_mode():
                shares = slice_shares(patient, points)
                if modality == "t1":
                    noise = 0.02 * torch.randn((2, POINTS, POINTS), generator=draw.generator)
                    image = torch.hypot(torch.tensordot(plain_t1(), shares, 1) + noise[0], noise[1])
                elif modality == "ct":
                    image = render_noisy_ct(draw, render_ct(shares))
                else:
                    image = render_fa(shares, patient.head(points.reshape(3, -1)))
                image = F.avg_pool2d(image[None, None], POINTS // size)[0, 0]
            yield image.T.flip(0, 1).numpy(), int(share * len(LEVELS))  # anterior up, the patient's right on the left
