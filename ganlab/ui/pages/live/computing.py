"""Canvases that request computed values from the server."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import gradio as gr

from ganlab.ui.components import canvas

LATEX = [{"left": "$", "right": "$", "display": False}]
SHARED = ("shared/colour.js", "shared/controls.js", "shared/plane.js", "shared/curves.js")


def computing_canvas(script: str, start: str, function: Callable[[dict], dict], elem_id: str, value: dict) -> gr.HTML:
    """A canvas drawn by the script's function `start`, which asks `function` for numbers by server.compute()."""

    async def compute(question: dict) -> dict:
        return await asyncio.to_thread(function, question)

    call = f"{start}(element.firstElementChild, props, watch, server)"
    return canvas(elem_id, (*SHARED, script), call, value, "gl-viewer gl-toy", server_functions=[compute])


def json_numbers(values: list[float]) -> list[float | None]:
    """Rounded, with None for nan and infinity, which JSON does not have."""
    return [round(v, 5) if math.isfinite(v) else None for v in values]
