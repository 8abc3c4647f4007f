"""The diffusion tensor of the white-matter tracts, and the fractional anisotropy (FA) of voxels.

The tracts' courses are in tract_atlas.py. A tensor has six components: xx, yy, zz, xy, xz, yz.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from scipy.interpolate import BSpline, make_interp_spline
from scipy.spatial import cKDTree
from torch import Tensor

from ganlab.phantoms.fields import sample_grid
from ganlab.phantoms.template import load_template
from ganlab.phantoms.tissues import INDEX, table
from ganlab.phantoms.tract_atlas import TRACTS, Tract

AXIAL, RADIAL = 1.6, 0.25  # 1e-3 mm2/s, along and across a coherent tract (Pierpaoli et al., Radiology 201:637, 1996)
SHORT_FIBRES = 0.4  # coherence of the fibres between tracts and cortex
# mm: the axis of the brainstem, whose fibres the template's map half takes for grey matter, and its radius
BRAINSTEM, STEM_RADIUS = ((0.0, -18.0, -8.0), (0.0, -42.0, -62.0)), 15.0
WALL = 0.03  # /mm: slope of the white-matter map that counts as its wall
REACH = 1.8  # radii: the extent of a tract
CORE = 0.8  # radii: the part that is labelled with the tract's name
STEP = 1.0  # mm between the points of a strand and between the strands of a sheet
SPACING = 1.5  # mm
LOW, HIGH = (-78.0, -111.0, -73.5), (78.0, 78.0, 84.0)  # mm: the template's brain
COMPONENTS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
MIRROR = (1, 1, 1, -1, -1, 1)  # signs of the components under x -> -x


class TractField(NamedTuple):
    """Diffusion in pure white matter; `voxel_fa` adds partial volume."""

    tensor: Tensor  # (6, X, Y, Z) float32: diffusion tensor, 1e-3 mm2/s
    core: Tensor  # (X, Y, Z) uint8: 1 + index into TRACTS of the nearest tract's core, or 0
    origin: Tensor  # (3,) mm of the first voxel
    spacing: float

    def at(self, points: Tensor) -> Tensor:
        """Tensor (6, ...) at points (3, ...) in template mm; beyond the grid the value at its border."""
        return sample_grid(self.tensor, points, self.origin, self.spacing)

    def label(self, points: Tensor) -> Tensor:
        """Core (...) uint8 at points (3, ...) in template mm; 0 between the cores and beyond the grid."""
        cell = ((points.reshape(3, -1) - self.origin[:, None]) / self.spacing).round().long()
        last = torch.tensor(self.core.shape, device=points.device)[:, None] - 1
        x, y, z = nearest = torch.minimum(cell.clamp_min(0), last)
        return (self.core[x, y, z] * (nearest == cell).all(0)).reshape(points.shape[1:])


@lru_cache(maxsize=2)
def load_tracts(device: str = "cpu") -> TractField:
    """The field as tensors. The first call takes a second and 80 MB besides the template; later calls are cached."""
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

    The voxel's tensor is the sum of tissue tensors weighted by their shares, so that partial volume lowers FA. White
    matter has the field's tensor, as has what the template calls grey in the brainstem. Anisotropy of other tissues
    (cortex, muscle) and of white matter without a tract has independent directions, so its deviator adds in quadrature.
    """
    flat, positions = shares.reshape(len(shares), -1), points.reshape(3, -1)
    fa, md = table("fa", shares.device), table("md", shares.device)
    fa[INDEX["white matter"]] = fa[INDEX["grey matter"]]
    deviator = md * fa * (3 / (1.5 - fa**2)).sqrt()  # norm of a deviator with this FA at this mean diffusivity
    deviator2, mean = (deviator @ flat) ** 2, md @ flat
    white = flat[INDEX["white matter"]] + in_brainstem(positions) * flat[INDEX["grey matter"]]
    some = (white > 1e-3).nonzero()[:, 0]
    if len(some):
        deviator2[some] += white[some] ** 2 * _deviator(field.at(positions[:, some]))[0]
    return _anisotropy(deviator2, mean).reshape(points.shape[1:])


