"""The kinds of images that generators learn, none of which is downloaded: handwritten digits, lung nodules and slices
of phantom heads, and the images of a user's own folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import InputError
from ganlab.generation.brain_slices import FIELD, LEVELS, make_brain_slices
from ganlab.phantoms.lungs.ct_slice import PIXEL
from ganlab.phantoms.lungs.nodules import KINDS, make_nodules

TRAINING, HELD_OUT = 10**9, 9000  # seeds
OWN = "own-"  # prefix of the kinds of a user's own images
CT_WINDOWS = {"lung": (-1350.0, 150.0), "mediastinum": (-160.0, 240.0)}  # HU: W 1500 L -600, W 400 L 40
Progress = Callable[[float], None] | None  # called with the share done, 0 to 1


@dataclass(frozen=True)
class ImageKind:
    """A kind of image: its size, unit and range, its classes, and how to make images of it.

    Attributes:
        size: pixels of a side.
        mm: size of a pixel in mm; 0 if it has none.
        classes: names of the labels; () if there are none.
        low, high: the values, in `unit`, that -1 and 1 of a network stand for; values beyond are clipped.
        windows: name -> (low, high) of display windows, the default first.
        make: (seed, count, progress) -> (images (N, size, size) in `unit`, labels (N,)).
        count: images of a training set.
        digest: checksum of the user's files that they come from; 0 if they come from elsewhere.
    """

    name: str
    title: str
    size: int
    mm: float
    classes: tuple[str, ...]
    low: float
    high: float
    unit: str
    windows: dict[str, tuple[float, float]]
    make: Callable[[int, int, Progress], tuple[np.ndarray, np.ndarray]] = field(repr=False)
    count: int
    digest: int = 0

    @property
    def sides(self) -> tuple[str, ...]:
        """The patient's sides at the left, right, top and bottom of an image; () if unknown."""
        return ("R", "L", "A", "P") if self.name.startswith("brain-") else ()

    @property
    def modality(self) -> str:
        """ "ct" (values in HU), "fa", "t1", or "" for images that no scanner made."""
        return "ct" if self.unit == "HU" else self.name.split("-")[1] if self.name.startswith("brain-") else ""

    @property
    def window(self) -> tuple[float, float]:
        """(low, high) of the default display window, in `unit`."""
        return next(iter(self.windows.values()))

    def to_network(self, values: np.ndarray | Tensor) -> Tensor:
        """(N, 1, size, size) in -1..1 from values (N, size, size) in `unit`."""
        values = torch.as_tensor(values, dtype=torch.float32)
        return ((values - self.low) / (self.high - self.low) * 2 - 1).clamp(-1, 1)[:, None]

    def to_unit(self, images: Tensor) -> np.ndarray:
        """(N, size, size) float32 in `unit` from network images (N, 1, size, size) in -1..1."""
        images = images[:, 0].detach().float().cpu().clamp(-1, 1)
        return ((images + 1) / 2 * (self.high - self.low) + self.low).numpy()


@dataclass(frozen=True)
class Images:
    """Images (N, 1, size, size) in -1..1 of one kind, and their labels (N,) int64."""

    kind: ImageKind
    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)


def same_images(config: Any, kind: ImageKind) -> bool:
    """Whether the configuration of a trained network has the count of a kind's images and, as far as it is known, the
    digest of their files."""
    return config.count == kind.count and config.digest in (0, kind.digest)


def load_images(
    kind: ImageKind, held_out: bool = False, count: int | None = None, progress: Progress = None, draw: int = 0
) -> Images:
    """The training set of a kind, or held-out images made from another seed: the same in every call.

    draw: a number for other held-out images. It has no effect on digits, of which there are no others.
    """
    count, seed = count or kind.count, TRAINING
    if held_out:
        seed = HELD_OUT + draw % (TRAINING // 2) if kind.modality else HELD_OUT
    values, labels = kind.make(seed, count, progress)
    return Images(kind, kind.to_network(values), torch.as_tensor(labels, dtype=torch.int64))


def make_digits(seed: int, count: int, progress: Progress = None) -> tuple[np.ndarray, np.ndarray]:
    """(handwritten digits (count, 16, 16) in 0..16, labels) of scikit-learn (UCI), enlarged from 8 x 8 by bicubic
    interpolation. The first 1,500 of the 1,797 are for training; the seed HELD_OUT gives the rest."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    chosen = slice(1500, None) if seed == HELD_OUT else slice(0, 1500)
    small = torch.from_numpy(digits.images[chosen].astype(np.float32))[:, None]
    large = F.interpolate(small, scale_factor=2, mode="bicubic", align_corners=False).clamp(0, 16)[:, 0]
    return large.numpy()[:count], digits.target[chosen][:count]


def make_nodule_patches(seed: int, count: int, progress: Progress = None) -> tuple[np.ndarray, np.ndarray]:
    """(CT patches (count, 56, 56) of lung nodules in HU, labels: 0 benign, 1 malignant)."""
    images, labels = [], []
    for start in range(0, count, 128):
        part = make_nodules(seed, min(128, count - start), start=start)
        images.append(part.images)
        labels.append(part.labels)
        if progress:
            progress(min(1.0, (start + 128) / count))
    return np.concatenate(images), np.concatenate(labels)


BRAINS = {  # modality -> title, range, unit, windows
    "t1": ("T1-weighted MR", (0.0, 2.0), "", {"usual": (0.0, 1.5)}),
    "ct": ("CT", (-1000.0, 2000.0), "HU", {"bone": (-800.0, 1800.0), "brain": (-20.0, 100.0)}),
    "fa": ("FA", (0.0, 1.0), "", {"usual": (0.0, 0.8)}),
}
IMAGE_KINDS = {
    "digits": ImageKind(
        "digits", "Handwritten digits", 16, 0.0, tuple("0123456789"), 0.0, 16.0, "", {"usual": (0.0, 16.0)},
        make_digits, 1500,
    ),
    "nodules": ImageKind(
        "nodules", "Lung nodules on CT", 56, PIXEL, KINDS, -1000.0, 500.0, "HU", CT_WINDOWS, make_nodule_patches, 4096
    ),
    **{
        f"brain-{modality}-{size}": ImageKind(
            f"brain-{modality}-{size}", f"Brain slices, {title}, {size} x {size}", size, FIELD / size, LEVELS, *limits,
            unit, windows, partial(make_brain_slices, modality=modality, size=size), 3000,
        )
        for size in (64, 128)
        for modality, (title, limits, unit, windows) in BRAINS.items()
    },
}  # fmt: skip


def get_kind(name: str) -> ImageKind:
    """The kind of a name; "own-SIZE" stands for a user's own images. Raises InputError for an unknown name."""
    if name.startswith(OWN) and name.removeprefix(OWN).isdecimal():
        size = int(name.removeprefix(OWN))
        return ImageKind(name, "Your images", size, 0.0, (), 0.0, 1.0, "", {"usual": (0.0, 1.0)}, _refuse_own, 0)
    if name not in IMAGE_KINDS:
        raise InputError(f'Images "{name}" are not known; choose from {", ".join(IMAGE_KINDS)}.')
    return IMAGE_KINDS[name]


def _refuse_own(seed: int, count: int, progress: Progress = None):
    raise InputError("This generator was trained on your own images; give their folder again with --source.")
