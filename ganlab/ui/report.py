"""A case in words, tables and figures: HTML and SVG that follow the page's light or dark colours."""

from __future__ import annotations

from html import escape
from urllib.parse import urlencode

from ganlab.ui.cases import PLANES, Case
from ganlab.ui.viewer import VOLUMES

TISSUES = {"air": "Air", "soft": "Soft tissue", "bone": "Bone"}


def headline(case: Case) -> str:
    """One line: who, by which model, how fast."""
    planes = "mean of three planes" if case.planes == PLANES else f"{', '.join(case.planes)} slices only"
    return (
        f"<div class='gl-headline'><h2>{escape(case.title)}</h2>"
        f"<span>synthetic CT by {escape(case.model)}, {planes}, {case.seconds:.0f} s</span>"
        "<strong>Not a medical device</strong></div>"
    )


def notices(case: Case) -> str:
    items = "".join(f"<li>{escape(notice)}</li>" for notice in case.notices)
    return f"<ul class='gl-notices'>{items}</ul>" if items else ""


def alert(sentence: str) -> str:
    """A user's mistake, or the word that something was cancelled; the picture stays as it is."""
    return f"<p class='gl-alert' role='alert'>{escape(sentence)}</p>" if sentence else ""


def metrics_table(case: Case) -> str:
    """Errors of the head and of each tissue, similarity of the whole, and what each number means."""
    metrics = case.metrics
    if not metrics:
        return "<p class='gl-note'>Metrics need a CT of the same patient: add one under Reference CT.</p>"
    rows = [("Whole head", metrics["mask"], metrics)]
    rows += [(TISSUES.get(name, name), tissue["range"], tissue) for name, tissue in metrics["tissues"].items()]
    body = "".join(
        f"<tr><th scope='row'>{escape(name)} <small>{escape(words if name != 'Whole head' else '')}</small></th>"
        f"<td>{_number(of['mae'])}</td><td>{_number(of['mean_error'], sign=True)}</td><td>{of['voxels']:,}</td></tr>"
        for name, words, of in rows
    )
    overlaps = [(f"Dice, {name}", f"{_number(value, 3)}") for name, value in metrics["dice"].items()]
    similarity = [
        ("PSNR, range 4095", f"{_number(metrics['psnr'])} dB"),
        ("PSNR, SynthRAD", f"{_number(metrics['psnr_synthrad'])} dB"),
        ("SSIM", _number(metrics["ssim"], 3)),
        *overlaps,
    ]
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in similarity)
    terms = "".join(
        f"<div><dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(words)}</dd></div>"
        for name, words in {"mask": metrics["mask"], **metrics["definitions"]}.items()
    )
    return (
        "<table class='gl-table'><caption>Synthetic against reference CT</caption>"
        "<thead><tr><th scope='col'>Region</th><th scope='col'>MAE, HU</th><th scope='col'>Mean error, HU</th>"
        f"<th scope='col'>Voxels</th></tr></thead><tbody>{body}</tbody></table>"
        f"<dl class='gl-numbers'>{cells}</dl>"
        f"<details class='gl-terms'><summary>How each number is defined</summary><dl>{terms}</dl></details>"
    )


