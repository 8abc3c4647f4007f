"""The Generate page: a generator's latent space, inversion, quality and training, each in its own sub-tab."""

from __future__ import annotations

import gradio as gr

from ganlab.generation.shipped import generator_names
from ganlab.ui.components import QUIET
from ganlab.ui.pages.generate import inversion, latent_space, quality, training
from ganlab.ui.server_settings import Settings
from ganlab.ui.sessions import Store

TITLE, SLUG = "Generate", "generate"
ROOMS = ("latent", "inversion", "quality", "training")


def offered() -> bool:
    """Whether there is a shipped generator."""
    return bool(generator_names())


def build(store: Store, settings: Settings, demo: gr.Blocks) -> None:
    """Add the page with its sub-tabs to the Blocks; ?room=... opens one of them."""
    with gr.Tabs() as rooms:
        with gr.Tab("Latent space", id="latent"):
            model = latent_space.build(demo)
        with gr.Tab("Inversion", id="inversion") as room:
            inverted = inversion.build(store, room)
        with gr.Tab("How good?", id="quality"):
            quality.build()
        with gr.Tab("Training", id="training"):
            training.build(store)
    demo.load(open_room, None, rooms, **QUIET)
    model.change(lambda name: name, model, inverted, **QUIET)


def open_room(request: gr.Request):
    """The sub-tab that a link asks for."""
    room = request.query_params.get("room")
    return gr.Tabs(selected=room) if room in ROOMS else gr.skip()
