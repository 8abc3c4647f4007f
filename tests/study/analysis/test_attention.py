"""Readers who do not look get no study to end in "equivalent"; readers who look and cannot tell do."""

from dataclasses import replace

import numpy as np
import pytest

from ganlab.study.analysis.analyse import analyse
from ganlab.study.analysis.attention import attention_of, conclusion, entropy, is_shown
from ganlab.study.analysis.report import format_report, report_html
from ganlab.study.design.protocol import Protocol
from ganlab.study.readings import Row, checked
from ganlab.study.validation import LAZY, cluster_table, format_table, lazy_readings, lazy_table

PROTOCOL = Protocol()


def honest(rng, readers=8, images=120, catches=6, dprime=0.0, seconds=4.0):
    """Readings of readers who look, and see every catch image."""
    rows = []
    for reader in range(readers):
        for k in range(images + catches):
            catch, synthetic = k >= images, k >= images or k < images // 2
            seen = 3.0 if catch else rng.standard_normal() + dprime * (synthetic - 0.5)
            sure = min(6, 1 + int(2 * abs(seen)))
            rows.append(Row(f"R{reader}", f"C{k}", synthetic, bool(seen > 0), sure, seconds=seconds, catch=catch))
    return checked(rows, "The test")


def mixed(*parts):
    """Readings of several groups of readers together."""
    rows = []
    for n, part in enumerate(parts):
        for k in range(len(part)):
            row = [getattr(part, name)[k].item() for name in Row._fields]
            rows.append(Row(*row)._replace(reader=f"{n}{row[0]}"))
    return checked(rows, "The test")


def test_readers_who_look_and_cannot_tell_are_equivalent():
    found = analyse(honest(np.random.default_rng(0)))
    assert found["average"]["verdict"] == found["average"]["alone"] == "equivalent" and found["abiding"] is None
    assert not any(each["broken"] for each in found["attention"].values())


@pytest.mark.parametrize("kind", LAZY)
def test_lazy_readers_are_not(kind):
    """At most 1 of 12 studies, each of whose mean areas lies within the margin."""
    verdicts = []
    for seed in range(12):
        found = analyse(lazy_readings(kind, 8, 100, np.random.default_rng(seed)))
        verdicts.append(found["average"]["verdict"])
    assert verdicts.count("equivalent") <= 1 and verdicts.count("no verdict") >= 8
    said = "attention was not shown" in report_html(found, "lazy")
    assert said == (verdicts[-1] == "no verdict")


@pytest.mark.parametrize(("change", "words"), [
    ({"called": False}, "0 of 6 catch images were called synthetic (at least 80%)"),
    ({"seconds": 0.2}, "100% of the answers came within 0.5 s (at most 10%)"),
])  # fmt: skip
def test_rules_are_broken_in_words(change, words):
    readings = honest(np.random.default_rng(0), readers=2)
    columns = {name: np.array(getattr(readings, name)) for name in change}
    first = readings.reader == "R0"
    which = first & readings.catch if "called" in change else first
    for name, value in change.items():
        columns[name][which] = value
    found = attention_of(replace(readings, **columns), PROTOCOL)
    assert found["R0"].broken == (words,) and found["R1"].broken == ()


def test_one_key_and_one_side_break_rules():
    rng = np.random.default_rng(0)
    constant = attention_of(lazy_readings("always synthetic, 2 % slips", 1, 60, rng), PROTOCOL)["R0"]
    assert "of the answers were synthetic (at most 90%)" in constant.broken[0]
    assert "an entropy of" in constant.broken[1] and constant.caught == constant.catches == 6
    sided = honest(rng, readers=1)
    sided = replace(sided, called=np.ones(len(sided), bool))
    assert len(attention_of(sided, PROTOCOL)["R0"].broken) == 1
    assert attention_of(sided, replace(PROTOCOL, design="ordinal"))["R0"].broken == ()
    assert attention_of(sided, replace(PROTOCOL, one_sided=1))["R0"].broken == ()


