"""The cervical spine with its cord. Lengths in template mm, about an eighth larger than life.

Vertebrae: Gray's Anatomy, 41st ed., ch. 43; heights and depths of bodies, discs and canal as in Gilad and Nissan,
Spine 11:154, 1986. Positions across are (x, v), v in mm forward of the middle of the canal.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ganlab.imaging.phantom.fields import along, blend, capsule
from ganlab.imaging.phantom.head import Head, Part

# The canal's course (z, y): it takes over from the medulla of the maps and bends forward in the middle of the neck.
COURSE = (
    (-190, -49),
    (-160, -45),
    (-135, -42),
    (-115, -42),
    (-95, -45),
    (-80, -46),
    (-70, -45.2),
    (-62, -43.4),
    (-53, -40.7),
)
LEVEL = 20.0  # mm from one vertebra to the next, with its disc
FIRST_DISC = -114.0  # mm, between the second and the third vertebra


def axis(h: Head) -> Tensor:
    """y in mm of the canal's middle; below the skull it leans with the posture."""
    return along(h.z, COURSE) + h.once(leaning)


def leaning(h: Head) -> Tensor:
    return (-70 - h.z).clamp_min(0) * (h.build.lean / 100)


def spine(h: Head) -> Tensor:
    """Points (3, N) as (x, v, z)."""
    return torch.stack([h.x, h.y - h.once(axis), h.z])


def cord_distance(h: Head) -> Tensor:
    """Signed distance of medulla and cord, wider than deep."""
    x, v, z = h.once(spine)
    return ((x / 1.2) ** 2 + v**2).sqrt() - along(z, ((-90, 4.9), (-70, 5.4), (-58, 6.0)))


def cord(h: Head) -> Iterator[Part]:
    """The cord with its butterfly of grey matter, in the fluid of the dural sac, below the foramen magnum."""
    if not h.near(x=(0, 24), y=(-90, 0), z=(-999, -56)):
        return
    x, v, z = h.once(spine)
    core = h.once(cord_distance)
    sac = ((x / 1.25) ** 2 + v**2).sqrt() - along(z, ((-100, 8.2), (-82, 9.5), (-66, 14.0), (-58, 18.0)))
    below = torch.sigmoid((-63 - z) / 1.2)  # above, the maps know better
    wings = torch.minimum((h.m[0] - 1.9).abs() - 0.8 + 0.1 * v.abs(), v.abs() - 0.7)
    butterfly = torch.maximum(torch.maximum(wings, core + 1.3), v.abs() - 3.2)
    yield "grey matter", 0.5 * h.cover(butterfly) * below * (z < -74)
    yield "white matter", h.cover(core) * below
    yield "fluid", h.cover(sac) * below
    yield "fibrous tissue", 0.6 * h.cover(sac - 0.8) * (z < -72)


def vertebrae(h: Head) -> Iterator[Part]:
    """Bodies, arches and discs from the third vertebra down, and the first two."""
    if not h.near(x=(0, 40), y=(-115, 15), z=(-999, -66)):
        return
    x, v, z = h.once(spine)
    side, rough = h.m[0], 0.7 * h.noise(h.p, 8.0, 2)
    low = z < FIRST_DISC + 2
    body = body_shape(side, v, z)
    arch = arch_shape(side, v, z)
    hole = torch.sqrt((side - 18) ** 2 + (v - 7.5) ** 2) - 2.6  # foramen of the vertebral artery
    yield "vessel", h.cover(hole + 0.5) * (z < -84)
    third = torch.maximum(torch.minimum(body, arch), -hole) + rough
    atlas, axis_bone = upper_two(side, v, z)
    bones = torch.minimum(torch.where(low, third, 99.0), torch.minimum(atlas, axis_bone) + 0.6 * rough)
    ligament = torch.maximum((v - 10).abs() - 0.9, side - 9)
    yield "fibrous tissue", 0.7 * h.cover(torch.maximum(ligament, z + 84)) * (bones > 0)
    yield from h.shell(bones, 1.3, "vertebral marrow")
    yield "disc", h.cover(plate(side, v) + 0.4 * rough) * (z < FIRST_DISC + 4) * (v > 6)
    canal = torch.maximum(((x / 1.35) ** 2 + v**2).sqrt() - 11.5, z + 72)
    yield "fat", h.cover(canal) * (v < 6)


