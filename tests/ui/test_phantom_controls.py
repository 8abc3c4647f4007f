"""The phantom's controls: what they offer is what can be made, and untouched they ask for nothing."""

from dataclasses import asdict

import gradio as gr
import pytest

from ganlab.ui import phantom_controls as phantoms
from ganlab.ui.phantom_controls import follow_seed, linked_options, options_of, set_sliders, show_options, stand
from ganlab.ui.phantom_options import BUILD, Options, seed_build

UNTOUCHED = {"lesion": "none", "extras": [], "misalign": 0, "scanner": "research", "field": 3}


def test_the_controls_offer_what_the_phantom_can_make():
    from ganlab.phantoms import LESIONS, SCANNERS
    from ganlab.phantoms.build import LIMITS
    from ganlab.phantoms.signals import FIELDS
    from ganlab.phantoms.volumes import MISALIGNMENTS

    assert tuple(phantoms.LESIONS) == ("none", *LESIONS)
    assert phantoms.SCANNERS.keys() == SCANNERS.keys() and set(phantoms.FIELDS) == set(FIELDS)
    limits = {"misalign": MISALIGNMENTS, **{name: LIMITS[name] for name in BUILD}}
    assert limits == phantoms.RANGES
    assert tuple(phantoms.SLIDERS) == BUILD


def test_every_option_has_its_control():
    with gr.Blocks():
        inputs = phantoms.sections(gr.Number(7)).inputs
    settings = {name: control.value for name, control in inputs.items()}
    assert options_of(7, **{**settings, "extras": []}) == Options()
    assert {*inputs, *phantoms.EXTRAS} - {"own", "extras"} == asdict(Options()).keys()


def test_a_slider_that_was_not_moved_leaves_the_patient_as_the_seed_has_it():
    own = stand(9000)
    sliders = {name: own[name] for name in phantoms.SLIDERS}
    assert options_of(9000, **UNTOUCHED, own=own, **sliders) == Options()
    moved = options_of(9000, **UNTOUCHED, own=own, **{**sliders, "skull": 10.000000001})
    assert moved == Options(skull=10.0)


def test_sliders_that_were_set_for_another_seed_or_never_ask_for_nothing():
    elsewhere = dict.fromkeys(phantoms.SLIDERS, 1.7)
    assert options_of(9001, **UNTOUCHED, own=stand(9000), **elsewhere) == Options()
    assert options_of(9001, **UNTOUCHED, own=None, **elsewhere) == Options()


def test_sliders_stand_within_their_range_where_the_seed_has_them():
    for seed in range(40):
        own, head, *sliders = set_sliders(seed, None)
        assert own["seed"] == seed and head.visible
        for (name, drawn), slider in zip(seed_build(seed).items(), sliders, strict=True):
            low, high = phantoms.RANGES[name]
            assert low <= slider.value <= high and slider.value == own[name] == pytest.approx(drawn, abs=0.051)


def test_sliders_follow_the_seed_once_they_are_on_the_page():
    def set_by(outputs):
        return "seed" in outputs[0]

    assert set_by(set_sliders(7, None)) and not set_by(follow_seed(7, None))
    assert set_by(follow_seed(8, stand(7)))
    for again in (follow_seed, set_sliders):
        assert not set_by(again(7, stand(7))), "sliders of this seed stay where they were moved"
        assert not set_by(again(None, stand(7))) and not set_by(again(-1, stand(7)))


def test_a_link_shows_its_options_and_opens_the_sections_they_are_in():
    lesion, extras, misalign, scanner, field, patient, machine, own, _, *sliders = show_options(
        9000, Options(lesion="bleed", defaced=True, ventricles=2.0)
    )
    assert (lesion, extras, misalign, scanner, field) == ("bleed", ["defaced"], 0, "research", 3)
    assert patient.open and not machine.open
    assert [slider.value for slider in sliders] == [2.0, own["skull"], own["fat"]]
    _, _, _, _, _, patient, machine, own, *_ = show_options(9000, Options(field=1.5))
    assert machine.open and not patient.open


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
def test_what_makes_no_sense_in_a_link_is_as_the_seed_has_it(query):
    assert linked_options(query) == Options()
