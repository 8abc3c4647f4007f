"""The Live GAN page: a generator and a discriminator learn a distribution while one watches."""

from __future__ import annotations

import time
from dataclasses import asdict, fields, replace
from html import escape
from pathlib import Path

import gradio as gr

from ganlab.errors import InputError
from ganlab.objectives import OBJECTIVES
from ganlab.toy.config import NOISES, PLAYS, Config, Network
from ganlab.toy.distributions import DISTRIBUTIONS
from ganlab.toy.files import PICTURES, TABLES, read_own
from ganlab.toy.networks import ACTIVATIONS
from ganlab.toy.optimisers import OPTIMISERS
from ganlab.toy.session import SHAPING, Session, from_link, load
from ganlab.ui import report
from ganlab.ui.components import QUIET, canvas
from ganlab.ui.pages.live.divergences import densities_page, games_page
from ganlab.ui.pages.live.lessons import CHANGES, EIGHT, LESSONS, ONE, TWINS, Lesson
from ganlab.ui.pages.live.sessions import LIMITS, Live
from ganlab.ui.server_settings import Settings
from ganlab.ui.session_store import SessionStore
from ganlab.ui.sessions import Store

TITLE, SLUG = "Live GAN", "toy"
SCRIPTS = (
    "shared/colour.js",
    "shared/controls.js",
    "shared/live_client.js",
    "shared/plane.js",
    "shared/curves.js",
    "live/live.js",
)
OWN, USUAL_TWIN = "own", "Minimax (saturating)"
OPTIMISER_NAMES = {"sgd": "SGD", "momentum": "Momentum", "rmsprop": "RMSprop", "adam": "Adam"}
DATA_NAMES = {
    "ring": "Ring of eight", "grid": "Grid of 25", "spiral": "Spiral", "two-moons": "Two moons", "pinwheel": "Pinwheel",
    "checkerboard": "Checkerboard", "line": "Line", "square": "Square", "disjoint-pair": "Disjoint pair",
    "gaussians-1d": "Two humps in one dimension",
}  # fmt: skip
EXPLANATION = r"""
**What am I looking at?** A generator $G$ turns noise $z$ into points (orange); a discriminator $D$ says of every place
in the plane whether points there look real (green) or generated (vermilion). They play
$\min_G \max_D\; V(D,G)=\mathbb{E}\log D(x)+\mathbb{E}\log(1-D(G(z)))$
([Goodfellow et al. 2014](https://arxiv.org/abs/1406.2661)). For a fixed $G$ the best answer is
$D^*(x)=p(x)/(p(x)+p_g(x))$, and then $V=2\,\mathrm{JS}(p,p_g)-\log 4$: it is $-\log 4$ when the two agree, and $D$ can
only say one half everywhere. Dashed circles are modes that the generator has lost. The Jensen-Shannon divergence is
measured on a grid from 2,000 samples; below its floor it cannot be told from 0.
"""


def config_of(values: dict) -> Config:
    """The config that the controls describe, by their names; networks' parts are called g_units, d_units, ..."""
    plain = {f.name: values[f.name] for f in fields(Config) if f.name in values}
    if plain["data"] == OWN:
        plain["data"] = Config().data  # stands aside for the user's
    for name in ("batch", "d_steps", "latent", "seed"):
        if plain.get(name) is None:
            raise InputError(f"{name.capitalize().replace('_', ' ')} is empty; give a number.")
        plain[name] = int(plain[name]) if float(plain[name]).is_integer() else plain[name]
    for whose, letter in (("generator", "g"), ("discriminator", "d")):
        parts = {f.name: values.get(f"{letter}_{f.name}") for f in fields(Network)}
        parts = {k: int(v) if isinstance(v, float) else v for k, v in parts.items() if v is not None}
        plain[whose] = replace(getattr(Config(), whose), **parts)
    return Config(**{k: v for k, v in plain.items() if v is not None}, runs=8 if values["view"] == EIGHT else 1)


