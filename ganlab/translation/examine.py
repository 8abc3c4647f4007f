"""What the Cycle page and `python -m ganlab cycle` do: a cycle, and the three experiments on it that are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ganlab.checkpoints import list_models, model_folder, read_card
from ganlab.errors import Cancelled
from ganlab.imaging.volume import Volume
from ganlab.translation import cycles
from ganlab.translation.tasks import REVERSE, get_task, phantom_pair

Lesion = tuple[float, float, float, float, float]  # x, y, z, radius in mm, contrast as `put_lesion` takes it
PROBES = {  # of the synthetic volume, by its modality: what no reader would mind
    "ct": (
        ("noise of 10 HU", cycles.with_noise, 10.0),
        ("steps of 10 HU", cycles.quantised, 10.0),
        ("2 mm blur", cycles.blurred, 2.0),
    ),
    "t1": (
        ("2 % of noise", cycles.with_noise, 0.02),
        ("steps of 2 %", cycles.quantised, 0.02),
        ("2 mm blur", cycles.blurred, 2.0),
    ),
}


def pair_of(task: str, there: str | None = None, back: str | None = None) -> tuple[str, str]:
    """The models of a task and of its way back where one or both are not given: two halves of one training, if there
    are any, else the task's own."""
    forth = [there] if there else [card["name"] for card in list_models(task)]
    home = [back] if back else [card["name"] for card in list_models(REVERSE[task])]
    pairs = ((one, other) for one in forth for other in home if trained_together(one, other))
    return next(pairs, (there or get_task(task).default_model, back or get_task(REVERSE[task]).default_model))


def trained_together(there: str, back: str) -> bool:
    """Whether two models are the halves of one CycleGAN."""
    training = training_of(there)
    return training is not None and training == training_of(back)


def training_of(model: str) -> dict | None:
    """The configuration of the CycleGAN that a model is half of, which stands in the cards of both; None of others."""
    folder = model_folder(model)
    config = read_card(folder).get("config") if (folder / "card.md").is_file() else None
    return config if config and config.get("method") == "cyclegan" else None


def mixed(there: str, back: str) -> str:
    """The sentence on models that never learned this cycle together; empty for the halves of one training."""
    if trained_together(there, back):
        return ""
    return f"{there} and {back} are not the halves of one training: neither was ever asked to close this cycle."


def phantom_source(task: str, seed: int, spacing: float = 1.0, judge: bool = False) -> tuple[Volume, Volume | None]:
    """A phantom patient's scan for a task, and the real volume of what it is translated into if it is to be judged."""
    from ganlab.imaging.phantom import make_patient

    kind = get_task(task)
    if judge:
        return phantom_pair(kind, seed=seed, spacing=spacing)[:2]
    return make_patient(seed, (kind.source,), spacing)[kind.source], None


def examine(
    volume: Volume,
    task: str,
    there: str,
    back: str,
    lesion: Lesion | None = None,
    probe: bool = False,
    judge: bool = False,
    real: Volume | None = None,
    progress: Callable[[float, str], None] = lambda done, words: None,
    **how,
) -> tuple[cycles.Cycle, dict[str, Volume], dict]:
    """(the cycle, its volumes by name, what was found) of a volume there and back.

    lesion: is put in first. probe: look for a hidden message. judge: ask the discriminator of `there` about the
    synthetic volume, and about `real` of the task's target if there is one. how: device, planes and cancelled, as of
    `translate`. Found, fit for JSON: consistency; with a lesion {"put", and what `lesion_kept` says}; hidden, as
    `hidden_message`; judged, the means of the maps in the head. Raises InputError and Cancelled.
    """
    cancelled = how.setdefault("cancelled", lambda: False)
    source = cycles.put_lesion(volume, lesion[:3], *lesion[3:]) if lesion else volume
    changes = {name: make(value) for name, make, value in PROBES[get_task(task).target]} if probe else {}
    ways = 2 + 2 * bool(lesion) + len(changes) + judge  # translations, and about as long as one

    def stage(done: float, words: str) -> None:
        if cancelled():
            raise Cancelled
        progress(done / ways, words)

    def run(scan: Volume, done: int, words: str) -> cycles.Cycle:
        stage(done, words)
        return cycles.run_cycle(
            scan, task, there, back, progress=lambda share: progress((done + 2 * share) / ways, words), **how
        )

    cycle = run(source, 0, "There and back")
    volumes = {"input": cycle.source, "synthetic": cycle.synthetic, "reconstruction": cycle.reconstruction}
    found = {"models": list(cycle.models), "consistency": cycles.consistency(cycle)}
    done = 2
    if lesion:
        healthy = run(volume, done, "The same without the lesion")
        found["lesion"] = {"put": list(lesion), **cycles.lesion_kept(cycle, healthy, lesion[:3], lesion[3])}
        done += 2
    if probe:
        stage(done, "Looking for a hidden message")
        found["hidden"] = cycles.hidden_message(
            cycle,
            changes,
            progress=lambda share: progress((done + share * len(changes)) / ways, "Looking for a hidden message"),
            **how,
        )
        done += len(changes)
    if judge:
        stage(done, "Asking the discriminator")
        maps = judged(cycle, source, volume, real, cancelled)
        found["judged"] = {name: float(told.array[cycle.mask].mean()) for name, told in maps.items()}
        volumes |= maps
    progress(1.0, "Saving")
    return cycle, volumes, found


