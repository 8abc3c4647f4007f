"""Does a head lie as its header says? It is held against a mean head in all 24 ways in which a box can be turned.

Files whose orientation was lost on the way (a wrong affine, axes in the order of a slice viewer) look like any other,
and networks that know upright heads translate them into nonsense.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import permutations, product

import numpy as np
from scipy import ndimage

from ganlab.errors import InputError
from ganlab.imaging.background import HEAD, distance_to_head, sampled
from ganlab.imaging.grid import canonical
from ganlab.imaging.volume import Volume
from ganlab.paths import shipped

MEAN_HEAD = shipped("assets") / "translate" / "mean_head.npy"  # uint8, `drawn_mean_head` in 255ths of BRIGHTEST
GRID, GRID_MM = (26, 30, 20), 8.0  # voxels from the left, the back and the bottom, around the middle and below the top
UPPER_MM = GRID[2] * GRID_MM  # of the head, from its top
BRIGHTEST = 1.6  # of white matter: fat counts as this
BETTER = 0.05  # correlation by which another way must fit better; upright heads fit best, by 0.02 at least
BRAIN_BETTER = 0.15  # correlation inside the template's brain: 0.25 to 0.45 between upright and turned heads
LEAST = 0.7  # correlation of a head that fits
CUT, CUT_FACES = 0.25, 1  # of the largest section; of a whole head the field of view cuts the neck alone
DIRECTIONS = (("left", "right"), ("back", "front"), ("bottom", "top"))

Way = tuple[tuple[int, ...], tuple[int, ...]]  # order of the axes, and 1 or -1 for each: reversed


def wrong_way(scan: Volume, better: float = BETTER) -> str | None:
    """A notice if a T1-weighted head (air 0, white matter 1) fits the mean head in another way than its header says,
    otherwise None, as for a head that the field of view cuts. Left and right are not told apart. better: the
    correlation by which the other way must fit better; where it does by less, the brain must fit better as well."""
    array, spacing = _blocks(canonical(sampled(scan)))
    sections = [(array > 0).sum(axis=tuple(other for other in range(3) if other != axis)) for axis in range(3)]
    if sum(section[end] > CUT * section.max() for section in sections for end in (0, -1)) > CUT_FACES:
        return None
    fits = {way: _correlation(head_grid(*_turned(array, spacing, way)), mean_head()) for way in _ways()}
    best = order, signs = max(fits, key=lambda way: fits[way])
    stated = fits[(0, 1, 2), (1, 1, 1)]
    if fits[best] < LEAST or fits[best] <= stated:
        return None
    if fits[best] < stated + better and not _brain_agrees(array, spacing, best):
        return None
    front, top = (DIRECTIONS[order[axis]][signs[axis] > 0] for axis in (1, 2))
    return (
        f"The head seems to lie another way than its header says: its front at what is called {front}, its top at what "
        f"is called {top} (correlation with a mean head {fits[best]:.2f}, as it is called {stated:.2f}). Models know "
        "upright heads, so expect wrong values everywhere; correct the orientation or the voxel size of "
        "the file, or turn a head that was scanned far from upright."
    )


def _blocks(scan: Volume) -> tuple[np.ndarray, np.ndarray]:
    """(array, spacing) of the head, 0 around it, every second voxel of a smoothed scan if these are below 3 mm."""
    array = scan.array.clip(0, BRIGHTEST)
    array[distance_to_head(array, HEAD, scan.spacing) > 0] = 0
    steps = [2 if mm < 3 else 1 for mm in scan.spacing]
    smooth = ndimage.uniform_filter(array, steps)
    return smooth[tuple(slice(None, None, step) for step in steps)], scan.spacing * steps


def head_grid(array: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """The upper 160 mm of a head (X, Y, Z; RAS; 0 around it) in voxels of 8 mm: GRID, centred from side to side and
    back to front, below its top."""
    places = [np.flatnonzero(array.any(axis=tuple(other for other in range(3) if other != axis))) for axis in range(3)]
    top = int(places[2].max()) + 1
    upper = array[:, :, max(0, top - round(UPPER_MM / spacing[2])) :]
    middle = []
    for axis in range(2):
        found = np.flatnonzero(upper.any(axis=tuple(other for other in range(3) if other != axis)))
        middle.append((found.min() + found.max()) / 2)
    axes = [(np.arange(n) - (n - 1) / 2) * GRID_MM / mm + at for n, mm, at in zip(GRID, spacing, middle, strict=False)]
    axes.append(top - 0.5 - (np.arange(GRID[2])[::-1] + 0.5) * GRID_MM / spacing[2])
    smooth = ndimage.gaussian_filter(array.astype(np.float32), GRID_MM / np.asarray(spacing) / 2.5)
    return ndimage.map_coordinates(smooth, np.stack(np.meshgrid(*axes, indexing="ij")), order=1, cval=0.0)


@lru_cache(maxsize=1)
def mean_head() -> np.ndarray:
    """`head_grid` of the phantom of mean build, white matter near 1."""
    return np.load(MEAN_HEAD, allow_pickle=False).astype(np.float32) / 255 * BRIGHTEST


def drawn_mean_head() -> np.ndarray:
    """The same, drawn again: what MEAN_HEAD holds."""
    from ganlab.phantoms.contrasts import plain_t1
    from ganlab.phantoms.scanned.fit import drawn_mean

    return head_grid(*_blocks(drawn_mean(plain_t1(), 2.0, "au", "t1")))


def _ways() -> Iterator[Way]:
    """Every order of the axes and every reversal but that of left and right."""
    for order in permutations(range(3)):
        for back_to_front, upside_down in product((1, -1), repeat=2):
            yield order, (1, back_to_front, upside_down)


def _turned(array: np.ndarray, spacing: np.ndarray, way: Way) -> tuple[np.ndarray, np.ndarray]:
    order, signs = way
    flips = tuple(slice(None, None, sign) for sign in signs)
    return array.transpose(order)[flips], spacing[list(order)]


def _brain_agrees(array: np.ndarray, spacing: np.ndarray, way: Way) -> bool:
    """Whether the template's brain fits a head far better in another way than in the stated one."""
    from ganlab.imaging.affine import fit_brain
    from ganlab.imaging.grid import resample
    from ganlab.phantoms.template import brain_t1

    template, fits = brain_t1(), []
    for turned, mm in ((array, spacing), _turned(array, spacing, way)):
        head = Volume(np.ascontiguousarray(turned), np.diag([*mm, 1.0]))
        try:
            affine = fit_brain(head, template) @ template.affine
        except InputError:  # no brain can be found, so that nothing speaks for another way
            return False
        brain = resample(replace(template, affine=affine), head.affine, head.shape)
        inside = brain.array > 0
        fits.append(_correlation(brain.array[inside], head.array[inside]) if inside.any() else 0.0)
    return fits[1] > fits[0] + BRAIN_BETTER


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])
