"""torch, imported when it is first used: the import takes seconds, and neither the first page nor --help needs it.

    from ganlab.lazy import F, Tensor, torch

Tensor is for annotations. Unlike `lazy_loader.load`, this leaves `sys.modules` alone: SciPy and others look there for
"torch" and would import it at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["F", "Tensor", "torch"]


class Lazy:
    """Looks up a module's attributes on first access, and keeps them."""

    def __init__(self, module: str):
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self._module), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import torch
    import torch.nn.functional as F
    from torch import Tensor
else:
    torch, F, Tensor = Lazy("torch"), Lazy("torch.nn.functional"), "torch.Tensor"
