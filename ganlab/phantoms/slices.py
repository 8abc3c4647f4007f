"""Random slices through random patients: where a slice lies, and which tissues it shows.

Anatomy is evaluated on the slice's own points, never on a volume.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ganlab.imaging.planes import PLANES
from ganlab.phantoms.lesions import Lesion, draw_fillings, draw_flap, draw_lesion
from ganlab.phantoms.options import LESIONS
from ganlab.phantoms.patient import Deface, Patient, make_head, rotation
from ganlab.phantoms.tissues import INDEX

TILE = 64  # pixels


class View(NamedTuple):
    """The part of the body that slices show, in mm."""

    centre: dict[str, tuple[float, float]]  # of a slice within each plane
    spread: tuple[float, float]  # how far centres vary
    across: dict[str, tuple[float, float]]  # range of slice positions across each plane


VIEWS = {
    "ct": View(  # the head and the neck, air included
        {"axial": (0.0, -8.0), "coronal": (0.0, -35.0), "sagittal": (-8.0, -35.0)},
        (32.0, 48.0),
        {"axial": (-165.0, 108.0), "coronal": (-126.0, 112.0), "sagittal": (-96.0, 96.0)},
    ),
    "base": View(  # the base of the skull: sinuses, mastoid cells and petrous bone fill little of the other views
        {"axial": (0.0, 0.0), "coronal": (0.0, -35.0), "sagittal": (0.0, -35.0)},
        (24.0, 24.0),
        {"axial": (-68.0, 0.0), "coronal": (-50.0, 4.0), "sagittal": (-66.0, 66.0)},
    ),
    "fa": View(  # the brain
        {"axial": (0.0, -15.0), "coronal": (0.0, 0.0), "sagittal": (-15.0, 0.0)},
        (24.0, 32.0),
        {"axial": (-75.0, 88.0), "coronal": (-108.0, 76.0), "sagittal": (-74.0, 74.0)},
    ),
}


class Draw:
    """Random numbers, drawn on the CPU so that they do not depend on the device."""

    def __init__(self, generator: torch.Generator):
        self.generator = generator

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def normal(self, std: float) -> float:
        return std * float(torch.randn((), generator=self.generator))

    def chance(self, p: float) -> bool:
        return float(torch.rand((), generator=self.generator)) < p


def slice_points(
    draw: Draw, plane: str, size: int, device: str | torch.device = "cpu", view: View = VIEWS["ct"]
) -> Tensor:
    """Points (3, size, size) in patient mm of a 1 mm slice at a random place in the view, tilted by some degrees."""
    step = torch.arange(size) - size / 2
    a, b = torch.meshgrid(step, step, indexing="ij")
    centre, spread = view.centre[plane], view.spread
    a = a + centre[0] + draw.uniform(-spread[0], spread[0])
    b = b + centre[1] + draw.uniform(-spread[1], spread[1])
    axes = [a, b]
    axes.insert(PLANES[plane], torch.full_like(a, draw.uniform(*view.across[plane])))
    tilt = rotation(torch.tensor([draw.normal(0.1) for _ in range(3)]))
    return torch.tensordot(tilt, torch.stack(axes), 1).to(device)


def random_patient(draw: Draw, device: str | torch.device = "cpu") -> Patient:
    """A patient, with a lesion (15 %), a bone flap (3 %) or dental fillings (8 %)."""
    patient = make_head(draw.generator, device)
    extras: dict[str, Any] = {"lesion": random_lesion(draw)}
    if draw.chance(0.03):
        extras["flap"] = draw_flap(draw.generator)
    if draw.chance(0.08):
        extras["fillings"] = draw_fillings(draw.generator)
    return dataclasses.replace(patient, build=dataclasses.replace(patient.build, **extras))


def random_lesion(draw: Draw) -> Lesion | None:
    """A lesion of any kind in 15 % of patients."""
    if not draw.chance(0.15):
        return None
    return draw_lesion(list(LESIONS)[int(draw.uniform(0, len(LESIONS)))], draw.generator)


def slice_shares(patient: Patient, points: Tensor) -> Tensor:
    """Tissue shares (tissues, H, W) of a slice at points (3, H, W).

    On a CPU it is evaluated in tiles, most of which contain few parts of the head.
    """
    if points.device.type != "cpu":
        return patient.shares(points)
    rows = [torch.cat([patient.shares(t) for t in row.split(TILE, 2)], 2) for row in points.split(TILE, 1)]
    return torch.cat(rows, 1)


def random_slice(
    draw: Draw,
    patients: list[Patient],
    size: int,
    device: str | torch.device = "cpu",
    view: View = VIEWS["ct"],
    planes: Sequence[str] = tuple(PLANES),
) -> tuple[tuple[Tensor, ...], Tensor]:
    """A random slice: tissue shares (tissues, size, size) of each state of a patient, and points (3, size, size)."""
    plane = planes[int(draw.uniform(0, len(planes)))]
    points = slice_points(draw, plane, size, device, view)
    shares = torch.stack([slice_shares(patient, points) for patient in patients], 1)
    return cut_away(draw, shares, points, patients[0]).unbind(1), points


def cut_away(draw: Draw, shares: Tensor, points: Tensor, patient: Any) -> Tensor:
    """Shares (tissues, ..., H, W) as a scan may show them: without the face in 35 % of slices, and without what lies
    below the field of view in half of them. patient: has to_template and noise."""
    if draw.chance(0.35):
        shares = replace(shares, Deface(draw.generator)(patient.to_template(points), patient), "background")
    return cut_field_of_view(draw, shares, points)


def cut_field_of_view(draw: Draw, shares: Tensor, points: Tensor) -> Tensor:
    """In half of all slices, air below a slanted plane: the bottom of the field of view."""
    if draw.chance(0.5):
        height = points[2] + draw.normal(0.1) * points[0] + draw.normal(0.15) * points[1]
        shares = replace(shares, height < draw.uniform(-165, -45), "background")
    return shares


def replace(shares: Tensor, where: Tensor, tissue: str) -> Tensor:
    """Shares with one tissue alone at the points where `where` is true."""
    pure = shares.new_zeros((len(shares), *[1] * (shares.dim() - 1)))
    pure[INDEX[tissue]] = 1.0
    return torch.where(where, pure, shares)
