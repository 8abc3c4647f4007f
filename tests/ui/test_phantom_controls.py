"""The phantom's controls: one for each declared option; untouched, they ask for nothing."""

import gradio as gr
import pytest

from ganlab.phantoms.options import OPTIONS, PhantomOptions
from ganlab.ui.phantom_controls import (
    DRAWN,
    ON_PAGE,
    SET,
    follow_seed,
    linked_options,
    options_of,
    sections,
    seed_values,
    set_sliders,
    show_options,
)


@pytest.fixture
def inputs():
    with gr.Blocks():
        return sections(gr.Number(7)).inputs


def test_every_option_of_the_page_has_a_control_with_its_choices_and_range(inputs):
    assert {*inputs} - {"own"} == {each.name for each in OPTIONS if each.extra["section"]}
    for name, setting in ON_PAGE.items():
        control = inputs[name]
        assert control.label.startswith(setting.title)
        if setting.choices:
            assert [value for _, value in control.choices] == ["none"] * setting.optional + [*setting.choices]
        elif setting.kind is float:
            assert (control.minimum, control.maximum, control.step) == (setting.low, setting.high, setting.step)


def test_untouched_controls_ask_for_nothing(inputs):
    values = {name: control.value for name, control in inputs.items()}
    assert options_of(7, **values) == options_of(7) == PhantomOptions()


def test_a_slider_counts_only_when_it_was_moved():
    own = seed_values(9000)
    sliders = {name: own[name] for name in DRAWN}
    assert options_of(9000, own, **sliders) == PhantomOptions()
    assert options_of(9000, own, **{**sliders, "skull": 10.000000001}) == PhantomOptions(skull=10.0)


def test_sliders_of_another_seed_are_ignored():
    elsewhere = dict.fromkeys(DRAWN, 1.7)
    assert options_of(9001, seed_values(9000), **elsewhere) == PhantomOptions()
    assert options_of(9001, None, **elsewhere) == PhantomOptions()


def test_sliders_start_at_the_seeds_own_values_within_their_range():
    import torch

    from ganlab.phantoms.patient import make_head

    build = make_head(torch.Generator().manual_seed(9000)).build
    for seed in range(8990, 9030):
        own, head, *sliders = set_sliders(seed, None)
        assert own["seed"] == seed and head.visible
        for name, slider in zip(DRAWN, sliders, strict=True):
            assert ON_PAGE[name].low <= slider.value <= ON_PAGE[name].high and slider.value == own[name]
            if seed == 9000:
                assert slider.value == pytest.approx(getattr(build, name), abs=0.051)


def test_sliders_follow_the_seed_once_they_are_on_the_page():
    def set_by(outputs):
        return "seed" in outputs[0]

    assert set_by(set_sliders(7, None)) and not set_by(follow_seed(7, None))
    assert set_by(follow_seed(8, seed_values(7)))
    for again in (follow_seed, set_sliders):
        assert not set_by(again(7, seed_values(7))), "sliders of this seed stay where they were moved"
        assert not set_by(again(None, seed_values(7))) and not set_by(again(-1, seed_values(7)))


def test_a_link_shows_its_options_and_opens_the_sections_they_are_in():
    def shown(options):
        *set_values, patient, scanner, own, _, _, _, _ = shown_by = show_options(9000, options)
        sliders = {name: slider.value for name, slider in zip(DRAWN, shown_by[-len(DRAWN) :], strict=True)}
        return {**dict(zip(SET, set_values, strict=True)), **sliders}, patient.open, scanner.open, own

    values, patient, scanner, own = shown(PhantomOptions(lesion="bleed", defaced=True, ventricles=2.0))
    usual = {name: getattr(PhantomOptions(), name) for name in SET}
    chosen = {"lesion": "bleed", "defaced": True, "ventricles": 2.0, "skull": own["skull"], "fat": own["fat"]}
    assert values == {**usual, **chosen} and patient and not scanner
    values, patient, scanner, _ = shown(PhantomOptions(field=1.5))
    assert (values["lesion"], values["field"]) == ("none", 1.5) and scanner and not patient


def test_a_link_restores_its_options():
    last = {each.name: list(each.choices)[-1] if each.choices else each.high or True for each in ON_PAGE.values()}
    options = PhantomOptions(**{**last, "field": 1.5})
    assert {*options.texts()} == {*ON_PAGE} and linked_options(options.texts()) == options


@pytest.mark.parametrize(
    "query",
    [
        {"lesion": "none"},
        {"lesion": "<b>"},
        {"scanner": "old"},
        {"field": "7"},
        {"defaced": "yes"},
        {"misalign": "nan"},
        {"misalign": "12.1"},
        {"skull": "inf"},
        {"fat": ""},
        {"ventricles": "-1"},
    ],
)
def test_invalid_values_in_a_link_are_ignored(query):
    assert linked_options(query) == PhantomOptions()