def in_brainstem(points: Tensor) -> Tensor:
    """(...) 1 in the brainstem, falling to 0 over 4 mm, at points (3, ...) in template mm."""
    top, bottom = points.new_tensor(BRAINSTEM)
    along, from_top = bottom - top, points - top.view(-1, *[1] * (points.dim() - 1))
    share = (torch.tensordot(along, from_top, 1) / (along @ along)).clamp(0, 1)
    distance = (from_top - along.view(-1, *[1] * (points.dim() - 1)) * share).norm(dim=0)
    return ((STEM_RADIUS + 2 - distance) / 4).clamp(0, 1)


def tract_means(fa: Tensor, points: Tensor, field: TractField, threshold: float = 0.2) -> dict[str, float]:
    """Mean FA of each tract's core, both sides together, over voxels (...) at points (3, ...) in template mm.

    Voxels below the threshold count as grey matter or fluid, as is customary (Smith et al., NeuroImage 31:1487, 2006).
    A tract without voxels has no entry.
    """
    label = (field.label(points) * (fa >= threshold)).reshape(-1).long()
    count = torch.bincount(label, minlength=len(TRACTS) + 1)
    total = torch.bincount(label, fa.reshape(-1).double(), minlength=len(TRACTS) + 1)
    return {name: float(total[k] / count[k]) for k, name in enumerate(TRACTS, 1) if count[k]}


def diffusion(orientation: np.ndarray) -> np.ndarray:
    """Diffusion tensors (6, ...) of equal mean diffusivity from orientation tensors (6, ...)."""
    tensor = (AXIAL - RADIAL) * orientation
    tensor[:3] += (AXIAL + 2 * RADIAL) / 3 - tensor[:3].sum(0) / 3
    return tensor


@lru_cache(maxsize=1)
def _arrays() -> tuple[np.ndarray, np.ndarray]:
    """Orientation tensors (6, X, Y, Z), the mean of coherence * outer(tangent, tangent), and cores (X, Y, Z).

    Tracts share a voxel in proportion to their densities, which lowers anisotropy where they cross; short fibres fill
    the rest.
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
            weight[axes[0][cell[0]] == 0] /= 2  # the mirror image adds the other half
        density[cell] += weight
        x, y, z = cell
        orientation[:, x, y, z] += weight * _outer(tangent)
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


def _around(tract: Tract, axes: list[np.ndarray]) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
    """Indices of the grid's cells within reach, their distances (n,) in radii, and the nearest tangents (3, n)."""
    points, tangents = fibres(tract)
    reach = REACH * tract.radius
    low, high = points.min(0) - reach, points.max(0) + reach
    if _crosses(tract):
        low[0] = 0
    box = [np.flatnonzero((a >= b) & (a <= c)) for a, b, c in zip(axes, low, high, strict=True)]
    cell = [i.reshape(-1) for i in np.meshgrid(*box, indexing="ij")]
    positions = np.stack([a[i] for a, i in zip(axes, cell, strict=True)], 1)
    distance, nearest = cKDTree(points).query(positions, distance_upper_bound=reach)
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
    if _crosses(tract):  # with the other half it is smooth at the midline
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


def _spline(at: np.ndarray, values: np.ndarray, axis: int) -> BSpline:
    return make_interp_spline(at, values, k=min(3, len(at) - 1), axis=axis)


def _crosses(tract: Tract) -> bool:
    return all(strand[0][0] == 0 for strand in tract.strands)


def _short_fibres(axes: list[np.ndarray]) -> np.ndarray:
    """Directions (3, X, Y, Z) of unnamed fibres: towards the surface, along the white matter of a gyrus.

    In crowns and below sulci, where the wall of the white matter faces the surface, they fan out or turn into U-fibres,
    and the vector is short.
    """
    grid = torch.from_numpy(np.stack(np.meshgrid(*axes, indexing="ij")))
    template = load_template()
    outward = np.stack(np.gradient(template.distance(grid).numpy(), SPACING))
    white = ndimage.gaussian_filter(template.grey_white(grid)[1].numpy(), 1.3)
    wall = np.stack(np.gradient(white, SPACING))
    return outward - wall * (outward * wall).sum(0) / ((wall**2).sum(0) + WALL**2)
