"""The options of a phantom patient: what follows from their declaration."""

import subprocess
import sys

import pytest

from ganlab.errors import InputError
from ganlab.phantoms import LESIONS, SCANNERS, Lesion, Spot, make_patient
from ganlab.phantoms.build import Build
from ganlab.phantoms.options import DRAWN_OPTIONS, FIELDS, OPTIONS, PhantomOptions


def test_every_choice_can_be_made():
    from ganlab.phantoms import scanner, signals
    from ganlab.phantoms.lesions import draw_lesion
    from ganlab.phantoms.volumes import stream

    assert SCANNERS.keys() == scanner.SCANNERS.keys() and FIELDS.keys() == signals.FIELDS.keys()
    assert [draw_lesion(kind, stream(7, 0)).kind for kind in LESIONS] == list(LESIONS)
    assert {*DRAWN_OPTIONS} <= Build.__dataclass_fields__.keys()


def test_a_seed_alone_has_no_title_file_name_command_or_notice():
    assert PhantomOptions().words() == ("", "")
    assert PhantomOptions().command() == [] and PhantomOptions().notices(("t1", "ct")) == ()


def test_chosen_options_appear_in_title_file_name_command_and_notices():
    options = PhantomOptions(lesion="bleed", fillings=True, misalign=2.5, fat=4.0, scanner="noisy")
    title, stem = options.words()
    assert title == ": bleed, dental fillings, misaligned by 2.5 mm, scalp fat 4 mm, noisy scanner"
    assert stem == "-bleed-fillings-misalign-2.5-fat-4-noisy"
    command = "--lesion bleed --fillings --misalign 2.5 --fat 4 --scanner noisy"
    assert options.command() == command.split()
    lesion, moved = options.notices(("t1", "ct"))
    assert "15 %" in lesion and "2.5 mm" in moved
    assert options.notices(("t1", "fa")) == (lesion,), "neither T1 nor FA moves"


def test_every_option_has_its_own_words():
    values = {"lesion": "plaques", "lesion_at": "1,2,3,4", "scanner": "clinical", "field": 1.5}
    wordings = set()
    for each in OPTIONS:
        value = values.get(each.name, True if each.kind is bool else each.high)
        lesion = {"lesion": "bleed"} if each.name == "lesion_at" else {}
        wordings.add(PhantomOptions(**lesion, **{each.name: value}).words())
    assert len(wordings) == len(OPTIONS)


def test_options_and_their_keywords_make_the_same_patient():
    options = PhantomOptions(lesion="bleed", lesion_at="26,-5,5,14", skull=9.0)
    patient, keywords, placed = (
        make_patient(7, ("labels",), 8.0, **settings)["labels"].array
        for settings in (
            {"options": options},
            {"lesion": "bleed", "lesion_at": "26,-5,5,14", "skull": 9},
            {"options": PhantomOptions(skull=9.0), "lesion": Lesion("bleed", (Spot(26, -5, 5, 14),))},
        )
    )
    assert (patient == keywords).all() and (patient == placed).all()
    assert (patient != make_patient(7, ("labels",), 8.0)["labels"].array).any()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"lesion": "cyst"}, 'Lesion is "cyst"; give one of tumour, plaques, bleed, or leave it out.'),
        ({"misalign": 50}, "Misalignment is 50; give a number from 0 to 12 mm (default 0)."),
        ({"scanner": "pocket"}, 'Scanner is "pocket"; give one of research, fat-suppressed, clinical, noisy'),
        ({"field": 7}, "MR field is 7; give one of 1.5, 3.0"),
        ({"skull": 40}, "Skull thickness is 40; give a number from 3 to 12 mm"),
        ({"lesion_at": "1,2,3,4"}, "place is given without a lesion: choose one of tumour, plaques, bleed."),
        ({"lesion": "bleed", "lesion_at": "1,2"}, '"1,2" is not X,Y,Z,RADIUS in mm'),
        ({"shoe": 43}, "Setting shoe is not known; choose from lesion"),
    ],
)
def test_a_refused_option_names_its_value_and_limits(wrong, sentence):
    with pytest.raises(InputError) as raised:
        make_patient(1, ("labels",), 8.0, **wrong)
    assert sentence in str(raised.value)


def test_options_load_without_torch():
    code = "import sys, ganlab.phantoms.options; print({'torch', 'gradio'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
