"""Where the files that ship with ganlab are: `assets` (scripts, styles, figures) and `pretrained` (weights)."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """The folder "assets" or "pretrained": inside an installed package, next to it in a checkout."""
    installed = PACKAGE / name
    return installed if installed.is_dir() else PACKAGE.parent / name
