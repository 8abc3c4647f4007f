"""The table of measured generators, and the histograms of their nodules' measurements."""

import re

from ganlab.checkpoints import list_models
from ganlab.ui.pages.generate.nodule_histograms import figure, sections
from ganlab.ui.pages.generate.quality import ROWS, quality_table, values_of


def test_every_measured_generator_is_compared_with_real_images():
    cards = [card for card in list_models("generate") if card["metrics"]]
    html = quality_table(cards)
    assert all(f">{card['name']}<" in html and f">{card['summary']}<" in html for card in cards)
    assert html.count(">real<") == len(cards)
    assert all(words in html for words, _, _ in ROWS.values())
    assert f"<td>{cards[0]['metrics']['generated']['precision']:.2f}</td>" in html


def test_the_classifier_is_tested_both_ways():
    card = next(card for card in list_models("generate") if card["metrics"].get("classifier"))
    accuracies = {"real_on_real": 0.9, "synthetic_on_real": 0.8, "real_on_synthetic": 0.7}
    metrics = card["metrics"] | {"classifier": accuracies}
    assert values_of(metrics, "synthetic_on_real") == (0.8, 0.9)
    assert values_of(metrics, "real_on_synthetic") == (0.7, 0.9)
    html = quality_table([{**card, "metrics": metrics}])
    assert re.search(r"trained on real ones .*?<td>0.70</td><td>0.90</td>", html)


def test_without_measurements_the_command_is_shown():
    assert "evaluate-generator" in quality_table([{"name": "x", "metrics": {}}])


def test_a_missing_value_is_a_dash_and_a_row_without_values_is_left_out():
    labelled = next(card for card in list_models("generate") if card["metrics"].get("classifier"))
    unlabelled = {**labelled, "metrics": {**labelled["metrics"], "classifier": None}}
    assert "<td>\u2013</td>" in quality_table([labelled, unlabelled])
    assert "classifier" not in quality_table([unlabelled])


def test_the_table_scrolls_on_its_own_and_by_keyboard():
    html = quality_table(list_models("generate"))
    assert html.startswith("<div class='gl-scroll' role='region' aria-label='Against held-out images' tabindex='0'>")


def histogram(**more):
    one = {"held_out": "0 2 2 0", "generated": "0 0 1 0", "ks": 0.5, "floor": 0.04} | more
    return {"range": [2, 28], "classes": {"benign": one, "malignant": one | {"ks": None}}}


def test_a_histogram_has_a_row_per_class_in_shares_of_the_class():
    svg = figure("diameter_mm", histogram())
    assert svg.count("class='gl-real'") == svg.count("class='gl-made'") == 2
    generated, real = (re.search(f"class='gl-{who}' d='M40 100([^Z']*)", svg)[1] for who in ("made", "real"))
    tops = [[float(v) for v in re.findall(r"V([\d.]+)h", path)] for path in (generated, real)]
    assert tops == [[100, 100, 22, 100], [100, 61, 61, 100]]  # all of the generated in one bin, half of the real
    assert all(f">{words}<" in svg for words in ("benign", "malignant", "diameter, mm", "25"))
    assert "KS 0.50 (0.04)" in svg and "KS \u2013 (0.04)" in svg


def test_axes_end_with_the_bins_and_empty_classes_are_drawn():
    svg = figure("mean_hu", {**histogram(generated="0 0 0 0", held_out="0 0 0 0"), "range": [-400, 100]})
    assert ">\u2212300<" in svg and ">0<" in svg and "600<" not in svg and ">300<" not in svg


def test_only_generators_of_nodules_have_histograms():
    cards = {card["name"]: card for card in list_models("generate")}
    html = sections(list(cards.values()))
    assert html.count("<section") == 1 and html.count("<svg") == 3
    measured = cards["dcgan-nodules"]["metrics"]["distributions"]["diameter_mm"]["classes"]
    assert set(measured) == {"benign", "malignant"}
    assert 1700 < sum(int(n) for one in measured.values() for n in one["held_out"].split()) <= 2000
    assert sections([{"name": "x", "metrics": {}}]) == ""
