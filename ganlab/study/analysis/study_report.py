"""The report of a study that was run here: the analysis of its readings and facts about its sessions."""

from __future__ import annotations

from markupsafe import Markup

from ganlab.errors import InputError
from ganlab.study.analysis.analyse import analyse
from ganlab.study.analysis.rendering import render
from ganlab.study.analysis.report import report_html
from ganlab.study.design.protocol import DESIGNS, Protocol
from ganlab.study.readings import Readings


def study_html(readings: Readings, context: dict, protocol: Protocol) -> str:
    """One HTML page. context: from ganlab.study.results. Raises InputError if the readings cannot be compared."""
    design = protocol.design
    if design == "2afc":
        choices = context["choices"]
        if not choices["readers"]:
            raise InputError("No reader has answered.")
        study = render("study.html", context=context, design=DESIGNS[design], groups=[], reason=protocol.audit_reason)
        return render("pairs.html", title=protocol.title, choices=choices, margin=protocol.margin, study=Markup(study))
    analysis = analyse(readings, float(protocol.margin), rules=protocol)
    if protocol.rules:
        context = context | {"attention": {}}  # the analysis has it, with the rules
    if design == "staircase":
        analysis["average"] = None  # exposures follow the answers, so no verdict is drawn
    groups = experience_groups(context["experience"], analysis)
    study = render("study.html", context=context, design=DESIGNS[design], groups=groups, reason=protocol.audit_reason)
    return report_html(analysis, protocol.title, study, design)


def experience_groups(experience: dict[str, str], analysis: dict) -> list[dict]:
    """Number of readers, mean accuracy and mean area by the level of experience that readers chose."""
    groups = []
    for name in sorted(set(experience.values())):
        readers = [r for reader, r in analysis["readers"].items() if experience.get(reader) == name]
        if readers:
            accuracy, area = (sum(r[key]["estimate"] for r in readers) / len(readers) for key in ("accuracy", "area"))
            groups.append({"name": name, "readers": len(readers), "accuracy": accuracy, "area": area})
    return groups
