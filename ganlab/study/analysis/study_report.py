"""The report of a study that was run here: the analysis of its readings, and what the sessions tell beside it."""

from __future__ import annotations

from html import escape

from ganlab.errors import InputError
from ganlab.study.analysis.analyse import analyse
from ganlab.study.analysis.report import number, p_value, page, report_html, rows
from ganlab.study.design.protocol import DESIGNS, Protocol
from ganlab.study.readings import Readings


def study_html(table: Readings, beside: dict, protocol: Protocol) -> str:
    """One HTML page. beside: as organise.results gives it. Raises InputError where the readings cannot be compared."""
    if protocol.design == "2afc":
        return page(protocol.title, [choices_html(beside["choices"], protocol.margin), beside_html(beside, None)])
    found = analyse(table, protocol.margin)
    if protocol.design == "staircase":
        found["average"] = None
    return report_html(found, protocol.title, beside_html(beside, found), protocol.design)


def choices_html(found: dict, margin: float) -> str:
    """Two alternatives: a row a reader, and the mean with its verdict."""
    if not found["readers"]:
        raise InputError("No reader has answered.")
    body = [
        [escape(name), f"{r['right']} of {r['of']}", f"{r['share']:.2f} ({r['low']:.2f} to {r['high']:.2f})",
         number(r["d_prime"])]
        for name, r in found["readers"].items()
    ]  # fmt: skip
    text = "<p>Two images at a time, one of them synthetic; 0.5 is chance.</p>"
    if a := found["average"]:
        text += (
            f"<p class='verdict'><b>{a['verdict'].capitalize()}.</b> Mean share of right choices {a['share']:.3f} "
            f"({a['low']:.3f} to {a['high']:.3f} at 95 %, {a['low_90']:.3f} to {a['high_90']:.3f} at 90 %), p "
            f"{p_value(a['p'])}, {a['pairs']} pairs, readers and pairs random; margin 0.5 \u00b1 {margin:g}.</p>"
        )
    return text + rows(["reader", "right", "share (95 %)", "d\u2032 = \u221a2 z(share)"], body)


def beside_html(beside: dict, found: dict | None) -> str:
    """Design, seal, who was left out, the machine, catch images, groups, diagnoses and exposures."""
    m = beside["machine"]
    parts = [
        "<h2>The study</h2>",
        f"<p>Design: {escape(DESIGNS[beside['design']])}. Sealed before the first answer: SHA-256 of protocol, truth "
        f"and seeds <code>{beside['seal']}</code>. A machine that sees eleven trivial features and no anatomy has an "
        f"area of {m['area']:.2f} ({m['low']:.2f} to {m['high']:.2f}) on these images.</p>",
    ]
    if d := beside["diversity"]:
        parts.append(
            f"<p>{escape(d['model'])} has a precision of {d['precision']:.2f} and a recall of {d['recall']:.2f}: how "
            "much of what it makes lies among real images, and how much of these it reaches. Readers judge the first "
            "alone.</p>"
        )
    f = beside["flow"]
    parts.append(
        f"<p>{f['invited']} readers were invited, {f['consented']} consented, {f['finished']} finished, "
        f"{f['deleted']} had their answers deleted.</p>"
    )
    if beside["left_out"]:
        words = ", ".join(f"{name} ({done} of {of})" for name, (done, of) in beside["left_out"].items())
        parts.append(f"<p>Left out, for they have not finished: {words}.</p>")
    if beside["attention"]:
        words = ", ".join(f"{name} {good} of {of}" for name, (good, of) in beside["attention"].items())
        parts.append(f"<p>Catch images, which nobody who looks takes for real, called synthetic: {words}.</p>")
    if beside["experience"] and found:
        parts.append(groups_html(beside["experience"], found))
    if beside["findings"]:
        body = [
            [arm, number(f["area"]), f"{f['placed']} of {f['lesions']}", str(f["readers"])]
            for arm, f in beside["findings"].items()
        ]
        parts += [
            "<h2>Lesions, read before</h2>",
            rows(["images", "mean area", "lesions found and placed, all readers", "readers"], body),
        ]
    if beside["staircase"]:
        body = [
            [escape(name), number(s["share"]), f"{s['ms']:.0f} ms" if s["ms"] else "not reached"]
            for name, s in beside["staircase"].items()
        ]
        heads = ["reader", "right in the last half", "exposure at which three of four are right"]
        parts += ["<h2>Exposure</h2>", rows(heads, body)]
        parts.append(
            "<p>Exposures follow the answers, so areas above are of other exposures in every reader, and no verdict is "
            "drawn from them. Who is right too seldom or too often has no threshold here.</p>"
        )
    return "".join(parts)


def groups_html(experience: dict[str, str], found: dict) -> str:
    """Readers by the group they named: mean accuracy and area."""
    body = []
    for group in sorted(set(experience.values())):
        mine = [r for name, r in found["readers"].items() if experience.get(name) == group]
        if mine:
            accuracy, areas = ([r[key]["estimate"] for r in mine] for key in ("accuracy", "area"))
            body.append(
                [escape(group), str(len(mine)), number(sum(accuracy) / len(mine)), number(sum(areas) / len(mine))]
            )
    return "<h2>Experience</h2>" + rows(["group", "readers", "mean accuracy", "mean area"], body)
