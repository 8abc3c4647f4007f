"""The Generate page: a generator's latent space, and what it learned."""

from __future__ import annotations

import json

import gradio as gr

from ganlab.checkpoints import list_models
from ganlab.ui.components import QUIET, canvas
from ganlab.ui.pages.generate.architecture import networks_html
from ganlab.ui.pages.generate.inversion import inversion_page
from ganlab.ui.pages.generate.latent_space import Explorer, explorer, generators, titled
from ganlab.ui.pages.generate.quality import quality_page
from ganlab.ui.pages.generate.training import training_page
from ganlab.ui.server_settings import Settings
from ganlab.ui.sessions import Store

TITLE, SLUG = "Generate", "generate"
ROOMS = ("latent", "inversion", "quality", "training")
SCRIPTS = ("shared/colour.js", "shared/controls.js", "shared/live_client.js", "generate/latent_space.js")
EXPLANATION = r"""
**What am I looking at?** A generator $G$ turns noise $z\sim\mathcal N(0,I)$, 100 numbers, into an image; nobody's scan
is in it. The recipe is that of [Radford et al. 2016](https://arxiv.org/abs/1511.06434) (DCGAN): fractionally strided
convolutions, batch normalisation, ReLU and tanh; given a class as well, it is the conditional GAN of
[Mirza and Osindero 2014](https://arxiv.org/abs/1411.1784); lung nodules of 56 x 56 pixels were made so by Chuquicusma
et al. 2018. If small steps in $z$ give small, plausible changes, it learned a space and not a list. In 100 dimensions
almost every $z$ has a length near 10: the great circle (slerp) keeps it, the straight line (lerp) leaves the shell.
Directions are those in which the image answers most to $z$, by their share of its
variance (after [Härkönen et al. 2020](https://arxiv.org/abs/2004.02546)).
"""


def offered() -> bool:
    """Where there is a pretrained generator."""
    return bool(generators())


def build(store: Store, settings: Settings, demo: gr.Blocks) -> None:
    """Add the page, with its rooms, to the Blocks that are being built; ?room=... opens one of them."""
    with gr.Tabs() as rooms:
        with gr.Tab("Latent space", id="latent"):
            model = latent_page(demo)
        with gr.Tab("Inversion", id="inversion") as room:
            inverted = inversion_page(store, room)
        with gr.Tab("How good?", id="quality"):
            quality_page()
        with gr.Tab("Training", id="training"):
            training_page(store)

    def open_room(request: gr.Request):
        wanted = request.query_params.get("room")
        return gr.Tabs(selected=wanted) if wanted in ROOMS else gr.skip()

    demo.load(open_room, None, rooms, **QUIET)
    model.change(lambda name: name, model, inverted, **QUIET)


def latent_page(demo: gr.Blocks) -> gr.Dropdown:
    """Add the latent space; ?model=, seed=, label=, psi= and point= open a gallery. Returns the choice of a model."""
    names = generators()
    first = names[0]
    cards = {card["name"]: card for card in list_models("generate")}
    with gr.Row(elem_classes="gl-page"):
        with gr.Column(scale=1, min_width=230, elem_classes="gl-controls"):
            model = gr.Dropdown(titled(), value=first, label="Model", elem_id="latent-model")
            words = gr.HTML(card_words(cards[first]), elem_id="latent-card", apply_default_css=False)
        with gr.Column(scale=5, elem_classes="gl-result"):
            start = "latentSpace(element.firstElementChild, props, watch, trigger)"
            picture = canvas("latent", SCRIPTS, start, classes="gl-viewer")  # its value: Explorer.facts
            gr.Markdown(
                EXPLANATION, latex_delimiters=[{"left": "$", "right": "$", "display": False}],
                elem_id="generate-explanation",
            )  # fmt: skip
            with gr.Accordion("Both networks, with the shapes of their maps", open=False):
                networks = gr.HTML("", elem_id="latent-networks", apply_default_css=False)

    def opened(request: gr.Request):
        query = request.query_params
        if query.get("tab") != SLUG:
            return [gr.skip()] * 4
        name = query.get("model") if query.get("model") in names else first
        facts = explorer(name).facts() | {"asked": asked_for(dict(query), explorer(name))}
        return name, facts, card_words(cards[name]), networks_html(name)

    def shown(name: str):
        return explorer(name).facts(), card_words(cards[name]), networks_html(name)

    demo.load(opened, None, [model, picture, words, networks], **QUIET)
    # the latter when it is first seen
    gr.on([model.input, picture.input], shown, model, [picture, words, networks], **QUIET)
    return model


def asked_for(query: dict[str, str], e: Explorer) -> dict:
    """Seed, truncation, class and chosen point of a link, where they can be understood."""
    asked: dict = {}
    if query.get("seed", "").isdecimal() and int(query["seed"]) < 2**32:
        asked["seed"] = int(query["seed"])
    try:
        psi = float(query.get("psi", ""))
    except ValueError:
        psi = 1.0
    if 0 < psi <= 1:
        asked["psi"] = psi
    if "label" in query:
        asked["label"] = query["label"]
    try:
        point = json.loads(query.get("point", ""))
    except (ValueError, RecursionError):
        point = None
    if e.knows(point):
        asked["point"] = point
    return asked


def card_words(card: dict) -> str:
    """What the model's card says, in a few lines."""
    lines = [
        str(card["summary"]),
        f"{card['parameters']:,} parameters, {card['steps']:,} steps",
        str(card["training_data"]),
        f"Trained on {card['device']} in {card['minutes']} min",
    ]
    return "".join(f"<p class='gl-note'>{line}.</p>" for line in lines)
