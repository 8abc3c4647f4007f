"""Settings for whoever hosts the app, from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ganlab.errors import InputError
from ganlab.settings import Field, Setting, frozen_config, settings_of


def _from(*variables: str) -> dict:
    """Environment variables of a setting; the first one that is set is used."""
    return {"variables": variables}


@frozen_config
class Settings:
    """Settings of the server; each field is read from the environment variables named with it."""

    host: str = Field(
        "127.0.0.1", extra=_from("GANLAB_HOST", "GRADIO_SERVER_NAME"), description="Address to listen on."
    )
    port: int | None = Field(
        None,
        ge=1,
        le=65535,
        extra=_from("GANLAB_PORT", "GRADIO_SERVER_PORT"),
        description="Port to listen on; unset, the first free one from 7860.",
    )
    max_upload_mb: int = Field(
        512, ge=1, le=65536, unit="MB", extra=_from("GANLAB_MAX_UPLOAD_MB"), description="Largest upload."
    )
    queue: int = Field(64, ge=1, le=10_000, extra=_from("GANLAB_QUEUE"), description="Most queued translations.")
    phantom_mm: float = Field(
        1.0, ge=0.5, le=8.0, unit="mm", extra=_from("GANLAB_PHANTOM_MM"), description="Default voxel size of phantoms."
    )
    host_secret: str = Field(
        "",
        extra=_from("GANLAB_HOST_SECRET"),
        description="Allows creating reader studies over the web; unset: disabled.",
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings. Raises InputError, which names the variable, for an invalid value."""
        values = {}
        for declared in settings_of(cls):
            variable = next((name for name in declared.extra["variables"] if environment.get(name)), None)
            if variable is None:
                continue
            values[declared.name] = _parsed(environment[variable], declared)
            try:
                cls(**{declared.name: values[declared.name]})
            except InputError as error:
                valid = declared.wanted.replace(" or null", "")
                raise InputError(f'{variable} is "{environment[variable]}"; give {valid}, or unset it.') from error
        return cls(**values)


def _parsed(text: str, declared: Setting) -> str | int | float:
    """The number in a text, if its setting is one; a text that is not a number is kept, and refused later."""
    try:
        return declared.kind(text)
    except ValueError:
        return text
