"""Random slices of random patients under random scanners: what a translator trains on.

Domain randomisation (Billot et al., SynthSeg, Medical Image Analysis 86:102789, 2023): the anatomy is plausible, the
contrast, field, noise and resolution are wider than any scanner's, so that a real scan is one more variation. The
target (CT, FA) depends on anatomy alone. Anatomy is evaluated on the slice's own points, never on a volume.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.phantoms.lesions import draw_fillings, draw_flap, draw_lesion
from ganlab.phantoms.options import LESIONS
from ganlab.phantoms.patient import Deface, Patient, make_head, misaligned, rotation
from ganlab.phantoms.scanner import DIFFUSION_VOXEL, SIGMA
from ganlab.phantoms.signals import mr_signals
from ganlab.phantoms.tissues import INDEX, NAMES, table
from ganlab.phantoms.volumes import BRAIN, brain_fa

PLANES = ("axial", "coronal", "sagittal")
TILE = 64  # pixels
FIELDS = (1.5, 3.0)  # T
_NORMAL = {"axial": 2, "coronal": 1, "sagittal": 0}
NEAR = 0.25  # the spread of one scanner's images
FA_FLOOR = 0.03  # what noise leaves of FA where there is none, at an SNR of 50


class View(NamedTuple):
    """Where slices lie, in mm: their centres (i, j) in each plane, how far these vary, and the range across it."""

    centre: dict[str, tuple[float, float]]
    spread: tuple[float, float]
    across: dict[str, tuple[float, float]]


VIEWS = {
    "ct": View(  # the head and the neck, air included
        {"axial": (0.0, -8.0), "coronal": (0.0, -35.0), "sagittal": (-8.0, -35.0)},
        (32.0, 48.0),
        {"axial": (-165.0, 108.0), "coronal": (-126.0, 112.0), "sagittal": (-96.0, 96.0)},
    ),
    "fa": View(  # the brain
        {"axial": (0.0, -15.0), "coronal": (0.0, 0.0), "sagittal": (-15.0, 0.0)},
        (24.0, 32.0),
        {"axial": (-75.0, 88.0), "coronal": (-108.0, 76.0), "sagittal": (-74.0, 74.0)},
    ),
}


class Draw:
    """Random numbers for one slice, on the host, so that a device does not change them."""

    def __init__(self, generator: torch.Generator):
        self.generator = generator

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def normal(self, std: float) -> float:
        return std * float(torch.randn((), generator=self.generator))

    def chance(self, p: float) -> bool:
        return float(torch.rand((), generator=self.generator)) < p


def slice_points(draw: Draw, plane: str, size: int, device="cpu", view: View = VIEWS["ct"]) -> Tensor:
    """(3, size, size) patient mm of a 1 mm slice near a plane, somewhere in the view, tilted by some degrees."""
    step = torch.arange(size) - size / 2
    a, b = torch.meshgrid(step, step, indexing="ij")
    centre, spread = view.centre[plane], view.spread
    a = a + centre[0] + draw.uniform(-spread[0], spread[0])
    b = b + centre[1] + draw.uniform(-spread[1], spread[1])
    normal = _NORMAL[plane]
    axes = [a, b]
    axes.insert(normal, torch.full_like(a, draw.uniform(*view.across[plane])))
    tilt = rotation(torch.tensor([draw.normal(0.1) for _ in range(3)]))
    return torch.tensordot(tilt, torch.stack(axes), 1).to(device)


def cut_field_of_view(draw: Draw, shares: Tensor, points: Tensor) -> Tensor:
    """What lies below the field of view was never scanned: air in both modalities."""
    if draw.chance(0.5):
        height = points[2] + draw.normal(0.1) * points[0] + draw.normal(0.15) * points[1]
        shares = replace(shares, height < draw.uniform(-165, -45), "background")
    return shares


def replace(shares: Tensor, where: Tensor, tissue: str) -> Tensor:
    pure = shares.new_zeros((len(shares), *[1] * (shares.dim() - 1)))
    pure[INDEX[tissue]] = 1.0
    return torch.where(where, pure, shares)


def random_contrast(draw: Draw) -> Tensor:
    """(tissues,) T1-weighted signals, white matter = 1: every other slice near a scanner's, the rest almost free."""
    return scanner_contrast(draw) if draw.chance(0.5) else free_contrast(draw)


