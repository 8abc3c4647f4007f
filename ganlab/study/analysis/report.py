"""A study's report: one HTML file with its figures inside, and drafts of what a paper would say of methods and results.

Tables and words are of what `analyse` found; nothing is computed here.
"""

from __future__ import annotations

import io
from html import escape
from pathlib import Path

from ganlab.checkpoints import replacing
from ganlab.study.analysis.analyse import LEAST, SENTENCES
from ganlab.study.readings import STEPS
from ganlab.study.statistics import DISTINGUISHABLE

REAL, SYNTHETIC, GREY = "#0072B2", "#E69F00", "#555555"
READERS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 900px; margin: 2rem auto;
  padding: 0 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
td, th { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; }
svg { max-width: 100%; height: auto; }
.verdict { border-left: 5px solid #0072B2; padding: .3rem 1rem; font-size: 1.1rem; }
figcaption, .note { color: #555; } h2 { margin-top: 2.2rem; }
"""


def share(found: dict | None, digits: int = 2) -> str:
    """An estimate and its limits."""
    if found is None or found["estimate"] is None:
        return "\u2013"
    low, high = (f"{found[key]:.{digits}f}".replace("-", "\u2212") for key in ("low", "high"))
    return f"{found['estimate']:.{digits}f} ({low} to {high})".replace("-", "\u2212")


def number(value: float | None, digits: int = 2) -> str:
    return "\u2013" if value is None else f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "\u2212")  # no -0


def p_value(p: float | None) -> str:
    """As journals print it."""
    return "\u2013" if p is None else "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def write_report(found: dict, path: Path, title: str = "Visual Turing test") -> None:
    """One HTML file, without scripts, that needs nothing else. Raises InputError if it cannot be written."""
    with replacing(path) as partial:
        partial.write_text(report_html(found, title), encoding="utf-8")


def report_html(found: dict, title: str, more: str = "", design: str = "yes-no") -> str:
    """Of what `analyse` found; more: HTML about the study, before the drafts; design: as protocols name it."""
    average = found["average"]
    parts = [f"<p>{overview(found)}</p>"]
    if average:
        parts.append(f"<p class='verdict'><b>{average['verdict'].capitalize()}.</b> {verdict_words(found)}</p>")
    rated = design == "ordinal"  # a scale has no right and wrong: its cut in the middle is nobody's answer
    parts += [
        "<h2>Readers</h2>", areas_table(found) if rated else readers_table(found),
        figure(draw_roc(found), "Empirical ROC curves; the line is chance."),
        figure(draw_areas(found), "Area under the ROC curve with its 95 % interval; the band is the margin."),
    ]  # fmt: skip
    if not rated:
        parts += ["<h2>Answers as Chuquicusma et al. 2018 table them</h2>", recognition_table(found)]
    if average:
        parts += ["<h2>Readers and cases at large</h2>", average_words(found)]
    sure = figure(draw_calibration(found), "Right answers by confidence with 95 % Wilson intervals; grey: too few.")
    if design not in ("ordinal", "mosaic"):  # a mark has no confidence
        parts += ["<h2>How sure, how right</h2>", sure]
    parts += ["<h2>Agreement, learning, time</h2>", agreement_words(found), sessions_table(found)]
    parts.append(more)
    check = "<p class='note'>A draft: hold every sentence against what was done.</p>"
    parts += ["<h2>Draft for a paper</h2>", check, f"<p>{methods(found, design)}</p>", f"<p>{results(found)}</p>"]
    parts += ["<h2>Reporting reliability and agreement (GRRAS)</h2>", grras(found, design)]
    parts.append(
        "<p class='note'>A Turing test asks whether images look real, not whether they are various: a generator that "
        "made one good image would pass. Put precision and recall of the generator beside this. Not a medical "
        "device.</p>"
    )
    return page(title, parts)


def page(title: str, parts: list[str]) -> str:
    """One HTML page that needs nothing else."""
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title>"
        f"<meta name='viewport' content='width=device-width'><style>{STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1>{''.join(parts)}</body></html>"
    )


def overview(found: dict) -> str:
    of, synthetic = found["cases"], found["synthetic"]
    again = f", {found['repeats']} repeats besides" if found["repeats"] else ""
    return (
        f"{len(found['readers'])} readers, {of} images ({synthetic} synthetic, {of - synthetic} real), "
        f"{found['readings']} readings{again}. Synthetic counts as positive."
    )


def verdict_words(found: dict) -> str:
    average, margin = found["average"], found["margin"]
    said = SENTENCES[average["verdict"]]
    if average["verdict"] == DISTINGUISHABLE and average["area"]["estimate"] < 0.5:
        said += " It is below 0.5: what is synthetic was taken for real more often than the reverse."
    return (
        f"{said} Mean area {share(average['area'], 3)} at 95 %, {share(average['area_90'], 3)} at 90 %; "
        f"margin 0.5 \u00b1 {margin:g}."
    )


def rows(heads: list[str], body: list[list[str]]) -> str:
    top = "".join(f"<th>{head}</th>" for head in heads)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>" for line in body)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>"


def readers_table(found: dict) -> str:
    heads = ["reader", "accuracy (95 %)", "sensitivity", "specificity", "d\u2032", "c", "area (95 %)", "p, chance"]
    body = [
        [
            escape(name), share(r["accuracy"]), number(r["sensitivity"]["estimate"]),
            number(r["specificity"]["estimate"]), share(r["dprime"]), number(r["criterion"]), share(r["area"]),
            p_value(r["chance_p"]),
        ]
        for name, r in found["readers"].items()
    ]  # fmt: skip
    return rows(heads, body)


def areas_table(found: dict) -> str:
    body = [[escape(name), share(r["area"])] for name, r in found["readers"].items()]
    return rows(["reader", "area (95 %)"], body)


def recognition_table(found: dict) -> str:
    """False and true recognition of either kind, in shares of the images of that kind."""
    body = []
    for name, r in found["readers"].items():
        sensitivity, specificity = r["sensitivity"]["estimate"], r["specificity"]["estimate"]
        body.append(
            [escape(name), *(f"{100 * v:.1f}" for v in (1 - sensitivity, sensitivity, 1 - specificity, specificity))]
        )
    heads = ["reader", "synthetic called real (%)", "synthetic called synthetic (%)", "real called synthetic (%)",
             "real called real (%)"]  # fmt: skip
    return rows(heads, body)


def average_words(found: dict) -> str:
    a, pooled = found["average"], found["pooled"]
    return (
        f"<p>Obuchowski and Rockette, readers and cases both random: mean area {share(a['area'], 3)}, SE "
        f"{number(a['se'], 4)}, {number(a['df'], 1)} degrees of freedom, p {p_value(a['p'])}; MS(R) "
        f"{a['ms_reader']:.3g}, Cov2 {a['cov2']:.3g}, over the {a['cases']} cases that all have read. Permutation "
        f"test for these readers alone: p {p_value(a['permutation_p'])}.</p><p class='note'>All readings together: "
        f"accuracy {share(pooled['accuracy'])}, d\u2032 {share(pooled['dprime'])}; {pooled['note']}.</p>"
    )


def agreement_words(found: dict) -> str:
    a = found["agreement"]
    if not a:
        return "<p>One reader; agreement wants two.</p>"
    return (
        f"<p>Between readers: Fleiss \u03ba {number(a['fleiss_kappa'])}, Cohen \u03ba {number(a['cohen_kappa'])} (mean "
        f"of pairs), {number(a['cohen_kappa_quadratic'])} with quadratic weights on confidence, Krippendorff \u03b1 "
        f"{number(a['krippendorff_alpha'])} (ordinal).</p>"
    )


def sessions_table(found: dict) -> str:
    body = []
    for name, r in found["readers"].items():
        third, again, seconds = r["thirds"], r["with_self"], r["seconds"]
        body.append([
            escape(name),
            f"{100 * third['first']:.0f} %, {100 * third['last']:.0f} %" if third else "\u2013",
            p_value(third["p"]) if third else "\u2013",
            f"{number(again['kappa'])} (of {again['of']})" if again else "\u2013",
            f"{seconds['median']:.1f} ({seconds['quarter']:.1f} to {seconds['three_quarters']:.1f})" if seconds else
            "\u2013",
        ])  # fmt: skip
    heads = ["reader", "right in first, last third", "p", "\u03ba with self", "seconds, median (quartiles)"]
    return rows(heads, body)


RATED = {  # how readers judged an image, and what its score is
    "yes-no": (f"rated one at a time as real or synthetic with a confidence from 1 to {STEPS}",
               "Confidence, signed by the answer, gave"),
    "ordinal": (f"rated one at a time for how real they look, from 1 to {STEPS} (1 to {STEPS // 2} counted as called "
                "synthetic)", "These ratings gave"),
    "mosaic": ("shown in panels, in which readers marked those that they took for synthetic", "Marks gave"),
    "staircase": ("shown one at a time for a moment, shorter after a right answer and longer after a wrong one, and "
                  f"rated as real or synthetic with a confidence from 1 to {STEPS}",
                  "Confidence, signed by the answer, gave"),
    "diagnose": ("read for lesions first and then, in another order, rated as real or synthetic with a confidence "
                 f"from 1 to {STEPS}", "Confidence, signed by the answer, gave"),
}  # fmt: skip


def methods(found: dict, design: str = "yes-no") -> str:
    average, (rated, scored) = found["average"], RATED[design]
    text = (
        f"{found['cases']} images ({found['synthetic']} synthetic) were {rated}, by {len(found['readers'])} readers "
        "who were blind to the truth. Sensitivity, specificity and accuracy are given with Wilson intervals, d\u2032 "
        f"and c with a log-linear correction. {scored} empirical ROC curves."
    )
    if average:
        text += (
            " Areas were averaged over readers and tested by the Obuchowski-Rockette method with Hillis's degrees of "
            "freedom, readers and cases random, covariances by the jackknife. Equivalence was claimed if the 90 % "
            f"interval of the mean area lay within 0.5 \u00b1 {found['margin']:g}, a margin set beforehand."
        )
    return text


def results(found: dict) -> str:
    accuracies = [r["accuracy"]["estimate"] for r in found["readers"].values()]
    text = f"Accuracy was {min(accuracies):.2f} to {max(accuracies):.2f} by reader."
    if found["average"]:
        a, margin = found["average"], f" at a margin of {found['margin']:g}"
        text += (
            f" The mean area under the ROC curve was {share(a['area'])} (p {p_value(a['p'])}): {a['verdict']}"
            f"{'' if a['verdict'] == DISTINGUISHABLE else margin}."
            f" Readers agreed with Fleiss \u03ba {number(found['agreement']['fleiss_kappa'])}."
        )
    return text


def grras(found: dict, design: str = "yes-no") -> str:
    """Items of Kottner et al., J Clin Epidemiol 64:96, 2011, with what the data answer; the rest is the author's."""
    a = found["agreement"]
    items = [
        ("3. Subjects", f"{found['cases']} images, {found['synthetic']} synthetic; say where the real ones are from."),
        ("4. Raters", f"{len(found['readers'])}; say their training and years of experience."),
        ("6. Sampling", "Say how images and readers were chosen."),
        ("7. Rating process", f"Images were {RATED[design][0]}; readers were blind."),
        ("8. Independence", "Say that readers did not confer."),
        (
            "9. Statistical analysis",
            "Fleiss and Cohen \u03ba, Krippendorff \u03b1; repeats within readers.",
        ),
        ("10. Numbers", f"{found['readings']} readings, {found['repeats']} repeats."),
        ("12. Estimates", f"Fleiss \u03ba {number(a['fleiss_kappa'])}." if a else "One reader: none."),
    ]
    return "<ul>" + "".join(f"<li><b>{name}.</b> {text}</li>" for name, text in items) + "</ul>"


def figure(svg: str, caption: str) -> str:
    return f"<figure style='margin:1rem 0'>{svg}<figcaption>{caption}</figcaption></figure>"


def _axes(width: float, height: float):
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    axes = made.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return made, axes


def _svg(made, label: str) -> str:
    """The figure as an SVG element with a name; the same bytes every time."""
    import matplotlib

    stream = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": label, "svg.fonttype": "path"}):
        made.savefig(stream, format="svg", metadata={"Date": None})
    text = stream.getvalue()
    return text[text.index("<svg") :].replace("<svg", f"<svg role='img' aria-label='{escape(label)}'", 1)


def draw_roc(found: dict) -> str:
    made, axes = _axes(4.6, 4.4)
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls=":")
    for k, (name, r) in enumerate(found["readers"].items()):
        axes.plot(*zip(*r["roc"], strict=True), READERS[k % len(READERS)], lw=1.4, marker=".", ms=4, label=name)
    axes.set(xlabel="real called synthetic", ylabel="synthetic called synthetic")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.set_aspect("equal")
    if len(found["readers"]) <= 10:
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    return _svg(made, "ROC curves of the readers")


def draw_areas(found: dict) -> str:
    lines = {name: r["area"] for name, r in found["readers"].items()}
    if found["average"]:
        lines["mean, readers and cases at large"] = found["average"]["area"]
    made, axes = _axes(6.4, 0.9 + 0.27 * len(lines))
    axes.axvspan(0.5 - found["margin"], 0.5 + found["margin"], color=GREY, alpha=0.12, lw=0)
    axes.axvline(0.5, color=GREY, lw=1, ls=":")
    for k, area in enumerate(lines.values()):
        last = found["average"] and k == len(lines) - 1
        axes.plot([area["low"], area["high"]], [k, k], color=SYNTHETIC if last else REAL, lw=2)
        axes.plot(area["estimate"], k, "o", color=SYNTHETIC if last else REAL, ms=6)
    axes.set_yticks(range(len(lines)), list(lines))
    axes.invert_yaxis()
    axes.set(xlabel="area under the ROC curve", xlim=(min(0.0, *(a["low"] for a in lines.values())), 1))
    return _svg(made, "Area under the ROC curve by reader")


def draw_calibration(found: dict) -> str:
    made, axes = _axes(5.2, 3.0)
    axes.axhline(0.5, color=GREY, lw=1, ls=":")
    for level in found["calibration"]:
        few = level["of"] < LEAST
        axes.plot([level["confidence"]] * 2, [level["low"], level["high"]], color=GREY if few else REAL, lw=2)
        axes.plot(level["confidence"], level["estimate"], "o", color=GREY if few else REAL)
        axes.annotate(f"n {level['of']}", (level["confidence"], 0.02), ha="center", fontsize=8, color=GREY)
    axes.set(xlabel="confidence, 1 a guess, 6 certain", ylabel="share right", xlim=(0.5, STEPS + 0.5), ylim=(0, 1.02))
    return _svg(made, "Share of right answers by confidence")


def format_report(found: dict) -> str:
    """The same in a few lines of text."""
    lines = [overview(found)]
    for name, r in found["readers"].items():
        lines.append(
            f"{name}: accuracy {share(r['accuracy'])}, d' {share(r['dprime'])}, c {number(r['criterion'])}, area "
            f"{share(r['area'])}"
        )
    if found["average"]:
        lines.append(f"{found['average']['verdict'].capitalize()}. {verdict_words(found)}")
    return "\n".join(lines)
