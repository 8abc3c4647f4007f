"""The fixed networks by whose features generated images are measured: one per kind of image, trained here to name what
is known of the images. Nothing is downloaded, and nothing was learned from photographs, as Inception's features were.

A small convolutional network: 64 features, and linear heads on them for the label and for attributes. The configuration
stands beside the network and travels in its checkpoint, pretrained/features-KIND.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.checkpoints import PRETRAINED, as_config, fill, load_tensors, save_tensors, write_card
from ganlab.device import describe_device
from ganlab.errors import InputError
from ganlab.generation.augment import augmented
from ganlab.generation.brain_slices import LEVELS, PER_PATIENT
from ganlab.generation.image_kinds import HELD_OUT, OWN, TRAINING, ImageKind, Images, Progress, get_kind
from ganlab.phantoms.lungs.nodule_parts import SOLIDITY
from ganlab.phantoms.lungs.nodules import make_nodules
from ganlab.training import learning_rate

TASK = "features"
FEATURES = "features-"  # what their folders begin with
SEED = TRAINING + 1  # not the images that generators learn from, where there are others
TESTED = 1000  # held-out images that the card's numbers are of
NODULES = ("diameter_mm", "roundness", "mean_hu", "spiculation", "lobulation", "kernel_mm", "noise_hu")


LOOKS = ("brightness", "contrast", "sharpness")  # what is known of a user's own images
TURNS = 4


@dataclass(frozen=True)
class FeatureConfig:
    """data: the kind of image, of `size` pixels and so many `classes`. attributes: what else is regressed. widths:
    channels of the convolutions; the last are the features. augment: changes of the images in training (see
    `augment`). count: images, or 0 for as many as generators learn from. batch, rate: of Adam."""

    data: str
    size: int
    classes: int
    attributes: tuple[str, ...] = ()
    widths: tuple[int, ...] = (24, 48, 96, 64)
    augment: tuple[str, ...] = ("translation",)
    steps: int = 1200
    batch: int = 64
    rate: float = 2e-3
    count: int = 0
    seed: int = 0


class FeatureNet(nn.Module):
    """3x3 convolutions, batch normalisation, ReLU, halving while the map is wider than 4 pixels; the mean over the
    map is the features (N, widths[-1]), never negative."""

    def __init__(self, config: FeatureConfig):
        super().__init__()
        self.config = config
        layers, side, i = [], config.size, 1
        for o in config.widths:
            stride = 2 if side > 4 else 1
            side //= stride
            layers += [nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]
            i = o
        self.maps = nn.Sequential(*layers)
        self.label = nn.Linear(i, config.classes)
        self.attributes = nn.Linear(i, len(config.attributes)) if config.attributes else None
        self.register_buffer("centre", torch.zeros(len(config.attributes)))
        self.register_buffer("spread", torch.ones(len(config.attributes)))

    def features(self, x: Tensor) -> Tensor:
        """(N, widths[-1]) of images (N, 1, size, size) in -1..1."""
        return self.maps(x).mean((2, 3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, classes), and attributes (N, len(config.attributes)) in their own units."""
        known = self.features(x)
        told = self.attributes(known) if self.attributes else known[:, :0]
        return self.label(known), told * self.spread + self.centre


def known_images(
    kind: ImageKind, seed: int, count: int, progress: Progress = None
) -> tuple[Images, dict[str, np.ndarray]]:
    """Images of a seed, and what is known of each beside its label: name -> (N,).

    Nodules: what `Nodules` says, a 0 or 1 for each solidity, and the scanner's kernel and noise, so that features see
    blur and noise too. Brains: the height 0..1 in the head, to within a twelfth: slices are even in height over
    PER_PATIENT places, of which the label leaves a part. Digits: nothing. A user's own, of which nothing is known: each
    image four times, labelled by how many quarter turns it was turned (Gidaris, Singh and Komodakis, ICLR 2018), and
    its LOOKS.
    """
    if kind.name.startswith(OWN):
        values = kind.to_network(kind.make(seed, count, progress)[0])
        images = torch.cat([values.rot90(turns, (2, 3)) for turns in range(TURNS)])
        return Images(kind, images, torch.arange(TURNS).repeat_interleave(len(values))), _looks(images)
    if kind.name != "nodules":
        values, labels = kind.make(seed, count, progress)
        attributes = {}
        if kind.classes == LEVELS:
            place = np.arange(len(labels)) % PER_PATIENT / PER_PATIENT
            low = np.maximum(place, labels / len(LEVELS))
            high = np.minimum(place + 1 / PER_PATIENT, (labels + 1) / len(LEVELS))
            attributes = {"height": (low + high) / 2}
        return Images(kind, kind.to_network(values), torch.as_tensor(labels, dtype=torch.int64)), attributes
    parts = []
    for start in range(0, count, 128):
        parts.append(make_nodules(seed, min(128, count - start), start=start))
        if progress:
            progress(min(1.0, (start + 128) / count))
    images, labels, solidity, *rest = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("images", "labels", "solidity", *NODULES)
    )
    attributes = dict(zip(NODULES, rest, strict=True)) | {name: solidity == k for k, name in enumerate(SOLIDITY)}
    return Images(kind, kind.to_network(images), torch.as_tensor(labels)), attributes


