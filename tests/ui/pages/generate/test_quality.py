"""The table of what was measured of generators, and the distributions of what their nodules measure."""

import re

from ganlab.checkpoints import list_models
from ganlab.ui.pages.generate.nodule_histograms import figure, sections
from ganlab.ui.pages.generate.quality import ROWS, pair, table


def test_every_measured_generator_stands_beside_real_images():
    cards = [card for card in list_models("generate") if card["metrics"]]
    html = table(cards)
    assert all(f">{card['name']}<" in html and f">{card['summary']}<" in html for card in cards)
    assert html.count(">real<") == len(cards)
    assert all(words in html for words, _, _ in ROWS.values())
    assert f"<td>{cards[0]['metrics']['generated']['precision']:.2f}</td>" in html


def test_the_classifier_is_tried_both_ways():
    card = next(card for card in list_models("generate") if card["metrics"].get("classifier"))
    told = {"real_on_real": 0.9, "synthetic_on_real": 0.8, "real_on_synthetic": 0.7}
    metrics = card["metrics"] | {"classifier": told}
    assert pair(metrics, "synthetic_on_real") == (0.8, 0.9)
    assert pair(metrics, "real_on_synthetic") == (0.7, 0.9)
    html = table([{**card, "metrics": metrics}])
    assert re.search(r"trained on real images, .*?<td>0.70</td><td>0.90</td>", html)


def test_nothing_measured_says_how_to():
    assert "evaluate-generator" in table([{"name": "x", "metrics": {}}])


def test_what_was_not_measured_is_a_dash_beside_others_and_no_row_alone():
    labelled = next(card for card in list_models("generate") if card["metrics"].get("classifier"))
    unlabelled = {**labelled, "metrics": {**labelled["metrics"], "classifier": None}}
    assert "<td>\u2013</td>" in table([labelled, unlabelled])
    assert "Classifier" not in table([unlabelled])


def test_a_table_scrolls_alone_and_by_keyboard():
    html = table(list_models("generate"))
    assert html.startswith("<div class='gl-scroll' role='region' aria-label='Against held-out images' tabindex='0'>")


def found(**more):
    one = {"held_out": "0 2 2 0", "generated": "0 0 1 0", "ks": 0.5, "floor": 0.04} | more
    return {"range": [2, 28], "classes": {"benign": one, "malignant": one | {"ks": None}}}


def test_a_figure_has_a_row_per_class_in_shares_of_the_class():
    svg = figure("diameter_mm", found())
    assert svg.count("class='gl-real'") == svg.count("class='gl-made'") == 2
    made, real = (re.search(f"class='gl-{who}' d='M40 100([^Z']*)", svg)[1] for who in ("made", "real"))
    tops = [[float(v) for v in re.findall(r"V([\d.]+)h", path)] for path in (made, real)]
    assert tops == [[100, 100, 22, 100], [100, 61, 61, 100]]  # all of the generated in one bin, half of the real
    assert all(f">{words}<" in svg for words in ("benign", "malignant", "diameter, mm", "25"))
    assert "KS 0.50 (0.04)" in svg and "KS \u2013 (0.04)" in svg


def test_axes_are_drawn_as_far_as_the_bins_go_and_empty_classes_too():
    svg = figure("mean_hu", {**found(generated="0 0 0 0", held_out="0 0 0 0"), "range": [-400, 100]})
    assert ">\u2212300<" in svg and ">0<" in svg and "600<" not in svg and ">300<" not in svg


def test_the_card_of_nodules_has_distributions_and_others_have_none():
    cards = {card["name"]: card for card in list_models("generate")}
    html = sections(list(cards.values()))
    assert html.count("<section") == 1 and html.count("<svg") == 3
    measured = cards["dcgan-nodules"]["metrics"]["distributions"]["diameter_mm"]["classes"]
    assert set(measured) == {"benign", "malignant"}
    assert 1700 < sum(int(n) for one in measured.values() for n in one["held_out"].split()) <= 2000
    assert sections([{"name": "x", "metrics": {}}]) == ""
