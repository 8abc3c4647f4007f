"""The controls of a phantom patient: one for each option that `PhantomOptions` puts on the page."""

from __future__ import annotations

from itertools import groupby
from typing import Any, NamedTuple

import gradio as gr

from ganlab.phantoms.options import DRAWN_OPTIONS, OPTIONS, PATIENT, SCANNER, PhantomOptions
from ganlab.settings import Setting, number
from ganlab.ui.components import QUIET
from ganlab.ui.controls import control

SECTIONS = {PATIENT: "Patient", SCANNER: "Scanner"}
ON_PAGE = {each.name: each for each in OPTIONS if each.extra["section"]}
SET = [name for name in ON_PAGE if name not in DRAWN_OPTIONS]  # options with their own default
DRAWN = [name for name in ON_PAGE if name in DRAWN_OPTIONS]  # sliders that start at the seed's values
NONE = "none"  # the choice that means None for an optional setting
SEED_LIMIT = 2**31


def is_seed(seed: float | None) -> bool:
    return seed is not None and seed == int(seed) and 0 <= seed < SEED_LIMIT


def options_of(seed: int, own: dict | None = None, **values: Any) -> PhantomOptions:
    """The options that the controls describe; a missing control has its default value.

    own: the values that `seed_values` last gave the drawn sliders. A slider that was not moved since, or was set for
    another seed, keeps the seed's own value. Raises InputError for a value out of range.
    """
    chosen = {name: _from_control(ON_PAGE[name], values[name]) for name in SET if name in values}
    if own and own["seed"] == seed:
        moved = {name: round(values[name], 1) for name in DRAWN if name in values}
        chosen |= {name: value for name, value in moved.items() if value != own[name]}
    return PhantomOptions(**chosen)


def _from_control(setting: Setting, value: Any) -> Any:
    """The value of a control in the type of its option."""
    if setting.optional and value == NONE:
        return None
    return float(value) if setting.kind is float else value


def linked_options(query: dict[str, str]) -> PhantomOptions:
    """The options that a link asks for; a missing or invalid one keeps the seed's value."""
    values: dict = {}
    for name, setting in ON_PAGE.items():
        try:
            PhantomOptions(**{name: (value := _from_link(setting, query[name]))})
        except (KeyError, ValueError):
            continue
        values[name] = value
    return PhantomOptions(**values)


def _from_link(setting: Setting, text: str) -> Any:
    """A value as PhantomOptions.texts writes it. Raises KeyError or ValueError."""
    if setting.kind is bool:
        return {"1": True}[text]
    if setting.choices:
        return {number(value): value for value in setting.choices}[text]
    return round(float(text), 1)


def seed_values(seed: int) -> dict[str, float]:
    """The values of the drawn sliders for a seed, and the seed."""
    from ganlab.phantoms.build import seed_build

    build = seed_build(seed)
    return {"seed": seed, **{name: round(getattr(build, name), 1) for name in DRAWN}}


def set_sliders(seed: float | None, own: dict | None, wanted: dict[str, Any] | None = None) -> list:
    """Show the drawn sliders at the wanted values, else at the seed's, unless they were already set for this seed."""
    if seed is None or not is_seed(seed) or (own and own["seed"] == seed):
        return [gr.skip()] * (2 + len(DRAWN))
    own = seed_values(int(seed))
    values = {name: (wanted or {}).get(name, own[name]) for name in DRAWN}
    sliders = [gr.Slider(value=values[name], info=_drawn_words(ON_PAGE[name], own)) for name in DRAWN]
    return [own, gr.Column(visible=True), *sliders]


def _drawn_words(setting: Setting, own: dict) -> str:
    """1.4 times the mean in patient 7."""
    return f"{number(own[setting.name])} {setting.unit} in patient {own['seed']}"


def follow_seed(seed: float | None, own: dict | None) -> list:
    """`set_sliders` if the sliders are already shown: they appear when their section is first opened."""
    return set_sliders(seed, own or {"seed": seed})


def show_options(seed: int, options: PhantomOptions) -> list:
    """Values of the components in `Sections.shown` for these options; sections with a chosen option open."""
    chosen = options.chosen()
    values = {name: getattr(options, name) for name in SET}
    open_sections = {ON_PAGE[name].extra["section"] for name in chosen if name in ON_PAGE}
    return [
        *(NONE if value is None else value for value in values.values()),
        *(gr.Accordion(open=section in open_sections) for section in SECTIONS),
        *set_sliders(seed, None if chosen else {"seed": seed}, {n: v for n, v in chosen.items() if n in DRAWN}),
    ]


class Sections(NamedTuple):
    inputs: dict[str, gr.components.Component]  # by the arguments of `options_of`
    shown: list  # components that `show_options` sets


def sections(seed: gr.Number) -> Sections:
    """Add the folded sections Patient and Scanner to the Blocks that are being built."""
    own = gr.State(None)
    controls: dict[str, gr.components.Component] = {}
    accordions = {}
    for section, title in SECTIONS.items():
        with gr.Accordion(title, open=False, elem_id=section) as accordions[section]:
            settings = [ON_PAGE[name] for name in SET if ON_PAGE[name].extra["section"] == section]
            for _, alike in groupby(settings, lambda setting: setting.kind):
                with gr.Group():
                    controls |= {setting.name: _control(setting) for setting in alike}
            if section == PATIENT:
                with gr.Column(visible=False, elem_classes="gl-source") as head:
                    sliders = {name: _control(ON_PAGE[name]) for name in DRAWN}
    standing = [own, head, *sliders.values()]
    accordions[PATIENT].expand(set_sliders, [seed, own], standing, **QUIET)
    seed.change(follow_seed, [seed, own], standing, **QUIET)
    return Sections({**controls, "own": own, **sliders}, [*controls.values(), *accordions.values(), *standing])


def _control(setting: Setting) -> gr.components.Component:
    """A checkbox, a choice or a slider; sliders that the seed sets get their help from `set_sliders`."""
    if setting.choices:
        choices = [(label, value) for value, label in setting.choices.items()]
        choices = [("None", NONE), *choices] if setting.optional else choices
        return gr.Radio(choices, value=NONE if setting.default is None else setting.default, label=setting.title)
    if setting.kind is bool:
        return control(PhantomOptions, setting.name, info=None)
    info = None if setting.default is None else setting.help
    return control(PhantomOptions, setting.name, info=info, buttons=[], elem_id=setting.name)