def judged(
    cycle: cycles.Cycle, source: Volume, healthy: Volume, real: Volume | None, cancelled: Callable[[], bool]
) -> dict[str, Volume]:
    """What the discriminator takes the synthetic volume for, and the real one if there is one: 0 to 1 in the head."""
    from ganlab.translation.judge import patch_map

    asked = {"judged": (cycle.synthetic, source)} | ({"judged-real": (real, healthy)} if real else {})
    maps = {name: patch_map(*pair, cycle.models[0], cancelled=cancelled) for name, pair in asked.items()}
    return {n: replace(told, array=np.where(cycle.mask, told.array, np.float32(0))) for n, told in maps.items()}


def lesion_rows(task: str, lesion: dict) -> list[tuple[str, str, str, str]]:
    """(volume's name, contrast, contrast to noise, share kept) in words, of what `examine` found of a lesion."""
    kind = get_task(task)
    units = {"input": kind.source, "synthetic": kind.target, "reconstruction": kind.source}
    rows = []
    for name, modality in units.items():
        one = lesion[name]
        noise, kept = one["noise"], one["kept"]
        rows.append(
            (
                name,
                contrast_words(one["without"], one["with"], modality),
                "\N{EN DASH}" if noise is None else signed(noise, 1),
                "\N{EN DASH}" if kept is None else f"{signed(100 * kept, 0, plus=False)} %",
            )
        )
    return rows


def contrast_words(without: float, lesion: float, modality: str) -> str:
    """A lesion's contrast to the same place without it: in HU, or of an MR how many times as bright."""
    if modality == "ct":
        return f"{signed(lesion - without, 1)} HU"
    return f"{lesion / without:.2f} times" if without > 0.01 else f"{signed(lesion - without, 2)} of white matter"


def signed(value: float, digits: int, plus: bool = True) -> str:
    """A number with its sign, a true minus, and no sign on what rounds to zero."""
    text = f"{value:{'+' if plus else ''}.{digits}f}"
    return f"{0:.{digits}f}" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def format_cycle(task: str, found: dict) -> str:
    """What `examine` found, as lines of text."""
    kind = get_task(task)
    unit, digits = ("HU", 1) if kind.source == "ct" else ("of white matter", 3)
    whole = found["consistency"]
    lines = [
        f"{kind.source} to {kind.target} and back, by {' and '.join(found['models'])}",
        f"Cycle error in the head: {whole['mae']:.{digits}f} {unit}, {100 * whole['relative']:.1f} % of the range",
    ]
    if "lesion" in found:
        lines.append("Lesion, against the same voxels without it: contrast, over their noise, share kept")
        lines += [f"  {name:<16}{c:>22}{n:>8}{k:>8}" for name, c, n, k in lesion_rows(task, found["lesion"])]
    if "hidden" in found:
        lines.append("Hidden message: change of the synthetic volume, cycle error, times")
        for name, one in found["hidden"].items():
            times = one["mae"] / max(whole["mae"], 1e-9)
            lines.append(f"  {name:<16}{one['mae']:>12.{digits}f} {unit}{times:>8.2f}")
    if "judged" in found:
        words = {"judged": "the synthetic volume", "judged-real": "the real volume"}
        lines += [f"The discriminator takes {words[n]} for real: {v:.2f}" for n, v in found["judged"].items()]
    return "\n".join(lines)
