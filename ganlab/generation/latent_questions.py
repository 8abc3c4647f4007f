"""Questions about a generator's latent space, as JSON-serialisable dictionaries, and their answers: facts and images.

A question names the "model", "what" is asked (see QUESTIONS), most have "points" (see `explorer`) and "psi", a
truncation of z. The answer follows from the question alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import InputError
from ganlab.generation.explorer import Explorer, get_explorer, integer
from ganlab.generation.export import grey
from ganlab.generation.films import film, strip
from ganlab.generation.image_similarity import nearest
from ganlab.generation.latent import arithmetic, lerp, sheet, slerp, walk, walk_segments
from ganlab.generation.networks import noise
from ganlab.generation.occlusion import occlusion_map

MOST = {"count": 144, "points": 16, "frames": 120, "side": 12, "steps": 21}
FEATURE_MAPS = 16  # shown of a layer
STRIP_COLUMNS, FILM_SIDE, FILM_FPS = 12, 224, 20

Answer = tuple[dict, dict[str, Tensor | bytes]]  # facts, images (N, 1, H, W) in -1..1 or files


def answer(question: dict) -> Answer:
    """Facts for JSON, and images by name. Raises InputError, or as `explorer` says for points of another form."""
    if question.get("what") not in QUESTIONS:
        raise InputError(f'"what" is {question.get("what")!r}; choose from {", ".join(QUESTIONS)}.')
    return QUESTIONS[question["what"]](get_explorer(str(question.get("model"))), question)


def gallery(explorer: Explorer, question: dict) -> Answer:
    """`count` draws of a `seed`, of one class (`label`) or all in turn."""
    seed, count = integer(question, "seed", 0, 2**32 - 1), integer(question, "count", 1, MOST["count"])
    labels = explorer.labels(question.get("label"), count)
    z = _psi(question) * noise(seed, count, explorer.config.network)
    points = [{"seed": seed, "index": k, "label": int(label)} for k, label in enumerate(labels)]
    return {"points": points}, {"images": explorer.images(z, labels)}


def images_at_points(explorer: Explorer, question: dict) -> Answer:
    """The images of the points, their scores by D, and the norms of their z."""
    z, weights = _points(explorer, question)
    images = explorer.images(z, weights)
    return {"norms": _norms(z), "scores": explorer.scores(images, weights)}, {"images": images}


def interpolation(explorer: Explorer, question: dict) -> Answer:
    """From the first point to the second along the great circle and along the straight line, with classes blended."""
    z, weights = _points(explorer, question, 2)
    t = torch.linspace(0, 1, integer(question, "steps", 2, MOST["steps"]))
    paths = {"slerp": slerp(z[0], z[1], t), "lerp": lerp(z[0], z[1], t)}
    blend = lerp(weights[0], weights[1], t)
    points = [point for path in paths.values() for point in _as_points(question, path, blend)]
    facts = {"norms": {name: _norms(path) for name, path in paths.items()}, "points": points}
    return facts, {name: explorer.images(path, blend) for name, path in paths.items()}


def square(explorer: Explorer, question: dict) -> Answer:
    """A sheet between four points, with classes blended."""
    z, weights = _points(explorer, question, 4)
    side = integer(question, "side", 2, MOST["side"])
    t = torch.linspace(0, 1, side)
    latents = sheet(z[:4], side, side).flatten(0, 1)
    blend = lerp(lerp(weights[0], weights[1], t), lerp(weights[2], weights[3], t), t).flatten(0, 1)
    return {"points": _as_points(question, latents, blend)}, {"images": explorer.images(latents, blend)}


def closed_walk(explorer: Explorer, question: dict) -> Answer:
    """A closed walk through the points, with classes blended: its images, or with "film" a film of that form, or a
    strip, in the display window "window"."""
    z, weights = _points(explorer, question, 2)
    count = integer(question, "frames", 2, MOST["frames"])
    start, end, t = walk_segments(len(z), count)
    images = explorer.images(walk(z, count), torch.lerp(weights[start], weights[end], t))
    if not question.get("film"):
        return {}, {"images": images}
    kind, form = explorer.kind, str(question["film"])
    pictures = grey(kind.to_unit(images), kind.windows.get(question.get("window"), kind.window))
    if form == "strip":
        return {}, {"film": strip(pictures, STRIP_COLUMNS)}
    return {}, {"film": film(pictures, FILM_FPS, max(1, FILM_SIDE // kind.size), form)}


def vector_arithmetic(explorer: Explorer, question: dict) -> Answer:
    """The first point minus the second plus the third, with the norm of the third; class weights likewise, scaled to a
    sum of 1."""
    z, weights = _points(explorer, question, 3)
    result = arithmetic(z[:1], z[1:2], z[2])[None]
    blend = (weights[0] - weights[1] + weights[2]).clamp_min(0)[None]
    blend = blend / blend.sum()
    return {"points": _as_points(question, result, blend)}, {"images": explorer.images(result, blend)}


def feature_maps(explorer: Explorer, question: dict) -> Answer:
    """Feature maps of each layer of the generator for the first point, each scaled from its minimum to its maximum."""
    z, weights = _points(explorer, question)
    with torch.inference_mode():
        layers = explorer.generator.features(z[:1], weights[:1])
    facts, images = [], {}
    for k, layer in enumerate(layers):
        facts.append({"shape": list(layer.shape[1:])})
        if layer.dim() == 4:
            maps = layer[0, :FEATURE_MAPS]
            low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
            images[f"layer{k}"] = ((maps - low) / (high - low).clamp_min(1e-9) * 2 - 1)[:, None]
    return {"layers": facts}, images


def verdict(explorer: Explorer, question: dict) -> Answer:
    """D's logit of the first point ("score"), and its occlusion map divided by its largest absolute value ("reach").
    Empty if there is no discriminator."""
    if explorer.discriminator is None:
        return {}, {}
    z, weights = _points(explorer, question)
    images = explorer.images(z[:1], weights[:1])
    score, falls = occlusion_map(explorer.discriminator, images, weights[:1].argmax(1))
    reach = max(float(falls.abs().max()), 1e-6)
    return {"score": round(score, 3), "reach": round(reach, 3)}, {"map": (falls / reach)[None, None]}


def neighbours(explorer: Explorer, question: dict) -> Answer:
    """The nearest training images, three of a single point, one of each of several; their distances, and the usual
    distance of held-out images. While training images are being made, only the share made."""
    training, share = explorer.training_images()
    if training is None:
        return {"made": share}, {}
    z, weights = _points(explorer, question)
    indices, distances = nearest(explorer.images(z, weights), training, 3 if len(z) == 1 else 1)
    facts = {
        "distances": np.round(distances.ravel(), 4).tolist(), "usual": explorer.usual_distance, "count": len(training)
    }  # fmt: skip
    return facts, {"images": training[torch.from_numpy(indices.ravel())]}


QUESTIONS: dict[str, Callable[[Explorer, dict], Answer]] = {
    "gallery": gallery,
    "points": images_at_points,
    "between": interpolation,
    "sheet": square,
    "walk": closed_walk,
    "sum": vector_arithmetic,
    "layers": feature_maps,
    "neighbours": neighbours,
    "verdict": verdict,
}


def _points(explorer: Explorer, question: dict, least: int = 1) -> tuple[Tensor, Tensor]:
    """(z (K, z), truncated by psi; class weights (K, classes)) of the question's points."""
    points = question.get("points")
    if not isinstance(points, list) or not least <= len(points) <= MOST["points"]:
        raise InputError(f"{least} to {MOST['points']} points are needed.")
    z = torch.stack([explorer.z(point) for point in points])
    return _psi(question) * z, torch.stack([explorer.class_weights(point) for point in points])


def _psi(question: dict) -> float:
    psi = float(question.get("psi", 1.0))
    if not 0 < psi <= 1:
        raise InputError(f"The truncation {psi:g} is outside 0 to 1.")
    return psi


def _norms(z: Tensor) -> list[float]:
    return [round(norm, 3) for norm in z.norm(dim=1).tolist()]


def _as_points(question: dict, z: Tensor, weights: Tensor) -> list[dict]:
    """Points as a page may ask for them again, with the same psi."""
    return [
        {"z": [round(v, 4) for v in values], **({"label": mix.index(1.0)} if 1.0 in mix else {"mix": mix})}
        for values, mix in zip((z / _psi(question)).tolist(), weights.tolist(), strict=True)
    ]
