"""A user's data from files: points from a table, a density from a picture."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from ganlab.errors import InputError
from ganlab.lazy import torch
from ganlab.toy.distributions import MAX_POINTS, Distribution, from_picture, from_points

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
TABLES = (".csv", ".tsv", ".txt")
MAX_PIXELS = 50_000_000
MAX_TABLE_BYTES = 64 * 2**20


def read_own(path: Path) -> Distribution:
    """Points from a table or a density from a picture, by the file's extension. Raises InputError."""
    ending = path.suffix.lower()
    if ending in PICTURES:
        return read_picture(path)
    if ending in TABLES:
        return read_points(path)
    raise InputError(f'"{path.name}" is neither a table nor a picture; give {", ".join(TABLES + PICTURES)}.')


def read_points(path: Path) -> Distribution:
    """Points from lines of x and y, separated by comma, semicolon, tab or space. A third number is the class, 0 to 99.
    The first line may be a heading. Raises InputError, which names the line."""
    if path.stat().st_size > MAX_TABLE_BYTES:
        raise InputError(
            f'"{path.name}" has {path.stat().st_size / 2**20:.0f} MB, more than {MAX_TABLE_BYTES // 2**20}; '
            f"give at most {MAX_POINTS:,} points."
        )
    rows: list[list[float]] = []
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        lines = csv.reader(line.replace(";", ",").replace("\t", ",") for line in file)
        try:
            for n, cells in enumerate(lines, 1):
                cells = [c for c in (cells if len(cells) > 1 else " ".join(cells).split()) if c.strip()]
                if not cells:
                    continue
                try:
                    rows.append([float(c) for c in cells])
                except ValueError:
                    if not rows and n == 1:
                        continue  # the heading
                    shown = ", ".join(cells)[:60]
                    raise InputError(f'Line {n} of "{path.name}" is "{shown}"; give two numbers a line.') from None
                if len(cells) not in (2, 3) or len(cells) != len(rows[0]):
                    raise InputError(
                        f'Line {n} of "{path.name}" has {len(cells)} numbers; give x and y on every line, or x, y '
                        f"and the class on every line."
                    )
                if len(rows) > MAX_POINTS:
                    raise InputError(f'"{path.name}" has more than {MAX_POINTS:,} points; give fewer.')
        except csv.Error as error:
            raise InputError(f'"{path.name}" is not a table of numbers; give two numbers a line.') from error
    if not rows:
        raise InputError(f'"{path.name}" has no points; give two numbers a line.')
    table = torch.tensor(np.array(rows), dtype=torch.float64)
    labels = None
    if table.shape[1] == 3:
        labels = table[:, 2]
        if not bool(((labels >= 0) & (labels < 100) & (labels == labels.round())).all()):
            raise InputError(f'"{path.name}" has classes that are not whole numbers from 0 to 99.')
        labels = labels.long()
    return from_points(table[:, :2].float(), labels)


def read_picture(path: Path) -> Distribution:
    """A density from a picture: bright pixels are dense, transparent ones empty. Raises InputError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise InputError(
                        f'"{path.name}" has {picture.width:,} x {picture.height:,} pixels, more than {MAX_PIXELS:,}; '
                        "give a smaller one."
                    )
                pixels = np.asarray(picture.convert("LA"), np.float32) / 255
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f'"{path.name}" is not a picture that can be read; give a PNG or a JPEG.') from error
    return from_picture(torch.from_numpy(pixels[..., 0] * pixels[..., 1]))
