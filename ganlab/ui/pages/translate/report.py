"""The report of a translation: headline, table of metrics, histogram of errors, downloads and a link."""

from __future__ import annotations

from html import escape
from urllib.parse import urlencode

from ganlab.translation.tasks import NAMES, method_of
from ganlab.ui import report
from ganlab.ui.components import data_table
from ganlab.ui.report import decimal
from ganlab.ui.saved_case import ALL_PLANES, TASK, SavedCase
from ganlab.ui.viewer import manifest

TISSUES = {
    "air": "Air", "soft": "Soft tissue", "bone": "Bone",
    "grey_matter_and_fluid": "Grey and fluid", "white_matter": "White matter",
    "dark": "Bone, air, fluid", "brain_and_muscle": "Brain, muscle", "bright": "Fat",
}  # fmt: skip
INTERVAL = (
    "prediction plus or minus its half-width, made to hold for 90 % of the voxels of heads that were left out; the "
    "confident 90 % of voxels are those with the smallest half-widths in the mask"
)
PEAKS = {"ct": "4095", "fa": "1", "t1": "2"}
DIGITS = {"ct": 1, "fa": 3, "t1": 3}  # of an error


def show(case: SavedCase, token: str) -> list:
    """What the page shows for a case: headline, viewer, notices, metrics, histogram, downloads, how to reproduce it."""
    return [
        headline(case),
        manifest(case, token),
        report.notices(case),
        metrics_table(case),
        histogram(case),
        downloads(case, token),
        report.provenance(case, link(case), "Link to this patient"),
    ]


def headline(case: SavedCase) -> str:
    """One line: the patient, the model and the time."""
    planes = "mean of three planes" if case.planes == ALL_PLANES else f"{', '.join(case.planes)} slices only"
    against = f" beside {case.rival['model']}" if case.rival else ""
    details = (
        f"synthetic {NAMES[case.target]} by {case.model}{against}, {planes}, {case.seconds:.0f} s in {case.precision}"
    )
    return report.headline(case, details)


def metrics_table(case: SavedCase) -> str:
    """Errors overall and per tissue, similarity, and what each number means; a second model's are next to the
    first's."""
    target = NAMES[case.target]
    if not case.metrics:
        missing = f"Metrics need a {target} of the same patient: add one under Reference {target}."
        return f"<p class='gl-note'>{missing}</p>{interval_note(case)}"
    by_model = _by_model(case)
    unit = f", {case.unit}" if case.unit else ""
    columns = [
        f"{what}{unit}" if len(by_model) == 1 else f"{what}, {model}"
        for what in ("MAE", "Mean error")
        for model in by_model
    ]
    heads = "".join(f"<th scope='col'>{escape(head)}</th>" for head in columns)
    head = f"<tr><th scope='col'>Region</th>{heads}<th scope='col'>Voxels</th></tr>"
    caption = f"Synthetic against reference {target}{unit * (len(by_model) > 1)}"
    rows = "".join(_region_row(case, name) for name in (None, *case.metrics["tissues"]))
    terms = {"mask": case.metrics["mask"], **case.metrics["definitions"]}
    terms |= {"90 % interval": INTERVAL} if "confidence" in case.metrics else {}
    definitions = "".join(
        f"<div><dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(words)}</dd></div>" for name, words in terms.items()
    )
    return (
        f"{data_table(caption, head, rows)}"
        f"<dl class='gl-numbers'>{_similarity(case)}</dl>{interval_note(case)}"
        f"<details class='gl-terms'><summary>How each number is defined</summary><dl>{definitions}</dl></details>"
    )


def _by_model(case: SavedCase) -> dict[str, dict]:
    """The metrics of the model and, if there is one, of its rival, by short names."""
    models = {method_of(case.model): case.metrics}
    return models | ({method_of(case.rival["model"]): case.rival["metrics"]} if case.rival else {})