def configs_of(values: dict) -> tuple[Config, ...]:
    """Of one game, or of twins that differ in one thing."""
    if values["view"] != TWINS:
        return (config_of(values),)
    if values["twin"] not in CHANGES:
        raise InputError("Choose what the twin does otherwise.")
    return config_of(values), config_of(values | CHANGES[values["twin"]])


def controls_of(configs: tuple[Config, ...], own: bool = False) -> dict:
    """What the controls must show for a game or twins, by their names; own: on the user's data."""
    config, other = configs[0], configs[-1]
    values = {k: v for k, v in asdict(config).items() if k not in ("generator", "discriminator", "runs")}
    for letter, network in (("g", config.generator), ("d", config.discriminator)):
        values |= {f"{letter}_{k}": v for k, v in asdict(network).items()}
    values["view"] = TWINS if len(configs) == 2 else EIGHT if config.runs > 1 else ONE
    if own:
        values["data"] = OWN
    made = (name for name, change in CHANGES.items() if config_of(values | change) == other)
    values["twin"] = next(made, None) if len(configs) == 2 else USUAL_TWIN
    return values


def adopt(live: Live, values: dict) -> None:
    """Make the training what the controls say: on the way where that is possible, else from a new start."""
    wanted = configs_of(values)
    session = live.session
    own = session.data is not None
    if values["data"] == OWN and not own:
        raise InputError("There is no data of yours yet: draw on the plane, or open a table or a picture.")
    live.fork()
    now = [game.config for game in session.games]
    shaping = [name for name in (*SHAPING, "runs") if name != "data" or not own]
    kept = len(wanted) == len(now) and own == (values["data"] == OWN)
    if not kept or any(
        getattr(new, name) != getattr(old, name) for new, old in zip(wanted, now, strict=True) for name in shaping
    ):
        begin(live, wanted, values, session.playing)
        return
    for k, (new, old) in enumerate(zip(wanted, now, strict=True)):
        both = {f.name: (getattr(new, f.name), getattr(old, f.name)) for f in fields(Config)}
        changed = {name: new for name, (new, old) in both.items() if new != old and (name != "data" or not own)}
        if changed:
            session.change(k if len(now) == 2 else None, **changed)


def begin(live: Live, configs: tuple[Config, ...], values: dict, playing: bool) -> None:
    """A new start with the same data, if it is the user's."""
    own = values["data"] == OWN
    session = Session(configs, live.session.data if own else None, live.session.drawn if own else None)
    session.playing = playing
    live.start(session)


def opened_file(live: Live, path: Path) -> None:
    """Go on with a saved run, or start anew on the user's table or picture. Raises InputError."""
    if path.suffix.lower() == ".safetensors":
        session = load(path)
    else:
        configs = tuple(game.config for game in live.session.games)
        session = Session(configs, read_own(path))
    live.start(session)


def offered() -> bool:
    """It needs no models."""
    return True


def build(store: Store, settings: Settings, demo: gr.Blocks) -> None:
    """Add the page, with its three rooms, to the Blocks that are being built; ?room=... opens one of them."""
    lives = store.live(LIMITS)
    with gr.Tabs() as rooms:
        with gr.Tab("GANs in the plane", id="plane"):
            plane_page(store, lives, demo)
        with gr.Tab("Games of two numbers", id="games"):
            games_page(QUIET)
        with gr.Tab("Divergences", id="divergences"):
            densities_page(QUIET)

    def open_room(request: gr.Request):
        wanted = request.query_params.get("room")
        return gr.Tabs(selected=wanted) if wanted in ("plane", "games", "divergences") else gr.skip()

    demo.load(open_room, None, rooms, **QUIET)


