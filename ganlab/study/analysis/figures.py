"""The figures of a report, as SVG."""

from __future__ import annotations

import io
from html import escape
from typing import TYPE_CHECKING

from ganlab.study.analysis.analyse import LEAST
from ganlab.study.readings import STEPS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REAL, SYNTHETIC, GREY = "#0072B2", "#E69F00", "#555555"
READERS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure, label: str) -> str:
    """The figure as an SVG element with an accessible name; the same bytes every time."""
    import matplotlib

    stream = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": label, "svg.fonttype": "path"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    text = stream.getvalue()
    return text[text.index("<svg") :].replace("<svg", f"<svg role='img' aria-label='{escape(label)}'", 1)


def draw_roc(analysis: dict) -> str:
    """ROC curves of the readers, as SVG."""
    figure, axes = _axes(4.6, 4.4)
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls=":")
    for k, (name, r) in enumerate(analysis["readers"].items()):
        axes.plot(*zip(*r["roc"], strict=True), READERS[k % len(READERS)], lw=1.4, marker=".", ms=4, label=name)
    axes.set(xlabel="real called synthetic", ylabel="synthetic called synthetic")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.set_aspect("equal")
    if len(analysis["readers"]) <= 10:
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    return _svg(figure, "ROC curves of the readers")


def draw_areas(analysis: dict) -> str:
    """Areas of the readers and their mean with 95 % intervals, as SVG."""
    lines = {name: r["area"] for name, r in analysis["readers"].items()}
    if analysis["average"]:
        lines["mean of readers and cases"] = analysis["average"]["area"]
    figure, axes = _axes(6.4, 0.9 + 0.27 * len(lines))
    axes.axvspan(0.5 - analysis["margin"], 0.5 + analysis["margin"], color=GREY, alpha=0.12, lw=0)
    axes.axvline(0.5, color=GREY, lw=1, ls=":")
    for k, area in enumerate(lines.values()):
        last = analysis["average"] and k == len(lines) - 1
        axes.plot([area["low"], area["high"]], [k, k], color=SYNTHETIC if last else REAL, lw=2)
        axes.plot(area["estimate"], k, "o", color=SYNTHETIC if last else REAL, ms=6)
    axes.set_yticks(range(len(lines)), list(lines))
    axes.invert_yaxis()
    axes.set(xlabel="area under the ROC curve", xlim=(min(0.0, *(a["low"] for a in lines.values())), 1))
    return _svg(figure, "Area under the ROC curve by reader")


def draw_calibration(analysis: dict) -> str:
    """Share of correct answers by confidence, as SVG."""
    figure, axes = _axes(5.2, 3.0)
    axes.axhline(0.5, color=GREY, lw=1, ls=":")
    for level in analysis["calibration"]:
        few = level["of"] < LEAST
        axes.plot([level["confidence"]] * 2, [level["low"], level["high"]], color=GREY if few else REAL, lw=2)
        axes.plot(level["confidence"], level["estimate"], "o", color=GREY if few else REAL)
        axes.annotate(f"n {level['of']}", (level["confidence"], 0.02), ha="center", fontsize=8, color=GREY)
    axes.set(
        xlabel="confidence (1: a guess, 6: certain)", ylabel="share correct", xlim=(0.5, STEPS + 0.5), ylim=(0, 1.02)
    )
    return _svg(figure, "Share of correct answers by confidence")
