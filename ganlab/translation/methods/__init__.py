"""How translators learn from a batch: L1 alone, pix2pix, CycleGAN. All train the same generators; the losses differ.

One file per method; the losses are in `ganlab.translation.losses`.
"""

from ganlab.translation.methods.base import Method
from ganlab.translation.methods.cyclegan import CycleGAN
from ganlab.translation.methods.l1 import L1
from ganlab.translation.methods.pix2pix import Pix2Pix

METHODS: dict[str, type[Method]] = {"l1": L1, "pix2pix": Pix2Pix, "cyclegan": CycleGAN}

__all__ = ["L1", "METHODS", "CycleGAN", "Method", "Pix2Pix"]
