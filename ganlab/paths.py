"""Where the files that ship with ganlab are: `assets` (scripts, styles, figures) and `pretrained` (weights); and which
of a user's folders to enter."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """The folder "assets" or "pretrained": inside an installed package, next to it in a checkout."""
    installed = PACKAGE / name
    return installed if installed.is_dir() else PACKAGE.parent / name


def around(folder: Path) -> set[Path]:
    """The folder and all folders that it is in, without links: what `entered` starts from."""
    real = folder.resolve()
    return {real, *real.parents}


def entered(folders: Iterable[Path], seen: set[Path]) -> list[Path]:
    """The folders that were not entered before, which are added to `seen`. A folder counts under its own name rather
    than a link's, and a link that leads back up is not followed."""
    fresh = []
    for folder in sorted(folders, key=lambda each: (each.is_symlink(), each.name)):
        real = folder.resolve()
        if real not in seen:
            fresh.append(folder)
            seen.add(real)
    return sorted(fresh)
