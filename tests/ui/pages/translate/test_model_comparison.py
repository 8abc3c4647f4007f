"""The comparison of models: from their cards, or measured again."""

import pytest

from ganlab.errors import Cancelled
from ganlab.translation import measure
from ganlab.ui.pages.translate import model_comparison
from ganlab.ui.sessions import Store

MEASURED = {"mean": {"mae": 45.5, "sharpness": 0.949}, "sd": {"mae": 2.6, "sharpness": 0.009}}


@pytest.fixture(autouse=True)
def models(monkeypatch):
    known = [{"name": "mr2ct-unet", "metrics": MEASURED}, {"name": "mr2ct-new", "metrics": {}}]
    monkeypatch.setattr(model_comparison, "cards_of", lambda task: known)


def test_models_are_compared_by_their_cards():
    text = model_comparison.compared("mr2ct")
    assert "| figure | mr2ct-unet |\n" in text and "| sharpness | 0.949 ± 0.009 |" in text
    assert "evaluate-models --task mr2ct" in text


def test_measuring_again_shows_each_model_as_it_is_done(monkeypatch):
    def measure_model(name, task, progress, cancelled):
        progress(0.5)
        return {"mean": {"mae": 60.0}, "sd": {"mae": 1.0}}

    monkeypatch.setattr(measure, "measure_model", measure_model)
    heard = []
    steps = list(model_comparison.measure(Store(), "me", "mr2ct", lambda done, what: heard.append((done, what))))
    assert heard == [(0.25, "mr2ct-unet"), (0.75, "mr2ct-new")]
    assert "| figure | mr2ct-unet |\n" in steps[0][1]
    assert "| figure | mr2ct-unet | mr2ct-new |\n" in steps[1][1] and "| 60.0 ± 1.0 | 60.0 ± 1.0 |" in steps[1][1]
    assert model_comparison.MEASURED in steps[-1][0]


def test_results_before_a_cancel_are_kept(monkeypatch):
    store = Store()

    def measure_model(name, task, progress, cancelled):
        if cancelled():
            raise Cancelled
        return {"mean": {"mae": 60.0}, "sd": {"mae": 1.0}}

    monkeypatch.setattr(measure, "measure_model", measure_model)
    steps = model_comparison.measure(store, "me", "mr2ct", lambda done, what: None)
    next(steps)
    store.cancel("me")
    message, text = list(steps)[-1]
    assert model_comparison.STOPPED in message and "| figure | mr2ct-unet |\n" in text and "| 60.0 ± 1.0 |" in text
