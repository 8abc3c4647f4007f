"""Images written to disk: nodule patches with their ground truth, generated samples, contact sheets."""

from __future__ import annotations

import csv
from dataclasses import fields
from pathlib import Path

import numpy as np
from skimage.util import montage

from ganlab.checkpoints import replacing
from ganlab.generation.image_kinds import CT_WINDOWS, ImageKind
from ganlab.phantoms.lungs.nodule_parts import SOLIDITY
from ganlab.phantoms.lungs.nodules import KINDS, Nodules

COLUMNS, SCALE = 8, 3  # images in a row of a contact sheet; screen pixels per pixel
GRID = 90  # grey level of the lines between images


def write_nodules(nodules: Nodules, folder: Path) -> dict[str, str]:
    """Write folder/nodules.npz (images int16 HU, masks bool), nodules.csv (a row per patch) and a sheet per window.

    Returns {what: path}. Raises InputError if they cannot be written.
    """
    folder = Path(folder)
    paths = {"patches": folder / "nodules.npz", "truth": folder / "nodules.csv"}
    with replacing(paths["patches"]) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, images=nodules.images.astype(np.int16), masks=nodules.masks)
    columns = [f.name for f in fields(nodules) if f.name not in ("images", "masks")]
    class_names = {"labels": KINDS, "solidity": SOLIDITY}
    with replacing(paths["truth"]) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["patch", *columns])
        for k in range(len(nodules.images)):
            values = [(name, getattr(nodules, name)[k]) for name in columns]
            writer.writerow([k, *(class_names[n][v] if n in class_names else f"{v:g}" for n, v in values)])
    for name, window in CT_WINDOWS.items():
        paths[name] = folder / f"{name}.png"
        write_sheet(nodules.images, paths[name], window)
    return {what: str(path) for what, path in paths.items()}


def write_samples(
    kind: ImageKind, images: np.ndarray, labels: np.ndarray, z: np.ndarray, folder: Path
) -> dict[str, str]:
    """Write generated images (N, size, size) in the kind's unit: folder/samples.npz (images, whole HU as int16; labels
    (N,); z (N, z)), a sheet per window, and every image as a PNG in the default window.

    Returns {what: path}. Raises InputError if they cannot be written.
    """
    folder = Path(folder)
    paths = {"samples": folder / "samples.npz"}
    stored = images.round().astype(np.int16) if kind.unit == "HU" else images
    with replacing(paths["samples"]) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, images=stored, labels=labels, z=z)
    for name, window in kind.windows.items():
        paths[name] = folder / f"sheet-{name}.png"
        write_sheet(images, paths[name], window)
    paths["images"] = folder / "images"
    for k, image in enumerate(images):
        save_png(grey(image, kind.window), paths["images"] / f"{k:05d}.png")
    return {what: str(path) for what, path in paths.items()}


def save_png(pixels: np.ndarray, path: Path, plain: bool = False) -> None:
    """Write pixels (H, W) uint8 as PNG. plain: without compression, so that the file's size reveals nothing."""
    from PIL import Image

    with replacing(path) as partial:
        Image.fromarray(pixels).save(partial, format="PNG", compress_level=0 if plain else 6)


def grey(image: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Values as uint8: 0 at the window's lower end, 255 at its upper end."""
    low, high = window
    return np.clip((image - low) / (high - low) * 255, 0, 255).round().astype(np.uint8)


def write_sheet(
    images: np.ndarray, path: Path, window: tuple[float, float] = CT_WINDOWS["lung"], columns: int = COLUMNS
) -> None:
    """Write a contact sheet of images (N, H, W) as PNG, enlarged without interpolation."""
    save_png(tiled(images, window, columns).repeat(SCALE, 0).repeat(SCALE, 1), path)


def tiled(images: np.ndarray, window: tuple[float, float], columns: int = COLUMNS) -> np.ndarray:
    """A contact sheet (uint8) of images (N, H, W), `columns` in a row, each with a grey line at its right and below."""
    rows = -(-len(images) // columns)
    sheet = montage(grey(images, window), fill=GRID, grid_shape=(rows, columns), padding_width=1)
    return sheet[1:, 1:]
