"""A set of images for a visual Turing test: as many real as generated ones, mixed, the truth apart from them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from ganlab.checkpoints import replacing
from ganlab.errors import InputError
from ganlab.generation.data import Progress, load_images
from ganlab.generation.export import grey, save_png
from ganlab.generation.sampling import generate

MOST = 2000
SPARE = 8  # held-out images per image of a class that is needed, to choose from
REAL, SYNTHETIC = "real", "synthetic"


def write_stimuli(
    name: str, count: int, folder: Path, seed: int = 0, device: str = "cpu", progress: Progress = None
) -> dict[str, str]:
    """folder/images/CODE.png, half generated and half held-out real images, and folder/truth.csv: a row a code, which
    tells the arm, the class and the image's number in its source; {what: path}.

    Classes are as frequent in either arm. Both go one way: clipped to the network's range, through the kind's first
    window, to 8 bits, in PNG files of one size without a word in them; codes and order come from the seed, so who is to
    be blind must not know it. Raises InputError for a count that is odd or not 2 to 2,000, or files that cannot be
    written.
    """
    if count % 2 or not 2 <= count <= MOST:
        raise InputError(f"{count} images cannot be halved between real and synthetic; ask for an even 2 to {MOST:,}.")
    half, rng, folder = count // 2, np.random.default_rng(seed), Path(folder)
    made = generate(name, half, seed, device=device)
    kind = made.kind
    fresh = load_images(kind, held_out=True, count=min(SPARE * half, kind.count), progress=progress)
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
    rows = [(SYNTHETIC, made.labels[k], k) for k in range(half)]
    rows += [(REAL, made.labels[k], taken[k]) for k in range(half)]
    codes = [f"{value:08x}" for value in rng.choice(2**32, count, replace=False)]
    window = next(iter(kind.windows.values()))
    for k in rng.permutation(count):  # the files' dates tell nothing
        save_png(grey(images[k], window), folder / "images" / f"{codes[k]}.png", plain=True)
    with replacing(folder / "truth.csv") as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["code", "arm", "class", "source", "number"])
        for code, (arm, label, number) in sorted(zip(codes, rows, strict=True)):
            said = kind.classes[label] if label >= 0 else ""
            writer.writerow([code, arm, said, kind.name if arm == REAL else name, number])
    return {"images": str(folder / "images"), "truth": str(folder / "truth.csv")}
