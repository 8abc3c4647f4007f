"""Training the fixed feature networks, one per kind of image, and classifiers like them."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.checkpoints import as_config, save_tensors, write_card
from ganlab.device import describe_device
from ganlab.generation.augment import augmented
from ganlab.generation.brain_slices import LEVELS, PER_PATIENT
from ganlab.generation.features import TASK, FeatureConfig, FeatureNet
from ganlab.generation.image_kinds import HELD_OUT, OWN, TRAINING, ImageKind, Images, Progress
from ganlab.phantoms.lungs.nodule_parts import SOLIDITY
from ganlab.phantoms.lungs.nodules import make_nodules
from ganlab.training import learning_rate

SEED = TRAINING + 1  # not the images that generators learn from, where others can be made
TESTED = 1000  # held-out images that the card's figures are computed on
NODULE_ATTRIBUTES = ("diameter_mm", "roundness", "mean_hu", "spiculation", "lobulation", "kernel_mm", "noise_hu")
LOOKS = ("brightness", "contrast", "sharpness")  # attributes of a user's own images
TURNS = 4  # quarter turns, the labels of a user's own images
BATCH = 256  # images at once, outside training


def known_images(
    kind: ImageKind, seed: int, count: int, progress: Progress = None
) -> tuple[Images, dict[str, np.ndarray]]:
    """Labelled images of a seed, and their attributes: name -> (N,).

    Nodules: the attributes that `Nodules` records, 0 or 1 for each solidity, and the scanner's kernel and noise, so
    that features are sensitive to blur and noise. Brains: the height 0..1 in the head, to within a twelfth. Digits:
    none. A user's own: each image four times, labelled by its number of quarter turns (Gidaris, Singh and Komodakis,
    ICLR 2018), and its LOOKS.
    """
    if kind.name.startswith(OWN):
        values = kind.to_network(kind.make(seed, count, progress)[0])
        images = torch.cat([values.rot90(turns, (2, 3)) for turns in range(TURNS)])
        return Images(kind, images, torch.arange(TURNS).repeat_interleave(len(values))), _looks(images)
    if kind.name == "nodules":
        return _known_nodules(kind, seed, count, progress)
    values, labels = kind.make(seed, count, progress)
    images = Images(kind, kind.to_network(values), torch.as_tensor(labels, dtype=torch.int64))
    return images, {"height": _heights(labels)} if kind.classes == LEVELS else {}


def _known_nodules(kind: ImageKind, seed: int, count: int, progress: Progress) -> tuple[Images, dict[str, np.ndarray]]:
    parts = []
    for start in range(0, count, 128):
        parts.append(make_nodules(seed, min(128, count - start), start=start))
        if progress:
            progress(min(1.0, (start + 128) / count))
    images, labels, solidity, *values = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("images", "labels", "solidity", *NODULE_ATTRIBUTES)
    )
    attributes = dict(zip(NODULE_ATTRIBUTES, values, strict=True))
    attributes |= {name: solidity == k for k, name in enumerate(SOLIDITY)}
    return Images(kind, kind.to_network(images), torch.as_tensor(labels)), attributes


def _heights(labels: np.ndarray) -> np.ndarray:
    """Heights (N,) of brain slices: the slices of a patient are spread evenly over PER_PATIENT intervals, of which the
    label leaves a part."""
    interval = np.arange(len(labels)) % PER_PATIENT / PER_PATIENT
    low = np.maximum(interval, labels / len(LEVELS))
    high = np.minimum(interval + 1 / PER_PATIENT, (labels + 1) / len(LEVELS))
    return (low + high) / 2


def _looks(images: Tensor) -> dict[str, np.ndarray]:
    """LOOKS of images: their mean, standard deviation, and mean difference of neighbouring pixels."""
    differences = images.diff(dim=2).abs().mean((1, 2, 3)) + images.diff(dim=3).abs().mean((1, 2, 3))
    values = images.mean((1, 2, 3)), images.std((1, 2, 3)), differences / 2
    return {name: value.numpy() for name, value in zip(LOOKS, values, strict=True)}


def fit(
    config: FeatureConfig, images: Images, attributes: Tensor | None = None, device="cpu", progress: Progress = None
) -> FeatureNet:
    """A network trained on images and their attributes (N, A), in evaluation mode: cross-entropy of the label, plus the
    mean squared error of the attributes in units of their standard deviation. Same seed, same result on a CPU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = FeatureNet(config)
    if attributes is not None:
        net.centre, net.spread = attributes.mean(0), attributes.std(0).clamp_min(1e-6)
    net = net.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), lr=config.rate)
    generator = torch.Generator().manual_seed(config.seed)
    for step in range(config.steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, config.steps, config.rate, warmup=20)
        rows = torch.randint(len(images), (config.batch,), generator=generator)
        batch = augmented(images.images[rows] + 1, config.augment, generator) - 1  # black (-1) beyond the border
        logits, predicted = net(batch.to(device, memory_format=torch.channels_last))
        loss = F.cross_entropy(logits, images.labels[rows].to(device))
        if attributes is not None:
            loss = loss + ((predicted - attributes[rows].to(device)) / net.spread).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if progress:
            progress((step + 1) / config.steps)
    return net.eval().requires_grad_(False)


