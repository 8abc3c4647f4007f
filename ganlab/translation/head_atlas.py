"""Where things are in a real head: the brain and the air spaces of the template, carried over by an affine fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy import ndimage

from ganlab.imaging.affine import BRAIN_CENTRE, fit_brain
from ganlab.imaging.grid import resample
from ganlab.imaging.head_figures import mr_head_mask, outside_of
from ganlab.imaging.intensity import normalise_mr
from ganlab.imaging.masks import fill_cavities
from ganlab.imaging.volume import Volume

AIR_SPACES = {  # mm in MNI space, where Colin27 (one real head) is dark and anatomy says air
    "sphenoid sinus": ((0.0, 18.0, -30.0),),
    "mastoid cells": ((-50.0, -28.0, -40.0), (50.0, -28.0, -40.0)),
    "frontal sinus": ((-15.0, 68.0, -15.0), (15.0, 68.0, -15.0)),
    "ethmoid cells": ((-5.0, 46.0, -36.0), (5.0, 46.0, -36.0)),
    "maxillary sinuses": ((-24.0, 42.0, -57.0), (24.0, 42.0, -57.0)),
}
RADIUS_MM = 8.0  # around each of these points
WHITE, FLUID, ANY = (0.8, 1.5), (0.0, 0.45), (0.0, np.inf)  # T1 signal, white matter at 1
BRAIN_PLACES = {  # mm in MNI space, and the T1 signal of what is meant there
    "genu of the corpus callosum": (((0.0, 27.0, 6.0),), WHITE),
    "splenium of the corpus callosum": (((0.0, -38.0, 14.0),), WHITE),
    "internal capsule, posterior limb": (((-23.0, -12.0, 8.0), (23.0, -12.0, 8.0)), WHITE),
    "putamen": (((-26.0, 4.0, 2.0), (26.0, 4.0, 2.0)), ANY),
    "lateral ventricles": (((-12.0, -20.0, 22.0), (12.0, -20.0, 22.0), (-9.0, 18.0, 6.0), (9.0, 18.0, 6.0)), FLUID),
}
PLACE_MM = 5.0  # around each of these points
AROUND_MM = 10.0  # from the template's brain: no brain even where the fit is poor
DARK = 0.15  # of white matter: air and cortical bone are darker, fluid is not
AIR_HU = -500.0  # on a real CT, half way to tissue
FEWEST = 50  # voxels that have a median
SKIN_MM = 8.0  # air spaces lie deeper: nearer, a defaced head has the air around it
CRANIUM_MM = -60.0  # z in MNI space: the foramen magnum
PERIPHERY_MM = 6.0  # of the template's brain: the fit is no better there
TISSUE = 0.3  # brain is brighter, relative to tissue near 1
HULL_MM, BRAIN_HU = 10.0, (-20.0, 90.0)  # on a CT
RIM = 2  # voxels: dura and vessels between brain and bone
FALX_MM = 4.0  # from the midline
CALLOSUM, CALLOSUM_RADII = np.array([0.0, -12.0, 8.0]), np.array([1.0, 50.0, 28.0])  # what the falx arches over
PINEAL, PINEAL_MM = np.array([0.0, -29.0, 2.0]), 10.0


@dataclass(frozen=True)
class HeadAtlas:
    """A head and its regions, boolean arrays on the grid of the scan.

    matrix: (4, 4), mm in MNI space -> mm of the scan. cranium: the head without lower face and neck, of which scans
    show more or less. outside: more than 5 mm from the head. brain: with its ventricles, without its outer 6 mm.
    soft_brain: without falx and pineal body as well, which may hold calcium. air: {name: voxels}, without those whose
    place is near or outside the skin or the field of view, or has no dark voxels. places: {name: voxels} of parts of
    the brain. around_brain: the rest of the head, more than 10 mm from the brain.
    """

    matrix: np.ndarray
    head: np.ndarray
    cranium: np.ndarray
    outside: np.ndarray
    brain: np.ndarray
    soft_brain: np.ndarray
    air: dict[str, np.ndarray]
    places: dict[str, np.ndarray]
    around_brain: np.ndarray

    def with_true_air(self, ct: Volume) -> HeadAtlas:
        """The atlas with only those voxels of air spaces that are air on the head's own CT, on the same grid."""
        air = {name: region & (ct.array < AIR_HU) for name, region in self.air.items()}
        return replace(self, air=_large(air))

    @property
    def centre(self) -> np.ndarray:
        """Of the brain, mm."""
        return self.matrix[:3, :3] @ BRAIN_CENTRE + self.matrix[:3, 3]

    @property
    def up(self) -> np.ndarray:
        """The direction of the vertex, a unit vector."""
        return self.matrix[:3, 2] / np.linalg.norm(self.matrix[:3, 2])


@dataclass(frozen=True)
class CtAtlas:
    """A CT head and its regions, boolean arrays on its grid; head without table and head holder, outside and brain as
    of `HeadAtlas`. centre: of the brain, mm."""

    head: np.ndarray
    outside: np.ndarray
    brain: np.ndarray
    centre: np.ndarray


