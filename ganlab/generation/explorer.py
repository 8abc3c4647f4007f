"""A shipped generator to explore: its latent space by points, its discriminator, its training images.

A point of the latent space is a JSON-serialisable dictionary: {"seed": s, "index": k} (the k-th draw of a seed) or
{"z": [...]}, with "label" or "mix" (weights of all classes), and optionally "moves": {"3": distance along principal
direction 3, "z7": distance along coordinate 7 of z}. A malformed point may raise ValueError, TypeError,
LookupError, AttributeError or OverflowError.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from ganlab.checkpoints import has_discriminator
from ganlab.errors import InputError
from ganlab.generation.image_cache import images_of
from ganlab.generation.image_kinds import get_kind, load_images
from ganlab.generation.image_similarity import nearest
from ganlab.generation.latent import principal_directions
from ganlab.generation.loading import load_discriminator, load_generator
from ganlab.generation.networks import noise
from ganlab.generation.sampling import batches
from ganlab.generation.shipped import generator_names
from ganlab.objectives import get_objective

DIRECTIONS = 8  # principal directions that can be moved along
REACH = 5.0  # largest move
LAST_INDEX = 10_000  # of the draws of a seed
HELD_OUT = 64  # images that give the usual distance to the training set


class Explorer:
    """A shipped generator with its discriminator and principal directions. Shared by all visitors: never changed."""

    def __init__(self, name: str):
        self.name = name
        self.generator, self.config = load_generator(name)
        self.discriminator = load_discriminator(name) if has_discriminator(name) else None
        self.kind = get_kind(self.config.data)
        self.classes = max(1, self.config.network.classes)
        self.directions, self.explained, _ = principal_directions(self.generator, 0, 1000, layer=-1)

    def facts(self) -> dict:
        """Facts about the generator that a page needs, as JSON values."""
        kind = self.kind
        return {
            "model": self.name, "title": kind.title, "size": kind.size, "mm": kind.mm, "sides": kind.sides,
            "unit": kind.unit, "low": kind.low, "high": kind.high, "windows": kind.windows, "z": self.config.network.z,
            "reach": REACH,
            "classes": list(kind.classes) if self.config.network.classes else [],
            "directions": [round(float(s), 4) for s in self.explained[:DIRECTIONS]],
        }  # fmt: skip

    def z(self, point: dict) -> Tensor:
        """(z,) of a point. Raises InputError for one outside the latent space."""
        if "z" in point:
            z = torch.tensor([float(v) for v in point["z"]])
            if z.shape != (self.config.network.z,) or not torch.isfinite(z).all():
                raise InputError(f"A point has {self.config.network.z} finite numbers.")
        else:
            index = integer(point, "index", 0, LAST_INDEX)
            z = noise(integer(point, "seed", 0, 2**32 - 1), index + 1, self.config.network)[index]
        for name, distance in point.get("moves", {}).items():
            z = z + self._move(name, float(distance))
        return z

    def _move(self, name: str, distance: float) -> Tensor:
        """(z,) of a step along a principal direction, "3", or along a coordinate, "z7"."""
        coordinate, size = name.startswith("z"), self.config.network.z
        index, count = int(name.removeprefix("z")), size if coordinate else DIRECTIONS
        if not (0 <= index < count and abs(distance) <= REACH):
            raise InputError(f"A step of {distance:g} along direction {name} is outside +-{REACH:g}.")
        return distance * (torch.eye(size)[index] if coordinate else self.directions[index])

    def labels(self, label: int | None, count: int) -> Tensor:
        """(count,) of one class, or of all classes in turn for None. Raises InputError for an unknown class."""
        if label is None:
            return torch.arange(count) % self.classes
        if not 0 <= int(label) < self.classes:
            raise InputError(f"Class {label} is not known; give a whole number below {self.classes}.")
        return torch.full((count,), int(label))

    def class_weights(self, point: dict) -> Tensor:
        """(classes,) weights of a point, which add up to 1. Raises InputError for others."""
        if "mix" not in point:
            return torch.eye(self.classes)[self.labels(point.get("label") or 0, 1)[0]]
        weights = torch.tensor([float(v) for v in point["mix"]])
        if weights.shape != (self.classes,) or not (weights >= 0).all() or not abs(float(weights.sum()) - 1) < 0.01:
            raise InputError(f"A point has weights of {self.classes} classes that are not negative and add up to 1.")
        return weights

    def images(self, z: Tensor, labels: Tensor) -> Tensor:
        """(N, 1, size, size) in -1..1 of z (N, z) and labels (N,) or class weights (N, classes)."""
        return torch.cat(list(batches(self.generator, z, labels)))

    def scores(self, images: Tensor, weights: Tensor) -> list[float] | None:
        """D's probability of "real" for each image, given its predominant class; None if there is no discriminator, or
        if its output is not a probability."""
        probability = get_objective(self.config.objective).probability
        if self.discriminator is None or probability is None:
            return None
        with torch.inference_mode():
            return [round(p, 4) for p in probability(self.discriminator(images, weights.argmax(1))).tolist()]

    def training_images(self) -> tuple[Tensor | None, float]:
        """(the training set (N, 1, size, size), or None while it is being made; the fraction made)."""
        future, share = images_of(self.config.data, self.config.count or self.kind.count)
        return (future.result().images, 1.0) if future.done() else (None, share[-1])

    @cached_property
    def usual_distance(self) -> float:
        """Median distance of held-out images to their nearest training image (see `nearest`)."""
        future, _ = images_of(self.config.data, self.config.count or self.kind.count)
        _, distances = nearest(held_out_images(self.kind.name, HELD_OUT), future.result().images, 1)
        return round(float(np.median(distances)), 4)


@lru_cache(maxsize=16)
def held_out_images(kind: str, count: int) -> Tensor:
    """The first `count` held-out images (N, 1, size, size) of a kind."""
    return load_images(get_kind(kind), held_out=True, count=count).images


def integer(values: dict, name: str, low: int, high: int) -> int:
    """A whole number among JSON values. Raises InputError outside low to high."""
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"{name.capitalize()} {value!r} is not a whole number from {low} to {high}.")
    return value


@lru_cache(maxsize=8)
def get_explorer(name: str) -> Explorer:
    """The explorer of a shipped generator, made once. Raises InputError for other names."""
    if name not in generator_names():
        raise InputError(f'There is no generator "{name}" here; choose from {", ".join(generator_names())}.')
    return Explorer(name)
