"""A phantom patient's controls beside its seed: what it has, how its head is built, what scanner sees it."""

from __future__ import annotations

from typing import NamedTuple

import gradio as gr

from ganlab.ui.components import QUIET
from ganlab.ui.phantom_options import Options, seed_build

# As ganlab.phantoms has them; the page opens without loading it.
LESIONS = {"none": "None", "tumour": "Tumour", "plaques": "Plaques", "bleed": "Bleed"}
SCANNERS = {
    "research": "Research: 3-D, quiet",
    "fat-suppressed": "Fat-suppressed",
    "clinical": "Clinical: slices of 4 mm",
    "noisy": "Noisy: an old coil and tube",
}
FIELDS = (1.5, 3.0)  # T
RANGES = {"misalign": (0.0, 12.0), "ventricles": (0.5, 2.5), "skull": (3.0, 12.0), "fat": (0.8, 12.0)}

EXTRAS = {"craniotomy": "Craniotomy", "fillings": "Dental fillings", "defaced": "Defaced"}
SLIDERS = {  # label, what the seed has
    "ventricles": ("Ventricle width", "{:g} times the mean in patient {}"),
    "skull": ("Skull, mm", "{:g} mm in patient {}"),
    "fat": ("Scalp fat, mm", "{:g} mm in patient {}"),
}
MACHINE = {"scanner", "field"}  # options that are not the patient's
SEED_LIMIT = 2**31


def is_seed(seed: float | None) -> bool:
    return seed is not None and seed == int(seed) and 0 <= seed < SEED_LIMIT


def options_of(
    seed: int, lesion: str, extras: list[str], misalign: float, scanner: str, field: float, own: dict | None, **sliders
) -> Options:
    """The options that the controls describe.

    own: what `stand` last set the sliders to. One that has not been moved since, or was set for another seed, leaves
    the patient as the seed has it.
    """
    moved = {name: round(value, 1) for name, value in sliders.items()} if own and own["seed"] == seed else {}
    return Options(
        lesion=None if lesion == "none" else lesion,
        **{name: name in extras for name in EXTRAS},
        misalign=float(misalign),
        scanner=scanner,
        field=float(field),
        **{name: value for name, value in moved.items() if value != own[name]},
    )


def linked_options(query: dict[str, str]) -> Options:
    """The options that an address asks for; what is missing or makes no sense in it is as the seed has it."""
    known = {
        "lesion": {name: name for name in LESIONS if name != "none"},
        "scanner": {name: name for name in SCANNERS},
        "field": {f"{tesla:g}": tesla for tesla in FIELDS},
        **{name: {"1": True} for name in EXTRAS},
    }
    found = {name: values[query[name]] for name, values in known.items() if query.get(name) in values}
    for name, (low, high) in RANGES.items():
        try:
            value = round(float(query.get(name, "")), 1)
        except ValueError:
            continue
        if low <= value <= high:
            found[name] = value
    return Options(**found)


def stand(seed: int) -> dict[str, float]:
    """Where the sliders of a seed stand, and the seed."""
    return {"seed": seed, **{name: round(value, 1) for name, value in seed_build(seed).items()}}


def set_sliders(seed: float | None, own: dict | None, wishes: dict[str, float] | None = None) -> list:
    """Show the sliders, each where it is wished to be, else where the seed has it, unless they were set for it."""
    if not is_seed(seed) or (own and own["seed"] == seed):
        return [gr.skip()] * (2 + len(SLIDERS))
    own = stand(int(seed))
    places = {name: (wishes or {}).get(name, own[name]) for name in SLIDERS}
    infos = {name: words.format(own[name], own["seed"]) for name, (_, words) in SLIDERS.items()}
    return [own, gr.Column(visible=True), *(gr.Slider(value=places[name], info=infos[name]) for name in SLIDERS)]


def follow_seed(seed: float | None, own: dict | None) -> list:
    """`set_sliders`, unless they are not on the page yet: they come when their section is first opened."""
    return set_sliders(seed, own or {"seed": seed})


def show_options(seed: int, options: Options) -> list:
    """What the controls in `Sections.shown` show of options; sections that differ from the seed's patient open."""
    chosen = options.chosen()
    return [
        options.lesion or "none",
        [name for name in EXTRAS if name in chosen],
        options.misalign,
        options.scanner,
        options.field,
        gr.Accordion(open=not chosen.keys() <= MACHINE),
        gr.Accordion(open=not chosen.keys().isdisjoint(MACHINE)),
        *set_sliders(seed, None if chosen else {"seed": seed}, chosen),
    ]


class Sections(NamedTuple):
    inputs: dict[str, gr.components.Component]  # by the arguments of `options_of`
    shown: list  # components that `show_options` sets


def sections(seed: gr.Number) -> Sections:
    """Add the folded sections Patient and Scanner to the Blocks that are being built."""
    own = gr.State(None)
    with gr.Accordion("Patient", open=False, elem_id="patient") as patient:
        lesion = gr.Radio([(words, name) for name, words in LESIONS.items()], value="none", label="Lesion")
        extras = gr.CheckboxGroup([(words, name) for name, words in EXTRAS.items()], label="Besides")
        misalign = gr.Slider(
            *RANGES["misalign"],
            value=0,
            step=0.5,
            label="Misaligned, mm",
            info="Between MR and CT: throat and jaw this far, the skull a third of it",
            buttons=[],
            elem_id="misalign",
        )
        with gr.Column(visible=False, elem_classes="gl-source") as head:
            sliders = {
                name: gr.Slider(*RANGES[name], step=0.1, label=label, buttons=[], elem_id=name)
                for name, (label, _) in SLIDERS.items()
            }
    with gr.Accordion("Scanner", open=False, elem_id="scanner") as machine:
        scanner = gr.Radio([(words, name) for name, words in SCANNERS.items()], value="research", label="Preset")
        field = gr.Radio([(f"{tesla:g} T", tesla) for tesla in FIELDS], value=3.0, label="MR field")
    standing = [own, head, *sliders.values()]
    patient.expand(set_sliders, [seed, own], standing, **QUIET)
    seed.change(follow_seed, [seed, own], standing, **QUIET)
    choices = {"lesion": lesion, "extras": extras, "misalign": misalign, "scanner": scanner, "field": field}
    return Sections({**choices, "own": own, **sliders}, [*choices.values(), patient, machine, *standing])
