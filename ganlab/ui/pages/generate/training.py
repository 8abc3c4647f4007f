"""The Training sub-tab of the Generate page: DCGAN's recipe as switches, and a GAN that trains while you watch."""

from __future__ import annotations

import time
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from ganlab.errors import InputError
from ganlab.generation.config import GanConfig, NetworkConfig
from ganlab.settings import setting
from ganlab.ui import report
from ganlab.ui.components import QUIET, bound, canvas, data_address
from ganlab.ui.controls import control
from ganlab.ui.pages.generate.training_controls import (
    DATA,
    HORIZON,
    OF_NETWORK,
    OWN,
    RELEVANT,
    SWITCHES,
    USUAL,
    adopt,
    config_of,
    relevance,
    start_with,
)
from ganlab.ui.pages.generate.training_sessions import LIMITS, Training
from ganlab.ui.session_store import SessionStore
from ganlab.ui.sessions import Store

if TYPE_CHECKING:
    from ganlab.generation.image_kinds import Images

SCRIPTS = (
    "shared/colour.js",
    "shared/controls.js",
    "shared/live_client.js",
    "shared/plane.js",
    "shared/curves.js",
    "generate/tiles.js",
    "generate/training.js",
)
OWN_SIZE = 64  # pixels of a side that a visitor's images are resampled to
AUGMENTATIONS = ("flip", "intensity", "translation", "cutout")
FEW, MOST = 500, 2000  # images of a visitor: with fewer, augmentation helps; more are not used
EXPLANATION = r"""
**What am I looking at?** Samples that $G$ makes from the same noise at every update, with its current weights or with
their average over the last steps; each class has a column. $D$ and $G$ take turns, one Adam step each. The slider shows
earlier samples. The switches are the items of the DCGAN recipe ([Radford et al. 2016](https://arxiv.org/abs/1511.06434),
section 3): turn one off and see what breaks. If $D$ wins, its outputs for real and generated images drift apart and
$G$'s loss rises. If $G$ has found one good image, all samples become alike: mode collapse.
"""

Trainings = SessionStore[Training]
Components = dict[str, gr.components.Component]


def build(store: Store) -> None:
    """Add the sub-tab to the Blocks."""
    trainings: Trainings = store.live(LIMITS)
    with gr.Row(elem_classes="gl-page gl-live"):
        with gr.Column(scale=1, min_width=260, elem_classes="gl-controls"):
            c: Components = {"data": gr.Dropdown(choices(DATA), label="Images", **named("data"))}
            with gr.Column(visible=False) as own:
                files = gr.File(
                    label="Pictures or scans, at least 16", file_count="multiple", type="filepath", height=160,
                    elem_id="training-files",
                )  # fmt: skip
                preview = gr.HTML("", elem_id="training-preview", apply_default_css=False)
            c |= main_controls()
            again = gr.Button("Start again", size="sm", elem_id="training-again")
            c |= folded_controls()
        with gr.Column(scale=4, elem_classes="gl-result"):
            alert = gr.HTML("", elem_id="training-alert", apply_default_css=False)
            start = "imageTraining(element.firstElementChild, props, watch, trigger)"
            picture = canvas("training", SCRIPTS, start, classes="gl-viewer gl-toy")  # its value: {"token": ...}
            gr.Markdown(
                EXPLANATION, latex_delimiters=[{"left": "$", "right": "$", "display": False}],
                elem_id="training-explanation",
            )  # fmt: skip

    token, controls = gr.State(None), [c[name] for name in USUAL]
    shown = [own, *(c[name] for name in RELEVANT)]
    gr.on([c[name].input for name in ("data", "kind", "labels")], show_relevant, controls, shown, **QUIET)
    files.upload(
        bound(upload, store, trainings), [token, files, *controls], [alert, preview, picture],
        show_progress_on=preview, api_visibility="private",
    )  # fmt: skip
    # training is set up when the canvas is first seen
    picture.input(bound(open_training, trainings), token, [token, picture], **QUIET)
    for component in controls:
        component.input(
            bound(change_settings, trainings), [token, *controls], [alert, picture], trigger_mode="always_last", **QUIET
        )
    again.click(bound(start_again, trainings), [token, *controls], [alert, picture], **QUIET)


def main_controls() -> Components:
    return {
        "kind": of_config("kind"),
        "labels": gr.Checkbox(label="Both networks see the class", **named("labels")),
        "objective": of_config("objective"),
    }