def _region_row(case: SavedCase, tissue: str | None) -> str:
    """A row of the table: a tissue, or None for the whole mask."""
    whole = "Whole head" if case.target != "fa" else "Whole brain"
    regions = [m if tissue is None else m["tissues"][tissue] for m in _by_model(case).values()]
    digits = DIGITS[case.target]
    errors = "".join(f"<td>{decimal(region['mae'], digits)}</td>" for region in regions)
    means = "".join(f"<td>{decimal(region['mean_error'], digits, sign=True)}</td>" for region in regions)
    name, span = (whole, "") if tissue is None else (TISSUES.get(tissue, tissue), regions[0]["range"])
    heading = f"<th scope='row'>{escape(name)} <small>{escape(span)}</small></th>"
    return f"<tr>{heading}{errors}{means}<td>{regions[0]['voxels']:,}</td></tr>"


def _similarity(case: SavedCase) -> str:
    """PSNR, SSIM, correlation and Dice as terms and values."""
    models = _by_model(case).values()
    values = {
        f"PSNR, range {PEAKS[case.target]}": [f"{decimal(m['psnr'])} dB" for m in models],
        "PSNR, SynthRAD": [f"{decimal(m['psnr_synthrad'])} dB" for m in models],
        "SSIM": [decimal(m["ssim"], 3) for m in models],
    }
    if "correlation" in case.metrics:
        values["Correlation"] = [decimal(m["correlation"], 3) for m in models]
    if all("confidence" in m for m in models):
        values |= _confident(case, [m["confidence"] for m in models])
    for tissue in case.metrics["dice"]:
        values[f"Dice, {TISSUES.get(tissue, tissue).lower()}"] = [decimal(m["dice"][tissue], 3) for m in models]
    return "".join(f"<div><dt>{escape(term)}</dt><dd>{' | '.join(texts)}</dd></div>" for term, texts in values.items())


def _confident(case: SavedCase, figures: list[dict]) -> dict[str, list[str]]:
    """What the interval was worth, as terms and each model's value."""
    digits, unit = DIGITS[case.target], f" {case.unit}" if case.unit else ""
    return {
        "MAE within the confident 90 % of voxels": [f"{decimal(f['mae_confident'], digits)}{unit}" for f in figures],
        "MAE in the other 10 %": [f"{decimal(f['mae_rest'], digits)}{unit}" for f in figures],
        "Voxels within their 90 % interval": [f"{100 * f['coverage']:.0f} %" for f in figures],
    }


def interval_note(case: SavedCase) -> str:
    """How wide the 90 % interval is in this head, what it was calibrated on, and what that means."""
    if not case.confidence:
        return ""
    digits, unit = 0 if case.target == "ct" else 2, f" {case.unit}" if case.unit else ""
    width, (least, most) = case.confidence["half_width"], case.confidence["covered"]
    return (
        f"<p class='gl-note'>90 % interval: \N{PLUS-MINUS SIGN}{decimal(width, digits)}{unit} on average in this head. "
        f"Calibrated on {escape(case.confidence['heads'])}: in each of them, left out, it held for {100 * least:.0f} "
        f"to {100 * most:.0f} % of the voxels. It cannot promise what no calibration has seen.</p>"
    )


WIDTH, ROW, SIDE, TOP, BOTTOM = 440, 70, 8, 4, 34  # of the histogram's drawing, pixels


def histogram(case: SavedCase) -> str:
    """The signed error by tissue as SVG: one row per tissue, share of its voxels per bin, on a common axis."""
    if not case.histogram:
        return ""
    edges = case.histogram["edges"]
    tissues = [name for name in case.histogram if name != "edges"]
    height = TOP + ROW * len(tissues) + BOTTOM
    floor, zero = height - BOTTOM, _across(0, edges)
    what = f"synthetic \N{MINUS SIGN} reference{f', {case.unit}' if case.unit else ''}"
    bins = f"bins of {edges[1] - edges[0]:.3g}{f' {case.unit}' if case.unit else ''}"
    rows = "".join(_bars(case, tissue, TOP + ROW * (k + 1) - 6) for k, tissue in enumerate(tissues))
    return (
        f"<figure class='gl-figure'><svg viewBox='0 0 {WIDTH} {height}' role='img' "
        f"aria-label='Histogram of {what}, by tissue of the reference'>"
        f"<line class='gl-zero' x1='{zero}' x2='{zero}' y1='{TOP}' y2='{floor}'/>{rows}{_axis(case, floor + 12)}"
        f"<text x='{zero}' y='{height - 4}' text-anchor='middle'>{what}</text></svg><figcaption>"
        f"Error of {escape(method_of(case.model))} by tissue of the reference, {bins}</figcaption></figure>"
    )