def histogram(case: Case) -> str:
    """The signed error by tissue as SVG: one row a tissue, share of its voxels per bin, a common axis in HU."""
    if not case.histogram:
        return ""
    edges = case.histogram["edges"]
    width, row, left, top, bottom = 440, 70, 8, 4, 34
    rows = [name for name in case.histogram if name != "edges"]
    height = top + row * len(rows) + bottom

    def x(hu: float) -> float:
        return left + (hu - edges[0]) / (edges[-1] - edges[0]) * (width - 2 * left)

    marks = []
    for number, name in enumerate(rows):
        counts, base = case.histogram[name], top + row * (number + 1) - 6
        total, most = sum(counts) or 1, max(counts) or 1
        scale = (row - 26) / most
        path = "".join(f"V{base - n * scale:.1f}H{x(edge):.1f}" for n, edge in zip(counts, edges[1:], strict=True))
        tissue = case.metrics["tissues"][name]
        label = TISSUES.get(name, name)
        marks.append(
            f"<path class='gl-bars' d='M{x(edges[0]):.1f} {base}{path}V{base}Z'/>"
            f"<line class='gl-axis' x1='{left}' x2='{width - left}' y1='{base + 0.5}' y2='{base + 0.5}'/>"
            f"<text x='{left}' y='{base - row + 18}'>{escape(label)}</text>"
            f"<text x='{width - left}' y='{base - row + 18}' class='gl-muted' text-anchor='end'>"
            f"mean {_number(tissue['mean_error'], sign=True)} HU, tallest bin {100 * most / total:.0f} %</text>"
        )
    floor = height - bottom
    step = (edges[-1] - edges[0]) / 4
    values = [edges[0] + step * i for i in range(5)]
    ends = {values[0]: "\u2264\u2009", values[-1]: "\u2265\u2009"}
    anchors = {values[0]: "start", values[-1]: "end"}
    axis = "".join(
        f"<text x='{x(v):.1f}' y='{floor + 12}' class='gl-muted' text-anchor='{anchors.get(v, 'middle')}'>"
        f"{ends.get(v, '')}{_number(v, 0, sign=True)}</text>"
        for v in values
    )
    return (
        f"<figure class='gl-figure'><svg viewBox='0 0 {width} {height}' role='img' "
        "aria-label='Histogram of synthetic minus reference in HU, by tissue of the reference'>"
        f"<line class='gl-zero' x1='{x(0):.1f}' x2='{x(0):.1f}' y1='{top}' y2='{floor}'/>{''.join(marks)}{axis}"
        f"<text x='{x(0):.1f}' y='{height - 4}' text-anchor='middle'>synthetic \u2212 reference, HU</text></svg>"
        f"<figcaption>Error by tissue of the reference, bins of {edges[1] - edges[0]:g} HU</figcaption></figure>"
    )


def downloads(case: Case, token: str) -> str:
    """Links to everything the case holds, on the input's own grid."""
    files = [("Synthetic CT", "synthetic.nii.gz"), ("T1", "input.nii.gz")]
    if case.metrics:
        files[1:1] = [("Error map", "error.nii.gz")]
        files += [
            ("Reference CT", "reference.nii.gz"),
            ("Metrics, CSV", "metrics.csv"),
            ("Metrics, JSON", "metrics.json"),
        ]
    links = "".join(f"<li><a href='{VOLUMES}/{token}/{name}' download>{words}</a></li>" for words, name in files)
    return f"<ul class='gl-downloads'>{links}</ul><p class='gl-note'>NIfTI files lie on the input's own grid.</p>"


def provenance(case: Case) -> str:
    """How to make the same volumes again: commands, and a link where the patient is not the visitor's own."""
    commands = escape("\n".join(case.commands))
    again = (
        f"<p><a href='{link(case)}'>Link to this patient</a></p>"
        if case.seed is not None
        else "<p class='gl-note'>An uploaded scan has no link: it is deleted when this page is closed.</p>"
    )
    return f"<pre class='gl-commands'>{commands}</pre>{again}"


def link(case: Case) -> str:
    """The address that reopens a phantom patient, made and translated in the same way."""
    words = {"tab": "translate", "seed": case.seed, "model": case.model, "spacing": f"{case.spacing:g}"}
    words |= case.options.texts()
    if case.planes != PLANES:
        words["planes"] = case.planes[0]
    return escape(f"?{urlencode(words)}")


def _number(value: float | None, digits: int = 1, sign: bool = False) -> str:
    """A number with a true minus sign, or a dash where it is undefined."""
    if value is None:
        return "\u2013"
    text = f"{value:{'+' if sign and round(value, digits) != 0 else ''}.{digits}f}"
    return text.replace("-", "\u2212")