def scanner_contrast(draw: Draw, spread: float = 1.0) -> Tensor:
    """What 1.5 and 3 T give, each tissue within about an eighth times spread; blood as it flows. An inversion pulse
    adds contrast that the spoiled echo of the tables does not have: grey at 0.55 of white instead of 0.7 is common."""
    signal = mr_signals("t1", FIELDS[draw.chance(0.7)], fat_suppressed=draw.chance(0.3))
    signal[INDEX["vessel"]] = _flow(draw)
    signal = signal * torch.exp(0.12 * spread * torch.randn(len(NAMES), generator=draw.generator))
    signal = signal ** math.exp(draw.uniform(-0.1, 0.65))
    signal[INDEX["white matter"]] = 1.0
    signal[INDEX["grey matter"]].clamp_(max=0.95)
    return signal


def _flow(draw: Draw) -> float:
    """Blood leaves a void, or flows in bright."""
    return draw.uniform(0.0, 0.3) if draw.chance(0.5) else draw.uniform(0.7, 2.5)


def free_contrast(draw: Draw) -> Tensor:
    """Fluid below grey below white. Fat is bright, or suppressed; marrow follows fat."""
    u = draw.uniform
    fluid = u(0.02, 0.4)
    fat = u(0.05, 0.6) if draw.chance(0.4) else u(0.7, 2.2)
    bone = u(0.0, 0.14)
    void = u(0.0, 0.04)
    signal = {
        "background": 0.0,
        "air": void,
        "fluid": fluid,
        "grey matter": max(fluid + 0.1, u(0.5, 0.93)),
        "white matter": 1.0,
        "cortical bone": bone,
        "petrous bone": bone * u(0.5, 1.5),
        "tooth": bone * u(0.0, 1.0),
        "cancellous bone": bone + fat * u(0.05, 0.8),
        "vertebral marrow": bone + fat * u(0.1, 0.8) + u(0.0, 0.2),
        "fat": fat,
        "muscle": u(0.25, 0.8),
        "skin": u(0.3, 1.3),
        "mucosa": u(0.25, 1.3),
        "vitreous": fluid * u(0.7, 1.5),
        "lens": u(0.2, 0.8),
        "vessel": _flow(draw),
        "disc": u(0.1, 0.6),
        "gland": u(0.3, 1.2),
        "fibrous tissue": u(0.05, 0.5),
        "cartilage": u(0.15, 0.8),
        "enamel": bone * u(0.0, 1.0),
        "tumour": u(0.3, 1.5) if draw.chance(0.5) else u(0.4, 0.8),  # with contrast medium or without
        "necrosis": u(fluid, 0.6),
        "oedema": u(0.35, 0.85),
        "plaque": u(0.3, 0.85),
        "blood": u(0.3, 1.6),
        "metal": void,
    }
    return torch.tensor([signal[name] for name in NAMES])


def _blur(image: Tensor, sigma: tuple[float, float]) -> Tensor:
    for axis, s in enumerate(sigma):
        if s > 0.15:
            r = max(1, math.ceil(3 * s))
            x = torch.arange(-r, r + 1, device=image.device, dtype=image.dtype)
            kernel = torch.exp(-0.5 * (x / s) ** 2)
            kernel = (kernel / kernel.sum()).reshape(1, 1, *((-1, 1) if axis == 0 else (1, -1)))
            pad = (0, 0, r, r) if axis == 0 else (r, r, 0, 0)
            image = F.conv2d(F.pad(image[None, None], pad, mode="replicate"), kernel)[0, 0]
    return image


def _coarse(draw: Draw, size, cells: int, device) -> Tensor:
    """A smooth random image, mean 0, standard deviation about 1."""
    nodes = torch.randn((1, 1, cells, cells), generator=draw.generator).to(device)
    return F.interpolate(nodes, size=size, mode="bicubic", align_corners=True)[0, 0] * 1.3


def render_ct(shares: Tensor, sigma: float = 0.6) -> Tensor:
    """HU of a slice (H, W) from tissue shares, through the scanner's point spread."""
    hu = torch.tensordot(table("hu", shares.device), shares, 1)
    return _blur(hu, (sigma, sigma))


