"""A page's control for a setting: its label, help, range, choices and default are those declared by a config."""

from __future__ import annotations

import gradio as gr

from ganlab.errors import InputError
from ganlab.settings import Setting, setting

FEW = 3  # choices that are shown side by side


def control(cls: type, name: str, **more) -> gr.components.Component:
    """The gradio component for a setting of a config; "network.width" is a setting of the nested config `network`.

    A checkbox for true or false; radio buttons for a few choices, a dropdown for more; a slider where the setting has a
    step, else a number; a text field for the rest. more: arguments of the component, in place of the declared ones.
    """
    declared = setting(cls, name)
    title = f"{declared.title}, {declared.unit}" if declared.unit else declared.title
    shared = {"value": declared.default, "label": title, "info": declared.help or None, **more}
    if declared.choices:
        choices = [(label, value) for value, label in declared.choices.items()]
        component = gr.Radio if len(choices) <= FEW else gr.Dropdown
        return component(**{"choices": choices, **shared})
    if declared.kind is bool:
        return gr.Checkbox(**shared)
    if declared.step:
        return gr.Slider(**{"minimum": declared.low, "maximum": declared.high, "step": declared.step, **shared})
    return gr.Number(**shared) if declared.kind in (int, float) else gr.Textbox(**shared)


def as_declared(declared: Setting, value):
    """A control's value in the type of its setting: browsers do not distinguish 5 and 5.0. Raises InputError for an
    empty control."""
    if value is None:
        raise InputError(f"{declared.title} is empty; give {declared.wanted}.")
    return int(value) if declared.kind is int and isinstance(value, float) and value.is_integer() else value
