"""Volumes of a CT head: an MR scan simulated from its tissues, beside its CT. A pair to measure a translator on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ganlab.imaging.volume import Volume
from ganlab.phantoms.build import Build, sample_build
from ganlab.phantoms.fields import BOX_SIZE, Noise
from ganlab.phantoms.scanned.fit import LOW
from ganlab.phantoms.scanned.head import ScannedHead, ScannedPatient, bone_hu, decompose
from ganlab.phantoms.scanner import SCANNERS, acquire_mr
from ganlab.phantoms.signals import mr_signals

SLAB = 4  # slices drawn at a time


def as_scanned(scan: ScannedHead, build: Build, generator: torch.Generator) -> ScannedPatient:
    """The CT's own patient: not turned, scaled or warped; with the brain of this build."""
    still = torch.zeros((3, *BOX_SIZE))
    return ScannedPatient(scan, build, torch.eye(3), still, Noise(generator, "cpu"), glands=-1.0, marrow=1.0)


def scanned_pair(ct: Volume, seed: int = 0, scanner: str = "research", field: float = 3.0) -> dict[str, Volume]:
    """{"t1": a simulated T1 scan, "ct": the CT it was drawn from}, both at 1 mm in the template's pose.

    The CT has the measured HU of bone and air, and textbook values of the other tissues, without table and noise. The
    brain, which a CT hardly shows, and the noise are drawn from the seed. Raises InputError if it is not a whole head.
    """
    return drawn_pair(decompose(ct), seed, scanner, field)


def drawn_pair(scan: ScannedHead, seed: int = 0, scanner: str = "research", field: float = 3.0) -> dict[str, Volume]:
    """The same for a CT that is taken apart already."""
    generator = torch.Generator().manual_seed(seed)
    patient = as_scanned(scan, sample_build(generator), generator)
    signal, shape = mr_signals("t1", field, "cpu", SCANNERS[scanner].fat_suppressed), scan.fields.shape[1:]
    t1, hu = np.empty(shape, np.float32), np.empty(shape, np.float32)
    x, y, z = (torch.arange(n, dtype=torch.float32) + low for n, low in zip(shape, LOW, strict=True))
    with torch.inference_mode():
        for k in range(0, shape[2], SLAB):
            points = torch.stack(torch.meshgrid(x, y, z[k : k + SLAB], indexing="ij"))
            shares, bone = patient.shares(points)
            t1[..., k : k + SLAB] = torch.tensordot(signal, shares, 1).abs().numpy()
            hu[..., k : k + SLAB] = bone_hu(shares, bone).numpy()
    affine = np.eye(4)
    affine[:3, 3] = LOW
    mr = acquire_mr(t1, 1.0, SCANNERS[scanner], np.random.default_rng(seed))
    image = Volume(np.clip(hu, -1024, 3071), affine, "HU", "ct")
    return {"t1": replace(image, array=mr, unit="arbitrary", modality="t1"), "ct": image}
