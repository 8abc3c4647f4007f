"""The neck: cord, vertebrae, throat, muscles and vessels, below the foramen magnum."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ganlab.imaging.phantom.fields import blend, capsule, ellipsoid, tube
from ganlab.imaging.phantom.head import Head, Part

SPINE_PERIOD = 17.0  # mm from one cervical vertebra to the next


def axis(h: Head) -> Tensor:
    """y in mm of the canal's centre: it leans with the posture, below the foramen magnum only."""
    drop = (-70 - h.z).clamp_min(0)
    return -34 + drop * (0.06 + h.build.lean / 100) - 6 * torch.exp(-(((h.z + 100) / 25) ** 2))


def spine(h: Head) -> Tensor:
    """Points (3, N) with y counted from the canal's centre."""
    return torch.stack([h.x, h.y - h.once(axis), h.z])


def neck_outline(h: Head, head: Tensor) -> Tensor:
    """The skin's signed distance `head` with neck and shoulders joined on."""
    if not h.near(z=(-999, -20)):
        return head
    nape = torch.stack([h.x, h.y - h.once(axis) - 4, h.z])
    neck = capsule(nape, (0, 0, -70), (0, 0, -400), 60 * h.build.neck)
    shoulders = ellipsoid(h.p, (0, -10, -262), (230, 95, 78))
    return blend(blend(head, neck, 26), shoulders, 45)


def cord_distance(h: Head) -> Tensor:
    drop = (-70 - h.z).clamp_min(0)
    x, v, _ = h.once(spine)
    return ((x / 1.15) ** 2 + v**2).sqrt() - 5.2 - 1.8 * torch.exp(-drop / 14)


def cord(h: Head) -> Iterator[Part]:
    """The cord in its sac."""
    if not h.near(x=(0, 20), z=(-999, -60)):
        return
    drop, below = (-70 - h.z).clamp_min(0), h.z < -66
    core = h.once(cord_distance)
    sac = core - 3.3 - 5 * torch.exp(-drop / 16) + 1.8 * torch.exp(-drop / 14)
    yield "white matter", 0.85 * h.cover(core) * below
    yield "grey matter", h.cover(core) * below
    yield "fluid", h.cover(sac) * below


def throat(h: Head) -> Iterator[Part]:
    """Oropharynx, larynx and trachea."""
    if not h.near(x=(0, 30), y=(-40, 60), z=(-999, -80)):
        return
    stretch = torch.stack([h.x / 1.6, h.y - h.once(axis) - 34, h.z])
    lumen = tube(stretch, [(0, 13, -84), (0, 4, -106), (0, 6, -132), (0, 8, -400)], 6.0)
    lumen = lumen + 1.5 * h.noise(h.p, 22.0, 1)
    yield "air", h.cover(lumen)
    yield "mucosa", h.cover(lumen - 2.2)


def vertebrae(h: Head) -> Iterator[Part]:
    """Cervical vertebrae around the canal: body, disc, articular pillars, lamina and spinous process."""
    if not h.near(x=(0, 32), y=(-90, 40), z=(-999, -70)):
        return
    x, v, z = h.once(spine)
    below = z < -78
    phase = ((-z - 92) / SPINE_PERIOD) % 1.0
    half = (phase - 0.5).abs() * SPINE_PERIOD  # mm from mid-vertebra
    body = torch.maximum(((x / 1.25) ** 2 + (v - 18) ** 2).sqrt() - 9.5, half - 6.3)
    column = ((x / 1.25) ** 2 + (v - 18) ** 2).sqrt() - 9.0
    pillar = torch.maximum(((x.abs() - 20) ** 2 + ((v - 3) / 1.1) ** 2).sqrt() - 6.5, half - 7.4)
    lamina = torch.maximum(((((x / 1.3) ** 2 + v**2).sqrt() - 12.5).abs() - 2.2), torch.maximum(half - 5.5, v - 6))
    spinous = torch.maximum(x.abs() - 3.0, torch.maximum(-v - 38, torch.maximum(v + 12, half - 4.2)))
    bones = torch.stack([body, pillar, lamina, spinous]).amin(0) + 0.6 * h.noise(h.p, 9.0, 2)
    yield "vertebral marrow", h.cover(bones + 1.1) * below
    yield "cortical bone", h.cover(bones) * below
    yield "disc", h.cover(column) * below * (z < -96)
    # Atlas and axis: ring and dens under the condyles.
    atlas = torch.maximum((((x / 1.4) ** 2 + (v - 1) ** 2).sqrt() - 15.5).abs() - 3.6, (z + 80).abs() - 5.5)
    dens = capsule(h.once(spine), (0, 13, -98), (0, 13, -76), 5.0)
    yield from h.shell(torch.minimum(atlas, dens), 1.2, "vertebral marrow")


def neck_soft_tissue(h: Head) -> Iterator[Part]:
    """What lies between spine, throat and skin: named vessels and glands; the rest is left to muscle."""
    if not h.near(z=(-999, -45)):
        return
    yield "vessel", h.cover(tube(h.m, [(26, 2, -50), (27, 4, -90), (26, 6, -150)], 3.2))
