"""T1-weighted signals of every tissue, standard or randomised.

Domain randomisation (Billot et al., SynthSeg, Medical Image Analysis 86:102789, 2023): contrast and field vary more
than between real scanners, so that a real scan is one more variation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganlab.phantoms.signals import mr_signals
from ganlab.phantoms.slices import Draw
from ganlab.phantoms.tissues import INDEX, NAMES


def plain_t1() -> Tensor:
    """(tissues,) signals of a plain 3 T scan, white matter = 1: the target of CT to MR."""
    signal = mr_signals("t1", 3.0)
    return signal / signal[INDEX["white matter"]]


def random_contrast(draw: Draw) -> Tensor:
    """(tissues,) T1-weighted signals, white matter = 1: near a scanner's for half of all slices, else almost free."""
    return scanner_contrast(draw) if draw.chance(0.5) else free_contrast(draw)


def scanner_contrast(draw: Draw, spread: float = 1.0) -> Tensor:
    """The signals at 1.5 or 3 T, each tissue varied by about 12 % times spread; vessels dark or bright.

    A random exponent adds the contrast of an inversion pulse, which the tables' spoiled echo lacks: grey matter at 0.55
    of white instead of 0.7 is common.
    """
    field = 3.0 if draw.chance(0.7) else 1.5
    signal = mr_signals("t1", field, fat_suppressed=draw.chance(0.3))
    signal[INDEX["vessel"]] = _flow(draw)
    signal = signal * torch.exp(0.12 * spread * torch.randn(len(NAMES), generator=draw.generator))
    signal = signal ** math.exp(draw.uniform(-0.1, 0.65))
    signal[INDEX["white matter"]] = 1.0
    signal[INDEX["grey matter"]].clamp_(max=0.95)
    return signal


def _flow(draw: Draw) -> float:
    """Signal of flowing blood: a flow void, or bright inflow."""
    return draw.uniform(0.0, 0.3) if draw.chance(0.5) else draw.uniform(0.7, 2.5)


def free_contrast(draw: Draw) -> Tensor:
    """Almost any contrast with fluid < grey < white; fat is bright or suppressed, and marrow follows it."""
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
        "tumour": u(0.3, 1.5) if draw.chance(0.5) else u(0.4, 0.8),  # with or without contrast agent
        "necrosis": u(fluid, 0.6),
        "oedema": u(0.35, 0.85),
        "plaque": u(0.3, 0.85),
        "blood": u(0.3, 1.6),
        "metal": void,
    }
    return torch.tensor([signal[name] for name in NAMES])
