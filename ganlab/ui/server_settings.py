"""What whoever hosts the app can set, from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ganlab.errors import InputError


@dataclass(frozen=True)
class Settings:
    """Each is read from the variable beside it.

    host: where the app listens, GANLAB_HOST or gradio's GRADIO_SERVER_NAME.
    port: GANLAB_PORT or GRADIO_SERVER_PORT; None is the first free one from 7860.
    max_upload_mb: the largest file a visitor may upload, GANLAB_MAX_UPLOAD_MB.
    queue: how many may wait for a translation at once, GANLAB_QUEUE.
    phantom_mm: edge of a phantom's voxels unless the visitor chooses, GANLAB_PHANTOM_MM.
    host_secret: by which reader studies may be created over the web, GANLAB_HOST_SECRET; nobody may without one.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    max_upload_mb: int = 512
    queue: int = 64
    phantom_mm: float = 1.0
    host_secret: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Raises InputError for a value that is not a number in its range."""

        def number(name: str, default, kind, low, high):
            text = environment.get(name)
            if not text:
                return default
            try:
                value = kind(text)
            except ValueError:
                value = None
            if value is None or not low <= value <= high:
                raise InputError(f"{name} is {text!r}: set it to a number from {low} to {high}, or not at all.")
            return value

        gradio_port = number("GRADIO_SERVER_PORT", cls.port, int, 1, 65535)
        return cls(
            host=environment.get("GANLAB_HOST") or environment.get("GRADIO_SERVER_NAME") or cls.host,
            port=number("GANLAB_PORT", gradio_port, int, 1, 65535),
            max_upload_mb=number("GANLAB_MAX_UPLOAD_MB", cls.max_upload_mb, int, 1, 65536),
            queue=number("GANLAB_QUEUE", cls.queue, int, 1, 10_000),
            phantom_mm=number("GANLAB_PHANTOM_MM", cls.phantom_mm, float, 0.5, 8.0),
            host_secret=environment.get("GANLAB_HOST_SECRET", cls.host_secret),
        )
