"""The head as a list of parts, painted front to back like a picture.

Positions follow the MNI152 template and its standard fiducials (nasion 0, 85, -40; preauricular points +-83, -20, -65)
and an anatomy atlas (Gray's Anatomy, 41st ed.); sizes are adult means, varied by the patient's build and warp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from torch import Tensor

from ganlab.phantoms.head import (
    brain,
    eyes,
    face,
    midline,
    mouth,
    neck,
    nose,
    pathology,
    skin,
    skull,
    sphenoid,
    spine,
    temporal,
)
from ganlab.phantoms.head.points import Head, Part, dura
from ganlab.phantoms.tissues import INDEX, NAMES

FACE_TOP = 15.0  # mm; no face, air space or spine above this height

BASE = (temporal.temporal, sphenoid.sphenoid)  # earlier parts cover later ones
BRAIN = (
    skull.hyperostosis,
    pathology.lesion,
    midline.midline,
    brain.meninges,
    brain.brain,
)
FACE = (  # below FACE_TOP
    skin.ears,
    eyes.eyes,
    pathology.fillings,
    mouth.teeth,
    nose.nose,
    neck.throat,
    spine.vertebrae,
    mouth.jaws,
    mouth.mouth,
)
COVER = (
    pathology.bone_flap,
    skull.braincase,
    face.face_bones,
    skin.layers,
    neck.neck_muscles,
    face.face_soft_tissue,
    neck.neck_fat,
    skin.filling,
)


def head(h: Head) -> Iterator[Part]:
    """Every part, front to back; the brain only within the dura, face and neck only below FACE_TOP."""
    yield "background", 1 - h.cover(h.once(skin.surface))
    low = h.near(z=(-999, FACE_TOP))
    if low:
        yield from spine.cord(h)
        yield from painted(BASE, h)
    yield from h.only(h.once(dura) < h.width, partial(painted, BRAIN))
    yield from painted((*FACE, *COVER) if low else COVER, h)


def painted(parts: Iterable[Callable[[Head], Iterator[Part]]], h: Head) -> Iterator[Part]:
    """The parts of a list, front to back."""
    for part in parts:
        yield from part(h)


def paint(parts: Iterator[Part], shares: Tensor, where: Tensor) -> None:
    """Composite parts, front to back, into columns `where` (n,) of tissue shares (tissues, N), which then sum to 1.

    The remainder is background.
    """
    mixed: dict[str, Tensor | float] = {"background": 0.0}
    transparency: Tensor | float = 1.0  # of the parts in front
    for tissue, alpha in parts:
        alpha = alpha * transparency
        mixed[tissue] = mixed.get(tissue, 0.0) + alpha
        transparency = transparency - alpha
    mixed["background"] = mixed["background"] + transparency
    for tissue, share in mixed.items():
        shares[INDEX[tissue], where] = share


def anatomy(h: Head) -> Tensor:
    """Tissue shares (tissues, N) of a block of points: deep in the brain, outside the skin, and all parts between."""
    shares = h.x.new_zeros((len(NAMES), len(h.x)))
    shares[INDEX["background"]] = 1.0
    hull = h.once(dura)
    inner = (hull < -2 * h.width) & (h.z > -55)
    outer = ~inner & ((hull < 30) | ((h.z < 10) & (h.m[0] < 110) & (h.y < 125)) | (h.z < -150))
    where = inner.nonzero()[:, 0]
    if len(where):
        paint(painted((*BASE, *BRAIN), h.take(where)), shares, where)
    where = outer.nonzero()[:, 0]
    if len(where):
        rest = h.take(where)
        inside = (rest.once(skin.surface) < h.width).nonzero()[:, 0]
        if len(inside):
            paint(head(rest.take(inside)), shares, where[inside])
    return shares