def _looks(images: Tensor) -> dict[str, np.ndarray]:
    """LOOKS of images: their mean, standard deviation, and mean difference of neighbouring pixels."""
    steps = images.diff(dim=2).abs().mean((1, 2, 3)) + images.diff(dim=3).abs().mean((1, 2, 3))
    found = images.mean((1, 2, 3)), images.std((1, 2, 3)), steps / 2
    return {name: values.numpy() for name, values in zip(LOOKS, found, strict=True)}


def fit(
    config: FeatureConfig, images: Images, attributes: Tensor | None = None, device="cpu", progress: Progress = None
) -> FeatureNet:
    """A network trained on images and their attributes (N, A), for inference: cross-entropy of the label, and the mean
    squared error of attributes in units of their standard deviation. Same seed, same result on a CPU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = FeatureNet(config)
    if attributes is not None:
        net.centre, net.spread = attributes.mean(0), attributes.std(0).clamp_min(1e-6)
    net = net.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), lr=config.rate)
    chance = torch.Generator().manual_seed(config.seed)
    for step in range(config.steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, config.steps, config.rate, warmup=20)
        rows = torch.randint(len(images), (config.batch,), generator=chance)
        changed = augmented(images.images[rows] + 1, config.augment, chance) - 1  # darkness from beyond the border
        logits, told = net(changed.to(device, memory_format=torch.channels_last))
        loss = F.cross_entropy(logits, images.labels[rows].to(device))
        if attributes is not None:
            loss = loss + ((told - attributes[rows].to(device)) / net.spread).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if progress:
            progress((step + 1) / config.steps)
    return net.eval().requires_grad_(False)


@torch.inference_mode()
def embed(net: FeatureNet, images: Tensor, batch: int = 256) -> np.ndarray:
    """(N, 64) float64 features of images (N, 1, size, size) in -1..1."""
    device = net.label.weight.device
    return np.concatenate([net.features(part.to(device)).double().cpu().numpy() for part in images.split(batch)])


@torch.inference_mode()
def accuracy(net: FeatureNet, images: Images, batch: int = 256) -> float:
    """Share of the labels that are named rightly."""
    device = net.label.weight.device
    parts = zip(images.images.split(batch), images.labels.split(batch), strict=True)
    return sum((net(x.to(device))[0].argmax(1).cpu() == y).sum().item() for x, y in parts) / len(images)


@torch.inference_mode()
def explained(net: FeatureNet, images: Images, attributes: dict[str, np.ndarray]) -> dict[str, float]:
    """R2 of every attribute that varies: 1 less the squared errors' share of the variance."""
    device = net.label.weight.device
    told = torch.cat([net(part.to(device))[1].cpu() for part in images.images.split(256)]).double().numpy()
    truth = np.stack([attributes[name] for name in net.config.attributes], 1) if attributes else told
    error, variance = ((told - truth) ** 2).mean(0), truth.var(0)
    rows = zip(net.config.attributes, error.tolist(), variance.tolist(), strict=True)
    return {name: 1 - e / v for name, e, v in rows if v > 0}


def feature_config(kind: ImageKind, **changes) -> FeatureConfig:
    """What features of a kind are trained with. Lungs have no handedness; digits and heads have."""
    known = {"nodules": (*NODULES, *SOLIDITY)}.get(kind.name, ("height",) if kind.classes == LEVELS else ())
    classes = len(kind.classes)
    if kind.name.startswith(OWN):
        known, classes = LOOKS, TURNS
    augment = ("flip", "translation") if kind.name == "nodules" else ("translation",)
    return FeatureConfig(kind.name, kind.size, classes, known, augment=augment, **changes)


