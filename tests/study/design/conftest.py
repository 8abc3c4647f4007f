"""Pictures and truth tables for tests of a study's images."""

import csv

import numpy as np
import pytest
from PIL import Image

from ganlab.study.design.stimuli import SourceImage

EACH = 10  # pictures of either kind, the fewest allowed


def noise(count, shape=(16, 20), seed=0, kind=np.uint8):
    return np.random.default_rng(seed).integers(0, np.iinfo(kind).max, (count, *shape), kind, endpoint=True)


def save(images, folder, suffix=".png"):
    folder.mkdir(exist_ok=True)
    for k, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{folder.name}-{k:02d}{suffix}")


@pytest.fixture
def folders(tmp_path):
    """tmp_path/real and tmp_path/synthetic with ten pictures each, and all of them in order."""
    images = noise(2 * EACH)
    save(images[:EACH], tmp_path / "real")
    save(images[EACH:], tmp_path / "synthetic")
    return tmp_path / "real", tmp_path / "synthetic", images


def with_truth(folder, images, rows):
    """Write pictures and their truth table; returns (folder, table). rows: the table's values."""
    save(images, folder / "images")
    with open(folder / "truth.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ["code", "arm", "class", "patient", "lesion_x", "lesion_y", "lesion_radius"])
        writer.writeheader()
        writer.writerows({"code": f"images-{k:02d}", **row} for k, row in enumerate(rows))
    return folder / "images", folder / "truth.csv"


def in_turn(count=2 * EACH, **row):
    return [{"arm": "synthetic" if k % 2 else "real", **row} for k in range(count)]


def found(images, synthetic, kind="PNG of 8 bits"):
    """Images with values 0 to 1, as read from files."""
    return [
        SourceImage(image, kind, f"file {k}", bool(arm))
        for k, (image, arm) in enumerate(zip(images, synthetic, strict=True))
    ]
