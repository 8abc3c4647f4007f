"""Synthetic patients: a head, its MR and CT scans, paired by construction, made from a seed.

Names are imported when they are first used, so that `ganlab.phantoms.options` loads without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganlab.phantoms.lesions import Lesion, Spot
    from ganlab.phantoms.options import LESIONS, MODALITIES, SCANNERS, PhantomOptions
    from ganlab.phantoms.tissues import LABELS
    from ganlab.phantoms.volumes import make_patient

__all__ = ["LABELS", "LESIONS", "MODALITIES", "SCANNERS", "Lesion", "PhantomOptions", "Spot", "make_patient"]
_MODULES = {
    "Lesion": "lesions",
    "Spot": "lesions",
    "LESIONS": "options",
    "SCANNERS": "options",
    "PhantomOptions": "options",
    "LABELS": "tissues",
    "MODALITIES": "options",
    "make_patient": "volumes",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
