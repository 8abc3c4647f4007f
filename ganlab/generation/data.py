"""Images to learn from, with no download: digits, lung nodules, slices of phantom heads; and a user's own folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import InputError
from ganlab.generation.export import WINDOWS
from ganlab.phantoms.lungs.ct_slice import PIXEL
from ganlab.phantoms.lungs.nodules import KINDS, make_nodules

TRAINING, HELD_OUT = 10**9, 9000  # seeds
OWN = "own-"
Progress = Callable[[float], None] | None


@dataclass(frozen=True)
class Kind:
    """What one sort of image is.

    size: pixels of a side. mm: of a pixel; 0 where it has none. classes: names of the labels. low, high, unit: what a
    network's -1 and 1 stand for; values beyond are clipped. windows: name -> (low, high) to look at, the first by
    default. made: (images (N, size, size) in the unit, labels (N,)) of a seed and count. count: of a training set.
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
    made: Callable[[int, int, Progress], tuple[np.ndarray, np.ndarray]] = field(repr=False)
    count: int

    @property
    def sides(self) -> tuple[str, ...]:
        """The patient's sides at the left, right, top and bottom of an image; () where they are not known."""
        return ("R", "L", "A", "P") if self.name.startswith("brain-") else ()

    @property
    def modality(self) -> str:
        """ "ct" where values are HU, "fa", "t1", or "" for what no scanner made."""
        return "ct" if self.unit == "HU" else self.name.split("-")[1] if self.name.startswith("brain-") else ""

    def to_network(self, values: np.ndarray | Tensor) -> Tensor:
        """(N, 1, size, size) in -1..1 from values (N, size, size) in the unit."""
        values = torch.as_tensor(values, dtype=torch.float32)
        return ((values - self.low) / (self.high - self.low) * 2 - 1).clamp(-1, 1)[:, None]

    def to_unit(self, images: Tensor) -> np.ndarray:
        """(N, size, size) float32 in the unit from a network's (N, 1, size, size)."""
        images = images[:, 0].detach().float().cpu().clamp(-1, 1)
        return ((images + 1) / 2 * (self.high - self.low) + self.low).numpy()


@dataclass(frozen=True)
class Images:
    """images (N, 1, size, size) in -1..1, labels (N,) int64, and what they are."""

    kind: Kind
    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)


def _unmade(seed: int, count: int, progress: Progress = None):
    raise InputError("These images are a user's own, and not here; give their folder again with --source.")


