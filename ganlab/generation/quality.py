"""How good a generator from noise is: whether its images are like real ones, as varied, no copies, and of their class.

Distances of feature sets are on our own features (see `features`). Every number of a generator has a floor beside it,
the same number of a second set of real images, which is what a perfect generator would get.

Feature sets are (N, d) arrays; images (N, 1, size, size) tensors in -1..1.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.spatial import distance
from torch import Tensor

from ganlab.checkpoints import model_folder, read_card, write_card
from ganlab.errors import InputError
from ganlab.generation.features import classifier_test, embed, load_features, own_features
from ganlab.generation.image_kinds import HELD_OUT, ImageKind, Images, Progress, load_images
from ganlab.generation.loading import load_generator
from ganlab.generation.networks import noise
from ganlab.generation.nodule_measures import MEASURES, compare_measures, distributions, measure_nodules
from ganlab.generation.own_images import judged_kind
from ganlab.generation.sampling import batches

ROWS = 512  # of a matrix of distances at a time
BATCH = 256  # images generated at a time
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of MS-SSIM, the finest first


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance of the normal distributions with the sets' means and covariances A, B (Heusel et al., NeurIPS
    2017, eq. 6): |mean a - mean b|^2 + tr(A + B - 2 (A B)^(1/2)).

    With A = R_a' R_a and B = R_b' R_b from the centred sets' QR factors, tr (A B)^(1/2) is the sum of the singular
    values of R_a R_b': no root of a matrix is taken, and covariances may be singular.
    """
    factors = []
    for x in _checked(a, b):
        factors.append(np.linalg.qr((x - x.mean(0)) / math.sqrt(len(x) - 1), mode="r"))
    ra, rb = factors
    shift = np.mean(a, 0, dtype=np.float64) - np.mean(b, 0, dtype=np.float64)
    common = np.linalg.svd(ra @ rb.T, compute_uv=False).sum()
    return max(0.0, float(shift @ shift + (ra**2).sum() + (rb**2).sum() - 2 * common))


def kid(a: np.ndarray, b: np.ndarray) -> float:
    """Kernel inception distance: the unbiased squared MMD with k(x, y) = (x.y / d + 1)^3 (Binkowski et al., ICLR 2018),
    over all pairs at once. About 0, and below it as often, where both sets are of one distribution."""
    a, b = _checked(a, b)
    within = [_kernel_sum(x, x) - (((x * x).sum(1) / x.shape[1] + 1) ** 3).sum() for x in (a, b)]  # but for i = j
    n, m = len(a), len(b)
    return float(within[0] / (n * (n - 1)) + within[1] / (m * (m - 1)) - 2 * _kernel_sum(a, b) / (n * m))


def _kernel_sum(a: np.ndarray, b: np.ndarray) -> float:
    return sum(((a[k : k + ROWS] @ b.T / a.shape[1] + 1) ** 3).sum() for k in range(0, len(a), ROWS))


def prdc(real: np.ndarray, fake: np.ndarray, k: int = 5) -> dict[str, float]:
    """Precision, recall (Kynkaanniemi et al., NeurIPS 2019), density and coverage (Naeem et al., ICML 2020), by balls
    around every point that reach its k-th nearest of its own set.

    precision: share of the fake in a ball of the real. recall: share of the real in a ball of the fake. density: how
    many balls of the real a fake is in, over k; above 1 where the fake crowd. coverage: share of the real balls that
    hold a fake. Raises InputError for fewer than k + 1 points.
    """
    real, fake = _checked(real, fake)
    if min(len(real), len(fake)) <= k:
        raise InputError(f"Neighbour {k} of {min(len(real), len(fake))} images does not exist; use more images.")
    reach_real, reach_fake = _reach(real, k), _reach(fake, k)
    balls, recalled, covered = np.zeros(len(fake)), 0, 0
    for start in range(0, len(real), ROWS):
        apart = distance.cdist(real[start : start + ROWS], fake)
        inside = apart <= reach_real[start : start + ROWS, None]
        balls += inside.sum(0)
        covered += inside.any(1).sum()
        recalled += (apart <= reach_fake).any(1).sum()
    return {
        "precision": float((balls > 0).mean()),
        "recall": float(recalled / len(real)),
        "density": float(balls.mean() / k),
        "coverage": float(covered / len(real)),
    }


def _reach(points: np.ndarray, k: int) -> np.ndarray:
    """(N,) distance to the k-th nearest other point."""
    parts = [distance.cdist(points[start : start + ROWS], points) for start in range(0, len(points), ROWS)]
    return np.concatenate([np.partition(part, k, 1)[:, k] for part in parts])  # place 0 is the point itself


