"""Brain, meninges and fluid spaces, from the MNI152 tissue maps.

The maps are averages of 152 brains. They leave open where sulci run and how wide sulci and ventricles are, which varies
between patients. Falx, tentorium and sinuses: Gray's Anatomy, 41st ed., ch. 26 and 27.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ganlab.phantoms.fields import along, length
from ganlab.phantoms.head.points import Head, Part, dura
from ganlab.phantoms.head.spine import cord_distance
from ganlab.phantoms.lesions import pushed

# The axis of the lateral ventricle in the maps, (y, x) and (y, z) mm, from occipital to frontal horn.
VENTRICLE_X = ((-45, 23), (-38, 19), (-32, 16), (-20, 12), (-8, 9), (4, 7), (16, 7), (22, 9), (28, 14))
VENTRICLE_Z = ((-45, 7), (-38, 10), (-32, 14), (-26, 19), (-20, 23), (-8, 22), (4, 16), (16, 10), (22, 8), (28, 4))
FOLD = 15.0  # mm from gyrus to gyrus at the surface


def ventricular(h: Head) -> Tensor:
    """Points (3, N) to look up in the template: the lateral ventricles widen about their axis and displace the rest."""
    if not h.near(x=(0, 65), y=(-90, 70), z=(-40, 65)):
        return pushed(h.p, h.build.lesion)
    x, y, z = h.p
    side = torch.where(x < 0, -1.0, 1.0)
    axis = (along(y, VENTRICLE_X) * side, y.clamp(-45, 28), along(y, VENTRICLE_Z))
    spoke = h.p - torch.stack(axis)
    reach = torch.exp(-((length(spoke) / 14) ** 2)) * torch.tanh(x.abs() / 4)
    p = h.p + spoke * reach * (1 / h.build.ventricles - 1)
    if h.near(x=(0, 16), y=(-40, 16), z=(-20, 20)):
        third = torch.exp(-((x / 6) ** 2) - ((y + 10) / 13) ** 2 - (z / 9) ** 2) * (1 / h.build.third - 1)
        p = torch.cat([(p[0] * (1 + third))[None], p[1:]])
    return pushed(p, h.build.lesion)


def maps(h: Head) -> Tensor:
    """(2, N) grey and white matter of the template."""
    return h.template.grey_white(h.once(ventricular))


def brain(h: Head) -> Iterator[Part]:
    """Grey, white and fluid shares within the dura."""
    hull = h.once(dura)
    inside = h.cover(hull)
    grey, white = h.once(maps)
    fluid = (1 - grey - white).clamp(0, 1)
    if h.build.snug:
        swollen = h.build.snug * fluid * frontotemporal_surface(h)
        grey, fluid = grey + swollen, fluid - swollen
    if h.near(x=(0, 32), y=(-60, 5), z=(-95, 14)):  # the maps call its crossing fibres grey
        share = 0.65 * grey * torch.sigmoid(8 * (1 - h.once(stem)))
        grey, white = grey - share, white + share
    gyrus = folding(h)
    weights = torch.stack(
        [
            grey,
            1.05 * white * torch.exp(gyrus),
            (fluid * h.build.atrophy + 1e-4) * torch.exp(-1.3 * gyrus),
        ]
    ).clamp_min(1e-5)
    # Sharpening undoes the averaging, except where a nucleus really is between grey and white.
    weights = weights ** (1 + (h.build.sharpness - 1) * (1 - h.once(core)))
    grey, white, fluid = weights / weights.sum(0)
    if h.near(z=(-999, -55)):  # the template ends in the medulla, the cord continues
        medulla = ((h.z < -58) & (h.once(cord_distance) < 1.5)).to(h.z.dtype)
        white = torch.maximum(white, 0.8 * medulla)
        grey = grey * (1 - medulla)
    yield "white matter", inside * white
    rest = (1 - inside * white).clamp_min(1e-4)
    yield "grey matter", (inside * grey / rest).clamp(0, 1)
    yield "fluid", inside


def frontotemporal_surface(h: Head) -> Tensor:
    """1 within 8 mm of the dura at the frontal and temporal lobes: in young heads they lie on the bone."""
    lobes = torch.maximum(h.y - 40, torch.minimum(h.y + 15, h.m[0] - 12))
    return torch.sigmoid((h.once(dura) + 8) / 1.5) * torch.sigmoid(lobes / 2)


def folding(h: Head) -> Tensor:
    """Log odds of gyrus against sulcus: ridges of even width, perpendicular to the surface of each hemisphere; in the
    cerebellum folia that fan out from its white core (arbor vitae)."""
    x, y, z = h.p
    side = torch.where(x < 0, -1.0, 1.0)
    centre = torch.stack([22 * side, y.clamp(-45, 35), torch.full_like(z, 8.0)])
    spoke = h.p - centre
    upright = centre + spoke * (45.0 / length(spoke).clamp_min(1.0)) ** 0.6
    mantle = torch.sigmoid((h.once(dura) + 27) / 4) * (1 - h.once(core))
    fold = 1.25 * h.noise(upright, FOLD, h.noise.FOLDS) * mantle
    if not h.near(x=(0, 90), y=(-125, -28), z=(-95, 14)):
        return fold
    leaf = torch.atan2(z + 33, y + 48 + 0.1 * x.abs()) * 30 + 2.5 * h.noise(h.p, 30.0, 0)
    cerebellum = torch.sigmoid(-h.once(tentorium) / 1.5) * torch.sigmoid((-40 - y) / 2)
    return fold + cerebellum * (1.05 * torch.cos(leaf) - fold)


def stem(h: Head) -> Tensor:
    """The approximate brainstem: 1 on the surface of an ellipsoid around it, 0 at its centre."""
    return length((h.m - h.m.new_tensor((0.0, -27.0, -34.0))[:, None]) / h.m.new_tensor((18.0, 17.0, 36.0))[:, None])


def core(h: Head) -> Tensor:
    """1 in thalamus, basal ganglia and brainstem, 0 in the cortex."""
    nuclei = length((h.m - h.m.new_tensor((16.0, -6.0, 3.0))[:, None]) / h.m.new_tensor((20.0, 30.0, 17.0))[:, None])
    return torch.sigmoid(10 * (1 - torch.minimum(nuclei, h.once(stem))))


def tentorium(h: Head) -> Tensor:
    """Height in mm above the tentorium, a tent with its ridge along the straight sinus."""
    return h.z - (1.0 + 0.2 * (h.y + 50) - 0.5 * (h.m[0] ** 2 + 25).sqrt())


def meninges(h: Head) -> Iterator[Part]:
    """Falx and tentorium, folds of the dura, and the venous sinuses along them."""
    hull = h.once(dura)
    if not h.near(x=(0, 8)) and not h.near(x=(0, 70), y=(-115, -30), z=(-45, 5)):
        return
    x, y, z = h.p
    inside = h.cover(hull)
    if h.near(x=(0, 8), z=(-20, 100)):
        # The superior sagittal sinus, a triangular channel under the vault, and the inferior on the falx's free edge.
        channel = torch.maximum(x.abs() - 3.2 - hull * 0.45, (hull + 2.5).abs() - 2.5)
        yield "vessel", h.cover(torch.maximum(channel, torch.minimum(5 - z, y + 60))) * inside
        edge = length(torch.stack([(y + 12) / 70, (z - 4) / 36])) - 1  # the free edge arches over the corpus callosum
        sheet = torch.maximum((x + 1.3 * h.noise(h.p, 60.0, 1)).abs() - 0.45, -edge * 40)
        falx = h.cover(torch.maximum(sheet, h.once(tentorium).neg())) * inside
        if h.build.calcified.falx:
            yield "cortical bone", h.build.calcified.falx * falx * (h.noise(h.p, 12.0, 3) > 1.0)
        yield "fibrous tissue", falx
    if h.near(x=(0, 70), y=(-115, -30), z=(-45, 5)):
        tent = h.once(tentorium)
        notch = 1 - length(torch.stack([x / 19, (y + 30) / 24]))  # the brainstem passes through
        ridge = y + 22 + 0.3 * x.abs()  # it ends on the petrous ridge
        cleft = (3 - 3 * h.once(maps).sum(0)).clamp(0, 1)
        rim = (hull + 3.5).abs() - 3.5
        transverse = torch.maximum(torch.maximum(tent.abs() - 3.5, rim), y + 45)
        straight = length(torch.stack([x, tent - 1.0])) - 2.0
        yield "vessel", h.cover(torch.maximum(straight, y + 52)) * inside
        yield "vessel", h.cover(transverse) * inside
        sheet = torch.maximum(torch.maximum(tent.abs() - 1.2, ridge), notch * 18)
        yield "fibrous tissue", h.cover(sheet) * inside * cleft
