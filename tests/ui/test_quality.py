"""The table of what was measured of generators."""

from ganlab.checkpoints import list_models
from ganlab.ui.quality import ROWS, table


def test_every_measured_generator_stands_beside_real_images():
    cards = [card for card in list_models("generate") if card["metrics"]]
    html = table(cards)
    assert all(f">{card['name']}<" in html for card in cards)
    assert html.count(">real<") == len(cards)
    assert all(words in html for words, _, _ in ROWS.values())
    assert f"<td>{cards[0]['metrics']['generated']['precision']:.2f}</td>" in html


def test_nothing_measured_says_how_to():
    assert "evaluate-generator" in table([{"name": "x", "metrics": {}}])
    cards = [card for card in list_models("generate") if card["metrics"]][:1]
    unlabelled = {**cards[0], "metrics": {**cards[0]["metrics"], "classifier": None}}
    assert "<td>\u2013</td>" in table([unlabelled])
