"""A CT head as a source of patients: its tissues at any point, under random size, pose, warp and brain."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import InputError
from ganlab.imaging.volume import Volume
from ganlab.phantoms.build import Build
from ganlab.phantoms.fields import Noise, diffeomorphism, displaced, sample_grid
from ganlab.phantoms.head.anatomy import BRAIN, paint, painted
from ganlab.phantoms.head.points import Head
from ganlab.phantoms.patient import rotation
from ganlab.phantoms.scanned.fit import LOW, SPACING, aligned, template_map
from ganlab.phantoms.scanned.tissues import FIELDS, HU_STEP, deblurred, tissue_fields, without_metal
from ganlab.phantoms.template import load_template
from ganlab.phantoms.tissues import INDEX, NAMES, table

LEAST_TISSUE, LEAST_BONE = 1.5, 0.15  # litres, of a head without the neck, small


@dataclass(frozen=True)
class ScannedHead:
    """A CT head, decomposed.

    fields: (len(FIELDS), X, Y, Z) uint8, 1 mm voxels, the first at LOW mm in the aligned pose. nodes: (3, X, Y, Z)
    template mm on a grid of 2 mm from LOW on.
    """

    fields: np.ndarray
    nodes: Tensor

    def sample(self, points: Tensor) -> Tensor:
        """(len(FIELDS), N) values of the fields, 0 to 1, at points (3, N) in mm of the aligned pose; 0 outside."""
        low = points.new_tensor(LOW)
        sizes = points.new_tensor(self.fields.shape[1:])
        index = points - low[:, None]
        start = index.amin(1).floor().clamp_min(0).minimum(sizes - 2).int().tolist()
        end = (index.amax(1).ceil() + 2).clamp_min(2).minimum(sizes).int().tolist()
        box = tuple(slice(a, max(b, a + 2)) for a, b in zip(start, end, strict=True))
        block = torch.from_numpy(np.ascontiguousarray(self.fields[(slice(None), *box)])).to(points.device).float() / 255
        return sample_grid(block, points, low + points.new_tensor(start), 1.0, padding="zeros")


def decompose(ct: Volume) -> ScannedHead:
    """A CT in HU as a source of patients. Raises InputError if it is not of a head or shows too little of one."""
    ct = replace(ct, array=without_metal(ct.array.astype(np.float32)))
    _check_amount(ct)
    ct = aligned(replace(ct, array=deblurred(ct.array, ct.spacing)))
    nodes = torch.from_numpy(template_map(ct))
    return ScannedHead(tissue_fields(ct.array, depth_in_template(ct, nodes)), nodes)


def _check_amount(ct: Volume) -> None:
    """Raise InputError for too little tissue or bone for most of a head."""
    voxel = abs(np.linalg.det(ct.affine[:3, :3])) / 1e6  # litres
    for name, threshold, least in (("tissue", -200.0, LEAST_TISSUE), ("bone", 300.0, LEAST_BONE)):
        volume = float((ct.array > threshold).sum()) * voxel
        if volume < least:
            raise InputError(
                f"It shows {volume:.2f} litres of {name} apart from slices with metal, and a head has at least "
                f"{least:g}: give a CT of the whole head."
            )


def depth_in_template(ct: Volume, nodes: Tensor) -> np.ndarray:
    """(X, Y, Z) mm of each voxel from the template's intracranial hull, negative inside."""
    template, depth = load_template(), np.empty(ct.shape, np.float32)
    x, y, z = (torch.arange(n, dtype=torch.float32) + low for n, low in zip(ct.shape, LOW, strict=True))
    for k in range(ct.shape[0]):
        points = torch.stack(torch.meshgrid(x[k : k + 1], y, z, indexing="ij"))
        depth[k] = template.distance(sample_grid(nodes, points, torch.tensor(LOW), SPACING))[0].numpy()
    return depth


