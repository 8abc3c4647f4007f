"""What a step of training does: L1 alone, pix2pix, CycleGAN. All train the same generators, so only the loss differs.

Images are (N, 1, H, W), source and target in the network's units.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.device import exact
from ganlab.errors import InputError
from ganlab.objectives import OBJECTIVES, get_objective
from ganlab.processes import average, rank
from ganlab.translation.contrasts import examples
from ganlab.translation.inference import PLANES
from ganlab.translation.networks import PatchGAN, PatchGANConfig, ResNetConfig, UNetConfig, make_generator, stride_of
from ganlab.translation.tasks import get_task

SOURCE_TO_TARGET, TARGET_TO_SOURCE = "generator", "back"
EASY = 4  # of so many steps one shows the way back as well, which is little more than a table
PRIOR_PACE = 4.0  # of the learning rate, while generators learn from what is known
STREAMS = 64  # processes at most, each with examples of its own
HEAD = {"t1": 0.15, "flair": 0.15, "ct": -0.5, "fa": 0.05}  # what is above is head, in the network's units


@dataclass(frozen=True)
class TrainingConfig:
    """One training; the defaults are the preset `mr2ct-unet`.

    Weights of losses: `pixel` of the L1 distance to the target (pix2pix: lambda = 100), `cycle` of the L1 distance
    after both generators (CycleGAN: 10), `cycle_source` the same where it begins at the source, if that is to be
    another (an MR holds what no CT shows, and is not to be hidden in it), `identity` of a generator's change of what is
    already in its target domain (5 in CycleGAN's code), `structure` of the distance between descriptors before and
    after (see `mind`). `ranges`: to which images are clipped, and which generators that end in tanh reach; else nothing
    is clipped, and such generators have `network`'s.
    """

    task: str = "mr2ct"
    method: str = "l1"
    network: UNetConfig | ResNetConfig = field(default_factory=UNetConfig)
    discriminator: PatchGANConfig = field(default_factory=lambda: PatchGANConfig(width=32))
    objective: str = "least-squares"
    steps: int = 8000
    batch: int = 6
    size: int = 192  # pixels
    spacing: int = 1  # mm per pixel
    rate: float = 1.5e-3
    decay: float = 0.25  # last share of the steps, in which the rate falls to 0
    epoch: int = 500  # steps between checkpoints; each epoch has a data stream of its own
    frozen: float = 0.0625  # last share of the steps, trained with the batch statistics of inference
    pixel: float = 1.0
    cycle: float = 10.0
    cycle_source: float | None = None
    identity: float = 0.0
    structure: float = 0.0
    pool: int = 50  # generated images that a discriminator may be shown again (Shrivastava et al., CVPR 2017)
    seed: int = 0
    start: str = ""  # a model whose weights the training starts from; chance unless given
    prior: int = 0  # first steps, in which a CycleGAN learns from what is known of both contrasts alone (`contrasts`)
    known: float = 0.0  # weight of the same in the steps after them
    pace: float = 1.0  # a discriminator's rate over a generator's
    filled: float = 0.0  # least share of a slice that the head fills, where slices are no pairs
    planes: tuple[str, ...] = ("axial", "coronal", "sagittal")  # of the slices
    ranges: tuple[tuple[float, float], tuple[float, float]] | None = None  # of source and target, in network's units


LIMITS = {
    "steps": (1, 10**7), "batch": (1, 512), "size": (16, 1024), "spacing": (1, 8), "rate": (0.0, 1.0),
    "decay": (0.0, 1.0), "epoch": (1, 10**6), "frozen": (0.0, 1.0), "pixel": (0.0, 1e4), "cycle": (0.0, 1e4),
    "cycle_source": (0.0, 1e4), "identity": (0.0, 1e4), "structure": (0.0, 1e4), "pool": (0, 10**4),
    "seed": (0, 2**31), "prior": (0, 10**7), "known": (0.0, 1e4), "pace": (0.0, 100.0), "filled": (0.0, 0.5),
}  # fmt: skip
NETWORK_LIMITS = {"channels": (1, 1), "patch": (1, 8), "width": (1, 512), "blocks": (0, 64)}


def check_training(config: TrainingConfig) -> TrainingConfig:
    """The configuration, if a training can be made of it. Raises InputError."""
    get_task(config.task)
    games = [name for name, objective in OBJECTIVES.items() if objective.probability]
    for name, value, known in (
        ("method", config.method, METHODS),
        ("objective", config.objective, games),  # others want a penalty or clipped weights, which these methods lack
        *(("planes", plane, PLANES) for plane in config.planes or [""]),
    ):
        if value not in known:
            raise InputError(f'{name} "{value}" is not known; choose from {", ".join(known)}.')
    _check_limits("", config, LIMITS)
    _check_limits("network.", config.network, NETWORK_LIMITS)
    if config.ranges and not all(low < high for low, high in config.ranges):
        raise InputError(f"ranges {config.ranges} must rise; give such as [[0, 2.5], [-0.6, 1.4]].")
    widths = getattr(config.network, "widths", (1,))
    if not 1 <= len(widths) <= 8 or not all(1 <= width <= 2048 for width in widths):
        raise InputError(f"network.widths {list(widths)} is not 1 to 8 numbers from 1 to 2048; 24, 48, 96 is usual.")
    seen = [getattr(config.network, "window", None), *config.discriminator.windows]
    if not all(half > 0 for _, half in filter(None, seen)):
        raise InputError("The half-width of a window is not above 0; [0.035, 0.08] is that of the brain.")
    stride = stride_of(config.network)
    if config.size % stride or config.size < 2 * stride:
        below = max(2, config.size // stride) * stride
        raise InputError(
            f"size {config.size} is not among the multiples of {stride}, the network's stride, from {2 * stride} on; "
            f"choose {below} or {below + stride}."
        )
    if issubclass(METHODS[config.method], Adversarial):
        _check_discriminator(config)
    return config


def _check_limits(prefix: str, values, limits: dict[str, tuple[float, float]]) -> None:
    for name, (low, high) in limits.items():
        value = getattr(values, name, None)
        if value is not None and not low <= value <= high:
            raise InputError(f"{prefix}{name} {value:g} is outside {low:g} to {high:g}; choose a number between.")


def _check_discriminator(config: TrainingConfig) -> None:
    channels = 2 if config.method == "pix2pix" else 1
    limits = {"channels": (channels, channels), "width": (1, 512), "layers": (1, 6)}
    _check_limits("discriminator.", config.discriminator, limits)
    if not all(side > 0 and side % 2 for side in config.discriminator.depths):
        raise InputError(f"discriminator.depths {list(config.discriminator.depths)} are not odd; 9, 25 is usual.")
    least = 3 * 2**config.discriminator.layers
    if config.size < least:
        raise InputError(
            f"size {config.size} is less than the {least} pixels that a discriminator of "
            f"{config.discriminator.layers} layers sees; choose a larger size or fewer discriminator.layers."
        )


def network_of(config: TrainingConfig, name: str) -> UNetConfig | ResNetConfig:
    """The network of a generator: both ways have the same, but for the range of what they make."""
    if config.ranges is None or isinstance(config.network, UNetConfig):
        return config.network
    low, high = config.ranges[1 if name == SOURCE_TO_TARGET else 0]
    return replace(config.network, low=low, high=high)


class Method:
    """Networks and how they learn from a batch. `nets`: by name. `optimizers`: by name. `generators`: names of those
    whose averaged weights are the result. Each method adds step(source, target, number) -> losses as scalars: learn
    from a batch in the step of this number."""

    paired = True
    generators = (SOURCE_TO_TARGET,)

    def __init__(self, config: TrainingConfig, device: str):
        self.config, self.device = config, device
        self.nets: dict[str, nn.Module] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        for name in self.generators:
            net = make_generator(network_of(config, name))
            self.nets[name] = net.to(device, memory_format=torch.channels_last)

    def memory(self) -> dict[str, Tensor]:
        """What a resumed training needs besides networks and optimisers."""
        return {}

    def recall(self, memory: dict[str, Tensor]) -> None:
        """Take back what `memory` gave."""

    def learn(self, optimizer: str, loss: Tensor) -> None:
        """One step of an optimiser down a loss, by the mean of all processes' gradients."""
        self.optimizers[optimizer].zero_grad(set_to_none=True)
        loss.backward()
        for group in self.optimizers[optimizer].param_groups:
            average([p.grad for p in group["params"] if p.grad is not None])
            nn.utils.clip_grad_norm_(group["params"], 1.0)
        self.optimizers[optimizer].step()


class Regression(Method):
    """L = E |y - G(x)|: no adversary, the baseline of every other method."""

    def __init__(self, config: TrainingConfig, device: str):
        super().__init__(config, device)
        self.optimizers["generator"] = torch.optim.AdamW(
            self.nets[SOURCE_TO_TARGET].parameters(), lr=config.rate, weight_decay=1e-4, fused=device == "cuda"
        )

    def step(self, source: Tensor, target: Tensor, number: int) -> dict[str, Tensor]:
        loss = F.l1_loss(self.nets[SOURCE_TO_TARGET](source).float(), target)
        self.learn("generator", loss)
        return {"l1": loss.detach()}


class Adversarial(Method):
    """A method with discriminators: Adam(0.5, 0.999) for both sides; D's loss is halved, which slows it."""

    discriminators: tuple[str, ...] = ()

    def __init__(self, config: TrainingConfig, device: str):
        super().__init__(config, device)
        self.objective = get_objective(config.objective)
        # On a CPU instance normalisation wants channels first: an eighth of D's time.
        self.layout = torch.channels_last if device == "cuda" else torch.contiguous_format
        for name in self.discriminators:
            net = PatchGAN(self.sight(name))
            for p in net.parameters():
                if p.dim() > 1:
                    nn.init.normal_(p, 0, 0.02)  # as the papers start
            self.nets[name] = net.to(device, memory_format=self.layout)
        for side, names in (("generator", self.generators), ("discriminator", self.discriminators)):
            parameters = [p for name in names for p in self.nets[name].parameters()]
            pace = config.pace if side == "discriminator" else 1.0
            groups = [{"params": parameters, "pace": pace}]
            self.optimizers[side] = torch.optim.Adam(groups, lr=config.rate, betas=(0.5, 0.999), fused=device == "cuda")

    def sight(self, name: str) -> PatchGANConfig:
        """What a discriminator sees of the kind of image that it judges: the outline by that kind's own threshold, the
        windows if it is CT."""
        task, seen = get_task(self.config.task), self.config.discriminator
        kind = task.source if name.startswith("back") else task.target
        outline = None if seen.outline is None else HEAD[kind]
        return replace(seen, windows=seen.windows if kind == "ct" else (), outline=outline)

    def look(self, name: str, images: Tensor, learn: bool) -> Tensor:
        """A discriminator's answer; unless it is to learn, no gradient reaches its weights."""
        self.nets[name].requires_grad_(learn)
        return self.nets[name](images.contiguous(memory_format=self.layout)).float()


class Pix2Pix(Adversarial):
    """min_G max_D of the conditional game on (x, G(x)) + pixel E |y - G(x)| (Isola et al., CVPR 2017, equation 4)."""

    discriminators = ("discriminator",)

    def step(self, source: Tensor, target: Tensor, number: int) -> dict[str, Tensor]:
        fake = self.nets[SOURCE_TO_TARGET](source).float()
        seen = self.look("discriminator", torch.cat([source, fake], 1), False)
        l1, fooled = F.l1_loss(fake, target), self.objective.generator_loss(seen)
        self.learn("generator", self.config.pixel * l1 + fooled)
        both = torch.cat([torch.cat([source, target], 1), torch.cat([source, fake.detach()], 1)])
        real, generated = self.look("discriminator", both, True).chunk(2)
        d = self.objective.discriminator_loss(real, generated) / 2
        self.learn("discriminator", d)
        return {"l1": l1.detach(), "g": fooled.detach(), "d": d.detach()}


class CycleGAN(Adversarial):
    """Two games, G(x) against D_Y and F(y) against D_X, and cycle (E |F(G(x)) - x| + E |G(F(y)) - y|) (Zhu et al.,
    ICCV 2017, equation 3), on images that are not pairs. With structure > 0 what `mind` sees before and after G and F
    must agree as well: nothing in the cycle forbids a mapping that is consistent and wrong (Yang et al., IEEE TMI
    39:4249, 2020)."""

    paired = False
    generators = (SOURCE_TO_TARGET, TARGET_TO_SOURCE)
    discriminators = ("discriminator", "back_discriminator")

    def __init__(self, config: TrainingConfig, device: str):
        super().__init__(config, device)
        self.pools = {name: Pool(config.pool) for name in self.discriminators}

    def memory(self) -> dict[str, Tensor]:
        return {name: torch.stack(pool.images) for name, pool in self.pools.items() if pool.images}

    def recall(self, memory: dict[str, Tensor]) -> None:
        for name, images in memory.items():
            self.pools[name].images = list(images)

    def step(self, source: Tensor, target: Tensor, number: int) -> dict[str, Tensor]:
        if number < self.config.prior:
            for group in self.optimizers["generator"].param_groups:  # a regression bears more than a game
                group["lr"] *= PRIOR_PACE
            known = self.known(source, target, number)
            self.learn("generator", known)
            return {"known": known.detach()}
        c, forth, back = self.config, self.nets[SOURCE_TO_TARGET], self.nets[TARGET_TO_SOURCE]
        made, unmade = forth(source).float(), back(target).float()
        there, here = F.l1_loss(back(made).float(), source), F.l1_loss(forth(unmade).float(), target)
        fooled = self.objective.generator_loss(self.look("discriminator", made, False))
        fooled_back = self.objective.generator_loss(self.look("back_discriminator", unmade, False))
        loss = fooled + fooled_back + c.cycle * here + (c.cycle if c.cycle_source is None else c.cycle_source) * there
        numbers = {"cycle": (there + here).detach() / 2, "g": fooled.detach(), "g_back": fooled_back.detach()}
        if c.identity:
            kept = F.l1_loss(forth(target).float(), target) + F.l1_loss(back(source).float(), source)
            loss = loss + c.identity * kept
        if c.structure:
            with exact(self.device):
                kept = structure_loss(source, made) + structure_loss(target, unmade)
            loss = loss + c.structure * kept
            numbers["structure"] = kept.detach() / 2
        if c.known:
            known = self.known(source, target, number)
            loss = loss + c.known * known
            numbers["known"] = known.detach()
        self.learn("generator", loss)
        d = torch.zeros((), device=source.device)
        for name, real, fake in (("discriminator", target, made), ("back_discriminator", source, unmade)):
            answers = self.look(name, torch.cat([real, self.pools[name].exchange(fake.detach(), number)]), True)
            d = d + self.objective.discriminator_loss(*answers.chunk(2)) / 2
        self.learn("discriminator", d)
        return numbers | {"d": d.detach()}

    def known(self, source: Tensor, target: Tensor, number: int) -> Tensor:
        """The L1 distance to what examples made by textbooks' contrasts ask for (see `contrasts`)."""
        seed = (self.config.seed * 10**6 + number) * STREAMS + rank()
        with torch.no_grad(), exact(self.device):
            made = examples(self.config.task, source, target, seed)
        made = made if number % EASY == 0 else made[:1]
        return sum(F.l1_loss(self.nets[name](given).float(), wanted) for name, given, wanted in made)


class Pool:
    """The last generated images: half of the time a discriminator is shown an old one, so that it cannot forget."""

    def __init__(self, size: int):
        self.size, self.images = size, []

    def exchange(self, images: Tensor, seed: int) -> Tensor:
        """What to show in place of images (N, C, H, W); chance comes from the seed alone."""
        chance, shown = random.Random(seed), []
        for image in images:
            if len(self.images) < self.size:
                self.images.append(image)
            elif self.size and chance.random() < 0.5:
                k = chance.randrange(self.size)
                self.images[k], image = image, self.images[k]
            shown.append(image)
        return torch.stack(shown)


def mind(images: Tensor, distance: int = 2, sigma: float = 1.5) -> Tensor:
    """The modality-independent neighbourhood descriptor (N, 4, H, W) of images (N, 1, H, W), each channel in 0..1.

    exp(-d / v): d the Gaussian-weighted squared difference of the patch around a pixel and the one `distance` pixels
    up, down, left or right; v its mean over the four (Heinrich et al., Medical Image Analysis 16:1423, 2012, equations
    4 to 6). Edges show, whatever the contrast.
    """
    steps = ((distance, 0), (-distance, 0), (0, distance), (0, -distance))
    x = F.pad(images, (distance,) * 4, mode="replicate")
    h, w = images.shape[2:]
    moved = torch.cat([x[:, :, distance + i : distance + i + h, distance + j : distance + j + w] for i, j in steps], 1)
    r = 3
    at = torch.arange(-r, r + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = (kernel / kernel.sum()).repeat(4, 1)
    d = F.pad((images - moved) ** 2, (r,) * 4, mode="replicate")
    d = F.conv2d(F.conv2d(d, kernel[:, None, :, None], groups=4), kernel[:, None, None, :], groups=4)
    v = d.mean(1, keepdim=True)
    low = 1e-3 * v.mean(dim=(1, 2, 3), keepdim=True) + 1e-6  # flat regions say nothing
    found = torch.exp(-d / (v + low))
    return found / found.amax(1, keepdim=True)


def structure_loss(before: Tensor, after: Tensor) -> Tensor:
    """Mean absolute difference of the descriptors of two images."""
    return F.l1_loss(mind(after), mind(before))


METHODS: dict[str, type[Method]] = {"l1": Regression, "pix2pix": Pix2Pix, "cyclegan": CycleGAN}
