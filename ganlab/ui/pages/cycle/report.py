"""A cycle in words, tables and figures: HTML and SVG that follow the page's light or dark colours."""

from __future__ import annotations

from html import escape
from math import log10
from urllib.parse import urlencode

from ganlab.translation.cycle.wording import lesion_rows
from ganlab.translation.tasks import get_task
from ganlab.ui import report
from ganlab.ui.case import NAMES, PLANES, Case
from ganlab.ui.components import data_table
from ganlab.ui.viewer import manifest

ROUTES = {"mr2ct": "T1 \u2192 CT \u2192 T1", "ct2mr": "CT \u2192 T1 \u2192 CT"}
SCALED = "MR has no unit: what came back is brought to the scan's scale by one factor."
KEPT = (
    "Each volume is compared with itself, made again without the lesion, in the lesion's own voxels: nothing around it "
    "counts. Kept is the share of that difference which came back; the synthetic volume has another unit, so read "
    "there how far the lesion stands out of these voxels' own spread (contrast to noise)."
)


def show(case: Case, token: str) -> list:
    """What the page shows of a cycle: title, viewer, notices, figures, chart, downloads, how it was made."""
    return [
        headline(case), manifest(case, token), report.notices(case), figures(case), slices_chart(case),
        downloads(case, token), made(case),
    ]  # fmt: skip


def headline(case: Case) -> str:
    there, back = case.cycle["models"]
    return (
        f"<div class='gl-headline'><h2>{escape(case.title)}</h2><span>{ROUTES[case.task]} by {escape(there)} and "
        f"{escape(back)}, {case.seconds:.0f} s</span><strong>Not a medical device</strong></div>"
    )


def figures(case: Case) -> str:
    """The cycle's error, a lesion on its way, what a changed synthetic volume does, what the discriminator says."""
    found = case.cycle
    parts = [("lesion", lesion_table), ("hidden", hidden_table), ("judged", verdicts)]
    return consistency(case) + "".join(draw(case) for name, draw in parts if name in found)


def consistency(case: Case) -> str:
    found, hu = case.cycle["consistency"], case.measured == "ct"
    scaled = "" if hu else f"<p class='gl-note'>{SCALED}</p>"
    return (
        f"<dl class='gl-numbers'><div><dt>Cycle error in the head</dt><dd>{error_words(found['mae'], hu)}</dd></div>"
        f"<div><dt>As a share of the range</dt><dd>{100 * found['relative']:.1f} %</dd></div></dl>{scaled}"
    )


def error_words(value: float, hu: bool) -> str:
    return f"{value:.1f} HU" if hu else f"{value:.3f} of white matter"


def lesion_table(case: Case) -> str:
    """Does it survive? Contrast in the input, in the synthetic volume and in what came back."""
    names = volume_names(case)
    rows = "".join(
        f"<tr><th scope='row'>{names[name]}</th><td>{contrast}</td><td>{noise}</td><td>{kept}</td></tr>"
        for name, contrast, noise, kept in lesion_rows(case.task, case.cycle["lesion"])
    )
    heads = "".join(f"<th scope='col'>{head}</th>" for head in ("Volume", "Contrast", "Contrast to noise", "Kept"))
    return f"{data_table('Does the lesion survive?', f'<tr>{heads}</tr>', rows)}<p class='gl-note'>{KEPT}</p>"


def hidden_table(case: Case) -> str:
    """What a change of the synthetic volume, which no reader would mind, does to the way back."""
    found, hu, target_hu = case.cycle["consistency"], case.measured == "ct", case.target == "ct"
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{one['change']:.{1 if target_hu else 3}f}</td>"
        f"<td>{one['mae']:.{1 if hu else 3}f}</td><td>{one['mae'] / max(found['mae'], 1e-9):.2f}</td></tr>"
        for name, one in case.cycle["hidden"].items()
    )
    head = (
        f"<tr><th scope='col'>Change</th><th scope='col'>Mean change{', HU' if target_hu else ''}</th>"
        f"<th scope='col'>Cycle error, {'HU' if hu else 'of white matter'}</th><th scope='col'>Times</th></tr>"
    )
    return data_table(f"Hidden message: the synthetic {NAMES[case.target]}, changed on its way back", head, rows)


def verdicts(case: Case) -> str:
    """The means of the discriminator's maps."""
    names = {"judged": f"Synthetic {NAMES[case.target]}", "judged-real": f"Real {NAMES[case.target]}"}
    cells = "".join(f"<div><dt>{names[k]}</dt><dd>{v:.2f}</dd></div>" for k, v in case.cycle["judged"].items())
    return (
        "<p class='gl-note'>What the discriminator takes for real, mean of its patches in the head: 1 is real, "
        f"0 generated. Its maps are among the layers.</p><dl class='gl-numbers'>{cells}</dl>"
    )


