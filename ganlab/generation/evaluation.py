"""How good a generator from noise is: are its images realistic, varied, no copies, and of the requested class?

Distances of feature sets use ganlab's own features (see `features`). Every figure of a generator is reported next to
the same figure of a second set of real images, which is what a perfect generator would score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ganlab.checkpoints import model_folder, read_card, write_card
from ganlab.errors import InputError
from ganlab.generation.config import GanConfig
from ganlab.generation.feature_distances import frechet, kid, prdc
from ganlab.generation.feature_training import classifier_test
from ganlab.generation.features import embed, load_features, own_features
from ganlab.generation.image_kinds import HELD_OUT, ImageKind, Images, Progress, load_images
from ganlab.generation.image_similarity import memorisation, ms_ssim_diversity
from ganlab.generation.loading import load_generator
from ganlab.generation.networks import noise
from ganlab.generation.nodule_measures import MEASURES, compare_measures, distributions, measure_nodules
from ganlab.generation.own_images import judged_kind
from ganlab.generation.sampling import batches

FEWEST = 10  # images of a set


@dataclass(frozen=True)
class ImageSets:
    """The images of an evaluation: the training set, held-out images as reference, other real images ("second", which
    give the floor), and generated images with labels as frequent as in the training set."""

    training: Images
    reference: Images
    second: Images
    generated: Images


def evaluate_generator(
    name: str,
    device: str = "cpu",
    count: int = 2000,
    seed: int = 0,
    progress: Progress = None,
    source: Path | None = None,
) -> dict:
    """Evaluate a generator, given by its name or folder. The result can be written as JSON: numbers have four
    significant digits, and None stands for NaN.

    count: images of each set, or as many as there are. source: for a generator of a user's own images, the folder it
    was trained on; it is measured against the held-out part.

    "generated" and "real" hold fid, kid, precision, recall, density and coverage against the held-out images, and
    ms_ssim. "real" is the floor: other real images that no generator saw, or the training set where images are few
    (digits and a user's own). Nodules also have "measures" (see `compare_measures`) and "distributions" by class.
    "memorisation" and "classifier" are those of `memorisation` and `classifier_test`; "classifier" is None for a
    generator without labels.

    Raises InputError for a model that is not a generator, and if the features of its images are missing.
    """
    net, config = load_generator(name, device)
    kind, conditional = judged_kind(name, config, source), config.network.classes > 0
    if count < FEWEST:
        raise InputError(f"{count} images are too few to measure; ask for {FEWEST} or more.")
    features = (
        own_features(kind, model_folder(name).parent, source, device) if source else load_features(kind.name, device)
    )
    sets = _make_sets(net, config, kind, count, seed, device, _part(progress, 0.0, 0.6), source)
    compared = {"generated": sets.generated, "real": sets.second}
    if not conditional:  # images without a class: similarity is measured over all of them
        compared = {
            set_name: replace(images, labels=torch.zeros_like(images.labels)) for set_name, images in compared.items()
        }
    known = embed(features, sets.reference.images)
    result = {
        "model": name,
        "kind": kind.name,
        "seed": seed,
        "conditional": conditional,
        "counts": {"generated": len(sets.generated), "held_out": len(sets.reference), "training": len(sets.training)},
        **{
            set_name: _compare(known, images, embed(features, images.images), seed)
            for set_name, images in compared.items()
        },
        "memorisation": memorisation(sets.generated.images, sets.training.images, sets.reference.images),
        "classifier": None,
    }
    if conditional:
        result["classifier"] = classifier_test(
            sets.training, sets.reference, sets.generated, seed=seed, device=device, progress=_part(progress, 0.6, 1.0)
        )
    if kind.name == "nodules":
        _add_nodule_measures(result, sets.reference, compared, conditional)
    return _rounded(result)


def _part(progress: Progress, start: float, end: float) -> Progress:
    """A callback for a step that takes progress from `start` to `end`."""
    return (lambda share: progress(start + share * (end - start))) if progress else None


def _make_sets(
    net: nn.Module,
    config: GanConfig,
    kind: ImageKind,
    count: int,
    seed: int,
    device: str,
    progress: Progress,
    source: Path | None,
) -> ImageSets:
    training = load_images(kind, progress=_part(progress, 0.0, 0.5))
    reference = load_images(kind, held_out=True, count=count, progress=_part(progress, 0.5, 0.75))
    if len(reference) < FEWEST:
        raise InputError(f'{len(reference)} images are held out in "{source}", too few to measure; add more to it.')
    values, second_labels = kind.make(HELD_OUT + 1, count, _part(progress, 0.75, 1.0))
    second = Images(kind, kind.to_network(values), torch.as_tensor(second_labels, dtype=torch.int64))
    labels = training.labels[torch.as_tensor(np.random.default_rng(seed).integers(len(training), size=len(second)))]
    z = noise(seed, len(labels), config.network)
    generated = Images(kind, torch.cat(list(batches(net, z, labels, device))), labels)
    return ImageSets(training, reference, second, generated)


def _compare(known: np.ndarray, images: Images, features: np.ndarray, seed: int) -> dict[str, float]:
    """Distances of a set from the held-out one; precision and recall take equally many images of both."""
    count = min(len(known), len(features))
    return {
        "fid": frechet(known, features),
        "kid": kid(known, features),
        **prdc(known[:count], features[:count]),
        "ms_ssim": ms_ssim_diversity(images, seed=seed),
    }


def _add_nodule_measures(result: dict, reference: Images, compared: dict[str, Images], conditional: bool) -> None:
    """Add the nodule measurements of each set, and their distributions by class."""
    kind = reference.kind
    truth = measure_nodules(kind.to_unit(reference.images))
    result["held_out_measured"] = float(np.isfinite(truth["diameter_mm"]).mean())
    measured = {set_name: measure_nodules(kind.to_unit(images.images)) for set_name, images in compared.items()}
    for set_name in compared:
        result[set_name]["measures"] = compare_measures(truth, measured[set_name])
    classes = kind.classes if conditional else ("all",)
    labels: Tensor = reference.labels if conditional else torch.zeros_like(reference.labels)
    generated, real = ((measured[set_name], images.labels.numpy()) for set_name, images in compared.items())
    result["distributions"] = distributions((truth, labels.numpy()), generated, real, classes)


def _rounded(value):
    """Floats to four significant digits, and None for what is not finite."""
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    return value


WORDS = {
    "fid": "Frechet distance, own features (lower)",
    "kid": "KID, own features (lower)",
    "precision": "precision (higher)",
    "recall": "recall (higher)",
    "density": "density (higher)",
    "coverage": "coverage (higher)",
    "ms_ssim": "MS-SSIM within a class, or of all without labels (as real)",
}


def format_quality(result: dict) -> str:
    """A Markdown table of the result of evaluate_generator, and how to read it."""
    counts, copies, accuracy = result["counts"], result["memorisation"], result["classifier"]
    sides = [result["generated"], result["real"]]
    rows = [(word, *(side[key] for side in sides)) for key, word in WORDS.items()]
    if "measures" in result["real"]:
        for name, unit in zip(MEASURES, (" mm", "", " HU"), strict=True):
            pair = [side["measures"][name] for side in sides]
            rows.append((f"{name}, Kolmogorov-Smirnov (lower)", *(m["ks"] for m in pair)))
            rows.append((f"{name}, Wasserstein{unit} (lower)", *(m["wasserstein"] for m in pair)))
        rows.append(("share of nodules measured (as real)", *(m["measured"] for m in pair)))
    rows.append(("distance to training over that of held-out images (1)", copies["ratio"], 1.0))
    rows.append(("nearer to training than 99 % of held-out images (0.01)", copies["copied"], 0.01))
    if accuracy:
        floor = accuracy["real_on_real"]
        rows.append(
            ("accuracy on held-out images of a classifier trained on these", accuracy["synthetic_on_real"], floor)
        )
        rows.append(("accuracy on these of a classifier trained on real images", accuracy["real_on_synthetic"], floor))
    table = "\n".join(f"| {word} | {_shown(a)} | {_shown(b)} |" for word, a, b in rows)
    return (
        f"{result['model']}: {counts['generated']} generated and as many other real images against "
        f"{counts['held_out']} held-out ones ({result['kind']}).\n\n"
        f"| measure | generated | real |\n|---|---|---|\n{table}\n\n"
        "Distances use ganlab's own features of these images: they are not comparable with the FID of papers, which "
        'uses Inception\'s.\nThe column "real" is what a perfect generator would score.'
    )


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def write_quality(name: str, result: dict) -> None:
    """Put the result of evaluate_generator into the model's card."""
    folder = model_folder(name)
    text = (folder / "card.md").read_text(encoding="utf-8").split("---\n", 2)[2].split("\n## Measured")[0]
    front = read_card(folder) | {"metrics": result}
    write_card(folder, front, f"{text.rstrip()}\n\n## Measured\n\n{format_quality(result)}\n")
