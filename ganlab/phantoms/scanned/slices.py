"""Random slices through random patients with the anatomy of a CT head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ganlab.imaging.planes import PLANES
from ganlab.phantoms.build import sample_build
from ganlab.phantoms.scanned.head import ScannedHead, ScannedPatient, make_scanned_patient
from ganlab.phantoms.slices import VIEWS, Draw, View, cut_away, random_lesion, slice_points

TRIES = 8  # places of a slice, until one shows enough of the head
LEAST_SHOWN = 0.04  # share of its points that lie in the head


def random_scanned_patient(draw: Draw, scan: ScannedHead, device: str | torch.device = "cpu") -> ScannedPatient:
    """A patient from a CT head, with a lesion in the brain as often as phantoms have one."""
    build = replace(sample_build(draw.generator), lesion=random_lesion(draw))
    return make_scanned_patient(scan, build, draw.generator, device)


def random_scanned_slice(
    draw: Draw,
    patient: ScannedPatient,
    size: int,
    device: str | torch.device = "cpu",
    view: View = VIEWS["ct"],
    planes: Sequence[str] = tuple(PLANES),
) -> tuple[Tensor, Tensor, Tensor]:
    """A random slice: tissue shares (tissues, size, size), HU of the bone (size, size), points (3, size, size)."""
    for _ in range(TRIES):  # a CT covers only a part of the view
        points = slice_points(draw, planes[int(draw.uniform(0, len(planes)))], size, device, view)
        if patient.shows(points) > LEAST_SHOWN:
            break
    shares, hu = patient.shares(points)
    return cut_away(draw, shares, points, patient), hu, points