def volume_names(case: Case) -> dict[str, str]:
    source = NAMES[get_task(case.task).source]
    return {
        "input": source,
        "synthetic": f"Synthetic {NAMES[case.target]}",
        "reconstruction": f"Reconstructed {source}",
    }


def ticks(most: float, count: int) -> list[float]:
    """Round values from 0 to `most`, about `count` of them; 1, 2 or 5 times a power of ten apart."""
    power = 10.0 ** int(log10(most / count) // 1)
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= most / count)
    return [k * step for k in range(int(most / step) + 1)]


def slices_chart(case: Case) -> str:
    """The cycle's error of every axial slice, as SVG, feet to head; assets/cycle/slices.js moves the mark."""
    found, hu = case.cycle["consistency"], case.measured == "ct"
    values = found["slices"]
    there = [v for v in values if v is not None]
    if len(there) < 2:
        return ""
    unit = "HU" if hu else "of white matter"
    width, height, left, right, top, floor = 440, 170, 40, 8, 22, 136
    most = max(max(there), 1e-6) * 1.05
    step = (width - left - right) / (len(values) - 1)

    def y(v: float) -> float:
        return floor - v / most * (floor - top)

    steps = ticks(most, 4)
    digits = max(0, -int(log10(steps[1]) // 1))
    grid = "".join(
        f"<line class='gl-axis' x1='{left}' x2='{width - right}' y1='{y(v):.1f}' y2='{y(v):.1f}'/>"
        f"<text x='{left - 6}' y='{y(v) + 4:.1f}' class='gl-muted' text-anchor='end'>{v:.{digits}f}</text>"
        for v in steps
    )
    numbers = "".join(
        f"<text x='{left + (max(k, 1) - 1) * step:.1f}' y='{floor + 14}' class='gl-muted' text-anchor='middle'>"
        f"{max(int(k), 1)}</text>"
        for k in ticks(len(values), 5)
    )
    line = " ".join(f"{left + k * step:.1f},{y(v):.1f}" for k, v in enumerate(values) if v is not None)
    return (
        f"<figure class='gl-figure gl-slices'><svg viewBox='0 0 {width} {height}' role='img' aria-label='Cycle error "
        f"of every axial slice, {unit}' data-left='{left}' data-step='{step}'>{grid}{numbers}"
        f"<polyline fill='none' stroke='currentColor' stroke-width='1.5' points='{line}'/>"
        f"<line class='gl-here' x1='{left}' x2='{left}' y1='{top}' y2='{floor}' "
        f"transform='translate({case.crosshair[2] * step:.1f} 0)'/>"
        f"<text class='gl-here' x='{width - right}' y='12' text-anchor='end'></text>"
        f"<text x='{left}' y='12' class='gl-muted'>{unit}</text>"
        f"<text x='{(left + width - right) / 2}' y='{height - 4}' text-anchor='middle'>axial slice, from below</text>"
        f"</svg><figcaption>Cycle error of every axial slice inside the head; the line is the one in view</figcaption>"
        "</figure>"
    )


def downloads(case: Case, token: str) -> str:
    names = {layer.name: layer.label for layer in case.layers} | {"error": "Error map", "relative": "Relative error, %"}
    return report.download_links([(label, f"{name}.nii.gz") for name, label in names.items()], token)


def made(case: Case) -> str:
    """How to make the same again: a command, and a link where the patient is not the visitor's own."""
    if case.seed is None:
        again = "<p class='gl-note'>An uploaded scan has no link: it is deleted when this page is closed.</p>"
    else:
        again = f"<p><a href='{link(case)}'>Link to this cycle</a></p>"
    return report.commands_block(case) + again


def link(case: Case) -> str:
    """The address that reopens a phantom patient's cycle, with all that was asked of it."""
    found = case.cycle
    there, back = found["models"]
    words = {"tab": "cycle", "task": case.task, "seed": case.seed, "model": there, "back": back}
    words["spacing"] = f"{case.spacing:g}"
    words |= {"planes": case.planes[0]} if case.planes != PLANES else {}
    words |= {"lesion": ball_words(found["lesion"]["put"])} if "lesion" in found else {}
    words |= {name: 1 for name, key in (("probe", "hidden"), ("judge", "judged")) if key in found}
    return escape(f"?{urlencode(words, safe=',')}")


def ball_words(lesion) -> str:
    """x,y,z,radius,contrast, as links and the command have it."""
    return ",".join(f"{number:g}" for number in lesion)