@torch.inference_mode()
def accuracy(net: FeatureNet, images: Images) -> float:
    """Share of the labels that are predicted correctly."""
    device = net.label.weight.device
    batches = zip(images.images.split(BATCH), images.labels.split(BATCH), strict=True)
    return sum((net(x.to(device))[0].argmax(1).cpu() == y).sum().item() for x, y in batches) / len(images)


@torch.inference_mode()
def explained(net: FeatureNet, images: Images, attributes: dict[str, np.ndarray]) -> dict[str, float]:
    """R2 of every attribute that varies: 1 - sum of squared errors / sum of squares around the mean."""
    device = net.label.weight.device
    predicted = torch.cat([net(x.to(device))[1].cpu() for x in images.images.split(BATCH)]).double().numpy()
    truth = np.stack([attributes[name] for name in net.config.attributes], 1) if attributes else predicted
    error, variance = ((predicted - truth) ** 2).mean(0), truth.var(0)
    rows = zip(net.config.attributes, error.tolist(), variance.tolist(), strict=True)
    return {name: 1 - e / v for name, e, v in rows if v > 0}


def feature_config(kind: ImageKind, **changes) -> FeatureConfig:
    """The configuration of a kind's features. Lungs may be mirrored; digits and heads may not."""
    attributes: tuple[str, ...] = ("height",) if kind.classes == LEVELS else ()
    classes = len(kind.classes)
    if kind.name == "nodules":
        attributes = (*NODULE_ATTRIBUTES, *SOLIDITY)
    if kind.name.startswith(OWN):
        attributes, classes = LOOKS, TURNS
    augment = ("flip", "translation") if kind.name == "nodules" else ("translation",)
    return FeatureConfig(
        data=kind.name,
        size=kind.size,
        classes=classes,
        attributes=attributes,
        augment=augment,
        digest=kind.digest,
        **changes,
    )


def train_features(
    kind: ImageKind, out: Path, device: str = "cpu", steps: int = 1200, count: int = 0, progress: Progress = None
) -> dict:
    """Train the features of a kind on `count` images (0: as many as the kind has) and write out/model.safetensors and
    its card, whose front matter is returned. progress(share): of making the images, then of the steps."""
    out, begin = Path(out), time.perf_counter()
    config = feature_config(kind, steps=steps, count=count or kind.count)
    images, known = known_images(kind, SEED, config.count, progress)
    tested, truth = known_images(kind, HELD_OUT, min(TESTED, config.count))
    attributes = torch.from_numpy(np.stack(list(known.values()), 1).astype(np.float32)) if known else None
    net = fit(config, images, attributes, device, progress)
    save_tensors(out / "model.safetensors", net.state_dict(), as_config(config))
    whose = "the user's own" if kind.name.startswith(OWN) else "no patient's data"
    front = {
        "name": out.name,
        "task": TASK,
        "summary": f"{kind.title}: the features that FID, KID, precision and recall are computed with",
        "architecture": "3x3 convolutions, batch normalisation, ReLU; the mean over the map is 64 features",
        "config": as_config(config),
        "parameters": sum(p.numel() for p in net.parameters()),
        "training_data": f"{config.count:,} images ({kind.name}), {whose}",
        "steps": steps,
        "device": describe_device(device),
        "minutes": round((time.perf_counter() - begin) / 60, 1),
        "metrics": {
            "held_out": len(tested),
            "accuracy": round(accuracy(net, tested), 4),
            "r2": {name: round(value, 3) for name, value in explained(net, tested, truth).items()},
        },
        "intended_use": "comparing generators of these images with each other",
        "limits": "distances of these features cannot be compared with those of Inception, nor between kinds of image",
    }
    write_card(out, front, _card_text(front))
    return front


def _card_text(front: dict) -> str:
    metrics = front["metrics"]
    own = front["config"]["data"].startswith(OWN)
    label = "how many quarter turns an image was rotated by" if own else "the label of an image"
    rows = "".join(f"| {name}, R2 | {value:.2f} |\n" for name, value in metrics["r2"].items())
    return f"""
# {front["name"]}

{front["summary"]}.
Trained to predict {label} and its known attributes; the features are the layer before these heads.

On {metrics["held_out"]} held-out images:

| predicted | |
|---|---|
| label, accuracy | {metrics["accuracy"]:.3f} |
{rows}
A Frechet distance of these features cannot be compared with the FID of papers, which uses Inception's.
"""


def classifier_test(
    real_train: Images,
    real_test: Images,
    synthetic: Images,
    steps: int = 400,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress = None,
) -> dict[str, float]:
    """Accuracies 0..1 of two classifiers trained on equally many synthetic and real images for equally many steps
    (Ravuri and Vinyals, Classification accuracy score, NeurIPS 2019): "synthetic_on_real", and for reference
    "real_on_real" and "real_on_synthetic". With perfect synthetic images all three would be equal."""
    count = min(len(real_train), len(synthetic))
    config = feature_config(real_train.kind, steps=steps, seed=seed, count=count)
    accuracies = {}
    for k, (name, images) in enumerate((("real", real_train), ("synthetic", synthetic))):
        rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:count]
        subset = Images(images.kind, images.images[rows], images.labels[rows])
        scaled = (lambda share, k=k: progress((k + share) / 2)) if progress else None
        net = fit(config, subset, None, device, scaled)
        accuracies[f"{name}_on_real"] = accuracy(net, real_test)
        if name == "real":
            accuracies["real_on_synthetic"] = accuracy(net, synthetic)
    return accuracies
