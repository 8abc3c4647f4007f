"""A case in words, tables and figures: HTML and SVG that follow the page's light or dark colours."""

from __future__ import annotations

from html import escape
from urllib.parse import urlencode

from ganlab.translation.tasks import short
from ganlab.ui.case import NAMES, PLANES, TASK, Case
from ganlab.ui.components import data_table
from ganlab.ui.viewer import VOLUMES, unit_of

TISSUES = {
    "air": "Air", "soft": "Soft tissue", "bone": "Bone",
    "grey_matter_and_fluid": "Grey and fluid", "white_matter": "White matter",
    "dark": "Bone, air, fluid", "brain_and_muscle": "Brain, muscle", "bright": "Fat",
}  # fmt: skip
PEAKS = {"ct": "4095", "fa": "1", "t1": "2"}
DIGITS = {"ct": 1, "fa": 3, "t1": 3}  # of an error


def headline(case: Case) -> str:
    """One line: who, by which model, how fast."""
    planes = "mean of three planes" if case.planes == PLANES else f"{', '.join(case.planes)} slices only"
    against = f" beside {escape(case.rival['model'])}" if case.rival else ""
    return (
        f"<div class='gl-headline'><h2>{escape(case.title)}</h2>"
        f"<span>synthetic {NAMES[case.target]} by {escape(case.model)}{against}, {planes}, {case.seconds:.0f} s</span>"
        "<strong>Not a medical device</strong></div>"
    )


def notices(case: Case) -> str:
    items = "".join(f"<li>{escape(notice)}</li>" for notice in case.notices)
    return f"<ul class='gl-notices'>{items}</ul>" if items else ""


def alert(sentence: str) -> str:
    """A user's mistake, or the word that something was cancelled; the picture stays as it is."""
    return f"<p class='gl-alert' role='alert'>{escape(sentence)}</p>" if sentence else ""


def metrics_table(case: Case) -> str:
    """Errors of the whole and of each tissue, similarity, and what each number means; a rival's beside the model's."""
    metrics, target = case.metrics, NAMES[case.target]
    if not metrics:
        return f"<p class='gl-note'>Metrics need a {target} of the same patient: add one under Reference {target}.</p>"
    unit, digits = unit_of(case), DIGITS[case.target]
    found = {short(case.model): metrics} | ({short(case.rival["model"]): case.rival["metrics"]} if case.rival else {})
    whole = "Whole head" if case.target != "fa" else "Whole brain"
    names = [None, *metrics["tissues"]]

    def cells(name: str | None) -> str:
        of = [m if name is None else m["tissues"][name] for m in found.values()]
        errors = "".join(f"<td>{_number(one['mae'], digits)}</td>" for one in of)
        means = "".join(f"<td>{_number(one['mean_error'], digits, sign=True)}</td>" for one in of)
        return f"{errors}{means}<td>{of[0]['voxels']:,}</td>"

    body = "".join(
        f"<tr><th scope='row'>{escape(TISSUES.get(name, name) if name else whole)} "
        f"<small>{escape(metrics['tissues'][name]['range'] if name else '')}</small></th>{cells(name)}</tr>"
        for name in names
    )
    said = f", {unit}" if unit else ""
    heads = [
        f"{what}{said}" if len(found) == 1 else f"{what}, {who}" for what in ("MAE", "Mean error") for who in found
    ]
    columns = "".join(f"<th scope='col'>{escape(head)}</th>" for head in heads)
    similarity = {
        f"PSNR, range {PEAKS[case.target]}": [f"{_number(m['psnr'])} dB" for m in found.values()],
        "PSNR, SynthRAD": [f"{_number(m['psnr_synthrad'])} dB" for m in found.values()],
        "SSIM": [_number(m["ssim"], 3) for m in found.values()],
    }
    if "correlation" in metrics:
        similarity["Correlation"] = [_number(m["correlation"], 3) for m in found.values()]
    for name in metrics["dice"]:
        tissue = TISSUES.get(name, name).lower()
        similarity[f"Dice, {tissue}"] = [_number(m["dice"][name], 3) for m in found.values()]
    numbers = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{' | '.join(values)}</dd></div>" for name, values in similarity.items()
    )
    terms = "".join(
        f"<div><dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(words)}</dd></div>"
        for name, words in {"mask": metrics["mask"], **metrics["definitions"]}.items()
    )
    caption = f"Synthetic against reference {target}{said * (len(found) > 1)}"
    head = f"<tr><th scope='col'>Region</th>{columns}<th scope='col'>Voxels</th></tr>"
    return (
        f"{data_table(caption, head, body)}"
        f"<dl class='gl-numbers'>{numbers}</dl>"
        f"<details class='gl-terms'><summary>How each number is defined</summary><dl>{terms}</dl></details>"
    )


