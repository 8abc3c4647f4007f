"""The report of a cycle: its error, a lesion, a hidden message, the discriminator, and the error of every slice."""

from __future__ import annotations

from html import escape
from math import log10
from urllib.parse import urlencode

from ganlab.translation.cycle.lesion import InsertedLesion
from ganlab.translation.cycle.wording import lesion_rows
from ganlab.translation.tasks import NAMES, get_task
from ganlab.ui import report
from ganlab.ui.components import data_table
from ganlab.ui.saved_case import ALL_PLANES, SavedCase
from ganlab.ui.viewer import manifest

ROUTES = {"mr2ct": "T1 \u2192 CT \u2192 T1", "ct2mr": "CT \u2192 T1 \u2192 CT"}
SCALED = "MR has no unit: the reconstruction is scaled to the scan by a single factor."
KEPT = (
    "Each volume is compared with the same volume made without the lesion, in the lesion's own voxels: nothing around "
    "it counts. 'Kept' is the fraction of the input's contrast in the reconstruction. The synthetic volume has another "
    "unit; read there how far the lesion stands out from the spread of its voxels (contrast to noise)."
)


def show(case: SavedCase, token: str) -> list:
    """What the page shows for a cycle: title, viewer, notices, figures, chart, downloads, how to reproduce it."""
    return [
        headline(case),
        manifest(case, token),
        report.notices(case),
        figures(case),
        slices_chart(case),
        downloads(case, token),
        report.provenance(case, link(case), "Link to this cycle"),
    ]


def headline(case: SavedCase) -> str:
    """One line: the patient, the models and the time."""
    return report.headline(case, f"{ROUTES[case.task]} by {' and '.join(case.cycle['models'])}, {case.seconds:.0f} s")


def figures(case: SavedCase) -> str:
    """The cycle error, and the answers to the questions that were asked."""
    parts = [("lesion", lesion_table), ("hidden", hidden_table), ("judged", discriminator_figures)]
    return consistency(case) + "".join(draw(case) for name, draw in parts if name in case.cycle)


def consistency(case: SavedCase) -> str:
    """The cycle error in the head, and as a share of the input's range."""
    result, hu = case.cycle["consistency"], case.measured == "ct"
    scaled = "" if hu else f"<p class='gl-note'>{SCALED}</p>"
    return (
        f"<dl class='gl-numbers'><div><dt>Cycle error in the head</dt><dd>{error_words(result['mae'], hu)}</dd></div>"
        f"<div><dt>As a share of the range</dt><dd>{100 * result['relative']:.1f} %</dd></div></dl>{scaled}"
    )


def error_words(value: float, hu: bool) -> str:
    """An error with its unit."""
    return f"{value:.1f} HU" if hu else f"{value:.3f} of white matter"


def lesion_table(case: SavedCase) -> str:
    """The lesion's contrast in input, synthetic volume and reconstruction."""
    names = volume_names(case)
    rows = "".join(
        f"<tr><th scope='row'>{names[name]}</th><td>{contrast}</td><td>{noise}</td><td>{kept}</td></tr>"
        for name, contrast, noise, kept in lesion_rows(case.task, case.cycle["lesion"])
    )
    heads = "".join(f"<th scope='col'>{head}</th>" for head in ("Volume", "Contrast", "Contrast to noise", "Kept"))
    return f"{data_table('Is the lesion preserved?', f'<tr>{heads}</tr>', rows)}<p class='gl-note'>{KEPT}</p>"


def hidden_table(case: SavedCase) -> str:
    """How much worse the reconstruction gets when the synthetic volume is changed unnoticeably."""
    result, hu, target_hu = case.cycle["consistency"], case.measured == "ct", case.target == "ct"
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{one['change']:.{1 if target_hu else 3}f}</td>"
        f"<td>{one['mae']:.{1 if hu else 3}f}</td><td>{one['mae'] / max(result['mae'], 1e-9):.2f}</td></tr>"
        for name, one in case.cycle["hidden"].items()
    )
    head = (
        f"<tr><th scope='col'>Change</th><th scope='col'>Mean change{', HU' if target_hu else ''}</th>"
        f"<th scope='col'>Cycle error, {'HU' if hu else 'of white matter'}</th><th scope='col'>Ratio</th></tr>"
    )
    caption = f"Hidden message: the synthetic {NAMES[case.target]}, changed before the backward translation"
    return data_table(caption, head, rows)


