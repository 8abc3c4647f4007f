"""What the pages' gradio parts share: quiet events, pictures, and components that JavaScript draws."""

from __future__ import annotations

import base64
import io
from html import escape

import gradio as gr

from ganlab.paths import shipped

ASSETS = shipped("assets")
QUIET = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}  # of events that take no time


def data_address(image, compress_level: int = 6) -> str:
    """A data address of a Pillow image, as PNG."""
    stream = io.BytesIO()
    image.save(stream, format="PNG", compress_level=compress_level)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def data_table(caption: str, head: str, body: str) -> str:
    """HTML of a table, from its rows of heads and its other rows; where the page is too narrow for it, it scrolls
    sideways under its first column."""
    return (
        f"<div class='gl-scroll' role='region' aria-label='{escape(caption)}' tabindex='0'><table class='gl-table'>"
        f"<caption><span>{escape(caption)}</span></caption><thead>{head}</thead><tbody>{body}</tbody></table></div>"
    )


def canvas(elem_id: str, scripts: tuple[str, ...], start: str, value: dict | None = None, classes: str = "", **more):
    """A gr.HTML that assets/SCRIPTS draw, by the call `start` of a function of theirs: `element` is where to draw, and
    `props.value` what."""
    code = "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in scripts)
    return gr.HTML(
        value or {},
        elem_id=elem_id,
        html_template=f"<div class='{classes}'></div>" if classes else "<div></div>",
        js_on_load=f'"use strict";\n{code}\n{start};',
        apply_default_css=False,
        **more,
    )
