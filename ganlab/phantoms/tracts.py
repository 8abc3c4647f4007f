"""White-matter tracts as splines through MNI152 millimetres, the diffusion tensor that they make, and its anisotropy.

Courses follow Wakana et al., Radiology 230:77 (2004), Mori et al., MRI Atlas of Human White Matter (2005) and
NeuroImage 40:570 (2008; the JHU ICBM-DTI-81 atlas), and Catani and Thiebaut de Schotten, Cortex 44:1105 (2008),
fitted to the T1 and white-matter maps of the template. A tensor has six components: xx, yy, zz, xy, xz, yz.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from scipy.interpolate import make_interp_spline
from scipy.spatial import cKDTree
from torch import Tensor

from ganlab.phantoms.fields import sample_grid
from ganlab.phantoms.template import load_template
from ganlab.phantoms.tissues import INDEX, table


class Tract(NamedTuple):
    """A bundle of the right hemisphere; the left one is its mirror image, and one that crosses begins at x = 0.

    Neighbouring strands, all of the same number of nodes, span a sheet of fibres.
    """

    radius: float  # mm, where the tract has half its density
    coherence: tuple[float, ...]  # at even steps along the course: 0 fibres in every direction, 1 all along the strand
    strands: tuple[tuple[tuple[float, float, float], ...], ...]  # mm


TRACTS = {
    "genu of corpus callosum": Tract(4.8, (1,), (
        ((0, 24, -0.5), (7, 27, -1), (13, 33, -1)),
        ((0, 28.5, 4), (7, 31, 4), (13, 36, 4)),
        ((0, 27.5, 9), (7, 30, 10), (13, 35, 11)),
        ((0, 22, 15.5), (8, 24.5, 17), (15, 29, 20)),
    )),
    "forceps minor": Tract(4.6, (0.85, 0.6, 0.3), (
        ((13, 33, -1), (17, 41, -1), (18, 50, -2)),
        ((13, 36, 4), (17, 44, 4), (18, 54, 4)),
        ((13, 35, 11), (17, 43, 13), (18, 53, 15)),
        ((15, 29, 20), (19, 36, 25), (20, 44, 31)),
    )),
    "body of corpus callosum": Tract(4.0, (1,), (
        ((0, 18, 18.5), (9, 19.5, 21), (15, 22, 26)),
        ((0, 8, 23.5), (9, 8.5, 25.5), (16, 9.5, 30)),
        ((0, -3, 25.8), (9, -3, 28), (17, -4, 32.5)),
        ((0, -14, 24.8), (9, -14.5, 28), (17, -16, 33)),
        ((0, -25, 23), (9, -26.5, 27), (17, -29.5, 32)),
    )),
    "callosal radiation, medial": Tract(4.0, (0.75, 0.45, 0.3), (  # to the superior frontal gyrus and the vertex
        ((15, 22, 26), (17, 25, 35), (16, 28, 46)),
        ((16, 9.5, 30), (19, 10.5, 39), (17, 12, 52)),
        ((17, -4, 32.5), (21, -5, 41), (18, -7, 55)),
        ((17, -16, 33), (21, -18, 41), (19, -21, 55)),
        ((17, -29.5, 32), (21, -34, 40), (21, -39, 52)),
    )),
    "callosal radiation, lateral": Tract(3.5, (0.6, 0.4, 0.25), (  # to the convexity, across the projection fibres
        ((15, 22, 26), (24, 24, 28), (34, 27, 28), (42, 30, 26)),
        ((16, 9, 30), (25, 9, 33), (34, 10, 36), (43, 11, 38)),
        ((17, -4, 32), (26, -5, 35), (36, -7, 38), (46, -8, 40)),
        ((17, -16, 33), (26, -18, 36), (37, -20, 39), (48, -21, 42)),
        ((17, -29, 32), (26, -33, 36), (37, -36, 38), (48, -38, 39)),
        ((20, -43, 27), (28, -48, 33), (37, -52, 36), (46, -55, 36)),
    )),
    "splenium of corpus callosum": Tract(4.8, (1, 1, 0.95), (
        ((0, -31.5, 21.5), (9, -36, 24), (17, -43, 26)),
        ((0, -37, 18), (9, -41, 20), (17, -48, 21)),
        ((0, -37.5, 11.5), (9, -41, 14), (18, -48, 15)),
    )),
    "forceps major": Tract(4.5, (0.95, 0.85, 0.6, 0.4), (
        ((17, -43, 26), (23, -52, 28), (23, -62, 30), (23, -72, 32)),
        ((17, -48, 21), (25, -57, 20), (26, -68, 18), (22, -80, 17)),
        ((18, -48, 15), (26, -57, 12), (29, -69, 9), (22, -83, 6)),
    )),
    "tapetum": Tract(2.2, (0.7, 0.85, 0.7), (
        ((20, -37, 26), (27, -38, 18), (32, -38, 8), (37, -37, -3), (39, -31, -10)),
        ((21, -43, 25), (28, -46, 18), (33, -48, 8), (36.5, -49, -1), (37, -50, -8)),
    )),
    "anterior limb of internal capsule": Tract(3.6, (0.75,), (
        ((13, 0, -1), (16, 7, -1), (18, 13, 0), (20, 21, 2)),
        ((13.5, -1, 5), (16, 6, 5), (18.5, 13, 6), (21, 21, 7)),
        ((14, -2, 11), (17.5, 6, 12), (20.5, 13, 13), (23, 21, 14)),
    )),
    "posterior limb of internal capsule": Tract(3.6, (0.85,), (
        ((12.5, -2, -4), (14, -1, 2), (17, 0, 8), (21, 3, 16)),
        ((14, -7, -6), (16, -5, 1), (18, -4, 8), (22, -3, 16)),
        ((16, -12, -6), (19.5, -11, 1), (22, -10, 8), (25, -10, 16)),
        ((17, -17, -6), (22, -16, 1), (24.5, -16, 8), (26, -16, 16)),
        ((20, -22, -6), (24.5, -21, 1), (26.5, -22, 8), (27.5, -22, 16)),
    )),
    "external capsule": Tract(2.4, (0.7,), (
        ((27, 17, -6), (32, 8, -4), (33, -2, -2), (32, -12, -1)),
        ((28, 16, 5), (32, 6, 5), (33, -5, 6), (32, -17, 6)),
        ((28, 14, 13), (30.5, 4, 14), (31.5, -7, 14), (31, -19, 13)),
    )),
    "anterior corona radiata": Tract(4.5, (0.7, 0.65, 0.45, 0.3), (
        ((19, 17, 0), (23, 26, 0), (26, 35, 0), (28, 45, 0)),
        ((20, 17, 9), (24, 26, 12), (27, 36, 14), (29, 46, 16)),
        ((22, 12, 18), (26, 20, 24), (29, 28, 31), (31, 35, 38)),
    )),
    "superior corona radiata": Tract(4.5, (0.8, 0.75, 0.5, 0.3), (
        ((22, -1, 17), (26, 1, 27), (31, 5, 39), (35, 8, 50)),
        ((26, -11, 17), (28, -12, 28), (33, -14, 42), (37, -15, 55)),
        ((28, -21, 17), (29, -25, 28), (31, -29, 42), (33, -33, 56)),
    )),
    "posterior corona radiata": Tract(4.5, (0.75, 0.7, 0.5, 0.3), (
        ((28, -25, 17), (29, -31, 26), (30, -38, 36), (32, -45, 48)),
        ((29, -28, 12), (31, -38, 21), (32, -48, 28), (34, -58, 36)),
    )),
    "corticospinal tract": Tract(3.6, (0.5, 0.8, 0.95, 0.95, 0.95, 0.95, 0.95, 0.9, 0.85, 0.85, 0.85, 0.85), (
        # from the leg, hand and face areas
        ((9, -30, 66), (17, -26, 50), (24, -23, 34), (26.5, -21.5, 18), (24, -20, 5), (19.5, -19, -4),
         (14.5, -17, -12), (9.5, -19, -20), (6.5, -23, -28), (5.5, -26, -38), (3.5, -32, -49), (2.5, -37, -58),
         (2.5, -42, -68)),
        ((35, -20, 58), (32, -18, 46), (28, -18.5, 32), (25.5, -18, 18), (23, -18, 5), (18, -17.5, -4),
         (13.5, -16.5, -12), (9, -19, -20), (6.5, -23, -28), (5.5, -26, -38), (3.5, -32, -49), (2.5, -37, -58),
         (2.5, -42, -68)),
        ((47, -6, 37), (40, -8, 34), (32, -12, 28), (25.5, -14, 17), (22, -15, 5), (17.5, -16, -4),
         (13, -15.5, -12), (8.5, -18.5, -20), (6.5, -22.5, -28), (5.5, -26, -38), (3.5, -32, -49), (2.5, -37, -58),
         (2.5, -42, -68)),
    )),
    "cingulum, cingulate part": Tract(3.2, (0.7, 0.8, 0.8, 0.7), (
        ((8, 28, -8), (8.5, 35, -2), (9.5, 37.5, 4), (10, 36.5, 10), (10, 32, 16), (10, 26, 21.5), (9.5, 20, 26),
         (9, 13, 29.5), (9, 0, 33), (9, -15, 34), (9, -28, 33), (9, -40, 32), (11, -49, 26), (13, -52, 17)),
    )),
    "cingulum, hippocampal part": Tract(3.0, (0.6,), (
        ((14, -50, 11), (18, -44, 3), (22, -36, -8), (24, -28, -17), (24, -20, -24.5), (23, -11, -29)),
    )),
    "superior longitudinal fasciculus": Tract(4.2, (0.5, 0.75, 0.8, 0.75, 0.5), (
        ((43, 18, 19), (38.5, 5, 23), (38.5, -9, 28), (38.5, -23, 29), (40, -37, 27), (45, -50, 24)),
        ((36, 20, 30), (34, 6, 34), (36, -8, 32), (36, -23, 33), (37, -38, 33), (42, -51, 32)),
        ((30, 22, 38), (32, 6, 40), (34, -8, 38), (34, -23, 39), (35, -38, 39), (38, -53, 38)),
    )),
    "arcuate fasciculus": Tract(3.6, (0.4, 0.55, 0.6, 0.6, 0.4), (
        ((44, 12, 17), (40, 2, 24), (38, -12, 27), (38, -27, 26), (39, -39, 20), (42, -44, 9), (44.5, -38, -3),
         (48, -28, -11), (53, -15, -17)),
    )),
    "inferior longitudinal fasciculus": Tract(3.2, (0.4, 0.6, 0.65, 0.6, 0.4), (
        ((36, 6, -33), (41, -8, -27), (42, -22, -18.5), (42, -36, -14), (38.5, -50, -9), (36, -63, -7), (31, -76, -5),
         (25, -88, -4)),
        ((41, 8, -29), (45, -8, -22), (46, -22, -14), (45, -36, -8), (42, -50, -5), (38, -63, -3), (33, -76, -2),
         (26, -88, -1)),
    )),
    "inferior fronto-occipital fasciculus": Tract(3.0, (0.4, 0.6, 0.7, 0.75, 0.7, 0.55, 0.4), (
        ((21, 48, -4), (23, 34, -7), (25.5, 20, -9), (32, 8, -10.5), (35, -4, -9.5), (36.5, -18, -6.5), (40, -32, -3),
         (40, -46, -1), (38, -60, 1), (33, -72, 2), (26, -85, 3)),
        ((27, 46, 4), (28, 33, 0), (27.5, 20, -4), (32, 8, -4), (33.5, -4, -3), (35.5, -18, -3), (39, -32, 3),
         (41, -46, 6), (39, -60, 9), (34, -72, 12), (26, -85, 14)),
    )),
    "uncinate fasciculus": Tract(3.2, (0.45, 0.7, 0.75, 0.7, 0.4), (
        ((18, 36, -11), (23, 25, -10), (29, 14, -11), (33, 5, -12.5), (35.5, -3, -20), (37, 2, -28), (37, 8, -34)),
    )),
    "optic radiation": Tract(2.8, (0.7, 0.75, 0.75, 0.65, 0.4), (  # with Meyer's loop
        ((23, -24, -4), (29, -16, -7), (35, -11, -11), (39, -16, -11), (41, -27, -8), (40, -40, -4), (38, -52, -1),
         (34, -64, 1), (28, -75, 2), (20, -84, 2), (11, -91, 1)),
    )),
    "posterior thalamic radiation": Tract(3.6, (0.7, 0.85, 0.85, 0.7, 0.45), (
        ((23, -25, 5), (31, -29, 6), (36, -38, 6), (37, -49, 6), (35, -60, 6), (30, -71, 6), (23, -82, 7)),
        ((24, -25, 12), (30, -30, 14), (34, -39, 15), (35, -50, 16), (33, -61, 17), (29, -71, 18), (24, -81, 19)),
    )),
    "anterior thalamic radiation": Tract(2.8, (0.6, 0.7, 0.7, 0.4), (
        ((7, -10, 8), (11, -4, 9), (15, 4, 8), (19, 13, 8), (22, 24, 9), (23, 35, 11), (22, 47, 13)),
    )),
    "superior thalamic radiation": Tract(4.5, (0.6, 0.7, 0.75), (
        ((8, -8, 6), (13, -7, 10), (20, -5, 15), (24, -4, 24)),
        ((8, -17, 6), (14, -16, 10), (21, -15, 15), (26, -15, 24)),
        ((9, -25, 4), (16, -24, 9), (23, -24, 14), (27, -25, 24)),
    )),
    "fornix": Tract(2.4, (0.95,), (
        ((27, -28, -6.5), (24, -34, 2), (15.5, -38, 9.5), (7, -33, 16.5), (3.5, -25, 20), (2, -14, 19), (1.5, -6, 15),
         (1.5, 0, 8), (2, 2.5, 1), (2.5, 2, -5), (3, -4, -10)),
    )),
    "superior cerebellar peduncle": Tract(2.8, (0.9, 0.9, 0.6), (
        ((0, -27, -11), (3, -31, -13), (5, -37, -20), (6.5, -41, -26), (8, -45, -29.5), (9.5, -51, -32),
         (13, -57, -33)),
    )),
    "middle cerebellar peduncle": Tract(4.5, (0.85, 0.95, 0.95, 0.6), (
        ((0, -17.5, -29), (8, -18.5, -30), (16, -26, -31), (20, -36, -32), (23, -46, -34), (27, -56, -34)),
        ((0, -17, -37), (8, -18.5, -37), (16, -27, -37), (21, -38, -38), (24, -48, -40), (28, -58, -42)),
    )),
    "inferior cerebellar peduncle": Tract(2.5, (0.8, 0.85, 0.6), (
        ((4, -45, -60), (6, -42, -53), (8, -40, -46), (11, -42, -40), (13, -48, -35), (14, -55, -32)),
    )),
    "medial lemniscus": Tract(2.5, (0.8,), (
        ((1.5, -42, -58), (2, -38, -50), (3, -34, -42), (4, -32, -32), (6, -30, -22), (10, -25, -12), (14, -20, -3)),
    )),
}  # fmt: skip

AXIAL, RADIAL = 1.6, 0.25  # 1e-3 mm2/s, along and across a coherent tract (Pierpaoli et al., Radiology 201:637, 1996)
SHORT_FIBRES = 0.4  # coherence of the fibres between tracts and cortex
# mm: the middle of the brainstem, whose fibres the template's map takes for grey matter by half, and its radius
BRAINSTEM, STEM_RADIUS = ((0.0, -18.0, -8.0), (0.0, -42.0, -62.0)), 15.0
WALL = 0.03  # /mm: slope of the white-matter map that counts as its wall
REACH = 1.8  # radii: where a tract ends
CORE = 0.8  # radii: what bears a tract's name
STEP = 1.0  # mm between the points of a strand and between the strands of a sheet
SPACING = 1.5  # mm
LOW, HIGH = (-78.0, -111.0, -73.5), (78.0, 78.0, 84.0)  # mm: the template's brain
COMPONENTS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
MIRROR = (1, 1, 1, -1, -1, 1)  # what x -> -x does to the components


class TractField(NamedTuple):
    """What the tracts make of pure white matter; partial volume is left to `voxel_fa`."""

    tensor: Tensor  # (6, X, Y, Z) float32: diffusion tensor, 1e-3 mm2/s
    core: Tensor  # (X, Y, Z) uint8: 1 + index into TRACTS of the nearest tract's core, or 0
    origin: Tensor  # (3,) mm of the first voxel
    spacing: float

    def at(self, points: Tensor) -> Tensor:
        """Tensor (6, ...) at points (3, ...) in template mm; beyond the grid that of its border."""
        return sample_grid(self.tensor, points, self.origin, self.spacing)

    def label(self, points: Tensor) -> Tensor:
        """Core (...) uint8 at points (3, ...) in template mm; 0 between the cores and beyond the grid."""
        cell = ((points.reshape(3, -1) - self.origin[:, None]) / self.spacing).round().long()
        last = torch.tensor(self.core.shape, device=points.device)[:, None] - 1
        x, y, z = nearest = torch.minimum(cell.clamp_min(0), last)
        return (self.core[x, y, z] * (nearest == cell).all(0)).reshape(points.shape[1:])


@lru_cache(maxsize=2)
def load_tracts(device: str = "cpu") -> TractField:
    """The field as tensors; the first call takes a second beside the template's and 80 MB, later calls nothing."""
    orientation, core = _arrays()
    return TractField(
        torch.from_numpy(diffusion(orientation)).to(device),
        torch.from_numpy(core).to(device),
        torch.tensor(LOW, device=device),
        SPACING,
    )


