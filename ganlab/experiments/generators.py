"""What do DCGAN's convolutions and conditioning on the class change? Three generators of digits, with several seeds.

The fully connected networks of Goodfellow et al. (NeurIPS 2014), the strided convolutions of Radford et al. (ICLR
2016), and these conditioned on the class (Mirza and Osindero, 2014). Images, objective, batches and number of steps are
the same; only the network differs.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import mean

from ganlab.checkpoints import replacing
from ganlab.experiments.arms import Arm, spent, summary, write_result
from ganlab.generation.config import NetworkConfig
from ganlab.generation.evaluation import evaluate_generator
from ganlab.generation.export import tiled
from ganlab.generation.image_kinds import get_kind, load_images
from ganlab.generation.presets import PRESETS
from ganlab.generation.sampling import generate

STEPS = 4000
SEEDS = 3
COUNT = 2000  # images per set in the measurements
SHOWN = 64  # samples of a sheet
DCGAN = PRESETS["dcgan-digits"]
NETWORKS = {
    "fc": ("fully connected", NetworkConfig(kind="fc", size=DCGAN.network.size)),
    "dcgan": ("DCGAN", replace(DCGAN.network, classes=0)),
    "conditional": ("conditional DCGAN", DCGAN.network),
}
FIGURES = {  # key -> (heading, decimals)
    "fid": ("Fréchet distance", 2),
    "kid": ("KID", 3),
    "precision": ("precision", 2),
    "recall": ("recall", 2),
    "ms_ssim": ("MS-SSIM", 2),
    "memorisation": ("distance to training", 2),
    "classifier": ("classifier", 2),
}


def arms(steps: int = STEPS, seed: int = 0) -> dict[str, Arm]:
    """Every network with SEEDS seeds, from `seed` on."""
    return {
        f"{name}-{k}": Arm(
            f"{title}, run {k + 1} of {SEEDS}", replace(DCGAN, network=network, steps=steps, seed=seed + k)
        )
        for name, (title, network) in NETWORKS.items()
        for k in range(SEEDS)
    }


def measure(steps: int, out: Path, device: str, progress=lambda share: None) -> dict:
    """Measure every generator against digits of other writers; writes result.json, result.md and figure.png."""
    out, models = Path(out), arms(steps)
    rows, real_rows = {}, []
    for k, name in enumerate(models):
        evaluation = evaluate_generator(str(out / name), device, COUNT)
        rows[name] = measured(evaluation, "generated")
        real_rows.append(measured(evaluation, "real"))
        progress((k + 1) / len(models))
    networks = {}
    for kind, (title, _) in NETWORKS.items():
        runs = {name: row for name, row in rows.items() if name.rpartition("-")[0] == kind}
        costs = [spent(out / name) for name in runs]
        networks[kind] = costs[0] | {
            "title": title,
            "minutes": round(mean(cost["minutes"] for cost in costs), 1),
            "runs": runs,
            "summary": summary(list(runs.values())),
        }
    result = {
        "experiment": "generators",
        "question": "What do DCGAN's convolutions change, and what does a condition on the class?",
        "figures": {key: heading for key, (heading, _) in FIGURES.items()},
        "networks": networks,
        "real": real_rows[-1],  # of a conditional generator, for which all figures are defined
    }
    write_result(result, format_result(result), out)
    draw(result, out, device)
    return result


def measured(evaluation: dict, side: str) -> dict[str, float]:
    """FIGURES of a result of `evaluate_generator`, for "generated" or "real" images. A generator without labels has no
    classifier figure, and its MS-SSIM, over images of all classes, would not be comparable."""
    row = {key: evaluation[side][key] for key in ("fid", "kid", "precision", "recall")}
    row["memorisation"] = evaluation["memorisation"]["ratio"] if side == "generated" else 1.0
    if evaluation["classifier"]:
        row["ms_ssim"] = evaluation[side]["ms_ssim"]
        row["classifier"] = evaluation["classifier"]["synthetic_on_real" if side == "generated" else "real_on_real"]
    return row


def format_result(result: dict) -> str:
    """A Markdown table: mean and standard deviation of every figure over seeds, other real images in the last row."""
    heads = [*result["figures"].values(), "weights", "minutes"]
    lines = ["| mean ± SD | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for network in result["networks"].values():
        cells = [_cell(network["summary"].get(key), FIGURES[key][1]) for key in FIGURES]
        cells += [f"{network['parameters']:,}", f"{network['minutes']:g}"]
        lines.append(f"| {network['title']} | " + " | ".join(cells) + " |")
    real = result["real"]
    cells = [f"{real[key]:.{digits}f}" if key in real else "" for key, (_, digits) in FIGURES.items()]
    lines.append("| other real images | " + " | ".join(cells) + " | | |")
    first = next(iter(result["networks"].values()))
    lines += ["", f"{SEEDS} seeds each, {first['steps']:,} steps of {DCGAN.batch} images, {first['device']}."]
    return "\n".join(lines)


def _cell(value: list[float] | None, digits: int) -> str:
    return f"{value[0]:.{digits}f} ± {value[1]:.{digits}f}" if value else ""


def draw(result: dict, out: Path, device: str) -> None:
    """Write out/figure.png: real images, and samples of the first run of each network, from one seed, not selected."""
    from matplotlib.figure import Figure

    kind = get_kind(DCGAN.data)
    pictures = {"real": kind.to_unit(load_images(kind, count=SHOWN).images)}
    for name, network in result["networks"].items():
        pictures[network["title"]] = generate(str(out / f"{name}-0"), SHOWN, device=device).images
    figure = Figure(figsize=(3 * len(pictures), 3.3), facecolor="black", layout="constrained")
    for panel, (title, images) in zip(figure.subplots(1, len(pictures)), pictures.items(), strict=True):
        panel.imshow(tiled(images, kind.window), cmap="gray", vmin=0, vmax=255)
        panel.set_title(title, color="white", fontsize=10)
        panel.axis("off")
    with replacing(out / "figure.png") as partial:
        figure.savefig(partial, dpi=100, format="png")
