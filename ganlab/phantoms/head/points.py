"""`Head`: a block of points in MNI millimetres, with the fields that the parts of a head share.

A part is a generator function of a Head that yields (tissue, share of the voxel that it covers, 0..1). Parts are
painted front to back (see anatomy.py): earlier parts cover later ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ganlab.phantoms.fields import Noise, cover
from ganlab.phantoms.template import Template

if TYPE_CHECKING:
    from ganlab.phantoms.build import Build

Part = tuple[str, Tensor]
Range = tuple[float, float]


@dataclass
class Head:
    """Points p (3, N) of a patient in MNI mm, for voxels of a width in mm."""

    p: Tensor
    build: Build
    noise: Noise
    template: Template
    width: float = 1.0
    _known: dict[Callable[[Head], Tensor], Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.x, self.y, self.z = self.p
        self.m = torch.stack([self.x.abs(), self.y, self.z])  # mirrored: paired parts are defined once, on the right
        low, high = self.m.amin(1).tolist(), self.m.amax(1).tolist()
        self.extent = tuple(zip(low, high, strict=True))

    def take(self, index: Tensor) -> Head:
        """The head at some of the points, with its shared fields."""
        if len(index) == len(self.x):
            return self
        known = {f: v[..., index] for f, v in self._known.items()}
        return Head(self.p[:, index], self.build, self.noise, self.template, self.width, known)

    def only(self, where: Tensor, part: Callable[[Head], Iterator[Part]]) -> Iterator[Part]:
        """A part evaluated only at the points where `where` (N,) is true; elsewhere it covers nothing."""
        index = where.nonzero()[:, 0]
        if len(index):
            for tissue, alpha in part(self.take(index)):
                yield tissue, torch.zeros_like(self.x).index_put_((index,), alpha)

    def once(self, f: Callable[[Head], Tensor]) -> Tensor:
        """f(self), computed once for all parts that ask for it."""
        if f not in self._known:
            self._known[f] = f(self)
        return self._known[f]

    def near(self, x: Range = (0.0, 999.0), y: Range = (-999.0, 999.0), z: Range = (-999.0, 999.0)) -> bool:
        """Whether a point may lie in a box; x is the range of |x|. Parts skip blocks that they cannot reach."""
        return all(low <= b and a <= high for (a, b), (low, high) in zip(self.extent, (x, y, z), strict=True))

    def cover(self, distance: Tensor) -> Tensor:
        """Share of each voxel inside a shape of this signed distance."""
        return cover(distance, self.width)

    def shell(
        self, distance: Tensor, wall: float | Tensor, spongy: str = "cancellous bone", where: float | Tensor = 1.0
    ) -> Iterator[Part]:
        """A bone with a compact wall and a spongy core; where: the share of each voxel that it may take."""
        yield spongy, self.cover(distance + wall) * where
        yield from self.compact(distance, where)

    def compact(self, distance: Tensor, where: float | Tensor = 1.0) -> Iterator[Part]:
        """Compact bone of the patient's density: a mixture of cortical bone and the denser petrous bone."""
        share = self.cover(distance) * where
        dense = self.build.compact * share
        yield "petrous bone", dense
        yield "cortical bone", (share - dense) / (1 - dense).clamp_min(1e-3)

    def spongy(self, share: Tensor) -> Iterator[Part]:
        """Diploe: trabeculae, some of them compact, and marrow that is partly fat."""
        yield "cortical bone", self.build.mineral * share
        yield "fat", self.build.marrow * share
        yield "cancellous bone", share

    def sided(self, pair: tuple[float, float]) -> Tensor:
        """(N,) a property of the right (x > 0) or left side."""
        return torch.where(self.x > 0, *pair)


def dura(h: Head) -> Tensor:
    """Signed distance of the inner table's inside: the intracranial hull and the fluid under the skull."""
    return h.template.distance(h.p) - h.build.fluid