def atlas_of_ct(ct: Volume) -> CtAtlas:
    """The regions of a CT head in HU (RAS, axis-aligned). The brain is soft tissue more than 10 mm below the inner
    table of the phantom of mean build, which is registered rigidly. Raises InputError for a scan without a head."""
    from ganlab.imaging.registration import register_rigid
    from ganlab.phantoms.patient import MEAN_SIZE
    from ganlab.phantoms.scanned.fit import mean_head
    from ganlab.phantoms.scanned.tissues import patient_mask
    from ganlab.phantoms.template import HULL_SPACING, load_template

    _, matrix = register_rigid(ct, mean_head())  # the phantom's mm -> the CT's
    template = load_template()
    grid = np.diag([HULL_SPACING] * 3 + [1.0])  # of its distances from the hull, mm
    grid[:3, 3] = template.hull_origin
    depth = Volume(template.hull[0].numpy(), matrix @ np.diag([1 / MEAN_SIZE] * 3 + [1.0]) @ grid)
    inside = resample(depth, ct.affine, ct.shape, fill=100.0).array < -HULL_MM
    head = patient_mask(ct.array)
    brain = inside & (ct.array > BRAIN_HU[0]) & (ct.array < BRAIN_HU[1])
    centre = matrix[:3, :3] @ (BRAIN_CENTRE / MEAN_SIZE) + matrix[:3, 3]
    return CtAtlas(head, outside_of(head, ct.spacing), brain, centre)


def atlas_of(t1: Volume) -> HeadAtlas:
    """The regions of a T1-weighted head (RAS, axis-aligned). Raises InputError for a scan without a head."""
    from ganlab.phantoms.template import brain_t1

    t1 = normalise_mr(t1)
    matrix = fit_brain(t1, brain_t1())
    head = mr_head_mask(t1)
    depths = _brain_depth()
    depth = resample(Volume(depths.array, matrix @ depths.affine), t1.affine, t1.shape).array
    brain = (depth > PERIPHERY_MM) & _filled_brain(t1.array, depth)
    soft = brain.copy()
    at = np.argwhere(brain)
    soft[tuple(at[_may_calcify(_in_mni(at, t1, matrix))].T)] = False
    dark = (t1.array < DARK) & (ndimage.distance_transform_edt(head, sampling=t1.spacing) > SKIN_MM)
    cranium = head & (_height(t1, matrix) > CRANIUM_MM)
    air = {name: _near(points, RADIUS_MM, t1, matrix) & dark for name, points in AIR_SPACES.items()}
    places = {
        name: _near(points, PLACE_MM, t1, matrix) & (t1.array > low) & (t1.array < high)
        for name, (points, (low, high)) in BRAIN_PLACES.items()
    }
    around_brain = head & (ndimage.distance_transform_edt(depth <= 0, sampling=t1.spacing) > AROUND_MM)
    return HeadAtlas(
        matrix, head, cranium, outside_of(head, t1.spacing), brain, soft, _large(air), _large(places), around_brain
    )


def _height(scan: Volume, matrix: np.ndarray) -> np.ndarray:
    """z in MNI space of every voxel."""
    row = (np.linalg.inv(matrix) @ scan.affine)[2]
    i, j, k = (np.arange(n, dtype=np.float32) for n in scan.shape)
    return row[0] * i[:, None, None] + row[1] * j[:, None] + row[2] * k + row[3]


@lru_cache(maxsize=1)
def _brain_depth() -> Volume:
    """mm below the surface of the template's brain, 0 outside."""
    from ganlab.phantoms.template import brain_t1

    template = brain_t1()
    depth = ndimage.distance_transform_edt(fill_cavities(template.array > 0), sampling=template.spacing)
    return Volume(depth.astype(np.float32), template.affine)


def _filled_brain(level: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """The brain with its ventricles on a T1 with tissue near 1: what the template calls brain and is bright, filled,
    without its outer two voxels. Cisterns at the base of the skull, open to bone, are not part of it."""
    bright = ndimage.binary_opening((level > TISSUE) & (depth > 0), iterations=RIM)
    labels, _ = ndimage.label(bright)
    if not labels.any():
        return bright
    largest = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
    return ndimage.binary_erosion(fill_cavities(largest), iterations=RIM)


def _in_mni(voxels: np.ndarray, scan: Volume, matrix: np.ndarray) -> np.ndarray:
    """(N, 3) voxel indices -> (N, 3) mm in MNI space."""
    to_mni = np.linalg.solve(matrix, scan.affine)
    return voxels @ to_mni[:3, :3].T + to_mni[:3, 3]


def _may_calcify(points: np.ndarray) -> np.ndarray:
    """Which points (N, 3), mm in MNI space, lie in the falx or the pineal body."""
    x = points[:, 0]
    below = (((points - CALLOSUM) / CALLOSUM_RADII)[:, 1:] ** 2).sum(axis=1) < 1
    falx = (np.abs(x) <= FALX_MM) & ~below & (points[:, 2] > CALLOSUM[2])
    return falx | (np.linalg.norm(points - PINEAL, axis=1) <= PINEAL_MM)


def _near(points: Sequence[tuple[float, ...]], radius: float, scan: Volume, matrix: np.ndarray) -> np.ndarray:
    """The voxels of a scan within `radius` mm of any of these points, mm in MNI space."""
    size = np.ceil(radius / scan.spacing).astype(int)
    region = np.zeros(scan.shape, bool)
    for point in points:
        middle = matrix[:3, :3] @ point + matrix[:3, 3]
        at = np.round((middle - scan.affine[:3, 3]) / scan.spacing).astype(int)
        box = tuple(slice(max(0, a - s), max(0, a + s + 1)) for a, s in zip(at, size, strict=True))
        voxels = np.moveaxis(np.indices(region[box].shape), 0, -1) + [part.start for part in box]
        apart = np.linalg.norm(voxels * scan.spacing + scan.affine[:3, 3] - middle, axis=-1)
        region[box] |= apart <= radius
    return region


def _large(regions: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those regions that are large enough for a median."""
    return {name: region for name, region in regions.items() if region.sum() >= FEWEST}
