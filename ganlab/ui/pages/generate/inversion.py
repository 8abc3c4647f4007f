"""The Inversion room of the Generate page: which z makes this image, and what of it no z makes."""

from __future__ import annotations

import json
from functools import lru_cache
from html import escape
from pathlib import Path
from urllib.parse import urlencode

import gradio as gr
import numpy as np

from ganlab.errors import Cancelled, InputError
from ganlab.ui import report
from ganlab.ui.components import QUIET, data_address
from ganlab.ui.pages.generate.latent_space import explorer, generators, titled
from ganlab.ui.sessions import Store

HELD, UPLOAD = "Held-out image", "My image"
COUNT = 24  # held-out images to choose from
SHOWN = 224  # CSS px of an image
BALL = 0.13, (0.75, 0.25)  # radius and place (rows, columns) of the bright ball, in sides
RESIDUAL = ("#0072B2", "#FFFFFF", "#D55E00")  # the reconstruction is brighter ... the image is brighter
PROGRESS = gr.Progress()
WORDS = r"""
**What am I looking at?** A generator has no way back, so $z$ is searched for: Adam goes down
$(1-\lambda)\,|x-G(z)| + \lambda\,|f(x)-f(G(z))|$ from several draws at once, where $f$ are features of the
discriminator and $|z|$ is kept near $\sqrt{100}$ (AnoGAN, [Schlegl et al. 2017](https://arxiv.org/abs/1703.05921)).
What is left of that sum is the anomaly score. What the training never had cannot be made: it stays in the residual,
which is AnoGAN's map of the anomaly. A weak generator leaves residuals everywhere, so look first at what it leaves of
an ordinary image.
"""


def ball_mask(size: int) -> np.ndarray:
    """(size, size) bool: where the bright ball is painted."""
    radius, place = BALL
    y, x = (np.arange(size) + 0.5) / size - np.array(place)[:, None]
    return np.hypot(y[:, None], x[None]) < radius


def image_of(name: str, number: int, painted: bool, path: str | None = None):
    """(1, size, size) in -1..1: the picture at a path or a slice of the volume there, or a held-out image, by its
    number from 1 on; with the ball painted in or not. Raises InputError."""
    import torch

    from ganlab.generation.own_images import read_as

    kind = explorer(name).kind
    images = read_as(Path(path), kind) if path else held_out(name)
    image = images[min(int(number), len(images)) - 1].clone()
    if painted:
        image[0, torch.from_numpy(ball_mask(kind.size))] = 1.0
    return image


@lru_cache(maxsize=8)
def held_out(name: str):
    """(COUNT, 1, size, size) in -1..1 that a model's training never had."""
    from ganlab.generation.image_kinds import load_images

    return load_images(explorer(name).kind, held_out=True, count=COUNT).images


def slices_in(path: str, name: str) -> int:
    """How many images of a model's kind a user's file gives. Raises InputError."""
    from ganlab.generation.own_images import read_as

    return len(read_as(Path(path), explorer(name).kind))


_known: dict[tuple, str] = {}  # what was found of held-out images, for the next visitor


def found_html(name: str, number: int, painted: bool, path: str | None = None, progress=None) -> str:
    """Image, reconstruction and residual beside each other, and how large the residual is. Raises InputError."""
    key = (name, int(number), painted)
    if not path and key in _known:
        return _known[key]
    html = _search(name, image_of(name, number, painted, path), painted, progress)
    if not path:
        _known[key] = html
    return html


def preview_html(name: str, number: int, painted: bool, path: str | None = None) -> str:
    """The image that would be looked for. Raises InputError."""
    from ganlab.generation.export import grey

    kind = explorer(name).kind
    shown = kind.to_unit(image_of(name, number, painted, path)[None])[0]
    return figures({"Image": grey(shown, kind.window)}) + "<p>Press Find z to look for it.</p>"


def figures(tiles: dict[str, np.ndarray]) -> str:
    """Pictures (H, W) or (H, W, 3) uint8 in a row, their titles below."""
    shown = "".join(
        f"<figure class='gl-figure'><img src='{picture(pixels)}' alt='{title}' width='{SHOWN}' height='{SHOWN}'>"
        f"<figcaption>{title}</figcaption></figure>"
        for title, pixels in tiles.items()
    )
    return f"<div class='gl-tiles-row'>{shown}</div>"


def address(name: str, z, label: int) -> str:
    """Where the latent space opens on a point."""
    point = {"z": [round(v, 4) for v in z.tolist()], "label": label}
    return "?" + urlencode({"tab": "generate", "model": name, "point": json.dumps(point)})


def _search(name: str, image, painted: bool, progress) -> str:
    from ganlab.generation.export import grey
    from ganlab.generation.inversion import invert

    e = explorer(name)
    found, kind = invert(e.net, image, None, e.judge, steps=150, progress=progress), e.kind
    unit = f" {kind.unit}" if kind.unit else ""
    window = kind.window
    before, after = (kind.to_unit(x)[0] for x in (image[None], found.reconstruction))
    residual, reach = before - after, (window[1] - window[0]) / 2
    words = [f"Mean |residual| {np.abs(residual).mean():.3g}{unit}"]
    if painted:
        sides = [np.abs(residual[where]).mean() for where in (ball_mask(kind.size), ~ball_mask(kind.size))]
        words.append(f"in the ball {sides[0]:.3g}{unit}, outside {sides[1]:.3g}{unit}")
    words.append(f"anomaly score {float(found.score[0]):.3f}, |z| {found.z.norm():.1f}")
    if e.config.network.classes:
        words.append(f"found as {kind.classes[int(found.labels[0])]}")
    if kind.sides:
        words.append("{} on the left, {} on the right, {} above, {} below".format(*kind.sides))
    tiles = {
        "Image": grey(before, window),
        "G(z)": grey(after, window),
        "Residual": coloured(residual / reach),
    }
    bar = (
        f"<div class='gl-bar-signed'><span>\u2212{reach:.3g}{unit}</span><i style='background:linear-gradient(90deg,"
        f"{','.join(RESIDUAL)})'></i><span>+{reach:.3g}{unit}, the image is brighter</span></div>"
    )
    link = f"<a href='{escape(address(name, found.z[0], int(found.labels[0])))}'>Open this z in the latent space</a>"
    return f"{figures(tiles)}{bar}<p>{escape('; '.join(words))}. {link}</p>"


