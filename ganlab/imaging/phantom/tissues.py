"""What the phantom is made of: one row per tissue, with its CT number and its T1-weighted signal.

CT numbers are typical adult values in HU at 120 kVp (Schneider et al., Phys Med Biol 45:459, 2000; soft tissue
and brain: Hounsfield's scale as in Bushberg, The Essential Physics of Medical Imaging). T1-weighted signals are
relative to white matter = 1, as a magnetisation-prepared gradient echo at 3 T without fat suppression shows them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class Tissue(NamedTuple):
    hu: float
    t1: float


TISSUES = {
    "background": Tissue(-1000, 0.0),
    "air": Tissue(-1000, 0.0),
    "fluid": Tissue(7, 0.22),
    "grey matter": Tissue(37, 0.68),
    "white matter": Tissue(29, 1.0),
    "cortical bone": Tissue(1350, 0.04),
    "cancellous bone": Tissue(550, 0.55),
    "petrous bone": Tissue(1700, 0.05),
    "vertebral marrow": Tissue(300, 0.6),
    "tooth": Tissue(2200, 0.02),
    "fat": Tissue(-95, 1.25),
    "muscle": Tissue(55, 0.52),
    "skin": Tissue(25, 0.75),
    "mucosa": Tissue(40, 0.65),
    "vitreous": Tissue(10, 0.2),
    "lens": Tissue(85, 0.5),
    "vessel": Tissue(45, 0.3),
    "disc": Tissue(90, 0.4),
}
NAMES = list(TISSUES)
INDEX = {name: i for i, name in enumerate(NAMES)}
LABELS = dict(enumerate(NAMES))


def table(column: str, device="cpu") -> torch.Tensor:
    """One column of the table as (tissues,) float32."""
    return torch.tensor([getattr(t, column) for t in TISSUES.values()], dtype=torch.float32, device=device)
