"""The head as a list of named parts in MNI millimetres (x right, y anterior, z superior), front to back.

Each part is a signed distance and a tissue. Parts listed earlier cover those listed later, so that the head is
painted like a picture: brain and fluid, eyes, air spaces, teeth, bones, soft tissue, skin. Positions follow the
MNI152 template and its standard fiducials (nasion 0, 85, -40; preauricular points +-83, -20, -65) and an anatomy
atlas (Gray's Anatomy, 41st ed.); sizes are adult means, varied by the patient and by a diffeomorphism.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ganlab.imaging.phantom.fields import Noise, blend, capsule, cover, ellipsoid, length, tube
from ganlab.imaging.phantom.template import Template
from ganlab.imaging.phantom.tissues import INDEX, NAMES

FACE_TOP = 8.0  # mm; no face, air space or spine above this height
SPINE_PERIOD = 17.0  # mm from one cervical vertebra to the next


@dataclass(frozen=True)
class Build:
    """What differs between patients besides their warp. Lengths in mm, the rest relative to the adult mean = 1."""

    fluid: float = 2.0  # subarachnoid space under the inner table
    skull: float = 6.5
    diploe: float = 1.0
    fat: float = 3.5
    skin: float = 2.2
    galea: float = 1.5
    atrophy: float = 1.0  # prior weight of fluid against tissue
    sharpness: float = 2.5  # how crisp the template's average folding is made
    sinus: float = 1.0
    frontal: float = 1.0
    mastoid: float = 1.0
    face: float = 1.0
    neck: float = 1.0
    lean: float = 0.0  # forward tilt of the neck, mm over 100 mm
    jaw: float = 0.0  # opening of the mouth


def sample_build(generator: torch.Generator) -> Build:
    """A patient: normal within adult ranges, clipped at the ranges' ends."""

    def draw(mean: float, std: float, low: float, high: float) -> float:
        return float((mean + std * torch.randn((), generator=generator)).clamp(low, high))

    return Build(
        fluid=draw(2.2, 0.9, 0.8, 5.0),
        skull=draw(6.6, 1.2, 4.2, 10.0),
        diploe=draw(1.0, 0.3, 0.4, 1.8),
        fat=draw(3.4, 1.4, 1.0, 8.0),
        skin=draw(2.1, 0.4, 1.3, 3.2),
        galea=draw(1.5, 0.5, 0.5, 3.0),
        atrophy=draw(2.2, 1.0, 0.9, 5.0),
        sharpness=draw(2.6, 0.6, 1.4, 4.0),
        sinus=draw(1.0, 0.14, 0.65, 1.3),
        frontal=draw(0.95, 0.35, 0.0, 1.7),
        mastoid=draw(1.0, 0.25, 0.3, 1.5),
        face=draw(1.0, 0.05, 0.88, 1.12),
        neck=draw(1.0, 0.1, 0.8, 1.3),
        lean=draw(2.0, 9.0, -16.0, 24.0),
        jaw=draw(2.0, 3.0, 0.0, 10.0),
    )


Part = tuple[str, Tensor]  # tissue name, share of the voxel that the part covers (0..1)


def paint(parts: Iterator[Part], like: Tensor) -> Tensor:
    """Composite parts, front to back, into tissue shares (tissues, ...) that sum to 1; the rest is background."""
    shares = like.new_zeros((len(NAMES), *like.shape))
    light = torch.ones_like(like)  # what still shines through
    for tissue, alpha in parts:
        alpha = alpha * light
        shares[INDEX[tissue]] += alpha
        light -= alpha
    shares[INDEX["background"]] += light
    return shares


def anatomy(p: Tensor, build: Build, noise: Noise, template: Template, width: float = 1.0) -> Tensor:
    """Tissue shares (tissues, ...) at points p (3, ...) in MNI mm for voxels of this width in mm.

    Points far from the head are air, points well within the skull are brain, and points above the face know only
    brain, skull and scalp: most of the work is saved by not asking every part about every point.
    """
    flat = p.reshape(3, -1)
    shares = flat.new_zeros((len(NAMES), flat.shape[1]))
    shares[INDEX["background"]] = 1.0

    def fill(index: Tensor, parts) -> None:
        if len(index):
            head = Head(flat[:, index], build, noise, template, width)
            shares[:, index] = paint(parts(head), head.x)

    x, y, z = flat
    hull = template.distance(flat)
    deep = (hull < build.fluid - 2 * width) & (z > -64)
    near = (hull < 34) | ((z < 8) & (x.abs() < 100) & (y < 125)) | (z < -150)
    rest = (near & ~deep).nonzero()[:, 0]
    if len(rest):
        rest = rest[Head(flat[:, rest], build, noise, template, width).surface < width]
    above = z[rest] > FACE_TOP
    fill(deep.nonzero()[:, 0], Head.brain)
    fill(rest[above], Head.vault_parts)
    fill(rest[~above], Head.parts)
    return shares.reshape(len(NAMES), *p.shape[1:])