def train_features(
    kind: ImageKind, out: Path, device: str = "cpu", steps: int = 1200, count: int = 0, progress: Progress = None
) -> dict:
    """Train the features of a kind on `count` images and write out/model.safetensors and its card, whose front matter
    is returned. progress(share): of the images, then of the steps. Deterministic on a CPU."""
    out, clock = Path(out), time.perf_counter()
    config = feature_config(kind, steps=steps, count=count or kind.count)
    images, known = known_images(kind, SEED, config.count, progress)
    tested, truth = known_images(kind, HELD_OUT, min(TESTED, config.count))
    attributes = torch.from_numpy(np.stack(list(known.values()), 1).astype(np.float32)) if known else None
    net = fit(config, images, attributes, device, progress)
    save_tensors(out / "model.safetensors", net.state_dict(), as_config(config))
    whose = "the user's own" if kind.name.startswith(OWN) else "of no patient"
    front = {
        "name": out.name,
        "task": TASK,
        "summary": f"{kind.title}: the features that FID, KID, precision and recall are measured with",
        "architecture": "3x3 convolutions, batch normalisation, ReLU; the mean over the map is 64 features",
        "config": as_config(config),
        "parameters": sum(p.numel() for p in net.parameters()),
        "training_data": f"{config.count:,} images ({kind.name}), {whose}",
        "steps": steps,
        "device": describe_device(device),
        "minutes": round((time.perf_counter() - clock) / 60, 1),
        "metrics": {
            "held_out": len(tested),
            "accuracy": round(accuracy(net, tested), 4),
            "r2": {name: round(value, 3) for name, value in explained(net, tested, truth).items()},
        },
        "intended_use": "measuring generators of these images against each other",
        "limits": "distances of these features are not comparable with those of Inception, nor between kinds",
    }
    write_card(out, front, _text(front))
    return front


def _text(front: dict) -> str:
    metrics = front["metrics"]
    own = front["config"]["data"].startswith(OWN)
    label = "by how many quarter turns an image was turned" if own else "the label of an image"
    rows = "".join(f"| {name}, R2 | {value:.2f} |\n" for name, value in metrics["r2"].items())
    return f"""
# {front["name"]}

{front["summary"]}.
Trained to name {label} and what else is known of it; what is measured with lies before these heads.

On {metrics["held_out"]} held-out images:

| known | |
|---|---|
| label, accuracy | {metrics["accuracy"]:.3f} |
{rows}
A Frechet distance on these features is not comparable with the FID of papers, which is on Inception's.
"""


def own_features(kind: ImageKind, folder: Path, source: Path, device: str = "cpu") -> FeatureNet:
    """The features of a user's own images (see `own.own_kind`) in a folder of trainings. Raises InputError where there
    are none, or those of other images."""
    net = load_features(kind.name, device, folder, f' --source "{source}"')
    if net.config.count != kind.count:
        raise InputError(
            f'The features in "{folder / (FEATURES + kind.name)}" learned from {net.config.count:,} images, and '
            f'"{source}" has {kind.count:,} to learn from; train them with python -m ganlab train '
            f'{FEATURES}{kind.name} --source "{source}" --out "{folder / (FEATURES + kind.name)}".'
        )
    return net


def load_features(kind_name: str, device: str = "cpu", folder: Path | None = None, source: str = "") -> FeatureNet:
    """The features of a kind, for inference, of pretrained/ unless another folder is given; source: what the command
    that trains them needs beside. Raises InputError where there are none."""
    get_kind(kind_name)
    path = (folder or PRETRAINED) / f"{FEATURES}{kind_name}" / "model.safetensors"
    if not path.is_file():
        raise InputError(
            f'There are no features to measure images "{kind_name}" with; train them with python -m ganlab train '
            f'features-{kind_name}{source} --out "{path.parent}".'
        )
    tensors, written = load_tensors(path, device)
    try:
        config = FeatureConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in written.items()})
    except TypeError as error:
        raise InputError(f'"{path}" does not hold features of images; train it anew.') from error
    net = FeatureNet(config)
    fill(net, tensors, path)
    return net.to(device).eval().requires_grad_(False)


def classifier_test(
    real_train: Images,
    real_test: Images,
    synthetic: Images,
    steps: int = 400,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress = None,
) -> dict[str, float]:
    """Accuracies 0..1 of two classifiers, of equally many images and steps, that learned from synthetic or real ones
    (Ravuri and Vinyals, Classification accuracy score, NeurIPS 2019): "synthetic_on_real", and for reference
    "real_on_real" and "real_on_synthetic". Were the synthetic images right, all three would be alike."""
    count = min(len(real_train), len(synthetic))
    config = feature_config(real_train.kind, steps=steps, seed=seed, count=count)
    told = {}
    for k, (name, whole) in enumerate((("real", real_train), ("synthetic", synthetic))):
        rows = torch.randperm(len(whole), generator=torch.Generator().manual_seed(seed))[:count]
        part = Images(whole.kind, whole.images[rows], whole.labels[rows])
        scaled = (lambda share, k=k: progress((k + share) / 2)) if progress else None
        net = fit(config, part, None, device, scaled)
        told[f"{name}_on_real"] = accuracy(net, real_test)
        if name == "real":
            told["real_on_synthetic"] = accuracy(net, synthetic)
    return told
