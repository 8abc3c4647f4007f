"""A set of images for a visual Turing test: as many real as generated ones, mixed, the truth apart from them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganlab.checkpoints import replacing
from ganlab.errors import InputError
from ganlab.generation.data import Progress, load_images
from ganlab.generation.export import grey, save_png
from ganlab.generation.own_images import judged_kind
from ganlab.generation.sampling import generate
from ganlab.generation.trainer import load_generator

MOST = 2000
SPARE = 4  # held-out images made for each that is shown, so that there are enough of every class
REAL, SYNTHETIC = "real", "synthetic"


@dataclass(frozen=True)
class Stimuli:
    """images (N, H, W) uint8 in the order in which they are to be shown; a row of truth for each: arm, class ("" where
    there are none), source and number in the source."""

    images: np.ndarray
    truth: list[tuple[str, str, str, int]]

    @property
    def synthetic(self) -> np.ndarray:
        return np.array([arm == SYNTHETIC for arm, *_ in self.truth])


def mixed(
    name: str,
    count: int,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress = None,
    source: Path | None = None,
) -> Stimuli:
    """Half generated, half held-out real images, mixed. Classes are as frequent in either arm. Both go one way: clipped
    to the network's range, through the kind's first window, to 8 bits. What is drawn and its order come from the seed,
    so who is to be blind must not know it. source: the folder that a generator of a user's own images learned from; the
    real ones are then of its held-out part. Raises InputError for a count that is odd or not 2 to 2,000."""
    if count % 2 or not 2 <= count <= MOST:
        raise InputError(f"{count} images cannot be halved between real and synthetic; ask for an even 2 to {MOST:,}.")
    half, rng = count // 2, np.random.default_rng(seed)
    kind = judged_kind(name, load_generator(name)[1], source)
    made = generate(name, half, seed, device=device)
    spare = SPARE if kind.modality else kind.count  # what is made is new for each set
    fresh = load_images(kind, True, min(spare * half, kind.count), progress, draw=2 + seed)
    labels = fresh.labels.numpy() if made.labels.max() >= 0 else np.full(len(fresh), -1)
    taken = np.empty(half, int)
    for label in np.unique(made.labels):
        wanted, there = np.flatnonzero(made.labels == label), np.flatnonzero(labels == label)
        if len(wanted) > len(there):
            raise InputError(
                f"{count} images want {len(wanted)} real ones of a class, and {len(there)} are held out; ask for fewer."
            )
        taken[wanted] = rng.permutation(there)[: len(wanted)]
    images = np.concatenate([made.images, kind.to_unit(fresh.images[taken])])
    said = [kind.classes[label] if label >= 0 else "" for label in made.labels]
    truth = [(SYNTHETIC, said[k], name, k) for k in range(half)]
    truth += [(REAL, said[k], kind.name, int(taken[k])) for k in range(half)]
    order = rng.permutation(count)
    return Stimuli(grey(images[order], next(iter(kind.windows.values()))), [truth[k] for k in order])


def write_stimuli(
    name: str,
    count: int,
    folder: Path,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress = None,
    source: Path | None = None,
) -> dict[str, str]:
    """`mixed` as folder/images/CODE.png, all of one size and without a word in them, and folder/truth.csv, a row a
    code; {what: path}. Raises InputError as mixed does, and for files that cannot be written."""
    stimuli, folder = mixed(name, count, seed, device, progress, source), Path(folder)
    codes = [f"{value:08x}" for value in np.random.default_rng([seed, 1]).choice(2**32, count, replace=False)]
    for code, image in zip(codes, stimuli.images, strict=True):  # mixed, so the files' dates tell nothing
        save_png(image, folder / "images" / f"{code}.png", plain=True)
    with replacing(folder / "truth.csv") as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["code", "arm", "class", "source", "number"])
        writer.writerows(sorted((code, *row) for code, row in zip(codes, stimuli.truth, strict=True)))
    return {"images": str(folder / "images"), "truth": str(folder / "truth.csv")}
