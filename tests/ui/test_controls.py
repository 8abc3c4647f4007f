"""Controls show what settings declare."""

from typing import Annotated

import gradio as gr
import pytest

from ganlab.settings import Field, OneOf, frozen_config
from ganlab.ui.components import bound
from ganlab.ui.controls import control


@frozen_config
class Part:
    width: int = Field(24, ge=4, le=64, step=4, title="Width")


@frozen_config
class Config:
    rate: float = Field(2e-3, ge=1e-6, le=1.0, title="Learning rate", description="Of Adam.")
    skull: float = Field(7.0, ge=3.0, le=12.0, step=0.1, unit="mm", title="Skull")
    field: Annotated[float, OneOf({1.5: "1.5 T", 3.0: "3 T"})] = Field(3.0, title="MR field")
    lesion: Annotated[str, OneOf(("none", "tumour", "plaques", "bleed"))] = "none"
    noisy: bool = Field(False, title="Noisy")
    name: str = "ring"
    part: Part = Field(default_factory=Part)


@pytest.mark.parametrize(
    ("name", "kind", "label"),
    [
        ("rate", gr.Number, "Learning rate"),
        ("skull", gr.Slider, "Skull, mm"),
        ("field", gr.Radio, "MR field"),
        ("lesion", gr.Dropdown, "Lesion"),
        ("noisy", gr.Checkbox, "Noisy"),
        ("name", gr.Textbox, "Name"),
        ("part.width", gr.Slider, "Width"),
    ],
)
def test_each_kind_of_setting_has_its_control(name, kind, label):
    shown = control(Config, name)
    assert type(shown) is kind and shown.label == label
    assert shown.value == (Part().width if name == "part.width" else getattr(Config(), name))


def test_range_choices_and_help_are_the_declared_ones():
    skull = control(Config, "skull")
    assert (skull.minimum, skull.maximum, skull.step) == (3.0, 12.0, 0.1)
    assert control(Config, "field").choices == [("1.5 T", 1.5), ("3 T", 3.0)]
    assert control(Config, "rate").info == "Of Adam." and skull.info is None


def test_a_page_may_override_the_declaration():
    shown = control(Config, "skull", value=5.0, label="Bone", maximum=9.0, elem_id="skull")
    assert (shown.value, shown.label, shown.maximum, shown.elem_id) == (5.0, "Bone", 9.0, "skull")


def greet(store, token, request: gr.Request):
    """Where it was opened."""
    return store, token, request


def test_bound_handlers_still_get_the_request():
    handler = bound(greet, "store")
    inputs, *_ = gr.helpers.special_args(handler, ["token"], request="request")
    assert handler(*inputs) == ("store", "token", "request")
    assert handler.__doc__ == greet.__doc__