def fractional_anisotropy(tensor: Tensor) -> Tensor:
    """FA (...) in [0, 1] of tensors (6, ...): sqrt(3/2) |D - tr(D) I / 3| / |D|; 0 for a tensor of zeros.

    Basser and Pierpaoli, J Magn Reson B 111:209 (1996). Frobenius norms need no eigenvalues.
    """
    return _anisotropy(*_deviator(tensor))


def _deviator(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Squared norm of a tensor's traceless part, and the mean diffusivity."""
    xx, yy, zz, xy, xz, yz = tensor
    mean = (xx + yy + zz) / 3
    return (xx - mean) ** 2 + (yy - mean) ** 2 + (zz - mean) ** 2 + 2 * (xy**2 + xz**2 + yz**2), mean


def _anisotropy(deviator2: Tensor, mean: Tensor) -> Tensor:
    tiny = torch.finfo(mean.dtype).tiny
    return (1.5 * deviator2 / (3 * mean**2 + deviator2).clamp_min(tiny)).sqrt().clamp_max(1)


def voxel_fa(shares: Tensor, points: Tensor, field: TractField) -> Tensor:
    """FA (...) of voxels with tissue shares (tissues, ...) at points (3, ...) in template mm.

    The voxel's tensor is the sum of share times tissue tensor, so that partial volume lowers FA by itself. White matter
    brings the field's tensor, and so does what the template calls grey in the brainstem. What is anisotropic in the
    other tissues (cortex, muscle, noise) and in white matter without a tract lies in directions of its own, hence its
    deviator adds to the field's in quadrature.
    """
    flat, where = shares.reshape(len(shares), -1), points.reshape(3, -1)
    fa, md = table("fa", shares.device), table("md", shares.device)
    fa[INDEX["white matter"]] = fa[INDEX["grey matter"]]
    deviator = md * fa * (3 / (1.5 - fa**2)).sqrt()  # the norm that gives a tensor of this mean this FA
    deviator2, mean = (deviator @ flat) ** 2, md @ flat
    white = flat[INDEX["white matter"]] + in_brainstem(where) * flat[INDEX["grey matter"]]
    some = (white > 1e-3).nonzero()[:, 0]
    if len(some):
        deviator2[some] += white[some] ** 2 * _deviator(field.at(where[:, some]))[0]
    return _anisotropy(deviator2, mean).reshape(points.shape[1:])


def in_brainstem(points: Tensor) -> Tensor:
    """(...) 1 in the brainstem, 0 beyond, over 4 mm, at points (3, ...) in template mm."""
    top, bottom = points.new_tensor(BRAINSTEM)
    along, from_top = bottom - top, points - top.view(-1, *[1] * (points.dim() - 1))
    share = (torch.tensordot(along, from_top, 1) / (along @ along)).clamp(0, 1)
    distance = (from_top - along.view(-1, *[1] * (points.dim() - 1)) * share).norm(dim=0)
    return ((STEM_RADIUS + 2 - distance) / 4).clamp(0, 1)


def tract_means(fa: Tensor, points: Tensor, field: TractField, threshold: float = 0.2) -> dict[str, float]:
    """Mean FA of each tract's core, both sides together, over voxels (...) at points (3, ...) in template mm.

    Voxels below the threshold count as grey matter or fluid, as is the custom (Smith et al., NeuroImage 31:1487, 2006).
    A tract that no voxel meets has no entry.
    """
    label = (field.label(points) * (fa >= threshold)).reshape(-1).long()
    count = torch.bincount(label, minlength=len(TRACTS) + 1)
    total = torch.bincount(label, fa.reshape(-1).double(), minlength=len(TRACTS) + 1)
    return {name: float(total[k] / count[k]) for k, name in enumerate(TRACTS, 1) if count[k]}


def diffusion(orientation: np.ndarray) -> np.ndarray:
    """Diffusion tensors (6, ...) of orientation tensors (6, ...): all of one mean, anisotropic as the fibres are."""
    tensor = (AXIAL - RADIAL) * orientation
    tensor[:3] += (AXIAL + 2 * RADIAL) / 3 - tensor[:3].sum(0) / 3
    return tensor


@lru_cache(maxsize=1)
def _arrays() -> tuple[np.ndarray, np.ndarray]:
    """Orientation tensors (6, X, Y, Z), the mean of coherence * outer(tangent, tangent), and cores (X, Y, Z).

    Tracts share a voxel in proportion to their densities, which lowers the anisotropy where they cross; what they leave
    goes to the short fibres.
    """
    axes = [np.arange(a, b + SPACING / 2, SPACING, dtype=np.float32) for a, b in zip(LOW, HIGH, strict=True)]
    size = tuple(map(len, axes))
    orientation = np.zeros((6, *size), np.float32)
    density = np.zeros(size, np.float32)
    nearest = np.full(size, CORE, np.float32)
    core = np.zeros(size, np.uint8)
    for index, tract in enumerate(TRACTS.values(), 1):
        cell, distance, tangent = _around(tract, axes)
        u = (REACH - distance) / (2 * REACH - 2)
        weight = np.where(u < 1, u * u * (3 - 2 * u), 1)  # a smooth step, 1/2 at the radius
        if _crosses(tract):
            weight[axes[0][cell[0]] == 0] /= 2  # the mirror image brings the other half
        density[cell] += weight
        orientation[(slice(None), *cell)] += weight * _outer(tangent)
        closer = distance < nearest[cell]
        cell = tuple(c[closer] for c in cell)
        nearest[cell], core[cell] = distance[closer], index
    density += density[::-1]
    orientation += orientation[:, ::-1] * np.array(MIRROR, np.float32)[:, None, None, None]
    orientation /= np.maximum(density, 1)
    orientation += np.maximum(1 - density, 0) * SHORT_FIBRES * _outer(_short_fibres(axes))
    return orientation, np.where(nearest <= nearest[::-1], core, core[::-1])


def _outer(v: np.ndarray) -> np.ndarray:
    return np.stack([v[i] * v[j] for i, j in COMPONENTS])


def _around(tract: Tract, axes) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
    """Indices of the grid's cells within reach, their distances (n,) in radii, and the nearest tangents (3, n)."""
    points, tangents = fibres(tract)
    reach = REACH * tract.radius
    low, high = points.min(0) - reach, points.max(0) + reach
    if _crosses(tract):
        low[0] = 0
    box = [np.flatnonzero((a >= b) & (a <= c)) for a, b, c in zip(axes, low, high, strict=True)]
    cell = [i.reshape(-1) for i in np.meshgrid(*box, indexing="ij")]
    where = np.stack([a[i] for a, i in zip(axes, cell, strict=True)], 1)
    distance, nearest = cKDTree(points).query(where, distance_upper_bound=reach)
    hit = np.isfinite(distance)
    return tuple(i[hit] for i in cell), distance[hit] / tract.radius, tangents[nearest[hit]].T


def fibres(tract: Tract) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) in mm on the tract's strands and the sheets between them, and tangents (n, 3).

    A tangent's squared length is the coherence, so that its outer product with itself is the orientation tensor.
    """
    nodes = np.array(tract.strands, float)
    arc = np.append(0.0, np.linalg.norm(np.diff(nodes, axis=1), axis=2).mean(0).cumsum())
    stations = np.linspace(0, arc[-1], int(arc[-1] / STEP) + 1)
    coherence = np.interp(stations, np.linspace(0, arc[-1], len(tract.coherence)), tract.coherence)
    if _crosses(tract):  # the other half makes it smooth in the midline
        nodes = np.concatenate([nodes[:, :0:-1] * (-1, 1, 1), nodes], axis=1)
        arc = np.concatenate([-arc[:0:-1], arc])
    along = _spline(arc, nodes, axis=1)
    points, tangents = along(stations), along.derivative()(stations)
    if len(nodes) > 1:
        width = np.linalg.norm(np.diff(points, axis=0), axis=2).max(1).sum()
        rows = np.linspace(0, len(nodes) - 1, int(width / STEP) + 1)
        points, tangents = (_spline(np.arange(len(nodes)), v, axis=0)(rows) for v in (points, tangents))
    tangents *= np.sqrt(coherence)[:, None] / np.linalg.norm(tangents, axis=2, keepdims=True)
    return points.reshape(-1, 3), tangents.reshape(-1, 3)


def _spline(at: np.ndarray, values: np.ndarray, axis: int):
    return make_interp_spline(at, values, k=min(3, len(at) - 1), axis=axis)


def _crosses(tract: Tract) -> bool:
    return all(strand[0][0] == 0 for strand in tract.strands)


def _short_fibres(axes) -> np.ndarray:
    """Directions (3, X, Y, Z) of the fibres without a name: towards the surface, along the blade of a gyrus.

    In crowns and under sulci, where the wall of the white matter faces the surface, they fan out or turn into U-fibres:
    the vector is short there.
    """
    grid = torch.from_numpy(np.stack(np.meshgrid(*axes, indexing="ij")))
    template = load_template()
    outward = np.stack(np.gradient(template.distance(grid).numpy(), SPACING))
    white = ndimage.gaussian_filter(template.grey_white(grid)[1].numpy(), 1.3)
    wall = np.stack(np.gradient(white, SPACING))
    return outward - wall * (outward * wall).sum(0) / ((wall**2).sum(0) + WALL**2)
