"""The Training room of the Generate page: DCGAN's recipe as switches, and a game that learns while one watches."""

from __future__ import annotations

import time
from dataclasses import fields, replace
from html import escape
from pathlib import Path

import gradio as gr

from ganlab.errors import InputError
from ganlab.objectives import OBJECTIVES
from ganlab.ui import report
from ganlab.ui.components import QUIET, canvas, data_address
from ganlab.ui.pages.generate.training_sessions import LIMITS, Training
from ganlab.ui.session_store import SessionStore
from ganlab.ui.sessions import Store

SCRIPTS = (
    "shared/colour.js",
    "shared/controls.js",
    "shared/live_client.js",
    "shared/plane.js",
    "shared/curves.js",
    "generate/latent_space.js",
    "generate/training.js",
)
OWN, OWN_SIZE = "own-64", 64  # a visitor's images, and the side they are brought to
WIDTH = {"digits": 32}  # channels beside the image, where a visitor waits; else:
USUAL_WIDTH = 24
COUNTS = {"digits": 0, "nodules": 1024, OWN: 0}  # images to learn from, there as well; 0: all
USUAL_COUNT = 600
HORIZON = 200  # steps over which G's weights are averaged
NETWORKS = {"DCGAN": "dcgan", "Fully connected": "fc"}
SWITCHES = {  # field of NetworkConfig -> the recipe's line
    "strided": "Strided and fractionally strided convolutions (off: pooling and nearest upsampling)",
    "convolutional": "No hidden fully connected layers",
    "relu": "ReLU in G (off: tanh)",
    "leaky": "LeakyReLU 0.2 in D (off: ReLU)",
    "small_start": "Weights start as N(0, 0.02)",
}
AUGMENTATIONS = ("flip", "intensity", "translation", "cutout")
FEW, MOST = 500, 2000  # images that augmentation helps with, and that a visitor's training holds
SLOW = "After each switch the game starts again."
STARTS = {"data": "other images", "network": "other networks", "seed": "another seed"}  # what needs a new start
WORDS = r"""
**What am I looking at?** The same draws of noise at every look, as $G$ makes them by now, by weights averaged over
its last steps if that is on; a class has a column. $D$ and $G$ take turns, one Adam step each. The slider under them
goes back to what they were. The switches are the lines of DCGAN's recipe
([Radford et al. 2016](https://arxiv.org/abs/1511.06434), section 3): turn one off and see what breaks. Where $D$ wins,
its outputs on real and generated images drift apart and $G$'s loss climbs; where $G$ found one good image, the columns
become alike: mode collapse.
"""


def usual(data: str = "digits") -> dict:
    """What the controls say at first."""
    return {
        "data": data, "kind": "dcgan", "labels": True, "condition": "concat", "norm": "batch", "spectral": False,
        "switches": list(SWITCHES), "squash": True, "average": True, "objective": "non-saturating", "rate_d": 2e-4,
        "rate_g": 2e-4, "beta1": 0.5, "batch": 32, "d_steps": 1, "r1": 0.0, "smoothing": 0.0, "augment": [], "seed": 0,
    }  # fmt: skip


CHOOSY = ("switches", "norm", "spectral", "labels", "condition")  # controls that not all networks and images listen to


def heard(values: dict) -> dict[str, bool]:
    """Of CHOOSY, whether the chosen networks and images listen to it."""
    from ganlab.generation.image_kinds import get_kind

    deep, classes = values["kind"] == "dcgan", bool(get_kind(values["data"]).classes)
    told = deep and classes and values["labels"]
    return dict(zip(CHOOSY, (deep, deep, deep, classes, told), strict=True))


def config_of(values: dict):
    """The game that the controls describe. Raises InputError."""
    from ganlab.generation.config import GanConfig, NetworkConfig
    from ganlab.generation.image_kinds import get_kind

    kind = get_kind(values["data"])
    values = values | {name: usual()[name] for name, on in heard(values).items() if not on}
    numbers = {}
    for name in ("rate_d", "rate_g", "beta1", "batch", "d_steps", "r1", "smoothing", "seed"):
        if values[name] is None:
            raise InputError(f"{name.capitalize().replace('_', ' ')} is empty; give a number.")
        whole = name in ("batch", "d_steps", "seed")
        numbers[name] = int(values[name]) if whole and float(values[name]).is_integer() else values[name]
    network = NetworkConfig(
        kind=values["kind"],
        size=kind.size,
        width=WIDTH.get(kind.name, USUAL_WIDTH),
        classes=len(kind.classes) if values["labels"] else 0,
        condition=values["condition"],
        norm=values["norm"],
        spectral=values["spectral"],
        squash=values["squash"],
        **{name: name in values["switches"] for name in SWITCHES},
    )
    return GanConfig(
        data=kind.name,
        count=COUNTS.get(kind.name, USUAL_COUNT),
        network=network,
        objective=values["objective"],
        augment=tuple(values["augment"]),
        horizon=HORIZON if values["average"] else 0,
        **numbers,
    )