def render_fa(patient: Patient, shares: Tensor, points: Tensor) -> Tensor:
    """FA of a slice (H, W), as diffusion voxels see it: what a scan would give on average, 0 outside the brain."""
    fa = brain_fa(shares.flatten(1), patient.head(points.reshape(3, -1))).reshape(shares.shape[1:])
    sigma = DIFFUSION_VOXEL * SIGMA
    seen = torch.hypot(_blur(fa, (sigma, sigma)), torch.tensor(FA_FLOOR, device=fa.device))
    return torch.where(fa > 0, seen, 0.0).clamp_max(1)


def stripped(draw: Draw, shares: Tensor) -> Tensor:
    """The head as tools leave that cut away all but the brain and some fluid around it: a third of all slices."""
    if not draw.chance(0.35):
        return shares
    sigma = draw.uniform(0.5, 3.0)
    inside = _blur(shares[BRAIN].sum(0), (sigma, sigma)) > draw.uniform(0.2, 0.6)
    return replace(shares, ~inside, "background")


def render_mr(draw: Draw, shares: Tensor, spread: float = 1.0) -> Tensor:
    """One random T1-weighted scanner's view (H, W) of tissue shares, white matter near 1 times a random gain.

    spread: how far it may depart from a clean scan; below 1 the contrast is one that scanners give.
    """
    device, size, u = shares.device, shares.shape[1:], draw.uniform
    signal = (random_contrast(draw) if spread >= 1 else scanner_contrast(draw, spread)).to(device)
    image = torch.tensordot(signal, shares, 1)
    noise = torch.randn((3, *size), generator=draw.generator).to(device)
    grain = _blur(noise[0], (0.8, 0.8)) * 2.5
    texture = u(0, 0.09) * grain + u(0, 0.08) * _coarse(draw, size, 24, device)
    image = image * (1 + spread * texture)
    ramp = torch.linspace(-1, 1, size[0], device=device)[:, None] * draw.normal(0.6)
    ramp = ramp + torch.linspace(-1, 1, size[1], device=device)[None] * draw.normal(0.6)
    image = image * torch.exp(spread * (ramp + u(0, 0.3) * _coarse(draw, size, 4, device)))
    image = image.clamp_min(0) ** math.exp(spread * draw.normal(0.16))
    sigma = [u(0.2, 0.75), u(0.2, 0.75)]
    if draw.chance(0.25 * spread):  # a thick-slice or low-resolution acquisition, resampled to 1 mm
        sigma[int(draw.chance(0.5))] = u(0.8, 1.9)
    elif draw.chance(0.2 * spread):
        sigma = [u(0.7, 1.1)] * 2
    image = _blur(image, tuple(sigma))
    std = u(0.003, 0.06 * spread)
    real, imaginary = noise[1], noise[2]
    if draw.chance(0.6):  # noise of a coarser grid, resampled to 1 mm, is smooth
        width = (u(0.3, 1.3), u(0.3, 1.3))
        real, imaginary = (n / n.std() for n in (_blur(real, width), _blur(imaginary, width)))
    image = ((image + std * real) ** 2 + (std * imaginary) ** 2).sqrt()
    if draw.chance(0.4):  # exported with the background set to zero
        image = torch.where(shares[INDEX["background"]] > u(0.6, 0.999), torch.zeros_like(image), image)
    return image * math.exp(spread * u(math.log(0.5), math.log(1.35)))


def random_patient(draw: Draw, device="cpu") -> Patient:
    """A patient, now and then with a lesion, a bone flap or fillings."""
    patient = make_head(draw.generator, device)
    found = {}
    if draw.chance(0.15):
        found["lesion"] = draw_lesion(list(LESIONS)[int(draw.uniform(0, len(LESIONS)))], draw.generator)
    if draw.chance(0.03):
        found["flap"] = draw_flap(draw.generator)
    if draw.chance(0.08):
        found["fillings"] = draw_fillings(draw.generator)
    return dataclasses.replace(patient, build=dataclasses.replace(patient.build, **found))


def slice_shares(patient: Patient, points: Tensor) -> Tensor:
    """Tissue shares (tissues, H, W) of a slice at points (3, H, W); on a CPU in tiles, of which many know few parts."""
    if points.device.type != "cpu":
        return patient.shares(points)
    rows = [torch.cat([patient.shares(t) for t in row.split(TILE, 2)], 2) for row in points.split(TILE, 1)]
    return torch.cat(rows, 1)