class Head:
    """Fields that several parts share, computed once for a set of points, and the parts as methods."""

    def __init__(self, p: Tensor, build: Build, noise: Noise, template: Template, width: float):
        self.p, self.build, self.noise, self.template, self.width = p, build, noise, template, width
        x, y, z = self.x, self.y, self.z = p
        self.m = torch.stack([x.abs(), y, z])  # mirrored: paired parts are written once, for the right side
        b = build
        self.hull = template.distance(p) - b.fluid
        # The neck: its axis leans with the posture, below the foramen magnum only.
        self.drop = (-70 - z).clamp_min(0)
        self.axis = -34 + self.drop * (0.06 + b.lean / 100) - 6 * torch.exp(-(((z + 100) / 25) ** 2))
        self.spine = torch.stack([x, y - self.axis, z])

    # -- the outside --------------------------------------------------------------------------------------------

    @cached_property
    def skull(self) -> Tensor:
        """Thickness in mm: thick at the occiput and brow, thin at the temple and the base, waviness of a millimetre."""
        b, p, noise, y, z = self.build, self.p, self.noise, self.y, self.z
        x = self.x
        temple = torch.exp(-(((self.m[0] - 72) / 22) ** 2 + ((y - 5) / 32) ** 2 + ((z + 8) / 24) ** 2))
        base = torch.sigmoid((-z - 34) / 6) * torch.sigmoid((y + 75) / 12)
        occiput = torch.exp(-((x / 30) ** 2 + ((y + 108) / 22) ** 2 + ((z + 22) / 22) ** 2))
        brow = torch.exp(-((x / 40) ** 2 + ((y - 72) / 18) ** 2 + ((z + 12) / 18) ** 2))
        wave = 0.7 * noise(p, 60.0, 0) + 0.25 * noise(p, 22.0, 1)
        return (b.skull * (1 - 0.5 * temple - 0.42 * base + 0.45 * occiput + 0.4 * brow) + wave).clamp_min(1.8)

    @cached_property
    def surface(self) -> Tensor:
        """Signed distance of the skin."""
        b, f, m = self.build, self.build.face, self.m
        scalp = b.fat + b.skin + b.galea + 0.5 * self.noise(self.p, 80.0, 2)
        temple = 7 * torch.exp(-(((m[0] - 76) / 18) ** 2 + ((self.y - 18) / 30) ** 2 + ((self.z + 12) / 24) ** 2))
        vault = self.hull - self.skull - scalp - temple
        upper = ellipsoid(self.p, (0, 34, -58), (68 * f, 58 * f, 62))
        lower = ellipsoid(self.p, (0, 38, -104), (58 * f, 54 * f, 52))
        chin = ellipsoid(self.p, (0, 66, -132 - 0.7 * b.jaw), (28 * f, 20 * f, 17))
        cheek = ellipsoid(m, (38, 55, -72), (25, 24, 24))
        jowl = ellipsoid(m, (42, 16, -98), (24, 32, 40))
        nose = tube(self.p, [(0, 86, -42), (0, 97, -60), (0, 106, -72)], 7.5)
        wing = ellipsoid(m, (9, 93, -75), (9, 11, 8))
        lips = ellipsoid(self.p, (0, 90, -100), (22, 9, 14))
        nape = torch.stack([self.x, self.y - self.axis - 4, self.z])
        neck = capsule(nape, (0, 0, -70), (0, 0, -400), 60 * b.neck)
        shoulders = ellipsoid(self.p, (0, -10, -262), (230, 95, 78))
        surface = blend(vault, blend(upper, lower, 25), 22)
        for shape, fillet in (
            (chin, 16),
            (cheek, 16),
            (jowl, 14),
            (neck, 26),
            (shoulders, 45),
            (nose, 9),
            (wing, 6),
            (lips, 8),
        ):
            surface = blend(surface, shape, fillet)
        socket = ellipsoid(m, (34, 88, -40), (17, 10, 12))
        surface = torch.maximum(surface, -socket)
        ear = torch.maximum(ellipsoid(m, (80, -28, -55), (30, 18, 30)), surface - 8)
        concha = ellipsoid(m, (92, -18, -58), (13, 8, 13))
        return torch.minimum(surface, torch.maximum(ear, -concha))

    # -- all parts, front to back -------------------------------------------------------------------------------

    def vault_parts(self) -> Iterator[Part]:
        yield "background", 1 - self.cover(self.surface)
        yield from self.brain()
        yield from self.skull_parts()
        yield from self.soft_tissue()

    def parts(self) -> Iterator[Part]:
        yield "background", 1 - self.cover(self.surface)
        yield from self.brain()
        yield from self.eyes()
        yield from self.air_spaces()
        yield from self.teeth()
        yield from self.spine_parts()
        yield from self.skull_parts()
        yield from self.face_bones()
        yield from self.soft_tissue()

    def cover(self, distance: Tensor) -> Tensor:
        return cover(distance, self.width)

    def shell(self, distance: Tensor, wall: float, spongy: str = "cancellous bone") -> Iterator[Part]:
        """A bone with a compact wall and a spongy core."""
        yield spongy, self.cover(distance + wall)
        yield "cortical bone", self.cover(distance)

    def brain(self) -> Iterator[Part]:
        """Grey, white and fluid shares of the template within the dura, crisper and with the patient's atrophy; below
        it, the cord in its sac."""
        cord_radius, sac_radius = 5.2 + 1.8 * torch.exp(-self.drop / 14), 8.5 + 5 * torch.exp(-self.drop / 16)
        cord = ((self.spine[0] / 1.15) ** 2 + self.spine[1] ** 2).sqrt()
        below = self.z < -66
        yield "white matter", 0.85 * self.cover(cord - cord_radius) * below
        yield "grey matter", self.cover(cord - cord_radius) * below
        yield "fluid", self.cover(cord - sac_radius) * below

        x, z = self.x, self.z
        dura = self.hull
        inside = self.cover(dura)
        # The superior sagittal sinus: a triangular channel under the vault in the midline.
        channel = torch.maximum(x.abs() - 3.0 - dura * 0.4, (dura + 2.5).abs() - 2.5)
        sinus = torch.maximum(channel, torch.minimum(35 - z, self.y + 60))
        yield "vessel", self.cover(sinus) * inside
        grey, white = self.template.grey_white(self.p)
        fluid = (1 - grey - white).clamp(0, 1)
        # Atrophy opens sulci and ventricles by shifting the prior; sharpening undoes the template's averaging.
        ragged = torch.exp(0.35 * self.noise(self.p, 9.0, 1))
        weights = torch.stack([grey * ragged, white * 1.05, fluid * self.build.atrophy + 1e-4]).clamp_min(1e-5)
        weights = weights**self.build.sharpness
        grey, white, fluid = weights / weights.sum(0)
        stem = ((z < -58) & (cord < cord_radius + 1.5)).to(z.dtype)  # the template ends in the medulla
        rest = 1.0
        yield "white matter", inside * torch.maximum(white, 0.8 * stem)
        rest = (1 - inside * torch.maximum(white, 0.8 * stem)).clamp_min(1e-4)
        yield "grey matter", (inside * grey * (1 - stem) / rest).clamp(0, 1)
        yield "fluid", inside

    def eyes(self) -> Iterator[Part]:
        m = self.m
        yield "lens", self.cover(ellipsoid(m, (33.5, 72, -40), (4.6, 2.2, 4.6)))
        globe = ellipsoid(m, (33, 64, -40), (12, 12, 12))
        yield "vitreous", self.cover(globe + 1.0)
        yield "muscle", self.cover(globe)
        yield "white matter", self.cover(tube(m, [(32, 52, -40), (24, 36, -36), (12, 18, -30)], 2.0))
        for a, c in ((12, 0), (-10, 0), (0, 11), (0, -11)):  # the four recti
            nodes = [(33 + a, 62, -40 + c), (31 + a * 0.7, 48, -39 + c * 0.7), (20, 26, -35)]
            yield "muscle", self.cover(tube(m, nodes, 1.7))
        self.orbit = self.orbit_shape()
        yield "fat", self.cover(self.orbit + 1.0) * self.cover(self.surface + 3)

    def orbit_shape(self) -> Tensor:
        """A cone from the rim to the optic canal."""
        axis = self.m - self.m.new_tensor((33.0, 66.0, -40.0)).reshape(3, *[1] * (self.m.ndim - 1))
        depth = (-axis[1]).clamp(-12, 48)
        radius = 19.0 - 16.5 * (depth.clamp_min(0) / 48) ** 1.3
        offset = torch.stack([axis[0] + 0.42 * depth.clamp_min(0), axis[2] - 0.12 * depth.clamp_min(0)])
        return torch.maximum(length(offset) - radius, torch.maximum(-axis[1] - 48, axis[1] - 13))

    def air_spaces(self) -> Iterator[Part]:
        b, m, p = self.build, self.m, self.p
        s, x, y, z = b.sinus, self.x, self.y, self.z
        walls = []
        bend = self.noise(p, 24.0, 2)
        septum = (x + 1.5 * bend).abs() - 1.0
        # Nasal cavity with septum and turbinates, nasopharynx, throat.
        cavity = torch.maximum(ellipsoid(p, (0, 58, -64), (15, 33, 22)), 22 - y)
        cavity = blend(cavity, ellipsoid(p, (0, 90, -76), (9, 14, 7)), 5)
        turbinate = torch.minimum(
            tube(m, [(8.5, 76, -76), (8.5, 32, -74)], 4.2), tube(m, [(8, 72, -62), (8, 34, -60)], 3.2)
        )
        turbinate = torch.minimum(turbinate, septum)
        inner = self.cover(cavity) * self.cover(self.surface - 1)
        yield "mucosa", inner * self.cover(turbinate + 0.6 * bend)
        yield "air", self.cover(cavity + 1.2 + 0.8 * bend) * self.cover(self.surface - 1)
        yield "mucosa", self.cover(cavity)
        stretch = torch.stack([x / 1.6, y, z])
        lean = self.axis + 34
        throat = tube(
            torch.stack([stretch[0], stretch[1] - lean, stretch[2]]),
            [(0, 20, -62), (0, 13, -84), (0, 4, -106), (0, 6, -132), (0, 8, -400)],
            6.0,
        )
        throat = throat + 1.5 * self.noise(p, 22.0, 1)
        yield "air", self.cover(throat)
        yield "mucosa", self.cover(throat - 2.2)
        gap = torch.maximum(ellipsoid(p, (0, 62, -102 - b.jaw / 2), (20, 24, 1.0 + b.jaw / 2)), -(y - 30))
        yield "air", self.cover(gap)
        # Paranasal sinuses: air, a lining of mucosa, a thin bony wall.
        rough = 1.6 * self.noise(p, 12.0, 0)
        septa = (self.noise(p, 5.5, 3).abs() - 0.28) * 3.0
        spaces = [
            torch.maximum(ellipsoid(p, (2, 18, -38), (15 * s, 14 * s, 11 * s)), 1.0 - (x - 2 - 3 * bend).abs()),
            ellipsoid(m, (30, 50, -71), (14.5 * s, 18 * s, 17 * s)),
            torch.maximum(ellipsoid(m, (9.5, 50, -42), (6.5, 20 * s, 11)), -septa),
        ]
        if b.frontal > 0.15:
            brow = ellipsoid(m, (11, 77, -16), (11 * b.frontal, 5.0 * b.frontal, 12 * b.frontal))
            spaces.append(torch.maximum(brow, 0.6 - (x - 2 * bend).abs()))
        for space in spaces:
            walls.append(space + rough)
            yield "air", self.cover(space + rough + 1.2)
        # Mastoid cells: air between bony septa; ear canal and middle ear.
        mastoid = ellipsoid(m, (60, -34, -56), (11 * b.mastoid, 13 * b.mastoid, 18 * b.mastoid))
        cells = self.noise(p, 4.5, 0) + 0.25
        yield "air", self.cover(mastoid) * torch.sigmoid(4 * cells) * (self.hull > 1.2)
        canal = tube(m, [(92, -20, -62), (74, -19, -60), (56, -18, -56)], 3.0)
        yield "air", self.cover(canal)
        yield "air", self.cover(ellipsoid(m, (52, -19, -54), (4, 5, 6)))
        lining = torch.stack(walls).amin(0)
        yield "mucosa", self.cover(lining)
        yield "cortical bone", self.cover(lining - 1.3) * self.cover(self.surface + 4)
        self.sinus_wall = lining

    def teeth(self) -> Iterator[Part]:
        """Two horseshoes of crowns and roots; gaps every 7.5 mm along the arch."""
        x, y, z = self.p
        arch = ((x / 27) ** 2 + ((y - 42) / 36) ** 2 + 1e-6).sqrt()
        ring = (arch - 1).abs() * 28 - 3.6
        ring = torch.maximum(ring, 40 - y)
        angle = torch.atan2(x, (y - 42) * 0.75)
        crown = 0.7 - 1.5 * torch.cos(angle * 14.0)
        for centre, half in ((-93.0, 8.5), (-112.0 - self.build.jaw, 8.5)):
            row = torch.maximum(torch.maximum(ring, (z - centre).abs() - half), crown - 2.0)
            yield "tooth", self.cover(row) * 0.85
        self.arch = torch.maximum((arch - 1).abs() * 28 - 7, 36 - y)

    def spine_parts(self) -> Iterator[Part]:
        """Cervical vertebrae around the canal: body, disc, articular pillars, lamina and spinous process."""
        x, v, z = self.spine
        below = z < -78
        phase = ((-z - 92) / SPINE_PERIOD) % 1.0
        half = (phase - 0.5).abs() * SPINE_PERIOD  # mm from mid-vertebra
        body = torch.maximum(((x / 1.25) ** 2 + (v - 18) ** 2).sqrt() - 9.5, half - 6.3)
        column = ((x / 1.25) ** 2 + (v - 18) ** 2).sqrt() - 9.0
        pillar = torch.maximum(((x.abs() - 20) ** 2 + ((v - 3) / 1.1) ** 2).sqrt() - 6.5, half - 7.4)
        lamina = torch.maximum(((((x / 1.3) ** 2 + v**2).sqrt() - 12.5).abs() - 2.2), torch.maximum(half - 5.5, v - 6))
        spinous = torch.maximum(x.abs() - 3.0, torch.maximum(-v - 38, torch.maximum(v + 12, half - 4.2)))
        bones = torch.stack([body, pillar, lamina, spinous]).amin(0) + 0.6 * self.noise(self.p, 9.0, 2)
        yield "vertebral marrow", self.cover(bones + 1.1) * below
        yield "cortical bone", self.cover(bones) * below
        yield "disc", self.cover(column) * below * (z < -96)
        # Atlas and axis: ring and dens under the condyles.
        atlas = torch.maximum((((x / 1.4) ** 2 + (v - 1) ** 2).sqrt() - 15.5).abs() - 3.6, (z + 80).abs() - 5.5)
        dens = capsule(self.spine, (0, 13, -98), (0, 13, -76), 5.0)
        yield from self.shell(torch.minimum(atlas, dens), 1.2, "vertebral marrow")

    def skull_parts(self) -> Iterator[Part]:
        """The shell around the brain: inner table, diploe, outer table; thick base, petrous and mastoid bone."""
        depth, thickness = self.hull, self.skull
        table = (thickness * 0.27).clamp(1.3, 2.4) / self.build.diploe**0.3
        marrow = torch.maximum(table - depth, depth - (thickness - table))
        shell = torch.maximum(-depth, depth - thickness)
        mottled = self.cover(marrow + 0.35 * self.noise(self.p, 6.0, 3))
        open_below = (self.hull > -2).to(depth.dtype)
        yield "petrous bone", self.cover(tube(self.m, [(54, -26, -50), (34, -18, -46), (14, -8, -42)], 7.5))
        mastoid = ellipsoid(self.m, (60, -34, -58), (14, 16, 22))
        yield "cortical bone", 0.6 * self.cover(mastoid) * open_below
        yield "cancellous bone", self.cover(mastoid) * open_below
        yield "cancellous bone", mottled
        yield "cortical bone", self.cover(shell)
        clivus = tube(self.p, [(0, 10, -40), (0, -8, -48), (0, -24, -62)], 8.0)
        sphenoid = ellipsoid(self.p, (0, 20, -40), (21, 16, 15))
        wing = tube(self.m, [(10, 22, -34), (36, 28, -32), (62, 34, -20)], 3.4)
        condyle = ellipsoid(self.m, (20, -30, -70), (8, 12, 8))
        base = torch.stack([clivus, sphenoid, wing, condyle]).amin(0) + 0.8 * self.noise(self.p, 14.0, 1)
        yield from self.shell(base, 1.4)

    def face_bones(self) -> Iterator[Part]:
        """Orbital walls, maxilla and palate, zygoma and its arch, nasal bones, pterygoid plates, mandible, hyoid."""
        m, p, jaw = self.m, self.p, self.build.jaw
        skin = self.surface + 3.0  # no bone within 3 mm of the air
        wall = torch.maximum(self.orbit.abs() - 0.9, self.y - 68)
        rim = torch.maximum((self.orbit - 2).abs() - 3.0, (self.y - 67).abs() - 6)
        maxilla = torch.maximum(ellipsoid(p, (0, 54, -82), (40, 32, 22)), self.y - 84)
        alveolus = torch.maximum(self.arch, (self.z + 92).abs() - 10)
        palate = torch.maximum(torch.maximum((self.z + 86).abs() - 2.2, self.x.abs() - 24), (self.y - 50).abs() - 28)
        zygoma = ellipsoid(m, (52, 54, -62), (9, 12, 10))
        arch = tube(m, [(55, 50, -62), (68, 28, -60), (68, 2, -58), (62, -10, -56)], 3.2)
        nasal = tube(m, [(3, 84, -40), (4, 92, -56)], 1.8)
        plates = tube(m, [(14, 22, -58), (16, 16, -84)], 2.2)
        frontal = tube(m, [(10, 79, -24), (34, 74, -20), (52, 58, -30), (54, 54, -50)], 4.5)
        ramus = tube(m, [(53, -3, -62), (51, 2, -88), (48, 12, -116 - jaw * 0.4)], 4.6)
        coronoid = tube(m, [(50, 20, -70), (50, 14, -100)], 3.6)
        body = tube(
            m,
            [(48, 12, -116 - jaw * 0.4), (38, 44, -126 - jaw * 0.8), (18, 68, -130 - jaw), (0, 74, -131 - jaw)],
            6.2,
        )
        lower = torch.maximum(self.arch, (self.z + 119 + jaw).abs() - 10)
        wavy = 0.7 * self.noise(p, 10.0, 1)
        cheekbone = torch.stack([zygoma, arch, rim, frontal, plates, alveolus, nasal]).amin(0)
        solid = torch.maximum(cheekbone + wavy, skin)
        yield from self.shell(solid, 1.5)
        yield "cortical bone", self.cover(torch.maximum(torch.minimum(wall, palate), skin))
        yield from self.shell(torch.maximum(torch.stack([ramus, coronoid, body, lower]).amin(0) + wavy, skin), 1.9)
        front = torch.maximum(maxilla, (self.sinus_wall - 3).abs() - 1.2)
        yield "cortical bone", 0.7 * self.cover(torch.maximum(front, skin))
        hyoid = torch.maximum(
            (((self.x / 18) ** 2 + ((self.y - 22) / 20) ** 2).sqrt() - 1).abs() * 18 - 2.0, 18 - self.y
        )
        yield "cortical bone", 0.8 * self.cover(torch.maximum(hyoid, (self.z + 142).abs() - 2.5))

    def soft_tissue(self) -> Iterator[Part]:
        """Skin, then fat, then muscle with fat planes between its bellies; tongue and glands."""
        b, depth = self.build, -self.surface
        vault = torch.sigmoid((self.z + 38) / 8)
        fat = b.fat * (vault + (1 - vault) * 1.5) + 0.9 * self.noise(self.p, 26.0, 0)
        yield "skin", self.cover(depth - b.skin)
        buccal = ellipsoid(self.m, (42, 48, -88), (9, 16, 14))
        yield "fat", torch.maximum(self.cover(depth - b.skin - fat), self.cover(buccal))
        tongue = ellipsoid(self.p, (0, 42, -108), (24, 34, 17))
        gland = ellipsoid(self.m, (56, -4, -88), (9, 15, 20))
        yield "mucosa", self.cover(gland) * 0.7
        yield "muscle", self.cover(tongue)
        planes = self.noise(torch.stack([self.x, self.y, self.z * 0.45]), 13.0, 2) + 0.5 * self.noise(self.p, 5.0, 0)
        vessel = self.cover(tube(self.m, [(26, 2, -50), (27, 4, -90), (26, 6, -150)], 3.2))
        yield "vessel", vessel
        yield "fat", torch.sigmoid(5 * (planes - 1.15))
        yield "muscle", torch.ones_like(depth)
