"""Does unpaired training beat misaligned pairs, and do aligned pairs beat both? (Wolterink et al. 2017, section 4)

CT and MR of a patient are acquired at different times, with throat and jaw in different positions. Wolterink et al.
found a CycleGAN without pairs better (MAE 73.7 HU) than a network trained on such pairs (89.4 HU), and could not train
on aligned pairs, which do not exist for patients. Phantoms have both.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from ganlab.checkpoints import replacing
from ganlab.errors import InputError
from ganlab.experiments.arms import DISCRIMINATOR, NETWORK, PIXEL, Arm, spent, summary, write_result, write_text
from ganlab.imaging.volume import Volume
from ganlab.phantoms import make_patient
from ganlab.translation.batches import phantom_slices
from ganlab.translation.compare import compare
from ganlab.translation.cycle.cycle import Cycle, consistency, run_cycle
from ganlab.translation.inference import translate
from ganlab.translation.measure import HELD_OUT, figures_of
from ganlab.translation.preview import WINDOWS, show_slice
from ganlab.translation.training_config import TrainingConfig
from ganlab.translation.warm_start import BACK_FOLDER

STEPS = 2000
MISALIGN = 6.0  # mm in throat and jaw, about 2 mm in the skull
SHOWN, AT = HELD_OUT[0], 2.0  # the patient and the sagittal slice, mm, of the figure
LEVEL = 20.0  # mm, the axial slice in cycles.png
CT_WINDOW, ERROR_HU = (-500.0, 1500.0), 500.0
FIGURES = {  # key -> (heading, decimals)
    "mae": ("MAE (HU)", 1),
    "air": ("air", 1),
    "soft": ("soft", 1),
    "bone": ("bone", 1),
    "psnr": ("PSNR (dB)", 1),
    "sharpness": ("sharpness", 2),
    "skull_shift": ("skull shift (mm)", 2),
}


def arms(steps: int = STEPS, seed: int = 0) -> dict[str, Arm]:
    """The same generator, slices and number of steps; source and target are aligned, misaligned or unpaired, and
    each uses the loss that this allows."""
    common = TrainingConfig(
        network=NETWORK,
        steps=steps,
        batch=4,
        size=96,
        spacing=PIXEL,
        rate=4e-4,
        decay=0.5,
        epoch=250,
        seed=seed,
    )
    pairs = replace(
        common, method="pix2pix", discriminator=replace(DISCRIMINATOR, channels=2), objective="non-saturating",
        pixel=100.0,
    )  # fmt: skip
    free = replace(common, method="cyclegan", discriminator=DISCRIMINATOR)
    make = partial(phantom_slices, task="mr2ct", size=common.size * PIXEL, wild=False)
    return {
        "aligned": Arm("pix2pix, aligned pairs", pairs, partial(make, paired=True)),
        "misaligned": Arm("pix2pix, misaligned pairs", pairs, partial(make, paired=True, misalign=MISALIGN)),
        "unpaired": Arm("CycleGAN, no pairs", free, partial(make, paired=False)),
        "unpaired-structure": Arm(
            "CycleGAN, no pairs, structure loss", replace(free, structure=5.0), partial(make, paired=False)
        ),
    }


def measure(steps: int, out: Path, device: str, progress=lambda share: None) -> dict:
    """Measure every arm on the held-out patients, whose T1 and CT are aligned; writes result.json, result.md,
    figure.png, cycles.md and cycles.png."""
    out, models, volumes = Path(out), arms(steps), {}
    patients: dict[str, dict[int, dict]] = {name: {} for name in models}
    for k, seed in enumerate(HELD_OUT):
        patient = make_patient(seed, ("t1", "ct"), PIXEL)
        synthetic = {name: translate(patient["t1"], "mr2ct", str(out / name), device).synthetic for name in models}
        for name, volume in synthetic.items():
            figures = figures_of(compare(patient["ct"], volume, "mr2ct"), "mr2ct")
            patients[name][seed] = {key: round(figures[key], 4) for key in FIGURES if key in figures}
        if seed == SHOWN:
            volumes = {"t1": patient["t1"], "ct": patient["ct"], **synthetic}
        progress((k + 1) / len(HELD_OUT))
    result = {
        "experiment": "paired-vs-unpaired",
        "question": "Does a CycleGAN without pairs beat pix2pix on misaligned pairs, and do aligned pairs beat both?",
        "misalign_mm": MISALIGN,
        "pixel_mm": PIXEL,
        "figures": {key: heading for key, (heading, _) in FIGURES.items()},
        "arms": {
            name: {
                "title": arm.title,
                **spent(out / name),
                "patients": patients[name],
                "summary": summary(list(patients[name].values())),
            }
            for name, arm in models.items()
        },
    }
    result["comparisons"] = [
        mae_gain(patients, result, better, worse)
        for better, worse in (("unpaired", "misaligned"), ("aligned", "misaligned"), ("aligned", "unpaired"))
    ]
    write_result(result, format_result(result), out)
    draw(volumes, result, out / "figure.png")
    follow_cycles(result, out, device)
    return result


def follow_cycles(result: dict, out: Path, device: str) -> None:
    """The full cycle of each CycleGAN on the patient SHOWN: cycles.png and cycles.md. A small cycle error with a large
    error of the CT means a mapping that is consistent but wrong."""
    patient, cycles = make_patient(SHOWN, ("t1", "ct"), PIXEL), {}
    for name in result["arms"]:
        forward, backward = out / name, out / name / BACK_FOLDER
        if not backward.is_dir():
            continue
        try:
            cycles[name] = run_cycle(patient["t1"], "mr2ct", str(forward), str(backward), device=device)
        except InputError:  # after a few steps its output does not look like a CT, which the backward model refuses
            continue
    write_text(format_cycles(result, cycles), out / "cycles.md")
    if cycles:
        draw_cycles(patient, result, cycles, out / "cycles.png")


def mae_gain(patients: dict, result: dict, one: str, other: str) -> dict:
    """Paired difference in MAE between two arms, over patients."""
    gains = {seed: patients[other][seed]["mae"] - patients[one][seed]["mae"] for seed in patients[one]}
    mean_and_sd = summary([{"gain": value} for value in gains.values()])["gain"]
    titles = {"one": result["arms"][one]["title"], "other": result["arms"][other]["title"]}
    return {**titles, "gain_hu": mean_and_sd, "better_in": sum(g > 0 for g in gains.values()), "of": len(gains)}


def format_result(result: dict) -> str:
    """Markdown: MAE and PSNR per patient, the summary of each arm, and the comparisons."""
    results = list(result["arms"].values())
    seeds = list(results[0]["patients"])
    lines = ["| patient | " + " | ".join(f"{arm['title']}: MAE (HU) | PSNR (dB)" for arm in results) + " |"]
    lines += ["|---" * (1 + 2 * len(results)) + "|"]
    for seed in seeds:
        cells = [f"{arm['patients'][seed]['mae']:.1f} | {arm['patients'][seed]['psnr']:.1f}" for arm in results]
        lines.append(f"| {seed} | " + " | ".join(cells) + " |")
    keys = [key for key in FIGURES if all(key in arm["summary"] for arm in results)]
    lines += ["", "| mean ± SD | " + " | ".join(FIGURES[key][0] for key in keys) + " | minutes |"]
    lines += ["|---" * (len(keys) + 2) + "|"]
    for arm in results:
        cells = [f"{arm['summary'][k][0]:.{FIGURES[k][1]}f} ± {arm['summary'][k][1]:.{FIGURES[k][1]}f}" for k in keys]
        lines.append(f"| {arm['title']} | " + " | ".join(cells) + f" | {arm['minutes']} |")
    lines.append("")
    for c in result["comparisons"]:
        gain, spread = c["gain_hu"]
        word = "lower" if gain > 0 else "higher"
        lines.append(
            f"- {c['one']} against {c['other']}: MAE {abs(gain):.1f} ± {spread:.1f} HU {word}, better in "
            f"{c['better_in']} of {c['of']} patients."
        )
    return "\n".join(lines)


def format_cycles(result: dict, cycles: dict[str, Cycle]) -> str:
    """A Markdown table of the patient SHOWN: cycle error of the T1 and errors of the CT."""
    lines = [f"| patient {SHOWN} | cycle error of the T1 | MAE of the CT (HU) | bone (HU) | skull shift (mm) |"]
    lines += ["|---|---|---|---|---|"]
    for name, cycle in cycles.items():
        arm = result["arms"][name]
        figures, closed = arm["patients"][SHOWN], consistency(cycle)
        shift = f"{figures['skull_shift']:.1f}" if "skull_shift" in figures else "no bone"
        lines.append(
            f"| {arm['title']} | {100 * closed['relative']:.1f} % of its range | {figures['mae']:.0f} | "
            f"{figures['bone']:.0f} | {shift} |"
        )
    return "\n".join(lines)


def draw_cycles(patient: dict[str, Volume], result: dict, cycles: dict[str, Cycle], path: Path) -> None:
    """A row for each CycleGAN: T1, synthetic CT with the outline of the true bone, true CT, T1 again."""
    from matplotlib.figure import Figure

    level = round((LEVEL - patient["ct"].affine[2, 3]) / patient["ct"].affine[2, 2])
    figure = Figure(figsize=(10, 3.3 * len(cycles)), facecolor="black", layout="constrained")
    panels = figure.subplots(len(cycles), 4, squeeze=False)
    bone = patient["ct"].array[:, :, level]
    for row, (name, cycle) in zip(panels, cycles.items(), strict=True):
        arm = result["arms"][name]
        images = (cycle.source, cycle.synthetic, patient["ct"], cycle.reconstruction)
        titles = ("T1", f"{arm['title']}\nline: true bone, 250 HU", "true CT", "back to T1")
        windows = (WINDOWS["t1"], CT_WINDOW, CT_WINDOW, WINDOWS["t1"])
        for panel, volume, title, window in zip(row, images, titles, windows, strict=True):
            show_slice(panel, volume.array[:, :, level], "axial", window)
            panel.set_title(title, color="white", fontsize=9)
        row[1].contour(bone.T[:, ::-1], [250.0], colors="#E69F00", linewidths=0.7)
    figure.suptitle(f"Phantom patient {SHOWN}, axial, z = {LEVEL:g} mm; CT in W 2000 L 500", color="white", fontsize=9)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=100, format="png")


def draw(volumes: dict[str, Volume], result: dict, path: Path) -> None:
    """A sagittal slice of T1, reference and every arm, and below the errors of the arms on one scale."""
    from matplotlib.figure import Figure

    names = list(result["arms"])
    figure = Figure(figsize=(2.5 * (2 + len(names)), 6.4), facecolor="black", layout="constrained")
    panels = figure.subplots(2, 2 + len(names))
    reference = volumes["ct"]
    index = round((AT - reference.affine[0, 3]) / reference.affine[0, 0])
    t1 = volumes["t1"].array[index]
    show_slice(panels[0, 0], t1, "sagittal", (0.0, float(t1.max()) * 0.7))
    show_slice(panels[0, 1], reference.array[index], "sagittal", CT_WINDOW)
    titles = ["T1", "CT, reference", *(result["arms"][name]["title"].replace(", ", "\n") for name in names)]
    for panel, title in zip(panels[0], titles, strict=True):
        panel.set_title(title, color="white", fontsize=9)
    for k, name in enumerate(names, 2):
        show_slice(panels[0, k], volumes[name].array[index], "sagittal", CT_WINDOW)
        error = volumes[name].array[index] - reference.array[index]
        image = show_slice(panels[1, k], error, "sagittal", (-ERROR_HU, ERROR_HU), "RdBu_r")
        mae = result["arms"][name]["patients"][SHOWN]["mae"]
        panels[1, k].set_title(f"error; MAE of the head {mae:.0f} HU", color="white", fontsize=8)
    for panel in panels[1, :2]:
        panel.axis("off")
    bar = figure.colorbar(image, ax=panels[1, :2], location="left", shrink=0.8, label="synthetic - reference, HU")
    bar.ax.tick_params(colors="white")
    bar.ax.yaxis.label.set_color("white")
    figure.suptitle(f"Phantom patient {SHOWN}, sagittal, x = {AT:g} mm; CT in W 2000 L 500", color="white", fontsize=9)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=100, format="png")
