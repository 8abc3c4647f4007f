"""torch, imported when it is first used: it takes seconds, which neither the first page nor a --help should wait for.

`from ganlab.lazy import F, Tensor, torch` in a module that defines more than it computes. Tensor is for annotations.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING


class Lazy:
    """A module's attributes; each is looked up once."""

    def __init__(self, module: str):
        self._module = module

    def __getattr__(self, name: str):
        value = getattr(import_module(self._module), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import torch
    import torch.nn.functional as F
    from torch import Tensor
else:
    torch, F, Tensor = Lazy("torch"), Lazy("torch.nn.functional"), "torch.Tensor"