def _checked(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise InputError(f"Feature sets of {a.shape} and {b.shape} cannot be compared; give (N, d) twice, N 2 or more.")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("Some features are not finite numbers: the images hold such; look at them first.")
    return a, b


def ms_ssim(a: Tensor, b: Tensor, scales: int = 0) -> Tensor:
    """(N,) multi-scale structural similarity of images and images, 1 where they are the same (Wang, Simoncelli and
    Bovik, Asilomar 2003, eq. 7): the product of contrast and structure over scales, and of luminance at the coarsest.

    scales: 3, or as many as leave 14 pixels of a side, unless given; their published weights are scaled to a sum of 1.
    Windows are Gaussian, 11 pixels with standard deviation 1.5, or as wide as the image where that is smaller, then
    with a deviation in proportion. Means of negative structure count as 0.
    """
    scales = scales or min(5, max(3, 1 + int(math.log2(a.shape[-1] / 14))))
    weights = np.array(SCALE_WEIGHTS[:scales]) / sum(SCALE_WEIGHTS[:scales])
    a, b, product = (a + 1) / 2, (b + 1) / 2, 1.0
    for scale, weight in enumerate(weights):
        luminance, structure = _ssim_maps(a, b)
        last = scale == scales - 1
        mean = (luminance * structure if last else structure).mean((1, 2, 3))
        product = product * mean.clamp_min(0) ** weight
        a, b = (x if last else F.avg_pool2d(x, 2) for x in (a, b))
    return product


def _ssim_maps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance, and contrast times structure, of images in 0..1 wherever the window fits."""
    side = min(11, a.shape[-1] - 1 + a.shape[-1] % 2)
    place = torch.arange(side, dtype=a.dtype) - side // 2
    window = torch.exp(-0.5 * (place / (1.5 * side / 11)) ** 2)
    window = (window / window.sum()).to(a.device)

    def mean(x: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(x, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))

    ma, mb = mean(a), mean(b)
    va, vb, ab = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    return (2 * ma * mb + c1) / (ma * ma + mb * mb + c1), (2 * ab + c2) / (va + vb + c2)


def ms_ssim_diversity(images: Images, pairs: int = 1000, seed: int = 0) -> float:
    """Mean MS-SSIM of random pairs of different images of one class (Odena et al., ICML 2017, section 4.2): the higher
    above that of real images, the more alike the images are. Raises InputError where no class has two."""
    rng, labels = np.random.default_rng(seed), images.labels.numpy()
    order = np.argsort(labels, kind="stable")
    _, first, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    first, sizes = np.repeat(first, sizes), np.repeat(sizes, sizes)  # of the class of each place in the order
    places = np.flatnonzero(sizes > 1)
    if not len(places):
        raise InputError("No class has two images to compare; generate more.")
    a = rng.choice(places, pairs)
    b = first[a] + (a - first[a] + rng.integers(1, sizes[a])) % sizes[a]
    likeness = [
        ms_ssim(images.images[order[a[k : k + BATCH]]], images.images[order[b[k : k + BATCH]]])
        for k in range(0, pairs, BATCH)
    ]
    return float(torch.cat(likeness).mean())


def nearest(images: Tensor, training: Tensor, top: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """(indices, distances), each (N, top), of the training images most like each image, the nearest first.

    A distance is the root mean squared difference of pixels (-1..1) after a 3x3 mean, which lets an image's own noise
    count for less, to a training image or its mirror image, whichever is nearer.
    """
    queries = _blurred(images)
    bank = torch.cat([_blurred(training), _blurred(training.flip(3))])
    square, top = bank.square().sum(1), min(top, len(training))
    indices, distances = [], []
    for part in queries.split(BATCH):
        apart = (square - 2 * part @ bank.T).view(len(part), 2, -1).amin(1)
        likely = apart.topk(min(top + 2, len(training)), largest=False).indices  # by rounded distances: two to spare
        exact = torch.stack([(part[:, None] - bank[likely + k]).square().mean(2) for k in (0, len(training))]).amin(0)
        exact, which = exact.sqrt().sort(1)
        indices.append(likely.gather(1, which)[:, :top])
        distances.append(exact[:, :top])
    return torch.cat(indices).numpy(), torch.cat(distances).numpy()


def _blurred(images: Tensor) -> Tensor:
    return F.avg_pool2d(images.float(), 3, 1, 1, count_include_pad=False).flatten(1)


def memorisation(generated: Tensor, training: Tensor, held_out: Tensor) -> dict[str, float]:
    """Whether generated images are copies: distances to the nearest training image, of generated and of held-out ones.

    ratio: median of the generated over that of the held-out; about 1, or above, where nothing is copied. copied: share
    of the generated that are nearer than all but 1 % of the held-out, so 0.01 where nothing is copied.
    """
    made, fresh = (nearest(images, training, 1)[1][:, 0] for images in (generated, held_out))
    return {
        "generated": float(np.median(made)),
        "held_out": float(np.median(fresh)),
        "ratio": float(np.median(made) / np.median(fresh)),
        "copied": float((made < np.quantile(fresh, 0.01)).mean()),
    }


def evaluate_generator(
    name: str,
    device: str = "cpu",
    count: int = 2000,
    seed: int = 0,
    progress: Progress = None,
    source: Path | None = None,
) -> dict:
    """What a generator is worth, by its name or folder: JSON-able, numbers to four digits, None for what is no number.

    count: images of each set, or as many as there are. source: the folder that a generator of a user's own images
    learned from, by whose held-out part it is measured. "generated" and "real" (the floor: other real images that no
    generator saw; of digits and a user's own, which are few, the training set, of other writers or files than the
    held-out) hold fid, kid, precision, recall, density, coverage against the held-out images, and ms_ssim; of nodules
    also compare_measures, and "distributions", by class, as that function says.
    "memorisation" and "classifier" are as their functions say; a generator without labels has no classifier. Labels
    are as frequent as in the training set.
    Raises InputError for a model that is none, and where the features of its images are missing.
    """
    net, config = load_generator(name, device)
    kind, conditional = judged_kind(name, config, source), config.network.classes > 0
    if count < 10:
        raise InputError(f"{count} images are too few to measure; ask for 10 or more.")
    features = (
        own_features(kind, model_folder(name).parent, source, device) if source else load_features(kind.name, device)
    )

    def part(start: float, end: float) -> Progress:
        return (lambda share: progress(start + share * (end - start))) if progress else None

    training = load_images(kind, progress=part(0.0, 0.3))
    reference = load_images(kind, held_out=True, count=count, progress=part(0.3, 0.45))
    if len(reference) < 10:
        raise InputError(f'{len(reference)} images are held out in "{source}", too few to measure; add more to it.')
    second = _second_real(kind, count, part(0.45, 0.6))
    labels = training.labels[torch.as_tensor(np.random.default_rng(seed).integers(len(training), size=len(second)))]
    z = noise(seed, len(labels), config.network)
    generated = Images(kind, torch.cat(list(batches(net, z, labels, device))), labels)
    sets = {"generated": generated, "real": second}
    if not conditional:  # its images have no class, so likeness is over all
        sets = {who: replace(images, labels=torch.zeros_like(images.labels)) for who, images in sets.items()}
    known = embed(features, reference.images)
    result = {
        "model": name,
        "kind": kind.name,
        "seed": seed,
        "conditional": conditional,
        "counts": {"generated": len(generated), "held_out": len(reference), "training": len(training)},
        **{who: _compare(known, images, embed(features, images.images), seed) for who, images in sets.items()},
        "memorisation": memorisation(generated.images, training.images, reference.images),
        "classifier": None,
    }
    if conditional:
        result["classifier"] = classifier_test(
            training, reference, generated, seed=seed, device=device, progress=part(0.6, 1.0)
        )
    if kind.name == "nodules":
        truth = measure_nodules(kind.to_unit(reference.images))
        result["held_out_measured"] = float(np.isfinite(truth["diameter_mm"]).mean())
        measured = {who: measure_nodules(kind.to_unit(images.images)) for who, images in sets.items()}
        for who in sets:
            result[who]["measures"] = compare_measures(truth, measured[who])
        classes = kind.classes if conditional else ("all",)
        known_labels = reference.labels if conditional else torch.zeros_like(reference.labels)
        others = ((measured[who], images.labels.numpy()) for who, images in sets.items())
        result["distributions"] = distributions((truth, known_labels.numpy()), *others, classes)
    return _rounded(result)


def _second_real(kind: ImageKind, count: int, progress: Progress) -> Images:
    values, labels = kind.make(HELD_OUT + 1, count, progress)
    return Images(kind, kind.to_network(values), torch.as_tensor(labels, dtype=torch.int64))


def _compare(known: np.ndarray, images: Images, features: np.ndarray, seed: int) -> dict[str, float]:
    """Distances of a set from the held-out one; balls are of equally many images of either."""
    count = min(len(known), len(features))
    return {
        "fid": frechet(known, features),
        "kid": kid(known, features),
        **prdc(known[:count], features[:count]),
        "ms_ssim": ms_ssim_diversity(images, seed=seed),
    }


def _rounded(value):
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
    """A Markdown table of what evaluate_generator measured, and how to read it."""
    counts, copies, told = result["counts"], result["memorisation"], result["classifier"]
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
    if told:
        right = told["real_on_real"]
        rows.append(("accuracy on held-out images of a classifier trained on these", told["synthetic_on_real"], right))
        rows.append(("accuracy on these of a classifier trained on real images", told["real_on_synthetic"], right))
    table = "\n".join(f"| {word} | {_shown(a)} | {_shown(b)} |" for word, a, b in rows)
    return (
        f"{result['model']}: {counts['generated']} generated and as many other real images against "
        f"{counts['held_out']} held-out ones ({result['kind']}).\n\n"
        f"| measure | generated | real |\n|---|---|---|\n{table}\n\n"
        "Distances are on ganlab's own features of these images: they are not comparable with the FID of papers, which "
        'is on Inception\'s.\nThe column "real" is what a perfect generator would get.'
    )


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def write_quality(name: str, result: dict) -> None:
    """Put what evaluate_generator measured into the model's card."""
    folder = model_folder(name)
    text = (folder / "card.md").read_text(encoding="utf-8").split("---\n", 2)[2].split("\n## Measured")[0]
    front = read_card(folder) | {"metrics": result}
    write_card(folder, front, f"{text.rstrip()}\n\n## Measured\n\n{format_quality(result)}\n")