def folded_controls() -> Components:
    """Three sections: the recipe, the optimiser, and stabilisation."""
    c: Components = {}
    with gr.Accordion("DCGAN's recipe", open=True):
        titles = {name: setting(NetworkConfig, name).title for name in SWITCHES}
        c["switches"] = gr.CheckboxGroup(
            choices(titles), label="Lines", info="Each switch starts the training again.", **named("switches")
        )
        c |= {name: of_config(name) for name in ("norm", "squash")}
        c["average"] = gr.Checkbox(
            label=setting(GanConfig, "horizon").title,
            info=f"Not part of the recipe: samples use the mean of G's weights over about {HORIZON} steps.",
            **named("average"),
        )
    with gr.Accordion("Training", open=False):
        c |= {name: of_config(name) for name in ("rate_d", "rate_g", "beta1", "batch", "d_steps", "seed")}
    with gr.Accordion("Stabilisation", open=False):
        c |= {name: of_config(name) for name in ("spectral", "condition", "r1", "smoothing")}
        c["augment"] = gr.CheckboxGroup(
            list(AUGMENTATIONS), label=setting(GanConfig, "augment").title, **named("augment")
        )
    return c


def of_config(name: str) -> gr.components.Component:
    """The control for a setting, as declared by its config."""
    return control(NetworkConfig if name in OF_NETWORK else GanConfig, name, info=None, **named(name))


def named(name: str) -> dict:
    return {"value": USUAL[name], "elem_id": f"training-{name}"}


def choices(titles: dict[str, str]) -> list[tuple[str, str]]:
    return [(title, value) for value, title in titles.items()]


def values_of(controls: tuple) -> dict:
    """Values of the controls, which come in the order of USUAL, by name."""
    return dict(zip(USUAL, controls, strict=True))


def picture_value(token: str) -> dict:
    """The canvas's value; it is different each time, so that the canvas asks for a frame."""
    return {"token": token, "turn": time.monotonic()}


def show_relevant(*controls) -> list[dict]:
    """Show the upload and the controls that the chosen images and networks use, hide the others."""
    values = values_of(controls)
    return [gr.update(visible=on) for on in (values["data"] == OWN, *relevance(values).values())]


def open_training(trainings: Trainings, token: str | None, request: gr.Request) -> tuple:
    """Token and canvas, of a new training if there is none."""
    token = token or trainings.open(Training(config_of(USUAL)), request.session_hash)
    return token, picture_value(token)


def change_settings(trainings: Trainings, token: str, *controls) -> tuple:
    """Alert and canvas after a control was changed."""
    try:
        with trainings.use(token) as training:
            adopt(training, values_of(controls))
    except InputError as error:
        return report.alert(str(error)), gr.skip()
    return "", picture_value(token)


def start_again(trainings: Trainings, token: str, *controls) -> tuple:
    """Alert and canvas after a restart with the controls' settings."""
    try:
        config = config_of(values_of(controls))
        with trainings.use(token) as training:
            start_with(training, config)
    except InputError as error:
        return report.alert(str(error)), gr.skip()
    return "", picture_value(token)


def upload(
    store: Store, trainings: Trainings, request: gr.Request, token: str, paths: list[str] | None, *controls
) -> tuple:
    """Alert, preview and canvas after a visitor added files: training restarts on these, or continues as before if they
    cannot be used."""
    if not paths:
        return gr.skip(), gr.skip(), gr.skip()
    store.hold(request.session_hash, *paths)
    try:
        images, notices = read_upload(paths)
        config = config_of(values_of(controls) | {"data": OWN})
        with trainings.use(token) as training:
            start_with(training, config, images)
    except InputError as error:
        return report.alert(str(error)), "", gr.skip()
    return "", preview_html(images, notices), picture_value(token)


def read_upload(paths: list[str]) -> tuple[Images, list[str]]:
    """(images, notices) of a visitor's files. Raises InputError."""
    from ganlab.generation.own_images import read_files

    images, notices = read_files([Path(path) for path in paths], OWN_SIZE, "The upload", most=MOST)
    if len(images) < FEW:
        notices.append("These are few images: D will memorise them unless differentiable augmentation is on.")
    return images, notices


def preview_html(images: Images, notices: list[str]) -> str:
    """The first images as they are used for training, and the notices."""
    from PIL import Image

    from ganlab.generation.export import tiled

    sheet = data_address(Image.fromarray(tiled(images.kind.to_unit(images.images[:32]), (0.0, 1.0))))
    words = "".join(f"<p class='gl-note'>{escape(text)}</p>" for text in (f"{len(images):,} images.", *notices))
    return f"<img src='{sheet}' alt='The first images' style='width:100%'>{words}"
