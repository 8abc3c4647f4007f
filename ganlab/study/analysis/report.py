"""The report of readings: one HTML file with its figures inside and drafts for a paper, or a few lines of text.

Everything shown comes from `analyse`; nothing is computed here.
"""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from ganlab.checkpoints import replacing
from ganlab.study.analysis.analyse import SENTENCES
from ganlab.study.analysis.figures import draw_areas, draw_calibration, draw_roc
from ganlab.study.analysis.rendering import environment, number, render, share
from ganlab.study.mrmc import DISTINGUISHABLE, EQUIVALENT
from ganlab.study.readings import STEPS

POST_HOC = "given with the analysis: post hoc, unless a protocol had fixed it before the first answer"
CONFIDENCE = "confidence, signed by the answer"
RATED = {  # design -> (how images were judged, what the ROC curves are derived from), in the drafts
    "yes-no": (f"rated one at a time as real or synthetic with a confidence from 1 to {STEPS}", CONFIDENCE),
    "ordinal": (
        f"rated one at a time for realism from 1 to {STEPS} (1 to {STEPS // 2} counted as called synthetic)",
        "these ratings",
    ),
    "mosaic": ("shown in panels, in which readers marked the images that they considered synthetic", "these marks"),
    "staircase": (
        "shown one at a time for a limited exposure, which was shorter after a correct answer and longer after a wrong "
        f"one, and rated as real or synthetic with a confidence from 1 to {STEPS}",
        CONFIDENCE,
    ),
    "diagnose": (
        "first read for lesions and then, in a different order, rated as real or synthetic with a confidence from 1 to "
        f"{STEPS}",
        CONFIDENCE,
    ),
}


def write_report(analysis: dict, path: Path, title: str = "Visual Turing test") -> None:
    """Write the report as one self-contained HTML file without scripts. Raises InputError if it cannot be written."""
    with replacing(path) as partial:
        partial.write_text(report_html(analysis, title), encoding="utf-8")


def report_html(analysis: dict, title: str, study: str = "", design: str = "yes-no") -> str:
    """The report of what `analyse` found. study: HTML to insert before the drafts. design: name of the design."""
    rated, scored = RATED[design]
    return render(
        "report.html",
        analysis=analysis,
        title=title,
        design=design,
        overview=overview(analysis),
        clustered=bool(_of_patients(analysis)),
        verdict=verdict_words(analysis) if analysis["average"] else "",
        figures={
            "roc": Markup(draw_roc(analysis)),
            "areas": Markup(draw_areas(analysis)),
            "calibration": Markup(draw_calibration(analysis)),
        },
        accuracies=[r["accuracy"]["estimate"] for r in analysis["readers"].values()],
        rated=rated,
        scored=scored,
        study=Markup(study),
    )


def readers_table(analysis: dict) -> str:
    """The table of readers alone, as HTML."""
    return str(environment().get_template("tables.html").module.readers_table(analysis))  # type: ignore[attr-defined]


def overview(analysis: dict) -> str:
    """How many readers, images and readings there are."""
    count, cases, synthetic = len(analysis["readers"]), analysis["cases"], analysis["synthetic"]
    repeats = f" and {analysis['repeats']} repeats" if analysis["repeats"] else ""
    return (
        f"{count} reader{'s' if count > 1 else ''}, {cases} images ({synthetic} synthetic, {cases - synthetic} real)"
        f"{_of_patients(analysis)}, {analysis['readings']} readings{repeats}. Synthetic is the positive class."
    )


def _of_patients(analysis: dict) -> str:
    """How many patients the images are of, unless each is of one of its own."""
    of = analysis["patients"]
    count = of["synthetic"] + of["real"] - of["both"]
    if count == analysis["cases"]:
        return ""
    both = f", {of['both']} with both" if of["both"] else ""
    return f" of {count} patients ({of['synthetic']} with synthetic images, {of['real']} with real ones{both})"


def verdict_words(analysis: dict) -> str:
    """The verdict on the mean area, explained."""
    average, margin = analysis["average"], analysis["margin"]
    sentence = SENTENCES[average["verdict"]]
    if average["verdict"] == DISTINGUISHABLE and average["area"]["estimate"] < 0.5:
        sentence += " It is below 0.5: synthetic images were mistaken for real ones more often than the reverse."
    if average["verdict"] == EQUIVALENT and average["p"] < 0.05:
        sentence += (
            " The 95 % interval excludes 0.5: readers can tell the images apart, a little, by less than the margin."
        )
    reason = f" Reason given for the margin: {analysis['margin_reason']}" if analysis["margin_reason"] else ""
    return (
        f"{sentence} Mean area {share(average['area'], 3)} at 95 %, {share(average['area_90'], 3)} at 90 %; "
        f"margin 0.5 \u00b1 {margin:g}, {'sealed before the first answer' if analysis['prespecified'] else POST_HOC}."
        f"{reason}"
    )


def format_report(analysis: dict) -> str:
    """The main results in a few lines of text."""
    lines = [overview(analysis)]
    for name, r in analysis["readers"].items():
        lines.append(
            f"{name}: accuracy {share(r['accuracy'])}, d' {share(r['dprime'])}, c {number(r['criterion'])}, area "
            f"{share(r['area'])}"
        )
    for name, found in analysis["attention"].items():
        if found["broken"]:
            lines.append(f"{name} broke rules for attention: {'; '.join(found['broken'])}.")
    if analysis["average"]:
        lines.append(f"{analysis['average']['verdict'].capitalize()}. {verdict_words(analysis)}")
    return "\n".join(lines)
