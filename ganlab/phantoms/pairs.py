"""Endless pairs of slices that a translator trains on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ganlab.imaging.planes import PLANES
from ganlab.phantoms.contrasts import plain_t1
from ganlab.phantoms.patient import Patient, misaligned
from ganlab.phantoms.rendering import blur, render_ct, render_fa, render_mr, render_noisy_ct, stripped
from ganlab.phantoms.scanned.head import ScannedHead, ScannedPatient, bone_hu
from ganlab.phantoms.scanned.slices import random_scanned_patient, random_scanned_slice
from ganlab.phantoms.slices import VIEWS, Draw, View, random_patient, random_slice

NEAR = 0.25  # spread of the images of one scanner


class TrainingSlice(NamedTuple):
    """A slice of a patient, before the MR scanner."""

    patient: int
    shares: Tensor  # (tissues, H, W) uint8: tissue shares in 255ths, when the MR was acquired
    still: Tensor  # (H, W): CT or FA


def pairs(
    seed: int,
    size: int = 192,
    device: str = "cpu",
    pool: int = 256,
    reuse: int = 4,
    task: str = "mr2ct",
    paired: bool = True,
    misalign: float = 0.0,
    wild: bool | None = None,
    planes: Sequence[str] = tuple(PLANES),
    scans: Sequence[ScannedHead] = (),
    scanned: float = 0.4,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless (source, target) slices (1, size, size) of a task: "mr2ct", "ct2mr" or "t1fa".

    MR in units of white matter, CT in HU, FA in 0..1. Targets have no noise; as a target, MR has the contrast of
    `plain_t1`. Unpaired source and target are of different patients, and MR is close to the images of one scanner;
    wild: whether MR may have any contrast; by default only if paired. misalign: mm by which the patient moved between
    the two, as in `make_patient` (of phantoms only). planes: slice directions, equally frequent. scans: CT heads, whose
    anatomy this share of the patients has.

    Each anatomy is shown `reuse` times from a shuffled pool, with another scanner each time and mirrored at random, and
    four slices come from each patient, since making a head costs more than scanning it.
    """
    draw = Draw(torch.Generator().manual_seed(seed))
    wild = paired if wild is None else wild
    slices: list[TrainingSlice] = []
    for count in itertools.count():
        if count % 4 == 0:
            patient = _random_patient(draw, scans, scanned, device)
        view = _view(draw, task)
        often = [plane for plane in planes if plane == "axial" and view is VIEWS["base"]]  # the hardest to read
        where = size, device, view, (*planes, *often)
        newest = _training_slice(draw, patient, count // 4, task, misalign, where)
        if len(slices) < pool:
            slices.append(newest)
        else:
            slices[int(draw.uniform(0, pool))] = newest
        for k in range(reuse):
            source = newest if k == 0 else slices[int(draw.uniform(0, len(slices)))]
            target = source if paired else _other_patient(draw, slices, source)
            if target is not None:
                images = torch.stack([_source(draw, task, source, wild), _target(task, target)])[:, None]
                x, y = images.flip(2) if draw.chance(0.5) else images
                yield x, y


def _view(draw: Draw, task: str) -> View:
    """FA: mostly the brain, sometimes face and neck, where it is 0. CT: the base of the skull more often than by
    chance, since its cells of air are small and hard to tell from bone."""
    if task == "t1fa":
        return VIEWS["fa" if draw.chance(0.75) else "ct"]
    return VIEWS["base" if draw.chance(0.45) else "ct"]


def _random_patient(draw: Draw, scans: Sequence[ScannedHead], scanned: float, device: str) -> Patient | ScannedPatient:
    """A phantom, or a patient with the anatomy of one of the CT heads."""
    if not (scans and draw.chance(scanned)):
        return random_patient(draw, device)
    return random_scanned_patient(draw, scans[int(draw.uniform(0, len(scans)))], device)


def _training_slice(
    draw: Draw, patient: Patient | ScannedPatient, number: int, task: str, misalign: float, where: tuple
) -> TrainingSlice:
    """A random slice of a patient; where: size, device, view and planes."""
    if isinstance(patient, ScannedPatient):
        moved, hu, points = random_scanned_slice(draw, patient, *where)
        still = render_fa(moved, patient.head(points.reshape(3, -1))) if task == "t1fa" else bone_hu(moved, hu)
    else:
        states = [patient, misaligned(patient, misalign, draw.generator)] if misalign else [patient]
        shares, points = random_slice(draw, states, *where)
        still = render_fa(shares[0], patient.head(points.reshape(3, -1))) if task == "t1fa" else render_ct(shares[0])
        moved = shares[-1]
    return TrainingSlice(number, (moved * 255).round().to(torch.uint8), still)


def _other_patient(draw: Draw, slices: list[TrainingSlice], source: TrainingSlice) -> TrainingSlice | None:
    """A slice of another patient; None if none is available yet."""
    others = [each for each in slices if each.patient != source.patient]
    return others[int(draw.uniform(0, len(others)))] if others else None


def _source(draw: Draw, task: str, source: TrainingSlice, wild: bool) -> Tensor:
    if task == "ct2mr":
        return render_noisy_ct(draw, source.still)
    shares = source.shares.float() / 255
    return render_mr(draw, stripped(draw, shares) if task == "t1fa" else shares, 1.0 if wild else NEAR)


def _target(task: str, target: TrainingSlice) -> Tensor:
    if task != "ct2mr":
        return target.still
    return blur(torch.tensordot(plain_t1().to(target.still.device), target.shares.float() / 255, 1), (0.4, 0.4))