def test_entropy_is_that_of_the_keys():
    assert entropy(np.array([3, 3, 3])) == 0 and entropy(np.array([1, -1, 1, -1])) == 1
    assert entropy(np.arange(8)) == 3


def test_readers_who_look_count_where_others_do_not():
    """Four readers see a difference, three do not look: both analyses are printed, and the difference is found."""
    rng = np.random.default_rng(1)
    found = analyse(mixed(honest(rng, 4, 100, dprime=0.8), lazy_readings("always real, 5 % slips", 3, 100, rng)))
    assert found["abiding"]["readers"] == ["0R0", "0R1", "0R2", "0R3"]
    assert found["abiding"]["verdict"] == found["average"]["verdict"] == "distinguishable"
    html = report_html(found, "mixed")
    assert "The 4 readers who kept to the rules for attention (0R0, 0R1, 0R2, 0R3)" in html
    assert "1R2 broke rules for attention: " in format_report(found)


@pytest.mark.parametrize(("everyone", "abiding", "shown", "final"), [
    ("equivalent", None, True, "equivalent"), ("equivalent", None, False, "no verdict"),
    ("equivalent", "inconclusive", True, "inconclusive"), ("inconclusive", "equivalent", True, "inconclusive"),
    ("equivalent", "distinguishable", True, "distinguishable"), ("equivalent", "equivalent", True, "equivalent"),
    ("distinguishable", None, False, "distinguishable"), ("inconclusive", None, False, "inconclusive"),
    ("distinguishable", "equivalent", True, "inconclusive"), ("inconclusive", "equivalent", False, "no verdict"),
])  # fmt: skip
def test_equivalence_must_hold_for_all_and_for_those_who_looked(everyone, abiding, shown, final):
    assert conclusion({"verdict": everyone}, abiding and {"verdict": abiding}, shown) == final


def test_without_catch_images_attention_is_not_shown():
    readings = honest(np.random.default_rng(0), catches=0)
    assert not is_shown(attention_of(readings, PROTOCOL))
    assert analyse(readings)["average"]["verdict"] == "no verdict"
    few = honest(np.random.default_rng(0), catches=3)
    assert not is_shown(attention_of(few, PROTOCOL)) and is_shown(
        attention_of(honest(np.random.default_rng(0)), PROTOCOL)
    )


def test_a_slice_of_the_validation():
    rows = lazy_table(5)
    assert len(rows) == 12 and all(row["equivalent"] <= 0.2 for row in rows)
    table = cluster_table(4)
    assert len(table) == 32 and np.mean([row["false positives"] for row in table]) < 0.15
    assert np.mean([row["coverage"] for row in table]) > 0.85
    assert format_table(table).count("\n") == 33 and "| paired | 20 | 8 |" in format_table(table)


def test_an_equivalence_that_excludes_chance_says_so():
    """Many images, a difference below the margin."""
    found = analyse(honest(np.random.default_rng(3), readers=12, images=1000, dprime=0.2), rules=PROTOCOL)
    assert found["average"]["verdict"] == "equivalent" and found["average"]["p"] < 0.05
    text = format_report(found)
    assert "readers can tell the images apart, a little" in text and "sealed before the first answer" in text


def test_a_margin_given_with_the_analysis_is_post_hoc():
    readings = honest(np.random.default_rng(0))
    after, before = analyse(readings, 0.15), analyse(readings, 0.15, rules=replace(PROTOCOL, margin_reason="It is so."))
    assert "post hoc, unless a protocol" in format_report(after) and "chosen post hoc" in report_html(after, "after")
    assert "at a post hoc margin" in report_html(after, "after")
    html = report_html(before, "before")
    assert "post hoc" not in html and "at a prespecified margin" in html
    assert "Reason given for the margin: It is so." in html
