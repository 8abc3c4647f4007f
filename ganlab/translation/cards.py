"""Measuring a model on the held-out phantom patients, and writing the figures into its card."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean, stdev

from ganlab.checkpoints import model_folder, read_card, write_card
from ganlab.imaging.metrics import evaluate
from ganlab.imaging.phantom import make_patient
from ganlab.translation.pipeline import translate
from ganlab.translation.tasks import get_task

HELD_OUT = tuple(range(9000, 9006))  # seeds from 9000 on are never trained on
COLUMNS = {
    "MAE": ("mae", "HU"),
    "air": ("air", "HU"),
    "soft": ("soft", "HU"),
    "bone": ("bone", "HU"),
    "PSNR": ("psnr", "dB"),
    "PSNR SynthRAD": ("psnr_synthrad", "dB"),
    "SSIM": ("ssim", ""),
    "bone Dice": ("dice_bone", ""),
}


def measure_model(
    name: str, task: str = "mr2ct", device: str = "auto", progress: Callable[[float], None] | None = None
) -> dict:
    """{"patients": {seed: figures}, "mean": figures, "sd": figures} inside the head mask of each held-out patient."""
    kind = get_task(task)
    patients = {}
    for k, seed in enumerate(HELD_OUT):
        volumes = make_patient(seed, (kind.source, kind.target))
        synthetic = translate(volumes[kind.source], task, name, device).synthetic
        result = evaluate(volumes[kind.target], synthetic, task=task)
        flat = {**result, **{t: v["mae"] for t, v in result["tissues"].items()}}
        patients[seed] = {key: round(float(flat[key]), 4) for key, _ in COLUMNS.values() if key in flat}
        if progress:
            progress((k + 1) / len(HELD_OUT))
    keys = next(iter(patients.values()))
    return {
        "patients": patients,
        "mean": {k: round(mean(p[k] for p in patients.values()), 4) for k in keys},
        "sd": {k: round(stdev(p[k] for p in patients.values()), 4) for k in keys},
    }


def format_patients(result: dict) -> str:
    """A Markdown table, one row a patient, and mean and standard deviation."""
    keys = [(title, key, unit) for title, (key, unit) in COLUMNS.items() if key in result["mean"]]
    lines = [
        "| patient | " + " | ".join(f"{title} ({unit})" if unit else title for title, _, unit in keys) + " |",
        "|---" * (len(keys) + 1) + "|",
    ]
    rows = {**result["patients"], "mean": result["mean"], "SD": result["sd"]}
    for row, figures in rows.items():
        cells = (f"{figures[key]:.3f}" if unit == "" else f"{figures[key]:.1f}" for _, key, unit in keys)
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def update_card(name: str, result: dict) -> None:
    """Replace the figures of a card: its front matter's metrics and the table under its heading."""
    folder = model_folder(name)
    front = read_card(folder)
    front["metrics"] = {"held_out_seeds": list(HELD_OUT), "mean": result["mean"], "sd": result["sd"]}
    text = (folder / "card.md").read_text(encoding="utf-8").split("---\n", 2)[2]
    before, _, rest = text.partition("<!-- held-out -->\n")
    _, _, after = rest.partition("<!-- /held-out -->\n")
    write_card(folder, front, f"{before}<!-- held-out -->\n{format_patients(result)}\n<!-- /held-out -->\n{after}")
