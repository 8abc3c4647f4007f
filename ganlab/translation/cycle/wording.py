"""The results of a cycle as text, for the page and the terminal; without torch."""

from __future__ import annotations

from ganlab.translation.tasks import get_task


def lesion_rows(task: str, lesion: dict) -> list[tuple[str, str, str, str]]:
    """(volume's name, contrast, contrast to noise, share kept) as text, from the results of `analyse_cycle`."""
    kind = get_task(task)
    units = {"input": kind.source, "synthetic": kind.target, "reconstruction": kind.source}
    rows = []
    for name, modality in units.items():
        figures = lesion[name]
        noise, kept = figures["noise"], figures["kept"]
        rows.append(
            (
                name,
                contrast_words(figures["without"], figures["with"], modality),
                "\N{EN DASH}" if noise is None else signed(noise, 1),
                "\N{EN DASH}" if kept is None else f"{signed(100 * kept, 0, plus=False)} %",
            )
        )
    return rows


def contrast_words(without: float, lesion: float, modality: str) -> str:
    """A lesion's contrast to the same voxels without it: in HU, or for MR as an intensity factor."""
    if modality == "ct":
        return f"{signed(lesion - without, 1)} HU"
    return f"{lesion / without:.2f} times" if without > 0.01 else f"{signed(lesion - without, 2)} of white matter"


def signed(value: float, digits: int, plus: bool = True) -> str:
    """A number with its sign, a true minus, and no sign on zero."""
    text = f"{value:{'+' if plus else ''}.{digits}f}"
    return f"{0:.{digits}f}" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def format_cycle(task: str, results: dict) -> str:
    """The results of `analyse_cycle` as lines of text."""
    kind = get_task(task)
    unit, digits = ("HU", 1) if kind.source == "ct" else ("of white matter", 3)
    whole = results["consistency"]
    lines = [
        f"{kind.source} to {kind.target} and back, by {' and '.join(results['models'])}",
        f"Cycle error in the head: {whole['mae']:.{digits}f} {unit}, {100 * whole['relative']:.1f} % of the range",
    ]
    if "lesion" in results:
        lines.append("Lesion, against the same voxels without it: contrast, contrast to noise, share kept")
        lines += [f"  {name:<16}{c:>22}{n:>8}{k:>8}" for name, c, n, k in lesion_rows(task, results["lesion"])]
    if "hidden" in results:
        lines.append("Hidden message: change of the synthetic volume, cycle error, ratio")
        for name, figures in results["hidden"].items():
            times = figures["mae"] / max(whole["mae"], 1e-9)
            lines.append(f"  {name:<16}{figures['mae']:>12.{digits}f} {unit}{times:>8.2f}")
    if "judged" in results:
        labels = {"judged": "the synthetic volume", "judged-real": "the real volume"}
        lines += [f"The discriminator takes {labels[n]} for real: {v:.2f}" for n, v in results["judged"].items()]
    return "\n".join(lines)
