"""Image sets for a visual Turing test: as many real as generated images, shuffled, with the truth stored separately."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganlab.checkpoints import replacing
from ganlab.errors import InputError
from ganlab.generation.export import grey, save_png
from ganlab.generation.image_kinds import Progress, load_images
from ganlab.generation.loading import load_generator
from ganlab.generation.own_images import judged_kind
from ganlab.generation.sampling import generate

MOST = 2000
GREYS = 9  # of digits: their exact black and white, and the greys between, would tell who drew them
SPARE = 4  # held-out candidates per image shown, so that there are enough of every class
REAL, SYNTHETIC = "real", "synthetic"


@dataclass(frozen=True)
class MixedImages:
    """Images (N, H, W) uint8 in the order in which they are shown, and for each a row of truth: arm, class ("" if there
    are none), source, and index in the source."""

    images: np.ndarray
    truth: list[tuple[str, str, str, int]]

    @property
    def synthetic(self) -> np.ndarray:
        """(N,) bool: whether an image was generated."""
        return np.array([arm == SYNTHETIC for arm, *_ in self.truth])


def mix_images(
    name: str,
    count: int,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress = None,
    source: Path | None = None,
) -> MixedImages:
    """Half generated, half held-out real images, shuffled.

    Classes are equally frequent in both arms. Both arms go through the same steps: clipped to the network's range, then
    to 8 bits by the kind's default window. Digits, which no window belongs to, are first stretched to the whole range,
    each by itself, and rounded to nine greys. Selection and order follow from the seed, so readers must not know it.

    source: for a generator of a user's own images, the folder it was trained on; the real images come from its held-out
    part. Raises InputError for a count that is odd or outside 2 to 2,000.
    """
    if count % 2 or not 2 <= count <= MOST:
        raise InputError(f"{count} images cannot be halved between real and synthetic; ask for an even 2 to {MOST:,}.")
    half, rng = count // 2, np.random.default_rng(seed)
    kind = judged_kind(name, load_generator(name)[1], source)
    generated = generate(name, half, seed, device=device)
    spare = SPARE if kind.modality else kind.count  # new phantoms for each set
    real = load_images(kind, True, min(spare * half, kind.count), progress, draw=2 + seed)
    labels = real.labels.numpy() if generated.labels.max() >= 0 else np.full(len(real), -1)
    chosen = np.empty(half, int)
    for label in np.unique(generated.labels):
        positions, available = np.flatnonzero(generated.labels == label), np.flatnonzero(labels == label)
        if len(positions) > len(available):
            raise InputError(
                f"{count} images need {len(positions)} real ones of a class, but only {len(available)} are held out; "
                "ask for fewer."
            )
        chosen[positions] = rng.permutation(available)[: len(positions)]
    images = np.concatenate([generated.images, kind.to_unit(real.images[chosen])])
    classes = [kind.classes[label] if label >= 0 else "" for label in generated.labels]
    truth = [(SYNTHETIC, classes[k], name, k) for k in range(half)]
    truth += [(REAL, classes[k], kind.name, int(chosen[k])) for k in range(half)]
    order = rng.permutation(count)
    images = in_few_greys(images, kind.window) if kind.name == "digits" else images
    return MixedImages(grey(images[order], kind.window), [truth[k] for k in order])


def in_few_greys(images: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Images (N, H, W), each stretched to the window and rounded to GREYS values."""
    low, high = (end(images, axis=(1, 2), keepdims=True) for end in (np.min, np.max))
    shares = (images - low) / np.maximum(high - low, np.finfo(np.float32).tiny)
    return window[0] + (window[1] - window[0]) * np.round(shares * (GREYS - 1)) / (GREYS - 1)


def write_mixed_images(
    name: str,
    count: int,
    folder: Path,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress = None,
    source: Path | None = None,
) -> dict[str, str]:
    """Write the images of `mix_images` as folder/images/CODE.png, all of the same file size and without metadata, and
    folder/truth.csv with a row per code. Returns {what: path}. Raises InputError as mix_images does, and for files that
    cannot be written."""
    mixed, folder = mix_images(name, count, seed, device, progress, source), Path(folder)
    codes = [f"{value:08x}" for value in np.random.default_rng([seed, 1]).choice(2**32, count, replace=False)]
    for code, image in zip(codes, mixed.images, strict=True):  # in shuffled order: file dates reveal nothing
        save_png(image, folder / "images" / f"{code}.png", plain=True)
    with replacing(folder / "truth.csv") as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["code", "arm", "class", "source", "number"])
        writer.writerows(sorted((code, *row) for code, row in zip(codes, mixed.truth, strict=True)))
    return {"images": str(folder / "images"), "truth": str(folder / "truth.csv")}