@dataclass(frozen=True)
class ScannedPatient:
    """A patient with the anatomy of a CT head: like `Patient`, but bone, air and soft tissue come from the CT.

    matrix, displacement: patient mm -> mm of the aligned CT. build, noise: of the brain, which the CT hardly shows.
    glands: how much of the soft tissue is glands, by place; marrow: how fatty the bone looks on MR.
    """

    scan: ScannedHead
    build: Build
    matrix: Tensor
    displacement: Tensor
    noise: Noise
    glands: float
    marrow: float

    def to_scan(self, points: Tensor) -> Tensor:
        """Points (3, ...) in the patient's RAS mm as mm of the aligned CT."""
        flat = points.reshape(3, -1)
        return displaced((self.matrix @ flat).reshape(points.shape), self.displacement)

    def to_template(self, points: Tensor) -> Tensor:
        """Points (3, ...) in the patient's RAS mm as template mm."""
        return sample_grid(self.scan.nodes.to(points), self.to_scan(points), points.new_tensor(LOW), SPACING)

    def shows(self, points: Tensor) -> float:
        """The share of points (3, H, W) that lie in the head, from every eighth."""
        coarse = points[:, ::8, ::8].reshape(3, -1)
        index = (self.to_scan(coarse) - points.new_tensor(LOW)[:, None]).round().long().cpu()
        inside = ((index >= 0) & (index < torch.tensor(self.scan.fields.shape[1:])[:, None])).all(0)
        i, j, k = index[:, inside].numpy()
        return float(self.scan.fields[:, i, j, k].any(0).sum() / coarse.shape[1])

    def head(self, points: Tensor, width: float = 1.0) -> Head:
        """The template's head at points (3, N) in the patient's RAS mm; only its brain is used."""
        return Head(self.to_template(points), self.build, self.noise, load_template(str(points.device)), width)

    def shares(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Tissue shares (tissues, ...) at points (3, ...) in the patient's RAS mm, and HU (...) of the bone there."""
        flat = points.reshape(3, -1)
        values = dict(zip(FIELDS, self.scan.sample(self.to_scan(flat)), strict=True))
        shares = flat.new_zeros((len(NAMES), flat.shape[1]))
        soft = values["soft"]
        glands = torch.sigmoid(4 * (self.noise(flat, 22.0, 1) + self.glands)) * soft
        dense = values["bone"] * (values["dense"] / values["bone"].clamp_min(1e-3)).clamp(0, 1) ** self.marrow
        shares[INDEX["air"]] = values["air"]
        shares[INDEX["cortical bone"]] = dense
        shares[INDEX["cancellous bone"]] = values["bone"] - dense
        shares[INDEX["gland"]], shares[INDEX["muscle"]] = glands, soft - glands
        for field, tissue in (("fat", "fat"), ("skin", "skin"), ("mucosa", "mucosa"), ("eye", "vitreous")):
            shares[INDEX[tissue]] = values[field]
        self._paint_brain(flat, values["brain"], shares)
        shares[INDEX["background"]] = (1 - shares.sum(0)).clamp(0, 1)
        shape = points.shape[1:]
        return shares.reshape(len(NAMES), *shape), (values["hu"] * 255 * HU_STEP).reshape(shape)

    def _paint_brain(self, points: Tensor, share: Tensor, shares: Tensor) -> None:
        """Fill the cavity's share (N,) with the brain of the template, and with fluid around it."""
        where = (share > 0.02).nonzero()[:, 0]
        if not len(where):
            return
        inside = points.new_zeros((len(NAMES), len(where)))
        paint(painted(BRAIN, self.head(points[:, where])), inside, torch.arange(len(where), device=points.device))
        inside[INDEX["fluid"]] += inside[INDEX["background"]]
        inside[INDEX["background"]] = 0.0
        shares[:, where] += inside * share[where]


def make_scanned_patient(
    scan: ScannedHead, build: Build, generator: torch.Generator, device: str | torch.device
) -> ScannedPatient:
    """Draw a patient from a CT head: another size, pose and shape, and the brain of this build."""
    size = 1 + 0.045 * torch.randn((), generator=generator) + 0.03 * torch.randn(3, generator=generator)
    shear = 0.02 * torch.randn((3, 3), generator=generator)
    angles = 0.06 * torch.randn(3, generator=generator)
    matrix = torch.diag(size.clamp(0.85, 1.15)) @ (torch.eye(3) + shear) @ rotation(angles)
    displacement = diffeomorphism(generator, {40.0: 3.0, 18.0: 1.4, 9.0: 0.6}, device)
    glands, marrow = 4 * torch.rand((), generator=generator) - 3, 0.5 + 1.5 * torch.rand((), generator=generator)
    return ScannedPatient(
        scan, build, matrix.to(device), displacement, Noise(generator, device), float(glands), float(marrow)
    )


def bone_hu(shares: Tensor, hu: Tensor) -> Tensor:
    """HU (...) of tissue shares (tissues, ...), with this HU in place of the tables' for bone."""
    column = table("hu", shares.device)
    bone = torch.zeros_like(column)
    for name in ("cortical bone", "cancellous bone"):
        bone[INDEX[name]], column[INDEX[name]] = 1.0, 0.0
    return torch.tensordot(column, shares, 1) + torch.tensordot(bone, shares, 1) * hu