def _across(value: float, edges: list[float]) -> str:
    """The x of an error."""
    return f"{SIDE + (value - edges[0]) / (edges[-1] - edges[0]) * (WIDTH - 2 * SIDE):.1f}"


def _bars(case: SavedCase, tissue: str, base: int) -> str:
    """One tissue's bars, standing on y = base, and the text above them."""
    counts, edges = case.histogram[tissue], case.histogram["edges"]
    total, most = sum(counts) or 1, max(counts) or 1
    scale = (ROW - 26) / most
    steps = zip(counts, edges[1:], strict=True)
    path = "".join(f"V{base - count * scale:.1f}H{_across(edge, edges)}" for count, edge in steps)
    mean = decimal(case.metrics["tissues"][tissue]["mean_error"], DIGITS[case.target], sign=True)
    unit = f" {case.unit}" if case.unit else ""
    return (
        f"<path class='gl-bars' d='M{_across(edges[0], edges)} {base}{path}V{base}Z'/>"
        f"<line class='gl-axis' x1='{SIDE}' x2='{WIDTH - SIDE}' y1='{base + 0.5}' y2='{base + 0.5}'/>"
        f"<text x='{SIDE}' y='{base - ROW + 18}'>{escape(TISSUES.get(tissue, tissue))}</text>"
        f"<text x='{WIDTH - SIDE}' y='{base - ROW + 18}' class='gl-muted' text-anchor='end'>"
        f"mean {mean}{unit}, tallest bin {100 * most / total:.0f} %</text>"
    )


def _axis(case: SavedCase, y: int) -> str:
    """Five numbers below the bars; the outermost bins include everything beyond."""
    edges, digits = case.histogram["edges"], 0 if case.target == "ct" else 2
    step = (edges[-1] - edges[0]) / 4
    ends = {0: ("\u2264\u2009", "start"), 4: ("\u2265\u2009", "end")}
    texts = []
    for k in range(5):
        beyond, anchor = ends.get(k, ("", "middle"))
        value = edges[0] + step * k
        texts.append(
            f"<text x='{_across(value, edges)}' y='{y}' class='gl-muted' text-anchor='{anchor}'>"
            f"{beyond}{decimal(value, digits, sign=True)}</text>"
        )
    return "".join(texts)


def downloads(case: SavedCase, token: str) -> str:
    """Links to everything the case holds, on the input's own grid."""
    labels = {layer.name: layer.label for layer in case.layers}
    files = []
    for name in ("synthetic", "confidence", "rival", "confidence-rival"):
        if name in labels:
            series = [] if name.startswith("confidence") else [f"{name}.zip"]
            files.append((labels[name], [f"{name}.nii.gz", *series]))
    if case.metrics:
        files += [("Error map", ["error.nii.gz"]), (labels["reference"], ["reference.nii.gz"])]
    files.append((labels["input"], ["input.nii.gz"]))
    if case.metrics:
        files.append(("Metrics", ["metrics.csv", "metrics.json"]))
    return report.download_links(case, files, token)


def link(case: SavedCase) -> str:
    """The link that reopens a phantom patient, translated in the same way."""
    query = {"tab": "translate"} | ({"task": case.task} if case.task != TASK else {})
    query |= {"seed": case.seed, "model": case.model, "spacing": f"{case.spacing:g}"}
    query |= {"rival": case.rival["model"]} if case.rival else {}
    query |= case.options.texts()
    query |= {"planes": case.planes[0]} if case.planes != ALL_PLANES else {}
    return escape(f"?{urlencode(query)}")