def coloured(share: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 of shares -1..1, from RESIDUAL's first colour to its last."""
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("residual", RESIDUAL, 257)((np.clip(share, -1, 1) + 1) / 2)
    return (shades[..., :3] * 255).round().astype(np.uint8)


def picture(pixels: np.ndarray) -> str:
    """A data address of a PNG, enlarged."""
    from PIL import Image

    return data_address(Image.fromarray(pixels).resize((2 * SHOWN, 2 * SHOWN), Image.Resampling.BICUBIC))


def inversion_page(store: Store, room: gr.Tab) -> gr.Dropdown:
    """Add the page to its room, which looks for the first image when it is opened. Returns the choice of a model."""
    with gr.Row(elem_classes="gl-page"):
        with gr.Column(scale=1, min_width=230, elem_classes="gl-controls"):
            model = gr.Dropdown(titled(), value=generators()[0], label="Model", elem_id="inversion-model")
            source = gr.Radio([HELD, UPLOAD], value=HELD, label="Image", elem_id="inversion-source")
            number = gr.Slider(1, COUNT, 1, step=1, label="Which, none of the training", elem_id="inversion-number")
            upload = gr.File(
                label="Picture, or scan (NIfTI, DICOM zip, NRRD)", type="filepath", visible=False,
                elem_id="inversion-file",
            )  # fmt: skip
            level = gr.Slider(
                1, 2, 1, step=1, label="Slice, from the bottom up", visible=False, elem_id="inversion-slice"
            )
            painted = gr.Checkbox(False, label="Paint a bright ball in", elem_id="inversion-ball")
            go = gr.Button("Find z", variant="primary", elem_id="inversion-go")
            stop = gr.Button("Cancel", visible=False, elem_id="inversion-stop")
        with gr.Column(scale=4, elem_classes="gl-result"):
            alert = gr.HTML("", elem_id="inversion-alert", apply_default_css=False)
            shown = gr.HTML(
                "<p class='gl-note'>A held-out image is looked for in the latent space.</p>",
                elem_id="inversion-found", apply_default_css=False, min_height=60,
            )  # fmt: skip
            gr.Markdown(
                WORDS, latex_delimiters=[{"left": "$", "right": "$", "display": False}], elem_id="inversion-explanation"
            )

    def run(name, source, number, path, level, painted, request: gr.Request, bar=PROGRESS):
        event = store.start(f"{request.session_hash} inversion")
        yield "", gr.skip(), gr.update(visible=True)

        def show(share: float) -> None:
            if event.is_set():
                raise Cancelled
            bar(share, desc="Looking for z")

        try:
            if source == UPLOAD and not path:
                raise InputError("Choose a picture or a scan first.")
            mine = path if source == UPLOAD else None
            html = found_html(name, level if mine else number, painted, mine, show)
        except InputError as error:
            yield report.alert(str(error)), gr.skip(), gr.update(visible=False)
        except Cancelled:
            yield report.alert("Cancelled."), gr.skip(), gr.update(visible=False)
        else:
            yield "", html, gr.update(visible=False)

    def cancel(request: gr.Request):
        store.cancel(f"{request.session_hash} inversion")

    def looked_into(name: str, source: str, path: str | None, request: gr.Request):
        """What there is to choose from: held-out images, or the slices of a volume."""
        many = 0
        if path:
            store.hold(request.session_hash, path)
        if path and source == UPLOAD:
            try:
                many = slices_in(path, name)
            except InputError as error:
                return gr.update(visible=False), gr.update(), gr.update(visible=False), report.alert(str(error))
        levels = gr.update(visible=many > 1, maximum=max(2, many), value=many // 2 + 1)
        return gr.update(visible=source == HELD), gr.update(visible=source == UPLOAD), levels, ""

    def before(name, source, number, path, level, painted):
        if source == UPLOAD and not path:
            return gr.skip()
        try:
            return preview_html(
                name, level if source == UPLOAD else number, painted, path if source == UPLOAD else None
            )
        except InputError:
            return gr.skip()  # said by looked_into

    asked, told = [model, source, upload], [number, upload, level, alert]
    image = [model, source, number, upload, level, painted]
    gr.on([source.input, upload.upload, model.change], looked_into, asked, told, **QUIET).then(
        before, image, shown, **QUIET
    )
    gr.on([number.input, level.input, painted.input], before, image, shown, **QUIET, trigger_mode="always_last")
    gr.on(
        [go.click, room.select], run, image, [alert, shown, stop],
        show_progress_on=shown, concurrency_id="translation", concurrency_limit=1, api_visibility="private",
    )  # fmt: skip
    stop.click(cancel, None, None, **QUIET)
    return model