def plate(side: Tensor, v: Tensor) -> Tensor:
    """Signed distance of a vertebral body's outline: a rounded box, 21 mm wide and 17 mm deep."""
    return ((((side / 10.8) ** 4 + ((v - 18.5) / 8.6) ** 4) + 1e-9) ** 0.25 - 1) * 9


def within_level(z: Tensor) -> Tensor:
    """mm from the middle of a vertebra, -LEVEL/2 to LEVEL/2, discs at the ends."""
    return (z - FIRST_DISC) % LEVEL - LEVEL / 2


def body_shape(side: Tensor, v: Tensor, z: Tensor) -> Tensor:
    height = within_level(z + 0.12 * (v - 18)).abs()
    waist = 1.3 * (1 - (height / 7) ** 2).clamp_min(0)
    cup = 0.035 * (side**2 + (v - 18) ** 2).clamp_max(90)  # hollow end plates, raised at the rim
    return torch.maximum(plate(side, v) + waist, height - 6.0 - 0.35 * cup)


def arch_shape(side: Tensor, v: Tensor, z: Tensor) -> Tensor:
    """Transverse and articular processes with oblique joints, laminae, and spinous processes that point down."""
    slope = within_level(z + 0.7 * (v + 2)).abs()
    pillar = torch.maximum((((side - 20.5) / 1.05) ** 2 + ((v + 1.5) / 1.1) ** 2).sqrt() - 6.6, slope - 8.9)
    level = within_level(z).abs()
    transverse = torch.maximum(((side - 18.5) ** 2 + (v - 8) ** 2).sqrt() - 5.2, level - 4.6)
    ring = (((side / 1.35) ** 2 + v**2).sqrt() - 13.3).abs() - 2.1
    lamina = torch.maximum(torch.maximum(ring, within_level(z + 0.45 * (v + 12)).abs() - 6.2), v + 1)
    pedicle = torch.maximum(torch.maximum((side - 13.5).abs() - 3, (v - 6).abs() - 6), level - 4.5)
    down = within_level(z - 0.55 * (v + 14)).abs()
    spinous = torch.maximum(torch.maximum(side - 2.6 - 0.06 * (-v - 14).clamp_min(0), down - 4.4), v + 12)
    spinous = torch.maximum(spinous, -v - 36)
    arch = torch.stack([pillar, transverse, pedicle, blend(lamina, spinous, 3.0)]).amin(0)
    return arch


def upper_two(side: Tensor, v: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Atlas: ring, lateral masses; axis: body with the dens, arch and a stout spinous process."""
    ring = (((side / 1.25) ** 2 + (v - 2.5) ** 2).sqrt() - 19.5).abs() - 2.3
    ring = torch.maximum(ring, (z + 83 - 0.08 * v).abs() - 4.6 + 1.2 * (v < 0))
    mass = torch.maximum(
        (((side - 20) / 1.2) ** 2 + ((v - 6) / 1.3) ** 2).sqrt() - 7, (z + 82 + 0.35 * (side - 20)).abs() - 8
    )
    wing = torch.maximum(((side - 34) ** 2 + (v - 4) ** 2).sqrt() - 5, (z + 83).abs() - 3.5)
    atlas = blend(torch.minimum(ring, mass), wing, 5)
    p = torch.stack([side, v, z])
    dens = capsule(p, (0, 14.5, -99), (0, 15.5, -79), 5.6)
    body = torch.maximum(plate(side, v), torch.maximum(z + 92, FIRST_DISC + 3 - z))
    facet = torch.maximum(((side - 17) ** 2 + ((v - 5) / 1.2) ** 2).sqrt() - 7, (z + 97 + 0.3 * (side - 17)).abs() - 6)
    lamina = torch.maximum(
        (((side / 1.35) ** 2 + v**2).sqrt() - 13.5).abs() - 2.5, torch.maximum((z + 104).abs() - 8, v + 1)
    )
    spinous = capsule(p, (0, -13, -103), (0, -34, -110), 4.6)
    return atlas, torch.minimum(torch.minimum(blend(dens, body, 5), facet), blend(lamina, spinous, 4))
