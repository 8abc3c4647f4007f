"""Gradio helpers shared by all pages: quiet events, handlers with their first arguments bound, tables, pictures,
canvases."""

from __future__ import annotations

import base64
import inspect
import io
from collections.abc import Callable
from functools import wraps
from html import escape
from typing import Any

import gradio as gr

from ganlab.paths import shipped

ASSETS = shipped("assets")
# For events that take no time
QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


def bound(function: Callable, *first) -> Callable:
    """function(*first, ...) as a handler of events. Unlike functools.partial it keeps the annotations by which gradio
    knows which argument is the request."""

    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def handler(*rest):
            yield from function(*first, *rest)

    else:

        @wraps(function)
        def handler(*rest):
            return function(*first, *rest)

    signature = inspect.signature(function)
    handler.__signature__ = signature.replace(parameters=list(signature.parameters.values())[len(first) :])  # type: ignore[attr-defined]
    return handler


def data_address(image, compress_level: int = 6) -> str:
    """A data URL of a Pillow image, as PNG."""
    stream = io.BytesIO()
    image.save(stream, format="PNG", compress_level=compress_level)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def data_table(caption: str, head: str, body: str) -> str:
    """HTML of a table from its header rows and body rows; on a narrow page it scrolls under its first column."""
    return (
        f"<div class='gl-scroll' role='region' aria-label='{escape(caption)}' tabindex='0'><table class='gl-table'>"
        f"<caption><span>{escape(caption)}</span></caption><thead>{head}</thead><tbody>{body}</tbody></table></div>"
    )


def canvas(elem_id: str, scripts: tuple[str, ...], start: str, value: dict | None = None, classes: str = "", **more):
    """A gr.HTML that scripts of assets/ draw into. start: JavaScript that calls one of their functions with `element`,
    where to draw, and `props`, whose `value` is what to draw."""
    code = "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in scripts)
    return gr.HTML(
        value or {},
        elem_id=elem_id,
        html_template=f"<div class='{classes}'></div>" if classes else "<div></div>",
        js_on_load=f'"use strict";\n{code}\n{start};',
        apply_default_css=False,
        **more,
    )