def discriminator_figures(case: SavedCase) -> str:
    """The means of the discriminator's maps."""
    names = {"judged": f"Synthetic {NAMES[case.target]}", "judged-real": f"Real {NAMES[case.target]}"}
    cells = "".join(f"<div><dt>{names[k]}</dt><dd>{v:.2f}</dd></div>" for k, v in case.cycle["judged"].items())
    return (
        "<p class='gl-note'>How real the discriminator thinks it is, averaged over its patches in the head: 1 is real, "
        f"0 generated. Its maps are among the layers.</p><dl class='gl-numbers'>{cells}</dl>"
    )


def volume_names(case: SavedCase) -> dict[str, str]:
    """The names of a cycle's volumes."""
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


WIDTH, HEIGHT, LEFT, RIGHT, TOP, FLOOR = 440, 170, 40, 8, 22, 136  # of the chart, pixels


def slices_chart(case: SavedCase) -> str:
    """The cycle error of every axial slice, feet to head, as SVG; assets/cycle/slices.js moves the mark."""
    values = case.cycle["consistency"]["slices"]
    errors = [value for value in values if value is not None]
    if len(errors) < 2:
        return ""
    unit = "HU" if case.measured == "ct" else "of white matter"
    most = max(*errors, 1e-6) * 1.05
    step = (WIDTH - LEFT - RIGHT) / (len(values) - 1)

    def y(error: float) -> float:
        return FLOOR - error / most * (FLOOR - TOP)

    marks = ticks(most, 4)
    digits = max(0, -int(log10(marks[1]) // 1))
    grid = "".join(
        f"<line class='gl-axis' x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y(v):.1f}' y2='{y(v):.1f}'/>"
        f"<text x='{LEFT - 6}' y='{y(v) + 4:.1f}' class='gl-muted' text-anchor='end'>{v:.{digits}f}</text>"
        for v in marks
    )
    numbers = "".join(
        f"<text x='{LEFT + (max(k, 1) - 1) * step:.1f}' y='{FLOOR + 14}' class='gl-muted' text-anchor='middle'>"
        f"{max(int(k), 1)}</text>"
        for k in ticks(len(values), 5)
    )
    line = " ".join(f"{LEFT + k * step:.1f},{y(v):.1f}" for k, v in enumerate(values) if v is not None)
    return (
        f"<figure class='gl-figure gl-slices'><svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='Cycle error "
        f"of every axial slice, {unit}' data-left='{LEFT}' data-step='{step}'>{grid}{numbers}"
        f"<polyline fill='none' stroke='currentColor' stroke-width='1.5' points='{line}'/>"
        f"<line class='gl-here' x1='{LEFT}' x2='{LEFT}' y1='{TOP}' y2='{FLOOR}' "
        f"transform='translate({case.crosshair[2] * step:.1f} 0)'/>"
        f"<text class='gl-here' x='{WIDTH - RIGHT}' y='12' text-anchor='end'></text>"
        f"<text x='{LEFT}' y='12' class='gl-muted'>{unit}</text>"
        f"<text x='{(LEFT + WIDTH - RIGHT) / 2}' y='{HEIGHT - 4}' text-anchor='middle'>axial slice, inferior to "
        f"superior</text>"
        "</svg><figcaption>Cycle error of every axial slice inside the head; the line marks the slice in view"
        "</figcaption></figure>"
    )


def downloads(case: SavedCase, token: str) -> str:
    """Links to everything the case holds, on the input's own grid."""
    labels = {layer.name: layer.label for layer in case.layers}
    labels |= {"error": "Error map", "relative": "Relative error, %"}
    files = {name: [f"{name}.nii.gz"] for name in labels}
    files["synthetic"].append("synthetic.zip")
    return report.download_links(case, [(label, files[name]) for name, label in labels.items()], token)


def link(case: SavedCase) -> str:
    """The link that reopens a phantom patient's cycle, with all its questions."""
    results = case.cycle
    model, reverse_model = results["models"]
    query = {"tab": "cycle", "task": case.task, "seed": case.seed, "model": model, "back": reverse_model}
    query["spacing"] = f"{case.spacing:g}"
    query |= {"planes": case.planes[0]} if case.planes != ALL_PLANES else {}
    query |= {"lesion": InsertedLesion(*map(float, results["lesion"]["put"])).text} if "lesion" in results else {}
    query |= {name: 1 for name, key in (("probe", "hidden"), ("judge", "judged")) if key in results}
    return escape(f"?{urlencode(query, safe=',')}")
