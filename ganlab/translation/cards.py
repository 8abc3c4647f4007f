"""Measuring a model on the held-out phantom patients, and writing the figures into its card."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean, stdev

from ganlab.checkpoints import as_config, model_folder, read_card, write_card
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
    model_folder(name)  # an unknown name is said before patients are made
    patients = {}
    for k, seed in enumerate(HELD_OUT):
        volumes = make_patient(seed, (kind.source, kind.target))
        synthetic = translate(volumes[kind.source], task, name, device).synthetic
        result = evaluate(volumes[kind.target], synthetic, task=task)
        flat = {**result, **{t: v["mae"] for t, v in result["tissues"].items()}}
        flat |= {f"dice_{t}": v for t, v in result["dice"].items()}
        patients[seed] = {key: round(flat[key], 4) for key, _ in COLUMNS.values() if flat.get(key) is not None}
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


def write_new_card(folder, config, net, step: int, device: str, minutes: float) -> None:
    """The card of a training as it stands; `evaluate-models --write-card` adds the figures."""
    kind = get_task(config.task)
    front = {
        "name": kind.default_model,
        "task": config.task,
        "summary": "U-Net, L1 loss, no adversary; the baseline",
        "architecture": "U-Net on 2x2 pixel blocks, batch normalisation, 2-D slices of 1 mm in three planes",
        "config": as_config(config),
        "parameters": sum(p.numel() for p in net.parameters()),
        "training_data": f"phantom patients, sampler streams from 10^9 on, {step * config.batch} random slices",
        "steps": step,
        "device": device,
        "minutes": round(minutes),
        "metrics": {},
        "intended_use": "teaching and research on image translation; not a medical device",
    }
    write_card(folder, front, CARD.format(title=kind.title, size=config.size))


CARD = """
# {title}: U-Net with an L1 loss

A fully convolutional regression: for every T1-weighted slice the CT whose absolute error is least on average,
`L = E |y - G(x)|`. Where the scan does not tell (compact bone and air are both dark on T1), the least absolute error
is the conditional median: thin walls between air cells fade, and textures are smooth. Models with an adversary are
measured against this one.

## Training

Slices of {size} x {size} pixels at 1 mm, in all three planes, of phantom patients that are made while training:
every anatomy new, every contrast, field, resolution, noise, field of view and defacing random; one patient in seven
has a lesion, some have fillings or a bone flap. No patient's data was used. The last steps keep the batch statistics
of inference. Train it again with `python -m ganlab train mr2ct-unet`.

## Held-out phantom patients

Seeds 9000 to 9005, 1 mm, inside the head mask, three planes averaged.
Measure again with `python -m ganlab evaluate-models --model mr2ct-unet`.

<!-- held-out -->
<!-- /held-out -->

## Limits

- It knows the anatomy of its phantoms: adults, some with a tumour, plaques, a bleed, a bone flap or fillings. What
  they do not have (other disease, implants, children) it does not know: a lesion may be lost or appear, and nothing
  in the result says so.
- CT numbers of bone are typical, not this patient's: density cannot be read off a T1 scan.
- Thin bone of the face and skull base, air cells and the throat are the weakest parts; the vault is the strongest.
- Head T1-weighted scans of adults, with the skull. Not for stripped brains, other contrasts or other bodies.
- Not a medical device. Not for diagnosis, dose or treatment.
"""


def update_card(name: str, result: dict) -> None:
    """Replace the figures of a card: its front matter's metrics and the table under its heading."""
    folder = model_folder(name)
    front = read_card(folder)
    front["metrics"] = {"held_out_seeds": list(HELD_OUT), "mean": result["mean"], "sd": result["sd"]}
    text = (folder / "card.md").read_text(encoding="utf-8").split("---\n", 2)[2]
    before, _, rest = text.partition("<!-- held-out -->\n")
    _, _, after = rest.partition("<!-- /held-out -->\n")
    write_card(folder, front, f"{before}<!-- held-out -->\n{format_patients(result)}\n<!-- /held-out -->\n{after}")
