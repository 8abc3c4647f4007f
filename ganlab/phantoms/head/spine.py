"""The cervical spine with its cord. Lengths in template mm, about an eighth larger than life.

Vertebrae: Gray's Anatomy, 41st ed., ch. 43. Bodies, discs and canal: Gilad and Nissan, Spine 11:154, 1986; Panjabi et
al., Spine 16:861, 1991 (body 15 to 17 mm deep and 17 mm wide, canal 24 by 17 mm); articular pillars: Panjabi et al.,
Spine 18:1298, 1993. Cord 13 by 8 mm: Sherman et al., AJNR 11:369, 1990. Atlas and axis: Doherty and Heggeness,
Spine 19:2497, 1994, and 20:2497, 1995.

Positions are (side, v, z): mm from the midplane, mm anterior to the centre of the canal, and height.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.phantoms.fields import along, blend, capsule, ellipsoid, length, tube
from ganlab.phantoms.head.points import Head, Part

LEVEL = 20.0  # mm from one vertebra to the next, with its disc
FIRST_DISC = -114.0  # mm, the middle of the disc between the second and the third vertebra
BODY, DISC = 14.6, 5.4  # mm, heights in the middle


def axis(h: Head) -> Tensor:
    """y in mm of the canal's centre: it descends from the template's medulla and curves forward in the neck."""
    medulla = 2.72 * F.softplus((h.z + 76.7) / 4)
    return medulla - 42.8 - 0.0014 * (h.z + 145).square() + h.once(leaning)


def leaning(h: Head) -> Tensor:
    """mm by which posture shifts the neck forward; none at the skull."""
    return h.build.lean * 0.12 * F.softplus((-88 - h.z) / 12)


def spine(h: Head) -> Tensor:
    """Points (3, N) as (x, v, z)."""
    return torch.stack([h.x, h.y - h.once(axis), h.z])


def levels(h: Head) -> Tensor:
    """Height along the curved spine: discs and end plates are its level surfaces, perpendicular to the axis."""
    tilt = -0.0028 * (h.z + 145) - 0.01 * h.build.lean * torch.sigmoid((-88 - h.z) / 12)
    return h.z + tilt * h.once(spine)[1]


def meet(a: Tensor, b: Tensor, width: float) -> Tensor:
    """Intersection of two shapes with a rounded edge."""
    return -blend(-a, -b, width)


def section(h: Head) -> Tensor:
    """Signed distance of medulla and cord, without an upper end."""
    x, v, z = h.once(spine)
    wide = along(z, ((-150, 1.42), (-100, 1.35), (-72, 1.15)))
    return ((x / wide) ** 2 + v**2 + 1e-6).sqrt() - along(z, ((-150, 4.7), (-90, 5.0), (-75, 6.2), (-58, 7.4)))


def cord_distance(h: Head) -> Tensor:
    """Signed distance of the cord: it ends in the medulla, where the template takes over."""
    return torch.maximum(h.once(section), h.z + 62.5)


def cord(h: Head) -> Iterator[Part]:
    """The cord with its butterfly of grey matter, in the fluid of the dural sac, below the foramen magnum."""
    if not h.near(x=(0, 26), y=(-90, 5), z=(-999, -50)):
        return
    x, v, z = h.once(spine)
    core = h.once(section)
    below = torch.sigmoid((-58 - z) / 0.9)  # above it, the template is used
    side = h.m[0]
    flat = torch.stack([side, v, torch.zeros_like(v)])
    anterior = capsule(flat, (0.9, 0.2, 0), (2.9, 1.4, 0), 1.3)
    posterior = capsule(flat, (1.2, -0.2, 0), (2.7, -3.2, 0), 0.7)
    commissure = torch.maximum(side - 2.0, v.abs() - 0.8)
    butterfly = torch.stack([anterior, posterior, commissure]).amin(0)
    yield "grey matter", 0.45 * h.cover(torch.maximum(butterfly, core + 0.8)) * torch.sigmoid((-76 - z) / 2)
    yield "white matter", h.cover(core) * below
    deep = along(z, ((-150, 7.2), (-100, 7.8), (-84, 9.5), (-70, 13.0), (-62, 15.0)))
    centre = along(z, ((-100, 0.6), (-70, 2.0)))
    sac = ((x / 1.3) ** 2 + (v - centre) ** 2 + 1e-6).sqrt() - deep
    ligament = ((side - 8) / 1.5).clamp(-1, 1)  # the sac narrows where roots leave it
    sac = sac + 0.3 * ligament
    yield "fluid", h.cover(sac) * torch.sigmoid((-64 - z) / 1.5)
    yield "fibrous tissue", 0.6 * h.cover(sac - 0.9) * torch.sigmoid((-72 - z) / 1.0)


def vertebrae(h: Head) -> Iterator[Part]:
    """The vertebral artery, bones with their marrow, discs, facet joints, ligaments, and the fat around the sac."""
    if not h.near(x=(0, 48), y=(-115, 25), z=(-999, -66)):
        return
    _, v, z = h.once(spine)
    reach = (h.m[0] < 46) & (v > -46) & (v < 32) & (z < -68)
    yield from h.only(reach, bones)


ARTERY = [(16, 9.5, -260), (16, 9.5, -112), (19, 8.5, -101), (29, 7, -93), (29, 6, -83)]
LOOP = [(29, 6, -83), (26, -5, -79), (15, -8, -77), (9, 4, -68)]  # behind the lateral mass of the atlas to the dura


def bones(h: Head) -> Iterator[Part]:
    side, v, z, s = h.m[0], h.once(spine)[1], h.z, h.once(levels)
    p = torch.stack([side, v, z])
    artery = tube(p, ARTERY, 2.1)
    if h.near(z=(-95, -60)):
        artery = torch.minimum(artery, tube(p, LOOP, 2.0))
    yield "vessel", h.cover(artery)
    column = plate(side, v, s)
    bone = torch.minimum(meet(body(side, v, s, column), s - FIRST_DISC, 1.0), arch(side, v, s))
    pillar, joint = facets(side, v, s)
    bone = torch.minimum(bone, joint)
    if h.near(z=(-125, -60)):
        bone = torch.minimum(bone, torch.minimum(atlas(p), second(p, column, s)))
    bone = torch.maximum(bone, 1.0 - artery) + 0.45 * h.noise(h.p, 7.0, 2)
    marrow = h.cover(bone + 1.1)
    yield "cancellous bone", (0.14 + 0.16 * h.noise(h.p, 4.0, 1)).clamp(0, 0.5) * marrow
    yield from h.shell(bone, 1.1, "vertebral marrow")
    bulge = 0.9 * (1 - (within_level(s - LEVEL / 2) / DISC).square()).clamp(0, 1)
    low = torch.sigmoid((FIRST_DISC + 4 - s) / 0.4)
    yield "disc", h.cover(column - bulge) * low
    yield "cartilage", 0.9 * h.cover(torch.maximum(pillar + 0.8, s - FIRST_DISC - 4))
    yield from ligaments(h, p, column)


def within_level(s: Tensor) -> Tensor:
    """mm from the middle of a vertebra, -LEVEL/2 to LEVEL/2, discs at the ends."""
    return (s - FIRST_DISC) % LEVEL - LEVEL / 2


def plate(side: Tensor, v: Tensor, s: Tensor) -> Tensor:
    """Signed distance of the bodies' outline: rounded in front, wider and slightly hollow behind; waisted."""
    forward = v - 17.8
    wide = side * (1 + 0.018 * forward.clamp_min(-5))
    deep = forward + 0.9 * torch.exp(-((side / 6) ** 2)) * torch.sigmoid(-forward)
    round_ = ((wide / 10.6).square().square() + (deep / 8.7).square().square() + 1e-9).sqrt().sqrt()
    return (round_ - 1) * 9.3