def plane_page(store: Store, lives: SessionStore[Live], demo: gr.Blocks) -> None:
    usual = controls_of((Config(),))

    def choice(name: str, label: str, options, info: str | None = None) -> gr.Dropdown:
        return gr.Dropdown(options, value=usual[name], label=label, info=info, elem_id=f"toy-{name}")

    def number(name: str, label: str, info: str | None = None) -> gr.Number:
        return gr.Number(usual[name], label=label, info=info, elem_id=f"toy-{name}")

    def slider(name: str, label: str, low: float, high: float, step: float, info: str | None = None) -> gr.Slider:
        return gr.Slider(low, high, usual[name], step=step, label=label, info=info, elem_id=f"toy-{name}")

    def check(name: str, label: str) -> gr.Checkbox:
        return gr.Checkbox(usual[name], label=label, elem_id=f"toy-{name}")

    c: dict[str, gr.components.Component] = {}
    with gr.Row(elem_classes="gl-page gl-live"):
        with gr.Column(scale=1, min_width=260, elem_classes="gl-controls"):
            lesson = gr.Dropdown(
                [lesson.title for lesson in LESSONS], value=None, label="Lesson", elem_id="toy-lesson",
                info="Sets everything below"
            )  # fmt: skip
            c["data"] = choice("data", "Data", [*((DATA_NAMES[n], n) for n in DISTRIBUTIONS), ("Your own", OWN)])
            c["objective"] = choice("objective", "Objective", [(o.title, name) for name, o in OBJECTIVES.items()])
            c["view"] = gr.Radio([ONE, TWINS, EIGHT], value=ONE, label="Look at", elem_id="toy-view")
            c["twin"] = gr.Dropdown(
                list(CHANGES), value=usual["twin"], label="The twin's difference", visible=False, elem_id="toy-twin",
                info="Same start, same noise, one thing changed"
            )  # fmt: skip
            c["seed"] = number("seed", "Seed")
            again = gr.Button("Start again", size="sm", elem_id="toy-again")
            upload = gr.UploadButton(
                "Open file",
                size="sm",
                file_types=[*TABLES, *PICTURES, ".safetensors"],
                file_count="single",
                elem_id="toy-open",
            )
            gr.Markdown("A table of x, y; a picture (bright is dense); or a saved run.", elem_classes="gl-note")
            with gr.Accordion("Training", open=False):
                c["play"] = choice("play", "Turns", [(p.capitalize(), p) for p in PLAYS])
                c["d_steps"] = slider("d_steps", "Steps of D per step of G (k)", 1, 10, 1)
                c["optimiser"] = choice("optimiser", "Optimiser", [(OPTIMISER_NAMES[o], o) for o in OPTIMISERS])
                c["rate_d"] = number("rate_d", "Learning rate of D")
                c["rate_g"] = number("rate_g", "Learning rate of G")
                c["beta1"] = number("beta1", "Momentum (beta 1)")
                c["batch"] = number("batch", "Batch")
            with gr.Accordion("Networks and noise", open=False):
                for letter, whose in (("g", "G"), ("d", "D")):
                    c[f"{letter}_layers"] = slider(f"{letter}_layers", f"Hidden layers of {whose}", 1, 5, 1)
                    c[f"{letter}_units"] = slider(f"{letter}_units", f"Units per layer of {whose}", 4, 512, 4)
                    name = f"{letter}_activation"
                    c[name] = choice(name, f"Activation of {whose}", list(ACTIVATIONS))
                c["d_spectral"] = check("d_spectral", "Spectral norm on D")
                c["latent"] = gr.Radio([1, 2, 8], value=usual["latent"], label="Dimensions of the noise")
                c["noise"] = gr.Radio(list(NOISES), value=usual["noise"], label="Noise")
            with gr.Accordion("What may help", open=False):
                c["instance_noise"] = slider("instance_noise", "Instance noise (std)", 0, 1, 0.05)
                c["smoothing"] = slider("smoothing", "One-sided label smoothing", 0, 0.5, 0.05)
                c["r1"] = number("r1", "R1 penalty (gamma)")
                c["penalty"] = number("penalty", "Gradient penalty of WGAN-GP (lambda)")
                c["clip"] = number("clip", "Largest weight of a clipped critic")
                c["unroll"] = slider("unroll", "Steps of D that unrolling looks ahead", 1, 10, 1)
                c["consensus"] = number("consensus", "Weight of consensus")
                c["minibatch"] = check("minibatch", "Minibatch discrimination")
                c["feature_matching"] = check("feature_matching", "Feature matching")
                c["virtual_batch_norm"] = check("virtual_batch_norm", "Virtual batch normalisation in G")
                c["conditional"] = check("conditional", "Both see the labels")
        with gr.Column(scale=4, elem_classes="gl-result"):
            taught = gr.HTML("", elem_id="toy-taught", apply_default_css=False)
            alert = gr.HTML("", elem_id="toy-alert", apply_default_css=False)
            start = "liveToy(element.firstElementChild, props, watch, trigger)"
            picture = canvas("toy", SCRIPTS, start, classes="gl-viewer gl-toy")  # its value: {"token": ...}
            delimiters = [{"left": "$", "right": "$", "display": False}]
            gr.Markdown(EXPLANATION, elem_id="toy-explanation", latex_delimiters=delimiters)

    names, token = list(c), gr.State(None)
    outputs = [alert, taught, lesson, picture, *c.values()]

    def looked_at(token: str) -> dict:
        """The picture's value; one that differs each time makes it ask for a frame."""
        return {"token": token, "turn": time.monotonic()}

    def shown(live_token: str, problem: str = "", taught: Lesson | None = None) -> list:
        """Updates of the outputs for what is trained now."""
        session = lives.peek(live_token).session
        values = controls_of(tuple(game.config for game in session.games), session.data is not None)
        updates = {name: {"value": values[name]} for name in names}
        updates["twin"]["visible"] = values["view"] == TWINS
        value = looked_at(live_token) | ({"layers": taught.layers} if taught else {})
        words = f"<p class='gl-lesson'><b>{taught.title}</b> {escape(taught.text)}</p>" if taught else ""
        return [problem, words, taught.title if taught else None, value, *(gr.update(**updates[n]) for n in names)]

    def opened(request: gr.Request):
        problem, text = "", request.query_params.get("toy")
        taught = next((one for one in LESSONS if one.slug == request.query_params.get("lesson")), None)
        try:
            session = from_link(text) if text else Session(configs_of({**usual, **(taught.settings if taught else {})}))
        except InputError as error:
            problem, session = report.alert(str(error)), Session((Config(),))
        token = lives.open(Live(session), request.session_hash)
        return [token, *shown(token, problem, None if text else taught)]

    def changed(token: str, *values):
        try:
            with lives.use(token) as live:
                adopt(live, dict(zip(names, values, strict=True)))
        except InputError as error:
            return report.alert(str(error)), gr.skip()
        return "", looked_at(token)

    def restart(token: str, *values):
        chosen = dict(zip(names, values, strict=True))
        try:
            configs = configs_of(chosen)
            with lives.use(token) as live:
                begin(live, configs, chosen, False)
        except InputError as error:
            return report.alert(str(error)), gr.skip()
        return "", looked_at(token)

    def teach(token: str, title: str):
        chosen = next((lesson for lesson in LESSONS if lesson.title == title), None)
        if chosen is None:
            return [gr.skip()] * len(outputs)
        try:
            values = {**usual, **chosen.settings}
            with lives.use(token) as live:
                begin(live, configs_of(values), values, False)
        except InputError as error:
            return [report.alert(str(error)), *[gr.skip()] * (len(outputs) - 1)]
        return shown(token, "", chosen)

    def open_file(token: str, path: str, request: gr.Request):
        store.hold(request.session_hash, path)
        try:
            with lives.use(token) as live:
                opened_file(live, Path(path))
        except InputError as error:
            return [report.alert(str(error)), *[gr.skip()] * (len(outputs) - 1)]
        finally:
            store.release(request.session_hash, [Path(path)])  # it has been read
        return shown(token)

    demo.load(opened, None, [token, *outputs], **QUIET)
    for component in c.values():
        event = component.release if isinstance(component, gr.Slider) else component.input
        event(changed, [token, *c.values()], [alert, picture], trigger_mode="always_last", **QUIET)
    c["view"].input(lambda view: gr.update(visible=view == TWINS), c["view"], c["twin"], **QUIET)
    again.click(restart, [token, *c.values()], [alert, picture], **QUIET)
    lesson.input(teach, [token, lesson], outputs, **QUIET)
    picture.input(shown, token, outputs, **QUIET)  # it was drawn on
    upload.upload(open_file, [token, upload], outputs, **QUIET)
