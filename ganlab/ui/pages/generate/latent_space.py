"""The Latent space sub-tab of the Generate page: a gallery, paths between images, and how the networks see them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import gradio as gr
import numpy as np
from starlette.routing import Route

from ganlab.checkpoints import list_models
from ganlab.device import one_thread
from ganlab.errors import InputError
from ganlab.generation.shipped import TASK, generator_names, generator_titles
from ganlab.ui.components import QUIET, canvas
from ganlab.ui.live_protocol import MALFORMED, Answer, in_threads, live_route
from ganlab.ui.pages.generate.architecture import networks_html

if TYPE_CHECKING:
    from ganlab.generation.explorer import Explorer
    from ganlab.lazy import Tensor

PATH = "gradio_api/ganlab/generate"  # also in latent_canvas.js
MAX_REQUEST = 2**18  # bytes
SCRIPTS = (
    "shared/colour.js",
    "shared/controls.js",
    "shared/live_client.js",
    "generate/tiles.js",
    "generate/latent_layout.js",
    "generate/latent_canvas.js",
)
EXPLANATION = r"""
**What am I looking at?** A generator $G$ turns noise $z\sim\mathcal N(0,I)$, 100 numbers, into an image; no patient's
scan is in it. It follows DCGAN ([Radford et al. 2016](https://arxiv.org/abs/1511.06434)): fractionally strided
convolutions, batch normalisation, ReLU and tanh. Given a class as well, it is the conditional GAN of
[Mirza and Osindero 2014](https://arxiv.org/abs/1411.1784). Chuquicusma et al. 2018 generated lung nodules of 56 x 56
pixels in this way. If small steps in $z$ give small, plausible changes, the generator has learned a continuous space
and not a list of examples. In 100 dimensions almost every $z$ has a length near 10: the great circle (slerp) keeps it,
the straight line (lerp) leaves this shell. Principal directions are those along which the image changes most, with
their share of its variance (after [Härkönen et al. 2020](https://arxiv.org/abs/2004.02546)).
"""


def build(demo: gr.Blocks) -> gr.Dropdown:
    """Add the sub-tab; ?model=, seed=, label=, psi= and point= open a gallery. Returns the model dropdown."""
    with gr.Row(elem_classes="gl-page"):
        with gr.Column(scale=1, min_width=230, elem_classes="gl-controls"):
            model = model_choice("latent-model")
            card = gr.HTML(card_html(model.value), elem_id="latent-card", apply_default_css=False)
        with gr.Column(scale=5, elem_classes="gl-result"):
            start = "latentSpace(element.firstElementChild, props, watch, trigger)"
            picture = canvas("latent", SCRIPTS, start, classes="gl-viewer")  # its value: Explorer.facts
            gr.Markdown(
                EXPLANATION, latex_delimiters=[{"left": "$", "right": "$", "display": False}],
                elem_id="generate-explanation",
            )  # fmt: skip
            with gr.Accordion("Both networks, with the shapes of their maps", open=False):
                networks = gr.HTML("", elem_id="latent-networks", apply_default_css=False)
    demo.load(open_link, None, [model, picture, card, networks], **QUIET)
    # picture.input: when the canvas is first seen
    gr.on([model.input, picture.input], show_model, model, [picture, card, networks], **QUIET)
    return model


def model_choice(elem_id: str) -> gr.Dropdown:
    """A dropdown of the shipped generators."""
    titles = generator_titles()
    choices = [(title, name) for name, title in titles.items()]
    return gr.Dropdown(choices, value=next(iter(titles)), label="Model", elem_id=elem_id)


def show_model(name: str) -> tuple[dict, str, str]:
    """Facts for the canvas, the card, and the drawing of the networks."""
    from ganlab.generation.explorer import get_explorer

    return get_explorer(name).facts(), card_html(name), networks_html(name)


def open_link(request: gr.Request) -> list:
    """The model, its facts with what the link asks for, its card and its networks, if the link opens this tab."""
    from ganlab.generation.explorer import get_explorer

    query = request.query_params
    if query.get("tab") != "generate":
        return [gr.skip()] * 4
    names = generator_names()
    name = query.get("model") if query.get("model") in names else names[0]
    facts, card, networks = show_model(name)
    return [name, facts | {"asked": asked_for(dict(query), get_explorer(name))}, card, networks]


def asked_for(query: dict[str, str], explorer: Explorer) -> dict:
    """Seed, truncation, class and point of a link, where they are valid."""
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
        explorer.z(point), explorer.class_weights(point)
    except (InputError, RecursionError, *MALFORMED):
        return asked
    return asked | {"point": point}


def card_html(name: str) -> str:
    """The model's card in a few lines."""
    card = next(card for card in list_models(TASK) if card["name"] == name)
    lines = [
        str(card["summary"]),
        f"{card['parameters']:,} parameters, {card['steps']:,} steps",
        str(card["training_data"]),
        f"Trained on {card['device']} in {card['minutes']} min",
    ]
    return "".join(f"<p class='gl-note'>{line}.</p>" for line in lines)


def answer(question: dict) -> Answer:
    """Facts, files, and images as uint16 arrays (N, H, W), 0 to 65535 for -1 to 1; see `latent_questions`. Raises
    InputError and MALFORMED."""
    from ganlab.generation import latent_questions

    facts, images = latent_questions.answer(question)
    return facts, {name: value if isinstance(value, bytes) else to_uint16(value) for name, value in images.items()}


def to_uint16(images: Tensor) -> np.ndarray:
    """uint16 (N, H, W), 0 to 65535 for -1 to 1, of images (N, 1, H, W)."""
    return ((images[:, 0].clamp(-1, 1) + 1) * 32767.5).round().numpy().astype(np.uint16)


def routes() -> list[Route]:
    """POST PATH: a question in JSON, see `answer`."""
    pool = ThreadPoolExecutor(2, "generate", one_thread)
    return [live_route(PATH, in_threads(pool, answer), MAX_REQUEST)]
