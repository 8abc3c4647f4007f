"""The Inversion sub-tab of the Generate page: finding z for an image, and the residual."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

import gradio as gr
import numpy as np

from ganlab.errors import Cancelled, InputError
from ganlab.ui import report
from ganlab.ui.components import QUIET, bound, data_address
from ganlab.ui.pages.generate.latent_space import model_choice
from ganlab.ui.sessions import Store

if TYPE_CHECKING:
    from ganlab.generation.anomaly import AnomalyMap
    from ganlab.generation.explorer import Explorer
    from ganlab.lazy import Tensor

HELD_OUT, UPLOAD = "Held-out image", "My image"
COUNT = 24  # held-out images to choose from
SIDE = 224  # CSS px of an image
RESIDUAL_COLOURS = ("#0072B2", "#FFFFFF", "#D55E00")  # the reconstruction is brighter ... the image is brighter
PROGRESS = gr.Progress()
EXPLANATION = r"""
**What am I looking at?** A generator has no inverse, so $z$ is searched for: from several starts at once, Adam
minimises $(1-\lambda)\,|x-G(z)| + \lambda\,|f(x)-f(G(z))|$, where $f$ are features of the discriminator and $|z|$ is
kept near $\sqrt{100}$ (AnoGAN, [Schlegl et al. 2017](https://arxiv.org/abs/1703.05921)). The final value of this loss
is the anomaly score. Structures absent from the training data cannot be reproduced and stay in the residual, AnoGAN's
anomaly map. A weak generator leaves residuals everywhere, so look at the residual of an ordinary image first.
"""


class Controls(NamedTuple):
    """The controls that choose an image, in the order of the handlers' arguments."""

    model: gr.Dropdown
    source: gr.Radio
    number: gr.Slider
    upload: gr.File
    level: gr.Slider
    ball: gr.Checkbox


def build(store: Store, room: gr.Tab) -> gr.Dropdown:
    """Add the sub-tab, which searches for the first image when it is opened. Returns the model dropdown."""
    with gr.Row(elem_classes="gl-page"):
        with gr.Column(scale=1, min_width=230, elem_classes="gl-controls"):
            controls = build_controls()
            go = gr.Button("Find z", variant="primary", elem_id="inversion-go")
            stop = gr.Button("Cancel", visible=False, elem_id="inversion-stop")
        with gr.Column(scale=4, elem_classes="gl-result"):
            alert = gr.HTML("", elem_id="inversion-alert", apply_default_css=False)
            result = gr.HTML(
                "<p class='gl-note'>Searching the latent space for a held-out image.</p>",
                elem_id="inversion-found", apply_default_css=False, min_height=60,
            )  # fmt: skip
            gr.Markdown(
                EXPLANATION, latex_delimiters=[{"left": "$", "right": "$", "display": False}],
                elem_id="inversion-explanation",
            )  # fmt: skip
    c = controls
    gr.on(
        [c.source.input, c.upload.upload, c.model.change], bound(choose_source, store),
        [c.model, c.source, c.upload], [c.number, c.upload, c.level, alert], **QUIET,
    ).then(preview, list(c), result, **QUIET)  # fmt: skip
    gr.on([c.number.input, c.level.input, c.ball.input], preview, list(c), result, **QUIET, trigger_mode="always_last")
    gr.on(
        [go.click, room.select], bound(search, store), list(c), [alert, result, stop],
        show_progress_on=result, concurrency_id="translation", concurrency_limit=1, api_visibility="private",
    )  # fmt: skip
    stop.click(bound(cancel, store), None, None, **QUIET)
    return c.model


def build_controls() -> Controls:
    return Controls(
        model_choice("inversion-model"),
        gr.Radio([HELD_OUT, UPLOAD], value=HELD_OUT, label="Image", elem_id="inversion-source"),
        gr.Slider(1, COUNT, 1, step=1, label="Which image", elem_id="inversion-number"),
        gr.File(
            label="Picture, or scan (NIfTI, DICOM zip, NRRD)", type="filepath", visible=False, elem_id="inversion-file"
        ),
        gr.Slider(1, 2, 1, step=1, label="Slice, from the bottom up", visible=False, elem_id="inversion-slice"),
        gr.Checkbox(False, label="Add a bright ball", elem_id="inversion-ball"),
    )


def choose_source(store: Store, name: str, source: str, path: str | None, request: gr.Request) -> tuple:
    """Show the choice of held-out images, or of the slices of an uploaded volume, or an alert."""
    own, slices, alert = source == UPLOAD, 0, ""
    if path:
        store.hold(request.session_hash, path)
    if path and own:
        try:
            slices = len(read_upload(name, path))
        except InputError as error:
            return gr.update(visible=False), gr.update(), gr.update(visible=False), report.alert(str(error))
    level = gr.update(visible=slices > 1, maximum=max(2, slices), value=slices // 2 + 1)
    return gr.update(visible=not own), gr.update(visible=own), level, alert


def preview(name: str, source: str, number: int, path: str | None, level: int, ball: bool):
    """The image that a search would look for."""
    if source == UPLOAD and not path:
        return gr.skip()
    try:
        return preview_html(name, *chosen(source, number, path, level), ball)
    except InputError:
        return gr.skip()  # choose_source has shown why


def search(
    store: Store, name: str, source: str, number: int, path: str | None, level: int, ball: bool,
    request: gr.Request, bar=PROGRESS,
) -> Iterator[tuple]:  # fmt: skip
    """Yield alert, result and the Cancel button: before the search, and after it."""
    event = store.start(job(request))
    yield "", gr.skip(), gr.update(visible=True)

    def progress(share: float) -> None:
        if event.is_set():
            raise Cancelled
        bar(share, desc="Looking for z")

    try:
        if source == UPLOAD and not path:
            raise InputError("Choose a picture or a scan first.")
        result = result_html(name, *chosen(source, number, path, level), ball, progress)
    except InputError as error:
        yield report.alert(str(error)), gr.skip(), gr.update(visible=False)
    except Cancelled:
        yield report.alert("Cancelled."), gr.skip(), gr.update(visible=False)
    else:
        yield "", result, gr.update(visible=False)


def cancel(store: Store, request: gr.Request) -> None:
    """End the visitor's search."""
    store.cancel(job(request))


def job(request: gr.Request) -> str:
    """The name of a visitor's search."""
    return f"{request.session_hash} inversion"


def chosen(source: str, number: int, path: str | None, level: int) -> tuple[int, str | None]:
    """(number of the image or slice, path of the upload or None)."""
    return (level, path) if source == UPLOAD else (number, None)


def read_upload(name: str, path: str) -> Tensor:
    """(N, 1, size, size) in -1..1: an uploaded picture, or the slices of a volume. Raises InputError."""
    from ganlab.generation.explorer import get_explorer
    from ganlab.generation.own_images import read_as

    return read_as(Path(path), get_explorer(name).kind)


def image_of(name: str, number: int, path: str | None, ball: bool) -> Tensor:
    """(1, size, size) in -1..1: a held-out image, or a slice of the upload, by its number from 1 on; with a painted
    ball or without. Raises InputError."""
    from ganlab.generation.anomaly import with_ball
    from ganlab.generation.explorer import get_explorer, held_out_images

    images = read_upload(name, path) if path else held_out_images(get_explorer(name).kind.name, COUNT)
    image = images[min(int(number), len(images)) - 1]
    return with_ball(image) if ball else image


_results: dict[tuple, str] = {}  # of held-out images, for the next visitor


def result_html(name: str, number: int, path: str | None, ball: bool, progress=None) -> str:
    """The anomaly map of an image as pictures and figures. Raises InputError."""
    from ganlab.generation.anomaly import anomaly_map
    from ganlab.generation.explorer import get_explorer

    key = (name, int(number), ball)
    if not path and key in _results:
        return _results[key]
    explorer = get_explorer(name)
    html = anomaly_html(explorer, anomaly_map(explorer, image_of(name, number, path, ball), progress), ball)
    if not path:
        _results[key] = html
    return html


def preview_html(name: str, number: int, path: str | None, ball: bool) -> str:
    """The image that would be searched for. Raises InputError."""
    from ganlab.generation.explorer import get_explorer
    from ganlab.generation.export import grey

    kind = get_explorer(name).kind
    image = kind.to_unit(image_of(name, number, path, ball)[None])[0]
    return f"{figures({'Image': grey(image, kind.window)})}<p>Press Find z to search for it.</p>"


def anomaly_html(explorer: Explorer, result: AnomalyMap, ball: bool) -> str:
    """Image, reconstruction and residual side by side, a colour bar, and what was measured."""
    from ganlab.generation.export import grey

    kind, window = explorer.kind, explorer.kind.window
    unit, reach = f" {kind.unit}" if kind.unit else "", (window[1] - window[0]) / 2
    tiles = {
        "Image": grey(result.image, window),
        "G(z)": grey(result.reconstruction, window),
        "Residual": signed_colours(result.residual / reach),
    }
    bar = (
        f"<div class='gl-bar-signed'><span>\u2212{reach:.3g}{unit}</span><i style='background:linear-gradient(90deg,"
        f"{','.join(RESIDUAL_COLOURS)})'></i><span>+{reach:.3g}{unit}, the image is brighter</span></div>"
    )
    link = f"<a href='{escape(point_link(explorer.name, result.z, result.label))}'>Open this z in the latent space</a>"
    return f"{figures(tiles)}{bar}<p>{escape('; '.join(sentences(explorer, result, ball)))}. {link}</p>"


def sentences(explorer: Explorer, result: AnomalyMap, ball: bool) -> list[str]:
    """Text summary of the measurements."""
    from ganlab.generation.anomaly import ball_mask

    kind, residual = explorer.kind, np.abs(result.residual)
    unit = f" {kind.unit}" if kind.unit else ""
    words = [f"Mean |residual| {residual.mean():.3g}{unit}"]
    if ball:
        mask = ball_mask(kind.size)
        words.append(f"in the ball {residual[mask].mean():.3g}{unit}, outside {residual[~mask].mean():.3g}{unit}")
    words.append(f"anomaly score {result.score:.3f}, |z| {result.z.norm():.1f}")
    if explorer.config.network.classes:
        words.append(f"found as {kind.classes[result.label]}")
    if kind.sides:
        words.append("{} on the left, {} on the right, {} above, {} below".format(*kind.sides))
    return words


def figures(tiles: dict[str, np.ndarray]) -> str:
    """Pictures (H, W) or (H, W, 3) uint8 in a row, with their titles below."""
    shown = "".join(
        f"<figure class='gl-figure'><img src='{picture(pixels)}' alt='{title}' width='{SIDE}' height='{SIDE}'>"
        f"<figcaption>{title}</figcaption></figure>"
        for title, pixels in tiles.items()
    )
    return f"<div class='gl-tiles-row'>{shown}</div>"


def point_link(name: str, z: Tensor, label: int) -> str:
    """A link that opens the latent space at a point."""
    point = {"z": [round(v, 4) for v in z.tolist()], "label": label}
    return "?" + urlencode({"tab": "generate", "model": name, "point": json.dumps(point)})


def signed_colours(values: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 of values -1..1, from the first of RESIDUAL_COLOURS to the last."""
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("residual", RESIDUAL_COLOURS, 257)((np.clip(values, -1, 1) + 1) / 2)
    return (shades[..., :3] * 255).round().astype(np.uint8)


def picture(pixels: np.ndarray) -> str:
    """A data URL of an enlarged PNG."""
    from PIL import Image

    return data_address(Image.fromarray(pixels).resize((2 * SIDE, 2 * SIDE), Image.Resampling.BICUBIC))