def load_images(
    kind: Kind, held_out: bool = False, count: int | None = None, progress: Progress = None, draw: int = 0
) -> Images:
    """The training set, or what is held out from it, of another seed: the same in every call. draw: other held-out
    images, where they are made; there are no other digits."""
    count, seed = count or kind.count, TRAINING
    if held_out:
        seed = HELD_OUT + draw % (TRAINING // 2) if kind.modality else HELD_OUT
    values, labels = kind.made(seed, count, progress)
    return Images(kind, kind.to_network(values), torch.as_tensor(labels, dtype=torch.int64))


def make_digits(seed: int, count: int, progress: Progress = None) -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits of scikit-learn (UCI, 8 x 8 pixels, 0 to 16), bicubic on 16 x 16: of 1,797 the first 1,500 to
    train on, the rest held out."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    chosen = slice(1500, None) if seed == HELD_OUT else slice(0, 1500)
    small = torch.from_numpy(digits.images[chosen].astype(np.float32))[:, None]
    large = F.interpolate(small, scale_factor=2, mode="bicubic", align_corners=False).clamp(0, 16)[:, 0]
    return large.numpy()[:count], digits.target[chosen][:count]


def make_patches(seed: int, count: int, progress: Progress = None) -> tuple[np.ndarray, np.ndarray]:
    """CT patches of lung nodules in HU; 0 benign, 1 malignant."""
    images, labels = [], []
    for start in range(0, count, 128):
        part = make_nodules(seed, min(128, count - start), start=start)
        images.append(part.images)
        labels.append(part.labels)
        if progress:
            progress(min(1.0, (start + 128) / count))
    return np.concatenate(images), np.concatenate(labels)


HEIGHTS = (-12.0, 52.0)  # mm in the template: from the temporal lobes to above the ventricles
LEVELS = ("temporal lobes", "basal ganglia", "ventricles", "centrum semiovale")
PER_PATIENT = 6  # slices
FIELD = 224.0  # mm, of the side of a slice


def make_brains(seed: int, count: int, progress: Progress = None, modality: str = "t1", size: int = 64):
    """Axial slices (count, size, size) of phantom patients and their level in the head (see LEVELS)."""
    images, labels = [], []
    for k, (image, label) in zip(range(count), brain_slices(seed, modality, size), strict=False):
        images.append(image)
        labels.append(label)
        if progress:
            progress((k + 1) / count)
    return np.stack(images), np.array(labels)


def brain_slices(seed: int, modality: str, size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Endless axial slices and their level. Drawn on points of 1.75 mm, of which pixels are means; six of a patient,
    evenly spread in height; the head is turned by some degrees and lies some mm off the middle."""
    from ganlab.phantoms.patient import make_head, rotation
    from ganlab.phantoms.sampler import Draw, plain_t1, render_ct, render_fa, render_noisy_ct, slice_shares

    points = FIELD / 128
    step = (torch.arange(128) - 63.5) * points
    a, b = torch.meshgrid(step, step, indexing="ij")
    draw = Draw(torch.Generator().manual_seed(seed))
    while True:
        patient = make_head(draw.generator, "cpu")
        tilt = rotation(torch.tensor([draw.normal(0.04) for _ in range(3)]))
        shift = [draw.normal(3.0), draw.normal(3.0) - 18.0]
        for k in range(PER_PATIENT):
            share = (k + draw.uniform(0, 1)) / PER_PATIENT
            height = HEIGHTS[0] + share * (HEIGHTS[1] - HEIGHTS[0])
            place = torch.stack([a + shift[0], b + shift[1], torch.full_like(a, height)])
            place = torch.tensordot(tilt, place, 1)
            with torch.inference_mode():
                shares = slice_shares(patient, place)
                if modality == "t1":
                    noise = 0.02 * torch.randn((2, 128, 128), generator=draw.generator)
                    image = torch.hypot(torch.tensordot(plain_t1(), shares, 1) + noise[0], noise[1])
                elif modality == "ct":
                    image = render_noisy_ct(draw, render_ct(shares))
                else:
                    image = render_fa(patient, shares, place)
                image = F.avg_pool2d(image[None, None], 128 // size)[0, 0]
            yield image.T.flip(0, 1).numpy(), int(share * len(LEVELS))  # anterior up, the patient's right on the left


BRAINS = {  # modality -> title, range, unit, windows
    "t1": ("T1-weighted MR", (0.0, 2.0), "", {"usual": (0.0, 1.5)}),
    "ct": ("CT", (-1000.0, 2000.0), "HU", {"bone": (-800.0, 1800.0), "brain": (-20.0, 100.0)}),
    "fa": ("FA", (0.0, 1.0), "", {"usual": (0.0, 0.8)}),
}
KINDS_OF_IMAGES = {
    "digits": Kind(
        "digits", "Handwritten digits", 16, 0.0, tuple("0123456789"), 0.0, 16.0, "", {"usual": (0.0, 16.0)},
        make_digits, 1500,
    ),
    "nodules": Kind(
        "nodules", "Lung nodules on CT", 56, PIXEL, KINDS, -1000.0, 500.0, "HU", WINDOWS, make_patches, 4096
    ),
    **{
        f"brain-{modality}-{size}": Kind(
            f"brain-{modality}-{size}", f"Brain slices, {title}, {size} x {size}", size, FIELD / size, LEVELS, *limits,
            unit, windows, partial(make_brains, modality=modality, size=size), 3000,
        )
        for size in (64, 128)
        for modality, (title, limits, unit, windows) in BRAINS.items()
    },
}  # fmt: skip


def get_kind(name: str) -> Kind:
    """By its name; "own-SIZE" are a user's images. Raises InputError for a name that is not known."""
    if name.startswith(OWN) and name.removeprefix(OWN).isdecimal():
        size = int(name.removeprefix(OWN))
        return Kind(name, "Your images", size, 0.0, (), 0.0, 1.0, "", {"usual": (0.0, 1.0)}, _unmade, 0)
    if name not in KINDS_OF_IMAGES:
        raise InputError(f'Images "{name}" are not known; choose from {", ".join(KINDS_OF_IMAGES)}.')
    return KINDS_OF_IMAGES[name]
