"""Images on disk: patches and what is known of them, samples of a generator, sheets to look at."""

from __future__ import annotations

import csv
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ganlab.checkpoints import replacing
from ganlab.phantoms.lungs.nodule_parts import SOLIDITY
from ganlab.phantoms.lungs.nodules import KINDS, Nodules

if TYPE_CHECKING:
    from ganlab.generation.sampling import Samples

WINDOWS = {"lung": (-1350.0, 150.0), "mediastinum": (-160.0, 240.0)}  # W 1500 L -600, W 400 L 40
ACROSS, SCALE = 8, 3  # patches in a row of the sheet; screen pixels per pixel


def write_nodules(nodules: Nodules, folder: Path) -> dict[str, str]:
    """folder/nodules.npz (images int16 HU, masks bool), nodules.csv (a row a patch) and a sheet per window; {what:
    path}. Raises InputError if they cannot be written."""
    folder = Path(folder)
    paths = {"patches": folder / "nodules.npz", "truth": folder / "nodules.csv"}
    with replacing(paths["patches"]) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, images=nodules.images.astype(np.int16), masks=nodules.masks)
    known = [f.name for f in fields(nodules) if f.name not in ("images", "masks")]
    words = {"labels": KINDS, "solidity": SOLIDITY}
    with replacing(paths["truth"]) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["patch", *known])
        for k in range(len(nodules.images)):
            values = [(name, getattr(nodules, name)[k]) for name in known]
            writer.writerow([k, *(words[n][v] if n in words else f"{v:g}" for n, v in values)])
    for window in WINDOWS:
        paths[window] = folder / f"{window}.png"
        write_sheet(nodules.images, paths[window], WINDOWS[window])
    return {what: str(path) for what, path in paths.items()}


def write_samples(samples: Samples, folder: Path) -> dict[str, str]:
    """folder/samples.npz (images in the unit, whole HU as int16; labels; z), a sheet per window, every image as a PNG
    in the first window; {what: path}. Raises InputError if they cannot be written."""
    folder, kind = Path(folder), samples.kind
    paths = {"samples": folder / "samples.npz"}
    images = samples.images.round().astype(np.int16) if kind.unit == "HU" else samples.images
    with replacing(paths["samples"]) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, images=images, labels=samples.labels, z=samples.z.numpy())
    for name, window in kind.windows.items():
        paths[name] = folder / f"sheet-{name}.png"
        write_sheet(samples.images, paths[name], window)
    paths["images"] = folder / "images"
    for k, image in enumerate(samples.images):
        save_png(grey(image, next(iter(kind.windows.values()))), paths["images"] / f"{k:05d}.png")
    return {what: str(path) for what, path in paths.items()}


def save_png(pixels: np.ndarray, path: Path, plain: bool = False) -> None:
    """A PNG of pixels (H, W) uint8; plain: not compressed, so that its size tells nothing of what is on it."""
    from PIL import Image

    with replacing(path) as partial:
        Image.fromarray(pixels).save(partial, format="PNG", compress_level=0 if plain else 6)


def grey(image: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """0 to 255 over the window, uint8."""
    low, high = window
    return np.clip((image - low) / (high - low) * 255, 0, 255).round().astype(np.uint8)


def write_sheet(
    images: np.ndarray, path: Path, window: tuple[float, float] = WINDOWS["lung"], across: int = ACROSS
) -> None:
    """A PNG of images (N, H, W), `across` in a row, black to white over the window, nearest-neighbour enlarged."""
    save_png(tiled(images, window, across).repeat(SCALE, 0).repeat(SCALE, 1), path)


def tiled(images: np.ndarray, window: tuple[float, float], across: int = ACROSS) -> np.ndarray:
    """Images (N, H, W) as one, `across` in a row with a grey line between them, uint8."""
    count, h, w = images.shape
    rows = -(-count // across)
    sheet = np.full((rows * (h + 1), across * (w + 1)), 90, np.uint8)
    for k, image in enumerate(images):
        y, x = k // across * (h + 1), k % across * (w + 1)
        sheet[y : y + h, x : x + w] = grey(image, window)
    return sheet