def random_slice(
    draw: Draw,
    patients: list[Patient],
    size: int,
    device="cpu",
    view: View = VIEWS["ct"],
    planes: tuple[str, ...] = PLANES,
):
    """Tissue shares (tissues, size, size) of a random slice through each state of a patient, and its points (3, size,
    size)."""
    plane = planes[int(draw.uniform(0, len(planes)))]
    points = slice_points(draw, plane, size, device, view)
    found = torch.stack([slice_shares(patient, points) for patient in patients], 1)
    if draw.chance(0.35):
        cut = Deface(draw.generator)(patients[0].to_template(points), patients[0])
        found = replace(found, cut, "background")
    return cut_field_of_view(draw, found, points).unbind(1), points


def plain_t1() -> Tensor:
    """(tissues,) signals of a 3 T scan, white matter = 1: what a CT is translated to."""
    signal = mr_signals("t1", 3.0)
    return signal / signal[INDEX["white matter"]]


def render_noisy_ct(draw: Draw, ct: Tensor) -> Tensor:
    """HU (H, W) with the noise of a scanner: up to 25 HU after the reconstruction's blur, and mostly below 10."""
    noise = torch.randn(ct.shape, generator=draw.generator).to(ct.device)
    width = draw.uniform(0.2, 1.2)
    noise = _blur(noise, (width, width))
    return ct + 25 * draw.uniform(0, 1) ** 2 * noise / noise.std()


class Shot(NamedTuple):
    """A slice of a patient: which one, tissue shares (tissues, H, W) in 255ths when the MR was made, and CT or FA (H,
    W)."""

    patient: int
    shares: Tensor
    still: Tensor


def pairs(
    seed: int,
    size: int = 192,
    device="cpu",
    pool: int = 256,
    reuse: int = 4,
    task: str = "mr2ct",
    paired: bool = True,
    misalign: float = 0.0,
    wild: bool | None = None,
    planes: tuple[str, ...] = PLANES,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless (source, target) slices (1, size, size) of a task: "mr2ct", "ct2mr" or "t1fa".

    MR in white-matter units, CT in HU, FA in 0..1. Targets have no noise; as a target, MR has the contrast of
    `plain_t1`. Where not paired, source and target are of different patients, and MR is near what one scanner gives:
    wild, if given, says whether its contrast is any. misalign: mm by which the patient moved between the two, as in
    `make_patient`. planes: of the slices, each as often.

    Each anatomy is shown `reuse` times, under another scanner and mirrored or not, from a shuffled pool, and four
    slices come from each patient, since making a head costs more than scanning it.
    """
    draw = Draw(torch.Generator().manual_seed(seed))
    wild = paired if wild is None else wild
    shelf: list[Shot] = []
    for count in itertools.count():
        if count % 4 == 0:
            patient = random_patient(draw, device)
            states = [patient, misaligned(patient, misalign, draw.generator)] if misalign else [patient]
        view = VIEWS["fa" if task == "t1fa" and draw.chance(0.75) else "ct"]  # now and then face and neck: FA 0
        found, points = random_slice(draw, states, size, device, view, planes)
        still = render_fa(patient, found[0], points) if task == "t1fa" else render_ct(found[0])
        shot = Shot(count // 4, (found[-1] * 255).round().to(torch.uint8), still)
        if len(shelf) < pool:
            shelf.append(shot)
        else:
            shelf[int(draw.uniform(0, pool))] = shot
        for k in range(reuse):
            shown = shot if k == 0 else shelf[int(draw.uniform(0, len(shelf)))]
            other = shown if paired else _stranger(draw, shelf, shown)
            if other is not None:
                images = torch.stack([_source(draw, task, shown, wild), _target(task, other)])[:, None]
                yield tuple(images.flip(2) if draw.chance(0.5) else images)


def _stranger(draw: Draw, shelf: list[Shot], shown: Shot) -> Shot | None:
    """A slice of another patient; None while there is none."""
    others = [shot for shot in shelf if shot.patient != shown.patient]
    return others[int(draw.uniform(0, len(others)))] if others else None


def _source(draw: Draw, task: str, shot: Shot, wild: bool) -> Tensor:
    if task == "ct2mr":
        return render_noisy_ct(draw, shot.still)
    shares = shot.shares.float() / 255
    return render_mr(draw, stripped(draw, shares) if task == "t1fa" else shares, 1.0 if wild else NEAR)


def _target(task: str, shot: Shot) -> Tensor:
    if task != "ct2mr":
        return shot.still
    return _blur(torch.tensordot(plain_t1().to(shot.still.device), shot.shares.float() / 255, 1), (0.4, 0.4))