def adopt(training: Training, values: dict) -> None:
    """Make the training what the controls say: on the way where that is possible, else from a new start, which is then
    said."""
    from ganlab.generation.game import FIXED

    wanted = config_of(values)
    if wanted.data == OWN and not training.own:
        return  # until there are files
    now = training.game.config if training.game else training.config
    if wanted == now:
        return
    reasons = [words for name, words in STARTS.items() if getattr(wanted, name) != getattr(now, name)]
    if training.game and not reasons:
        rules = {f.name: getattr(wanted, f.name) for f in fields(wanted) if f.name not in FIXED}
        training.change(**rules)
    else:
        restart(training, wanted)
        training.notice = f"The game started again from step 0: {reasons[0]}." if reasons else ""


def own_images(paths: list[str]):
    """(Images, sentences) of a visitor's files. Raises InputError."""
    from ganlab.generation.own_images import read_files

    images, notices = read_files([Path(path) for path in paths], OWN_SIZE, "The upload")
    if len(images) > MOST:
        every = -(-len(images) // MOST)
        notices.append(f"Of {len(images):,} images every {every} counts; python -m ganlab train --source takes all.")
        images = replace(images, images=images.images[::every].clone(), labels=images.labels[::every])
    if len(images) < FEW:
        notices.append("These are few: D will know them by heart, unless differentiable augmentation is turned on.")
    return images, notices


def preview_html(images, notices: list[str]) -> str:
    """The first images as they will be learned from, and what is to be said of them."""
    from PIL import Image

    from ganlab.generation.export import tiled

    sheet = data_address(Image.fromarray(tiled(images.kind.to_unit(images.images[:32]), (0.0, 1.0))))
    words = "".join(f"<p class='gl-note'>{escape(text)}</p>" for text in (f"{len(images):,} images.", *notices))
    return f"<img src='{sheet}' alt='The first images' style='width:100%'>{words}"


def restart(training: Training, config) -> None:
    playing = training.playing
    training.start(replace(config))
    training.playing = playing


def build(store: Store) -> None:
    """Add the room to the Blocks that are being built."""
    trainings: SessionStore[Training] = store.live(LIMITS)
    first = usual()
    kinds = [
        ("Handwritten digits", "digits"), ("Lung nodules, CT", "nodules"), ("Brain slices, T1", "brain-t1-64"),
        ("Brain slices, CT", "brain-ct-64"), ("Brain slices, FA", "brain-fa-64"), ("My images", OWN),
    ]  # fmt: skip

    def number(name: str, label: str, info: str | None = None) -> gr.Number:
        return gr.Number(first[name], label=label, info=info, elem_id=f"training-{name}")

    c: dict[str, gr.components.Component] = {}
    with gr.Row(elem_classes="gl-page gl-live"):
        with gr.Column(scale=1, min_width=260, elem_classes="gl-controls"):
            c["data"] = gr.Dropdown(kinds, value=first["data"], label="Images", elem_id="training-data")
            with gr.Column(visible=False) as own:
                files = gr.File(
                    label="Pictures or scans, 16 at least", file_count="multiple", type="filepath", height=160,
                    elem_id="training-files",
                )  # fmt: skip
                preview = gr.HTML("", elem_id="training-preview", apply_default_css=False)
            c["kind"] = gr.Radio(list(NETWORKS.items()), value=first["kind"], label="Networks", elem_id="training-kind")
            c["labels"] = gr.Checkbox(first["labels"], label="Both see the class", elem_id="training-labels")
            c["objective"] = gr.Dropdown(
                [(o.title, name) for name, o in OBJECTIVES.items()], value=first["objective"], label="Objective",
                elem_id="training-objective",
            )  # fmt: skip
            again = gr.Button("Start again", size="sm", elem_id="training-again")
            with gr.Accordion("DCGAN's recipe", open=True):
                c["switches"] = gr.CheckboxGroup(
                    [(text, name) for name, text in SWITCHES.items()], value=first["switches"], label="Lines",
                    info=SLOW, elem_id="training-switches",
                )  # fmt: skip
                c["norm"] = gr.Radio(
                    [("Batch", "batch"), ("Layer", "layer"), ("None", "none")], value=first["norm"],
                    label="Normalisation", elem_id="training-norm",
                )  # fmt: skip
                c["squash"] = gr.Checkbox(
                    first["squash"], label="tanh as G's last layer (off: none)", elem_id="training-squash"
                )
                c["average"] = gr.Checkbox(
                    first["average"], label="Averaged weights", info="Not of the recipe: G is shown as the mean of its "
                    f"last {HORIZON} steps or so.", elem_id="training-average",
                )  # fmt: skip
            with gr.Accordion("Training", open=False):
                c["rate_d"] = number("rate_d", "Learning rate of D")
                c["rate_g"] = number("rate_g", "Learning rate of G")
                c["beta1"] = number("beta1", "Momentum (beta 1)")
                c["batch"] = number("batch", "Batch")
                c["d_steps"] = number("d_steps", "Steps of D per step of G")
                c["seed"] = number("seed", "Seed")
            with gr.Accordion("What may help", open=False):
                c["spectral"] = gr.Checkbox(False, label="Spectral norm on D", elem_id="training-spectral")
                c["condition"] = gr.Radio(
                    [("Planes beside the image", "concat"), ("Projection", "projection")], value=first["condition"],
                    label="How D sees the class", elem_id="training-condition",
                )  # fmt: skip
                c["r1"] = number("r1", "R1 penalty (gamma)")
                c["smoothing"] = number("smoothing", "One-sided label smoothing")
                c["augment"] = gr.CheckboxGroup(
                    list(AUGMENTATIONS), value=[], label="Differentiable augmentation", elem_id="training-augment"
                )
        with gr.Column(scale=4, elem_classes="gl-result"):
            alert = gr.HTML("", elem_id="training-alert", apply_default_css=False)
            start = "imageTraining(element.firstElementChild, props, watch, trigger)"
            picture = canvas("training", SCRIPTS, start, classes="gl-viewer gl-toy")  # its value: {"token": ...}
            gr.Markdown(
                WORDS, latex_delimiters=[{"left": "$", "right": "$", "display": False}], elem_id="training-explanation"
            )

    names, token = list(c), gr.State(None)

    def looked_at(token: str) -> dict:
        return {"token": token, "turn": time.monotonic()}

    def seen(token: str | None, request: gr.Request):
        token = token or trainings.open(Training(config_of(first)), request.session_hash)
        return token, looked_at(token)

    def changed(token: str, *values):
        try:
            with trainings.use(token) as training:
                adopt(training, dict(zip(names, values, strict=True)))
        except InputError as error:
            return report.alert(str(error)), gr.skip()
        return "", looked_at(token)

    def fitted(*values):
        """Only the controls that are listened to."""
        values = dict(zip(names, values, strict=True))
        return [gr.update(visible=on) for on in (values["data"] == OWN, *heard(values).values())]

    def started(token: str, *values):
        try:
            config = config_of(dict(zip(names, values, strict=True)))
            with trainings.use(token) as training:
                if config.data == OWN and not training.own:
                    raise InputError("There are no images of yours yet; add 16 or more pictures, or a scan.")
                restart(training, config)
        except InputError as error:
            return report.alert(str(error)), gr.skip()
        return "", looked_at(token)

    def uploaded(request: gr.Request, token: str, paths: list[str] | None, *values):
        """Learn from a visitor's files from now on; what cannot be read is said, and the old training goes on."""
        if not paths:
            return gr.skip(), gr.skip(), gr.skip()
        store.hold(request.session_hash, *paths)
        try:
            images, notices = own_images(paths)
            config = config_of(dict(zip(names, values, strict=True)) | {"data": OWN})
            with trainings.use(token) as training:
                training.own = images
                restart(training, config)
        except InputError as error:
            return report.alert(str(error)), "", gr.skip()
        return "", preview_html(images, notices), looked_at(token)

    gr.on(
        [c[name].input for name in ("data", "kind", "labels")], fitted, [*c.values()],
        [own, *(c[name] for name in CHOOSY)], **QUIET,
    )  # fmt: skip
    files.upload(
        uploaded, [token, files, *c.values()], [alert, preview, picture], show_progress_on=preview,
        api_visibility="private",
    )  # fmt: skip
    picture.input(seen, token, [token, picture], **QUIET)  # nothing is made for who never comes here
    for component in c.values():
        component.input(changed, [token, *c.values()], [alert, picture], trigger_mode="always_last", **QUIET)
    again.click(started, [token, *c.values()], [alert, picture], **QUIET)
