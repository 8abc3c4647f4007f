"""Names and numbers formatted for messages to the user."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def shown(text: str, max_length: int = 80) -> str:
    """The text in printable characters, without double quotes, at most `most` long."""
    text = "".join(c if c.isprintable() else "?" for c in text).replace('"', "'")
    return text if len(text) <= max_length else f"{text[: max_length - 1]}…"


def quoted(path: Path) -> str:
    """The name of a file or folder, without its path, quoted."""
    return f'"{shown(path.name or str(path))}"'


def listed(paths: list[Path]) -> str:
    """At most four names: "a", "b", "c", "d" and 3 more."""
    return ", ".join(quoted(path) for path in paths[:4]) + (f" and {len(paths) - 4} more" if len(paths) > 4 else "")


def times(numbers: Iterable[float]) -> str:
    """Sizes along axes: 256x256x180, 0.5x0.5x1.25."""
    return "x".join(f"{number:.4g}" if isinstance(number, float) else str(number) for number in numbers)


def megabytes(count: int) -> str:
    """A number of bytes: 12.3 MB, 512 bytes."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count:,} bytes"
