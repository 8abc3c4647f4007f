"""The Live GAN page: a generator and a discriminator learn a distribution live."""

from __future__ import annotations

import gradio as gr

from ganlab.settings import setting
from ganlab.toy.config import Config
from ganlab.toy.files import PICTURES, TABLES
from ganlab.ui.components import QUIET, bound, canvas
from ganlab.ui.controls import control
from ganlab.ui.pages.live import handlers
from ganlab.ui.pages.live.control_values import OWN, PLAYERS, USUAL
from ganlab.ui.pages.live.divergences import densities_page
from ganlab.ui.pages.live.lessons import CHANGES, EIGHT, LESSONS, ONE, TWINS
from ganlab.ui.pages.live.sessions import LIMITS
from ganlab.ui.pages.live.two_players import games_page
from ganlab.ui.server_settings import Settings
from ganlab.ui.sessions import Store

TITLE, SLUG = "Live GAN", "toy"
SCRIPTS = (
    "shared/colour.js",
    "shared/controls.js",
    "shared/live_client.js",
    "shared/plane.js",
    "shared/curves.js",
    "live/modes.js",
    "live/picture.js",
    "live/live.js",
)
EXPLANATION = r"""
**What am I looking at?** A generator $G$ turns noise $z$ into points (orange). A discriminator $D$ says for every point
of the plane whether it looks real (green) or generated (vermilion). They play
$\min_G \max_D\; V(D,G)=\mathbb{E}\log D(x)+\mathbb{E}\log(1-D(G(z)))$
([Goodfellow et al. 2014](https://arxiv.org/abs/1406.2661)). For a fixed $G$ the best $D$ is
$D^*(x)=p(x)/(p(x)+p_g(x))$, and then $V=2\,\mathrm{JS}(p,p_g)-\log 4$. When the distributions agree, $V=-\log 4$, and
$D$ says one half everywhere. Dashed circles are modes that the generator has lost. The Jensen-Shannon divergence is
measured on a grid from 2,000 samples; below its noise floor it is indistinguishable from 0.
"""


def offered() -> bool:
    """The page needs no models."""
    return True


def build(store: Store, settings: Settings, demo: gr.Blocks) -> None:
    """Add the page, with its three sub-tabs, to the Blocks that are being built; ?room=... opens one of them."""
    with gr.Tabs() as rooms:
        with gr.Tab("GANs in the plane", id="plane"):
            plane_page(store, demo)
        with gr.Tab("Games of two numbers", id="games"):
            games_page()
        with gr.Tab("Divergences", id="divergences"):
            densities_page()
    demo.load(handlers.open_room, None, rooms, **QUIET)


def plane_page(store: Store, demo: gr.Blocks) -> None:
    """Controls, picture and explanation of the plane, and their events."""
    games = store.live(LIMITS)
    with gr.Row(elem_classes="gl-page gl-live"):
        with gr.Column(scale=1, min_width=260, elem_classes="gl-controls"):
            lesson = gr.Dropdown(
                [lesson.title for lesson in LESSONS],
                value=None,
                label="Lesson",
                elem_id="toy-lesson",
                info="Sets all controls below",
            )
            c = main_controls()
            again = gr.Button("Start again", size="sm", elem_id="toy-again")
            upload = gr.UploadButton(
                "Open file",
                size="sm",
                file_types=[*TABLES, *PICTURES, ".safetensors"],
                file_count="single",
                elem_id="toy-open",
            )
            gr.Markdown("A table of x, y points, a picture (bright is dense), or a saved run.", elem_classes="gl-note")
            c |= folded_controls()
        with gr.Column(scale=4, elem_classes="gl-result"):
            text = gr.HTML("", elem_id="toy-taught", apply_default_css=False)
            alert = gr.HTML("", elem_id="toy-alert", apply_default_css=False)
            start = "liveToy(element.firstElementChild, props, watch, trigger)"
            picture = canvas("toy", SCRIPTS, start, classes="gl-viewer gl-toy")  # its value: {"token": ...}
            delimiters = [{"left": "$", "right": "$", "display": False}]
            gr.Markdown(EXPLANATION, elem_id="toy-explanation", latex_delimiters=delimiters)

    token, controls = gr.State(None), [c[name] for name in USUAL]
    page = [alert, text, lesson, picture, *controls]
    demo.load(bound(handlers.open_page, games), None, [token, *page], **QUIET)
    change = bound(handlers.change_settings, games)
    for component in controls:
        event = component.release if isinstance(component, gr.Slider) else component.input
        event(change, [token, *controls], [alert, picture], trigger_mode="always_last", **QUIET)
    c["view"].input(handlers.show_twin, c["view"], c["twin"], **QUIET)
    again.click(bound(handlers.start_again, games), [token, *controls], [alert, picture], **QUIET)
    lesson.input(bound(handlers.choose_lesson, games), [token, lesson], page, **QUIET)
    picture.input(bound(handlers.show_page, games), token, page, **QUIET)  # it was drawn on
    upload.upload(bound(handlers.open_file, games, store), [token, upload], page, **QUIET)


def main_controls() -> dict[str, gr.components.Component]:
    """The most important controls, on top; by name."""
    data = [(title, name) for name, title in setting(Config, "data").choices.items()]
    return {
        "data": of_config("data", choices=[*data, ("Your own", OWN)]),
        "objective": of_config("objective"),
        "view": gr.Radio([ONE, TWINS, EIGHT], value=ONE, label="View", elem_id="toy-view"),
        "twin": gr.Dropdown(
            list(CHANGES),
            value=USUAL["twin"],
            label="How the twin differs",
            visible=False,
            elem_id="toy-twin",
            info="Same start, same noise, one change",
        ),
        "seed": of_config("seed"),
    }


def folded_controls() -> dict[str, gr.components.Component]:
    """The other controls, in folded sections; by name."""
    c: dict[str, gr.components.Component] = {}
    with gr.Accordion("Training", open=False):
        for name in ("play", "d_steps", "optimiser", "rate_d", "rate_g", "beta1", "beta2", "batch"):
            c[name] = of_config(name)
    with gr.Accordion("Networks and noise", open=False):
        for prefix, player in PLAYERS.items():
            for part in ("layers", "units", "activation"):
                title = setting(Config, f"{player}.{part}").title
                c[f"{prefix}_{part}"] = of_player(prefix, part, label=f"{title} of {prefix.upper()}")
        c["d_spectral"] = of_player("d", "spectral", label="Spectral norm on D")
        for name in ("latent", "noise"):
            c[name] = of_config(name)
    with gr.Accordion("Stabilisation", open=False):
        for name in ("instance_noise", "smoothing", "r1", "penalty", "clip", "unroll", "consensus"):
            c[name] = of_config(name)
        for name in ("minibatch", "feature_matching", "virtual_batch_norm", "conditional"):
            c[name] = of_config(name)
    return c


def of_config(name: str, **more) -> gr.components.Component:
    return control(Config, name, **{"elem_id": f"toy-{name}", "info": None, **more})


def of_player(prefix: str, part: str, **more) -> gr.components.Component:
    name = f"{prefix}_{part}"
    more = {"elem_id": f"toy-{name}", "value": USUAL[name], "info": None, **more}
    return control(Config, f"{PLAYERS[prefix]}.{part}", **more)