def body(side: Tensor, v: Tensor, s: Tensor, column: Tensor) -> Tensor:
    """Bodies: end plates hollow, the upper with uncinate edges, the lower with a lip in front; a vein leaves behind."""
    level = within_level(s + 0.09 * (v - 18))
    hook = 0.28 * (side - 6.5).clamp(0, 4).square()
    top = level - BODY / 2 - hook + 0.7 * torch.exp(-(side.square() + (v - 17).square()) / 30)
    base = -level - BODY / 2 + hook + 0.9 * torch.exp(-(side.square() + (v - 17).square()) / 30)
    waist = 1.2 * (1 - (level / 6.5).square()).clamp_min(0)
    solid = meet(torch.maximum(top, base), column + waist, 2.0)
    vein = length(torch.stack([side / 2.4, (v - 8.5) / 2.6, level / 1.1])) - 1
    return torch.maximum(solid, -1.1 * vein)


def facets(side: Tensor, v: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Outline of the articular pillars, and pillars divided by joints that slope backwards and down by 40 degrees."""
    outline = length(torch.stack([(side - 20.5) / 1.12, (v + 2.0) / 1.05])) - 6.2
    along_joint = s - 0.8 * (v + 2)
    part = (within_level(along_joint).abs() - 8.9) / 1.28
    return outline, meet(torch.maximum(outline, part), along_joint - FIRST_DISC, 1.0)


def arch(side: Tensor, v: Tensor, s: Tensor) -> Tensor:
    """Pedicles, transverse processes with two roots, overlapping laminae, spinous processes that point down."""
    level = within_level(s)
    q = torch.stack([side, v, level])
    pedicle = capsule(q, (9.5, 11, 2.0), (17, -0.5, 1.5), 3.2)
    front = capsule(q, (14, 14, 0.5), (21.5, 15, -2), 2.1)  # the anterior tubercle
    back = capsule(q, (20, 3, 0.5), (28, 6.5, -3), 2.4)
    bar = capsule(q, (21, 14, -2.5), (24, 8, -3.5), 2.0)
    root = meet(torch.stack([pedicle, front, back, bar]).amin(0), s - FIRST_DISC, 1.0)
    shingle = s + 3
    low = within_level(shingle)
    ring = (length(torch.stack([side / 1.32, v - 0.3 * low])) - 12.6).abs() - 2.0
    lamina = torch.stack([ring, low.abs() - 6.2, v + 2.5, shingle - FIRST_DISC]).amax(0)
    down = s + 2.5 - 0.5 * (v + 12)
    tip = -29 + 0.13 * (down - FIRST_DISC + LEVEL / 2)  # the seventh is the most prominent
    fork = 0.45 * (-v - 24).clamp_min(0)
    blade = torch.stack([(side - fork).abs() - 2.3, within_level(down).abs() - 4.4, v + 12, tip - v, down - FIRST_DISC])
    return torch.minimum(root, blend(lamina, blade.amax(0), 3.0))


def atlas(p: Tensor) -> Tensor:
    """Ring with its tubercles, lateral masses under the occipital condyles, wide transverse processes."""
    side, v, z = p
    tall = torch.stack([side, v, (z + 85.5) * 0.58])
    front = tube(tall, [(0, 24.2, 0.4), (8, 22.5, 0), (17, 15, 0)], 2.7)
    low = torch.stack([side, v, (z + 88) * 0.66])
    back = tube(low, [(19, 0, 0), (17, -8, 0), (9, -15, 0), (0, -17, 0)], 2.6)
    mass = length(torch.stack([(side - 19.5) / 8.2, (v - 10) / 10.5])) * 8.2 - 8.2
    condyle = ellipsoid(p, (20, 16, -70), (8, 12, 8)) - 1.6
    floor = z + 93.4 + 0.33 * (side - 19)
    mass = meet(torch.maximum(mass, -condyle), torch.maximum(-floor, z + 76), 1.5)
    wing = capsule(p, (25, 7, -85), (39, 4, -86), 3.8)
    return blend(torch.minimum(front, back), blend(mass, wing, 4.0), 3.0)


def second(p: Tensor, column: Tensor, s: Tensor) -> Tensor:
    """The axis: body with the dens, sloping upper facets, pillars, and a stout forked spinous process."""
    side, v, z = p
    dens = capsule(p, (0, 15.0, -102), (0, 15.4, -81.5), 5.5)
    trunk = meet(column + 0.6, torch.maximum(z + 98, FIRST_DISC + DISC / 2 - s), 2.0)
    roof = z + 96 + 0.33 * (side - 19)
    facet = length(torch.stack([(side - 15.5) / 9.5, (v - 8.5) / 9])) * 9 - 9
    facet = meet(facet, torch.maximum(roof, -105 - z), 1.5)
    joint = s - 0.8 * (v + 2) - FIRST_DISC
    pillar = torch.maximum(capsule(p, (20, -2, -118), (19, 5, -102), 6.3), 1.1 - joint)
    ring = (length(torch.stack([side / 1.3, v - 0.2 * (z + 104)])) - 12.8).abs() - 2.4
    lamina = torch.stack([ring, (z + 104).abs() - 7.5, v + 2]).amax(0)
    fork = torch.stack([(side - 0.4 * (-v - 24).clamp_min(0)).abs(), v, z])
    spinous = capsule(fork, (0, -14, -104), (0, -32, -113), 5.0)
    front = torch.minimum(blend(dens, trunk, 5.0), torch.minimum(facet, pillar))
    return torch.minimum(front, blend(lamina, spinous, 4.0))


def ligaments(h: Head, p: Tensor, column: Tensor) -> Iterator[Part]:
    """Along the bodies in front and behind, across behind the dens, yellow between the laminae; epidural fat."""
    side, v, z = p
    band = torch.maximum(column - 1.2, side - 9)
    yield "fibrous tissue", 0.7 * h.cover(torch.maximum(band, z + 98))
    cross = torch.maximum(torch.maximum((v - 8.0 + 0.01 * side.square()).abs() - 1.1, side - 12), (z + 86).abs() - 5)
    membrane = torch.maximum(torch.maximum((v - 5.5 - 0.3 * (z + 80)).abs() - 0.8, side - 8), (z + 78).abs() - 8)
    yield "fibrous tissue", 0.7 * h.cover(torch.minimum(cross, membrane))
    ring = length(torch.stack([side / 1.32, v]))
    behind = torch.maximum(v + 3, z + 80)
    yield "fibrous tissue", 0.5 * h.cover(torch.maximum((ring - 12.8).abs() - 1.4, behind))
    yield "fat", h.cover(torch.maximum(ring - 12.0, z + 74))
