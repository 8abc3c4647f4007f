"""The head as a list of parts, painted front to back like a picture.

Positions follow the MNI152 template and its standard fiducials (nasion 0, 85, -40; preauricular points +-83, -20, -65)
and an anatomy atlas (Gray's Anatomy, 41st ed.); sizes are adult means, varied by the patient and by a diffeomorphism.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor

from ganlab.imaging.phantom import brain, face, findings, neck, skin, skull
from ganlab.imaging.phantom.head import Head, Part, dura
from ganlab.imaging.phantom.tissues import INDEX, NAMES

FACE_TOP = 15.0  # mm; no face, air space or spine above this height

PARTS = (  # earlier covers later
    neck.cord,
    findings.lesion,
    brain.meninges,
    brain.brain,
    face.eyes,
    face.nose,
    neck.throat,
    face.mouth,
    skull.mastoid_cells,
    findings.fillings,
    face.teeth,
    neck.vertebrae,
    findings.bone_flap,
    skull.braincase,
    face.face_bones,
    skin.layers,
    face.face_soft_tissue,
    neck.neck_soft_tissue,
    skin.filling,
)
BRAIN = (findings.lesion, brain.meninges, brain.brain)
VAULT = (*BRAIN, findings.bone_flap, skull.braincase, skin.layers, skin.filling)


def paint(parts: Iterator[Part], like: Tensor) -> Tensor:
    """Composite parts, front to back, into tissue shares (tissues, N) that sum to 1; the rest is background."""
    shares = like.new_zeros((len(NAMES), *like.shape))
    light = torch.ones_like(like)  # what still shines through
    for tissue, alpha in parts:
        alpha = alpha * light
        shares[INDEX[tissue]] += alpha
        light -= alpha
    shares[INDEX["background"]] += light
    return shares


def body(h: Head, parts) -> Iterator[Part]:
    yield "background", 1 - h.cover(h.once(skin.surface))
    yield from chain.from_iterable(part(h) for part in parts)


def anatomy(h: Head) -> Tensor:
    """Tissue shares (tissues, N) of a block of points.

    A block far from the head is air, one well within the skull is brain, and one above the face knows only brain,
    skull and scalp; the points outside the skin are left out of the work.
    """
    hull = h.once(dura)
    nearest, farthest = hull.amin(), hull.amax()
    if farthest < -2 * h.width and not h.near(z=(-999, -55)):
        return paint(chain.from_iterable(part(h) for part in BRAIN), h.x)
    shares = h.x.new_zeros((len(NAMES), len(h.x)))
    shares[INDEX["background"]] = 1.0
    if nearest > 40 and not h.near(x=(0, 110), y=(-120, 130), z=(-999, 10)) and not h.near(z=(-999, -150)):
        return shares
    parts = PARTS if h.near(z=(-999, FACE_TOP)) else VAULT
    inside = (h.once(skin.surface) < h.width).nonzero()[:, 0]
    if len(inside):
        part = h if len(inside) > 0.8 * len(h.x) else h.take(inside)
        painted = paint(body(part, parts), part.x)
        if part is h:
            return painted
        shares[:, inside] = painted
    return shares