def histogram(case: Case) -> str:
    """The signed error by tissue as SVG: one row a tissue, share of its voxels per bin, a common axis."""
    if not case.histogram:
        return ""
    edges, unit = case.histogram["edges"], unit_of(case)
    said, digits = f" {unit}" if unit else "", 0 if case.target == "ct" else 2
    what, bins = f"synthetic \u2212 reference{f', {unit}' if unit else ''}", edges[1] - edges[0]
    width, row, left, top, bottom = 440, 70, 8, 4, 34
    rows = [name for name in case.histogram if name != "edges"]
    height = top + row * len(rows) + bottom

    def x(value: float) -> float:
        return left + (value - edges[0]) / (edges[-1] - edges[0]) * (width - 2 * left)

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
            f"mean {_number(tissue['mean_error'], DIGITS[case.target], sign=True)}{said}, tallest bin "
            f"{100 * most / total:.0f} %</text>"
        )
    floor = height - bottom
    step = (edges[-1] - edges[0]) / 4
    values = [edges[0] + step * i for i in range(5)]
    ends = {values[0]: "\u2264\u2009", values[-1]: "\u2265\u2009"}
    anchors = {values[0]: "start", values[-1]: "end"}
    axis = "".join(
        f"<text x='{x(v):.1f}' y='{floor + 12}' class='gl-muted' text-anchor='{anchors.get(v, 'middle')}'>"
        f"{ends.get(v, '')}{_number(v, digits, sign=True)}</text>"
        for v in values
    )
    return (
        f"<figure class='gl-figure'><svg viewBox='0 0 {width} {height}' role='img' "
        f"aria-label='Histogram of {what}, by tissue of the reference'>"
        f"<line class='gl-zero' x1='{x(0):.1f}' x2='{x(0):.1f}' y1='{top}' y2='{floor}'/>{''.join(marks)}{axis}"
        f"<text x='{x(0):.1f}' y='{height - 4}' text-anchor='middle'>{what}</text></svg><figcaption>"
        f"Error of {escape(short(case.model))} by tissue of the reference, bins of {bins:.3g}{said}"
        "</figcaption></figure>"
    )


def downloads(case: Case, token: str) -> str:
    """Links to everything the case holds, on the input's own grid."""
    labels = {layer.name: layer.label for layer in case.layers}
    files = [(labels[name], f"{name}.nii.gz") for name in ("synthetic", "rival", "input") if name in labels]
    if case.metrics:
        files[1:1] = [("Error map", "error.nii.gz")]
        files += [
            (labels["reference"], "reference.nii.gz"),
            ("Metrics, CSV", "metrics.csv"),
            ("Metrics, JSON", "metrics.json"),
        ]
    return download_links(files, token)


def download_links(files: list[tuple[str, str]], token: str) -> str:
    """Links to files of a case, from (words, name)."""
    links = "".join(f"<li><a href='{VOLUMES}/{token}/{name}' download>{words}</a></li>" for words, name in files)
    return f"<ul class='gl-downloads'>{links}</ul><p class='gl-note'>NIfTI files lie on the input's own grid.</p>"


def provenance(case: Case) -> str:
    """How to make the same volumes again: commands, and a link where the patient is not the visitor's own."""
    again = (
        f"<p><a href='{link(case)}'>Link to this patient</a></p>"
        if case.seed is not None
        else "<p class='gl-note'>An uploaded scan has no link: it is deleted when this page is closed.</p>"
    )
    return commands_block(case) + again


def commands_block(case: Case) -> str:
    commands = escape("\n".join(case.commands))
    return f"<pre class='gl-commands'>{commands}</pre>"


def link(case: Case) -> str:
    """The address that reopens a phantom patient, made and translated in the same way."""
    words = {"tab": "translate"} | ({"task": case.task} if case.task != TASK else {})
    words |= {"seed": case.seed, "model": case.model, "spacing": f"{case.spacing:g}"}
    words |= {"rival": case.rival["model"]} if case.rival else {}
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
