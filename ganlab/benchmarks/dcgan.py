"""Training step time compared with a textbook implementation: same networks, images and batch, alternating in one
run."""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import median

import torch
from torch import nn

from ganlab.device import exact, precision, resolve
from ganlab.generation.game import ImageGame
from ganlab.generation.image_kinds import Images, get_kind
from ganlab.generation.networks import make_networks
from ganlab.generation.presets import get_preset

CASES = {  # title -> preset, batch
    "16 x 16, batch 32": ("dcgan-digits", 32),
    "56 x 56, batch 32": ("dcgan-nodules", 32),
    "56 x 56, batch 64": ("dcgan-nodules", 64),
}
STEPS = 4  # per turn


def textbook(config, images: Images, device: str):
    """A function that takes one step of the DCGAN tutorial's loop: D on real and on generated images, each with its own
    backward pass, then G through D, with cross-entropy on sigmoids and Adam with default options."""
    torch.manual_seed(config.seed)
    generator, discriminator = (net.to(device) for net in make_networks(config.network))
    adam_d = torch.optim.Adam(discriminator.parameters(), lr=config.rate_d, betas=(config.beta1, 0.999))
    adam_g = torch.optim.Adam(generator.parameters(), lr=config.rate_g, betas=(config.beta1, 0.999))
    criterion, n = nn.BCELoss(), config.batch
    ones, zeros = torch.ones(n, device=device), torch.zeros(n, device=device)

    def step() -> None:
        rows = torch.randint(len(images), (n,))
        real, labels = images.images[rows].to(device), images.labels[rows].to(device)
        discriminator.zero_grad()
        loss_real = criterion(torch.sigmoid(discriminator(real, labels)), ones)
        loss_real.backward()
        noise = torch.randn(n, config.network.z, device=device)
        fake = generator(noise, labels)
        loss_fake = criterion(torch.sigmoid(discriminator(fake.detach(), labels)), zeros)
        loss_fake.backward()
        adam_d.step()
        generator.zero_grad()
        loss_g = criterion(torch.sigmoid(discriminator(fake, labels)), ones)
        loss_g.backward()
        adam_g.step()
        loss_real.item(), loss_fake.item(), loss_g.item()

    return step


def benchmark_dcgan(device: str = "auto", rounds: int = 3, seed: int = 0) -> dict:
    """Images per second of both, and their ratio, for each case: medians over rounds. Ours also averages G's weights,
    measures both gradients and seeds every step; it runs in training precision (see `device.autocast`) and, if that is
    lower, in float32 too, as the textbook's does."""
    device = resolve(device)
    result = {"device": device, "precision": precision(device), "cases": {}}
    for title, (preset, batch) in CASES.items():
        config = replace(get_preset(preset, seed=seed), batch=batch)
        kind = get_kind(config.data)
        generator = torch.Generator().manual_seed(seed)
        pictures = torch.rand((256, 1, kind.size, kind.size), generator=generator) * 2 - 1
        labels = torch.randint(max(1, config.network.classes), (256,), generator=generator)
        images = Images(kind, pictures, labels)
        steps = {"ours": ImageGame(config, images, device).take_step, "textbook": textbook(config, images, device)}
        if result["precision"] != "float32":
            float32 = ImageGame(config, images, device)
            float32.autocast = exact
            steps["ours_float32"] = float32.take_step
        spent = {name: [] for name in steps}
        for k in range(rounds + 1):
            for name, step in steps.items():
                start = time.perf_counter()
                for _ in range(STEPS):
                    step()
                if k:  # the first round warms up
                    spent[name].append((time.perf_counter() - start) / STEPS)
        speed = {name: batch / median(times) for name, times in spent.items()}
        result["cases"][title] = {
            **{f"{name}_images_per_second": round(v, 1) for name, v in speed.items()},
            "ratio": round(speed["ours"] / speed["textbook"], 2),
            "ratio_float32": round(speed.get("ours_float32", speed["ours"]) / speed["textbook"], 2),
        }
    return result


def format_benchmark(result: dict) -> str:
    rows = "\n".join(_row(title, case, result["precision"]) for title, case in result["cases"].items())
    return f"a step of D and G, on {result['device']}; textbook in float32\n{rows}"


def _row(title: str, case: dict[str, float], usual: str) -> str:
    words = [f"textbook {case['textbook_images_per_second']:>8,.1f} images/s"]
    words.append(f"ours in {usual} {case['ours_images_per_second']:>8,.1f}, {case['ratio']:.2f} times")
    if usual != "float32":
        words.append(f"in float32 {case['ours_float32_images_per_second']:>8,.1f}, {case['ratio_float32']:.2f} times")
    return f"{title:<20} {'   '.join(words)}"
